/* The operators of cnnvis.h once more, each straight from its formula: plain loops that accumulate
   in double, without packing, tiling, vectors or any thought of speed. The library is compared with
   this file, so this file must be simple enough to be believed; kernels.c and operators.c check it
   against numbers worked out by hand.

   Include it after cnnvis.h. N C H W: images, channels, height, width of the input; K R S: filters,
   height, width of the kernel; P Q: height and width of the output; d: the gradient of. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "guarded.h"

typedef struct {
    int n, c, h, w;
    double *data; /* [n][c][h][w] */
} ref_tensor;

static inline size_t ref_size(const ref_tensor *t)
{
    return (size_t)t->n * (size_t)t->c * (size_t)t->h * (size_t)t->w;
}

/* A tensor of zeros, in scratch memory. */
static inline ref_tensor ref_new(int n, int c, int h, int w)
{
    ref_tensor t = {n, c, h, w, NULL};
    size_t i, size = ref_size(&t);
    t.data = (double *)scratch(size * sizeof(double));
    for (i = 0; i < size; i++) t.data[i] = 0;
    return t;
}

static inline ref_tensor ref_copy(const cnv_tensor *from)
{
    ref_tensor t = ref_new(from->n, from->c, from->h, from->w);
    size_t i, size = ref_size(&t);
    for (i = 0; i < size; i++) t.data[i] = (double)from->data[i];
    return t;
}

/* |t|: a sum of products computed on absolute values is the yardstick of rounding errors. */
static inline ref_tensor ref_absolute(const ref_tensor *from)
{
    ref_tensor t = ref_new(from->n, from->c, from->h, from->w);
    size_t i, size = ref_size(&t);
    for (i = 0; i < size; i++) t.data[i] = fabs(from->data[i]);
    return t;
}

static inline double *ref_at(const ref_tensor *t, int n, int c, int y, int x)
{
    return t->data + (((ptrdiff_t)n * t->c + c) * t->h + y) * t->w + x;
}

static inline int ref_inside(const ref_tensor *t, int y, int x)
{
    return y >= 0 && y < t->h && x >= 0 && x < t->w;
}

/* ---- How the library's result is judged ---- */

/* NULL if got is want, number for number (NaN is NaN, 0 is -0); else where and how it differs. */
static inline const char *ref_difference(const cnv_tensor *got, const ref_tensor *want)
{
    static char text[160];
    size_t i, size = ref_size(want);
    if (got->n != want->n || got->c != want->c || got->h != want->h || got->w != want->w) {
        snprintf(text, sizeof text, "has shape %d,%d,%d,%d, expected %d,%d,%d,%d", got->n, got->c,
                 got->h, got->w, want->n, want->c, want->h, want->w);
        return text;
    }
    for (i = 0; i < size; i++) {
        cnv_real a = got->data[i], b = (cnv_real)want->data[i];
        size_t w = (size_t)want->w, plane = (size_t)want->h * w, image = (size_t)want->c * plane;
        if (a == b || (a != a && b != b)) continue;
        snprintf(text, sizeof text, "at %d,%d,%d,%d is %.9g, expected %.9g", (int)(i / image),
                 (int)(i % image / plane), (int)(i % plane / w), (int)(i % w), (double)a,
                 (double)b);
        return text;
    }
    return NULL;
}

/* The largest |got - want| / (eps * magnitude), eps that of float. magnitude holds what the
   rounding errors of each result are in proportion to: for a sum of products, sum |a||b|. */
static inline double ref_ratio(const cnv_tensor *got, const ref_tensor *want,
                               const ref_tensor *magnitude)
{
    double worst = 0;
    size_t i, size = ref_size(want);
    if (cnv_tensor_size(got) != size) return HUGE_VAL;
    for (i = 0; i < size; i++) {
        double error = fabs((double)got->data[i] - want->data[i]);
        double unit = (double)FLT_EPSILON * magnitude->data[i];
        double ratio = error == 0 ? 0 : error / unit;
        if (ratio != ratio) return HUGE_VAL;
        if (ratio > worst) worst = ratio;
    }
    return worst;
}

