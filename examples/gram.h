/* gram.h: what a picture shows (content: activations) and how it is painted (style: which
   activations go together, wherever that is), as objectives for ascent.h. (Gatys, Ecker, Bethge
   2015 and 2016)

     Gram matrix   G = F F^T / P      F [C,P]: the activations of C channels at P positions
     style         S = mean over nodes of |G - G0|^2 / |G0|^2      dS/dF = 4 (G - G0) F / P ...
     content       K = |F - F0|^2 / |F0|^2                         dK/dF = 2 (F - F0) ...

   The papers divide by constants instead of |G0|^2 and |F0|^2; here the losses are shares: 1 if
   all activations were 0. And G is a mean over positions, so that pictures of different sizes can
   be compared.

       gram_goal goal = {0};
       gram_layers(e.net, e.layer, &goal);
       example_check(&e, gram_style(e.net, &goal, &painting));
       a = ascent_of(&e, goal.last, gram_objective, &goal);                                     */
#ifndef GRAM_H
#define GRAM_H

#include "ascent.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

enum { GRAM_NODES = 8 };

typedef struct {
    int nodes, node[GRAM_NODES];      /* where style is looked at */
    cnv_tensor gram[GRAM_NODES];      /* [C,C]: the style's */
    double style_weight;              /* times S */
    int content_node;                 /* where content is looked at */
    cnv_tensor content;               /* [n,C,h,w]: the activations to keep; empty: none */
    double content_weight;            /* times K */
    double variation;                 /* a weight for the squared differences of neighbours, per
                                         pixel, that goes well with these nodes */
    int last;                         /* the last node of all */
    double style_loss, content_loss;  /* S and K of the last evaluation, means over the batch */
} gram_goal;

static inline void gram_end(gram_goal *g)
{
    int i;
    for (i = 0; i < GRAM_NODES; i++) cnv_tensor_free(&g->gram[i]);
    cnv_tensor_free(&g->content);
}

/* gram [C,C] = F F^T / P of activations [1,C,h,w] */
static inline int gram_matrix(const cnv_tensor *out, cnv_tensor *gram, cnv_workspace *ws)
{
    int positions = out->h * out->w;
    size_t i;
    cnv_tensor f = cnv_tensor_view(out->data, out->c, positions, 1, 1);
    if (!cnv_linear_forward(&f, &f, NULL, gram, ws)) return 0;
    for (i = 0; i < cnv_tensor_size(gram); i++) gram->data[i] /= (float)positions;
    return 1;
}

/* away = G - G0 for one picture; *loss += |G - G0|^2 / |G0|^2 */
static inline int gram_away(const cnv_tensor *out, const cnv_tensor *wanted, cnv_tensor *away,
                            double *loss, cnv_workspace *ws)
{
    if (!gram_matrix(out, away, ws)) return 0;
    cnv_add_scaled(-1, wanted, away);
    *loss += cnv_dot(away, away) / (cnv_dot(wanted, wanted) + 1e-30);
    return 1;
}

/* Adds -weight * d(|G - G0|^2 / |G0|^2)/dF to the seed, for one picture; *loss += that share. */
static inline int gram_seed(const cnv_tensor *out, const cnv_tensor *wanted, double weight,
                            cnv_tensor *seed, double *loss, cnv_workspace *ws)
{
    double scale = weight / (cnv_dot(wanted, wanted) + 1e-30) / (out->h * out->w);
    cnv_tensor away = {0}, slope = {0}, filters;
    cnv_window one = cnv_square(1, 1, 0);
    int ok = gram_away(out, wanted, &away, loss, ws);
    filters = cnv_tensor_view(away.data, out->c, out->c, 1, 1);
    ok = ok && cnv_conv2d_forward(out, &filters, NULL, &one, 1, &slope, ws); /* (G - G0) F */
    if (ok) cnv_add_scaled(-4 * scale, &slope, seed);
    cnv_tensor_free(&away), cnv_tensor_free(&slope);
    return ok;
}

/* Adds -weight * d(|F - F0|^2 / |F0|^2)/dF to the seed, for one picture; *loss += that share. */
static inline void gram_content_seed(const cnv_tensor *out, const cnv_tensor *wanted, double weight,
                                     cnv_tensor *seed, double *loss)
{
    double scale = 1 / (cnv_dot(wanted, wanted) + 1e-30);
    size_t i, size = cnv_tensor_size(out);
    for (i = 0; i < size; i++) {
        double away = (double)out->data[i] - (double)wanted->data[i];
        *loss += scale * away * away;
        seed->data[i] -= (float)(2 * weight * scale * away);
    }
}

