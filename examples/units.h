/* units.h: what excites a unit? For every channel of a layer: the pictures of a data set with its
   greatest activations, where in the feature map those are, and which pixels a neuron there sees.

       units u;
       units_search(&e, &d, &node, 1, 9, &u);      // e: see example.h; d: a dataset
       hit = units_of(&u, k);                      // channel k's 9 best: hit[0].value, .picture ...
       units_thumbnail(&e, &d, hit[0].picture, 128, &tile);
       box = units_field(e.net, node, hit[0].y, hit[0].x);
       units_free(&u, 1);                                                                         */
#ifndef UNITS_H
#define UNITS_H

#include "datasets.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* ---- The best pictures of each channel ---- */

/* A channel's greatest activation in one picture. */
typedef struct {
    float value;
    int picture;                        /* of the data set */
    int y, x;                           /* in the feature map */
} units_hit;

typedef struct {
    int channels, top;
    int count;                          /* hits in each list: `top`, or all pictures there were */
    units_hit *hit;                     /* [channels][top], the greatest first */
} units;

static inline const units_hit *units_of(const units *u, int channel)
{
    return u->hit + channel * u->top;
}

static inline units units_new(const example *e, int channels, int top)
{
    units u = {0};
    u.channels = channels, u.top = top;
    u.hit = (units_hit *)calloc((size_t)channels * (size_t)top, sizeof *u.hit);
    if (!u.hit) example_fail(e, "out of memory for the %d best of %d channels", top, channels);
    return u;
}

static inline void units_free(units *u, int count)
{
    int i;
    for (i = 0; i < count; i++) free(u[i].hit);
}

/* Puts a hit where it belongs in a list of `count` hits with room for `top`. */
static inline void units_insert(units_hit *list, int count, int top, units_hit hit)
{
    int i = count < top ? count : top - 1;
    if (count == top && !(hit.value > list[i].value)) return;
    for (; i > 0 && hit.value > list[i - 1].value; i--) list[i] = list[i - 1];
    list[i] = hit;
}

/* Looks at the activations [n,C,H,W] of the pictures from number `first` on, in their order. */
static inline void units_see(units *u, const cnv_tensor *activations, int first)
{
    int n, k, i, plane = activations->h * activations->w;
    for (n = 0; n < activations->n; n++) {
        for (k = 0; k < u->channels; k++) {
            const float *a = cnv_tensor_channel(activations, n, k).data;
            units_hit hit = {a[0], first + n, 0, 0};
            int best = 0;
            for (i = 1; i < plane; i++)
                if (a[i] > a[best]) best = i;
            hit.value = a[best], hit.y = best / activations->w, hit.x = best % activations->w;
            units_insert(u->hit + k * u->top, u->count, u->top, hit);
        }
        u->count += u->count < u->top;
    }
}

/* Searches all pictures for the best of each channel of some nodes: u[i] is made for node[i]. */
static inline void units_search(const example *e, const dataset *d, const int *node, int nodes,
                                int top, units *u)
{
    cnv_tensor images = {0};
    double start = example_seconds();
    int i, k, last = 0;
    for (k = 0; k < nodes; k++) {
        u[k] = units_new(e, e->net->nodes[node[k]].channels, top);
        if (node[k] > last) last = node[k];
    }
    for (i = 0; i < d->n; i += images.n) {
        dataset_batch(e, d, i, dataset_lot(d), &images);
        example_check(e, cnv_forward(e->net, &images, last));
        for (k = 0; k < nodes; k++) units_see(&u[k], &e->net->nodes[node[k]].out, i);
        example_progress("searching", i + images.n, d->n, start);
    }
    cnv_tensor_free(&images);
}

/* A channel is as good as dead if half of its best pictures excite it all the same: behind a ReLU
   that never opens all are 0, and the first pictures of the data set are no better than others. */
static inline int units_alive(const units *u, int channel)
{
    const units_hit *hit = units_of(u, channel);
    return hit[u->count / 2].value > hit[u->count - 1].value || u->count < 3;
}

