/* umap.c - the graph of each picture's nearest neighbours, unfolded in the plane

   Question   Which pictures does the network find alike, and how do their neighbourhoods hang
              together?
   Formula    w(j|i) = exp(-(d_ij - d_i) / s_i) for the nearest j of i, d_i the nearest's distance,
              s_i such that their sum is log2 k; k = 15 counts i itself
              w_ij = w(j|i) + w(i|j) - w(j|i) w(i|j),   v_ij = 1 / (1 + a |y_i - y_j|^2b)
              C = -sum over i,j of w_ij log v_ij + (1 - w_ij) log(1 - v_ij), downhill: each edge
              pulls its ends together as often as w_ij says, and each time i away from 5 others
   Paper      McInnes, Healy, Melville: UMAP (2018); a = 1.577, b = .895 fit its min_dist = .1
   Look for   Islands as t-SNE's, but tighter; thin bridges of pictures between classes that the
              network mixes up, along the strong edges. Distances between islands mean little.
   Measured   trustworthiness(5) within .01 of umap-learn's, .982 on 2000 of these codes
              (tests/codes_reference.py; t-SNE's is .993). Shuffled: .5

       cc -O2 -fopenmp examples/umap.c -o build/umap -lm && build/umap --layer conv4           */
#include "codes.h"

static const float UMAP_A = 1.577f, UMAP_B = 0.895f;

/* w [n]: w(j|i), from the squared distances d2 [n,n]; s by bisection. */
static void umap_row(const cnv_tensor *d2, int i, int k, float *w)
{
    const float *d = cnv_tensor_image(d2, i).data;
    double s = 1, low = 0, high = INFINITY, sum, farther;
    int m, tries, nearest[CODES_NEAREST];
    codes_neighbours(d2, i, i, k - 1, nearest);
    for (tries = 0; tries < 64; tries++) {
        for (sum = 0, m = 0; m < k - 1; m++) {
            farther = sqrt((double)d[nearest[m]]) - sqrt((double)d[nearest[0]]);
            sum += w[nearest[m]] = (float)exp(-farther / s);
        }
        if (sum > log2(k)) high = s;
        else low = s;
        s = high == INFINITY ? 2 * s : (low + high) / 2;
    }
}

/* w [n,n]: w_ij */
static int umap_graph(const cnv_tensor *d2, int k, cnv_tensor *w)
{
    int i, j, n = d2->n;
    if (!cnv_tensor_resize(w, n, n, 1, 1)) return 0;
    cnv_tensor_fill(w, 0);
    for (i = 0; i < n; i++) umap_row(d2, i, k, cnv_tensor_image(w, i).data);
    for (i = 0; i < n; i++)
        for (j = 0; j < i; j++) {
            float *ij = &cnv_tensor_image(w, i).data[j], *ji = &cnv_tensor_image(w, j).data[i];
            *ij = *ji = *ij + *ji - *ij * *ji;
        }
    return 1;
}

typedef struct {
    int i, j;
    float w, due;
} umap_edge;

/* All edges of w, weights divided by the greatest; NULL: out of memory. */
static umap_edge *umap_edges(const cnv_tensor *w, int *count)
{
    size_t i, n = (size_t)w->n, all = 0;
    umap_edge *edges;
    double low, high;
    cnv_range(w, &low, &high);
    for (i = 0; i < n * n; i++) all += w->data[i] > 0;
    edges = (umap_edge *)malloc((all + 1) * sizeof *edges);
    for (*count = 0, i = 0; edges && i < n * n; i++) {
        umap_edge edge = {(int)(i / n), (int)(i % n), w->data[i] / (float)high, 0};
        if (edge.w > 0) edges[(*count)++] = edge;
    }
    return edges;
}

/* Moves a towards b, down -log v; or away, down -log(1 - v). At most 4 * rate a direction. */
static void umap_move(float *a, const float *b, int towards, float rate)
{
    float dx = a[0] - b[0], dy = a[1] - b[1], r2 = dx * dx + dy * dy + 1e-12f;
    float r2b = powf(r2, UMAP_B), slope = 2 * UMAP_B / (1 + UMAP_A * r2b);
    slope *= towards ? -UMAP_A * r2b / r2 : 1 / (0.001f + r2);
    a[0] += rate * fmaxf(-4, fminf(4, slope * dx));
    a[1] += rate * fmaxf(-4, fminf(4, slope * dy));
}

