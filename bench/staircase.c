/* How a convolution becomes fast: nine steps from the definition to all processors.

       cc -O2 -fopenmp bench/staircase.c -o build/staircase -lm && build/staircase

   Run it where build/ is; it takes some ten seconds, and writes build/staircase.csv and
   build/staircase.png (or .ppm, when compiled without stb_image_write.h). The layer: one image of
   64 channels, 56 x 56, to 64 channels by filters of 3 x 3. Options: --channels 128, --size 28

     1  the definition: seven loops
     2  im2col: the same sum as a product of two matrices, three loops
     3  those loops in another order: what the innermost reads and writes lies in rows. Compilers
        could use vectors now: clang does at -O2, gcc 12 only at -O3
     4  a tile of 4 x 4 sums in registers: 8 numbers read for 16 multiply-adds; each row is a vector
        of 4 even at -O2
     5  what tiles read is packed, in the order in which they read it, in blocks that the caches can
        hold; the columns of im2col are never built. In plain C clang's code gains by it, gcc's
        hardly. From here on see cnnvis.h, 5.1 and 7.1
     6  vectors of 8 numbers, and multiply-adds in one instruction: AVX2 (on ARM, of 4: NEON)
     7  vectors of 16: AVX-512
     8  Winograd: a quarter of the multiplications, see cnnvis.h, 5.2. GFLOP/s still count those of
        the definition, so that it may cross the peak
     9  all processors share the work: OpenMP
   Steps that this CPU or compiler does not have are left out. Steps 1 to 8 have one thread.

   How: each step's result is compared with that of the first; then all steps take turns, and the
   medians are shown. GFLOP/s: 2*K*C*R*S*P*Q / median. Steps 2 to 4 include im2col, the others
   padding; the library's packed weights are kept, as they are in a network. Peak: independent
   multiply-adds in registers (limits.h), by the same instruction set and as many threads. */
#define _POSIX_C_SOURCE 200112L /* clock_gettime */
#define CNNVIS_IMPLEMENTATION
#include "../cnnvis.h"

#include "numbers.h"
#include "timing.h"

#include <errno.h>

#include "limits.h"

enum { KERNEL = 3, PAD = 1, TILE = 4, TURNS = 9, CALLS = 20, MOST_STEPS = 16, FMA_STEPS = 1 << 18 };

/* A layer as the first steps see it: all sizes of the convolution, and its numbers. */
typedef struct {
    int c, h, w, k, p, q;          /* x [c,h,w] -> y [k,p,q] */
    cnv_tensor x, weight, cols, y; /* weight [k,c,3,3], cols [c*3*3, p*q] */
} layer;

/* ---- Step 1: the definition ---- */

/* y[k,p,q] = sum over c,r,s of weight[k,c,r,s] * x[c, p - pad + r, q - pad + s]. The seventh loop,
   over the images, runs once. */
static void seven_loops(const layer *l, const float *x, const float *weight, float *y)
{
    int n, k, p, q, c, r, s;
    for (n = 0; n < 1; n++)
        for (k = 0; k < l->k; k++)
            for (p = 0; p < l->p; p++)
                for (q = 0; q < l->q; q++) {
                    float sum = 0;
                    for (c = 0; c < l->c; c++)
                        for (r = 0; r < KERNEL; r++)
                            for (s = 0; s < KERNEL; s++) {
                                int i = p - PAD + r, j = q - PAD + s;
                                if (i < 0 || i >= l->h || j < 0 || j >= l->w) continue;
                                sum += weight[((k * l->c + c) * KERNEL + r) * KERNEL + s] *
                                       x[((n * l->c + c) * l->h + i) * l->w + j];
                            }
                    y[((n * l->k + k) * l->p + p) * l->q + q] = sum;
                }
}

/* ---- Steps 2, 3, 4: C = A B with A [m,depth], B [depth,n], C [m,n] ---- */

/* The innermost loop walks down a column of B: each number is in another line of the cache. */
static void product_ijk(int m, int n, int depth, const float *a, const float *b, float *c)
{
    int i, j, k;
    for (i = 0; i < m; i++)
        for (j = 0; j < n; j++) {
            float sum = 0;
            for (k = 0; k < depth; k++) sum += a[i * depth + k] * b[k * n + j];
            c[i * n + j] = sum;
        }
}

/* The innermost loop walks along a row of B and one of C: 3 reads and writes per multiply-add. */
static void product_ikj(int m, int n, int depth, const float *a, const float *restrict b,
                        float *restrict c)
{
    int i, j, k;
    for (i = 0; i < m; i++) {
        for (j = 0; j < n; j++) c[i * n + j] = 0;
        for (k = 0; k < depth; k++)
            for (j = 0; j < n; j++) c[i * n + j] += a[i * depth + k] * b[k * n + j];
    }
}

