/* guided_backprop.c - which pattern in the picture does a neuron answer to, or a class?

   Question   Which pixels, in which pattern, raise one neuron through neurons that themselves fire?
   Formula    ReLU on the way back: R_below = R_above where x > 0 and R_above > 0, else 0;
              the gradient asks for x > 0 only, the deconvnet for R_above > 0 only
   Paper      Springenberg, Dosovitskiy, Brox, Riedmiller: Striving for Simplicity (2015), section
              3.4; why the classes look alike: Nie, Zhang, Patel: A Theoretical Explanation for
              Perplexing Behaviors of Backpropagation-based Visualizations (2018)
   Look for   The sharpest of the three: nothing that speaks against the neuron is left. But the
              best other class has nearly the same picture: guided backprop shows what the network
              sees, hardly what it decides by. The gradients of two classes differ far more.
   Measured   without ReLUs the same as the gradient, to 1e-6; pointing beside the gradient's; the
              correlation of the maps of a scene's class and of the best other class

       cc -O2 examples/guided_backprop.c -o build/guided_backprop -lm && build/guided_backprop */
#include "backprop.h"
#include "example.h"
#include "panel.h"
#include "truth.h"

/* slope [1,3,H,W] for an image [1,3,H,W]: from neuron k*h*w + y*w + x of a node with output
   [1,K,h,w]; at the logits that is the class. */
static int guided_backprop(cnv_net *net, int node, const cnv_tensor *image, int neuron,
                           cnv_tensor *slope)
{
    return backprop(net, CNV_GUIDED, node, image, neuron, slope);
}

/* Its heatmap, map [1,1,H,W]: the greatest magnitude of the three colours. setting: NULL, or a
   cnv_relu_rule to go by instead. */
static int guided_backprop_map(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
                               void *setting, cnv_tensor *map)
{
    cnv_relu_rule rule = setting ? *(cnv_relu_rule *)setting : CNV_GUIDED;
    cnv_tensor slope = {0};
    int ok = backprop(net, rule, logits, image, class_id, &slope) && backprop_steepest(&slope, map);
    cnv_tensor_free(&slope);
    return ok;
}

/* How alike a rule's maps of a scene's class and of the best other class are, on average. */
static double guided_backprop_alike(const example *e, cnv_relu_rule rule, int scenes)
{
    truth_world world = truth_begin(e, NULL);
    cnv_tensor map = {0}, other = {0};
    double sum = 0;
    int i;
    for (i = 0; i < scenes && truth_next(&world); i++) {
        int a = world.scene.class_id, b = example_rival(e, a);
        example_check(e, guided_backprop_map(e->net, e->logits, &world.image, a, &rule, &map) &&
                         guided_backprop_map(e->net, e->logits, &world.image, b, &rule, &other));
        sum += truth_correlation(&map, &other);
    }
    cnv_tensor_free(&map), cnv_tensor_free(&other), truth_end(&world);
    return i ? sum / i : NAN;
}

#ifndef EXAMPLE_NO_MAIN
enum { GUIDED_BACKPROP_NEURONS = 9 };

/* The patterns of one neuron, and the image there, as tile i of tiles[0 ... 3]. */
static int guided_backprop_cut(const example *e, int neuron, int i, cnv_tensor *tiles)
{
    static const cnv_relu_rule rules[3] = {CNV_GRADIENT, CNV_DECONVNET, CNV_GUIDED};
    int k, ok;
    cnv_tensor slope = {0}, map = {0}, tile;
    backprop_square at = {0, 0, 0};
    ok = guided_backprop(e->net, e->layer, &e->image, neuron, &slope) &&
         backprop_steepest(&slope, &map);
    if (ok) at = backprop_where(&map, i ? tiles->w : 0); /* all as large as the first */
    for (k = 0; ok && k < 4 && !i; k++) {
        ok = cnv_tensor_resize(&tiles[k], GUIDED_BACKPROP_NEURONS, 3, at.side, at.side);
        if (ok) cnv_tensor_fill(&tiles[k], 1);
    }
    for (k = 0; ok && k < 4; k++) {
        ok = !k ? cnv_tensor_copy(&e->image, &slope)
                : backprop(e->net, rules[k - 1], e->layer, &e->image, neuron, &slope) &&
                  panel_gray_zero(&slope, &slope);
        tile = cnv_tensor_image(&tiles[k], i);
        if (ok) cnv_paste(&tile, &slope, -at.left, -at.top);
    }
    cnv_tensor_free(&slope), cnv_tensor_free(&map);
    return ok;
}

