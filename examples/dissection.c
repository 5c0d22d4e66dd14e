/* dissection.c - which concepts have units of their own?

   Question   Nobody told the network what an eye or a wheel is. Has it made detectors of them?
   Formula    T_k: exceeded by 0.5% of all A_k(y,x), over all pictures and places
              M_k = {A_k, enlarged to the picture, > T_k}, L_c = the pixels of concept c
              IoU(k,c) = sum over pictures of |M_k and L_c| / sum of |M_k or L_c|
              unit k detects the concept with its greatest IoU, if that is above .04
   Paper      Bau, Zhou, Khosla, Oliva, Torralba: Network Dissection (2017), section 2
   Look for   Units of the last layers for a class or for a part that only one class has; in layers
              before, for parts that several share. No outline is sharper than its feature map,
              8 x 8 at the end, and so no IoU is near 1.
   Measured   detectors in the trained network; none with the masks of other pictures, next to none
              in the same layer before training

       cc -O2 examples/dissection.c -o build/dissection -lm && build/dissection --layer conv3

   The concepts are the parts of the Toybox's objects and its classes. Own option: --images N.    */
#include "panel.h"
#include "units.h"

enum { CONCEPTS = TOY_PARTS + TOY_CLASSES }; /* the parts, then the classes */

typedef struct {
    double threshold;
    long on, both[CONCEPTS];    /* pixels of M_k; of M_k and L_c */
    int concept;                /* the one with the greatest IoU, */
    double iou;                 /* and that */
} dissection_unit;

/* Adds what a unit's map [1,1,h,w] has in common with a picture's parts [side][side]. */
static void dissection_count(const example *e, const cnv_tensor *map, const unsigned char *parts,
                             int class_id, int side, dissection_unit *unit)
{
    cnv_tensor large = {0};
    double low, high;
    int i;
    cnv_range(map, &low, &high);
    if (!(high > unit->threshold)) return; /* nor is it, enlarged */
    example_check(e, cnv_resize(map, side, side, &large));
    for (i = 0; i < side * side; i++) {
        if (!((double)large.data[i] > unit->threshold)) continue;
        unit->on++, unit->both[parts[i]]++;
        unit->both[TOY_PARTS + class_id] += parts[i] != TOY_NO_PART;
    }
    cnv_tensor_free(&large);
}

/* Dissects the units of a node, by the parts [n][side][side] of the pictures, or as a control of
   the pictures `shift` further on. Free what it returns. */
static dissection_unit *dissection(const example *e, const dataset *d, int node,
                                   const unsigned char *parts, int shift)
{
    int i, k, n = e->net->nodes[node].channels, plane = d->side * d->side;
    dissection_unit *unit = (dissection_unit *)calloc((size_t)n + 1, sizeof *unit);
    cnv_tensor images = {0}, threshold = {0}, map;
    float ever = 1;
    example_check(e, unit && cnv_tensor_resize(&threshold, 1, n, 1, 1));
    units_quantiles(e, d, node, 0.005, threshold.data);
    for (k = 0; k < n; k++) unit[k].threshold = (double)threshold.data[k];
    for (i = 0; i < d->n; i++) {
        int at = (i + shift) % d->n, batch = i % dataset_lot(d);
        if (!batch) dataset_batch(e, d, i, dataset_lot(d), &images);
        example_check(e, batch || cnv_forward(e->net, &images, node));
        for (k = 0; k <= n; k++) {
            map = k < n ? cnv_tensor_channel(&e->net->nodes[node].out, batch, k)
                        : cnv_tensor_view(&ever, 1, 1, 1, 1); /* the last is on everywhere */
            dissection_count(e, &map, parts + at * plane, d->labels[at], d->side, &unit[k]);
        }
    }
    for (k = 0; k < n * CONCEPTS; k++) {
        dissection_unit *one = &unit[k / CONCEPTS];
        int c = k % CONCEPTS;
        double either = (double)(one->on + unit[n].both[c] - one->both[c]);
        double iou = (double)one->both[c] / fmax(either, 1);
        if (c != TOY_NO_PART && iou > one->iou) one->iou = iou, one->concept = c;
    }
    cnv_tensor_free(&images), cnv_tensor_free(&threshold);
    return unit;
}

