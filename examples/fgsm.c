/* fgsm.c - one step along the sign of the slope, and the answer is another

   Question   How little must change in every pixel for the network to answer something else?
   Formula    x' = x + eps sign(dJ/dx),   J = -log P(class)
   Paper      Goodfellow, Shlens, Szegedy: Explaining and Harnessing Adversarial Examples (2014),
              section 4 and figure 1
   Look for   A change that the eye hardly sees and a confident wrong answer; changes of the same
              size by chance do nothing. A network that is nearly linear adds up thousands of
              small changes if all have the right sign.
   Measured   accuracy at each eps over 200 held-out scenes that the network answers right, beside
              random signs of the same size; the result, of 8 bits and read back from its file,
              still fools, and no pixel has changed by more than eps

       cc -O2 -fopenmp examples/fgsm.c -o build/fgsm -lm && build/fgsm --eps 4                */
#include "attack.h"

/* attacked [N,3,H,W] from clean pictures of 8 bits; eps in levels of 255. */
static int fgsm(cnv_net *net, int logits, const cnv_tensor *clean, const int *labels, int eps,
                cnv_tensor *attacked)
{
    cnv_tensor slope = {0};
    int ok = attack_slope(net, logits, clean, labels, &slope) &&
             attack_sign(clean, &slope, eps, attacked);
    cnv_tensor_free(&slope);
    return ok;
}

enum { FGSM_POINTS = 12 };
static const int fgsm_eps[FGSM_POINTS] = {0, 1, 2, 3, 4, 6, 8, 12, 16, 20, 26, 32};

#ifndef EXAMPLE_NO_MAIN
/* Attacks with the least eps up to 8 that makes the network 90% sure of something else, and returns
   it; from this scene on, the first with which that works (one in two, say). */
static int fgsm_least(example *e, cnv_tensor *x)
{
    int tries, eps, answer;
    for (tries = 0; tries < 20; tries++) {
        attack_round(&e->image); /* as a file would hold it */
        for (eps = 1; eps <= 8; eps++) {
            example_check(e, fgsm(e->net, e->logits, &e->image, &e->class_id, eps, x) &&
                             cnv_forward(e->net, x, e->logits));
            answer = example_answer(e, 0);
            if (answer != e->class_id && example_probability(e, answer) >= 0.9) return eps;
        }
        if (!e->has_scene || tries == 19) break;
        e->seed = e->scene.seed + 1;
        example_picture(e), e->class_id = e->predicted;
    }
    return 8;
}

/* What the network says of the result, which was to be no longer class_id. */
static void fgsm_verdict(const example *e, const cnv_tensor *x)
{
    char text[128];
    int right;
    example_check(e, attack_says(e, x, text, sizeof text));
    right = example_answer(e, 0) == e->class_id;
    printf("The file: %s; no pixel of \"%s\" changed by more than %.0f/255 = %.4f%s\n", text,
           e->class_names[e->class_id], attack_size(&e->image, x), attack_size(&e->image, x) / 255,
           right ? ": it does not fool." : ".");
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "the fast gradient sign method", NULL, "eps,data,images");
    int images = (int)example_number(&e, "images", 200, 1, 100000), eps, k;
    static const char *const names[2] = {"sign of the slope", "random signs"};
    double right[2][FGSM_POINTS];
    cnv_tensor x = {0};
    panel_sheet sheet = {{0}, 0};
    dataset d;
    attack_pictures(&e, images, &d);
    attack_round(&e.image);
    eps = (int)example_number(&e, "eps", 0, 0, 255);
    if (eps) example_check(&e, fgsm(e.net, e.logits, &e.image, &e.class_id, eps, &x));
    else eps = fgsm_least(&e, &x);
    attack_reload(&e, "attacked", &x);
    attack_sweep(&e, &d, 0, e.net, e.logits, fgsm_eps, FGSM_POINTS, right[0]);
    attack_sweep(&e, &d, 0, NULL, 0, fgsm_eps, FGSM_POINTS, right[1]);
    example_check(&e, panel_begin(&sheet, 3, 2, "Fast gradient sign: x + eps sign(dJ/dx)") &&
                      attack_equation(&sheet, 0, &e, &e.image, &x, eps) &&
                      attack_plot(&sheet, 3, "% right", fgsm_eps, FGSM_POINTS, right[0], names,
                                  2) &&
                      attack_control(&sheet, 5, &e, &e.image, eps));
    example_save(&e, &sheet.picture);
    fgsm_verdict(&e, &x);
    printf("%-12s%10s", example_count(d.n, "picture"), "eps");
    for (k = 0; k < FGSM_POINTS; k++) printf("%6d", fgsm_eps[k]);
    printf(" /255\n%% right, attacked    ");
    for (k = 0; k < FGSM_POINTS; k++) printf("%6.1f", 100 * right[0][k]);
    printf("\n%% right, random signs");
    for (k = 0; k < FGSM_POINTS; k++) printf("%6.1f", 100 * right[1][k]);
    printf("\n");
    cnv_tensor_free(&x), dataset_free(&d), panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