/* Purity: the share of a channel's best pictures that are of their commonest class, *class_id. */
static inline double units_purity(const dataset *d, const units_hit *hit, int count, int *class_id)
{
    int votes[EXAMPLE_CLASSES] = {0}, i, best = 0;
    for (i = 0; i < count; i++) votes[d->labels[hit[i].picture]]++;
    for (i = 0; i < d->classes; i++)
        if (votes[i] > votes[best]) best = i;
    if (class_id) *class_id = best;
    return (double)votes[best] / count;
}

/* The channels that are alive, those with the purest best pictures first; returns how many. order:
   room for all channels. */
static inline int units_order(const dataset *d, const units *u, int *order)
{
    int k, i, n = 0;
    for (k = 0; k < u->channels; k++) {
        double purity = units_purity(d, units_of(u, k), u->count, NULL);
        if (!units_alive(u, k)) continue;
        for (i = n++; i > 0; i--) { /* insertion sort */
            if (purity <= units_purity(d, units_of(u, order[i - 1]), u->count, NULL)) break;
            order[i] = order[i - 1];
        }
        order[i] = k;
    }
    return n;
}

/* The purest channels, so that no class comes twice before all that have any came once; returns how
   many, 0 if all are dead. */
static inline int units_pick(const example *e, const dataset *d, const units *u, int *pick,
                             int most)
{
    int *order = (int *)malloc((size_t)u->channels * sizeof *order), i, n = 0, live, class_id, turn;
    int taken[EXAMPLE_CLASSES] = {0};
    if (!order) example_fail(e, "out of memory");
    live = units_order(d, u, order);
    for (turn = 0; turn < live && n < most; turn++)
        for (i = 0; i < live && n < most; i++) {
            if (order[i] < 0) continue;
            units_purity(d, units_of(u, order[i]), u->count, &class_id);
            if (taken[class_id] > turn) continue;
            taken[class_id]++, pick[n++] = order[i], order[i] = -1;
        }
    free(order);
    return n;
}

/* The mean purity of all channels that are alive; *alive: how many. */
static inline double units_mean_purity(const dataset *d, const units *u, int *alive)
{
    double sum = 0;
    int k;
    for (k = *alive = 0; k < u->channels; k++)
        if (units_alive(u, k)) sum += units_purity(d, units_of(u, k), u->count, NULL), ++*alive;
    return *alive ? sum / *alive : 0;
}

/* The purity that comes by chance: the mean of 2000 lists of random pictures. It is well above
   1 / classes: even random pictures have a commonest class. */
static inline double units_chance(const dataset *d, int count, unsigned long long seed)
{
    cnv_rng rng = cnv_rng_seed(seed);
    units_hit hit[64];
    double sum = 0;
    int t, i;
    for (t = 0; t < 2000; t++) {
        for (i = 0; i < count && i < 64; i++) hit[i].picture = (int)(cnv_uniform(&rng) * d->n);
        sum += units_purity(d, hit, i, NULL) / 2000;
    }
    return sum;
}

/* Convolutions, and linear layers too if asked for, at most `most` of them, evenly chosen, the last
   among them; returns how many. */
static inline int units_layers(const cnv_net *net, int linear, int most, int *node)
{
    int i, k, n, all;
    for (k = 0, all = 0, n = 0; k < 2; k++) { /* count, then choose */
        int at = 0;
        for (i = 0; i < net->count; i++) {
            if (net->nodes[i].op != CNV_CONV2D && !(linear && net->nodes[i].op == CNV_LINEAR))
                continue;
            if (k && ++at * (all < most ? all : most) >= (n + 1) * all) node[n++] = i;
            all += !k;
        }
    }
    return n;
}

static inline int units_descending(const void *a, const void *b)
{
    float p = *(const float *)a, q = *(const float *)b;
    return (p < q) - (p > q);
}