/* ---- Windows ---- */

/* (length + pads - dilation*(kernel - 1) - 1) / stride + 1, rounded down; or rounded up, but then
   no window starts in the lower pad. */
static inline int ref_outputs(int length, int pad_low, int pad_high, int kernel, int stride,
                              int dilation, int ceil_mode)
{
    double steps = (double)(length + pad_low + pad_high - dilation * (kernel - 1) - 1) / stride;
    int outputs = (int)(ceil_mode ? ceil(steps) : floor(steps)) + 1;
    while (ceil_mode && (outputs - 1) * stride >= length + pad_low) outputs--;
    return outputs;
}

static inline int ref_p(const cnv_window *win, int h)
{
    return ref_outputs(h, win->pad_top, win->pad_bottom, win->kernel_h, win->stride_h,
                       win->dilation_h, win->ceil_mode);
}

static inline int ref_q(const cnv_window *win, int w)
{
    return ref_outputs(w, win->pad_left, win->pad_right, win->kernel_w, win->stride_w,
                       win->dilation_w, win->ceil_mode);
}

/* The row of the image under tap r of window p; the column under tap s of window q. */
static inline int ref_row(const cnv_window *win, int p, int r)
{
    return p * win->stride_h - win->pad_top + r * win->dilation_h;
}

static inline int ref_column(const cnv_window *win, int q, int s)
{
    return q * win->stride_w - win->pad_left + s * win->dilation_w;
}

/* ---- Convolution: seven loops, three times ----

   A linear layer is the convolution whose kernel is as large as the image: P = Q = 1. */

/* The sum over the channels c and taps r,s of weight[k,c,r,s] * x[n,c,row,column]. */
static inline double ref_conv2d_at(const ref_tensor *x, const ref_tensor *weight,
                                   const cnv_window *win, int groups, int n, int k, int p, int q)
{
    double sum = 0;
    int c, r, s, first = k / (weight->n / groups) * weight->c; /* the group's first channel */
    for (c = 0; c < weight->c; c++)
        for (r = 0; r < weight->h; r++)
            for (s = 0; s < weight->w; s++) {
                int row = ref_row(win, p, r), column = ref_column(win, q, s);
                if (ref_inside(x, row, column))
                    sum += *ref_at(weight, k, c, r, s) * *ref_at(x, n, first + c, row, column);
            }
    return sum;
}

/* y[n,k,p,q] = bias[k] + that sum. */
static inline ref_tensor ref_conv2d_forward(const ref_tensor *x, const ref_tensor *weight,
                                            const ref_tensor *bias, const cnv_window *win,
                                            int groups)
{
    ref_tensor y = ref_new(x->n, weight->n, ref_p(win, x->h), ref_q(win, x->w));
    int n, k, p, q;
    for (n = 0; n < y.n; n++)
        for (k = 0; k < y.c; k++)
            for (p = 0; p < y.h; p++)
                for (q = 0; q < y.w; q++)
                    *ref_at(&y, n, k, p, q) = (bias ? bias->data[k] : 0) +
                        ref_conv2d_at(x, weight, win, groups, n, k, p, q);
    return y;
}

/* For one output: dx[n,c,row,column] += weight[k,c,r,s] * dy[n,k,p,q] for every c,r,s that it read,
   and dweight[k,c,r,s] += dy[n,k,p,q] * x[n,c,row,column]. Either of dx and dweight may be NULL. */
static inline void ref_conv2d_back_at(const ref_tensor *x, const ref_tensor *weight, double dy,
                                      const cnv_window *win, int groups, const int nkpq[4],
                                      const ref_tensor *dx, const ref_tensor *dweight)
{
    const ref_tensor *image = x ? x : dx, *filter = weight ? weight : dweight;
    int n = nkpq[0], k = nkpq[1], c, r, s, first = k / (filter->n / groups) * filter->c;
    for (c = 0; c < filter->c; c++)
        for (r = 0; r < filter->h; r++)
            for (s = 0; s < filter->w; s++) {
                int row = ref_row(win, nkpq[2], r), column = ref_column(win, nkpq[3], s);
                if (!ref_inside(image, row, column)) continue;
                if (dx) *ref_at(dx, n, first + c, row, column) += *ref_at(weight, k, c, r, s) * dy;
                if (dweight)
                    *ref_at(dweight, k, c, r, s) += dy * *ref_at(x, n, first + c, row, column);
            }
}

