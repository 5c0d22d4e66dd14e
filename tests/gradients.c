/* Proves that every backward pass is the derivative of its forward pass: for each operator alone,
   and for whole networks on the tape with branches, skips and several seeds.

   How: the library is compiled with double for its numbers. An objective is the sum of all outputs
   with random weights. Every input and parameter in turn goes up and down by 1e-5, and the change
   of the objective must agree with the gradient to 1e-6, relative to the larger of the two (or to
   1 % of the tensor's largest gradient, below which rounding shows). At a kink of ReLU or max
   pooling there is no derivative to compare: inputs of single operators keep away from kinks, and
   in networks the few steps that cross one are recognized and left out. */
#define CNNVIS_REAL double
#define CNNVIS_STATIC
#define CNNVIS_IMPLEMENTATION
#include "../cnnvis.h"

#include <math.h>
#include <string.h>

#include "check.h"

static const double step = 1e-5, tolerance = 1e-6;
static double worst;   /* the largest relative error of all */
static long compared, crossed; /* derivatives compared; left out at a kink */

static void fill_normal(cnv_tensor *t, double scale, double offset, cnv_rng *rng)
{
    size_t i, size = cnv_tensor_size(t);
    for (i = 0; i < size; i++) t->data[i] = scale * cnv_normal(rng) + offset;
}

/* Numbers 0.05 apart, none of them 0, in random order: far from every kink. */
static void fill_apart(cnv_tensor *t, cnv_rng *rng)
{
    size_t i, size = cnv_tensor_size(t);
    for (i = 0; i < size; i++) t->data[i] = 0.05 * ((double)i + 0.5 - (double)(size / 2));
    for (i = size; i > 1; i--) {
        size_t j = cnv_random(rng) % i;
        double swap = t->data[j];
        t->data[j] = t->data[i - 1];
        t->data[i - 1] = swap;
    }
}

static double largest(const cnv_tensor *t)
{
    double most = 0;
    size_t i, size = cnv_tensor_size(t);
    for (i = 0; i < size; i++) most = fmax(most, fabs(t->data[i]));
    return most;
}

/* One derivative, judged. */
static void compare(const char *name, size_t i, double analytic, double numeric, double most)
{
    double scale = fmax(fmax(fabs(analytic), fabs(numeric)), 0.01 * most);
    double error = fabs(analytic - numeric) / scale;
    CHECK(error <= tolerance, "%s [%d]: gradient %.12g, difference quotient %.12g", name, (int)i,
          analytic, numeric);
    if (error > worst) worst = error;
    compared++;
}

/* ---- Single operators ---- */

/* An operator with its inputs and parameters (in), their gradients, and its options. */
typedef struct operation {
    const char *name;
    int (*forward)(struct operation *o);
    int (*backward)(struct operation *o);
    cnv_tensor in[3], grad[3];   /* what is differentiated */
    int inputs;
    cnv_tensor out, weights;     /* the objective is the sum of out * weights */
    cnv_tensor saved, more;
    cnv_window win;
    int groups, size, factor;
} operation;

/* d(objective)/d(in[k].data[i]): differences output by output, so that large sums do not round. */
static double quotient(operation *o, int k, size_t i)
{
    double *x = &o->in[k].data[i], before = *x, sum = 0;
    cnv_tensor up = {0};
    size_t j, size = cnv_tensor_size(&o->weights);
    *x = before + step;
    CHECK(o->forward(o), "%s: %s", o->name, cnv_error());
    CHECK(cnv_tensor_copy(&o->out, &up), "%s", cnv_error());
    *x = before - step;
    CHECK(o->forward(o), "%s: %s", o->name, cnv_error());
    for (j = 0; j < size; j++) sum += o->weights.data[j] * (up.data[j] - o->out.data[j]);
    *x = before;
    cnv_tensor_free(&up);
    return sum / (2 * step);
}

