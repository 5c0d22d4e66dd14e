/* nearest.c - which pictures does the network find most alike?

   Question   For a picture, which others have nearly the same code, and which nearly the same
              pixels?
   Formula    d(a,b) = |x_a - x_b|, x the numbers in the last hidden layer, or the pixels;
              the k = 5 nearest are those with the least d
   Paper      Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep CNNs (2012), section
              6.1 and figure 4, right
   Look for   Neighbours in the codes show the same thing in other colours and other places, with
              no pixel in common; neighbours in the pixels stand before the same background.
   Measured   precision at 5 (share of the nearest that are of the query's class) >= .9 in the codes
              of all 2000 pictures, beside the pixels', an untrained network's, and chance

       cc -O2 -fopenmp examples/nearest.c -o build/nearest -lm && build/nearest --class fish     */
#include "codes.h"

/* index, distance [k]: which of the points x [n,C,1,1] are nearest to a query [1,C,1,1], nearest
   first. Point `but` is left out: the query itself, if it is one of them; else -1. */
static int nearest(const cnv_tensor *x, const cnv_tensor *query, int but, int k, int *index,
                   double *distance)
{
    cnv_tensor d2 = {0};
    int m, ok = k < x->n && codes_distances(query, x, &d2);
    if (ok) codes_neighbours(&d2, 0, but, k, index);
    for (m = 0; ok && m < k; m++) distance[m] = sqrt((double)d2.data[index[m]]);
    cnv_tensor_free(&d2);
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
enum { ROWS = 6, NEAREST = 5, TILE = 132, STEP = TILE + 14, TOP = 126, PITCH = TILE + 42,
       CODES_LEFT = PANEL_MARGIN + TILE + 60, PIXELS_LEFT = CODES_LEFT + NEAREST * STEP + 46,
       WIDTH = PIXELS_LEFT + NEAREST * STEP - 14 + PANEL_MARGIN };

/* The pictures to start from: --image, and one of each of several classes (of --class alone). */
static void nearest_queries(const codes *c, uint64_t seed, int *query)
{
    cnv_rng rng = cnv_rng_seed(seed);
    int row, tries, i, k, classes = c->own < 0 ? c->d.classes : c->own;
    for (row = 0; row < ROWS; row++) {
        int label = (int)((seed + (uint64_t)(row * classes / ROWS)) % (uint64_t)classes);
        if (c->shown >= 0) label = c->shown;
        i = row == 0 && c->own >= 0 ? 0 : (int)(cnv_random(&rng) % (unsigned)c->d.n);
        for (tries = 0; (row || c->own < 0) && tries < c->d.n; tries++, i = (i + 1) % c->d.n) {
            for (k = 0; k < row && query[k] != i; k++) continue;
            if (k == row && c->d.labels[i] == label) break;
        }
        query[row] = i;
    }
}

/* The neighbours of picture `query` among the points, from x on. */
static int nearest_row(cnv_tensor *picture, const codes *c, const cnv_tensor *points, int query,
                       int x, int y)
{
    static const cnv_color same = {0, 0.62f, 0.45f}, other = {0.84f, 0.37f, 0};
    cnv_tensor from = cnv_tensor_image(points, query);
    const int *labels = c->d.labels;
    double distance[NEAREST];
    char text[96];
    int index[NEAREST], m, ok = nearest(points, &from, query, NEAREST, index, distance);
    for (m = 0; ok && m < NEAREST; m++, x += STEP) {
        cnv_color frame = labels[index[m]] == labels[query] ? same : other;
        if (c->own >= 0 && (labels[query] == c->own || labels[index[m]] == c->own))
            frame = panel_gray; /* nobody has said what it is */
        snprintf(text, sizeof text, "%.1f  %s", distance[m], c->d.names[labels[index[m]]]);
        ok = codes_tile(picture, &c->d, index[m], x, y, TILE, 4, frame);
        panel_within(picture, TILE + 4, x, y + TILE + 9, 12, panel_gray, text);
    }
    return ok;
}

static int nearest_picture(const codes *c, const cnv_tensor *pixels, uint64_t seed,
                           cnv_tensor *picture)
{
    int query[ROWS], row, y = TOP, ok;
    char text[256];
    ok = cnv_canvas(picture, TOP + ROWS * PITCH + 14, WIDTH, panel_white);
    if (!ok) return 0;
    snprintf(text, sizeof text, "The nearest of %d pictures, and how far they are", c->d.n);
    cnv_text(picture, PANEL_MARGIN, 38, 22, panel_black, text);
    cnv_text(picture, PANEL_MARGIN, TOP - 32, 15, panel_black, "picture");
    snprintf(text, sizeof text, "nearest in the codes: %s", c->layer);
    cnv_text(picture, CODES_LEFT, TOP - 32, 15, panel_black, text);
    cnv_text(picture, PIXELS_LEFT, TOP - 32, 15, panel_black, "nearest in the pixels");
    nearest_queries(c, seed, query);
    for (row = 0; ok && row < ROWS; row++, y += PITCH) {
        ok = codes_tile(picture, &c->d, query[row], PANEL_MARGIN, y, TILE, 4, panel_black) &&
             nearest_row(picture, c, &c->x, query[row], CODES_LEFT, y) &&
             nearest_row(picture, c, pixels, query[row], PIXELS_LEFT, y);
        panel_within(picture, TILE + 4, PANEL_MARGIN, y + TILE + 9, 12, panel_black,
                     c->d.names[c->d.labels[query[row]]]);
    }
    return ok;
}

/* Precision at 5, every picture being the query once. */
static double nearest_precision(const codes *c, const cnv_tensor *points)
{
    cnv_tensor d2 = {0};
    double precision = NAN;
    if (codes_distances(points, points, &d2)) precision = codes_precision(&d2, c->d.labels, 5);
    cnv_tensor_free(&d2);
    return precision;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "nearest neighbours in the codes and in the pixels", NULL,
                              "data,images");
    codes c = codes_of(&e, 2000);
    cnv_tensor pixels = {0}, picture = {0};
    example_check(&e, codes_pixels(&c.d, &pixels) &&
                      nearest_picture(&c, &pixels, e.seed, &picture));
    example_save(&e, &picture);
    printf("Precision at 5, each of the %d pictures being the query once\n", c.d.n);
    printf("  %.3f in the codes: %s\n", nearest_precision(&c, &c.x), c.layer);
    printf("  %.3f in the pixels\n", nearest_precision(&c, &pixels));
    example_check(&e, example_draw(&e, e.net, e.seed));
    codes_read(&e, &c);
    printf("  %.3f in the codes of the network before training\n", nearest_precision(&c, &c.x));
    printf("  %.3f by chance\n", codes_chance(&c.d));
    cnv_tensor_free(&pixels), cnv_tensor_free(&picture), codes_free(&c), example_end(&e);
    return 0;
}
#endif
