/* ascent.h: pictures by gradient ascent, from choices that combine freely, as in Lucid (Olah,
   Mordvintsev, Schubert: Feature Visualization, 2017):

     objective      what there shall be more of: seeds at one node or several (objectives.h)
     picture        pixels, or waves: cosines of all frequencies, in colours that vary apart
                    (waves.h)
     transforms     a random shift, scale and turn before each step, so that no single pixel counts;
                    or any other way to look at the picture
     regularizers   decay, total variation; now and then a blur, or small pixels set to grey; a
                    picture that all others stay near to
     optimizer      plain steps of g / mean |g|, momentum, its signs, Adam, or L-BFGS

       ascent a = ascent_of(&e, e.logits, ascent_units, units);
       a.waves = 1, a.jitter = 4, a.method = ASCENT_ADAM, a.rate = 0.05;
       example_check(&e, ascent_start(&a, 12, 64, 64, 0.1));
       for (i = 0; i < 256; i++) example_check(&e, ascent_step(&a));
       ... a.image [12,3,64,64], a.value ...
       ascent_end(&a);                                                                            */
#ifndef ASCENT_H
#define ASCENT_H

#include "waves.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

#define ASCENT_PI 3.14159265358979
enum { ASCENT_MEMORY = 20 }; /* the steps that L-BFGS remembers */
typedef enum {
    ASCENT_PLAIN, ASCENT_MOMENTUM, ASCENT_SIGN, ASCENT_ADAM, ASCENT_LBFGS
} ascent_method;

typedef struct ascent ascent;

/* After a forward pass: writes d(objective)/d(node) into cnv_seed(a->net, node), for one node or
   more, and the objective of each picture into a->value. Returns 1, or 0 with cnv_error(). */
typedef int ascent_objective(ascent *a, void *setting);

/* How the network sees the pictures: fills y, of x's size, from x. back: fills x with the slope at
   the pictures from y, that at what was seen; y may be overwritten. Returns 1 or 0. */
typedef int ascent_view(ascent *a, void *camera, int back, cnv_tensor *x, cnv_tensor *y);

struct ascent {
    cnv_net *net;
    int upto;                   /* the last node that the objective reads */
    ascent_objective *objective;
    void *setting;              /* for the objective */

    int waves;                  /* z holds pixels (0), or waves of decorrelated colours (1) */
    double spectrum;            /* waves have amplitudes of 1 / frequency ^ spectrum; 1: as natural
                                   pictures have (Field 1987); less: more detail */
    int gray;                   /* for a network of gray pictures */
    int mix;                    /* pixels, but steps are those of decorrelated colours (1): grad is
                                   mixed as natural colours vary together. Not with L-BFGS */
    double soften;              /* pixels: twice its blur of this sigma is added to grad, so that
                                   large shapes grow as fast as fine ones. Not with L-BFGS */
    const int *tie;             /* [h*w] or NULL: pixels of the same number, in 0 ... h*w - 1, move
                                   as one: stripes stay stripes. z must begin so; not with waves */
    cnv_tensor z;               /* [n,3,h,w]: what is changed */
    cnv_tensor image;           /* [n,3,h,w] in [0,1]: the pictures that z stands for */
    cnv_tensor grad;            /* d(objective)/dz */
    cnv_tensor value;           /* [n,1,1,1]: the objective of each picture */

    double jitter, scale, turn; /* each step: shift by up to so many pixels, scale by up to this
                                   factor and its inverse, turn by up to so many degrees */
    double decay;               /* z shrinks by this share in each step: with plain steps of `rate`
                                   that is a penalty of lambda |z|^2, lambda = decay / (2 rate) */
    const cnv_tensor *home;     /* [n,3,h,w] or NULL: pixels decay to these instead of to grey */
    double variation;           /* times the sum of squared differences of neighbours: a penalty */
    double blur;                /* sigma, in pixels, ... */
    int blur_every;             /* ... every so many steps */
    double clip_norm;           /* after each step, this share of the pixels becomes grey: those of
                                   the least |pixel| ... */
    double clip_contribution;   /* ... or those that contribute least, of the least |pixel * g| */
    const cnv_tensor *around;   /* or NULL: [n,3,h,w]; each number of z stays ... */
    double reach;               /* ... within so much of it; not with waves */
    ascent_view *view;          /* or NULL; takes the place of jitter, scale and turn */
    void *camera;               /* for the view */
    int together;               /* 1: z holds n times the same picture, for n views of it, and all
                                   move as one */

