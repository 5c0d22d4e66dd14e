/* models.h: the networks that the examples know by name, each as short as the table in its paper.

   A model's function appends its layers to an empty network and returns the node of the logits, or
   -1 with cnv_error(). Its last layer has as many outputs as there are classes. */
#ifndef MODELS_H
#define MODELS_H

#include "../cnnvis.h"

#include <stdio.h>
#include <string.h>

/* AlexNet in miniature (after Krizhevsky et al. 2012): one layer of large filters on the pixels,
   max pooling, small filters, and a layer of codes before the classifier.

     input      3 x 64 x 64
     conv1     32 x 32 x 32    9 x 9, stride 2     pool1   32 x 16 x 16
     conv2     64 x 16 x 16    3 x 3               pool2   64 x  8 x  8
     conv3     96 x  8 x  8    3 x 3
     conv4    112 x  8 x  8    3 x 3               pool3  112 x  4 x  4
     fc5       96              the codes
     logits                    one for each class                                          */
typedef int model_pooling(cnv_net *net, int x, int kernel, int stride, int pad);
static int model_toy(cnv_net *net, int classes, int part, model_pooling *pool)
{
    static const double mean[3] = {0.5, 0.5, 0.5}, std[3] = {0.25, 0.25, 0.25};
    int x = cnv_normalize(net, cnv_input(net, 3), mean, std);
    x = cnv_relu(net, cnv_conv2d(net, x, "conv1", 32 / part, 9, 2, 4));
    x = pool(net, x, 2, 2, 0);
    x = cnv_relu(net, cnv_conv2d(net, x, "conv2", 64 / part, 3, 1, 1));
    x = pool(net, x, 2, 2, 0);
    x = cnv_relu(net, cnv_conv2d(net, x, "conv3", 96 / part, 3, 1, 1));
    x = cnv_relu(net, cnv_conv2d(net, x, "conv4", 112 / part, 3, 1, 1));
    x = pool(net, x, 2, 2, 0);
    x = cnv_relu(net, cnv_linear(net, x, "fc5", 112 / part * 4 * 4, 96 / part));
    return cnv_linear(net, x, "logits", 96 / part, classes);
}

static int model_toynet(cnv_net *net, int classes)
{
    return model_toy(net, classes, 1, cnv_max_pool);
}

/* With half as many channels: a quarter of the weights and of the time. */
static int model_smallnet(cnv_net *net, int classes)
{
    return model_toy(net, classes, 2, cnv_max_pool);
}

/* With average pooling, for training against small changes (robust.h): a maximum follows every
   little change of one pixel, a mean hardly any. */
static int model_robustnet(cnv_net *net, int classes)
{
    return model_toy(net, classes, 1, cnv_avg_pool);
}

/* The convnet of Deep Learning with Python (Chollet 2021, chapter 8), which tells cats from dogs:
   3 x 3 filters without padding, 180 x 180 pixels in [0,1] become 7 x 7. There, one output z says
   P(dog) = 1 / (1 + exp(-z)); here each class has its own, -z/2 and z/2, and softmax says the same.
   Layers are named as Keras counts them; README.md tells how its weights are saved. */
static int model_cats_vs_dogs(cnv_net *net, int classes)
{
    int x = cnv_input(net, 3);
    x = cnv_relu(net, cnv_conv2d(net, x, "conv2d", 32, 3, 1, 0));
    x = cnv_max_pool(net, x, 2, 2, 0);
    x = cnv_relu(net, cnv_conv2d(net, x, "conv2d_1", 64, 3, 1, 0));
    x = cnv_max_pool(net, x, 2, 2, 0);
    x = cnv_relu(net, cnv_conv2d(net, x, "conv2d_2", 128, 3, 1, 0));
    x = cnv_max_pool(net, x, 2, 2, 0);
    x = cnv_relu(net, cnv_conv2d(net, x, "conv2d_3", 256, 3, 1, 0));
    x = cnv_max_pool(net, x, 2, 2, 0);
    x = cnv_relu(net, cnv_conv2d(net, x, "conv2d_4", 256, 3, 1, 0));
    return cnv_linear(net, cnv_dropout(net, x, 0.5), "dense", 256 * 7 * 7, classes);
}

