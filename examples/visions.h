/* visions.h: pictures of what parts of a network look for, all made with one set of choices, so
   that they can be compared; and pieces of pictures to put beside them.

       ascent a = ascent_of(&e, node, ascent_directions, directions);
       example_check(&e, vision_climb(&a, n, e.model->side, 55, 64));  // a.image, a.value
       ascent_end(&a);                                                                            */
#ifndef VISIONS_H
#define VISIONS_H

#include "objectives.h"
#include "units.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* n pictures of side x side pixels, for something that sees a square of `sees` pixels: shifts are
   up to a tenth of that. Steps go along the gradient at the waves, of which low frequencies have
   most: so areas come first, and edges only where they pay. (Adam would move all frequencies alike:
   on a network as small as the Toybox's that gives a honeycomb of fine lines, and crosses along the
   axes.) What raises the objective little decays again. Afterwards a->value and the network's nodes
   are those of the pictures as they are, without transforms. */
static inline int vision_climb(ascent *a, int n, int side, int sees, int steps)
{
    double start = example_seconds();
    int i, ok;
    a->waves = 1, a->spectrum = 0.85, a->method = ASCENT_MOMENTUM, a->rate = 0.002;
    a->decay = 0.03, a->jitter = fmin(4, sees / 10.0), a->scale = 1.1, a->turn = 10;
    ok = ascent_start(a, n, side, side, 0.1);
    for (i = 0; ok && i < steps; i++) {
        ok = ascent_step(a);
        example_progress("climbing", i + 1, steps, start);
    }
    a->jitter = a->turn = 0, a->scale = 1;
    return ok && ascent_gradient(a);
}

/* Noise of the pictures' spectrum: every wave keeps its size, and gets a random sign. */
static inline int vision_noise(ascent *a)
{
    size_t i, size = cnv_tensor_size(&a->z);
    for (i = 0; i < size; i++)
        if (cnv_random(&a->rng) & 1) a->z.data[i] = -a->z.data[i];
    return ascent_gradient(a);
}

/* The greatest activation of channel k of a node in picture i of the last forward pass. */
static inline double vision_greatest(const cnv_net *net, int node, int i, int k)
{
    cnv_tensor map = cnv_tensor_channel(&net->nodes[node].out, i, k);
    double low, high;
    cnv_range(&map, &low, &high);
    return high;
}

/* How many of n units are more excited by the pictures of the last forward pass than by the best of
   the data set. */
static inline int vision_better(const cnv_net *net, int node, const units *u, const int *unit,
                                int n)
{
    int i, better = 0;
    for (i = 0; i < n; i++)
        better += vision_greatest(net, node, i, unit[i]) > (double)units_of(u, unit[i])->value;
    return better;
}

/* What the neuron at (y,x) of a node sees, and half as much around it, as a square inside of the
   picture. */
static inline units_box vision_field(const cnv_net *net, int node, int y, int x)
{
    const cnv_tensor *image = &net->nodes[0].out;
    units_box box = units_field(net, node, y, x, 1);
    int side = image->h < image->w ? image->h : image->w, wide = box.w > box.h ? box.w : box.h;
    wide = wide * 3 / 2 < side ? wide * 3 / 2 : side;
    box.x += (box.w - wide) / 2, box.y += (box.h - wide) / 2, box.w = box.h = wide;
    box.x = box.x < 0 ? 0 : box.x > image->w - wide ? image->w - wide : box.x;
    box.y = box.y < 0 ? 0 : box.y > image->h - wide ? image->h - wide : box.y;
    return box;
}

/* Puts that part of a picture [1,3,H,W] on the sheet, `size` pixels large. */
static inline void vision_paste(const example *e, const cnv_tensor *picture, units_box box,
                                int size, int x, int y, cnv_tensor *sheet)
{
    cnv_tensor crop = {0}, tile = {0};
    int c, i;
    example_check(e, cnv_tensor_resize(&crop, 1, 3, box.h, box.w));
    for (c = 0; c < 3; c++)
        for (i = 0; i < box.h; i++)
            memcpy(crop.data + (c * box.h + i) * box.w, cnv_tensor_channel(picture, 0, c).data +
                   (box.y + i) * picture->w + box.x, (size_t)box.w * sizeof(float));
    example_check(e, cnv_resize(&crop, size, size, &tile));
    cnv_paste(sheet, &tile, x, y);
    cnv_tensor_free(&crop), cnv_tensor_free(&tile);
}

static inline units_box vision_whole(const cnv_tensor *picture)
{
    units_box box = {0, 0, 0, 0};
    box.w = picture->w, box.h = picture->h;
    return box;
}

