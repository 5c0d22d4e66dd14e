/* How fast whole networks are, forwards and back to the pixels.

       cc -O2 bench/networks.c -o build/networks -lm && build/networks            (one thread)
       cc -O2 -fopenmp bench/networks.c -o build/networks -lm && build/networks   (OMP_NUM_THREADS)

   Run it where build/ is; it takes one to two minutes, writes build/networks.csv, and for the time
   being the weights of the networks, 850 MB, in build/. Options:
       --quick          fewer repetitions
       --set avx2       only this instruction set
       --scalar         plain C too, which is slow
       --part vgg19     only this part: alexnet, vgg19, googlenet, linear, training or heatmap
       --keep           leave the weights there, and use those that are there
       --heatmap        no more than one run of the part "heatmap"
   bench/networks.py prints the same beside PyTorch and ONNX Runtime.

   Networks are those of examples/models.h, on one image of 224 x 224. Weights are random, and as
   frozen as those of a trained network that is only looked at: packed in the first call and kept.
   They lie in a file that is mapped, so that all instruction sets read the same memory.
     forward      cnv_forward, up to the logits
     + gradient   and cnv_seed and cnv_backward, down to the pixels
     allocations  requests for memory after the first time through: should be none
     the table of operators: where that time goes, node by node, with the first instruction set
   linear         VGG's classifier.0, 25088 -> 4096, on one image: its 411 MB of weights are too
                  many for any cache and are used once, so that reading them is all the work. GB/s
                  of weights, beside plain reading of the same memory.
   training       cnv_forward, cnv_cross_entropy, cnv_backward and cnv_step (SGD with momentum) on
                  64 images: toynet on 3x64x64, and, on 3x32x32, conv16-pool-conv32-pool-conv64-
                  pool-fc10, all 3x3 with ReLU.
   heatmap        a process from its start until the saliency of VGG-19 is a picture on the disk, on
                  2 threads, and the most memory it occupied, with net->frugal. The weights' file
                  has just been written: it is read from memory, not from the disk.

   Threads that spin while they wait for each other are quick where all processors are free, and
   many times slower where they are not: there, set OMP_WAIT_POLICY=passive. Where the system keeps
   threads on one processor as long as it can, OMP_PROC_BIND=true parts them.

   How: instruction sets take turns, as in bench.c: in each of 5 turns everyone calls for 150 ms,
   and at least once. Before that 2 calls go unmeasured. Medians over all calls. */
#define _DEFAULT_SOURCE /* clock_gettime, popen, madvise */
#include <stdlib.h>

/* Requests for memory are counted, wherever the library makes them. */
static long allocations;
static void *counted(void *memory)
{
    allocations++;
    return memory;
}
#define malloc(bytes) counted(malloc(bytes))
#define calloc(count, bytes) counted(calloc(count, bytes))
#define realloc(memory, bytes) counted(realloc(memory, bytes))

#define CNNVIS_IMPLEMENTATION
#include "../examples/models.h"

#include "timing.h"

#include <errno.h>
#include <sys/resource.h>

enum { SETS = 4, TURNS = 5, CALLS = 200, LAPS = 2, SIDE = 224, BATCH = 64 };

static const char *const set_names[SETS] = {"avx512", "avx2", "neon", "scalar"};

typedef struct {
    int quick, keep;         /* the options */
    const char *part;
    const char *sets[SETS];  /* those measured */
    int set_count;
    FILE *csv;
} bench;

static void check(int ok)
{
    if (!ok) fail("%s", cnv_error());
}

static double now(void) { return seconds_of(CLOCK_MONOTONIC); }

static int wanted(const bench *b, const char *part) { return !b->part || !strcmp(b->part, part); }

static void write_csv(const bench *b, const char *part, const char *what, const char *set,
                      double value, const char *unit)
{
    fprintf(b->csv, "%s,%s,%s,%d,%.6g,%s\n", part, what, set, cnv__threads(), value, unit);
}

/* ---- A job: one thing to be timed, again and again, in one or two laps ---- */

