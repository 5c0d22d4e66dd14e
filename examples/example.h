/* example.h: what every example program needs and no technique is about: options, a network with
   its weights, a picture to look at, a progress bar. Programs end here with one sentence when
   something is wrong.

       example e = example_begin(argc, argv, "what the program shows", "conv4", "steps,size");
       ... e.net, e.image, e.class_id, e.layer ...
       example_save(&e, &picture);
       example_end(&e);                                                                       */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#ifdef WITH_STB_IMAGE /* cc -DWITH_STB_IMAGE ...: --image reads JPEG and PNG, too */
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#endif
#if !defined EXAMPLE_LINKED || defined STBI_VERSION /* make links build/cnnvis.o, without stb */
#define CNNVIS_STATIC /* the compiler drops what a program does not call */
#define CNNVIS_IMPLEMENTATION
#endif
#include "../cnnvis.h"
#include "models.h"
#include "options.h"
#include "photo.h"
#include "toybox.h"

#include <ctype.h>
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

#if defined __GNUC__ && !defined __clang__
#define EXAMPLE_INNER_LOOP __attribute__((optimize("O2"))) /* in front of those that there are */
#else
#define EXAMPLE_INNER_LOOP
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
    int gray;                         /* the network was made for gray pictures */
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

/* "1 picture" or "600 pictures"; the text of the fourth call after this takes its place. */
static inline const char *example_count(int n, const char *noun)
{
    static char texts[4][64];
    static int next;
    char *text = texts[next++ % 4];
    snprintf(text, sizeof texts[0], "%d %.40s%s", n, noun, n == 1 ? "" : "s");
    return text;
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

#define EXAMPLE_OPTIONS "net,weights,image,side,layer,class,seed,out"

/* A line of the help for each option of a list that means something to the program. */
static inline void example_meanings(const example *e, const char *list)
{
    char name[32];
    for (; *list; list += strcspn(list, ","), list += *list == ',') {
        const char *meaning;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(list, ","), list);
        if ((meaning = options_meaning(e->program, name)) != NULL)
            printf("  --%-11s %s%s\n", name, meaning, strcmp(name, "net") ? "" : example_models());
    }
}

/* Checks that the arguments are pairs `--option value` of the common or the program's own options;
   prints the help if asked. */
static inline void example_options(const example *e, const char *about, const char *own)
{
    int i;
    for (i = 1; i < e->argc; i++)
        if (!strcmp(e->argv[i], "--help") || !strcmp(e->argv[i], "-h")) {
            printf("%s: %s\n\nusage: %s [--option value] ...\n", e->program, about, e->program);
            example_meanings(e, EXAMPLE_OPTIONS), example_meanings(e, own);
            exit(0);
        }
    for (i = 1; i < e->argc; i += 2) {
        const char *name = e->argv[i];
        if (strncmp(name, "--", 2) || (!example_listed(EXAMPLE_OPTIONS, name + 2) &&
                                       !example_listed(own, name + 2)))
            example_fail(e, "unknown option \"%s\" (--help lists them)", name);
        if (!options_meaning(e->program, name + 2))
            example_fail(e, "%s means nothing to this program", name);
        if (i + 1 == e->argc) example_fail(e, "the option %s wants a value", name);
    }
}

static char example_beside[512] = "examples/data/"; /* as seen from the program's own folder */

/* Finds a file of the examples, from whichever folder the program is started. */
static inline const char *example_data(const char *name)
{
    static const char *const folders[] = {"examples/data/", "data/", "../examples/data/",
                                          example_beside};
    static char path[1024];
    const char *slash = strrchr(__FILE__, '/');
    size_t i;
    for (i = 0; i < 5; i++) {
        FILE *file;
        if (i < 4) snprintf(path, sizeof path, "%s%s", folders[i], name);
        else snprintf(path, sizeof path, "%.*sdata/%s", slash ? (int)(slash + 1 - __FILE__) : 0,
                      __FILE__, name);
        file = fopen(path, "rb");
        if (file) return fclose(file), path;
    }
    snprintf(path, sizeof path, "%s%s", folders[0], name);
    return path;
}

/* The text of the model's file of class names, one a line; "" if there is none, or it is not found:
   then classes have numbers. */
static inline void example_names_file(const example *e, char *text, size_t size)
{
    const char *name = e->model->class_names;
    FILE *file = name ? fopen(example_data(name), "rb") : NULL;
    size_t length = file ? fread(text, 1, size - 1, file) : 0;
    text[length] = 0;
    if (file) fclose(file);
}

