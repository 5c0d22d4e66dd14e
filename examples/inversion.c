/* inversion.c - what does a layer still know about the picture?

   Question   A layer turns a picture into numbers. Which pictures have these numbers: this one
              alone, or others too? What those do not share, the layer has forgotten.
   Formula    x* = argmin |phi(x) - phi(x0)|^2 / |phi(x0)|^2 + lambda TV(x),  x from random noise,
              TV(x) = sum over neighbours p, q of (x_p - x_q)^2
   Paper      Mahendran, Vedaldi: Understanding Deep Image Representations by Inverting Them (2015)
   Look for   From left to right a layer forgets: fine detail, colours (they become those of the
              noise at the start), where things are. What is the same from start to start it knows:
              at last, the object's outline. An untrained network does not prefer outlines.
   Measured   |phi(x) - phi(x0)| / |phi(x0)|, "apart", <= .05 at the first convolution, <= .2 later;
              PSNR of 8 pictures >= 25 dB at the first, falling until, at fc5, it is another's

       cc -O2 -fopenmp examples/inversion.c -o build/inversion -lm && build/inversion --seed 4   */
#include "ascent.h"
#include "panel.h"
#include "randomize.h"
#include "similarity.h"

enum { INVERSION_LAYERS = 7, INVERSION_ROWS = 4, INVERSION_SIDE = 192, INVERSION_CELL = 204 };

typedef struct {
    int node;
    cnv_tensor wanted;          /* phi(x0) [n,C,H,W] */
    double error;               /* mean of |phi(x) - phi(x0)| / |phi(x0)|, at the latest x */
} inversion_target;

/* Values: -|phi(x) - phi(x0)|^2 / |phi(x0)|^2 of each picture. setting: an inversion_target */
static int inversion_likeness(ascent *a, void *setting)
{
    inversion_target *t = (inversion_target *)setting;
    cnv_tensor *seed = cnv_seed(a->net, t->node);
    int i;
    if (!seed || !cnv_tensor_copy(&a->net->nodes[t->node].out, seed)) return 0;
    cnv_add_scaled(-1, &t->wanted, seed);
    for (i = 0, t->error = 0; i < seed->n; i++) {
        cnv_tensor apart = cnv_tensor_image(seed, i), wanted = cnv_tensor_image(&t->wanted, i);
        double length = cnv_dot(&wanted, &wanted) + 1e-30;
        double share = cnv_dot(&apart, &apart) / length;
        size_t k, size = cnv_tensor_size(&apart);
        a->value.data[i] = (float)-share, t->error += sqrt(share) / seed->n;
        for (k = 0; k < size; k++) apart.data[k] *= (float)(-2 / length);
    }
    return 1;
}

/* x: pictures that have the features of `images` [n,3,h,w] at t->node. They begin as noise of all
   frequencies. Lambda falls to a quarter every 12 steps while the features are further apart than
   `most`: thus x is about the smoothest picture with these features. */
