/* codes.h: many pictures as points. What a layer says of each picture is its code, a point in as
   many dimensions as the layer has channels; these programs ask which points lie near each other,
   and lay them out in the plane.

       codes c = codes_of(&e, 2000);                       // pictures, classes, and codes c.x
       codes_distances(&c.x, &c.x, &d2);                   // between all pairs, squared
       ... lay them out in the plane: y [n,2,1,1] ...
       codes_layout_distances(&y, &near);
       codes_trust(&d2, &near, 5);                         // are neighbours there near in truth?
       codes_map(&picture, &c, &y, "t-SNE", "", "");       // the pictures at their positions ...
       codes_grid(&picture, CODES_RIGHT, &c, &y);          // ... and in a grid without gaps    */
#ifndef CODES_H
#define CODES_H

#include "datasets.h"
#include "panel.h"

#if defined __GNUC__ && !defined __clang__ /* compile it quickly; the inner loops are cnnvis.h's */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

enum { CODES_LEAST = 16, CODES_MOST = 5000, CODES_NEAREST = 64 }; /* pictures; neighbours */

typedef struct {
    dataset d;                    /* the pictures and their classes */
    cnv_tensor x;                 /* [n,C,1,1], the codes */
    int node;                     /* the layer they are read from */
    int shown;                    /* --class: the others are grey; -1: all are shown */
    int own;                      /* --image: the class that picture 0 alone is of; -1: not given */
    char layer[CNV_NAME_SIZE + 80]; /* "relu5, 96 numbers" */
} codes;

/* ---- Codes ---- */

/* --layer, or else the last hidden layer: what the layer of the logits reads, before dropout. */
static inline int codes_layer(const example *e)
{
    const cnv_node *nodes = e->net->nodes;
    int node = e->logits;
    if (example_text(e, "layer", NULL)) return e->layer;
    while (nodes[node].inputs && nodes[node].op != CNV_LINEAR && nodes[node].op != CNV_CONV2D)
        node = nodes[node].input[0];
    if (nodes[node].inputs) node = nodes[node].input[0];
    while (nodes[node].op == CNV_DROPOUT) node = nodes[node].input[0];
    return node;
}

/* x [N,C]: the mean of each channel over its places; where a layer has one place, the number. */
static inline void codes_means(const cnv_tensor *out, float *x)
{
    int i, k, plane = out->h * out->w;
    for (i = 0; i < out->n * out->c; i++) {
        double sum = 0;
        for (k = 0; k < plane; k++) sum += (double)out->data[i * plane + k];
        x[i] = (float)(sum / plane);
    }
}

/* Ends the program if a code is not finite, or all are the same. */
static inline void codes_check(const example *e, const codes *c)
{
    int i, differ = 0;
    for (i = 0; i < c->x.n * c->x.c; i++) {
        differ |= c->x.data[i] != c->x.data[i % c->x.c];
        if (!(fabs((double)c->x.data[i]) < 1e15))
            example_fail(e, "%s: not finite for picture %d", c->layer, i / c->x.c);
    }
    if (!differ) example_fail(e, "%s: the same for all pictures", c->layer);
}

/* What the layer says of each picture: c->x, and c->layer in words. */
static inline void codes_read(const example *e, codes *c)
{
    const cnv_node *node = &e->net->nodes[c->node];
    cnv_tensor images = {0};
    double start = example_seconds();
    int i;
    example_check(e, cnv_tensor_resize(&c->x, c->d.n, node->channels, 1, 1));
    for (i = 0; i < c->d.n; i += images.n) {
        dataset_batch(e, &c->d, i, dataset_lot(&c->d), &images);
        example_check(e, cnv_forward(e->net, &images, c->node));
        codes_means(&node->out, cnv_tensor_image(&c->x, i).data);
        example_progress("coding  ", i + images.n, c->d.n, start);
    }
    if (node->out.h * node->out.w == 1)
        snprintf(c->layer, sizeof c->layer, "%s, %d numbers", node->name, node->channels);
    else
        snprintf(c->layer, sizeof c->layer, "%s, %d channels averaged over %d x %d places",
                 node->name, node->channels, node->out.h, node->out.w);
    cnv_tensor_free(&images);
    codes_check(e, c);
}

