/* activations.c - what does each channel of each layer answer to a picture?

   Question   Which parts of the picture does each feature find, and which features never find
              anything at all?
   Formula    a_k(y,x) for every channel k of every convolution, ReLU and pool;
              dead: max over 240 scenes, y, x of a_k <= 0 after a ReLU
   Paper      Yosinski, Clune, Nguyen, Fuchs, Lipson: Understanding Neural Networks Through Deep
              Visualization (2015), section 2
   Look for   Early maps are the picture seen through a filter; deeper ones are sparse and say where
              something is. A framed channel is dead: a ReLU that is never above zero passes no
              gradient either, so it cannot recover. Too high a learning rate does that.
   Measured   dead channels, less than 5% in the network of the examples

       cc -O2 examples/activations.c -o build/activations -lm && build/activations --layer relu2 */

#include "example.h"

enum { ACTIVATIONS_SCENES = 240, ACTIVATIONS_BATCH = 40 };

/* Raises highest[i], [1,C,1,1], to the greatest activation of each channel of node i over the
   images, for all nodes; begin with all of highest empty. */
static int activations_highest(cnv_net *net, const cnv_tensor *images, cnv_tensor *highest)
{
    int i, k, n;
    if (!cnv_forward(net, images, CNV_ALL)) return 0;
    for (i = 0; i < net->count; i++) {
        const cnv_tensor *out = &net->nodes[i].out;
        size_t j, map = (size_t)out->h * (size_t)out->w;
        if (!highest[i].data) {
            if (!cnv_tensor_resize(&highest[i], 1, out->c, 1, 1)) return 0;
            cnv_tensor_fill(&highest[i], -1e30);
        }
        for (n = 0; n < out->n; n++)
            for (k = 0; k < out->c; k++) {
                const float *a = cnv_tensor_channel(out, n, k).data;
                for (j = 0; j < map; j++)
                    if (a[j] > highest[i].data[k]) highest[i].data[k] = a[j];
            }
    }
    return 1;
}

/* How many channels of a ReLU were never above zero; lists up to `room` of them. */
static int activations_dead(const cnv_tensor *highest, int *dead, int room)
{
    int k, count = 0;
    for (k = 0; k < highest->c; k++)
        if (highest->data[k] <= 0 && count++ < room) dead[count - 1] = k;
    return count;
}

/* The share of a node's activations that are exactly zero. */
static double activations_zeros(const cnv_tensor *out)
{
    size_t i, zeros = 0, size = cnv_tensor_size(out);
    for (i = 0; i < size; i++) zeros += out->data[i] == 0;
    return (double)zeros / (double)size;
}

/* All channels of a node as a square mosaic, dark to bright from 0 to the layer's maximum; where
   there are negative numbers, blue to white to red. Dead channels, by `highest`, are framed. */
static int activations_mosaic(const cnv_node *node, const cnv_tensor *highest, int side,
                              cnv_tensor *mosaic)
{
    static const cnv_color white = {1, 1, 1}, pale = {0.86f, 0.87f, 0.89f};
    static const cnv_color red = {0.9f, 0.1f, 0.1f};
    const cnv_tensor *out = &node->out;
    int columns = (int)ceil(sqrt(out->c)), k, ok, longer = out->w > out->h ? out->w : out->h;
    int tile = side / columns - 2 > 1 ? side / columns - 2 : 1, zoom = (tile - 1) / longer + 1;
    int h = (tile * out->h - 1) / longer + 1, w = (tile * out->w - 1) / longer + 1;
    double low, high;
    cnv_tensor large = {0}, fitted = {0}, rgb = {0};
    cnv_range(out, &low, &high);
    high = fmax(high, -low);
    ok = cnv_canvas(mosaic, (out->c - 1) / columns * (h + 2) + h, columns * (w + 2), white);
    for (k = 0; ok && k < out->c; k++) {
        cnv_tensor map = cnv_tensor_channel(out, 0, k);
        int x = k % columns * (w + 2), y = k / columns * (h + 2);
        ok = cnv_enlarge(&map, zoom, &large) && cnv_resize(&large, h, w, &fitted) &&
             cnv_colorize(&fitted, low < 0 ? CNV_MAP_RED_WHITE_BLUE : CNV_MAP_VIRIDIS,
                          low < 0 ? -high : 0, high, &rgb);
        if (ok) cnv_paste(mosaic, &rgb, x, y);
        if (low < 0) cnv_frame(mosaic, x, y, w, h, 1, pale);
        if (node->op == CNV_RELU && highest->data[k] <= 0) cnv_frame(mosaic, x, y, w, h, 2, red);
    }
    cnv_tensor_free(&large), cnv_tensor_free(&fitted), cnv_tensor_free(&rgb);
    return ok;
}

/* The mosaics of all nodes from `first` to `last` that are convolutions, ReLUs or pools, each with
   a caption, `columns` in a row. */
