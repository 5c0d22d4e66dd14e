/* top_patches.c - which patches of pictures excite a unit most, and what in them does?

   Question   What exactly does a feature map look for, and how varied is what satisfies it?
   Formula    patch_i = picture x_i cut to the receptive field of the neuron (y,x) of feature map k
              with the i-th greatest A_k(y,x);
              projection_i = A_k(y,x) alone, carried back to the pixels: ReLUs pass what is > 0,
              max pools put it where their maximum was (their switch), convolutions are transposed
   Paper      Zeiler, Fergus: Visualizing and Understanding Convolutional Networks (2014), section
              2.1 and figure 2
   Look for   Patches that look alike though colours and backgrounds differ: that is the invariance
              that the layer has learned. The projection shows the edges that did it, the rest of
              the patch is grey. Deeper units see more of the picture, and vary more.
   Measured   the receptive field, computed from kernels, strides, pads and dilations, is exactly
              where a neuron's gradient is not zero; the projection is zero outside of it

       cc -O2 -fopenmp examples/top_patches.c -o build/top_patches -lm && build/top_patches

   Own options: --images N to search (2000), --data FOLDER to search them in, --unit K to see.    */
#include "panel.h"
#include "units.h"

/* The deconvnet projection [n,3,H,W] of one neuron in each of the images [n,3,H,W]: that of feature
   map k at (hit[i].y, hit[i].x). */