/* The label of a class's name, or -1: the network and a folder may count them differently. */
static inline int codes_label(const dataset *d, const char *name)
{
    int i;
    for (i = d->classes - 1; i >= 0 && strcmp(d->names[i], name); i--) continue;
    return i;
}

/* Makes the picture of --image picture 0, of a class of its own. */
static inline int codes_own(const example *e, dataset *d)
{
    size_t k, bytes = dataset_image_bytes(d);
    unsigned char *last, was;
    if (d->classes == EXAMPLE_CLASSES) example_fail(e, "--image: there are too many classes");
    dataset_append(e, d, &e->image, d->labels[0]);
    last = d->pixels + (size_t)(d->n - 1) * bytes;
    for (k = 0; k < bytes; k++) was = last[k], last[k] = d->pixels[k], d->pixels[k] = was;
    d->labels[0] = d->classes;
    snprintf(d->names[d->classes], 64, "your image");
    return d->classes++;
}

/* --images N pictures (`count`, unless said) of --data or the Toybox, and their codes. */
static inline codes codes_of(const example *e, int count)
{
    codes c;
    memset(&c, 0, sizeof c);
    c.d = dataset_of(e, (int)example_number(e, "images", count, CODES_LEAST, CODES_MOST));
    if (c.d.n < CODES_LEAST)
        example_fail(e, "wants at least %d pictures, got %d", CODES_LEAST, c.d.n);
    c.node = codes_layer(e), c.shown = c.own = -1;
    if (example_text(e, "class", NULL)) {
        c.shown = codes_label(&c.d, e->class_names[e->class_id]);
        if (c.shown < 0)
            example_fail(e, "the pictures have no class \"%s\"", e->class_names[e->class_id]);
    }
    if (example_text(e, "image", NULL)) c.own = codes_own(e, &c.d);
    codes_read(e, &c);
    return c;
}

/* The pictures as points themselves, [n,3*side*side,1,1]; those of more than 64 x 64 pixels at that
   size. */
static inline int codes_pixels(const dataset *d, cnv_tensor *x)
{
    cnv_tensor image = {0}, small = {0};
    int i, side = d->side < 64 ? d->side : 64;
    int ok = cnv_tensor_resize(x, d->n, 3 * side * side, 1, 1) &&
             cnv_tensor_resize(&image, 1, 3, d->side, d->side);
    for (i = 0; ok && i < d->n; i++) {
        dataset_picture(d, i, 0, image.data);
        ok = cnv_resize(&image, side, side, &small);
        if (ok) memcpy(cnv_tensor_image(x, i).data, small.data, (size_t)x->c * sizeof(float));
    }
    cnv_tensor_free(&image), cnv_tensor_free(&small);
    return ok;
}

static inline void codes_free(codes *c)
{
    dataset_free(&c->d);
    cnv_tensor_free(&c->x);
}

/* ---- Distances and neighbours ---- */

/* d2 [na,nb,1,1] = |a_i - b_j|^2 = |a_i|^2 + |b_j|^2 - 2 a_i.b_j for a [na,C,1,1], b [nb,C,1,1].
   All the products are one linear layer, whose weights are b. Off by up to some 1e-6 |a_i||b_j|. */
static inline int codes_distances(const cnv_tensor *a, const cnv_tensor *b, cnv_tensor *d2)
{
    const cnv_tensor *both[2] = {a, b};
    double *square[2] = {NULL, NULL};
    int i, j, s, ok = cnv_linear_forward(a, b, NULL, d2, NULL);
    for (s = 0; ok && s < 2; s++) {
        const float *x = both[s]->data;
        square[s] = (double *)calloc((size_t)both[s]->n, sizeof(double));
        ok = square[s] != NULL;
        for (i = 0; ok && i < both[s]->n; i++)
            for (j = 0; j < both[s]->c; j++, x++) square[s][i] += (double)*x * (double)*x;
    }
    for (i = 0; ok && i < a->n; i++)
        for (j = 0; j < b->n; j++) {
            float *d = &d2->data[(size_t)i * (size_t)b->n + (size_t)j];
            *d = (float)fmax(square[0][i] + square[1][j] - 2 * (double)*d, 0);
        }
    free(square[0]), free(square[1]);
    return ok;
}