/* ---- Networks trained on ImageNet: 1000 classes, most with 224 x 224 pixels ----

   As torchvision has them, which also trained them: layers are named as in its weight files. What
   adaptive pooling returns has a fixed size, so that images of other sizes will do as well. */

/* Pixels in [0,1], less ImageNet's mean, over its standard deviation. */
static int model_imagenet(cnv_net *net)
{
    static const double mean[3] = {0.485, 0.456, 0.406}, std[3] = {0.229, 0.224, 0.225};
    return cnv_normalize(net, cnv_input(net, 3), mean, std);
}

/* AlexNet (Krizhevsky et al. 2012), with the filters of "One weird trick" (Krizhevsky 2014).

     input        3 x 224 x 224
     features.0  64 x  55 x  55    11 x 11, stride 4     pool1   64 x 27 x 27
     features.3 192 x  27 x  27     5 x 5                pool2  192 x 13 x 13
     features.6 384 x  13 x  13     3 x 3
     features.8 256 x  13 x  13     3 x 3
     features.10 256 x 13 x  13     3 x 3                pool3  256 x  6 x  6
     classifier.1, classifier.4     4096 each, with dropout before them
     classifier.6                   one for each class                                     */
static int model_alexnet(cnv_net *net, int classes)
{
    int x = model_imagenet(net);
    x = cnv_relu(net, cnv_conv2d(net, x, "features.0", 64, 11, 4, 2));
    x = cnv_max_pool(net, x, 3, 2, 0);
    x = cnv_relu(net, cnv_conv2d(net, x, "features.3", 192, 5, 1, 2));
    x = cnv_max_pool(net, x, 3, 2, 0);
    x = cnv_relu(net, cnv_conv2d(net, x, "features.6", 384, 3, 1, 1));
    x = cnv_relu(net, cnv_conv2d(net, x, "features.8", 256, 3, 1, 1));
    x = cnv_relu(net, cnv_conv2d(net, x, "features.10", 256, 3, 1, 1));
    x = cnv_max_pool(net, x, 3, 2, 0);
    x = cnv_dropout(net, cnv_adaptive_avg_pool(net, x, 6, 6), 0.5);
    x = cnv_relu(net, cnv_linear(net, x, "classifier.1", 256 * 6 * 6, 4096));
    x = cnv_dropout(net, x, 0.5);
    x = cnv_relu(net, cnv_linear(net, x, "classifier.4", 4096, 4096));
    return cnv_linear(net, x, "classifier.6", 4096, classes);
}

/* VGG (Simonyan & Zisserman 2014, table 1): filters of 3 x 3 only, in five stages, and after each
   of them max pooling, which halves the image. convolutions: how many each stage has. with_norm:
   batch norm after each of them, as torchvision's _bn variants have it. */
static int model_vgg(cnv_net *net, int classes, const int convolutions[5], int with_norm)
{
    static const int filters[5] = {64, 128, 256, 512, 512};
    int stage, i, number = 0, x = model_imagenet(net); /* torchvision numbers all its layers */
    char name[CNV_NAME_SIZE];
    for (stage = 0; stage < 5; stage++, number++) {
        for (i = 0; i < convolutions[stage]; i++, number += 2) {
            snprintf(name, sizeof name, "features.%d", number);
            x = cnv_conv2d(net, x, name, filters[stage], 3, 1, 1);
            snprintf(name, sizeof name, "features.%d", number + 1);
            if (with_norm) x = cnv_batch_norm(net, x, name, 1e-5), number++;
            x = cnv_relu(net, x);
        }
        x = cnv_max_pool(net, x, 2, 2, 0);
    }
    x = cnv_adaptive_avg_pool(net, x, 7, 7);
    x = cnv_relu(net, cnv_linear(net, x, "classifier.0", 512 * 7 * 7, 4096));
    x = cnv_dropout(net, x, 0.5);
    x = cnv_relu(net, cnv_linear(net, x, "classifier.3", 4096, 4096));
    x = cnv_dropout(net, x, 0.5);
    return cnv_linear(net, x, "classifier.6", 4096, classes);
}