/* 4 x 4 numbers of C, in registers until all of their sums are complete. */
static void multiply_4x4(int n, int depth, const float *a, const float *b, float *c)
{
    float sum[TILE][TILE] = {{0}};
    int i, j, k;
    for (k = 0; k < depth; k++)
        CNV__UNROLL for (i = 0; i < TILE; i++)
            CNV__UNROLL for (j = 0; j < TILE; j++) sum[i][j] += a[i * depth + k] * b[k * n + j];
    for (i = 0; i < TILE; i++)
        for (j = 0; j < TILE; j++) c[i * n + j] = sum[i][j];
}

/* Where 4 do not divide m or n, the last tile covers part of its neighbour once more. */
static void product_tiles(int m, int n, int depth, const float *a, const float *b, float *c)
{
    int i, j;
    for (j = 0; j < n; j += TILE)
        for (i = 0; i < m; i += TILE) {
            int i0 = i < m - TILE ? i : m - TILE, j0 = j < n - TILE ? j : n - TILE;
            multiply_4x4(n, depth, a + i0 * depth, b + j0, c + i0 * n + j0);
        }
}

/* ---- All steps ---- */

typedef struct {
    const char *name, *idea;
    const limits *set; /* its instruction set */
    int threads;
    void (*product)(int m, int n, int depth, const float *a, const float *b, float *c);
    cnv_net *net;      /* a network input -> convolution: from step 5 on */
    int winograd;
    double error, seconds[TURNS * CALLS], rate, peak; /* rates: flops per second */
    int calls;
} step;

static void set_threads(int threads)
{
#ifdef _OPENMP
    omp_set_num_threads(threads);
#else
    (void)threads;
#endif
}

/* A step of a name is a step of the staircase; those without only measure the peak. */
static void run(const step *s, layer *l)
{
    const cnv_window win = cnv_square(KERNEL, 1, PAD);
    if (s->net) { /* cnv_forward would also copy the image */
        cnv_use_winograd(s->winograd);
        if (!cnv__forward_node(s->net, &s->net->nodes[1])) fail("%s", cnv_error());
    } else if (s->product) {
        if (!cnv_im2col(&l->x, &win, &l->cols)) fail("%s", cnv_error());
        s->product(l->k, l->p * l->q, l->c * KERNEL * KERNEL, l->weight.data, l->cols.data,
                   l->y.data);
    } else if (s->name) seven_loops(l, l->x.data, l->weight.data, l->y.data);
    else run_fma(s->set, FMA_STEPS);
}

static cnv_net *make_net(const layer *l)
{
    const cnv_window win = cnv_square(KERNEL, 1, PAD);
    cnv_net *net = cnv_net_new();
    int x = net ? cnv_input(net, l->c) : -1;
    if (cnv_conv2d_window(net, x, NULL, l->k, &win, 1, 0) < 0 ||
        !cnv_tensor_copy(&l->weight, &net->params[0].value))
        fail("%s", cnv_error());
    net->nodes[0].out = cnv_tensor_view(l->x.data, 1, l->c, l->h, l->w);
    net->nodes[1].out = cnv_tensor_view(l->y.data, 1, l->k, l->p, l->q);
    return net;
}

static const limits *find_set(const char *name)
{
    int i;
    for (i = 0; i < LIMITS && strcmp(all_limits[i].name, name); i++) continue;
    return i < LIMITS && cnv_use(name) ? all_limits + i : NULL;
}

static step *add(step *steps, int *count, const char *name, const char *idea, const limits *set)
{
    step *s = steps + (*count)++;
    s->name = name, s->idea = idea, s->set = set, s->threads = 1;
    return s;
}