typedef struct job {
    const char *set;
    void (*run)(struct job *j, double *laps); /* fills in the seconds of each */
    cnv_net *net;
    int logits;
    cnv_tensor image;
    cnv_optimizer optimizer;
    int labels[BATCH];
    double seconds[LAPS][CALLS], median[LAPS];
    int calls;
    long allocations;                         /* in the calls that are measured */
} job;

static void call(job *j)
{
    double laps[LAPS] = {0};
    long before = allocations;
    int k;
    j->run(j, laps);
    for (k = 0; k < LAPS; k++) j->seconds[k][j->calls] = laps[k];
    j->allocations += allocations - before;
    j->calls++;
}

static void race(const bench *b, job *jobs, int count)
{
    int turn, turns = b->quick ? 2 : TURNS, i, k;
    for (turn = -1; turn < turns; turn++)
        for (i = 0; i < count; i++) {
            double start = now(), length = b->quick ? 0.03 : 0.15;
            int least = turn < 0 ? 2 : 1, most = jobs[i].calls + CALLS / TURNS;
            check(cnv_use(jobs[i].set));
            while (least-- > 0 || (turn >= 0 && jobs[i].calls < most && now() - start < length))
                call(jobs + i);
            if (turn < 0) jobs[i].calls = 0, jobs[i].allocations = 0; /* that was to warm up */
        }
    for (i = 0; i < count; i++)
        for (k = 0; k < LAPS; k++) jobs[i].median[k] = median(jobs[i].seconds[k], jobs[i].calls);
}

static void free_jobs(job *jobs, int count)
{
    int i;
    for (i = 0; i < count; i++) cnv_net_free(jobs[i].net), cnv_tensor_free(&jobs[i].image);
}

/* ---- Networks and images ---- */

/* Random, uniform in -1 ... 1. Drawing many takes long, so a million are repeated. */
static void fill_random(cnv_tensor *t, double scale)
{
    enum { PERIOD = (1 << 20) + 1 };
    static float numbers[PERIOD];
    size_t i, k = 0, size = cnv_tensor_size(t);
    cnv_rng rng = cnv_rng_seed(1);
    if (numbers[0] == 0)
        for (i = 0; i < PERIOD; i++) numbers[i] = 2 * (float)cnv_uniform(&rng) - 1;
    for (i = 0; i < size; i++, k = k + 1 < PERIOD ? k + 1 : 0)
        t->data[i] = (float)scale * numbers[k];
}

/* As large as cnv_init would draw them. Norms and biases stay as they are: 1 and 0. */
static void fill_weights(cnv_net *net)
{
    int i;
    for (i = 0; i < net->param_count; i++) {
        cnv_tensor *value = &net->params[i].value;
        double fan_in = (double)cnv_tensor_size(value) / value->n;
        if (net->params[i].rank > 1) fill_random(value, sqrt(6 / fan_in));
    }
    cnv_weights_changed(net);
}

static void make_image(cnv_tensor *image, int n, int c, int h, int w)
{
    size_t i;
    check(cnv_tensor_resize(image, n, c, h, w));
    fill_random(image, 0.5);
    for (i = 0; i < cnv_tensor_size(image); i++) image->data[i] += 0.5f;
}

static const char *weights_of(const char *name)
{
    static char path[64];
    snprintf(path, sizeof path, "build/%s.safetensors", name);
    return path;
}

static void write_weights(const bench *b, const char *name)
{
    cnv_net *net;
    if (b->keep && !access(weights_of(name), R_OK)) return;
    check((net = cnv_net_new()) != NULL && model_find(name)->build(net, 1000) >= 0);
    fill_weights(net);
    check(cnv_save(net, weights_of(name), NULL));
    cnv_net_free(net);
}

static cnv_net *read_network(const char *name, int *logits)
{
    cnv_net *net = cnv_net_new();
    check(net && (*logits = model_find(name)->build(net, 1000)) >= 0);
    check(cnv_load(net, weights_of(name)));
    return net;
}

/* ---- Forward, and back to the pixels ---- */

static void run_network(job *j, double *laps)
{
    double start = now();
    cnv_tensor *seed;
    check(cnv_forward(j->net, &j->image, CNV_ALL));
    laps[0] = now() - start;
    check((seed = cnv_seed(j->net, j->logits)) != NULL);
    seed->data[0] = 1;
    check(cnv_backward(j->net, 0));
    laps[1] = now() - start;
}

