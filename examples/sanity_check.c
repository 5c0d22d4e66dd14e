/* sanity_check.c - does the heatmap show what the network has learned?

   Question   Destroy what was learned, layer by layer from the top: does the heatmap change? A map
              that stays as it was never showed what was learned.
   Formula    weights of the topmost k layers := random, the others stay; similarity(k) = Spearman's
              rank correlation of the map's numbers before and after; or SSIM of their magnitudes
   Paper      Adebayo et al.: Sanity Checks for Saliency Maps (2018); why some survive: Nie et al.:
              Theoretical Explanation for Perplexing Behaviors of Backpropagation-based ... (2018)
   Look for   With random logits the gradient is another one at once. Guided backprop goes on to
              draw the object until the lowest layers go: it lets through positive signals alone,
              which cannot cancel; so the picture's own details come back.
   Measured   with the upper half of the layers random: gradient and Grad-CAM below .3, guided
              backprop not. The picture's details, which need no network, stay at 1

       cc -O2 -fopenmp examples/sanity_check.c -o build/sanity_check -lm && build/sanity_check */
#include "datasets.h"
#include "methods.h"
#include "randomize.h"
#include "similarity.h"
#include "tiles.h"

enum { ROWS = 7, DEPTHS = 7, DRAWS = 3, IMAGES = 64, TOP = 150 };

/* What becomes of methods' maps, with their signs, [n,3,H,W] or [n,1,h,w]; [k]: k random layers. */
typedef struct {
    int layers, layer[DEPTHS];                             /* nodes, from the top down */
    cnv_tensor images;                                     /* [n,3,H,W] */
    int class_id[IMAGES];                                  /* [n] */
    truth_table methods;
    cnv_tensor before[ROWS], after[ROWS];                  /* of all images; of the first, [k] */
    double rank[ROWS][DEPTHS + 1], ssim[ROWS][DEPTHS + 1]; /* mean likeness to `before` */
} sanity;

/* Method r with k layers random; with none, the maps are those before. */
static int sanity_step(const example *e, sanity *s, int r, int k)
{
    const truth_row *row = &s->methods.row[r];
    cnv_tensor map = {0}, size = {0}, old_size = {0};
    int i, n = s->images.n, ok = 1;
    for (i = 0; ok && i < n; i++) {
        cnv_tensor image = cnv_tensor_image(&s->images, i), old, first;
        ok = row->method(e->net, e->logits, &image, s->class_id[i], row->setting, &map) &&
             (k || i || (cnv_tensor_resize(&s->before[r], n, map.c, map.h, map.w) &&
                         cnv_tensor_resize(&s->after[r], DEPTHS + 1, map.c, map.h, map.w)));
        if (!ok) break;
        old = cnv_tensor_image(&s->before[r], i), first = cnv_tensor_image(&s->after[r], k);
        ok = (k || cnv_tensor_copy(&map, &old)) && (i || cnv_tensor_copy(&map, &first)) &&
             backprop_steepest(&map, &size) && backprop_steepest(&old, &old_size);
        if (ok) s->rank[r][k] += similarity_rank(&map, &old) / n / (k ? DRAWS : 1);
        if (ok) s->ssim[r][k] += similarity_ssim(&size, &old_size) / n / (k ? DRAWS : 1);
    }
    cnv_tensor_free(&map), cnv_tensor_free(&size), cnv_tensor_free(&old_size);
    return ok;
}

/* The cascade, DRAWS times with other random weights. */
static int sanity_check(const example *e, sanity *s)
{
    cnv_net *random = example_untrained(e);
    double start = example_seconds();
    int k, r, ok = 1;
    for (r = 0; ok && r < s->methods.rows; r++) ok = sanity_step(e, s, r, 0);
    for (k = 0; ok && k < DRAWS * s->layers; k++) {
        int down = k % s->layers, draw = DRAWS - 1 - k / s->layers; /* the first is shown */
        ok = (down || (randomize_back(e),
                       example_draw(e, random, e->seed * DRAWS + (unsigned)draw))) &&
             randomize_down(e->net, random, s->layer, down);
        for (r = 0; ok && r < s->methods.rows; r++) ok = sanity_step(e, s, r, down + 1);
        example_progress("forgetting", k + 1, DRAWS * s->layers, start);
    }
    return cnv_net_free(random), randomize_back(e), ok;
}

