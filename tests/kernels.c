/* Proves that convolution, the linear layer, im2col and col2im compute what their formulas say,
   with every instruction set of this CPU, whatever the sizes.

   How: with small whole numbers in the tensors every sum is exact in float, so the library must
   agree with the plain loops of reference.h number for number, in whatever order it adds. Sizes
   sweep over every tail of a vector and across the edges of blocks; strides, pads, dilations,
   groups and kernels over all small values, then at random. Canaries around the outputs, NaN around
   the inputs. Then: random real numbers against the rounding error that theory allows, forward and
   backward as adjoints of one another, and a batch against its images one by one. */
#define CNV__LARGE 3000 /* filters that Winograd does not keep: else too many to test */
#define CNV__WORTH 0    /* and that it is used for however few */
#define CNV__SHARED_WORK 20000 /* work that threads share, too */
#define CNV__BLOCK 4096u
#define CNNVIS_STATIC
#define CNNVIS_IMPLEMENTATION
#include "../cnnvis.h"

#include "check.h"
#include "guarded.h"
#include "reference.h"

typedef struct {
    int n, c, h, w, k;
    cnv_window win;
    int groups, bias;
    int linear; /* call cnv_linear_*: the kernel covers the image, so P = Q = 1 */
} conv_case;

static const char *conv_name(const conv_case *c)
{
    static char text[256];
    const cnv_window *win = &c->win;
    snprintf(text, sizeof text,
             "%s: %s x %d,%d,%d,%d K %d kernel %dx%d stride %d,%d dilation %d,%d "
             "pad t%d l%d b%d r%d groups %d%s", cnv_using(), c->linear ? "linear" : "conv", c->n,
             c->c, c->h, c->w, c->k, win->kernel_h, win->kernel_w, win->stride_h, win->stride_w,
             win->dilation_h, win->dilation_w, win->pad_top, win->pad_left, win->pad_bottom,
             win->pad_right, c->groups, c->bias ? " bias" : "");
    return text;
}

static conv_case square_case(int n, int c, int h, int w, int k, int kernel, int stride, int pad)
{
    conv_case made = {0};
    made.n = n, made.c = c, made.h = h, made.w = w, made.k = k;
    made.win = cnv_square(kernel, stride, pad);
    made.groups = made.bias = 1;
    return made;
}

static conv_case linear_case(int n, int c, int h, int w, int out)
{
    conv_case made = square_case(n, c, h, w, out, 1, 1, 0);
    made.win.kernel_h = h;
    made.win.kernel_w = w;
    made.linear = 1;
    return made;
}

/* ---- The inputs of a case and what must come out ---- */

typedef struct {
    guarded x, weight, bias, dy;
    guarded dweight, dbias;  /* what the gradients of the parameters hold before */
} conv_inputs;

static conv_inputs conv_inputs_new(const conv_case *c, filler fill, cnv_rng *rng)
{
    conv_inputs in;
    int cg = c->c / c->groups, r = c->win.kernel_h, s = c->win.kernel_w;
    in.x = guarded_filled(c->n, c->c, c->h, c->w, fill, rng);
    in.weight = guarded_filled(c->k, cg, r, s, fill, rng);
    in.dweight = guarded_filled(c->k, cg, r, s, fill, rng);
    in.bias = guarded_filled(1, c->k, 1, 1, fill, rng);
    in.dbias = guarded_filled(1, c->k, 1, 1, fill, rng);
    in.dy = guarded_filled(c->n, c->k, ref_p(&c->win, c->h), ref_q(&c->win, c->w), fill, rng);
    return in;
}

static int conv_inputs_unchanged(const conv_inputs *in)
{
    return guarded_unchanged(&in->x) && guarded_unchanged(&in->weight) &&
        guarded_unchanged(&in->bias) && guarded_unchanged(&in->dy);
}

typedef struct {
    ref_tensor y, dx, dweight, dbias;
} conv_expected;

/* The results; or with `absolute`, the yardstick of their rounding errors. */
static conv_expected conv_expect(const conv_case *c, const conv_inputs *in, int absolute)
{
    const guarded *from[6];
    ref_tensor t[6]; /* x, weight, bias, dy, dweight, dbias */
    conv_expected e;
    int i;
    from[0] = &in->x, from[1] = &in->weight, from[2] = &in->bias;
    from[3] = &in->dy, from[4] = &in->dweight, from[5] = &in->dbias;
    for (i = 0; i < 6; i++) {
        t[i] = ref_copy(&from[i]->t);
        if (absolute) t[i] = ref_absolute(&t[i]);
    }
    e.y = ref_conv2d_forward(&t[0], &t[1], c->bias ? &t[2] : NULL, &c->win, c->groups);
    e.dx = ref_conv2d_backward_data(&t[3], &t[1], &c->win, c->groups, c->h, c->w);
    ref_conv2d_backward_weights(&t[0], &t[3], &c->win, c->groups, &t[4], &t[5]);
    e.dweight = t[4];
    e.dbias = t[5];
    return e;
}

/* ---- What the library makes of it ---- */

typedef struct {
    guarded y, dx, dweight, dbias;
} conv_results;

static conv_results conv_results_new(const conv_case *c, const conv_inputs *in)
{
    const cnv_tensor *w = &in->weight.t;
    conv_results out;
    out.y = guarded_output(in->dy.t.n, in->dy.t.c, in->dy.t.h, in->dy.t.w);
    out.dx = guarded_output(c->n, c->c, c->h, c->w);
    out.dweight = guarded_output(w->n, w->c, w->h, w->w);
    out.dbias = guarded_output(1, c->k, 1, 1);
    cnv_tensor_copy(&in->dweight.t, &out.dweight.t);
    cnv_tensor_copy(&in->dbias.t, &out.dbias.t);
    return out;
}