static int list_steps(step *steps, const layer *l, int threads)
{
    static const char *const vectors[][3] = {
        {"neon", "NEON", "vectors of 4, and fused multiply-adds"},
        {"avx2", "AVX2", "vectors of 8, and fused multiply-adds"},
        {"avx512", "AVX-512", "vectors of 16"},
    };
    static char processors[32];
    const limits *best = find_set("scalar"), *set;
    int count = 0, i;
    add(steps, &count, "Seven loops", "the definition", best);
    add(steps, &count, "im2col", "a product of two matrices", best)->product = product_ijk;
    add(steps, &count, "Loops i, k, j", "reading along rows", best)->product = product_ikj;
    add(steps, &count, "A tile of 4 x 4", "16 sums in registers", best)->product = product_tiles;
    add(steps, &count, "Packed, in blocks", "what comes next is in the cache", best);
    for (i = 0; i < 3; i++)
        if ((set = find_set(vectors[i][0])) != NULL)
            add(steps, &count, vectors[i][1], vectors[i][2], best = set);
    add(steps, &count, "Winograd", "a quarter of the multiplications", best)->winograd = 1;
    if (threads > 1) {
        snprintf(processors, sizeof processors, "%d at once", threads);
        steps[count] = steps[count - 1];
        add(steps, &count, "Threads", processors, best)->threads = threads;
    }
    for (i = 4; i < count; i++) steps[i].net = make_net(l);
    return count;
}

/* One for each instruction set and number of threads. Returns how many there are with the steps. */
static int add_peaks(step *steps, int count)
{
    int all = count, i;
    for (i = 0; i < count; i++)
        if (!i || steps[i].set != steps[i - 1].set || steps[i].threads != steps[i - 1].threads)
            add(steps, &all, NULL, NULL, steps[i].set)->threads = steps[i].threads;
    return all;
}

/* ---- Each step computes the same; how fast? ---- */

static void prepare(const step *s)
{
    const struct timespec pause = {0, 5000000}; /* spinning threads of the last step fall asleep */
    nanosleep(&pause, NULL);
    set_threads(s->threads);
    if (!cnv_use(s->set->name)) fail("%s", cnv_error());
}

static float *copy_of(const cnv_tensor *t, int absolute)
{
    size_t n = cnv_tensor_size(t), i;
    float *copy = (float *)malloc(n * sizeof *copy);
    if (!copy) fail("out of memory");
    for (i = 0; i < n; i++) copy[i] = absolute ? fabsf(t->data[i]) : t->data[i];
    return copy;
}

/* Errors are measured by what is added up in all, the sum of |weight| * |x|: cnv_use_winograd()
   says how large they may be. */
static void compare_steps(step *steps, int count, layer *l)
{
    float *x = copy_of(&l->x, 1), *weight = copy_of(&l->weight, 1), *scale, *first;
    size_t n = cnv_tensor_size(&l->y), i;
    int s;
    seven_loops(l, x, weight, l->y.data);
    scale = copy_of(&l->y, 0);
    run(steps, l);
    first = copy_of(&l->y, 0);
    for (s = 1; s < count; s++) {
        cnv_tensor_fill(&l->y, -1e9);
        prepare(steps + s);
        run(steps + s, l);
        for (i = 0; i < n; i++) {
            double error = fabs((double)l->y.data[i] - (double)first[i]) / (double)scale[i];
            if (!(error <= steps[s].error)) steps[s].error = error;
        }
        if (!(steps[s].error <= (steps[s].winograd ? 2e-5 : 1e-6)))
            fail("step %d, %s, differs from the definition", s + 1, steps[s].name);
    }
    free(x), free(weight), free(scale), free(first);
}

/* After one call for the caches, if that is short: at least one call, up to 20 in 20 ms. */
static void take_turn(step *s, layer *l)
{
    double start, before, now;
    int calls = 0;
    prepare(s);
    if (!s->calls || s->seconds[0] < 0.01) run(s, l);
    start = now = seconds_of(CLOCK_MONOTONIC);
    do {
        before = now;
        run(s, l);
        now = seconds_of(CLOCK_MONOTONIC);
        s->seconds[s->calls++] = now - before;
    } while (++calls < CALLS && now - start < 0.02);
}

static void race(step *steps, int count, int all, layer *l)
{
    double flops = 2.0 * l->k * l->c * KERNEL * KERNEL * l->p * l->q;
    int turn, i, k;
    for (turn = 0; turn < TURNS; turn++)
        for (i = 0; i < all; i++) take_turn(steps + i, l);
    for (i = 0; i < all; i++) {
        step *s = steps + i;
        double work = s->name ? flops : (double)s->set->flops * FMA_STEPS * s->threads;
        s->rate = work / median(s->seconds, s->calls);
    }
    for (i = 0; i < count; i++)
        for (k = count; k < all; k++)
            if (steps[k].set == steps[i].set && steps[k].threads == steps[i].threads)
                steps[i].peak = steps[k].rate;
}

/* ---- Table and picture ---- */

