/* models.h: the networks that the examples know by name, each as short as the table in its paper.

   A model's function appends its layers to an empty network and returns the node of the logits, or
   -1 with cnv_error(). Its last layer has as many outputs as there are classes. */
#ifndef MODELS_H
#define MODELS_H

#include "../cnnvis.h"

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

typedef struct {
    const char *name;
    int (*build)(cnv_net *net, int classes);
    int side;                 /* of the square images it was made for */
    int classes;              /* as published */
    const char *last_conv;    /* the layer that Grad-CAM and others look at unless told otherwise */
} model;

static const model models[] = {
    {"toynet", model_toynet, 64, 12, "conv4"},
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
