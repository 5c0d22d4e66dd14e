/* attack.h: what the adversarial programs share: the slope of the loss, a step along its sign,
   pictures of 8 bits, pictures to attack, and the row "image + perturbation = result".

   eps counts whole levels of 255, the only ones that a picture file knows: eps 8 is 8/255 = .0314
   of the range [0,1]. Clean pictures are rounded to these levels before an attack and results after
   it, so that what is claimed of a result holds for its file.

       dataset d = {0};
       attack_pictures(&e, 200, &d);                        // that the network answers right
       dataset_batch(&e, &d, 0, ATTACK_BATCH, &clean);
       attack_slope(net, logits, &clean, d.labels, &slope); // dJ/dx, J = -log P(label)
       attack_sign(&clean, &slope, eps, &x);                // x + eps sign(dJ/dx): FGSM         */
#ifndef ATTACK_H
#define ATTACK_H

#include "objectives.h"
#include "datasets.h"
#include "panel.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

enum { ATTACK_BATCH = 64 };

/* ---- The attack ---- */

/* To the nearest of the 256 levels of a file. */
static inline void attack_round(cnv_tensor *x)
{
    size_t i, size = cnv_tensor_size(x);
    for (i = 0; i < size; i++)
        x->data[i] = floorf(255 * fminf(1, fmaxf(0, x->data[i])) + 0.5f) / 255;
}

/* slope [N,3,H,W] = dJ/dx of each picture, J = -log P(label). */
static inline int attack_slope(cnv_net *net, int logits, const cnv_tensor *x, const int *labels,
                               cnv_tensor *slope)
{
    size_t i;
    net->relu_rule = CNV_GRADIENT;
    if (!cnv_forward(net, x, logits) || !ascent_seed_log_p(net, logits, labels) ||
        !cnv_backward(net, 0) || !cnv_tensor_copy(&net->nodes[0].grad, slope))
        return 0;
    for (i = 0; i < cnv_tensor_size(slope); i++) slope->data[i] = -slope->data[i];
    return 1;
}

/* x = clean + eps sign(slope), rounded to 8 bits in [0,1]; eps in levels of 255. */
static inline int attack_sign(const cnv_tensor *clean, const cnv_tensor *slope, int eps,
                              cnv_tensor *x)
{
    size_t i, size = cnv_tensor_size(clean);
    if (!cnv_tensor_copy(clean, x)) return 0;
    for (i = 0; i < size; i++)
        x->data[i] += (float)((slope->data[i] > 0) - (slope->data[i] < 0)) * (float)eps / 255;
    attack_round(x);
    return 1;
}

/* The control: every number goes up or down by eps, by chance; what is gray stays gray. */
static inline int attack_noise(const example *e, const cnv_tensor *clean, int eps, cnv_rng *rng,
                               cnv_tensor *x)
{
    size_t i, size = cnv_tensor_size(clean), plane = (size_t)clean->h * (size_t)clean->w;
    if (!cnv_tensor_copy(clean, x)) return 0;
    for (i = 0; i < size; i++)
        if (e->gray && i / plane % 3) x->data[i] = x->data[i - plane];
        else x->data[i] += (float)(cnv_random(rng) & 1 ? eps : -eps) / 255;
    attack_round(x);
    return 1;
}

/* The same picture n times. */
static inline int attack_copies(const cnv_tensor *one, int n, cnv_tensor *copies)
{
    int i, ok = cnv_tensor_resize(copies, n, 3, one->h, one->w);
    for (i = 0; ok && i < n; i++) {
        cnv_tensor to = cnv_tensor_image(copies, i);
        ok = cnv_tensor_copy(one, &to);
    }
    return ok;
}

/* The largest change, in levels of 255. */
static inline double attack_size(const cnv_tensor *clean, const cnv_tensor *x)
{
    size_t i, size = cnv_tensor_size(x);
    double most = 0;
    for (i = 0; i < size; i++)
        most = fmax(most, 255 * fabs((double)x->data[i] - (double)clean->data[i]));
    return most;
}

/* ---- Pictures to attack ---- */

/* At most n pictures that the network answers right, from --data or held-out scenes. Where their
   classes are not the network's, each is labelled with the network's answer. */
