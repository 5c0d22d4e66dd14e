/* targeted.c - everything becomes an ostrich

   Question   Can one and the same picture be made into anything we choose, and any picture into one
              chosen thing?
   Formula    x <- clip(x + alpha sign(m)) to |x - x0| <= eps and [0,1], alpha = 2.5 eps / steps
              m <- mu m + g / mean |g|,   g = d log P(target) / dx;   mu = 0: plain PGD
   Paper      Szegedy et al.: Intriguing properties of neural networks (2013), figure 5; Kurakin et
              al. (2016) and Madry et al. (2017): many small steps; Dong et al. (2017): momentum
   Look for   A dozen answers to what the eye takes for the same picture. The changes, 10-fold
              beside each, follow the object's outlines and are no shape of the target.
   Measured   the answer is a target drawn by chance in >= 95% of 200 held-out scenes at eps 8/255,
              or at the eps that is printed; many steps never below one step (FGSM) of that size

       cc -O2 -fopenmp examples/targeted.c -o build/targeted -lm && build/targeted --target car */
#include "attack.h"

typedef struct {
    int eps, steps;  /* eps in levels of 255; 1 step of eps: the fast gradient sign method */
    double momentum; /* mu */
} targeted_setting;

/* attacked [N,3,H,W] from clean pictures of 8 bits, each towards its target. */
static int targeted(const example *e, const cnv_tensor *clean, int *targets,
                    const targeted_setting *set, cnv_tensor *attacked)
{
    ascent a = ascent_of(e, e->logits, ascent_log_p, targets);
    int step, ok = ascent_from(&a, clean);
    a.method = ASCENT_SIGN, a.momentum = set->momentum;
    a.around = clean, a.reach = set->eps / 255.0;
    a.rate = set->steps > 1 ? 2.5 * a.reach / set->steps : a.reach;
    for (step = 0; ok && step < set->steps; step++) ok = ascent_step(&a);
    ok = ok && cnv_tensor_copy(&a.z, attacked);
    if (ok) attack_round(attacked);
    ascent_end(&a);
    return ok;
}

/* The share of the pictures that become their targets. */
static double targeted_success(const example *e, const dataset *d, int *targets,
                               const targeted_setting *set)
{
    cnv_tensor clean = {0}, x = {0};
    double start = example_seconds();
    int i, hits = 0;
    for (i = 0; i < d->n; i += clean.n) {
        dataset_batch(e, d, i, ATTACK_BATCH, &clean);
        example_check(e, targeted(e, &clean, targets + i, set, &x));
        hits += attack_count(e, &x, targets + i);
        example_progress("attacking", i + clean.n, d->n, start);
    }
    cnv_tensor_free(&clean), cnv_tensor_free(&x);
    return (double)hits / d->n;
}

#ifndef EXAMPLE_NO_MAIN
enum { GRID = 12, TILE = 160, PAIR = 2 * TILE + 4, GAP = 28, ROW = TILE + 42 };

/* Each result with its change x 10 beside it, in rows of 4 from `top` on. */
static int targeted_pairs(cnv_tensor *sheet, int top, const example *e, const cnv_tensor *clean,
                          const cnv_tensor *x)
{
    cnv_tensor change = {0};
    char text[128];
    int i, ok = attack_change(clean, x, &change);
    for (i = 0; ok && i < x->n; i++) {
        cnv_tensor one = cnv_tensor_image(x, i), other = cnv_tensor_image(&change, i);
        int left = PANEL_MARGIN + i % 4 * (PAIR + GAP), y = top + i / 4 * ROW;
        ok = attack_says(e, &one, text, sizeof text) &&
             attack_tile(sheet, &one, left, y, TILE, text) &&
             attack_tile(sheet, &other, left + TILE + 4, y, TILE, "");
    }
    cnv_tensor_free(&change);
    return ok;
}

