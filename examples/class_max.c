/* class_max.c - which picture would the network call a fish most of all?

   Question   What does a class look like to the network? Not in a photo, but in a picture made for
              nothing else than a high score.
   Formula    argmax over I of S_class(I) - lambda |I|^2, S the logit, by gradient ascent from grey
   Paper      Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks (2013), section 2;
              Yosinski et al.: Understanding Neural Networks Through Deep Visualization (2015),
              section 3 and its four sets of parameters; Olah, Mordvintsev, Schubert: Feature
              Visualization (2017); Santurkar et al.: Image Synthesis with a Single (Robust)
              Classifier (2019)
   Look for   Parts, here and there and again: wheels, petals, eyes. A logit counts what is there,
              not where. Plain ascent finds noise that looks like nothing; each remedy, from top to
              bottom, leaves more of what a person sees. Most of all a network that noise within
              6/255 of each pixel does not fool: what raises its score must look like the thing.
   Measured   each picture's own class has P >= .99, after random shifts that the ascent did not see
              >= .9, and to a second network, trained from another seed, >= .5

   Yosinski's radii and jitters are for 227 x 227 pixels; here blurs and shifts are a third.

       cc -O2 -fopenmp examples/class_max.c -o build/class_max -lm && build/class_max --steps 100 */
#include "ascent.h"
#include "panel.h"

typedef struct {
    const char *name;
    int robust;                         /* on the network trained against small noise */
    int waves;
    double decay, blur, clip_norm, clip_contribution, jitter, scale, turn;
} class_style;

static const class_style class_styles[] = {
    {"L2 decay (Simonyan 2013)", 0, 0, 0.02, 0, 0, 0, 0, 1, 0},
    {"blur, half of the small pixels grey (Yosinski 2015)", 0, 0, 0, 0.5, 0.5, 0, 0, 1, 0},
    {"decay, a fifth of the small pixels grey", 0, 0, 0.3, 0, 0.2, 0, 0, 1, 0},
    {"decay and a wide blur", 0, 0, 0.0001, 1, 0, 0, 0, 1, 0},
    {"blur, nine tenths that contribute least grey", 0, 0, 0, 0.5, 0, 0.9, 0, 1, 0},
    {"waves, shifted, scaled, turned (Olah 2017)", 0, 1, 0.02, 0, 0, 0, 6, 1.2, 15},
    {"the same, for a network trained against noise", 1, 1, 0.02, 0, 0, 0, 6, 1.2, 15},
};
enum { STYLES = sizeof class_styles / sizeof class_styles[0] };

/* pictures [count,3,side,side] of the classes from `first` on */
static int class_max(const example *e, const class_style *style, int first, int count, int steps,
                     cnv_tensor *pictures)
{
    static ascent_unit units[EXAMPLE_CLASSES];
    ascent a = ascent_of(e, e->logits, ascent_units, units);
    double start = example_seconds();
    int i, ok, side = e->model->side;
    for (i = 0; i < count; i++) {
        units[i].node = e->logits, units[i].channel = first + i;
        units[i].y = units[i].x = -1;
    }
    a.waves = style->waves, a.method = style->waves ? ASCENT_ADAM : ASCENT_PLAIN;
    a.rate = style->waves ? 0.05 : 1.5 / 255, a.decay = style->decay;
    a.blur = style->blur, a.blur_every = style->blur > 0 ? 4 : 0;
    a.clip_norm = style->clip_norm, a.clip_contribution = style->clip_contribution;
    a.jitter = style->jitter, a.scale = style->scale, a.turn = style->turn;
    ok = ascent_start(&a, count, side, side, style->waves ? 0.1 : 0);
    for (i = 0; ok && i < steps; i++) {
        ok = ascent_step(&a);
        example_progress("climbing", i + 1, steps, start);
    }
    ok = ok && ascent_render(&a) && cnv_tensor_copy(&a.image, pictures);
    ascent_end(&a);
    return ok;
}