static int conv_call(const conv_case *c, const conv_inputs *in, conv_results *out,
                     cnv_workspace *ws)
{
    const cnv_tensor *x = &in->x.t, *dy = &in->dy.t, *bias = c->bias ? &in->bias.t : NULL;
    cnv_tensor *dbias = c->bias ? &out->dbias.t : NULL;
    return cnv_conv2d_forward(x, &in->weight.t, bias, &c->win, c->groups, &out->y.t, ws) &&
        cnv_conv2d_backward_data(dy, &in->weight.t, &c->win, c->groups, &out->dx.t, ws) &&
        cnv_conv2d_backward_weights(x, dy, &c->win, c->groups, &out->dweight.t, dbias, ws);
}

static int linear_call(const conv_case *c, const conv_inputs *in, conv_results *out,
                       cnv_workspace *ws)
{
    const cnv_tensor *x = &in->x.t, *dy = &in->dy.t, *bias = c->bias ? &in->bias.t : NULL;
    cnv_tensor *dbias = c->bias ? &out->dbias.t : NULL;
    int fan_in = c->c * c->h * c->w;
    cnv_tensor weight = cnv_tensor_view(in->weight.t.data, c->k, fan_in, 1, 1);
    cnv_tensor dweight = cnv_tensor_view(out->dweight.t.data, c->k, fan_in, 1, 1);
    return cnv_linear_forward(x, &weight, bias, &out->y.t, ws) &&
        cnv_linear_backward_data(dy, &weight, &out->dx.t, ws) &&
        cnv_linear_backward_weights(x, dy, &dweight, dbias, ws);
}

/* All three directions. Every other call brings a workspace that keeps the last case's rubbish. */
static conv_results conv_run(const conv_case *c, const conv_inputs *in)
{
    static cnv_workspace kept;
    static int calls;
    cnv_workspace *ws = calls++ / set_count % 2 ? &kept : NULL;
    conv_results out = conv_results_new(c, in);
    int ok = c->linear ? linear_call(c, in, &out, ws) : conv_call(c, in, &out, ws);
    CHECK(ok, "%s: %s", conv_name(c), cnv_error());
    CHECK(conv_inputs_unchanged(in), "%s", conv_name(c));
    CHECK(guarded_intact(&out.y), "%s", conv_name(c));
    CHECK(guarded_intact(&out.dx), "%s", conv_name(c));
    CHECK(guarded_intact(&out.dweight), "%s", conv_name(c));
    CHECK(guarded_intact(&out.dbias), "%s", conv_name(c));
    return out;
}

/* ---- Whole numbers: exactly the reference ---- */

static void check_equal(const conv_case *c, const char *what, const guarded *got,
                        const ref_tensor *want)
{
    const char *difference = ref_difference(&got->t, want);
    CHECK(!difference, "%s: %s %s", conv_name(c), what, difference);
}

static void check_exact(const conv_case *c)
{
    static cnv_rng rng;
    conv_inputs in = conv_inputs_new(c, fill_integers, &rng);
    conv_expected e = conv_expect(c, &in, 0);
    int i;
    for (i = 0; i < set_count; i++) {
        conv_results out;
        cnv_use(sets[i]);
        out = conv_run(c, &in);
        check_equal(c, "y", &out.y, &e.y);
        check_equal(c, "dx", &out.dx, &e.dx);
        check_equal(c, "dweight", &out.dweight, &e.dweight);
        if (c->bias) check_equal(c, "dbias", &out.dbias, &e.dbias);
    }
    scratch_free();
}

/* Each of N C H W K in turn over 1..33, for some ordinary windows; depthwise too. */
static void sweep_tails(void)
{
    static const int windows[5][3] = {{1, 1, 0}, {3, 1, 1}, {3, 2, 1}, {2, 2, 0}, {5, 1, 2}};
    int i, which, size;
    for (i = 0; i < 5; i++)
        for (which = 0; which < 6; which++)
            for (size = 1; size <= 33; size++) {
                conv_case c = square_case(2, 3, 5, 6, 4, windows[i][0], windows[i][1],
                                          windows[i][2]);
                if (which == 0) c.n = size;
                if (which == 1) c.c = size;
                if (which == 2) c.h = size;
                if (which == 3) c.w = size;
                if (which == 4) c.k = size;
                if (which == 5) c.groups = c.c = c.k = size;
                c.bias = size % 2;
                if (c.h >= c.win.kernel_h && c.w >= c.win.kernel_w) check_exact(&c);
            }
}

/* Every kernel, stride, dilation and pad up to 7, 5, 5, 5, on images where windows hang over the
   border on all sides and the last pixels may be read by no window. */
static void sweep_windows(void)
{
    cnv_rng rng = cnv_rng_seed(1);
    int kernel, stride, dilation, pad;
    for (kernel = 1; kernel <= 7; kernel++)
        for (stride = 1; stride <= 5; stride++)
            for (dilation = 1; dilation <= 5; dilation++)
                for (pad = 0; pad <= 5; pad++) {
                    conv_case c = square_case(1, 2, 0, 0, 3, kernel, stride, pad);
                    int least = dilation * (kernel - 1) + 1 - 2 * pad;
                    if (least < 1) least = 1;
                    c.win.dilation_h = c.win.dilation_w = dilation;
                    c.h = least + pick(&rng, 0, 2 * stride);
                    c.w = least + pick(&rng, 0, 5 * stride);
                    check_exact(&c);
                }
}