static void print_table(const step *steps, int count)
{
    FILE *csv = fopen("build/staircase.csv", "w");
    int i;
    if (!csv) fail("cannot write build/staircase.csv: %s", strerror(errno));
    fputs("step,name,set,threads,gflops,speedup,peak_gflops,error\n", csv);
    printf("\n%-20s %-7s %7s %9s %9s %14s %9s\n", "step", "set", "threads", "GFLOP/s", "speedup",
           "FMA peak", "error*");
    for (i = 0; i < count; i++) {
        const step *s = steps + i;
        double rate = 1e-9 * s->rate, peak = 1e-9 * s->peak, speedup = s->rate / steps[0].rate;
        printf("%d %-18s %-7s %7d %9.2f %8.1fx %8.1f %4.0f%% %9.1e\n", i + 1, s->name,
               s->set->name, s->threads, rate, speedup, peak, 100 * rate / peak, s->error);
        fprintf(csv, "%d,\"%s\",%s,%d,%.3f,%.2f,%.3f,%.2e\n", i + 1, s->name, s->set->name,
                s->threads, rate, speedup, peak, s->error);
    }
    puts("* the largest difference from step 1 / (sum of |weight| * |x|)");
    if (fclose(csv)) fail("cannot write build/staircase.csv: %s", strerror(errno));
}

/* ---- The picture ---- */

enum { WIDTH = 1600, HEIGHT = 900, LEFT = 420, RIGHT = 1560, TOP = 128, BOTTOM = 812 };
static const cnv_color white = {1, 1, 1}, ink = {0.15f, 0.16f, 0.18f}, pale = {0.40f, 0.42f, 0.45f};
static const cnv_color grid = {0.90f, 0.91f, 0.92f}, orange = {0.80f, 0.36f, 0.00f};
static const cnv_color blue = {0.00f, 0.45f, 0.70f};

/* The axis is logarithmic and leaves room at its ends: some rates of it. */
typedef struct {
    double low, high;
} axis;

static int place(const axis *a, double rate)
{
    return LEFT + (int)((RIGHT - LEFT) * log(rate / a->low) / log(a->high / a->low));
}

static void draw_axis(cnv_tensor *sheet, const axis *a)
{
    double rate;
    char text[32];
    for (rate = pow(10, ceil(log10(a->low))); rate <= a->high; rate *= 10) {
        int x = place(a, rate);
        snprintf(text, sizeof text, "%g", 1e-9 * rate);
        cnv_rectangle(sheet, x, TOP, 2, BOTTOM - TOP, grid);
        cnv_text(sheet, x - cnv_text_width(15, text) / 2, BOTTOM + 14, 15, pale, text);
    }
    cnv_text(sheet, LEFT, BOTTOM + 48, 15, pale, "GFLOP/s; dashed: the peak of the CPU");
}

/* Lines behind it do not show. Returns where it ends. */
static int draw_label(cnv_tensor *sheet, int x, int y, int size, const char *text)
{
    int width = (int)cnv_text_width(size, text);
    cnv_rectangle(sheet, x - 4, y - 4, width + 8, size + 9, white);
    cnv_text(sheet, x, y, size, ink, text);
    return x + width;
}

/* A dashed line through the rows of all steps that have this peak. */
static void draw_peak(cnv_tensor *sheet, int x, int top, int bottom)
{
    int y;
    for (y = top; y < bottom; y += 12)
        cnv_rectangle(sheet, x - 1, y, 3, bottom - y < 7 ? bottom - y : 7, ink);
}

static void name_peak(cnv_tensor *sheet, const step *s, int x, int middle)
{
    char text[64];
    snprintf(text, sizeof text, "%s%s", strcmp(s->set->name, "scalar") ? s->set->name : "plain C",
             s->threads > 1 ? ", all threads" : "");
    draw_label(sheet, x, middle - 17, 13, text);
    snprintf(text, sizeof text, "peak %.0f", 1e-9 * s->peak);
    draw_label(sheet, x, middle + 5, 13, text);
}

/* Step i of the staircase: what it is, its bar with its GFLOP/s, and how much faster it is. */
static void draw_step(cnv_tensor *sheet, const step *steps, int i, int top, int bottom,
                      const axis *a)
{
    const step *s = steps + i;
    int x = place(a, s->rate), peak = place(a, s->peak), middle = (top + bottom) / 2, end;
    double speedup = s->rate / steps[0].rate;
    cnv_color color = s->net ? blue : orange;
    char text[64];
    snprintf(text, sizeof text, "%d", i + 1);
    cnv_text(sheet, 40, middle - 12, 24, color, text);
    cnv_text(sheet, 84, middle - 22, 19, ink, s->name);
    cnv_text(sheet, 84, middle + 8, 13, pale, s->idea);
    draw_peak(sheet, peak, top, bottom);
    cnv_rectangle(sheet, LEFT, top + 9, x - LEFT, bottom - top - 18, color);
    snprintf(text, sizeof text, s->rate < 1e10 ? "%.1f GFLOP/s" : "%.0f GFLOP/s", 1e-9 * s->rate);
    cnv_text(sheet, x - 12 - cnv_text_width(17, text), middle - 8, 17, white, text);
    snprintf(text, sizeof text, speedup < 10 ? "%.1fx" : "%.0fx", speedup);
    end = draw_label(sheet, x + 12, middle - 9, 18, text);
    if (!i || s->peak != s[-1].peak) name_peak(sheet, s, (peak > end ? peak : end) + 16, middle);
}