/* The class names that `train` wrote into the weight file; else the model's; else numbers. */
static inline void example_class_names(example *e)
{
    const char *names = cnv_safetensors_metadata(e->file, "classes");
    static char numbers[EXAMPLE_CLASSES][12], text[EXAMPLE_CLASSES * 64];
    char *next = text;
    int i, known;
    if (names) snprintf(text, sizeof text, "%s", names);
    else example_names_file(e, text, sizeof text);
    for (known = 0; *next && known < EXAMPLE_CLASSES; known++) {
        e->class_names[known] = next;
        next += strcspn(next, "\n");
        if (*next) *next++ = 0;
    }
    e->classes = names ? known : e->model->classes;
    for (i = 0; i < e->classes && known != e->classes; i++) {
        snprintf(numbers[i], sizeof numbers[i], "class %d", i);
        e->class_names[i] = numbers[i];
    }
}

/* Whether the network's classes are the Toybox's, or are twelve without names: then scenes have an
   answer that is right. */
static inline int example_toys(const example *e)
{
    char number[16];
    int c, known = e->classes == TOY_CLASSES;
    for (c = 0; known && c < TOY_CLASSES; c++) {
        snprintf(number, sizeof number, "class %d", c);
        known = !strcmp(e->class_names[c], toy_class_names[c]) ||
                !strcmp(e->class_names[c], number);
    }
    return known;
}

/* --net, or else the model of the name `fallback`. */
static inline const model *example_model(const example *e, const char *fallback)
{
    const char *name = example_text(e, "net", fallback);
    const model *found = model_find(name);
    if (!found) example_fail(e, "unknown network \"%s\"; there are: %s", name, example_models());
    return found;
}

/* The model for pictures of --side, if that is asked for. */
static inline const model *example_sized(const example *e)
{
    static model sized;
    int side = (int)example_number(e, "side", e->model->side, 1, 4096);
    if (side == e->model->side) return e->model;
    sized = *e->model;
    sized.resize = sized.resize * side / sized.side, sized.side = side;
    return &sized;
}

/* weight [K,C,R,S] becomes [K,3C,R,S]: three times the same, a third of it each. */
static inline int example_thrice(cnv_tensor *weight)
{
    cnv_tensor wide = {0};
    int i, size = weight->c * weight->h * weight->w;
    if (!cnv_tensor_resize(&wide, weight->n, 3 * weight->c, weight->h, weight->w)) return 0;
    for (i = 0; i < 3 * weight->n * size; i++)
        wide.data[i] = weight->data[i / (3 * size) * size + i % size] / 3;
    cnv_tensor_free(weight), *weight = wide;
    return 1;
}

/* t [n,3C,h,w]: each third of the channels becomes the mean of all three. */
static inline void example_even(cnv_tensor *t)
{
    int i, third = t->c / 3 * t->h * t->w;
    for (i = 0; i < t->n * third; i++) {
        float *x = t->data + i / third * 3 * third + i % third;
        x[0] = x[third] = x[2 * third] = (x[0] + x[third] + x[2 * third]) / 3;
    }
}

/* A network of gray pictures, once it has its weights, reads the mean of the three channels that
   the examples' pictures have. Returns 0 if more than one layer, or one that is neither a
   convolution nor linear, is the first with weights. */
static inline int example_widen(cnv_net *net)
{
    int i, k, first = 1;
    for (; first < net->count && !net->nodes[first].params; first++)
        if (net->nodes[first].inputs != 1) return 0;
    for (i = first + 1; i < net->count; i++)
        for (k = 0; k < net->nodes[i].inputs; k++)
            if (net->nodes[i].input[k] < first) return 0;
    if (first == net->count || net->nodes[first].input[0] != first - 1 ||
        (net->nodes[first].op != CNV_CONV2D && net->nodes[first].op != CNV_LINEAR)) return 0;
    for (i = 0; i < first; i++) {
        cnv_node *node = &net->nodes[i];
        node->channels = 3;
        for (k = 1; k < 3; k++) node->mean[k] = node->mean[0], node->std[k] = node->std[0];
    }
    if (!example_thrice(&net->params[0].value)) return 0;
    cnv_weights_changed(net);
    return 1;
}

/* Pictures for a network of gray ones are gray. */
static inline void example_gray(const example *e, cnv_tensor *pictures)
{
    int i, plane = pictures->h * pictures->w;
    for (i = 0; e->gray && i < pictures->n * plane; i++) {
        float *x = pictures->data + i / plane * 3 * plane + i % plane;
        x[0] = x[plane] = x[2 * plane] = 0.299f * x[0] + 0.587f * x[plane] + 0.114f * x[2 * plane];
    }
}

