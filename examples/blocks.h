/* blocks.h: what building_blocks.c is made of: groups of channels that fire together, what they are
   worth to a class, and the channels that fire most at some places. (Olah et al. 2018) */
#ifndef BLOCKS_H
#define BLOCKS_H

#include "nmf.h"
#include "panel.h"
#include "visions.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

enum { BLOCK_MOST = 6 /* groups */, BLOCK_PLACES = 4, BLOCK_TOP = 4,
       BLOCK_PICTURES = BLOCK_MOST + BLOCK_PLACES * BLOCK_TOP, BLOCK_TILE = 74 };
enum { BLOCK_LEADING, BLOCK_ANY, BLOCK_SHUFFLED };

typedef struct {
    int node, groups;           /* the feature maps; how many groups to make of their channels */
    int steps;                  /* of the factorization */
    int wanted;                 /* when scored: BLOCK_LEADING's map, or a control */
    cnv_rng rng;
    nmf parts;
    double before, after;       /* the error at the start and at the end */
    double effect[BLOCK_MOST];  /* of each group on the class's logit; they descend */
    cnv_tensor share;           /* [1,1,h,w]: the attribution of each place */
} blocks;

static inline blocks blocks_of(const example *e, int node, int groups, int wanted)
{
    blocks b;
    memset(&b, 0, sizeof b);
    b.node = node, b.groups = groups, b.steps = 80, b.wanted = wanted;
    b.rng = cnv_rng_seed(e->seed);
    return b;
}

static inline void blocks_end(blocks *b) { nmf_end(&b->parts), cnv_tensor_free(&b->share); }

/* What each group and each place, share [1,1,h,w], is worth to a class: gradient times activation.
   After cnv_forward and the factorization. */
static inline int blocks_effects(cnv_net *net, int logits, int class_id, const blocks *b,
                                 double *effect, cnv_tensor *share)
{
    const cnv_tensor *out = &net->nodes[b->node].out, *slope = &net->nodes[b->node].grad;
    cnv_tensor *seed = cnv_seed(net, logits);
    int c, p, g, plane = out->h * out->w;
    if (!seed || !cnv_tensor_resize(share, 1, 1, out->h, out->w)) return 0;
    seed->data[class_id] = 1;
    if (!cnv_backward(net, b->node)) return 0;
    cnv_tensor_fill(share, 0);
    for (g = 0; g < b->groups; g++) effect[g] = 0;
    for (c = 0; c < out->c; c++)
        for (p = 0; p < plane; p++) {
            float d = slope->data[c * plane + p];
            for (g = 0; g < b->groups; g++)
                effect[g] += (double)(d * b->parts.groups.data[g * out->c + c] *
                                      b->parts.maps.data[g * plane + p]);
            share->data[p] += d * out->data[c * plane + p];
        }
    return 1;
}

/* Exchanges two groups. */
static inline void blocks_swap(blocks *b, int i, int k)
{
    cnv_tensor *factor[2];
    double effect = b->effect[i];
    int f, j;
    factor[0] = &b->parts.groups, factor[1] = &b->parts.maps;
    b->effect[i] = b->effect[k], b->effect[k] = effect;
    for (f = 0; f < 2; f++) {
        int n = (int)cnv_tensor_size(factor[f]) / b->groups;
        float *x = factor[f]->data + i * n, *y = factor[f]->data + k * n;
        for (j = 0; j < n; j++) {
            float value = x[j];
            x[j] = y[j], y[j] = value;
        }
    }
}

/* The group with the greatest effect first. */
static inline void blocks_sort(blocks *b)
{
    int i, k;
    for (i = 1; i < b->groups; i++)
        for (k = i; k > 0 && b->effect[k - 1] < b->effect[k]; k--) blocks_swap(b, k - 1, k);
}

/* The numbers of a map in random order. */
static inline void blocks_shuffle(cnv_tensor *map, cnv_rng *rng)
{
    int i, k;
    for (i = (int)cnv_tensor_size(map) - 1; i > 0; i--) {
        float value = map->data[i];
        k = (int)(cnv_uniform(rng) * (i + 1));
        map->data[i] = map->data[k], map->data[k] = value;
    }
}

/* Where the first groups are greatest, each at a place of its own. */
static inline void blocks_places(const cnv_tensor *maps, int *place)
{
    int i, j, k, plane = maps->h * maps->w;
    for (i = 0; i < BLOCK_PLACES; i++) {
        const float *map = maps->data + i % maps->c * plane;
        for (place[i] = -1, k = 0; k < plane; k++) {
            for (j = 0; j < i && place[j] != k; j++) continue;
            if (j == i && (place[i] < 0 || map[k] > map[place[i]])) place[i] = k;
        }
    }
}

/* The `count` channels that fire most at a place, the strongest first. */
static inline void blocks_strongest(const cnv_tensor *values, int place, int *channel, int count)
{
    int i, j, c, plane = values->h * values->w;
    for (i = 0; i < count; i++)
        for (channel[i] = -1, c = 0; c < values->c; c++) {
            for (j = 0; j < i && channel[j] != c; j++) continue;
            if (j == i && (channel[i] < 0 || values->data[c * plane + place] >
                                             values->data[channel[i] * plane + place]))
                channel[i] = c;
        }
}

/* A picture [1,3,H,W] in grey, and over it maps [1,n,h,w], each in its own colour, as strong as the
   map is there compared with its maximum. */
