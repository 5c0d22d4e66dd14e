/* activations.c - what does each channel of each layer answer to a picture?

   Question   Which parts of the picture does each feature find, and which features never find
              anything at all?
   Formula    a_k(y,x) for every channel k of every convolution, ReLU and pool;
              dead: max over 240 pictures, y, x of a_k <= 0 after a ReLU
   Paper      Yosinski, Clune, Nguyen, Fuchs, Lipson: Understanding Neural Networks Through Deep
              Visualization (2015), section 2
   Look for   Early maps are the picture seen through a filter; deeper ones are sparse and say where
              something is. A framed channel is dead: a ReLU that is never above zero passes no
              gradient either, so it cannot recover. Too high a learning rate does that.
   Measured   dead channels, less than 5% in the network of the examples

       cc -O2 examples/activations.c -o build/activations -lm && build/activations --layer relu2 */

#include "datasets.h"
#include "panel.h"

/* Raises highest[i], [1,C,1,1], to the greatest activation of each channel of node i over the
   images, for all ReLUs; begin with all of highest empty. */
static int activations_highest(cnv_net *net, const cnv_tensor *images, cnv_tensor *highest)
{
    int i, j, k;
    if (!cnv_forward(net, images, CNV_ALL)) return 0;
    for (i = 0; i < net->count; i++) {
        const cnv_tensor *out = &net->nodes[i].out;
        int plane = out->h * out->w, first = !highest[i].data;
        if (net->nodes[i].op != CNV_RELU) continue;
        if (!cnv_tensor_resize(&highest[i], 1, out->c, 1, 1)) return 0;
        if (first) cnv_tensor_fill(&highest[i], -1e30);
        for (k = 0; k < out->n * out->c; k++) {
            float *most = &highest[i].data[k % out->c], *a = out->data + k * plane;
            for (j = 0; j < plane; j++)
                if (a[j] > *most) *most = a[j];
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

/* A node's channels as a mosaic, its dead ones framed, and its figures in words. */
static int activations_mosaic(const cnv_node *node, const cnv_tensor *highest, int side,
                              cnv_tensor *square, char figures[128])
{
    static const cnv_color red = {0.9f, 0.1f, 0.1f};
    panel_grid grid = panel_fit(&node->out, side);
    size_t i, size = cnv_tensor_size(&node->out), zeros = 0;
    int k, length;
    double low, high;
    for (i = 0; i < size; i++) zeros += node->out.data[i] == 0;
    cnv_range(&node->out, &low, &high);
    length = snprintf(figures, 128, "maximum %.2g, %.0f %% zeros", high,
                      100 * (double)zeros / (double)size);
    if (!panel_mosaic(&node->out, side, square)) return 0;
    if (node->op != CNV_RELU) return 1;
    snprintf(figures + length, 128 - (size_t)length, ", %d dead",
             activations_dead(highest, NULL, 0));
    for (k = 0; k < node->out.c; k++)
        if (highest->data[k] <= 0) panel_grid_frame(square, &grid, k, 2, red);
    return 1;
}

/* Whether a node is in the picture: convolutions, ReLUs and pools are; or --layer alone. */
static int activations_shown(const example *e, int i)
{
    cnv_op op = e->net->nodes[i].op;
    if (example_text(e, "layer", NULL)) return i == e->layer;
    return op == CNV_CONV2D || op == CNV_RELU || op == CNV_MAX_POOL || op == CNV_AVG_POOL;
}

/* The image and what the colours mean, and below them the mosaics. */
static int activations_poster(const example *e, const cnv_tensor *highest, cnv_tensor *poster)
{
    int one = example_text(e, "layer", NULL) != NULL, across = one ? 1 : 4, i, n = 0, x, y, ok;
    int side = one ? 1100 : 320;
    cnv_tensor tile = {0};
    char text[128];
    for (i = 0; i < e->net->count; i++) across += (n += activations_shown(e, i)) > across * across;
    ok = cnv_canvas(poster, 174 + (n + across - 1) / across * (side + 80),
                    36 + across * (side + 36), panel_white) &&
         cnv_resize(&e->image, 128, 128, &tile) && cnv_forward(e->net, &e->image, CNV_ALL);
    cnv_paste(poster, &tile, 36, 24);
    snprintf(text, sizeof text, "Activations for a \"%s\"", e->class_names[e->predicted]);
    cnv_text(poster, 190, 34, 20, panel_black, text);
    panel_bar(poster, 190, 84, CNV_MAP_VIRIDIS, "0", "the layer's maximum");
    panel_bar(poster, 190, 112, CNV_MAP_RED_WHITE_BLUE, "below 0", "above 0");
    for (i = n = 0; ok && i < e->net->count; i++) {
        const cnv_node *node = &e->net->nodes[i];
        if (!activations_shown(e, i)) continue;
        x = 36 + n % across * (side + 36), y = 174 + n++ / across * (side + 80);
        ok = activations_mosaic(node, &highest[i], side, &tile, text);
        cnv_paste(poster, &tile, x, y + 44);
        cnv_text(poster, x, y + 22, 11, panel_gray, text);
        snprintf(text, sizeof text, "%s: %d x %d x %d", node->name, node->out.c, node->out.h,
                 node->out.w);
        cnv_text(poster, x, y, 13, panel_black, text);
    }
    cnv_tensor_free(&tile);
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
/* Lists the dead channels of every ReLU. */
static void activations_report(const example *e, const cnv_tensor *highest, int images)
{
    int i, k, dead[8], n, all = 0, channels = 0, lines = 0;
    for (i = 0; i < e->net->count; i++) {
        if (e->net->nodes[i].op != CNV_RELU) continue;
        n = activations_dead(&highest[i], dead, 8), all += n, channels += highest[i].c;
        if (!n || lines++ > 7) continue;
        printf("%s: %d of %d dead:", e->net->nodes[i].name, n, highest[i].c);
        for (k = 0; k < n && k < 8; k++) printf(" %d", dead[k]);
        printf(n > 8 ? " ...\n" : "\n");
    }
    printf("dead on %s: %d of %d channels, %.1f %%\n", example_count(images, "picture"), all,
           channels, 100.0 * all / (channels ? channels : 1));
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "what every channel answers to a picture", NULL,
                              "data,images");
    dataset d = dataset_of(&e, (int)example_number(&e, "images", 240, 1, 100000));
    cnv_tensor *highest = (cnv_tensor *)calloc((size_t)e.net->count, sizeof *highest);
    cnv_tensor images = {0}, poster = {0};
    double start = example_seconds();
    int i;
    if (!highest) example_fail(&e, "out of memory");
    for (i = 0; i < d.n; i += images.n) {
        dataset_batch(&e, &d, i, 16, &images);
        example_check(&e, activations_highest(e.net, &images, highest));
        example_progress("looking for dead channels", i + images.n, d.n, start);
    }
    example_check(&e, activations_poster(&e, highest, &poster));
    example_save(&e, &poster);
    activations_report(&e, highest, d.n);
    for (i = 0; i < e.net->count; i++) cnv_tensor_free(&highest[i]);
    cnv_tensor_free(&images), cnv_tensor_free(&poster);
    free(highest), dataset_free(&d), example_end(&e);
    return 0;
}
#endif