static int activations_poster(const cnv_net *net, const cnv_tensor *highest, int first, int last,
                              int columns, int side, cnv_tensor *poster)
{
    static const cnv_color white = {1, 1, 1}, ink = {0.13f, 0.14f, 0.17f};
    static const cnv_color gray = {0.4f, 0.4f, 0.45f};
    const int margin = 36;
    int i, length, n = 0, y = 218, tallest = 0, width = columns * (side + margin) + margin, ok = 1;
    cnv_tensor mosaic = {0}, longer = {0};
    double low, high;
    char text[160];
    for (i = first; ok && i <= last; i++) {
        const cnv_node *node = &net->nodes[i];
        int x = margin + n % columns * (side + margin);
        if (node->op != CNV_CONV2D && node->op != CNV_RELU && node->op != CNV_MAX_POOL &&
            node->op != CNV_AVG_POOL && first != last)
            continue;
        if (n && n % columns == 0) y += tallest + 82, tallest = 0;
        ok = activations_mosaic(node, &highest[i], side, &mosaic);
        if (mosaic.h > tallest) tallest = mosaic.h;
        ok = ok && cnv_canvas(&longer, y + tallest + margin, width, white);
        if (ok && n) cnv_paste(&longer, poster, 0, 0);
        cnv_range(&node->out, &low, &high);
        snprintf(text, sizeof text, "%s: %d x %d x %d", node->name, node->out.c, node->out.h,
                 node->out.w);
        cnv_text(&longer, x, y - 45, 13, ink, text);
        length = snprintf(text, sizeof text, "maximum %.2g, %.0f %% zeros", high,
                 100 * activations_zeros(&node->out));
        if (node->op == CNV_RELU)
            snprintf(text + length, sizeof text - (size_t)length, ", %d dead",
                     activations_dead(&highest[i], NULL, 0));
        cnv_text(&longer, x, y - 22, 11, gray, text);
        if (ok) cnv_paste(&longer, &mosaic, x, y);
        ok = ok && cnv_tensor_copy(&longer, poster);
        n++;
    }
    cnv_tensor_free(&mosaic), cnv_tensor_free(&longer);
    return ok;
}

/* The picture itself, the title and what the colours mean, above the mosaics. */
static int activations_heading(const cnv_tensor *image, const char *title, cnv_tensor *poster)
{
    static const cnv_color ink = {0.13f, 0.14f, 0.17f};
    static const char *const ends[2][2] = {{"0", "the layer's maximum"}, {"below 0", "above 0"}};
    cnv_tensor small = {0}, ramp = {0}, bar = {0};
    int i, k, ok = cnv_resize(image, 128, 128, &small) && cnv_tensor_resize(&ramp, 1, 1, 12, 120);
    if (ok) cnv_paste(poster, &small, 36, 24);
    cnv_text(poster, 190, 34, 20, ink, title);
    for (i = 0; ok && i < 2; i++) {
        double x = 190 + 14 + cnv_text_width(12, ends[i][0]);
        for (k = 0; k < 12 * 120; k++) ramp.data[k] = (float)(k % 120) / 119;
        ok = cnv_colorize(&ramp, i ? CNV_MAP_RED_WHITE_BLUE : CNV_MAP_VIRIDIS, 0, 1, &bar);
        cnv_text(poster, 190, 84 + 28 * i, 12, ink, ends[i][0]);
        if (ok) cnv_paste(poster, &bar, (int)x, 84 + 28 * i);
        cnv_text(poster, x + 134, 84 + 28 * i, 12, ink, ends[i][1]);
    }
    cnv_tensor_free(&small), cnv_tensor_free(&ramp), cnv_tensor_free(&bar);
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
/* Shows the network 240 scenes to find out which channels ever answer. */
static void activations_survey(example *e, cnv_tensor *highest)
{
    cnv_tensor images = {0};
    int i, side = e->model->side;
    double start = example_seconds();
    example_check(e, cnv_tensor_resize(&images, ACTIVATIONS_BATCH, 3, side, side));
    for (i = 0; i < ACTIVATIONS_SCENES; i++) {
        toy_scene scene = toy_make(1000000000 + (unsigned)i, NULL);
        toy_render(&scene, side, cnv_tensor_image(&images, i % ACTIVATIONS_BATCH).data, NULL, NULL);
        if (i % ACTIVATIONS_BATCH == ACTIVATIONS_BATCH - 1)
            example_check(e, activations_highest(e->net, &images, highest));
        example_progress("looking for dead channels", i + 1, ACTIVATIONS_SCENES, start);
    }
    cnv_tensor_free(&images);
}

/* Lists the dead channels of every ReLU. */
static void activations_report(const example *e, const cnv_tensor *highest)
{
    int i, k, dead[8], n, all = 0, channels = 0;
    for (i = 0; i < e->net->count; i++) {
        if (e->net->nodes[i].op != CNV_RELU) continue;
        n = activations_dead(&highest[i], dead, 8);
        all += n, channels += highest[i].c;
        if (n) printf("%s: %d of %d dead:", e->net->nodes[i].name, n, highest[i].c);
        for (k = 0; k < n && k < 8; k++) printf(" %d%s", dead[k], k == 7 && n > 8 ? " ..." : "");
        if (n) printf("\n");
    }
    printf("dead on %d scenes: %d of %d channels, %.1f %%\n", ACTIVATIONS_SCENES, all, channels,
           100.0 * all / (channels ? channels : 1));
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "what every channel answers to a picture", NULL, "");
    cnv_tensor *highest = calloc((size_t)e.net->count, sizeof *highest), poster = {0};
    int i, one = example_text(&e, "layer", NULL) != NULL;
    char title[160];
    if (!highest) example_fail(&e, "out of memory");
    activations_survey(&e, highest);
    example_check(&e, cnv_forward(e.net, &e.image, CNV_ALL));
    snprintf(title, sizeof title, "Activations for a picture of class \"%s\"",
             e.class_names[e.predicted]);
    example_check(&e, activations_poster(e.net, highest, one ? e.layer : 0,
                                         one ? e.layer : e.net->count - 1, one ? 1 : 4,
                                         one ? 1100 : 320, &poster) &&
                      activations_heading(&e.image, title, &poster));
    example_save(&e, &poster);
    activations_report(&e, highest);
    for (i = 0; i < e.net->count; i++) cnv_tensor_free(&highest[i]);
    free(highest);
    cnv_tensor_free(&poster);
    example_end(&e);
    return 0;
}
#endif
