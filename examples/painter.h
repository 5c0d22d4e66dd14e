/* painter.h: a small network from pictures to pictures, after Johnson, Alahi, Fei-Fei (2016), and
   the pictures that it learns from and is tried on.

     input      3 x  H  x  W     a multiple of 4
     in         8 x  H  x  W     5 x 5
     down1     16 x H/2 x W/2    3 x 3, stride 2
     down2     32 x H/4 x W/4    3 x 3, stride 2
     residual  32 x H/4 x W/4    x + two of 3 x 3, three times
     up1       16 x H/2 x W/2    nearest upsampling, 3 x 3
     up2        8 x  H  x  W     nearest upsampling, 3 x 3
     out        3 x  H  x  W     5 x 5, sigmoid                                                   */
#ifndef PAINTER_H
#define PAINTER_H

#include "paintings.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

enum { PAINTER_POOL = 96, PAINTER_LARGE = 192, PAINTER_CROP = 96 };

/* Convolution over a mirrored border, instance norm, ReLU */
static inline int painter_layer(cnv_net *net, int x, const char *name, int filters, int kernel,
                                int stride, int relu)
{
    char norm[CNV_NAME_SIZE];
    snprintf(norm, sizeof norm, "%s.norm", name);
    x = cnv_conv2d(net, cnv_reflect_pad(net, x, kernel / 2), name, filters, kernel, stride, 0);
    x = cnv_instance_norm(net, x, norm, 1e-5);
    return relu ? cnv_relu(net, x) : x;
}

/* From pixels to pixels of the same size, which must be a multiple of 4. Returns the last node. */
static inline int painter(cnv_net *net)
{
    static const double mean[3] = {0.5, 0.5, 0.5}, std[3] = {0.25, 0.25, 0.25};
    char name[2][CNV_NAME_SIZE];
    int i, y, x = cnv_normalize(net, cnv_input(net, 3), mean, std);
    x = painter_layer(net, x, "in", 8, 5, 1, 1);
    x = painter_layer(net, x, "down1", 16, 3, 2, 1);
    x = painter_layer(net, x, "down2", 32, 3, 2, 1);
    for (i = 0; i < 3; i++) {
        snprintf(name[0], sizeof name[0], "residual%d.a", i + 1);
        snprintf(name[1], sizeof name[1], "residual%d.b", i + 1);
        y = painter_layer(net, x, name[0], 32, 3, 1, 1);
        x = cnv_add(net, x, painter_layer(net, y, name[1], 32, 3, 1, 0));
    }
    x = painter_layer(net, cnv_upsample(net, x, 2), "up1", 16, 3, 1, 1);
    x = painter_layer(net, cnv_upsample(net, x, 2), "up2", 8, 3, 1, 1);
    x = cnv_conv2d(net, cnv_reflect_pad(net, x, 2), "out", 3, 5, 1, 0);
    return cnv_sigmoid(net, x);
}

/* pool [PAINTER_POOL,3,PAINTER_LARGE,PAINTER_LARGE]: as many landscapes as scenes, none held out */
static inline int painter_pool(const example *e, cnv_tensor *pool)
{
    double begin = example_seconds();
    int i;
    if (!cnv_tensor_resize(pool, PAINTER_POOL, 3, PAINTER_LARGE, PAINTER_LARGE)) return 0;
    for (i = 0; i < PAINTER_POOL; i++) {
        unsigned long long seed = e->seed * PAINTER_POOL + (unsigned)i;
        toy_scene scene = toy_make(seed, NULL);
        cnv_tensor one = cnv_tensor_image(pool, i);
        if (i & 1) toy_render(&scene, PAINTER_LARGE, one.data, NULL, NULL);
        else toy_landscape(seed, PAINTER_LARGE, PAINTER_LARGE, one.data);
        example_progress("drawing", i + 1, PAINTER_POOL, begin);
    }
    return 1;
}

/* A random crop of a random picture, for each image */
static inline void painter_crops(const cnv_tensor *pool, cnv_rng *rng, cnv_tensor *images)
{
    int i, c, y, side = images->h;
    for (i = 0; i < images->n; i++) {
        cnv_tensor from = cnv_tensor_image(pool, (int)(cnv_uniform(rng) * pool->n));
        cnv_tensor to = cnv_tensor_image(images, i);
        int x0 = (int)(cnv_uniform(rng) * (from.w - side));
        int y0 = (int)(cnv_uniform(rng) * (from.h - side));
        for (c = 0; c < 3; c++)
            for (y = 0; y < side; y++)
                memcpy(to.data + (c * side + y) * side,
                       from.data + (c * from.h + y0 + y) * from.w + x0,
                       (size_t)side * sizeof *to.data);
    }
}

/* Picture i to paint: --image if i is 0, or one that training has not seen: a landscape if i is
   even, else a scene. */
static inline void painter_held_out(const example *e, int i, int size, cnv_tensor *content)
{
    const char *path = i ? NULL : example_text(e, "image", NULL);
    unsigned long long seed = EXAMPLE_HELD_OUT + e->seed * 100 + (unsigned)i;
    toy_scene scene = toy_make(seed, NULL);
    if (path) painting_open(e, path, size, content);
    else example_check(e, cnv_tensor_resize(content, 1, 3, size, size));
    if (!path && i & 1) toy_render(&scene, size, content->data, NULL, NULL);
    else if (!path) toy_landscape(seed, size, size, content->data);
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
