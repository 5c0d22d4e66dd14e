/* painter.h: a small network from pictures to pictures, after Johnson, Alahi, Fei-Fei (2016), what
   judges it, and the pictures that it learns from and is tried on.

     input      3 x  H  x  W     a multiple of 4
     down1     24 x H/2 x W/2    5 x 5, stride 2
     down2     48 x H/4 x W/4    3 x 3, stride 2
     residual  48 x H/4 x W/4    x + two of 3 x 3, four times
     up1       32 x H/2 x W/2    nearest upsampling, 3 x 3
     up2       16 x  H  x  W     nearest upsampling, 3 x 3
     out        3 x  H  x  W     5 x 5, sigmoid                                                   */
#ifndef PAINTER_H
#define PAINTER_H

#include "gram.h"
#include "paintings.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

enum { PAINTER_POOL = 96, PAINTER_LARGE = 192, PAINTER_CROP = 128 };

typedef struct {
    cnv_net *net, *features;
    int painted;                 /* net's last node: [n,3,H,W] in [0,1] */
    cnv_tensor seen;             /* what net is shown: pictures and noise */
    gram_goal goal;              /* at features' nodes: the style, and the weights of the losses */
    ascent loss;                 /* of a picture at features: its value is -L */
    char style_name[256];        /* a painting's name, or a file's */
    cnv_tensor style;            /* [1,3,PAINTER_LARGE,PAINTER_LARGE] */
} painter;

/* Convolution over a mirrored border, instance norm, ReLU */
static inline int painter_layer(cnv_net *net, int x, const char *name, int filters, int kernel,
                                int stride, int relu)
{
    char norm[CNV_NAME_SIZE];
    snprintf(norm, sizeof norm, "%s.norm", name);
    x = cnv_conv2d(net, cnv_reflect_pad(net, x, kernel / 2), name, filters, kernel, stride, 0);
    x = cnv_instance_norm(net, x, norm, 1e-5);
    return relu ? cnv_relu(net, x) : x;
}

/* From pixels to pixels of the same size, which must be a multiple of 4. Returns the last node. */
static inline int painter_layers(cnv_net *net)
{
    static const double mean[3] = {0.5, 0.5, 0.5}, std[3] = {0.25, 0.25, 0.25};
    char name[2][CNV_NAME_SIZE];
    int i, y, x = cnv_normalize(net, cnv_input(net, 3), mean, std);
    x = painter_layer(net, x, "down1", 24, 5, 2, 1);
    x = painter_layer(net, x, "down2", 48, 3, 2, 1);
    for (i = 0; i < 4; i++) {
        snprintf(name[0], sizeof name[0], "residual%d.a", i + 1);
        snprintf(name[1], sizeof name[1], "residual%d.b", i + 1);
        y = painter_layer(net, x, name[0], 48, 3, 1, 1);
        x = cnv_add(net, x, painter_layer(net, y, name[1], 48, 3, 1, 0));
    }
    x = painter_layer(net, cnv_upsample(net, x, 2), "up1", 32, 3, 1, 1);
    x = painter_layer(net, cnv_upsample(net, x, 2), "up2", 16, 3, 1, 1);
    x = cnv_conv2d(net, cnv_reflect_pad(net, x, 2), "out", 3, 5, 1, 0);
    return cnv_sigmoid(net, x);
}

/* --style, or else what the painter of a file has learned, and nothing else. path NULL: no file */
static inline void painter_style(const example *e, const char *path, painter *p)
{
    const char *wanted = example_text(e, "style", NULL), *learned;
    cnv_safetensors *file = path ? cnv_safetensors_open(path) : NULL;
    example_check(e, file || !path);
    learned = file ? cnv_safetensors_metadata(file, "style") : NULL;
    if (learned && wanted && strcmp(learned, wanted))
        example_fail(e, "%s has learned \"%.99s\"; --train 2000 teaches another style", path,
                     learned);
    if (!wanted) wanted = learned ? learned : "strokes";
    snprintf(p->style_name, sizeof p->style_name, "%s", wanted);
    cnv_safetensors_close(file);
}

/* A painter from a file; path NULL: with weights drawn anew. Features and style are those of seed
   1: what a painter has learned does not change with --seed. painter_end frees it all. */
