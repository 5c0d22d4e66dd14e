/* truth.h: how good is a heatmap, when the truth is known?

   The Toybox knows where the object is. Over held-out scenes that the network answers right, a
   heatmap of the right class is scored against the mask of the object, beside three controls that
   know nothing of the network: a random map, edges, and a blob in the middle of the picture.

       truth_table table = {0};
       truth_add(&table, "saliency", saliency, &setting, TRUTH_BLUR);
       truth_report(&e, &table, 200);                     // measures, prints; e: see example.h

   pointing   share of the scenes where the map's maximum lies on the object: the pointing game
              (Zhang et al. 2016, Top-down Neural Attention by Excitation Backprop)
   near       the same with the margin of the original game, 15 pixels in a picture of 224: here 4;
              this is generous: the blob in the middle comes near in six scenes of ten
   energy     share of the map's sum that lies on the object; a map that knows nothing has the
              object's share of the area, so `energy/area` is 1 for it
   IoU        intersection over union with the object of all positions above a threshold, the
              threshold that is best for the map; at its lowest it takes the whole picture, so no
              map has less than the object's share of the area

   The objects are drawn with outlines, so that edges alone find them rather often: a method has
   shown something when it is clearly better than Sobel, not when it is better than chance.
   Values below 0 count as 0 throughout. A map without a positive value misses, with energy 0. */
#ifndef TRUTH_H
#define TRUTH_H

#include "example.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

#define TRUTH_AREA 0.15                 /* the object covers no more of the picture than this */
#define TRUTH_NEAR (15.0 / 224)         /* the pointing game's margin, of the side */
#define TRUTH_BLUR (0.02 * TOY_SIDE)    /* its Gaussian blur for maps of single pixels' gradients */
enum { TRUTH_ROWS = 32, TRUTH_CONTROLS = 3, TRUTH_PIXELS = TOY_SIDE * TOY_SIDE };

/* Anything that makes a heatmap: for class_id, from one image [1,3,H,W], map [1,1,h,w] of any size.
   setting: the method's own. Returns 1, or 0 with cnv_error(). */
typedef int (*truth_method)(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
                            void *setting, cnv_tensor *map);

/* ---- Held-out scenes ---- */

typedef struct {
    const example *e;               /* the network, and its logits */
    const toy_options *options;     /* NULL: as the Toybox comes */
    unsigned long long seed;        /* of the next scene to try */
    toy_scene scene;                /* the present one */
    cnv_tensor image;               /* [1,3,64,64] */
    unsigned char mask[TRUTH_PIXELS]; /* 1 on the object */
    double area;                    /* its share of the picture */
} truth_world;

static inline truth_world truth_begin(const example *e, const toy_options *options)
{
    truth_world world;
    memset(&world, 0, sizeof world);
    world.e = e, world.options = options, world.seed = EXAMPLE_HELD_OUT;
    return world;
}

static inline void truth_end(truth_world *world) { cnv_tensor_free(&world->image); }

static inline double truth_area(const unsigned char *mask)
{
    int i, inside = 0;
    for (i = 0; i < TRUTH_PIXELS; i++) inside += mask[i];
    return (double)inside / TRUTH_PIXELS;
}

/* Goes on to the next scene with a small object that the network answers right. Returns 0 if the
   network knows other classes, or gets a thousand scenes wrong in a row. */
static inline int truth_next(truth_world *world)
{
    const example *e = world->e;
    int tries;
    if (e->classes != TOY_CLASSES || e->model->side != TOY_SIDE) return 0;
    if (!cnv_tensor_resize(&world->image, 1, 3, TOY_SIDE, TOY_SIDE)) return 0;
    for (tries = 0; tries < 1000; tries++) {
        world->scene = toy_make(world->seed++, world->options);
        toy_render(&world->scene, TOY_SIDE, world->image.data, world->mask, NULL);
        world->area = truth_area(world->mask);
        if (world->area == 0 || world->area > TRUTH_AREA) continue;
        if (!cnv_forward(e->net, &world->image, e->logits)) return 0;
        if (example_answer(e, 0) == world->scene.class_id) return 1;
    }
    return 0;
}

/* ---- The controls: maps that never ask the network ---- */

/* Uniform noise. setting: a cnv_rng. */
static inline int truth_random(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
                               void *setting, cnv_tensor *map)
{
    int i;
    (void)net, (void)logits, (void)class_id;
    if (!cnv_tensor_resize(map, 1, 1, image->h, image->w)) return 0;
    for (i = 0; i < image->h * image->w; i++)
        map->data[i] = (float)cnv_uniform((cnv_rng *)setting);
    return 1;
}