static const int model_column_d[5] = {2, 2, 3, 3, 3}, model_column_e[5] = {2, 2, 4, 4, 4};
static int model_vgg16(cnv_net *n, int classes) { return model_vgg(n, classes, model_column_d, 0); }
static int model_vgg19(cnv_net *n, int classes) { return model_vgg(n, classes, model_column_e, 0); }
static int model_vgg16_bn(cnv_net *n, int classes)
{
    return model_vgg(n, classes, model_column_d, 1);
}
static int model_vgg19_bn(cnv_net *n, int classes)
{
    return model_vgg(n, classes, model_column_e, 1);
}

/* Convolution, batch norm and ReLU: the nodes "block.conv", "block.bn" and "block". The block's
   name comes in two parts. */
static int model_conv_norm(cnv_net *net, int x, const char *part, const char *name, int filters,
                           const cnv_window *win)
{
    char text[CNV_NAME_SIZE];
    snprintf(text, sizeof text, "%.20s%.20s.conv", part, name);
    x = cnv_conv2d_window(net, x, text, filters, win, 1, 0); /* the norm's bias will do */
    snprintf(text, sizeof text, "%.20s%.20s.bn", part, name);
    x = cnv_relu(net, cnv_batch_norm(net, x, text, 0.001));
    snprintf(text, sizeof text, "%.20s%.20s", part, name);
    cnv_name(net, x, text);
    return x;
}

/* The same with a square window that keeps the image's size, but for its stride. */
static int model_square(cnv_net *net, int x, const char *part, const char *name, int filters,
                        int kernel, int stride)
{
    cnv_window win = cnv_square(kernel, stride, kernel / 2);
    return model_conv_norm(net, x, part, name, filters, &win);
}

/* Max pooling that keeps what is left over at the right and the lower border. */
static int model_pool(cnv_net *net, int x, int kernel, int stride, int pad)
{
    cnv_window win = cnv_square(kernel, stride, pad);
    win.ceil_mode = 1;
    return cnv_max_pool_window(net, x, &win);
}

typedef struct {
    const char *name;
    int conv1, reduce3, conv3, reduce5, conv5, pooled; /* filters */
} model_inception_row;

/* Four views of x, one behind the other: 1 x 1; 3 x 3 and "5 x 5", both on fewer channels; and max
   pooling. (The paper has 5 x 5; the network that torchvision published has 3 x 3 there, too.) */
static int model_inception(cnv_net *net, int x, const model_inception_row *row)
{
    const char *name = row->name;
    int view[4];
    view[0] = model_square(net, x, name, ".branch1", row->conv1, 1, 1);
    view[1] = model_square(net, x, name, ".branch2.0", row->reduce3, 1, 1);
    view[1] = model_square(net, view[1], name, ".branch2.1", row->conv3, 3, 1);
    view[2] = model_square(net, x, name, ".branch3.0", row->reduce5, 1, 1);
    view[2] = model_square(net, view[2], name, ".branch3.1", row->conv5, 3, 1);
    view[3] = model_pool(net, x, 3, 1, 1);
    view[3] = model_square(net, view[3], name, ".branch4.1", row->pooled, 1, 1);
    x = cnv_concat(net, view, 4);
    cnv_name(net, x, name);
    return x;
}

/* GoogLeNet (Szegedy et al. 2014, table 1), with batch norm, without the classifiers at its side.
   Its published weights want pixels in [-1,1]. */