static int inversion(const example *e, cnv_net *net, const cnv_tensor *images, int steps,
                     double most, inversion_target *t, cnv_tensor *x)
{
    ascent a = ascent_of(e, t->node, inversion_likeness, t);
    int i, ok = cnv_forward(net, images, t->node) &&
                cnv_tensor_copy(&net->nodes[t->node].out, &t->wanted);
    a.net = net, a.waves = 1;
    ok = ok && ascent_start(&a, images->n, images->h, images->w, 0.4) &&
         cnv_tensor_copy(&a.image, x) && ascent_from(&a, x);
    a.method = ASCENT_LBFGS, a.rate = 0.01, a.variation = 0.01;
    for (i = 0; ok && i < steps; i++) {
        if (i && i % 12 == 0 && t->error > most)
            a.variation /= 4, a.steps = 0; /* another function: L-BFGS begins anew */
        ok = ascent_step(&a);
    }
    ok = ok && cnv_tensor_copy(&a.image, x);
    ascent_end(&a), cnv_tensor_free(&t->wanted);
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
/* The program's picture, a scene of another class, and the picture twice again. */
static int inversion_images(const example *e, cnv_tensor *images)
{
    int i, side = e->image.h;
    toy_scene other = toy_make(EXAMPLE_HELD_OUT + e->seed, NULL);
    while (e->has_scene && other.class_id == e->scene.class_id)
        other = toy_make(other.seed + 1, NULL);
    if (!cnv_tensor_resize(images, INVERSION_ROWS, 3, side, side)) return 0;
    for (i = 0; i < INVERSION_ROWS; i++)
        memcpy(cnv_tensor_image(images, i).data, e->image.data,
               cnv_tensor_size(&e->image) * sizeof(float));
    toy_render(&other, side, cnv_tensor_image(images, 1).data, NULL, NULL), example_gray(e, images);
    return 1;
}

/* Pictures [n,3,h,w] from cell (column, row) of the sheet down. */
static int inversion_column(cnv_tensor *sheet, int column, int row, const cnv_tensor *pictures,
                            const char *title)
{
    cnv_tensor large = {0}, fit = {0};
    int i, x = PANEL_MARGIN + column * INVERSION_CELL;
    int ok = cnv_enlarge(pictures, 1 + (INVERSION_SIDE - 1) / pictures->h, &large) &&
             cnv_resize(&large, INVERSION_SIDE, INVERSION_SIDE, &fit);
    for (i = 0; ok && i < pictures->n; i++) {
        cnv_tensor one = cnv_tensor_image(&fit, i);
        cnv_paste(sheet, &one, x, 116 + (row + i) * INVERSION_CELL);
    }
    cnv_text(sheet, x, 92, 12, panel_black, title);
    cnv_tensor_free(&large), cnv_tensor_free(&fit);
    return ok;
}

/* The sheet with its title, its first column, and what the rows are. */
static int inversion_sheet(const cnv_tensor *images, int columns, cnv_tensor *sheet)
{
    static const char *const rows[] = {"the first again,", "from other noise", "and once again,",
                                       "from other noise", "the first, by an", "untrained network"};
    cnv_tensor two = cnv_tensor_view(images->data, 2, 3, images->h, images->w);
    int i, w = 2 * PANEL_MARGIN - 12 + columns * INVERSION_CELL, h = 138 + 5 * INVERSION_CELL;
    int ok = cnv_canvas(sheet, h, w, panel_white) &&
             inversion_column(sheet, 0, 0, &two, "the picture");
    cnv_text(sheet, PANEL_MARGIN, 38, 21, panel_black,
             "Inversion: pictures that are the same to a layer");
    for (i = 0; i < 6; i++)
        cnv_text(sheet, PANEL_MARGIN, 116 + (2 + i / 2) * INVERSION_CELL + 70 + i % 2 * 22, 12,
                 panel_black, rows[i]);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "pictures that are the same to a layer", NULL, "steps");
    int steps = (int)example_number(&e, "steps", 84, 0, 100000), layers[INVERSION_LAYERS], k;
    int n = randomize_layers(e.net, e.logits, layers, INVERSION_LAYERS);
    cnv_net *untrained = example_untrained(&e);
    cnv_tensor images = {0}, x = {0}, y = {0}, sheet = {0}, first, another;
    inversion_target trained = {0}, random = {0};
    double start = example_seconds(), most = 0.04;
    example_check(&e, inversion_images(&e, &images) && inversion_sheet(&images, n + 1, &sheet));
    first = cnv_tensor_image(&images, 0);
    printf("%-28s  apart    PSNR   PSNR of another | untrained: apart    PSNR\n", "layer");
    for (k = 0; k < n; k++, most = 0.15) {
        const char *name = e.net->nodes[layers[n - 1 - k]].name;
        trained.node = random.node = layers[n - 1 - k];
        example_check(&e, inversion(&e, e.net, &images, steps, most, &trained, &x) &&
                          inversion(&e, untrained, &first, steps, most, &random, &y) &&
                          inversion_column(&sheet, k + 1, 0, &x, name) &&
                          inversion_column(&sheet, k + 1, INVERSION_ROWS, &y, name));
        another = cnv_tensor_image(&x, 1);
        printf("%-28.28s %6.3f %7.1f %17.1f | %16.3f %7.1f\n", name, trained.error,
               similarity_psnr(&x, &images), similarity_psnr(&another, &first), random.error,
               similarity_psnr(&y, &first));
        example_progress("inverting", k + 1, n, start);
    }
    example_save(&e, &sheet);
    cnv_tensor_free(&images), cnv_tensor_free(&x), cnv_tensor_free(&y), cnv_tensor_free(&sheet);
    cnv_net_free(untrained), example_end(&e);
    return 0;
}
#endif
