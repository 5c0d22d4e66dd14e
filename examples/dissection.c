/* dissection.c - which concepts have units of their own?

   Question   Nobody told the network what an eye or a wheel is. Has it made detectors of them?
   Formula    T_k: exceeded by 0.5% of all A_k(y,x), over all pictures and places;
              M_k = {A_k, enlarged to the picture, > T_k}, L_c = the pixels of concept c;
              IoU(k,c) = sum over pictures of |M_k and L_c| / sum of |M_k or L_c|;
              unit k detects the concept with its greatest IoU, if that is above .04
   Paper      Bau, Zhou, Khosla, Oliva, Torralba: Network Dissection (2017), section 2
   Look for   Units of the last layers for a whole class or for a part that only one class has; in
              the layers before, for parts that several share. An outline is no sharper than the
              feature map, 8 x 8 at the end, and so no IoU is near 1.
   Measured   detectors in the trained network; none with the masks of other pictures, next to none
              in the same layer before training

       cc -O2 examples/dissection.c -o build/dissection -lm && build/dissection --layer conv3

   Concepts are the parts of the Toybox's objects, and its classes: their masks are known. Own
   options: --images N to search (1000).                                                           */
#include "panel.h"
#include "units.h"

enum { CONCEPTS = TOY_PARTS + TOY_CLASSES, TOP = 5, ROWS = 6, TILE = 120, STEP = TILE + 12 };

typedef struct {
    float threshold;
    long on, both[2][CONCEPTS];         /* pixels of M_k; of M_k and L_c. [1]: L_c of the wrong */
    int concept[2];                     /* picture, to compare. The concept with the greatest */
    double iou[2];                      /* IoU, and that */
} dissection_unit;

/* Concept c < TOY_PARTS is a part, the others are classes. */
static const char *dissection_name(int c)
{
    return c < TOY_PARTS ? toy_part_names[c] : toy_class_names[c - TOY_PARTS];
}

/* Adds what a unit's map [1,1,h,w] has in common with the parts at side x side pixels to both[set]. */
static int dissection_count(const cnv_tensor *map, const unsigned char *parts, int class_id,
                            int side, int set, dissection_unit *unit)
{
    cnv_tensor large = {0};
    double low, high;
    int i;
    cnv_range(map, &low, &high);
    if (!(high > (double)unit->threshold)) return 1; /* nor is it, enlarged */
    if (!cnv_resize(map, side, side, &large)) return 0;
    for (i = 0; i < side * side; i++) {
        if (!(large.data[i] > unit->threshold)) continue;
        unit->on += !set, unit->both[set][parts[i]]++;
        if (parts[i] != TOY_NO_PART) unit->both[set][TOY_PARTS + class_id]++;
    }
    cnv_tensor_free(&large);
    return 1;
}

/* labelled: how many pixels each concept has in all pictures. */
static void dissection_best(dissection_unit *unit, int set, const long *labelled)
{
    int c;
    for (unit->iou[set] = 0, c = 1; c < CONCEPTS; c++) {
        long both = unit->both[set][c], either = unit->on + labelled[c] - both;
        double iou = either > 0 ? (double)both / (double)either : 0;
        if (iou > unit->iou[set]) unit->iou[set] = iou, unit->concept[set] = c;
    }
}

/* Dissects all units of a node, given their thresholds; parts [n][side][side]. u: their best
   pictures. */
static void dissection(const example *e, const dataset *d, int node, const unsigned char *parts,
                       const long *labelled, dissection_unit *unit, units *u)
{
    const cnv_tensor *out = &e->net->nodes[node].out;
    int i, k, set;
    cnv_tensor image = {0};
    double start = example_seconds();
    *u = units_new(e, e->net->nodes[node].channels, TOP);
    for (i = 0; i < d->n; i++) {
        dataset_batch(e, d, i, 1, &image);
        example_check(e, cnv_forward(e->net, &image, node));
        units_see(u, out, i);
        for (k = 0; k < 2 * out->c; k++) {
            cnv_tensor map = cnv_tensor_channel(out, 0, k / 2);
            int from = (i + k % 2) % d->n; /* this picture, or the next */
            example_check(e, dissection_count(&map, parts + from * d->side * d->side,
                                              d->labels[from], d->side, k % 2, &unit[k / 2]));
        }
        example_progress("dissecting", i + 1, d->n, start);
    }
    for (k = 0; k < out->c; k++)
        for (set = 0; set < 2; set++) dissection_best(&unit[k], set, labelled);
    cnv_tensor_free(&image);
}

/* How many of n units detect the concept, any for CONCEPTS. */
static int dissection_detectors(const dissection_unit *unit, int n, int set, int concept)
{
    int k, all = 0;
    for (k = 0; k < n; k++)
        all += unit[k].iou[set] > 0.04 && (concept == CONCEPTS || unit[k].concept[set] == concept);
    return all;
}

