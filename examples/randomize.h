/* randomize.h: a network forgets what it has learned, layer by layer from the top.

       n = randomize_layers(e.net, e.logits, layer, 7);
       for (k = 0; k < n; k++) { randomize_down(e.net, random, layer, k); ... }
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

/* Step k down the layers: node layer[k] and what stands between it and layer[k - 1] (k 0: all above
   it) get the weights that they have in `random`, the same network drawn by cnv_init. */
static inline int randomize_down(cnv_net *net, const cnv_net *random, const int *layer, int k)
{
    int i, j, end = k ? layer[k - 1] : net->count, ok = 1;
    for (i = layer[k]; i < end; i++)
        for (j = 0; ok && j < net->nodes[i].params; j++) {
            int p = net->nodes[i].param[j];
            ok = cnv_tensor_copy(&random->params[p].value, &net->params[p].value);
        }
    cnv_weights_changed(net);
    return ok;
}

/* Gives all nodes the weights of the file again. */
static inline void randomize_back(const example *e)
{
    cnv_net *trained = example_trained(e);
    int i;
    for (i = 0; i < trained->param_count; i++) {
        cnv_tensor random = e->net->params[i].value;
        e->net->params[i].value = trained->params[i].value, trained->params[i].value = random;
    }
    cnv_weights_changed(e->net), cnv_net_free(trained);
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
