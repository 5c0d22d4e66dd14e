/* deepdream.c - what does the network see in the clouds?

   Question   Whatever a layer finds in a picture, show it more of that: what comes out?
   Formula    maximize 1/2 |a(x)|^2, a = the activations at a layer, so the seed is a itself:
              x := x + step g / mean |g|, g = d(1/2 |a|^2)/dx, on a pyramid of octaves.
              With a guide, the seed is at each place that of the guide's features which has the
              greatest dot product with a; with a class, the mean of its logit is maximized
   Paper      Mordvintsev, Olah, Tyka: Inceptionism (2015), and their notebook dream.ipynb
   Look for   Petals grow out of the hills and the clouds. An early layer draws strokes, a late one
              eyes and arches, a guide brings in its own shapes. A network that was fed on faces
              (half of its scenes) sees faces everywhere.
   Measured   |a| >= 2x that of the picture, SSIM to it >= .3; noise of the same strength raises |a|
              far less. Fed on faces, of all mean logits "face" rises most; else it does not

   The notebook has 4 octaves and a jitter of 32 pixels for a network of 224 x 224; here there are 6
   octaves, for large shapes, and 8 pixels. Because of the gradient's magenta and green lattices,
   three things are added: decorrelated colours, a blur of the gradient on top of it, turns and
   zooms besides the jitter. And the dream draws back to the picture, or it ends black and white.

       cc -O2 examples/deepdream.c -o build/deepdream -lm && build/deepdream --class face    */
#include "objectives.h"
#include "synthesis.h"

typedef struct {
    int octaves, steps;         /* sizes of the picture; steps at each */
    double scale;               /* between octaves; left out: below 32 pixels, or what the layer
                                   allows */
    double back;                /* the share by which the dream draws back to the picture */
} dream_options;
static const dream_options dream_standard = {6, 10, 1.4, 0.02};

/* From the smallest octave to the whole picture [1,3,h,w]: dream, and carry what was added (the
   detail) up to the next size. a: its objective is set; its z becomes the dream. */
static int deepdream(ascent *a, const cnv_tensor *image, const dream_options *o)
{
    cnv_tensor base = {0}, detail = {0}, start = {0};
    int octave, i, ok = 1;
    a->home = &base, a->decay = o->back;
    for (octave = o->octaves - 1; ok && octave >= 0; octave--) {
        double shrink = pow(o->scale, octave);
        int h = (int)(image->h / shrink + 0.5), w = (int)(image->w / shrink + 0.5);
        ok = cnv_resize(image, h, w, &base) && cnv_tensor_copy(&base, &start);
        if (ok && octave && (h < 32 || w < 32 || !cnv_forward(a->net, &base, a->upto))) continue;
        if (ok && detail.data) ok = cnv_resize(&detail, h, w, &a->z);
        if (ok && detail.data) cnv_add_scaled(1, &a->z, &start);
        ok = ok && ascent_from(a, &start);
        for (i = 0; ok && i < o->steps; i++) ok = ascent_step(a);
        ok = ok && cnv_tensor_copy(&a->z, &detail);
        if (ok) cnv_add_scaled(-1, &base, &detail);
    }
    a->home = NULL;
    cnv_tensor_free(&base), cnv_tensor_free(&detail), cnv_tensor_free(&start);
    return ok;
}

/* The ascent that deepdream wants. */
static ascent dream_ascent(const example *e, cnv_net *net, int node, ascent_objective *objective,
                           void *setting)
{
    ascent a = ascent_of(e, node, objective, setting);
    a.net = net, a.method = ASCENT_PLAIN, a.rate = 1.5 / 255;
    a.jitter = 8, a.turn = 10, a.scale = 1.15, a.mix = 1, a.soften = 1.5;
    return a;
}

#ifndef EXAMPLE_NO_MAIN
/* One dream, measured: t->dream and t->m. */
static void dream_of(const example *e, cnv_net *net, int node, ascent_objective *objective,
                     void *setting, const cnv_tensor *image, const dream_options *o,
                     synthesis_tour *t)
{
    ascent a = dream_ascent(e, net, node, objective, setting);
    example_check(e, deepdream(&a, image, o) && cnv_tensor_copy(&a.z, &t->dream) &&
                     synthesis_measure(net, node, image, &t->dream, e->seed, &t->m));
    example_progress("dreaming", ++t->dreams, 5, t->start);
    ascent_end(&a);
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "gradient ascent on what a layer finds in a picture",
                              NULL, "octaves,steps,back,size,guide");
    cnv_net *faces = synthesis_faces(&e);
    synthesis_tour t = synthesis_begin(&e);
    synthesis_guide guide = {0};
    dream_options o = dream_standard;
    int early, late, of_faces = cnv_find(faces, "relu4");
    ascent_unit unit = {0, 0, -1, -1};
    o.octaves = (int)example_number(&e, "octaves", o.octaves, 1, 20);
    o.steps = (int)example_number(&e, "steps", o.steps, 0, 10000);
    o.back = example_number(&e, "back", o.back, 0, 1);
    synthesis_layers(&e, &early, &late);
    if (!cnv_forward(e.net, &t.small, CNV_ALL))
        example_fail(&e, "the small dreams would be of %d x %d, too small for this network; say a "
                     "larger --size (%s)", t.small.h, t.small.w, cnv_error());
    unit.node = e.logits, unit.channel = synthesis_class(&e);
    dream_of(&e, e.net, e.logits, ascent_units, &unit, &t.image, &o, &t);
    synthesis_show_class(&e, &t, unit.channel);
    dream_of(&e, e.net, early, ascent_activations, &early, &t.small, &o, &t);
    synthesis_show(&t, 2, 0, e.net->nodes[early].name);
    dream_of(&e, e.net, late, ascent_activations, &late, &t.small, &o, &t);
    synthesis_show(&t, 2, 1, e.net->nodes[late].name);
    synthesis_risen(&e, e.net, e.logits, e.class_names, &t);
    dream_of(&e, faces, of_faces, ascent_activations, &of_faces, &t.small, &o, &t);
    synthesis_show(&t, 2, 2, "fed on faces");
    synthesis_risen(&e, faces, faces->count - 1, toy_class_names, &t);
    example_check(&e, synthesis_guide_load(&e, late, &guide));
    dream_of(&e, e.net, late, synthesis_guided, &guide, &t.small, &o, &t);
    synthesis_show(&t, 1, 2, "guided");
    synthesis_end(&e, &t, &guide);
    cnv_net_free(faces), example_end(&e);
    return 0;
}
#endif
