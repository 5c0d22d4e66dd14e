/* relevance.h: how relevance passes down through each kind of layer, for lrp.c.

   Relevance lies where gradients do: in net->nodes[i].grad, of the shape of the node's output. A
   layer hands the relevance R_j of its outputs on to its inputs, in proportion to what each input i
   contributed to output j:

       R_i = sum over j of z_ij / (sum over i' of z_i'j) * R_j

   What counts as contribution is the rule; a_i are the inputs, w_ij the weights, and + and - are
   the positive and the negative part:
       RELEVANCE_EPSILON    z_ij = a_i w_ij, and the divisor grows by epsilon away from 0
       RELEVANCE_POSITIVE   z_ij = (a_i w_ij)+, the z+ rule: only what speaks for the output
       RELEVANCE_BOX        z_ij = a_i w_ij - low w_ij+ - high w_ij-, which is >= 0: for pixels
   All three are p_i w_ij+ + n_i w_ij-, with p = n = a; p = a+, n = a-; p = a - low, n = a - high.
   So every layer is run forwards and backwards with two halves of its weights, as far as needed:
       z = forward(w+, p) + forward(w-, n),  s = R / z,  R_i = p backward(w+, s) + n backward(w-, s)
   Biases are left out of z: they would keep relevance for themselves.
       Bach et al.: On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise
       Relevance Propagation (2015); Montavon et al.: Layer-Wise Relevance Propagation: An Overview
       (2019)                                                                                    */
#ifndef RELEVANCE_H
#define RELEVANCE_H

#include "example.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

typedef enum { RELEVANCE_EPSILON, RELEVANCE_POSITIVE, RELEVANCE_BOX } relevance_rule;

/* What black (0) or white (1) is behind the network's normalization. */
static inline float relevance_edge(const cnv_node *pixels, int channel, int white)
{
    if (pixels->op != CNV_NORMALIZE) return (float)white;
    return ((float)white - pixels->mean[channel]) / pixels->std[channel];
}

/* x: the p (negative 0) or n (negative 1) of a rule, from the output of a node. */
EXAMPLE_INNER_LOOP
static inline int relevance_input(const cnv_node *below, relevance_rule rule, int negative,
                                  cnv_tensor *x)
{
    int i, plane = below->out.h * below->out.w, size = (int)cnv_tensor_size(&below->out);
    if (!cnv_tensor_copy(&below->out, x)) return 0;
    if (rule == RELEVANCE_POSITIVE && !negative) return cnv_relu_forward(x, x);
    for (i = 0; i < size; i++) {
        float a = x->data[i];
        if (rule == RELEVANCE_POSITIVE && a > 0) x->data[i] = 0;
        if (rule == RELEVANCE_BOX)
            x->data[i] = a - relevance_edge(below, i / plane % below->out.c, negative);
    }
    return 1;
}

/* Whether output channel k of a node falls when it should rise: it is read by a batch norm that
   turns its sign. */
static inline int relevance_turned(const cnv_net *net, const cnv_node *node, int k)
{
    int i;
    for (i = 0; i < net->count; i++) {
        const cnv_node *norm = &net->nodes[i];
        if (norm->op == CNV_BATCH_NORM && &net->nodes[norm->input[0]] == node)
            return net->params[norm->param[0]].value.data[k] < 0;
    }
    return 0;
}

/* w: the positive or negative part of a layer's weights; for the epsilon rule, which makes no
   difference between them, all; nothing for layers without weights. */
EXAMPLE_INNER_LOOP
static inline int relevance_weight(const cnv_net *net, const cnv_node *node, relevance_rule rule,
                                   int negative, cnv_tensor *w)
{
    int k, i, size;
    if (!node->params) return 1;
    if (!cnv_tensor_copy(&net->params[node->param[0]].value, w)) return 0;
    if (rule == RELEVANCE_EPSILON) return 1;
    for (size = w->c * w->h * w->w, k = 0; k < w->n; k++) {
        float *filter = w->data + (size_t)k * (size_t)size;
        float sign = relevance_turned(net, node, k) ? -1.0f : 1.0f;
        for (i = 0; i < size; i++) {
            float weight = sign * filter[i];
            filter[i] = (weight < 0) == negative ? weight : 0;
        }
    }
    return 1;
}

/* y = the layer's output for input x with weights w, and no bias */
static inline int relevance_forward(const cnv_node *node, const cnv_tensor *x, const cnv_tensor *w,
                                    cnv_tensor *y)
{
    switch (node->op) {
    case CNV_CONV2D:
        return cnv_conv2d_forward(x, w, NULL, &node->window, node->groups, y, NULL);
    case CNV_LINEAR: return cnv_linear_forward(x, w, NULL, y, NULL);
    case CNV_AVG_POOL: return cnv_avg_pool_forward(x, &node->window, node->count_padding, y);
    case CNV_ADAPTIVE_AVG_POOL:
        return cnv_adaptive_avg_pool_forward(x, node->size_h, node->size_w, y);
    default: return cnv_tensor_copy(x, y); /* CNV_ADD, whose sum is taken outside */
    }
}

/* dx = the gradient of sum of y * dy; dx comes with its shape */
static inline int relevance_backward(const cnv_node *node, const cnv_tensor *dy,
                                     const cnv_tensor *w, cnv_tensor *dx)
{
    switch (node->op) {
    case CNV_CONV2D:
        return cnv_conv2d_backward_data(dy, w, &node->window, node->groups, dx, NULL);
    case CNV_LINEAR: return cnv_linear_backward_data(dy, w, dx, NULL);
    case CNV_AVG_POOL: return cnv_avg_pool_backward(dy, &node->window, node->count_padding, dx);
    case CNV_ADAPTIVE_AVG_POOL: return cnv_adaptive_avg_pool_backward(dy, dx);
    default: return cnv_tensor_copy(dy, dx);
    }
}