/* The least image height or width that gives `outputs`, and a few pixels more. */
static int image_length(cnv_rng *rng, int outputs, int kernel, int stride, int dilation, int pads)
{
    int length = (outputs - 1) * stride + dilation * (kernel - 1) + 1 - pads;
    return (length < 1 ? 1 : length) + pick(rng, 0, stride - 1);
}

static conv_case random_case(cnv_rng *rng)
{
    conv_case c = square_case(pick(rng, 1, 5), 0, 0, 0, 0, 1, 1, 0);
    cnv_window *win = &c.win;
    int depthwise = pick(rng, 0, 3) == 0;
    c.groups = pick(rng, 0, 1) ? pick(rng, 1, 5) : 1;
    c.c = c.groups * (depthwise ? 1 : pick(rng, 1, pick(rng, 0, 1) ? 7 : 24));
    c.k = c.groups * pick(rng, 1, c.groups == 1 ? 20 : 7);
    c.bias = pick(rng, 0, 1);
    win->kernel_h = pick(rng, 1, 7), win->kernel_w = pick(rng, 1, 7);
    win->stride_h = pick(rng, 1, 5), win->stride_w = pick(rng, 1, 5);
    win->dilation_h = pick(rng, 1, 5), win->dilation_w = pick(rng, 1, 5);
    win->pad_top = pick(rng, 0, 5), win->pad_left = pick(rng, 0, 5);
    win->pad_bottom = pick(rng, 0, 5), win->pad_right = pick(rng, 0, 5);
    c.h = image_length(rng, pick(rng, 1, 6), win->kernel_h, win->stride_h, win->dilation_h,
                       win->pad_top + win->pad_bottom);
    c.w = image_length(rng, pick(rng, 1, 40), win->kernel_w, win->stride_w, win->dilation_w,
                       win->pad_left + win->pad_right);
    return c;
}

static double multiplications(const conv_case *c)
{
    double taps = (double)c->win.kernel_h * c->win.kernel_w * c->c / c->groups;
    return taps * c->n * c->k * ref_p(&c->win, c->h) * ref_q(&c->win, c->w);
}

static void check_random(int count)
{
    cnv_rng rng = cnv_rng_seed(2);
    while (count) {
        conv_case c = random_case(&rng);
        if (multiplications(&c) > 100000) continue;
        check_exact(&c);
        count--;
    }
}

/* Sizes at which a matrix product changes its ways: the sum (C*R*S, or N*P*Q for the weights), the
   filters and the outputs cross the edges of register tiles and of cache blocks. */
static void check_block_edges(void)
{
    static const int edges[][8] = { /* N, C, H, W, K, kernel, stride, pad */
        {1, 255, 5, 7, 7, 1, 1, 0},   {1, 256, 5, 7, 15, 1, 1, 0},  {1, 257, 5, 7, 17, 1, 1, 0},
        {1, 258, 4, 9, 6, 1, 1, 0},   {1, 259, 4, 4, 13, 1, 1, 0},  {1, 260, 3, 11, 8, 1, 1, 0},
        {1, 511, 3, 11, 14, 1, 1, 0}, {1, 512, 2, 16, 12, 1, 1, 0}, {1, 513, 3, 11, 29, 1, 1, 0},
        {1, 514, 1, 33, 6, 1, 1, 0},  {1, 515, 2, 17, 5, 1, 1, 0},  {1, 57, 9, 9, 25, 3, 1, 1},
        {1, 3, 20, 25, 13, 3, 1, 1},  {1, 3, 23, 29, 7, 3, 1, 1},   {1, 2, 32, 32, 15, 3, 1, 1},
        {1, 2, 33, 31, 14, 2, 1, 0},  {1, 2, 25, 44, 9, 3, 1, 1},   {2, 2, 37, 31, 6, 1, 1, 0},
        {1, 13, 5, 9, 63, 3, 1, 1},   {1, 13, 5, 9, 64, 3, 1, 1},   {1, 13, 5, 9, 65, 3, 1, 1},
        {1, 13, 5, 9, 95, 3, 1, 1},   {1, 13, 5, 9, 97, 3, 1, 1},   {1, 5, 5, 9, 127, 3, 1, 1},
        {1, 5, 5, 9, 128, 3, 1, 1},   {1, 5, 5, 9, 129, 3, 1, 1},   {1, 63, 6, 16, 63, 3, 1, 1},
        {1, 65, 7, 19, 33, 3, 1, 1},  {3, 128, 4, 4, 97, 1, 1, 0},  {1, 57, 24, 23, 65, 3, 1, 1},
        {1, 3, 67, 71, 33, 11, 4, 2}, {1, 3, 45, 43, 40, 7, 2, 3},  {1, 16, 14, 14, 32, 5, 1, 2},
        {5, 96, 1, 1, 130, 1, 1, 0},  {1, 9, 66, 65, 12, 3, 2, 1},  {2, 31, 16, 33, 17, 2, 2, 0},
    };
    size_t i;
    for (i = 0; i < sizeof edges / sizeof *edges; i++) {
        const int *e = edges[i];
        conv_case c = square_case(e[0], e[1], e[2], e[3], e[4], e[5], e[6], e[7]);
        check_exact(&c);
    }
}