/* Seeds for picture i; adds its losses to *style and *content. */
static inline int gram_seeds(cnv_net *net, const gram_goal *g, int i, double *style,
                             double *content)
{
    cnv_tensor out, *seed, to, wanted;
    int k;
    for (k = 0; k < g->nodes; k++) {
        out = cnv_tensor_image(&net->nodes[g->node[k]].out, i);
        seed = cnv_seed(net, g->node[k]);
        if (!seed) return 0;
        to = cnv_tensor_image(seed, i);
        if (!gram_seed(&out, &g->gram[k], g->style_weight / g->nodes, &to, style, &net->workspace))
            return 0;
    }
    if (!g->content.data) return 1;
    out = cnv_tensor_image(&net->nodes[g->content_node].out, i);
    seed = cnv_seed(net, g->content_node);
    if (!seed) return 0;
    to = cnv_tensor_image(seed, i);
    wanted = cnv_tensor_image(&g->content, i);
    gram_content_seed(&out, &wanted, g->content_weight, &to, content);
    return 1;
}

/* - style_weight * S - content_weight * K of each picture. setting: a gram_goal */
static inline int gram_objective(ascent *a, void *setting)
{
    gram_goal *g = (gram_goal *)setting;
    int i, n = a->value.n;
    g->style_loss = g->content_loss = 0;
    for (i = 0; i < n; i++) {
        double style = 0, content = 0;
        if (!gram_seeds(a->net, g, i, &style, &content)) return 0;
        style /= g->nodes;
        a->value.data[i] = (float)(-g->style_weight * style - g->content_weight * content);
        g->style_loss += style / n, g->content_loss += content / n;
    }
    return 1;
}

/* S of a picture that is only looked at; -1 with cnv_error() on failure */
static inline double gram_loss(cnv_net *net, const gram_goal *g, const cnv_tensor *picture)
{
    cnv_tensor away = {0};
    double loss = 0;
    int k, ok = cnv_forward(net, picture, g->last);
    for (k = 0; ok && k < g->nodes; k++)
        ok = gram_away(&net->nodes[g->node[k]].out, &g->gram[k], &away, &loss, &net->workspace);
    cnv_tensor_free(&away);
    return ok ? loss / g->nodes : -1;
}

/* The style's Gram matrices */
static inline int gram_style(cnv_net *net, gram_goal *g, const cnv_tensor *style)
{
    int i, ok = cnv_forward(net, style, g->last);
    for (i = 0; ok && i < g->nodes; i++)
        ok = gram_matrix(&net->nodes[g->node[i]].out, &g->gram[i], &net->workspace);
    return ok;
}

/* The activations of pictures that are to be kept */
static inline int gram_content(cnv_net *net, gram_goal *g, const cnv_tensor *pictures)
{
    return cnv_forward(net, pictures, g->content_node) &&
           cnv_tensor_copy(&net->nodes[g->content_node].out, &g->content);
}

/* Style at the pixels, as the network sees them, and at up to five of its ReLUs, evenly spread from
   the first to the one after node `layer`, but before linear layers, which want pictures of one
   size; content at the middle one. Returns 0 without a ReLU. */
static inline int gram_layers(const cnv_net *net, int layer, gram_goal *g)
{
    enum { MOST = 256 };
    int i, relus = 0, relu[MOST], used;
    for (i = 0; i <= layer + 1 && i < net->count && relus < MOST; i++)
        if (net->nodes[i].op == CNV_LINEAR) break;
        else if (net->nodes[i].op == CNV_RELU) relu[relus++] = i;
    if (!relus) return 0;
    used = relus < 5 ? relus : 5;
    g->node[0] = net->nodes[1].op == CNV_NORMALIZE;
    for (i = 0; i < used; i++)
        g->node[i + 1] = relu[used < 2 ? 0 : i * (relus - 1) / (used - 1)];
    g->nodes = used + 1, g->last = relu[relus - 1], g->content_node = g->node[1 + used / 2];
    g->style_weight = 1, g->variation = 0.06; /* strides let fine noise pass: smooth it */
    return 1;
}