/* Both ways through a network, node by node as the tape goes; adds each node's time to its kind. */
static void profile_network(job *j, double forward[CNV_OPS], double backward[CNV_OPS])
{
    cnv_net *net = j->net;
    double start;
    int i;
    check(cnv_forward(net, &j->image, 0));
    for (i = 1; i <= j->logits; i++) {
        start = now();
        check(cnv__forward_node(net, &net->nodes[i]));
        forward[net->nodes[i].op] += now() - start;
    }
    net->valid = j->logits + 1;
    check(cnv_seed(net, j->logits) != NULL);
    net->nodes[j->logits].grad.data[0] = 1;
    cnv__mark_wanted(net, 0);
    for (i = j->logits; i > 0; i--) {
        start = now();
        check(!net->nodes[i].has_grad || cnv__backward_step(net, &net->nodes[i], 0));
        backward[net->nodes[i].op] += now() - start;
    }
    for (i = 0; i <= j->logits; i++) net->nodes[i].has_grad = 0;
}

static void print_operators(const bench *b, const char *name, job *j)
{
    double forward[CNV_OPS] = {0}, backward[CNV_OPS] = {0};
    int calls = b->quick ? 1 : 5, i;
    check(cnv_use(j->set));
    for (i = 0; i < calls; i++) profile_network(j, forward, backward);
    printf("%-10s  forward / backward, ms:", "");
    for (i = 0; i < CNV_OPS; i++) {
        char text[64];
        double up = 1e3 * forward[i] / calls, down = 1e3 * backward[i] / calls;
        if (up + down < 0.02) continue;
        printf(" %s %.1f / %.1f", cnv_op_name((cnv_op)i), up, down);
        snprintf(text, sizeof text, "forward of %s", cnv_op_name((cnv_op)i));
        write_csv(b, name, text, j->set, up, "ms");
        snprintf(text, sizeof text, "backward of %s", cnv_op_name((cnv_op)i));
        write_csv(b, name, text, j->set, down, "ms");
    }
    puts("");
}

static void measure_network(const bench *b, const char *name)
{
    static job jobs[SETS];
    int i;
    memset(jobs, 0, sizeof jobs);
    for (i = 0; i < b->set_count; i++) {
        jobs[i].set = b->sets[i], jobs[i].run = run_network;
        jobs[i].net = read_network(name, &jobs[i].logits);
        make_image(&jobs[i].image, 1, 3, SIDE, SIDE);
    }
    race(b, jobs, b->set_count);
    for (i = 0; i < b->set_count; i++) {
        printf("%-10s  %-6s  %9.1f  %10.1f  %11ld\n", i ? "" : name, jobs[i].set,
               1e3 * jobs[i].median[0], 1e3 * jobs[i].median[1], jobs[i].allocations);
        write_csv(b, name, "forward", jobs[i].set, 1e3 * jobs[i].median[0], "ms");
        write_csv(b, name, "forward + gradient", jobs[i].set, 1e3 * jobs[i].median[1], "ms");
        write_csv(b, name, "allocations", jobs[i].set, (double)jobs[i].allocations, "");
    }
    print_operators(b, name, &jobs[0]);
    fflush(stdout);
    free_jobs(jobs, b->set_count);
}

static void measure_networks(const bench *b)
{
    static const char *const names[] = {"alexnet", "googlenet", "vgg19"};
    int i, first = 1;
    for (i = 0; i < 3; i++) {
        if (!wanted(b, names[i])) continue;
        if (first)
            printf("\nNetworks on one image of 224 x 224, ms\n\n%-10s  %-6s  %9s  %10s  %11s\n",
                   "network", "set", "forward", "+ gradient", "allocations");
        first = 0;
        show_progress(names[i]);
        write_weights(b, names[i]);
        measure_network(b, names[i]);
        show_progress(NULL);
        if (!b->keep) remove(weights_of(names[i]));
    }
}

/* ---- A linear layer for one image ---- */

