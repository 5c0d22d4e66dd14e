/* paintings.h: pictures of a strong style, drawn from a seed: brush strokes along swirls, a mosaic,
   waves as on old woodcuts.

       cnv_tensor picture = {0};
       example_check(&e, painting("strokes", 1, 256, 256, &picture));                             */
#ifndef PAINTINGS_H
#define PAINTINGS_H

#include "example.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

enum { PAINTING_SWIRLS = 7 };

static inline cnv_color painting_mix(cnv_color a, cnv_color b, double t)
{
    float s = (float)toy_clamp(t, 0, 1);
    cnv_color c;
    c.r = a.r + s * (b.r - a.r), c.g = a.g + s * (b.g - a.g), c.b = a.b + s * (b.b - a.b);
    return c;
}

/* The t-th part of a way through `count` colours, t in [0,1] */
static inline cnv_color painting_along(const cnv_color *colors, int count, double t)
{
    double at = toy_clamp(t, 0, 0.9999) * (count - 1);
    return painting_mix(colors[(int)at], colors[(int)at + 1], at - (int)at);
}

static inline cnv_color painting_light(cnv_color c, double factor)
{
    c.r *= (float)factor, c.g *= (float)factor, c.b *= (float)factor;
    return c;
}

/* ---- Strokes: a night sky of short brush strokes that run around bright centres ---- */

/* The direction and the colour of the paint at (x,y), in heights of the picture. */
static inline cnv_color painting_night(const double (*swirl)[3], double x, double y, double *angle)
{
    static const cnv_color sky[] = {
        {1, 0.95f, 0.62f}, {0.98f, 0.79f, 0.22f}, {0.55f, 0.76f, 0.80f}, {0.23f, 0.47f, 0.75f},
        {0.10f, 0.25f, 0.56f}, {0.06f, 0.14f, 0.36f}, {0.24f, 0.48f, 0.66f}};
    double u = 1, v = 0.25 * sin(5 * x), nearest = 1e9;
    int i;
    for (i = 0; i < PAINTING_SWIRLS; i++) {
        double dx = x - swirl[i][0], dy = y - swirl[i][1], far = hypot(dx, dy) + 1e-6;
        double pull = 3 * exp(-far / (0.8 * fabs(swirl[i][2])));
        u -= (swirl[i][2] > 0 ? 1 : -1) * pull * dy / far, v += pull * dx / far *
             (swirl[i][2] > 0 ? 1 : -1);
        nearest = fmin(nearest, far / fabs(swirl[i][2]));
    }
    *angle = atan2(v, u);
    return painting_along(sky, 7, 0.5 * nearest + 0.06 * sin(40 * nearest));
}

static inline void painting_strokes(cnv_rng *rng, cnv_tensor *picture)
{
    double swirl[PAINTING_SWIRLS][3], h = picture->h, length = 26, thick = 5.5;
    int i, k, count = 7 * picture->h * picture->w / (int)(length * thick);
    for (i = 0; i < PAINTING_SWIRLS; i++) {
        swirl[i][0] = cnv_uniform(rng) * picture->w / h, swirl[i][1] = cnv_uniform(rng);
        swirl[i][2] = (cnv_uniform(rng) < 0.5 ? -1 : 1) * (0.09 + 0.13 * cnv_uniform(rng));
    }
    for (i = 0; i < count; i++) {
        double x = cnv_uniform(rng) * picture->w, y = cnv_uniform(rng) * h, angle;
        cnv_color paint = painting_night((const double(*)[3])swirl, x / h, y / h, &angle);
        paint = painting_light(paint, 0.6 + 0.8 * cnv_uniform(rng));
        for (k = 0; k < 4; k++) { /* a curved stroke */
            double to_x = x + length / 4 * cos(angle), to_y = y + length / 4 * sin(angle);
            cnv_line(picture, x, y, to_x, to_y, thick, paint);
            x = to_x, y = to_y;
            painting_night((const double(*)[3])swirl, x / h, y / h, &angle);
        }
    }
}

/* ---- Mosaic: tiles around jittered points, with dark joints ---- */

