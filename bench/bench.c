/* How fast the kernels are, how fast this CPU would let them be, and how fast others are.

       cc -O2 bench/bench.c -o build/bench -lm && build/bench              (one thread)
       cc -O2 -fopenmp bench/bench.c -o build/bench -lm && build/bench     (OMP_NUM_THREADS threads)

   Run it where build/ is; it takes two to three minutes, and writes build/bench.csv and
   build/bench.png (or .ppm, when compiled without stb_image_write.h). Options:
       --peers          beside the other libraries that are there (make bench): some five minutes
       --quick          fewer repetitions, backward-weights at batch 1: some 20 seconds
       --set avx2       only this instruction set
       --scalar         plain C too, which is slow
       --layer vgg_3_2  only layers and image sizes whose names contain this
       --batch 8        images for backward-weights (16 if not said, 4 with peers)
       --cpu-time       count this process's own time, not what others took (one thread only)
   So `build/bench --set avx2 --layer vgg_3_2` reproduces one line of the table, and
   `OMP_NUM_THREADS=1 taskset -c 1 build/bench --peers --set avx2 --layer vgg_3_2` those beside
   peers, with one thread on one core.

   What is timed is what a network's tape calls for one node, in a network of two: an input and the
   operator. Weights are packed in the first call and kept, as they are in a network, except in
   backward-weights, where the packed operand is the gradient, new every time. Outputs are
   overwritten and stay in whatever cache they fit. For this the bench calls private functions of
   the header, cnv__forward_node and so on: cnv_forward would also copy the image.

   Columns. GFLOP/s: 2*N*K*C*R*S*P*Q, the multiply-adds of the definition with the taps on the
   padding counted, / median time. Percentage: of the peak, that is, of independent multiply-adds in
   registers with the same instruction set and as many threads. Backward-weights includes the bias.
   GB/s: bytes that the definition must read and write, once each, / median time:
       ReLU forward   x, y            max pooling forward    x, y; its switches: x, y, switches
       ReLU backward  x, dy, dx       max pooling backward   dy, switches, dx
       average pooling: x, y; dy, dx  add, multiply, y += a x: 3 numbers; y = a x + b: 2
       a step of SGD: g, m, w, m, w   of Adam: g, m, v, w, m, v, w
   and copying: x and its copy. Elementwise kernels run in one thread, as steps do.

   How: all that stands in the rows of one layer, the peak included, is measured in turns, so that
   the moods of a shared machine hit everyone alike: in each of 5 turns everyone calls for 40 ms, at
   least once and at most 40 times. Before that, 2 calls and 50 ms go unmeasured; before each turn
   one call, if it is short. Medians over all calls. bench.csv has one line for each of them.

   Peers are programs of their own, build/peers/..., one process for each instruction set, to which
   it is confined by its library's own variable; ONNX Runtime has none, and stands only beside the
   widest set of this CPU, forward. conversation.h says how the bench talks to them. They compute
   with the same numbers and as many threads, and time their calls themselves when their turn comes;
   before that their results are compared with ours. The top comments of onednn.c, openblas.c,
   pytorch.py and onnxruntime.js say what is inside the time. Columns: the peer's GFLOP/s, ours /
   theirs. Where the system keeps threads on one processor as long as it can, OMP_PROC_BIND=true
   parts them. */
#define _GNU_SOURCE /* clock_gettime, setenv, sched_setaffinity */
#define CNNVIS_IMPLEMENTATION
#include "../cnnvis.h"

#include "layers.h"
#include "numbers.h"
#include "timing.h"

#include <errno.h>

#include "limits.h"
#include "peers.h"
#include "jobs.h"

/* ---- The whole benchmark ---- */

/* A layer at one batch, backward-weights perhaps at another, or not at all: 0. */
typedef struct {
    const conv_layer *layer;
    int batch[3];
    double peak[LIMITS], rate[LIMITS][LIBRARIES][3]; /* flops per second; 0: absent */
} result;

typedef struct {
    int quick, batch;              /* the options */
    clockid_t clock;
    const char *filter;
    const limits *sets[LIMITS];
    int set_count;
    char cpu[64];
    FILE *csv;
    int compare;                   /* with peers: */
    peer peers[LIMITS][PEERS];
    result results[2 * CONV_LAYERS];
    int result_count;
    int layer[CONV_LAYERS], layer_count; /* those measured, and for the picture: */
    double bars[LIMITS][CONV_LAYERS][3], peak[LIMITS][2 * CONV_LAYERS];
} bench;