/* The loops over the outputs, for ref_conv2d_back_at. */
static inline void ref_conv2d_back(const ref_tensor *x, const ref_tensor *weight,
                                   const ref_tensor *dy, const cnv_window *win, int groups,
                                   const ref_tensor *dx, const ref_tensor *dweight)
{
    int i[4];
    for (i[0] = 0; i[0] < dy->n; i[0]++)
        for (i[1] = 0; i[1] < dy->c; i[1]++)
            for (i[2] = 0; i[2] < dy->h; i[2]++)
                for (i[3] = 0; i[3] < dy->w; i[3]++)
                    ref_conv2d_back_at(x, weight, *ref_at(dy, i[0], i[1], i[2], i[3]), win, groups,
                                       i, dx, dweight);
}

static inline ref_tensor ref_conv2d_backward_data(const ref_tensor *dy, const ref_tensor *weight,
                                                  const cnv_window *win, int groups, int h, int w)
{
    ref_tensor dx = ref_new(dy->n, weight->c * groups, h, w);
    ref_conv2d_back(NULL, weight, dy, win, groups, &dx, NULL);
    return dx;
}

/* Adds to dweight, and to dbias[k] the sum of dy[n,k,p,q] over n,p,q. */
static inline void ref_conv2d_backward_weights(const ref_tensor *x, const ref_tensor *dy,
                                               const cnv_window *win, int groups,
                                               const ref_tensor *dweight, const ref_tensor *dbias)
{
    size_t i, size = ref_size(dy), plane = (size_t)dy->h * (size_t)dy->w;
    ref_conv2d_back(x, NULL, dy, win, groups, NULL, dweight);
    for (i = 0; i < size; i++) dbias->data[i / plane % (size_t)dy->c] += dy->data[i];
}

/* cols[n, (c*R + r)*S + s, p, q] = x[n,c,row,column], 0 in the padding. With `back` the other way:
   x[n,c,row,column] += cols[...]. */
static inline void ref_im2col(const ref_tensor *x, const cnv_window *win, const ref_tensor *cols,
                              int back)
{
    int n, i, p, q, taps = win->kernel_h * win->kernel_w;
    for (n = 0; n < cols->n; n++)
        for (i = 0; i < cols->c; i++)
            for (p = 0; p < cols->h; p++)
                for (q = 0; q < cols->w; q++) {
                    int row = ref_row(win, p, i % taps / win->kernel_w);
                    int column = ref_column(win, q, i % win->kernel_w);
                    double *col = ref_at(cols, n, i, p, q), *pixel;
                    if (!ref_inside(x, row, column)) continue;
                    pixel = ref_at(x, n, i / taps, row, column);
                    if (back) *pixel += *col;
                    else *col = *pixel;
                }
}

/* ---- ReLU ---- */

/* y = x where x > 0, else 0; NaN stays NaN. */
static inline double ref_relu(double x) { return x != x || x > 0 ? x : 0; }

static inline double ref_relu_backward(cnv_relu_rule rule, double x, double dy)
{
    if (rule == CNV_GRADIENT) return x > 0 ? dy : 0;
    if (rule == CNV_DECONVNET) return dy > 0 ? dy : 0;
    return x > 0 && dy > 0 ? dy : 0; /* CNV_GUIDED */
}

/* ---- Pooling ---- */

/* The tap r*S + s that holds the largest x under window p,q: the first of equals, and the first NaN
   before everything; -1 if the whole window is padding. */
static inline int ref_max_tap(const ref_tensor *x, const cnv_window *win, int n, int c, int p,
                              int q)
{
    int r, s, winner = -1;
    double best = 0;
    for (r = 0; r < win->kernel_h; r++)
        for (s = 0; s < win->kernel_w; s++) {
            int row = ref_row(win, p, r), column = ref_column(win, q, s);
            double value;
            if (!ref_inside(x, row, column)) continue;
            value = *ref_at(x, n, c, row, column);
            if (winner < 0 || value > best || (value != value && best == best)) {
                best = value;
                winner = r * win->kernel_w + s;
            }
        }
    return winner;
}

