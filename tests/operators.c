/* Proves that every operator beside the matrix products of kernels.c computes what its formula
   says, forward and backward, with every instruction set of this CPU.

   How: as in kernels.c, against reference.h. Pooling's choices, ReLU's rules and everything that
   only moves or adds whole numbers must agree number for number (a maximum with its ties, NaN and
   infinities too); operators that divide or call exp must agree up to 16 eps times the magnitude
   of the numbers that went in. Canaries around outputs, NaN around inputs, sizes over all tails. */
#define CNNVIS_STATIC
#define CNNVIS_IMPLEMENTATION
#include "../cnnvis.h"

#include "check.h"
#include "guarded.h"
#include "reference.h"

typedef struct {
    int n, c, h, w;
} shape;

/* Each at random from 1 up. (As arguments of shape_of they would be drawn in any order.) */
static shape random_shape(cnv_rng *rng, int n, int c, int h, int w)
{
    shape s;
    s.n = pick(rng, 1, n);
    s.c = pick(rng, 1, c);
    s.h = pick(rng, 1, h);
    s.w = pick(rng, 1, w);
    return s;
}

static shape shape_of(int n, int c, int h, int w)
{
    shape s;
    s.n = n, s.c = c, s.h = h, s.w = w;
    return s;
}

static guarded filled(shape s, filler fill, cnv_rng *rng)
{
    return guarded_filled(s.n, s.c, s.h, s.w, fill, rng);
}

static guarded output(shape s) { return guarded_output(s.n, s.c, s.h, s.w); }

static const char *name_of(const char *op, shape s)
{
    static char text[100];
    snprintf(text, sizeof text, "%s: %s of %d,%d,%d,%d", cnv_using(), op, s.n, s.c, s.h, s.w);
    return text;
}

/* got is want within `limit` eps magnitude (0: exactly), and nothing beside it was written. */
static void judge(const char *name, const guarded *got, const ref_tensor *want,
                  const ref_tensor *magnitude, double limit)
{
    if (limit > 0) {
        double ratio = ref_ratio(&got->t, want, magnitude);
        CHECK(ratio <= limit, "%s: an error of %.3g eps magnitude", name, ratio);
    } else {
        const char *difference = ref_difference(&got->t, want);
        CHECK(!difference, "%s %s", name, difference);
    }
    CHECK(guarded_intact(got), "%s", name);
}

/* ---- Pooling ---- */

typedef struct {
    shape x;
    cnv_window win;
    int count_padding;
} pool_case;

static const char *pool_name(const char *op, const pool_case *c)
{
    static char text[256];
    const cnv_window *win = &c->win;
    snprintf(text, sizeof text,
             "%s: %s of %d,%d,%d,%d kernel %dx%d stride %d,%d dilation %d,%d "
             "pad t%d l%d b%d r%d%s%s",
             cnv_using(), op, c->x.n, c->x.c, c->x.h, c->x.w, win->kernel_h, win->kernel_w,
             win->stride_h, win->stride_w, win->dilation_h, win->dilation_w, win->pad_top,
             win->pad_left, win->pad_bottom, win->pad_right, win->ceil_mode ? " ceil" : "",
             c->count_padding ? " count_padding" : "");
    return text;
}

/* The kernel must fit into the padded image, with ceil_mode as well as without. And ceil_mode is
   tried only where it can at most add a window: not with pads so wide that windows start in them
   when rounding down already. */
static int pool_fits(const pool_case *c)
{
    cnv_window floored = c->win;
    int p, q;
    floored.ceil_mode = 0;
    p = ref_p(&floored, c->x.h), q = ref_q(&floored, c->x.w);
    return p > 0 && q > 0 && ref_p(&c->win, c->x.h) >= p && ref_q(&c->win, c->x.w) >= q;
}

static shape pool_output(const pool_case *c)
{
    return shape_of(c->x.n, c->x.c, ref_p(&c->win, c->x.h), ref_q(&c->win, c->x.w));
}

static void check_max_pool(const pool_case *c, filler fill, cnv_rng *rng)
{
    guarded x = filled(c->x, fill, rng), dy = filled(pool_output(c), fill_integers, rng);
    guarded y = output(pool_output(c)), switches = output(pool_output(c)), dx = output(c->x);
    ref_tensor image = ref_copy(&x.t), dresult = ref_copy(&dy.t), want, want_switches, want_dx;
    ref_max_pool_forward(&image, &c->win, &want, &want_switches);
    want_dx = ref_max_pool_backward(&dresult, &want_switches, c->x.h, c->x.w);
    CHECK(cnv_max_pool_forward(&x.t, &c->win, &y.t), "%s: %s", pool_name("max pool", c),
          cnv_error());
    judge(pool_name("max pool's y", c), &y, &want, NULL, 0);
    guarded_seal(&y);
    CHECK(cnv_max_pool_switches(&x.t, &c->win, &y.t, &switches.t), "%s: %s",
          pool_name("max pool", c), cnv_error());
    judge(pool_name("max pool's switches", c), &switches, &want_switches, NULL, 0);
    guarded_seal(&switches);
    CHECK(cnv_max_pool_backward(&dy.t, &switches.t, &c->win, &dx.t), "%s: %s",
          pool_name("max pool", c), cnv_error());
    judge(pool_name("max pool's dx", c), &dx, &want_dx, NULL, 0);
    CHECK(guarded_unchanged(&x) && guarded_unchanged(&dy) && guarded_unchanged(&y) &&
              guarded_unchanged(&switches), "%s", pool_name("max pool's inputs", c));
    scratch_free();
}

/* With power-of-two areas averages of whole numbers are exact. Else y may be sum / area or sum
   times the rounded 1 / area, which differ by 2 eps at most. */
static void check_avg_pool(const pool_case *c, cnv_rng *rng)
{
    const cnv_window *win = &c->win;
    int taps = win->kernel_h * win->kernel_w;
    int exact = (taps & (taps - 1)) == 0 && !win->ceil_mode &&
        (c->count_padding ||
         !(win->pad_top || win->pad_left || win->pad_bottom || win->pad_right));
    guarded x = filled(c->x, fill_integers, rng);
    guarded dy = filled(pool_output(c), fill_integers, rng);
    guarded y = output(pool_output(c)), dx = output(c->x);
    ref_tensor t[4], magnitude[4]; /* x, y, dy, dx */
    int i;
    t[0] = ref_copy(&x.t), t[1] = ref_copy(&y.t), t[2] = ref_copy(&dy.t);
    t[3] = ref_new(c->x.n, c->x.c, c->x.h, c->x.w);
    for (i = 0; i < 4; i++) magnitude[i] = ref_absolute(&t[i]);
    ref_avg_pool(&t[0], win, c->count_padding, &t[1], 0);
    ref_avg_pool(&magnitude[0], win, c->count_padding, &magnitude[1], 0);
    ref_avg_pool(&t[3], win, c->count_padding, &t[2], 1);
    ref_avg_pool(&magnitude[3], win, c->count_padding, &magnitude[2], 1);
    CHECK(cnv_avg_pool_forward(&x.t, win, c->count_padding, &y.t), "%s: %s",
          pool_name("avg pool", c), cnv_error());
    CHECK(cnv_avg_pool_backward(&dy.t, win, c->count_padding, &dx.t), "%s: %s",
          pool_name("avg pool", c), cnv_error());
    judge(pool_name("avg pool's y", c), &y, &t[1], &magnitude[1], exact ? 0 : 2);
    judge(pool_name("avg pool's dx", c), &dx, &t[3], &magnitude[3], exact ? 0 : 16);
    CHECK(guarded_unchanged(&x) && guarded_unchanged(&dy), "%s",
          pool_name("avg pool's inputs", c));
    scratch_free();
}