static const char *clock_note(const bench *b)
{
    return b->clock == CLOCK_MONOTONIC ? "" : " (CPU time)";
}

/* One line of bench.csv. peak is given where the work is flops, copy where it is bytes; else 0. */
static void write_csv(const bench *b, const job *j, const char *layer, const char *operation,
                      double peak, double copy)
{
    static const char *const endings[] = {"_forward", "_backward_data", "_backward_weights",
                                          "_switches", ""};
    const char *ending = endings[j->what < COPY ? j->what : COPY];
    if (j->what == BACKWARD_DATA && copy > 0) ending = "_backward"; /* there are no weights */
    fprintf(b->csv, "%s,%s,%d,%s,%s%s,%d,%.9f,", libraries[j->who].name, j->set->name,
            cnv__threads(), layer, operation, ending, j->batch, j->work / j->rate);
    if (peak > 0) fprintf(b->csv, "%.3f,%.4f,,\n", 1e-9 * j->rate, j->rate / peak);
    else fprintf(b->csv, ",,%.3f,%.3f\n", 1e-9 * j->rate, 1e-9 * copy);
}

/* ---- Convolutions ---- */

/* Into the table, the picture and bench.csv; the peak stands first among the jobs of a set. */
static void record(bench *b, int layer, const job *jobs, int count)
{
    result *r = b->results + b->result_count;
    int s = -1, i;
    r->layer = conv_layers + layer;
    for (i = 0; i < count; i++) {
        const job *j = jobs + i;
        if (j->what == FMA) {
            r->peak[++s] = j->rate;
            b->peak[s][b->result_count] = 1e-9 * j->rate;
        } else {
            r->batch[j->what] = j->batch;
            r->rate[s][j->who][j->what] = j->rate;
            if (j->who == OURS) b->bars[s][layer][j->what] = 1e-9 * j->rate;
        }
        write_csv(b, j, r->layer->name, j->what == FMA ? "fma_peak" : "conv2d", r->peak[s], 0);
    }
    b->result_count++;
}

/* A layer at one batch; backward-weights at another, or not at all if weights_batch is 0. */
static const result *measure_conv(bench *b, int layer, int batch, int weights_batch)
{
    const conv_layer *l = conv_layers + layer;
    job jobs[MAX_JOBS];
    data d = {0};
    int count = 0, s, k;
    show_progress(l->name);
    make_data(&d, l, batch > weights_batch ? batch : weights_batch);
    for (s = 0; s < b->set_count; s++) {
        add_fma(jobs, &count, b->sets[s]);
        for (k = FORWARD; k <= BACKWARD_WEIGHTS; k++) {
            int images = k == BACKWARD_WEIGHTS ? weights_batch : batch;
            if (images)
                add_conv(jobs, &count, b->sets[s], b->peers[s], (direction)k, l, images, &d);
        }
    }
    race(jobs, count, b->quick, b->clock);
    for (s = 0; s < b->set_count; s++)
        for (k = 0; k < PEERS; k++)
            if (b->peers[s][k].to) forget_prepared(&b->peers[s][k]);
    show_progress(NULL);
    record(b, layer, jobs, count);
    free_jobs(jobs, count);
    free_data(&d);
    return b->results + b->result_count - 1;
}

/* Without peers a line shows a layer with one instruction set. */
static void print_alone(const bench *b, const result *r)
{
    int s, k;
    for (s = 0; s < b->set_count; s++) {
        char batches[32];
        snprintf(batches, sizeof batches, r->batch[0] == r->batch[2] || !r->batch[2] ? "%d"
                 : "%d, %d", r->batch[0], r->batch[2]);
        printf("%-10s  %6s  %-6s  %8.1f", s ? "" : r->layer->name, s ? "" : batches,
               b->sets[s]->name, 1e-9 * r->peak[s]);
        for (k = 0; k < 3; k++)
            if (r->batch[k]) printf("  %9.1f %4.0f%%", 1e-9 * r->rate[s][OURS][k],
                                    100 * r->rate[s][OURS][k] / r->peak[s]);
        puts(r->batch[2] ? "" : "          -");
    }
}

