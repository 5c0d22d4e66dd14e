/* deepdream.c - what does the network see in the clouds?

   Question   Whatever a layer finds in a picture, show it more of that: what comes out?
   Formula    maximize 1/2 |a(x)|^2, a = the activations at a layer, so the seed is a itself:
              x := clip(x + step g / mean |g|), g = d(1/2 |a|^2)/dx, on a pyramid of octaves
   Paper      Mordvintsev, Olah, Tyka: Inceptionism (2015), and their notebook dream.ipynb
   Look for   Early layers draw outlines and blobs, later ones pieces of what they were trained on:
              eyes, leaves, stripes, spots. The dream follows the picture: where a layer finds
              nothing at all, as in much of the sky, there is little to make more of.
   Measured   |a| >= 2x that of the picture, SSIM to it >= 0.3; random noise of the same strength
              must raise |a| far less

   The notebook has a jitter of 32 pixels, 4 octaves and 10 steps, for a network that was trained on
   224 x 224. Ours knows 64 x 64: a jitter of 3, and 7 octaves for large shapes too.
   And the gradient's colours are muted: else they become magenta and green (compare the
   decorrelated colours of Olah et al.: Feature Visualization, 2017).

       cc -O2 examples/deepdream.c -o build/deepdream -lm && build/deepdream --layer relu4    */

#include "panel.h"
#include "synthesis.h"

typedef struct {
    int octaves, steps, jitter; /* sizes of the picture; steps at each; the largest random shift */
    double scale, step;         /* between octaves; the mean change of a pixel in a step */
} dream_options;
static const dream_options dream_standard = {7, 10, 3, 1.4, 1.5 / 255};

/* The colours of natural pictures vary together, those of gradients do not. Of a gradient [1,3,h,w]
   the mean of the channels is kept, what sets them apart counts a third. */
static void mute_colours(cnv_tensor *g)
{
    int i, c, plane = g->h * g->w;
    for (i = 0; i < plane; i++) {
        float *pixel = g->data + i, gray = (pixel[0] + pixel[plane] + pixel[2 * plane]) / 3;
        for (c = 0; c < 3; c++) pixel[c * plane] = (pixel[c * plane] + 2 * gray) / 3;
    }
}

/* One step of gradient ascent on 1/2 |a|^2 from a place shifted by jitter. */
static int dream_step(cnv_net *net, int layer, const dream_options *o, cnv_rng *rng, cnv_tensor *x,
                      cnv_tensor *shifted)
{
    int dx = (int)(cnv_uniform(rng) * (2 * o->jitter + 1)) - o->jitter;
    int dy = (int)(cnv_uniform(rng) * (2 * o->jitter + 1)) - o->jitter;
    size_t i, size = cnv_tensor_size(x);
    double mean = 1e-12;
    cnv_tensor *seed, *g = &net->nodes[0].grad;
    if (!cnv_roll(x, dx, dy, shifted) || !cnv_forward(net, shifted, layer)) return 0;
    seed = cnv_seed(net, layer);
    if (!seed || !cnv_tensor_copy(&net->nodes[layer].out, seed) || !cnv_backward(net, 0)) return 0;
    mute_colours(g);
    for (i = 0; i < size; i++) mean += fabs((double)g->data[i]) / (double)size;
    for (i = 0; i < size; i++) {
        double v = (double)shifted->data[i] + o->step * (double)g->data[i] / mean;
        shifted->data[i] = (float)(v < 0 ? 0 : v > 1 ? 1 : v);
    }
    return cnv_roll(shifted, -dx, -dy, x);
}

/* From the smallest octave to the whole picture: dream, and carry what was added (the detail) up to
   the next size. Octaves below 32 pixels are left out. image and dream [1,3,h,w] in [0,1]. */