static int model_googlenet(cnv_net *net, int classes)
{
    static const model_inception_row rows[] = {
        {"inception3a",  64,  96, 128, 16,  32,  32},
        {"inception3b", 128, 128, 192, 32,  96,  64},
        {"inception4a", 192,  96, 208, 16,  48,  64},
        {"inception4b", 160, 112, 224, 24,  64,  64},
        {"inception4c", 128, 128, 256, 24,  64,  64},
        {"inception4d", 112, 144, 288, 32,  64,  64},
        {"inception4e", 256, 160, 320, 32, 128, 128},
        {"inception5a", 256, 160, 320, 32, 128, 128},
        {"inception5b", 384, 192, 384, 48, 128, 128},
    };
    static const double half[3] = {0.5, 0.5, 0.5};
    int i, x = cnv_normalize(net, cnv_input(net, 3), half, half);
    x = model_pool(net, model_square(net, x, "conv1", "", 64, 7, 2), 3, 2, 0);
    x = model_square(net, x, "conv2", "", 64, 1, 1);
    x = model_pool(net, model_square(net, x, "conv3", "", 192, 3, 1), 3, 2, 0);
    for (i = 0; i < 9; i++) {
        if (i == 2) x = model_pool(net, x, 3, 2, 0); /* before 4a */
        if (i == 7) x = model_pool(net, x, 2, 2, 0); /* before 5a */
        x = model_inception(net, x, &rows[i]);
    }
    x = cnv_dropout(net, cnv_global_avg_pool(net, x), 0.2);
    return cnv_linear(net, x, "fc", 1024, classes);
}

/* One row of a module of Inception v3: a convolution, or pooling. */
typedef struct {
    int from;            /* what it reads: 0 the module's input, k what row k gives (from 1 on) */
    const char *name;    /* the convolution's; else this is the pooling */
    int filters;         /* 0: as many as the module has it */
    int kernel_h, kernel_w;
    int stride;          /* 2: without padding */
} model_row;

/* A module: its rows one after another, up to one without a kernel. What no other row reads, put
   one behind the other, is its output. Pooling of stride 1 is the mean, of stride 2 the maximum. */
static int model_module(cnv_net *net, int x, const char *name, const model_row *rows, int filters)
{
    int i, n = 0, out[12], end[12]; /* the rows' nodes, and those of them that are read by none */
    out[0] = x;
    for (i = 1; rows->kernel_h; i++, rows++) {
        int stay = rows->stride == 1, from = out[rows->from];
        cnv_window win = cnv_square(rows->kernel_h, rows->stride, stay * (rows->kernel_h / 2));
        win.kernel_w = rows->kernel_w;
        win.pad_left = win.pad_right = stay * (rows->kernel_w / 2);
        if (rows->name)
            out[i] = model_conv_norm(net, from, name, rows->name,
                                     rows->filters ? rows->filters : filters, &win);
        else if (stay) out[i] = cnv_avg_pool_window(net, from, &win, 1);
        else out[i] = cnv_max_pool_window(net, from, &win);
        if (n && end[n - 1] == from) n--; /* the row before goes on here */
        end[n++] = out[i];
    }
    x = cnv_concat(net, end, n);
    cnv_name(net, x, name);
    return x;
}

