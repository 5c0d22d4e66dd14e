/* nmf.h: non-negative matrix factorization: numbers that are not negative, as a sum of a few parts
   that are not, either. (Lee & Seung 1999; Lee & Seung 2001, theorem 1)

     V ~ A B      V [C,P], A [C,G], B [G,P], everything >= 0; |V - A B|^2 shall be small
     B := B * (A'V) / (A'A B)      A := A * (V B') / (A B B')      number by number

   Each of the two steps leaves the error as it is, or less. For a layer, V holds the feature maps:
   a column of A is a group of channels that fire together, a row of B is where they do.

       nmf n = {0};
       example_check(&e, nmf_start(&n, &node->out, 6, seed));
       for (i = 0; i < 100; i++) nmf_step(&n);
       ... n.maps [1,6,h,w], n.groups [6,C,1,1], nmf_error(&n) ...
       nmf_end(&n);                                                                               */
#ifndef NMF_H
#define NMF_H

#include "../cnnvis.h"

#include <math.h>

typedef struct {
    cnv_tensor values;                  /* [1,C,h,w]: V, a copy; negative numbers became 0 */
    cnv_tensor groups;                  /* [G,C,1,1]: A, transposed */
    cnv_tensor maps;                    /* [1,G,h,w]: B */
} nmf;

static inline void nmf_end(nmf *n)
{
    cnv_tensor_free(&n->values), cnv_tensor_free(&n->groups), cnv_tensor_free(&n->maps);
}

/* From random factors. Returns 1, or 0 with cnv_error(). */
static inline int nmf_start(nmf *n, const cnv_tensor *values, int groups, uint64_t seed)
{
    cnv_rng rng = cnv_rng_seed(seed);
    cnv_tensor *factor[2];
    double mean = 0;
    size_t i, k, size;
    factor[0] = &n->groups, factor[1] = &n->maps;
    if (!cnv_relu_forward(values, &n->values) ||
        !cnv_tensor_resize(&n->groups, groups, values->c, 1, 1) ||
        !cnv_tensor_resize(&n->maps, 1, groups, values->h, values->w))
        return 0;
    size = cnv_tensor_size(&n->values);
    for (i = 0; i < size; i++) mean += (double)n->values.data[i] / (double)size;
    for (k = 0; k < 2; k++) /* so that A B has about the mean of V */
        for (i = 0; i < cnv_tensor_size(factor[k]); i++)
            factor[k]->data[i] = (float)(2 * sqrt(mean / groups) * (cnv_uniform(&rng) + 1e-3));
    return 1;
}

/* x becomes x * above / below, number by number. */
static inline void nmf_scale(const cnv_tensor *above, const cnv_tensor *below, cnv_tensor *x)
{
    size_t i, size = cnv_tensor_size(x);
    for (i = 0; i < size; i++) x->data[i] *= above->data[i] / (below->data[i] + 1e-12f);
}

/* One update of the maps B [G,P], then one of the groups A' [G,C], for V [C,P]:
   B becomes B * (A' V) / (A' A B), and A' becomes A' * (B V') / (B B' A'). Products with a matrix
   on the right are convolutions by 1 x 1, those with its transpose fully connected layers. Returns
   1, or 0 with cnv_error(). */
static inline int nmf_step(nmf *n)
{
    const cnv_window one = cnv_square(1, 1, 0);
    int g = n->maps.c, c = n->values.c, p = n->values.h * n->values.w;
    cnv_tensor values = cnv_tensor_view(n->values.data, c, p, 1, 1), above = {0}, below = {0};
    cnv_tensor maps = cnv_tensor_view(n->maps.data, g, p, 1, 1), square = {0};
    cnv_tensor groups = cnv_tensor_view(n->groups.data, 1, g, c, 1);
    int ok = cnv_conv2d_forward(&n->values, &n->groups, NULL, &one, 1, &above, NULL) &&
             cnv_linear_forward(&n->groups, &n->groups, NULL, &square, NULL) &&
             cnv_conv2d_forward(&n->maps, &square, NULL, &one, 1, &below, NULL);
    if (ok) nmf_scale(&above, &below, &n->maps);
    ok = ok && cnv_linear_forward(&maps, &values, NULL, &above, NULL) &&
         cnv_linear_forward(&maps, &maps, NULL, &square, NULL) &&
         cnv_conv2d_forward(&groups, &square, NULL, &one, 1, &below, NULL);
    if (ok) nmf_scale(&above, &below, &n->groups);
    cnv_tensor_free(&above), cnv_tensor_free(&below), cnv_tensor_free(&square);
    return ok;
}

/* |V - A B|^2 / |V|^2 */
static inline double nmf_error(const nmf *n)
{
    int c, p, g, plane = n->values.h * n->values.w, channels = n->values.c;
    double error = 0, all = 1e-30;
    for (c = 0; c < channels; c++)
        for (p = 0; p < plane; p++) {
            double v = (double)n->values.data[c * plane + p], rest = v;
            for (g = 0; g < n->maps.c; g++)
                rest -= (double)n->groups.data[g * channels + c] *
                        (double)n->maps.data[g * plane + p];
            error += rest * rest, all += v * v;
        }
    return error / all;
}

/* Every group becomes a direction of length 1, and its map takes the length over. */
static inline void nmf_normalize(nmf *n)
{
    int g, i, c = n->groups.c, plane = n->maps.h * n->maps.w;
    for (g = 0; g < n->maps.c; g++) {
        double squares = 0;
        for (i = 0; i < c; i++)
            squares += (double)n->groups.data[g * c + i] * (double)n->groups.data[g * c + i];
        if (squares <= 0) continue;
        for (i = 0; i < c; i++) n->groups.data[g * c + i] /= (float)sqrt(squares);
        for (i = 0; i < plane; i++) n->maps.data[g * plane + i] *= (float)sqrt(squares);
    }
}

#endif