/* quantile[k]: the value that the given share of all activations of channel k exceeds, estimated
   from about 20000 places, if there are so many, drawn at random from all pictures. */
static inline void units_quantiles(const example *e, const dataset *d, int node, double share,
                                   float *quantile)
{
    const cnv_tensor *out = &e->net->nodes[node].out;
    int i, j, k, channels = e->net->nodes[node].channels, plane = 0, each = 0;
    size_t count = 0;
    float *sample = NULL;
    cnv_rng rng = cnv_rng_seed(e->seed);
    cnv_tensor images = {0};
    for (i = 0; i < d->n; i += images.n) {
        dataset_batch(e, d, i, dataset_lot(d), &images);
        example_check(e, cnv_forward(e->net, &images, node));
        if (!i) { /* now the maps have a size */
            plane = out->h * out->w, each = 20000 / d->n < plane ? 20000 / d->n + 1 : plane;
            count = (size_t)each * (size_t)d->n;
            sample = (float *)malloc((size_t)channels * count * sizeof *sample);
            if (!sample) example_fail(e, "out of memory");
        }
        for (j = 0; j < images.n * each; j++) {
            int place = (int)(cnv_uniform(&rng) * plane);
            for (k = 0; k < channels; k++)
                sample[(size_t)k * count + (size_t)(i * each + j)] =
                    cnv_tensor_channel(out, j / each, k).data[place];
        }
    }
    for (k = 0; k < channels; k++) {
        float *values = sample + (size_t)k * count;
        qsort(values, count, sizeof *values, units_descending);
        quantile[k] = values[(size_t)(share * (double)count)];
    }
    free(sample), cnv_tensor_free(&images);
}

/* What a node says of every picture, laid flat: codes [n,D,1,1]. */
static inline void units_codes(const example *e, const dataset *d, int node, cnv_tensor *codes)
{
    dataset_codes(e, d, node, codes);
    codes->c *= codes->h * codes->w, codes->h = codes->w = 1;
}

/* The same of the gradients of a class's logit: slopes [n,D,1,1]. logits: their node. */
static inline void units_slopes(const example *e, const dataset *d, int node, int logits,
                                int class_id, cnv_tensor *slopes)
{
    const cnv_tensor *slope = &e->net->nodes[node].grad;
    cnv_tensor images = {0}, *seed;
    int i, k;
    for (i = 0; i < d->n; i += images.n) {
        dataset_batch(e, d, i, 32, &images);
        example_check(e, cnv_forward(e->net, &images, logits));
        seed = cnv_seed(e->net, logits);
        example_check(e, seed != NULL);
        for (k = 0; k < images.n; k++) cnv_tensor_image(seed, k).data[class_id] = 1;
        example_check(e, cnv_backward(e->net, node));
        k = slope->c * slope->h * slope->w;
        example_check(e, i || cnv_tensor_resize(slopes, d->n, k, 1, 1));
        memcpy(cnv_tensor_image(slopes, i).data, slope->data,
               cnv_tensor_size(slope) * sizeof(float));
    }
    cnv_tensor_free(&images);
}

/* ---- Receptive fields ----

   Windows read rows and columns independently, so each axis is followed by itself: mark the neuron,
   mark what it reads in the layer below, and so on down to the pixels. With a margin, the picture
   goes on by so many places at either end, as if it were larger: then nothing is cut off. */

typedef struct {
    int x, y, w, h;                     /* upper left corner and size, in pixels; w = h = 0: none */
} units_box;

/* Marks what the windows at the marked outputs read. out, in: [-margin ... size + margin). */
static inline void units_taps(const unsigned char *out, int outputs, int kernel, int stride,
                              int dilation, int pad, int margin, unsigned char *in, int size)
{
    int p, r;
    for (p = -margin; p < outputs + margin; p++)
        for (r = 0; out[p] && r < kernel; r++) {
            int at = p * stride - pad + r * dilation;
            if (at >= -margin && at < size + margin) in[at] = 1;
        }
}

