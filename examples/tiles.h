/* tiles.h: small pictures anywhere on a canvas, for sheets with more of them than panel.h holds. */
#ifndef TILES_H
#define TILES_H

#include "panel.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* The outline of what is 1 in a mask [side][side], white with a dark rim, over the picture of that
   side whose upper left corner is (x,y). */
static inline void tile_outline(cnv_tensor *canvas, int x, int y, const unsigned char *mask,
                                int side)
{
    int i, pass;
    for (pass = 0; pass < 2; pass++)
        for (i = 0; i < side * side; i++) {
            int u = i % side, v = i / side;
            int rim = (u + 1 < side && mask[i] != mask[i + 1]) ||
                      (v + 1 < side && mask[i] != mask[i + side]);
            if (rim && pass) cnv_rectangle(canvas, x + u, y + v, 2, 2, panel_white);
            else if (rim) cnv_rectangle(canvas, x + u - 1, y + v - 1, 4, 4, panel_black);
        }
}

enum { TILE_SIDE = 118, TILE_STEP = TILE_SIDE + 10, TILE_LEFT = 220 }; /* of rows of maps */

/* A row at height y: a colour and a name, then the first `count` maps [n,C,h,w] with their signs,
   three channels around grey; one from blue over white to red, or from 0 up if none is below. */
static inline int tile_row(cnv_tensor *canvas, int y, cnv_color color, const char *name,
                           const cnv_tensor *maps, int count)
{
    cnv_tensor rgb = {0}, tile = {0};
    cnv_tensor all = cnv_tensor_view(maps->data, count, maps->c, maps->h, maps->w);
    double low, high;
    int i, ok = 1;
    cnv_range(&all, &low, &high);
    cnv_rectangle(canvas, 40, y, 5, TILE_SIDE, color);
    cnv_text(canvas, 56, y + TILE_SIDE / 2 - 6, 12, panel_black, name);
    for (i = 0; ok && i < count; i++) {
        cnv_tensor map = cnv_tensor_image(maps, i);
        double most = 3 * panel_deviation(&map), least;
        if (low >= 0) cnv_range(&map, &least, &most);
        if (map.c == 3) ok = panel_gray_zero(&map, &rgb);
        else if (low < 0) ok = cnv_colorize(&map, CNV_MAP_RED_WHITE_BLUE, -most, most, &rgb);
        else ok = cnv_colorize(&map, CNV_MAP_VIRIDIS, 0, most > 0 ? most : 1, &rgb);
        ok = ok && cnv_resize(&rgb, TILE_SIDE, TILE_SIDE, &tile);
        if (ok) cnv_paste(canvas, &tile, TILE_LEFT + i * TILE_STEP, y);
    }
    cnv_tensor_free(&rgb), cnv_tensor_free(&tile);
    return ok;
}

/* A white dot with a dark rim. */
static inline void tile_dot(cnv_tensor *canvas, double x, double y)
{
    cnv_disc(canvas, x, y, 6, panel_black), cnv_disc(canvas, x, y, 4, panel_white);
}

/* A picture with a caption, and a smaller note under it. */
static inline void tile_paste(cnv_tensor *canvas, int x, int y, const cnv_tensor *tile,
                              cnv_color ink, const char *caption, const char *note)
{
    cnv_paste(canvas, tile, x, y);
    panel_within(canvas, tile->w + 8, x, y + tile->h + 10, 13, ink, caption);
    panel_within(canvas, tile->w + 8, x, y + tile->h + 32, 10, panel_gray, note);
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