    ascent_method method;
    double rate, momentum;
    cnv_rng rng, before;        /* before the transforms of the latest step */
    int steps;                  /* done so far */
    cnv_tensor seen, slope;     /* the transformed pictures; the gradient at the pictures */
    cnv_tensor m, v;            /* momentum; Adam's means of g and g^2 */
    cnv_tensor basis[2][2];     /* waves: [of rows or columns][to waves or back] */
    cnv_tensor amplitude;       /* [1,1,h,w]: the waves' */
    cnv_tensor past_z[ASCENT_MEMORY], past_g[ASCENT_MEMORY]; /* L-BFGS: the latest differences */
};

static inline ascent ascent_of(const example *e, int upto, ascent_objective *objective,
                               void *setting)
{
    ascent a;
    memset(&a, 0, sizeof a);
    a.net = e->net, a.upto = upto, a.objective = objective, a.setting = setting;
    a.scale = 1, a.rate = 1.5 / 255, a.momentum = 0.9, a.spectrum = 1;
    a.rng = cnv_rng_seed(e->seed), a.gray = e->gray;
    return a;
}

static inline void ascent_end(ascent *a)
{
    cnv_tensor *all[] = {&a->z, &a->image, &a->grad, &a->value, &a->seen, &a->slope, &a->m, &a->v,
                         &a->basis[0][0], &a->basis[0][1], &a->basis[1][0], &a->basis[1][1],
                         &a->amplitude};
    size_t i;
    for (i = 0; i < sizeof all / sizeof *all; i++) cnv_tensor_free(all[i]);
    for (i = 0; i < ASCENT_MEMORY; i++)
        cnv_tensor_free(&a->past_z[i]), cnv_tensor_free(&a->past_g[i]);
}

/* ---- Pictures ---- */

/* image from z */
static inline int ascent_render(ascent *a)
{
    size_t i, size = cnv_tensor_size(&a->z);
    int ok;
    if (!a->waves) return cnv_tensor_copy(&a->z, &a->image);
    ok = cnv_tensor_copy(&a->z, &a->slope);
    if (ok) waves_weigh(&a->amplitude, &a->slope);
    ok = ok && waves_transform(a->basis, 1, &a->slope, &a->image);
    if (ok) waves_colours(&a->image, 0);
    if (ok && a->gray) example_even(&a->image);
    for (i = 0; ok && i < size; i++) a->image.data[i] = 1 / (1 + expf(-a->image.data[i]));
    return ok;
}

/* Every number of grad becomes the mean over the pixels that are tied to it: the projection of the
   gradient on the pictures in which they are equal. */
static inline int ascent_tie(ascent *a)
{
    int i, p, plane = a->grad.h * a->grad.w;
    double *sum = (double *)malloc(2 * (size_t)plane * sizeof *sum), *count = sum + plane;
    for (p = 0; sum && p < a->grad.n * a->grad.c; p++) {
        float *g = a->grad.data + p * plane;
        for (i = 0; i < plane; i++) sum[i] = count[i] = 0;
        for (i = 0; i < plane; i++) sum[a->tie[i]] += (double)g[i], count[a->tie[i]]++;
        for (i = 0; i < plane; i++) g[i] = (float)(sum[a->tie[i]] / count[a->tie[i]]);
    }
    free(sum);
    return sum != NULL;
}

/* grad from the slope, where z holds pixels: mixed, softened and tied as wanted */
static inline int ascent_pull_pixels(ascent *a)
{
    cnv_tensor blurred = {0};
    int ok = cnv_tensor_copy(&a->slope, &a->grad);
    if (ok && a->mix) waves_colours(&a->grad, 1), waves_colours(&a->grad, 0); /* z = M u */
    if (ok && a->soften > 0) {
        ok = cnv_blur(&a->grad, a->soften, &blurred);
        if (ok) cnv_add_scaled(2, &blurred, &a->grad);
    }
    cnv_tensor_free(&blurred);
    return ok && (!a->tie || ascent_tie(a));
}