/* y = the value at the winning tap, 0 for none. */
static inline void ref_max_pool_forward(const ref_tensor *x, const cnv_window *win, ref_tensor *y,
                                        ref_tensor *switches)
{
    int n, c, p, q;
    *y = ref_new(x->n, x->c, ref_p(win, x->h), ref_q(win, x->w));
    *switches = ref_new(y->n, y->c, y->h, y->w);
    for (n = 0; n < y->n; n++)
        for (c = 0; c < y->c; c++)
            for (p = 0; p < y->h; p++)
                for (q = 0; q < y->w; q++) {
                    int tap = ref_max_tap(x, win, n, c, p, q);
                    int row = ref_row(win, p, tap / win->kernel_w);
                    int column = ref_column(win, q, tap % win->kernel_w);
                    *ref_at(switches, n, c, p, q) = tap < 0 ? -1 : row * x->w + column;
                    *ref_at(y, n, c, p, q) = tap < 0 ? 0 : *ref_at(x, n, c, row, column);
                }
}

/* dx[where the switch points] += dy. */
static inline ref_tensor ref_max_pool_backward(const ref_tensor *dy, const ref_tensor *switches,
                                               int h, int w)
{
    ref_tensor dx = ref_new(dy->n, dy->c, h, w);
    int n, c, p, q;
    for (n = 0; n < dy->n; n++)
        for (c = 0; c < dy->c; c++)
            for (p = 0; p < dy->h; p++)
                for (q = 0; q < dy->w; q++) {
                    int place = (int)*ref_at(switches, n, c, p, q);
                    if (place >= 0)
                        *ref_at(&dx, n, c, place / w, place % w) += *ref_at(dy, n, c, p, q);
                }
    return dx;
}

/* What window p,q divides by: its taps on the image and, if the padding counts, those in it; never
   taps beyond the padding, which ceil_mode can add. */
static inline int ref_area(const ref_tensor *x, const cnv_window *win, int count_padding, int p,
                           int q)
{
    int r, s, area = 0;
    for (r = 0; r < win->kernel_h; r++)
        for (s = 0; s < win->kernel_w; s++) {
            int row = ref_row(win, p, r), column = ref_column(win, q, s);
            int padded = row < x->h + win->pad_bottom && column < x->w + win->pad_right;
            area += ref_inside(x, row, column) || (count_padding && padded);
        }
    return area;
}

/* y = sum of x over the window / its area; with `back`, x[row,column] += y / area instead. An area
   of 0 gives and passes 0. */
static inline void ref_avg_pool(const ref_tensor *x, const cnv_window *win, int count_padding,
                                const ref_tensor *y, int back)
{
    int n, c, p, q, tap, taps = win->kernel_h * win->kernel_w;
    for (n = 0; n < y->n; n++)
        for (c = 0; c < y->c; c++)
            for (p = 0; p < y->h; p++)
                for (q = 0; q < y->w; q++) {
                    double *mean = ref_at(y, n, c, p, q), sum = 0;
                    int area = ref_area(x, win, count_padding, p, q);
                    for (tap = 0; tap < taps; tap++) {
                        int row = ref_row(win, p, tap / win->kernel_w);
                        int column = ref_column(win, q, tap % win->kernel_w);
                        if (!ref_inside(x, row, column)) continue;
                        if (back) *ref_at(x, n, c, row, column) += *mean / area;
                        else sum += *ref_at(x, n, c, row, column);
                    }
                    if (!back) *mean = area ? sum / area : 0;
                }
}

