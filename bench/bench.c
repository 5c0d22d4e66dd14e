/* How fast the kernels are, and how fast this CPU would let them be.

       cc -O2 bench/bench.c -o build/bench -lm && build/bench              (one thread)
       cc -O2 -fopenmp bench/bench.c -o build/bench -lm && build/bench     (OMP_NUM_THREADS threads)

   Run it where build/ is; it takes two to three minutes, and writes build/bench.csv and
   build/bench.png (or .ppm, when compiled without stb_image_write.h). Options:
       --quick          fewer repetitions, backward-weights at batch 1: some 20 seconds
       --set avx2       only this instruction set
       --scalar         plain C too, which is slow
       --layer vgg_3_2  only layers and image sizes whose names contain this
       --batch 4        images for backward-weights (16 if not said); less is faster
       --cpu-time       count this process's own time, not what others took (one thread only)
   So `build/bench --set avx2 --layer vgg_3_2` reproduces one line of the table.

   What is timed is what a network's tape calls for one node, in a network of two: an input and the
   operator. Weights are packed in the first call and kept, as they are in a network, except in
   backward-weights, where the packed operand is the gradient, new every time. Outputs are
   overwritten and stay in whatever cache they fit. For this the bench calls private functions of
   the header, cnv__forward_node and so on: cnv_forward would also copy the image.

   Columns. GFLOP/s: 2*N*K*C*R*S*P*Q, the multiply-adds of the definition with the taps on the
   padding counted, / median time. Percentage: of the peak, that is, of independent multiply-adds in
   registers with the same instruction set and as many threads. Backward-weights includes the bias.
   GB/s: bytes that the definition must read and write, once each, / median time:
       ReLU forward   x, y            max pooling forward    x, y, switches
       ReLU backward  x, dy, dx       max pooling backward   dy, switches, dx
   and copying: x and its copy.

   How: all that stands in the rows of one layer, the peak included, is measured in turns, so that
   the moods of a shared machine hit everyone alike: in each of 5 turns everyone calls for 40 ms, at
   least once and at most 40 times. Before that, 3 calls and 50 ms go unmeasured; before each turn
   one call, if it is short. Medians over all calls. bench.csv has one line for each of them. */
#define _POSIX_C_SOURCE 199309L /* clock_gettime */
#define CNNVIS_IMPLEMENTATION
#include "../cnnvis.h"

#include "layers.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

