/* concepts.h: pictures with a concept in them and without, and pictures of a class to try it on.

   Either scenes of the Toybox, into which the concept is drawn: then it is known what else is in
   them (the same as without), and what really happens when the concept comes into a picture. Or
   --concept FOLDER with pictures that have it; and then perhaps --data FOLDER with a folder of
   pictures for each class, in place of scenes.

       concepts c = concepts_load(&e, 300, 100);
       ... c.with[0], c.without, c.members: datasets ...
       concepts_free(&c);                                                                         */
#ifndef CONCEPTS_H
#define CONCEPTS_H

#include "datasets.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

enum { CONCEPTS_DRAWN = 3, CONCEPTS_NONE = CONCEPTS_DRAWN };
static const char *const concepts_names[CONCEPTS_DRAWN] = {"water", "stripes", "loose wheels"};

typedef struct {
    int count, scenes;                  /* concepts; 1: the pictures are scenes */
    const char *name[CONCEPTS_DRAWN];
    dataset with[CONCEPTS_DRAWN];       /* pictures with each concept */
    dataset without;                    /* random pictures; of scenes: the same without it */
    dataset members;                    /* other pictures, all of the class; of scenes also */
    dataset changed[CONCEPTS_DRAWN];    /* the same with each concept */
} concepts;

/* Scenes of a class, or of any for -1, with a concept drawn into them. */
static inline dataset concepts_scenes(const example *e, int first, int n, int class_id, int concept)
{
    toy_options options = toy_defaults();
    cnv_tensor picture = {0};
    dataset d;
    int i, k;
    memset(&d, 0, sizeof d);
    options.class_id = class_id, d.side = e->model->side;
    example_check(e, cnv_tensor_resize(&picture, 1, 3, d.side, d.side));
    for (i = first; i < first + n; i++) {
        toy_scene scene = toy_make(EXAMPLE_HELD_OUT + (unsigned long long)i, &options);
        if (concept == 0) scene.background = TOY_WATER;
        if (concept == 1) scene.background = TOY_STRIPES;
        if (concept == 2) scene.clutter = 5;
        for (k = 0; concept == 2 && k < 5; k++) scene.distractor[k].kind = TOY_LOOSE_WHEEL;
        toy_render(&scene, d.side, picture.data, NULL, NULL);
        dataset_append(e, &d, &picture, scene.class_id);
    }
    cnv_tensor_free(&picture);
    return d;
}

/* The same from the folders after --concept and --data; without --data, the rest is scenes. */
static inline void concepts_folders(const example *e, int n, int m, concepts *c)
{
    const char *folder = example_text(e, "concept", NULL), *data = example_text(e, "data", NULL);
    cnv_tensor image = {0};
    int i;
    if (!example_toys(e) && (!folder || !data))
        example_fail(e, "this network does not know the drawn scenes: say --concept FOLDER of "
                     "pictures with a concept, and --data FOLDER of pictures of its classes");
    if (!folder) example_fail(e, "pictures with a concept are missing: say --concept FOLDER");
    c->count = 1, c->name[0] = "the concept";
    c->with[0].side = c->members.side = e->model->side;
    dataset_pictures(e, &c->with[0], folder);
    c->without = dataset_of(e, n);
    if (!data) c->members = concepts_scenes(e, n, m, e->class_id, CONCEPTS_NONE);
    for (i = 0; data && i < c->without.n; i++)
        if (!strcmp(c->without.names[c->without.labels[i]], e->class_names[e->class_id])) {
            dataset_batch(e, &c->without, i, 1, &image);
            dataset_append(e, &c->members, &image, 0);
        }
    if (!c->members.n)
        example_fail(e, "\"%s\" has no pictures of the class \"%s\"", data,
                     e->class_names[e->class_id]);
    cnv_tensor_free(&image);
}

/* n pictures with each concept and without, and at most m of the class e->class_id. */
static inline concepts concepts_load(const example *e, int n, int m)
{
    concepts c;
    int i;
    memset(&c, 0, sizeof c);
    c.scenes = example_toys(e) && !example_text(e, "concept", NULL) &&
               !example_text(e, "data", NULL);
    if (!c.scenes) {
        concepts_folders(e, n, m, &c);
        return c;
    }
    for (i = 0, c.count = CONCEPTS_DRAWN; i < c.count; i++) {
        c.name[i] = concepts_names[i];
        c.with[i] = concepts_scenes(e, 0, n, -1, i);
        c.changed[i] = concepts_scenes(e, n, m, e->class_id, i);
    }
    c.without = concepts_scenes(e, 0, n, -1, CONCEPTS_NONE);
    c.members = concepts_scenes(e, n, m, e->class_id, CONCEPTS_NONE);
    return c;
}

/* The truth: the share of the class's pictures whose logit rises when the concept comes into them;
   -1 if the pictures are no scenes. logits: the node. */
static inline double concepts_truth(const example *e, const concepts *c, int concept, int logits)
{
    cnv_tensor before = {0}, after = {0};
    int i, up = 0;
    if (!c->scenes) return -1;
    dataset_codes(e, &c->members, logits, &before);
    dataset_codes(e, &c->changed[concept], logits, &after);
    for (i = e->class_id; i < before.n * before.c; i += before.c)
        up += after.data[i] > before.data[i];
    cnv_tensor_free(&before), cnv_tensor_free(&after);
    return (double)up / c->members.n;
}

/* Adds to v [D] the mean of what a node says of all pictures, times `factor`. */
static inline void concepts_mean(const example *e, const dataset *d, int node, float factor,
                                 float *v)
{
    cnv_tensor codes = {0};
    int i, k, dims;
    dataset_codes(e, d, node, &codes);
    dims = codes.c * codes.h * codes.w;
    for (i = 0; i < d->n; i++)
        for (k = 0; k < dims; k++) v[k] += factor * codes.data[i * dims + k] / (float)d->n;
    cnv_tensor_free(&codes);
}

/* Plants a shortcut: adds to the class's logit what a node has along the difference of its two
   means, over the pictures with the first concept and over those without; scaled so that the
   logit's two means differ by `gain` more. Returns the node of the new logits. */
static inline int concepts_plant(const example *e, const concepts *c, int node, double gain)
{
    const cnv_tensor *out = &e->net->nodes[node].out;
    int d, sum, dims = out->c * out->h * out->w;
    int shortcut = cnv_linear(e->net, node, "shortcut", dims, e->classes);
    cnv_tensor *weight;
    double squares = 0;
    float *v;
    example_check(e, shortcut >= 0);
    weight = &e->net->params[e->net->nodes[shortcut].param[0]].value;
    cnv_tensor_fill(weight, 0);
    v = cnv_tensor_image(weight, e->class_id).data;
    concepts_mean(e, &c->with[0], node, 1, v);
    concepts_mean(e, &c->without, node, -1, v);
    for (d = 0; d < dims; d++) squares += (double)v[d] * (double)v[d];
    for (d = 0; d < dims; d++) v[d] *= (float)(gain / squares);
    cnv_weights_changed(e->net);
    sum = cnv_add(e->net, e->logits, shortcut);
    example_check(e, sum >= 0);
    return sum;
}

static inline void concepts_free(concepts *c)
{
    int i;
    for (i = 0; i < c->count; i++) dataset_free(&c->with[i]), dataset_free(&c->changed[i]);
    dataset_free(&c->without), dataset_free(&c->members);
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