/* grad, at z, from the slope at the pictures */
static inline int ascent_pull(ascent *a)
{
    size_t i, size = cnv_tensor_size(&a->z);
    if (!a->waves) return ascent_pull_pixels(a);
    for (i = 0; i < size; i++) a->slope.data[i] *= a->image.data[i] * (1 - a->image.data[i]);
    waves_colours(&a->slope, 1);
    if (!waves_transform(a->basis, 0, &a->slope, &a->grad)) return 0;
    waves_weigh(&a->amplitude, &a->grad);
    return 1;
}

/* ---- Transforms ---- */

/* ... 1 0 | 0 1 2 ... size-1 | size-1 ... */
static inline int ascent_mirror(int i, int size)
{
    while (i < 0 || i >= size) i = i < 0 ? -i - 1 : 2 * size - 1 - i;
    return i;
}

/* Adds to pixel i of y what stands at (across, down) in x, between pixels bilinear, mirrored at the
   borders; or the adjoint: adds to x what that pixel of y hears from it. */
EXAMPLE_INNER_LOOP
static inline void ascent_sample(double across, double down, int back, cnv_tensor *x, cnv_tensor *y,
                                 int i)
{
    int c, k, at[4], plane = x->h * x->w, left = (int)across, top = (int)down;
    float share[4];
    left -= left > across, top -= top > down; /* rounded down */
    for (k = 0; k < 4; k++) {
        int column = left + (k & 1), row = top + (k >> 1);
        share[k] = (float)((1 - fabs(across - column)) * (1 - fabs(down - row)));
        at[k] = ascent_mirror(row, x->h) * x->w + ascent_mirror(column, x->w);
    }
    for (c = 0; c < x->c; c++) {
        float *from = x->data + c * plane, *to = y->data + c * plane + i;
        for (k = 0; k < 4; k++)
            if (back) from[at[k]] += share[k] * *to;
            else *to += share[k] * from[at[k]];
    }
}

/* y(p) = x(turn * (p - middle) + middle + shift), or its adjoint; adds to y, or to x. map: {cos,
   sin, shift x, shift y} */
EXAMPLE_INNER_LOOP
static inline void ascent_warp(const double map[4], int back, cnv_tensor *x, cnv_tensor *y)
{
    int row, column, h = x->h, w = x->w;
    for (row = 0; row < h; row++)
        for (column = 0; column < w; column++) {
            double u = column - (w - 1) / 2.0, v = row - (h - 1) / 2.0;
            ascent_sample(map[0] * u - map[1] * v + (w - 1) / 2.0 + map[2],
                          map[1] * u + map[0] * v + (h - 1) / 2.0 + map[3], back, x, y,
                          row * w + column);
        }
}

/* A number in [-most, most] */
static inline double ascent_random(ascent *a, double most)
{
    return most * (2 * cnv_uniform(&a->rng) - 1);
}

/* A random transform, as ascent_warp wants it. Shifts are whole pixels. */
static inline void ascent_shake(ascent *a, double map[4])
{
    double zoom = pow(a->scale, ascent_random(a, 1));
    double angle = ascent_random(a, a->turn) * ASCENT_PI / 180;
    map[0] = cos(angle) / zoom, map[1] = sin(angle) / zoom;
    map[2] = floor(ascent_random(a, a->jitter) + 0.5);
    map[3] = floor(ascent_random(a, a->jitter) + 0.5);
}

/* The view by jitter, scale and turn: another transform for each picture, the same way back. */
static inline int ascent_shaken(ascent *a, void *camera, int back, cnv_tensor *x, cnv_tensor *y)
{
    double(*map)[4] = (double(*)[4])malloc((size_t)x->n * sizeof *map);
    int i;
    (void)camera;
    if (!map) return 0;
    if (back) a->rng = a->before;
    else a->before = a->rng;
    for (i = 0; i < x->n; i++) ascent_shake(a, map[i]);
    cnv_tensor_fill(back ? x : y, 0);
#ifdef _OPENMP
#pragma omp parallel for
#endif
    for (i = 0; i < x->n; i++) {
        cnv_tensor one = cnv_tensor_image(x, i), other = cnv_tensor_image(y, i);
        ascent_warp(map[i], back, &one, &other);
    }
    free(map);
    return 1;
}

/* ---- Regularizers ---- */

/* Takes `variation` times the squared differences of neighbours from the values, and its slope from
   the slope. */
