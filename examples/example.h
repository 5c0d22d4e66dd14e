/* example.h: what every example program needs and no technique is about: options, a network with
   its weights, a picture to look at, a progress bar. Programs end here with one sentence when
   something is wrong.

       example e = example_begin(argc, argv, "what the program shows", "conv4", "steps,size");
       ... e.net, e.image, e.class_id, e.layer ...
       example_save(&e, &picture);
       example_end(&e);                                                                       */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#define CNNVIS_STATIC /* the compiler drops what a program does not call */
#define CNNVIS_IMPLEMENTATION
#include "../cnnvis.h"
#include "models.h"
#include "toybox.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifndef _WIN32
#include <unistd.h> /* isatty */
#endif

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

#define EXAMPLE_HELD_OUT 1000000000ULL /* no network here has seen scenes with seeds from here on */
enum { EXAMPLE_CLASSES = 1000 };

typedef struct {
    const char *program;              /* its name, for messages */
    int argc;
    char **argv;
    const model *model;
    cnv_net *net;
    int logits;                       /* the node with a number for each class */
    int classes;
    const char *class_names[EXAMPLE_CLASSES];
    cnv_safetensors *file;            /* owns the names */
    cnv_tensor image;                 /* [1,3,side,side], what the network is shown */
    toy_scene scene;                  /* the scene it was drawn from, unless --image is given */
    int has_scene;
    unsigned char mask[TOY_SIDE * TOY_SIDE]; /* the scene's object, if has_scene */
    int predicted;                    /* the network's answer for the image */
    int class_id;                     /* --class, or the network's answer */
    int layer;                        /* --layer, or the example's own, as a node */
    unsigned long long seed;
    const char *out;                  /* the picture to write */
} example;