/* From each channel's weights of each filter, their mean: what is even is no longer seen. */
static inline void gram_center(cnv_tensor *weights)
{
    int i, k, taps = weights->h * weights->w, count = weights->n * weights->c;
    for (k = 0; k < count; k++) {
        float *w = weights->data + k * taps, mean = 0;
        for (i = 0; i < taps; i++) mean += w[i] / (float)taps;
        for (i = 0; i < taps; i++) w[i] -= mean;
    }
}

/* A network that has learned nothing: one layer of random filters of several sizes makes good
   textures (Ustyuzhaninov, Brendel, Gatys, Bethge 2016). Theirs are of 3 to 55 pixels; ours all
   have 7 x 7, and look at the picture and at versions of half its size, and again: that costs far
   less. All but the largest see edges alone, or else brightness would outweigh all they say. The
   pixels themselves count, too, as three channels, for the colours' sake. */
static inline cnv_net *gram_random_net(int scales, int filters, uint64_t seed, gram_goal *g)
{
    static const double mean[3] = {0.5, 0.5, 0.5}, std[3] = {0.25, 0.25, 0.25};
    cnv_net *net = cnv_net_new();
    int i, x, ok;
    if (!net) return NULL;
    x = g->node[0] = cnv_normalize(net, cnv_input(net, 3), mean, std);
    for (i = 1; i <= scales; i++) {
        if (i > 1) x = cnv_avg_pool(net, cnv_reflect_pad(net, x, 1), 4, 2, 0);
        g->node[i] = cnv_relu(net, cnv_conv2d(net, cnv_reflect_pad(net, x, 3), NULL, filters, 7, 1,
                                              0));
    }
    g->nodes = scales + 1, g->last = g->content_node = g->node[scales];
    g->style_weight = 1, g->variation = 0.03;
    ok = cnv_init(net, seed);
    for (i = 0; ok && i < scales - 1; i++) gram_center(&net->params[2 * i].value);
    cnv_weights_changed(net);
    if (ok) return net;
    cnv_net_free(net);
    return NULL;
}

/* The start of a search for the goal: `start` [1,3,h,w] and a little noise; NULL: noise on grey */
static inline int gram_begin(ascent *a, const example *e, cnv_net *net, gram_goal *g, int h, int w,
                             const cnv_tensor *start, ascent_method method)
{
    size_t i;
    *a = ascent_of(e, g->last, gram_objective, g);
    a->net = net, a->method = method, a->rate = method == ASCENT_ADAM && !start ? 0.04 : 0.02;
    a->variation = g->variation / (h * w);
    if (!start) return ascent_start(a, 1, h, w, 0.15);
    if (!ascent_from(a, start)) return 0;
    for (i = 0; i < cnv_tensor_size(start); i++)
        a->z.data[i] = fminf(1, fmaxf(0, a->z.data[i] + (float)(0.04 * cnv_normal(&a->rng))));
    return 1;
}

/* Searches from there: out is what it finds, loss[0 ... steps] the way. g: its content is set. */
static inline int gram_search(const example *e, cnv_net *net, gram_goal *g, int h, int w,
                              const cnv_tensor *start, ascent_method method, int steps,
                              double *loss, cnv_tensor *out)
{
    double begin = example_seconds();
    ascent a;
    int i, ok = gram_begin(&a, e, net, g, h, w, start, method) && ascent_gradient(&a);
    loss[0] = -ascent_total(&a);
    for (i = 1; ok && i <= steps; i++) {
        ok = ascent_step(&a) && (method == ASCENT_LBFGS || i < steps || ascent_gradient(&a));
        loss[i] = -ascent_total(&a);
        example_progress("painting", i, steps, begin);
    }
    ok = ok && cnv_tensor_copy(&a.image, out);
    ascent_end(&a);
    return ok;
}

/* --features: what is compared, of `random` filters (default) or of the `net` that --net names.
   Returns a network that gram_close frees. */
static inline cnv_net *gram_open(const example *e, gram_goal *g)
{
    const char *features = example_text(e, "features", "random");
    cnv_net *net = e->net;
    if (!example_listed("random,net", features))
        example_fail(e, "--features wants random or net, got \"%s\"", features);
    if (!strcmp(features, "random")) {
        net = gram_random_net(3, 32, e->seed, g);
        example_check(e, net != NULL);
    } else if (!gram_layers(net, e->layer, g))
        example_fail(e, "the network has no ReLU up to \"%s\"", net->nodes[e->layer].name);
    return net;
}

static inline void gram_close(const example *e, cnv_net *net, gram_goal *g)
{
    gram_end(g);
    if (net != e->net) cnv_net_free(net);
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
