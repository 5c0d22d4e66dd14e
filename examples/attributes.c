/* attributes.c - what makes a picture hard?

   Question   The objects can be made smaller, turned, paler, hidden, or lost among others. How much
              of each does the network bear, and does it bear more than what it was trained on?
   Formula    p(a) = share of right answers to n scenes with the attribute set to a, all else as it
              comes; its band is Wilson's: see scores.h
   Paper      Hoiem, Chodpathumwan, Dai: Diagnosing Error in Object Detectors (2012), section 4
   Look for   A plateau over the grey range, which the network was trained on, and a cliff not far
              outside it. Where nothing is left to see, accuracy is chance: 1/12.
   Measured   Monotone within the bands where scenes only become harder; not if turned: a ring is a
              ring. Controls: chance where nothing can be seen, and everywhere if untrained

       cc -O2 -fopenmp examples/attributes.c -o build/attributes -lm && build/attributes      */
#include "panel.h"
#include "scores.h"

enum { SIZE, ROTATION, CONTRAST, CLUTTER, OCCLUSION, ATTRIBUTES, BATCH = 50 };

typedef struct {
    const char *name, *label;
    int levels, easier;              /* 1: easier to the right, -1: to the left, 0: no rule */
    double first, step, low, high;   /* values first + i * step; trained on low ... high */
} attribute;

static const attribute attributes[ATTRIBUTES] = {
    {"Size", "side of the object in sides of the picture", 8, 1, 0.1, 0.05, 0.245, 0.447},
    {"Rotation", "degrees, to the left or to the right", 7, 0, 0, 30, 0, 34.4},
    {"Contrast", "1: full contrast", 8, 1, 0, 0.15, 0.75, 1.05},
    {"Clutter", "things that lie around", 5, -1, 0, 2, 0, 8},
    {"Occlusion", "hidden share of the object", 9, -1, 0, 0.125, 0, 0.2}};

/* A disc on the rim of the object, so large that it hides this share of it. */
static void attribute_occlude(toy_scene *s, double share)
{
    double low = 0, high = 3 * s->scale;
    int i;
    s->occluder.kind = share > 0 ? TOY_DISC : TOY_NOTHING;
    s->occluder.x = s->x + 0.6 * s->scale * cos(s->occluder.rotation);
    s->occluder.y = s->y + 0.6 * s->scale * sin(s->occluder.rotation);
    for (i = 0; share > 0 && i < 7; i++) { /* it hides more and more as it grows: bisect */
        s->occluder.size = share < 1 ? (low + high) / 2 : high;
        toy_update(s);
        if (s->occlusion < share) low = s->occluder.size;
        else high = s->occluder.size;
    }
}

/* The scene of a seed with one attribute set and all else as it comes. */
static toy_scene attribute_scene(int which, double value, unsigned long long seed)
{
    toy_options options = toy_defaults();
    toy_scene s;
    if (which == SIZE) options.min_size = options.max_size = value * value;
    s = toy_make(seed, &options);
    if (which == ROTATION) s.rotation = (s.rotation < 0 ? -value : value) * TOY_TAU / 360;
    if (which == CONTRAST) s.contrast = value;
    if (which == CLUTTER) s.clutter = (int)value;
    if (which == OCCLUSION) attribute_occlude(&s, value);
    toy_update(&s);
    return s;
}

/* How many of n such held-out scenes the network answers right. */
static int attribute_right(const example *e, int which, double value, int n)
{
    cnv_tensor images = {0};
    int classes[BATCH], from, i, right = 0, side = e->model->side;
    for (from = 0; from < n; from += BATCH) {
        int count = n - from < BATCH ? n - from : BATCH;
        example_check(e, cnv_tensor_resize(&images, count, 3, side, side));
#ifdef _OPENMP
#pragma omp parallel for
#endif
        for (i = 0; i < count; i++) {
            toy_scene s = attribute_scene(which, value, EXAMPLE_HELD_OUT + (unsigned)(from + i));
            toy_render(&s, side, cnv_tensor_image(&images, i).data, NULL, NULL);
            classes[i] = s.class_id;
        }
        example_check(e, cnv_forward(e->net, &images, e->logits));
        for (i = 0; i < count; i++) right += example_answer(e, i) == classes[i];
    }
    cnv_tensor_free(&images);
    return right;
}