/* The same for the points of a layout: the first two columns of y [n,2 or more,1,1]. Exactly: they
   nearly touch. */
static inline int codes_layout_distances(const cnv_tensor *y, cnv_tensor *d2)
{
    int i, j;
    if (!cnv_tensor_resize(d2, y->n, y->n, 1, 1)) return 0;
    for (i = 0; i < y->n; i++) {
        const float *a = y->data + i * y->c, *b = y->data;
        for (j = 0; j < y->n; j++, b += y->c)
            cnv_tensor_image(d2, i).data[j] = (a[0] - b[0]) * (a[0] - b[0]) +
                                              (a[1] - b[1]) * (a[1] - b[1]);
    }
    return 1;
}

/* The k columns of row i of d2 with the least distances, nearest first, without column `but`
   (-1: no exception); of equals the first. */
static inline void codes_neighbours(const cnv_tensor *d2, int i, int but, int k, int *nearest)
{
    const float *row = cnv_tensor_image(d2, i).data;
    int j, at, count = 0;
    for (j = 0; j < d2->c; j++) {
        if (j == but || (count == k && row[j] >= row[nearest[k - 1]])) continue;
        if (count < k) count++;
        for (at = count - 1; at > 0 && row[nearest[at - 1]] > row[j]; at--)
            nearest[at] = nearest[at - 1];
        nearest[at] = j;
    }
}

/* Trustworthiness (Venna & Kaski 2001): are the k nearest in a layout near in truth? 1: all are
   among the k nearest there, too; .5: at random.
     1 - 2 / (n k (2n - 3k - 1)) * sum over i and its k nearest j in the layout of max(r_ij - k, 0)
   where j is the r_ij-th nearest of i in truth. k < n / 2. */
static inline double codes_trust(const cnv_tensor *truth, const cnv_tensor *layout, int k)
{
    int i, n = truth->n;
    double too_far = 0, all = (double)n * k * (2.0 * n - 3.0 * k - 1) / 2;
    for (i = 0; i < n; i++) {
        const float *row = cnv_tensor_image(truth, i).data;
        int m, j, nearest[CODES_NEAREST];
        codes_neighbours(layout, i, i, k, nearest);
        for (m = 0; m < k; m++) {
            int rank = 1;
            for (j = 0; j < n; j++) rank += j != i && row[j] < row[nearest[m]];
            too_far += rank > k ? rank - k : 0;
        }
    }
    return 1 - too_far / all;
}

/* Precision at k: the share of the k nearest pictures of each that are of its class. */
static inline double codes_precision(const cnv_tensor *d2, const int *labels, int k)
{
    int i, m, same = 0, nearest[CODES_NEAREST];
    for (i = 0; i < d2->n; i++) {
        codes_neighbours(d2, i, i, k, nearest);
        for (m = 0; m < k; m++) same += labels[nearest[m]] == labels[i];
    }
    return (double)same / d2->n / k;
}

/* The share of all pairs that are of one class: what a choice at random gets. */
static inline double codes_chance(const dataset *d)
{
    double pairs = 0;
    int i, j;
    for (i = 0; i < d->n; i++)
        for (j = 0; j < i; j++) pairs += d->labels[i] == d->labels[j];
    return 2 * pairs / d->n / (d->n - 1.0);
}

/* ---- How good is a layout? ---- */

/* y [n,2]: the codes seen along two random directions. */
static inline int codes_plane(const cnv_tensor *x, uint64_t seed, cnv_tensor *y)
{
    cnv_rng rng = cnv_rng_seed(seed);
    int i, j;
    if (!cnv_tensor_resize(y, x->n, 2, 1, 1)) return 0;
    cnv_tensor_fill(y, 0);
    for (j = 0; j < x->c; j++) {
        double u = cnv_normal(&rng), v = cnv_normal(&rng);
        for (i = 0; i < x->n; i++) {
            y->data[2 * i] += (float)(u * (double)x->data[i * x->c + j]);
            y->data[2 * i + 1] += (float)(v * (double)x->data[i * x->c + j]);
        }
    }
    return 1;
}

