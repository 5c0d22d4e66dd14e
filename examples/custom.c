/* custom.c - how do I look inside a network of my own?

   Question   My PyTorch model is none of those in models.h: how do I describe it here, and load it?
   Formula    a line for each layer; its name is the attribute's, for that is what the weight file
              calls it:                                           in PyTorch, after import torch:

       class Net(nn.Module):
           def __init__(self):                                def forward(self, x):
               super().__init__()                                 x = (x - 0.5) / 0.25
               self.conv1 = nn.Conv2d(3, 32, 9, 2, 4)             x = pool(relu(self.conv1(x)))
               self.conv2 = nn.Conv2d(32, 64, 3, 1, 1)            x = pool(relu(self.conv2(x)))
               self.conv3 = nn.Conv2d(64, 96, 3, 1, 1)            x = relu(self.conv3(x))
               self.conv4 = nn.Conv2d(96, 112, 3, 1, 1)           x = pool(relu(self.conv4(x)))
               self.fc5 = nn.Linear(112 * 4 * 4, 96)              x = relu(self.fc5(x.flatten(1)))
               self.logits = nn.Linear(96, 12)                    return self.logits(x)

       safetensors.torch.save_file(Net().state_dict(), "mynet.safetensors")

   Paper      Selvaraju et al.: Grad-CAM (2017), of which the maps are
   Look for   The same maps as of a network from the table: whatever is described so can be looked
              into. For all examples at once, move the function and its row into models.h.
   Measured   >= 95% of 200 held-out scenes are right: the layers compute what was trained. The same
              layers with random weights: about chance, 8%

       cc -O2 examples/custom.c -o build/custom -lm && build/custom --class fish              */
#include "example.h"
#include "panel.h"

/* That model, line by line. */
static int custom_net(cnv_net *net, int classes)
{
    static const double mean[3] = {0.5, 0.5, 0.5}, std[3] = {0.25, 0.25, 0.25};
    int x = cnv_normalize(net, cnv_input(net, 3), mean, std);
    x = cnv_max_pool(net, cnv_relu(net, cnv_conv2d(net, x, "conv1", 32, 9, 2, 4)), 2, 2, 0);
    x = cnv_max_pool(net, cnv_relu(net, cnv_conv2d(net, x, "conv2", 64, 3, 1, 1)), 2, 2, 0);
    x = cnv_relu(net, cnv_conv2d(net, x, "conv3", 96, 3, 1, 1));
    x = cnv_max_pool(net, cnv_relu(net, cnv_conv2d(net, x, "conv4", 112, 3, 1, 1)), 2, 2, 0);
    x = cnv_relu(net, cnv_linear(net, x, "fc5", 112 * 4 * 4, 96));
    return cnv_linear(net, x, "logits", 96, classes);
}

/* Its row, as in models.h: for pictures of 64 x 64, 12 classes, Grad-CAM at conv4. */
static const model custom_model = {"custom", custom_net, 64, 64, 0, 12, "conv4", NULL};

#ifndef EXAMPLE_NO_MAIN
#define EXAMPLE_NO_MAIN
#include "gradcam.c"

static const cnv_color custom_blue = {0, 0.45f, 0.7f};

/* The share of held-out scenes that a network of these layers gets right. */
static double custom_accuracy(const example *e, cnv_net *net, int scenes)
{
    cnv_tensor image = {0};
    int i, right = 0;
    example_check(e, cnv_tensor_resize(&image, 1, 3, TOY_SIDE, TOY_SIDE));
    for (i = 0; i < scenes; i++) {
        toy_scene scene = toy_make(EXAMPLE_HELD_OUT + (unsigned long long)i, NULL);
        const float *logits;
        int c, best = 0;
        toy_render(&scene, TOY_SIDE, image.data, NULL, NULL);
        example_check(e, cnv_forward(net, &image, CNV_ALL));
        logits = net->nodes[net->count - 1].out.data;
        for (c = 1; c < e->classes; c++)
            if (logits[c] > logits[best]) best = c;
        right += best == scene.class_id;
    }
    cnv_tensor_free(&image);
    return (double)right / scenes;
}