/* --weights, and --net, which `train` wrote into the weight file, too; or a model of the program's
   own, and its weights among the examples' data. */
static inline void example_network(example *e, const model *own, const char *own_weights)
{
    const char *weights = example_text(e, "weights", NULL), *name;
    if (own && example_text(e, "net", NULL))
        example_fail(e, "this program has a network of its own: it takes no --net");
    e->model = own ? own : example_model(e, models[0].name);
    if (!weights && !own && e->model != &models[0])
        example_fail(e, "only the weights of %s come along: for %s say --weights", models[0].name,
                     e->model->name);
    if (!weights) weights = example_data(own ? own_weights : "toynet.safetensors");
    e->file = cnv_safetensors_open(weights);
    example_check(e, e->file != NULL);
    name = cnv_safetensors_metadata(e->file, "net");
    if (name && !own && model_find(name)) e->model = example_model(e, name);
    e->model = example_sized(e);
    example_class_names(e);
    e->net = cnv_net_new();
    example_check(e, e->net != NULL);
    e->logits = e->model->build(e->net, e->classes);
    example_check(e, e->logits >= 0 && model_load(e->net, weights));
    e->gray = e->net->nodes[0].channels == 1;
    if (e->net->nodes[0].channels != 3 && !(e->gray && example_widen(e->net)))
        example_fail(e, "%s looks at pictures of %s; the examples can show networks colours, or "
                     "gray ones to a first convolution", e->model->name,
                     example_count(e->net->nodes[0].channels, "channel"));
}

/* Whether a class name is `text` (strictness 2), or is but for capitals (1), or has a word that
   begins so (0). */
static inline int example_fits(const char *name, const char *text, int strictness)
{
    size_t i, k, length = strlen(text);
    if (strictness == 2) return !strcmp(name, text);
    for (i = 0; name[i]; i++) {
        for (k = 0; k < length && tolower((unsigned char)name[i + k]) ==
             tolower((unsigned char)text[k]);) k++;
        if (k == length && length && (!strictness || (!i && !name[k])) &&
            (!i || name[i - 1] == ' ' || name[i - 1] == '-')) return 1;
    }
    return 0;
}

/* How many classes a text fits, in the strictest way that it fits any; first: the first of them,
   found: the first few with their numbers, "281 tabby, 282 tiger cat". */
static inline int example_fitting(const example *e, const char *text, int *first, char *found,
                                  size_t size)
{
    int i, strictness, fits = 0;
    *first = -1, *found = 0;
    for (strictness = 2; strictness >= 0 && !fits; strictness--)
        for (i = 0; i < e->classes; i++) {
            size_t used = strlen(found);
            if (!example_fits(e->class_names[i], text, strictness)) continue;
            if (!fits++) *first = i;
            if (fits < 10)
                snprintf(found + used, size - used, "%s%d %.32s", used ? ", " : "", i,
                         e->class_names[i]);
        }
    return fits;
}

/* The number of a class given by number or name, of which the beginning of a word will do. */
static inline int example_class(const example *e, const char *text)
{
    char *end, found[400];
    long number = strtol(text, &end, 10);
    int first, fits;
    if (end != text && !*end && number >= 0 && number < e->classes) return (int)number;
    fits = example_fitting(e, text, &first, found, sizeof found);
    if (fits > 1)
        example_fail(e, "\"%s\" could be %d classes: %s%s; say its number", text, fits, found,
                     fits < 10 ? "" : ", ...");
    if (!fits)
        example_fail(e, "unknown class \"%s\": the network knows %d classes, from 0 \"%s\" to %d "
                     "\"%s\"", text, e->classes, e->class_names[0], e->classes - 1,
                     e->class_names[e->classes - 1]);
    return first;
}