/* The modules of figures 5, 10, 6, 10 and 7: "factorized" filters, 7 x 7 as 1 x 7 and 7 x 1. */
static const model_row model_module_a[] = {
    {0, ".branch1x1", 64, 1, 1, 1},
    {0, ".branch5x5_1", 48, 1, 1, 1}, {2, ".branch5x5_2", 64, 5, 5, 1},
    {0, ".branch3x3dbl_1", 64, 1, 1, 1}, {4, ".branch3x3dbl_2", 96, 3, 3, 1},
    {5, ".branch3x3dbl_3", 96, 3, 3, 1},
    {0, NULL, 0, 3, 3, 1}, {7, ".branch_pool", 0, 1, 1, 1}, {0, NULL, 0, 0, 0, 0}
};
static const model_row model_module_b[] = {
    {0, ".branch3x3", 384, 3, 3, 2},
    {0, ".branch3x3dbl_1", 64, 1, 1, 1}, {2, ".branch3x3dbl_2", 96, 3, 3, 1},
    {3, ".branch3x3dbl_3", 96, 3, 3, 2},
    {0, NULL, 0, 3, 3, 2}, {0, NULL, 0, 0, 0, 0}
};
static const model_row model_module_c[] = {
    {0, ".branch1x1", 192, 1, 1, 1},
    {0, ".branch7x7_1", 0, 1, 1, 1}, {2, ".branch7x7_2", 0, 1, 7, 1},
    {3, ".branch7x7_3", 192, 7, 1, 1},
    {0, ".branch7x7dbl_1", 0, 1, 1, 1}, {5, ".branch7x7dbl_2", 0, 7, 1, 1},
    {6, ".branch7x7dbl_3", 0, 1, 7, 1}, {7, ".branch7x7dbl_4", 0, 7, 1, 1},
    {8, ".branch7x7dbl_5", 192, 1, 7, 1},
    {0, NULL, 0, 3, 3, 1}, {10, ".branch_pool", 192, 1, 1, 1}, {0, NULL, 0, 0, 0, 0}
};
static const model_row model_module_d[] = {
    {0, ".branch3x3_1", 192, 1, 1, 1}, {1, ".branch3x3_2", 320, 3, 3, 2},
    {0, ".branch7x7x3_1", 192, 1, 1, 1}, {3, ".branch7x7x3_2", 192, 1, 7, 1},
    {4, ".branch7x7x3_3", 192, 7, 1, 1}, {5, ".branch7x7x3_4", 192, 3, 3, 2},
    {0, NULL, 0, 3, 3, 2}, {0, NULL, 0, 0, 0, 0}
};
static const model_row model_module_e[] = {
    {0, ".branch1x1", 320, 1, 1, 1},
    {0, ".branch3x3_1", 384, 1, 1, 1}, {2, ".branch3x3_2a", 384, 1, 3, 1},
    {2, ".branch3x3_2b", 384, 3, 1, 1},
    {0, ".branch3x3dbl_1", 448, 1, 1, 1}, {5, ".branch3x3dbl_2", 384, 3, 3, 1},
    {6, ".branch3x3dbl_3a", 384, 1, 3, 1}, {6, ".branch3x3dbl_3b", 384, 3, 1, 1},
    {0, NULL, 0, 3, 3, 1}, {9, ".branch_pool", 192, 1, 1, 1}, {0, NULL, 0, 0, 0, 0}
};

/* Inception v3 (Szegedy et al. 2015, table 1), without the classifier at its side, for images of
   299 x 299. Its published weights want pixels in [-1,1]. */
static int model_inception_v3(cnv_net *net, int classes)
{
    static const struct {
        const char *name;
        const model_row *rows;
        int filters;
    } modules[] = {
        {"Mixed_5b", model_module_a, 32}, {"Mixed_5c", model_module_a, 64},
        {"Mixed_5d", model_module_a, 64}, {"Mixed_6a", model_module_b, 0},
        {"Mixed_6b", model_module_c, 128}, {"Mixed_6c", model_module_c, 160},
        {"Mixed_6d", model_module_c, 160}, {"Mixed_6e", model_module_c, 192},
        {"Mixed_7a", model_module_d, 0}, {"Mixed_7b", model_module_e, 0},
        {"Mixed_7c", model_module_e, 0},
    };
    static const double half[3] = {0.5, 0.5, 0.5};
    cnv_window once = cnv_square(3, 1, 0), twice = cnv_square(3, 2, 0); /* strides; no padding */
    int i, x = cnv_normalize(net, cnv_input(net, 3), half, half);
    x = model_conv_norm(net, x, "Conv2d_1a_3x3", "", 32, &twice);
    x = model_conv_norm(net, x, "Conv2d_2a_3x3", "", 32, &once);
    x = model_square(net, x, "Conv2d_2b_3x3", "", 64, 3, 1);
    x = cnv_max_pool(net, x, 3, 2, 0);
    x = model_square(net, x, "Conv2d_3b_1x1", "", 80, 1, 1);
    x = model_conv_norm(net, x, "Conv2d_4a_3x3", "", 192, &once);
    x = cnv_max_pool(net, x, 3, 2, 0);
    for (i = 0; i < 11; i++)
        x = model_module(net, x, modules[i].name, modules[i].rows, modules[i].filters);
    x = cnv_dropout(net, cnv_global_avg_pool(net, x), 0.5);
    return cnv_linear(net, x, "fc", 2048, classes);
}

/* ---- Residual networks: blocks that add what they find to what they read ---- */

/* "layer1.0" and "conv", 1 make "layer1.0.conv1". */
static const char *model_part(char *name, const char *block, const char *what, int number)
{
    snprintf(name, CNV_NAME_SIZE, "%.20s.%.20s%d", block, what, number);
    return name;
}

