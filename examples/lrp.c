/* lrp.c - how does the score divide itself among the pixels?

   Question   A class has a score. Which neurons below brought it in, which brought those in, and so
              on down to the pixels? Nothing shall be lost on the way.
   Formula    R_i = sum over j of z_ij / (sum over i' of z_i'j) R_j, from R = the logit at the top;
              z_ij, what neuron i contributes to neuron j of the layer above, is
              dense layers: a_i w_ij, the divisor + epsilon          (the epsilon rule)
              convolutions: (a_i w_ij)+                              (the z+ rule)
              the first layer: x_i w_ij - low w_ij+ - high w_ij-     (the z-box rule, for pixels in
              [low,high]); max pools: winner takes all. relevance.h tells how it is computed
   Paper      Bach, Binder, Montavon, Klauschen, Mueller, Samek: On Pixel-Wise Explanations ... by
              Layer-Wise Relevance Propagation (2015); which rule where: Montavon, Binder,
              Lapuschkin, Samek, Mueller: Layer-Wise Relevance Propagation: An Overview (2019)
   Look for   The same sum in each layer (in one of several branches: its part), on finer and finer
              grids, until the object is drawn. With the epsilon rule everywhere, which is nearly
              gradient times input, it drowns in noise of both signs.
   Measured   leakage |sum of the pixels' R - logit| / |logit| <= 1% on average; with epsilon -> 0
              everywhere it is gradient times input on a ReLU network without biases

       cc -O2 examples/lrp.c -o build/lrp -lm && build/lrp --class fish                       */
#include "backprop.h"
#include "panel.h"
#include "relevance.h"
#include "truth.h"

typedef struct {
    double epsilon;             /* as a share of a layer's mean |z| */
    int everywhere;             /* 1: the epsilon rule in all layers */
    double maps, leak, worst;   /* how many were made so; their leakages' sum, and the greatest */
} lrp_setting;

/* Which rule goes for a node. */
static relevance_rule lrp_rule(const cnv_net *net, const cnv_node *node, int everywhere)
{
    cnv_op below = net->nodes[node->input[0]].op;
    if (everywhere) return RELEVANCE_EPSILON;
    if (node->params && (below == CNV_INPUT || below == CNV_NORMALIZE)) return RELEVANCE_BOX;
    return node->op == CNV_LINEAR ? RELEVANCE_EPSILON : RELEVANCE_POSITIVE;
}

/* The relevance of each number of the image, and of all nodes' outputs between it and the class:
   net->nodes[i].grad. */
static int lrp(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
               const lrp_setting *set)
{
    cnv_tensor *top;
    int i;
    if (!cnv_forward(net, image, logits) || !(top = cnv_seed(net, logits)) || !cnv_seed(net, 0))
        return 0;
    top->data[class_id] = net->nodes[logits].out.data[class_id];
    for (i = logits; i > 0; i--) {
        relevance_rule rule = lrp_rule(net, &net->nodes[i], set->everywhere);
        if (net->nodes[i].has_grad && !relevance_through(net, i, rule, set->epsilon)) return 0;
    }
    return 1;
}

/* What relevance cannot pass, below the logits: the first such node, or -1. */
static int lrp_obstacle(const cnv_net *net, int logits)
{
    int i;
    for (i = 0; i <= logits; i++)
        if (net->nodes[i].op == CNV_SOFTMAX) return i;
    return -1;
}

/* The heatmap: the relevance of the three colours, added. setting: an lrp_setting. */
static int lrp_map(cnv_net *net, int logits, const cnv_tensor *image, int class_id, void *setting,
                   cnv_tensor *map)
{
    lrp_setting *set = (lrp_setting *)setting;
    double sum = 0, leak, score;
    int i;
    if (!lrp(net, logits, image, class_id, set) || !backprop_total(&net->nodes[0].grad, map))
        return 0;
    for (i = 0; i < map->h * map->w; i++) sum += (double)map->data[i];
    score = (double)net->nodes[logits].out.data[class_id];
    leak = fabs(sum - score) / fabs(score);
    set->maps++, set->leak += leak, set->worst = fmax(set->worst, leak);
    return 1;
}

#ifndef EXAMPLE_NO_MAIN
/* The relevance of a node's places, its channels added, and its sum. */
static int lrp_panel(panel_sheet *sheet, int index, const cnv_node *node, const char *name)
{
    cnv_tensor map = {0};
    char text[128];
    double sum = 0;
    int i, ok = backprop_total(&node->grad, &map);
    for (i = 0; ok && i < map.h * map.w; i++) sum += (double)map.data[i];
    snprintf(text, sizeof text, "%s, %d x %d: sum %.2f", name, map.h, map.w, sum);
    ok = ok && panel_shares(sheet, index, &map, text);
    cnv_tensor_free(&map);
    return ok;
}

/* The scene; relevance layer by layer, down to the pixels; over the scene; with one rule only. */
static int lrp_picture(const example *e, lrp_setting *set, panel_sheet *sheet)
{
    lrp_setting everywhere = *set;
    int node[4], n = backprop_layers(e, node), i, ok;
    cnv_tensor map = {0};
    char text[128];
    everywhere.everywhere = 1;
    ok = cnv_forward(e->net, &e->image, e->logits);
    snprintf(text, sizeof text, "Layer-wise relevance of \"%s\", whose logit is %.2f",
             e->class_names[e->class_id],
             ok ? (double)e->net->nodes[e->logits].out.data[e->class_id] : 0);
    ok = ok && panel_begin(sheet, 4, (n + 7) / 4, text) && panel_scene(sheet, 0, e) &&
         lrp_map(e->net, e->logits, &e->image, e->class_id, set, &map);
    for (i = 0; ok && i < n; i++) {
        const cnv_node *at = &e->net->nodes[node[n - 1 - i]];
        ok = lrp_panel(sheet, 1 + i, at, at->name);
    }
    ok = ok && lrp_panel(sheet, 1 + n, &e->net->nodes[0], "pixels") &&
         panel_over(sheet, 2 + n, e, &map, 0.02, "the pixels', over the scene", "blurred by 2%") &&
         lrp(e->net, e->logits, &e->image, e->class_id, &everywhere) &&
         lrp_panel(sheet, 3 + n, &e->net->nodes[0], "epsilon rule everywhere");
    cnv_tensor_free(&map);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "a score, divided among the pixels", NULL,
                              "epsilon,scenes");
    int scenes = (int)example_number(&e, "scenes", 200, 0, 100000), i;
    lrp_setting set[2] = {{0, 0, 0, 0, 0}, {0, 1, 0, 0, 0}};
    panel_sheet sheet = {{0}, 0};
    truth_table table = {0};
    set[0].epsilon = set[1].epsilon = example_number(&e, "epsilon", 0.005, 0, 1);
    if (lrp_obstacle(e.net, e.logits) >= 0)
        example_fail(&e, "relevance does not pass a softmax: \"%s\" stands below the logits",
                     e.net->nodes[lrp_obstacle(e.net, e.logits)].name);
    example_check(&e, lrp_picture(&e, &set[0], &sheet));
    example_save(&e, &sheet.picture);
    truth_add(&table, "epsilon, z+ and z-box", lrp_map, &set[0], TRUTH_BLUR);
    truth_add(&table, "epsilon everywhere", lrp_map, &set[1], TRUTH_BLUR);
    truth_report(&e, &table, scenes);
    for (i = 0; i < 2; i++)
        if (set[i].maps > 0)
            printf("Leakage of %s: mean %.2f%%, worst %.2f%%\n", table.row[i].name,
                   100 * set[i].leak / set[i].maps, 100 * set[i].worst);
    panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