static inline void attack_pictures(const example *e, int n, dataset *d)
{
    cnv_tensor images = {0};
    int i, k, same, kept = 0;
    size_t bytes;
    *d = dataset_of(e, n + n / 8 + 8);
    bytes = dataset_image_bytes(d), same = d->classes == e->classes;
    for (i = 0; same && i < d->classes; i++) same = !strcmp(d->names[i], e->class_names[i]);
    for (i = 0; i < d->n && kept < n; i += images.n) {
        dataset_batch(e, d, i, ATTACK_BATCH, &images);
        example_check(e, cnv_forward(e->net, &images, e->logits));
        for (k = 0; k < images.n && kept < n; k++) {
            int answer = example_answer(e, k);
            if (same && answer != d->labels[i + k]) continue;
            memmove(d->pixels + (size_t)kept * bytes, d->pixels + (size_t)(i + k) * bytes, bytes);
            d->labels[kept++] = answer;
        }
    }
    d->n = kept;
    cnv_tensor_free(&images);
    if (!kept) example_fail(e, "the network answers none of the pictures right");
}

/* How many of the pictures x the network answers with these labels. */
static inline int attack_count(const example *e, const cnv_tensor *x, const int *labels)
{
    int i, count = 0;
    example_check(e, cnv_forward(e->net, x, e->logits));
    for (i = 0; i < x->n; i++) count += example_answer(e, i) == labels[i];
    return count;
}

/* The class after --target, or another one. */
static inline int attack_target(const example *e, int otherwise)
{
    const char *name = example_text(e, "target", NULL);
    return name ? example_class(e, name) : otherwise;
}

/* For each picture a class by chance that is not its own. The caller frees it. */
static inline int *attack_draw(const example *e, const dataset *d)
{
    int i, *targets = (int *)malloc((size_t)d->n * sizeof *targets);
    cnv_rng rng = cnv_rng_seed(e->seed);
    if (!targets || e->classes < 2) example_fail(e, "the network knows no other class to aim at");
    for (i = 0; i < d->n; i++)
        targets[i] = (d->labels[i] + 1 + (int)(cnv_uniform(&rng) * (e->classes - 1))) % e->classes;
    return targets;
}

/* For each eps, the share of the pictures from `first` on that e's network still answers right when
   they are moved by eps along the sign of a network's slope, its own or another's; net NULL: along
   random signs. */
static inline void attack_sweep(const example *e, const dataset *d, int first, cnv_net *net,
                                int logits, const int *eps, int points, double *right)
{
    cnv_tensor clean = {0}, x = {0}, slope = {0};
    cnv_rng rng = cnv_rng_seed(e->seed);
    double start = example_seconds();
    int i, k;
    for (k = 0; k < points; k++) right[k] = 0;
    for (i = first; i < d->n; i += clean.n) {
        const int *labels = d->labels + i;
        dataset_batch(e, d, i, ATTACK_BATCH, &clean);
        example_check(e, !net || attack_slope(net, logits, &clean, labels, &slope));
        for (k = 0; k < points; k++) { /* one slope serves all eps */
            example_check(e, net ? attack_sign(&clean, &slope, eps[k], &x)
                                 : attack_noise(e, &clean, eps[k], &rng, &x));
            right[k] += (double)attack_count(e, &x, labels) / (d->n - first);
        }
        example_progress("attacking", i + clean.n - first, d->n - first, start);
    }
    cnv_tensor_free(&clean), cnv_tensor_free(&x), cnv_tensor_free(&slope);
}

/* ---- Files and pictures ---- */

/* Saves results [N,3,H,W] as one picture beside the program's own, "fgsm.png" -> "fgsm_WHAT.ppm",
   and reads them back from there: what is claimed is claimed of the file. */
static inline void attack_reload(const example *e, const char *what, cnv_tensor *x)
{
    char path[1024];
    cnv_tensor sheet = {0};
    const char *dot = strrchr(e->out, '.');
    int i, stem = (int)(dot ? dot - e->out : (long)strlen(e->out)), columns = x->n < 12 ? x->n : 12;
    snprintf(path, sizeof path, "%.*s_%s.ppm", stem, e->out, what);
    example_check(e, cnv_montage(x, columns, 0, &sheet) && cnv_image_save(path, &sheet) &&
                     cnv_image_load(path, &sheet));
    for (i = 0; i < x->n; i++) {
        cnv_tensor one = cnv_tensor_image(x, i);
        cnv_paste(&one, &sheet, -(i % columns) * x->w, -(i / columns) * x->h);
    }
    printf("wrote %s and read it back\n", path);
    cnv_tensor_free(&sheet);
}

/* 10 times the change around grey. */
static inline int attack_change(const cnv_tensor *clean, const cnv_tensor *x, cnv_tensor *change)
{
    size_t i, size = cnv_tensor_size(x);
    if (!cnv_tensor_copy(x, change)) return 0;
    for (i = 0; i < size; i++)
        change->data[i] = fminf(1, fmaxf(0, 0.5f + 10 * (x->data[i] - clean->data[i])));
    return 1;
}

