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
    PANEL_FOOT = 86,                    /* the room under a picture: captions and colour bar */
    PANEL_LEAST = 8                     /* text is never smaller */
};

static const cnv_color panel_black = {0.1f, 0.1f, 0.12f}, panel_gray = {0.38f, 0.38f, 0.42f},
                       panel_white = {1, 1, 1};

typedef struct {
    cnv_tensor picture;
    int columns;
} panel_sheet;

/* Text that is as much smaller as it must be to fit into `room`; what does not fit at PANEL_LEAST
   loses its end. */
static inline void panel_within(cnv_tensor *canvas, double room, double x, double y, double size,
                                cnv_color color, const char *text)
{
    char cut[256];
    int length = (int)strlen(text) < 252 ? (int)strlen(text) : 252;
    while (size > PANEL_LEAST && cnv_text_width(size, text) > room) size -= 0.25;
    snprintf(cut, sizeof cut, "%s", text);
    while (length > 1 && cnv_text_width(size, cut) > room)
        snprintf(cut, sizeof cut, "%.*s...", --length, text);
    cnv_text(canvas, x, y, size, color, cut);
}

/* A white sheet with its title. Returns 1, or 0 with cnv_error(). */
static inline int panel_begin(panel_sheet *sheet, int columns, int rows, const char *title)
{
    int w = 2 * PANEL_MARGIN + columns * (PANEL_SIDE + PANEL_GAP) - PANEL_GAP;
    int h = PANEL_TOP + rows * (PANEL_SIDE + PANEL_FOOT) + PANEL_MARGIN / 2;
    sheet->columns = columns;
    if (!cnv_canvas(&sheet->picture, h, w, panel_white)) return 0;
    panel_within(&sheet->picture, w - 2 * PANEL_MARGIN, PANEL_MARGIN, 38, 21, panel_black, title);
    return 1;
}

static inline void panel_end(panel_sheet *sheet) { cnv_tensor_free(&sheet->picture); }

/* The upper left corner of the picture in cell `index`, counted along the rows. */
static inline void panel_corner(const panel_sheet *sheet, int index, int *x, int *y)
{
    *x = PANEL_MARGIN + index % sheet->columns * (PANEL_SIDE + PANEL_GAP);
    *y = PANEL_TOP + index / sheet->columns * (PANEL_SIDE + PANEL_FOOT);
}

/* Text below a panel, no wider than that. */
static inline void panel_text(panel_sheet *sheet, int x, int y, double size, cnv_color color,
                              const char *text)
{
    panel_within(&sheet->picture, PANEL_SIDE + PANEL_GAP / 2.0, x, y, size, color, text);
}