/* Ends the program with one sentence: `saliency: the file "cat.ppm" ...`. */
static inline void example_fail(const example *e, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fprintf(stderr, "%s: ", e->program);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

/* Ends the program with the library's sentence if ok is 0. */
static inline void example_check(const example *e, int ok)
{
    if (!ok) example_fail(e, "%s", cnv_error());
}

/* The text after --name, or fallback. */
static inline const char *example_text(const example *e, const char *name, const char *fallback)
{
    int i;
    for (i = 1; i + 1 < e->argc; i += 2)
        if (!strcmp(e->argv[i] + 2, name)) fallback = e->argv[i + 1];
    return fallback;
}

/* The number after --name, or fallback; ends the program unless it is one in [low, high]. */
static inline double example_number(const example *e, const char *name, double fallback, double low,
                                    double high)
{
    const char *text = example_text(e, name, NULL);
    char *end = NULL;
    double number = text ? strtod(text, &end) : fallback;
    if (text && (end == text || *end || !(number >= low && number <= high)))
        example_fail(e, "--%s wants a number from %g to %g, got \"%s\"", name, low, high, text);
    return number;
}

/* Whether `name` stands in a list like "steps,size". */
static inline int example_listed(const char *list, const char *name)
{
    size_t length = strlen(name);
    const char *at;
    for (at = list; length && (at = strstr(at, name)) != NULL; at += length)
        if ((at == list || at[-1] == ',') && (at[length] == ',' || !at[length])) return 1;
    return 0;
}

/* "toynet, alexnet, ..." */
static inline const char *example_models(void)
{
    static char names[32 * MODEL_COUNT];
    int i;
    names[0] = 0;
    for (i = 0; i < MODEL_COUNT; i++) strcat(strcat(names, i ? ", " : ""), models[i].name);
    return names;
}

#define EXAMPLE_OPTIONS "net,weights,image,layer,class,seed,out"

/* Checks that the arguments are pairs `--option value` of the common or the program's own options;
   prints the help if asked. */
static inline void example_options(const example *e, const char *about, const char *own)
{
    int i;
    for (i = 1; i < e->argc; i++)
        if (!strcmp(e->argv[i], "--help") || !strcmp(e->argv[i], "-h")) {
            printf("%s: %s\n\nusage: %s [--option value] ...\n"
                   "  --net      the network: %s\n"
                   "  --weights  its safetensors file (default: the one that comes along)\n"
                   "  --image    a picture (PPM or PGM; default: a scene drawn from the seed)\n"
                   "  --layer    a layer by name\n"
                   "  --class    a class by name or number (default: what the network answers)\n"
                   "  --seed     a whole number from 0 on (default 1)\n"
                   "  --out      the picture to write, .png or .ppm\n",
                   e->program, about, e->program, example_models());
            if (*own) printf("own options of this program: %s\n", own);
            exit(0);
        }
    for (i = 1; i < e->argc; i += 2) {
        const char *name = e->argv[i];
        if (strncmp(name, "--", 2) || (!example_listed(EXAMPLE_OPTIONS, name + 2) &&
                                       !example_listed(own, name + 2)))
            example_fail(e, "unknown option \"%s\" (--help lists them)", name);
        if (i + 1 == e->argc) example_fail(e, "the option %s wants a value", name);
    }
}

/* Opens a file of the examples, from whichever folder the program is started. */
static inline const char *example_data(const char *name)
{
    static const char *const folders[] = {"examples/data/", "data/", "../examples/data/"};
    static char path[1024];
    const char *slash = strrchr(__FILE__, '/');
    size_t i;
    for (i = 0; i < 4; i++) {
        FILE *file;
        if (i < 3) snprintf(path, sizeof path, "%s%s", folders[i], name);
        else snprintf(path, sizeof path, "%.*sdata/%s", slash ? (int)(slash + 1 - __FILE__) : 0,
                      __FILE__, name);
        file = fopen(path, "rb");
        if (file) return fclose(file), path;
    }
    snprintf(path, sizeof path, "%s%s", folders[0], name);
    return path;
}

/* The class names that `train` wrote into the weight file, one a line; else numbers. */
static inline void example_class_names(example *e)
{
    const char *names = cnv_safetensors_metadata(e->file, "classes");
    static char numbers[EXAMPLE_CLASSES][12], text[EXAMPLE_CLASSES * 64];
    char *next = text;
    int i;
    snprintf(text, sizeof text, "%s", names ? names : "");
    for (e->classes = 0; names && *next && e->classes < EXAMPLE_CLASSES; e->classes++) {
        e->class_names[e->classes] = next;
        next += strcspn(next, "\n");
        if (*next) *next++ = 0;
    }
    if (!names) e->classes = e->model->classes;
    for (i = 0; !names && i < e->classes; i++) {
        snprintf(numbers[i], sizeof numbers[i], "class %d", i);
        e->class_names[i] = numbers[i];
    }
}

/* --net, or else the model of the name `fallback`. */
static inline const model *example_model(const example *e, const char *fallback)
{
    const char *name = example_text(e, "net", fallback);
    const model *found = model_find(name);
    if (!found) example_fail(e, "unknown network \"%s\"; there are: %s", name, example_models());
    return found;
}

/* --weights, and --net, which `train` wrote into the weight file, too. */
static inline void example_network(example *e)
{
    const char *weights = example_text(e, "weights", NULL), *name;
    e->model = example_model(e, models[0].name);
    if (!weights && e->model != &models[0])
        example_fail(e, "only the weights of %s come along: for %s say --weights", models[0].name,
                     e->model->name);
    if (!weights) weights = example_data("toynet.safetensors");
    e->file = cnv_safetensors_open(weights);
    example_check(e, e->file != NULL);
    name = cnv_safetensors_metadata(e->file, "net");
    if (name && model_find(name)) e->model = example_model(e, name);
    example_class_names(e);
    e->net = cnv_net_new();
    example_check(e, e->net != NULL);
    e->logits = e->model->build(e->net, e->classes);
    example_check(e, e->logits >= 0 && cnv_load(e->net, weights));
}

/* The number of a class given by name or number. */
static inline int example_class(const example *e, const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);
    int i;
    for (i = 0; i < e->classes; i++)
        if (!strcmp(text, e->class_names[i])) return i;
    if (end == text || *end || number < 0 || number >= e->classes)
        example_fail(e, "unknown class \"%s\": the network knows %d classes, from 0 \"%s\" to %d "
                     "\"%s\"", text, e->classes, e->class_names[0], e->classes - 1,
                     e->class_names[e->classes - 1]);
    return (int)number;
}