EXAMPLE_INNER_LOOP
static inline void ascent_smooth(ascent *a)
{
    int n, i, h = a->image.h, w = a->image.w, size = 3 * h * w;
    for (n = 0; a->variation > 0 && n < a->image.n; n++) {
        const float *x = cnv_tensor_image(&a->image, n).data;
        float *slope = cnv_tensor_image(&a->slope, n).data, weight = (float)a->variation;
        double sum = 0;
        for (i = 0; i < size; i++) {
            float right = i % w + 1 < w ? x[i + 1] - x[i] : 0;
            float below = i / w % h + 1 < h ? x[i + w] - x[i] : 0;
            sum += (double)(right * right + below * below);
            slope[i] += 2 * weight * (right + below);
            if (i % w + 1 < w) slope[i + 1] -= 2 * weight * right;
            if (i / w % h + 1 < h) slope[i + w] -= 2 * weight * below;
        }
        a->value.data[n] -= (float)(a->variation * sum);
    }
}

static inline int ascent_ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Sets the share of the pixels whose |pixel|, or |pixel * g|, is least to grey, z = 1/2, at which
   networks see nothing. (Yosinski et al. 2015, section 3) */
static inline int ascent_clip(ascent *a, double share, int contribution)
{
    int n, i, c, plane = a->z.h * a->z.w;
    float *size = (float *)malloc(2 * (size_t)plane * sizeof *size), *sorted = size + plane;
    if (!size) return 0;
    for (n = 0; n < a->z.n; n++) {
        float *z = cnv_tensor_image(&a->z, n).data, *g = cnv_tensor_image(&a->grad, n).data;
        float least;
        for (i = 0; i < plane; i++) {
            double square = 0, product = 0;
            for (c = 0; c < 3; c++) {
                double pixel = (double)z[c * plane + i] - 0.5;
                square += pixel * pixel, product += pixel * (double)g[c * plane + i];
            }
            size[i] = sorted[i] = (float)(contribution ? fabs(product) : sqrt(square));
        }
        qsort(sorted, (size_t)plane, sizeof *sorted, ascent_ascending);
        least = sorted[(int)(share * (plane - 1))];
        for (i = 0; i < 3 * plane; i++)
            if (size[i % plane] < least) z[i] = 0.5f;
    }
    free(size);
    return 1;
}

/* Each number of z to within `reach` of that of `around`. */
EXAMPLE_INNER_LOOP
static inline void ascent_near(ascent *a)
{
    size_t i, size = cnv_tensor_size(&a->z);
    float reach = (float)a->reach;
    for (i = 0; i < size; i++) {
        float middle = a->around->data[i];
        a->z.data[i] = fminf(middle + reach, fmaxf(middle - reach, a->z.data[i]));
    }
}

/* What happens to z after a step; pixels stay in [0,1]. */
EXAMPLE_INNER_LOOP
static inline int ascent_tidy(ascent *a)
{
    float middle = a->waves ? 0 : 0.5f, keep = (float)(1 - a->decay);
    size_t i, size = cnv_tensor_size(&a->z);
    for (i = 0; a->decay > 0 && i < size; i++) {
        if (a->home) middle = a->home->data[i];
        a->z.data[i] = middle + keep * (a->z.data[i] - middle);
    }
    if (a->waves) return 1;
    if (a->blur_every && a->steps % a->blur_every == 0 && !cnv_blur(&a->z, a->blur, &a->z))
        return 0;
    if (a->clip_norm > 0 && !ascent_clip(a, a->clip_norm, 0)) return 0;
    if (a->clip_contribution > 0 && !ascent_clip(a, a->clip_contribution, 1)) return 0;
    if (a->around) ascent_near(a);
    for (i = 0; i < size; i++) a->z.data[i] = fminf(1, fmaxf(0, a->z.data[i]));
    return 1;
}

/* ---- The objective and its gradient at z ---- */

/* The gradient of every picture becomes the mean of all. */
static inline void ascent_join(ascent *a)
{
    int i, n, size = 3 * a->grad.h * a->grad.w;
    for (i = 0; i < size; i++) {
        float *g = a->grad.data + i;
        double sum = 0;
        for (n = 0; n < a->grad.n; n++) sum += (double)g[n * size];
        for (n = 0; n < a->grad.n; n++) g[n * size] = (float)(sum / a->grad.n);
    }
}