/* Whole numbers with many ties, infinities and zeros of both signs. */
static void fill_without_nan(cnv_tensor *t, cnv_rng *rng)
{
    size_t i, size = cnv_tensor_size(t);
    fill_wild(t, rng);
    for (i = 0; i < size; i++)
        if (t->data[i] != t->data[i]) t->data[i] = 1;
}

/* The same with one NaN somewhere: in a big tensor, most planes have none. */
static void fill_one_nan(cnv_tensor *t, cnv_rng *rng)
{
    fill_without_nan(t, rng);
    t->data[pick(rng, 0, (int)cnv_tensor_size(t) - 1)] = (cnv_real)NAN;
}

static void check_pools(pool_case *c, cnv_rng *rng)
{
    if (!pool_fits(c)) return;
    check_max_pool(c, fill_integers, rng);
    check_max_pool(c, fill_wild, rng);
    check_max_pool(c, fill_without_nan, rng);
    check_max_pool(c, fill_one_nan, rng);
    check_avg_pool(c, rng);
    c->count_padding = !c->count_padding;
    check_avg_pool(c, rng);
}

/* The windows that networks use, at every width 1..33 and beyond, with and without ceil_mode. */
static void sweep_common_pools(void)
{
    static const int windows[9][3] = {{2, 2, 0}, {3, 2, 0}, {3, 2, 1}, {3, 1, 1}, {3, 1, 0},
                                      {2, 1, 0}, {2, 2, 1}, {3, 3, 0}, {1, 1, 0}};
    cnv_rng rng = cnv_rng_seed(11);
    int i, w, ceil_mode;
    for (i = 0; i < 9; i++)
        for (w = 1; w <= 40; w++)
            for (ceil_mode = 0; ceil_mode < 2; ceil_mode++) {
                pool_case c = {{1, 2, 0, 0}, {0}, 0};
                c.win = cnv_square(windows[i][0], windows[i][1], windows[i][2]);
                c.win.ceil_mode = ceil_mode;
                c.x.w = w < 35 ? w : 16 * (w - 32);
                c.x.h = 1 + w % 7;
                check_pools(&c, &rng);
                c.x.h += 4;
                check_pools(&c, &rng);
                c.x.h += 60 + 2 * i; /* more rows than a band has */
                if (w % 8 == 3) check_pools(&c, &rng);
            }
}

/* Vectors that end with the plane must not touch what lies behind it, not even to write back what
   they read: for this, memory ends there, too, and the sanitizers watch. */
static void check_last_pixels(void)
{
    cnv_window win = cnv_square(3, 2, 0);
    int w;
    for (w = 3; w <= 67; w++) {
        cnv_tensor x = {0}, y = {0}, switches = {0}, dx = {0};
        double sum = 0;
        int i;
        cnv_tensor_resize(&x, 1, 1, 3, w), cnv_tensor_fill(&x, 1);
        cnv_tensor_resize(&dx, 1, 1, 3, w);
        CHECK(cnv_avg_pool_forward(&x, &win, 0, &y) && cnv_avg_pool_backward(&y, &win, 0, &dx),
              "%s", cnv_error());
        for (i = 0; i < 3 * w; i++) sum += (double)dx.data[i];
        CHECK(fabs(sum - y.w) < 1e-4, "%s: width %d: %g for %d", cnv_using(), w, sum, y.w);
        CHECK(cnv_max_pool_forward(&x, &win, &y) &&
              cnv_max_pool_switches(&x, &win, &y, &switches), "%s", cnv_error());
        CHECK(switches.data[y.w - 1] == 2 * y.w - 2, "width %d: the first of equals", w);
        cnv_tensor_free(&x), cnv_tensor_free(&y), cnv_tensor_free(&switches);
        cnv_tensor_free(&dx);
    }
}

/* A number that no tap equals comes from nowhere, and passes no gradient. */
static void check_foreign_switches(void)
{
    cnv_window win = cnv_square(2, 2, 0);
    guarded x = guarded_output(1, 1, 4, 34), y = guarded_output(1, 1, 2, 17);
    cnv_tensor switches = {0}, dx = {0};
    double sum = 0;
    int i;
    cnv_tensor_fill(&x.t, 1), cnv_tensor_fill(&y.t, 1);
    y.t.data[3] = 2, y.t.data[33] = 0.5f;
    CHECK(cnv_tensor_resize(&dx, 1, 1, 4, 34) &&
          cnv_max_pool_switches(&x.t, &win, &y.t, &switches) &&
          cnv_max_pool_backward(&y.t, &switches, &win, &dx), "%s", cnv_error());
    for (i = 0; i < 34; i++)
        CHECK((switches.data[i] < 0) == (i == 3 || i == 33), "%d: %g", i,
              (double)switches.data[i]);
    for (i = 0; i < 4 * 34; i++) sum += (double)dx.data[i];
    CHECK(sum == 32, "%g", sum);
    cnv_tensor_free(&switches), cnv_tensor_free(&dx);
    scratch_free();
}

/* Whatever window; among them such that lie in the padding with all their taps. */
static void check_random_pools(int count)
{
    cnv_rng rng = cnv_rng_seed(12);
    while (count) {
        pool_case c = {{0, 0, 0, 0}, {0}, 0};
        int most = pick(&rng, 0, 1) ? 2 : 5;
        c.x = random_shape(&rng, 3, 5, 14, 40);
        c.win.kernel_h = pick(&rng, 1, most + 2), c.win.kernel_w = pick(&rng, 1, most + 2);
        c.win.stride_h = pick(&rng, 1, most), c.win.stride_w = pick(&rng, 1, most);
        c.win.dilation_h = pick(&rng, 1, most), c.win.dilation_w = pick(&rng, 1, most);
        c.win.pad_top = pick(&rng, 0, most), c.win.pad_left = pick(&rng, 0, most);
        c.win.pad_bottom = pick(&rng, 0, most), c.win.pad_right = pick(&rng, 0, most);
        c.win.ceil_mode = pick(&rng, 0, 1);
        if (count % 50 == 0) c.x.h = 90, c.win.kernel_h = pick(&rng, 60, 70), c.win.dilation_h = 1;
        if (count % 50 == 1) c.x.w = 150, c.win.stride_w = pick(&rng, 60, 70);
        if (!pool_fits(&c)) continue;
        check_pools(&c, &rng);
        count--;
    }
}

/* Every pixel -infinity: the first tap on the image wins, never the padding. Every pixel NaN or the
   same number: the first again. */
static void check_uniform_pools(void)
{
    const double values[4] = {-HUGE_VAL, HUGE_VAL, (double)NAN, 7};
    int i, w, pad;
    for (i = 0; i < 4; i++)
        for (w = 3; w <= 33; w++)
            for (pad = 0; pad < 2; pad++) {
                cnv_window win = cnv_square(3, 2 - w % 2, pad);
                guarded x = guarded_output(1, 1, 4, w), y, switches;
                ref_tensor image, want, want_switches;
                cnv_tensor_fill(&x.t, values[i]);
                image = ref_copy(&x.t);
                ref_max_pool_forward(&image, &win, &want, &want_switches);
                y = guarded_output(1, 1, want.h, want.w);
                switches = guarded_output(1, 1, want.h, want.w);
                CHECK(cnv_max_pool_forward(&x.t, &win, &y.t), "%s", cnv_error());
                judge("uniform max pool's y", &y, &want, NULL, 0);
                CHECK(cnv_max_pool_switches(&x.t, &win, &y.t, &switches.t), "%s", cnv_error());
                judge("uniform max pool's switches", &switches, &want_switches, NULL, 0);
                scratch_free();
            }
}

