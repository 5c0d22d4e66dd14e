/* concepts.h: pictures with a concept in them and without, and pictures of a class to try it on.

   Either scenes of the Toybox, into which the concept is drawn: then it is known what else is in
   them (the same as without), and what really happens when the concept comes into a picture. Or
   folders: --concept FOLDER with pictures that have it, --data FOLDER with a folder of pictures for
   each class, for the rest.

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
    dataset with[CONCEPTS_DRAWN];             /* pictures with each concept */
    dataset without;                    /* random pictures; of scenes: the same without it */
    dataset members;                    /* other pictures, all of the class; of scenes also */
    dataset changed[CONCEPTS_DRAWN];          /* the same with each concept */
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

/* The same from --concept and --data; members: the pictures of e->class_id there. */
static inline void concepts_folders(const example *e, int n, concepts *c)
{
    const char *folder = example_text(e, "concept", NULL), *data = example_text(e, "data", NULL);
    cnv_tensor image = {0};
    int i;
    if (!folder || !data)
        example_fail(e, "%s: say --concept FOLDER and --data FOLDER", folder || data
                     ? "one of two folders is missing" : "this network does not know the scenes");
    c->count = 1, c->name[0] = "the concept";
    c->with[0].side = c->members.side = e->model->side;
    dataset_pictures(e, &c->with[0], folder);
    c->without = dataset_of(e, n);
    for (i = 0; i < c->without.n; i++)
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
    c.scenes = e->classes == TOY_CLASSES && !example_text(e, "concept", NULL) &&
               !example_text(e, "data", NULL);
    if (!c.scenes) {
        concepts_folders(e, n, &c);
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

/* Plants a shortcut: adds to the class's logit what a node has along the difference of two means,
   of activations [n,D,1,1] with a concept and without; scaled so that the logit's two means differ
   by `gain` more. Returns the node of the new logits, -1 with cnv_error(). */
static inline int concepts_plant(cnv_net *net, int logits, int node, int class_id,
                                 const cnv_tensor *with, const cnv_tensor *without, double gain)
{
    int i, d, classes = net->nodes[logits].channels;
    int shortcut = cnv_linear(net, node, "shortcut", with->c, classes);
    double squares = 0;
    float *v;
    if (shortcut < 0) return -1;
    cnv_tensor_fill(&net->params[net->nodes[shortcut].param[0]].value, 0);
    v = cnv_tensor_image(&net->params[net->nodes[shortcut].param[0]].value, class_id).data;
    for (d = 0; d < with->c; d++) {
        for (i = 0; i < with->n; i++)
            v[d] += cnv_tensor_image(with, i).data[d] / (float)with->n;
        for (i = 0; i < without->n; i++)
            v[d] -= cnv_tensor_image(without, i).data[d] / (float)without->n;
        squares += (double)v[d] * (double)v[d];
    }
    for (d = 0; d < with->c; d++) v[d] *= (float)(gain / squares);
    cnv_weights_changed(net);
    return cnv_add(net, logits, shortcut);
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
