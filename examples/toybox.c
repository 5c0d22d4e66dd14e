/* toybox.c - what does the network see, and what is known about it?

   Question   Where a network looked can be judged only where the truth is known. What is known?
   Look for   Colour, texture, size, background and clutter are drawn without regard to the class:
              only shape tells what it is. Parts recur: wheels, eyes, stripes and leaves belong to
              several classes, and lie around loose. In the last row a class can be told without
              looking at it: networks trained on such pictures cheat.

       cc -O2 examples/toybox.c -o build/toybox -lm && build/toybox --class car               */

#include "example.h"

enum { TILE = 108, STEP = TILE + 4, PANEL = 302, MARGIN = 30, WIDTH = 2 * MARGIN + 12 * STEP - 4 };
static const cnv_color ink = {0.13f, 0.14f, 0.17f}, quiet = {0.42f, 0.44f, 0.48f};
static const cnv_color white = {1, 1, 1}, red = {0.85f, 0.1f, 0.2f};

/* The k-th of n colours that are easy to tell apart. */
static cnv_color toybox_color(int k, int n)
{
    toy_rgb c = toy_vivid((k + 0.1) / n, k % 2 ? 0.84 : 0.68);
    cnv_color color = {(float)c.r, (float)c.g, (float)c.b};
    return color;
}

/* Draws a scene in three ways, each [1,3,side,side]: the picture; the mask, bright on the object;
   and each part in its colour. seen[k] is the k-th part that shows; returns how many there are. */
static int toybox_scene(const toy_scene *scene, int side, cnv_tensor *picture, cnv_tensor *mask,
                        cnv_tensor *parts, int *seen)
{
    int i, p, size = side * side, count = 0, index[TOY_PARTS] = {0};
    unsigned char *map = (unsigned char *)malloc((size_t)size);
    if (!map || !cnv_canvas(picture, side, side, white) || !cnv_canvas(mask, side, side, white) ||
        !cnv_canvas(parts, side, side, white))
        return free(map), 0;
    toy_render(scene, side, picture->data, NULL, map);
    for (i = 0; i < size; i++) index[map[i]]++;
    for (p = 1; p < TOY_PARTS; p++)
        if (index[p]) seen[count] = p, index[p] = count++;
    for (i = 0; i < size; i++) {
        const float *rgb = picture->data + i;
        float gray = 0.3f * rgb[0] + 0.6f * rgb[size] + 0.1f * rgb[2 * size];
        float object = map[i] ? 0.4f + 0.6f * gray : 0.9f, on = map[i] ? 1 : 0.1f;
        cnv_color c = map[i] ? toybox_color(index[map[i]], count) : white;
        cnv_rectangle(mask, i % side, i / side, 1, 1, (cnv_color){on, on, on});
        cnv_rectangle(parts, i % side, i / side, 1, 1,
                      (cnv_color){object * c.r, object * c.g, object * c.b});
    }
    free(map);
    return count;
}

