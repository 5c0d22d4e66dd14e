/* methods.h: every heatmap of the examples in one table, for programs that compare them.

       method_settings settings;
       truth_table table = {0};
       methods_add(&e, &settings, &table);          // then truth_measure(&e, &table, 200), or
       table.row[i].method(net, logits, &image, class_id, table.row[i].setting, &map);         */
#ifndef METHODS_H
#define METHODS_H

#ifndef EXAMPLE_NO_MAIN
#define EXAMPLE_NO_MAIN                 /* of these examples, the technique alone */
#define METHODS_NO_MAIN
#endif
#ifdef __GNUC__                         /* not all of them is needed */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include "deconvnet.c"
#include "gradcam.c"
#include "guided_backprop.c"
#include "integrated_gradients.c"
#include "lrp.c"
#include "occlusion.c"
#include "saliency.c"
#include "smoothgrad.c"
#ifdef __GNUC__
#pragma GCC diagnostic pop
#endif
#ifdef METHODS_NO_MAIN
#undef EXAMPLE_NO_MAIN
#endif

#if defined __GNUC__ && !defined __clang__ /* nothing here is an inner loop: compile it quickly */
#pragma GCC push_options
#pragma GCC optimize("Og")
#endif

/* What the methods are told; lives as long as the table. */
typedef struct {
    int node;                           /* Grad-CAM's, Score-CAM's: of the last feature maps */
    occlusion_setting occlusion;
    integrated_gradients_setting path;
    smoothgrad_setting smooth;
    lrp_setting relevance;
} method_settings;

/* Guided Grad-CAM with its signs, details [1,3,H,W]. */
static inline int methods_guided_slope(cnv_net *net, int logits, const cnv_tensor *image,
                                       int class_id, void *node, cnv_tensor *details)
{
    cnv_tensor coarse = {0}, guided = {0};
    int ok = gradcam(net, logits, image, class_id, node, &coarse) &&
             guided_gradcam(net, logits, image, class_id, &coarse, &guided, details);
    cnv_tensor_free(&coarse), cnv_tensor_free(&guided);
    return ok;
}

/* The same as a heatmap: the largest magnitude of the three colours. */
static inline int methods_guided_gradcam(cnv_net *net, int logits, const cnv_tensor *image,
                                         int class_id, void *node, cnv_tensor *map)
{
    cnv_tensor details = {0};
    int ok = methods_guided_slope(net, logits, image, class_id, node, &details) &&
             backprop_steepest(&details, map);
    cnv_tensor_free(&details);
    return ok;
}

/* A gradient with its signs, slope [1,3,H,W]. rule: points to a cnv_relu_rule. */
static inline int methods_slope(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
                                void *rule, cnv_tensor *slope)
{
    return backprop(net, *(cnv_relu_rule *)rule, logits, image, class_id, slope);
}

/* With few samples where their own programs take many, so that thousands of maps take seconds. */
static inline void methods_set(const example *e, method_settings *set)
{
    memset(set, 0, sizeof *set);
    set->node = gradcam_node(e->net, e->layer);
    set->occlusion.square = e->model->side / 4, set->occlusion.steps = 8;
    set->occlusion.node = set->node;
    set->path.steps = 10, set->path.mean = 1;
    set->smooth.copies = 10, set->smooth.noise = 0.15, set->smooth.seed = e->seed;
    set->relevance.epsilon = 0.005;
}

/* Adds all that the network allows: first what weighs single pixels, then what sees regions. The
   network must have been run once. */
static inline void methods_add(const example *e, method_settings *set, truth_table *table)
{
    const cnv_node *at;
    methods_set(e, set), at = &e->net->nodes[set->node];
    truth_add(table, "saliency", saliency, NULL, TRUTH_BLUR);
    truth_add(table, "SmoothGrad", smoothgrad, &set->smooth, TRUTH_BLUR);
    truth_add(table, "integrated gradients", integrated_gradients_map, &set->path, TRUTH_BLUR);
    if (lrp_obstacle(e->net, e->logits) < 0)
        truth_add(table, "LRP", lrp_map, &set->relevance, TRUTH_BLUR);
    truth_add(table, "deconvnet", deconvnet_map, NULL, TRUTH_BLUR);
    truth_add(table, "guided backprop", guided_backprop_map, NULL, TRUTH_BLUR);
    if (set->node < e->logits && at->out.h * at->out.w > 1) {
        truth_add(table, "guided Grad-CAM", methods_guided_gradcam, &set->node, TRUTH_BLUR);
        truth_add(table, "Grad-CAM", gradcam, &set->node, 0);
    }
    truth_add(table, "occlusion", occlusion_drop, &set->occlusion, 0);
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