/* ---- The end of the program when something is wrong, and the clock ---- */

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static double seconds_of(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* ---- What each instruction set could do at best ----

   sum = sum * a + b, again and again, in sums that do not depend on one another. Each waits some 4
   cycles for its last value, and in a cycle a core starts up to 2 multiply-adds (4 on some ARM):
   with 12 or 16 sums it never waits. Copying is the same for memory. */

enum { SCALAR_SUMS = 48, AVX2_SUMS = 12, AVX512_SUMS = 16, NEON_SUMS = 16 };

/* Compilers put four of these into a vector of 128 bits, as they do in the scalar kernels: hence so
   many. Without FMA a sum waits twice, for its product and for itself. */
static float fma_scalar(long steps)
{
    float sum[SCALAR_SUMS], a = 0.999f, b = 0.001f;
    int i;
    CNV__UNROLL for (i = 0; i < SCALAR_SUMS; i++) sum[i] = (float)i;
    for (; steps > 0; steps--) {
        CNV__UNROLL for (i = 0; i < SCALAR_SUMS; i++) sum[i] = sum[i] * a + b;
    }
    CNV__UNROLL for (i = 1; i < SCALAR_SUMS; i++) sum[0] += sum[i];
    return sum[0];
}

static void copy_scalar(size_t n, const float *x, float *y) { memcpy(y, x, n * sizeof *y); }

#ifdef CNV__X86
__attribute__((target("avx2,fma"))) static float fma_avx2(long steps)
{
    __m256 sum[AVX2_SUMS], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
    float lanes[8];
    int i;
    CNV__UNROLL for (i = 0; i < AVX2_SUMS; i++) sum[i] = _mm256_set1_ps((float)i);
    for (; steps > 0; steps--) {
        CNV__UNROLL for (i = 0; i < AVX2_SUMS; i++) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
    }
    CNV__UNROLL for (i = 1; i < AVX2_SUMS; i++) sum[0] = _mm256_add_ps(sum[0], sum[i]);
    _mm256_storeu_ps(lanes, sum[0]);
    return lanes[0];
}

__attribute__((target("avx2"))) static void copy_avx2(size_t n, const float *x, float *y)
{
    size_t i;
    for (i = 0; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, _mm256_loadu_ps(x + i));
    for (; i < n; i++) y[i] = x[i];
}

__attribute__((target("avx512f"))) static float fma_avx512(long steps)
{
    __m512 sum[AVX512_SUMS], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
    float lanes[16];
    int i;
    CNV__UNROLL for (i = 0; i < AVX512_SUMS; i++) sum[i] = _mm512_set1_ps((float)i);
    for (; steps > 0; steps--) {
        CNV__UNROLL for (i = 0; i < AVX512_SUMS; i++) sum[i] = _mm512_fmadd_ps(sum[i], a, b);
    }
    CNV__UNROLL for (i = 1; i < AVX512_SUMS; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    _mm512_storeu_ps(lanes, sum[0]);
    return lanes[0];
}

__attribute__((target("avx512f"))) static void copy_avx512(size_t n, const float *x, float *y)
{
    size_t i;
    for (i = 0; i + 16 <= n; i += 16) _mm512_storeu_ps(y + i, _mm512_loadu_ps(x + i));
    for (; i < n; i++) y[i] = x[i];
}
#endif

#ifdef CNV__ARM
static float fma_neon(long steps)
{
    float32x4_t sum[NEON_SUMS], a = vdupq_n_f32(0.999f), b = vdupq_n_f32(0.001f);
    int i;
    CNV__UNROLL for (i = 0; i < NEON_SUMS; i++) sum[i] = vdupq_n_f32((float)i);
    for (; steps > 0; steps--) { /* NEON adds to its first operand: sum + a * b */
        CNV__UNROLL for (i = 0; i < NEON_SUMS; i++) sum[i] = vfmaq_f32(sum[i], a, b);
    }
    CNV__UNROLL for (i = 1; i < NEON_SUMS; i++) sum[0] = vaddq_f32(sum[0], sum[i]);
    return vaddvq_f32(sum[0]);
}

static void copy_neon(size_t n, const float *x, float *y)
{
    size_t i;
    for (i = 0; i + 4 <= n; i += 4) vst1q_f32(y + i, vld1q_f32(x + i));
    for (; i < n; i++) y[i] = x[i];
}
#endif

typedef struct {
    const char *name;
    int flops; /* of one step */
    float (*fma)(long steps);
    void (*copy)(size_t n, const float *x, float *y);
} limits;

static const limits all_limits[] = {
#ifdef CNV__X86
    {"avx512", 2 * 16 * AVX512_SUMS, fma_avx512, copy_avx512},
    {"avx2", 2 * 8 * AVX2_SUMS, fma_avx2, copy_avx2},
#endif
#ifdef CNV__ARM
    {"neon", 2 * 4 * NEON_SUMS, fma_neon, copy_neon},
#endif
    {"scalar", 2 * SCALAR_SUMS, fma_scalar, copy_scalar},
};
enum { LIMITS = sizeof all_limits / sizeof *all_limits };

/* Both on all threads at once. */
static int run_fma(const limits *set, long steps)
{
    int i, threads = cnv__threads();
    CNV__PARALLEL_FOR(threads > 1)
    for (i = 0; i < threads; i++) set->fma(steps); /* by a pointer: no compiler can leave it out */
    return 1;
}

static int run_copy(const limits *set, size_t n, const float *x, float *y)
{
    int i, threads = cnv__threads();
    size_t share = n / (size_t)threads;
    CNV__PARALLEL_FOR(threads > 1)
    for (i = 0; i < threads; i++) {
        size_t start = (size_t)i * share;
        set->copy(i == threads - 1 ? n - start : share, x + start, y + start);
    }
    return 1;
}

/* ---- A job: one thing to be timed, again and again ---- */

typedef enum { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS, COPY, FMA } direction;
enum { TURNS = 5, CALLS = 40, STEPS = 1 << 20, MAX_JOBS = 8 * LIMITS };

typedef struct {
    const limits *set;
    direction what;
    cnv_net *net;    /* input -> operator; NULL for the two limits */
    cnv_tensor x, y; /* for copying */
    int batch;
    double work;     /* flops or bytes of one call */
    double seconds[TURNS * CALLS], rate; /* of each call; work / median */
    int calls;
} job;

static void run(const job *j)
{
    cnv_net *net = j->net;
    int ok;
    switch (j->what) {
    case FORWARD: ok = cnv__forward_node(net, &net->nodes[1]); break;
    case BACKWARD_DATA:
        ok = cnv__backward_node(net, &net->nodes[1], 0, &net->nodes[0].grad);
        break;
    case BACKWARD_WEIGHTS: ok = cnv__backward_weights(net, &net->nodes[1]); break;
    case COPY: ok = run_copy(j->set, cnv_tensor_size(&j->x), j->x.data, j->y.data); break;
    default: ok = run_fma(j->set, STEPS);
    }
    if (!ok) fail("%s", cnv_error());
}

/* At least 3 calls and 50 ms. */
static void warm_up(const job *j, int quick)
{
    double start = seconds_of(CLOCK_MONOTONIC);
    double least = quick ? 0.01 : 0.05;
    int calls = 0;
    if (!cnv_use(j->set->name)) fail("%s", cnv_error());
    while (calls < (quick ? 1 : 3) || seconds_of(CLOCK_MONOTONIC) - start < least) run(j), calls++;
}

static void take_turn(job *j, int quick, clockid_t clock)
{
    double start, before, after, length = quick ? 0.005 : 0.04;
    int calls = 0;
    if (!cnv_use(j->set->name)) fail("%s", cnv_error());
    if (!j->calls || j->seconds[0] < 0.005) run(j); /* fills the caches again */
    start = seconds_of(clock);
    do {
        before = seconds_of(clock);
        run(j);
        after = seconds_of(clock);
        j->seconds[j->calls++] = after - before;
    } while (++calls < CALLS && after - start < length);
}

static void race(job *jobs, int count, int quick, clockid_t clock)
{
    int turn, i;
    for (i = 0; i < count; i++) warm_up(jobs + i, quick);
    for (turn = 0; turn < (quick ? 3 : TURNS); turn++)
        for (i = 0; i < count; i++) take_turn(jobs + i, quick, clock);
    for (i = 0; i < count; i++)
        jobs[i].rate = jobs[i].work / median(jobs[i].seconds, jobs[i].calls);
}

/* ---- Networks of two nodes ---- */

/* The data that all jobs of a race work on; the networks only look at it. */
typedef struct {
    cnv_tensor x, dy, y, dx;
} data;

/* Random numbers, half of them negative. Drawing many takes long, so a million are repeated. */
static void make_random(cnv_tensor *t, size_t size, uint64_t seed)
{
    cnv_rng rng = cnv_rng_seed(seed);
    size_t i, period = (1 << 20) + 1;
    if (size > INT_MAX) fail("a batch of %.0f numbers is too large", (double)size);
    if (!cnv_tensor_resize(t, 1, 1, 1, (int)size)) fail("%s", cnv_error());
    for (i = 0; i < size; i++)
        t->data[i] = i < period ? (float)cnv_uniform(&rng) - 0.5f : t->data[i - period];
}

static void output_size(const conv_layer *l, int *p, int *q)
{
    cnv_window win = cnv_square(l->kernel, l->stride, l->pad);
    if (!cnv_window_output(&win, l->h, l->w, p, q)) fail("%s: %s", l->name, cnv_error());
}

static void make_data(data *d, const conv_layer *l, int batch)
{
    size_t in = (size_t)batch * (size_t)l->c * (size_t)l->h * (size_t)l->w, out;
    int p, q;
    output_size(l, &p, &q);
    out = (size_t)batch * (size_t)l->k * (size_t)p * (size_t)q;
    make_random(&d->x, in, 1);
    make_random(&d->dy, out, 2);
    if (!cnv_tensor_resize(&d->dx, 1, 1, 1, (int)in) ||
        !cnv_tensor_resize(&d->y, 1, 1, 1, (int)out))
        fail("%s", cnv_error());
}

static void free_data(data *d)
{
    cnv_tensor_free(&d->x);
    cnv_tensor_free(&d->dy);
    cnv_tensor_free(&d->y);
    cnv_tensor_free(&d->dx);
}

/* A network input -> operator whose tensors are views of the data, as after cnv_forward and with a
   gradient waiting at the operator. */
static cnv_net *make_net(cnv_op op, const conv_layer *l, int batch, const data *d)
{
    cnv_net *net = cnv_net_new();
    int p, q, x = net ? cnv_input(net, l->c) : -1;
    if (op == CNV_CONV2D) x = cnv_conv2d(net, x, NULL, l->k, l->kernel, l->stride, l->pad);
    if (op == CNV_RELU) x = cnv_relu(net, x);
    if (op == CNV_MAX_POOL) x = cnv_max_pool(net, x, l->kernel, l->stride, l->pad);
    if (x < 0 || !cnv_init(net, 3)) fail("%s: %s", l->name, cnv_error());
    output_size(l, &p, &q);
    net->nodes[0].out = cnv_tensor_view(d->x.data, batch, l->c, l->h, l->w);
    net->nodes[0].grad = cnv_tensor_view(d->dx.data, batch, l->c, l->h, l->w);
    net->nodes[1].out = cnv_tensor_view(d->y.data, batch, l->k, p, q);
    net->nodes[1].grad = cnv_tensor_view(d->dy.data, batch, l->k, p, q);
    return net;
}

/* One more job in the list. */
static job *add_job(job *jobs, int *count, const limits *set, direction what, int batch)
{
    job *j = jobs + (*count)++;
    memset(j, 0, sizeof *j);
    j->set = set, j->what = what, j->batch = batch;
    return j;
}

static void add_fma(job *jobs, int *count, const limits *set)
{
    job *j = add_job(jobs, count, set, FMA, 1);
    j->work = (double)set->flops * STEPS * cnv__threads();
}

static void add_copy(job *jobs, int *count, const limits *set, const data *d)
{
    job *j = add_job(jobs, count, set, COPY, 1);
    j->x = d->x, j->y = d->dx;
    j->work = 2.0 * sizeof(float) * (double)cnv_tensor_size(&d->x);
}

static void add_conv(job *jobs, int *count, const limits *set, direction what,
                     const conv_layer *l, int batch, const data *d)
{
    job *j = add_job(jobs, count, set, what, batch);
    int p, q;
    output_size(l, &p, &q);
    j->net = make_net(CNV_CONV2D, l, batch, d);
    j->work = 2.0 * batch * l->k * l->c * l->kernel * l->kernel * p * q;
}

/* ReLU or max pooling; the sizes in bytes are those of the top comment. */
static void add_pass(job *jobs, int *count, const limits *set, direction what, cnv_op op,
                     const conv_layer *l, const data *d)
{
    job *j = add_job(jobs, count, set, what, 1);
    double in, out;
    j->net = make_net(op, l, 1, d);
    in = (double)cnv_tensor_size(&j->net->nodes[0].out);
    out = (double)cnv_tensor_size(&j->net->nodes[1].out);
    j->work = sizeof(float) * (in + (op == CNV_RELU && what == FORWARD ? 1 : 2) * out);
    if (!cnv_use(set->name) || !cnv__forward_node(j->net, &j->net->nodes[1]))
        fail("%s", cnv_error()); /* pooling leaves its switches for the way back */
}

static void free_jobs(job *jobs, int count)
{
    int i;
    for (i = 0; i < count; i++) cnv_net_free(jobs[i].net);
}

/* ---- The whole benchmark ---- */

typedef struct {
    int quick, batch;              /* the options */
    clockid_t clock;
    const char *filter;
    const limits *sets[LIMITS];
    int set_count;
    char cpu[64];
    FILE *csv;
    int layer[CONV_LAYERS], layer_count; /* those measured, and for the picture: */
    double gflops[LIMITS][CONV_LAYERS][3], peak[LIMITS][2 * CONV_LAYERS];
    int races;
} bench;

static const char *clock_note(const bench *b)
{
    return b->clock == CLOCK_MONOTONIC ? "" : " (CPU time)";
}

/* The name of what is being measured, on a terminal and until the next line is printed. */
static void show_progress(const char *name)
{
    if (!isatty(fileno(stderr))) return;
    if (name) fprintf(stderr, "measuring %s ...", name);
    else fputs("\r\033[K", stderr);
    fflush(stderr);
}

/* One line of bench.csv. peak is given where the work is flops, copy where it is bytes; else 0. */
static void write_csv(const bench *b, const job *j, const char *layer, const char *operation,
                      double peak, double copy)
{
    static const char *const endings[] = {"_forward", "_backward_data", "_backward_weights", "",
                                          ""};
    const char *ending = endings[j->what];
    if (j->what == BACKWARD_DATA && copy > 0) ending = "_backward"; /* there are no weights */
    fprintf(b->csv, "%s,%d,%s,%s%s,%d,%.9f,", j->set->name, cnv__threads(), layer, operation,
            ending, j->batch, j->work / j->rate);
    if (peak > 0) fprintf(b->csv, "%.3f,%.4f,,\n", 1e-9 * j->rate, j->rate / peak);
    else fprintf(b->csv, ",,%.3f,%.3f\n", 1e-9 * j->rate, 1e-9 * copy);
}

/* ---- Convolutions ---- */

/* One row of the table for each instruction set: the jobs stand in the order of the columns, the
   peak first. */
static void print_conv(bench *b, int layer, const job *jobs, int each)
{
    const conv_layer *l = conv_layers + layer;
    int s, i;
    for (s = 0; s < b->set_count; s++, jobs += each) {
        double peak = jobs[0].rate;
        char batches[32];
        snprintf(batches, sizeof batches, jobs[each - 1].batch == jobs[1].batch ? "%d" : "%d, %d",
                 jobs[1].batch, jobs[each - 1].batch);
        printf("%-10s  %6s  %-6s  %8.1f", s ? "" : l->name, s ? "" : batches, jobs->set->name,
               1e-9 * peak);
        write_csv(b, jobs, l->name, "fma_peak", peak, 0);
        b->peak[s][b->races] = 1e-9 * peak;
        for (i = 1; i < each; i++) {
            printf("  %9.1f %4.0f%%", 1e-9 * jobs[i].rate, 100 * jobs[i].rate / peak);
            write_csv(b, jobs + i, l->name, "conv2d", peak, 0);
            b->gflops[s][layer][jobs[i].what] = 1e-9 * jobs[i].rate;
        }
        puts(each < 4 ? "          -" : "");
    }
    b->races++;
}

/* A layer at one batch; backward-weights at another, or not at all if weights_batch is 0. */
static void measure_conv(bench *b, int layer, int batch, int weights_batch)
{
    const conv_layer *l = conv_layers + layer;
    job jobs[MAX_JOBS];
    data d = {0};
    int count = 0, s;
    show_progress(l->name);
    make_data(&d, l, batch > weights_batch ? batch : weights_batch);
    for (s = 0; s < b->set_count; s++) {
        add_fma(jobs, &count, b->sets[s]);
        add_conv(jobs, &count, b->sets[s], FORWARD, l, batch, &d);
        add_conv(jobs, &count, b->sets[s], BACKWARD_DATA, l, batch, &d);
        if (weights_batch)
            add_conv(jobs, &count, b->sets[s], BACKWARD_WEIGHTS, l, weights_batch, &d);
    }
    race(jobs, count, b->quick, b->clock);
    show_progress(NULL);
    print_conv(b, layer, jobs, weights_batch ? 4 : 3);
    fflush(stdout);
    free_jobs(jobs, count);
    free_data(&d);
}

static void measure_convs(bench *b)
{
    int i;
    for (i = 0; i < CONV_LAYERS; i++) {
        const conv_layer *l = conv_layers + i;
        if (!strstr(l->name, b->filter)) continue;
        if (!b->layer_count)
            printf("\nConvolution, GFLOP/s (2NKCRSPQ / median) and its share of the FMA peak\n\n"
                   "%-10s  %6s  %-6s  %8s  %15s  %15s  %16s\n", "layer", "batch*", "set",
                   "FMA peak", "forward     ", "backward-data ", "backward-weights");
        b->layer[b->layer_count++] = i;
        measure_conv(b, i, 1, l->batch ? 0 : b->batch);
        if (l->batch) measure_conv(b, i, l->batch, l->batch);
    }
    if (b->layer_count) puts("* of forward and backward-data, of backward-weights");
}

/* ---- ReLU and max pooling ---- */

/* Copying stands first among the jobs of a set. */
static void print_passes(const bench *b, const char *size, const job *jobs, int each)
{
    static const char *const operations[] = {"copy", "relu", "relu", "max_pool_2x2",
                                             "max_pool_2x2", "max_pool_3x3", "max_pool_3x3"};
    int s, i;
    for (s = 0; s < b->set_count; s++, jobs += each) {
        printf("%-10s  %-6s ", s ? "" : size, jobs->set->name);
        for (i = 0; i < each; i++) {
            printf(i % 2 ? "   %8.1f" : " %8.1f", 1e-9 * jobs[i].rate);
            write_csv(b, jobs + i, size, operations[i], 0, jobs[0].rate);
        }
        puts("");
    }
}

static void measure_size(const bench *b, const image_size *size)
{
    static const cnv_op ops[] = {CNV_RELU, CNV_MAX_POOL, CNV_MAX_POOL};
    static const int kernels[] = {1, 2, 3};
    conv_layer l = {0};
    job jobs[MAX_JOBS];
    data d = {0};
    int count = 0, s, i;
    show_progress(size->name);
    l.name = size->name, l.c = l.k = size->c, l.h = size->h, l.w = size->w;
    l.kernel = l.stride = 1;
    make_data(&d, &l, 1);
    for (s = 0; s < b->set_count; s++) {
        add_copy(jobs, &count, b->sets[s], &d);
        for (i = 0; i < 3; i++) {
            l.kernel = kernels[i], l.stride = i ? 2 : 1;
            add_pass(jobs, &count, b->sets[s], FORWARD, ops[i], &l, &d);
            add_pass(jobs, &count, b->sets[s], BACKWARD_DATA, ops[i], &l, &d);
        }
    }
    race(jobs, count, b->quick, b->clock);
    show_progress(NULL);
    print_passes(b, size->name, jobs, 7);
    fflush(stdout);
    free_jobs(jobs, count);
    free_data(&d);
}

/* Returns how many sizes were measured. */
static int measure_sizes(const bench *b)
{
    int i, measured = 0;
    for (i = 0; i < IMAGE_SIZES; i++) {
        if (!strstr(image_sizes[i].name, b->filter)) continue;
        if (!measured++)
            printf("\nReLU and max pooling, GB/s read and written, beside copying the image\n\n"
                   "%-10s  %-6s  %8s   %17s   %17s   %17s\n%-10s  %-6s  %8s   %8s %8s   %8s %8s   "
                   "%8s %8s\n", "", "", "", "ReLU       ", "max 2x2 /2   ", "max 3x3 /2   ", "size",
                   "set", "copy", "forward", "backward", "forward", "backward", "forward",
                   "backward");
        measure_size(b, image_sizes + i);
    }
    return measured;
}

/* ---- The picture: bars of GFLOP/s for each layer, a panel for each instruction set ---- */

enum { PANEL_WIDTH = 1600, PANEL_HEIGHT = 480, HEADER = 104 };

static const cnv_color ink = {0.15f, 0.16f, 0.18f}, pale = {0.40f, 0.42f, 0.45f};
static const cnv_color bar_colors[] = {
    {0.00f, 0.45f, 0.70f}, {0.90f, 0.62f, 0.00f}, {0.00f, 0.62f, 0.45f}
};
static const char *const bar_names[] = {"forward", "backward-data", "backward-weights"};

/* "vgg_3_2" -> "3_2", "t_3_16@64" -> "3_16": the rest is said below. */
static void short_name(const conv_layer *l, char *text, size_t size)
{
    const char *from = strchr(l->name, '_');
    snprintf(text, size, "%s", from ? from + 1 : l->name);
    text[strcspn(text, "@")] = 0;
}

static void center_text(cnv_tensor *picture, double x, double y, double size, cnv_color color,
                        const char *text)
{
    cnv_text(picture, x - cnv_text_width(size, text) / 2, y, size, color, text);
}

/* Below the bars: the layers, and below those their families, each under a line. */
static void draw_names(const bench *b, const cnv_plot *plot, cnv_tensor *panel)
{
    double slot = (double)(plot->right - plot->left) / b->layer_count;
    int i, first;
    for (i = first = 0; i < b->layer_count; i++) {
        const conv_layer *l = conv_layers + b->layer[i];
        int end = i + 1 == b->layer_count ||
                  strcmp(l->family, conv_layers[b->layer[i + 1]].family) != 0;
        double left = plot->left + first * slot, right = plot->left + (i + 1) * slot;
        char text[64];
        short_name(l, text, sizeof text);
        center_text(panel, plot->left + (i + 0.375) * slot, plot->bottom + 10, 12, ink, text);
        if (!end) continue;
        snprintf(text, sizeof text, l->batch ? "%s, batch %d" : "%s", l->family, l->batch);
        cnv_rectangle(panel, (int)left + 6, plot->bottom + 31, (int)(right - left) - 20, 2, pale);
        center_text(panel, (left + right - 8) / 2, plot->bottom + 40, 12, pale, text);
        first = i + 1;
    }
}

/* The dashed line that no bar can cross, unless the machine's mood changed in between. */
static void draw_peak(const cnv_plot *plot, cnv_tensor *panel, double peak)
{
    double y = plot->bottom - peak / plot->y_high * (plot->bottom - plot->top);
    char text[64];
    int x;
    for (x = plot->left; x < plot->right; x += 16)
        cnv_rectangle(panel, x, (int)y - 1, plot->right - x < 10 ? plot->right - x : 10, 2, ink);
    snprintf(text, sizeof text, "FMA peak %.0f", peak);
    cnv_text(panel, plot->right - cnv_text_width(12, text), y - 20, 12, ink, text);
}

static void draw_panel(bench *b, int set, cnv_tensor *panel)
{
    double peak = median(b->peak[set], b->races), highest = peak;
    double heights[4 * CONV_LAYERS]; /* three bars and a gap for each layer */
    cnv_plot plot = {0};
    int i, k;
    for (i = 0; i < b->layer_count; i++)
        for (k = 0; k < 3; k++)
            if (b->gflops[set][b->layer[i]][k] > highest) highest = b->gflops[set][b->layer[i]][k];
    plot.title = b->sets[set]->name, plot.y_label = "GFLOP/s";
    plot.x_label = ""; /* leaves room for the families */
    plot.width = PANEL_WIDTH, plot.height = PANEL_HEIGHT, plot.y_high = 1.1 * highest;
    if (!cnv_plot_begin(&plot, panel)) fail("%s", cnv_error());
    for (k = 0; k < 3; k++) {
        for (i = 0; i < 4 * b->layer_count; i++)
            heights[i] = i % 4 == k ? b->gflops[set][b->layer[i / 4]][k] : nan("");
        cnv_plot_bars(&plot, panel, heights, NULL, 4 * b->layer_count, bar_colors + k);
    }
    draw_peak(&plot, panel, peak);
    draw_names(b, &plot, panel);
}

static void draw_header(const bench *b, cnv_tensor *sheet)
{
    char text[160];
    int x = PANEL_WIDTH - 24, k, threads = cnv__threads();
    snprintf(text, sizeof text, "Convolution on %s, %d thread%s%s", b->cpu, threads,
             threads == 1 ? "" : "s", clock_note(b));
    cnv_text(sheet, 18, 26, 24, ink, text);
    snprintf(text, sizeof text, "Median speed of each layer, batch 1; backward-weights: batch %d",
             b->batch);
    cnv_text(sheet, 18, 70, 13, pale, text);
    for (k = 2; k >= 0; k--) {
        x -= (int)cnv_text_width(14, bar_names[k]);
        cnv_text(sheet, x, 69, 14, ink, bar_names[k]);
        x -= 24;
        cnv_rectangle(sheet, x, 68, 16, 16, bar_colors[k]);
        x -= 28;
    }
}

/* Returns the name of the file. */
static const char *save_picture(bench *b)
{
    static const cnv_color white = {1, 1, 1};
    cnv_tensor sheet = {0}, panel = {0};
    const char *path = "build/bench.png";
    int s;
    if (!cnv_canvas(&sheet, HEADER + PANEL_HEIGHT * b->set_count, PANEL_WIDTH, white))
        fail("%s", cnv_error());
    draw_header(b, &sheet);
    for (s = 0; s < b->set_count; s++) {
        draw_panel(b, s, &panel);
        cnv_paste(&sheet, &panel, 0, HEADER + s * PANEL_HEIGHT);
    }
    if (!cnv_image_save(path, &sheet) && !cnv_image_save(path = "build/bench.ppm", &sheet))
        fail("%s", cnv_error());
    cnv_tensor_free(&sheet);
    cnv_tensor_free(&panel);
    return path;
}

/* ---- Options, and the order of things ---- */

/* The CPU's name, where Linux tells it. */
static void find_cpu(char *name, size_t size)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    snprintf(name, size, "this CPU");
    while (file && fgets(line, sizeof line, file)) {
        const char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !value) continue;
        value += 1 + strspn(value + 1, " ");
        snprintf(name, size, "%.*s", (int)strcspn(value, "\n"), value);
        break;
    }
    if (file) fclose(file);
}

