/* oneDNN beside cnnvis, through its C API: https://github.com/oneapi-src/oneDNN

       apt-get install libdnnl-dev
       mkdir -p build/peers && cc -O2 bench/onednn.c -o build/peers/onednn -ldnnl

   Every tensor has the format `any`: the library chooses, and mostly takes blocks of 8 or 16
   channels. Weights are brought into their format beforehand; images and gradients, in the layout
   nchw, from and to plain NCHW within each call, which is what a framework that holds NCHW pays; in
   the layout own they lie in the chosen format already. The gradient of the weights stays in it.
   Which code it chooses:
       printf 'prepare forward 1 64 27 27 192 5 1 2\nrun forward nchw wall 1 0\n' | \
           ONEDNN_VERBOSE=1 build/peers/onednn
   The instruction set is chosen once per process: DNNL_MAX_CPU_ISA=AVX2 or AVX512_CORE. */
#define _POSIX_C_SOURCE 199309L /* clock_gettime */
#include "conversation.h"

#include <dnnl.h>

/* One of a convolution's three tensors. plain and own are the same where `any` became NCHW. */
typedef struct {
    dnnl_memory_t plain, own;
    dnnl_primitive_t reorder; /* into the convolution or, if it is the output, out of it; or NULL */
    int argument;             /* DNNL_ARG_SRC, ... */
} tensor;

enum { INPUT_1, INPUT_2, OUTPUT, BIAS, TENSORS };

typedef struct {
    dnnl_primitive_t primitive;
    tensor tensors[TENSORS];  /* backward-data has no bias */
} convolution;

static dnnl_engine_t engine;
static dnnl_stream_t stream;
static convolution convolutions[OPERATIONS];

static void check(dnnl_status_t status, const char *what)
{
    if (status != dnnl_success) stop("oneDNN: %s: status %d", what, (int)status);
}

