/* sanity_check.c - does the heatmap show what the network has learned?

   Question   Destroy what was learned, layer by layer from the top: does the heatmap change? A map
              that stays as it was never showed the network's knowledge.
   Formula    weights of the topmost k layers := random, the others stay;
              similarity(k) = Spearman's rank correlation of the map's numbers before and after
   Paper      Adebayo et al.: Sanity Checks for Saliency Maps (2018); why some maps survive: Nie,
              Zhang, Patel: A Theoretical Explanation for Perplexing Behaviors of Backpropagation-
              based Visualizations (2018)
   Look for   With random logits the gradient is another one at once, though from afar it looks much
              the same. Guided backprop hardly changes until the first layers go: it lets through
              only what is positive, so weights above cannot cancel anything, and what comes back is
              the edges that the lowest layers respond to, as a drawing that any class would get.
   Measured   with the upper half of the layers random: gradient and Grad-CAM below .3, guided
              backprop not. Edges, which never ask the network, stay at 1

       cc -O2 -fopenmp examples/sanity_check.c -o build/sanity_check -lm && build/sanity_check */
#include "datasets.h"
#include "methods.h"
#include "similarity.h"
#include "tiles.h"

enum { ROWS = 6, DEPTHS = 7, DRAWS = 3 };

/* Draws the weights of a node and of all nodes above it anew; those below stay. The same seed gives
   the same weights, so that going further down keeps what is random already. */
static int randomize_from(cnv_net *net, int node, unsigned long long seed)
{
    cnv_tensor *kept = (cnv_tensor *)calloc((size_t)net->param_count + 1, sizeof *kept);
    int i, k, ok = kept != NULL;
    for (i = 0; ok && i < net->param_count; i++)
        ok = cnv_tensor_copy(&net->params[i].value, &kept[i]);
    ok = ok && cnv_init(net, seed);
    for (i = 0; ok && i < node; i++)
        for (k = 0; ok && k < net->nodes[i].params; k++) {
            int p = net->nodes[i].param[k];
            ok = cnv_tensor_copy(&kept[p], &net->params[p].value);
        }
    for (i = 0; kept && i < net->param_count; i++) cnv_tensor_free(&kept[i]);
    free(kept), cnv_weights_changed(net);
    return ok;
}

/* One method: its maps keep their signs, [1,3,H,W] or [1,1,h,w]. Means over pictures and draws. */
typedef struct {
    const char *name;
    truth_method method;
    void *setting;
    cnv_tensor tile[DEPTHS + 1];        /* of the first picture, with k layers random */
    double rank[DEPTHS + 1], ssim[DEPTHS + 1]; /* likeness to the map with none random */
} sanity_row;

/* The maps of images [n,3,H,W] with `depth` layers random; with none, they become before[n]. */
static int sanity_step(const example *e, sanity_row *row, int depth, const cnv_tensor *images,
                       const int *class_id, cnv_tensor *before)
{
    cnv_tensor map = {0}, size = {0}, old = {0};
    double weight = 1.0 / images->n / (depth ? DRAWS : 1);
    int i, ok = 1;
    for (i = 0; ok && i < images->n; i++) {
        cnv_tensor image = cnv_tensor_image(images, i);
        ok = row->method(e->net, e->logits, &image, class_id[i], row->setting, &map) &&
             (depth || cnv_tensor_copy(&map, &before[i])) &&
             (row->tile[depth].data || cnv_tensor_copy(&map, &row->tile[depth])) &&
             backprop_steepest(&map, &size) && backprop_steepest(&before[i], &old);
        if (ok) row->rank[depth] += weight * similarity_rank(&map, &before[i]);
        if (ok) row->ssim[depth] += weight * similarity_ssim(&size, &old);
    }
    cnv_tensor_free(&map), cnv_tensor_free(&size), cnv_tensor_free(&old);
    return ok;
}