/* More images than are done at once, and a last lot that is smaller. */
static void check_large_batches(void)
{
    static const int batches[][5] = { /* N, C, H, W, K */
        {5, 2, 18, 20, 3}, {3, 3, 24, 25, 5}, {7, 20, 16, 17, 6}, {4, 2, 33, 30, 3},
        {9, 17, 11, 15, 18}, {40, 3, 5, 6, 4}, {130, 5, 3, 3, 2}, {1030, 3, 1, 1, 4},
    };
    size_t i;
    int stride;
    for (i = 0; i < sizeof batches / sizeof *batches; i++)
        for (stride = 1; stride <= 2; stride++) {
            const int *b = batches[i];
            conv_case c = square_case(b[0], b[1], b[2], b[3], b[4], 3, stride, 1);
            check_exact(&c);
            c.win = cnv_square(1, stride, 0);
            check_exact(&c);
        }
}

/* Strides far beyond the image: one column, one row, or one output. */
static void check_large_strides(void)
{
    static const int strides[][4] = { /* H, W, stride_h, stride_w */
        {5, 5, 1 << 30, 1 << 30}, {5, 5, INT_MAX, INT_MAX}, {3000, 1, 1, 1000},
        {1, 30, 1000, 1}, {9, 40, 11, 37}, {9, 40, 1, 38}};
    size_t i;
    for (i = 0; i < sizeof strides / sizeof *strides; i++) {
        const int *e = strides[i];
        conv_case c = square_case(2, 9, e[0], e[1], 3, 1, 1, 0);
        c.win.stride_h = e[2], c.win.stride_w = e[3];
        check_exact(&c);
    }
}

/* Inception's 1x7 and 7x1, ResNeXt's groups, MobileNet's depthwise, a Xception-like multiplier. */
static void check_known_shapes(void)
{
    conv_case c = square_case(1, 24, 9, 17, 20, 1, 1, 0);
    c.win.kernel_w = 7, c.win.pad_left = c.win.pad_right = 3;
    check_exact(&c);
    c.win.kernel_h = 7, c.win.pad_top = c.win.pad_bottom = 3;
    c.win.kernel_w = 1, c.win.pad_left = c.win.pad_right = 0;
    check_exact(&c);
    c = square_case(2, 64, 9, 9, 64, 3, 1, 1), c.groups = 4;
    check_exact(&c);
    c = square_case(2, 40, 19, 21, 40, 3, 2, 1), c.groups = 40;
    check_exact(&c);
    c = square_case(2, 40, 19, 37, 40, 5, 1, 2), c.groups = 40;
    check_exact(&c);
    c = square_case(1, 12, 9, 33, 36, 3, 1, 1), c.groups = 12;
    check_exact(&c);
    c = square_case(1, 8, 40, 41, 8, 3, 1, 12), c.win.dilation_h = c.win.dilation_w = 12;
    check_exact(&c);
}

static void sweep_linear(void)
{
    static const int large[][3] = {{5, 255, 64},  {6, 256, 97},  {7, 257, 33},  {12, 511, 17},
                                   {1, 512, 128}, {3, 513, 129}, {64, 65, 63},  {97, 128, 65},
                                   {2, 1100, 96}, {33, 300, 40}, {130, 24, 15}, {1, 2049, 31},
                                   {1, 60000, 24}, {3, 30000, 20}}; /* work for several threads */
    int which, size;
    size_t i;
    for (which = 0; which < 3; which++)
        for (size = 1; size <= 33; size++) {
            conv_case c = linear_case(which == 0 ? size : 3, which == 1 ? size : 11, 1, 1,
                                      which == 2 ? size : 7);
            check_exact(&c);
            c.bias = 0, c.n = which == 0 ? size : 1;
            check_exact(&c);
        }
    for (i = 0; i < sizeof large / sizeof *large; i++) {
        conv_case c = linear_case(large[i][0], large[i][1], 1, 1, large[i][2]);
        check_exact(&c);
    }
    for (size = 1; size <= 8; size++) { /* features of an image, not yet flattened */
        conv_case c = linear_case(1 + size % 3, size, 2 + size % 4, 3, 9 + size);
        check_exact(&c);
    }
}

/* ---- im2col and col2im ---- */

static void check_columns(const conv_case *c, cnv_rng *rng)
{
    guarded x = guarded_filled(c->n, c->c, c->h, c->w, fill_integers, rng);
    int taps = c->win.kernel_h * c->win.kernel_w;
    int p = ref_p(&c->win, c->h), q = ref_q(&c->win, c->w), i;
    guarded dcols = guarded_filled(c->n, c->c * taps, p, q, fill_integers, rng);
    ref_tensor image = ref_copy(&x.t), cols = ref_new(c->n, c->c * taps, p, q);
    ref_tensor dimage = ref_new(c->n, c->c, c->h, c->w), dcolumns = ref_copy(&dcols.t);
    ref_im2col(&image, &c->win, &cols, 0);
    ref_im2col(&dimage, &c->win, &dcolumns, 1);
    for (i = 0; i < set_count; i++) {
        guarded got = guarded_output(c->n, c->c * taps, p, q);
        guarded dgot = guarded_output(c->n, c->c, c->h, c->w);
        cnv_use(sets[i]);
        CHECK(cnv_im2col(&x.t, &c->win, &got.t), "%s: %s", conv_name(c), cnv_error());
        CHECK(cnv_col2im(&dcols.t, &c->win, &dgot.t), "%s: %s", conv_name(c), cnv_error());
        check_equal(c, "im2col", &got, &cols);
        check_equal(c, "col2im", &dgot, &dimage);
        CHECK(guarded_intact(&got) && guarded_intact(&dgot), "%s", conv_name(c));
        CHECK(guarded_unchanged(&x) && guarded_unchanged(&dcols), "%s", conv_name(c));
    }
    scratch_free();
}