static void check_adaptive(shape s, int p, int q, cnv_rng *rng)
{
    shape small = shape_of(s.n, s.c, p, q);
    guarded x = filled(s, fill_integers, rng), dy = filled(small, fill_integers, rng);
    guarded y = output(small), dx = output(s);
    ref_tensor image = ref_copy(&x.t), want = ref_new(s.n, s.c, p, q), size = ref_absolute(&image);
    ref_tensor magnitude = ref_new(s.n, s.c, p, q), dresult = ref_copy(&dy.t);
    ref_tensor want_dx = ref_new(s.n, s.c, s.h, s.w), dmagnitude = ref_new(s.n, s.c, s.h, s.w);
    ref_tensor dsize = ref_absolute(&dresult);
    ref_adaptive_avg_pool(&image, &want, 0);
    ref_adaptive_avg_pool(&size, &magnitude, 0);
    ref_adaptive_avg_pool(&want_dx, &dresult, 1);
    ref_adaptive_avg_pool(&dmagnitude, &dsize, 1);
    CHECK(cnv_adaptive_avg_pool_forward(&x.t, p, q, &y.t), "%s", cnv_error());
    CHECK(cnv_adaptive_avg_pool_backward(&dy.t, &dx.t), "%s", cnv_error());
    judge(name_of("adaptive pool", s), &y, &want, &magnitude, 16);
    judge(name_of("adaptive pool's dx", s), &dx, &want_dx, &dmagnitude, 16);
    CHECK(guarded_unchanged(&x) && guarded_unchanged(&dy), "%s", name_of("adaptive pool", s));
    scratch_free();
}

/* ---- ReLU, sigmoid, tanh, add ---- */

/* Each rule, also in place, and with y given in place of x. */
static void check_relu(shape s, filler fill, cnv_rng *rng)
{
    guarded x = filled(s, fill, rng), dy = filled(s, fill, rng), y = output(s);
    guarded place = output(s), dx = output(s);
    ref_tensor want = ref_copy(&x.t), want_dx = ref_copy(&dy.t);
    size_t i, size = ref_size(&want);
    int rule;
    for (i = 0; i < size; i++) want.data[i] = ref_relu(want.data[i]);
    cnv_tensor_copy(&x.t, &place.t);
    CHECK(cnv_relu_forward(&x.t, &y.t), "%s", cnv_error());
    CHECK(cnv_relu_forward(&place.t, &place.t), "%s", cnv_error());
    judge(name_of("relu", s), &y, &want, NULL, 0);
    judge(name_of("relu in place", s), &place, &want, NULL, 0);
    for (rule = CNV_GRADIENT; rule <= CNV_GUIDED; rule++) {
        for (i = 0; i < size; i++)
            want_dx.data[i] = ref_relu_backward((cnv_relu_rule)rule, (double)x.t.data[i],
                                                (double)dy.t.data[i]);
        CHECK(cnv_relu_backward((cnv_relu_rule)rule, &x.t, &dy.t, &dx.t), "%s", cnv_error());
        judge(name_of("relu's dx", s), &dx, &want_dx, NULL, 0);
        CHECK(cnv_relu_backward((cnv_relu_rule)rule, &y.t, &dy.t, &dx.t), "%s", cnv_error());
        judge(name_of("relu's dx from y", s), &dx, &want_dx, NULL, 0);
        cnv_tensor_copy(&dy.t, &place.t);
        CHECK(cnv_relu_backward((cnv_relu_rule)rule, &x.t, &place.t, &place.t), "%s", cnv_error());
        judge(name_of("relu's dx in place", s), &place, &want_dx, NULL, 0);
    }
    CHECK(guarded_unchanged(&x) && guarded_unchanged(&dy), "%s", name_of("relu", s));
    scratch_free();
}


typedef int (*forward_call)(const cnv_tensor *x, cnv_tensor *y);
typedef int (*backward_call)(const cnv_tensor *y, const cnv_tensor *dy, cnv_tensor *dx);

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double sigmoid_slope(double y) { return y * (1 - y); }
static double tanh_slope(double y) { return 1 - y * y; }

/* An operator f on each number whose slope is a function of y: dx = dy * slope(y). */
static void check_curve(const char *op, shape s, double (*f)(double), double (*slope)(double),
                        forward_call forward, backward_call backward, cnv_rng *rng)
{
    guarded x = filled(s, fill_wide, rng), y = output(s);
    guarded dy = filled(s, fill_normal, rng), dx = output(s);
    ref_tensor want = ref_copy(&x.t), want_dx = ref_copy(&dy.t), magnitude, dmagnitude;
    size_t i, size = ref_size(&want);
    for (i = 0; i < size; i++) want.data[i] = f(want.data[i]);
    magnitude = ref_absolute(&want);
    CHECK(forward(&x.t, &y.t), "%s", cnv_error());
    judge(name_of(op, s), &y, &want, &magnitude, 16);
    guarded_seal(&y);
    dmagnitude = ref_absolute(&want_dx);
    for (i = 0; i < size; i++) want_dx.data[i] *= slope((double)y.t.data[i]);
    CHECK(backward(&y.t, &dy.t, &dx.t), "%s", cnv_error());
    judge(name_of(op, s), &dx, &want_dx, &dmagnitude, 16);
    CHECK(guarded_unchanged(&x) && guarded_unchanged(&y) && guarded_unchanged(&dy), "%s",
          name_of(op, s));
    CHECK(forward(&x.t, &x.t) && backward(&y.t, &dy.t, &dy.t), "%s", cnv_error());
    CHECK(!memcmp(x.t.data, y.t.data, size * sizeof(cnv_real)), "%s in place", name_of(op, s));
    CHECK(!memcmp(dx.t.data, dy.t.data, size * sizeof(cnv_real)), "%s in place", name_of(op, s));
    scratch_free();
}

/* Far out the curves are flat, not NaN. */
static void check_curve_ends(void)
{
    cnv_real far[4] = {(cnv_real)-1e4, (cnv_real)1e4, (cnv_real)-HUGE_VAL, (cnv_real)HUGE_VAL};
    cnv_real out[4];
    cnv_tensor x = cnv_tensor_view(far, 1, 4, 1, 1), y = cnv_tensor_view(out, 1, 4, 1, 1);
    int i;
    CHECK(cnv_sigmoid_forward(&x, &y), "%s", cnv_error());
    for (i = 0; i < 4; i++) CHECK((double)out[i] == i % 2, "sigmoid %g", (double)out[i]);
    CHECK(cnv_tanh_forward(&x, &y), "%s", cnv_error());
    for (i = 0; i < 4; i++) CHECK((double)out[i] == i % 2 * 2 - 1, "tanh %g", (double)out[i]);
}

static void check_add(shape s, cnv_rng *rng)
{
    guarded a = filled(s, fill_integers, rng), b = filled(s, fill_integers, rng), y = output(s);
    ref_tensor want = ref_copy(&a.t);
    size_t i, size = ref_size(&want);
    double dot = 0;
    for (i = 0; i < size; i++) want.data[i] += (double)b.t.data[i];
    CHECK(cnv_add_forward(&a.t, &b.t, &y.t), "%s", cnv_error());
    judge(name_of("add", s), &y, &want, NULL, 0);
    CHECK(guarded_unchanged(&a) && guarded_unchanged(&b), "%s", name_of("add", s));
    cnv_tensor_copy(&a.t, &y.t);
    CHECK(cnv_add_forward(&y.t, &b.t, &y.t), "%s", cnv_error());
    judge(name_of("add onto a", s), &y, &want, NULL, 0);
    cnv_tensor_copy(&b.t, &y.t);
    CHECK(cnv_add_forward(&a.t, &y.t, &y.t), "%s", cnv_error());
    judge(name_of("add onto b", s), &y, &want, NULL, 0);
    for (i = 0; i < size; i++) want.data[i] = 2 * (double)a.t.data[i];
    CHECK(cnv_add_forward(&a.t, &a.t, &y.t), "%s", cnv_error());
    judge(name_of("add to itself", s), &y, &want, NULL, 0);
    for (i = 0; i < size; i++) {
        want.data[i] -= 3 * (double)b.t.data[i];
        dot += (double)a.t.data[i] * (double)b.t.data[i];
    }
    cnv_add_scaled(-3, &b.t, &y.t);
    judge(name_of("add scaled", s), &y, &want, NULL, 0);
    CHECK(cnv_dot(&a.t, &b.t) == dot, "%s: %g, by definition %g", name_of("dot", s),
          cnv_dot(&a.t, &b.t), dot);
    scratch_free();
}

