/* scoreboard.h: the scores of many heatmaps on two networks, an honest one and one that cheats, as
   one table: printed, and drawn. What the columns mean is said in truth.h.

       scoreboard_print(&honest, &biased);
       scoreboard_draw(&honest, &biased, &picture);                                            */
#ifndef SCOREBOARD_H
#define SCOREBOARD_H

#include "panel.h"
#include "truth.h"

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

enum {
    SCOREBOARD_IOU = 3, SCOREBOARD_DELETION = 5, SCOREBOARD_BIASED = 6, SCOREBOARD_MS = 8,
    SCOREBOARD_COLUMNS = 9
};

static const char *const scoreboard_heads[SCOREBOARD_COLUMNS] = {
    "pointing", "in 4 px", "energy", "IoU", "insertion", "deletion", "share", "found", "ms"};

static inline double scoreboard_value(const truth_table *honest, const truth_table *biased, int row,
                                      int column)
{
    const truth_row *h = &honest->row[row], *b = truth_named(biased, h->name);
    const double values[SCOREBOARD_COLUMNS] = {
        h->pointing, h->near, h->energy / h->area, h->iou, h->insertion, h->deletion,
        b ? b->cheat : 0, b ? b->found : 0, 1000 * h->seconds};
    return values[column];
}

/* From 0, no better than the best of the controls, to 1, the best of all methods. */
static inline double scoreboard_merit(const truth_table *honest, const truth_table *biased, int row,
                                      int column)
{
    double sign = column == SCOREBOARD_DELETION ? -1 : 1, best = -1e30, control = -1e30, value;
    int i;
    for (i = 0; i < honest->rows + TRUTH_CONTROLS; i++) {
        value = sign * scoreboard_value(honest, biased, i, column);
        if (i < honest->rows) best = fmax(best, value);
        else control = fmax(control, value);
    }
    value = sign * scoreboard_value(honest, biased, row, column);
    if (column == SCOREBOARD_MS || best <= control || value <= control) return 0;
    return (value - control) / (best - control);
}

static inline void scoreboard_print(const truth_table *honest, const truth_table *biased)
{
    int i, k;
    printf("%-24s%s, object %.1f%% of the area, curves on %d | marker, %s\n", "",
           example_count(honest->scenes, "honest scene"), 100 * honest->area, honest->curves,
           example_count(biased->scenes, "scene"));
    for (i = -1; i < honest->rows + TRUTH_CONTROLS; i++) {
        printf("  %-22s", i < 0 ? "" : honest->row[i].name);
        for (k = 0; k < SCOREBOARD_COLUMNS; k++)
            if (i < 0) printf(" %9s", scoreboard_heads[k]);
            else printf(" %9.2f", scoreboard_value(honest, biased, i, k));
        printf("\n");
    }
}

/* The left edge of a column: three groups, the honest network, the biased one, the time. */
static inline int scoreboard_x(int column)
{
    return 260 + 104 * column + 24 * (column >= SCOREBOARD_BIASED) + 24 * (column == SCOREBOARD_MS);
}

/* Text that ends at x. */
static inline void scoreboard_right(cnv_tensor *picture, double x, double y, double size,
                                    cnv_color color, const char *text)
{
    cnv_text(picture, x - cnv_text_width(size, text), y, size, color, text);
}

/* A row: its name, and its numbers on a green that is the stronger the better they are. */
static inline void scoreboard_row(const truth_table *honest, const truth_table *biased, int row,
                                  int y, cnv_tensor *picture)
{
    cnv_color ink = row < honest->rows ? panel_black : panel_gray;
    char text[32];
    int k;
    cnv_text(picture, 44, y + 9, 13, ink, honest->row[row].name);
    for (k = 0; k < SCOREBOARD_COLUMNS; k++) {
        float merit = (float)scoreboard_merit(honest, biased, row, k);
        cnv_color shade = {1 - 0.45f * merit, 1 - 0.13f * merit, 1 - 0.42f * merit};
        cnv_rectangle(picture, scoreboard_x(k), y, 100, 30, shade);
        snprintf(text, sizeof text, "%.*f", k == SCOREBOARD_MS ? 1 : 2,
                 scoreboard_value(honest, biased, row, k));
        scoreboard_right(picture, scoreboard_x(k) + 84, y + 9, 13, ink, text);
    }
}

/* Saves it beside the program's picture: "compare.png" -> "compare_scores.png". */
static inline void scoreboard_save(const example *program, const cnv_tensor *picture)
{
    const char *dot = strrchr(program->out, '.');
    example e = *program;
    char name[1024];
    snprintf(name, sizeof name, "%.*s_scores%s", (int)(dot ? dot - e.out : 0), e.out,
             dot ? dot : ".png");
    e.out = name;
    example_save(&e, picture);
}

/* The whole table as a picture. */
static inline int scoreboard_draw(const truth_table *honest, const truth_table *biased,
                                  cnv_tensor *picture)
{
    enum { TOP = 170, STEP = 34 };
    int i, k, count = honest->rows + TRUTH_CONTROLS, last = SCOREBOARD_COLUMNS - 1;
    char text[160];
    if (!cnv_canvas(picture, TOP + STEP * count + 84, scoreboard_x(last) + 140, panel_white))
        return 0;
    cnv_text(picture, 44, 36, 21, panel_black, "Which heatmap finds what decides?");
    snprintf(text, sizeof text, "the object, by an honest network: %s",
             example_count(honest->scenes, "scene"));
    cnv_text(picture, scoreboard_x(0) + 4, 94, 12, panel_gray, text);
    snprintf(text, sizeof text, "the marker, by one");
    cnv_text(picture, scoreboard_x(SCOREBOARD_BIASED) + 4, 76, 12, panel_gray, text);
    snprintf(text, sizeof text, "that cheats: %d", biased->scenes);
    cnv_text(picture, scoreboard_x(SCOREBOARD_BIASED) + 4, 94, 12, panel_gray, text);
    for (k = 0; k < SCOREBOARD_COLUMNS; k++)
        scoreboard_right(picture, scoreboard_x(k) + 84, 132, 13, panel_black, scoreboard_heads[k]);
    for (i = 0; i < count; i++)
        scoreboard_row(honest, biased, i, TOP + STEP * i + 14 * (i >= honest->rows), picture);
    cnv_rectangle(picture, 44, TOP - 12, scoreboard_x(last) + 56, 1, panel_gray);
    cnv_rectangle(picture, 44, TOP + STEP * honest->rows + 5, scoreboard_x(last) + 56, 1,
                  panel_gray);
    snprintf(text, sizeof text, "White: no better than a control. energy: times the object's share "
             "of the area, %.1f%%. insertion, deletion, Score-CAM and occlusion: %s.",
             100 * honest->area, example_count(honest->curves, "scene"));
    cnv_text(picture, 44, TOP + STEP * count + 38, 11, panel_gray, text);
    return 1;
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
