/* waves.h: pictures as sums of waves, cosines of all frequencies, in colours that vary apart: what
   gradient ascent changes instead of pixels, so that one step moves whole areas and not only
   single pixels. (Olah, Mordvintsev, Schubert 2017, section "Preconditioning and Parameterization")

       picture = colours(transform back(weigh(z)))     z [n,3,h,w], of variance 1           */
#ifndef WAVES_H
#define WAVES_H

#include "example.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* Row k holds the k-th cosine (the DCT's), and the matrix is orthonormal; back: transposed. */
static inline int waves_cosines(int size, int back, cnv_tensor *basis)
{
    const double pi = 3.14159265358979;
    int i, k;
    if (!cnv_tensor_resize(basis, size, size, 1, 1)) return 0;
    for (k = 0; k < size; k++)
        for (i = 0; i < size; i++)
            basis->data[back ? i * size + k : k * size + i] =
                (float)(sqrt((k ? 2.0 : 1.0) / size) * cos(pi * (i + 0.5) * k / size));
    return 1;
}

/* Each plane x becomes (x basis^T)^T. Done for the rows and then for the columns, that is the
   cosine transform in two dimensions. */
EXAMPLE_INNER_LOOP
static inline int waves_turn_planes(const cnv_tensor *x, const cnv_tensor *basis, cnv_tensor *y)
{
    int planes = x->n * x->c, h = x->h, w = x->w, p, i, j, ok;
    cnv_tensor rows = cnv_tensor_view(x->data, planes * h, w, 1, 1), turned = {0};
    ok = cnv_linear_forward(&rows, basis, NULL, &turned, NULL) &&
         cnv_tensor_resize(y, x->n, x->c, w, h);
    for (p = 0; ok && p < planes; p++)
        for (i = 0; i < h; i++)
            for (j = 0; j < w; j++)
                y->data[(p * w + j) * h + i] = turned.data[(p * h + i) * w + j];
    cnv_tensor_free(&turned);
    return ok;
}

/* x [n,3,h,w] to its waves, or back. basis: waves_cosines of [h or w][to waves or back]. x and y
   must not be the same. */
static inline int waves_transform(cnv_tensor basis[2][2], int back, const cnv_tensor *x,
                                  cnv_tensor *y)
{
    cnv_tensor half = {0};
    int ok = waves_turn_planes(x, &basis[1][back], &half) &&
             waves_turn_planes(&half, &basis[0][back], y);
    cnv_tensor_free(&half);
    return ok;
}

/* amplitude [1,1,h,w]: 1 / frequency ^ spectrum, such that z of variance 1 gives pictures of
   variance 1 */
static inline int waves_amplitudes(int h, int w, double spectrum, cnv_tensor *amplitude)
{
    double lowest = 1.0 / (h > w ? h : w), squares = 0;
    int i, ok = cnv_tensor_resize(amplitude, 1, 1, h, w);
    for (i = 0; ok && i < h * w; i++) {
        double f = fmax(lowest, hypot(i / w / (double)h, i % w / (double)w));
        amplitude->data[i] = (float)pow(f, -spectrum);
        squares += (double)amplitude->data[i] * (double)amplitude->data[i];
    }
    for (i = 0; ok && i < h * w; i++) amplitude->data[i] /= (float)sqrt(squares / (h * w));
    return ok;
}

/* Multiplies waves by their amplitudes. */
EXAMPLE_INNER_LOOP
static inline void waves_weigh(const cnv_tensor *amplitude, cnv_tensor *z)
{
    int p, i, plane = z->h * z->w;
    for (p = 0; p < z->n * z->c; p++)
        for (i = 0; i < plane; i++) z->data[p * plane + i] *= amplitude->data[i];
}

/* Three channels that vary independently become colours that vary together, as in the Toybox: most
   in brightness, then between red and blue, least between green and both. The columns are the
   eigenvectors of the colours' covariance, times the square roots of its eigenvalues. back: the
   adjoint. */
EXAMPLE_INNER_LOOP
static inline void waves_colours(cnv_tensor *x, int back)
{
    static const float mix[3][3] = {
        {0.84f, 0.53f, 0.09f}, {0.74f, -0.13f, -0.30f}, {0.79f, -0.45f, 0.19f}};
    int i, n, c, plane = x->h * x->w;
    for (n = 0; n < x->n; n++)
        for (i = 0; i < plane; i++) {
            float *at = cnv_tensor_image(x, n).data + i, u = at[0], v = at[plane];
            float t = at[2 * plane];
            for (c = 0; c < 3; c++)
                at[c * plane] = back ? mix[0][c] * u + mix[1][c] * v + mix[2][c] * t
                                     : mix[c][0] * u + mix[c][1] * v + mix[c][2] * t;
        }
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
