/* What is timed, and in which order. */
#ifndef JOBS_H
#define JOBS_H

/* ---- A job: one thing to be timed, again and again, by us or by a peer ---- */

typedef enum {
    FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS, SWITCHES,  /* of a network's node; */
    COPY, FMA,                                           /* the two limits; */
    ADD, MULTIPLY, AFFINE, ADD_SCALED, SGD, ADAM         /* elementwise kernels */
} direction;
static const char *const direction_names[] = {"forward", "backward_data", "backward_weights",
                                              "switches"};

typedef enum { OURS, ONEDNN, ONEDNN_OWN, OPENBLAS, PYTORCH, ONNXRUNTIME, LIBRARIES } library;
static const struct {
    const char *name;
    int peer;           /* which of peer_kinds */
    const char *layout; /* where activations come from and go to: see conversation.h */
} libraries[] = {
    {"cnnvis", -1, "nchw"}, {"oneDNN", 0, "nchw"}, {"oneDNN own", 0, "own"},
    {"OpenBLAS", 1, "nchw"}, {"PyTorch", 2, "nchw"}, {"ONNX Runtime", 3, "nchw"},
};

enum { TURNS = 5, CALLS = 40, STEPS = 1 << 20, MAX_JOBS = (1 + 3 * LIBRARIES) * LIMITS };

typedef struct {
    const limits *set;
    direction what;
    library who;
    const peer *peer; /* NULL if it is ours */
    cnv_net *net;     /* input -> operator; NULL for the two limits, and if it is a peer's */
    cnv_tensor x, y;  /* for copying, and with these for elementwise kernels: */
    cnv_tensor m, v;
    int batch;
    double work;      /* flops or bytes of one call */
    double seconds[TURNS * CALLS], rate; /* of each call; work / median */
    int calls;
} job;

/* On all threads at once. */
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

/* The steps are such that nothing grows: at rate 0. */
static void run_elementwise(const job *j)
{
    static const cnv__adam step = {0, 1, 1e-8f, 1, 0.9f, 0.999f, 0.1f, 0.001f};
    const cnv__kernels *set = cnv__use();
    size_t n = cnv_tensor_size(&j->x);
    float *x = j->x.data, *y = j->y.data, *m = j->m.data, *v = j->v.data;
    if (j->what == ADD) set->add(n, x, v, y);
    if (j->what == MULTIPLY) set->multiply(n, x, v, y);
    if (j->what == AFFINE) set->affine(n, 2, 1, x, y);
    if (j->what == ADD_SCALED) set->add_scaled(n, 0, x, y);
    if (j->what == SGD) set->sgd(n, 0, 0.9f, 0, x, m, y);
    if (j->what == ADAM) set->adam(&step, n, x, m, v, y);
}

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
    case SWITCHES:
        net->nodes[1].saved.n = 0; /* as after a forward pass */
        ok = cnv__switches(net, &net->nodes[1]) != NULL;
        break;
    case COPY: ok = run_copy(j->set, cnv_tensor_size(&j->x), j->x.data, j->y.data); break;
    case FMA: ok = run_fma(j->set, STEPS); break;
    default: ok = 1, run_elementwise(j);
    }
    if (!ok) fail("%s", cnv_error());
}

/* The seconds of up to that many calls, at least one, in about that much time. Returns how many. */
static int run_calls(const job *j, clockid_t clock, int calls, double length, double *seconds)
{
    double start, before, after;
    int count = 0;
    if (j->peer)
        return run_peer(j->peer, direction_names[j->what], libraries[j->who].layout,
                        clock == CLOCK_MONOTONIC ? "wall" : "cpu", calls, length, seconds);
    if (!cnv_use(j->set->name)) fail("%s", cnv_error());
    start = seconds_of(clock);
    do {
        before = seconds_of(clock);
        run(j);
        after = seconds_of(clock);
        seconds[count++] = after - before;
    } while (count < calls && after - start < length);
    return count;
}

/* At least one call, after the one that was checked, and 50 ms. */
static void warm_up(const job *j, int quick)
{
    double start = seconds_of(CLOCK_MONOTONIC), least = quick ? 0.01 : 0.05, seconds[CALLS];
    do run_calls(j, CLOCK_MONOTONIC, CALLS, least, seconds);
    while (seconds_of(CLOCK_MONOTONIC) - start < least);
}

/* Threads of whoever came before may wait for more to do, spinning, until they fall asleep. */
static void let_threads_sleep(void)
{
    const struct timespec pause = {0, 5000000};
    if (cnv__threads() > 1) nanosleep(&pause, NULL);
}

