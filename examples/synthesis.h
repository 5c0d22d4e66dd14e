/* synthesis.h: dreams: a picture to begin with, a network that takes pictures of any size, and
   whether a layer really answers more to the dream than to the picture, and than to noise.

       synthesis_tour t = synthesis_begin(&e);       // t.image, t.small
       ... t.dream, synthesis_measure(...) ...
       synthesis_show(&t, 2, 0, "relu2");            // on the sheet, and printed
       synthesis_end(&e, &t, &guide);                                                            */
#ifndef SYNTHESIS_H
#define SYNTHESIS_H

#include "ascent.h"
#include "panel.h"
#include "randomize.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* --image in colour, its longer side of `size` pixels; or a landscape of that width
   (the next one: that of seed 1 is at noon, that of seed 2 at dusk). */
static inline int synthesis_start(const example *e, int size, cnv_tensor *image)
{
    const char *path = example_text(e, "image", NULL);
    const cnv_color white = {1, 1, 1};
    cnv_tensor file = {0}, fitted = {0};
    int ok, longer;
    if (!path) {
        ok = cnv_tensor_resize(image, 1, 3, size * 3 / 4, size);
        if (ok) toy_landscape(e->seed + 1, size, size * 3 / 4, image->data);
        return ok;
    }
    ok = cnv_image_load(path, &file);
    longer = file.w > file.h ? file.w : file.h;
    ok = ok && cnv_resize(&file, (file.h * size - 1) / longer + 1, (file.w * size - 1) / longer + 1,
                          &fitted) &&
         cnv_canvas(image, fitted.h, fitted.w, white);
    if (ok) cnv_paste(image, &fitted, 0, 0);
    cnv_tensor_free(&file), cnv_tensor_free(&fitted);
    return ok;
}

/* A fully connected layer is a convolution whose filters are as large as what it reads. Written as
   one, with padding, it takes larger pictures too, and has an output for each place of them (Long,
   Shelhamer, Darrell 2015). The network must have seen an image of its own size. */
static inline void synthesis_convolutional(cnv_net *net)
{
    int i;
    for (i = 0; i < net->count; i++) {
        cnv_node *node = &net->nodes[i];
        const cnv_tensor *x = &net->nodes[node->input[0]].out;
        cnv_tensor *weight;
        if (node->op != CNV_LINEAR) continue;
        weight = &net->params[node->param[0]].value;
        weight->c = x->c, weight->h = x->h, weight->w = x->w;
        node->op = CNV_CONV2D, node->groups = 1, node->window = cnv_square(1, 1, 0);
        node->window.kernel_h = x->h, node->window.kernel_w = x->w;
        node->window.pad_top = (x->h - 1) / 2, node->window.pad_bottom = x->h / 2;
        node->window.pad_left = (x->w - 1) / 2, node->window.pad_right = x->w / 2;
    }
    cnv_weights_changed(net);
}

/* ---- A guide ---- */

typedef struct {
    int node;
    cnv_tensor image;           /* the guide */
    cnv_tensor features;        /* [places,C,1,1], its own */
} synthesis_guide;

/* What guide->image has at a layer, place by place: as filters of 1 x 1, to be multiplied with. */
static inline int synthesis_guide_of(cnv_net *net, int node, synthesis_guide *guide)
{
    const cnv_tensor *out = &net->nodes[node].out;
    int i, c, places;
    guide->node = node;
    if (!cnv_forward(net, &guide->image, node)) return 0;
    places = out->h * out->w;
    if (!cnv_tensor_resize(&guide->features, places, out->c, 1, 1)) return 0;
    for (i = 0; i < places; i++)
        for (c = 0; c < out->c; c++)
            guide->features.data[i * out->c + c] = out->data[c * places + i];
    return 1;
}

/* The mean over all places of the greatest dot product with one of the guide's features.
   setting: a synthesis_guide */
static inline int synthesis_guided(ascent *a, void *setting)
{
    synthesis_guide *guide = (synthesis_guide *)setting;
    const cnv_window one = cnv_square(1, 1, 0);
    cnv_tensor *seed = cnv_seed(a->net, guide->node), dot = {0};
    int i, k, c, best, places = seed ? seed->h * seed->w : 0;
    if (!seed || !cnv_conv2d_forward(&a->net->nodes[guide->node].out, &guide->features, NULL, &one,
                                     1, &dot, NULL)) return 0;
    for (i = 0, a->value.data[0] = 0; i < places; i++) {
        for (k = best = 0; k < dot.c; k++)
            if (dot.data[k * places + i] > dot.data[best * places + i]) best = k;
        for (c = 0; c < seed->c; c++)
            seed->data[c * places + i] = guide->features.data[best * seed->c + c] / (float)places;
        a->value.data[0] += dot.data[best * places + i] / (float)places;
    }
    cnv_tensor_free(&dot);
    return 1;
}

/* ---- Measures ---- */