/* More numbers than go through a kernel at a time */
static void check_long_dot(void)
{
    cnv_tensor x = {0};
    CHECK(cnv_tensor_resize(&x, 1, 1, 200, 250), "%s", cnv_error());
    cnv_tensor_fill(&x, 2);
    CHECK(cnv_dot(&x, &x) == 200000, "%g", cnv_dot(&x, &x));
    cnv_tensor_free(&x);
}

/* ---- Normalization ---- */

/* Channel parameters in double, for the reference, and as tensors for the library. */
typedef struct {
    guarded gamma, beta, mean, var;
    double *g, *b, *m, *v;        /* their values */
    double *abs_g, *abs_b, *abs_m; /* |g|, |b|, -|m|: for the magnitude, where nothing cancels */
} norm_params;

static norm_params norm_params_new(int channels, double offset, cnv_rng *rng)
{
    norm_params p;
    double **lists[7];
    int i;
    size_t bytes = (size_t)channels * sizeof(double);
    p.gamma = guarded_filled(1, channels, 1, 1, fill_normal, rng);
    p.beta = guarded_filled(1, channels, 1, 1, fill_normal, rng);
    p.mean = guarded_filled(1, channels, 1, 1, fill_normal, rng);
    p.var = guarded_filled(1, channels, 1, 1, fill_normal, rng);
    lists[0] = &p.g, lists[1] = &p.b, lists[2] = &p.m, lists[3] = &p.v;
    lists[4] = &p.abs_g, lists[5] = &p.abs_b, lists[6] = &p.abs_m;
    for (i = 0; i < 7; i++) *lists[i] = (double *)scratch(bytes);
    for (i = 0; i < channels; i++) {
        p.mean.t.data[i] += (cnv_real)offset;
        p.var.t.data[i] = (cnv_real)(0.25 + cnv_uniform(rng));
        p.g[i] = (double)p.gamma.t.data[i], p.abs_g[i] = fabs(p.g[i]);
        p.b[i] = (double)p.beta.t.data[i], p.abs_b[i] = fabs(p.b[i]);
        p.m[i] = (double)p.mean.t.data[i], p.abs_m[i] = -fabs(p.m[i]);
        p.v[i] = (double)p.var.t.data[i];
    }
    guarded_seal(&p.mean), guarded_seal(&p.var);
    return p;
}

static void shift(guarded *x, double offset)
{
    size_t i, size = cnv_tensor_size(&x->t);
    for (i = 0; i < size; i++) x->t.data[i] += (cnv_real)offset;
    guarded_seal(x);
}

/* With constant statistics: dx = dy * gamma / sqrt(var + eps). */
static void check_batch_norm(shape s, double offset, cnv_rng *rng)
{
    norm_params p = norm_params_new(s.c, offset, rng);
    guarded x = filled(s, fill_normal, rng), dy = filled(s, fill_normal, rng);
    guarded y = output(s), dx = output(s);
    ref_tensor image, size, want, magnitude, dresult = ref_copy(&dy.t), want_dx, dmagnitude;
    double *zero = ref_new(1, s.c, 1, 1).data;
    shift(&x, offset);
    image = ref_copy(&x.t), size = ref_absolute(&image);
    want = ref_batch_norm(&image, p.g, p.b, p.m, p.v, 1e-3);
    magnitude = ref_batch_norm(&size, p.abs_g, p.abs_b, p.abs_m, p.v, 1e-3);
    want_dx = ref_batch_norm(&dresult, p.g, zero, zero, p.v, 1e-3);
    dmagnitude = ref_absolute(&want_dx);
    CHECK(cnv_batch_norm_forward(&x.t, &p.gamma.t, &p.beta.t, &p.mean.t, &p.var.t, 1e-3, &y.t),
          "%s", cnv_error());
    CHECK(cnv_batch_norm_backward(&dy.t, &p.gamma.t, &p.var.t, 1e-3, &dx.t), "%s", cnv_error());
    judge(name_of("batch norm", s), &y, &want, &magnitude, 16);
    judge(name_of("batch norm's dx", s), &dx, &want_dx, &dmagnitude, 16);
    CHECK(guarded_unchanged(&x) && guarded_unchanged(&dy) && guarded_unchanged(&p.gamma) &&
          guarded_unchanged(&p.beta) && guarded_unchanged(&p.mean) && guarded_unchanged(&p.var),
          "%s", name_of("batch norm's inputs", s));
    scratch_free();
}

static int close_to(double got, double want, double magnitude)
{
    return fabs(got - want) <= 16 * (double)FLT_EPSILON * magnitude;
}

/* The running statistics move by a tenth towards the batch's; the variance towards the unbiased. */
static void check_running(shape s, const ref_tensor *image, const norm_params *p,
                          const guarded *mean, const guarded *var)
{
    double count = (double)s.n * s.h * s.w;
    int c;
    for (c = 0; c < s.c; c++) {
        double m, v, want_mean, want_var;
        ref_moments(image, c, &m, &v);
        want_mean = p->m[c] + 0.1 * (m - p->m[c]);
        want_var = p->v[c] + 0.1 * (v * count / (count - 1) - p->v[c]);
        CHECK(close_to((double)mean->t.data[c], want_mean, fabs(p->m[c]) + fabs(m) + 1),
              "%s: running mean %g, expected %g", name_of("batch norm", s),
              (double)mean->t.data[c], want_mean);
        CHECK(close_to((double)var->t.data[c], want_var, p->v[c] + 2 * v + fabs(m)),
              "%s: running variance %g, expected %g", name_of("batch norm", s),
              (double)var->t.data[c], want_var);
    }
}

/* saved holds the mean and 1 / sqrt(var + eps) of each of `planes` channels. */
static void check_saved(const char *name, const ref_tensor *image, double eps, const cnv_real *mean,
                        const cnv_real *scale)
{
    int c;
    for (c = 0; c < image->c; c++) {
        double m, v;
        ref_moments(image, c, &m, &v);
        CHECK(close_to((double)mean[c], m, fabs(m) + 1), "%s: mean %g, expected %g", name,
              (double)mean[c], m);
        CHECK(close_to((double)scale[c], 1 / sqrt(v + eps), (1 + fabs(m)) / sqrt(v + eps)),
              "%s: scale %g, expected %g", name, (double)scale[c], 1 / sqrt(v + eps));
    }
}

/* y by the moments of image itself, and its magnitude. */
static void expect_train(const ref_tensor *image, const norm_params *p, double eps,
                         ref_tensor *want, ref_tensor *magnitude)
{
    ref_tensor size = ref_absolute(image);
    double *m = ref_new(1, image->c, 1, 1).data, *v = ref_new(1, image->c, 1, 1).data;
    int c;
    for (c = 0; c < image->c; c++) ref_moments(image, c, &m[c], &v[c]);
    *want = ref_batch_norm(image, p->g, p->b, m, v, eps);
    for (c = 0; c < image->c; c++) m[c] = -fabs(m[c]);
    *magnitude = ref_batch_norm(&size, p->abs_g, p->abs_b, m, v, eps);
}