/* The class with the greatest logit, for image n of the last cnv_forward. */
static inline int example_answer(const example *e, int n)
{
    const float *logits = e->net->nodes[e->logits].out.data + n * e->classes;
    int c, best = 0;
    for (c = 1; c < e->classes; c++)
        if (logits[c] > logits[best]) best = c;
    return best;
}

/* The middle square of a picture of any size, as three channels of side x side. */
static inline int example_square(const cnv_tensor *picture, int side, cnv_tensor *square)
{
    int small = picture->h < picture->w ? picture->h : picture->w, c, y;
    int top = (picture->h - small) / 2, left = (picture->w - small) / 2;
    cnv_tensor crop = {0};
    int ok = cnv_tensor_resize(&crop, 1, 3, small, small);
    for (c = 0; ok && c < 3; c++) {
        cnv_tensor from = cnv_tensor_channel(picture, 0, picture->c == 3 ? c : 0);
        cnv_tensor to = cnv_tensor_channel(&crop, 0, c);
        for (y = 0; y < small; y++)
            memcpy(to.data + y * small, from.data + (top + y) * picture->w + left,
                   (size_t)small * sizeof(float));
    }
    ok = ok && cnv_resize(&crop, side, side, square);
    cnv_tensor_free(&crop);
    return ok;
}

/* --image, or else the first scene from --seed on that the network gets right. */
static inline void example_picture(example *e)
{
    const char *path = example_text(e, "image", NULL), *want = example_text(e, "class", NULL);
    int side = e->model->side, tries;
    cnv_tensor picture = {0};
    if (path) {
        example_check(e, cnv_image_load(path, &picture) &&
                         example_square(&picture, side, &e->image) &&
                         cnv_forward(e->net, &e->image, CNV_ALL));
        cnv_tensor_free(&picture);
        e->predicted = example_answer(e, 0);
        return;
    }
    for (tries = 0; tries < 1000; tries++) {
        e->scene = toy_make(e->seed + (unsigned long long)tries, NULL);
        if (want && e->classes == TOY_CLASSES && e->scene.class_id != example_class(e, want))
            continue;
        example_check(e, cnv_tensor_resize(&e->image, 1, 3, side, side));
        toy_render(&e->scene, side, e->image.data, side == TOY_SIDE ? e->mask : NULL, NULL);
        example_check(e, cnv_forward(e->net, &e->image, CNV_ALL));
        e->predicted = example_answer(e, 0);
        e->has_scene = side == TOY_SIDE;
        if (e->predicted == e->scene.class_id || e->classes != TOY_CLASSES) break;
    }
}

/* Options, network, image, class and layer. `own` lists the program's own options, "steps,size";
   `layer` is its own default, NULL for the model's last convolution. */
static inline example example_begin(int argc, char **argv, const char *about, const char *layer,
                                    const char *own)
{
    example e;
    const char *slash = strrchr(argv[0], '/'), *want;
    static char out[256];
    memset(&e, 0, sizeof e);
    e.program = slash ? slash + 1 : argv[0];
    e.argc = argc, e.argv = argv;
    example_options(&e, about, own);
    e.seed = (unsigned long long)example_number(&e, "seed", 1, 0, 9e15);
    snprintf(out, sizeof out, "%.200s.png", e.program);
    e.out = example_text(&e, "out", out);
    example_network(&e);
    example_picture(&e);
    want = example_text(&e, "class", NULL);
    e.class_id = want ? example_class(&e, want) : e.predicted;
    e.layer = cnv_find(e.net, example_text(&e, "layer", layer ? layer : e.model->last_conv));
    example_check(&e, e.layer >= 0);
    return e;
}

/* P(class) for the image of the last cnv_forward. */
static inline double example_probability(const example *e, int class_id)
{
    const float *logits = e->net->nodes[e->logits].out.data;
    double sum = 0;
    int c;
    for (c = 0; c < e->classes; c++) sum += exp((double)logits[c] - (double)logits[class_id]);
    return 1 / sum;
}

