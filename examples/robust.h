/* robust.h: a network that small changes of a picture do not fool.

   Training shows it each batch three times: as it is, and then twice moved a step up the slope of
   the loss, to where the network errs most. So it cannot rely on anything that little noise would
   change. (Madry et al.: Towards Deep Learning Models Resistant to Adversarial Attacks, 2018, with
   a gradient that is there anyway: Shafahi et al.: Adversarial Training for Free, 2019)

       robust_push(&net->nodes[0].grad, &clean, 7, &images);       // after cnv_backward(net, 0)

   examples/data/robust.safetensors comes along, made from toynet:

       build/train --net robustnet --robust 7 --from examples/data/toynet.safetensors --seed 2 \
           --rate 0.002 --scenes 15000 --images 72000 --weights examples/data/robust.safetensors  */
#ifndef ROBUST_H
#define ROBUST_H

#include "example.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

enum { ROBUST_VIEWS = 3 }; /* of a batch: clean, half way, all the way */

/* The length of a change of `noise` 255ths in each number of a picture. */
static inline double robust_radius(double noise, const cnv_tensor *images)
{
    return noise / 255 * sqrt((double)images->c * images->h * images->w);
}

/* images += radius/2 * slope / |slope|, for each picture by itself; then those that are further
   than the radius from the clean ones come back to that distance, and all numbers into [0,1]. The
   radius is that of `noise`, as above. */
static inline void robust_push(const cnv_tensor *slope, const cnv_tensor *clean, double noise,
                               cnv_tensor *images)
{
    double radius = robust_radius(noise, images);
    int n, i, size = images->c * images->h * images->w;
    for (n = 0; n < images->n; n++) {
        const float *g = cnv_tensor_image(slope, n).data, *from = cnv_tensor_image(clean, n).data;
        float *x = cnv_tensor_image(images, n).data;
        double squares = 1e-30, away = 1e-30, step, keep;
        for (i = 0; i < size; i++) squares += (double)g[i] * (double)g[i];
        step = radius / (ROBUST_VIEWS - 1) / sqrt(squares);
        for (i = 0; i < size; i++) {
            x[i] += (float)(step * (double)g[i]);
            away += (double)(x[i] - from[i]) * (double)(x[i] - from[i]);
        }
        keep = fmin(1, radius / sqrt(away));
        for (i = 0; i < size; i++)
            x[i] = fminf(1, fmaxf(0, from[i] + (float)keep * (x[i] - from[i])));
    }
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