static void toybox_centred(cnv_tensor *sheet, double x, double y, double size, const char *text)
{
    cnv_text(sheet, x - cnv_text_width(size, text) / 2, y, size, ink, text);
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

/* The coloured names of the parts, in rows. */
static void toybox_legend(cnv_tensor *sheet, const int *seen, int parts, int left, int y)
{
    int i, x = left;
    for (i = 0; i < parts; i++) {
        int width = 34 + (int)cnv_text_width(12, toy_part_names[seen[i]]);
        if (x + width > left + PANEL + 14) x = left, y += 24;
        cnv_rectangle(sheet, x, y - 1, 14, 14, toybox_color(i, parts));
        cnv_text(sheet, x + 20, y, 12, ink, toy_part_names[seen[i]]);
        x += width;
    }
}

/* One scene and all that is known about it; returns the number of parts that show. */
static int toybox_explain(cnv_tensor *sheet, const toy_scene *s, int top)
{
    static const char *const titles[4] = {"picture", "mask", "parts", "key points"};
    cnv_tensor view[3] = {{0}};
    char text[200];
    int seen[TOY_PARTS], i, step = PANEL + 16, below = top + PANEL + 16;
    int parts = toybox_scene(s, PANEL, &view[0], &view[1], &view[2], seen);
    for (i = 0; parts && i < 4; i++) {
        cnv_paste(sheet, &view[i % 3], MARGIN + i * step, top);
        cnv_frame(sheet, MARGIN + i * step, top, PANEL, PANEL, 1, quiet);
        toybox_centred(sheet, MARGIN + i * step + PANEL / 2, top - 24, 13, titles[i]);
    }
    toybox_key_points(sheet, s, MARGIN + 3 * step, top);
    toybox_legend(sheet, seen, parts, MARGIN + 2 * step, below);
    snprintf(text, sizeof text, "seed %llu: %s, turned by %.0f degrees, %.0f %% of the picture",
             s->seed, toy_class_names[s->class_id], s->rotation * 360 / TOY_TAU, 100 * s->area);
    cnv_text(sheet, MARGIN, below, 12, ink, text);
    snprintf(text, sizeof text, "contrast %.2f, background: %s, loose things around it: %d",
             s->contrast, toy_background_names[s->background], s->clutter);
    cnv_text(sheet, MARGIN, below + 24, 12, ink, text);
    for (i = 0; i < 3; i++) cnv_tensor_free(&view[i]);
    return parts;
}

#ifndef EXAMPLE_NO_MAIN
enum { ROWS = 5, TOP = 100, EXPLAIN = TOP + ROWS * STEP + 56, CHEATS = EXPLAIN + PANEL + 126 };

/* A scene as one tile of the sheet. */
static void toybox_tile(cnv_tensor *sheet, unsigned long long seed, int class_id, int biased,
                        int column, int y)
{
    static float rgb[3 * TILE * TILE];
    cnv_tensor tile = cnv_tensor_view(rgb, 1, 3, TILE, TILE);
    toy_options options = toy_defaults();
    toy_scene scene;
    options.class_id = class_id, options.biased = biased;
    scene = toy_make(seed, &options);
    toy_render(&scene, TILE, rgb, NULL, NULL);
    cnv_paste(sheet, &tile, MARGIN + column * STEP, y);
}

/* The whole sheet: five scenes of each class, one explained, two ways to cheat. */
static int toybox_sheet(cnv_tensor *sheet, unsigned long long seed, const toy_scene *scene)
{
    int i, row, biased[2] = {TOY_BIASED_WATER, TOY_BIASED_MARKER}, cheat[2] = {TOY_FISH, TOY_CAR};
    if (!cnv_canvas(sheet, CHEATS + TILE + MARGIN, WIDTH, white)) return 0;
    cnv_text(sheet, MARGIN, 24, 20, ink, "Toybox: pictures with ground truth");
    for (i = 0; i < TOY_CLASSES; i++) {
        toybox_centred(sheet, MARGIN + i * STEP + TILE / 2, TOP - 24, 13, toy_class_names[i]);
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
    static const char *const needless[4] = {"net", "weights", "image", "layer"};
    example e = {0};
    cnv_tensor sheet = {0};
    toy_options options = toy_defaults();
    toy_scene scene = toy_make(0, &options);
    int i;
    e.program = "toybox", e.argc = argc, e.argv = argv;
    example_options(&e, "the picture world: scenes and all that is known about them", "");
    for (i = 0; i < 4; i++)
        if (example_text(&e, needless[i], NULL))
            example_fail(&e, "--%s is for programs that run a network", needless[i]);
    for (e.classes = 0; e.classes < TOY_CLASSES; e.classes++)
        e.class_names[e.classes] = toy_class_names[e.classes];
    e.seed = (unsigned long long)example_number(&e, "seed", 1, 0, 9e15);
    e.out = example_text(&e, "out", "toybox.png");
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
