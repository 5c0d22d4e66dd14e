/* scorecam.c - which feature maps show the network enough to see the class?

   Question   A feature map, enlarged, is a mask: seen through it alone, how high does the picture
              score? Which places do the maps light up that score well?
   Formula    H_k = A_k enlarged to the picture and stretched to [0,1]
              S_k = S_class(x0 + H_k (x - x0)), the logit with everything else hidden; x0 the mean
              colour;   alpha = softmax over k of S_k;   M = ReLU(sum over k of alpha_k A_k)
   Paper      Wang, Wang, Du, Yang, Zhang, Ding, Mardziel, Hu: Score-CAM (2020), algorithm 1. (The
              S(x0) that it subtracts from S_k cancels out; its code has P_class for alpha.)
   Look for   Grad-CAM's blob without a gradient, at the price of a forward pass for each channel.
              The best masks show the whole object: a few channels have nearly all the weight.
   Measured   pointing, exact and within 4 pixels, at the ReLU after conv4; gradcam prints the same

       cc -O2 examples/scorecam.c -o build/scorecam -lm && build/scorecam --layer conv3       */
#include "panel.h"
#include "truth.h"

/* The image seen through one feature map [1,1,h,w]. */
static int scorecam_mask(const cnv_tensor *image, const cnv_tensor *blank,
                         const cnv_tensor *channel, cnv_tensor masked)
{
    cnv_tensor mask = {0};
    int i, plane = image->h * image->w;
    int ok = cnv_resize(channel, image->h, image->w, &mask) && cnv_stretch(&mask, 0, &mask);
    for (i = 0; ok && i < image->c * plane; i++)
        masked.data[i] = blank->data[i] + mask.data[i % plane] * (image->data[i] - blank->data[i]);
    cnv_tensor_free(&mask);
    return ok;
}

/* score [1,K,1,1]: the class's logit for the image seen through each of K maps [1,K,h,w]. */
static int scorecam_scores(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
                           const cnv_tensor *maps, cnv_tensor *score)
{
    const cnv_tensor *out = &net->nodes[logits].out;
    cnv_tensor batch = {0}, blank = {0};
    int j, k, ok = example_blank(net, image, 1, &blank) &&
                   cnv_tensor_resize(score, 1, maps->c, 1, 1);
    for (k = 0; ok && k < maps->c; k += batch.n) {
        ok = cnv_tensor_resize(&batch, example_batch(image, maps->c - k), image->c, image->h,
                               image->w);
        for (j = 0; ok && j < batch.n; j++) {
            cnv_tensor channel = cnv_tensor_channel(maps, 0, k + j);
            ok = scorecam_mask(image, &blank, &channel, cnv_tensor_image(&batch, j));
        }
        ok = ok && cnv_forward(net, &batch, logits);
        for (j = 0; ok && j < batch.n; j++) score->data[k + j] = out->data[j * out->c + class_id];
    }
    cnv_tensor_free(&batch), cnv_tensor_free(&blank);
    return ok;
}

/* map [1,1,h,w], of the size of the feature maps. node: points to an int, the node of the A_k. */
static int scorecam(cnv_net *net, int logits, const cnv_tensor *image, int class_id, void *node,
                    cnv_tensor *map)
{
    cnv_tensor maps = {0}, score = {0}, alpha = {0};
    int i, k, plane;
    int ok = cnv_forward(net, image, logits) &&
             cnv_tensor_copy(&net->nodes[*(int *)node].out, &maps) &&
             scorecam_scores(net, logits, image, class_id, &maps, &score) &&
             cnv_softmax_forward(&score, &alpha) && cnv_tensor_resize(map, 1, 1, maps.h, maps.w);
    if (ok) cnv_tensor_fill(map, 0);
    for (k = 0, plane = maps.h * maps.w; ok && k < maps.c; k++)
        for (i = 0; i < plane; i++) map->data[i] += alpha.data[k] * maps.data[k * plane + i];
    cnv_tensor_free(&maps), cnv_tensor_free(&score), cnv_tensor_free(&alpha);
    return ok && cnv_relu_forward(map, map);
}

