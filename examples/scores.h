/* scores.h: is an answer right? Shares of right answers with their error bars, and matched key
   points, whose places the Toybox knows. (Heatmaps are scored in truth.h.)

       score_add(&curve, x, right, n);                      // right of n, with Wilson's band
       score_pair_make(&pair, i, class_id, side);           // two scenes with the same key points
       score_pair_add(&pair, match, &tally);                // PCK: tally.right / tally.keys      */
#ifndef SCORES_H
#define SCORES_H

#include "panel.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* ---- Shares of right answers ---- */

/* Where a share lies with a probability of 95% if `right` of n were right (Wilson 1927). Unlike the
   mean +- 2 standard errors this stays within [0,1], and is no point if all were right. */
static inline void score_wilson(double right, double n, double *low, double *high)
{
    const double z = 1.96;
    double p = right / n, middle, half;
    *low = 0, *high = 1;
    if (!(n > 0)) return;
    middle = (p + z * z / (2 * n)) / (1 + z * z / n);
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n);
    *low = fmax(0, middle - half), *high = fmin(1, middle + half);
}

enum { SCORE_POINTS = 16 };

/* Accuracy at several values of something, in per cent, with its band. */
typedef struct {
    int points;
    double x[SCORE_POINTS], share[SCORE_POINTS], low[SCORE_POINTS], high[SCORE_POINTS];
} score_curve;

static inline void score_add(score_curve *curve, double x, double right, double n)
{
    int i = curve->points++;
    score_wilson(right, n, &curve->low[i], &curve->high[i]);
    curve->x[i] = x, curve->share[i] = 100 * right / n;
    curve->low[i] *= 100, curve->high[i] *= 100;
}

/* Whether a curve never falls (direction 1) or never rises (-1), as far as the bands can tell: none
   lies wholly on the wrong side of an earlier one. */
static inline int score_monotone(const score_curve *c, int direction)
{
    int i, j;
    for (i = 0; i < c->points; i++)
        for (j = i + 1; j < c->points; j++)
            if (direction > 0 ? c->high[j] < c->low[i] : c->low[j] > c->high[i]) return 0;
    return 1;
}

/* Band, line and points on a plot, as its next series. */
static inline void score_plot(cnv_plot *plot, cnv_tensor *picture, const score_curve *c,
                              const char *label)
{
    int series = plot->series;
    cnv_plot_band(plot, picture, c->x, c->low, c->high, c->points, NULL);
    cnv_plot_line(plot, picture, c->x, c->share, c->points, NULL, label);
    plot->series = series;
    cnv_plot_points(plot, picture, c->x, c->share, c->points, NULL, NULL);
}

/* ---- Which classes are taken for which ---- */

enum { SCORE_CLASSES = 40 };

typedef struct {
    int answers, right;
    int count[SCORE_CLASSES][SCORE_CLASSES]; /* rows: the truth; columns: the answer */
} score_table;

static inline void score_answer(score_table *table, int truth, int answer)
{
    table->count[truth][answer]++;
    table->answers++, table->right += truth == answer;
}

/* All answers of several tables. */
static inline void score_table_sum(const score_table *tables, int count, score_table *sum)
{
    int t, i, j;
    memset(sum, 0, sizeof *sum);
    for (t = 0; t < count; t++) {
        sum->answers += tables[t].answers, sum->right += tables[t].right;
        for (i = 0; i < SCORE_CLASSES; i++)
            for (j = 0; j < SCORE_CLASSES; j++) sum->count[i][j] += tables[t].count[i][j];
    }
}

/* The class that a line names: by number, by name, or by the beginning of no other name; or -1. */
static inline int score_understand(const example *e, const char *line)
{
    size_t length = strcspn(line, "\r\n");
    char *end;
    long number = strtol(line, &end, 10);
    int i, found = -1, count = 0;
    if (end > line && end == line + length && number >= 0 && number < e->classes)
        return (int)number;
    for (i = 0; length && i < e->classes; i++) {
        if (strncmp(e->class_names[i], line, length)) continue;
        if (!e->class_names[i][length]) return i;
        found = i, count++;
    }
    return count == 1 ? found : -1;
}

/* The class in the next line of the input that names one; -1 at the end. */
static inline int score_read(const example *e, FILE *in)
{
    char line[256];
    int answer = -1;
    while (answer < 0 && fgets(line, sizeof line, in)) {
        answer = score_understand(e, line);
        if (answer < 0) printf("A name, its beginning or its number, please: ");
        fflush(stdout);
    }
    return answer;
}

/* One number of a table, out of all in its row. */
static inline void score_table_cell(panel_sheet *sheet, int x, int y, int step, double size,
                                    int number, int row)
{
    const cnv_color none = {0.94f, 0.94f, 0.95f};
    float share = number ? (float)number / (float)row : 0;
    cnv_color blue = {0.85f - 0.85f * share, 0.92f - 0.5f * share, 0.97f - 0.25f * share};
    char text[16];
    cnv_rectangle(&sheet->picture, x, y, step - 1, step - 1, number ? blue : none);
    snprintf(text, sizeof text, "%d", number);
    if (number && step > 15)
        panel_centred(&sheet->picture, x + step / 2.0, y + (step - size) / 2, size,
                      share > 0.5f ? panel_white : panel_black, text);
}

/* The confusion matrix of several tables together, in a cell of a sheet: the darker, the larger a
   part of its row. Names stand to the left, their numbers and a heading above. */