/* Along one axis (down: 1 rows, 0 columns): marks what the marked outputs of a node read from an
   input of `size`. */
static inline void units_reads(const cnv_node *node, int down, int margin, const unsigned char *out,
                               unsigned char *in, int size)
{
    const cnv_window *win = &node->window;
    int p, i, outputs = down ? node->out.h : node->out.w, low = -margin, high = outputs + margin;
    switch (node->op) {
    case CNV_CONV2D: case CNV_MAX_POOL: case CNV_AVG_POOL:
        units_taps(out, outputs, down ? win->kernel_h : win->kernel_w,
                   down ? win->stride_h : win->stride_w, down ? win->dilation_h : win->dilation_w,
                   down ? win->pad_top : win->pad_left, margin, in, size);
        break;
    case CNV_LINEAR: case CNV_INSTANCE_NORM: /* each output reads everything */
        for (p = low; p < high; p++)
            for (i = 0; out[p] && i < size; i++) in[i] = 1;
        break;
    case CNV_ADAPTIVE_AVG_POOL:
        for (p = 0; p < outputs; p++)
            for (i = p * size / outputs; out[p] && i * outputs < (p + 1) * size; i++) in[i] = 1;
        break;
    case CNV_UPSAMPLE:
        for (p = low; p < high; p++) /* rounded down, below 0 as well */
            in[(p + margin * node->size_h) / node->size_h - margin] |= out[p];
        break;
    case CNV_REFLECT_PAD:
        for (p = 0; p < outputs; p++) {
            i = abs(p - node->size_h);
            in[i < size ? i : 2 * (size - 1) - i] |= out[p];
        }
        break;
    default: /* place by place */
        for (p = low; p < high; p++) in[p] |= out[p];
    }
}

/* From place `at` of a node down to the image: the first and the last pixel along one axis that
   take part. Returns 0 if none does. */
static inline int units_reach(const cnv_net *net, int node, int down, int at, int margin,
                              int *first, int *last)
{
    size_t room = 1;
    unsigned char *mark;
    int i, k;
    for (i = 0; i <= node; i++) {
        const cnv_tensor *out = &net->nodes[i].out;
        size_t size = (size_t)(down ? out->h : out->w) + 2 * (size_t)margin;
        if (size > room) room = size;
    }
    mark = (unsigned char *)calloc((size_t)node + 1, room); /* [node][margin, places, margin] */
    if (!mark) return 0;
    mark[(size_t)node * room + (size_t)(margin + at)] = 1;
    for (i = node; i > 0; i--)
        for (k = 0; k < net->nodes[i].inputs; k++) {
            const cnv_node *from = &net->nodes[net->nodes[i].input[k]];
            units_reads(&net->nodes[i], down, margin, mark + (size_t)i * room + margin,
                        mark + (size_t)net->nodes[i].input[k] * room + margin,
                        down ? from->out.h : from->out.w);
        }
    k = (down ? net->nodes[0].out.h : net->nodes[0].out.w) + 2 * margin;
    for (i = 0; i < k && !mark[i]; i++) {}
    while (k > i && !mark[k - 1]) k--;
    *first = i - margin, *last = k - 1 - margin;
    free(mark);
    return i < k;
}

/* The receptive field of the neuron at (y,x) of a node after cnv_forward: the smallest box with all
   pixels that can change it, through all branches. With `whole`, as if there were picture instead
   of padding all around: the same size for all neurons, and centred where the neuron looks. */
static inline units_box units_field(const cnv_net *net, int node, int y, int x, int whole)
{
    units_box box = {0, 0, 0, 0};
    const cnv_tensor *image = &net->nodes[0].out;
    int top, bottom, left, right, margin = image->h > image->w ? 2 * image->h : 2 * image->w;
    if (!whole) margin = 0;
    if (!units_reach(net, node, 1, y, margin, &top, &bottom) ||
        !units_reach(net, node, 0, x, margin, &left, &right))
        return box;
    box.x = left, box.w = right - left + 1, box.y = top, box.h = bottom - top + 1;
    return box;
}