static inline void painter_begin(const example *e, const char *path, painter *p)
{
    example first = *e;
    memset(p, 0, sizeof *p);
    first.seed = 1;
    p->features = gram_open(&first, &p->goal), p->net = cnv_net_new();
    p->goal.content_weight = example_number(e, "weight", 0.05, 0, 1e6);
    p->loss = ascent_of(e, p->goal.last, gram_objective, &p->goal), p->loss.net = p->features;
    painter_style(e, path, p);
    painting_open(&first, p->style_name, PAINTER_LARGE, &p->style);
    example_check(e, p->net && (p->painted = painter_layers(p->net)) >= 0 &&
                     gram_style(p->features, &p->goal, &p->style) &&
                     (path ? cnv_load(p->net, path) : cnv_init(p->net, e->seed)));
}

static inline int painter_exists(const char *path)
{
    FILE *file = fopen(path, "rb");
    return file && !fclose(file);
}

static inline int painter_save(const painter *p, const char *path)
{
    const char *metadata[] = {"style", NULL, NULL};
    metadata[1] = p->style_name;
    printf("writing %s\n", path);
    return cnv_save(p->net, path, metadata);
}

static inline void painter_end(const example *e, painter *p)
{
    gram_close(e, p->features, &p->goal), cnv_net_free(p->net), ascent_end(&p->loss);
    cnv_tensor_free(&p->seen), cnv_tensor_free(&p->style);
}

/* Paints images [n,3,H,W]: node `painted` holds the pictures. Noise of +-0.18 on the images lets
   strokes begin where they are even, too. (Ulyanov, Lebedev, Vedaldi, Lempitsky 2016) */
static inline int painter_paint(painter *p, const cnv_tensor *images, unsigned long long seed)
{
    cnv_rng rng = cnv_rng_seed(seed);
    size_t i, size = cnv_tensor_size(images);
    if (!cnv_tensor_copy(images, &p->seen)) return 0;
    for (i = 0; i < size; i++) p->seen.data[i] += (float)(0.36 * cnv_uniform(&rng) - 0.18);
    return cnv_forward(p->net, &p->seen, p->painted);
}

/* The mean of L over pictures [n,3,H,W], each painted after one of `contents`; -1 with cnv_error()
   on failure. p->loss.grad is then the gradient of -n L. */
static inline double painter_loss(painter *p, const cnv_tensor *contents,
                                  const cnv_tensor *pictures)
{
    p->loss.variation = p->goal.variation / (pictures->h * pictures->w);
    if (!gram_content(p->features, &p->goal, contents) || !cnv_tensor_copy(pictures, &p->loss.z) ||
        !ascent_gradient(&p->loss))
        return -1;
    return -ascent_total(&p->loss) / pictures->n;
}

/* picture [1,3,side,side]: a landscape, or else a scene. Returns 0 without memory. */
static inline int painter_draw(unsigned long long seed, int landscape, int side,
                               cnv_tensor *picture)
{
    toy_scene scene = toy_make(seed, NULL);
    if (!cnv_tensor_resize(picture, 1, 3, side, side)) return 0;
    if (landscape) toy_landscape(seed, side, side, picture->data);
    else toy_render(&scene, side, picture->data, NULL, NULL);
    return 1;
}

/* Picture i to learn from, none held out: as many landscapes as scenes; half of either so large
   that a crop is a part of it, half as large as a crop. */
static inline int painter_lesson(const example *e, int i, cnv_tensor *picture)
{
    unsigned long long seed = (e->seed * 100000 + (unsigned)i) % EXAMPLE_HELD_OUT;
    return painter_draw(seed, i % 2 == 0, i % 4 < 2 ? PAINTER_LARGE : PAINTER_CROP, picture);
}

/* image [1,3,side,side]: a random crop of a picture [1,3,h,w] */
static inline void painter_crop(const cnv_tensor *picture, cnv_rng *rng, cnv_tensor *image)
{
    int x0 = (int)(cnv_uniform(rng) * (picture->w - image->w + 1));
    int y0 = (int)(cnv_uniform(rng) * (picture->h - image->h + 1)), c, y;
    for (c = 0; c < 3; c++)
        for (y = 0; y < image->h; y++)
            memcpy(image->data + (c * image->h + y) * image->w,
                   picture->data + (c * picture->h + y0 + y) * picture->w + x0,
                   (size_t)image->w * sizeof *image->data);
}

/* Picture i to paint: --image if i is 0, or one that training has not seen: a landscape if i is
   even, else a scene. */
static inline void painter_held_out(const example *e, int i, int size, cnv_tensor *content)
{
    const char *path = i ? NULL : example_text(e, "image", NULL);
    unsigned long long seed = EXAMPLE_HELD_OUT + e->seed * 100 + (unsigned)i;
    if (path) painting_open(e, path, size, content);
    else example_check(e, painter_draw(seed, i % 2 == 0, size, content));
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