static inline int blocks_overlay(const cnv_tensor *picture, const cnv_tensor *maps,
                                 const cnv_color *colors, cnv_tensor *rgb)
{
    cnv_tensor large = {0};
    int i, k, c, plane = picture->h * picture->w;
    int ok = cnv_resize(maps, picture->h, picture->w, &large) && cnv_stretch(&large, 1, &large) &&
             cnv_tensor_copy(picture, rgb);
    for (i = 0; ok && i < plane; i++) {
        const float *pixel = picture->data + i;
        float gray = 0.3f * pixel[0] + 0.59f * pixel[plane] + 0.11f * pixel[2 * plane];
        float sum = 1e-20f, most = 0, mix[3] = {0, 0, 0};
        for (k = 0; k < maps->c; k++) {
            float value = large.data[k * plane + i], weight = value * value * value;
            mix[0] += weight * colors[k].r, mix[1] += weight * colors[k].g;
            mix[2] += weight * colors[k].b, sum += weight, most = fmaxf(most, value);
        }
        for (c = 0; c < 3; c++)
            rgb->data[c * plane + i] =
                (0.15f + 0.7f * gray) * (1 - 0.8f * most) + 0.8f * most * mix[c] / sum;
    }
    cnv_tensor_free(&large);
    return ok;
}

/* Pictures a->image made for all groups, then for the channels of the dictionary. */
static inline void blocks_pictures(const example *e, const blocks *b, int steps,
                                   int channel[][BLOCK_TOP], ascent *a)
{
    int node = b->node, i, n = b->groups, c = b->parts.values.c;
    ascent_direction wanted[BLOCK_PICTURES];
    float *v;
    if (e->net->nodes[node].op == CNV_RELU) node = e->net->nodes[node].input[0]; /* has slopes */
    v = vision_room(e, &node, 1, BLOCK_PICTURES);
    for (i = 0; i < n + BLOCK_PLACES * BLOCK_TOP; i++)
        wanted[i] = vision_direction(e->net, node, &channel[0][0] + (i < n ? 0 : i - n), 1, 0,
                                     v + i * c);
    memcpy(v, b->parts.groups.data, cnv_tensor_size(&b->parts.groups) * sizeof *v);
    *a = ascent_of(e, node, ascent_directions, wanted);
    example_check(e, vision_climb(a, i, e->model->side, units_field(e->net, node, 0, 0, 1).w,
                                  steps));
    free(v);
}

/* The first of all BLOCK_PLACES * BLOCK_TOP channels that is the same as this one. */
static inline int blocks_first(int channel[][BLOCK_TOP], int place, int k)
{
    int i;
    for (i = 0; channel[i / BLOCK_TOP][i % BLOCK_TOP] != channel[place][k]; i++) continue;
    return i;
}

/* The semantic dictionary in the fourth panel, and its places' letters in the first. */
static inline void blocks_dictionary(const example *e, const blocks *b, const int *place,
                                     int channel[][BLOCK_TOP], const cnv_tensor *pictures,
                                     panel_sheet *sheet)
{
    int i, k, x, y, h = b->share.h, w = b->share.w;
    char text[32];
    panel_corner(sheet, 3, &x, &y);
    panel_text(sheet, x, y + PANEL_SIDE + 12, 13, panel_black, "which channels fire most there");
    for (i = 0; i < BLOCK_PLACES; i++) {
        panel_corner(sheet, 0, &x, &y);
        snprintf(text, sizeof text, "%c", 'A' + i);
        units_label(&sheet->picture, x + (2 * (place[i] % w) + 1) * PANEL_SIDE / (2 * w) - 6,
                    y + (2 * (place[i] / w) + 1) * PANEL_SIDE / (2 * h) - 8, 17, text);
        panel_corner(sheet, 3, &x, &y);
        y += i * (BLOCK_TILE + 8);
        cnv_text(&sheet->picture, x - 22, y + BLOCK_TILE / 2 - 8, 17, panel_black, text);
        for (k = 0; k < BLOCK_TOP; k++, x += BLOCK_TILE + 8) {
            cnv_tensor one = cnv_tensor_image(pictures, b->groups + blocks_first(channel, i, k));
            vision_paste(e, &one, vision_whole(&one), BLOCK_TILE, x, y, &sheet->picture);
            snprintf(text, sizeof text, "%.1f", (double)b->parts.values.data[
                     channel[i][k] * h * w + place[i]]);
            units_label(&sheet->picture, x + 5, y + BLOCK_TILE - 15, 9, text);
        }
    }
}
/* A number of either sign as a bar from x on, `scale` pixels long for 1, and in figures after a
   name. */
static inline void blocks_bar(cnv_tensor *sheet, int x, int y, double value, double scale,
                              const char *name)
{
    const cnv_color red = {0.78f, 0.2f, 0.2f}, blue = {0.2f, 0.4f, 0.75f};
    int length = (int)(fabs(value) * scale + 1);
    char text[64];
    panel_within(sheet, 78, x, y + 1, 11, panel_black, name);
    snprintf(text, sizeof text, "%+.1f", value);
    cnv_rectangle(sheet, x + 84, y, length, 12, value < 0 ? blue : red);
    cnv_text(sheet, x + 90 + length, y + 1, 11, panel_black, text);
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