static void check_train_forward(shape s, double offset, cnv_rng *rng)
{
    norm_params p = norm_params_new(s.c, offset, rng);
    guarded x = filled(s, fill_normal, rng), y = output(s), saved = guarded_output(2, s.c, 1, 1);
    guarded mean = guarded_output(1, s.c, 1, 1), var = guarded_output(1, s.c, 1, 1);
    ref_tensor image, want, magnitude;
    cnv_tensor_copy(&p.mean.t, &mean.t), cnv_tensor_copy(&p.var.t, &var.t);
    shift(&x, offset);
    image = ref_copy(&x.t);
    expect_train(&image, &p, 1e-3, &want, &magnitude);
    CHECK(cnv_batch_norm_train_forward(&x.t, &p.gamma.t, &p.beta.t, 1e-3, 0.1, &mean.t, &var.t,
                                       &y.t, &saved.t), "%s", cnv_error());
    judge(name_of("batch norm in training", s), &y, &want, &magnitude, 16);
    check_running(s, &image, &p, &mean, &var);
    check_saved(name_of("batch norm in training", s), &image, 1e-3, saved.t.data,
                saved.t.data + s.c);
    CHECK(guarded_intact(&mean) && guarded_intact(&var) && guarded_intact(&saved), "%s",
          name_of("batch norm in training", s));
    CHECK(guarded_unchanged(&x) && guarded_unchanged(&p.gamma) && guarded_unchanged(&p.beta), "%s",
          name_of("batch norm in training", s));
    CHECK(cnv_batch_norm_train_forward(&x.t, &p.gamma.t, &p.beta.t, 1e-3, 0.1, NULL, NULL, &y.t,
                                       &saved.t), "%s", cnv_error());
    judge(name_of("batch norm without statistics", s), &y, &want, &magnitude, 16);
    scratch_free();
}

/* Image i of t, in the same memory. */
static ref_tensor ref_image(const ref_tensor *t, int i)
{
    ref_tensor image = {1, 0, 0, 0, NULL};
    image.c = t->c, image.h = t->h, image.w = t->w;
    image.data = ref_at(t, i, 0, 0, 0);
    return image;
}

/* Instance norm is the batch norm of each image by itself. */
static void check_instance_forward(shape s, double offset, cnv_rng *rng)
{
    norm_params p = norm_params_new(s.c, offset, rng);
    guarded x = filled(s, fill_normal, rng), y = output(s);
    guarded saved = guarded_output(2, s.n * s.c, 1, 1);
    ref_tensor all;
    int i;
    shift(&x, offset);
    all = ref_copy(&x.t);
    CHECK(cnv_instance_norm_forward(&x.t, &p.gamma.t, &p.beta.t, 1e-3, &y.t, &saved.t), "%s",
          cnv_error());
    for (i = 0; i < s.n; i++) {
        ref_tensor image = ref_image(&all, i), want, magnitude;
        guarded part = y;
        part.t = cnv_tensor_image(&y.t, i);
        expect_train(&image, &p, 1e-3, &want, &magnitude);
        CHECK(ref_ratio(&part.t, &want, &magnitude) <= 16, "%s: image %d has an error of %g",
              name_of("instance norm", s), i, ref_ratio(&part.t, &want, &magnitude));
        check_saved(name_of("instance norm", s), &image, 1e-3, saved.t.data + i * s.c,
                    saved.t.data + (s.n + i) * s.c);
    }
    CHECK(guarded_intact(&y) && guarded_intact(&saved), "%s", name_of("instance norm", s));
    CHECK(guarded_unchanged(&x), "%s", name_of("instance norm", s));
    scratch_free();
}

/* dx of the training forms; adds to dgamma and dbeta. */
static ref_tensor expect_train_backward(const ref_tensor *x, const norm_params *p, double eps,
                                        const ref_tensor *dy, int each_image, double *dgamma,
                                        double *dbeta)
{
    ref_tensor dx = ref_new(x->n, x->c, x->h, x->w);
    size_t j, size = ref_size(x) / (size_t)x->n;
    int i;
    if (!each_image) return ref_batch_norm_train_backward(x, p->g, eps, dy, dgamma, dbeta);
    for (i = 0; i < x->n; i++) {
        ref_tensor image = ref_image(x, i), result = ref_image(dy, i), part;
        part = ref_batch_norm_train_backward(&image, p->g, eps, &result, dgamma, dbeta);
        for (j = 0; j < size; j++) dx.data[(size_t)i * size + j] = part.data[j];
    }
    return dx;
}

static ref_tensor constant(const ref_tensor *like, double value)
{
    ref_tensor t = ref_new(like->n, like->c, like->h, like->w);
    size_t i, size = ref_size(&t);
    for (i = 0; i < size; i++) t.data[i] = value;
    return t;
}

typedef struct {
    guarded x, dy, y, saved, dx, dgamma, dbeta;
} train_tensors;

/* The forward pass for `saved`, then the backward pass. */
static int train_call(const train_tensors *at, const norm_params *p, double eps, int each_image)
{
    cnv_tensor y = at->y.t, saved = at->saved.t, dx = at->dx.t;
    cnv_tensor dgamma = at->dgamma.t, dbeta = at->dbeta.t;
    if (each_image)
        return cnv_instance_norm_forward(&at->x.t, &p->gamma.t, &p->beta.t, eps, &y, &saved) &&
            cnv_instance_norm_backward(&at->x.t, &saved, &p->gamma.t, &at->dy.t, &dx, &dgamma,
                                       &dbeta);
    return cnv_batch_norm_train_forward(&at->x.t, &p->gamma.t, &p->beta.t, eps, 0.1, NULL, NULL,
                                        &y, &saved) &&
        cnv_batch_norm_train_backward(&at->x.t, &saved, &p->gamma.t, &at->dy.t, &dx, &dgamma,
                                      &dbeta);
}

/* The magnitudes are generous: dx consists of numbers below 10, the sums of as many as a channel
   has. A wrong formula errs by 0.1 or more, rounding by some eps. */
static void check_train_backward(shape s, int each_image, cnv_rng *rng)
{
    const char *name = name_of(each_image ? "instance norm's dx" : "batch norm's dx", s);
    norm_params p = norm_params_new(s.c, 0, rng);
    train_tensors at;
    ref_tensor x, dy, dx, dgamma, dbeta, size, sums;
    at.x = filled(s, fill_normal, rng), at.dy = filled(s, fill_normal, rng);
    at.y = output(s), at.dx = output(s);
    at.saved = guarded_output(2, each_image ? s.n * s.c : s.c, 1, 1);
    at.dgamma = guarded_output(1, s.c, 1, 1), at.dbeta = guarded_output(1, s.c, 1, 1);
    cnv_tensor_fill(&at.dgamma.t, 3), cnv_tensor_fill(&at.dbeta.t, -2);
    x = ref_copy(&at.x.t), dy = ref_copy(&at.dy.t);
    dgamma = ref_copy(&at.dgamma.t), dbeta = ref_copy(&at.dbeta.t);
    dx = expect_train_backward(&x, &p, 0.5, &dy, each_image, dgamma.data, dbeta.data);
    CHECK(train_call(&at, &p, 0.5, each_image), "%s: %s", name, cnv_error());
    size = constant(&dx, 10), sums = constant(&dgamma, 3.0 + s.n * s.h * s.w);
    judge(name, &at.dx, &dx, &size, 16);
    judge(name, &at.dgamma, &dgamma, &sums, 16);
    judge(name, &at.dbeta, &dbeta, &sums, 16);
    CHECK(each_image ? cnv_instance_norm_backward(&at.x.t, &at.saved.t, &p.gamma.t, &at.dy.t,
                                                  &at.dx.t, NULL, NULL)
                     : cnv_batch_norm_train_backward(&at.x.t, &at.saved.t, &p.gamma.t, &at.dy.t,
                                                     &at.dx.t, NULL, NULL), "%s", cnv_error());
    judge(name, &at.dx, &dx, &size, 16);
    CHECK(guarded_unchanged(&at.x) && guarded_unchanged(&at.dy) && guarded_unchanged(&p.gamma),
          "%s", name);
    scratch_free();
}