static void check_operation(operation *o)
{
    cnv_rng rng = cnv_rng_seed(21);
    int k;
    size_t i;
    CHECK(o->forward(o), "%s: %s", o->name, cnv_error());
    cnv_tensor_resize(&o->weights, o->out.n, o->out.c, o->out.h, o->out.w);
    fill_normal(&o->weights, 1, 0, &rng);
    for (k = 0; k < o->inputs; k++) {
        cnv_tensor_resize(&o->grad[k], o->in[k].n, o->in[k].c, o->in[k].h, o->in[k].w);
        cnv_tensor_fill(&o->grad[k], 0);
    }
    CHECK(o->backward(o), "%s: %s", o->name, cnv_error());
    for (k = 0; k < o->inputs; k++) {
        double most = largest(&o->grad[k]);
        CHECK(most > 1e-3, "%s: the gradient of input %d is %g at most", o->name, k, most);
        for (i = 0; i < cnv_tensor_size(&o->in[k]); i++)
            compare(o->name, i, o->grad[k].data[i], quotient(o, k, i), most);
    }
    for (k = 0; k < o->inputs; k++) cnv_tensor_free(&o->in[k]), cnv_tensor_free(&o->grad[k]);
    cnv_tensor_free(&o->out), cnv_tensor_free(&o->weights);
    cnv_tensor_free(&o->saved), cnv_tensor_free(&o->more);
}

/* An operation on x [n,c,h,w] with `params` parameters of shape [1,c,1,1]. */
static operation operation_new(const char *name, int (*forward)(operation *),
                               int (*backward)(operation *), int n, int c, int h, int w, int params)
{
    operation o = {0};
    cnv_rng rng = cnv_rng_seed(22);
    int k;
    o.name = name, o.forward = forward, o.backward = backward;
    o.inputs = 1 + params;
    cnv_tensor_resize(&o.in[0], n, c, h, w);
    fill_normal(&o.in[0], 1, 0.3, &rng);
    for (k = 1; k <= params; k++) {
        cnv_tensor_resize(&o.in[k], 1, c, 1, 1);
        fill_normal(&o.in[k], 1, 0.3, &rng);
    }
    o.groups = 1;
    return o;
}

static int conv_forward(operation *o)
{
    return cnv_conv2d_forward(&o->in[0], &o->in[1], &o->in[2], &o->win, o->groups, &o->out, NULL);
}

static int conv_backward(operation *o)
{
    return cnv_conv2d_backward_data(&o->weights, &o->in[1], &o->win, o->groups, &o->grad[0], NULL)
        && cnv_conv2d_backward_weights(&o->in[0], &o->weights, &o->win, o->groups, &o->grad[1],
                                       &o->grad[2], NULL);
}

/* Every option is different in both directions. */
static void check_conv(int groups)
{
    operation o = operation_new("conv", conv_forward, conv_backward, 2, 4, 9, 8, 2);
    cnv_rng rng = cnv_rng_seed(23);
    o.win = cnv_square(3, 2, 1);
    o.win.kernel_w = 2, o.win.stride_w = 1, o.win.dilation_h = 2, o.win.dilation_w = 3;
    o.win.pad_bottom = 2, o.win.pad_right = 0;
    o.groups = groups;
    cnv_tensor_resize(&o.in[1], 8, 4 / groups, 3, 2);
    cnv_tensor_resize(&o.in[2], 1, 8, 1, 1);
    fill_normal(&o.in[1], 1, 0, &rng), fill_normal(&o.in[2], 1, 0, &rng);
    check_operation(&o);
}

static int linear_forward(operation *o)
{
    return cnv_linear_forward(&o->in[0], &o->in[1], &o->in[2], &o->out, NULL);
}

static int linear_backward(operation *o)
{
    return cnv_linear_backward_data(&o->weights, &o->in[1], &o->grad[0], NULL) &&
        cnv_linear_backward_weights(&o->in[0], &o->weights, &o->grad[1], &o->grad[2], NULL);
}

