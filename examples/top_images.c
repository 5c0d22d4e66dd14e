/* top_images.c - which pictures of a data set excite a unit most?

   Question   What do the pictures that a unit likes best have in common?
   Formula    top_k = the 9 pictures x with the greatest max over (i,j) of A_k(i,j)(x),
              A_k feature map k of a layer; purity_k = the share of top_k in its commonest class
   Paper      Girshick, Donahue, Darrell, Malik: Rich Feature Hierarchies (2014), section 3.1;
              Zeiler, Fergus: Visualizing and Understanding Convolutional Networks (2014), figure 2
   Look for   Units from the purest to the least pure. The deeper the layer, the more often the
              pictures of a unit show one class; early units agree on an edge or a colour. Nine
              random pictures have a commonest class, too, so chance is well above 1 in 12; and the
              same layers before training are no better than that.
   Measured   mean purity of the last convolution's units >= 2 times that of random pictures

       cc -O2 examples/top_images.c -o build/top_images -lm && build/top_images --layer conv2

   Own options: --images N to search (2000), --data FOLDER of pictures to search, --unit K to see. */
#include "panel.h"
#include "units.h"

enum { TOP = 9, ROWS = 6, SIDE = 100, LAYERS = 8 };
static const cnv_color top_images_blue = {0, 0.45f, 0.7f}, top_images_orange = {0.9f, 0.6f, 0};

#ifndef EXAMPLE_NO_MAIN
/* Mean purity by layer: bars; before training: discs; by chance: a line. At the right. */
static int top_images_plot(const char *const *names, const double *trained, const double *before,
                           int n, double chance, cnv_tensor *picture)
{
    cnv_plot plot = {0};
    cnv_tensor bars = {0};
    int i, x = picture->w - 640, y = PANEL_TOP - 20, ok;
    plot.title = "Purity of the layers' units", plot.y_label = "share of the commonest class";
    plot.width = 620, plot.height = 560, plot.y_high = 1;
    ok = cnv_plot_begin(&plot, &bars);
    if (ok) cnv_plot_bars(&plot, &bars, trained, names, n, NULL);
    y = plot.bottom - (int)(chance * (plot.bottom - plot.top));
    cnv_line(&bars, plot.left, y, plot.right, y, 3, panel_black);
    for (i = 0; i < n; i++)
        cnv_disc(&bars, plot.left + (i + 0.5) * (plot.right - plot.left) / n,
                 plot.bottom - before[i] * (plot.bottom - plot.top), 7, top_images_orange);
    if (ok) cnv_paste(picture, &bars, x, PANEL_TOP - 20);
    x += 30, y = PANEL_TOP + 580;
    cnv_rectangle(picture, x, y, 26, 12, top_images_blue);
    cnv_text(picture, x + 40, y, 12, panel_black, "trained: the mean over a layer's units");
    cnv_disc(picture, x + 13, y + 36, 7, top_images_orange);
    cnv_text(picture, x + 40, y + 30, 12, panel_black, "the same layers before training");
    cnv_rectangle(picture, x, y + 65, 26, 3, panel_black);
    cnv_text(picture, x + 40, y + 60, 12, panel_black, "random pictures");
    cnv_tensor_free(&bars);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "the pictures that excite each unit of a layer most",
                              NULL, "images,data,unit"), untrained = units_untrained(&e);
    dataset d = dataset_of(&e, (int)example_number(&e, "images", 2000, 1, 1e6));
    int node[LAYERS + 1], i, alive, n = units_layers(e.net, 1, LAYERS, node);
    int unit = (int)example_number(&e, "unit", -1, 0, e.net->nodes[e.layer].channels - 1);
    units u[2][LAYERS + 1];
    double purity[2][LAYERS + 1], chance = units_chance(&d, TOP, e.seed), start;
    const char *names[LAYERS + 1];
    char title[160];
    cnv_tensor picture = {0};
    node[n] = e.layer;
    start = example_seconds();
    units_search(&e, &d, node, n + 1, TOP, u[0]);
    printf("searched %d pictures, %.0f images/s\n", d.n, d.n / (example_seconds() - start));
    units_search(&untrained, &d, node, n + 1, TOP, u[1]);
    printf("mean purity of each unit's best %d:%17s, before training, %.2f by chance\n", u[0]->count,
           "trained", chance);
    for (i = 0; i <= n; i++) {
        names[i] = e.net->nodes[node[i]].name;
        purity[1][i] = units_mean_purity(&d, &u[1][i], &alive);
        purity[0][i] = units_mean_purity(&d, &u[0][i], &alive);
        if (i == n) printf("%s, %d of %d units alive: %.1f times chance\n", names[i], alive,
                           u[0][n].channels, purity[0][n] / chance);
        else printf("  %-42s %5.2f %13.2f\n", names[i], purity[0][i], purity[1][i]);
    }
    snprintf(title, sizeof title, "The %d of %d pictures that excite a unit of %s most", u[0]->count,
             d.n, names[n]);
    example_check(&e, cnv_canvas(&picture, PANEL_TOP + ROWS * (SIDE + 62), 1700, panel_white));
    cnv_text(&picture, PANEL_MARGIN, 38, 21, panel_black, title);
    units_rows(&e, &d, &u[0][n], "unit", unit, ROWS, SIDE, PANEL_MARGIN, PANEL_TOP, &picture);
    example_check(&e, top_images_plot(names, purity[0], purity[1], n, chance, &picture));
    example_save(&e, &picture);
    cnv_tensor_free(&picture), units_free(u[0], n + 1), units_free(u[1], n + 1);
    cnv_net_free(untrained.net), dataset_free(&d), example_end(&e);
    return 0;
}
#endif
