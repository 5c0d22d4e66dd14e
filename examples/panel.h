/* panel.h: a sheet of captioned pictures in columns and rows, as on a lecture slide.

       panel_sheet sheet = {0};
       panel_begin(&sheet, 3, 1, "Saliency of \"fish\"");
       panel_picture(&sheet, 0, &e.image, "the scene", "answered: fish 99%");
       panel_map(&sheet, 1, &map, CNV_MAP_VIRIDIS, 0, 1, "the map", "");
       example_save(&e, &sheet.picture);
       panel_end(&sheet);                                                                     */
#ifndef PANEL_H
#define PANEL_H

#include "example.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

enum {
    PANEL_SIDE = 320,                   /* of a picture: a 64 x 64 one is enlarged 5 times */
    PANEL_MARGIN = 44, PANEL_GAP = 36,
    PANEL_TOP = 92,                     /* the title's room */
    PANEL_FOOT = 86                     /* the room under a picture: captions and colour bar */
};

static const cnv_color panel_black = {0.1f, 0.1f, 0.12f}, panel_gray = {0.38f, 0.38f, 0.42f},
                       panel_white = {1, 1, 1};

typedef struct {
    cnv_tensor picture;
    int columns;
} panel_sheet;

/* A white sheet with its title. Returns 1, or 0 with cnv_error(). */
static inline int panel_begin(panel_sheet *sheet, int columns, int rows, const char *title)
{
    int w = 2 * PANEL_MARGIN + columns * (PANEL_SIDE + PANEL_GAP) - PANEL_GAP;
    int h = PANEL_TOP + rows * (PANEL_SIDE + PANEL_FOOT) + PANEL_MARGIN / 2;
    sheet->columns = columns;
    if (!cnv_canvas(&sheet->picture, h, w, panel_white)) return 0;
    cnv_text(&sheet->picture, PANEL_MARGIN, 38, 21, panel_black, title);
    return 1;
}

static inline void panel_end(panel_sheet *sheet) { cnv_tensor_free(&sheet->picture); }

/* The upper left corner of the picture in cell `index`, counted along the rows. */
static inline void panel_corner(const panel_sheet *sheet, int index, int *x, int *y)
{
    *x = PANEL_MARGIN + index % sheet->columns * (PANEL_SIDE + PANEL_GAP);
    *y = PANEL_TOP + index / sheet->columns * (PANEL_SIDE + PANEL_FOOT);
}

/* Text that becomes smaller where it would be wider than a panel. */
static inline void panel_text(panel_sheet *sheet, int x, int y, double size, cnv_color color,
                              const char *text)
{
    double width = cnv_text_width(size, text);
    if (width > PANEL_SIDE + PANEL_GAP / 2.0) size *= (PANEL_SIDE + PANEL_GAP / 2.0) / width;
    cnv_text(&sheet->picture, x, y, size, color, text);
}

/* A picture of any size with two lines under it. Small ones are enlarged with crisp pixels. */
static inline int panel_picture(panel_sheet *sheet, int index, const cnv_tensor *tile,
                                const char *caption, const char *note)
{
    cnv_tensor large = {0}, fit = {0};
    int x, y, factor = (PANEL_SIDE + tile->h - 1) / tile->h; /* then down, if it is no divisor */
    int ok = cnv_enlarge(tile, factor, &large) && cnv_resize(&large, PANEL_SIDE, PANEL_SIDE, &fit);
    panel_corner(sheet, index, &x, &y);
    if (ok) cnv_paste(&sheet->picture, &fit, x, y);
    cnv_frame(&sheet->picture, x - 1, y - 1, PANEL_SIDE + 2, PANEL_SIDE + 2, 1, panel_gray);
    panel_text(sheet, x, y + PANEL_SIDE + 12, 13, panel_black, caption);
    panel_text(sheet, x, y + PANEL_SIDE + 33, 11, panel_gray, note);
    cnv_tensor_free(&large), cnv_tensor_free(&fit);
    return ok;
}

/* Numbers [1,1,h,w] through a colour map, its colour bar from low to high under the caption. */
static inline int panel_map(panel_sheet *sheet, int index, const cnv_tensor *values, cnv_map map,
                            double low, double high, const char *caption)
{
    enum { BAR = 160 };
    cnv_tensor rgb = {0};
    char text[32];
    int i, x, y, ok = cnv_colorize(values, map, low, high, &rgb) &&
                      panel_picture(sheet, index, &rgb, caption, "");
    panel_corner(sheet, index, &x, &y);
    y += PANEL_SIDE + 33;
    snprintf(text, sizeof text, "%.3g", low);
    cnv_text(&sheet->picture, x, y, 11, panel_gray, text);
    x += (int)cnv_text_width(11, text) + 8;
    for (i = 0; ok && i < BAR; i++)
        cnv_rectangle(&sheet->picture, x + i, y, 1, 12, cnv_map_color(map, i / (BAR - 1.0)));
    snprintf(text, sizeof text, "%.3g", high);
    cnv_text(&sheet->picture, x + BAR + 8, y, 11, panel_gray, text);
    cnv_tensor_free(&rgb);
    return ok;
}