static int top_patches_project(cnv_net *net, int node, int k, const cnv_tensor *images,
                               const units_hit *hit, cnv_tensor *projection)
{
    const cnv_tensor *a = &net->nodes[node].out;
    cnv_tensor *seed;
    int i, ok = 1;
    if (!cnv_forward(net, images, node) || !(seed = cnv_seed(net, node))) return 0;
    for (i = 0; i < images->n; i++) {
        int at = hit[i].y * a->w + hit[i].x;
        cnv_tensor_channel(seed, i, k).data[at] = cnv_tensor_channel(a, i, k).data[at];
    }
    net->relu_rule = CNV_DECONVNET;
    ok = cnv_backward(net, 0) && cnv_tensor_copy(&net->nodes[0].grad, projection);
    net->relu_rule = CNV_GRADIENT;
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
enum { TOP = 9, UNITS = 6, TILE = 84, STEP = TILE + 4, BLOCK = 3 * STEP + 14 };
enum { CELL = 3 * BLOCK + 24 };

/* The part of a picture [1,3,S,S] that `box` cuts out of a picture of `side` pixels, on a tile of
   the sheet; a field that leaves the picture leaves room there. */
static void top_patches_crop(const example *e, const cnv_tensor *picture, units_box box, int side,
                             cnv_tensor *sheet, int x, int y)
{
    units_box from = units_scaled(box, side, picture->w);
    cnv_tensor crop = {0};
    int c, i, w = from.w > 1 ? from.w : 1, h = from.h > 1 ? from.h : 1;
    example_check(e, cnv_tensor_resize(&crop, 1, 3, h, w));
    for (c = 0; c < 3; c++)
        for (i = 0; i < h; i++)
            memcpy(crop.data + (c * h + i) * w, cnv_tensor_channel(picture, 0, c).data +
                   (from.y + i) * picture->w + from.x, (size_t)w * sizeof(float));
    cnv_paste(sheet, &crop, x + (box.x ? 0 : TILE - w), y + (box.y ? 0 : TILE - h));
    cnv_tensor_free(&crop);
}

/* 0 becomes grey; three standard deviations of the `count` values in the field, black or white. */
static void top_patches_gray(cnv_tensor *slope, int count)
{
    size_t i, size = cnv_tensor_size(slope);
    double squares = 1e-30;
    for (i = 0; i < size; i++) squares += (double)slope->data[i] * (double)slope->data[i] / count;
    for (i = 0; i < size; i++)
        slope->data[i] = (float)fmin(fmax(0.5 + (double)slope->data[i] / sqrt(36 * squares), 0), 1);
}

/* A unit at (x,y): its pictures, its patches, its projections, in three blocks of 3 x 3 tiles. */
static void top_patches_unit(const example *e, const dataset *d, int node, int k,
                             const units_hit *hit, int count, int x, int y, cnv_tensor *sheet)
{
    static const cnv_color empty = {0.94f, 0.94f, 0.95f};
    units_box box = units_field(e->net, node, 0, 0, 1);
    int i, b, size = d->side * TILE / (box.w > box.h ? box.w : box.h); /* the field fills a tile */
    cnv_tensor images = {0}, projection = {0}, tile = {0}, one;
    char value[32];
    example_check(e, cnv_tensor_resize(&images, count, 3, d->side, d->side));
    for (i = 0; i < count; i++)
        dataset_picture(d, hit[i].picture, 0, cnv_tensor_image(&images, i).data);
    example_check(e, top_patches_project(e->net, node, k, &images, hit, &projection));
    for (i = 0; i < count; i++) {
        int at_x = x + i % 3 * STEP, at_y = y + i / 3 * STEP;
        box = units_field(e->net, node, hit[i].y, hit[i].x, 0);
        for (b = 0; b < 3; b++) cnv_rectangle(sheet, at_x + b * BLOCK, at_y, TILE, TILE, empty);
        units_thumbnail(e, d, hit[i].picture, TILE, &tile);
        units_frame(&tile, units_scaled(box, d->side, TILE), 2);
        cnv_paste(sheet, &tile, at_x, at_y);
        snprintf(value, sizeof value, "%.3g", (double)hit[i].value);
        units_label(sheet, at_x + 5, at_y + TILE - 14, 9, value);
        units_thumbnail(e, d, hit[i].picture, size, &tile);
        top_patches_crop(e, &tile, box, d->side, sheet, at_x + BLOCK, at_y);
        one = cnv_tensor_image(&projection, i);
        top_patches_gray(&one, 3 * box.w * box.h);
        example_check(e, cnv_resize(&one, size, size, &tile));
        top_patches_crop(e, &tile, box, d->side, sheet, at_x + 2 * BLOCK, at_y);
    }
    cnv_tensor_free(&images), cnv_tensor_free(&projection), cnv_tensor_free(&tile);
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "a unit's best patches and their deconvnet projections",
                              NULL, "images,data,unit");
    int nodes[2], i, n = units_layers(e.net, 0, 2, nodes), pick[UNITS], class_id, x, y;
    int node = n < 2 || example_text(&e, "layer", NULL) ? e.layer : nodes[0]; /* in the middle */
    int unit = (int)example_number(&e, "unit", -1, 0, e.net->nodes[node].channels - 1);
    dataset d = dataset_of(&e, (int)example_number(&e, "images", 2000, 1, 1e6));
    const char *name = e.net->nodes[node].name;
    cnv_tensor sheet = {0};
    units_box box;
    units u;
    double purity;
    char text[256];
    units_search(&e, &d, &node, 1, TOP, &u);
    n = units_pick(&e, &d, &u, pick, UNITS);
    if (unit >= 0) n = 1, pick[0] = unit;
    if (!n) example_fail(&e, "no unit of %s answers to these pictures", name);
    example_check(&e, cnv_canvas(&sheet, PANEL_TOP + 10 + (n + 1) / 2 * (BLOCK + 50),
                                 2 * PANEL_MARGIN + (n > 1 ? 2 : 1) * CELL - 38, panel_white));
    box = units_field(e.net, node, 0, 0, 1);
    snprintf(text, sizeof text, "Units of %s: their best pictures, the %d x %d pixels that each "
             "sees there, and what in them excites it", name, box.w, box.h);
    cnv_text(&sheet, PANEL_MARGIN, 38, n > 1 ? 21 : 11, panel_black, text);
    for (i = 0; i < n; i++) {
        x = PANEL_MARGIN + i % 2 * CELL, y = PANEL_TOP + 30 + i / 2 * (BLOCK + 50);
        purity = units_purity(&d, units_of(&u, pick[i]), u.count, &class_id);
        snprintf(text, sizeof text, "unit %d: %.0f of %d %s", pick[i], purity * u.count, u.count,
                 d.names[class_id]);
        cnv_text(&sheet, x, y - 24, 13, panel_black, text);
        top_patches_unit(&e, &d, node, pick[i], units_of(&u, pick[i]), u.count, x, y, &sheet);
    }
    example_save(&e, &sheet);
    printf("receptive fields of %s, by arithmetic and by gradients: %d of 9 neurons' are equal\n",
           name, units_fields_exact(&e, &d, node));
    cnv_tensor_free(&sheet), units_free(&u, 1), dataset_free(&d), example_end(&e);
    return 0;
}
#endif
