/* objectives.h: what gradient ascent may want more of: a unit, a direction in a layer's channels, a
   class, whatever a layer shows already, pictures that differ. Each is an ascent_objective: it
   writes the slope at a node into cnv_seed and the objective of each picture into a->value.

       ascent_unit fish = {e.logits, 3, -1, -1};
       ascent a = ascent_of(&e, e.logits, ascent_units, &fish);                                   */
#ifndef OBJECTIVES_H
#define OBJECTIVES_H

#include "ascent.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* Of picture i: the mean over places of v . a(y,x), a the activations of all channels there. So a
   group of neurons is asked for together, each in its share, as by Olah et al. 2018 (The Building
   Blocks of Interpretability). -1: all rows, all columns. */
typedef struct {
    int node, y, x;
    const float *v;             /* [C] */
} ascent_direction;

static inline int ascent_toward(ascent *a, int i, const ascent_direction *d)
{
    const cnv_tensor *out = &a->net->nodes[d->node].out;
    cnv_tensor *seed = cnv_seed(a->net, d->node);
    int k, plane = out->h * out->w, first = i * out->c * plane;
    int count = (d->y < 0 ? out->h : 1) * (d->x < 0 ? out->w : 1);
    if (!seed) return 0;
    for (a->value.data[i] = 0, k = 0; k < out->c * plane; k++) {
        float weight = d->v[k / plane] / (float)count;
        if ((d->y >= 0 && k % plane / out->w != d->y) || (d->x >= 0 && k % out->w != d->x))
            continue;
        seed->data[first + k] += weight;
        a->value.data[i] += weight * out->data[first + k];
    }
    return 1;
}

/* setting: an ascent_direction for each picture */
static inline int ascent_directions(ascent *a, void *setting)
{
    int i, ok = 1;
    for (i = 0; ok && i < a->image.n; i++)
        ok = ascent_toward(a, i, (const ascent_direction *)setting + i);
    return ok;
}

/* Of picture i: the mean of the activations that the i-th unit names. -1: all of them. So a neuron
   has all three, a channel neither y nor x, a layer's position no channel. */
typedef struct {
    int node, channel, y, x;
} ascent_unit;

/* setting: an ascent_unit for each picture */
static inline int ascent_units(ascent *a, void *setting)
{
    int i, k, ok = 1;
    for (i = 0; ok && i < a->image.n; i++) {
        const ascent_unit *unit = (const ascent_unit *)setting + i;
        ascent_direction d = {unit->node, unit->y, unit->x, NULL};
        int channels = a->net->nodes[unit->node].out.c;
        float *v = (float *)calloc((size_t)channels, sizeof *v);
        for (k = 0; v && k < channels; k++)
            v[k] = unit->channel < 0 ? 1.0f / (float)channels : k == unit->channel;
        d.v = v;
        ok = v && ascent_toward(a, i, &d);
        free(v);
    }
    return ok;
}

/* Seeds a node of logits with d log P(class)/d(logits) = onehot - P, for each image. For the class
   itself that is the sum of the others' P: 1 - P would round to 0 where the network is sure, and
   leave no slope. */
static inline int ascent_seed_log_p(cnv_net *net, int logits, const int *classes)
{
    cnv_tensor *seed = cnv_seed(net, logits);
    int i, c;
    if (!seed || !cnv_softmax_forward(&net->nodes[logits].out, seed)) return 0;
    for (i = 0; i < seed->n; i++) {
        float *p = seed->data + i * seed->c, others = 0;
        for (c = 0; c < seed->c; c++) others += c == classes[i] ? 0 : p[c], p[c] = -p[c];
        p[classes[i]] = others;
    }
    return 1;
}

/* log P of a class. setting: a class for each picture */
static inline int ascent_log_p(ascent *a, void *setting)
{
    const int *classes = (const int *)setting;
    const cnv_tensor *out = &a->net->nodes[a->upto].out;
    int i, c;
    for (i = 0; i < out->n; i++) {
        const float *logits = out->data + i * out->c;
        double sum = 0, own = (double)logits[classes[i]];
        for (c = 0; c < out->c; c++) sum += exp((double)logits[c] - own);
        a->value.data[i] = (float)-log(sum);
    }
    return ascent_seed_log_p(a->net, a->upto, classes);
}

/* 1/2 |activations|^2 of a node, as DeepDream wants it: whatever is there already. setting: points
   to the node's number. */