/* A layout y [n,2,1,1] of n pictures with the graph w [n,n,1,1], from random positions on. */
static int umap(const cnv_tensor *w, int epochs, uint64_t seed, cnv_tensor *y)
{
    cnv_rng rng = cnv_rng_seed(seed);
    double start = example_seconds();
    int i, m, count, epoch, n = w->n;
    umap_edge *edges = umap_edges(w, &count), *edge;
    if (!edges || !cnv_tensor_resize(y, n, 2, 1, 1)) return free(edges), 0;
    for (i = 0; i < 2 * n; i++) y->data[i] = (float)(20 * cnv_uniform(&rng) - 10);
    for (epoch = 0; epoch < epochs; epoch++) {
        float rate = 1 - (float)epoch / (float)epochs;
        for (edge = edges; edge < edges + count; edge++) {
            float *a = y->data + 2 * edge->i, *b = y->data + 2 * edge->j, was[2];
            if ((edge->due += edge->w) < 1) continue; /* of weight 1/3: in every third epoch */
            edge->due -= 1, was[0] = a[0], was[1] = a[1];
            umap_move(a, b, 1, rate), umap_move(b, was, 1, rate);
            for (m = 0; m < 5; m++)
                umap_move(a, y->data + 2 * (cnv_random(&rng) % (unsigned)n), 0, rate);
        }
        example_progress("UMAP    ", epoch + 1, epochs, start);
    }
    free(edges);
    return 1;
}

#ifndef EXAMPLE_NO_MAIN
/* The edges of the graph as lines, thick where the weight is great, and the pictures as dots. */
static int umap_lines(cnv_tensor *picture, const codes *c, const cnv_tensor *w, const cnv_tensor *y)
{
    static const cnv_color gray = {0.4f, 0.4f, 0.45f};
    cnv_tensor at = {0};
    int i, j, ok = codes_fit(y, &at);
    for (i = 0; ok && i < y->n; i++)
        for (j = 0; j < i; j++) {
            double x0 = CODES_RIGHT + (double)at.data[2 * i], y0 = (double)at.data[2 * i + 1];
            double x1 = CODES_RIGHT + (double)at.data[2 * j], y1 = (double)at.data[2 * j + 1];
            double weight = (double)cnv_tensor_image(w, i).data[j];
            if (weight > 0.02)
                cnv_line(picture, x0, CODES_TOP + y0, x1, CODES_TOP + y1, 0.5 * weight, gray);
        }
    cnv_tensor_free(&at);
    return ok && codes_dots(picture, CODES_RIGHT, c, y, 4);
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "UMAP", NULL, "data,images,neighbours,epochs");
    codes c = codes_of(&e, 2000);
    int k = (int)example_number(&e, "neighbours", 15, 3, CODES_LEAST);
    int epochs = (int)example_number(&e, "epochs", 500, 1, 1e6);
    cnv_tensor d2 = {0}, w = {0}, y = {0}, picture = {0};
    double start = example_seconds();
    example_check(&e, codes_distances(&c.x, &c.x, &d2) && umap_graph(&d2, k, &w) &&
                      umap(&w, epochs, e.seed, &y));
    printf("%d epochs in %.1f seconds\n", epochs, example_seconds() - start);
    example_check(&e, codes_map(&picture, &c, &y, "UMAP", "the pictures at their positions; a dot "
                                "where there is no room", "the graph of neighbours") &&
                      umap_lines(&picture, &c, &w, &y));
    example_save(&e, &picture);
    example_check(&e, codes_report(&c, &d2, "UMAP", &y));
    cnv_tensor_free(&d2), cnv_tensor_free(&w), cnv_tensor_free(&y), cnv_tensor_free(&picture);
    codes_free(&c), example_end(&e);
    return 0;
}
#endif