static void check_normalize(shape s, cnv_rng *rng)
{
    norm_params p = norm_params_new(s.c, 0.5, rng);
    guarded x = filled(s, fill_normal, rng), y = output(s), dx = output(s);
    ref_tensor image = ref_copy(&x.t), size = ref_absolute(&image), want, magnitude, want_dx;
    double *zero = ref_new(1, s.c, 1, 1).data, *one = ref_new(1, s.c, 1, 1).data;
    cnv_real *std = (cnv_real *)scratch((size_t)s.c * sizeof *std);
    int c;
    for (c = 0; c < s.c; c++) std[c] = (cnv_real)sqrt(p.v[c]);
    for (c = 0; c < s.c; c++) one[c] = 1, p.v[c] = (double)std[c] * (double)std[c];
    want = ref_batch_norm(&image, one, zero, p.m, p.v, 0);
    magnitude = ref_batch_norm(&size, one, zero, p.abs_m, p.v, 0);
    CHECK(cnv_normalize_forward(&x.t, p.mean.t.data, std, &y.t), "%s", cnv_error());
    judge(name_of("normalize", s), &y, &want, &magnitude, 16);
    want_dx = ref_batch_norm(&image, one, zero, zero, p.v, 0);
    magnitude = ref_absolute(&want_dx);
    CHECK(cnv_normalize_backward(&x.t, std, &dx.t), "%s", cnv_error());
    judge(name_of("normalize's dx", s), &dx, &want_dx, &magnitude, 16);
    CHECK(guarded_unchanged(&x) && guarded_unchanged(&p.mean), "%s", name_of("normalize", s));
    scratch_free();
}

/* alpha is large, so that the neighbours matter; the magnitude of dx is dx with all terms added. */
static void check_response_norm(shape s, int size, cnv_rng *rng)
{
    const double alpha = 0.7, beta = 0.75, k = 1.5;
    guarded x = filled(s, fill_normal, rng), dy = filled(s, fill_normal, rng);
    guarded y = output(s), scale = output(s), dx = output(s);
    ref_tensor image = ref_copy(&x.t), dresult = ref_copy(&dy.t), want = ref_copy(&x.t);
    ref_tensor want_scale = ref_response_scale(&image, size, alpha, k), magnitude, dmagnitude;
    ref_tensor want_dx = ref_response_backward(&image, &want_scale, size, alpha, beta, &dresult);
    ref_tensor abs_x = ref_absolute(&image), abs_dy = ref_absolute(&dresult);
    size_t i, count = ref_size(&want);
    for (i = 0; i < count; i++) want.data[i] *= pow(want_scale.data[i], -beta);
    magnitude = ref_absolute(&want);
    dmagnitude = ref_response_backward(&abs_x, &want_scale, size, -alpha, beta, &abs_dy);
    CHECK(cnv_local_response_norm_forward(&x.t, size, alpha, beta, k, &y.t, &scale.t), "%s",
          cnv_error());
    judge(name_of("response norm", s), &y, &want, &magnitude, 16);
    judge(name_of("response norm's scale", s), &scale, &want_scale, &want_scale, 16);
    guarded_seal(&scale);
    CHECK(cnv_local_response_norm_backward(&x.t, &scale.t, size, alpha, beta, &dy.t, &dx.t), "%s",
          cnv_error());
    judge(name_of("response norm's dx", s), &dx, &want_dx, &dmagnitude, 16);
    CHECK(guarded_unchanged(&x) && guarded_unchanged(&dy) && guarded_unchanged(&scale), "%s",
          name_of("response norm", s));
    scratch_free();
}

/* ---- Softmax and cross entropy ---- */

/* dx = y * (dy + sign * sum over j of dy[j] * y[j]). The true sign is -1; +1 gives magnitudes. */
static ref_tensor softmax_backward(const ref_tensor *y, const ref_tensor *dy, double sign)
{
    ref_tensor dx = ref_new(y->n, y->c, y->h, y->w);
    int n, c, row, column;
    for (n = 0; n < y->n; n++)
        for (row = 0; row < y->h; row++)
            for (column = 0; column < y->w; column++) {
                double sum = 0;
                for (c = 0; c < y->c; c++)
                    sum += *ref_at(y, n, c, row, column) * *ref_at(dy, n, c, row, column);
                for (c = 0; c < y->c; c++)
                    *ref_at(&dx, n, c, row, column) = *ref_at(y, n, c, row, column) *
                        (*ref_at(dy, n, c, row, column) + sign * sum);
            }
    return dx;
}

/* The error of exp(x - max) is |x - max| eps, at most some 40 here. */
static void check_softmax(shape s, cnv_rng *rng)
{
    guarded x = filled(s, fill_wide, rng), dy = filled(s, fill_normal, rng), y = output(s);
    guarded dx = output(s);
    ref_tensor image = ref_copy(&x.t), want = ref_softmax(&image), magnitude = ref_copy(&x.t);
    ref_tensor got, dresult = ref_copy(&dy.t), size = ref_absolute(&dresult), want_dx, dmagnitude;
    size_t i, count = ref_size(&want);
    for (i = 0; i < count; i++) magnitude.data[i] = 5 * want.data[i] + 1e-37;
    CHECK(cnv_softmax_forward(&x.t, &y.t), "%s", cnv_error());
    judge(name_of("softmax", s), &y, &want, &magnitude, 16);
    guarded_seal(&y);
    got = ref_copy(&y.t);
    want_dx = softmax_backward(&got, &dresult, -1);
    dmagnitude = softmax_backward(&got, &size, 1);
    CHECK(cnv_softmax_backward(&y.t, &dy.t, &dx.t), "%s", cnv_error());
    judge(name_of("softmax's dx", s), &dx, &want_dx, &dmagnitude, 16);
    CHECK(guarded_unchanged(&x) && guarded_unchanged(&y) && guarded_unchanged(&dy), "%s",
          name_of("softmax", s));
    scratch_free();
}

/* Also with logits so far apart that a probability underflows: the loss must stay finite. */
static void check_cross_entropy(int n, int classes, double spread, cnv_rng *rng)
{
    guarded logits = guarded_filled(n, classes, 1, 1, fill_normal, rng);
    guarded dlogits = guarded_output(n, classes, 1, 1);
    int *labels = (int *)scratch((size_t)n * sizeof(int)), i, c;
    double loss = -1, same = -1, want_loss = 0;
    ref_tensor image, want, size;
    for (i = 0; i < n * classes; i++) logits.t.data[i] *= (cnv_real)spread;
    guarded_seal(&logits);
    image = ref_copy(&logits.t), want = ref_softmax(&image), size = constant(&want, 1.0 / n);
    for (i = 0; i < n; i++) {
        double most = -HUGE_VAL, sum = 0;
        labels[i] = pick(rng, 0, classes - 1);
        for (c = 0; c < classes; c++) most = fmax(most, *ref_at(&image, i, c, 0, 0));
        for (c = 0; c < classes; c++) sum += exp(*ref_at(&image, i, c, 0, 0) - most);
        want_loss += (most + log(sum) - *ref_at(&image, i, labels[i], 0, 0)) / n;
        *ref_at(&want, i, labels[i], 0, 0) -= 1;
    }
    for (i = 0; i < n * classes; i++) want.data[i] /= n, size.data[i] *= 1 + spread;
    CHECK(cnv_cross_entropy(&logits.t, labels, &loss, &dlogits.t), "%s", cnv_error());
    CHECK(cnv_cross_entropy(&logits.t, labels, &same, NULL), "%s", cnv_error());
    CHECK(fabs(loss - want_loss) <= 16 * (double)FLT_EPSILON * (1 + 4 * spread),
          "%s: cross entropy %.9g, expected %.9g", cnv_using(), loss, want_loss);
    CHECK(same == loss, "%.17g without gradient, %.17g with", same, loss);
    judge("cross entropy's gradient", &dlogits, &want, &size, 16);
    CHECK(guarded_unchanged(&logits), "cross entropy of %d x %d", n, classes);
    scratch_free();
}