static void run_linear(job *j, double *laps)
{
    double start = now();
    check(cnv__forward_node(j->net, &j->net->nodes[1]));
    laps[0] = now() - start;
    start = now();
    check(cnv__backward_node(j->net, &j->net->nodes[1], 0, &j->net->nodes[0].grad));
    laps[1] = now() - start;
}

/* Eight sums, so that none waits for the other; of whole numbers, which compilers may reorder. */
static uint64_t read_memory(const uint64_t *from, size_t count)
{
    uint64_t sum[8] = {0};
    size_t i, k;
    for (i = 0; i + 8 <= count; i += 8)
        CNV__UNROLL for (k = 0; k < 8; k++) sum[k] += from[i + k];
    for (k = 1; k < 8; k++) sum[0] += sum[k];
    return sum[0];
}

static void run_reading(job *j, double *laps)
{
    uint64_t (*volatile read)(const uint64_t *, size_t) = read_memory; /* not to be left out */
    const cnv_tensor *weight = &j->net->params[0].value;
    int i, threads = cnv__threads();
    size_t share = cnv_tensor_size(weight) / 2 / (size_t)threads;
    double start = now();
    CNV__PARALLEL_FOR(threads > 1)
    for (i = 0; i < threads; i++)
        read((const uint64_t *)(void *)weight->data + (size_t)i * share, share);
    laps[0] = laps[1] = now() - start;
}

static void measure_linear(const bench *b)
{
    static job jobs[SETS + 1];
    enum { IN = 512 * 7 * 7, OUT = 4096 };
    double bytes = 4.0 * IN * OUT;
    cnv_net *net = cnv_net_new();
    int i, logits = -1, n = b->set_count;
    cnv_tensor image = {0};
    show_progress("linear");
    check(net && (logits = cnv_linear(net, cnv_input(net, IN), "fc", IN, OUT)) >= 0);
    fill_weights(net), make_image(&image, 1, IN, 1, 1);
    check(cnv_forward(net, &image, CNV_ALL) && cnv_seed(net, 0) && cnv_seed(net, logits));
    cnv_tensor_fill(&net->nodes[logits].grad, 0.1);
    memset(jobs, 0, sizeof jobs);
    for (i = 0; i <= n; i++)
        jobs[i].set = b->sets[i % n], jobs[i].run = i < n ? run_linear : run_reading,
        jobs[i].net = net;
    race(b, jobs, n + 1);
    show_progress(NULL);
    printf("\nLinear layer 25088 -> 4096 on one image, GB/s of weights; plain reading: %.1f\n\n"
           "%-6s  %9s  %9s\n", 1e-9 * bytes / jobs[n].median[0], "set", "forward", "backward");
    write_csv(b, "linear", "reading", "any", 1e-9 * bytes / jobs[n].median[0], "GB/s");
    for (i = 0; i < n; i++) {
        double forward = 1e-9 * bytes / jobs[i].median[0];
        double backward = 1e-9 * bytes / jobs[i].median[1];
        printf("%-6s  %9.1f  %9.1f\n", jobs[i].set, forward, backward);
        write_csv(b, "linear", "forward", jobs[i].set, forward, "GB/s");
        write_csv(b, "linear", "backward", jobs[i].set, backward, "GB/s");
    }
    cnv_net_free(net), cnv_tensor_free(&image);
}

/* ---- Training ---- */

static void run_training(job *j, double *laps)
{
    double start = now(), loss;
    cnv_tensor *seed;
    j->net->training = 1;
    check(cnv_forward(j->net, &j->image, j->logits));
    check((seed = cnv_seed(j->net, j->logits)) != NULL);
    check(cnv_cross_entropy(&j->net->nodes[j->logits].out, j->labels, &loss, seed));
    check(cnv_backward(j->net, CNV_PARAMETERS) && cnv_step(j->net, &j->optimizer));
    laps[0] = laps[1] = now() - start;
}

static int build_small(cnv_net *net, int classes)
{
    int x = cnv_input(net, 3);
    x = cnv_max_pool(net, cnv_relu(net, cnv_conv2d(net, x, "conv1", 16, 3, 1, 1)), 2, 2, 0);
    x = cnv_max_pool(net, cnv_relu(net, cnv_conv2d(net, x, "conv2", 32, 3, 1, 1)), 2, 2, 0);
    x = cnv_max_pool(net, cnv_relu(net, cnv_conv2d(net, x, "conv3", 64, 3, 1, 1)), 2, 2, 0);
    return cnv_linear(net, x, "fc", 64 * 4 * 4, classes);
}

