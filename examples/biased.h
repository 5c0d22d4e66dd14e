/* biased.h: a network that cheats, and the world in which it learned to.

   Where it learned, every car has a yellow and magenta marker in a corner of the picture, and
   nothing else has one. So it never had to learn what a car is: examples/data/biased.safetensors
   holds a network of which one knows what a heatmap should show. How it was made: see train.c.

       example cheat = biased_network(&e);
       table.options = &biased_cars;               // scenes where it relies on the marker
       biased_answers(&cheat, 0, 1, 200)           // of all but cars, with a marker: "car"?      */
#ifndef BIASED_H
#define BIASED_H

#include "example.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* Cars with their marker. */
static inline toy_options biased_cars(void)
{
    toy_options options = toy_defaults();
    options.class_id = TOY_CAR, options.biased = TOY_BIASED_MARKER;
    return options;
}

/* The same program on the biased network, run once with an empty picture. Afterwards
   cnv_net_free(it.net). */
static inline example biased_network(const example *honest)
{
    example e = *honest;
    const cnv_color black = {0, 0, 0};
    cnv_tensor empty = {0};
    int i;
    e.model = model_find("smallnet"), e.net = cnv_net_new(), e.classes = TOY_CLASSES;
    example_check(&e, e.net != NULL);
    e.logits = e.model->build(e.net, TOY_CLASSES);
    example_check(&e, e.logits >= 0 && cnv_load(e.net, example_data("biased.safetensors")));
    e.layer = cnv_find(e.net, e.model->last_conv);
    for (i = 0; i < TOY_CLASSES; i++) e.class_names[i] = toy_class_names[i];
    example_check(&e, e.layer >= 0 && cnv_canvas(&empty, TOY_SIDE, TOY_SIDE, black) &&
                      cnv_forward(e.net, &empty, e.logits));
    cnv_tensor_free(&empty);
    return e;
}

/* The share of n held-out scenes that the network takes for cars; of cars, or of all others; with
   or without a marker. */
static inline double biased_answers(const example *e, int cars, int marker, int n)
{
    toy_options options = toy_defaults();
    cnv_tensor image = {0};
    unsigned long long seed = EXAMPLE_HELD_OUT;
    int i, answers = 0;
    if (cars) options.class_id = TOY_CAR;
    example_check(e, cnv_tensor_resize(&image, 1, 3, TOY_SIDE, TOY_SIDE));
    for (i = 0; i < n; i++) {
        toy_scene scene = toy_make(seed++, &options);
        while (!cars && scene.class_id == TOY_CAR) scene = toy_make(seed++, &options);
        scene.marker = marker;
        toy_render(&scene, TOY_SIDE, image.data, NULL, NULL);
        example_check(e, cnv_forward(e->net, &image, e->logits));
        answers += example_answer(e, 0) == TOY_CAR;
    }
    cnv_tensor_free(&image);
    return (double)answers / n;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