/* The same by brute force: the smallest box with all pixels where the gradient of the neurons at
   (y,x), all channels together, is not 0 for some of the images. Says nothing about pixels that no
   maximum and no open ReLU leads to. Winograd's way of computing has no exact zeros: it is off
   meanwhile. Returns 1, or 0 with cnv_error(). */
static inline int units_field_by_gradient(cnv_net *net, int node, int y, int x,
                                          const cnv_tensor *images, units_box *box)
{
    const cnv_tensor *out = &net->nodes[node].out, *slope = &net->nodes[0].grad;
    cnv_rng rng = cnv_rng_seed(1);
    cnv_tensor *seed;
    int i, k, ok, first_x = images->w, last_x = -1, first_y = images->h, last_y = -1;
    cnv_use_winograd(0);
    ok = cnv_forward(net, images, node) && (seed = cnv_seed(net, node)) != NULL;
    for (i = 0; ok && i < out->n; i++)
        for (k = 0; k < out->c; k++)
            cnv_tensor_channel(seed, i, k).data[y * out->w + x] = (float)cnv_normal(&rng);
    ok = ok && cnv_backward(net, 0);
    cnv_use_winograd(1);
    for (i = 0; ok && i < (int)cnv_tensor_size(slope); i++) {
        int px = i % slope->w, py = i / slope->w % slope->h;
        if (slope->data[i] == 0) continue;
        first_x = px < first_x ? px : first_x, last_x = px > last_x ? px : last_x;
        first_y = py < first_y ? py : first_y, last_y = py > last_y ? py : last_y;
    }
    box->x = first_x, box->w = last_x - first_x + 1;
    box->y = first_y, box->h = last_y - first_y + 1;
    if (last_x < 0) memset(box, 0, sizeof *box);
    return ok;
}

/* Of nine neurons of a node, from corner to corner, how many have the same receptive field by
   arithmetic and by gradients in 32 pictures. */
static inline int units_fields_exact(const example *e, const dataset *d, int node)
{
    const cnv_tensor *a = &e->net->nodes[node].out;
    cnv_tensor images = {0};
    units_box box, touched;
    int i, exact = 0;
    dataset_batch(e, d, 0, 32, &images);
    for (i = 0; i < 9; i++) {
        int y = i * (a->h - 1) / 8, x = i * (a->w - 1) / 8;
        box = units_field(e->net, node, y, x, 0);
        example_check(e, units_field_by_gradient(e->net, node, y, x, &images, &touched));
        exact += !memcmp(&box, &touched, sizeof box);
    }
    cnv_tensor_free(&images);
    return exact;
}

/* The smallest part of a map >= 0 that holds a share of its sum: its area, of the map's; and the
   level that bounds it, to 1/500 of the greatest value. */
static inline double units_area(const cnv_tensor *map, double share, double *level)
{
    double high, all = 0, sum = 0;
    int i, n = 0, size = (int)cnv_tensor_size(map);
    cnv_range(map, level, &high);
    for (i = 0; i < size; i++) all += (double)map->data[i];
    for (*level = high; sum < share * all;)
        for (*level -= high / 500, i = n = 0, sum = 0; i < size; i++)
            if ((double)map->data[i] >= *level) n++, sum += (double)map->data[i];
    return (double)n / size;
}

/* ---- Pictures ---- */

/* Which part of the object, or TOY_NO_PART, lies at each pixel of the scenes [n][side][side]; to be
   freed. */
static inline unsigned char *units_parts(const example *e, const dataset *d)
{
    size_t plane = (size_t)d->side * (size_t)d->side;
    unsigned char *parts = (unsigned char *)malloc((size_t)d->n * plane);
    int i;
    if (!parts) example_fail(e, "out of memory for the parts of %d scenes", d->n);
#ifdef _OPENMP
#pragma omp parallel for
#endif
    for (i = 0; i < d->n; i++) {
        toy_scene scene = toy_make(EXAMPLE_HELD_OUT + (unsigned long long)i, NULL);
        toy_render(&scene, d->side, NULL, NULL, parts + (size_t)i * plane);
    }
    return parts;
}