static const char *name(void)
{
    static char text[64];
    const dnnl_version_t *v = dnnl_version();
    check(dnnl_engine_create(&engine, dnnl_cpu, 0), "engine");
    check(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "stream");
    snprintf(text, sizeof text, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

/* ---- Descriptions: shapes, formats, and which code is to run ---- */

#if DNNL_VERSION_MAJOR < 3
typedef const dnnl_memory_desc_t *description; /* on the heap, to be passed as in version 3 */
#else
typedef const_dnnl_memory_desc_t description;
#endif

typedef struct {
    description x, weights, bias, y;
} formats;

static description describe(int dims, int a, int b, int c, int d, dnnl_format_tag_t format)
{
    const dnnl_dims_t sizes = {a, b, c, d};
#if DNNL_VERSION_MAJOR < 3
    dnnl_memory_desc_t *made = malloc(sizeof *made);
    if (!made) stop("not enough memory");
    check(dnnl_memory_desc_init_by_tag(made, dims, sizes, dnnl_f32, format), "format");
#else
    dnnl_memory_desc_t made;
    check(dnnl_memory_desc_create_with_tag(&made, dims, sizes, dnnl_f32, format), "format");
#endif
    return made;
}

static void free_description(description d)
{
#if DNNL_VERSION_MAJOR < 3
    free((void *)d);
#else
    dnnl_memory_desc_destroy((dnnl_memory_desc_t)d);
#endif
}

static formats describe_all(const shape *s, dnnl_format_tag_t format)
{
    formats f;
    f.x = describe(4, s->n, s->c, s->h, s->w, format);
    f.weights = describe(4, s->k, s->c, s->r, s->r, format);
    f.y = describe(4, s->n, s->k, s->p, s->q, format);
    f.bias = describe(1, s->k, 0, 0, 0, dnnl_a);
    return f;
}

static void free_formats(const formats *f)
{
    free_description(f->x), free_description(f->weights);
    free_description(f->y), free_description(f->bias);
}

/* Versions 2 and 3 say it in different words. The backward passes want to see the forward one. */
static dnnl_primitive_desc_t choose_one(operation op, const shape *s, const formats *f,
                                        dnnl_prop_kind_t kind, dnnl_primitive_desc_t hint)
{
    const dnnl_dims_t step = {s->stride, s->stride}, pad = {s->pad, s->pad};
    const dnnl_alg_kind_t code = dnnl_convolution_auto;
    dnnl_primitive_desc_t chosen;
    dnnl_status_t status;
#if DNNL_VERSION_MAJOR < 3
    dnnl_convolution_desc_t conv;
    if (op == FORWARD)
        status = dnnl_convolution_forward_desc_init(&conv, kind, code, f->x, f->weights, f->bias,
                                                    f->y, step, pad, pad);
    else if (op == BACKWARD_DATA)
        status = dnnl_convolution_backward_data_desc_init(&conv, code, f->x, f->weights, f->y, step,
                                                          pad, pad);
    else
        status = dnnl_convolution_backward_weights_desc_init(&conv, code, f->x, f->weights, f->bias,
                                                             f->y, step, pad, pad);
    check(status, operation_names[op]);
    status = dnnl_primitive_desc_create(&chosen, &conv, NULL, engine, hint);
#else
    const dnnl_dims_t dilate = {0, 0};
    if (op == FORWARD)
        status = dnnl_convolution_forward_primitive_desc_create(
            &chosen, engine, kind, code, f->x, f->weights, f->bias, f->y, step, dilate, pad, pad,
            NULL);
    else if (op == BACKWARD_DATA)
        status = dnnl_convolution_backward_data_primitive_desc_create(
            &chosen, engine, code, f->x, f->weights, f->y, step, dilate, pad, pad, hint, NULL);
    else
        status = dnnl_convolution_backward_weights_primitive_desc_create(
            &chosen, engine, code, f->x, f->weights, f->bias, f->y, step, dilate, pad, pad, hint,
            NULL);
#endif
    check(status, operation_names[op]);
    return chosen;
}

static dnnl_primitive_desc_t choose(operation op, const shape *s)
{
    formats any = describe_all(s, dnnl_format_tag_any);
    dnnl_primitive_desc_t hint, chosen;
    if (op == FORWARD) chosen = choose_one(FORWARD, s, &any, dnnl_forward_inference, NULL);
    else {
        hint = choose_one(FORWARD, s, &any, dnnl_forward_training, NULL);
        chosen = choose_one(op, s, &any, dnnl_backward, hint);
        dnnl_primitive_desc_destroy(hint);
    }
    free_formats(&any);
    return chosen;
}

/* ---- Tensors ---- */

static void execute_reorder(dnnl_primitive_t reorder, dnnl_memory_t from, dnnl_memory_t to)
{
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    check(dnnl_primitive_execute(reorder, stream, 2, arguments), "reorder");
}

static dnnl_primitive_t make_reorder(description from, description to)
{
    dnnl_primitive_desc_t chosen;
    dnnl_primitive_t reorder;
    check(dnnl_reorder_primitive_desc_create(&chosen, from, engine, to, engine, NULL), "reorder");
    check(dnnl_primitive_create(&reorder, chosen), "reorder");
    dnnl_primitive_desc_destroy(chosen);
    return reorder;
}

static float *numbers_of(dnnl_memory_t memory)
{
    void *numbers;
    check(dnnl_memory_get_data_handle(memory, &numbers), "memory");
    return numbers;
}

/* plain as we have it, own as the convolution wants it; seed 0: an output, else an input, filled */
static tensor make_tensor(int argument, description plain, description own, int seed)
{
    tensor t = {NULL, NULL, NULL, argument};
    check(dnnl_memory_create(&t.plain, plain, engine, DNNL_MEMORY_ALLOCATE), "memory");
    t.own = t.plain;
    if (!dnnl_memory_desc_equal(plain, own)) {
        check(dnnl_memory_create(&t.own, own, engine, DNNL_MEMORY_ALLOCATE), "memory");
        t.reorder = seed ? make_reorder(plain, own) : make_reorder(own, plain);
    }
    fill_random(numbers_of(t.plain), dnnl_memory_desc_get_size(plain) / sizeof(float),
                (uint64_t)seed);
    if (t.reorder && seed) execute_reorder(t.reorder, t.plain, t.own);
    return t;
}

static void free_tensor(tensor *t)
{
    if (t->own != t->plain) dnnl_memory_destroy(t->own);
    if (t->plain) dnnl_memory_destroy(t->plain);
    if (t->reorder) dnnl_primitive_destroy(t->reorder);
}

/* ---- The peer ---- */

static void forget_one(convolution *conv)
{
    int i;
    for (i = 0; i < TENSORS; i++) free_tensor(conv->tensors + i);
    if (conv->primitive) dnnl_primitive_destroy(conv->primitive);
    memset(conv, 0, sizeof *conv);
}

static void forget(void)
{
    int op;
    for (op = 0; op < OPERATIONS; op++) forget_one(convolutions + op);
}

static void prepare(operation op, const shape *s)
{
    convolution *conv = convolutions + op;
    tensor *t = conv->tensors;
    formats plain = describe_all(s, dnnl_abcd);
    dnnl_primitive_desc_t chosen = choose(op, s);
#define OWN(which) dnnl_primitive_desc_query_md(chosen, dnnl_query_##which##_md, 0)
    forget_one(conv);
    if (op == FORWARD) {
        t[INPUT_1] = make_tensor(DNNL_ARG_SRC, plain.x, OWN(src), X_SEED);
        t[INPUT_2] = make_tensor(DNNL_ARG_WEIGHTS, plain.weights, OWN(weights), WEIGHTS_SEED);
        t[OUTPUT] = make_tensor(DNNL_ARG_DST, plain.y, OWN(dst), 0);
        t[BIAS] = make_tensor(DNNL_ARG_BIAS, plain.bias, plain.bias, BIAS_SEED);
    } else if (op == BACKWARD_DATA) {
        t[INPUT_1] = make_tensor(DNNL_ARG_DIFF_DST, plain.y, OWN(diff_dst), DY_SEED);
        t[INPUT_2] = make_tensor(DNNL_ARG_WEIGHTS, plain.weights, OWN(weights), WEIGHTS_SEED);
        t[OUTPUT] = make_tensor(DNNL_ARG_DIFF_SRC, plain.x, OWN(diff_src), 0);
    } else {
        t[INPUT_1] = make_tensor(DNNL_ARG_SRC, plain.x, OWN(src), X_SEED);
        t[INPUT_2] = make_tensor(DNNL_ARG_DIFF_DST, plain.y, OWN(diff_dst), DY_SEED);
        t[OUTPUT] = make_tensor(DNNL_ARG_DIFF_WEIGHTS, plain.weights, OWN(diff_weights), 0);
        t[BIAS] = make_tensor(DNNL_ARG_DIFF_BIAS, plain.bias, plain.bias, 0);
    }
#undef OWN
    check(dnnl_primitive_create(&conv->primitive, chosen), operation_names[op]);
    dnnl_primitive_desc_destroy(chosen);
    free_formats(&plain);
    check(dnnl_stream_wait(stream), "prepare");
}

static void run(operation op, int own_layout)
{
    const convolution *conv = convolutions + op;
    const tensor *t = conv->tensors;
    dnnl_exec_arg_t arguments[TENSORS];
    int i, count = op == BACKWARD_DATA ? 3 : 4;
    for (i = 0; i < count; i++) arguments[i].arg = t[i].argument, arguments[i].memory = t[i].own;
    for (i = INPUT_1; i <= INPUT_2; i++)
        if (!own_layout && t[i].reorder && t[i].argument != DNNL_ARG_WEIGHTS)
            execute_reorder(t[i].reorder, t[i].plain, t[i].own);
    check(dnnl_primitive_execute(conv->primitive, stream, count, arguments), operation_names[op]);
    if (!own_layout && t[OUTPUT].reorder && op != BACKWARD_WEIGHTS)
        execute_reorder(t[OUTPUT].reorder, t[OUTPUT].own, t[OUTPUT].plain);
    check(dnnl_stream_wait(stream), operation_names[op]);
}

static const float *output(operation op)
{
    const tensor *t = convolutions[op].tensors + OUTPUT;
    if (t->reorder) execute_reorder(t->reorder, t->own, t->plain);
    check(dnnl_stream_wait(stream), "output");
    return numbers_of(t->plain);
}

int main(void)
{
    static const peer_program onednn = {name, prepare, run, output, forget};
    return converse(&onednn);
}
