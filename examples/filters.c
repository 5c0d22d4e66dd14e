/* filters.c - what have the filters learned to look for?

   Question   The weights are the network. What do they look like, and can one see from them alone
              whether the network has been trained long enough?
   Formula    tile = (w - min w) / (max w - min w) for each filter; smoothness of a layer = the
              correlation of w[k,c,r,s] with w[k,c,r+1,s] and w[k,c,r,s+1] over all of them
   Paper      Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural
              Networks (2012), figure 3
   Look for   Edges and colour blobs in the first layer; similar filters are neighbours. Noise would
              mean too little training or regularization. Deeper filters read channels, not pixels:
              their tiles are legible as "smooth" or "noisy" and not much more.
   Measured   smoothness of the first layer, trained, at least 0.2 above the same layer untrained

       cc -O2 examples/filters.c -o build/filters -lm && build/filters                        */

#include "example.h"

enum { FILTERS_WIDTH = 560, FILTERS_TILES = 96, FILTERS_ROWS = 12, FILTERS_COLUMNS = 24 };

/* Lag-1 autocorrelation of filters [K,C,R,S]: how much a weight tells about its neighbours to the
   right and below. White noise: 0. Smooth: towards 1. Not a number for 1 x 1 filters. */
static double filters_smoothness(const cnv_tensor *weight)
{
    double n = 0, a1 = 0, b1 = 0, aa = 0, bb = 0, ab = 0;
    int i, r, s, d, rows = weight->h, columns = weight->w;
    for (i = 0; i < weight->n * weight->c; i++)
        for (r = 0; r < rows; r++)
            for (s = 0; s < columns; s++)
                for (d = 0; d < 2; d++) {
                    const float *w = weight->data + (i * rows + r) * columns + s;
                    double a = (double)*w, b;
                    if (d ? r + 1 == rows : s + 1 == columns) continue;
                    b = (double)w[d ? columns : 1];
                    n++, a1 += a, b1 += b, aa += a * a, bb += b * b, ab += a * b;
                }
    return (ab - a1 * b1 / n) / sqrt((aa - a1 * a1 / n) * (bb - b1 * b1 / n));
}

/* An order in which similar filters are neighbours: begin with filter 0, go on to whichever of
   those left has the greatest cosine with the last. */
static void filters_order(const cnv_tensor *weight, int *order)
{
    int k, i, n = weight->n;
    size_t j, size = cnv_tensor_size(weight) / (size_t)n;
    for (k = 0; k < n; k++) order[k] = k;
    for (k = 1; k < n; k++) {
        const float *last = weight->data + (size_t)order[k - 1] * size;
        double greatest = -1e300;
        int at = k, swap;
        for (i = k; i < n; i++) {
            const float *w = weight->data + (size_t)order[i] * size;
            double dot = 0, norm = 1e-30;
            for (j = 0; j < size; j++)
                dot += (double)last[j] * (double)w[j], norm += (double)w[j] * (double)w[j];
            if (dot / sqrt(norm) > greatest) greatest = dot / sqrt(norm), at = i;
        }
        swap = order[k], order[k] = order[at], order[at] = swap;
    }
}

/* A layer's filters as tiles, FILTERS_WIDTH pixels wide at most. Filters on RGB or gray pixels: one
   tile each, stretched, similar ones together. Deeper ones: a row for each of the first filters, a
   column for each of the first channels; 0 is gray, the row's largest weight black or white. */
static int filters_sheet(const cnv_tensor *weight, cnv_tensor *sheet)
{
    int pixels = weight->c == 3 || weight->c == 1, most = pixels ? FILTERS_TILES : FILTERS_ROWS;
    int filters = weight->n < most ? weight->n : most, order[FILTERS_TILES], k, c, ok, zoom;
    int columns = pixels ? 8 : weight->c < FILTERS_COLUMNS ? weight->c : FILTERS_COLUMNS;
    int each = pixels ? 1 : columns, depth = pixels ? weight->c : 1, map = weight->h * weight->w, i;
    cnv_tensor tiles = {0}, large = {0};
    cnv_tensor first = cnv_tensor_view(weight->data, filters, weight->c, weight->h, weight->w);
    for (k = 0; k < filters; k++) order[k] = k;
    if (pixels) filters_order(&first, order);
    ok = cnv_tensor_resize(&tiles, filters * each, depth, weight->h, weight->w);
    for (k = 0; ok && k < filters; k++) {
        const float *w = weight->data + (size_t)order[k] * (size_t)(weight->c * map);
        float largest = 1e-30f;
        for (i = 0; i < weight->c * map; i++) largest = fmaxf(largest, fabsf(w[i]));
        for (c = 0; c < each; c++) {
            cnv_tensor tile = cnv_tensor_image(&tiles, k * each + c);
            for (i = 0; i < depth * map; i++)
                tile.data[i] = 0.5f + 0.5f * w[c * map + i] / largest;
        }
    }
    zoom = ((FILTERS_WIDTH - 2) / columns - 2) / weight->w;
    ok = ok && (!pixels || cnv_stretch(&tiles, 0, &tiles)) &&
         cnv_enlarge(&tiles, zoom > 1 ? zoom : 1, &large) &&
         cnv_montage(&large, columns, 2, sheet);
    cnv_tensor_free(&tiles), cnv_tensor_free(&large);
    return ok;
}