/* The control: the image with as much random noise as the result has added, by its mean square. */
static inline int synthesis_noise(const cnv_tensor *image, const cnv_tensor *result, uint64_t seed,
                                  cnv_tensor *noisy)
{
    cnv_rng rng = cnv_rng_seed(seed);
    double square = 0;
    size_t i, size = cnv_tensor_size(image);
    if (!cnv_tensor_copy(image, noisy)) return 0;
    for (i = 0; i < size; i++)
        square += pow((double)result->data[i] - (double)image->data[i], 2) / (double)size;
    for (i = 0; i < size; i++)
        noisy->data[i] = (float)fmin(1, fmax(0, (double)image->data[i] +
                                                sqrt(square) * cnv_normal(&rng)));
    return 1;
}

/* What a layer answers to an image: the length |a| of its activations, and the mean of each channel
   for a layer of at most EXAMPLE_CLASSES of them. */
typedef struct {
    double length, mean[EXAMPLE_CLASSES];
} synthesis_answer;

static inline int synthesis_ask(cnv_net *net, int layer, const cnv_tensor *image,
                                synthesis_answer *answer)
{
    const cnv_tensor *a = &net->nodes[layer].out;
    int i, c, plane;
    memset(answer, 0, sizeof *answer);
    if (!cnv_forward(net, image, layer)) return 0;
    plane = a->h * a->w;
    for (c = 0; c < a->c; c++)
        for (i = 0; i < plane; i++) {
            double x = (double)a->data[c * plane + i];
            answer->length += x * x;
            if (c < EXAMPLE_CLASSES) answer->mean[c] += x / plane;
        }
    answer->length = sqrt(answer->length);
    return 1;
}

typedef struct {
    synthesis_answer before, after, noise; /* to the image, the result, and the noisy image */
    double ssim;                           /* of the result to the image */
} synthesis_measures;

static inline int synthesis_measure(cnv_net *net, int layer, const cnv_tensor *image,
                                    const cnv_tensor *result, uint64_t seed, synthesis_measures *m)
{
    cnv_tensor noisy = {0};
    int ok = synthesis_noise(image, result, seed, &noisy) && cnv_ssim(result, image, &m->ssim) &&
             synthesis_ask(net, layer, image, &m->before) &&
             synthesis_ask(net, layer, result, &m->after) &&
             synthesis_ask(net, layer, &noisy, &m->noise);
    cnv_tensor_free(&noisy);
    return ok;
}

/* ---- A tour of dreams, on one sheet ---- */

enum { SYNTHESIS_GAP = 60 };

typedef struct {
    cnv_tensor image, small;    /* the picture, large and small */
    cnv_tensor dream;           /* the latest, and its measures */
    synthesis_measures m;
    cnv_tensor sheet;
    int dreams;                 /* how many are done */
    double start;
} synthesis_tour;

/* An empty sheet for three columns of small pictures; the large one takes two of them. */
static inline synthesis_tour synthesis_begin(const example *e)
{
    int size = (int)example_number(e, "size", 640, 160, 4096), w, h;
    synthesis_tour t;
    memset(&t, 0, sizeof t);
    t.start = example_seconds();
    example_check(e, synthesis_start(e, size, &t.image));
    w = (t.image.w - SYNTHESIS_GAP) / 2, h = w > 0 ? t.image.h * w / t.image.w : 0;
    example_check(e, cnv_resize(&t.image, h, w, &t.small) &&
                     cnv_canvas(&t.sheet, PANEL_TOP + t.image.h + h + 90,
                                2 * PANEL_MARGIN + 3 * w + 2 * SYNTHESIS_GAP, panel_white));
    panel_within(&t.sheet, t.sheet.w - 2 * PANEL_MARGIN, PANEL_MARGIN, 38, 21, panel_black,
                 "DeepDream: what does the network see in the clouds?");
    return t;
}

/* A picture in column 0 ... 2 of row 0 ... 2, with one line under it, that is printed as well. */
static inline void synthesis_cell(synthesis_tour *t, int column, int row, const cnv_tensor *picture,
                                  const char *text)
{
    int x = PANEL_MARGIN + column * (t->small.w + SYNTHESIS_GAP), y = PANEL_TOP;
    y += row == 2 ? t->image.h + 50 : row == 1 ? t->image.h - t->small.h : 0;
    cnv_paste(&t->sheet, picture, x, y);
    panel_within(&t->sheet, picture->w + SYNTHESIS_GAP / 2.0, x, y + picture->h + 12, 11,
                 panel_black, text);
    if (picture != &t->small) printf("%s\n", text);
}

/* The latest dream and its figures. */
static inline void synthesis_show(synthesis_tour *t, int column, int row, const char *name)
{
    char text[256];
    snprintf(text, sizeof text, "%s: |a| x %.1f (noise: %.1f), SSIM %.2f", name,
             t->m.after.length / t->m.before.length, t->m.noise.length / t->m.before.length,
             t->m.ssim);
    synthesis_cell(t, column, row, &t->dream, text);
}