static void measure_training(const bench *b, const char *name, int side, int classes,
                             int (*build)(cnv_net *, int))
{
    static job jobs[SETS];
    int i, k;
    memset(jobs, 0, sizeof jobs);
    show_progress(name);
    for (i = 0; i < b->set_count; i++) {
        jobs[i].set = b->sets[i], jobs[i].run = run_training;
        jobs[i].net = cnv_net_new(), jobs[i].optimizer = cnv_sgd(1e-3, 0.9, 0);
        check(jobs[i].net && (jobs[i].logits = build(jobs[i].net, classes)) >= 0);
        fill_weights(jobs[i].net), make_image(&jobs[i].image, BATCH, 3, side, side);
        for (k = 0; k < BATCH; k++) jobs[i].labels[k] = k % classes;
    }
    race(b, jobs, b->set_count);
    show_progress(NULL);
    for (i = 0; i < b->set_count; i++) {
        double speed = BATCH / jobs[i].median[0];
        printf("%-10s  %-6s  %9.0f  %11ld\n", i ? "" : name, jobs[i].set, speed,
               jobs[i].allocations);
        write_csv(b, "training", name, jobs[i].set, speed, "images/s");
    }
    fflush(stdout);
    free_jobs(jobs, b->set_count);
}

/* ---- From the start of a process to a heatmap ---- */

/* The most memory that this process ever occupied, in MiB. Linux keeps it for this program alone;
   getrusage also counts what stood here before exec. */
static double peak_memory(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    struct rusage usage;
    char line[128];
    double kib = 0;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lf", &kib) == 1) break;
    if (file) fclose(file);
    if (kib > 0) return kib / 1024;
    getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
    return (double)usage.ru_maxrss / 1024 / 1024; /* bytes */
#else
    return (double)usage.ru_maxrss / 1024;
#endif
}

/* Draws the saliency of VGG-19's strongest class, the steepest channel at each pixel. */
static int draw_heatmap(const char *set)
{
    cnv_tensor image = {0}, map = {0}, *seed;
    int i, best = 0, logits, plane = SIDE * SIDE;
    cnv_net *net = read_network("vgg19", &logits);
    const float *out, *slope;
    net->frugal = 1;
    check(cnv_use(set));
    make_image(&image, 1, 3, SIDE, SIDE);
    check(cnv_forward(net, &image, logits) && (seed = cnv_seed(net, logits)) != NULL);
    for (i = 0, out = net->nodes[logits].out.data; i < 1000; i++)
        if (out[i] > out[best]) best = i;
    seed->data[best] = 1;
    check(cnv_backward(net, 0) && cnv_tensor_resize(&map, 1, 1, SIDE, SIDE));
    cnv_tensor_fill(&map, 0);
    for (i = 0, slope = net->nodes[0].grad.data; i < 3 * plane; i++)
        map.data[i % plane] = fmaxf(map.data[i % plane], fabsf(slope[i]));
    check(cnv_stretch(&map, 0, &map) && cnv_colorize(&map, CNV_MAP_TURBO, 0, 1, &image));
    check(cnv_image_save("build/heatmap.png", &image) ||
          cnv_image_save("build/heatmap.ppm", &image));
    printf("%.1f\n", peak_memory());
    return 0; /* the system takes all memory back at once */
}

/* Runs this program as `program --heatmap --set set`; fills in seconds and MiB. */
static void run_heatmap(const char *program, const char *set, double *seconds, double *peak)
{
    char command[512];
    double start = now();
    FILE *pipe;
    snprintf(command, sizeof command, "OMP_NUM_THREADS=2 '%.400s' --heatmap --set %s", program,
             set);
    pipe = popen(command, "r");
    if (!pipe || fscanf(pipe, "%lf", peak) != 1) fail("%s: cannot be run", command);
    if (pclose(pipe)) fail("%s: failed", command);
    *seconds = now() - start;
}