/* ---- Concatenation, upsampling, reflection, dropout ---- */

/* Parts of 1, 2, 3, ... channels, and back again. */
static void check_concat(int count, int n, int h, int w, cnv_rng *rng)
{
    guarded x[5], dx, y = guarded_output(n, count * (count + 1) / 2, h, w), dy;
    const cnv_tensor *inputs[5];
    size_t bytes = (size_t)(h * w) * sizeof(cnv_real);
    int i, k, first = 0;
    for (i = 0; i < count; i++) x[i] = guarded_filled(n, i + 1, h, w, fill_normal, rng);
    for (i = 0; i < count; i++) inputs[i] = &x[i].t;
    dy = guarded_filled(n, y.t.c, h, w, fill_normal, rng);
    CHECK(cnv_concat_forward(inputs, count, &y.t), "%s", cnv_error());
    for (i = 0; i < count; i++) {
        dx = guarded_output(n, i + 1, h, w);
        CHECK(cnv_concat_backward(&dy.t, first, &dx.t), "%s", cnv_error());
        for (k = 0; k < n * (i + 1); k++) {
            int image = k / (i + 1), channel = k % (i + 1);
            cnv_tensor from = cnv_tensor_channel(&x[i].t, image, channel);
            cnv_tensor to = cnv_tensor_channel(&y.t, image, first + channel);
            cnv_tensor back = cnv_tensor_channel(&dy.t, image, first + channel);
            cnv_tensor got = cnv_tensor_channel(&dx.t, image, channel);
            CHECK(!memcmp(from.data, to.data, bytes), "concat input %d of %d", i, count);
            CHECK(!memcmp(back.data, got.data, bytes), "concat gradient %d of %d", i, count);
        }
        CHECK(guarded_intact(&dx) && guarded_unchanged(&x[i]), "concat input %d", i);
        first += i + 1;
    }
    CHECK(guarded_intact(&y) && guarded_unchanged(&dy), "concat");
    scratch_free();
}

static void check_upsample(shape s, int factor, cnv_rng *rng)
{
    shape big = shape_of(s.n, s.c, s.h * factor, s.w * factor);
    guarded x = filled(s, fill_integers, rng), dy = filled(big, fill_integers, rng);
    guarded y = output(big), dx = output(s);
    ref_tensor image = ref_copy(&x.t), want = ref_new(big.n, big.c, big.h, big.w);
    ref_tensor dresult = ref_copy(&dy.t), want_dx = ref_new(s.n, s.c, s.h, s.w);
    ref_upsample(&image, factor, &want, 0);
    ref_upsample(&want_dx, factor, &dresult, 1);
    CHECK(cnv_upsample_forward(&x.t, factor, &y.t), "%s", cnv_error());
    CHECK(cnv_upsample_backward(&dy.t, factor, &dx.t), "%s", cnv_error());
    judge(name_of("upsample", s), &y, &want, NULL, 0);
    judge(name_of("upsample's dx", s), &dx, &want_dx, NULL, 0);
    CHECK(guarded_unchanged(&x) && guarded_unchanged(&dy), "%s", name_of("upsample", s));
    scratch_free();
}

static void check_reflect_pad(shape s, int pad, cnv_rng *rng)
{
    shape big = shape_of(s.n, s.c, s.h + 2 * pad, s.w + 2 * pad);
    guarded x = filled(s, fill_integers, rng), dy = filled(big, fill_integers, rng);
    guarded y = output(big), dx = output(s);
    ref_tensor image = ref_copy(&x.t), want = ref_new(big.n, big.c, big.h, big.w);
    ref_tensor dresult = ref_copy(&dy.t), want_dx = ref_new(s.n, s.c, s.h, s.w);
    ref_reflect_pad(&image, pad, &want, 0);
    ref_reflect_pad(&want_dx, pad, &dresult, 1);
    CHECK(cnv_reflect_pad_forward(&x.t, pad, &y.t), "%s", cnv_error());
    CHECK(cnv_reflect_pad_backward(&dy.t, pad, &dx.t), "%s", cnv_error());
    judge(name_of("reflect pad", s), &y, &want, NULL, 0);
    judge(name_of("reflect pad's dx", s), &dx, &want_dx, NULL, 0);
    CHECK(guarded_unchanged(&x) && guarded_unchanged(&dy), "%s", name_of("reflect pad", s));
    scratch_free();
}

/* The mask is 0 or 1/(1-p), its zeros about p of all; y and dx are exact products with it. */
static void check_dropout(shape s, double p, cnv_rng *rng)
{
    guarded x = filled(s, fill_normal, rng), dy = filled(s, fill_normal, rng);
    guarded y = output(s), mask = output(s), dx = output(s);
    cnv_real kept = (cnv_real)(1 / (1 - p));
    size_t i, size = cnv_tensor_size(&x.t), zeros = 0;
    double deviation = sqrt(p * (1 - p) * (double)size), wrong = 0;
    CHECK(cnv_dropout_forward(&x.t, p, rng, &y.t, &mask.t), "%s", cnv_error());
    guarded_seal(&mask);
    CHECK(cnv_dropout_backward(&dy.t, &mask.t, &dx.t), "%s", cnv_error());
    for (i = 0; i < size; i++) {
        cnv_real m = mask.t.data[i];
        zeros += m == 0;
        wrong += m != 0 && fabs((double)(m - kept)) > (double)(kept * FLT_EPSILON);
        wrong += y.t.data[i] != x.t.data[i] * m || dx.t.data[i] != dy.t.data[i] * m;
    }
    CHECK(wrong == 0, "%s: %g wrong numbers", name_of("dropout", s), wrong);
    CHECK(fabs((double)zeros - p * (double)size) <= 5 * deviation + 1e-9, "%s: %g of %g dropped",
          name_of("dropout", s), (double)zeros, (double)size);
    CHECK(guarded_intact(&y) && guarded_intact(&dx) && guarded_unchanged(&mask) &&
          guarded_unchanged(&x) && guarded_unchanged(&dy), "%s", name_of("dropout", s));
    scratch_free();
}

/* ---- Adjoints: <f(x), y> = <x, backward(y)> ---- */

static double dot(const cnv_tensor *a, const cnv_tensor *b)
{
    double sum = 0;
    size_t i, size = cnv_tensor_size(a);
    for (i = 0; i < size; i++) sum += (double)a->data[i] * (double)b->data[i];
    return sum;
}

/* Numbers of at most 3 and 2^k terms: forward and backward agree exactly, or with averages over
   other counts up to rounding. */
static void check_adjoint(const char *op, const guarded *x, const guarded *fx, const guarded *dy,
                          const guarded *dx, int exact)
{
    double forward = dot(&fx->t, &dy->t), backward = dot(&x->t, &dx->t);
    double terms = 9.0 * (double)cnv_tensor_size(&dy->t);
    double allowed = exact ? 0 : 16 * (double)FLT_EPSILON * terms;
    CHECK(fabs(forward - backward) <= allowed, "%s: %s: %.17g and %.17g", cnv_using(), op, forward,
          backward);
    scratch_free();
}

/* The tensors of one identity: x and fx = f(x), dy and dx = backward(dy). */
static guarded t_x, t_fx, t_dy, t_dx;