static void check_random_columns(int count)
{
    cnv_rng rng = cnv_rng_seed(3);
    for (; count; count--) {
        conv_case c = random_case(&rng);
        c.groups = 1;
        check_columns(&c, &rng);
    }
}

/* ---- Real numbers: |error| <= 16 eps sum |a||b| ---- */

static double worst_ratio, worst_winograd;

static void check_ratio(const conv_case *c, const char *what, const guarded *got,
                        const ref_tensor *want, const ref_tensor *magnitude)
{
    double ratio = ref_ratio(&got->t, want, magnitude);
    if (ratio > worst_ratio) worst_ratio = ratio;
    CHECK(ratio <= 16, "%s: %s has an error of %.3g eps sum |a||b|", conv_name(c), what, ratio);
}

static void check_floats(const conv_case *c, cnv_rng *rng)
{
    conv_inputs in = conv_inputs_new(c, fill_normal, rng);
    conv_expected e = conv_expect(c, &in, 0), magnitude = conv_expect(c, &in, 1);
    int i;
    for (i = 0; i < set_count; i++) {
        conv_results out;
        cnv_use(sets[i]);
        out = conv_run(c, &in);
        check_ratio(c, "y", &out.y, &e.y, &magnitude.y);
        check_ratio(c, "dx", &out.dx, &e.dx, &magnitude.dx);
        check_ratio(c, "dweight", &out.dweight, &e.dweight, &magnitude.dweight);
        if (c->bias) check_ratio(c, "dbias", &out.dbias, &e.dbias, &magnitude.dbias);
    }
    scratch_free();
}

/* ---- Adjoints: <conv(x), y> = <x, backward_data(y)> = <weight, backward_weights(x, y)> ---- */

static double dot(const cnv_tensor *a, const cnv_tensor *b)
{
    double sum = 0;
    size_t i, size = cnv_tensor_size(a);
    for (i = 0; i < size; i++) sum += (double)a->data[i] * (double)b->data[i];
    return sum;
}

static void check_adjoint(conv_case c, cnv_rng *rng)
{
    conv_inputs in;
    int i;
    c.bias = 0;
    in = conv_inputs_new(&c, fill_integers, rng);
    cnv_tensor_fill(&in.dweight.t, 0);
    for (i = 0; i < set_count; i++) {
        conv_results out;
        double forward, data, weights;
        cnv_use(sets[i]);
        out = conv_run(&c, &in);
        forward = dot(&out.y.t, &in.dy.t);
        data = dot(&in.x.t, &out.dx.t);
        weights = dot(&in.weight.t, &out.dweight.t);
        CHECK(forward == data, "%s: %.17g and %.17g", conv_name(&c), forward, data);
        CHECK(forward == weights, "%s: %.17g and %.17g", conv_name(&c), forward, weights);
    }
    scratch_free();
}

static void check_columns_adjoint(const conv_case *c, cnv_rng *rng)
{
    cnv_tensor cols = {0}, dx = {0};
    guarded x = guarded_filled(c->n, c->c, c->h, c->w, fill_integers, rng), y;
    CHECK(cnv_im2col(&x.t, &c->win, &cols), "%s", cnv_error());
    y = guarded_filled(cols.n, cols.c, cols.h, cols.w, fill_integers, rng);
    CHECK(cnv_tensor_resize(&dx, c->n, c->c, c->h, c->w), "%s", cnv_error());
    CHECK(cnv_col2im(&y.t, &c->win, &dx), "%s", cnv_error());
    CHECK(dot(&cols, &y.t) == dot(&x.t, &dx), "%s: im2col", conv_name(c));
    cnv_tensor_free(&cols), cnv_tensor_free(&dx);
    scratch_free();
}

/* ---- A batch gives what its images give one by one, bit for bit ----

   Not so the linear layer, which may add in another order for one image than for many. */

/* Image i of the batch as a case of its own, in views of the batch's memory. */
static conv_inputs one_image(const conv_inputs *in, int i)
{
    conv_inputs one = *in;
    one.x.t = cnv_tensor_image(&in->x.t, i);
    one.dy.t = cnv_tensor_image(&in->dy.t, i);
    return one;
}

static int same_bits(const cnv_tensor *a, const cnv_tensor *b)
{
    return !memcmp(a->data, b->data, cnv_tensor_size(a) * sizeof(cnv_real));
}

static void check_batch(const conv_case *c, cnv_rng *rng)
{
    conv_inputs in = conv_inputs_new(c, fill_normal, rng);
    conv_case single = *c;
    int i, image;
    single.n = 1;
    for (i = 0; i < set_count; i++) {
        conv_results all;
        cnv_use(sets[i]);
        all = conv_run(c, &in);
        for (image = 0; image < c->n; image++) {
            conv_inputs one = one_image(&in, image);
            conv_results out = conv_run(&single, &one);
            cnv_tensor y = cnv_tensor_image(&all.y.t, image);
            cnv_tensor dx = cnv_tensor_image(&all.dx.t, image);
            CHECK(same_bits(&out.y.t, &y), "%s: y of image %d", conv_name(c), image);
            CHECK(same_bits(&out.dx.t, &dx), "%s: dx of image %d", conv_name(c), image);
        }
    }
    scratch_free();
}