#ifndef EXAMPLE_NO_MAIN
static const cnv_color sanity_colors[ROWS] = {
    {0, 0.45f, 0.7f}, {0.84f, 0.37f, 0}, {0.35f, 0.7f, 0.9f}, {0, 0.62f, 0.45f},
    {0.8f, 0.47f, 0.65f}, {0.9f, 0.62f, 0}, {0.6f, 0.6f, 0.6f}};

/* Likeness over the number of random layers, a line for each method. */
static int sanity_plot(const sanity *s, int ssim, cnv_tensor *picture)
{
    cnv_plot plot = {0};
    static const double depth[DEPTHS + 1] = {0, 1, 2, 3, 4, 5, 6, 7};
    int i;
    plot.title = ssim ? "SSIM of the magnitudes" : "Rank correlation with the trained map";
    plot.x_label = "layers drawn anew, from the top", plot.x_high = s->layers, plot.y_high = 1;
    plot.y_low = ssim ? 0 : -0.4, plot.height = (s->methods.rows * TILE_STEP + 40) / 2;
    if (!cnv_plot_begin(&plot, picture)) return 0;
    for (i = 0; i < s->methods.rows; i++)
        cnv_plot_line(&plot, picture, depth, ssim ? s->ssim[i] : s->rank[i], s->layers + 1,
                      &sanity_colors[i], NULL);
    return 1;
}

static int sanity_picture(const example *e, const sanity *s, cnv_tensor *sheet)
{
    cnv_tensor plot = {0};
    int k, right = TILE_LEFT + (s->layers + 1) * TILE_STEP + 10, low = s->methods.rows * TILE_STEP;
    int ok = cnv_canvas(sheet, TOP + low + 30, right + 660, panel_white);
    cnv_text(sheet, 40, 38, 21, panel_black, "Which map needs what was learned?");
    cnv_text(sheet, TILE_LEFT + TILE_STEP, TOP - 54, 12, panel_gray, "weights drawn anew down to");
    for (k = 0; k <= s->layers; k++)
        panel_within(sheet, TILE_SIDE, TILE_LEFT + k * TILE_STEP, TOP - 24, 12, panel_black,
                     k ? e->net->nodes[s->layer[k - 1]].name : "trained");
    for (k = 0; ok && k < s->methods.rows; k++)
        ok = tile_row(sheet, TOP + k * TILE_STEP, sanity_colors[k], s->methods.row[k].name,
                      &s->after[k], s->layers + 1);
    for (k = 0; ok && k < 2; k++)
        if ((ok = sanity_plot(s, k, &plot)) != 0)
            cnv_paste(sheet, &plot, right, TOP - 30 + k * plot.h);
    return cnv_tensor_free(&plot), ok;
}

/* Rank correlations; and how like the picture's details, the last row, its map is. */
static void sanity_print(const example *e, const sanity *s)
{
    int r, k, last = s->methods.rows - 1;
    int wide = strlen(e->net->nodes[s->layer[s->layers - 1]].name) < 8 ? 7 : 12;
    cnv_tensor detail = cnv_tensor_image(&s->after[last], 0);
    printf("rank correlation, to  ");
    for (k = 0; k < s->layers; k++) printf(" %*.*s", wide, wide, e->net->nodes[s->layer[k]].name);
    printf("   with the picture's details: trained, random");
    for (r = 0; r <= last; r++) {
        cnv_tensor first = cnv_tensor_image(&s->after[r], 0);
        cnv_tensor end = cnv_tensor_image(&s->after[r], s->layers);
        printf("\n  %-20s", s->methods.row[r].name);
        for (k = 1; k <= s->layers; k++) printf(" %*.2f", wide, s->rank[r][k]);
        if (first.c < detail.c) continue;
        printf(" %37.2f %7.2f", similarity_rank(&first, &detail), similarity_rank(&end, &detail));
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "do maps need what was learned?", NULL, "data,images");
    int i, n = (int)example_number(&e, "images", 8, 1, IMAGES);
    static sanity s;
    method_settings settings;
    cnv_tensor sheet = {0};
    methods_signed(&e, &settings, &s.methods);
    s.layers = randomize_layers(e.net, e.logits, s.layer, DEPTHS);
    dataset_answers(&e, n, &s.images, s.class_id);
    example_check(&e, sanity_check(&e, &s) && sanity_picture(&e, &s, &sheet));
    example_save(&e, &sheet), sanity_print(&e, &s);
    for (i = 0; i < ROWS; i++) cnv_tensor_free(&s.before[i]), cnv_tensor_free(&s.after[i]);
    cnv_tensor_free(&s.images), cnv_tensor_free(&sheet), example_end(&e);
    return 0;
}
#endif
