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
   insertion  area under P(class) as the map's greatest pixels return into the blurred picture:
              the greater, the better (Petsiuk et al. 2018: RISE, section 4.3)
   deletion   the same as they are replaced by grey: the less, the better
   cheat      where scenes have a marker (toy_options.biased): share of the map's sum that lies on
              it, and `found`, pointing at it with the margin above

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
#define TRUTH_HAZE (TOY_SIDE / 16.0)    /* sigma of the blur before insertion: no class is left */
enum {
    TRUTH_ROWS = 32, TRUTH_CONTROLS = 3, TRUTH_PIXELS = TOY_SIDE * TOY_SIDE,
    TRUTH_STEPS = 10    /* of insertion and deletion; with 64 the areas are the same within .015 */
};

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
    unsigned char cheat[TRUTH_PIXELS]; /* 1 on the marker, if the scene has one */
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

/* The marker is where the picture changes without it. */
static inline int truth_marker(truth_world *world)
{
    toy_scene without = world->scene;
    cnv_tensor other = {0};
    int i;
    memset(world->cheat, 0, sizeof world->cheat);
    without.marker = 0;
    if (!world->scene.marker) return 1;
    if (!cnv_tensor_resize(&other, 1, 3, TOY_SIDE, TOY_SIDE)) return 0;
    toy_render(&without, TOY_SIDE, other.data, NULL, NULL);
    for (i = 0; i < 3 * TRUTH_PIXELS; i++)
        if (other.data[i] != world->image.data[i]) world->cheat[i % TRUTH_PIXELS] = 1;
    cnv_tensor_free(&other);
    return 1;
}

/* Goes on to the next scene with a small object that the network answers right. Returns 0 if the
   network knows other classes, or gets a thousand scenes wrong in a row. */
static inline int truth_next(truth_world *world)
{
    const example *e = world->e;
    int tries;
    if (!example_toys(e) || e->model->side != TOY_SIDE) return 0;
    if (!cnv_tensor_resize(&world->image, 1, 3, TOY_SIDE, TOY_SIDE)) return 0;
    for (tries = 0; tries < 1000; tries++) {
        world->scene = toy_make(world->seed++, world->options);
        toy_render(&world->scene, TOY_SIDE, world->image.data, world->mask, NULL);
        world->area = truth_area(world->mask);
        if (world->area == 0 || world->area > TRUTH_AREA) continue;
        if (!cnv_forward(e->net, &world->image, e->logits)) return 0;
        if (example_answer(e, 0) == world->scene.class_id) return truth_marker(world);
    }
    return 0;
}