/* Which of n numbers is the greatest. */
static inline int example_greatest(const float *x, int n)
{
    int i, best = 0;
    for (i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* A number that rises with x, as bits do: negative ones are turned upside down. */
static inline uint32_t example_bits(float x)
{
    uint32_t bits;
    x += 0.0f; /* -0 becomes 0 */
    memcpy(&bits, &x, sizeof bits);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

/* Sorts `order`, n places in `value`, such that their values rise; of equals, who comes first stays
   first. Radix sort, by 11 bits at a time (Knuth, 5.2.5). scratch: room for n. */
EXAMPLE_INNER_LOOP
static inline void example_sort(const float *value, int n, int *order, int *scratch)
{
    int shift, i;
    for (shift = 0; shift < 32; shift += 11) {
        int start[2049] = {0};
        for (i = 0; i < n; i++) start[(example_bits(value[order[i]]) >> shift & 2047) + 1]++;
        for (i = 0; i < 2048; i++) start[i + 1] += start[i];
        for (i = 0; i < n; i++)
            scratch[start[example_bits(value[order[i]]) >> shift & 2047]++] = order[i];
        memcpy(order, scratch, (size_t)n * sizeof *order);
    }
}

/* The class with the greatest logit, for image n of the last cnv_forward. */
static inline int example_answer(const example *e, int n)
{
    return example_greatest(e->net->nodes[e->logits].out.data + n * e->classes, e->classes);
}

/* A picture of any size as the network wants it; side: of the square that comes of it. */
static inline int example_square(const example *e, const cnv_tensor *picture, int side,
                                 cnv_tensor *square)
{
    int less = picture->h < picture->w ? picture->h : picture->w, ok;
    cnv_tensor middle = {0};
    if (e->model && e->model->resize != e->model->side)
        ok = photo_square(picture, e->model, side, square);
    else
        ok = photo_crop(picture, (picture->h - less) / 2, (picture->w - less) / 2, less, &middle) &&
             cnv_resize(&middle, side, side, square);
    if (ok) example_gray(e, square);
    cnv_tensor_free(&middle);
    return ok;
}

/* Ends the program if a layer gave out what is no number: then a weight is none. */
static inline void example_finite(const example *e)
{
    int i;
    for (i = 0; i < e->net->valid; i++) {
        const cnv_tensor *out = &e->net->nodes[i].out;
        size_t k, size = cnv_tensor_size(out);
        for (k = 0; k < size; k++)
            if (!(fabsf(out->data[k]) < HUGE_VALF))
                example_fail(e, "%s \"%s\" gives out %g: the weights are broken",
                             cnv_op_name(e->net->nodes[i].op), e->net->nodes[i].name,
                             (double)out->data[k]);
    }
}

/* --image, or else the first scene from --seed on that the network gets right. */
static inline void example_picture(example *e)
{
    const char *path = example_text(e, "image", NULL), *want = example_text(e, "class", NULL);
    int side = e->model->side, tries;
    cnv_tensor picture = {0};
    if (path) {
        example_check(e, cnv_image_load(path, &picture) &&
                         example_square(e, &picture, side, &e->image) &&
                         cnv_forward(e->net, &e->image, CNV_ALL));
        cnv_tensor_free(&picture), example_finite(e);
        e->predicted = example_answer(e, 0);
        return;
    }
    for (tries = 0; tries < 1000; tries++) {
        e->scene = toy_make(e->seed + (unsigned long long)tries, NULL);
        if (want && example_toys(e) && e->scene.class_id != example_class(e, want))
            continue;
        example_check(e, cnv_tensor_resize(&e->image, 1, 3, side, side));
        toy_render(&e->scene, side, e->image.data, side == TOY_SIDE ? e->mask : NULL, NULL);
        example_gray(e, &e->image);
        example_check(e, cnv_forward(e->net, &e->image, CNV_ALL)), example_finite(e);
        e->predicted = example_answer(e, 0);
        e->has_scene = side == TOY_SIDE;
        if (e->predicted == e->scene.class_id || !example_toys(e)) break;
    }
}

/* Ends the program before its work if it could not write a picture of that name after it: where
   none is yet, it tries so with one pixel. */
static inline void example_writable(const example *e)
{
    float black = 0;
    cnv_tensor pixel = cnv_tensor_view(&black, 1, 1, 1, 1);
    FILE *old = fopen(e->out, "rb");
    if (old) fclose(old);
    else example_check(e, cnv_image_save(e->out, &pixel) && !remove(e->out));
}

/* Options alone, for programs that make their network themselves or need none. `own` lists the
   program's own options, "steps,size"; what they mean says options.h. */
static inline example example_start(int argc, char **argv, const char *about, const char *own)
{
    example e;
    const char *slash = strrchr(argv[0], '/');
    static char out[256];
    memset(&e, 0, sizeof e);
    e.program = slash ? slash + 1 : argv[0];
    if (slash && slash - argv[0] < 400)
        sprintf(example_beside, "%.*s../examples/data/", (int)(slash + 1 - argv[0]), argv[0]);
    e.argc = argc, e.argv = argv;
    example_options(&e, about, own);
    e.seed = (unsigned long long)example_number(&e, "seed", 1, 0, 9e15);
    snprintf(out, sizeof out, "%.200s.png", e.program);
    e.out = example_text(&e, "out", out);
    example_writable(&e);
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

/* "tabby 0.62, tiger cat 0.31, ...": what the network answers, by P, the first five. */
static inline void example_top(const example *e)
{
    const float *logits = e->net->nodes[e->logits].out.data;
    int i, c, best, last = -1;
    for (i = 0; i < 5 && i < e->classes; i++, last = best) {
        for (c = 0, best = -1; c < e->classes; c++) /* the greatest after the last */
            if ((last < 0 || logits[c] < logits[last] || (logits[c] == logits[last] && c > last)) &&
                (best < 0 || logits[c] > logits[best])) best = c;
        if (best < 0) break; /* NaN */
        printf("%s%s %.2f", i ? ", " : "answer: ", e->class_names[best],
               example_probability(e, best));
    }
    printf("\n");
}

/* Options, network, image, class and layer. own_model, own_weights: see example_network. */
static inline example example_begin_with(int argc, char **argv, const char *about,
                                         const char *layer, const char *own,
                                         const model *own_model, const char *own_weights)
{
    example e = example_start(argc, argv, about, own);
    const char *want = example_text(&e, "class", NULL);
    example_network(&e, own_model, own_weights);
    example_picture(&e);
    if (!e.has_scene) example_top(&e);
    e.class_id = want ? example_class(&e, want) : e.predicted;
    e.layer = cnv_find(e.net, example_text(&e, "layer", layer ? layer : e.model->last_conv));
    example_check(&e, e.layer >= 0);
    return e;
}

/* The same for a program's usual needs. `own` lists its own options, "steps,size"; `layer` is its
   own default, NULL for the model's last convolution. */
static inline example example_begin(int argc, char **argv, const char *about, const char *layer,
                                    const char *own)
{
    return example_begin_with(argc, argv, about, layer, own, NULL, NULL);
}

/* For a program with a model of its own, that is not in the table, and weights for it in data/. */
static inline example example_begin_own(int argc, char **argv, const char *about,
                                        const model *own_model, const char *own_weights,
                                        const char *own)
{
    return example_begin_with(argc, argv, about, NULL, own, own_model, own_weights);
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
    printf("%s, %.*f a second\n", example_count(images, "image"), rate < 10, rate);
}

/* The feature maps of a layer, as papers have them: what it hands on, after its ReLU. That is the
   node of the ReLU that reads a convolution or linear layer (or its batch norm); any other node is
   taken as it is. */
static inline int example_feature_maps(const cnv_net *net, int node)
{
    int i, op = net->nodes[node].op;
    for (i = node + 1; i < net->count; i++) {
        if (net->nodes[i].inputs != 1 || net->nodes[i].input[0] != node) continue;
        if (op != CNV_CONV2D && op != CNV_LINEAR && op != CNV_BATCH_NORM) break;
        if (net->nodes[i].op == CNV_RELU) return i;
        if (net->nodes[i].op == CNV_BATCH_NORM) return example_feature_maps(net, i);
    }
    return node;
}

/* A scene as a picture [1,3,side,side]. */
static inline int example_scene(const toy_scene *scene, int side, cnv_tensor *picture)
{
    int ok = cnv_tensor_resize(picture, 1, 3, side, side);
    if (ok) toy_render(scene, side, picture->data, NULL, NULL);
    return ok;
}

/* Draws the weights of the same network anew; one of gray pictures remains one. */
static inline int example_draw(const example *e, cnv_net *net, uint64_t seed)
{
    int ok = cnv_init(net, seed);
    if (ok && e->gray) example_even(&net->params[0].value), cnv_weights_changed(net);
    return ok;
}

/* The same network as it was before training, or a cousin of it: a control. Free it. */
static inline cnv_net *example_untrained(const example *e)
{
    cnv_net *net = cnv_net_new();
    example_check(e, net && e->model->build(net, e->classes) >= 0 &&
                     (!e->gray || example_widen(net)) && example_draw(e, net, e->seed));
    return net;
}

/* The same network once more, with the weights of its file. Free it. */
static inline cnv_net *example_trained(const example *e)
{
    cnv_net *net = cnv_net_new();
    example_check(e, net && e->model->build(net, e->classes) >= 0);
    model_rename(net, e->file);
    example_check(e, cnv_load_parsed(net, e->file) && (!e->gray || example_widen(net)));
    return net;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
