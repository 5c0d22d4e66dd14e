/* saliency.c - which pixels would change the answer?

   Question   Which pixels must change least to change the score of a class most?
   Formula    M(y,x) = max over c of |d S_class / d image(c,y,x)|, S the logit;
              and with log P(class) in place of S: d log P = d S_class - sum over k of P_k d S_k
   Paper      Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks (2013), section 3
   Look for   The object lights up, but as scattered points: the slope at one pixel says little by
              itself. (The paper shows the bare map too; to cut objects out it averages ten crops.)
              log P also asks what would make the other classes weaker.
   Measured   pointing >= .60 after the pointing game's blur of 2% of the side, and energy on the
              object >= 3 times its area, for the logit. Objects here have dark outlines, and so
              Sobel's edges alone come near 3 times: compare with them, not with chance

       cc -O2 examples/saliency.c -o build/saliency -lm && build/saliency --class fish        */
#include "backprop.h"
#include "example.h"
#include "panel.h"
#include "truth.h"

/* map [1,1,H,W] for an image [1,3,H,W]. of_log_p: points to an int, 1 for log P, 0 or NULL for the
   logit. */
static int saliency(cnv_net *net, int logits, const cnv_tensor *image, int class_id, void *of_log_p,
                    cnv_tensor *map)
{
    cnv_tensor *seed, p = {0};
    int c;
    net->relu_rule = CNV_GRADIENT;
    if (!cnv_forward(net, image, logits) || !(seed = cnv_seed(net, logits))) return 0;
    if (of_log_p && *(int *)of_log_p) {
        if (!cnv_softmax_forward(&net->nodes[logits].out, &p)) return 0;
        for (c = 0; c < p.c; c++) seed->data[c] = -p.data[c];
        cnv_tensor_free(&p);
    }
    seed->data[class_id] += 1;
    return cnv_backward(net, 0) && backprop_steepest(&net->nodes[0].grad, map);
}

#ifndef EXAMPLE_NO_MAIN
/* Scene, both maps, the first blurred and laid over the scene, and where each is greatest. */
static int saliency_picture(const example *e, const cnv_tensor *logit, const cnv_tensor *log_p,
                            panel_sheet *sheet)
{
    cnv_tensor large = {0}, soft = {0}, over = {0};
    const cnv_tensor *maps[3] = {logit, log_p, &soft};
    static const cnv_color colors[3] = {{1, 0.85f, 0.1f}, {0.2f, 0.9f, 1}, {1, 0.3f, 0.3f}};
    double low, high;
    char title[128];
    int i, ok;
    snprintf(title, sizeof title, "Saliency of \"%s\"", e->class_names[e->class_id]);
    ok = panel_begin(sheet, 3, 2, title) && panel_scene(sheet, 0, e);
    cnv_range(logit, &low, &high);
    ok = ok && panel_map(sheet, 1, logit, CNV_MAP_VIRIDIS, 0, high, "|d logit / d pixel|");
    cnv_range(log_p, &low, &high);
    ok = ok && panel_map(sheet, 2, log_p, CNV_MAP_VIRIDIS, 0, high, "|d log P / d pixel|");
    ok = ok && cnv_blur(logit, 0.02 * logit->w, &soft);
    cnv_range(&soft, &low, &high);
    ok = ok && panel_map(sheet, 3, &soft, CNV_MAP_VIRIDIS, 0, high, "the logit's, blurred by 2%");
    ok = ok && panel_image(e, &large) && cnv_overlay(&large, &soft, 0.7, &over) &&
         panel_picture(sheet, 4, &over, "the blurred map over the picture", "red: the steepest");
    ok = ok && panel_picture(sheet, 5, &large, "where each map is greatest",
                             "yellow: logit, blue: log P, red: logit, blurred");
    for (i = 0; ok && i < 3; i++) {
        int at = truth_maximum(maps[i]), w = maps[i]->w, h = maps[i]->h;
        if (at >= 0) panel_cross(sheet, 5, (at % w + 0.5) / w, (at / w + 0.5) / h, colors[i]);
    }
    cnv_tensor_free(&large), cnv_tensor_free(&soft), cnv_tensor_free(&over);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "the gradient of a class at the pixels", NULL, "scenes");
    int scenes = (int)example_number(&e, "scenes", 200, 0, 100000), of_log_p = 1;
    cnv_tensor logit = {0}, log_p = {0};
    panel_sheet sheet = {{0}, 0};
    truth_table table = {0};
    example_check(&e, saliency(e.net, e.logits, &e.image, e.class_id, NULL, &logit) &&
                      saliency(e.net, e.logits, &e.image, e.class_id, &of_log_p, &log_p) &&
                      saliency_picture(&e, &logit, &log_p, &sheet));
    example_save(&e, &sheet.picture);
    truth_add(&table, "saliency of the logit", saliency, NULL, TRUTH_BLUR);
    truth_add(&table, "saliency of log P", saliency, &of_log_p, TRUTH_BLUR);
    truth_add(&table, "  of the logit, not blurred", saliency, NULL, 0);
    truth_report(&e, &table, scenes);
    cnv_tensor_free(&logit), cnv_tensor_free(&log_p), panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