static void check_linear(void)
{
    operation o = operation_new("linear", linear_forward, linear_backward, 3, 2, 3, 4, 2);
    cnv_rng rng = cnv_rng_seed(24);
    cnv_tensor_resize(&o.in[1], 5, 24, 1, 1);
    cnv_tensor_resize(&o.in[2], 1, 5, 1, 1);
    fill_normal(&o.in[1], 1, 0, &rng), fill_normal(&o.in[2], 1, 0, &rng);
    check_operation(&o);
}

static int im2col_forward(operation *o) { return cnv_im2col(&o->in[0], &o->win, &o->out); }
static int im2col_backward(operation *o)
{
    return cnv_col2im(&o->weights, &o->win, &o->grad[0]);
}

static int relu_forward(operation *o) { return cnv_relu_forward(&o->in[0], &o->out); }
static int relu_backward(operation *o)
{
    return cnv_relu_backward(CNV_GRADIENT, &o->in[0], &o->weights, &o->grad[0]);
}

/* The backward passes that want y have it in out, from the forward pass before. */
static int sigmoid_forward(operation *o) { return cnv_sigmoid_forward(&o->in[0], &o->out); }
static int sigmoid_backward(operation *o)
{
    return cnv_sigmoid_backward(&o->out, &o->weights, &o->grad[0]);
}

static int tanh_forward(operation *o) { return cnv_tanh_forward(&o->in[0], &o->out); }
static int tanh_backward(operation *o)
{
    return cnv_tanh_backward(&o->out, &o->weights, &o->grad[0]);
}

static int max_pool_forward(operation *o)
{
    return cnv_max_pool_forward(&o->in[0], &o->win, &o->out) &&
           cnv_max_pool_switches(&o->in[0], &o->win, &o->out, &o->saved);
}

static int max_pool_backward(operation *o)
{
    return cnv_max_pool_backward(&o->weights, &o->saved, &o->win, &o->grad[0]);
}

static int avg_pool_forward(operation *o)
{
    return cnv_avg_pool_forward(&o->in[0], &o->win, o->size, &o->out);
}

static int avg_pool_backward(operation *o)
{
    return cnv_avg_pool_backward(&o->weights, &o->win, o->size, &o->grad[0]);
}

static int adaptive_forward(operation *o)
{
    return cnv_adaptive_avg_pool_forward(&o->in[0], o->size, o->factor, &o->out);
}

static int adaptive_backward(operation *o)
{
    return cnv_adaptive_avg_pool_backward(&o->weights, &o->grad[0]);
}

static void check_pools(void)
{
    static const int windows[4][3] = {{2, 2, 0}, {3, 2, 1}, {3, 1, 1}, {2, 3, 0}};
    cnv_rng rng = cnv_rng_seed(25);
    int i, ceil_mode;
    for (i = 0; i < 4; i++)
        for (ceil_mode = 0; ceil_mode < 2; ceil_mode++) {
            operation o = operation_new("max pool", max_pool_forward, max_pool_backward, 2, 2, 7,
                                        6, 0);
            operation a = operation_new("avg pool", avg_pool_forward, avg_pool_backward, 2, 2, 7,
                                        6, 0);
            fill_apart(&o.in[0], &rng);
            o.win = cnv_square(windows[i][0], windows[i][1], windows[i][2]);
            o.win.ceil_mode = ceil_mode;
            a.win = o.win, a.win.pad_left = a.win.pad_left ? 0 : 1;
            a.size = i % 2;
            check_operation(&o), check_operation(&a);
        }
    for (i = 0; i < 4; i++) { /* more bins than pixels, too */
        operation o = operation_new("adaptive pool", adaptive_forward, adaptive_backward, 2, 2, 7,
                                    5, 0);
        o.size = 1 + i * 2, o.factor = 1 + i;
        if (i == 3) o.size = 9, o.factor = 8;
        check_operation(&o);
    }
}

