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
#include "scorecam.c"
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

/* The picture's details: what blurring takes away. A control: it never asks the network. */
static inline int methods_detail(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
                                 void *setting, cnv_tensor *detail)
{
    int i, ok = cnv_blur(image, 0.03 * image->w, detail);
    (void)net, (void)logits, (void)class_id, (void)setting;
    for (i = 0; ok && i < image->c * image->h * image->w; i++)
        detail->data[i] = image->data[i] - detail->data[i];
    return ok;
}

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
    set->node = example_feature_maps(e->net, e->layer);
    set->occlusion.square = e->model->side / 4, set->occlusion.steps = 8;
    set->occlusion.node = set->node;
    set->path.steps = 8, set->path.mean = 1;
    set->smooth.copies = 8, set->smooth.noise = 0.15, set->smooth.seed = e->seed;
    set->relevance.epsilon = 0.005;
}

/* A method with a forward pass for each of many pictures. */
static inline void methods_slow(truth_table *table, const char *name, truth_method method,
                                void *setting)
{
    truth_add(table, name, method, setting, 0);
    table->row[table->rows - 1].slow = 1;
}

/* Whether the settings' node has places, for class activation maps; whether relevance gets through.
   If not, says so. */
static inline int methods_places(const example *e, const method_settings *set)
{
    const cnv_node *at = &e->net->nodes[set->node];
    int ok = set->node < e->logits && at->out.h * at->out.w > 1;
    if (!ok) printf("Without class activation maps: %s is %d x %d, without places.\n", at->name,
                    at->out.h, at->out.w);
    return ok;
}

static inline int methods_relevance(const example *e)
{
    int at = lrp_obstacle(e->net, e->logits);
    if (at >= 0) printf("Without LRP: relevance does not pass %s.\n", e->net->nodes[at].name);
    return at < 0;
}

/* Adds all that the network allows: first what weighs single pixels, then what sees regions. The
   network must have been run once. */
static inline void methods_add(const example *e, method_settings *set, truth_table *table)
{
    methods_set(e, set);
    truth_add(table, "saliency", saliency, NULL, TRUTH_BLUR);
    truth_add(table, "SmoothGrad", smoothgrad, &set->smooth, TRUTH_BLUR);
    truth_add(table, "integrated gradients", integrated_gradients_map, &set->path, TRUTH_BLUR);
    if (methods_relevance(e)) truth_add(table, "LRP", lrp_map, &set->relevance, TRUTH_BLUR);
    truth_add(table, "deconvnet", deconvnet_map, NULL, TRUTH_BLUR);
    truth_add(table, "guided backprop", guided_backprop_map, NULL, TRUTH_BLUR);
    if (methods_places(e, set)) {
        truth_add(table, "guided Grad-CAM", methods_guided_gradcam, &set->node, TRUTH_BLUR);
        truth_add(table, "Grad-CAM", gradcam, &set->node, 0);
        methods_slow(table, "Score-CAM", scorecam, &set->node);
    }
    methods_slow(table, "occlusion", occlusion_drop, &set->occlusion);
}

/* Those that say something with their signs, with them, and the picture's details as a control: not
   heatmaps, [1,3,H,W] or [1,1,h,w]. */
static inline void methods_signed(const example *e, method_settings *set, truth_table *table)
{
    static cnv_relu_rule rules[] = {CNV_GRADIENT, CNV_DECONVNET, CNV_GUIDED};
    int places;
    methods_set(e, set), places = methods_places(e, set);
    truth_add(table, "gradient", methods_slope, &rules[0], 0);
    if (places) truth_add(table, "Grad-CAM", gradcam, &set->node, 0);
    if (methods_relevance(e)) truth_add(table, "LRP", lrp_map, &set->relevance, 0);
    if (places) truth_add(table, "guided Grad-CAM", methods_guided_slope, &set->node, 0);
    truth_add(table, "deconvnet", methods_slope, &rules[1], 0);
    truth_add(table, "guided backprop", methods_slope, &rules[2], 0);
    truth_add(table, "picture's details", methods_detail, NULL, 0);
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

#endif