/* y[n,c,p,q] = the mean of rows floor(p*H/P) ... ceil((p+1)*H/P) - 1, and columns alike. */
static inline void ref_adaptive_avg_pool(const ref_tensor *x, const ref_tensor *y, int back)
{
    int n, c, p, q, row, column;
    for (n = 0; n < y->n; n++)
        for (c = 0; c < y->c; c++)
            for (p = 0; p < y->h; p++)
                for (q = 0; q < y->w; q++) {
                    int top = p * x->h / y->h, bottom = ((p + 1) * x->h + y->h - 1) / y->h;
                    int left = q * x->w / y->w, right = ((q + 1) * x->w + y->w - 1) / y->w;
                    double *mean = ref_at(y, n, c, p, q), area = (bottom - top) * (right - left);
                    for (row = top; row < bottom; row++)
                        for (column = left; column < right; column++)
                            if (back) *ref_at(x, n, c, row, column) += *mean / area;
                            else *mean += *ref_at(x, n, c, row, column) / area;
                }
}

/* ---- Normalization ---- */

/* Mean and biased variance of channel c over all images and pixels. */
static inline void ref_moments(const ref_tensor *x, int c, double *mean, double *variance)
{
    size_t i, size = ref_size(x), plane = (size_t)x->h * (size_t)x->w;
    double count = (double)size / x->c;
    *mean = *variance = 0;
    for (i = 0; i < size; i++)
        if (i / plane % (size_t)x->c == (size_t)c) *mean += x->data[i] / count;
    for (i = 0; i < size; i++)
        if (i / plane % (size_t)x->c == (size_t)c)
            *variance += (x->data[i] - *mean) * (x->data[i] - *mean) / count;
}

/* y = gamma[c] * (x - mean[c]) / sqrt(var[c] + eps) + beta[c]. */
static inline ref_tensor ref_batch_norm(const ref_tensor *x, const double *gamma,
                                        const double *beta, const double *mean, const double *var,
                                        double eps)
{
    ref_tensor y = ref_new(x->n, x->c, x->h, x->w);
    size_t i, size = ref_size(x), plane = (size_t)x->h * (size_t)x->w;
    for (i = 0; i < size; i++) {
        size_t c = i / plane % (size_t)x->c;
        y.data[i] = gamma[c] * (x->data[i] - mean[c]) / sqrt(var[c] + eps) + beta[c];
    }
    return y;
}

/* With mean and variance of the batch itself, z = (x - mean) / sqrt(var + eps):
     dbeta = sum dy,  dgamma = sum dy*z,  dx = gamma/sqrt(var + eps) * (dy - dbeta/m - z*dgamma/m),
   sums over the m = N*H*W numbers of the channel. dgamma and dbeta are added to. */
static inline ref_tensor ref_batch_norm_train_backward(const ref_tensor *x, const double *gamma,
                                                       double eps, const ref_tensor *dy,
                                                       double *dgamma, double *dbeta)
{
    ref_tensor dx = ref_new(x->n, x->c, x->h, x->w);
    size_t i, size = ref_size(x), plane = (size_t)x->h * (size_t)x->w;
    double m = (double)size / x->c;
    int c;
    for (c = 0; c < x->c; c++) {
        double mean, var, sum = 0, sum_z = 0;
        ref_moments(x, c, &mean, &var);
        for (i = 0; i < size; i++)
            if (i / plane % (size_t)x->c == (size_t)c) {
                sum += dy->data[i];
                sum_z += dy->data[i] * (x->data[i] - mean) / sqrt(var + eps);
            }
        for (i = 0; i < size; i++)
            if (i / plane % (size_t)x->c == (size_t)c)
                dx.data[i] = gamma[c] / sqrt(var + eps) *
                    (dy->data[i] - sum / m - (x->data[i] - mean) / sqrt(var + eps) * sum_z / m);
        dgamma[c] += sum_z;
        dbeta[c] += sum;
    }
    return dx;
}

