/* camera.h: a picture is printed and photographed, and the way back for slopes (see physical.c).

   The ranges are those of Athalye et al. 2018 (scale, turn, light, noise); shifts and blur are small
   here, for pictures of 64 x 64.

       camera_shot t = camera_draw(&rng, 64);                  // from where, in what light
       camera_shoot(&t, &rng, &x, &seen);                      // the photograph of x
       camera_back(&t, &seen, &slope, &sum);                   // sum += the slope at x          */
#ifndef CAMERA_H
#define CAMERA_H

#include "ascent.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* What happens to a print on its way into a photograph. */
typedef struct {
    double map[4];       /* see ascent_warp: turn and scale, then shifts */
    double blur;         /* sigma, in pixels */
    double gain, offset; /* the light */
    double noise;        /* its standard deviation */
} camera_shot;

static inline double camera_between(cnv_rng *rng, double low, double high)
{
    return low + (high - low) * cnv_uniform(rng);
}

/* Scale .9-1.4 (so that more or less is cropped), turn +-22 degrees, shift +-5% of the side. */
static inline camera_shot camera_draw(cnv_rng *rng, int side)
{
    camera_shot t;
    double scale = camera_between(rng, 0.9, 1.4);
    double angle = camera_between(rng, -22, 22) * ASCENT_PI / 180;
    t.map[0] = cos(angle) / scale, t.map[1] = sin(angle) / scale;
    t.map[2] = camera_between(rng, -0.05, 0.05) * side;
    t.map[3] = camera_between(rng, -0.05, 0.05) * side;
    t.blur = camera_between(rng, 0, 0.7);
    t.gain = camera_between(rng, 0.8, 1.2), t.offset = camera_between(rng, -0.05, 0.05);
    t.noise = camera_between(rng, 0, 0.1);
    return t;
}

/* seen = clip(gain * blur(warp(x)) + offset + noise), [1,3,H,W] both. Beyond the borders of the
   print lies its mirror image. */
static inline int camera_shoot(const camera_shot *t, cnv_rng *rng, cnv_tensor *x, cnv_tensor *seen)
{
    size_t i, size = cnv_tensor_size(x);
    if (!cnv_tensor_resize(seen, 1, 3, x->h, x->w)) return 0;
    cnv_tensor_fill(seen, 0);
    ascent_warp(t->map, 0, x, seen);
    if (!cnv_blur(seen, t->blur, seen)) return 0;
    for (i = 0; i < size; i++) {
        double value = t->gain * (double)seen->data[i] + t->offset + t->noise * cnv_normal(rng);
        seen->data[i] = (float)fmin(1, fmax(0, value));
    }
    return 1;
}

/* Adds to `sum` the slope at the print, from that at its photograph, which is overwritten: no slope
   where the photograph was clipped; the blur is its own adjoint, but for the outermost pixels. */
static inline int camera_back(const camera_shot *t, const cnv_tensor *seen, cnv_tensor *slope,
                              cnv_tensor *sum)
{
    size_t i, size = cnv_tensor_size(slope);
    for (i = 0; i < size; i++)
        slope->data[i] *= seen->data[i] > 0 && seen->data[i] < 1 ? (float)t->gain : 0;
    if (!cnv_blur(slope, t->blur, slope)) return 0;
    ascent_warp(t->map, 1, sum, slope);
    return 1;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
