/* class_max.c - which picture would the network call a fish most of all?

   Question   What does a class look like to the network? Not in a photo, but in a picture made for
              nothing else than a high score.
   Formula    argmax over I of S_class(I) - lambda |I|^2, S the logit, by gradient ascent from grey,
              or from random waves: activation maximization
   Paper      Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks (2013), section 2;
              Yosinski et al.: Understanding Neural Networks Through Deep Visualization (2015),
              section 3 and its four sets of parameters; Olah, Mordvintsev, Schubert: Feature
              Visualization (2017); Santurkar et al.: Image Synthesis with a Single (Robust)
              Classifier (2019)
   Look for   A network that small changes do not fool draws things: what raises its score must look
              like the thing. Below, an ordinary one: parts at best, here and there and again, for a
              logit counts what is there, not where; and textures that mean nothing to a person.
   Measured   each picture's own class has P >= .99, after random shifts that the ascent did not see
              >= .9, and in waves, to a second network (smaller, trained from another seed), >= .5;
              noise of the same strength has not, nor has the class after it. (Over other --seeds
              single classes miss that; smoother pictures convince it less often.)

   Yosinski's radii and jitters are for 227 x 227 pixels; here blurs and shifts are a third. His
   steps are not divided by mean |g|: where the decay is strong, ours are longer to make up for it.

       cc -O2 -fopenmp examples/class_max.c -o build/class_max -lm && build/class_max --steps 60  */
#include "class_score.h"
#include "objectives.h"
#include "panel.h"

typedef struct {
    const char *name;
    int robust, waves;                  /* which network; waves, or pixels: rate in 255ths */
    double rate, decay, variation, jitter, scale, turn, blur, clip_norm, clip_contribution;
} class_style;

static const class_style class_styles[] = {
    {"A network trained against small changes", 1, 1, 0.1, 0.02, 0.01, 4, 1.1, 10, 0, 0, 0},
    {"An ordinary network, the same way (Olah 2017)", 0, 1, 0.1, 0.02, 0.01, 4, 1.1, 10, 0, 0, 0},
    {"Pixels, L2 decay (Simonyan 2013)", 0, 0, 3, 0.02, 0, 0, 1, 0, 0, 0, 0},
    {"Blur, the weaker half grey (Yosinski 2015)", 0, 0, 3, 0, 0, 0, 1, 0, 0.5, 0.5, 0},
    {"Decay, the weakest fifth grey", 0, 0, 25, 0.3, 0, 0, 1, 0, 0, 0.2, 0},
    {"Decay and a wide blur", 0, 0, 3, 0.0001, 0, 0, 1, 0, 1, 0, 0},
    {"Blur, nine tenths that contribute least grey", 0, 0, 3, 0, 0, 0, 1, 0, 0.5, 0, 0.9},
};
enum { STYLES = sizeof class_styles / sizeof class_styles[0] };

/* pictures [count,3,side,side] of the classes from `first` on; pixels need half of the steps. */
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
    a.rate = style->waves ? style->rate : style->rate / 255;
    a.decay = style->decay, a.variation = style->variation;
    a.blur = style->blur, a.blur_every = style->blur > 0 ? 4 : 0;
    a.clip_norm = style->clip_norm, a.clip_contribution = style->clip_contribution;
    a.jitter = style->jitter, a.scale = style->scale, a.turn = style->turn;
    steps = style->waves ? steps : (steps + 1) / 2;
    ok = ascent_start(&a, count, side, side, style->waves ? 0.5 : 0);
    for (i = 0; ok && i < steps; i++) {
        ok = ascent_step(&a);
        example_progress("climbing", i + 1, steps, start);
    }
    ok = ok && ascent_render(&a) && cnv_tensor_copy(&a.image, pictures);
    ascent_end(&a);
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
enum { WIDTH = 1320, LEFT = 40, GAP = 8, TOP = 78, LARGE = 240, ROW = 136, COLUMNS = 12 };

