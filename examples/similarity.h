/* similarity.h: how alike are two maps [1,1,h,w]?

   similarity_rank   Spearman's rank correlation: Pearson's, of the ranks of the pixels; equals have
                     the mean of their ranks. From -1 to 1; 0 if either map is the same everywhere
   similarity_ssim   Wang et al. 2004, structural similarity: mean over all places of
                     (2 m n + C1) (2 cov + C2) / ((m^2 + n^2 + C1) (var + var' + C2)),
                     m, n the local means under a Gaussian of 1.5 pixels, C1 = .01^2, C2 = .03^2.
                     Both maps are stretched to [0,1] first. Maps that are mostly empty agree where
                     both are empty: sparse maps begin higher
   similarity_psnr   of pictures of any size in [0,1]: -10 log10 of the mean squared difference,
                     in decibels; 120 for equal ones                                             */
#ifndef SIMILARITY_H
#define SIMILARITY_H

#include "example.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* rank[i] = how many pixels are less than pixel i, and half of those that are equal to it. Returns
   0 without memory. */
static inline int similarity_ranks(const cnv_tensor *map, double *rank)
{
    const float *value = map->data;
    int n = (int)cnv_tensor_size(map), i, k, end, *order;
    order = (int *)malloc(2 * (size_t)n * sizeof *order);
    if (!order) return 0;
    for (i = 0; i < n; i++) order[i] = i;
    example_sort(value, n, order, order + n);
    for (i = 0; i < n; i = end) {
        for (end = i + 1; end < n && value[order[end]] <= value[order[i]]; end++) continue;
        for (k = i; k < end; k++) rank[order[k]] = (i + end - 1) / 2.0;
    }
    free(order);
    return 1;
}

static inline double similarity_rank(const cnv_tensor *a, const cnv_tensor *b)
{
    int n = (int)cnv_tensor_size(a), i;
    double *p = (double *)malloc(2 * (size_t)n * sizeof *p), *q = p + n, mean = (n - 1) / 2.0;
    double pp = 0, qq = 0, pq = 0;
    int ok = p && similarity_ranks(a, p) && similarity_ranks(b, q);
    for (i = 0; ok && i < n; i++) {
        double u = p[i] - mean, v = q[i] - mean;
        pp += u * u, qq += v * v, pq += u * v;
    }
    free(p);
    return pp > 0 && qq > 0 ? pq / sqrt(pp * qq) : 0;
}

/* sum [1,1,h,w]: the local mean of a * b. */
static inline int similarity_mean(const cnv_tensor *a, const cnv_tensor *b, cnv_tensor *mean)
{
    size_t i, size = cnv_tensor_size(a);
    if (!cnv_tensor_copy(a, mean)) return 0;
    for (i = 0; b && i < size; i++) mean->data[i] *= b->data[i];
    return cnv_blur(mean, 1.5, mean);
}

static inline double similarity_ssim(const cnv_tensor *a, const cnv_tensor *b)
{
    cnv_tensor x = {0}, y = {0}, m = {0}, n = {0}, xx = {0}, yy = {0}, xy = {0};
    size_t i, size = cnv_tensor_size(a);
    double sum = 0;
    int ok = cnv_stretch(a, 0, &x) && cnv_stretch(b, 0, &y) && similarity_mean(&x, NULL, &m) &&
             similarity_mean(&y, NULL, &n) && similarity_mean(&x, &x, &xx) &&
             similarity_mean(&y, &y, &yy) && similarity_mean(&x, &y, &xy);
    for (i = 0; ok && i < size; i++) {
        double p = (double)m.data[i], q = (double)n.data[i];
        double variances = (double)xx.data[i] - p * p + (double)yy.data[i] - q * q;
        double covariance = (double)xy.data[i] - p * q;
        sum += (2 * p * q + 1e-4) * (2 * covariance + 9e-4) /
               ((p * p + q * q + 1e-4) * (variances + 9e-4));
    }
    cnv_tensor_free(&x), cnv_tensor_free(&y), cnv_tensor_free(&m), cnv_tensor_free(&n);
    cnv_tensor_free(&xx), cnv_tensor_free(&yy), cnv_tensor_free(&xy);
    return sum / (double)size;
}

static inline double similarity_psnr(const cnv_tensor *a, const cnv_tensor *b)
{
    size_t i, size = cnv_tensor_size(a);
    double sum = 0;
    for (i = 0; i < size; i++) sum += pow((double)a->data[i] - (double)b->data[i], 2);
    return -10 * log10(sum / (double)size + 1e-12);
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