/* P(its own class) of each picture, shifted by up to `shift` pixels; the mean and the least. */
static int class_max_score(const example *e, const cnv_tensor *pictures, int first, int shift,
                           double *mean, double *least)
{
    cnv_tensor shifted = {0}, p = {0};
    cnv_rng rng = cnv_rng_seed(e->seed + 1000);
    double map[4] = {1, 0, 0, 0};
    int i, draws = shift ? 8 : 1, draw, ok = cnv_tensor_copy(pictures, &shifted);
    for (*mean = 0, *least = 1, draw = 0; ok && draw < draws; draw++) {
        cnv_tensor_fill(&shifted, 0);
        for (i = 0; i < pictures->n; i++) {
            cnv_tensor from = cnv_tensor_image(pictures, i), to = cnv_tensor_image(&shifted, i);
            map[2] = floor((2 * cnv_uniform(&rng) - 1) * shift + 0.5);
            map[3] = floor((2 * cnv_uniform(&rng) - 1) * shift + 0.5);
            ascent_warp(map, 0, &from, &to);
        }
        ok = cnv_forward(e->net, &shifted, e->logits) &&
             cnv_softmax_forward(&e->net->nodes[e->logits].out, &p);
        for (i = 0; ok && i < pictures->n; i++) {
            double own = (double)p.data[i * p.c + first + i];
            *mean += own / (pictures->n * draws), *least = fmin(*least, own);
        }
    }
    cnv_tensor_free(&shifted), cnv_tensor_free(&p);
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
enum { COLUMNS = 12, CELL = 96, LEFT = 40, TOP = 110, ROW = CELL + 54 };

/* The network of another weight file, as if it were e's. */
static example class_max_other(const example *e, const char *weights)
{
    example other = *e;
    other.net = cnv_net_new();
    example_check(e, other.net != NULL);
    other.logits = e->model->build(other.net, e->classes);
    example_check(e, other.logits >= 0 && cnv_load(other.net, weights));
    return other;
}

/* A row of pictures under the style's name and figures. */
static int class_max_row(cnv_tensor *sheet, int row, const char *name, const char *figures,
                         const cnv_tensor *pictures)
{
    const cnv_color ink = {0.1f, 0.1f, 0.12f}, gray = {0.38f, 0.38f, 0.42f};
    cnv_tensor cells = {0};
    int i, y = TOP + row * ROW, ok = cnv_resize(pictures, CELL, CELL, &cells);
    cnv_text(sheet, LEFT, y, 13, ink, name);
    cnv_text(sheet, LEFT + cnv_text_width(13, name) + 16, y + 2, 11, gray, figures);
    for (i = 0; ok && i < cells.n; i++) {
        cnv_tensor cell = cnv_tensor_image(&cells, i);
        cnv_paste(sheet, &cell, LEFT + i * (CELL + 8), y + 24);
    }
    cnv_tensor_free(&cells);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "the picture that a class likes best", NULL, "steps");
    int steps = (int)example_number(&e, "steps", 128, 1, 1e5), i, row, rows = 0;
    int toy = e.model == &models[0] && e.classes == TOY_CLASSES;
    int count = e.classes < COLUMNS ? e.classes : COLUMNS, first = 0;
    const cnv_color white = {1, 1, 1}, ink = {0.1f, 0.1f, 0.12f};
    cnv_tensor sheet = {0}, pictures = {0};
    example robust = e;
    if (example_text(&e, "class", NULL)) first = e.class_id, count = 1;
    if (toy) robust = class_max_other(&e, example_data("robust.safetensors"));
    for (i = 0; i < STYLES; i++) rows += toy || !class_styles[i].robust;
    example_check(&e, cnv_canvas(&sheet, TOP + rows * ROW, 2 * LEFT + COLUMNS * (CELL + 8) - 8,
                                 white));
    cnv_text(&sheet, LEFT, 34, 21, ink, "The picture that each class likes best");
    for (i = 0; i < count; i++)
        cnv_text(&sheet, LEFT + i * (CELL + 8), 78, 13, ink, e.class_names[first + i]);
    printf("P of its own class: mean (least)                       as it is       shifted"
           "        another network\n");
    for (i = row = 0; i < STYLES; i++) {
        const class_style *style = &class_styles[i];
        const example *by = style->robust ? &robust : &e, *judge = style->robust ? &e : &robust;
        double mean[3], least[3];
        char figures[128];
        if (style->robust && !toy) continue;
        example_check(&e, class_max(by, style, first, count, steps, &pictures) &&
                          class_max_score(by, &pictures, first, 0, &mean[0], &least[0]) &&
                          class_max_score(by, &pictures, first, 4, &mean[1], &least[1]) &&
                          class_max_score(judge, &pictures, first, 0, &mean[2], &least[2]));
        snprintf(figures, sizeof figures, "P %.3f, shifted %.2f%s", mean[0], mean[1],
                 toy ? "" : ".");
        if (toy) snprintf(figures + strlen(figures), 40, ", to another network %.2f", mean[2]);
        printf("  %-50s %.3f (%.3f)  %.3f (%.3f)  %.3f (%.3f)\n", style->name, mean[0], least[0],
               mean[1], least[1], mean[2], least[2]);
        example_check(&e, class_max_row(&sheet, row++, style->name, figures, &pictures));
    }
    example_save(&e, &sheet);
    if (toy) cnv_net_free(robust.net);
    cnv_tensor_free(&sheet), cnv_tensor_free(&pictures), example_end(&e);
    return 0;
}
#endif
