/* toybox.c - what does the network see, and what is known about it?

   Question   Where a network looked can be judged only where the truth is known. What is known?
   Look for   Colour, texture, size, background and clutter are drawn without regard to the class:
              only shape tells what it is. Parts recur: wheels, eyes, stripes and leaves belong to
              several classes, and lie around loose. In the last row a class can be told without
              looking at it: networks trained on such pictures cheat.

       cc -O2 examples/toybox.c -o build/toybox -lm && build/toybox --class car               */
#include "panel.h"

enum { TILE = 108, STEP = TILE + 4, PANEL = 302, NEXT = PANEL + 16 };
enum { MARGIN = 30, WIDTH = 2 * MARGIN + 12 * STEP - 4 };
static const cnv_color ink = {0.13f, 0.14f, 0.17f}, quiet = {0.42f, 0.44f, 0.48f};
static const cnv_color white = {1, 1, 1}, red = {0.85f, 0.1f, 0.2f};

/* A scene in three ways, from left to right: the picture; the mask, bright on the object; and each
   part in a colour that is easy to tell from the others, with its name below. */
static int toybox_views(cnv_tensor *sheet, const toy_scene *scene, int top)
{
    static unsigned char map[PANEL * PANEL];
    const char *names[TOY_PARTS];
    cnv_color colors[TOY_PARTS];
    cnv_tensor picture = {0};
    int i, p, size = PANEL * PANEL, count = 0, index[TOY_PARTS] = {0};
    if (!example_scene(scene, PANEL, &picture)) return 0;
    cnv_paste(sheet, &picture, MARGIN, top), cnv_paste(sheet, &picture, MARGIN + 3 * NEXT, top);
    toy_render(scene, PANEL, NULL, NULL, map);
    for (i = 0; i < size; i++) index[map[i]]++;
    for (p = 1; p < TOY_PARTS; p++)
        if (index[p]) names[count] = toy_part_names[p], index[p] = count++;
    for (p = 0; p < count; p++) {
        toy_rgb c = toy_vivid((p + 0.1) / count, p % 2 ? 0.84 : 0.68);
        colors[p] = (cnv_color){(float)c.r, (float)c.g, (float)c.b};
    }
    for (i = 0; i < size; i++) {
        const float *rgb = picture.data + i;
        float gray = 0.3f * rgb[0] + 0.6f * rgb[size] + 0.1f * rgb[2 * size];
        float light = map[i] ? 0.4f + 0.6f * gray : 0.9f, on = map[i] ? 1 : 0.1f;
        cnv_color c = map[i] ? colors[index[map[i]]] : white;
        cnv_color part = {light * c.r, light * c.g, light * c.b}, mask = {on, on, on};
        cnv_rectangle(sheet, MARGIN + NEXT + i % PANEL, top + i / PANEL, 1, 1, mask);
        cnv_rectangle(sheet, MARGIN + 2 * NEXT + i % PANEL, top + i / PANEL, 1, 1, part);
    }
    panel_legend(sheet, MARGIN + 2 * NEXT, top + PANEL + 16, PANEL, names, colors, count);
    cnv_tensor_free(&picture);
    return 1;
}

/* The key points, and their names to the right of the picture, from top to bottom. */
static void toybox_key_points(cnv_tensor *sheet, const toy_scene *s, int left, int top)
{
    int done[TOY_MAX_KEYS] = {0}, i, n, at;
    double row = top, edge = left + PANEL + 8;
    for (n = 0; n < s->key_points; n++) {
        for (i = 0, at = -1; i < s->key_points; i++)
            if (!done[i] && (at < 0 || s->key[i].y < s->key[at].y)) at = i;
        done[at] = 1;
        row = toy_max(row + 24, top + PANEL * s->key[at].y);
        cnv_line(sheet, left + PANEL * s->key[at].x, top + PANEL * s->key[at].y, edge, row, 1.5,
                 ink);
        cnv_text(sheet, edge + 6, row - 6, 12, ink, toy_part_names[s->key[at].part]);
    }
    for (i = 0; i < s->key_points; i++) {
        double x = left + PANEL * s->key[i].x, y = top + PANEL * s->key[i].y;
        cnv_disc(sheet, x, y, 6, white);
        cnv_disc(sheet, x, y, 4.5, s->key[i].visible ? red : quiet);
    }
}

