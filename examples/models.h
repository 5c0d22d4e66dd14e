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
static int model_toynet(cnv_net *net, int classes)
{
    static const double mean[3] = {0.5, 0.5, 0.5}, std[3] = {0.25, 0.25, 0.25};
    int x = cnv_input(net, 3);
    x = cnv_normalize(net, x, mean, std);
    x = cnv_relu(net, cnv_conv2d(net, x, "conv1", 32, 9, 2, 4));
    x = cnv_max_pool(net, x, 2, 2, 0);
    x = cnv_relu(net, cnv_conv2d(net, x, "conv2", 64, 3, 1, 1));
    x = cnv_max_pool(net, x, 2, 2, 0);
    x = cnv_relu(net, cnv_conv2d(net, x, "conv3", 96, 3, 1, 1));
    x = cnv_relu(net, cnv_conv2d(net, x, "conv4", 112, 3, 1, 1));
    x = cnv_max_pool(net, x, 2, 2, 0);
    x = cnv_relu(net, cnv_linear(net, x, "fc5", 112 * 4 * 4, 96));
    return cnv_linear(net, x, "logits", 96, classes);
}

/* The same with about half as many channels: a quarter of the weights and of the time. */
static int model_smallnet(cnv_net *net, int classes)
{
    static const double mean[3] = {0.5, 0.5, 0.5}, std[3] = {0.25, 0.25, 0.25};
    int x = cnv_normalize(net, cnv_input(net, 3), mean, std);
    x = cnv_relu(net, cnv_conv2d(net, x, "conv1", 16, 9, 2, 4));
    x = cnv_max_pool(net, x, 2, 2, 0);
    x = cnv_relu(net, cnv_conv2d(net, x, "conv2", 32, 3, 1, 1));
    x = cnv_max_pool(net, x, 2, 2, 0);
    x = cnv_relu(net, cnv_conv2d(net, x, "conv3", 48, 3, 1, 1));
    x = cnv_relu(net, cnv_conv2d(net, x, "conv4", 56, 3, 1, 1));
    x = cnv_max_pool(net, x, 2, 2, 0);
    x = cnv_relu(net, cnv_linear(net, x, "fc5", 56 * 4 * 4, 48));
    return cnv_linear(net, x, "logits", 48, classes);
}

/* ---- Networks trained on ImageNet: 224 x 224 pixels, 1000 classes ----

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

/* VGG-19 (Simonyan & Zisserman 2014, column E of table 1): filters of 3 x 3 only, and max pooling
   that halves the image five times. */
static int model_vgg19(cnv_net *net, int classes)
{
    enum { POOL = 0 };
    static const int filters[] = {
        64, 64, POOL, 128, 128, POOL, 256, 256, 256, 256, POOL, 512, 512, 512, 512, POOL,
        512, 512, 512, 512, POOL
    };
    int i, number = 0, x = model_imagenet(net);
    char name[CNV_NAME_SIZE];
    for (i = 0; i < (int)(sizeof filters / sizeof *filters); i++) {
        snprintf(name, sizeof name, "features.%d", number); /* torchvision numbers ReLUs, too */
        number += filters[i] == POOL ? 1 : 2;
        if (filters[i] == POOL) x = cnv_max_pool(net, x, 2, 2, 0);
        else x = cnv_relu(net, cnv_conv2d(net, x, name, filters[i], 3, 1, 1));
    }
    x = cnv_adaptive_avg_pool(net, x, 7, 7);
    x = cnv_relu(net, cnv_linear(net, x, "classifier.0", 512 * 7 * 7, 4096));
    x = cnv_dropout(net, x, 0.5);
    x = cnv_relu(net, cnv_linear(net, x, "classifier.3", 4096, 4096));
    x = cnv_dropout(net, x, 0.5);
    return cnv_linear(net, x, "classifier.6", 4096, classes);
}

/* Convolution, batch norm and ReLU: the nodes "block.conv", "block.bn" and "block". The block's
   name comes in two parts. */
static int model_conv_norm(cnv_net *net, int x, const char *part, const char *name, int filters,
                           int kernel, int stride)
{
    cnv_window win = cnv_square(kernel, stride, kernel / 2);
    char text[CNV_NAME_SIZE];
    snprintf(text, sizeof text, "%.20s%.20s.conv", part, name);
    x = cnv_conv2d_window(net, x, text, filters, &win, 1, 0); /* the norm's bias will do */
    snprintf(text, sizeof text, "%.20s%.20s.bn", part, name);
    x = cnv_relu(net, cnv_batch_norm(net, x, text, 0.001));
    snprintf(text, sizeof text, "%.20s%.20s", part, name);
    cnv_name(net, x, text);
    return x;
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
    view[0] = model_conv_norm(net, x, name, ".branch1", row->conv1, 1, 1);
    view[1] = model_conv_norm(net, x, name, ".branch2.0", row->reduce3, 1, 1);
    view[1] = model_conv_norm(net, view[1], name, ".branch2.1", row->conv3, 3, 1);
    view[2] = model_conv_norm(net, x, name, ".branch3.0", row->reduce5, 1, 1);
    view[2] = model_conv_norm(net, view[2], name, ".branch3.1", row->conv5, 3, 1);
    view[3] = model_pool(net, x, 3, 1, 1);
    view[3] = model_conv_norm(net, view[3], name, ".branch4.1", row->pooled, 1, 1);
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
    x = model_pool(net, model_conv_norm(net, x, "conv1", "", 64, 7, 2), 3, 2, 0);
    x = model_conv_norm(net, x, "conv2", "", 64, 1, 1);
    x = model_pool(net, model_conv_norm(net, x, "conv3", "", 192, 3, 1), 3, 2, 0);
    for (i = 0; i < 9; i++) {
        if (i == 2) x = model_pool(net, x, 3, 2, 0); /* before 4a */
        if (i == 7) x = model_pool(net, x, 2, 2, 0); /* before 5a */
        x = model_inception(net, x, &rows[i]);
    }
    x = cnv_dropout(net, cnv_global_avg_pool(net, x), 0.2);
    return cnv_linear(net, x, "fc", 1024, classes);
}

/* ---- The table of them all ---- */

typedef struct {
    const char *name;
    int (*build)(cnv_net *net, int classes);
    int side;                 /* of the square images it was made for */
    int classes;              /* as published */
    const char *last_conv;    /* the layer that Grad-CAM and others look at unless told otherwise */
} model;

static const model models[] = {
    {"toynet", model_toynet, 64, 12, "conv4"},
    {"smallnet", model_smallnet, 64, 12, "conv4"},
    {"alexnet", model_alexnet, 224, 1000, "features.10"},
    {"vgg19", model_vgg19, 224, 1000, "features.34"},
    {"googlenet", model_googlenet, 224, 1000, "inception5b"},
};
enum { MODEL_COUNT = sizeof models / sizeof models[0] };

/* The model of that name, or NULL. */
static const model *model_find(const char *name)
{
    int i;
    for (i = 0; i < MODEL_COUNT; i++)
        if (!strcmp(models[i].name, name)) return &models[i];
    return NULL;
}

#endif