static void check_properties(int count)
{
    cnv_rng rng = cnv_rng_seed(4);
    static const int floats[][8] = {{2, 3, 67, 65, 32, 11, 4, 2}, {2, 32, 21, 19, 33, 3, 1, 1},
                                    {1, 300, 7, 7, 70, 3, 1, 1},  {2, 64, 15, 17, 40, 1, 1, 0},
                                    {1, 3, 90, 91, 8, 3, 1, 1},   {3, 8, 14, 13, 13, 5, 1, 2}};
    static const int linears[][3] = {{1, 4096, 50}, {2, 513, 33}, {7, 100, 1000}, {33, 600, 65}};
    size_t i;
    for (i = 0; i < sizeof floats / sizeof *floats; i++) {
        const int *f = floats[i];
        conv_case c = square_case(f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]);
        check_floats(&c, &rng), check_batch(&c, &rng), check_adjoint(c, &rng);
    }
    for (i = 0; i < sizeof linears / sizeof *linears; i++) {
        conv_case c = linear_case(linears[i][0], linears[i][1], 1, 1, linears[i][2]);
        check_floats(&c, &rng), check_adjoint(c, &rng);
    }
    while (count) {
        conv_case c = random_case(&rng);
        if (multiplications(&c) > 60000) continue;
        check_floats(&c, &rng), check_batch(&c, &rng), check_adjoint(c, &rng);
        c.groups = 1;
        check_columns_adjoint(&c, &rng);
        count--;
    }
}

/* ---- Winograd's convolution: |error| <= 2e-5 sum |a||b|, and it is surely used ---- */

static void check_winograd(const conv_case *c, cnv_rng *rng)
{
    conv_inputs in = conv_inputs_new(c, fill_normal, rng);
    conv_expected e = conv_expect(c, &in, 0), magnitude = conv_expect(c, &in, 1);
    int side = 7 - c->win.kernel_h, i;
    int tiles = c->n * ((e.y.h + side - 1) / side) * ((e.y.w + side - 1) / side);
    for (i = 0; i < set_count; i++) {
        conv_results plain, out;
        double y, dx, dw;
        cnv_use(sets[i]);
        plain = conv_run(c, &in);
        cnv_use_winograd(1);
        out = conv_run(c, &in);
        cnv_use_winograd(0);
        y = ref_ratio(&out.y.t, &e.y, &magnitude.y) * (double)FLT_EPSILON;
        dx = ref_ratio(&out.dx.t, &e.dx, &magnitude.dx) * (double)FLT_EPSILON;
        dw = ref_ratio(&out.dweight.t, &e.dweight, &magnitude.dweight) * (double)FLT_EPSILON;
        CHECK(y <= 2e-5, "%s: y has an error of %.3g sum |a||b|", conv_name(c), y);
        CHECK(dx <= 2e-5, "%s: dx has an error of %.3g sum |a||b|", conv_name(c), dx);
        CHECK(dw <= 2e-5, "%s: dw has an error of %.3g sum |a||b|", conv_name(c), dw);
        CHECK(!same_bits(&out.y.t, &plain.y.t), "%s: y is the plain sum", conv_name(c));
        CHECK(!same_bits(&out.dx.t, &plain.dx.t), "%s: dx is the plain sum", conv_name(c));
        CHECK(tiles < 32 || !same_bits(&out.dweight.t, &plain.dweight.t), "%s: dw is the plain sum",
              conv_name(c));
        if (y > worst_winograd) worst_winograd = y;
        if (dx > worst_winograd) worst_winograd = dx;
        if (dw > worst_winograd) worst_winograd = dw;
    }
    scratch_free();
}

/* Where most numbers are 0, the error is in proportion to the largest output, not to each. */
static void check_winograd_sparse(void)
{
    cnv_rng rng = cnv_rng_seed(7);
    conv_case c = square_case(1, 16, 28, 29, 17, 3, 1, 1);
    conv_inputs in = conv_inputs_new(&c, fill_spikes, &rng);
    conv_expected e = conv_expect(&c, &in, 0), magnitude = conv_expect(&c, &in, 1);
    size_t i, size = ref_size(&e.y);
    int k;
    for (k = 0; k < set_count; k++) {
        double error = 0, most = 0;
        conv_results out;
        cnv_use(sets[k]);
        cnv_use_winograd(1);
        out = conv_run(&c, &in);
        cnv_use_winograd(0);
        for (i = 0; i < size; i++) {
            error = fmax(error, fabs((double)out.y.t.data[i] - e.y.data[i]));
            most = fmax(most, magnitude.y.data[i]);
        }
        CHECK(error > 0 && error <= 2e-5 * most, "%s: %g of %g", sets[k], error, most);
    }
    scratch_free();
}

/* One row of outputs: its tiles are too empty for y, but not for the weights; and a row of x is
   longer than a row of y. */
static void check_winograd_thin(void)
{
    cnv_rng rng = cnv_rng_seed(8);
    conv_case c = square_case(1, 32, 5, 204, 32, 5, 1, 0);
    conv_inputs in = conv_inputs_new(&c, fill_normal, &rng);
    conv_expected e = conv_expect(&c, &in, 0), magnitude = conv_expect(&c, &in, 1);
    int i;
    for (i = 0; i < set_count; i++) {
        conv_results plain, out;
        double error;
        cnv_use(sets[i]);
        plain = conv_run(&c, &in);
        cnv_use_winograd(1);
        out = conv_run(&c, &in);
        cnv_use_winograd(0);
        error = ref_ratio(&out.dweight.t, &e.dweight, &magnitude.dweight) * (double)FLT_EPSILON;
        CHECK(error <= 2e-5, "%s: dw has an error of %.3g sum |a||b|", sets[i], error);
        CHECK(!same_bits(&out.dweight.t, &plain.dweight.t), "%s: dw is the plain sum", sets[i]);
    }
    scratch_free();
}