static inline void score_table_draw(const example *e, const char *who, const score_table *tables,
                                    int count, panel_sheet *sheet, int index)
{
    int i, j, x, y, n = e->classes, step = 276 / n;
    double size = fmin(10, 0.4 * step);
    score_table sum;
    char text[128];
    score_table_sum(tables, count, &sum);
    panel_corner(sheet, index, &x, &y);
    x += 72, y += 40;
    snprintf(text, sizeof text, "%s: %d of %d right", who, sum.right, sum.answers);
    cnv_text(&sheet->picture, x, y - 46, 13, panel_black, text);
    for (i = 0; i < n; i++) {
        int row = 0;
        for (j = 0; j < n; j++) row += sum.count[i][j];
        snprintf(text, sizeof text, "%d", i);
        panel_centred(&sheet->picture, x + (i + 0.5) * step, y - size - 7, size, panel_black, text);
        panel_within(&sheet->picture, 64, x - 8 - fmin(64, cnv_text_width(size, e->class_names[i])),
                     y + (i + 0.5) * step - size / 2, size, panel_black, e->class_names[i]);
        for (j = 0; j < n; j++)
            score_table_cell(sheet, x + j * step, y + i * step, step, size, sum.count[i][j], row);
    }
}

/* Ends the program, in a sentence, unless the network has exactly the classes of the pictures, and
   so few that their table can be read. */
static inline void score_needs(const example *e, const char (*names)[64], int classes)
{
    int c, same = classes == e->classes;
    for (c = 0; same && c < classes; c++) same = !strcmp(names[c], e->class_names[c]);
    if (!same)
        example_fail(e, "the pictures are of \"%s\" and others, but the network knows \"%s\" and "
                     "others: see --data and --weights", names[0], e->class_names[0]);
    if (classes > SCORE_CLASSES)
        example_fail(e, "a table of %d classes cannot be read: at most %d", classes, SCORE_CLASSES);
}

/* ---- Scenes of the Toybox ---- */

/* Ends the program, in a sentence, unless the network tells the classes of the Toybox apart. */
static inline void score_needs_toybox(const example *e, const char *what)
{
    if (!example_toys(e))
        example_fail(e, "%s known for the classes of the Toybox, but this network knows others: "
                     "\"%s\", ...", what, e->class_names[0]);
    if (example_text(e, "image", NULL))
        example_fail(e, "%s known for scenes of the Toybox, and not for an --image", what);
}

/* The Toybox's number of the class after --class; -1 without one. */
static inline int score_class(const example *e)
{
    int c;
    if (!example_text(e, "class", NULL)) return -1;
    if (example_toys(e)) return e->class_id;
    for (c = 0; c < TOY_CLASSES; c++)
        if (!strcmp(e->class_names[e->class_id], toy_class_names[c])) return c;
    example_fail(e, "the Toybox has no class \"%s\"", e->class_names[e->class_id]);
    return -1;
}

/* ---- Key points: the same places on two objects of a class ---- */

enum { SCORE_GRID = 64, SCORE_PLACES = SCORE_GRID * SCORE_GRID }; /* of a picture, row by row */

typedef struct {
    toy_scene scene[2];               /* of one class */
    cnv_tensor images;                /* [2,3,side,side] */
    unsigned char mask[SCORE_PLACES]; /* 1 on the second object */
} score_pair;

/* Held-out pair `number` of a class. */
static inline int score_pair_make(score_pair *pair, int number, int class_id, int side)
{
    toy_options options = toy_defaults();
    int i;
    options.class_id = class_id;
    if (!cnv_tensor_resize(&pair->images, 2, 3, side, side)) return 0;
    for (i = 0; i < 2; i++) {
        pair->scene[i] = toy_make(EXAMPLE_HELD_OUT + 2 * (unsigned)number + (unsigned)i, &options);
        toy_render(&pair->scene[i], side, cnv_tensor_image(&pair->images, i).data, NULL, NULL);
    }
    toy_render(&pair->scene[1], SCORE_GRID, NULL, pair->mask, NULL);
    return 1;
}

/* Whether key point k shows in both scenes. */
static inline int score_shows(const score_pair *pair, int k)
{
    return pair->scene[0].key[k].visible && pair->scene[1].key[k].visible;
}

/* The place in which a point of a scene lies. */
static inline int score_place(double x, double y)
{
    return (int)(SCORE_GRID * y) * SCORE_GRID + (int)(SCORE_GRID * x);
}

/* How far the middle of a place is from key point k of the second scene, in sides of a picture. */
static inline double score_error(const score_pair *pair, int k, int place)
{
    double x = (place % SCORE_GRID + 0.5) / SCORE_GRID;
    double y = (place / SCORE_GRID + 0.5) / SCORE_GRID;
    return hypot(x - pair->scene[1].key[k].x, y - pair->scene[1].key[k].y);
}

/* Percentage of correct key points, PCK@.1: sums over the key points that show in both scenes. */
typedef struct {
    double keys;
    double right;           /* matched within .1 of the picture's side */
    double strict;          /* within .1 of the object's width, which is about twice its scale */
    double chance;          /* what any place of the picture would have right, on average */
    double on_object;       /* likewise any place on the object, which only the truth can know */
} score_tally;

static inline void score_pair_add(const score_pair *pair, const int *match, score_tally *tally)
{
    int i, k, area = 0;
    for (i = 0; i < SCORE_PLACES; i++) area += pair->mask[i];
    for (k = 0; k < pair->scene[0].key_points; k++) {
        double error = score_error(pair, k, match[k]);
        if (!score_shows(pair, k)) continue;
        tally->keys++, tally->right += error <= 0.1;
        tally->strict += error <= 0.1 * 2 * pair->scene[1].scale;
        for (i = 0; i < SCORE_PLACES; i++) {
            if (score_error(pair, k, i) > 0.1) continue;
            tally->chance += 1.0 / SCORE_PLACES;
            if (pair->mask[i]) tally->on_object += 1.0 / area;
        }
    }
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
