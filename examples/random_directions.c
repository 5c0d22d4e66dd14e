/* random_directions.c - is there anything special about single units?

   Question   The pictures that excite a unit most often have something in common. Is that so for
              any direction in the space of features, or are the units its natural axes?
   Formula    top(v) = the pictures x with the greatest <phi(x), v>, phi the last hidden layer;
              for a unit v = e_k, for a random direction v ~ N(0, I)
              (in a layer with places: the greatest over all places, phi the channels there)
   Paper      Szegedy, Zaremba, Sutskever, Bruna, Goodfellow, Erhan, Fergus: Intriguing Properties of
              Neural Networks (2014), section 3
   Look for   Random directions that agree on a class, too: then it is the space that has meaning and
              not its axes. But how much less do they agree than units? Szegedy found no difference by
              eye; purity is a number for it.
   Measured   mean purity of the 8 best pictures: of units, of as many random directions, of both
              before training, and by chance

       cc -O2 examples/random_directions.c -o build/random_directions -lm && build/random_directions

   Own options: --images N to search (2000), --data FOLDER of pictures to search.                  */
#include "panel.h"
#include "units.h"

enum { TOP = 8, ROWS = 6, SIDE = 94 };

/* The best pictures along D directions [D,C,1,1] in a node's C channels. */
static void random_directions(const example *e, const dataset *d, int node,
                              const cnv_tensor *directions, units *u)
{
    cnv_window point = cnv_square(1, 1, 0);
    cnv_tensor images = {0}, along = {0};
    int i;
    *u = units_new(e, directions->n, TOP);
    for (i = 0; i < d->n; i += images.n) {
        dataset_batch(e, d, i, 64, &images);
        example_check(e, cnv_forward(e->net, &images, node) &&
                         cnv_conv2d_forward(&e->net->nodes[node].out, directions, NULL, &point, 1,
                                            &along, NULL)); /* <phi(x), v> at each place */
        units_see(u, &along, i);
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
int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "pictures along random directions, and of single units",
                              NULL, "images,data");
    example untrained = units_untrained(&e);
    dataset d = dataset_of(&e, (int)example_number(&e, "images", 2000, 1, 1e6));
    int node = example_text(&e, "layer", NULL) ? e.layer : e.net->nodes[e.logits].input[0];
    int i, alive, n = e.net->nodes[node].channels, half = PANEL_MARGIN + TOP * (SIDE + 10) + 20;
    const char *name = e.net->nodes[node].name;
    cnv_tensor directions = {0}, sheet = {0};
    units u[2], part;
    char title[160];
    example_check(&e, random_directions_draw(n, e.seed, &directions) &&
                      cnv_canvas(&sheet, PANEL_TOP + 40 + ROWS * (SIDE + 62), 2 * half + 14,
                                 panel_white));
    random_directions(&e, &d, node, &directions, &u[0]);
    random_directions(&untrained, &d, node, &directions, &u[1]);
    snprintf(title, sizeof title, "The pictures that go furthest along ...");
    cnv_text(&sheet, PANEL_MARGIN, 38, 21, panel_black, title);
    printf("mean purity of the best %d of %d pictures, %.2f by chance\n", u[0].count, d.n,
           units_chance(&d, u[0].count, e.seed));
    for (i = 0; i < 4; i++) {
        part = u[i / 2], part.channels = n, part.hit += i % 2 * n * TOP;
        printf("%-18s %-16s %.2f", i % 2 ? "random directions" : "units", i / 2 ? "before training" : "trained", units_mean_purity(&d, &part, &alive));
        printf(" (%d of %d alive)\n", alive, n);
        if (i < 2)
            units_rows(&e, &d, &part, i ? "direction" : "unit", -1, ROWS, SIDE, PANEL_MARGIN + i * half, PANEL_TOP + 40, &sheet);
    }
    snprintf(title, sizeof title, "... a unit of %s", name);
    cnv_text(&sheet, PANEL_MARGIN, PANEL_TOP, 16, panel_black, title);
    snprintf(title, sizeof title, "... a random direction in the %d dimensions of %s", n, name);
    cnv_text(&sheet, PANEL_MARGIN + half, PANEL_TOP, 16, panel_black, title);
    example_save(&e, &sheet);
    return 0;
}
#endif