static void adjoint_tensors(shape from, shape to, cnv_rng *rng)
{
    t_x = filled(from, fill_integers, rng), t_dx = output(from);
    t_dy = filled(to, fill_integers, rng), t_fx = output(to);
}

static void check_adjoints(cnv_rng *rng)
{
    shape s = random_shape(rng, 3, 5, 6, 32);
    cnv_window win = cnv_square(2, pick(rng, 1, 3), 0);
    int factor = pick(rng, 1, 4), pad = pick(rng, 0, 3), p = pick(rng, 1, 9), q = pick(rng, 1, 9);
    int even;
    s.h += 3, s.w += 3;
    for (even = 0; even < 2; even++) {
        win.kernel_w = 4 - even, win.pad_left = 1 - even;
        adjoint_tensors(s, shape_of(s.n, s.c, ref_p(&win, s.h), ref_q(&win, s.w)), rng);
        cnv_avg_pool_forward(&t_x.t, &win, !even, &t_fx.t);
        cnv_avg_pool_backward(&t_dy.t, &win, !even, &t_dx.t);
        check_adjoint("avg pool", &t_x, &t_fx, &t_dy, &t_dx, !even);
    }
    adjoint_tensors(s, shape_of(s.n, s.c, p, q), rng);
    cnv_adaptive_avg_pool_forward(&t_x.t, p, q, &t_fx.t);
    cnv_adaptive_avg_pool_backward(&t_dy.t, &t_dx.t);
    check_adjoint("adaptive pool", &t_x, &t_fx, &t_dy, &t_dx, 0);
    adjoint_tensors(s, shape_of(s.n, s.c, s.h * factor, s.w * factor), rng);
    cnv_upsample_forward(&t_x.t, factor, &t_fx.t);
    cnv_upsample_backward(&t_dy.t, factor, &t_dx.t);
    check_adjoint("upsample", &t_x, &t_fx, &t_dy, &t_dx, 1);
    adjoint_tensors(s, shape_of(s.n, s.c, s.h + 2 * pad, s.w + 2 * pad), rng);
    cnv_reflect_pad_forward(&t_x.t, pad, &t_fx.t);
    cnv_reflect_pad_backward(&t_dy.t, pad, &t_dx.t);
    check_adjoint("reflect pad", &t_x, &t_fx, &t_dy, &t_dx, 1);
}

/* ---- The reference itself, against numbers worked out by hand ---- */

/* 1 5 5 2     2x2 windows, stride 2, pad 1 left and top, ceil_mode: windows start in rows -1, 1 and
   NaN 3 3 NaN columns -1, 1, 3. The window at (1,3) reaches beyond the right border. */
static void check_reference_pools(void)
{
    double pixels[8] = {1, 5, 5, 2, (double)NAN, 3, 3, (double)NAN};
    double places[6] = {0, 1, 3, 4, 5, 7}, means[6] = {0.25, 2.5, 1, 0, 0, 0};
    ref_tensor x = {1, 1, 2, 4, pixels}, y, switches, average = ref_new(1, 1, 2, 3);
    cnv_window win = cnv_square(2, 2, 0);
    int i;
    win.pad_left = win.pad_top = win.ceil_mode = 1;
    ref_max_pool_forward(&x, &win, &y, &switches);
    CHECK(y.h == 2 && y.w == 3, "%d x %d", y.h, y.w);
    for (i = 0; i < 6; i++) CHECK(switches.data[i] == places[i], "%d: %g", i, switches.data[i]);
    CHECK(y.data[0] == 1 && y.data[1] == 5 && y.data[2] == 2 && y.data[4] == 3, "values");
    CHECK(y.data[3] != y.data[3] && y.data[5] != y.data[5], "NaN wins");
    for (i = 4; i < 8; i++) pixels[i] = 0;
    ref_avg_pool(&x, &win, 1, &average, 0);
    for (i = 0; i < 6; i++) CHECK(average.data[i] == means[i], "%d: %g", i, average.data[i]);
    ref_avg_pool(&x, &win, 0, &average, 0);
    CHECK(average.data[0] == 1 && average.data[1] == 5 && average.data[2] == 2, "without padding");
    scratch_free();
}

/* 5 columns into 2: columns 0..2 and 2..4, column 2 in both. */
static void check_reference_adaptive(void)
{
    double pixels[5] = {1, 2, 3, 4, 8};
    ref_tensor x = {1, 1, 1, 5, pixels}, y = ref_new(1, 1, 1, 2);
    ref_adaptive_avg_pool(&x, &y, 0);
    CHECK(fabs(y.data[0] - 2) < 1e-15, "%.17g", y.data[0]);
    CHECK(fabs(y.data[1] - 5) < 1e-15, "%.17g", y.data[1]);
    scratch_free();
}

/* ---- All of it, over all tails ---- */

static void check_elementwise(shape s, cnv_rng *rng)
{
    check_relu(s, fill_integers, rng);
    check_relu(s, fill_wild, rng);
    check_add(s, rng);
    check_curve("sigmoid", s, sigmoid, sigmoid_slope, cnv_sigmoid_forward, cnv_sigmoid_backward,
                rng);
    check_curve("tanh", s, tanh, tanh_slope, cnv_tanh_forward, cnv_tanh_backward, rng);
    check_dropout(s, 0.3, rng);
    check_dropout(s, 0, rng);
    check_softmax(s, rng);
    check_normalize(s, rng);
    check_batch_norm(s, 0, rng);
    check_batch_norm(s, 1000, rng);
}

static void check_neighbourhoods(shape s, cnv_rng *rng)
{
    int size, p = pick(rng, 1, 9), q = pick(rng, 1, 9);
    for (size = 1; size <= 6; size++) check_response_norm(s, size, rng);
    if (s.n * s.h * s.w > 1) {
        check_train_forward(s, 0, rng), check_train_forward(s, 1000, rng);
        check_train_backward(s, 0, rng);
    }
    check_instance_forward(s, 0, rng), check_instance_forward(s, 1000, rng);
    check_train_backward(s, 1, rng);
    check_adaptive(s, 1, 1, rng);
    check_adaptive(s, p, q, rng);
    check_upsample(s, pick(rng, 1, 5), rng);
    check_reflect_pad(s, pick(rng, 0, s.h < s.w ? s.h - 1 : s.w - 1), rng);
    check_concat(pick(rng, 1, 5), s.n, s.h, s.w, rng);
    check_cross_entropy(s.n, s.w + 1, 3, rng);
    check_cross_entropy(s.n, s.w + 1, 300, rng);
    check_adjoints(rng);
}

static void sweep(void)
{
    cnv_rng rng = cnv_rng_seed(13);
    int size;
    for (size = 1; size <= 70; size++) {
        check_elementwise(shape_of(1, 1, 1, size), &rng);
        check_elementwise(shape_of(1 + size % 3, size, 1 + size % 2, 1 + size % 5), &rng);
    }
    check_elementwise(shape_of(2, 16, 13, 17), &rng);
    for (size = 1; size <= 33; size++) {
        check_neighbourhoods(shape_of(1 + size % 3, 3, 1 + size % 4, size), &rng);
        check_neighbourhoods(shape_of(2, size, 2, 3), &rng);
    }
    check_neighbourhoods(shape_of(2, 16, 13, 17), &rng);
}

int main(void)
{
    int i;
    find_instruction_sets();
    check_reference_pools();
    check_reference_adaptive();
    for (i = 0; i < set_count; i++) {
        cnv_use(sets[i]);
        sweep_common_pools();
        check_last_pixels();
        check_foreign_switches();
        check_random_pools(1500);
        check_uniform_pools();
        sweep();
        check_curve_ends();
        check_long_dot();
    }
    return check_report();
}
