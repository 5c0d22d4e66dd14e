/* backprop.h: from one neuron back to the pixels, under one of three rules for ReLUs, and what is
   made of the numbers that arrive there.

       neuron = backprop_strongest(&net->nodes[node].out, channel);
       backprop(net, CNV_GUIDED, node, &image, neuron, &slope) && backprop_steepest(&slope, &map)

   Saliency, deconvnet and guided backprop are this one walk and differ in its rule alone:
   the way back through y = max(x, 0) passes a signal g
       CNV_GRADIENT     where x > 0                the slope itself
       CNV_DECONVNET    where g > 0                as if the ReLU stood on the way back
       CNV_GUIDED       where x > 0 and g > 0      both                                        */
#ifndef BACKPROP_H
#define BACKPROP_H

#include "example.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* slope [1,C,H,W]: what arrives at the pixels of image [1,C,H,W] when neuron `neuron` of a node, a
   number k*h*w + y*w + x in its output [1,K,h,w], sends 1. At the logits the neuron is the class.
   Other operators than ReLUs pass their gradient; max pools by their switches. */
static inline int backprop(cnv_net *net, cnv_relu_rule rule, int node, const cnv_tensor *image,
                           int neuron, cnv_tensor *slope)
{
    cnv_tensor *seed;
    int ok;
    if (!cnv_forward(net, image, node) || !(seed = cnv_seed(net, node))) return 0;
    seed->data[neuron] = 1;
    net->relu_rule = rule;
    ok = cnv_backward(net, 0) && cnv_tensor_copy(&net->nodes[0].grad, slope);
    net->relu_rule = CNV_GRADIENT; /* as others expect it */
    return ok;
}

/* sum [1,C,H,W] += the gradients of a class at all images of a batch [N,C,H,W], added up. */
static inline int backprop_batch(cnv_net *net, int logits, const cnv_tensor *batch, int class_id,
                                 cnv_tensor *sum)
{
    size_t i, size = cnv_tensor_size(sum);
    cnv_tensor *seed;
    int n;
    if (!cnv_forward(net, batch, logits) || !(seed = cnv_seed(net, logits))) return 0;
    for (n = 0; n < batch->n; n++) seed->data[n * seed->c + class_id] = 1;
    if (!cnv_backward(net, 0)) return 0;
    for (i = 0; i < cnv_tensor_size(batch); i++) sum->data[i % size] += net->nodes[0].grad.data[i];
    return 1;
}

/* The neuron with the greatest output in a channel of out [1,K,h,w]. */
static inline int backprop_strongest(const cnv_tensor *out, int channel)
{
    int i, plane = out->h * out->w, first = channel * plane, best = first;
    for (i = first; i < first + plane; i++)
        if (out->data[i] > out->data[best]) best = i;
    return best;
}

/* The `count` strongest neurons of out [1,K,h,w] that fire, each channel giving one, in neuron[];
   returns how many there are. */
static inline int backprop_firing(const cnv_tensor *out, int count, int *neuron)
{
    int n, k;
    for (n = 0; n < count; n++) {
        int best = -1;
        for (k = 0; k < out->c; k++) {
            int at = backprop_strongest(out, k);
            if (n && !(out->data[at] < out->data[neuron[n - 1]])) continue;
            if (out->data[at] > (best < 0 ? 0 : out->data[best])) best = at;
        }
        if (best < 0) break;
        neuron[n] = best;
    }
    return n;
}

/* map [1,1,H,W]: at each pixel the greatest magnitude of the colours of slope [1,C,H,W]. */
static inline int backprop_steepest(const cnv_tensor *slope, cnv_tensor *map)
{
    int i, plane = slope->h * slope->w;
    if (!cnv_tensor_resize(map, 1, 1, slope->h, slope->w)) return 0;
    cnv_tensor_fill(map, 0);
    for (i = 0; i < slope->c * plane; i++)
        map->data[i % plane] = fmaxf(map->data[i % plane], fabsf(slope->data[i]));
    return 1;
}

/* map [1,1,H,W]: at each pixel the sum over the colours: for shares that add up. */
static inline int backprop_total(const cnv_tensor *shares, cnv_tensor *map)
{
    int i, plane = shares->h * shares->w;
    if (!cnv_tensor_resize(map, 1, 1, shares->h, shares->w)) return 0;
    cnv_tensor_fill(map, 0);
    for (i = 0; i < shares->c * plane; i++) map->data[i % plane] += shares->data[i];
    return 1;
}

typedef struct {
    int left, top, side; /* columns left ... left + side - 1, and rows alike */
} backprop_square;

/* The smallest square around all pixels of a map above a tenth of its maximum: where a neuron's
   pattern lies. side > 0: a square of that side with the same middle. Never beyond the map. */
static inline backprop_square backprop_where(const cnv_tensor *map, int side)
{
    int i, x0 = map->w, y0 = map->h, x1 = 0, y1 = 0, most = map->w < map->h ? map->w : map->h;
    backprop_square square;
    double low, high;
    cnv_range(map, &low, &high);
    for (i = 0; i < map->h * map->w; i++) {
        int x = i % map->w, y = i / map->w;
        if (!((double)map->data[i] > 0.1 * high)) continue;
        x0 = x < x0 ? x : x0, x1 = x >= x1 ? x + 1 : x1;
        y0 = y < y0 ? y : y0, y1 = y + 1;
    }
    if (!side) side = x1 - x0 > y1 - y0 ? x1 - x0 : y1 - y0;
    square.side = side < 1 ? 1 : side > most ? most : side;
    square.left = (x0 + x1 - square.side) / 2, square.top = (y0 + y1 - square.side) / 2;
    if (square.left > map->w - square.side) square.left = map->w - square.side;
    if (square.top > map->h - square.side) square.top = map->h - square.side;
    if (square.left < 0) square.left = 0;
    if (square.top < 0) square.top = 0;
    return square;
}

/* At most four convolutions, evenly spread, the last of them the layer asked for; how many. */
static inline int backprop_layers(const example *e, int *node)
{
    int i, k, n = 0, all[256];
    for (i = 0; i < e->layer && n < 255; i++)
        if (e->net->nodes[i].op == CNV_CONV2D) all[n++] = i;
    all[n++] = e->layer;
    for (k = 0; k < 4 && k < n; k++) node[k] = all[n <= 4 ? k : k * (n - 1) / 3];
    return k;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