static inline void painting_mosaic(cnv_rng *rng, cnv_tensor *picture)
{
    static const cnv_color stone[] = {{0.93f, 0.30f, 0.18f}, {0.98f, 0.63f, 0.15f},
        {0.99f, 0.90f, 0.62f}, {0.13f, 0.60f, 0.60f}, {0.07f, 0.28f, 0.45f}, {0.90f, 0.28f, 0.35f}};
    const cnv_color joint = {0.10f, 0.08f, 0.10f};
    unsigned seed = cnv_random(rng);
    double size = 13;
    int x, y, i, j;
    for (y = 0; y < picture->h; y++)
        for (x = 0; x < picture->w; x++) {
            double first = 1e9, second = 1e9, pick = 0, bright = 1;
            int column = (int)(x / size), row = (int)(y / size);
            for (j = row - 2; j <= row + 2; j++)
                for (i = column - 2; i <= column + 2; i++) {
                    double a = (i + 0.2 + 0.6 * toy_lattice(seed, i, j)) * size;
                    double b = (j + 0.2 + 0.6 * toy_lattice(seed + 1, i, j)) * size;
                    double d = hypot(x - a, y - b);
                    if (d >= second) continue;
                    if (d >= first) { second = d; continue; }
                    second = first, first = d;
                    pick = toy_noise(seed + 2, a / 40, b / 40) + 0.4 * toy_lattice(seed + 3, i, j);
                    bright = 0.85 + 0.3 * toy_lattice(seed + 4, i, j);
                }
            cnv_rectangle(picture, x, y, 1, 1, painting_mix(joint,
                painting_light(painting_along(stone, 6, 1.3 * pick - 0.4), bright),
                (second - first - 1) / 1.5));
        }
}

/* ---- Waves: rows of overlapping scales, each with rings ---- */

static inline void painting_waves(cnv_rng *rng, cnv_tensor *picture)
{
    static const cnv_color ink[] = {{0.07f, 0.16f, 0.36f}, {0.95f, 0.93f, 0.84f},
        {0.16f, 0.36f, 0.60f}, {0.95f, 0.93f, 0.84f}, {0.35f, 0.60f, 0.74f},
        {0.95f, 0.93f, 0.84f}};
    unsigned seed = cnv_random(rng);
    double radius = 20;
    int x, y, row;
    for (y = 0; y < picture->h; y++)
        for (x = 0; x < picture->w; x++)
            for (row = (int)(2 * y / radius) + 3; row >= 0; row--) { /* the lower hide the upper */
                double cy = row * radius / 2, shift = row & 1 ? radius : 0, wobble, d;
                double cx = floor((x + shift) / (2 * radius)) * 2 * radius + radius - shift;
                wobble = 1.5 * toy_noise(seed, 0.1 * x, 0.1 * y);
                d = hypot(x - cx, y - cy) + wobble;
                if (d > radius) continue;
                cnv_rectangle(picture, x, y, 1, 1,
                              ink[(int)(6 * (1 - d / (radius + 0.01)))]);
                break;
            }
}

#define PAINTING_NAMES "strokes,mosaic,waves"

/* picture [1,3,h,w]. Returns 1, or 0 without memory. */
static inline int painting(const char *name, unsigned long long seed, int h, int w,
                           cnv_tensor *picture)
{
    const cnv_color ground = {0.08f, 0.18f, 0.42f};
    cnv_rng rng = cnv_rng_seed(seed);
    if (!cnv_canvas(picture, h, w, ground)) return 0;
    if (!strcmp(name, "strokes")) painting_strokes(&rng, picture);
    else if (!strcmp(name, "mosaic")) painting_mosaic(&rng, picture);
    else painting_waves(&rng, picture);
    return 1;
}

/* A painting by name, or else the middle square of a picture file */
static inline void painting_open(const example *e, const char *name, int side, cnv_tensor *picture)
{
    cnv_tensor file = {0};
    if (example_listed(PAINTING_NAMES, name))
        example_check(e, painting(name, e->seed, side, side, picture));
    else
        example_check(e, cnv_image_load(name, &file) && example_square(e, &file, side, picture));
    cnv_tensor_free(&file);
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