/* The cascade, for all rows, DRAWS times with other random weights. layer: from the top down. */
static int sanity_check(const example *e, const int *layer, int layers, const cnv_tensor *images,
                        const int *class_id, sanity_row *row)
{
    cnv_tensor *before = (cnv_tensor *)calloc((size_t)(ROWS * images->n), sizeof *before);
    double start = example_seconds();
    int draw, k, r, ok = before != NULL;
    for (r = 0; ok && r < ROWS; r++)
        ok = sanity_step(e, &row[r], 0, images, class_id, before + r * images->n);
    for (draw = 0; ok && draw < DRAWS; draw++) {
        ok = cnv_load_parsed(e->net, e->file);
        for (k = 0; ok && k < layers; k++) {
            ok = randomize_from(e->net, layer[k], e->seed * DRAWS + (unsigned long long)draw);
            for (r = 0; ok && r < ROWS; r++)
                ok = sanity_step(e, &row[r], k + 1, images, class_id, before + r * images->n);
            example_progress("randomizing", draw * layers + k + 1, DRAWS * layers, start);
        }
    }
    for (r = 0; before && r < ROWS * images->n; r++) cnv_tensor_free(&before[r]);
    free(before);
    return ok && cnv_load_parsed(e->net, e->file);
}

#ifndef EXAMPLE_NO_MAIN
enum { SIDE = 128, STEP = SIDE + 10, LEFT = 210, TOP = 150, PLOT_W = 600, PLOT_H = 3 * STEP + 20 };
static const cnv_color sanity_colors[ROWS] = {{0, 0.45f, 0.7f}, {0.84f, 0.37f, 0}, {0, 0.62f, 0.45f},
    {0.8f, 0.47f, 0.65f}, {0.9f, 0.62f, 0}, {0.6f, 0.6f, 0.6f}};

/* At most DEPTHS nodes with weights, from the logits down to the lowest. */
static int sanity_layers(const example *e, int *layer)
{
    int i, k, n = 0, all[512];
    for (i = e->logits; i >= 0 && n < 512; i--)
        if (e->net->nodes[i].params) all[n++] = i;
    for (k = 0; k < DEPTHS && k < n; k++)
        layer[k] = all[n <= DEPTHS ? k : k * (n - 1) / (DEPTHS - 1)];
    return k;
}

/* The picture looked at, and n - 1 others, each with the class that the network answers. */
static void sanity_images(const example *e, int n, cnv_tensor *images, int *class_id)
{
    dataset d = dataset_of(e, n);
    cnv_tensor first;
    int i;
    dataset_batch(e, &d, 0, n, images);
    first = cnv_tensor_image(images, 0);
    example_check(e, cnv_tensor_copy(&e->image, &first) &&
                     cnv_forward(e->net, images, e->logits));
    for (i = 0; i < images->n; i++) class_id[i] = i ? example_answer(e, i) : e->class_id;
    dataset_free(&d);
}

/* How alike, over the number of random layers: a line for each row. */
static int sanity_plot(const sanity_row *row, int layers, int ssim, cnv_tensor *sheet, int x, int y)
{
    cnv_plot plot = {0};
    cnv_tensor picture = {0};
    double depth[DEPTHS + 1];
    int r, k, ok;
    plot.title = ssim ? "SSIM of the magnitudes" : "Rank correlation with the map before";
    plot.x_label = "layers drawn anew, from the top", plot.x_high = layers;
    plot.y_low = ssim ? 0 : -0.2, plot.y_high = 1;
    plot.width = PLOT_W, plot.height = PLOT_H;
    ok = cnv_plot_begin(&plot, &picture);
    for (k = 0; k <= layers; k++) depth[k] = k;
    for (r = 0; ok && r < ROWS; r++)
        cnv_plot_line(&plot, &picture, depth, ssim ? row[r].ssim : row[r].rank, layers + 1,
                      &sanity_colors[r], NULL);
    if (ok) cnv_paste(sheet, &picture, x, y);
    cnv_tensor_free(&picture);
    return ok;
}