static const cnv_real channel_mean[3] = {0.4, -0.3, 0.1}, channel_std[3] = {0.3, 2, 0.5};
static int normalize_forward(operation *o)
{
    return cnv_normalize_forward(&o->in[0], channel_mean, channel_std, &o->out);
}

static int normalize_backward(operation *o)
{
    return cnv_normalize_backward(&o->weights, channel_std, &o->grad[0]);
}

/* in: x alone; saved: gamma, beta, mean, var as four channels of numbers. */
static cnv_tensor statistics(operation *o, int which)
{
    static double numbers[4][3] = {{0.5, -2, 1}, {3, 1, -1}, {0.2, -0.1, 0}, {0.5, 1, 3}};
    (void)o;
    return cnv_tensor_view(numbers[which], 1, 3, 1, 1);
}

static int batch_norm_forward(operation *o)
{
    cnv_tensor gamma = statistics(o, 0), beta = statistics(o, 1), mean = statistics(o, 2);
    cnv_tensor var = statistics(o, 3);
    return cnv_batch_norm_forward(&o->in[0], &gamma, &beta, &mean, &var, 0.1, &o->out);
}

static int batch_norm_backward(operation *o)
{
    cnv_tensor gamma = statistics(o, 0), var = statistics(o, 3);
    return cnv_batch_norm_backward(&o->weights, &gamma, &var, 0.1, &o->grad[0]);
}

static int train_norm_forward(operation *o)
{
    return cnv_batch_norm_train_forward(&o->in[0], &o->in[1], &o->in[2], 0.1, 0.1, NULL, NULL,
                                        &o->out, &o->saved);
}

static int train_norm_backward(operation *o)
{
    return cnv_batch_norm_train_backward(&o->in[0], &o->saved, &o->in[1], &o->weights, &o->grad[0],
                                         &o->grad[1], &o->grad[2]);
}

static int instance_norm_forward(operation *o)
{
    return cnv_instance_norm_forward(&o->in[0], &o->in[1], &o->in[2], 0.1, &o->out, &o->saved);
}

static int instance_norm_backward(operation *o)
{
    return cnv_instance_norm_backward(&o->in[0], &o->saved, &o->in[1], &o->weights, &o->grad[0],
                                      &o->grad[1], &o->grad[2]);
}

static int response_forward(operation *o)
{
    return cnv_local_response_norm_forward(&o->in[0], o->size, 0.8, 0.75, 1.2, &o->out, &o->saved);
}

static int response_backward(operation *o)
{
    return cnv_local_response_norm_backward(&o->in[0], &o->saved, o->size, 0.8, 0.75, &o->weights,
                                            &o->grad[0]);
}

static void check_norms(void)
{
    operation o = operation_new("normalize", normalize_forward, normalize_backward, 2, 3, 4, 5, 0);
    int size;
    check_operation(&o);
    o = operation_new("batch norm", batch_norm_forward, batch_norm_backward, 2, 3, 4, 5, 0);
    check_operation(&o);
    o = operation_new("batch norm, training", train_norm_forward, train_norm_backward, 3, 4, 3, 5,
                      2);
    check_operation(&o);
    o = operation_new("instance norm", instance_norm_forward, instance_norm_backward, 3, 4, 3, 5,
                      2);
    check_operation(&o);
    for (size = 1; size <= 6; size++) {
        o = operation_new("response norm", response_forward, response_backward, 2, 7, 2, 3, 0);
        o.size = size;
        check_operation(&o);
    }
}

static int softmax_forward(operation *o) { return cnv_softmax_forward(&o->in[0], &o->out); }
static int softmax_backward(operation *o)
{
    return cnv_softmax_backward(&o->out, &o->weights, &o->grad[0]);
}