/* Pictures under the style's name and figures: in one row, or large, with the classes' names. */
static int class_max_draw(const example *e, cnv_tensor *sheet, int y, int large, const char *name,
                          const char *figures, int first, const cnv_tensor *pictures)
{
    int columns = large ? COLUMNS / 2 : COLUMNS, cell = (WIDTH - 2 * LEFT + GAP) / columns - GAP;
    int i, size = large ? 16 : 13;
    cnv_tensor cells = {0};
    int ok = cnv_resize(pictures, cell, cell, &cells);
    cnv_text(sheet, LEFT, y, size, panel_black, name);
    cnv_text(sheet, LEFT + cnv_text_width(size, name) + 16, y + size - 11, 11, panel_gray, figures);
    for (i = 0; ok && i < cells.n; i++) {
        cnv_tensor one = cnv_tensor_image(&cells, i);
        int x = LEFT + i % columns * (cell + GAP), down = y + (large ? 34 : 24);
        down += i / columns * (cell + 40);
        cnv_paste(sheet, &one, x, down);
        if (large)
            panel_within(sheet, cell, x, down + cell + 9, 13, panel_black,
                         e->class_names[first + i]);
    }
    cnv_tensor_free(&cells);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "the picture that a class likes best", NULL, "steps");
    int steps = (int)example_number(&e, "steps", 64, 1, 1e5), i, row = 0;
    int toy = e.model == &models[0] && example_toys(&e);
    int one = example_text(&e, "class", NULL) != NULL, first = one ? e.class_id : 0;
    int count = one ? 1 : e.classes < COLUMNS ? e.classes : COLUMNS;
    example robust = toy ? class_score_network(&e, "robustnet", "robust.safetensors") : e;
    example second = toy ? class_score_network(&e, "smallnet", "second.safetensors") : e;
    int below = TOP + 36 + (count > COLUMNS / 2 ? 2 : 1) * LARGE;
    cnv_tensor sheet = {0}, pictures = {0}, noise = {0};
    example_check(&e, cnv_canvas(&sheet, below + (STYLES - 2 + toy) * ROW,
                              one ? 2 * WIDTH / 3 : WIDTH, panel_white));
    cnv_text(&sheet, LEFT, 32, 21, panel_black, "The picture that each class likes best");
    printf("P of its own class: mean (least)               as it is       shifted        noise  the"
           " next class%s\n", toy ? "  2nd network" : "");
    for (i = !toy; i < STYLES; i++, row++) {
        const class_style *style = &class_styles[i];
        const example *by = style->robust ? &robust : &e;
        const char *name = toy || row ? style->name : "Waves, shifted, scaled, turned (Olah 2017)";
        class_score s[4];
        char figures[128];
        example_check(&e, class_max(by, style, first, count, steps, &pictures) &&
                          class_score_noise(&pictures, &noise) &&
                          class_score_of(by, &pictures, first, 0, &s[0]) &&
                          class_score_of(by, &pictures, first, 4, &s[1]) &&
                          class_score_of(&second, &pictures, first, 0, &s[2]) &&
                          class_score_of(by, &noise, first, 0, &s[3]));
        snprintf(figures, sizeof figures, toy ? "P %.3f, shifted %.2f, to a second network %.2f" :
                 "P %.3f, shifted %.2f", s[0].mean, s[1].mean, s[2].mean);
        printf("%-46s %.3f (%.2f)  %.3f (%.2f)  %.3f  %.3f", name, s[0].mean, s[0].least, s[1].mean,
               s[1].least, s[3].mean, s[0].next);
        if (toy) printf("           %.3f (%.2f)", s[2].mean, s[2].least);
        printf("\n");
        example_check(&e, class_max_draw(&e, &sheet, row ? below + (row - 1) * ROW : TOP, !row,
                                         name, figures, first, &pictures));
    }
    example_save(&e, &sheet);
    if (toy) cnv_net_free(robust.net), cnv_net_free(second.net);
    cnv_tensor_free(&sheet), cnv_tensor_free(&pictures), cnv_tensor_free(&noise), example_end(&e);
    return 0;
}
#endif