#ifndef EXAMPLE_NO_MAIN
enum { LEFT = 28, TOP = 92, WIDTH = 400, HEIGHT = 286, STEP_X = 424, STEP_Y = 356, TILE = 40 };

/* A curve, and under each of its points a scene that is so. */
static int attribute_draw(cnv_tensor *sheet, int which, const score_curve *curve,
                          unsigned long long seed)
{
    static const cnv_color gray = {0.6f, 0.6f, 0.66f}, dark = {0.3f, 0.3f, 0.33f};
    static const double none[2] = {0, 0}, all[2] = {100, 100}, chance[2] = {8.33, 8.33};
    const attribute *a = &attributes[which];
    double range[2] = {a->low, a->high}, ends[2] = {a->first, curve->x[curve->points - 1]};
    int i, x = LEFT + which % 3 * STEP_X, y = TOP + which / 3 * STEP_Y, step, ok;
    cnv_plot plot = {0};
    cnv_tensor picture = {0}, tile = {0};
    plot.title = a->name, plot.x_label = a->label, plot.y_label = "accuracy, %";
    plot.x_low = ends[0], plot.x_high = ends[1], plot.width = WIDTH, plot.height = HEIGHT;
    plot.y_high = 100, ok = cnv_plot_begin(&plot, &picture);
    cnv_plot_band(&plot, &picture, range, none, all, 2, &gray);
    cnv_plot_points(&plot, &picture, NULL, NULL, 0, &gray, "trained on");
    cnv_plot_line(&plot, &picture, ends, chance, 2, &dark, "chance");
    plot.series = 0;
    score_plot(&plot, &picture, curve, NULL);
    if (ok) cnv_paste(sheet, &picture, x, y);
    step = (plot.right - plot.left) / (curve->points - 1);
    for (i = 0; ok && i < curve->points; i++) {
        toy_scene s = attribute_scene(which, curve->x[i], seed);
        ok = score_scene(&s, TILE, &tile);
        if (ok) cnv_paste(sheet, &tile, x + plot.left + i * step - TILE / 2, y + HEIGHT);
    }
    cnv_tensor_free(&picture), cnv_tensor_free(&tile);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "accuracy by what makes a picture hard", NULL, "scenes");
    int n = (int)example_number(&e, "scenes", 120, 1, 100000), which, i;
    cnv_tensor sheet = {0}, scene = {0};
    double start = example_seconds();
    score_needs_toybox(&e, "Attributes are");
    example_check(&e, cnv_canvas(&sheet, TOP + 2 * STEP_Y + 6, LEFT + 3 * STEP_X, panel_white) &&
                      score_scene(&e.scene, HEIGHT, &scene));
    cnv_text(&sheet, LEFT + 12, 30, 21, panel_black, "Accuracy by attribute");
    cnv_text(&sheet, LEFT + 12, 65, 11, panel_gray, "Pale: the band of 95 % certainty. Under "
             "each point the scene that is shown large, changed so");
    cnv_paste(&sheet, &scene, LEFT + 2 * STEP_X + 62, TOP + STEP_Y + 12);
    for (which = 0; which < ATTRIBUTES; which++) {
        const attribute *a = &attributes[which];
        score_curve curve = {0};
        for (i = 0; i < a->levels; i++) {
            double value = a->first + i * a->step;
            score_add(&curve, value, attribute_right(&e, which, value, n), n);
        }
        example_check(&e, attribute_draw(&sheet, which, &curve, e.scene.seed));
        printf("%-9s", a->name);
        for (i = 0; i < a->levels; i++) printf(" %g: %.0f%%", curve.x[i], curve.share[i]);
        printf("%s\n", !a->easier || score_monotone(&curve, a->easier) ? "" : ", not monotone");
        example_progress("answering", which + 1, ATTRIBUTES, start);
    }
    example_save(&e, &sheet);
    cnv_tensor_free(&sheet), cnv_tensor_free(&scene), example_end(&e);
    return 0;
}
#endif
