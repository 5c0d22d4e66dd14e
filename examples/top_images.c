/* top_images.c - which pictures of a data set excite a unit most?

   Question   What do the pictures that a unit likes best have in common?
   Formula    top_k = the 9 pictures x with the greatest max over (i,j) of A_k(i,j)(x),
              A_k feature map k of a layer
              purity of unit k = the share of top_k that is of its commonest class
   Paper      Girshick, Donahue, Darrell, Malik: Rich Feature Hierarchies (2014), section 3.1;
              Zeiler, Fergus: Visualizing and Understanding Convolutional Networks (2014), figure 2
   Look for   Units from the purest to the least pure. The deeper the layer, the more often the
              pictures of a unit show one class; early units agree on an edge or a colour. Nine
              random pictures have a commonest class, too, so chance is well above 1 in 12; and the
              same layers before training are hardly better.
   Measured   mean purity of the last convolution's units >= 2 times that of random pictures

       cc -O2 -fopenmp examples/top_images.c -o build/top_images -lm && build/top_images

   Own options: --images N to search (1000), --data FOLDER of pictures to search, --unit K to see.
   The search itself, units_search(), stands in units.h: other programs begin with it, too.       */
#include "panel.h"
#include "units.h"

#ifndef EXAMPLE_NO_MAIN
enum { TOP = 9, ROWS = 6, SIDE = 100, LAYERS = 8 };

typedef struct {
    int node, alive;                    /* alive: how many of its units are */
    const char *name;
    double trained, before;             /* mean purity of its units; before training */
} top_images_layer;

/* Searches the pictures for all layers at once, with the network and with an untrained one. u: the
   lists of the network. */
static void top_images(const example *e, const dataset *d, top_images_layer *layer, int n, units *u)
{
    example untrained = *e;
    int i, node[LAYERS + 1], alive;
    units before[LAYERS + 1];
    untrained.net = example_untrained(e);
    for (i = 0; i < n; i++) node[i] = layer[i].node;
    units_search(e, d, node, n, TOP, u);
    units_search(&untrained, d, node, n, TOP, before);
    for (i = 0; i < n; i++) {
        layer[i].name = e->net->nodes[node[i]].name;
        layer[i].trained = units_mean_purity(d, &u[i], &layer[i].alive);
        layer[i].before = units_mean_purity(d, &before[i], &alive);
    }
    units_free(before, n), cnv_net_free(untrained.net);
}

/* Mean purity by layer: bars; before training: discs; by chance: a line. At the right. */
static int top_images_plot(const top_images_layer *layer, int n, double chance,
                           cnv_tensor *picture)
{
    static const cnv_color blue = {0, 0.45f, 0.7f}, orange = {0.9f, 0.6f, 0};
    cnv_plot plot = {0};
    cnv_tensor bars = {0};
    const char *names[LAYERS];
    double trained[LAYERS];
    int i, x = picture->w - 640, y, ok;
    for (i = 0; i < n; i++) names[i] = layer[i].name, trained[i] = layer[i].trained;
    plot.title = "Purity of the layers' units", plot.y_label = "share of the commonest class";
    plot.width = 620, plot.height = 560, plot.y_high = 1;
    ok = cnv_plot_begin(&plot, &bars);
    if (ok) cnv_plot_bars(&plot, &bars, trained, names, n, &blue);
    y = plot.bottom - (int)(chance * (plot.bottom - plot.top));
    cnv_line(&bars, plot.left, y, plot.right, y, 3, panel_black);
    for (i = 0; i < n; i++)
        cnv_disc(&bars, plot.left + (i + 0.5) * (plot.right - plot.left) / n,
                 plot.bottom - layer[i].before * (plot.bottom - plot.top), 7, orange);
    if (ok) cnv_paste(picture, &bars, x, PANEL_TOP - 20);
    x += 30, y = PANEL_TOP + 580;
    cnv_rectangle(picture, x, y, 26, 12, blue);
    cnv_text(picture, x + 40, y, 12, panel_black, "trained: the mean over a layer's units");
    cnv_disc(picture, x + 13, y + 36, 7, orange);
    cnv_text(picture, x + 40, y + 30, 12, panel_black, "the same layers before training");
    cnv_rectangle(picture, x, y + 65, 26, 3, panel_black);
    cnv_text(picture, x + 40, y + 60, 12, panel_black, "random pictures");
    cnv_tensor_free(&bars);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "the pictures that excite each unit of a layer most",
                              NULL, "images,data,unit");
    int unit = (int)example_number(&e, "unit", -1, 0, e.net->nodes[e.layer].channels - 1);
    dataset d = dataset_of(&e, (int)example_number(&e, "images", 1000, 1, 1e6));
    int node[LAYERS], i, n = units_layers(e.net, 1, LAYERS, node);
    top_images_layer layer[LAYERS + 1], *own = &layer[n]; /* the last one: --layer */
    units u[LAYERS + 1];
    double chance = units_chance(&d, TOP, e.seed), start = example_seconds();
    cnv_tensor picture = {0};
    char title[160];
    for (i = 0; i < n; i++) layer[i].node = node[i];
    own->node = e.layer;
    top_images(&e, &d, layer, n + 1, u);
    snprintf(title, sizeof title, "The %d of %s that excite a unit of %s most", u->count,
             example_count(d.n, "picture"), own->name);
    example_check(&e, cnv_canvas(&picture, PANEL_TOP + ROWS * (SIDE + 62), 1700, panel_white) &&
                      top_images_plot(layer, n, chance, &picture));
    cnv_text(&picture, PANEL_MARGIN, 38, 21, panel_black, title);
    units_rows(&e, &d, &u[n], "unit", unit, ROWS, SIDE, PANEL_MARGIN, PANEL_TOP, &picture);
    example_save(&e, &picture);
    printf("%s, twice, in %.1f s\nmean purity, before training:", example_count(d.n, "picture"),
           example_seconds() - start);
    for (i = 0; i < n; i++)
        printf("  %s %.2f %.2f", layer[i].name, layer[i].trained, layer[i].before);
    printf("\n%s, %d of %d units alive: %.2f, %.1f times chance, which is %.2f; before training "
           "%.1f times\n", own->name, own->alive, u[n].channels, own->trained,
           own->trained / chance, chance, own->before / chance);
    cnv_tensor_free(&picture), units_free(u, n + 1), dataset_free(&d), example_end(&e);
    return 0;
}
#endif
