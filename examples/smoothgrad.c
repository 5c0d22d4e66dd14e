/* smoothgrad.c - which slopes remain when the picture is shaken a little?

   Question   The gradient jumps from pixel to pixel, and from picture to nearly the same picture:
              what do the gradients of many noisy copies have in common?
   Formula    M = max over colours of |1/n * sum over k of dS_class/dx (x + N(0, sigma^2))|,
              sigma a share of the image's range; n = 50;   S the logit
   Paper      Smilkov, Thorat, Kim, Viegas, Wattenberg: SmoothGrad: removing noise by adding noise
              (2017), where sigma is 10% to 20% of the range
   Look for   With more noise single points give way to strokes along the outline; with too much the
              network no longer sees the object, and the map leaves it. The gain is small here: a
              small network has smoother gradients than the deep ones of the paper.
              (As there, the colours end at the 99th percentile.)
   Measured   sigma 0 is saliency; pointing >= that of saliency

       cc -O2 examples/smoothgrad.c -o build/smoothgrad -lm && build/smoothgrad --noise 0.2    */
#include "backprop.h"
#include "panel.h"
#include "truth.h"

typedef struct {
    int copies;                 /* n */
    double noise;               /* sigma, as a share of the image's range */
    unsigned long long seed;    /* of the noise: the same one, the same map */
} smoothgrad_setting;

/* A copy of the image with noise of standard deviation sigma. */
static void smoothgrad_shake(const cnv_tensor *image, double sigma, cnv_rng *rng, cnv_tensor copy)
{
    size_t i;
    for (i = 0; i < cnv_tensor_size(image); i++)
        copy.data[i] = image->data[i] + (float)(sigma * cnv_normal(rng));
}

/* map [1,1,H,W] for an image [1,3,H,W]. setting: a smoothgrad_setting. */
static int smoothgrad(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
                      void *setting, cnv_tensor *map)
{
    const smoothgrad_setting *set = (const smoothgrad_setting *)setting;
    cnv_rng rng = cnv_rng_seed(set->seed);
    cnv_tensor batch = {0}, sum = {0};
    double low, high;
    int i, k, ok = cnv_tensor_copy(image, &sum);
    cnv_range(image, &low, &high);
    if (ok) cnv_tensor_fill(&sum, 0);
    for (k = 0; ok && k < set->copies; k += batch.n) {
        ok = cnv_tensor_resize(&batch, example_batch(image, set->copies - k), image->c, image->h,
                               image->w);
        for (i = 0; ok && i < batch.n; i++)
            smoothgrad_shake(image, set->noise * (high - low), &rng, cnv_tensor_image(&batch, i));
        ok = ok && backprop_batch(net, logits, &batch, class_id, &sum);
    }
    ok = ok && backprop_steepest(&sum, map);
    for (i = 0; ok && i < map->h * map->w; i++) map->data[i] /= (float)set->copies;
    cnv_tensor_free(&batch), cnv_tensor_free(&sum);
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
/* The scene and maps from no noise to much; one noisy copy, and its map over the scene. */
static int smoothgrad_picture(const example *e, const smoothgrad_setting *set, panel_sheet *sheet)
{
    const double noise[5] = {0, set->noise / 2, set->noise, set->noise * 2, set->noise * 4};
    static const int cell[5] = {1, 2, 3, 5, 6};
    cnv_rng rng = cnv_rng_seed(set->seed);
    cnv_tensor map = {0}, copy = {0};
    smoothgrad_setting one = *set;
    char text[128];
    double low, high;
    int i, ok;
    snprintf(text, sizeof text, "SmoothGrad of \"%s\", the mean of %d noisy %s",
             e->class_names[e->class_id], set->copies, set->copies == 1 ? "copy" : "copies");
    ok = panel_begin(sheet, 4, 2, text) && panel_scene(sheet, 0, e);
    for (i = 0; ok && i < 5; i++) {
        one.noise = noise[i];
        snprintf(text, sizeof text, i ? "noise of %.3g%%" : "no noise: saliency", 100 * noise[i]);
        ok = smoothgrad(e->net, e->logits, &e->image, e->class_id, &one, &map) &&
             panel_map(sheet, cell[i], &map, CNV_MAP_VIRIDIS, 0, panel_percentile(&map, 0.99),
                       text);
        snprintf(text, sizeof text, "noise of %.3g%%, blurred by 2%%", 100 * noise[i]);
        if (ok && i == 2) ok = panel_over(sheet, 7, e, &map, 0.02, text, "red: the steepest");
    }
    ok = ok && cnv_tensor_copy(&e->image, &copy);
    cnv_range(&e->image, &low, &high);
    snprintf(text, sizeof text, "one of the copies: noise of %.3g%%", 100 * set->noise);
    if (ok) smoothgrad_shake(&e->image, set->noise * (high - low), &rng, copy);
    ok = ok && panel_picture(sheet, 4, &copy, text, "of the image's range");
    cnv_tensor_free(&map), cnv_tensor_free(&copy);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "the mean gradient of noisy copies", NULL,
                              "copies,noise,scenes");
    int scenes = (int)example_number(&e, "scenes", 40, 0, 100000);
    smoothgrad_setting set = {0, 0, 0}, none = {1, 0, 0};
    panel_sheet sheet = {{0}, 0};
    truth_table table = {0};
    double start = example_seconds();
    set.copies = (int)example_number(&e, "copies", 50, 1, 100000), set.seed = e.seed;
    set.noise = example_number(&e, "noise", 0.15, 0, 10);
    example_check(&e, smoothgrad_picture(&e, &set, &sheet));
    example_rate(5 * set.copies, start);
    example_save(&e, &sheet.picture);
    truth_add(&table, "SmoothGrad", smoothgrad, &set, TRUTH_BLUR);
    truth_add(&table, "no noise: saliency", smoothgrad, &none, TRUTH_BLUR);
    truth_report(&e, &table, scenes);
    panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