/* Sobel's edges: the magnitude of the grey picture's slope, from 3 x 3 pixels; 0 at the border. */
static inline int truth_sobel(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
                              void *setting, cnv_tensor *map)
{
    int x, y, i, w = image->w, plane = image->h * image->w;
    cnv_tensor gray = {0};
    (void)net, (void)logits, (void)class_id, (void)setting;
    if (!cnv_tensor_resize(&gray, 1, 1, image->h, w)) return 0;
    if (!cnv_tensor_resize(map, 1, 1, image->h, w)) return cnv_tensor_free(&gray), 0;
    for (i = 0; i < plane; i++)
        gray.data[i] = 0.299f * image->data[i] + 0.587f * image->data[plane + i] +
                       0.114f * image->data[2 * plane + i];
    cnv_tensor_fill(map, 0);
    for (y = 1; y + 1 < image->h; y++)
        for (x = 1; x + 1 < w; x++) {
            const float *above = gray.data + (y - 1) * w + x, *at = above + w, *below = at + w;
            float across = above[1] + 2 * at[1] + below[1] - above[-1] - 2 * at[-1] - below[-1];
            float down = below[-1] + 2 * below[0] + below[1] - above[-1] - 2 * above[0] - above[1];
            map->data[y * w + x] = sqrtf(across * across + down * down);
        }
    cnv_tensor_free(&gray);
    return 1;
}

/* A Gaussian in the middle, its standard deviation a quarter of the side. */
static inline int truth_gaussian(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
                                 void *setting, cnv_tensor *map)
{
    int x, y, h = image->h, w = image->w;
    (void)net, (void)logits, (void)class_id, (void)setting;
    if (!cnv_tensor_resize(map, 1, 1, h, w)) return 0;
    for (y = 0; y < h; y++)
        for (x = 0; x < w; x++) {
            double u = (x + 0.5) / w - 0.5, v = (y + 0.5) / h - 0.5;
            map->data[y * w + x] = (float)exp(-(u * u + v * v) / (2 * 0.25 * 0.25));
        }
    return 1;
}

/* ---- Scores of one map [1,1,64,64] ---- */

/* Where a map is greatest: y * width + x of the first of equals; -1 without a positive value. */
static inline int truth_maximum(const cnv_tensor *map)
{
    int i, best = -1;
    for (i = 0; i < map->h * map->w; i++)
        if (map->data[i] > (best < 0 ? 0 : map->data[best])) best = i;
    return best;
}

/* Whether some pixel of the object is no further than `margin` pixels from position `at`. */
static inline int truth_hits(const unsigned char *mask, int at, double margin)
{
    int i;
    for (i = 0; at >= 0 && i < TRUTH_PIXELS; i++) {
        int dx = i % TOY_SIDE - at % TOY_SIDE, dy = i / TOY_SIDE - at / TOY_SIDE;
        if (mask[i] && dx * dx + dy * dy <= margin * margin) return 1;
    }
    return 0;
}

/* The share of the map's positive sum that lies on the object. */
static inline double truth_energy(const cnv_tensor *map, const unsigned char *mask)
{
    double inside = 0, all = 0;
    int i;
    for (i = 0; i < TRUTH_PIXELS; i++) {
        double value = map->data[i] > 0 ? (double)map->data[i] : 0;
        all += value, inside += mask[i] ? value : 0;
    }
    return all > 0 ? inside / all : 0;
}

typedef struct {
    float value;
    int inside;
} truth_pixel;

static inline int truth_descending(const void *a, const void *b)
{
    float p = ((const truth_pixel *)a)->value, q = ((const truth_pixel *)b)->value;
    return (p < q) - (p > q);
}

/* The best intersection over union of the object and {map >= threshold}, over all thresholds. */
static inline double truth_iou(const cnv_tensor *map, const unsigned char *mask)
{
    truth_pixel pixel[TRUTH_PIXELS];
    int i, inside = 0, object = 0;
    double best = 0;
    for (i = 0; i < TRUTH_PIXELS; i++) {
        pixel[i].value = map->data[i] > 0 ? map->data[i] : 0; /* NaN becomes 0 */
        object += pixel[i].inside = mask[i];
    }
    qsort(pixel, TRUTH_PIXELS, sizeof *pixel, truth_descending);
    for (i = 0; i < TRUTH_PIXELS; i++) { /* the i + 1 greatest values, down to the last of equals */
        int last = i + 1 == TRUTH_PIXELS || pixel[i + 1].value < pixel[i].value;
        inside += pixel[i].inside;
        if (last) best = fmax(best, inside / (double)(i + 1 + object - inside));
    }
    return best;
}

/* ---- A table of methods ---- */

typedef struct {
    const char *name;
    truth_method method;
    void *setting;
    double blur;                            /* sigma of a blur before the maximum is looked for */
    double pointing, near, energy, iou;     /* means over the scenes */
    double seconds;                         /* for one map, on average */
    int silent;                             /* maps without a positive value */
} truth_row;

typedef struct {
    truth_row row[TRUTH_ROWS + TRUTH_CONTROLS]; /* the methods, then random, Sobel, Gaussian */
    int rows;                               /* methods; the controls come on top of these */
    int scenes;
    double area;                            /* of the object, on average */
    cnv_rng noise;                          /* of the random map */
} truth_table;

