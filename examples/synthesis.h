/* synthesis.h: what programs that change pictures by gradient ascent share: a picture to begin
   with, and whether a layer really answers more to the result than to the picture and noise. */
#ifndef SYNTHESIS_H
#define SYNTHESIS_H

#include "example.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* --image in colour, shrunk to at most `size` pixels; or a landscape of that width. */
static inline int synthesis_start(const example *e, int size, cnv_tensor *image)
{
    const char *path = example_text(e, "image", NULL);
    const cnv_color white = {1, 1, 1};
    cnv_tensor file = {0}, fitted = {0};
    int ok, longer;
    if (!path) {
        ok = cnv_tensor_resize(image, 1, 3, size * 3 / 4, size);
        if (ok) toy_landscape(e->seed, size, size * 3 / 4, image->data);
        return ok;
    }
    ok = cnv_image_load(path, &file);
    longer = file.w > file.h ? file.w : file.h;
    if (ok && longer < size) size = longer;
    ok = ok && cnv_resize(&file, (file.h * size - 1) / longer + 1, (file.w * size - 1) / longer + 1,
                          &fitted) &&
         cnv_canvas(image, fitted.h, fitted.w, white);
    if (ok) cnv_paste(image, &fitted, 0, 0);
    cnv_tensor_free(&file), cnv_tensor_free(&fitted);
    return ok;
}

/* |a|, the length of a layer's activations for an image; -1 if that fails. */
static inline double synthesis_strength(cnv_net *net, int layer, const cnv_tensor *image)
{
    const cnv_tensor *a = &net->nodes[layer].out;
    double sum = 0;
    size_t i;
    if (!cnv_forward(net, image, layer)) return -1;
    for (i = 0; i < cnv_tensor_size(a); i++) sum += (double)a->data[i] * (double)a->data[i];
    return sqrt(sum);
}

/* The control: the image with as much random noise as the result has added, by its mean square. */
static inline int synthesis_noise(const cnv_tensor *image, const cnv_tensor *result, uint64_t seed,
                                  cnv_tensor *noisy)
{
    cnv_rng rng = cnv_rng_seed(seed);
    double square = 0;
    size_t i, size = cnv_tensor_size(image);
    if (!cnv_tensor_copy(image, noisy)) return 0;
    for (i = 0; i < size; i++)
        square += pow((double)result->data[i] - (double)image->data[i], 2) / (double)size;
    for (i = 0; i < size; i++)
        noisy->data[i] = (float)fmin(1, fmax(0, (double)image->data[i] +
                                                sqrt(square) * cnv_normal(&rng)));
    return 1;
}

typedef struct {
    double before, after, noise; /* |a| of the image, of the result, and of the noisy image */
    double ssim;                 /* of the result to the image */
} synthesis_measures;

static inline int synthesis_measure(cnv_net *net, int layer, const cnv_tensor *image,
                                    const cnv_tensor *result, uint64_t seed, synthesis_measures *m)
{
    cnv_tensor noisy = {0};
    int ok = synthesis_noise(image, result, seed, &noisy) && cnv_ssim(result, image, &m->ssim);
    if (!ok) return cnv_tensor_free(&noisy), 0;
    m->before = synthesis_strength(net, layer, image);
    m->after = synthesis_strength(net, layer, result);
    m->noise = synthesis_strength(net, layer, &noisy);
    cnv_tensor_free(&noisy);
    return m->before >= 0 && m->after >= 0 && m->noise >= 0;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