/* Convolution without bias, batch norm: "layer1.0.conv1", "layer1.0.bn1". */
static int model_residual(cnv_net *net, int x, const char *block, int number, int filters,
                          int kernel, int stride)
{
    cnv_window win = cnv_square(kernel, stride, kernel / 2);
    char name[CNV_NAME_SIZE];
    x = cnv_conv2d_window(net, x, model_part(name, block, "conv", number), filters, &win, 1, 0);
    return cnv_batch_norm(net, x, model_part(name, block, "bn", number), 1e-5);
}

/* y = ReLU(x + F(x)); F is 3 x 3, 3 x 3, or with a bottleneck 1 x 1, 3 x 3, 1 x 1 on a quarter of
   the channels. Where the shape changes, 1 x 1 filters bring x into the new one. */
static int model_block(cnv_net *net, int x, const char *block, int filters, int stride,
                       int bottleneck)
{
    int y, channels = bottleneck ? 4 * filters : filters;
    cnv_window win = cnv_square(1, stride, 0);
    char name[CNV_NAME_SIZE];
    y = model_residual(net, x, block, 1, filters, bottleneck ? 1 : 3, bottleneck ? 1 : stride);
    y = model_residual(net, cnv_relu(net, y), block, 2, filters, 3, bottleneck ? stride : 1);
    if (bottleneck) y = model_residual(net, cnv_relu(net, y), block, 3, channels, 1, 1);
    if (x >= 0 && (stride > 1 || net->nodes[x].channels != channels)) {
        model_part(name, block, "downsample.", 0);
        x = cnv_conv2d_window(net, x, name, channels, &win, 1, 0);
        x = cnv_batch_norm(net, x, model_part(name, block, "downsample.", 1), 1e-5);
    }
    x = cnv_relu(net, cnv_add(net, y, x));
    cnv_name(net, x, block);
    return x;
}

/* ResNet (He et al. 2015, table 1): four stages of blocks; each but the first halves the image. */
static int model_resnet(cnv_net *net, int classes, const int blocks[4], int bottleneck)
{
    cnv_window win = cnv_square(7, 2, 3);
    int stage, i, x = model_imagenet(net);
    char name[CNV_NAME_SIZE];
    x = cnv_batch_norm(net, cnv_conv2d_window(net, x, "conv1", 64, &win, 1, 0), "bn1", 1e-5);
    x = cnv_max_pool(net, cnv_relu(net, x), 3, 2, 1);
    for (stage = 0; stage < 4; stage++)
        for (i = 0; i < blocks[stage]; i++) {
            snprintf(name, sizeof name, "layer%d.%d", stage + 1, i);
            x = model_block(net, x, name, 64 << stage, stage && !i ? 2 : 1, bottleneck);
        }
    return cnv_linear(net, cnv_global_avg_pool(net, x), "fc", bottleneck ? 2048 : 512, classes);
}

static int model_resnet18(cnv_net *net, int classes)
{
    static const int blocks[4] = {2, 2, 2, 2};
    return model_resnet(net, classes, blocks, 0);
}

static int model_resnet50(cnv_net *net, int classes)
{
    static const int blocks[4] = {3, 4, 6, 3};
    return model_resnet(net, classes, blocks, 1);
}

/* Where the two published Xceptions differ. */
typedef struct {
    double eps;  /* the batch norms' */
    int same;    /* the second block's pooling pads below and to the right only, as TensorFlow's
                    "same" has it for maps of even side: at 299 x 299 pixels it reads 74 x 74 */
} model_xception_kind;

/* Separable convolution: 3 x 3 on each channel by itself, then 1 x 1 across them. */
static int model_separable(cnv_net *net, int x, const char *name, int filters)
{
    cnv_window each = cnv_square(3, 1, 1), across = cnv_square(1, 1, 0);
    int channels = x < 0 ? 1 : net->nodes[x].channels;
    char text[CNV_NAME_SIZE];
    snprintf(text, sizeof text, "%.40s.conv1", name);
    x = cnv_conv2d_window(net, x, text, channels, &each, channels, 0);
    snprintf(text, sizeof text, "%.40s.pointwise", name);
    return cnv_conv2d_window(net, x, text, filters, &across, 1, 0);
}