/* The positions of a layout, dealt out to other pictures at random. */
static inline int codes_shuffle(const cnv_tensor *y, uint64_t seed, cnv_tensor *dealt)
{
    cnv_rng rng = cnv_rng_seed(seed);
    int i, k;
    if (!cnv_tensor_copy(y, dealt)) return 0;
    for (i = y->n - 1; i > 0; i--) {
        int j = (int)(cnv_random(&rng) % (unsigned)(i + 1));
        for (k = 0; k < y->c; k++) {
            float *a = &dealt->data[i * y->c + k], *b = &dealt->data[j * y->c + k], was = *a;
            *a = *b, *b = was;
        }
    }
    return 1;
}

static inline void codes_score(const codes *c, const cnv_tensor *d2, const char *name,
                               const cnv_tensor *layout_d2)
{
    printf("  %-38s %17.3f %15.3f\n", name, codes_trust(d2, layout_d2, 5),
           codes_precision(layout_d2, c->d.labels, 5));
}

/* Prints how well neighbours in a layout y are neighbours in the codes, d2 being the distances
   there, and of one class; beside two layouts that have not been thought about. */
static inline int codes_report(const codes *c, const cnv_tensor *d2, const char *name,
                               const cnv_tensor *y)
{
    cnv_tensor layout_d2 = {0}, other = {0};
    int ok = codes_layout_distances(y, &layout_d2);
    printf("%d pictures by %s\n%58s%16s\n", c->d.n, c->layer, "trustworthiness(5)",
           "precision at 5");
    if (ok) codes_score(c, d2, name, &layout_d2);
    ok = ok && codes_plane(&c->x, 1, &other) && codes_layout_distances(&other, &layout_d2);
    if (ok) codes_score(c, d2, "a random plane", &layout_d2);
    ok = ok && codes_shuffle(y, 1, &other) && codes_layout_distances(&other, &layout_d2);
    if (ok) codes_score(c, d2, "the same positions, shuffled", &layout_d2);
    if (ok) codes_score(c, d2, "the codes themselves", d2);
    cnv_tensor_free(&layout_d2), cnv_tensor_free(&other);
    return ok;
}

/* ---- Pictures ---- */

enum {
    CODES_SIDE = 1170,              /* of a square with a layout in it; there are two */
    CODES_RIGHT = PANEL_MARGIN + CODES_SIDE + PANEL_GAP, /* where the second one begins */
    CODES_TOP = 88                  /* the title's room above them */
};

/* The side of a picture at its position: of 2000 pictures 40 pixels, more if they are few. */
static inline int codes_tile_side(int n)
{
    double side = 1.53 * CODES_SIDE / sqrt(n);
    return (int)(side < 40 ? 40 : side > 110 ? 110 : side);
}

/* Whether --class asks for other classes. */
static inline int codes_hidden(const codes *c, int label)
{
    return c->shown >= 0 && label != c->shown && label != c->own;
}

/* A colour for each class: hues around the circle, every other one lighter. */
static inline cnv_color codes_color(const codes *c, int label)
{
    toy_rgb rgb = toy_colour((label + 0.25) / c->d.classes, 0.14, label % 2 ? 0.78 : 0.58);
    cnv_color color = {0.85f, 0.85f, 0.86f};
    if (codes_hidden(c, label)) return color;
    if (label == c->own) return panel_black;
    color.r = (float)rgb.r, color.g = (float)rgb.g, color.b = (float)rgb.b;
    return color;
}

/* A square image in a frame, side x side together, at x, y. Small ones get crisp pixels. */
static inline int codes_framed(cnv_tensor *picture, const cnv_tensor *image, int x, int y, int side,
                               int edge, cnv_color color)
{
    cnv_tensor large = {0}, tile = {0};
    int inside = side - 2 * edge;
    int ok = cnv_enlarge(image, (inside + image->h - 1) / image->h, &large) &&
             cnv_resize(&large, inside, inside, &tile);
    if (ok) cnv_rectangle(picture, x, y, side, side, color);
    if (ok) cnv_paste(picture, &tile, x + edge, y + edge);
    cnv_tensor_free(&large), cnv_tensor_free(&tile);
    return ok;
}