/* What the program looks at, in the place of a world's scene; if it is none, the mask is empty. */
static inline truth_world truth_own(const example *e)
{
    truth_world world = truth_begin(e, NULL);
    world.scene = e->scene;
    if (e->has_scene) memcpy(world.mask, e->mask, sizeof world.mask);
    world.area = truth_area(world.mask);
    example_check(e, cnv_tensor_copy(&e->image, &world.image));
    return world;
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

/* The best intersection over union of the object and {map >= threshold}, over all thresholds. */
static inline double truth_iou(const cnv_tensor *map, const unsigned char *mask)
{
    float value[TRUTH_PIXELS];
    int order[TRUTH_PIXELS], scratch[TRUTH_PIXELS], i, inside = 0, object = 0;
    double best = 0;
    for (i = 0; i < TRUTH_PIXELS; i++) {
        value[i] = map->data[i] > 0 ? -map->data[i] : 0; /* NaN becomes 0 */
        object += mask[i], order[i] = i;
    }
    example_sort(value, TRUTH_PIXELS, order, scratch);
    for (i = 0; i < TRUTH_PIXELS; i++) { /* the i + 1 greatest values, down to the last of equals */
        int last = i + 1 == TRUTH_PIXELS || value[order[i + 1]] > value[order[i]];
        inside += mask[order[i]];
        if (last) best = fmax(best, inside / (double)(i + 1 + object - inside));
    }
    return best;
}

/* ---- Insertion and deletion ---- */

/* All pixels, the greatest first; equals, as where a map is 0, in random order. */
static inline void truth_order(const cnv_tensor *map, uint64_t seed, int *order)
{
    float value[TRUTH_PIXELS];
    int scratch[TRUTH_PIXELS], i;
    cnv_rng rng = cnv_rng_seed(seed);
    for (i = 0; i < TRUTH_PIXELS; i++) {
        int other = (int)(cnv_random(&rng) % (unsigned)(i + 1));
        value[i] = map->data[i] > 0 ? -map->data[i] : 0; /* NaN becomes 0 */
        order[i] = order[other], order[other] = i;
    }
    example_sort(value, TRUTH_PIXELS, order, scratch);
}

/* `picture` becomes `from` with the first `count` pixels of the order as they are in `to`. */
static inline int truth_exchange(const cnv_tensor *from, const cnv_tensor *to, const int *order,
                                 int count, cnv_tensor *picture)
{
    int i, c;
    if (!cnv_tensor_copy(from, picture)) return 0;
    for (i = 0; i < count; i++)
        for (c = 0; c < 3; c++) {
            int at = c * TRUTH_PIXELS + order[i];
            picture->data[at] = to->data[at];
        }
    return 1;
}

/* The area under P(class) of pictures first ... first + TRUTH_STEPS, by the trapezoid rule. */
static inline double truth_under(const cnv_tensor *p, int first, int class_id)
{
    double area = 0;
    int i;
    for (i = 0; i <= TRUTH_STEPS; i++) {
        double weight = i == 0 || i == TRUTH_STEPS ? 0.5 : 1;
        area += weight * (double)p->data[(first + i) * p->c + class_id] / TRUTH_STEPS;
    }
    return area;
}

/* Both curves in one batch: 0 ... TRUTH_STEPS are insertions, the rest deletions. */
static inline int truth_curves(const truth_world *world, const cnv_tensor *map, double *insertion,
                               double *deletion)
{
    enum { HALF = TRUTH_STEPS + 1 };
    const example *e = world->e;
    cnv_tensor batch = {0}, haze = {0}, gray = {0}, p = {0};
    int order[TRUTH_PIXELS], i, class_id = world->scene.class_id;
    int ok = cnv_tensor_resize(&batch, 2 * HALF, 3, TOY_SIDE, TOY_SIDE) &&
             cnv_blur(&world->image, TRUTH_HAZE, &haze) && cnv_tensor_copy(&haze, &gray);
    if (ok) truth_order(map, world->scene.seed, order), cnv_tensor_fill(&gray, 0.5);
    for (i = 0; ok && i < 2 * HALF; i++) {
        cnv_tensor one = cnv_tensor_image(&batch, i);
        int count = i % HALF * TRUTH_PIXELS / TRUTH_STEPS;
        ok = i < HALF ? truth_exchange(&haze, &world->image, order, count, &one)
                      : truth_exchange(&world->image, &gray, order, count, &one);
    }
    ok = ok && cnv_forward(e->net, &batch, e->logits) &&
         cnv_softmax_forward(&e->net->nodes[e->logits].out, &p);
    if (ok) *insertion = truth_under(&p, 0, class_id), *deletion = truth_under(&p, HALF, class_id);
    cnv_tensor_free(&batch), cnv_tensor_free(&haze), cnv_tensor_free(&gray), cnv_tensor_free(&p);
    return ok;
}

/* ---- A table of methods ---- */

typedef struct {
    const char *name;
    truth_method method;
    void *setting;
    double blur;                            /* sigma of a blur before the maximum is looked for */
    int slow;                               /* 1: only on every so-manieth scene, see below */
    int scenes;                             /* on how many it was run */
    double area;                            /* of the object, on average there */
    double pointing, near, energy, iou;     /* means over its scenes */
    double cheat, found;                    /* likewise, where scenes have a marker */
    double insertion, deletion;             /* means over the table's `curves` scenes */
    double seconds;                         /* for one map, on average */
    int silent;                             /* maps without a positive value */
} truth_row;

typedef struct {
    truth_row row[TRUTH_ROWS + TRUTH_CONTROLS]; /* the methods, then random, Sobel, Gaussian */
    int rows;                               /* methods; the controls come on top of these */
    const toy_options *options;             /* of the scenes; NULL: as the Toybox comes */
    int every;                              /* insertion, deletion and slow rows: on each
                                               so-manieth scene; 0: slow rows on all, no curves */
    int scenes, curves;                     /* on how many it was measured, with both curves */
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

/* Runs one method: its map at the size of the image, and that blurred as the row says. */
static inline int truth_map(const truth_row *row, const example *e, const cnv_tensor *image,
                            int class_id, cnv_tensor *map, cnv_tensor *blurred)
{
    cnv_tensor raw = {0};
    int ok = row->method(e->net, e->logits, image, class_id, row->setting, &raw) &&
             cnv_resize(&raw, image->h, image->w, map) &&
             (row->blur > 0 ? cnv_blur(map, row->blur, blurred) : cnv_tensor_copy(map, blurred));
    cnv_tensor_free(&raw);
    return ok;
}

/* Runs one method on the present scene and adds its scores up; with or without curves. */
static inline int truth_score(truth_row *row, const truth_world *world, int curves)
{
    cnv_tensor map = {0}, blurred = {0};
    double start = example_seconds(), insertion = 0, deletion = 0;
    int at, ok = truth_map(row, world->e, &world->image, world->scene.class_id, &map, &blurred);
    row->seconds += example_seconds() - start;
    if (ok && curves) ok = truth_curves(world, &map, &insertion, &deletion);
    if (ok) {
        at = truth_maximum(&blurred);
        row->scenes++, row->area += world->area;
        row->silent += at < 0;
        row->pointing += truth_hits(world->mask, at, 0);
        row->near += truth_hits(world->mask, at, floor(TRUTH_NEAR * TOY_SIDE));
        row->energy += truth_energy(&map, world->mask);
        row->iou += truth_iou(&map, world->mask);
        row->cheat += truth_energy(&map, world->cheat);
        row->found += truth_hits(world->cheat, at, floor(TRUTH_NEAR * TOY_SIDE));
        row->insertion += insertion, row->deletion += deletion;
    }
    cnv_tensor_free(&map), cnv_tensor_free(&blurred);
    return ok;
}

static inline void truth_means(truth_table *table)
{
    int i;
    table->area /= table->scenes;
    for (i = 0; i < table->rows + TRUTH_CONTROLS; i++) {
        truth_row *row = &table->row[i];
        double *sums[] = {&row->area, &row->pointing, &row->near, &row->energy, &row->iou,
                          &row->cheat, &row->found, &row->seconds};
        size_t k;
        for (k = 0; k < sizeof sums / sizeof *sums; k++) *sums[k] /= row->scenes;
        if (table->curves) row->insertion /= table->curves, row->deletion /= table->curves;
    }
}

/* Puts the controls behind the methods, with the blur of the first. */
static inline void truth_control(truth_table *table)
{
    truth_row *control = table->row + table->rows;
    double blur = table->row[0].blur;
    table->noise = cnv_rng_seed(EXAMPLE_HELD_OUT);
    truth_row_set(&control[0], "random map", truth_random, &table->noise, blur);
    truth_row_set(&control[1], "Sobel edges", truth_sobel, NULL, blur);
    truth_row_set(&control[2], "centred Gaussian", truth_gaussian, NULL, blur);
}

/* Scores all methods of the table, and the controls, over `scenes` scenes. Returns 1, or 0: see
   truth_next. */
static inline int truth_measure(const example *e, truth_table *table, int scenes)
{
    truth_world world = truth_begin(e, table->options);
    double start = example_seconds();
    int i, full, ok = 1;
    truth_control(table);
    table->area = 0, table->curves = 0;
    for (table->scenes = 0; ok && table->scenes < scenes; table->scenes += ok) {
        example_progress("scoring", table->scenes, scenes, start);
        ok = truth_next(&world);
        table->area += world.area;
        full = table->every && table->scenes % table->every == 0;
        table->curves += full;
        for (i = 0; ok && i < table->rows + TRUTH_CONTROLS; i++)
            if (full || !table->every || !table->row[i].slow)
                ok = truth_score(&table->row[i], &world, full);
    }
    if (ok) example_progress("scoring", scenes, scenes, start), truth_means(table);
    truth_end(&world);
    return ok;
}

/* The row of that name, also of a control, or NULL. */
static inline const truth_row *truth_named(const truth_table *table, const char *name)
{
    int i;
    for (i = 0; i < table->rows + TRUTH_CONTROLS; i++)
        if (table->row[i].name && !strcmp(table->row[i].name, name)) return &table->row[i];
    return NULL;
}

static inline void truth_print(const truth_table *table)
{
    int i;
    printf("%s, object %.1f%% of the area   pointing  within 4 px  energy/area  IoU      ms\n",
           example_count(table->scenes, "held-out scene"), 100 * table->area);
    for (i = 0; i < table->rows + TRUTH_CONTROLS; i++) {
        const truth_row *row = &table->row[i];
        printf("  %-42s %9.3f %11.3f %12.2f %6.3f %7.1f\n", row->name, row->pointing, row->near,
               row->energy / row->area, row->iou, 1000 * row->seconds);
    }
}

/* What to say when truth_measure returned 0. */
static inline void truth_unknown(void)
{
    printf("No scores: the truth is known for scenes of the Toybox, of which this network answers "
           "none or too few right.\n");
}

/* Measures and prints; 0 scenes: nothing. */
static inline void truth_report(const example *e, truth_table *table, int scenes)
{
    if (scenes && truth_measure(e, table, scenes)) truth_print(table);
    else if (scenes) truth_unknown();
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