/* One scene and all that is known about it. */
static int toybox_explain(cnv_tensor *sheet, const toy_scene *s, int top)
{
    static const char *const titles[4] = {"picture", "mask", "parts", "key points"};
    char text[200];
    int i, below = top + PANEL + 16, ok = toybox_views(sheet, s, top);
    for (i = 0; i < 4; i++) {
        cnv_frame(sheet, MARGIN + i * NEXT, top, PANEL, PANEL, 1, quiet);
        panel_centred(sheet, MARGIN + i * NEXT + PANEL / 2, top - 24, 13, ink, titles[i]);
    }
    toybox_key_points(sheet, s, MARGIN + 3 * NEXT, top);
    snprintf(text, sizeof text, "seed %llu: %s, turned by %.0f degrees, %.0f %% of the picture",
             s->seed, toy_class_names[s->class_id], s->rotation * 360 / TOY_TAU, 100 * s->area);
    cnv_text(sheet, MARGIN, below, 12, ink, text);
    snprintf(text, sizeof text, "contrast %.2f, background: %s, loose things around it: %d",
             s->contrast, toy_background_names[s->background], s->clutter);
    cnv_text(sheet, MARGIN, below + 24, 12, ink, text);
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
enum { ROWS = 5, TOP = 100, EXPLAIN = TOP + ROWS * STEP + 56, CHEATS = EXPLAIN + PANEL + 126 };

/* A scene as one tile of the sheet. */
static void toybox_tile(cnv_tensor *sheet, unsigned long long seed, int class_id, int biased,
                        int column, int y)
{
    cnv_tensor tile = {0};
    toy_options options = toy_defaults();
    toy_scene scene;
    options.class_id = class_id, options.biased = biased;
    scene = toy_make(seed, &options);
    if (example_scene(&scene, TILE, &tile)) cnv_paste(sheet, &tile, MARGIN + column * STEP, y);
    cnv_tensor_free(&tile);
}

/* The whole sheet: five scenes of each class, one explained, two ways to cheat. */
static int toybox_sheet(cnv_tensor *sheet, unsigned long long seed, const toy_scene *scene)
{
    int i, row, biased[2] = {TOY_BIASED_WATER, TOY_BIASED_MARKER}, cheat[2] = {TOY_FISH, TOY_CAR};
    if (!cnv_canvas(sheet, CHEATS + TILE + MARGIN, WIDTH, white)) return 0;
    cnv_text(sheet, MARGIN, 24, 20, ink, "Toybox: pictures with ground truth");
    for (i = 0; i < TOY_CLASSES; i++) {
        panel_centred(sheet, MARGIN + i * STEP + TILE / 2, TOP - 24, 13, ink, toy_class_names[i]);
        for (row = 0; row < ROWS; row++)
            toybox_tile(sheet, seed + (unsigned)(row * TOY_CLASSES + i), i, TOY_UNBIASED, i,
                        TOP + row * STEP);
        toybox_tile(sheet, seed + (unsigned)i, cheat[i / 6], biased[i / 6], i, CHEATS);
    }
    cnv_text(sheet, MARGIN, CHEATS - 24, 13, ink, "ways to cheat: all fish swim in water ...");
    cnv_text(sheet, MARGIN + 6 * STEP, CHEATS - 24, 13, ink, "... all cars come with a marker");
    return toybox_explain(sheet, scene, EXPLAIN);
}

int main(int argc, char **argv)
{
    example e = example_start(argc, argv, "the picture world, and all that is known about it", "");
    cnv_tensor sheet = {0};
    toy_options options = toy_defaults();
    toy_scene scene = toy_make(0, &options);
    int i;
    for (e.classes = 0; e.classes < TOY_CLASSES; e.classes++)
        e.class_names[e.classes] = toy_class_names[e.classes];
    options.class_id = example_class(&e, example_text(&e, "class", "house"));
    options.min_size = 0.15, options.occluders = 0;
    for (i = 0; i < 1000; i++) { /* one with loose things around it and strong colours */
        scene = toy_make(e.seed + (unsigned)i, &options);
        if (scene.clutter > 2 && scene.contrast > 1) break;
    }
    if (!toybox_sheet(&sheet, e.seed, &scene)) example_fail(&e, "out of memory");
    example_save(&e, &sheet);
    printf("%d classes, %d kinds of parts; the %s of seed %llu has %d key points\n", TOY_CLASSES,
           TOY_PARTS - 1, toy_class_names[scene.class_id], scene.seed, scene.key_points);
    cnv_tensor_free(&sheet);
    return 0;
}
#endif