/* GFLOP/s and ours / theirs; the latter not where we would be compared with an easier task. */
static void print_peer(const double (*rate)[3], int who, int k)
{
    if (rate[who][k] > 0) printf(" %6.0f", 1e-9 * rate[who][k]);
    else printf("      -");
    if (who == ONEDNN_OWN) return;
    if (rate[who][k] > 0) printf(" %5.2f", rate[OURS][k] / rate[who][k]);
    else printf("     -");
}

/* With peers a line shows one operation of it. */
static void print_beside_peers(const bench *b, const result *r)
{
    int s, k, who;
    for (k = 0; k < 3; k++)
        for (s = 0; s < b->set_count && r->batch[k]; s++) {
            const double (*rate)[3] = r->rate[s];
            printf("%-10s  %-16s %3d  %-6s  %5.0f %4.0f%%", k || s ? "" : r->layer->name,
                   s ? "" : direction_names[k], r->batch[k], b->sets[s]->name,
                   1e-9 * rate[OURS][k], 100 * rate[OURS][k] / r->peak[s]);
            for (who = OURS + 1; who < LIBRARIES; who++) print_peer(rate, who, k);
            puts("");
        }
}

static void print_conv_header(const bench *b)
{
    int who;
    if (!b->compare) {
        printf("\nConvolution, GFLOP/s (2NKCRSPQ / median) and its share of the FMA peak\n\n"
               "%-10s  %6s  %-6s  %8s  %15s  %15s  %16s\n", "layer", "batch*", "set",
               "FMA peak", "forward     ", "backward-data ", "backward-weights");
        return;
    }
    printf("\nConvolution, GFLOP/s (2NKCRSPQ / median): cnnvis, its share of the FMA peak; a peer, "
           "cnnvis / peer\n(NCHW in and out; own: oneDNN without bringing activations into and out "
           "of its own layout)\n\n%-10s  %-14s batch  %-6s  %11s", "layer", "operation", "set",
           libraries[OURS].name);
    for (who = OURS + 1; who < LIBRARIES; who++)
        printf(who == ONEDNN_OWN ? "%7s" : " %12s",
               who == ONEDNN_OWN ? libraries[who].layout : libraries[who].name);
    puts("");
}

static void measure_convs(bench *b)
{
    int i, images;
    for (i = 0; i < CONV_LAYERS; i++) {
        const conv_layer *l = conv_layers + i;
        if (!strstr(l->name, b->filter)) continue;
        if (!b->layer_count) print_conv_header(b);
        b->layer[b->layer_count++] = i;
        for (images = 1; images; images = images == 1 ? l->batch : 0) {
            int weights_batch = l->batch ? l->batch * (images > 1) : b->batch;
            const result *r = measure_conv(b, i, images, weights_batch);
            if (b->compare) print_beside_peers(b, r);
            else print_alone(b, r);
            fflush(stdout);
        }
    }
    if (b->layer_count && !b->compare) puts("* of forward and backward-data, of backward-weights");
}

/* ---- The peers, and how we do beside them ---- */

/* They have no plain C; and not all can be held to less than the CPU has. */
static int can_use(const peer_kind *kind, const limits *set)
{
    cnv_use("auto");
    return strcmp(set->name, "scalar") && (!kind->widest || !strcmp(set->name, cnv_using()));
}

static void start_peers(bench *b)
{
    int s, k, present = 0;
    for (k = 0; k < PEERS && b->compare; k++) {
        const peer_kind *kind = peer_kinds + k;
        for (s = 0; s < b->set_count; s++) {
            if (!can_use(kind, b->sets[s])) continue;
            show_progress(kind->name);
            start_peer(&b->peers[s][k], kind, b->sets[s]->name);
            show_progress(NULL);
        }
        if (b->peers[0][k].to) printf("beside %s\n", b->peers[0][k].version), present = 1;
        else if (can_use(kind, b->sets[0])) printf("without %s (%s)\n", kind->name, kind->install);
        else printf("without %s (it cannot be held to %s)\n", kind->name, b->sets[0]->name);
    }
    b->compare = present;
}

static void stop_peers(bench *b)
{
    int s, k;
    for (s = 0; s < b->set_count; s++)
        for (k = 0; k < PEERS; k++) stop_peer(&b->peers[s][k]);
}