/* A cross at (u,v) in [0,1] of the picture in cell `index`. */
static inline void panel_cross(panel_sheet *sheet, int index, double u, double v, cnv_color color)
{
    int x, y, pass;
    panel_corner(sheet, index, &x, &y);
    for (pass = 0; pass < 2; pass++) { /* a dark rim, so that it shows on every colour */
        double cx = x + u * PANEL_SIDE, cy = y + v * PANEL_SIDE, r = pass ? 9 : 10.5;
        double thick = pass ? 3 : 6;
        cnv_line(&sheet->picture, cx - r, cy, cx + r, cy, thick, pass ? color : panel_black);
        cnv_line(&sheet->picture, cx, cy - r, cx, cy + r, thick, pass ? color : panel_black);
    }
}

/* Classes [1,1,h,w], as numbers, each in a colour of its own with its name under the caption:
   `first`, then the others in order; from the ninth on they are grey and unnamed. */
static inline int panel_classes(panel_sheet *sheet, int index, const cnv_tensor *classes,
                                const char *const *names, int count, int first, const char *caption)
{
    static const cnv_color palette[9] = {
        {0.34f, 0.71f, 0.91f}, {0.90f, 0.62f, 0}, {0, 0.62f, 0.45f}, {0.95f, 0.90f, 0.25f},
        {0.80f, 0.47f, 0.65f}, {0.84f, 0.37f, 0}, {0, 0.45f, 0.70f}, {0.55f, 0.35f, 0.2f},
        {0.75f, 0.75f, 0.75f}}; /* the first seven: Okabe & Ito's, for every kind of eye */
    int c, i, corner, x, y, used = 0, found, plane = classes->h * classes->w, ok;
    cnv_tensor rgb = {0};
    ok = cnv_canvas(&rgb, classes->h, classes->w, palette[8]);
    panel_corner(sheet, index, &corner, &y);
    for (x = corner, y += PANEL_SIDE + 33, c = -1; ok && used < 8 && c < count; c++) {
        int id = c < 0 ? first : c;
        for (i = found = 0; i < plane && c != first; i++)
            if ((int)classes->data[i] == id) {
                cnv_rectangle(&rgb, i % classes->w, i / classes->w, 1, 1, palette[used]);
                found = 1;
            }
        if (!found) continue;
        if (x + 15 + cnv_text_width(11, names[id]) > corner + PANEL_SIDE) x = corner, y += 19;
        cnv_rectangle(&sheet->picture, x, y, 11, 11, palette[used++]);
        cnv_text(&sheet->picture, x + 15, y, 11, panel_gray, names[id]);
        x += (int)cnv_text_width(11, names[id]) + 30;
    }
    ok = ok && panel_picture(sheet, index, &rgb, caption, "");
    cnv_tensor_free(&rgb);
    return ok;
}

/* What the program looks at, as a picture [1,3,h,w]; a scene is drawn anew at a panel's size. */
static inline int panel_image(const example *e, cnv_tensor *image)
{
    if (!e->has_scene) return cnv_tensor_copy(&e->image, image);
    if (!cnv_tensor_resize(image, 1, 3, PANEL_SIDE, PANEL_SIDE)) return 0;
    toy_render(&e->scene, PANEL_SIDE, image->data, NULL, NULL);
    return 1;
}

/* The same in cell `index`, with the network's answer; leaves the network as after cnv_forward. */
static inline int panel_scene(panel_sheet *sheet, int index, const example *e)
{
    cnv_tensor image = {0};
    char caption[128], note[128];
    int ok = cnv_forward(e->net, &e->image, e->logits) && panel_image(e, &image);
    if (!ok) return 0;
    snprintf(caption, sizeof caption, e->has_scene ? "the scene: %s" : "the image",
             toy_class_names[e->has_scene ? e->scene.class_id : 0]);
    snprintf(note, sizeof note, "answer: %s, P = %.4f", e->class_names[e->predicted],
             example_probability(e, e->predicted));
    ok = panel_picture(sheet, index, &image, caption, note);
    cnv_tensor_free(&image);
    return ok;
}

/* Something small [1,3,h,w] in the lower left corner of a picture */
static inline int panel_inset(panel_sheet *sheet, int index, const cnv_tensor *inset)
{
    enum { SMALL = PANEL_SIDE / 4 };
    cnv_tensor small = {0};
    int x, y, ok = cnv_resize(inset, SMALL, SMALL, &small);
    panel_corner(sheet, index, &x, &y);
    y += PANEL_SIDE - SMALL;
    if (ok) cnv_paste(&sheet->picture, &small, x, y);
    cnv_frame(&sheet->picture, x - 1, y - 2, SMALL + 3, SMALL + 3, 2, panel_white);
    cnv_tensor_free(&small);
    return ok;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