/* How many of n units detect a concept, or any for CONCEPTS. */
static int dissection_detectors(const dissection_unit *unit, int n, int concept)
{
    int k, all = 0;
    for (k = 0; k < n; k++)
        all += unit[k].iou > 0.04 && (concept == CONCEPTS || unit[k].concept == concept);
    return all;
}

#ifndef EXAMPLE_NO_MAIN
enum { TOP = 5, ROWS = 6, TILE = 120, STEP = TILE + 12, WIDTH = 370 + 2 * TOP * STEP };

/* The best unit of each concept, the best of all first, on its best pictures. */
static void dissection_picture(const example *e, const dataset *d, const dissection_unit *unit,
                               const units *u, cnv_tensor *sheet)
{
    char text[128], taken[CONCEPTS] = {0};
    const char *name;
    int i, k, x, y, best, c;
    example_check(e, cnv_canvas(sheet, PANEL_TOP + ROWS * STEP + 20, WIDTH, panel_white));
    snprintf(text, sizeof text, "Units of %s and what they detect", e->net->nodes[e->layer].name);
    cnv_text(sheet, PANEL_MARGIN, 38, 21, panel_black, text);
    for (i = 0; i < 2 * ROWS; i++) {
        for (k = 0, best = -1; k < u->channels; k++)
            if (!taken[unit[k].concept] && (best < 0 || unit[k].iou > unit[best].iou)) best = k;
        if (best < 0 || unit[best].iou <= 0) break;
        x = PANEL_MARGIN + i / ROWS * (TOP * STEP + 160), y = PANEL_TOP + i % ROWS * STEP;
        c = unit[best].concept, taken[c] = 1;
        name = c < TOY_PARTS ? toy_part_names[c] : toy_class_names[c - TOY_PARTS];
        cnv_text(sheet, x, y + 20, 17, panel_black, name);
        printf("%s%s %d (%.2f)", i ? ", " : "best units: ", name, best, unit[best].iou);
        snprintf(text, sizeof text, "unit %d: %.2f", best, unit[best].iou);
        cnv_text(sheet, x, y + 52, 12, panel_gray, text);
        snprintf(text, sizeof text, "%s of %s", c < TOY_PARTS ? "part" : "class",
                 example_count(dissection_detectors(unit, u->channels, c), "unit"));
        cnv_text(sheet, x, y + 76, 12, panel_gray, text);
        units_mask_row(e, d, e->layer, best, units_of(u, best), u->count, unit[best].threshold,
                       TILE, x + 140, y, sheet);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    static const char *const how[3] = {"trained", "with other pictures' masks", "untrained"};
    example e = example_begin(argc, argv, "units and the concepts they detect", NULL, "images"),
            untrained = e;
    dataset d = dataset_of(&e, (int)example_number(&e, "images", 600, 10, 1e5));
    const cnv_node *node = &e.net->nodes[e.layer];
    unsigned char *parts = units_parts(&e, &d);
    dissection_unit *unit = NULL;
    cnv_tensor sheet = {0};
    units u;
    int i, n = node->channels;
    if (node->out.h * node->out.w == 1)
        example_fail(&e, "dissection needs a layer with places; %s is 1 x 1", node->name);
    untrained.net = example_untrained(&e);
    units_search(&e, &d, &e.layer, 1, TOP, &u);
    for (i = 2; i >= 0; i--) {
        free(unit), unit = dissection(i < 2 ? &e : &untrained, &d, e.layer, parts, i == 1);
        printf("%s, %s: %d of %d units are detectors\n", node->name, how[i],
               dissection_detectors(unit, n, CONCEPTS), n);
    }
    dissection_picture(&e, &d, unit, &u, &sheet);
    example_save(&e, &sheet);
    free(parts), free(unit), units_free(&u, 1), cnv_tensor_free(&sheet);
    cnv_net_free(untrained.net), dataset_free(&d), example_end(&e);
    return 0;
}
#endif
