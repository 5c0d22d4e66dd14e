/* deconvnet.c - what in the picture made this neuron fire?

   Question   Which pixels, in which pattern, excited one neuron of a feature map, or a class?
   Formula    Down through the layers, from 1 at the neuron and 0 everywhere else:
              convolution: the same filters, transposed       max pool: back to the pixel that won
              ReLU: R_below = R_above where R_above > 0, else 0; whether the ReLU was open on the
              way up is not asked: that is all that sets this apart from the gradient
   Paper      Zeiler, Fergus: Visualizing and Understanding Convolutional Networks (2014), section
              2.1; as a rule for the gradient: Simonyan et al. (2013), section 4
   Look for   From layer to layer more of the picture comes together: an edge, a corner, a part,
              each drawn where it lies, for that is what the switches of the pools remember. From a
              class the whole object comes back, and with it edges of the background that the
              gradient leaves out: less of the map's energy lies on the object.
   Measured   without ReLUs the same as the gradient, to 1e-6; pointing beside the gradient's

       cc -O2 examples/deconvnet.c -o build/deconvnet -lm && build/deconvnet --layer conv3    */
#include "backprop.h"
#include "example.h"
#include "panel.h"
#include "truth.h"

/* slope [1,3,H,W] for an image [1,3,H,W]: from neuron k*h*w + y*w + x of a node with output
   [1,K,h,w]; at the logits that is the class. */
static int deconvnet(cnv_net *net, int node, const cnv_tensor *image, int neuron, cnv_tensor *slope)
{
    return backprop(net, CNV_DECONVNET, node, image, neuron, slope);
}

/* Its heatmap, map [1,1,H,W]: the greatest magnitude of the three colours. setting: NULL, or a
   cnv_relu_rule to go by instead. */
static int deconvnet_map(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
                         void *setting, cnv_tensor *map)
{
    cnv_relu_rule rule = setting ? *(cnv_relu_rule *)setting : CNV_DECONVNET;
    cnv_tensor slope = {0};
    int ok = backprop(net, rule, logits, image, class_id, &slope) && backprop_steepest(&slope, map);
    cnv_tensor_free(&slope);
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
/* Frames the pattern in the scene, in the colour that its caption has. */
static int deconvnet_frame(panel_sheet *sheet, const cnv_tensor *slope, cnv_color color)
{
    cnv_tensor map = {0};
    int ok = backprop_steepest(slope, &map);
    if (ok) {
        backprop_square at = backprop_where(&map, 0);
        panel_square(sheet, 0, at.left, at.top, at.side, map.w, color);
    }
    cnv_tensor_free(&map);
    return ok;
}

/* The scene; the strongest neuron of each layer; the class. */
static int deconvnet_picture(const example *e, panel_sheet *sheet)
{
    static const cnv_color colors[4] = {
        {1, 0.85f, 0.1f}, {0.2f, 0.9f, 1}, {1, 0.3f, 0.3f}, {1, 1, 1}};
    static const char *const names[4] = {"yellow", "blue", "red", "white"};
    cnv_tensor slope = {0};
    int node[4], n = backprop_layers(e, node), i, ok;
    char text[128], note[128];
    ok = panel_begin(sheet, 3, (n + 4) / 3, "Deconvnet: what made these neurons fire?") &&
         panel_scene(sheet, 0, e);
    for (i = 0; ok && i < n; i++) {
        const cnv_tensor *out = &e->net->nodes[node[i]].out; /* still of this image */
        int at = 0;
        backprop_firing(out, 1, &at); /* a layer that is silent sends from neuron 0 */
        snprintf(text, sizeof text, "%s, channel %d", e->net->nodes[node[i]].name,
                 at / (out->h * out->w));
        snprintf(note, sizeof note, "its maximum, %.2f; in the picture: %s",
                 (double)out->data[at], names[i]);
        ok = deconvnet(e->net, node[i], &e->image, at, &slope) &&
             panel_gradient(sheet, 1 + i, &slope, text, note) &&
             deconvnet_frame(sheet, &slope, colors[i]);
    }
    snprintf(text, sizeof text, "the class \"%s\"", e->class_names[e->class_id]);
    ok = ok && deconvnet(e->net, e->logits, &e->image, e->class_id, &slope) &&
         panel_gradient(sheet, 1 + n, &slope, text, "grey: 0");
    cnv_tensor_free(&slope);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "what made a neuron fire", NULL, "scenes");
    int scenes = (int)example_number(&e, "scenes", 200, 0, 100000);
    cnv_relu_rule gradient = CNV_GRADIENT;
    panel_sheet sheet = {{0}, 0};
    truth_table table = {0};
    example_check(&e, deconvnet_picture(&e, &sheet));
    example_save(&e, &sheet.picture);
    truth_add(&table, "deconvnet", deconvnet_map, NULL, TRUTH_BLUR);
    truth_add(&table, "gradient", deconvnet_map, &gradient, TRUTH_BLUR);
    truth_report(&e, &table, scenes);
    panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
