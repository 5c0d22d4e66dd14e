/* camera.h: a picture is printed and photographed, and the way back for slopes (see physical.c).

   Scale, turn and light are those of Athalye et al. 2018. Their noise, of up to .1 in a picture of
   299 x 299, is scaled to 64 x 64, where a pixel is the mean of some twenty of theirs.

       camera c = {0};
       c.rng = cnv_rng_seed(1);
       a.view = camera_view, a.camera = &c;                 // in an ascent: anew in each step
       camera_photographs(&x, 50, 1, &seen);                // or only photographs [50,3,H,W]  */
#ifndef CAMERA_H
#define CAMERA_H

#include "attack.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

enum { CAMERA_MOST = 64 }; /* photographs at once */

/* What happens to a print on its way into a photograph. */
typedef struct {
    double turn[2];             /* cos and sin of the angle, over the scale */
    double shift[2], tilt[2];   /* in x and y; tilt: of the print's plane against the camera's */
    double blur;                /* sigma, in pixels */
    double gain, offset;        /* the light */
    double noise;               /* its standard deviation, ... */
    cnv_rng rng;                /* ... and where it comes from */
} camera_shot;

typedef struct {
    cnv_rng rng;                /* for the next ... */
    camera_shot shot[CAMERA_MOST];
} camera;

static inline double camera_between(cnv_rng *rng, double low, double high)
{
    return low + (high - low) * cnv_uniform(rng);
}

/* Scale .9-1.4 (so that more or less is cropped), turn +-22 degrees, shift +-5% of the side; the
   far side of the print is up to 1.2 times as far away as the near one. */
static inline camera_shot camera_draw(cnv_rng *rng, int side)
{
    camera_shot t;
    double scale = camera_between(rng, 0.9, 1.4);
    double angle = camera_between(rng, -22, 22) * ASCENT_PI / 180;
    int i;
    t.turn[0] = cos(angle) / scale, t.turn[1] = sin(angle) / scale;
    for (i = 0; i < 2; i++) {
        t.shift[i] = camera_between(rng, -0.05, 0.05) * side;
        t.tilt[i] = camera_between(rng, -0.1, 0.1) / (side / 2.0);
    }
    t.blur = camera_between(rng, 0, 0.7);
    t.gain = camera_between(rng, 0.8, 1.2), t.offset = camera_between(rng, -0.05, 0.05);
    t.noise = camera_between(rng, 0, 0.1 * 64 / 299);
    t.rng = cnv_rng_seed(cnv_random(rng));
    return t;
}

/* y(p) = x(turn * (p - middle) / (1 + tilt . (p - middle)) + shift + middle), or its adjoint; adds
   to y, or to x. Beyond the borders of the print lies its mirror image. */
static inline void camera_warp(const camera_shot *t, int back, cnv_tensor *x, cnv_tensor *y)
{
    int i, h = x->h, w = x->w;
    for (i = 0; i < h * w; i++) {
        double u = i % w - (w - 1) / 2.0, v = i / w - (h - 1) / 2.0;
        double depth = 1 + t->tilt[0] * u + t->tilt[1] * v;
        double across = (t->turn[0] * u - t->turn[1] * v) / depth + t->shift[0];
        double down = (t->turn[1] * u + t->turn[0] * v) / depth + t->shift[1];
        ascent_sample(across + (w - 1) / 2.0, down + (h - 1) / 2.0, back, x, y, i);
    }
}

/* seen = clip(gain * blur(warp(x)) + offset + noise), [1,3,H,W] both. */
static inline int camera_shoot(const camera_shot *t, cnv_tensor *x, cnv_tensor *seen)
{
    size_t i, size = cnv_tensor_size(x);
    cnv_rng rng = t->rng;
    cnv_tensor_fill(seen, 0);
    camera_warp(t, 0, x, seen);
    if (!cnv_blur(seen, t->blur, seen)) return 0;
    for (i = 0; i < size; i++) {
        double value = t->gain * (double)seen->data[i] + t->offset;
        value += t->noise * sqrt(12) * (cnv_uniform(&rng) - 0.5);
        seen->data[i] = (float)fmin(1, fmax(0, value));
    }
    return 1;
}

/* The slope at the print from that at its photograph, which is overwritten: no slope where the
   photograph was clipped; the blur is its own adjoint, but for the outermost pixels. */
static inline int camera_back(const camera_shot *t, const cnv_tensor *seen, cnv_tensor *slope,
                              cnv_tensor *x)
{
    size_t i, size = cnv_tensor_size(slope);
    for (i = 0; i < size; i++)
        slope->data[i] *= seen->data[i] > 0 && seen->data[i] < 1 ? (float)t->gain : 0;
    if (!cnv_blur(slope, t->blur, slope)) return 0;
    cnv_tensor_fill(x, 0);
    camera_warp(t, 1, x, slope);
    return 1;
}

/* A new photograph of each picture, or back, through those just taken: slopes of
   the photographs `seen` to slopes at x. */
static inline int camera_view(ascent *a, void *setting, int back, cnv_tensor *x, cnv_tensor *y)
{
    camera *c = (camera *)setting;
    int i, bad = 0;
    for (i = 0; !back && i < x->n; i++) c->shot[i] = camera_draw(&c->rng, x->w);
#ifdef _OPENMP
#pragma omp parallel for reduction(+ : bad)
#endif
    for (i = 0; i < x->n; i++) {
        cnv_tensor print = cnv_tensor_image(x, i), its = cnv_tensor_image(y, i), seen = its;
        if (back) seen = cnv_tensor_image(&a->seen, i);
        bad += back ? !camera_back(&c->shot[i], &seen, &its, &print)
                    : !camera_shoot(&c->shot[i], &print, &its);
    }
    return !bad;
}

/* n photographs of the picture x, of 8 bits: seen [n,3,H,W]. The same seed, the same shots. */
static inline int camera_photographs(const cnv_tensor *x, int n, unsigned long long seed,
                                     cnv_tensor *seen)
{
    cnv_tensor copies = {0};
    camera c;
    int ok = n <= CAMERA_MOST && attack_copies(x, n, &copies) && cnv_tensor_copy(&copies, seen);
    c.rng = cnv_rng_seed(seed);
    ok = ok && camera_view(NULL, &c, 0, &copies, seen);
    if (ok) attack_round(seen);
    cnv_tensor_free(&copies);
    return ok;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