/* The only output is the loss. */
static const int labels[3] = {4, 0, 2};
static int entropy_forward(operation *o)
{
    return cnv_tensor_resize(&o->out, 1, 1, 1, 1) &&
        cnv_cross_entropy(&o->in[0], labels, o->out.data, NULL);
}

static int entropy_backward(operation *o)
{
    double loss;
    size_t i;
    if (!cnv_cross_entropy(&o->in[0], labels, &loss, &o->grad[0])) return 0;
    for (i = 0; i < 15; i++) o->grad[0].data[i] *= o->weights.data[0];
    return 1;
}

static int dropout_forward(operation *o)
{
    cnv_rng rng = cnv_rng_seed(26); /* the same mask every time */
    return cnv_dropout_forward(&o->in[0], 0.4, &rng, &o->out, &o->saved);
}

static int dropout_backward(operation *o)
{
    return cnv_dropout_backward(&o->weights, &o->saved, &o->grad[0]);
}

/* Three inputs of 1, 2 and 3 channels. */
static int concat_forward(operation *o)
{
    const cnv_tensor *x[3];
    x[0] = &o->in[0], x[1] = &o->in[1], x[2] = &o->in[2];
    return cnv_concat_forward(x, 3, &o->out);
}

static int concat_backward(operation *o)
{
    return cnv_concat_backward(&o->weights, 0, &o->grad[0]) &&
        cnv_concat_backward(&o->weights, 1, &o->grad[1]) &&
        cnv_concat_backward(&o->weights, 3, &o->grad[2]);
}

static int add_forward(operation *o) { return cnv_add_forward(&o->in[0], &o->in[1], &o->out); }
static int add_backward(operation *o)
{
    return cnv_tensor_copy(&o->weights, &o->grad[0]) && cnv_tensor_copy(&o->weights, &o->grad[1]);
}

static int upsample_forward(operation *o)
{
    return cnv_upsample_forward(&o->in[0], o->factor, &o->out);
}

static int upsample_backward(operation *o)
{
    return cnv_upsample_backward(&o->weights, o->factor, &o->grad[0]);
}

static int reflect_forward(operation *o)
{
    return cnv_reflect_pad_forward(&o->in[0], o->size, &o->out);
}

static int reflect_backward(operation *o)
{
    return cnv_reflect_pad_backward(&o->weights, o->size, &o->grad[0]);
}

static void check_curves(void)
{
    operation o = operation_new("relu", relu_forward, relu_backward, 2, 3, 4, 5, 0);
    cnv_rng rng = cnv_rng_seed(27);
    fill_apart(&o.in[0], &rng);
    check_operation(&o);
    o = operation_new("sigmoid", sigmoid_forward, sigmoid_backward, 2, 3, 4, 5, 0);
    check_operation(&o);
    o = operation_new("tanh", tanh_forward, tanh_backward, 2, 3, 4, 5, 0);
    check_operation(&o);
    o = operation_new("softmax", softmax_forward, softmax_backward, 2, 5, 2, 3, 0);
    check_operation(&o);
    o = operation_new("cross entropy", entropy_forward, entropy_backward, 3, 5, 1, 1, 0);
    check_operation(&o);
    o = operation_new("dropout", dropout_forward, dropout_backward, 2, 3, 4, 5, 0);
    check_operation(&o);
}

static void check_moves(void)
{
    operation o = operation_new("concat", concat_forward, concat_backward, 2, 1, 3, 4, 2);
    int k;
    for (k = 1; k < 3; k++) {
        cnv_rng rng = cnv_rng_seed(28);
        cnv_tensor_resize(&o.in[k], 2, k + 1, 3, 4);
        fill_normal(&o.in[k], 1, 0, &rng);
    }
    check_operation(&o);
    o = operation_new("add", add_forward, add_backward, 2, 3, 4, 5, 1);
    cnv_tensor_copy(&o.in[0], &o.in[1]);
    check_operation(&o);
    o = operation_new("im2col", im2col_forward, im2col_backward, 2, 3, 7, 6, 0);
    o.win = cnv_square(3, 2, 1), o.win.dilation_w = 2;
    check_operation(&o);
    for (k = 1; k < 4; k++) {
        o = operation_new("upsample", upsample_forward, upsample_backward, 2, 2, 3, 4, 0);
        o.factor = k;
        check_operation(&o);
        o = operation_new("reflect pad", reflect_forward, reflect_backward, 2, 2, 5, 4, 0);
        o.size = k;
        check_operation(&o);
    }
}

