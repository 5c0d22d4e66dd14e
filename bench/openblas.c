/* OpenBLAS beside cnnvis: convolution as Caffe and Darknet do it, im2col and a matrix product for
   each image (Jia et al. 2014). https://github.com/OpenMathLib/OpenBLAS

       apt-get install libopenblas-dev
       mkdir -p build/peers && cc -O2 bench/openblas.c -o build/peers/openblas -lopenblas

   The columns [C*R*R, P*Q] of an image are written anew in each call; filters of one pixel need
   none. Everything is NCHW; the layout own is the same. The product uses the threads of
   OPENBLAS_NUM_THREADS, im2col and col2im one, as Caffe's. The instruction set is that of the CPU
   named by OPENBLAS_CORETYPE: HASWELL has AVX2, SKYLAKEX AVX-512; left alone, it may take an old
   one for a CPU that it doesn't know yet. */
#define _POSIX_C_SOURCE 199309L /* clock_gettime */
#include "conversation.h"

#include <cblas.h>

extern char *openblas_get_config(void), *openblas_get_corename(void);

typedef struct {
    shape s;
    float *x, *weights, *bias, *y; /* or their gradients */
    float *cols;                   /* [C*R*R, P*Q] */
} convolution;

static convolution convolutions[OPERATIONS];

static const char *name(void)
{
    static char text[64];
    const char *config = openblas_get_config(); /* "OpenBLAS 0.3.21 NO_AFFINITY ..." */
    int length = (int)strcspn(config, " ");
    if (config[length]) length += 1 + (int)strcspn(config + length + 1, " ");
    snprintf(text, sizeof text, "%.*s %s", length, config, openblas_get_corename());
    return text;
}

/* ---- im2col and its adjoint, col2im ----

   cols[(c,r,t), p, q] = x[c, p*stride - pad + r, q*stride - pad + t] */

/* The columns q of an output row whose tap t lies inside the image: first <= q < end. */
static void find_inside(const shape *s, int t, int *first, int *end)
{
    *first = 0, *end = s->q;
    while (*first < s->q && *first * s->stride - s->pad + t < 0) ++*first;
    while (*end > *first && (*end - 1) * s->stride - s->pad + t >= s->w) --*end;
}

static void gather_row(const shape *s, const float *x, int first, int end, float *cols)
{
    int q;
    memset(cols, 0, (size_t)first * sizeof *cols);
    if (s->stride == 1) memcpy(cols + first, x, (size_t)(end - first) * sizeof *cols);
    else for (q = first; q < end; q++) cols[q] = x[(q - first) * s->stride];
    memset(cols + end, 0, (size_t)(s->q - end) * sizeof *cols);
}

static void scatter_row(const shape *s, float *x, int first, int end, const float *cols)
{
    int q;
    for (q = first; q < end; q++) x[(q - first) * s->stride] += cols[q];
}

/* Writes the columns of an image, or adds them back to it. */
static void walk_columns(const shape *s, float *x, float *cols, int back)
{
    int c, r, t, p, first, end;
    if (back) memset(x, 0, (size_t)s->c * s->h * s->w * sizeof *x);
    for (c = 0; c < s->c; c++, x += s->h * s->w)
        for (r = 0; r < s->r; r++)
            for (t = 0; t < s->r; t++) {
                find_inside(s, t, &first, &end);
                for (p = 0; p < s->p; p++, cols += s->q) {
                    int y = p * s->stride - s->pad + r, outside = y < 0 || y >= s->h;
                    float *row = outside ? NULL
                                         : x + y * s->w + first * s->stride - s->pad + t;
                    if (!back) gather_row(s, row, outside ? s->q : first, outside ? s->q : end,
                                          cols);
                    else if (!outside) scatter_row(s, row, first, end, cols);
                }
            }
}

/* ---- The three operations, one image after the other ---- */

static int needs_no_columns(const shape *s) { return s->r == 1 && s->stride == 1 && !s->pad; }

static void forward(const shape *s, float *x, const convolution *v, float *y)
{
    float *cols = needs_no_columns(s) ? x : v->cols;
    int area = s->p * s->q, taps = s->c * s->r * s->r, k, i;
    if (cols != x) walk_columns(s, x, cols, 0);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, s->k, area, taps, 1, v->weights, taps,
                cols, area, 0, y, area);
    for (k = 0; k < s->k; k++)
        for (i = 0; i < area; i++) y[k * area + i] += v->bias[k];
}

static void backward_data(const shape *s, float *dx, const convolution *v, const float *dy)
{
    float *cols = needs_no_columns(s) ? dx : v->cols;
    int area = s->p * s->q, taps = s->c * s->r * s->r;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, taps, area, s->k, 1, v->weights, taps, dy,
                area, 0, cols, area);
    if (cols != dx) walk_columns(s, dx, cols, 1);
}

static void backward_weights(const shape *s, float *x, const convolution *v, const float *dy)
{
    float *cols = needs_no_columns(s) ? x : v->cols;
    int area = s->p * s->q, taps = s->c * s->r * s->r, k, i;
    if (cols != x) walk_columns(s, x, cols, 0);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, s->k, taps, area, 1, dy, area, cols, area,
                1, v->weights, taps);
    for (k = 0; k < s->k; k++)
        for (i = 0; i < area; i++) v->bias[k] += dy[k * area + i];
}

/* ---- The peer ---- */

static void forget_one(convolution *v)
{
    free(v->x), free(v->weights), free(v->bias), free(v->y), free(v->cols);
    memset(v, 0, sizeof *v);
}

static void forget(void)
{
    int op;
    for (op = 0; op < OPERATIONS; op++) forget_one(convolutions + op);
}

static float *make_numbers(size_t size, int seed)
{
    float *numbers = malloc(size * sizeof *numbers);
    if (!numbers) stop("not enough memory");
    fill_random(numbers, size, (uint64_t)seed);
    return numbers;
}

static void prepare(operation op, const shape *s)
{
    convolution *v = convolutions + op;
    forget_one(v);
    v->s = *s;
    v->x = make_numbers(count_x(s), X_SEED);
    v->y = make_numbers(count_y(s), DY_SEED);
    v->weights = make_numbers(count_weights(s), WEIGHTS_SEED);
    v->bias = make_numbers((size_t)s->k, BIAS_SEED);
    v->cols = make_numbers((size_t)s->c * s->r * s->r * s->p * s->q, 0);
}

static void run(operation op, int own_layout)
{
    const convolution *v = convolutions + op;
    const shape *s = &v->s;
    size_t in = (size_t)s->c * s->h * s->w, out = (size_t)s->k * s->p * s->q;
    int n;
    (void)own_layout;
    if (op == BACKWARD_WEIGHTS) {
        memset(v->weights, 0, count_weights(s) * sizeof(float));
        memset(v->bias, 0, (size_t)s->k * sizeof(float));
    }
    for (n = 0; n < s->n; n++) {
        float *x = v->x + (size_t)n * in, *y = v->y + (size_t)n * out;
        if (op == FORWARD) forward(s, x, v, y);
        else if (op == BACKWARD_DATA) backward_data(s, x, v, y);
        else backward_weights(s, x, v, y);
    }
}

static const float *output(operation op)
{
    const convolution *v = convolutions + op;
    return op == FORWARD ? v->y : op == BACKWARD_DATA ? v->x : v->weights;
}

int main(void)
{
    static const peer_program openblas = {name, prepare, run, output, forget};
    return converse(&openblas);
}
