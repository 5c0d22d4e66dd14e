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

#include "example.h"

typedef struct {
    int octaves, steps, jitter; /* sizes of the picture; steps at each; the largest random shift */
    double scale, step;         /* between octaves; the mean change of a pixel in a step */
} dream_options;
static const dream_options dream_standard = {7, 10, 3, 1.4, 1.5 / 255};

/* Shifts a picture by dx, dy; what leaves on one side enters on the other. */
static void roll(const cnv_tensor *x, int dx, int dy, cnv_tensor *y)
{
    int c, i, j;
    for (c = 0; c < x->c; c++)
        for (i = 0; i < x->h; i++) {
            const float *from = x->data + (c * x->h + (i + dy + x->h) % x->h) * x->w;
            float *to = y->data + (c * x->h + i) * x->w;
            for (j = 0; j < x->w; j++) to[j] = from[(j + dx + x->w) % x->w];
        }
}

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
    if (!cnv_tensor_resize(shifted, 1, x->c, x->h, x->w)) return 0;
    roll(x, dx, dy, shifted);
    if (!cnv_forward(net, shifted, layer)) return 0;
    seed = cnv_seed(net, layer);
    if (!seed || !cnv_tensor_copy(&net->nodes[layer].out, seed) || !cnv_backward(net, 0)) return 0;
    mute_colours(g);
    for (i = 0; i < size; i++) mean += fabs((double)g->data[i]) / (double)size;
    for (i = 0; i < size; i++) {
        double v = (double)shifted->data[i] + o->step * (double)g->data[i] / mean;
        shifted->data[i] = (float)(v < 0 ? 0 : v > 1 ? 1 : v);
    }
    roll(shifted, -dx, -dy, x);
    return 1;
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

/* |a|, the length of a layer's activations, for an image. */
static double dream_strength(cnv_net *net, int layer, const cnv_tensor *image)
{
    const cnv_tensor *a = &net->nodes[layer].out;
    double sum = 0;
    size_t i;
    if (!cnv_forward(net, image, layer)) return -1;
    for (i = 0; i < cnv_tensor_size(a); i++) sum += (double)a->data[i] * (double)a->data[i];
    return sqrt(sum);
}

/* Structural similarity of two pictures' gray versions, 1 for equal ones (Wang et al. 2004): local
   means, variances and covariance under a Gaussian of sigma 1.5. Returns -2 without memory. */
static double dream_ssim(const cnv_tensor *x, const cnv_tensor *y)
{
    size_t i, k, n = (size_t)x->h * (size_t)x->w;
    cnv_tensor m = {0}; /* the channels x, y, xx, yy, xy */
    double sum = 0;
    if (!cnv_tensor_resize(&m, 1, 5, x->h, x->w)) return -2;
    for (i = 0; i < n; i++) {
        float a = 0, b = 0;
        for (k = 0; k < 3; k++) a += x->data[k * n + i] / 3, b += y->data[k * n + i] / 3;
        m.data[i] = a, m.data[n + i] = b;
        m.data[2 * n + i] = a * a, m.data[3 * n + i] = b * b, m.data[4 * n + i] = a * b;
    }
    if (!cnv_blur(&m, 1.5, &m)) return cnv_tensor_free(&m), -2;
    for (i = 0; i < n; i++) {
        double a = (double)m.data[i], b = (double)m.data[n + i], c1 = 1e-4, c2 = 9e-4;
        double aa = (double)m.data[2 * n + i] - a * a, bb = (double)m.data[3 * n + i] - b * b;
        double ab = (double)m.data[4 * n + i] - a * b;
        sum += (2 * a * b + c1) * (2 * ab + c2) / ((a * a + b * b + c1) * (aa + bb + c2));
    }
    cnv_tensor_free(&m);
    return sum / (double)n;
}

/* What a dream is measured by. */
typedef struct {
    double before, after, noise; /* |a| of the image, of the dream, and of the image with as much
                                    random noise as the dream has added, by its mean square */
    double ssim;                 /* of the dream to the image */
} dream_measures;

static int dream_measure(cnv_net *net, int layer, const cnv_tensor *image, const cnv_tensor *dream,
                         uint64_t seed, dream_measures *m)
{
    cnv_tensor noisy = {0};
    cnv_rng rng = cnv_rng_seed(seed);
    double square = 0;
    size_t i, size = cnv_tensor_size(image);
    if (!cnv_tensor_copy(image, &noisy)) return 0;
    for (i = 0; i < size; i++)
        square += pow((double)dream->data[i] - (double)image->data[i], 2) / (double)size;
    for (i = 0; i < size; i++)
        noisy.data[i] = (float)fmin(1, fmax(0, (double)image->data[i] +
                                               sqrt(square) * cnv_normal(&rng)));
    m->before = dream_strength(net, layer, image);
    m->after = dream_strength(net, layer, dream);
    m->noise = dream_strength(net, layer, &noisy);
    m->ssim = dream_ssim(dream, image);
    cnv_tensor_free(&noisy);
    return m->before >= 0 && m->after >= 0 && m->noise >= 0 && m->ssim > -2;
}

#ifndef EXAMPLE_NO_MAIN
/* --image, shrunk to at most `size` pixels, or a landscape of that width. */
static int dream_canvas(const example *e, int size, cnv_tensor *image)
{
    const char *path = example_text(e, "image", NULL);
    const cnv_color white = {1, 1, 1};
    cnv_tensor file = {0}, fitted = {0};
    int ok, longer;
    if (!path) {
        ok = cnv_tensor_resize(image, 1, 3, size * 3 / 4, size);
        if (ok) toy_landscape(e->seed, size, size * 3 / 4, image->data);
        return ok;
    }
    ok = cnv_image_load(path, &file);
    longer = file.w > file.h ? file.w : file.h;
    if (ok && longer < size) size = longer;
    ok = ok && cnv_resize(&file, (file.h * size - 1) / longer + 1, (file.w * size - 1) / longer + 1,
                          &fitted) &&
         cnv_canvas(image, fitted.h, fitted.w, white);
    if (ok) cnv_paste(image, &fitted, 0, 0);
    cnv_tensor_free(&file), cnv_tensor_free(&fitted);
    return ok;
}

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
    dream_measures m = {0};
    char numbers[160];
    o.octaves = (int)example_number(&e, "octaves", o.octaves, 1, 12);
    o.steps = (int)example_number(&e, "steps", o.steps, 0, 10000);
    o.step = example_number(&e, "step", 255 * o.step, 0, 255) / 255;
    o.jitter = (int)example_number(&e, "jitter", o.jitter, 0, 64);
    example_check(&e, dream_canvas(&e, size, &image) &&
                      cnv_canvas(&sheet, 76 + cells / columns * (image.h + 62) + 14,
                                 40 + columns * (image.w + 20), white));
    cnv_text(&sheet, 30, 28, 20, ink, "DeepDream");
    dream_cell(&sheet, 0, columns, &image, "the picture", "");
    for (i = 1; i < cells; i++) {
        int layer = one ? e.layer : cnv_find(e.net, tour[i - 1]);
        const char *name = e.net->nodes[layer].name;
        example_check(&e, deepdream(e.net, layer, &image, &o, e.seed, &dream) &&
                          dream_measure(e.net, layer, &image, &dream, e.seed, &m));
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