/* Picture i of the data likewise. */
static inline int codes_tile(cnv_tensor *picture, const dataset *d, int i, int x, int y, int side,
                             int edge, cnv_color color)
{
    cnv_tensor image = {0};
    int ok = cnv_tensor_resize(&image, 1, 3, d->side, d->side);
    if (ok) dataset_picture(d, i, 0, image.data);
    ok = ok && codes_framed(picture, &image, x, y, side, edge, color);
    cnv_tensor_free(&image);
    return ok;
}

/* Where the points of a layout lie in a square: at [n,2,1,1] in pixels from its corner. Each axis
   fills it; the second one points upwards. */
static inline int codes_fit(const cnv_tensor *y, cnv_tensor *at)
{
    int i, axis, ok = cnv_tensor_resize(at, y->n, 2, 1, 1);
    for (axis = 0; ok && axis < 2; axis++) {
        float low = y->data[axis], high = low, border = (float)codes_tile_side(y->n) / 2;
        for (i = 0; i < y->n; i++) {
            low = fminf(low, y->data[i * y->c + axis]);
            high = fmaxf(high, y->data[i * y->c + axis]);
        }
        for (i = 0; i < y->n; i++) {
            float t = high > low ? (y->data[i * y->c + axis] - low) / (high - low) : 0.5f;
            at->data[2 * i + axis] = border + (CODES_SIDE - 2 * border) * (axis ? 1 - t : t);
        }
    }
    return ok;
}

/* Each point of a layout as a dot of its class's colour, in the square whose left side is x; first
   those of classes that are not shown. */
static inline int codes_dots(cnv_tensor *picture, int x, const codes *c, const cnv_tensor *y,
                             double radius)
{
    cnv_tensor at = {0};
    int i, shown, ok = codes_fit(y, &at);
    for (shown = 0; shown < 2; shown++)
        for (i = 0; ok && i < y->n; i++) {
            double u = x + (double)at.data[2 * i], v = CODES_TOP + (double)at.data[2 * i + 1];
            if (codes_hidden(c, c->d.labels[i]) != shown)
                cnv_disc(picture, u, v, radius, codes_color(c, c->d.labels[i]));
        }
    cnv_tensor_free(&at);
    return ok;
}

/* The pictures themselves at their positions, but those that would hide more than a third of one
   drawn before; dots stand for these. */
static inline int codes_images(cnv_tensor *picture, int x, const codes *c, const cnv_tensor *y)
{
    cnv_tensor at = {0};
    int *drawn = (int *)malloc((size_t)y->n * sizeof(int)), count = 0, i, k;
    int side = codes_tile_side(y->n), apart = 2 * side / 3;
    int ok = drawn && codes_dots(picture, x, c, y, 4) && codes_fit(y, &at);
    for (i = 0; ok && i < y->n; i++) {
        int u = (int)at.data[2 * i], v = (int)at.data[2 * i + 1];
        for (k = 0; k < count; k++)
            if (abs(u - (int)at.data[2 * drawn[k]]) <= apart &&
                abs(v - (int)at.data[2 * drawn[k] + 1]) <= apart)
                break;
        if (k < count || codes_hidden(c, c->d.labels[i])) continue;
        drawn[count++] = i;
        ok = codes_tile(picture, &c->d, i, x + u - side / 2, CODES_TOP + v - side / 2, side,
                        side / 20, codes_color(c, c->d.labels[i]));
    }
    free(drawn), cnv_tensor_free(&at);
    return ok;
}

/* The classes' names and colours in a row. */
static inline void codes_legend(cnv_tensor *picture, int y, const codes *c)
{
    int i, width, x = PANEL_MARGIN, right = picture->w - PANEL_MARGIN;
    for (i = 0; i < c->d.classes; i++, x += width) {
        width = 66 + (int)cnv_text_width(18, c->d.names[i]);
        if (x + width > right && i + 1 < c->d.classes) {
            cnv_text(picture, x, y, 18, panel_gray, "...");
            return;
        }
        cnv_disc(picture, x + 10, y + 9, 10, codes_color(c, i));
        cnv_text(picture, x + 28, y, 18, panel_black, c->d.names[i]);
    }
}