static inline void example_save(const example *e, const cnv_tensor *picture)
{
    example_check(e, cnv_image_save(e->out, picture));
    printf("wrote %s\n", e->out);
}

static inline void example_end(example *e)
{
    cnv_net_free(e->net);
    cnv_safetensors_close(e->file);
    cnv_tensor_free(&e->image);
}

static inline double example_seconds(void)
{
#ifdef _WIN32
    return (double)clock() / CLOCKS_PER_SEC;
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
#endif
}

/* A progress bar with the time left, on a terminal, for work longer than a second. Say
   `double start = example_seconds();` before the loop, then call this in it. */
static inline void example_progress(const char *what, int done, int all, double start)
{
    double passed = example_seconds() - start, left = passed * (all - done) / (done ? done : 1);
    int i, filled = (int)(40.0 * done / all);
#ifndef _WIN32
    if (!isatty(2)) return;
#endif
    if (passed + left < 1) return;
    fprintf(stderr, "\r%s [", what);
    for (i = 0; i < 40; i++) fputc(i < filled ? '#' : '.', stderr);
    fprintf(stderr, "] %d of %d, %.0f s left ", done, all, left);
    if (done == all) fprintf(stderr, "\r%80s\r", "");
}

/* The class with the greatest logit but `but`, in the last cnv_forward. */
static inline int example_rival(const example *e, int but)
{
    const float *logits = e->net->nodes[e->logits].out.data;
    int c, best = but == 0;
    for (c = 0; c < e->classes; c++)
        if (c != but && logits[c] > logits[best]) best = c;
    return best;
}

/* A picture with nothing in it, of image's size: black, or of the colour that the network's
   normalization makes 0, which is the mean of the pictures it was trained on, more or less (without
   a normalization: grey). Returns 1, or 0 with cnv_error(). */
static inline int example_blank(const cnv_net *net, const cnv_tensor *image, int mean,
                                cnv_tensor *blank)
{
    const cnv_node *node = net->count > 1 ? &net->nodes[1] : net->nodes;
    int c;
    if (!cnv_tensor_resize(blank, 1, image->c, image->h, image->w)) return 0;
    for (c = 0; c < image->c; c++) {
        cnv_tensor channel = cnv_tensor_channel(blank, 0, c);
        double color = node->op == CNV_NORMALIZE ? (double)node->mean[c] : 0.5;
        cnv_tensor_fill(&channel, mean ? color : 0);
    }
    return 1;
}

/* How many of `left` images to run at once: few of them if they are large, for memory's sake. */
static inline int example_batch(const cnv_tensor *image, int left)
{
    int most = 50 * TOY_SIDE * TOY_SIDE / (image->h * image->w);
    return left < most ? left : most > 1 ? most : 1;
}

/* "600 images, 2100 a second", for work since `start` = example_seconds(). */
static inline void example_rate(int images, double start)
{
    double rate = images / (example_seconds() - start);
    printf("%d images, %.*f a second\n", images, rate < 10, rate);
}

/* The feature maps of a layer, as papers have them: what it hands on, after its ReLU. That is the
   node of the ReLU that reads a convolution (or its batch norm); any other node is taken as it is.
   */
static inline int example_feature_maps(const cnv_net *net, int node)
{
    int i;
    for (i = node + 1; i < net->count; i++) {
        if (net->nodes[i].inputs != 1 || net->nodes[i].input[0] != node) continue;
        if (net->nodes[node].op != CNV_CONV2D && net->nodes[node].op != CNV_BATCH_NORM) break;
        if (net->nodes[i].op == CNV_RELU) return i;
        if (net->nodes[i].op == CNV_BATCH_NORM) return example_feature_maps(net, i);
    }
    return node;
}

/* The same network as it was before training, or a cousin of it: a control. Free it. */
static inline cnv_net *example_untrained(const example *e)
{
    cnv_net *net = cnv_net_new();
    example_check(e, net && e->model->build(net, e->classes) >= 0 && cnv_init(net, e->seed));
    return net;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
