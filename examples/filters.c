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

#include "panel.h"

enum { FILTERS_TILES = 96, FILTERS_ROWS = 12, FILTERS_COLUMNS = 24 }; /* at most */
enum { FILTERS_WIDTH = 560, FILTERS_STEP = FILTERS_WIDTH + PANEL_GAP };
static const cnv_color filters_ink = {0.13f, 0.14f, 0.17f};

/* Lag-1 autocorrelation of filters [K,C,R,S]: how much a weight tells about its neighbours to the
   right and below. White noise: 0. Smooth: towards 1. NaN for 1 x 1 filters: no neighbours. */
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
static int filters_order(const cnv_tensor *weight, int *order)
{
    int n = weight->n, size = weight->c * weight->h * weight->w, k, i;
    cnv_tensor dot = {0}, flat = cnv_tensor_view(weight->data, n, size, 1, 1);
    if (!cnv_linear_forward(&flat, &flat, NULL, &dot, NULL)) return 0; /* all products, [n,n] */
    for (k = 0; k < n; k++) order[k] = k;
    for (k = 1; k < n; k++) {
        const float *last = dot.data + order[k - 1] * n;
        double greatest = -1e300;
        int at = k, swap;
        for (i = k; i < n; i++) {
            double square = (double)dot.data[order[i] * n + order[i]];
            double cosine = (double)last[order[i]] / sqrt(square + 1e-30);
            if (cosine > greatest) greatest = cosine, at = i;
        }
        swap = order[k], order[k] = order[at], order[at] = swap;
    }
    cnv_tensor_free(&dot);
    return 1;
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
    ok = (!pixels || filters_order(&first, order)) &&
         cnv_tensor_resize(&tiles, filters * each, depth, weight->h, weight->w);
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

/* A convolution, trained and not, side by side: a strip across the picture. */
static int filters_strip(const cnv_net *const *nets, int node, double *smoothness,
                         cnv_tensor *strip)
{
    cnv_tensor sheet = {0};
    char text[200], smooth[32];
    int i, ok = 1;
    for (i = 0; ok && i < 2; i++) {
        const cnv_tensor *w = &nets[i]->params[nets[i]->nodes[node].param[0]].value;
        smoothness[i] = filters_smoothness(w);
        if (fabs(smoothness[i]) < 0.005) smoothness[i] = 0; /* rather than -0.00 */
        snprintf(smooth, sizeof smooth, ", smoothness %.2f", smoothness[i]);
        snprintf(text, sizeof text, "%s: %d filters of %d x %d x %d%s",
                 nets[i]->nodes[node].name, w->n, w->h, w->w, w->c,
                 isnan(smoothness[i]) ? "" : smooth);
        ok = filters_sheet(w, &sheet) &&
             (i || cnv_canvas(strip, sheet.h + 54, 2 * FILTERS_STEP + PANEL_GAP, panel_white));
        cnv_text(strip, PANEL_GAP + i * FILTERS_STEP, 10, 12, filters_ink, text);
        cnv_paste(strip, &sheet, PANEL_GAP + i * FILTERS_STEP, 34);
    }
    cnv_tensor_free(&sheet);
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "the filters of all convolutions", NULL, "");
    const cnv_net *nets[2] = {e.net, example_untrained(&e)};
    cnv_tensor *strips = (cnv_tensor *)calloc((size_t)e.net->count + 1, sizeof *strips);
    cnv_tensor picture = {0};
    double smoothness[2];
    int i, n = 0;
    example_check(&e, strips && cnv_canvas(strips, 92, 2 * FILTERS_STEP + PANEL_GAP, panel_white));
    cnv_text(strips, PANEL_GAP, 28, 20, filters_ink, "Filters");
    cnv_text(strips, PANEL_GAP, 64, 14, filters_ink, "trained");
    cnv_text(strips, PANEL_GAP + FILTERS_STEP, 64, 14, filters_ink,
             "the same layers before training");
    for (i = 0; i < e.net->count; i++) {
        if (e.net->nodes[i].op != CNV_CONV2D) continue;
        example_check(&e, filters_strip(nets, i, smoothness, &strips[++n]));
        if (n <= 8 && isnan(smoothness[0]))
            printf("%s: 1 x 1 filters have no smoothness\n", e.net->nodes[i].name);
        else if (n <= 8)
            printf("%s: smoothness %.2f, untrained %.2f%s\n", e.net->nodes[i].name, smoothness[0],
                   smoothness[1], n > 1 || smoothness[0] > smoothness[1] + 0.2 ? ""
                   : "; train longer, or with weight decay");
    }
    if (!n) example_fail(&e, "the network has no convolutions");
    example_check(&e, panel_stack(strips, n + 1, &picture));
    example_save(&e, &picture);
    cnv_tensor_free(&picture), cnv_net_free((cnv_net *)nets[1]), free(strips), example_end(&e);
    return 0;
}
#endif