/* Pictures of up to 4 different classes, none of them the target. */
static void targeted_others(const example *e, const dataset *d, int target, cnv_tensor *clean,
                            int *targets)
{
    int i, k, n = 0, known[4];
    example_check(e, cnv_tensor_resize(clean, 4, 3, d->side, d->side));
    for (i = 0; i < d->n && n < 4; i++) {
        for (k = 0; k < n && known[k] != d->labels[i];) k++;
        if (k < n || d->labels[i] == target) continue;
        dataset_picture(d, i, 0, cnv_tensor_image(clean, n).data);
        known[n] = d->labels[i], targets[n++] = target;
    }
    clean->n = n;
}

/* The scene as everything, and everything as the target. */
static void targeted_picture(const example *e, const dataset *d, int target,
                             const targeted_setting *set, cnv_tensor *sheet)
{
    cnv_tensor clean = {0}, x = {0}, one;
    int targets[GRID], top = 112 + GRID / 4 * ROW, i, n = e->classes < GRID ? e->classes : GRID;
    char text[160];
    snprintf(text, sizeof text, "One scene becomes every class: no pixel changes by more than "
             "%d/255 = %.3f", set->eps, set->eps / 255.0);
    example_check(e, cnv_canvas(sheet, top + ROW + 60, 2 * PANEL_MARGIN + 4 * PAIR + 3 * GAP,
                                panel_white));
    cnv_text(sheet, PANEL_MARGIN, 38, 21, panel_black, text);
    cnv_text(sheet, PANEL_MARGIN, 70, 11, panel_gray, "Beside each result: its change, x 10. First "
             "the scene as it was.");
    for (i = 0; i < n; i++) targets[i] = (e->predicted + i * e->classes / n) % e->classes;
    example_check(e, attack_copies(&e->image, n, &clean) &&
                     targeted(e, &clean, targets, set, &x));
    one = cnv_tensor_image(&x, 0);
    example_check(e, cnv_tensor_copy(&e->image, &one));
    attack_reload(e, "attacked", &x);
    example_check(e, targeted_pairs(sheet, 98, e, &clean, &x));
    printf("%d of its %d pictures are what they shall be; none changed by more than %.0f/255\n",
           attack_count(e, &x, targets), x.n, attack_size(&clean, &x));
    snprintf(text, sizeof text, "... and everything becomes \"%s\"", e->class_names[target]);
    cnv_text(sheet, PANEL_MARGIN, top, 21, panel_black, text);
    targeted_others(e, d, target, &clean, targets);
    example_check(e, !clean.n || (targeted(e, &clean, targets, set, &x) &&
                                  targeted_pairs(sheet, top + 42, e, &clean, &x)));
    cnv_tensor_free(&clean), cnv_tensor_free(&x);
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "steps towards any class", NULL,
                              "target,eps,steps,momentum,data,images");
    int want = (int)example_number(&e, "eps", 0, 0, 255), *targets;
    int target = attack_target(&e, e.classes > 1);
    targeted_setting set = {8, 10, 0}, once = {8, 1, 0};
    cnv_tensor sheet = {0};
    double success;
    dataset d;
    set.steps = (int)example_number(&e, "steps", 10, 2, 10000);
    set.momentum = example_number(&e, "momentum", 0.5, 0, 1);
    set.eps = once.eps = want ? want : 8;
    attack_pictures(&e, (int)example_number(&e, "images", 100, 1, 100000), &d);
    targets = attack_draw(&e, &d);
    attack_round(&e.image);
    printf("%s towards a class by chance:\n  eps %2d/255,  1 step (FGSM) %.3f\n",
           example_count(d.n, "picture"), set.eps, targeted_success(&e, &d, targets, &once));
    do {
        success = targeted_success(&e, &d, targets, &set);
        printf("  eps %2d/255, %2d steps       %.3f\n", set.eps, set.steps, success);
    } while (!want && success < 0.95 && set.eps < 16 && (set.eps += 2));
    targeted_picture(&e, &d, target, &set, &sheet);
    example_save(&e, &sheet);
    free(targets), cnv_tensor_free(&sheet), dataset_free(&d), example_end(&e);
    return 0;
}
#endif