/* The geometric mean of ours / theirs over the layers, and the layer where it is lowest. */
static void print_mean(const bench *b, int s, int who, int k)
{
    const result *worst = NULL;
    double product = 0, lowest = HUGE_VAL;
    char name[32];
    int i, count = 0;
    for (i = 0; i < b->result_count; i++) {
        const result *r = b->results + i;
        double ratio;
        if (!(r->rate[s][who][k] > 0)) continue;
        ratio = r->rate[s][OURS][k] / r->rate[s][who][k];
        product += log(ratio), count++;
        if (ratio < lowest) lowest = ratio, worst = r;
    }
    if (!count) {
        printf("  %24s", "-");
        return;
    }
    snprintf(name, sizeof name, worst->batch[0] > 1 ? "%s x%d" : "%s", worst->layer->name,
             worst->batch[0]);
    printf("  %5.2f %5.2f %-14s", exp(product / count), lowest, name);
}

static void print_summary(const bench *b)
{
    enum { SHOWN = 4 };
    static const int shown[SHOWN] = {ONEDNN, OPENBLAS, PYTORCH, ONNXRUNTIME};
    int s, k, i;
    if (!b->compare || !b->layer_count) return;
    printf("\ncnnvis / peer: geometric mean over all lines above, and the lowest ratio\n\n"
           "%-6s  %-16s", "set", "operation");
    for (i = 0; i < SHOWN; i++) printf("   %-23s", libraries[shown[i]].name);
    puts("");
    for (s = 0; s < b->set_count; s++)
        for (k = 0; k < 3; k++) {
            printf("%-6s  %-16s", k ? "" : b->sets[s]->name, direction_names[k]);
            for (i = 0; i < SHOWN; i++) print_mean(b, s, shown[i], k);
            puts("");
        }
}

/* ---- ReLU, pooling, elementwise kernels ---- */

/* A column of a table: an operator, one way, or an elementwise kernel. */
typedef struct {
    const char *heading, *name;
    direction what;
    cnv_op op;  /* of operators: */
    int kernel; /* 1, or pooling's, at stride 2 */
} pass;

enum { PASSES = 8, PASS_TABLES = 3 };
static const char *const pass_titles[PASS_TABLES] = {
    "ReLU and max pooling", "Average pooling", "Elementwise kernels"
};
static const pass passes[PASS_TABLES][PASSES] = {
    {{"ReLU fw", "relu", FORWARD, CNV_RELU, 1}, {"ReLU bw", "relu", BACKWARD_DATA, CNV_RELU, 1},
     {"2x2/2 fw", "max_pool_2x2", FORWARD, CNV_MAX_POOL, 2},
     {"switches", "max_pool_2x2", SWITCHES, CNV_MAX_POOL, 2},
     {"2x2/2 bw", "max_pool_2x2", BACKWARD_DATA, CNV_MAX_POOL, 2},
     {"3x3/2 fw", "max_pool_3x3", FORWARD, CNV_MAX_POOL, 3},
     {"switches", "max_pool_3x3", SWITCHES, CNV_MAX_POOL, 3},
     {"3x3/2 bw", "max_pool_3x3", BACKWARD_DATA, CNV_MAX_POOL, 3}},
    {{"2x2/2 fw", "avg_pool_2x2", FORWARD, CNV_AVG_POOL, 2},
     {"2x2/2 bw", "avg_pool_2x2", BACKWARD_DATA, CNV_AVG_POOL, 2},
     {"3x3/2 fw", "avg_pool_3x3", FORWARD, CNV_AVG_POOL, 3},
     {"3x3/2 bw", "avg_pool_3x3", BACKWARD_DATA, CNV_AVG_POOL, 3}},
    {{"a + b", "add", ADD, CNV_INPUT, 1}, {"a * b", "multiply", MULTIPLY, CNV_INPUT, 1},
     {"a x + b", "affine", AFFINE, CNV_INPUT, 1},
     {"y += a x", "add_scaled", ADD_SCALED, CNV_INPUT, 1}, {"SGD", "sgd", SGD, CNV_INPUT, 1},
     {"Adam", "adam", ADAM, CNV_INPUT, 1}},
};

/* Copying stands first among the jobs of a set. */
static void print_passes(const bench *b, const char *size, const pass *table, const job *jobs,
                         int each)
{
    int s, i;
    for (s = 0; s < b->set_count; s++, jobs += each) {
        printf("%-11s  %-6s ", s ? "" : size, jobs->set->name);
        for (i = 0; i < each; i++) {
            printf("  %8.1f", 1e-9 * jobs[i].rate);
            write_csv(b, jobs + i, size, i ? table[i - 1].name : "copy", 0, jobs[0].rate);
        }
        puts("");
    }
}

