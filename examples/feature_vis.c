/* feature_vis.c - what does a unit look for?

   Question   The pictures of a data set that excite a unit show it together with much else. What
              does a picture show that was made for the unit alone?
   Formula    argmax over I of v . a(I), by gradient ascent from noise; a: activations of a layer
              neuron: v = channel k at one place    channel: the same, the mean over all places
              position: all channels at one place   layer: all of everything   group: some channels
              several at once: - weight * mean cosine of their Gram matrices G = F F^T
   Paper      Olah, Mordvintsev, Schubert: Feature Visualization (2017), sections "Optimization
              Objectives", "Diversity" and "The Spectrum of Regularization"
   Look for   Each large picture beside the four scenes that excite the same unit most, all cut to
              what the unit sees and half as much again. Early units want an edge or a colour, later
              ones pieces: round things above a body, a beak, a stripe. What the optimized picture
              leaves out, though all four scenes have it, is not what the unit looks for.
   Measured   the picture excites >= 90% of the live units more than any scene of the data set does;
              noise of the same spectrum hardly any

   Pictures are sums of waves, low ones first, in colours that vary apart, and are shifted, scaled
   and turned before each step: see ascent.h and visions.h.

       cc -O2 -fopenmp examples/feature_vis.c -o build/feature_vis -lm && build/feature_vis

   Own options: --images N to search (1000), --data FOLDER to search them in, --steps N (48),
   --objective channel for the units' pictures; for the last row --layer, --channel K, --group
   3,17,40 (channels) and --diversity WEIGHT (of the unit's best activation, 1).                */
#include "panel.h"
#include "visions.h"

/* Pictures a->image [n,3,side,side], one for each ascent_direction of wanted->setting, all of one
   node; of every wanted->among pictures the cosines are pressed down. a: to be ended. */
static int feature_vis(const example *e, ascent_diversity *wanted, int n, int steps, ascent *a)
{
    int node = ((const ascent_direction *)wanted->setting)->node;
    wanted->objective = ascent_directions;
    wanted->node = example_feature_maps(e->net, node);
    *a = ascent_of(e, wanted->node, ascent_diverse, wanted);
    if (wanted->among < 2) a->objective = ascent_directions, a->setting = wanted->setting;
    return vision_climb(a, n, e->model->side, units_field(e->net, node, 0, 0, 1).w, steps);
}

#ifndef EXAMPLE_NO_MAIN
enum { COLUMNS = 5, ROWS = 5, UNITS = COLUMNS * ROWS, TILE = 128, LITTLE = 116,
       STEP = 2 * TILE + 28, ROW = TILE + 62 };

typedef struct {
    const example *e;
    const dataset *d;
    int steps, everywhere;      /* everywhere: the mean over all places, not the middle one */
    float *v;                   /* room for UNITS directions */
    int units, better, noise;   /* how many were shown; whose picture, and noise, beat the data */
    cnv_tensor sheet;
} feature_sheet;

/* n units of a node in rows from y on; counts how many beat the data set, and the control. */
static void feature_vis_rows(feature_sheet *s, int node, const units *u, const int *unit, int n,
                             int y)
{
    const cnv_net *net = s->e->net;
    ascent_direction direction[UNITS];
    ascent_diversity wanted = {NULL, NULL, 0, 1, 0, 0};
    ascent a;
    int i;
    if (!n) return; /* all are dead */
    for (i = 0; i < n; i++)
        direction[i] = vision_direction(net, node, unit + i, 1, s->everywhere,
                                        s->v + i * u->channels);
    wanted.setting = direction;
    example_check(s->e, feature_vis(s->e, &wanted, n, s->steps, &a));
    cnv_text(&s->sheet, PANEL_MARGIN, y, 13, panel_black, net->nodes[node].name);
    for (i = 0; i < n; i++)
        vision_unit(s->e, s->d, node, u, unit[i], &a.image, i, s->everywhere, TILE,
                    PANEL_MARGIN + i % COLUMNS * STEP, y + 24 + i / COLUMNS * ROW, &s->sheet);
    s->units += n, s->better += vision_better(net, node, u, unit, n);
    example_check(s->e, vision_noise(&a));
    s->noise += vision_better(net, node, u, unit, n);
    ascent_end(&a);
}