/* Fills image, value and grad. */
static inline int ascent_gradient(ascent *a)
{
    int shakes = a->jitter > 0 || a->scale > 1 || a->turn > 0, ok;
    ascent_view *view = a->view || !shakes ? a->view : ascent_shaken;
    cnv_tensor *seen = view ? &a->seen : &a->image;
    ok = ascent_render(a) && cnv_tensor_resize(&a->value, a->z.n, 1, 1, 1) &&
         cnv_tensor_resize(seen, a->z.n, 3, a->z.h, a->z.w) &&
         (!view || view(a, a->camera, 0, &a->image, seen)) &&
         cnv_forward(a->net, seen, a->upto) && a->objective(a, a->setting) &&
         cnv_backward(a->net, 0) && cnv_tensor_copy(&a->net->nodes[0].grad, &a->slope) &&
         (!view || view(a, a->camera, 1, &a->slope, &a->net->nodes[0].grad));
    if (ok) ascent_smooth(a);
    ok = ok && ascent_pull(a);
    if (ok && a->together) ascent_join(a);
    return ok;
}

/* ---- Optimizers ---- */

/* z += rate * g / mean |g|, for each picture by itself; with momentum of m = momentum * m + that,
   or of m's sign (Dong et al. 2017). */
EXAMPLE_INNER_LOOP
static inline int ascent_plain(ascent *a)
{
    int n, i, size = 3 * a->z.h * a->z.w;
    double keep = a->method == ASCENT_PLAIN ? 0 : a->momentum;
    for (n = 0; n < a->z.n; n++) {
        float *z = cnv_tensor_image(&a->z, n).data, *g = cnv_tensor_image(&a->grad, n).data;
        float *m = cnv_tensor_image(&a->m, n).data;
        double mean = 1e-30;
        for (i = 0; i < size; i++) mean += fabs((double)g[i]) / size;
        for (i = 0; i < size; i++) {
            float way = m[i] = (float)(keep * (double)m[i] + (double)g[i] / mean);
            if (a->method == ASCENT_SIGN) way = (float)((way > 0) - (way < 0));
            z[i] += (float)a->rate * way;
        }
    }
    return 1;
}

/* (Kingma & Ba 2015) */
static inline int ascent_adam(ascent *a)
{
    const double beta1 = a->momentum, beta2 = 0.999;
    double rate = a->rate * sqrt(1 - pow(beta2, a->steps + 1)) / (1 - pow(beta1, a->steps + 1));
    size_t i, size = cnv_tensor_size(&a->z);
    for (i = 0; i < size; i++) {
        double g = (double)a->grad.data[i];
        a->m.data[i] = (float)(beta1 * (double)a->m.data[i] + (1 - beta1) * g);
        a->v.data[i] = (float)(beta2 * (double)a->v.data[i] + (1 - beta2) * g * g);
        a->z.data[i] += (float)(rate * (double)a->m.data[i] / (sqrt((double)a->v.data[i]) + 1e-8));
    }
    return 1;
}

static inline double ascent_total(const ascent *a)
{
    double sum = 0;
    int i;
    for (i = 0; i < a->value.n; i++) sum += (double)a->value.data[i];
    return sum;
}

/* direction := an estimate of the inverse Hessian times the gradient, by the two-loop recursion
   over the latest steps s and changes of the gradient y. (Nocedal & Wright, algorithm 7.4) */
static inline void ascent_two_loops(ascent *a, cnv_tensor *direction)
{
    double alpha[ASCENT_MEMORY], rho[ASCENT_MEMORY], scale = 1;
    int known = a->steps < ASCENT_MEMORY ? a->steps : ASCENT_MEMORY, i;
    for (i = 1; i <= known; i++) {
        int at = (a->steps - i) % ASCENT_MEMORY;
        rho[at] = 1 / cnv_dot(&a->past_z[at], &a->past_g[at]);
        alpha[at] = rho[at] * cnv_dot(&a->past_z[at], direction);
        cnv_add_scaled(-alpha[at], &a->past_g[at], direction);
        if (i == 1) scale = 1 / (rho[at] * cnv_dot(&a->past_g[at], &a->past_g[at]));
    }
    for (i = 0; i < (int)cnv_tensor_size(direction); i++) direction->data[i] *= (float)scale;
    for (i = known; i >= 1; i--) {
        int at = (a->steps - i) % ASCENT_MEMORY;
        double beta = rho[at] * cnv_dot(&a->past_g[at], direction);
        cnv_add_scaled(alpha[at] - beta, &a->past_z[at], direction);
    }
}

