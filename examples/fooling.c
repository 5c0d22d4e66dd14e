/* fooling.c - the network is sure, and there is nothing to see

   Question   Is a network that is sure right? Is there a picture of nothing of which it is certain?
   Formula    x <- x + rate g / mean |g|,   g = d log P(class) / dx, until P(class) >= .998;
              stripes: g averaged over all pixels of a stripe, so that stripes stay stripes
   Paper      Nguyen, Yosinski, Clune: Deep Neural Networks are Easily Fooled (2015), figures 1, 3
              (which found them by evolution, and by gradient ascent in section 3.5)
   Look for   Noise, stripes and rings that nobody would take for anything, in each column of a
              class, with the network's confidence under each. A classifier must answer something;
              softmax is no measure of whether it has ever seen the like.
   Measured   P >= .996 for >= 10 classes of 12 in every row, in 8 bits and read back from the
              file; and how many of the same kinds of pictures have that before the ascent

       cc -O2 -fopenmp examples/fooling.c -o build/fooling -lm && build/fooling --seed 2      */
#include "attack.h"

/* From a start [1,3,H,W] until the picture, rounded to 8 bits, has P(class) >= sure, or for so many
   steps at most. tie: see ascent.h. */
static int fooling(const example *e, const cnv_tensor *start, const int *tie, int class_id,
                   double sure, int steps, cnv_tensor *picture)
{
    ascent a = ascent_of(e, e->logits, ascent_log_p, &class_id);
    int ok = ascent_from(&a, start);
    a.tie = tie, a.rate = 1.0 / 255;
    for (; ok && steps >= 0; steps--) {
        ok = cnv_tensor_copy(&a.z, picture);
        attack_round(picture);
        ok = ok && cnv_forward(e->net, picture, e->logits);
        if (!ok || example_probability(e, class_id) >= sure) break;
        ok = ascent_step(&a);
    }
    ascent_end(&a);
    return ok;
}

enum { FOOLING_KINDS = 4, FOOLING_CLASSES = 12 };
static const char *const fooling_names[FOOLING_KINDS] = {"noise", "stripes", "diagonals", "rings"};

/* Which pixels are tied: none, those of a row, of a diagonal, of a ring. */
static void fooling_ties(int kind, int h, int w, int *tie)
{
    int i;
    for (i = 0; i < h * w; i++) {
        int y = i / w, x = i % w;
        if (kind == 0) tie[i] = i;
        else if (kind == 1) tie[i] = y;
        else if (kind == 2) tie[i] = (x + y) / 2;
        else tie[i] = (int)hypot(x - (w - 1) / 2.0, y - (h - 1) / 2.0);
    }
}

/* Each group of tied pixels begins with a colour of its own, by chance. */
static int fooling_start(const int *tie, int h, int w, cnv_rng *rng, cnv_tensor *start)
{
    cnv_tensor colours = {0};
    int i, ok = cnv_tensor_resize(start, 1, 3, h, w) && cnv_tensor_resize(&colours, 1, 3, h, w);
    for (i = 0; ok && i < 3 * h * w; i++) colours.data[i] = (float)cnv_uniform(rng);
    for (i = 0; ok && i < 3 * h * w; i++)
        start->data[i] = colours.data[i / (h * w) * (h * w) + tie[i % (h * w)]];
    cnv_tensor_free(&colours);
    return ok;
}

/* The control: of how many classes is the network that sure for `tries` starts, by chance? */
static int fooling_by_chance(const example *e, const int *tie, int side, int tries)
{
    unsigned char reached[EXAMPLE_CLASSES] = {0};
    cnv_rng rng = cnv_rng_seed(e->seed + 1000);
    cnv_tensor start = {0};
    int i, classes = 0;
    for (i = 0; i < tries; i++) {
        int answer;
        example_check(e, fooling_start(tie, side, side, &rng, &start) &&
                         cnv_forward(e->net, &start, e->logits));
        answer = example_answer(e, 0);
        if (example_probability(e, answer) >= 0.996) classes += !reached[answer]++;
    }
    cnv_tensor_free(&start);
    return classes;
}

#ifndef EXAMPLE_NO_MAIN
/* A row for each kind, a column for each class; returns how many are >= .996 in hits[kind]. */
static int fooling_picture(const example *e, const cnv_tensor *x, int columns, int *hits,
                           cnv_tensor *sheet)
{
    enum { TILE = 128, STEP = TILE + 12, LEFT = 150, TOP = 124, ROW = TILE + 36 };
    int i, ok = cnv_canvas(sheet, TOP + FOOLING_KINDS * ROW + 20,
                           LEFT + columns * STEP + PANEL_MARGIN - 12, panel_white);
    char text[64];
    cnv_text(sheet, PANEL_MARGIN, 38, 21, panel_black, "Sure of nothing: pictures that the network "
             "takes for ...");
    for (i = 0; ok && i < x->n; i++) {
        cnv_tensor one = cnv_tensor_image(x, i);
        int column = i % columns, kind = i / columns, left = LEFT + column * STEP;
        double p;
        ok = cnv_forward(e->net, &one, e->logits);
        p = ok ? example_probability(e, column) : 0;
        hits[kind] += p >= 0.996;
        snprintf(text, sizeof text, "%.2f%%", 100 * p);
        ok = ok && attack_tile(sheet, &one, left, TOP + kind * ROW, TILE, text);
        if (!kind)
            panel_within(sheet, TILE, left, TOP - 28, 13, panel_black, e->class_names[column]);
        if (!column) cnv_text(sheet, PANEL_MARGIN, TOP + kind * ROW + TILE / 2 - 6, 13,
                              panel_black, fooling_names[kind]);
    }
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "pictures of nothing", NULL, "steps,images");
    int steps = (int)example_number(&e, "steps", 200, 0, 100000), side = e.image.h, i;
    int tries = (int)example_number(&e, "images", 100, 0, 100000), hits[FOOLING_KINDS] = {0};
    int columns = e.classes < FOOLING_CLASSES ? e.classes : FOOLING_CLASSES;
    int *tie = (int *)malloc((size_t)(side * side) * sizeof *tie);
    cnv_rng rng = cnv_rng_seed(e.seed);
    cnv_tensor start = {0}, one = {0}, x = {0}, sheet = {0};
    double begun = example_seconds();
    if (!tie) example_fail(&e, "out of memory");
    example_check(&e, cnv_tensor_resize(&x, FOOLING_KINDS * columns, 3, side, side));
    for (i = 0; i < x.n; i++) {
        cnv_tensor to = cnv_tensor_image(&x, i);
        fooling_ties(i / columns, side, side, tie);
        example_check(&e, fooling_start(tie, side, side, &rng, &start) &&
                          fooling(&e, &start, tie, i % columns, 0.998, steps, &one) &&
                          cnv_tensor_copy(&one, &to));
        example_progress("climbing", i + 1, x.n, begun);
    }
    attack_reload(&e, "pictures", &x);
    example_check(&e, fooling_picture(&e, &x, columns, hits, &sheet));
    example_save(&e, &sheet);
    printf("of %d classes, with P >= .996: after the ascent; among %d starts\n", columns, tries);
    for (i = 0; i < FOOLING_KINDS; i++) {
        fooling_ties(i, side, side, tie);
        printf("  %-10s%33d%19d\n", fooling_names[i], hits[i],
               fooling_by_chance(&e, tie, side, tries));
    }
    free(tie), cnv_tensor_free(&start), cnv_tensor_free(&one), cnv_tensor_free(&x);
    cnv_tensor_free(&sheet), example_end(&e);
    return 0;
}
#endif
