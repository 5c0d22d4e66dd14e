/* randomize.h: a network forgets what it has learned, layer by layer from the top.

       n = randomize_layers(e.net, e.logits, layer, 7);
       for (k = 0; k < n; k++) { randomize_from(e.net, random, layer[k]); ... }
       randomize_back(&e);                                   // and remembers                    */
#ifndef RANDOMIZE_H
#define RANDOMIZE_H

#include "example.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* Nodes with weights, from the logits down to the lowest; at most `most`, then evenly spread. */
static inline int randomize_layers(const cnv_net *net, int logits, int *layer, int most)
{
    int i, k, n = 0, all[512];
    for (i = logits; i >= 0 && n < 512; i--)
        if (net->nodes[i].params) all[n++] = i;
    for (k = 0; k < most && k < n; k++) layer[k] = all[n <= most ? k : k * (n - 1) / (most - 1)];
    return k;
}

/* Gives a node and all nodes above it the weights they have in `random`, the same network drawn by
   cnv_init; those below stay. Going further down keeps what is random already. */
static inline int randomize_from(cnv_net *net, const cnv_net *random, int node)
{
    int i, k, ok = 1;
    for (i = node; i < net->count; i++)
        for (k = 0; ok && k < net->nodes[i].params; k++) {
            int p = net->nodes[i].param[k];
            ok = cnv_tensor_copy(&random->params[p].value, &net->params[p].value);
        }
    cnv_weights_changed(net);
    return ok;
}

/* Gives all nodes the weights of the file again. */
static inline int randomize_back(const example *e)
{
    cnv_net *trained = example_trained(e);
    int ok = randomize_from(e->net, trained, 0);
    cnv_net_free(trained);
    return ok;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
