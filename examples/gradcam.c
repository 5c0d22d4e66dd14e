/* gradcam.c - where in the picture does the network see the class?

   Question   Which places of the last feature maps speak for a class, and which details there?
   Formula    alpha_k = mean over (i,j) of d S_class / d A_k(i,j),   S the logit, A_k feature map k
              M(i,j)  = ReLU(sum over k of alpha_k A_k(i,j))
              guided Grad-CAM = guided backprop of S_class * M, enlarged to the picture
   Paper      Selvaraju et al.: Grad-CAM (2017), section 3; guided backprop: Springenberg et al.:
              Striving for Simplicity (2015)
   Look for   A blob on the object, as coarse as the feature map; other classes point elsewhere or
              to the part that looks like them. Guided Grad-CAM adds detail, not certainty.
   Measured   pointing within 4 pixels (the 15 at 224 of the pointing game of Zhang et al. 2016)
              >= .85, exact hits beside it; IoU at the best threshold >= .35. At the ReLU after
              conv4. A blob in the middle comes near in .62, and edges have an IoU of .35: compare

       cc -O2 examples/gradcam.c -o build/gradcam -lm && build/gradcam --layer conv3          */
#include "backprop.h"
#include "example.h"
#include "panel.h"
#include "truth.h"

/* map [1,1,h,w], of the size of the feature maps. node: points to an int, the node of the A_k. */
static int gradcam(cnv_net *net, int logits, const cnv_tensor *image, int class_id, void *node,
                   cnv_tensor *map)
{
    const cnv_node *at = &net->nodes[*(int *)node];
    cnv_tensor *seed;
    int k, i, plane;
    net->relu_rule = CNV_GRADIENT;
    if (!cnv_forward(net, image, logits) || !(seed = cnv_seed(net, logits))) return 0;
    seed->data[class_id] = 1;
    if (!cnv_backward(net, *(int *)node)) return 0;
    if (!cnv_tensor_resize(map, 1, 1, at->out.h, at->out.w)) return 0;
    cnv_tensor_fill(map, 0);
    plane = at->out.h * at->out.w;
    for (k = 0; k < at->out.c; k++) {
        const float *a = at->out.data + k * plane, *slope = at->grad.data + k * plane;
        double alpha = 0;
        for (i = 0; i < plane; i++) alpha += (double)slope[i] / plane;
        for (i = 0; i < plane; i++) map->data[i] += (float)alpha * a[i];
    }
    return cnv_relu_forward(map, map);
}

/* details [1,3,H,W]: guided backprop of the class; guided: the same times the map, enlarged. */
static int guided_gradcam(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
                          const cnv_tensor *map, cnv_tensor *details, cnv_tensor *guided)
{
    cnv_tensor large = {0};
    int i, plane = image->h * image->w;
    int ok = backprop(net, CNV_GUIDED, logits, image, class_id, details) &&
             cnv_tensor_copy(details, guided) && cnv_resize(map, image->h, image->w, &large);
    for (i = 0; ok && i < image->c * plane; i++) guided->data[i] *= large.data[i % plane];
    cnv_tensor_free(&large);
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
static int gradcam_picture(const example *e, int node, const cnv_tensor *map, panel_sheet *sheet)
{
    cnv_tensor large = {0}, over = {0}, details = {0}, guided = {0}, other = {0};
    int ok, rival = example_rival(e, e->class_id);
    const char *name = e->class_names[e->class_id];
    double low, high;
    char text[128], note[128];
    snprintf(text, sizeof text, "Grad-CAM of \"%s\" at %s", name, e->net->nodes[node].name);
    ok = panel_begin(sheet, 3, 2, text) && panel_scene(sheet, 0, e);
    cnv_range(map, &low, &high);
    snprintf(text, sizeof text, "Grad-CAM, %d x %d%s", map->h, map->w,
             high > 0 ? "" : ": zero everywhere");
    ok = ok && panel_map(sheet, 1, map, CNV_MAP_TURBO, 0, high, text);
    ok = ok && panel_image(e, &large) && cnv_overlay(&large, map, 0.6, &over) &&
         panel_picture(sheet, 2, &over, "Grad-CAM over the picture", name) &&
         guided_gradcam(e->net, e->logits, &e->image, e->class_id, map, &details, &guided) &&
         panel_gradient(sheet, 3, &details, "guided backprop", "grey: 0") &&
         panel_gradient(sheet, 4, &guided, "guided Grad-CAM: their product", "grey: 0");
    ok = ok && gradcam(e->net, e->logits, &e->image, rival, &node, &other) &&
         cnv_overlay(&large, &other, 0.6, &over);
    cnv_range(&other, &low, &high);
    snprintf(text, sizeof text, "Grad-CAM of the best other class, \"%s\"", e->class_names[rival]);
    snprintf(note, sizeof note, high > 0 ? "P = %.4f" : "P = %.4f; zero everywhere",
             example_probability(e, rival));
    ok = ok && panel_picture(sheet, 5, &over, text, note);
    cnv_tensor_free(&large), cnv_tensor_free(&over), cnv_tensor_free(&details);
    cnv_tensor_free(&guided), cnv_tensor_free(&other);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "gradient-weighted class activation map", NULL, "scenes");
    int scenes = (int)example_number(&e, "scenes", 200, 0, 100000);
    int node = example_feature_maps(e.net, e.layer);
    const cnv_node *at = &e.net->nodes[node];
    cnv_tensor map = {0};
    panel_sheet sheet = {{0}, 0};
    truth_table table = {0};
    char name[CNV_NAME_SIZE + 16];
    if (node >= e.logits || at->out.h * at->out.w == 1)
        example_fail(&e, "Grad-CAM needs a layer with places before the logits; %s is %d x %d",
                     at->name, at->out.h, at->out.w);
    example_check(&e, gradcam(e.net, e.logits, &e.image, e.class_id, &node, &map) &&
                      gradcam_picture(&e, node, &map, &sheet));
    example_save(&e, &sheet.picture);
    if (truth_maximum(&map) < 0)
        printf("The map is zero everywhere: no place of %s speaks for \"%s\".\n", at->name,
               e.class_names[e.class_id]);
    snprintf(name, sizeof name, "Grad-CAM at %s", at->name);
    truth_add(&table, name, gradcam, &node, 0);
    truth_report(&e, &table, scenes);
    cnv_tensor_free(&map), panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