/* Text whose middle is at x. */
static inline void panel_centred(cnv_tensor *canvas, double x, double y, double size,
                                 cnv_color color, const char *text)
{
    cnv_text(canvas, x - cnv_text_width(size, text) / 2, y, size, color, text);
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

/* A colour map from its start to its end, each with a word. */
static inline void panel_bar(cnv_tensor *canvas, int x, int y, cnv_map map, const char *low,
                             const char *high)
{
    enum { BAR = 160 };
    int i;
    cnv_text(canvas, x, y, 11, panel_gray, low);
    x += (int)cnv_text_width(11, low) + 8;
    for (i = 0; i < BAR; i++)
        cnv_rectangle(canvas, x + i, y, 1, 12, cnv_map_color(map, i / (BAR - 1.0)));
    cnv_text(canvas, x + BAR + 8, y, 11, panel_gray, high);
}

/* Numbers [1,1,h,w] through a colour map, its colour bar from low to high under the caption. */
static inline int panel_map(panel_sheet *sheet, int index, const cnv_tensor *values, cnv_map map,
                            double low, double high, const char *caption)
{
    cnv_tensor rgb = {0};
    char from[32], to[32];
    int x, y, ok = cnv_colorize(values, map, low, high > low ? high : low + 1, &rgb) &&
                   panel_picture(sheet, index, &rgb, caption, "");
    panel_corner(sheet, index, &x, &y);
    snprintf(from, sizeof from, "%.3g", low), snprintf(to, sizeof to, "%.3g", high);
    panel_bar(&sheet->picture, x, y + PANEL_SIDE + 33, map, from, to);
    cnv_tensor_free(&rgb);
    return ok;
}

/* Numbers [1,1,h,w] from 0, or their least if that is below 0, to their greatest. */
static inline int panel_values(panel_sheet *sheet, int index, const cnv_tensor *values,
                               const char *caption)
{
    double low, high;
    cnv_range(values, &low, &high);
    return panel_map(sheet, index, values, CNV_MAP_VIRIDIS, fmin(low, 0), high, caption);
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

/* Names, each behind a square of its colour, in rows from (x,y) on, `width` wide. */
static inline void panel_legend(cnv_tensor *canvas, int x, int y, int width,
                                const char *const *names, const cnv_color *colors, int count)
{
    int i, left = x;
    for (i = 0; i < count; i++) {
        if (x + 15 + cnv_text_width(11, names[i]) > left + width) x = left, y += 19;
        cnv_rectangle(canvas, x, y, 11, 11, colors[i]);
        cnv_text(canvas, x + 15, y, 11, panel_gray, names[i]);
        x += (int)cnv_text_width(11, names[i]) + 30;
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
    const char *shown[8];
    int c, i, x, y, used = 0, found, plane = classes->h * classes->w, ok;
    cnv_tensor rgb = {0};
    ok = cnv_canvas(&rgb, classes->h, classes->w, palette[8]);
    for (c = -1; ok && used < 8 && c < count; c++) {
        int id = c < 0 ? first : c;
        for (i = found = 0; i < plane && c != first; i++)
            if ((int)classes->data[i] == id) {
                cnv_rectangle(&rgb, i % classes->w, i / classes->w, 1, 1, palette[used]);
                found = 1;
            }
        if (found) shown[used++] = names[id];
    }
    ok = ok && panel_picture(sheet, index, &rgb, caption, "");
    panel_corner(sheet, index, &x, &y);
    panel_legend(&sheet->picture, x, y + PANEL_SIDE + 33, PANEL_SIDE, shown, palette, used);
    cnv_tensor_free(&rgb);
    return ok;
}

/* What the program looks at, as a picture [1,3,h,w]; a scene is drawn anew at a panel's size. */
static inline int panel_image(const example *e, cnv_tensor *image)
{
    if (!e->has_scene) return cnv_tensor_copy(&e->image, image);
    if (!cnv_tensor_resize(image, 1, 3, PANEL_SIDE, PANEL_SIDE)) return 0;
    toy_render(&e->scene, PANEL_SIDE, image->data, NULL, NULL), example_gray(e, image);
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

/* sqrt(mean of squares) of all numbers; never 0. */
static inline double panel_deviation(const cnv_tensor *t)
{
    size_t i, size = cnv_tensor_size(t);
    double squares = 1e-30;
    for (i = 0; i < size; i++) squares += (double)t->data[i] * (double)t->data[i];
    return sqrt(squares / (double)size);
}

/* Numbers of either sign as grey or colour in [0,1]: 0 is grey, three standard deviations are black
   and white. picture may be slope. */
static inline int panel_gray_zero(const cnv_tensor *slope, cnv_tensor *picture)
{
    size_t i, size = cnv_tensor_size(slope);
    double scale = 1 / (6 * panel_deviation(slope));
    if (picture != slope && !cnv_tensor_copy(slope, picture)) return 0;
    for (i = 0; i < size; i++)
        picture->data[i] = (float)fmin(1, fmax(0, 0.5 + scale * (double)picture->data[i]));
    return 1;
}

/* The same in cell `index`. */
static inline int panel_gradient(panel_sheet *sheet, int index, const cnv_tensor *slope,
                                 const char *caption, const char *note)
{
    cnv_tensor rgb = {0};
    int ok = panel_gray_zero(slope, &rgb) && panel_picture(sheet, index, &rgb, caption, note);
    cnv_tensor_free(&rgb);
    return ok;
}

/* Shares [1,1,H,W] of either sign: red speaks for, blue against; three standard deviations are the
   full colour. */
static inline int panel_shares(panel_sheet *sheet, int index, const cnv_tensor *shares,
                               const char *caption)
{
    double most = 3 * panel_deviation(shares);
    return panel_map(sheet, index, shares, CNV_MAP_RED_WHITE_BLUE, -most, most, caption);
}

/* A frame around a square of a picture that is `width` pixels wide, in cell `index`. */
static inline void panel_square(panel_sheet *sheet, int index, int left, int top, int side,
                                int width, cnv_color color)
{
    int x, y;
    panel_corner(sheet, index, &x, &y);
    x += left * PANEL_SIDE / width, y += top * PANEL_SIDE / width;
    side = side * PANEL_SIDE / width;
    cnv_frame(&sheet->picture, x - 1, y - 1, side + 2, side + 2, 5, panel_black);
    cnv_frame(&sheet->picture, x, y, side, side, 3, color);
}

static inline int panel_ascending(const void *a, const void *b)
{
    float p = *(const float *)a, q = *(const float *)b;
    return (p > q) - (p < q);
}

/* The value that a `share` of a map's numbers do not exceed: the end of a colour scale that a few
   pixels shall not stretch. */
static inline double panel_percentile(const cnv_tensor *map, double share)
{
    cnv_tensor sorted = {0};
    size_t size = cnv_tensor_size(map);
    double value = 0;
    if (cnv_tensor_copy(map, &sorted)) {
        qsort(sorted.data, size, sizeof *sorted.data, panel_ascending);
        value = (double)sorted.data[(size_t)(share * (double)(size - 1))];
    }
    cnv_tensor_free(&sorted);
    return value;
}

/* What is positive in a map [1,1,h,w], blurred by `blur` of its side and laid over the picture. */
static inline int panel_over(panel_sheet *sheet, int index, const example *e, const cnv_tensor *map,
                             double blur, const char *caption, const char *note)
{
    cnv_tensor large = {0}, soft = {0}, over = {0};
    int ok = cnv_relu_forward(map, &over) && cnv_blur(&over, blur * map->w, &soft) &&
             panel_image(e, &large) && cnv_overlay(&large, &soft, 0.7, &over) &&
             panel_picture(sheet, index, &over, caption, note);
    cnv_tensor_free(&large), cnv_tensor_free(&soft), cnv_tensor_free(&over);
    return ok;
}

/* Lines over cell `index` and the next one: line m has the heights y[m*points ...], spread evenly
   over 0 ... 1. */
static inline int panel_lines(panel_sheet *sheet, int index, const char *title, const char *x_label,
                              const double *y, const char *const *names, int lines, int points)
{
    cnv_tensor picture = {0};
    double *x = (double *)malloc((size_t)points * sizeof(double));
    cnv_plot plot = {0};
    int i, left, top, ok;
    for (i = 0; x && i < points; i++) x[i] = i / (points - 1.0);
    for (i = 0; i < lines * points; i++)
        plot.y_low = fmin(plot.y_low, y[i]), plot.y_high = fmax(plot.y_high, y[i]);
    plot.title = title, plot.x_label = x_label, plot.x_high = 1;
    plot.width = 2 * PANEL_SIDE + PANEL_GAP, plot.height = PANEL_SIDE + PANEL_FOOT / 2;
    ok = x && cnv_plot_begin(&plot, &picture);
    for (i = 0; ok && i < lines; i++)
        cnv_plot_line(&plot, &picture, x, y + i * points, points, NULL, names[i]);
    panel_corner(sheet, index, &left, &top);
    if (ok) cnv_paste(&sheet->picture, &picture, left, top - 12);
    cnv_tensor_free(&picture), free(x);
    return ok;
}

/* ---- All channels of a layer ---- */

/* How `count` maps of h x w make a square of about `side` pixels: in tiles, 2 pixels apart. */
typedef struct {
    int columns, zoom, h, w;            /* of a tile; zoom: times so many, then down to h x w */
} panel_grid;

static inline panel_grid panel_fit(const cnv_tensor *maps, int side)
{
    int columns = (int)ceil(sqrt(maps->c)), longer = maps->w > maps->h ? maps->w : maps->h;
    int tile = side / columns - 2 > 1 ? side / columns - 2 : 1;
    panel_grid grid;
    grid.columns = columns, grid.zoom = (tile - 1) / longer + 1;
    grid.h = (tile * maps->h - 1) / longer + 1, grid.w = (tile * maps->w - 1) / longer + 1;
    return grid;
}

/* A frame around channel k. */
static inline void panel_grid_frame(cnv_tensor *square, const panel_grid *grid, int k, int thick,
                                    cnv_color color)
{
    cnv_frame(square, k % grid->columns * (grid->w + 2), k / grid->columns * (grid->h + 2),
              grid->w, grid->h, thick, color);
}

/* All channels of maps [1,C,h,w] in a square [1,3,side,side]: dark to bright from 0 to the greatest
   number of all; where there are negative ones, blue to white to red. */
static inline int panel_mosaic(const cnv_tensor *maps, int side, cnv_tensor *square)
{
    static const cnv_color pale = {0.86f, 0.87f, 0.89f};
    cnv_tensor tiles = cnv_tensor_view(maps->data, maps->c, 1, maps->h, maps->w);
    cnv_tensor large = {0}, fitted = {0}, mosaic = {0};
    panel_grid grid = panel_fit(maps, side);
    int k, ok;
    double low, high;
    cnv_range(&tiles, &low, &high);
    high = fmax(high, -low);
    ok = cnv_enlarge(&tiles, grid.zoom, &large) && cnv_resize(&large, grid.h, grid.w, &fitted) &&
         cnv_colorize(&fitted, low < 0 ? CNV_MAP_RED_WHITE_BLUE : CNV_MAP_VIRIDIS,
                      low < 0 ? -high : 0, high, &large) &&
         cnv_montage(&large, grid.columns, 2, &mosaic) &&
         cnv_canvas(square, side, side, panel_white);
    if (ok) cnv_paste(square, &mosaic, -2, -2);
    for (k = 0; ok && low < 0 && k < maps->c; k++) panel_grid_frame(square, &grid, k, 1, pale);
    cnv_tensor_free(&large), cnv_tensor_free(&fitted), cnv_tensor_free(&mosaic);
    return ok;
}

/* ---- Long pictures ---- */

/* Puts pictures of one width below each other, and frees them: in one column, or if that would be
   long, in several, so that the whole is about a square. The first stands above every column. */
static inline int panel_stack(cnv_tensor *strips, int count, cnv_tensor *picture)
{
    int i, pass, x, y, ok = 1, columns = 1, total = 0, limit, high = 0, wide = strips[0].w;
    for (i = 1; i < count; i++) total += strips[i].h;
    while (2 * total > 3 * columns * columns * wide) columns++;
    limit = strips[0].h + total / columns;
    for (pass = 0; ok && pass < 2; pass++) { /* the first finds out how high the whole will be */
        if (pass) ok = cnv_canvas(picture, high, columns * wide, panel_white);
        for (i = 1, x = -wide, y = limit + 1; ok && i < count; y += strips[i++].h) {
            if (y + strips[i].h / 2 > limit && x + wide < columns * wide) {
                x += wide, y = strips[0].h;
                if (pass) cnv_paste(picture, &strips[0], x, 0);
            }
            if (pass) cnv_paste(picture, &strips[i], x, y);
            if (y + strips[i].h > high) high = y + strips[i].h;
        }
    }
    for (i = 0; i < count; i++) cnv_tensor_free(&strips[i]);
    return ok;
}

/* ---- In the terminal ---- */

/* Whether what is printed goes to a terminal. */
static inline int panel_terminal(void)
{
#ifdef _WIN32
    return 0;
#else
    return isatty(1);
#endif
}

/* Prints a picture [1,3,h,w] in the terminal, two pixels in a character: the upper half of a block
   in the colour of the letter, the lower in that of the ground. Terminals that do not say that they
   know all colours get the nearest of 6 x 6 x 6. */
static inline void panel_print(const cnv_tensor *image)
{
    const char *term = getenv("COLORTERM");
    int all = term && (strstr(term, "truecolor") || strstr(term, "24bit"));
    int x, y, half, c, rgb[3], plane = image->h * image->w;
    for (y = 0; y + 1 < image->h; y += 2) {
        for (x = 0; x < image->w; x++) {
            for (half = 0; half < 2; half++) {
                const float *pixel = image->data + (y + half) * image->w + x;
                for (c = 0; c < 3; c++)
                    rgb[c] = (int)((all ? 255 : 5) * fminf(1, fmaxf(0, pixel[c * plane])) + 0.5f);
                printf("\033[%d8;", half ? 4 : 3);
                if (all) printf("2;%d;%d;%dm", rgb[0], rgb[1], rgb[2]);
                else printf("5;%dm", 16 + 36 * rgb[0] + 6 * rgb[1] + rgb[2]);
            }
            printf("\342\226\200"); /* UTF-8 for the upper half block */
        }
        printf("\033[0m\n");
    }
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
