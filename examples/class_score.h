/* class_score.h: how sure a network is of pictures that were made for its classes: as they are,
   shifted, and of noise in their place.

       example robust = class_score_network(&e, "robustnet", "robust.safetensors");
       class_score_of(&robust, &pictures, 0, 4, &score)  // score.mean, .least, .next
       class_score_noise(&pictures, &noise)                                                     */
#ifndef CLASS_SCORE_H
#define CLASS_SCORE_H

#include "ascent.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* The same program on another network that comes along. Afterwards cnv_net_free(it.net). */
static inline example class_score_network(const example *e, const char *net, const char *weights)
{
    example other = *e;
    other.model = model_find(net), other.net = cnv_net_new(), other.classes = TOY_CLASSES;
    example_check(e, other.net != NULL);
    other.logits = other.model->build(other.net, TOY_CLASSES);
    example_check(e, other.logits >= 0 && cnv_load(other.net, example_data(weights)));
    return other;
}

/* P of each picture's own class, the mean and the least, and of the class after it, the mean. */
typedef struct {
    double mean, least, next;
} class_score;

/* Of pictures of the classes from `first` on; eight times, shifted at random by up to so many
   pixels, or, with a shift of 0, once. */
static inline int class_score_of(const example *e, const cnv_tensor *pictures, int first, int shift,
                                 class_score *score)
{
    cnv_tensor shifted = {0}, p = {0};
    cnv_rng rng = cnv_rng_seed(e->seed + 1000);
    double map[4] = {1, 0, 0, 0};
    int i, n = pictures->n, draws = shift ? 8 : 1, draw, ok = cnv_tensor_copy(pictures, &shifted);
    score->mean = score->next = 0, score->least = 1;
    for (draw = 0; ok && draw < draws; draw++) {
        cnv_tensor_fill(&shifted, 0);
        for (i = 0; i < n; i++) {
            cnv_tensor from = cnv_tensor_image(pictures, i), to = cnv_tensor_image(&shifted, i);
            map[2] = floor((2 * cnv_uniform(&rng) - 1) * shift + 0.5);
            map[3] = floor((2 * cnv_uniform(&rng) - 1) * shift + 0.5);
            ascent_warp(map, 0, &from, &to);
        }
        ok = cnv_forward(e->net, &shifted, e->logits) &&
             cnv_softmax_forward(&e->net->nodes[e->logits].out, &p);
        for (i = 0; ok && i < n; i++) {
            double own = (double)p.data[i * p.c + first + i];
            score->mean += own / (n * draws), score->least = fmin(score->least, own);
            score->next += (double)p.data[i * p.c + (first + i + 1) % p.c] / (n * draws);
        }
    }
    cnv_tensor_free(&shifted), cnv_tensor_free(&p);
    return ok;
}

/* Noise around grey, as strong as each picture. */
static inline int class_score_noise(const cnv_tensor *pictures, cnv_tensor *noise)
{
    cnv_rng rng = cnv_rng_seed(7);
    int i, k, size = pictures->c * pictures->h * pictures->w;
    if (!cnv_tensor_copy(pictures, noise)) return 0;
    for (i = 0; i < noise->n; i++) {
        float *x = cnv_tensor_image(noise, i).data;
        double squares = 0;
        for (k = 0; k < size; k++) squares += pow((double)x[k] - 0.5, 2) / size;
        for (k = 0; k < size; k++) x[k] = (float)(0.5 + sqrt(squares) * cnv_normal(&rng));
    }
    return 1;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