/* ---- Whole networks ---- */

enum { MOST_SEEDS = 4 };
typedef struct {
    const char *name;
    cnv_net *net;
    cnv_tensor image;
    int seeds, seed[MOST_SEEDS];      /* the objective: all these nodes' outputs ... */
    cnv_tensor weights[MOST_SEEDS];   /* ... with these weights */
} experiment;

/* Which ReLUs are on and which taps won: this changes when a step crosses a kink. */
static uint64_t pattern(cnv_net *net)
{
    uint64_t sum = 1469598103934665603u;
    int i;
    for (i = 0; i < net->count; i++) {
        const cnv_node *node = &net->nodes[i];
        size_t j, size = cnv_tensor_size(&node->out);
        if (node->op != CNV_RELU && node->op != CNV_MAX_POOL) continue;
        if (node->op == CNV_MAX_POOL) cnv_switches(net, i);
        for (j = 0; j < size; j++) {
            uint64_t state = node->op == CNV_RELU ? node->out.data[j] > 0
                                                  : (uint64_t)(node->saved.data[j] + 2);
            sum = (sum ^ state) * 1099511628211u;
        }
    }
    return sum;
}

/* Dropout draws the same mask every time. */
static uint64_t run(experiment *e)
{
    e->net->rng = cnv_rng_seed(31);
    cnv_weights_changed(e->net);
    CHECK(cnv_forward(e->net, &e->image, CNV_ALL), "%s: %s", e->name, cnv_error());
    return pattern(e->net);
}

/* The derivative with respect to *x; returns 0 if the step crosses a kink. */
static int network_quotient(experiment *e, double *x, uint64_t base, double *result)
{
    cnv_tensor up[MOST_SEEDS];
    double before = *x, sum = 0;
    uint64_t above, below;
    int s;
    memset(up, 0, sizeof up);
    *x = before + step;
    above = run(e);
    for (s = 0; s < e->seeds; s++) cnv_tensor_copy(&e->net->nodes[e->seed[s]].out, &up[s]);
    *x = before - step;
    below = run(e);
    *x = before;
    for (s = 0; s < e->seeds; s++) {
        const cnv_tensor *down = &e->net->nodes[e->seed[s]].out;
        size_t i, size = cnv_tensor_size(down);
        for (i = 0; i < size; i++)
            sum += e->weights[s].data[i] * (up[s].data[i] - down->data[i]);
        cnv_tensor_free(&up[s]);
    }
    *result = sum / (2 * step);
    return above == base && below == base;
}

/* All numbers of one tensor of the network against its gradient. */
static void check_tensor(experiment *e, const char *name, cnv_tensor *values,
                         const cnv_tensor *gradient, uint64_t base)
{
    size_t i, size = cnv_tensor_size(values);
    double most = largest(gradient), numeric;
    int complete = cnv_tensor_size(gradient) == size;
    char text[100];
    snprintf(text, sizeof text, "%s, %s", e->name, name);
    CHECK(complete, "%s: the gradient has another size", text);
    CHECK(most > 1e-4, "%s: the largest gradient is %g", text, most);
    for (i = 0; complete && i < size; i++)
        if (network_quotient(e, &values->data[i], base, &numeric))
            compare(text, i, gradient->data[i], numeric, most);
        else
            crossed++;
}