/* Pictures [n,3,H,W] in a row, `size` pixels large, 5 apart, each with a name below. */
static inline void vision_strip(const example *e, const cnv_tensor *pictures, int size,
                                const char *const *names, int x, int y, cnv_tensor *sheet)
{
    const cnv_color gray = {0.38f, 0.38f, 0.42f};
    int i;
    for (i = 0; i < pictures->n; i++, x += size + 5) {
        cnv_tensor picture = cnv_tensor_image(pictures, i);
        vision_paste(e, &picture, vision_whole(&picture), size, x, y, sheet);
        if (names) cnv_text(sheet, x, y + size + 8, 11, gray, names[i]);
    }
}

/* What to want: the mean of `count` channels of a node, -1: of all of them; at the middle place or
   everywhere. v: room for the weights of all channels. */
static inline ascent_direction vision_direction(const cnv_net *net, int node, const int *channel,
                                                int count, int everywhere, float *v)
{
    const cnv_tensor *out = &net->nodes[node].out;
    ascent_direction wanted = {0, -1, -1, NULL};
    int i;
    for (i = 0; i < out->c; i++) v[i] = count < 0;
    for (i = 0; i < count; i++) v[channel[i]] += 1;
    if (!everywhere) wanted.y = out->h / 2, wanted.x = out->w / 2;
    wanted.node = node, wanted.v = v;
    return wanted;
}

/* The channels of a list like "3,17,40" after --group, at most `most`; returns how many, 0 if there
   is no such option. */
static inline int vision_group(const example *e, int channels, int *channel, int most)
{
    const char *list = example_text(e, "group", "");
    char *end = NULL;
    int n = 0;
    for (; *list; list = *end ? end + 1 : end) {
        long k = strtol(list, &end, 10);
        if (end == list || (*end && *end != ',') || k < 0 || k >= channels || n == most)
            example_fail(e, "--group wants up to %d channels from 0 to %d, like 3,17", most,
                         channels - 1);
        channel[n++] = (int)k;
    }
    return n;
}

/* A picture made for channel k of a node, the i-th of the last forward pass, and in half that size
   its four best of the data set; each cut to what the neuron sees, or whole. size: even. */
static inline void vision_unit(const example *e, const dataset *d, int node, const units *u, int k,
                               const cnv_tensor *pictures, int i, int whole, int size, int x,
                               int y, cnv_tensor *sheet)
{
    const cnv_color ink = {0.1f, 0.1f, 0.12f}, gray = {0.38f, 0.38f, 0.42f};
    const cnv_tensor *out = &e->net->nodes[node].out;
    const units_hit *hit = units_of(u, k);
    cnv_tensor picture = cnv_tensor_image(pictures, i), scene = {0};
    units_box box = vision_whole(&picture);
    int half = size / 2 - 2;
    char text[64];
    if (!whole) box = vision_field(e->net, node, out->h / 2, out->w / 2);
    vision_paste(e, &picture, box, size, x, y, sheet);
    snprintf(text, sizeof text, "unit %d: %.1f", k, vision_greatest(e->net, node, i, k));
    cnv_text(sheet, x, y + size + 8, 11, ink, text);
    snprintf(text, sizeof text, "at most %.1f", (double)hit->value);
    cnv_text(sheet, x + size + 4, y + size + 8, 11, gray, text);
    for (i = 0; i < 4 && i < u->count; i++) {
        if (!whole) box = vision_field(e->net, node, hit[i].y, hit[i].x);
        dataset_batch(e, d, hit[i].picture, 1, &scene);
        vision_paste(e, &scene, box, half, x + size + 4 + i % 2 * (half + 4),
                     y + i / 2 * (half + 4), sheet);
    }
    cnv_tensor_free(&scene);
}

/* Convolutions and linear layers before the logits, at most `most`; returns how many. */
static inline int vision_layers(const example *e, int *node, int most)
{
    int all[64], n = units_layers(e->net, 1, 64, all), i, k;
    while (n && all[n - 1] >= e->logits) n--;
    for (k = 0; k < most && k < n; k++) {
        i = n <= most ? k : k * (n - 1) / (most - 1);
        node[k] = all[i];
    }
    return k;
}

/* Room for `count` directions in the channels of any of n nodes; to be freed. */
static inline float *vision_room(const example *e, const int *node, int n, int count)
{
    int i, channels = 0;
    float *v;
    for (i = 0; i < n; i++)
        channels = e->net->nodes[node[i]].channels > channels ? e->net->nodes[node[i]].channels
                                                              : channels;
    v = (float *)malloc((size_t)count * (size_t)channels * sizeof *v);
    if (!v) example_fail(e, "out of memory");
    return v;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