/* z becomes s = R / z. epsilon: of the mean |z|, for the epsilon rule; the others have no negative
   contributions, and only an output that got none at all cannot hand its relevance on. */
EXAMPLE_INNER_LOOP
static inline void relevance_divide(const cnv_tensor *relevance, relevance_rule rule,
                                    double epsilon, cnv_tensor *z)
{
    size_t i, size = cnv_tensor_size(z);
    double mean = 0;
    for (i = 0; i < size; i++) mean += fabs((double)z->data[i]) / (double)size;
    for (i = 0; i < size; i++) {
        double divisor = (double)z->data[i];
        if (rule == RELEVANCE_EPSILON) divisor += (divisor < 0 ? -epsilon : epsilon) * mean;
        else if (fabs(divisor) <= 1e-4 * mean) divisor = 0; /* 0, but for rounding */
        z->data[i] = divisor != 0 ? (float)((double)relevance->data[i] / divisor) : 0;
    }
}

/* How many sums a layer's contributions are: two for both parts of the weights, but where inputs
   are the same for both, or none is negative, one. A sum of two layers has two. */
static inline int relevance_terms(const cnv_net *net, const cnv_node *node, relevance_rule rule)
{
    double low, high;
    if (node->op == CNV_ADD) return 2;
    if (!node->params || rule == RELEVANCE_EPSILON) return 1;
    cnv_range(&net->nodes[node->input[0]].out, &low, &high);
    return rule == RELEVANCE_POSITIVE && low >= 0 ? 1 : 2;
}

/* Through a layer that adds contributions up: convolution, linear, average pool, sum of two. */
static inline int relevance_through_sum(cnv_net *net, int at, relevance_rule rule, double epsilon)
{
    const cnv_node *node = &net->nodes[at];
    cnv_tensor x[2] = {{0}}, w[2] = {{0}}, z = {0}, part = {0}, *below;
    int t, ok = 1, terms = relevance_terms(net, node, rule);
    size_t i;
    for (t = 0; ok && t < terms; t++) {
        int negative = node->op == CNV_ADD ? 0 : t, input = node->op == CNV_ADD ? t : 0;
        ok = relevance_input(&net->nodes[node->input[input]], rule, negative, &x[t]) &&
             relevance_weight(net, node, rule, negative, &w[t]) &&
             relevance_forward(node, &x[t], &w[t], t ? &part : &z);
        if (ok && t) ok = cnv_add_forward(&z, &part, &z);
    }
    if (ok) relevance_divide(&node->grad, rule, epsilon, &z);
    for (t = 0; ok && t < terms; t++) {
        ok = (below = cnv_seed(net, node->input[node->op == CNV_ADD ? t : 0])) != NULL &&
             cnv_tensor_copy(&x[t], &part) && relevance_backward(node, &z, &w[t], &part);
        for (i = 0; ok && i < cnv_tensor_size(&part); i++)
            below->data[i] += x[t].data[i] * part.data[i];
    }
    for (t = 0; t < 2; t++) cnv_tensor_free(&x[t]), cnv_tensor_free(&w[t]);
    cnv_tensor_free(&z), cnv_tensor_free(&part);
    return ok;
}

/* Through a layer that moves numbers, or changes each by itself: then relevance stays where it is.
   (Norms and activation functions scale a number and shift it; the scale cancels out, and the shift
   is a bias. A max pool's relevance goes to the pixel that won.) */
static inline int relevance_through_each(cnv_net *net, int at)
{
    const cnv_node *node = &net->nodes[at];
    const cnv_tensor *switches;
    cnv_tensor part = {0}, *below;
    int k, first = 0, ok = 1;
    for (k = 0; ok && k < node->inputs; k++) {
        ok = (below = cnv_seed(net, node->input[k])) != NULL && cnv_tensor_copy(below, &part);
        if (!ok) break;
        switch (node->op) {
        case CNV_MAX_POOL:
            switches = cnv_switches(net, at);
            ok = switches && cnv_max_pool_backward(&node->grad, switches, &node->window, &part);
            break;
        case CNV_CONCAT: ok = cnv_concat_backward(&node->grad, first, &part); break;
        case CNV_UPSAMPLE: ok = cnv_upsample_backward(&node->grad, node->size_h, &part); break;
        case CNV_REFLECT_PAD:
            ok = cnv_reflect_pad_backward(&node->grad, node->size_h, &part);
            break;
        default: ok = cnv_tensor_copy(&node->grad, &part);
        }
        ok = ok && cnv_add_forward(below, &part, below);
        first += part.c;
    }
    cnv_tensor_free(&part);
    return ok;
}

/* Hands the relevance of node `at` down to the nodes that it reads. Returns 1, or 0 with
   cnv_error(). */
static inline int relevance_through(cnv_net *net, int at, relevance_rule rule, double epsilon)
{
    switch (net->nodes[at].op) {
    case CNV_CONV2D: case CNV_LINEAR: case CNV_AVG_POOL: case CNV_ADAPTIVE_AVG_POOL: case CNV_ADD:
        return relevance_through_sum(net, at, rule, epsilon);
    default: return relevance_through_each(net, at);
    }
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