static inline void truth_row_set(truth_row *row, const char *name, truth_method method,
                                 void *setting, double blur)
{
    memset(row, 0, sizeof *row);
    row->name = name, row->method = method, row->setting = setting, row->blur = blur;
}

/* One more method, for at most TRUTH_ROWS. blur: TRUTH_BLUR for gradients at single pixels, as the
   pointing game has it, otherwise 0. */
static inline void truth_add(truth_table *table, const char *name, truth_method method,
                             void *setting, double blur)
{
    if (table->rows < TRUTH_ROWS)
        truth_row_set(&table->row[table->rows++], name, method, setting, blur);
}

/* Runs one method on the present scene and adds its scores up. */
static inline int truth_score(truth_row *row, const truth_world *world)
{
    cnv_tensor raw = {0}, map = {0}, blurred = {0};
    double start = example_seconds();
    int at, ok = row->method(world->e->net, world->e->logits, &world->image,
                             world->scene.class_id, row->setting, &raw);
    row->seconds += example_seconds() - start;
    ok = ok && cnv_resize(&raw, TOY_SIDE, TOY_SIDE, &map) &&
         (row->blur > 0 ? cnv_blur(&map, row->blur, &blurred) : cnv_tensor_copy(&map, &blurred));
    if (ok) {
        at = truth_maximum(&blurred);
        row->silent += at < 0;
        row->pointing += truth_hits(world->mask, at, 0);
        row->near += truth_hits(world->mask, at, floor(TRUTH_NEAR * TOY_SIDE));
        row->energy += truth_energy(&map, world->mask);
        row->iou += truth_iou(&map, world->mask);
    }
    cnv_tensor_free(&raw), cnv_tensor_free(&map), cnv_tensor_free(&blurred);
    return ok;
}

static inline void truth_means(truth_table *table)
{
    int i, n = table->scenes;
    table->area /= n;
    for (i = 0; i < table->rows + TRUTH_CONTROLS; i++) {
        truth_row *row = &table->row[i];
        row->pointing /= n, row->near /= n, row->energy /= n, row->iou /= n, row->seconds /= n;
    }
}

/* Scores all methods of the table, and the controls with the blur of the first, over `scenes`
   scenes. Returns 1, or 0: see truth_next. */
static inline int truth_measure(const example *e, truth_table *table, int scenes)
{
    truth_world world = truth_begin(e, NULL);
    truth_row *control = table->row + table->rows;
    double start = example_seconds(), blur = table->row[0].blur;
    int i, ok = 1;
    table->noise = cnv_rng_seed(EXAMPLE_HELD_OUT);
    truth_row_set(&control[0], "random map", truth_random, &table->noise, blur);
    truth_row_set(&control[1], "Sobel edges", truth_sobel, NULL, blur);
    truth_row_set(&control[2], "centred Gaussian", truth_gaussian, NULL, blur);
    table->area = 0;
    for (table->scenes = 0; ok && table->scenes < scenes; table->scenes += ok) {
        example_progress("scoring", table->scenes, scenes, start);
        ok = truth_next(&world);
        table->area += world.area;
        for (i = 0; ok && i < table->rows + TRUTH_CONTROLS; i++)
            ok = truth_score(&table->row[i], &world);
    }
    if (ok) example_progress("scoring", scenes, scenes, start), truth_means(table);
    truth_end(&world);
    return ok;
}

static inline void truth_print(const truth_table *table)
{
    int i;
    printf("%d held-out scenes, object %.1f%% of the area   pointing  within 4 px  energy/area  "
           "IoU      ms\n", table->scenes, 100 * table->area);
    for (i = 0; i < table->rows + TRUTH_CONTROLS; i++) {
        const truth_row *row = &table->row[i];
        printf("  %-42s %9.3f %11.3f %12.2f %6.3f %7.1f\n", row->name, row->pointing, row->near,
               row->energy / table->area, row->iou, 1000 * row->seconds);
    }
}

/* Measures and prints; 0 scenes: nothing. */
static inline void truth_report(const example *e, truth_table *table, int scenes)
{
    if (scenes && truth_measure(e, table, scenes)) truth_print(table);
    else if (scenes)
        printf("No scores: the truth is known for scenes of the Toybox that the network answers "
               "right, and there are too few.\n");
}

/* Pearson's correlation of two maps of one size; 0 if one of them is even. */
static inline double truth_correlation(const cnv_tensor *a, const cnv_tensor *b)
{
    size_t i, size = cnv_tensor_size(a);
    double n = (double)size, sa = 0, sb = 0, aa = 0, bb = 0, ab = 0;
    for (i = 0; i < size; i++) sa += (double)a->data[i], sb += (double)b->data[i];
    for (i = 0; i < size; i++) {
        double u = (double)a->data[i] - sa / n, v = (double)b->data[i] - sb / n;
        aa += u * u, bb += v * v, ab += u * v;
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
