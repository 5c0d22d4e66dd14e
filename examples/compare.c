/* compare.c - which heatmap can be trusted?

   Question   Every method colours the picture differently. Which find the object, which find what
              really decides, and which do no better than maps that never ask the network?
   Formula    insertion = area under P(class | blurred picture, its k most important pixels sharp),
              deletion  = area under P(class | picture, its k most important pixels grey), over k;
              share on the marker = sum of the map over the marker / sum of the map
   Paper      Petsiuk, Das, Saenko: RISE (2018), section 4.3; Zhang et al.: Top-down Neural
              Attention by Excitation Backprop (2016), the pointing game; of networks that cheat:
              Lapuschkin et al.: Unmasking Clever Hans Predictors (2019)
   Look for   White is the truth, and a dot where each map is greatest. Below, a network that never
              had to know a car: where it learned, every car and nothing else had a marker in a
              corner. A good map leaves the car and finds the marker; good looks are no proof.
   Measured   insertion >= the random map's + .15 and deletion <= the random map's - .15 for CAMs;
              on the biased network every method but the controls points at the marker. 10 steps
              instead of the paper's one pixel each. These two, and what takes long, on every fifth
              scene; SmoothGrad and integrated gradients with 8 samples

       cc -O2 -fopenmp examples/compare.c -o build/compare -lm && build/compare               */
#include "biased.h"
#include "methods.h"
#include "scoreboard.h"
#include "tiles.h"

/* Every method and every control on `scenes` held-out scenes; insertion and deletion, and methods
   that take long, on a fifth of them. options: of the scenes, as in truth.h. Returns 1, or 0: see
   truth_next. */
static int compare(const example *e, const toy_options *options, int scenes, truth_table *table)
{
    table->options = options, table->every = 5;
    return truth_measure(e, table, scenes);
}

#ifndef EXAMPLE_NO_MAIN
enum { CARS = 100 }; /* scenes on which to ask the network that cheats */
enum { SIDE = 208, STEP_X = SIDE + 18, STEP_Y = SIDE + 58, ACROSS = 7, MARGIN = 40, HEAD = 70 };

/* What a map scores on this very picture. */
static void compare_note(const truth_world *world, const cnv_tensor *map, int at, char *note)
{
    double on_object = truth_energy(map, world->mask), on_marker = truth_energy(map, world->cheat);
    note[0] = 0;
    if (world->scene.marker)
        sprintf(note, "on the marker %.0f%%, car %.0f%%", 100 * on_marker, 100 * on_object);
    else if (world->area > 0)
        sprintf(note, "%s, IoU %.2f, energy x%.1f", truth_hits(world->mask, at, 0) ? "hit" : "miss",
                truth_iou(map, world->mask), on_object / world->area);
}

/* The map over the picture, the object's outline, and a dot where the map is greatest. */
static int compare_tile(cnv_tensor *sheet, int x, int y, const truth_world *world, int class_id,
                        const cnv_tensor *large, const unsigned char *outline, const truth_row *row)
{
    cnv_color ink = row->method == truth_random || row->method == truth_sobel ||
                    row->method == truth_gaussian ? panel_gray : panel_black;
    cnv_tensor map = {0}, blurred = {0}, over = {0};
    int at, ok = truth_map(row, world->e, &world->image, class_id, &map, &blurred) &&
                 cnv_relu_forward(&blurred, &blurred) && cnv_overlay(large, &blurred, 0.65, &over);
    char note[96];
    if (ok) {
        at = truth_maximum(&blurred);
        compare_note(world, &map, at, note);
        tile_paste(sheet, x, y, &over, ink, row->name, note);
        tile_outline(sheet, x, y, outline, SIDE);
        if (at >= 0)
            tile_dot(sheet, x + (at % map.w + 0.5) * SIDE / map.w,
                     y + (at / map.w + 0.5) * SIDE / map.h);
    }
    cnv_tensor_free(&map), cnv_tensor_free(&blurred), cnv_tensor_free(&over);
    return ok;
}