/* Returns the name of the file. */
static const char *save_picture(const step *steps, int count, const layer *l, const char *cpu)
{
    const char *path = "build/staircase.png";
    axis a = {steps[0].rate / 10, steps[0].rate};
    cnv_tensor sheet = {0};
    char text[128];
    int i;
    if (!cnv_canvas(&sheet, HEIGHT, WIDTH, white)) fail("%s", cnv_error());
    for (i = 0; i < count; i++)
        a.high = fmax(a.high, 7 * fmax(steps[i].rate, steps[i].peak));
    snprintf(text, sizeof text, "%d -> %d channels, 3 x 3, at %d x %d, on %s", l->c, l->k, l->h,
             l->w, cpu);
    cnv_text(&sheet, 40, 34, 32, ink, "How a convolution becomes fast");
    cnv_text(&sheet, 40, 88, 15, pale, text);
    cnv_text(&sheet, RIGHT - 290, 42, 17, orange, "plain loops");
    cnv_text(&sheet, RIGHT - 78, 42, 17, blue, "cnnvis.h");
    draw_axis(&sheet, &a);
    for (i = 0; i < count; i++)
        draw_step(&sheet, steps, i, TOP + i * (BOTTOM - TOP) / count,
                  TOP + (i + 1) * (BOTTOM - TOP) / count, &a);
    if (!cnv_image_save(path, &sheet) && !cnv_image_save(path = "build/staircase.ppm", &sheet))
        fail("%s", cnv_error());
    cnv_tensor_free(&sheet);
    return path;
}

/* ---- Options, and the order of things ---- */

static int read_size(const char *option, const char *value, int most)
{
    char *end = NULL;
    long size = value ? strtol(value, &end, 10) : 0;
    if (!value || end == value || *end || size < TILE || size > most)
        fail("%s: \"%s\" is not in %d ... %d", option, value ? value : "", TILE, most);
    return (int)size;
}

static void make_layer(layer *l, int channels, int size)
{
    const cnv_window win = cnv_square(KERNEL, 1, PAD);
    l->c = l->k = channels, l->h = l->w = size;
    if (!cnv_window_output(&win, size, size, &l->p, &l->q) ||
        !cnv_tensor_resize(&l->x, 1, channels, size, size) ||
        !cnv_tensor_resize(&l->weight, channels, channels, KERNEL, KERNEL) ||
        !cnv_tensor_resize(&l->y, 1, channels, l->p, l->q))
        fail("%s", cnv_error());
    fill_random(l->x.data, cnv_tensor_size(&l->x), X_SEED);
    fill_random(l->weight.data, cnv_tensor_size(&l->weight), WEIGHTS_SEED);
}

int main(int count, char **options)
{
    static step steps[MOST_STEPS];
    static layer l;
    int channels = 64, size = 56, threads = cnv__threads(), i, step_count;
    const char *picture;
    char cpu[64];
    for (i = 1; i < count; i += 2) {
        const char *option = options[i], *value = i + 1 < count ? options[i + 1] : NULL;
        if (!strcmp(option, "--channels")) channels = read_size(option, value, 512);
        else if (!strcmp(option, "--size")) size = read_size(option, value, 224);
        else fail("\"%s\" is not understood; there are: --channels N, --size N", option);
    }
    find_cpu(cpu, sizeof cpu);
    printf("%s: %d -> %d channels, 3 x 3, at %d x %d\n", cpu, channels, channels, size, size);
    make_layer(&l, channels, size);
    step_count = list_steps(steps, &l, threads);
    show_progress("the steps");
    compare_steps(steps, step_count, &l);
    race(steps, step_count, add_peaks(steps, step_count), &l);
    show_progress(NULL);
    print_table(steps, step_count);
    picture = save_picture(steps, step_count, &l, cpu);
    printf("\nbuild/staircase.csv, %s\n", picture);
    return 0;
}