static void measure_size(const bench *b, const image_size *size, const pass *table)
{
    conv_layer l = {0};
    job jobs[MAX_JOBS];
    data d = {0};
    int count = 0, s, i = 0;
    show_progress(size->name);
    l.name = size->name, l.c = l.k = size->c, l.h = size->h, l.w = size->w;
    l.kernel = l.stride = 1;
    make_data(&d, &l, 1);
    cnv_tensor_fill(&d.y, 1), cnv_tensor_fill(&d.dx, 1);
    for (s = 0; s < b->set_count; s++) {
        add_copy(jobs, &count, b->sets[s], &d);
        for (i = 0; i < PASSES && table[i].name; i++) {
            l.kernel = table[i].kernel, l.stride = l.kernel > 1 ? 2 : 1;
            if (table[i].what >= ADD)
                add_elementwise(jobs, &count, b->sets[s], table[i].what, &d);
            else add_pass(jobs, &count, b->sets[s], table[i].what, table[i].op, &l, &d);
        }
    }
    race(jobs, count, b->quick, b->clock);
    show_progress(NULL);
    print_passes(b, size->name, table, jobs, i + 1);
    fflush(stdout);
    free_jobs(jobs, count);
    free_data(&d);
}

/* Returns how many sizes were measured. */
static int measure_sizes(const bench *b)
{
    int t, i, k, measured = 0;
    for (t = 0; t < PASS_TABLES; t++)
        for (i = 0, measured = 0; i < IMAGE_SIZES; i++) {
            if (!strstr(image_sizes[i].name, b->filter)) continue;
            if (!measured++) {
                printf("\n%s, GB/s read and written, beside copying the image\n\n%-11s  %-6s   "
                       "%8s", pass_titles[t], "size", "set", "copy");
                for (k = 0; k < PASSES && passes[t][k].name; k++)
                    printf("  %8s", passes[t][k].heading);
                puts("");
            }
            measure_size(b, image_sizes + i, passes[t]);
        }
    return measured;
}

#include "picture.h"

/* ---- Options, and the order of things ---- */

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
        else if (!strcmp(option, "--peers")) b->compare = 1;
        else if (!strcmp(option, "--cpu-time")) b->clock = CLOCK_PROCESS_CPUTIME_ID;
        else if (value && !strcmp(option, "--set")) set = value, i++;
        else if (value && !strcmp(option, "--layer")) b->filter = value, i++;
        else if (value && !strcmp(option, "--batch")) {
            b->batch = atoi(value), i++;
            if (b->batch < 1 || b->batch > 256) fail("--batch: \"%s\" is not in 1 ... 256", value);
        } else
            fail("\"%s\" is not understood; there are: --peers, --quick, --scalar, "
                 "--cpu-time, --set NAME, --layer PART, --batch N", option);
    }
    if (!b->batch) b->batch = b->quick ? 1 : b->compare ? 4 : 16;
    if (b->clock != CLOCK_MONOTONIC && cnv__threads() > 1)
        fail("--cpu-time adds up the threads' times: run it with OMP_NUM_THREADS=1");
    find_sets(b, set, scalar);
    if (b->compare && !strcmp(b->sets[0]->name, "scalar"))
        fail("--peers: they have no plain C to compare with");
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
    fputs("library,set,threads,layer,operation,batch,median_seconds,gflops,fraction_of_peak,"
          "gb_per_s,copy_gb_per_s\n", b.csv);
    printf("%s, %d thread%s%s\n", b.cpu, threads, threads == 1 ? "" : "s", clock_note(&b));
    start_peers(&b);
    measure_convs(&b);
    stop_peers(&b);
    print_summary(&b);
    sizes = measure_sizes(&b);
    if (!b.layer_count && !sizes)
        fail("no layer and no image size has \"%s\" in its name", b.filter);
    if (fclose(b.csv)) fail("cannot write build/bench.csv: %s", strerror(errno));
    if (b.layer_count) picture = save_picture(&b);
    printf("\n%.0f s; build/bench.csv%s%s\n", seconds_of(CLOCK_MONOTONIC) - start,
           picture ? ", " : "", picture ? picture : "");
    return 0;
}
