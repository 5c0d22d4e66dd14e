/* dissection.c - which concepts have units of their own?

   Question   Nobody told the network what an eye or a wheel is. Has it made detectors of them?
   Formula    T_k: exceeded by 0.5% of all A_k(y,x), over all pictures and places
              M_k = {A_k, enlarged to the picture, > T_k}, L_c = the pixels of concept c
              IoU(k,c) = sum over pictures of |M_k and L_c| / sum of |M_k or L_c|
              unit k detects the concept with its greatest IoU, if that is above .04
   Paper      Bau, Zhou, Khosla, Oliva, Torralba: Network Dissection (2017), section 2
   Look for   Units of the last layers for a class or for a part that only one class has; in layers
              before, for parts that several share. No outline is sharper than its feature map, 8 x
              8 at the end, and so no IoU is near 1.
   Measured   detectors in the trained network; none with the masks of other pictures, next to none
              in the same layer before training

       cc -O2 examples/dissection.c -o build/dissection -lm && build/dissection --layer conv3

   The concepts are the parts of the Toybox's objects and its classes. Own option: --images N.    */
#include "panel.h"
#include "units.h"

enum { CONCEPTS = TOY_PARTS + TOY_CLASSES }; /* the parts, then the classes */

typedef struct {
    long on, both[2][CONCEPTS]; /* pixels of M_k; of M_k and L_c, [1]: of another picture's L_c */
    int concept[2];             /* the one with the greatest IoU, */
    double iou[2];              /* and that */
} dissection_unit;

/* Adds what a unit's map [1,1,h,w] has in common with the parts at side x side pixels. */
static int dissection_count(const cnv_tensor *map, float threshold, const unsigned char *parts,
                            int class_id, int side, int set, dissection_unit *unit)
{
    cnv_tensor large = {0};
    double low, high;
    int i;
    cnv_range(map, &low, &high);
    if (!(high > (double)threshold)) return 1; /* nor is it, enlarged */
    if (!cnv_resize(map, side, side, &large)) return 0;
    for (i = 0; i < side * side; i++) {
        if (!(large.data[i] > threshold)) continue;
        unit->on += !set, unit->both[set][parts[i]]++;
        if (parts[i] != TOY_NO_PART) unit->both[set][TOY_PARTS + class_id]++;
    }
    cnv_tensor_free(&large);
    return 1;
}

/* Dissects all units of a node, given their thresholds: with the pictures' parts [n][side][side],
   and with those of the next picture. u: their `top` best pictures. */
static void dissection(const example *e, const dataset *d, int node, const float *threshold,
                       const unsigned char *parts, dissection_unit *unit, int top, units *u)
{
    const cnv_tensor *out = &e->net->nodes[node].out;
    int i, k, c, plane = d->side * d->side;
    long labelled[CONCEPTS] = {0};
    cnv_tensor image = {0};
    double start = example_seconds();
    *u = units_new(e, e->net->nodes[node].channels, top);
    for (i = 0; i < d->n; i++) {
        dataset_batch(e, d, i, 1, &image);
        example_check(e, cnv_forward(e->net, &image, node));
        units_see(u, out, i);
        for (k = 0; k < plane; k++) {
            int part = parts[i * plane + k];
            labelled[part]++, labelled[TOY_PARTS + d->labels[i]] += part != TOY_NO_PART;
        }
        for (k = 0; k < 2 * out->c; k++) {
            cnv_tensor map = cnv_tensor_channel(out, 0, k / 2);
            int from = (i + k % 2) % d->n; /* this picture, or the next */
            example_check(e, dissection_count(&map, threshold[k / 2], parts + from * plane,
                                              d->labels[from], d->side, k % 2, &unit[k / 2]));
        }
        example_progress("dissecting", i + 1, d->n, start);
    }
    for (k = 0; k < 2 * out->c; k++)
        for (c = 1; c < CONCEPTS; c++) {
            dissection_unit *one = &unit[k / 2];
            double iou = (double)one->both[k % 2][c];
            iou /= fmax((double)(one->on + labelled[c]) - iou, 1);
            if (iou > one->iou[k % 2]) one->iou[k % 2] = iou, one->concept[k % 2] = c;
        }
    cnv_tensor_free(&image);
}