/* A map as a tile: gradients around grey, heatmaps in colour. */
static int sanity_tile(const cnv_tensor *map, cnv_tensor *tile)
{
    cnv_tensor rgb = {0};
    double low, high;
    int ok;
    cnv_range(map, &low, &high);
    ok = (map->c == 3 ? panel_gray_zero(map, &rgb)
                      : cnv_colorize(map, CNV_MAP_VIRIDIS, 0, high, &rgb)) &&
         cnv_resize(&rgb, SIDE, SIDE, tile);
    cnv_tensor_free(&rgb);
    return ok;
}

static int sanity_picture(const example *e, const int *layer, int layers, const sanity_row *row,
                          cnv_tensor *sheet)
{
    cnv_tensor tile = {0};
    int r, k, x, y, right = LEFT + (layers + 1) * STEP + 20;
    char text[160];
    int ok = cnv_canvas(sheet, TOP + ROWS * STEP + 40, right + PLOT_W + 20, panel_white);
    snprintf(text, sizeof text, "Does the map of \"%s\" need what was learned?",
             e->class_names[e->class_id]);
    cnv_text(sheet, 40, 38, 21, panel_black, text);
    cnv_text(sheet, LEFT + STEP, TOP - 56, 12, panel_gray,
             "weights drawn anew, from the logits down to");
    for (k = 0; k <= layers; k++)
        cnv_text(sheet, LEFT + k * STEP, TOP - 24, 12, panel_black,
                 k ? e->net->nodes[layer[k - 1]].name : "trained");
    for (r = 0; ok && r < ROWS; r++)
        for (k = 0; ok && k <= layers; k++) {
            x = LEFT + k * STEP, y = TOP + r * STEP;
            ok = sanity_tile(&row[r].tile[k], &tile);
            if (ok) cnv_paste(sheet, &tile, x, y);
            if (!k) cnv_rectangle(sheet, 40, y, 5, SIDE, sanity_colors[r]);
            if (!k) cnv_text(sheet, 56, y + SIDE / 2 - 6, 12, panel_black, row[r].name);
        }
    ok = ok && sanity_plot(row, layers, 0, sheet, right, TOP - 30) &&
         sanity_plot(row, layers, 1, sheet, right, TOP - 30 + PLOT_H);
    cnv_tensor_free(&tile);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "do heatmaps need the learned weights?", NULL,
                              "data,images");
    int n = (int)example_number(&e, "images", 12, 1, 1000), node = gradcam_node(e.net, e.layer);
    cnv_relu_rule rules[] = {CNV_GRADIENT, CNV_DECONVNET, CNV_GUIDED};
    sanity_row row[ROWS] = {
        {"gradient", methods_slope, &rules[0], {{0}}, {0}, {0}},
        {"Grad-CAM", gradcam, &node, {{0}}, {0}, {0}},
        {"guided Grad-CAM", methods_guided_slope, &node, {{0}}, {0}, {0}},
        {"deconvnet", methods_slope, &rules[1], {{0}}, {0}, {0}},
        {"guided backprop", methods_slope, &rules[2], {{0}}, {0}, {0}},
        {"Sobel edges", truth_sobel, NULL, {{0}}, {0}, {0}}};
    int layer[DEPTHS], layers = sanity_layers(&e, layer), r, k, *class_id;
    cnv_tensor images = {0}, sheet = {0};
    class_id = (int *)calloc((size_t)n, sizeof *class_id);
    sanity_images(&e, n, &images, class_id);
    example_check(&e, sanity_check(&e, layer, layers, &images, class_id, row) &&
                      sanity_picture(&e, layer, layers, row, &sheet));
    example_save(&e, &sheet);
    printf("rank correlation with the map before, %d pictures, %d draws\n%-18s", images.n, DRAWS, "");
    for (k = 0; k < layers; k++) printf(" %7.7s", e.net->nodes[layer[k]].name);
    for (r = 0; r < ROWS; r++) {
        printf("\n  %-16s", row[r].name);
        for (k = 1; k <= layers; k++) printf(" %7.2f", row[r].rank[k]);
    }
    printf("\n");
    return 0;
}
#endif