#ifndef EXAMPLE_NO_MAIN
/* Detectors of different concepts, the best first, on their best pictures: bright where M_k is. */
static void dissection_picture(const example *e, const dataset *d, const dissection_unit *unit,
                               const units *u, cnv_tensor *sheet)
{
    static const cnv_color yellow = {1, 0.85f, 0.1f};
    char taken[CONCEPTS] = {0}, text[96];
    units_box whole = {0, 0, TILE, TILE};
    cnv_tensor tile = {0}, image = {0}, map;
    int row, i, k, c, best, x, y;
    for (row = 0; row < 2 * ROWS; row++) {
        for (k = 0, best = -1; k < u->channels; k++)
            if (!taken[unit[k].concept[0]] && (best < 0 || unit[k].iou[0] > unit[best].iou[0]))
                best = k;
        if (best < 0) break;
        c = unit[best].concept[0], taken[c] = 1;
        x = PANEL_MARGIN + row / ROWS * (TOP * STEP + 190), y = PANEL_TOP + row % ROWS * STEP;
        cnv_text(sheet, x, y + 20, 17, panel_black, dissection_name(c));
        snprintf(text, sizeof text, "unit %d: %.2f", best, unit[best].iou[0]);
        cnv_text(sheet, x, y + 52, 12, panel_gray, text);
        snprintf(text, sizeof text, "%s, %d units", c < TOY_PARTS ? "part" : "class",
                 dissection_detectors(unit, u->channels, 0, c));
        cnv_text(sheet, x, y + 76, 12, panel_gray, text);
        for (i = 0; i < u->count; i++) {
            int picture = units_of(u, best)[i].picture;
            dataset_batch(e, d, picture, 1, &image);
            units_thumbnail(e, d, picture, TILE, &tile);
            example_check(e, cnv_forward(e->net, &image, e->layer));
            map = cnv_tensor_channel(&e->net->nodes[e->layer].out, 0, best);
            example_check(e, units_outline(&tile, whole, &map, (double)unit[best].threshold, yellow));
            cnv_paste(sheet, &tile, x + 150 + i * STEP, y);
        }
    }
    cnv_tensor_free(&tile), cnv_tensor_free(&image);
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "units and the concepts they detect", NULL, "images");
    example net[2];
    dataset d = dataset_of(&e, (int)example_number(&e, "images", 1000, 10, 1e5));
    int n = e.net->nodes[e.layer].channels, plane = d.side * d.side, i, k, c, parts, classes;
    long labelled[CONCEPTS] = {0};
    unsigned char *label = (unsigned char *)malloc((size_t)d.n * (size_t)plane);
    float *threshold = (float *)malloc((size_t)n * sizeof *threshold);
    dissection_unit *unit[2];
    cnv_tensor sheet = {0};
    char title[128];
    units u[2];
    net[0] = e, net[1] = units_untrained(&e);
    for (i = 0; i < d.n; i++) {
        toy_scene scene = toy_make(EXAMPLE_HELD_OUT + (unsigned long long)i, NULL);
        toy_render(&scene, d.side, NULL, NULL, label + i * plane);
        for (k = 0; k < plane; k++) {
            int part = label[i * plane + k];
            labelled[part]++, labelled[TOY_PARTS + d.labels[i]] += part != TOY_NO_PART;
        }
    }
    for (i = 0; i < 2; i++) {
        unit[i] = (dissection_unit *)calloc((size_t)n, sizeof **unit);
        units_quantiles(&net[i], &d, e.layer, 0.005, threshold);
        for (k = 0; k < n; k++) unit[i][k].threshold = threshold[k];
        dissection(&net[i], &d, e.layer, label, labelled, unit[i], &u[i]);
    }
    for (c = 1, parts = classes = 0; c < CONCEPTS; c++)
        *(c < TOY_PARTS ? &parts : &classes) += dissection_detectors(unit[0], n, 0, c) > 0;
    printf("%s: %d of %d units are detectors, of %d parts and %d classes\n",
           e.net->nodes[e.layer].name, dissection_detectors(unit[0], n, 0, CONCEPTS), n, parts,
           classes);
    printf("with the masks of other pictures: %d; before training: %d\n",
           dissection_detectors(unit[0], n, 1, CONCEPTS),
           dissection_detectors(unit[1], n, 0, CONCEPTS));
    snprintf(title, sizeof title, "Units of %s and what they detect", e.net->nodes[e.layer].name);
    example_check(&e, cnv_canvas(&sheet, PANEL_TOP + ROWS * STEP + 20,
                                 2 * (PANEL_MARGIN + TOP * STEP) + 325, panel_white));
    cnv_text(&sheet, PANEL_MARGIN, 38, 21, panel_black, title);
    dissection_picture(&e, &d, unit[0], &u[0], &sheet);
    example_save(&e, &sheet);
    return 0;
}
#endif