/* A sheet with the map of a layout: the pictures at their positions on the left, and room for
   another square on the right. name: the method's. */
static inline int codes_map(cnv_tensor *picture, const codes *c, const cnv_tensor *y,
                            const char *name, const char *left, const char *right)
{
    int bottom = CODES_TOP + CODES_SIDE, ok;
    char title[256];
    ok = cnv_canvas(picture, bottom + 118, CODES_RIGHT + CODES_SIDE + PANEL_MARGIN, panel_white);
    if (!ok) return 0;
    snprintf(title, sizeof title, "%s of the codes of %d pictures: %s", name, c->d.n, c->layer);
    cnv_text(picture, PANEL_MARGIN, 36, 26, panel_black, title);
    cnv_text(picture, PANEL_MARGIN, bottom + 16, 17, panel_gray, left);
    cnv_text(picture, CODES_RIGHT, bottom + 16, 17, panel_gray, right);
    codes_legend(picture, bottom + 62, c);
    return codes_images(picture, PANEL_MARGIN, c, y);
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

/* ---- A grid without gaps ---- */

/* Every picture gets a cell of its own: picture[j] is the one in cell j, such that the sum of
   |from_i - to_j|^2 is within n * `price` of the least there is. from, to [n,2], in [0,1].
   An auction (Bertsekas 1988): who has no cell bids for the one that is cheapest to move to, its
   price included, as much more as would make the second cheapest as good, plus `raise`; whoever
   had it goes back to bidding. Prices from a round of large raises shorten the next, of smaller. */
static inline int codes_auction(const cnv_tensor *from, const cnv_tensor *to, float least,
                                int *picture)
{
    int i, j, n = from->n, left, *waiting = (int *)malloc((size_t)n * sizeof(int));
    float *price = (float *)calloc((size_t)n, sizeof(float)), raise = 0.1f;
    int ok = waiting && price;
    while (ok) {
        for (left = 0; left < n; left++) waiting[left] = left, picture[left] = -1;
        while (left) {
            const float *at = from->data + 2 * (i = waiting[--left]);
            float best = INFINITY, second = INFINITY;
            int wish = 0;
            for (j = 0; j < n; j++) {
                float dx = at[0] - to->data[2 * j], dy = at[1] - to->data[2 * j + 1];
                float cost = dx * dx + dy * dy + price[j];
                if (cost < best) second = best, best = cost, wish = j;
                else if (cost < second) second = cost;
            }
            price[wish] += second - best + raise;
            if (picture[wish] >= 0) waiting[left++] = picture[wish];
            picture[wish] = i;
        }
        if (raise <= least) break;
        raise = fmaxf(raise / 5, least);
    }
    free(waiting), free(price);
    return ok;
}

/* A layout as a grid, in the square that begins at x: each picture in the cell it is moved to. */
static inline int codes_grid(cnv_tensor *picture, int x, const codes *c, const cnv_tensor *y)
{
    int i, n = y->n, columns = (int)ceil(sqrt(n)), side = CODES_SIDE / columns;
    cnv_tensor from = {0}, to = {0};
    int *cell = (int *)malloc((size_t)n * sizeof(int));
    int ok = cell && codes_fit(y, &from) && cnv_tensor_resize(&to, n, 2, 1, 1);
    for (i = 0; ok && i < n; i++) {
        from.data[2 * i] /= CODES_SIDE, from.data[2 * i + 1] /= CODES_SIDE;
        to.data[2 * i] = ((float)(i % columns) + 0.5f) / (float)columns;
        to.data[2 * i + 1] = ((float)(i / columns) + 0.5f) / (float)columns;
    }
    ok = ok && codes_auction(&from, &to, 0.02f / (float)n, cell);
    for (i = 0; ok && i < n; i++)
        ok = codes_tile(picture, &c->d, cell[i], x + i % columns * side,
                        CODES_TOP + i / columns * side, side, side / 20 + 1,
                        codes_color(c, c->d.labels[cell[i]]));
    free(cell), cnv_tensor_free(&from), cnv_tensor_free(&to);
    return ok;
}

#endif