/* Every remainder of a tile's rows and columns, pads that differ, one tile and several blocks of
   them, channels and filters across the edges of the matrix product; batches that go side by side,
   and come out as their images do one by one, which cannot. */
static void check_winograd_cases(void)
{
    static const int cases[][9] = { /* N, C, H, W, K, size, pad top, left, bottom = right */
        {1, 16, 16, 16, 16, 3, 1, 1, 1},  {2, 17, 17, 18, 33, 3, 0, 1, 2},
        {1, 32, 19, 17, 18, 3, 2, 0, 1},  {3, 16, 20, 19, 29, 3, 0, 0, 0},
        {1, 70, 16, 21, 16, 3, 1, 2, 0},  {1, 19, 10, 100, 17, 3, 2, 2, 2},
        {1, 16, 90, 9, 16, 3, 1, 1, 1},   {1, 16, 9, 800, 17, 3, 1, 1, 1},
        {5, 17, 13, 14, 20, 3, 1, 1, 1},  {1, 260, 20, 20, 67, 3, 1, 1, 1},
        {1, 16, 44, 45, 130, 3, 1, 1, 1}, {1, 70, 20, 21, 49, 3, 1, 1, 1},
        {1, 33, 21, 22, 130, 3, 1, 1, 1}, {1, 16, 14, 14, 16, 5, 2, 2, 2},
        {2, 17, 15, 14, 33, 5, 0, 1, 4},  {1, 32, 14, 17, 18, 5, 4, 0, 1},
        {3, 16, 16, 17, 29, 5, 0, 0, 0},  {1, 70, 15, 15, 16, 5, 3, 4, 0},
        {1, 19, 10, 100, 17, 5, 2, 2, 2}, {1, 16, 9, 800, 17, 5, 2, 2, 2},
        {5, 17, 13, 14, 20, 5, 2, 2, 2},  {1, 260, 14, 14, 67, 5, 2, 2, 2},
        {1, 33, 21, 22, 130, 5, 2, 1, 2}, {18, 17, 13, 14, 20, 3, 1, 1, 1},
        {17, 16, 41, 8, 19, 3, 0, 2, 1},  {17, 16, 9, 10, 18, 5, 2, 2, 2},
        {33, 16, 18, 4, 17, 5, 4, 2, 1}};
    static const int small[][5] = {/* images that have tiles enough together: N, C, H, K, size */
                                   {9, 17, 8, 20, 3}, {64, 16, 7, 16, 3}, {4, 33, 7, 29, 5},
                                   {37, 16, 4, 18, 3}};
    cnv_rng rng = cnv_rng_seed(6);
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int *e = cases[i];
        conv_case c = square_case(e[0], e[1], e[2], e[3], e[4], e[5], 1, 0);
        c.win.pad_top = e[6], c.win.pad_left = e[7];
        c.win.pad_bottom = c.win.pad_right = e[8];
        check_winograd(&c, &rng);
        cnv_use_winograd(1);
        check_batch(&c, &rng);
        cnv_use_winograd(0);
    }
    for (i = 0; i < sizeof small / sizeof *small; i++) {
        const int *e = small[i];
        conv_case c = square_case(e[0], e[1], e[2], e[2], e[3], e[4], 1, e[4] / 2);
        check_winograd(&c, &rng);
    }
}

/* ---- The contract about outputs ---- */

/* What is not a number in one channel leaves the other channels' weights alone: rows are read in
   whole vectors, but not into the next row. */
static void check_nan_stays(void)
{
    cnv_rng rng = cnv_rng_seed(9);
    conv_case c = square_case(2, 2, 7, 5, 3, 3, 1, 0);
    conv_inputs in = conv_inputs_new(&c, fill_normal, &rng);
    int i, n, k;
    for (n = 0; n < 2; n++)
        for (i = 0; i < 7 * 5; i++) cnv_tensor_channel(&in.x.t, n, 1).data[i] = (float)NAN;
    guarded_seal(&in.x);
    for (i = 0; i < set_count; i++) {
        conv_results out;
        int finite = 1, spoiled = 1;
        cnv_use(sets[i]);
        out = conv_run(&c, &in);
        for (k = 0; k < 3 * 9; k++) {
            finite &= isfinite(cnv_tensor_channel(&out.dweight.t, k / 9, 0).data[k % 9]) != 0;
            spoiled &= isnan(cnv_tensor_channel(&out.dweight.t, k / 9, 1).data[k % 9]) != 0;
        }
        CHECK(finite && spoiled, "%s: finite %d, spoiled %d", sets[i], finite, spoiled);
    }
    scratch_free();
}