/* The last row: five objectives; three pictures of one of them; three that shall differ. */
static void feature_vis_others(feature_sheet *s, int node, const int *unit, int group,
                               double weight, int y)
{
    static const char *const names[] = {"neuron", "channel", "position", "layer", "group"};
    const cnv_net *net = s->e->net;
    ascent_direction d[5];
    ascent_diversity wanted = {NULL, NULL, 0, 1, 0, 0};
    ascent a;
    int i, x = PANEL_MARGIN;
    char text[128];
    for (i = 0; i < 5; i++)
        d[i] = vision_direction(net, node, unit, i < 2 ? 1 : i < 4 ? -1 : group, i % 2 || i == 4,
                                s->v + i * net->nodes[node].channels);
    d[2].node = d[3].node = example_feature_maps(net, node);
    snprintf(text, sizeof text, "%s, unit %d, by other objectives", net->nodes[node].name, *unit);
    wanted.setting = d;
    for (i = 0; i < 3; i++, x += 30) {
        example_check(s->e, feature_vis(s->e, &wanted, i ? 3 : 5, s->steps, &a));
        vision_strip(s->e, &a.image, LITTLE, i ? NULL : names, x, y + 24, &s->sheet);
        cnv_text(&s->sheet, x, y, 13, panel_black, text);
        snprintf(text, sizeof text, "mean cosine %.2f", wanted.cosine);
        if (i) cnv_text(&s->sheet, x, y + LITTLE + 32, 11, panel_gray, text);
        if (i) printf("three pictures of unit %d, %s: mean cosine %.3f\n", *unit,
                      i > 1 ? "with the diversity term" : "each for itself", wanted.cosine);
        snprintf(text, sizeof text, i ? "three that shall differ" : "three, each for itself");
        x += a.image.n * (LITTLE + 5), ascent_end(&a);
        wanted.among = 3, wanted.weight = i ? weight : 0, d[1] = d[2] = d[0];
    }
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "pictures made for single units", NULL,
                              "images,data,steps,objective,channel,group,diversity");
    dataset d = dataset_of(&e, (int)example_number(&e, "images", 1000, 1, 1e6));
    feature_sheet s = {NULL, NULL, 48, 0, NULL, 0, 0, 0, {NULL, 0, 0, 0, 0, 0}};
    int node[ROWS + 1], maps[ROWS + 1], unit[UNITS], n, i, group, most = COLUMNS, rows;
    units u[ROWS + 1];
    const char *objective = example_text(&e, "objective", "neuron");
    char text[128];
    s.e = &e, s.d = &d, s.steps = (int)example_number(&e, "steps", 48, 1, 1e5);
    s.everywhere = !strcmp(objective, "channel");
    if (!s.everywhere && strcmp(objective, "neuron"))
        example_fail(&e, "--objective is neuron or channel, got \"%s\"", objective);
    n = example_text(&e, "layer", NULL) ? 0 : vision_layers(&e, node, ROWS);
    rows = n ? n : ROWS; /* of one layer alone as many units as of all */
    if (!n) n = 1, most = UNITS, node[0] = e.layer;
    for (node[n] = e.layer, i = 0; i <= n; i++) maps[i] = example_feature_maps(e.net, node[i]);
    units_search(&e, &d, maps, n + 1, 4, u);
    s.v = vision_room(&e, node, n + 1, UNITS);
    example_check(&e, cnv_canvas(&s.sheet, PANEL_TOP + (rows + 1) * ROW + 10,
                                 2 * PANEL_MARGIN + COLUMNS * STEP - 24, panel_white));
    snprintf(text, sizeof text, "Pictures made for single units, beside the four of %d that excite "
             "each unit most", d.n);
    cnv_text(&s.sheet, PANEL_MARGIN, 38, 21, panel_black, text);
    for (i = 0; i < n; i++)
        feature_vis_rows(&s, node[i], &u[i], unit, units_pick(&e, &d, &u[i], unit, most),
                         PANEL_TOP + i * ROW);
    i = units_pick(&e, &d, &u[n], unit, 3);
    *unit = (int)example_number(&e, "channel", i ? *unit : 0, 0, u[n].channels - 1);
    group = vision_group(&e, u[n].channels, unit, UNITS);
    feature_vis_others(&s, e.layer, unit, group ? group : i ? i : 1,
                       (double)units_of(&u[n], *unit)->value *
                       example_number(&e, "diversity", 1, 0, 1e6), PANEL_TOP + rows * ROW);
    printf("%d of %d live units are more excited by their picture than by any of %d of the data "
           "set;\nby noise of its spectrum: %d\n", s.better, s.units, d.n, s.noise);
    example_save(&e, &s.sheet);
    free(s.v), units_free(u, n + 1), cnv_tensor_free(&s.sheet), dataset_free(&d), example_end(&e);
    return 0;
}
#endif