/* "fish, 99.87% confidence": the network's answer to one picture. */
static inline int attack_says(const example *e, const cnv_tensor *x, char *text, size_t size)
{
    int answer;
    if (!cnv_forward(e->net, x, e->logits)) return 0;
    answer = example_answer(e, 0);
    snprintf(text, size, "%s, %.2f%% confidence", e->class_names[answer],
             100 * example_probability(e, answer));
    return 1;
}

/* A small framed picture of any size, with a line of text under it. */
static inline int attack_tile(cnv_tensor *sheet, const cnv_tensor *tile, int x, int y, int side,
                              const char *caption)
{
    cnv_tensor large = {0}, fit = {0};
    int ok = cnv_enlarge(tile, (side + tile->h - 1) / tile->h, &large) &&
             cnv_resize(&large, side, side, &fit);
    if (ok) cnv_paste(sheet, &fit, x, y);
    cnv_frame(sheet, x - 1, y - 1, side + 2, side + 2, 1, panel_gray);
    cnv_text(sheet, x, y + side + 9, 11, panel_black, caption);
    cnv_tensor_free(&large), cnv_tensor_free(&fit);
    return ok;
}

/* Three cells of a sheet, from `index` on: image + perturbation = result. */
static inline int attack_equation(panel_sheet *sheet, int index, const example *e,
                                  const cnv_tensor *clean, const cnv_tensor *x, int eps)
{
    cnv_tensor change = {0};
    char text[128], note[160];
    int left, top, i, ok = attack_change(clean, x, &change) && attack_says(e, clean, text, 128);
    snprintf(note, sizeof note, "the image, %d x %d pixels", clean->h, clean->w);
    ok = ok && panel_picture(sheet, index, clean, text, note);
    ok = ok && attack_says(e, &change, text, 128);
    snprintf(note, sizeof note, "by itself: %s", text);
    snprintf(text, sizeof text, "at most %d/255 = %.4f, shown x 10", eps, eps / 255.0);
    ok = ok && panel_picture(sheet, index + 1, &change, text, note) &&
         attack_says(e, x, text, 128) &&
         panel_picture(sheet, index + 2, x, text, "the sum, as read back from its file");
    for (i = 0; ok && i < 2; i++) {
        panel_corner(sheet, index + i, &left, &top);
        left += PANEL_SIDE + PANEL_GAP / 2, top += PANEL_SIDE / 2;
        cnv_rectangle(&sheet->picture, left - 9, top - (i ? 6 : 1), 18, 3, panel_black);
        if (i) cnv_rectangle(&sheet->picture, left - 9, top + 4, 18, 3, panel_black);
        else cnv_rectangle(&sheet->picture, left - 1, top - 9, 3, 18, panel_black);
    }
    cnv_tensor_free(&change);
    return ok;
}

/* The control in a cell: the picture with random signs of the same size. */
static inline int attack_control(panel_sheet *sheet, int index, const example *e,
                                 const cnv_tensor *clean, int eps)
{
    cnv_rng rng = cnv_rng_seed(e->seed);
    cnv_tensor noise = {0};
    char text[128], note[128];
    int ok = attack_noise(e, clean, eps, &rng, &noise) && attack_says(e, &noise, text, sizeof text);
    snprintf(note, sizeof note, "the control: %d/255 up or down by chance", eps);
    ok = ok && panel_picture(sheet, index, &noise, text, note);
    cnv_tensor_free(&noise);
    return ok;
}

/* Shares by eps, one line each, as a plot over two cells. shares: [lines][points]. */
static inline int attack_plot(panel_sheet *sheet, int index, const char *y_label, const int *eps,
                              int points, const double *shares, const char *const *names, int lines)
{
    enum { POINTS = 32 };
    cnv_tensor picture = {0};
    cnv_plot plot = {0};
    double x[POINTS], y[POINTS];
    int i, k, left, top;
    plot.width = 2 * PANEL_SIDE + PANEL_GAP, plot.height = PANEL_SIDE + PANEL_FOOT - 12;
    plot.x_high = eps[points - 1], plot.y_high = 100, plot.y_label = y_label;
    plot.x_label = "eps in levels of 255: 8 is 8/255 = .031 of the range";
    if (!cnv_plot_begin(&plot, &picture)) return 0;
    for (i = 0; i < lines; i++) {
        for (k = 0; k < points && k < POINTS; k++)
            x[k] = eps[k], y[k] = 100 * shares[i * points + k];
        cnv_plot_line(&plot, &picture, x, y, k, NULL, names[i]);
    }
    panel_corner(sheet, index, &left, &top);
    cnv_paste(&sheet->picture, &picture, left - 16, top - 16);
    cnv_tensor_free(&picture);
    return 1;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