/* The named instruction set, or all that this CPU has, scalar only if wanted. */
static void find_sets(bench *b, const char *only, int scalar)
{
    int i;
    if (only && !cnv_use(only)) fail("--set: %s", cnv_error());
    for (i = 0; i < LIMITS; i++) {
        const limits *set = all_limits + i;
        int plain = !strcmp(set->name, "scalar"), wanted = !plain || scalar || LIMITS == 1;
        if (only) wanted = !strcmp(set->name, strcmp(only, "auto") ? only : cnv_using());
        if (wanted && cnv_use(set->name)) b->sets[b->set_count++] = set;
    }
    if (!b->set_count) b->sets[b->set_count++] = all_limits + LIMITS - 1; /* scalar: the last one */
}

static void read_options(bench *b, int count, char **options)
{
    const char *set = NULL;
    int i, scalar = 0;
    b->filter = "", b->clock = CLOCK_MONOTONIC;
    for (i = 1; i < count; i++) {
        const char *option = options[i], *value = i + 1 < count ? options[i + 1] : NULL;
        if (!strcmp(option, "--quick")) b->quick = 1;
        else if (!strcmp(option, "--scalar")) scalar = 1;
        else if (!strcmp(option, "--cpu-time")) b->clock = CLOCK_PROCESS_CPUTIME_ID;
        else if (value && !strcmp(option, "--set")) set = value, i++;
        else if (value && !strcmp(option, "--layer")) b->filter = value, i++;
        else if (value && !strcmp(option, "--batch")) {
            b->batch = atoi(value), i++;
            if (b->batch < 1 || b->batch > 256) fail("--batch: \"%s\" is not in 1 ... 256", value);
        } else
            fail("\"%s\" is not understood; there are: --quick, --scalar, --cpu-time, "
                 "--set NAME, --layer PART, --batch N", option);
    }
    if (!b->batch) b->batch = b->quick ? 1 : 16;
    if (b->clock != CLOCK_MONOTONIC && cnv__threads() > 1)
        fail("--cpu-time adds up the threads' times: run it with OMP_NUM_THREADS=1");
    find_sets(b, set, scalar);
}

int main(int count, char **options)
{
    static bench b;
    int sizes, threads = cnv__threads();
    double start = seconds_of(CLOCK_MONOTONIC);
    const char *picture = NULL;
    read_options(&b, count, options);
    find_cpu(b.cpu, sizeof b.cpu);
    if (!(b.csv = fopen("build/bench.csv", "w")))
        fail("cannot write build/bench.csv: %s", strerror(errno));
    fputs("set,threads,layer,operation,batch,median_seconds,gflops,fraction_of_peak,gb_per_s,"
          "copy_gb_per_s\n", b.csv);
    printf("%s, %d thread%s%s\n", b.cpu, threads, threads == 1 ? "" : "s", clock_note(&b));
    measure_convs(&b);
    sizes = measure_sizes(&b);
    if (!b.layer_count && !sizes)
        fail("no layer and no image size has \"%s\" in its name", b.filter);
    if (fclose(b.csv)) fail("cannot write build/bench.csv: %s", strerror(errno));
    if (b.layer_count) picture = save_picture(&b);
    printf("\n%.0f s; build/bench.csv%s%s\n", seconds_of(CLOCK_MONOTONIC) - start,
           picture ? ", " : "", picture ? picture : "");
    return 0;
}