static inline int ascent_activations(ascent *a, void *setting)
{
    int i, node = *(int *)setting;
    cnv_tensor *seed = cnv_seed(a->net, node);
    if (!seed || !cnv_tensor_copy(&a->net->nodes[node].out, seed)) return 0;
    for (i = 0; i < seed->n; i++) {
        cnv_tensor one = cnv_tensor_image(seed, i);
        a->value.data[i] = (float)(0.5 * cnv_dot(&one, &one));
    }
    return 1;
}

/* Pictures that shall differ: of every `among` of them, one after the other, each loses `weight`
   times the mean cosine of its Gram matrix G = F F^T with the others', F [C,P] the activations of a
   node. (Olah et al. 2017, section "Diversity") */
typedef struct {
    ascent_objective *objective; /* of each picture by itself */
    void *setting;
    int node, among;
    double weight;
    double cosine;              /* of the last step: the mean over all pairs */
} ascent_diversity;

/* grams [n,C,C,1], each of length 1; lengths: what they were */
static inline int ascent_grams(const cnv_tensor *out, cnv_tensor *grams, double *lengths)
{
    int i, ok = cnv_tensor_resize(grams, out->n, out->c, out->c, 1);
    size_t k, size = (size_t)out->c * (size_t)out->c;
    for (i = 0; ok && i < out->n; i++) {
        int c = out->c;
        cnv_tensor f = cnv_tensor_view(cnv_tensor_image(out, i).data, c, out->h * out->w, 1, 1);
        cnv_tensor gram = cnv_tensor_view(cnv_tensor_image(grams, i).data, c, c, 1, 1);
        ok = cnv_linear_forward(&f, &f, NULL, &gram, NULL);
        lengths[i] = ok ? sqrt(cnv_dot(&gram, &gram)) + 1e-30 : 1;
        for (k = 0; ok && k < size; k++) gram.data[k] /= (float)lengths[i];
    }
    return ok;
}

/* Seed and value of picture i: with S the sum of the others' G / |G|, N its own G / |G|,
   d<S,N>/dF = 2 (S - <S,N> N) F / |G|, and once more for what the others lose. */
static inline int ascent_differ(ascent *a, ascent_diversity *d, const cnv_tensor *grams, int i,
                                double length)
{
    cnv_tensor f = cnv_tensor_image(&a->net->nodes[d->node].out, i), slope = {0}, others = {0};
    cnv_tensor own = cnv_tensor_image(grams, i), *seed = cnv_seed(a->net, d->node), to;
    cnv_window one = cnv_square(1, 1, 0);
    int k, first = i - i % d->among, count = grams->n - first < d->among ? grams->n - first
                                                                        : d->among;
    double each = 1.0 / (count > 1 ? count - 1 : 1), cosines;
    int ok = seed && cnv_tensor_resize(&others, grams->c, grams->c, 1, 1);
    if (!ok) return 0;
    cnv_tensor_fill(&others, 0);
    for (k = first; k < first + count; k++) {
        cnv_tensor other = cnv_tensor_image(grams, k);
        if (k != i) cnv_add_scaled(each, &other, &others);
    }
    cosines = cnv_dot(&others, &own), cnv_add_scaled(-cosines, &own, &others);
    ok = cnv_conv2d_forward(&f, &others, NULL, &one, 1, &slope, NULL);
    to = cnv_tensor_image(seed, i);
    if (ok) cnv_add_scaled(-4 * d->weight / length, &slope, &to);
    a->value.data[i] -= (float)(d->weight * cosines), d->cosine += cosines / grams->n;
    cnv_tensor_free(&others), cnv_tensor_free(&slope);
    return ok;
}

/* setting: an ascent_diversity */
static inline int ascent_diverse(ascent *a, void *setting)
{
    ascent_diversity *d = (ascent_diversity *)setting;
    cnv_tensor grams = {0};
    double *lengths = (double *)malloc((size_t)a->image.n * sizeof *lengths);
    int i, ok = lengths && d->objective(a, d->setting) &&
                ascent_grams(&a->net->nodes[d->node].out, &grams, lengths);
    for (d->cosine = 0, i = 0; ok && i < a->image.n; i++)
        ok = ascent_differ(a, d, &grams, i, lengths[i]);
    cnv_tensor_free(&grams), free(lengths);
    return ok;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