/* scale[c] = k + alpha/size * sum of x[j]^2 over j = c - size/2 ... c - size/2 + size - 1. */
static inline ref_tensor ref_response_scale(const ref_tensor *x, int size, double alpha, double k)
{
    ref_tensor scale = ref_new(x->n, x->c, x->h, x->w);
    int n, c, j, row, column;
    for (n = 0; n < x->n; n++)
        for (c = 0; c < x->c; c++)
            for (row = 0; row < x->h; row++)
                for (column = 0; column < x->w; column++) {
                    double sum = 0;
                    for (j = c - size / 2; j < c - size / 2 + size; j++)
                        if (j >= 0 && j < x->c)
                            sum += *ref_at(x, n, j, row, column) * *ref_at(x, n, j, row, column);
                    *ref_at(&scale, n, c, row, column) = k + alpha / size * sum;
                }
    return scale;
}

/* dx[j] = dy[j] * scale[j]^-beta
           - 2*alpha*beta/size * x[j] * sum over c near j of dy[c] * x[c] * scale[c]^(-beta-1). */
static inline ref_tensor ref_response_backward(const ref_tensor *x, const ref_tensor *scale,
                                               int size, double alpha, double beta,
                                               const ref_tensor *dy)
{
    ref_tensor dx = ref_new(x->n, x->c, x->h, x->w);
    ptrdiff_t plane = (ptrdiff_t)x->h * x->w, i, end = (ptrdiff_t)ref_size(x);
    for (i = 0; i < end; i++) {
        int c = (int)(i / plane % x->c), j;
        for (j = c - size / 2; j < c - size / 2 + size; j++) {
            ptrdiff_t at = i + (j - c) * plane;
            if (j < 0 || j >= x->c) continue;
            dx.data[at] -= 2 * alpha * beta / size * x->data[at] * dy->data[i] * x->data[i] *
                pow(scale->data[i], -beta - 1);
        }
        dx.data[i] += dy->data[i] * pow(scale->data[i], -beta);
    }
    return dx;
}

/* y[c] = exp(x[c]) / sum over j of exp(x[j]) at each position. */
static inline ref_tensor ref_softmax(const ref_tensor *x)
{
    ref_tensor y = ref_new(x->n, x->c, x->h, x->w);
    int n, c, row, column;
    for (n = 0; n < x->n; n++)
        for (row = 0; row < x->h; row++)
            for (column = 0; column < x->w; column++) {
                double sum = 0, most = -HUGE_VAL;
                for (c = 0; c < x->c; c++) most = fmax(most, *ref_at(x, n, c, row, column));
                for (c = 0; c < x->c; c++) sum += exp(*ref_at(x, n, c, row, column) - most);
                for (c = 0; c < x->c; c++) {
                    double *share = ref_at(&y, n, c, row, column);
                    *share = exp(*ref_at(x, n, c, row, column) - most) / sum;
                }
            }
    return y;
}

/* ---- Moving numbers about ---- */

/* Pixel i of a line of `length` mirrored at both ends: -1 is 1, length is length - 2. */
static inline int ref_mirror(int i, int length)
{
    if (i < 0) return -i;
    return i < length ? i : 2 * (length - 1) - i;
}

/* y is x mirrored by `pad` at each border; with `back`, x[source] += y. */
static inline void ref_reflect_pad(const ref_tensor *x, int pad, const ref_tensor *y, int back)
{
    int n, c, p, q;
    for (n = 0; n < y->n; n++)
        for (c = 0; c < y->c; c++)
            for (p = 0; p < y->h; p++)
                for (q = 0; q < y->w; q++) {
                    double *source = ref_at(x, n, c, ref_mirror(p - pad, x->h),
                                            ref_mirror(q - pad, x->w));
                    if (back) *source += *ref_at(y, n, c, p, q);
                    else *ref_at(y, n, c, p, q) = *source;
                }
}

/* y[p,q] = x[p/factor, q/factor]; with `back`, x[p/factor, q/factor] += y[p,q]. */
static inline void ref_upsample(const ref_tensor *x, int factor, const ref_tensor *y, int back)
{
    int n, c, p, q;
    for (n = 0; n < y->n; n++)
        for (c = 0; c < y->c; c++)
            for (p = 0; p < y->h; p++)
                for (q = 0; q < y->w; q++) {
                    double *source = ref_at(x, n, c, p / factor, q / factor);
                    if (back) *source += *ref_at(y, n, c, p, q);
                    else *ref_at(y, n, c, p, q) = *source;
                }
}

#endif
