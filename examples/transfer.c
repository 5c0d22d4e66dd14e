/* transfer.c - an attack on a network that one can only ask

   Question   Can a network be fooled by somebody who sees neither its weights nor its data, only
              its answers?
   Formula    substitute F <- trained on (x, victim's answer to x), then more questions:
              x' = x + lambda sign(dF_answer/dx) for each x, asked as well, and so on
              attack: x + eps sign(dJ_F/dx), by F's slope alone, shown to the victim
   Paper      Papernot et al.: Practical Black-Box Attacks against Machine Learning (2017),
              section 4
   Look for   A crude copy, which agrees with the victim on half of all new pictures, knows where
              it can be hurt: networks that learn the same thing err alike. (But not as easily as
              by its own slope: the change must be large, and noise of that size is harmless.)
   Measured   the attack changes >= 3 times as many of the victim's answers as random signs of the
              same size; beside it the same attack by the victim's own slope

       cc -O2 -fopenmp examples/transfer.c -o build/transfer -lm && build/transfer --eps 16   */
#include "substitute.h"

enum { TRANSFER_ROUNDS = 1, TRANSFER_LAMBDA = 26, TRANSFER_POINTS = 6 };
static const int transfer_eps[TRANSFER_POINTS] = {0, 4, 8, 16, 24, 32};

/* Jacobian augmentation: each question once more, moved by lambda along the sign of the slope of
   its answer in the substitute: to where that says most about how the answer changes. */
static int transfer_augment(substitute *a, int lambda)
{
    cnv_tensor slope = {0}, from, to;
    int i, n = a->n, ok = 1;
    for (i = 0; ok && i < n; i += from.n) {
        from = cnv_tensor_image(&a->x, i), to = cnv_tensor_image(&a->x, n + i);
        from.n = to.n = n - i < ATTACK_BATCH ? n - i : ATTACK_BATCH;
        ok = attack_slope(a->net, a->logits, &from, a->answers + i, &slope) &&
             attack_sign(&from, &slope, -lambda, &to);
    }
    a->n = 2 * n;
    cnv_tensor_free(&slope);
    return ok;
}

/* All that the attacker does: asks about the pictures before `first`, trains, asks about as many
   made from them, and trains again. */
static void transfer(const example *victim, const dataset *d, int first, int epochs, substitute *a)
{
    double start = example_seconds();
    int round, i, most = first << TRANSFER_ROUNDS;
    example_check(victim, substitute_begin(a, most, d->side, victim->classes, victim->seed));
    for (i = 0; i < first; i++) dataset_picture(d, i, 0, cnv_tensor_image(&a->x, i).data);
    a->n = first;
    for (round = 0; round <= TRANSFER_ROUNDS; round++) {
        int known = round ? a->n : 0;
        example_check(victim, (!round || transfer_augment(a, TRANSFER_LAMBDA)) &&
                              substitute_ask(victim, a, known) && substitute_train(a, epochs));
        example_progress("training the substitute", a->n, most, start);
    }
}

#ifndef EXAMPLE_NO_MAIN
/* The first of the pictures from `first` on with which it works at this eps; else the last. */
static void transfer_example(const example *e, const dataset *d, int first,
                             const substitute *a, int eps, cnv_tensor *clean, cnv_tensor *x)
{
    cnv_tensor slope = {0};
    int i;
    for (i = first; i < d->n; i++) {
        dataset_batch(e, d, i, 1, clean);
        example_check(e, attack_slope(a->net, a->logits, clean, d->labels + i, &slope) &&
                         attack_sign(clean, &slope, eps, x));
        if (!attack_count(e, x, d->labels + i)) break;
    }
    cnv_tensor_free(&slope);
}

int main(int argc, char **argv)
{
    static const char *const names[3] = {"by the substitute", "by the victim's slope",
                                         "random signs"};
    example e = example_begin(argc, argv, "attack on a network that one can only ask", NULL,
                              "eps,questions,epochs,data,images"), attacker = e;
    int images = (int)example_number(&e, "images", 200, 2, 100000), first, k;
    int eps = (int)example_number(&e, "eps", 24, 1, 255);
    double right[3][TRANSFER_POINTS], agreement[TRANSFER_POINTS];
    substitute a;
    cnv_tensor clean = {0}, x = {0};
    panel_sheet sheet = {{0}, 0};
    dataset d;
    first = (int)example_number(&e, "questions", 1000, 1, 100000);
    attack_pictures(&e, first + images, &d);
    if (d.n < 2) example_fail(&e, "needs at least two pictures");
    if (first > d.n - images) first = (d.n + 1) / 2;
    transfer(&e, &d, first, (int)example_number(&e, "epochs", 4, 1, 1000), &a);
    attacker.net = a.net, attacker.logits = a.logits;
    attack_sweep(&attacker, &d, first, NULL, 0, transfer_eps, 1, agreement);
    attack_sweep(&e, &d, first, a.net, a.logits, transfer_eps, TRANSFER_POINTS, right[0]);
    attack_sweep(&e, &d, first, e.net, e.logits, transfer_eps, TRANSFER_POINTS, right[1]);
    attack_sweep(&e, &d, first, NULL, 0, transfer_eps, TRANSFER_POINTS, right[2]);
    transfer_example(&e, &d, first, &a, eps, &clean, &x);
    attack_reload(&e, "attacked", &x);
    example_check(&e, panel_begin(&sheet, 3, 2, "Fooled by the slope of a substitute") &&
                      attack_equation(&sheet, 0, &e, &clean, &x, eps) &&
                      attack_plot(&sheet, 3, "% right", transfer_eps, TRANSFER_POINTS, right[0],
                                  names, 3) && attack_control(&sheet, 5, &e, &clean, eps));
    example_save(&e, &sheet.picture);
    printf("%s; the substitute agrees on %.1f%% of %s\n", example_count(a.n, "question"),
           100 * agreement[0], example_count(d.n - first, "other picture"));
    printf("%% of answers changed, at eps");
    for (k = 0; k < TRANSFER_POINTS; k++) printf("%6d", transfer_eps[k]);
    for (k = 0; k < 3 * TRANSFER_POINTS; k++) {
        if (k % TRANSFER_POINTS == 0) printf("\n  %-26s", names[k / TRANSFER_POINTS]);
        printf("%6.1f", 100 * (1 - right[k / TRANSFER_POINTS][k % TRANSFER_POINTS]));
    }
    printf("\n");
    substitute_end(&a), cnv_tensor_free(&clean), cnv_tensor_free(&x), dataset_free(&d);
    panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