/* Nine neurons of e->layer in cells 4 ... 7: the image where they look, and the three patterns. */
static int guided_backprop_tiles(const example *e, panel_sheet *sheet)
{
    static const char *const captions[4] = {"crops of the image, where they look",
                                            "gradient", "deconvnet", "guided backprop"};
    const cnv_node *node = &e->net->nodes[e->layer];
    int neuron[GUIDED_BACKPROP_NEURONS], i, k, n, ok = cnv_forward(e->net, &e->image, e->layer);
    cnv_tensor tiles[4] = {{0}}, montage = {0};
    char note[128];
    n = ok ? backprop_firing(&node->out, GUIDED_BACKPROP_NEURONS, neuron) : 0;
    snprintf(note, sizeof note, "%d neurons of %s, the strongest in the image", n, node->name);
    for (i = 0; ok && i < n; i++) ok = guided_backprop_cut(e, neuron[i], i, tiles);
    for (k = 0; ok && n && k < 4; k++)
        ok = cnv_montage(&tiles[k], 3, 1, &montage) &&
             panel_picture(sheet, 4 + k, &montage, captions[k], k ? "the same neurons" : note);
    for (k = 0; k < 4; k++) cnv_tensor_free(&tiles[k]);
    cnv_tensor_free(&montage);
    return ok;
}

/* The scene, gradient and guided backprop of the class, guided backprop of another; the neurons. */
static int guided_backprop_picture(const example *e, panel_sheet *sheet)
{
    static const char *const captions[3] = {"the gradient of \"%s\"", "guided backprop of \"%s\"",
                                            "and of the best other class, \"%s\""};
    int k, ok = panel_begin(sheet, 4, 2, "Guided backpropagation") && panel_scene(sheet, 0, e);
    int rival = example_rival(e, e->class_id);
    cnv_tensor slope = {0};
    for (k = 0; ok && k < 3; k++) {
        int class_id = k < 2 ? e->class_id : rival;
        char text[128];
        snprintf(text, sizeof text, captions[k], e->class_names[class_id]);
        ok = backprop(e->net, k ? CNV_GUIDED : CNV_GRADIENT, e->logits, &e->image, class_id,
                      &slope) && panel_gradient(sheet, 1 + k, &slope, text, "grey: 0");
    }
    cnv_tensor_free(&slope);
    return ok && guided_backprop_tiles(e, sheet);
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "the positive ways from a neuron to the pixels", NULL,
                              "scenes");
    int scenes = (int)example_number(&e, "scenes", 200, 0, 100000);
    cnv_relu_rule gradient = CNV_GRADIENT;
    panel_sheet sheet = {{0}, 0};
    truth_table table = {0};
    example_check(&e, guided_backprop_picture(&e, &sheet));
    example_save(&e, &sheet.picture);
    truth_add(&table, "guided backprop", guided_backprop_map, NULL, TRUTH_BLUR);
    truth_add(&table, "gradient", guided_backprop_map, &gradient, TRUTH_BLUR);
    truth_report(&e, &table, scenes);
    if (table.scenes)
        printf("Two classes' maps of one scene correlate: guided backprop %.2f, gradient %.2f.\n",
               guided_backprop_alike(&e, CNV_GUIDED, scenes),
               guided_backprop_alike(&e, CNV_GRADIENT, scenes));
    panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