/* Picture i as [1,3,side,side], with crisp pixels. */
static inline void units_tile(const example *e, const dataset *d, int i, int side, cnv_tensor *tile)
{
    cnv_tensor small = {0}, large = {0};
    dataset_batch(e, d, i, 1, &small);
    example_check(e, cnv_enlarge(&small, (side - 1) / d->side + 1, &large) &&
                     cnv_resize(&large, side, side, tile));
    cnv_tensor_free(&small), cnv_tensor_free(&large);
}

/* The same, but a scene is drawn anew at that size. d: of dataset_of(). */
static inline void units_thumbnail(const example *e, const dataset *d, int i, int side,
                                   cnv_tensor *tile)
{
    toy_scene scene = toy_make(EXAMPLE_HELD_OUT + (unsigned long long)i, NULL);
    units_tile(e, d, i, side, tile);
    if (example_text(e, "data", NULL)) return;
    toy_render(&scene, side, tile->data, NULL, NULL), example_gray(e, tile);
}

/* The first pictures of a data set in a row, as they are. */
static inline void units_pictures(const example *e, const dataset *d, int count, int side, int x,
                                  int y, cnv_tensor *picture)
{
    cnv_tensor tile = {0};
    int i;
    for (i = 0; i < count && i < d->n; i++, x += side + 10) {
        units_tile(e, d, i, side, &tile);
        cnv_paste(picture, &tile, x, y);
    }
    cnv_tensor_free(&tile);
}

/* Text in white with a dark rim, which shows on every picture. */
static inline void units_label(cnv_tensor *picture, int x, int y, double size, const char *text)
{
    static const cnv_color white = {1, 1, 1}, dark = {0.08f, 0.08f, 0.1f};
    int i;
    for (i = 0; i < 9; i++)
        if (i != 4) cnv_text(picture, x + i % 3 - 1, y + i / 3 - 1, size, dark, text);
    cnv_text(picture, x, y, size, white, text);
}

/* A box in a picture of `from` pixels, in pixels of the same picture shown `to` pixels large. */
static inline units_box units_scaled(units_box box, int from, int to)
{
    units_box large;
    large.x = (int)floor((double)box.x * to / from), large.w = box.w * to / from;
    large.y = (int)floor((double)box.y * to / from), large.h = box.h * to / from;
    return large;
}

/* Frames a box in white; what leaves the picture is cut off. */
static inline void units_frame(cnv_tensor *picture, units_box box, int thick)
{
    static const cnv_color white = {1, 1, 1};
    int left = box.x < 0 ? 0 : box.x, top = box.y < 0 ? 0 : box.y;
    int right = box.x + box.w < picture->w ? box.x + box.w : picture->w;
    int bottom = box.y + box.h < picture->h ? box.y + box.h : picture->h;
    cnv_frame(picture, left, top, right - left, bottom - top, thick, white);
}

/* Whether pixel (x,y) lies in the box, and the map, as large as the box, is >= level there. */
static inline int units_inside(const cnv_tensor *map, units_box box, double level, int x, int y)
{
    x -= box.x, y -= box.y;
    return x >= 0 && y >= 0 && x < box.w && y < box.h &&
           (double)map->data[y * box.w + x] >= level;
}

/* Outlines {map >= level}, where a map of any size is enlarged to the box in the picture [1,3,H,W];
   everything else becomes darker. */