static void take_turn(job *j, int quick, clockid_t clock)
{
    double *seconds = j->seconds + j->calls;
    let_threads_sleep();
    if (!j->calls || j->seconds[0] < 0.005) run_calls(j, clock, 1, 0, seconds); /* fills caches */
    j->calls += run_calls(j, clock, CALLS, quick ? 0.005 : 0.04, seconds);
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

static void make_random(cnv_tensor *t, size_t size, uint64_t seed)
{
    if (size > INT_MAX) fail("a batch of %.0f numbers is too large", (double)size);
    if (!cnv_tensor_resize(t, 1, 1, 1, (int)size)) fail("%s", cnv_error());
    fill_random(t->data, size, seed);
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
    make_random(&d->x, in, X_SEED);
    make_random(&d->dy, out, DY_SEED);
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
    int p, q, i, x = net ? cnv_input(net, l->c) : -1;
    if (op == CNV_CONV2D) x = cnv_conv2d(net, x, NULL, l->k, l->kernel, l->stride, l->pad);
    if (op == CNV_RELU) x = cnv_relu(net, x);
    if (op == CNV_AVG_POOL) x = cnv_avg_pool(net, x, l->kernel, l->stride, l->pad);
    if (op == CNV_MAX_POOL) x = cnv_max_pool(net, x, l->kernel, l->stride, l->pad);
    if (x < 0) fail("%s: %s", l->name, cnv_error());
    for (i = 0; i < net->param_count; i++) /* weights, then biases */
        fill_random(net->params[i].value.data, cnv_tensor_size(&net->params[i].value),
                    i ? BIAS_SEED : WEIGHTS_SEED);
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

/* In one thread. Bytes: what the kernel must read and what it must write. */
static void add_elementwise(job *jobs, int *count, const limits *set, direction what,
                            const data *d)
{
    static const int numbers[] = {3, 3, 2, 3, 5, 7};
    job *j = add_job(jobs, count, set, what, 1);
    j->x = d->x, j->y = d->dx, j->m = d->y, j->v = d->dy;
    j->work = numbers[what - ADD] * sizeof(float) * (double)cnv_tensor_size(&d->x);
}

static double conv_flops(const conv_layer *l, int batch)
{
    int p, q;
    output_size(l, &p, &q);
    return 2.0 * batch * l->k * l->c * l->kernel * l->kernel * p * q;
}

/* What our first call leaves: where, and how many numbers. */
static const float *output_of(const job *j, size_t *size)
{
    const cnv_tensor *t = &j->net->nodes[1].out;
    if (j->what == BACKWARD_DATA) t = &j->net->nodes[0].grad;
    if (j->what == BACKWARD_WEIGHTS) t = &j->net->params[0].grad;
    *size = cnv_tensor_size(t);
    return t->data;
}

/* We, and all peers that run: first checks that they compute what we do. */
static void add_conv(job *jobs, int *count, const limits *set, const peer *peers, direction what,
                     const conv_layer *l, int batch, const data *d)
{
    job *ours = add_job(jobs, count, set, what, batch), *theirs;
    const float *output;
    size_t size;
    int who;
    ours->net = make_net(CNV_CONV2D, l, batch, d);
    ours->work = conv_flops(l, batch);
    if (!cnv_use(set->name)) fail("%s", cnv_error());
    run(ours);
    output = output_of(ours, &size);
    for (who = OURS + 1; who < LIBRARIES; who++) {
        const peer *p = peers + libraries[who].peer;
        if (!p->to) continue;
        if (who != ONEDNN_OWN) { /* the same as oneDNN, prepared a moment ago */
            if (!prepare_peer(p, direction_names[what], l, batch)) continue;
            compare_output(p, direction_names[what], output, size, ours->work / 2 / (double)size);
        }
        theirs = add_job(jobs, count, set, what, batch);
        theirs->who = (library)who, theirs->peer = p, theirs->work = ours->work;
    }
}

/* ReLU or pooling; the sizes in bytes are those of the top comment. */
static void add_pass(job *jobs, int *count, const limits *set, direction what, cnv_op op,
                     const conv_layer *l, const data *d)
{
    job *j = add_job(jobs, count, set, what, 1);
    double in, out, outputs;
    j->net = make_net(op, l, 1, d);
    in = (double)cnv_tensor_size(&j->net->nodes[0].out);
    out = (double)cnv_tensor_size(&j->net->nodes[1].out);
    outputs = op == CNV_AVG_POOL || what == FORWARD ? 1 : 2;
    j->work = sizeof(float) * (in + outputs * out);
    if (!cnv_use(set->name) || !cnv__forward_node(j->net, &j->net->nodes[1]))
        fail("%s", cnv_error());
}

static void free_jobs(job *jobs, int count)
{
    int i;
    for (i = 0; i < count; i++) cnv_net_free(jobs[i].net);
}

#endif