/* Three or two separable convolutions with ReLUs before them, and what they read added; with stride
   2 they end in max pooling, and 1 x 1 filters bring what they read into their shape. first: the
   filters of the first convolution. */
static int model_xception_block(cnv_net *net, int x, int number, int count, int first, int filters,
                                int stride, const model_xception_kind *kind)
{
    cnv_window skip = cnv_square(1, 2, 0), pool = cnv_square(3, 2, 1);
    int i, y = x, place = 0; /* in the block, where every step has a number */
    char block[32], name[CNV_NAME_SIZE];
    snprintf(block, sizeof block, "block%d", number);
    for (i = 0; i < count; i++, place += 2) {
        if (number > 1 || i) y = cnv_relu(net, y), place++;
        y = model_separable(net, y, model_part(name, block, "rep.", place), i ? filters : first);
        y = cnv_batch_norm(net, y, model_part(name, block, "rep.", place + 1), kind->eps);
    }
    if (kind->same && number == 2) pool = cnv_square(3, 2, 0), pool.pad_bottom = pool.pad_right = 2;
    if (stride == 2) {
        y = cnv_max_pool_window(net, y, &pool);
        snprintf(name, sizeof name, "%s.skip", block);
        x = cnv_conv2d_window(net, x, name, filters, &skip, 1, 0);
        snprintf(name, sizeof name, "%s.skipbn", block);
        x = cnv_batch_norm(net, x, name, kind->eps);
    }
    x = cnv_add(net, y, x);
    cnv_name(net, x, block);
    return x;
}

/* Xception (Chollet 2016, figure 5), for images of 299 x 299 and pixels in [-1,1]. Layers are named
   as in the PyTorch port. */
static int model_xception_of(cnv_net *net, int classes, const model_xception_kind *kind)
{
    static const double half[3] = {0.5, 0.5, 0.5};
    cnv_window once = cnv_square(3, 1, 0), twice = cnv_square(3, 2, 0); /* strides; no padding */
    int i, x = cnv_normalize(net, cnv_input(net, 3), half, half);
    x = cnv_conv2d_window(net, x, "conv1", 32, &twice, 1, 0);
    x = cnv_relu(net, cnv_batch_norm(net, x, "bn1", kind->eps));
    x = cnv_conv2d_window(net, x, "conv2", 64, &once, 1, 0);
    x = cnv_relu(net, cnv_batch_norm(net, x, "bn2", kind->eps));
    x = model_xception_block(net, x, 1, 2, 128, 128, 2, kind);
    x = model_xception_block(net, x, 2, 2, 256, 256, 2, kind);
    x = model_xception_block(net, x, 3, 2, 728, 728, 2, kind);
    for (i = 4; i < 12; i++) x = model_xception_block(net, x, i, 3, 728, 728, 1, kind);
    x = model_xception_block(net, x, 12, 2, 728, 1024, 2, kind);
    x = cnv_batch_norm(net, model_separable(net, x, "conv3", 1536), "bn3", kind->eps);
    x = model_separable(net, cnv_relu(net, x), "conv4", 2048);
    x = cnv_relu(net, cnv_batch_norm(net, x, "bn4", kind->eps));
    return cnv_linear(net, cnv_global_avg_pool(net, x), "fc", 2048, classes);
}

/* As timm's legacy_xception has it. */
static int model_xception(cnv_net *net, int classes)
{
    static const model_xception_kind port = {1e-5, 0};
    return model_xception_of(net, classes, &port);
}

/* As Keras has it. */
static int model_xception_keras(cnv_net *net, int classes)
{
    static const model_xception_kind keras = {1e-3, 1};
    return model_xception_of(net, classes, &keras);
}

/* ---- The table of them all ---- */