/* All convolutions of a network, one below the other, beside those of an untrained one with the
   same layers. smoothness[i][0 and 1]: of the i-th, trained and not; returns how many there are. */
static int filters_picture(const cnv_net *trained, const cnv_net *untrained, cnv_tensor *picture,
                           double smoothness[][2])
{
    static const cnv_color ink = {0.13f, 0.14f, 0.17f}, white = {1, 1, 1};
    const int margin = 36;
    const cnv_net *nets[2];
    cnv_tensor sheet = {0}, longer = {0};
    char text[200];
    int i, side, length, y = 92, layers = 0, width = 2 * FILTERS_WIDTH + 3 * margin;
    int ok = cnv_canvas(picture, y, width, white);
    nets[0] = trained, nets[1] = untrained;
    cnv_text(picture, margin, 28, 20, ink, "Filters");
    cnv_text(picture, margin, 64, 14, ink, "trained");
    cnv_text(picture, FILTERS_WIDTH + 2 * margin, 64, 14, ink, "the same layers before training");
    for (i = 0; ok && i < trained->count; i++) {
        if (trained->nodes[i].op != CNV_CONV2D) continue;
        for (side = 0; ok && side < 2; side++) {
            const cnv_tensor *w = &nets[side]->params[nets[side]->nodes[i].param[0]].value;
            smoothness[layers][side] = filters_smoothness(w);
            ok = filters_sheet(w, &sheet);
            if (ok && !side) { /* room for one more layer */
                ok = cnv_canvas(&longer, y + 40 + sheet.h + 28, width, white);
                if (ok) cnv_paste(&longer, picture, 0, 0);
                ok = ok && cnv_tensor_copy(&longer, picture);
            }
            length = snprintf(text, sizeof text, "%s: %d filters of %d x %d on %d channels",
                              trained->nodes[i].name, w->n, w->h, w->w, w->c);
            if (w->h * w->w > 1)
                snprintf(text + length, sizeof text - (size_t)length, ", smoothness %.2f",
                         smoothness[layers][side]);
            cnv_text(picture, margin + side * (FILTERS_WIDTH + margin), y + 10, 12, ink, text);
            if (ok) cnv_paste(picture, &sheet, margin + side * (FILTERS_WIDTH + margin), y + 34);
        }
        y += 40 + sheet.h + 14, layers++;
    }
    cnv_tensor_free(&sheet), cnv_tensor_free(&longer);
    return ok ? layers : 0;
}

#ifndef EXAMPLE_NO_MAIN
int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "the filters of all convolutions", NULL, "");
    cnv_net *untrained = cnv_net_new();
    cnv_tensor picture = {0};
    double (*smoothness)[2] = calloc((size_t)e.net->count, sizeof *smoothness);
    int i, layers = 0;
    example_check(&e, untrained && smoothness && e.model->build(untrained, e.classes) >= 0 &&
                      cnv_init(untrained, e.seed));
    layers = filters_picture(e.net, untrained, &picture, smoothness);
    example_check(&e, layers > 0);
    example_save(&e, &picture);
    printf("smoothness, trained and untrained:");
    for (i = 0; i < layers; i++)
        printf("%s %.2f %.2f", i ? "," : "", smoothness[i][0], smoothness[i][1]);
    printf("\nthe first layer is %s\n", smoothness[0][0] > smoothness[0][1] + 0.2
               ? "smooth" : "about as noisy as at the start: train longer, or with weight decay");
    cnv_tensor_free(&picture);
    cnv_net_free(untrained);
    free(smoothness);
    example_end(&e);
    return 0;
}
#endif