/* Draws parameters, image and weights of the objective; no parameter stays at 0. */
static void prepare(experiment *e, int n, int c, int h, int w)
{
    cnv_rng rng = cnv_rng_seed(32);
    int i;
    CHECK(cnv_init(e->net, 33), "%s: %s", e->name, cnv_error());
    for (i = 0; i < e->net->param_count; i++) {
        cnv_param *p = &e->net->params[i];
        size_t j, size = cnv_tensor_size(&p->value);
        for (j = 0; j < size; j++)
            p->value.data[j] += p->trainable ? 0.1 * cnv_normal(&rng) : 0.3 * cnv_uniform(&rng);
    }
    CHECK(cnv_tensor_resize(&e->image, n, c, h, w), "%s", cnv_error());
    fill_normal(&e->image, 0.5, 0.5, &rng);
    run(e);
    for (i = 0; i < e->seeds; i++) {
        const cnv_tensor *out = &e->net->nodes[e->seed[i]].out;
        CHECK(cnv_tensor_resize(&e->weights[i], out->n, out->c, out->h, out->w), "%s", cnv_error());
        fill_normal(&e->weights[i], 1, 0, &rng);
    }
}

static void backward(experiment *e)
{
    int i;
    for (i = 0; i < e->seeds; i++) {
        cnv_tensor *seed = cnv_seed(e->net, e->seed[i]);
        CHECK(seed, "%s: %s", e->name, cnv_error());
        if (seed) cnv_tensor_copy(&e->weights[i], seed);
    }
    CHECK(cnv_backward(e->net, 0), "%s: %s", e->name, cnv_error());
}

/* Pixels, and while training every parameter. */
static void check_network(experiment *e, int training, int n, int c, int h, int w)
{
    cnv_tensor pixels = {0};
    uint64_t base;
    int i;
    e->net->training = training;
    prepare(e, n, c, h, w);
    base = run(e);
    backward(e);
    CHECK(cnv_tensor_copy(&e->net->nodes[0].grad, &pixels), "%s", cnv_error());
    check_tensor(e, "pixels", &e->image, &pixels, base);
    for (i = 0; training && i < e->net->param_count; i++) {
        cnv_param *p = &e->net->params[i];
        if (p->trainable) check_tensor(e, p->name, &p->value, &p->grad, base);
    }
    cnv_tensor_free(&pixels), cnv_tensor_free(&e->image);
    for (i = 0; i < e->seeds; i++) cnv_tensor_free(&e->weights[i]);
    cnv_net_free(e->net);
}

static experiment experiment_new(const char *name)
{
    experiment e;
    memset(&e, 0, sizeof e);
    e.name = name;
    e.net = cnv_net_new();
    CHECK(e.net, "%s", cnv_error());
    return e;
}

static cnv_window grouped_window(void)
{
    cnv_window win = cnv_square(3, 1, 1);
    win.pad_right = 2, win.dilation_h = 2, win.pad_top = 2;
    return win;
}

/* Krizhevsky's layers in small: response norm, groups, overlapping pooling, dropout. */
static void check_alexnet(int training)
{
    experiment e = experiment_new(training ? "alexnet in training" : "alexnet");
    cnv_net *net = e.net;
    cnv_window win = grouped_window();
    int x = cnv_input(net, 3);
    x = cnv_relu(net, cnv_conv2d(net, x, "conv1", 6, 5, 2, 2));
    x = cnv_max_pool(net, cnv_local_response_norm(net, x, 5, 0.5, 0.75, 2), 3, 2, 0);
    x = cnv_relu(net, cnv_conv2d_window(net, x, "conv2", 8, &win, 2, 1));
    x = cnv_max_pool(net, x, 2, 2, 0);
    x = cnv_relu(net, cnv_linear(net, x, "fc6", 8 * 2 * 2, 10));
    x = cnv_linear(net, cnv_dropout(net, x, 0.4), "fc7", 10, 5);
    e.seeds = 1, e.seed[0] = x;
    check_network(&e, training, 2, 3, 22, 19);
}