typedef struct {
    const char *name;
    int (*build)(cnv_net *net, int classes);
    int side;                 /* of the square images it was made for */
    int resize;               /* photos are brought to this shorter side, and their middle is cut
                                 out; 0: they are squeezed into the square, as Keras does.
                                 resnet50: 232 for its second weights, the first had 256 */
    int cubic;                /* 1: resized by bicubic interpolation, as timm does; 0: bilinear */
    int classes;              /* as published */
    const char *last_conv;    /* the layer that Grad-CAM and others look at unless told otherwise */
    const char *class_names;  /* the file in data/ with one in each line; NULL: weights have them */
} model;

#define IMAGENET "imagenet_classes.txt"
static const model models[] = {
    {"toynet", model_toynet, 64, 64, 0, 12, "conv4", NULL},
    {"smallnet", model_smallnet, 64, 64, 0, 12, "conv4", NULL},
    {"robustnet", model_robustnet, 64, 64, 0, 12, "conv4", NULL},
    {"cats_vs_dogs", model_cats_vs_dogs, 180, 0, 0, 2, "conv2d_4", "cats_vs_dogs_classes.txt"},
    {"alexnet", model_alexnet, 224, 256, 0, 1000, "features.10", IMAGENET},
    {"vgg16", model_vgg16, 224, 256, 0, 1000, "features.28", IMAGENET},
    {"vgg16_bn", model_vgg16_bn, 224, 256, 0, 1000, "features.40", IMAGENET},
    {"vgg19", model_vgg19, 224, 256, 0, 1000, "features.34", IMAGENET},
    {"vgg19_bn", model_vgg19_bn, 224, 256, 0, 1000, "features.49", IMAGENET},
    {"googlenet", model_googlenet, 224, 256, 0, 1000, "inception5b", IMAGENET},
    {"inception_v3", model_inception_v3, 299, 342, 0, 1000, "Mixed_7c", IMAGENET},
    {"resnet18", model_resnet18, 224, 256, 0, 1000, "layer4.1", IMAGENET},
    {"resnet50", model_resnet50, 224, 232, 0, 1000, "layer4.2", IMAGENET},
    {"xception", model_xception, 299, 333, 1, 1000, "conv4.pointwise", IMAGENET},
    {"xception_keras", model_xception_keras, 299, 0, 0, 1000, "conv4.pointwise", IMAGENET},
};
#undef IMAGENET
enum { MODEL_COUNT = sizeof models / sizeof models[0] };

/* The model of that name, or NULL. */
static const model *model_find(const char *name)
{
    int i;
    for (i = 0; i < MODEL_COUNT; i++)
        if (!strcmp(models[i].name, name)) return &models[i];
    return NULL;
}

/* Other names for the same layers: timm's VGG; the port that timm's Xception comes from; networks
   that were wrapped to train on several GPUs. A layer without a name stands for all of them. */
static const struct {
    const char *layer, *alias;
} model_aliases[] = {
    {"classifier.0", "pre_logits.fc1"}, {"classifier.3", "pre_logits.fc2"},
    {"classifier.6", "head.fc"}, {"fc.", "last_linear."}, {"", "module."},
};

/* Gives parameters the names that they have in a file. */
static inline void model_rename(cnv_net *net, const cnv_safetensors *file)
{
    int i, k, count = sizeof model_aliases / sizeof model_aliases[0];
    for (i = 0; i < net->param_count; i++) {
        cnv_param *param = &net->params[i];
        for (k = 0; k < count && !cnv_safetensors_find(file, param->name); k++) {
            size_t length = strlen(model_aliases[k].layer);
            char name[CNV_NAME_SIZE];
            if (strncmp(param->name, model_aliases[k].layer, length)) continue;
            snprintf(name, sizeof name, "%s%.*s", model_aliases[k].alias,
                     CNV_NAME_SIZE - 20, param->name + length);
            if (cnv_safetensors_find(file, name)) strcpy(param->name, name);
        }
    }
}

/* Loads a weight file in which layers may have other names. Tensors that the network does not have
   (classifiers at its side, num_batches_tracked) are counted in net->unused_tensors. */
static inline int model_load(cnv_net *net, const char *path)
{
    cnv_safetensors *file = cnv_safetensors_open(path);
    if (file) model_rename(net, file);
    cnv_safetensors_close(file);
    return file && cnv_load(net, path);
}

#endif