static inline int units_outline(cnv_tensor *picture, units_box box, const cnv_tensor *map,
                                double level, cnv_color color)
{
    cnv_tensor large = {0};
    int x, y, c, u, v, w = picture->w, ok = cnv_resize(map, box.h, box.w, &large);
    for (y = 0; ok && y < picture->h; y++)
        for (x = 0; x < w; x++) {
            int inside = units_inside(&large, box, level, x, y), edge = 0;
            for (v = y - 1; inside && v <= y + 1; v++)
                for (u = x - 1; u <= x + 1; u++)
                    edge |= !units_inside(&large, box, level, u, v);
            for (c = 0; !inside && c < 3; c++) picture->data[(c * picture->h + y) * w + x] *= 0.4f;
            if (edge) cnv_rectangle(picture, x, y, 2, 2, color);
        }
    cnv_tensor_free(&large);
    return ok;
}

/* A channel's best pictures in a row from (x,y) on, each with its value, its class below. */
static inline void units_row(const example *e, const dataset *d, const units_hit *hit, int count,
                             int class_id, int side, int x, int y, cnv_tensor *picture)
{
    static const cnv_color ink = {0.1f, 0.1f, 0.12f}, pale = {0.6f, 0.6f, 0.64f};
    cnv_tensor tile = {0};
    char text[32];
    int i;
    for (i = 0; i < count; i++, x += side + 10) {
        int label = d->labels[hit[i].picture];
        double wide = cnv_text_width(10, d->names[label]);
        units_thumbnail(e, d, hit[i].picture, side, &tile);
        cnv_paste(picture, &tile, x, y);
        snprintf(text, sizeof text, "%.3g", (double)hit[i].value);
        units_label(picture, x + 6, y + side - 17, 11, text);
        cnv_text(picture, x, y + side + 7, wide > side ? 10 * side / wide : 10,
                 label == class_id ? ink : pale, d->names[label]);
    }
    cnv_tensor_free(&tile);
}

/* The best pictures of channel k of a node in a row, darker where its map is below the level. */
static inline void units_mask_row(const example *e, const dataset *d, int node, int k,
                                  const units_hit *hit, int count, double level, int side, int x,
                                  int y, cnv_tensor *picture)
{
    static const cnv_color yellow = {1, 0.85f, 0.1f};
    units_box whole = {0, 0, 0, 0};
    cnv_tensor tile = {0}, image = {0}, map;
    int i;
    whole.w = whole.h = side;
    for (i = 0; i < count; i++, x += side + 12) {
        dataset_batch(e, d, hit[i].picture, 1, &image);
        units_thumbnail(e, d, hit[i].picture, side, &tile);
        example_check(e, cnv_forward(e->net, &image, node));
        map = cnv_tensor_channel(&e->net->nodes[node].out, 0, k);
        example_check(e, units_outline(&tile, whole, &map, level, yellow));
        cnv_paste(picture, &tile, x, y);
    }
    cnv_tensor_free(&tile), cnv_tensor_free(&image);
}

/* Rows of lists from the purest to the least pure, or that of channel `one` if it is not negative,
   each below a line like "unit 7: 9 of 9 fish". */
static inline void units_rows(const example *e, const dataset *d, const units *u, const char *what,
                              int one, int rows, int side, int x, int y, cnv_tensor *picture)
{
    static const cnv_color ink = {0.1f, 0.1f, 0.12f};
    int *order = (int *)malloc((size_t)u->channels * sizeof *order), n, i, class_id;
    char text[128];
    if (!order) example_fail(e, "out of memory");
    n = units_order(d, u, order);
    if (one >= 0) n = 1, order[0] = one;
    for (i = 0; i < rows && i < n; i++, y += side + 62) {
        int k = order[n < rows ? i : i * (n - 1) / (rows - 1)];
        double purity = units_purity(d, units_of(u, k), u->count, &class_id);
        snprintf(text, sizeof text, "%s %d: %.0f of %d %s", what, k, purity * u->count, u->count,
                 d->names[class_id]);
        cnv_text(picture, x, y, 13, ink, text);
        units_row(e, d, units_of(u, k), u->count, class_id, side, x, y + 22, picture);
    }
    free(order);
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