/* How many of n units detect a concept, or any for CONCEPTS. */
static int dissection_detectors(const dissection_unit *unit, int n, int set, int concept)
{
    int k, all = 0;
    for (k = 0; k < n; k++)
        all += unit[k].iou[set] > 0.04 && (concept == CONCEPTS || unit[k].concept[set] == concept);
    return all;
}

#ifndef EXAMPLE_NO_MAIN
enum { TOP = 5, ROWS = 6, TILE = 120, STEP = TILE + 12 };

/* The best unit of each concept, the best of all first, on its best pictures. */
static void dissection_picture(const example *e, const dataset *d, const dissection_unit *unit,
                               const float *threshold, const units *u, cnv_tensor *sheet)
{
    char text[64], taken[CONCEPTS] = {0};
    int i, k, x, y, best, c;
    for (i = 0; i < 2 * ROWS; i++) {
        for (k = 0, best = -1; k < u->channels; k++)
            if (!taken[unit[k].concept[0]] && (best < 0 || unit[k].iou[0] > unit[best].iou[0]))
                best = k;
        if (best < 0 || unit[best].iou[0] <= 0) break;
        x = PANEL_MARGIN + i / ROWS * (TOP * STEP + 160), y = PANEL_TOP + i % ROWS * STEP;
        c = unit[best].concept[0], taken[c] = 1;
        snprintf(text, sizeof text, "%s", c < TOY_PARTS ? toy_part_names[c] :
                 toy_class_names[c - TOY_PARTS]);
        cnv_text(sheet, x, y + 20, 17, panel_black, text);
        printf("%s%s %d (%.2f)", i ? ", " : "best units: ", text, best, unit[best].iou[0]);
        snprintf(text, sizeof text, "unit %d: %.2f", best, unit[best].iou[0]);
        cnv_text(sheet, x, y + 52, 12, panel_gray, text);
        snprintf(text, sizeof text, "%s of %d units", c < TOY_PARTS ? "part" : "class",
                 dissection_detectors(unit, u->channels, 0, c));
        cnv_text(sheet, x, y + 76, 12, panel_gray, text);
        units_mask_row(e, d, e->layer, best, units_of(u, best), u->count, (double)threshold[best],
                       TILE, x + 140, y, sheet);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "units and the concepts they detect", NULL, "images"),
            untrained = units_untrained(&e);
    dataset d = dataset_of(&e, (int)example_number(&e, "images", 1000, 10, 1e5));
    const cnv_node *node = &e.net->nodes[e.layer];
    int n = node->channels, i;
    unsigned char *parts = units_parts(&e, &d);
    float *threshold = (float *)malloc(2 * (size_t)n * sizeof *threshold);
    dissection_unit *unit = (dissection_unit *)calloc(2 * (size_t)n, sizeof *unit);
    char text[128];
    cnv_tensor sheet = {0};
    units u[2];
    if (!threshold || !unit) example_fail(&e, "out of memory");
    if (node->out.h * node->out.w == 1)
        example_fail(&e, "dissection needs a layer with places; %s is 1 x 1", node->name);
    for (i = 0; i < 2; i++) {
        example *one = i ? &untrained : &e;
        units_quantiles(one, &d, e.layer, 0.005, threshold + i * n);
        dissection(one, &d, e.layer, threshold + i * n, parts, unit + i * n, TOP, &u[i]);
    }
    snprintf(text, sizeof text, "Units of %s and the parts and classes they detect", node->name);
    example_check(&e, cnv_canvas(&sheet, PANEL_TOP + ROWS * STEP + 20, 370 + 2 * TOP * STEP,
                                 panel_white));
    cnv_text(&sheet, PANEL_MARGIN, 38, 21, panel_black, text);
    dissection_picture(&e, &d, unit, threshold, &u[0], &sheet);
    printf("%s: %d of %d units are detectors; with the masks of other pictures %d, before training "
           "%d\n", node->name, dissection_detectors(unit, n, 0, CONCEPTS), n,
           dissection_detectors(unit, n, 1, CONCEPTS),
           dissection_detectors(unit + n, n, 0, CONCEPTS));
    example_save(&e, &sheet);
    free(parts), free(threshold), free(unit), units_free(u, 2), cnv_tensor_free(&sheet);
    cnv_net_free(untrained.net), dataset_free(&d), example_end(&e);
    return 0;
}
#endif