/* One step along that direction, halved until the objective rises (Armijo's rule). The first one is
   as long as `rate` per coordinate. Without transforms: L-BFGS wants to see the same function
   again. Expects the gradient at z, leaves it at the new z. Where nothing rises, z stays. */
static inline int ascent_lbfgs(ascent *a)
{
    cnv_tensor direction = {0}, from = {0}, slope = {0};
    cnv_tensor *s = &a->past_z[a->steps % ASCENT_MEMORY], *y = &a->past_g[a->steps % ASCENT_MEMORY];
    double value = ascent_total(a), length = 1, rise;
    int tries, ok = cnv_tensor_copy(&a->z, &from) && cnv_tensor_copy(&a->grad, &slope) &&
                    cnv_tensor_copy(&a->grad, &direction);
    if (ok) ascent_two_loops(a, &direction);
    rise = ok ? cnv_dot(&slope, &direction) : 0;
    if (!a->steps && rise > 0) length = a->rate * sqrt((double)cnv_tensor_size(&a->z) / rise);
    for (tries = 0; ok && tries < 20; tries++, length /= 2) {
        ok = cnv_tensor_copy(&from, &a->z);
        cnv_add_scaled(length, &direction, &a->z);
        ok = ok && ascent_tidy(a) && ascent_gradient(a);
        if (ascent_total(a) >= value + 1e-4 * length * rise) break;
    }
    if (tries == 20) ok = ok && cnv_tensor_copy(&from, &a->z) && ascent_gradient(a);
    ok = ok && cnv_tensor_copy(&a->z, s) && cnv_tensor_copy(&slope, y);
    if (ok) cnv_add_scaled(-1, &from, s);
    if (ok) cnv_add_scaled(-1, &a->grad, y); /* of -objective, to be convex */
    if (ok && !(cnv_dot(s, y) > 1e-12 * cnv_dot(y, y))) a->steps = -1; /* forget all */
    cnv_tensor_free(&direction), cnv_tensor_free(&from), cnv_tensor_free(&slope);
    return ok;
}

/* One step. Afterwards value and grad are those before the step, but for L-BFGS. */
static inline int ascent_step(ascent *a)
{
    int ok;
    if (a->method == ASCENT_LBFGS)
        ok = (a->steps || ascent_gradient(a)) && ascent_lbfgs(a);
    else
        ok = ascent_gradient(a) &&
             (a->method == ASCENT_ADAM ? ascent_adam(a) : ascent_plain(a)) && ascent_tidy(a);
    a->steps++;
    return ok;
}

/* ---- The start ---- */

/* z of its own size as it stands: begins to count steps */
static inline int ascent_begin(ascent *a)
{
    int back, ok = cnv_tensor_resize(&a->m, a->z.n, 3, a->z.h, a->z.w) &&
                   cnv_tensor_resize(&a->v, a->z.n, 3, a->z.h, a->z.w);
    for (back = 0; ok && a->waves && back < 2; back++)
        ok = waves_cosines(a->z.h, back, &a->basis[0][back]) &&
             waves_cosines(a->z.w, back, &a->basis[1][back]) &&
             waves_amplitudes(a->z.h, a->z.w, a->spectrum, &a->amplitude);
    if (ok) cnv_tensor_fill(&a->m, 0), cnv_tensor_fill(&a->v, 0);
    a->steps = 0;
    return ok && ascent_render(a);
}

/* From n grey pictures with Gaussian noise of this standard deviation, 0: none */
static inline int ascent_start(ascent *a, int n, int h, int w, double noise)
{
    size_t i, size;
    if (!cnv_tensor_resize(&a->z, n, 3, h, w)) return 0;
    size = cnv_tensor_size(&a->z);
    for (i = 0; i < size; i++)
        a->z.data[i] = (float)((a->waves ? 0 : 0.5) + noise * cnv_normal(&a->rng));
    if (a->gray && !a->waves) example_even(&a->z);
    return ascent_begin(a);
}

/* From pictures [n,3,h,w], as pixels */
static inline int ascent_from(ascent *a, const cnv_tensor *images)
{
    a->waves = 0;
    return cnv_tensor_copy(images, &a->z) && ascent_begin(a);
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