/* An output of any earlier shape gets its own, and growing or shrinking it is the library's job. */
static void check_output_shapes(void)
{
    cnv_rng rng = cnv_rng_seed(5);
    static const int sizes[4] = {5, 9, 3, 20};
    cnv_tensor y = {0}, cols = {0}, fc = {0};
    int i;
    for (i = 0; i < 4; i++) {
        conv_case c = square_case(1 + i % 2, 2, sizes[i], sizes[i] + 1, 3, 3, 2, 1);
        conv_inputs in = conv_inputs_new(&c, fill_integers, &rng);
        conv_expected e = conv_expect(&c, &in, 0);
        cnv_tensor flat = cnv_tensor_view(in.weight.t.data, 3, 18, 1, 1);
        cnv_tensor x = cnv_tensor_view(in.x.t.data, 1, 2, 3, 3);
        CHECK(cnv_conv2d_forward(&in.x.t, &in.weight.t, &in.bias.t, &c.win, 1, &y, NULL), "%s",
              cnv_error());
        CHECK(!ref_difference(&y, &e.y), "%s: y %s", conv_name(&c), ref_difference(&y, &e.y));
        CHECK(cnv_im2col(&in.x.t, &c.win, &cols), "%s", cnv_error());
        CHECK(cols.n == c.n && cols.c == 18 && cols.h == e.y.h && cols.w == e.y.w, "%d,%d,%d,%d",
              cols.n, cols.c, cols.h, cols.w);
        CHECK(cnv_linear_forward(&x, &flat, NULL, &fc, NULL), "%s", cnv_error());
        CHECK(fc.n == 1 && fc.c == 3 && fc.h == 1 && fc.w == 1, "%d,%d,%d,%d", fc.n, fc.c, fc.h,
              fc.w);
        scratch_free();
    }
    cnv_tensor_free(&y), cnv_tensor_free(&cols), cnv_tensor_free(&fc);
}

/* ---- The reference itself, against numbers worked out by hand ---- */

/* x = 1 2 3   weight = 1 -1   stride 1, pad 1 left and top only, dilation 1: P = 2, Q = 3.
       4 5 6            2  3 */
static void check_reference(void)
{
    double pixels[6] = {1, 2, 3, 4, 5, 6}, taps[4] = {1, -1, 2, 3}, ten = 10, back[6];
    double y[6] = {10 + 3 * 1, 10 + 2 * 1 + 3 * 2, 10 + 2 * 2 + 3 * 3,
                   10 - 1 + 3 * 4, 10 + 1 - 2 + 2 * 4 + 3 * 5, 10 + 2 - 3 + 2 * 5 + 3 * 6};
    double dx[6] = {3 - 1 + 2 + 1, 3 - 1 + 2 + 1, 3 - 1, 3 + 2, 3 + 2, 3};
    double dweight[4] = {1 + 2, 1 + 2 + 3, 1 + 2 + 4 + 5, 21}, sum[4] = {0}, dbias = 0;
    ref_tensor x = {1, 1, 2, 3, pixels}, w = {1, 1, 2, 2, taps}, b = {1, 1, 1, 1, &ten};
    ref_tensor dw = {1, 1, 2, 2, sum}, db = {1, 1, 1, 1, &dbias}, got, dy;
    cnv_window win = cnv_square(2, 1, 0);
    int i;
    win.pad_left = win.pad_top = 1;
    got = ref_conv2d_forward(&x, &w, &b, &win, 1);
    dy = ref_new(1, 1, 2, 3);
    CHECK(got.h == 2 && got.w == 3, "%d x %d", got.h, got.w);
    for (i = 0; i < 6; i++) CHECK(got.data[i] == y[i], "y[%d] = %g", i, got.data[i]);
    for (i = 0; i < 6; i++) dy.data[i] = 1;
    got = ref_conv2d_backward_data(&dy, &w, &win, 1, 2, 3);
    for (i = 0; i < 6; i++) back[i] = got.data[i];
    for (i = 0; i < 6; i++) CHECK(back[i] == dx[i], "dx[%d] = %g", i, back[i]);
    ref_conv2d_backward_weights(&x, &dy, &win, 1, &dw, &db);
    for (i = 0; i < 4; i++) CHECK(sum[i] == dweight[i], "dweight[%d] = %g", i, sum[i]);
    CHECK(dbias == 6, "%g", dbias);
    scratch_free();
}

/* Two groups of one channel; dilation 2, stride 2: each output reads pixels 2 apart. */
static void check_reference_groups(void)
{
    double pixels[10] = {1, 2, 3, 4, 5, 10, 20, 30, 40, 50}, taps[4] = {1, 1, -1, 2};
    double y[4] = {1 + 3, 3 + 5, -10 + 60, -30 + 100};
    ref_tensor x = {1, 2, 1, 5, pixels}, w = {2, 1, 1, 2, taps}, got;
    cnv_window win = cnv_square(1, 2, 0);
    int i;
    win.kernel_w = win.dilation_w = 2;
    got = ref_conv2d_forward(&x, &w, NULL, &win, 2);
    CHECK(got.c == 2 && got.h == 1 && got.w == 2, "%d x %d x %d", got.c, got.h, got.w);
    for (i = 0; i < 4; i++) CHECK(got.data[i] == y[i], "y[%d] = %g", i, got.data[i]);
    scratch_free();
}

int main(void)
{
    find_instruction_sets();
    cnv_use_winograd(0);
    check_reference();
    check_reference_groups();
    sweep_tails();
    sweep_windows();
    check_random(2000);
    check_block_edges();
    check_large_batches();
    check_known_shapes();
    check_large_strides();
    sweep_linear();
    check_random_columns(300);
    check_properties(200);
    check_winograd_cases();
    check_winograd_thin();
    check_nan_stays();
#ifdef _OPENMP
    omp_set_num_threads(5); /* parts of the filters, and threads that get nothing to do */
    check_winograd_cases();
#endif
    check_winograd_sparse();
    check_output_shapes();
    printf("largest rounding error: %.3g eps sum |a||b|, Winograd's %.3g sum |a||b|\n",
           worst_ratio, worst_winograd);
    return check_report();
}
