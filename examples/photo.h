/* photo.h: a photo of any size as the square that a network was trained on.

       photo_square(&picture, model, 224, &image)                                              */
#ifndef PHOTO_H
#define PHOTO_H

#include "models.h"

#include <math.h>

/* How much a number weighs that lies x steps away: under a triangle; or by the cubic of Keys (1981)
   with a = -1/2, which goes below 0 between 1 and 2. */
static inline double photo_weight(double x, int cubic)
{
    if (!cubic) return fmax(0, 1 - x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((2.5 - 0.5 * x) * x - 4) * x + 2 : 0;
}

/* One line of `in` numbers in [0,1] as `out` numbers. A step is one of the output, and at least one
   of the input. So PIL does it, and torchvision with antialias on. */
static inline void photo_line(const float *x, int in, float *y, int out, int stride, int cubic)
{
    double ratio = (double)in / out, step = fmax(1, ratio), reach = cubic ? 2 * step : step;
    int i, k;
    for (i = 0; i < out; i++) {
        double middle = (i + 0.5) * ratio, sum = 0, weights = 0;
        int from = (int)fmax(0, middle - reach + 0.5);
        int to = (int)fmin(in, middle + reach + 0.5);
        for (k = from; k < to; k++) {
            double weight = photo_weight(fabs(k + 0.5 - middle) / step, cubic);
            sum += weight * (double)x[k * stride], weights += weight;
        }
        y[i * stride] = (float)fmin(1, fmax(0, sum / weights)); /* cubics overshoot */
    }
}

/* resized [1,C,h,w] from picture [1,C,H,W] */
static inline int photo_resize(const cnv_tensor *picture, int h, int w, int cubic,
                               cnv_tensor *resized)
{
    cnv_tensor rows = {0}; /* as high as the picture, as wide as the result; then the other way */
    int c, i, j, high = picture->h, wide = picture->w;
    int ok = cnv_tensor_resize(&rows, 1, picture->c, high, w) &&
             cnv_tensor_resize(resized, 1, picture->c, h, w);
    for (c = 0; ok && c < picture->c; c++)
        for (i = 0; i < high; i++)
            photo_line(picture->data + (c * high + i) * wide, wide, rows.data + (c * high + i) * w,
                       w, 1, cubic);
    for (c = 0; ok && c < picture->c; c++)
        for (j = 0; j < w; j++)
            photo_line(rows.data + c * high * w + j, high, resized->data + c * h * w + j, h, w,
                       cubic);
    cnv_tensor_free(&rows);
    return ok;
}

/* side x side of picture [1,1 or 3,H,W], from row `top` and column `left` on, as three channels. */
static inline int photo_crop(const cnv_tensor *picture, int top, int left, int side,
                             cnv_tensor *square)
{
    int c, y, one = picture->c != 3;
    if (!cnv_tensor_resize(square, 1, 3, side, side)) return 0;
    for (c = 0; c < 3; c++)
        for (y = 0; y < side; y++)
            memcpy(square->data + (c * side + y) * side,
                   picture->data + ((one ? 0 : c * picture->h) + top + y) * picture->w + left,
                   (size_t)side * sizeof(float));
    return 1;
}

/* Half of what is left over, rounded as Python does: 2.5 to 2, 3.5 to 4. */
static inline int photo_half(int rest) { return rest / 2 + rest % 2 * (rest / 2 % 2); }

/* As the network wants its photos: brought to a shorter side, and of that the middle; or squeezed.
   side: of the result, the model's or another. */
static inline int photo_square(const cnv_tensor *picture, const model *m, int side,
                               cnv_tensor *square)
{
    int less = picture->h < picture->w ? picture->h : picture->w, ok;
    int most = picture->h < picture->w ? picture->w : picture->h;
    int shorter = m->resize ? m->resize * side / m->side : side;
    int longer = m->resize ? (int)((double)shorter * most / less) : side;
    cnv_tensor resized = {0};
    ok = photo_resize(picture, picture->h > picture->w ? longer : shorter,
                      picture->h > picture->w ? shorter : longer, m->cubic, &resized) &&
         photo_crop(&resized, photo_half(resized.h - side), photo_half(resized.w - side), side,
                    square);
    cnv_tensor_free(&resized);
    return ok;
}

#endif