static inline void synthesis_show_class(const example *e, synthesis_tour *t, int class_id)
{
    char text[256];
    snprintf(text, sizeof text,
             "more of \"%s\": its mean logit from %.1f to %.1f (noise: %.1f), SSIM %.2f",
             e->class_names[class_id], t->m.before.mean[class_id], t->m.after.mean[class_id],
             t->m.noise.mean[class_id], t->m.ssim);
    synthesis_cell(t, 0, 0, &t->dream, text);
}

/* By how much the dream raises the mean of channel c. */
static inline double synthesis_rise(const synthesis_measures *m, int c)
{
    return m->after.mean[c] - m->before.mean[c];
}

/* Of the first n channels that with the k-th largest rise; 0: the largest. */
static inline int synthesis_most(const synthesis_measures *m, int n, int k)
{
    int i, c, before;
    for (c = 0; c < n; c++) {
        for (i = before = 0; i < n; i++)
            before += synthesis_rise(m, i) > synthesis_rise(m, c) ||
                      (i < c && !(synthesis_rise(m, i) < synthesis_rise(m, c)));
        if (before == k) break;
    }
    return c < n ? c : 0;
}

/* What the latest, small dream does to the mean logits: the three that rise most. */
static inline void synthesis_risen(const example *e, cnv_net *net, int logits,
                                   const char *const *names, const synthesis_tour *t)
{
    synthesis_measures m;
    int k, c, classes = net->nodes[logits].channels;
    example_check(e, synthesis_measure(net, logits, &t->small, &t->dream, e->seed, &m));
    printf("  its mean logits rise:");
    for (k = 0; k < 3 && k < classes; k++) {
        c = synthesis_most(&m, classes < EXAMPLE_CLASSES ? classes : EXAMPLE_CLASSES, k);
        printf("%s %s by %.1f", k ? "," : "", names[c], synthesis_rise(&m, c));
    }
    printf("\n");
}

/* The last two pictures, and the end. */
static inline void synthesis_end(const example *e, synthesis_tour *t, synthesis_guide *guide)
{
    int inset = t->small.h * 3 / 10, x = PANEL_MARGIN + 2 * t->small.w + SYNTHESIS_GAP - inset - 6;
    int y = PANEL_TOP + t->image.h + 50 + 6;
    cnv_tensor little = {0};
    example_check(e, cnv_resize(&guide->image, inset, inset, &little));
    cnv_paste(&t->sheet, &little, x, y);
    cnv_frame(&t->sheet, x - 2, y - 2, inset + 4, inset + 4, 2, panel_white);
    synthesis_cell(t, 0, 2, &t->small, "the picture");
    example_save(e, &t->sheet);
    cnv_tensor_free(&t->image), cnv_tensor_free(&t->small), cnv_tensor_free(&t->dream);
    cnv_tensor_free(&t->sheet), cnv_tensor_free(&little);
    cnv_tensor_free(&guide->image), cnv_tensor_free(&guide->features);
}

/* ---- What the tour visits ---- */

/* An early layer, the second with weights, and a late one, --layer: what they hand on. From here on
   the network takes pictures of any size. */
static inline void synthesis_layers(example *e, int *early, int *late)
{
    int layers[512], n = randomize_layers(e->net, e->logits, layers, 512);
    *early = example_feature_maps(e->net, layers[n > 1 ? n - 2 : 0]);
    *late = example_feature_maps(e->net, e->layer);
    synthesis_convolutional(e->net);
}

/* --class; or flowers, which have petals, if the network knows any. */
static inline int synthesis_class(const example *e)
{
    int c;
    for (c = 0; c < e->classes && !example_text(e, "class", NULL); c++)
        if (!strcmp(e->class_names[c], "flower")) return c;
    return e->class_id;
}

/* --guide PICTURE, or the scene that a heatmap would be of; the middle square of it. */
static inline int synthesis_guide_load(const example *e, int node, synthesis_guide *guide)
{
    const char *path = example_text(e, "guide", NULL);
    cnv_tensor file = {0};
    int ok = path ? cnv_image_load(path, &file) &&
                        example_square(e, &file, e->model->side, &guide->image)
                  : cnv_tensor_copy(&e->image, &guide->image);
    cnv_tensor_free(&file);
    return ok && synthesis_guide_of(e->net, node, guide);
}

/* A network that has learned from scenes half of which were faces (train --bias faces), for
   pictures of any size. Its logits are its last node. */
static inline cnv_net *synthesis_faces(const example *e)
{
    cnv_net *net = cnv_net_new();
    cnv_tensor image = {0};
    example_check(e, net && model_smallnet(net, TOY_CLASSES) >= 0 &&
                     cnv_load(net, example_data("faces.safetensors")) &&
                     cnv_canvas(&image, TOY_SIDE, TOY_SIDE, panel_white) &&
                     cnv_forward(net, &image, CNV_ALL));
    synthesis_convolutional(net), cnv_tensor_free(&image);
    return net;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