/* An Inception module whose input feeds four branches, a residual block after it, and three seeds:
   the concatenation, the sum and the softmax. */
static void check_branches(int training)
{
    static const double mean[3] = {0.5, 0.4, 0.3}, std[3] = {0.2, 0.3, 0.4};
    experiment e = experiment_new(training ? "branches in training" : "branches");
    cnv_net *net = e.net;
    cnv_window plain = cnv_square(3, 1, 1);
    int x = cnv_normalize(net, cnv_input(net, 3), mean, std), branch[4], joined, sum;
    x = cnv_conv2d_window(net, x, "stem", 4, &plain, 1, 0);
    x = cnv_relu(net, cnv_batch_norm(net, x, "norm", 0.01));
    branch[0] = cnv_relu(net, cnv_conv2d(net, x, "one", 2, 1, 1, 0));
    branch[1] = cnv_relu(net, cnv_conv2d(net, x, "three", 3, 3, 1, 1));
    branch[2] = cnv_conv2d(net, cnv_max_pool(net, x, 3, 1, 1), "pooled", 2, 1, 1, 0);
    branch[3] = cnv_avg_pool(net, x, 3, 1, 1);
    joined = cnv_concat(net, branch, 4);
    x = cnv_relu(net, cnv_conv2d(net, joined, "residual", 11, 3, 1, 1));
    sum = cnv_add(net, x, joined);
    x = cnv_global_avg_pool(net, cnv_relu(net, sum));
    x = cnv_softmax(net, cnv_linear(net, x, "fc", 11, 5));
    e.seeds = 3, e.seed[0] = x, e.seed[1] = joined, e.seed[2] = sum;
    check_network(&e, training, 2, 3, 7, 6);
}

/* A style network: reflection, instance norm, upsampling, tanh; a node that is added to itself and
   concatenated with itself; pooling into uneven bins. */
static void check_style(void)
{
    experiment e = experiment_new("style");
    cnv_net *net = e.net;
    cnv_window plain = cnv_square(3, 1, 0), strided = cnv_square(3, 2, 1);
    int x = cnv_reflect_pad(net, cnv_input(net, 3), 2), twice[2], tail;
    x = cnv_conv2d_window(net, x, "down1", 4, &plain, 1, 0);
    x = cnv_relu(net, cnv_instance_norm(net, x, "norm1", 0.01));
    x = cnv_conv2d_window(net, x, "down2", 4, &strided, 4, 0);
    x = cnv_relu(net, cnv_instance_norm(net, x, "norm2", 0.01));
    x = cnv_upsample(net, x, 2);
    twice[0] = twice[1] = cnv_add(net, x, x);
    tail = cnv_concat(net, twice, 2);
    x = cnv_tanh(net, cnv_conv2d(net, tail, "up", 3, 3, 1, 1));
    tail = cnv_adaptive_avg_pool(net, tail, 3, 2);
    tail = cnv_sigmoid(net, cnv_linear(net, tail, "head", 8 * 6, 3));
    e.seeds = 3, e.seed[0] = x, e.seed[1] = tail, e.seed[2] = twice[0];
    check_network(&e, 1, 2, 3, 8, 7);
}

int main(void)
{
    int groups;
    for (groups = 1; groups <= 4; groups *= 2) check_conv(groups);
    check_linear();
    check_pools();
    check_norms();
    check_curves();
    check_moves();
    check_alexnet(0), check_alexnet(1);
    check_branches(0), check_branches(1);
    check_style();
    CHECK(crossed * 100 < compared, "%ld steps of %ld cross a kink", crossed, compared);
    printf("%ld derivatives, largest relative error %.2g; %ld left out at kinks\n", compared, worst,
           crossed);
    return check_report();
}