static int deepdream(cnv_net *net, int layer, const cnv_tensor *image, const dream_options *o,
                     uint64_t seed, cnv_tensor *dream)
{
    cnv_tensor base = {0}, detail = {0}, larger = {0}, shifted = {0};
    cnv_rng rng = cnv_rng_seed(seed);
    int octave, i, ok = 1;
    size_t k;
    for (octave = o->octaves - 1; ok && octave >= 0; octave--) {
        double shrink = pow(o->scale, octave);
        int h = (int)(image->h / shrink + 0.5), w = (int)(image->w / shrink + 0.5);
        if (octave && (h < 32 || w < 32)) continue;
        ok = cnv_resize(image, h, w, &base) && cnv_tensor_copy(&base, dream);
        if (ok && detail.data)
            ok = cnv_resize(&detail, h, w, &larger) && cnv_add_forward(&base, &larger, dream);
        for (i = 0; ok && i < o->steps; i++)
            ok = dream_step(net, layer, o, &rng, dream, &shifted);
        ok = ok && cnv_tensor_copy(dream, &detail);
        for (k = 0; ok && k < cnv_tensor_size(&base); k++) detail.data[k] -= base.data[k];
    }
    cnv_tensor_free(&base), cnv_tensor_free(&detail);
    cnv_tensor_free(&larger), cnv_tensor_free(&shifted);
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
/* Puts a picture into cell i of the sheet, with its captions. */
static void dream_cell(cnv_tensor *sheet, int i, int columns, const cnv_tensor *image,
                       const char *caption, const char *numbers)
{
    const cnv_color ink = {0.13f, 0.14f, 0.17f}, gray = {0.4f, 0.4f, 0.45f};
    int x = 30 + i % columns * (image->w + 20), y = 76 + i / columns * (image->h + 62);
    cnv_paste(sheet, image, x, y);
    cnv_text(sheet, x, y + image->h + 10, 13, ink, caption);
    cnv_text(sheet, x, y + image->h + 31, 11, gray, numbers);
}

int main(int argc, char **argv)
{
    static const char *const tour[] = {"pool1", "relu2", "relu3", "relu4", "pool3"};
    const cnv_color white = {1, 1, 1}, ink = {0.13f, 0.14f, 0.17f};
    example e = example_begin(argc, argv, "gradient ascent on all that a layer finds in a picture",
                              NULL, "octaves,steps,step,jitter,size");
    int one = example_text(&e, "layer", NULL) || strcmp(e.model->name, "toynet");
    int cells = one ? 2 : 6, columns = one ? 2 : 3, i;
    int size = (int)example_number(&e, "size", one ? 640 : 432, 64, 4096);
    cnv_tensor image = {0}, dream = {0}, sheet = {0};
    dream_options o = dream_standard;
    synthesis_measures m = {0, 0, 0, 0};
    char numbers[160];
    o.octaves = (int)example_number(&e, "octaves", o.octaves, 1, 12);
    o.steps = (int)example_number(&e, "steps", o.steps, 0, 10000);
    o.step = example_number(&e, "step", 255 * o.step, 0, 255) / 255;
    o.jitter = (int)example_number(&e, "jitter", o.jitter, 0, 64);
    example_check(&e, synthesis_start(&e, size, &image) &&
                      cnv_canvas(&sheet, 76 + cells / columns * (image.h + 62) + 14,
                                 40 + columns * (image.w + 20), white));
    cnv_text(&sheet, 30, 28, 20, ink, "DeepDream");
    dream_cell(&sheet, 0, columns, &image, "the picture", "");
    for (i = 1; i < cells; i++) {
        int layer = one ? e.layer : cnv_find(e.net, tour[i - 1]);
        const char *name = e.net->nodes[layer].name;
        example_check(&e, deepdream(e.net, layer, &image, &o, e.seed, &dream) &&
                          synthesis_measure(e.net, layer, &image, &dream, e.seed, &m));
        snprintf(numbers, sizeof numbers, "|a| x %.1f (noise: x %.1f), SSIM %.2f",
                 m.after / m.before, m.noise / m.before, m.ssim);
        dream_cell(&sheet, i, columns, &dream, name, numbers);
        printf("%-6s %s\n", name, numbers);
    }
    example_save(&e, &sheet);
    cnv_tensor_free(&image), cnv_tensor_free(&dream), cnv_tensor_free(&sheet);
    example_end(&e);
    return 0;
}
#endif
