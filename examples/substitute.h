/* substitute.h: an attacker's own network, which learns from nothing but the answers that another
   network gives to the attacker's questions (see transfer.c).

       substitute s;
       example_check(&e, substitute_begin(&s, 1000, 64, e.classes, e.seed));
       ... fill s.x, s.n ...
       example_check(&e, substitute_ask(&e, &s, 0) && substitute_train(&s, 4));
       substitute_end(&s);                                                                    */
#ifndef SUBSTITUTE_H
#define SUBSTITUTE_H

#include "attack.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* One layer of it: convolution, batch norm, ReLU. */
static inline int substitute_layer(cnv_net *net, int x, const char *name, const char *norm, int out,
                                   int kernel, int stride)
{
    x = cnv_conv2d(net, x, name, out, kernel, stride, kernel / 2);
    return cnv_relu(net, cnv_batch_norm(net, x, norm, 1e-5));
}

/* The attacker's network: small, and no copy of the victim, of which it knows nothing. Returns the
   logits. */
static inline int substitute_network(cnv_net *net, int classes)
{
    static const double mean[3] = {0.5, 0.5, 0.5}, std[3] = {0.25, 0.25, 0.25};
    int x = cnv_normalize(net, cnv_input(net, 3), mean, std);
    x = cnv_max_pool(net, substitute_layer(net, x, "conv1", "bn1", 16, 5, 2), 2, 2, 0);
    x = cnv_max_pool(net, substitute_layer(net, x, "conv2", "bn2", 32, 3, 1), 2, 2, 0);
    x = cnv_max_pool(net, substitute_layer(net, x, "conv3", "bn3", 64, 3, 1), 2, 2, 0);
    x = substitute_layer(net, x, "conv4", "bn4", 64, 3, 1);
    return cnv_linear(net, cnv_adaptive_avg_pool(net, x, 1, 1), "logits", 64, classes);
}

/* All that the attacker has: questions [n,3,H,W], the victim's answers, the substitute. */
typedef struct {
    cnv_tensor x;
    int *answers, n;
    cnv_net *net;
    int logits;
    cnv_rng rng;
} substitute;

/* Empty, with room for `most` questions of side x side pixels. */
static inline int substitute_begin(substitute *s, int most, int side, int classes,
                                   unsigned long long seed)
{
    memset(s, 0, sizeof *s);
    s->rng = cnv_rng_seed(seed);
    s->answers = (int *)malloc((size_t)most * sizeof *s->answers);
    s->net = cnv_net_new();
    if (!s->answers || !s->net) return 0;
    s->logits = substitute_network(s->net, classes);
    return s->logits >= 0 && cnv_init(s->net, seed) &&
           cnv_tensor_resize(&s->x, most, 3, side, side);
}

/* The victim's answers to the questions from `first` on. Nothing else of it is ever used. */
static inline int substitute_ask(const example *victim, substitute *s, int first)
{
    int i, k;
    for (i = first; i < s->n; i += ATTACK_BATCH) {
        int n = s->n - i < ATTACK_BATCH ? s->n - i : ATTACK_BATCH;
        cnv_tensor some = cnv_tensor_view(cnv_tensor_image(&s->x, i).data, n, 3, s->x.h, s->x.w);
        if (!cnv_forward(victim->net, &some, victim->logits)) return 0;
        for (k = 0; k < n; k++) s->answers[i + k] = example_answer(victim, k);
    }
    return 1;
}

/* Trains with `epochs` passes over the questions, in random batches; the rate falls to 0. */
static inline int substitute_train(substitute *s, int epochs)
{
    enum { BATCH = 32 };
    cnv_optimizer optimizer = cnv_adam(0, 0);
    cnv_tensor batch = {0}, *seed;
    int step, steps = epochs * s->n / BATCH + 1, i, labels[BATCH];
    int ok = cnv_tensor_resize(&batch, BATCH, 3, s->x.h, s->x.w);
    double loss;
    s->net->training = 1;
    for (step = 0; ok && step < steps; step++) {
        optimizer.rate = 0.006 * (1 - (double)step / steps);
        for (i = 0; i < BATCH; i++) {
            int pick = (int)(cnv_uniform(&s->rng) * s->n);
            cnv_tensor from = cnv_tensor_image(&s->x, pick), to = cnv_tensor_image(&batch, i);
            ok = ok && cnv_tensor_copy(&from, &to);
            labels[i] = s->answers[pick];
        }
        ok = ok && cnv_forward(s->net, &batch, s->logits) &&
             (seed = cnv_seed(s->net, s->logits)) != NULL &&
             cnv_cross_entropy(&s->net->nodes[s->logits].out, labels, &loss, seed) &&
             cnv_backward(s->net, CNV_PARAMETERS) && cnv_step(s->net, &optimizer);
    }
    s->net->training = 0;
    cnv_tensor_free(&batch);
    return ok;
}

static inline void substitute_end(substitute *s)
{
    cnv_net_free(s->net), cnv_tensor_free(&s->x), free(s->answers);
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
