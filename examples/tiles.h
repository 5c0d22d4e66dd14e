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

/* A white dot with a dark rim. */
static inline void tile_dot(cnv_tensor *canvas, double x, double y)
{
    cnv_disc(canvas, x, y, 6, panel_black), cnv_disc(canvas, x, y, 4, panel_white);
}

/* A picture with a caption, and a smaller note under it. */
static inline void tile_paste(cnv_tensor *canvas, int x, int y, const cnv_tensor *tile,
                              const char *caption, const char *note)
{
    cnv_paste(canvas, tile, x, y);
    cnv_text(canvas, x, y + tile->h + 10, 13, panel_black, caption);
    cnv_text(canvas, x, y + tile->h + 32, 10, panel_gray, note);
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