/* The network as a table in cell `index` and the next one: a row for each node. */
static void custom_table(const example *e, panel_sheet *sheet, int index)
{
    enum { PITCH = 23 };
    static const char *const heads[4] = {"node", "what it does", "its output", "its weights"};
    static const int columns[4] = {0, 150, 300, 470};
    char text[4][64];
    int i, k, x, y;
    panel_corner(sheet, index, &x, &y);
    for (i = -1; i < e->net->count && i < 16; i++, y += PITCH) {
        const cnv_node *node = &e->net->nodes[i < 0 ? 0 : i];
        const cnv_tensor *w = node->params ? &e->net->params[node->param[0]].value : NULL;
        snprintf(text[0], 64, "%s", node->name);
        snprintf(text[1], 64, "%s", cnv_op_name(node->op));
        snprintf(text[2], 64, "%d x %d x %d", node->out.c, node->out.h, node->out.w);
        text[3][0] = 0;
        if (w && w->h > 1) snprintf(text[3], 64, "%d x %d x %d x %d", w->n, w->c, w->h, w->w);
        else if (w) snprintf(text[3], 64, "%d x %d", w->n, w->c);
        for (k = 0; k < 4; k++)
            cnv_text(&sheet->picture, x + 20 + columns[k], y, 11, i < 0 || (k && !w) ? panel_gray :
                     panel_black, i < 0 ? heads[k] : text[k]);
        if (w) cnv_rectangle(&sheet->picture, x, y - 3, 6, 17, custom_blue);
    }
}

/* The scene and what the network says of it; Grad-CAM and guided Grad-CAM of the class. */
static int custom_picture(const example *e, panel_sheet *sheet)
{
    int node = example_feature_maps(e->net, e->layer);
    cnv_tensor map = {0}, large = {0}, over = {0}, details = {0}, guided = {0};
    const char *name = e->class_names[e->class_id];
    double low, high;
    char text[128];
    int ok = panel_begin(sheet, 3, 2, "A network of one's own") && panel_scene(sheet, 0, e) &&
             gradcam(e->net, e->logits, &e->image, e->class_id, &node, &map);
    if (ok) custom_table(e, sheet, 1);
    cnv_range(&map, &low, &high);
    snprintf(text, sizeof text, "Grad-CAM of \"%s\" at %s%s", name, e->net->nodes[node].name,
             high > 0 ? "" : ": zero everywhere");
    ok = ok && panel_map(sheet, 3, &map, CNV_MAP_TURBO, 0, high, text) && panel_image(e, &large) &&
         cnv_overlay(&large, &map, 0.6, &over) &&
         panel_picture(sheet, 4, &over, "the same over the picture", name) &&
         guided_gradcam(e->net, e->logits, &e->image, e->class_id, &map, &details, &guided) &&
         panel_gradient(sheet, 5, &guided, "guided Grad-CAM", "grey: 0");
    cnv_tensor_free(&map), cnv_tensor_free(&large), cnv_tensor_free(&over);
    cnv_tensor_free(&details), cnv_tensor_free(&guided);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin_own(argc, argv, "a network that is not in the table", &custom_model,
                                  "toynet.safetensors", "scenes");
    int scenes = (int)example_number(&e, "scenes", 200, 0, 100000);
    cnv_net *random = example_untrained(&e);
    panel_sheet sheet = {{0}, 0};
    if (example_feature_maps(e.net, e.layer) >= e.logits)
        example_fail(&e, "Grad-CAM needs a layer before the logits");
    example_check(&e, custom_picture(&e, &sheet));
    example_save(&e, &sheet.picture);
    printf("%d parameters, all in the file; %d more tensors in it\n", e.net->param_count,
           e.net->unused_tensors);
    if (scenes && example_toys(&e))
        printf("%s: %.1f%% right, with random weights %.1f%%\n",
               example_count(scenes, "held-out scene"), 100 * custom_accuracy(&e, e.net, scenes),
               100 * custom_accuracy(&e, random, scenes));
    cnv_net_free(random), panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