#ifndef EXAMPLE_NO_MAIN
/* The four best masks in cells 4 ... 7. */
static int scorecam_masks(const example *e, int node, panel_sheet *sheet)
{
    cnv_tensor maps = {0}, score = {0}, alpha = {0}, blank = {0}, masked = {0};
    char text[128], note[128];
    int i, k, ok;
    ok = cnv_forward(e->net, &e->image, e->logits) &&
         cnv_tensor_copy(&e->net->nodes[node].out, &maps) &&
         scorecam_scores(e->net, e->logits, &e->image, e->class_id, &maps, &score) &&
         cnv_softmax_forward(&score, &alpha) && example_blank(e->net, &e->image, 1, &blank) &&
         cnv_tensor_copy(&e->image, &masked);
    for (i = 0; ok && i < 4 && i < maps.c; i++) {
        int best = 0;
        cnv_tensor channel;
        for (k = 1; k < maps.c; k++) best = score.data[k] > score.data[best] ? k : best;
        channel = cnv_tensor_channel(&maps, 0, best);
        snprintf(text, sizeof text, "through channel %d of %s", best, e->net->nodes[node].name);
        snprintf(note, sizeof note, "logit %.2f, weight %.1f%%", (double)score.data[best],
                 100 * (double)alpha.data[best]);
        ok = scorecam_mask(&e->image, &blank, &channel, masked) &&
             panel_picture(sheet, 4 + i, &masked, text, note);
        score.data[best] = -INFINITY;
    }
    cnv_tensor_free(&maps), cnv_tensor_free(&score), cnv_tensor_free(&alpha);
    cnv_tensor_free(&blank), cnv_tensor_free(&masked);
    return ok;
}

/* The scene, the map, the map over the scene, that of another class; the four best masks. */
static int scorecam_picture(const example *e, int node, panel_sheet *sheet)
{
    const char *name = e->class_names[e->class_id];
    cnv_tensor map = {0};
    double low, high;
    int rival, ok;
    char text[128];
    snprintf(text, sizeof text, "Score-CAM of \"%s\" at %s", name, e->net->nodes[node].name);
    ok = panel_begin(sheet, 4, 2, text) && panel_scene(sheet, 0, e);
    rival = example_rival(e, e->class_id);
    ok = ok && scorecam(e->net, e->logits, &e->image, e->class_id, &node, &map);
    cnv_range(&map, &low, &high);
    snprintf(text, sizeof text, "Score-CAM, %d x %d", map.h, map.w);
    ok = ok && panel_map(sheet, 1, &map, CNV_MAP_TURBO, 0, high, text) &&
         panel_over(sheet, 2, e, &map, 0, "Score-CAM over the picture", name) &&
         scorecam(e->net, e->logits, &e->image, rival, &node, &map) &&
         panel_over(sheet, 3, e, &map, 0, "of the best other class", e->class_names[rival]);
    cnv_tensor_free(&map);
    return ok && scorecam_masks(e, node, sheet);
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "feature maps as masks, weighed by the score", NULL,
                              "scenes");
    int scenes = (int)example_number(&e, "scenes", 60, 0, 100000);
    int node = example_feature_maps(e.net, e.layer);
    const cnv_node *at = &e.net->nodes[node];
    panel_sheet sheet = {{0}, 0};
    truth_table table = {0};
    double start = example_seconds();
    char name[CNV_NAME_SIZE + 16];
    if (node >= e.logits || at->out.h * at->out.w == 1)
        example_fail(&e, "Score-CAM needs a layer with places before the logits; %s is %d x %d",
                     at->name, at->out.h, at->out.w);
    example_check(&e, scorecam_picture(&e, node, &sheet));
    example_rate(3 * at->channels, start);
    example_save(&e, &sheet.picture);
    snprintf(name, sizeof name, "Score-CAM at %s", at->name);
    truth_add(&table, name, scorecam, &node, 0);
    truth_report(&e, &table, scenes);
    panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
