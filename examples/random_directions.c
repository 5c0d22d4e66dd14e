/* random_directions.c - is there anything special about single units?

   Question   The pictures that excite a unit most have something in common. Is that so for any
              direction in the space of features, or are the units its natural axes?
   Formula    top(v) = the pictures x with the greatest <phi(x), v>, phi the last hidden layer;
              v = e_k is a unit, v ~ N(0, I) a random direction
              (in a layer with places: the greatest over all places, phi the channels there)
   Paper      Szegedy, Zaremba, Sutskever, Bruna, Erhan, Goodfellow, Fergus: Intriguing Properties
              of Neural Networks (2014), section 3
   Look for   Random directions agree on a class about as often as units do, from the purest to the
              least pure. So it is the space that has meaning, not its axes; and a unit is no more
              and no less "the face detector" than many a mixture of units.
   Measured   mean purity of the 8 best pictures: of units, of as many random directions, of both
              before training, and by chance

       cc -O2 examples/random_directions.c -o build/random_directions -lm && build/random_directions

   Own options: --images N to search (1000), --data FOLDER of pictures to search.                 */
#include "panel.h"
#include "units.h"

enum { DIRECTIONS_TOP = 8 };

/* The best pictures along D directions [D,C,1,1] in a node's C channels. */
static void random_directions(const example *e, const dataset *d, int node,
                              const cnv_tensor *directions, units *u)
{
    cnv_window point = cnv_square(1, 1, 0);
    cnv_tensor images = {0}, along = {0};
    double start = example_seconds();
    int i;
    *u = units_new(e, directions->n, DIRECTIONS_TOP);
    for (i = 0; i < d->n; i += images.n) {
        dataset_batch(e, d, i, dataset_lot(d), &images);
        example_check(e, cnv_forward(e->net, &images, node) &&
                         cnv_conv2d_forward(&e->net->nodes[node].out, directions, NULL, &point, 1,
                                            &along, NULL)); /* <phi(x), v> at each place */
        units_see(u, &along, i);
        example_progress("searching", i + images.n, d->n, start);
    }
    cnv_tensor_free(&images), cnv_tensor_free(&along);
}

/* Twice C directions [2C,C,1,1]: the axes e_k, which are the units, then as many random ones. */
static int random_directions_draw(int c, uint64_t seed, cnv_tensor *directions)
{
    cnv_rng rng = cnv_rng_seed(seed);
    int i;
    if (!cnv_tensor_resize(directions, 2 * c, c, 1, 1)) return 0;
    for (i = 0; i < 2 * c * c; i++)
        directions->data[i] = i >= c * c ? (float)cnv_normal(&rng) : i % (c + 1) == 0;
    return 1;
}

#ifndef EXAMPLE_NO_MAIN
enum { ROWS = 6, SIDE = 94, HALF = PANEL_MARGIN + DIRECTIONS_TOP * (SIDE + 10) + 20 };

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "pictures along random directions, and of single units",
                              NULL, "images,data"), untrained = e;
    dataset d = dataset_of(&e, (int)example_number(&e, "images", 1000, 1, 1e6));
    int node = example_text(&e, "layer", NULL) ? e.layer : e.net->nodes[e.logits].input[0];
    int i, alive, n = e.net->nodes[node].channels;
    cnv_tensor directions = {0}, sheet = {0};
    units u[2], half;
    double purity;
    char text[160];
    untrained.net = example_untrained(&e);
    example_check(&e, random_directions_draw(n, e.seed, &directions) &&
                      cnv_canvas(&sheet, PANEL_TOP + 40 + ROWS * (SIDE + 62), 2 * HALF + 14,
                                 panel_white));
    random_directions(&e, &d, node, &directions, &u[0]);
    random_directions(&untrained, &d, node, &directions, &u[1]);
    cnv_text(&sheet, PANEL_MARGIN, 38, 21, panel_black, "The pictures that go furthest along ...");
    printf("mean purity of the best %d of %s, by chance: %.2f\n", u[0].count,
           example_count(d.n, "picture"), units_chance(&d, u[0].count, e.seed));
    for (i = 0; i < 4; i++) {
        half = u[i / 2], half.channels = n, half.hit += i % 2 * n * DIRECTIONS_TOP;
        purity = units_mean_purity(&d, &half, &alive);
        printf("%-15s  %-17s  %.2f (%d of %d alive)\n", i / 2 ? "before training" : "trained",
               i % 2 ? "random directions" : "units", purity, alive, n);
        if (i > 1) continue;
        snprintf(text, sizeof text, i ? "... a random direction in the %d dimensions of %s" :
                 "... one of the %d units of %s", n, e.net->nodes[node].name);
        cnv_text(&sheet, PANEL_MARGIN + i * HALF, PANEL_TOP, 16, panel_black, text);
        units_rows(&e, &d, &half, i ? "direction" : "unit", -1, ROWS, SIDE,
                   PANEL_MARGIN + i * HALF, PANEL_TOP + 40, &sheet);
    }
    example_save(&e, &sheet);
    cnv_tensor_free(&directions), cnv_tensor_free(&sheet), units_free(u, 2), dataset_free(&d);
    cnv_net_free(untrained.net), example_end(&e);
    return 0;
}
#endif