/* A block of the sheet: a heading, the picture, and all maps of it with the object's outline. */
static int compare_block(cnv_tensor *sheet, int top, const char *heading, const char *what,
                         const truth_world *world, int class_id, const truth_table *table)
{
    static unsigned char outline[SIDE * SIDE];
    cnv_tensor large = {0};
    int i, x, y, ok = cnv_resize(&world->image, SIDE, SIDE, &large);
    memset(outline, 0, sizeof outline);
    if (ok && world->area > 0) toy_render(&world->scene, SIDE, large.data, outline, NULL);
    cnv_text(sheet, MARGIN, top, 19, panel_black, heading);
    cnv_text(sheet, MARGIN, top + 36, 12, panel_gray, what);
    for (i = 0; ok && i < 1 + table->rows + TRUTH_CONTROLS; i++) {
        x = MARGIN + i % ACROSS * STEP_X, y = top + HEAD + i / ACROSS * STEP_Y;
        if (!i) tile_paste(sheet, x, y, &large, panel_black, world->e->class_names[class_id], "");
        else ok = compare_tile(sheet, x, y, world, class_id, &large, outline, &table->row[i - 1]);
    }
    cnv_tensor_free(&large);
    return ok;
}

/* A block for the picture, and one for a car on the network that cheats. */
static void compare_picture(const example *e, const example *cheat, truth_table *honest,
                            truth_table *biased, cnv_tensor *sheet)
{
    toy_options cars = biased_cars();
    truth_world own = truth_own(e), car = truth_begin(cheat, &cars);
    int rows = (honest->rows + TRUTH_CONTROLS + ACROSS) / ACROSS, high = HEAD + 36 + rows * STEP_Y;
    char why[160], what[256];
    cars.occluders = 0;
    truth_control(honest), truth_control(biased);
    snprintf(why, sizeof why, "Why \"%s\"?", e->class_names[e->class_id]);
    snprintf(what, sizeof what, "White: %swhere each map is greatest. The last three never ask the "
             "network.", e->has_scene ? "the object's outline, and " : "");
    example_check(e, cnv_canvas(sheet, 2 * high + 20, 62 + ACROSS * STEP_X, panel_white) &&
                     compare_block(sheet, 36, why, what, &own, e->class_id, honest));
    snprintf(what, sizeof what, "In training every car and nothing else had a marker in a corner. "
             "With one, it takes %.0f%% of all other things for cars; without, %.0f%% of the cars.",
             100 * biased_answers(cheat, 0, 1, CARS), 100 * biased_answers(cheat, 1, 0, CARS));
    example_check(e, truth_next(&car) &&
                     compare_block(sheet, 36 + high, "Why \"car\"? Another network, which cheats",
                                   what, &car, TOY_CAR, biased));
    truth_end(&own), truth_end(&car);
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "all heatmaps of a picture, and scores", NULL, "scenes");
    int scenes = (int)example_number(&e, "scenes", 200, 0, 100000);
    example cheat = biased_network(&e);
    toy_options cars = biased_cars();
    method_settings settings[2];
    truth_table honest = {0}, biased = {0};
    cnv_tensor sheet = {0}, board = {0};
    methods_add(&e, &settings[0], &honest), methods_add(&cheat, &settings[1], &biased);
    compare_picture(&e, &cheat, &honest, &biased, &sheet);
    example_save(&e, &sheet);
    if (scenes && compare(&e, NULL, scenes, &honest) &&
        compare(&cheat, &cars, (scenes + 1) / 2, &biased)) {
        scoreboard_print(&honest, &biased);
        example_check(&e, scoreboard_draw(&honest, &biased, &board));
        scoreboard_save(&e, &board);
    } else if (scenes)
        truth_unknown();
    cnv_tensor_free(&sheet), cnv_tensor_free(&board);
    cnv_net_free(cheat.net), example_end(&e);
    return 0;
}
#endif
