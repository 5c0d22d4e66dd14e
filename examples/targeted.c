/* targeted.c - everything becomes an ostrich

   Question   Can one and the same picture be made into anything we choose, and any picture into one
              chosen thing?
   Formula    x <- clip(x - alpha sign(m)) to |x - x0| <= eps and [0,1], alpha = 2.5 eps / steps
              m <- mu m + dJ/dx / mean |dJ/dx|,   J = -log P(target);   mu = 0: plain PGD
   Paper      Szegedy et al.: Intriguing properties of neural networks (2013), figure 5; Kurakin et
              al. (2016) and Madry et al. (2017): many small steps; Dong et al. (2017): momentum
   Look for   A dozen answers to what the eye takes for the same picture. The changes, 10-fold
              beside each, follow the object's outlines and are no shape of the target.
   Measured   the answer is a target drawn by chance in >= 95% of 200 held-out scenes at eps 8/255,
              or at the eps that is printed; many steps never below one step (FGSM) of that size

       cc -O2 -fopenmp examples/targeted.c -o build/targeted -lm && build/targeted --class bird */
#include "attack.h"

typedef struct {
    int eps, steps;  /* eps in levels of 255; 1 step of eps: the fast gradient sign method */
    double momentum; /* mu */
} targeted_setting;

/* attacked [N,3,H,W] from clean pictures of 8 bits, each towards its target. */
static int targeted(cnv_net *net, int logits, const cnv_tensor *clean, const int *targets,
                    const targeted_setting *set, cnv_tensor *attacked)
{
    cnv_tensor slope = {0}, m = {0};
    double alpha = set->steps > 1 ? 2.5 * set->eps / set->steps : set->eps;
    int step, ok = cnv_tensor_copy(clean, attacked) && cnv_tensor_copy(clean, &m);
    if (ok) cnv_tensor_fill(&m, 0);
    for (step = 0; ok && step < set->steps; step++) {
        ok = attack_slope(net, logits, attacked, targets, &slope);
        if (ok) attack_momentum(set->momentum, &slope, &m);
        if (ok) attack_step(clean, &m, set->eps, -alpha, attacked);
    }
    if (ok) attack_round(attacked);
    cnv_tensor_free(&slope), cnv_tensor_free(&m);
    return ok;
}

/* The share of the pictures that become their targets. */
static double targeted_success(const example *e, const dataset *d, const int *targets,
                               const targeted_setting *set)
{
    cnv_tensor clean = {0}, x = {0};
    const int *labels;
    double start = example_seconds();
    int i, hits = 0;
    for (i = 0; i < d->n; i += clean.n) {
        attack_batch(e, d, i, &clean, &labels);
        example_check(e, targeted(e->net, e->logits, &clean, targets + i, set, &x));
        hits += attack_count(e, &x, targets + i);
        example_progress("attacking", i + clean.n, d->n, start);
    }
    cnv_tensor_free(&clean), cnv_tensor_free(&x);
    return (double)hits / d->n;
}

#ifndef EXAMPLE_NO_MAIN
enum { GRID = 12 };

/* The scene once for each class, at most GRID of them; its own class is the first. */
static void targeted_copies(const example *e, cnv_tensor *clean, int *targets)
{
    int i, n = e->classes < GRID ? e->classes : GRID;
    example_check(e, cnv_tensor_resize(clean, n, 3, e->image.h, e->image.w));
    for (i = 0; i < n; i++) {
        cnv_tensor to = cnv_tensor_image(clean, i);
        targets[i] = (e->predicted + i * e->classes / n) % e->classes;
        example_check(e, cnv_tensor_copy(&e->image, &to));
    }
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

/* The scene as everything, and everything as one class: "bird", if there is such a thing. */
static void targeted_picture(const example *e, const dataset *d, const targeted_setting *set,
                             cnv_tensor *sheet)
{
    cnv_tensor clean = {0}, x = {0}, one;
    int targets[GRID], target = e->class_id, i, top = 112 + GRID / 4 * ATTACK_ROW;
    char text[160];
    for (i = 0; !example_text(e, "class", NULL) && i < e->classes; i++)
        if (!strcmp(e->class_names[i], "bird")) target = i;
    snprintf(text, sizeof text, "One scene becomes every class: no pixel changes by more than "
             "%d/255 = %.3f", set->eps, set->eps / 255.0);
    example_check(e, cnv_canvas(sheet, top + ATTACK_ROW + 40, 2 * PANEL_MARGIN + 4 * ATTACK_PAIR +
                                3 * 28, panel_white));
    cnv_text(sheet, PANEL_MARGIN, 38, 21, panel_black, text);
    cnv_text(sheet, PANEL_MARGIN, 70, 11, panel_gray, "Beside each result: its change, x 10. First "
             "the scene as it was.");
    targeted_copies(e, &clean, targets);
    example_check(e, targeted(e->net, e->logits, &clean, targets, set, &x));
    one = cnv_tensor_image(&x, 0);
    example_check(e, cnv_tensor_copy(&e->image, &one));
    attack_reload(e, "attacked", &x);
    example_check(e, attack_pairs(sheet, 98, e, &clean, &x));
    printf("%d of its %d pictures are what they shall be; none changed by more than %.0f/255\n",
           attack_count(e, &x, targets), x.n, attack_size(&clean, &x));
    snprintf(text, sizeof text, "... and everything becomes \"%s\"", e->class_names[target]);
    cnv_text(sheet, PANEL_MARGIN, top, 21, panel_black, text);
    targeted_others(e, d, target, &clean, targets);
    example_check(e, !clean.n || (targeted(e->net, e->logits, &clean, targets, set, &x) &&
                                  attack_pairs(sheet, top + 42, e, &clean, &x)));
    cnv_tensor_free(&clean), cnv_tensor_free(&x);
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "steps towards any class", NULL,
                              "eps,steps,momentum,data,images");
    int want = (int)example_number(&e, "eps", 0, 0, 255), *targets;
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
    printf("%d pictures towards a class by chance:\n  eps %2d/255,  1 step (FGSM) %.3f\n", d.n,
           set.eps, targeted_success(&e, &d, targets, &once));
    do {
        success = targeted_success(&e, &d, targets, &set);
        printf("  eps %2d/255, %2d steps       %.3f\n", set.eps, set.steps, success);
    } while (!want && success < 0.95 && set.eps < 16 && (set.eps += 2));
    targeted_picture(&e, &d, &set, &sheet);
    example_save(&e, &sheet);
    free(targets), cnv_tensor_free(&sheet), dataset_free(&d), example_end(&e);
    return 0;
}
#endif