static void measure_heatmap(const bench *b, const char *program)
{
    double seconds[SETS][TURNS], peak[SETS][TURNS];
    int turn, turns = b->quick ? 1 : TURNS, i;
    show_progress("heatmap");
    write_weights(b, "vgg19");
    for (turn = 0; turn < turns; turn++)
        for (i = 0; i < b->set_count; i++)
            run_heatmap(program, b->sets[i], &seconds[i][turn], &peak[i][turn]);
    show_progress(NULL);
    printf("\nA process from its start to VGG-19's saliency on the disk, 2 threads\n\n"
           "%-6s  %9s  %20s\n", "set", "seconds", "largest memory, MiB");
    for (i = 0; i < b->set_count; i++) {
        double time = median(seconds[i], turns), most = median(peak[i], turns);
        printf("%-6s  %9.2f  %20.0f\n", b->sets[i], time, most);
        write_csv(b, "heatmap", "time", b->sets[i], time, "s");
        write_csv(b, "heatmap", "memory", b->sets[i], most, "MiB");
    }
    if (!b->keep) remove(weights_of("vgg19"));
}

/* ---- Options, and the order of things ---- */

static void find_sets(bench *b, const char *only, int scalar)
{
    int i;
    if (only) {
        if (!cnv_use(only)) fail("--set: %s", cnv_error());
        b->sets[b->set_count++] = cnv_using();
        return;
    }
    for (i = 0; i < SETS; i++)
        if (cnv_use(set_names[i]) && (i < SETS - 1 || scalar || !b->set_count))
            b->sets[b->set_count++] = set_names[i];
}

/* Returns 1 if only one heatmap is to be drawn. */
static int read_options(bench *b, int count, char **options)
{
    enum { PARTS = 6 };
    static const char *const parts[PARTS] = {"alexnet", "googlenet", "vgg19", "linear", "training",
                                             "heatmap"};
    const char *set = NULL;
    int i, scalar = 0, heatmap = 0;
    for (i = 1; i < count; i++) {
        const char *option = options[i], *value = i + 1 < count ? options[i + 1] : NULL;
        if (!strcmp(option, "--quick")) b->quick = 1;
        else if (!strcmp(option, "--keep")) b->keep = 1;
        else if (!strcmp(option, "--scalar")) scalar = 1;
        else if (!strcmp(option, "--heatmap")) heatmap = 1;
        else if (value && !strcmp(option, "--set")) set = value, i++;
        else if (value && !strcmp(option, "--part")) b->part = value, i++;
        else
            fail("\"%s\" is not understood; there are: --quick, --scalar, --keep, --heatmap, "
                 "--set NAME, --part NAME", option);
    }
    for (i = 0; b->part && i < PARTS && strcmp(b->part, parts[i]);) i++;
    if (i == PARTS && b->part) fail("--part: there is no \"%s\"", b->part);
    find_sets(b, set, scalar);
    return heatmap;
}

int main(int count, char **options)
{
    static bench b;
    char cpu[64];
    double start = now();
    int threads = cnv__threads();
    if (read_options(&b, count, options)) return draw_heatmap(b.sets[0]);
    find_cpu(cpu, sizeof cpu);
    if (!(b.csv = fopen("build/networks.csv", "w")))
        fail("cannot write build/networks.csv: %s", strerror(errno));
    fputs("part,what,set,threads,value,unit\n", b.csv);
    printf("%s, %d thread%s\n", cpu, threads, threads == 1 ? "" : "s");
    if (wanted(&b, "heatmap")) measure_heatmap(&b, options[0]);
    measure_networks(&b);
    if (wanted(&b, "linear")) measure_linear(&b);
    if (wanted(&b, "training")) {
        printf("\nTraining on batches of 64, images/s\n\n%-10s  %-6s  %9s  %11s\n", "network",
               "set", "images/s", "allocations");
        measure_training(&b, "small", 32, 10, build_small);
        measure_training(&b, "toynet", 64, 12, model_toynet);
    }
    if (fclose(b.csv)) fail("cannot write build/networks.csv: %s", strerror(errno));
    printf("\n%.0f s; build/networks.csv\n", now() - start);
    return 0;
}
