/* attribution.c: occlusion, saliency and Grad-CAM find the object, better than maps that know
   nothing; and each is what its formula says.

       cc -O2 -fopenmp tests/attribution.c -o build/attribution -lm && build/attribution     */
#define EXAMPLE_NO_MAIN
#include "../examples/occlusion.c"
#include "../examples/saliency.c"
#include "../examples/gradcam.c"
#include "../examples/units.h"
#include "check.h"
#include "noise.h"

/* ---- Identities ---- */

/* Smooth: convolution, tanh, linear. Returns the logits. */
static int smooth_net(cnv_net *net)
{
    int x = cnv_conv2d(net, cnv_input(net, 3), "conv", 5, 3, 1, 1);
    return cnv_linear(net, cnv_tanh(net, x), "logits", 5 * 8 * 8, 4);
}

/* The kind that CAM was made for: global average pooling, then one linear layer. */
static int gap_net(cnv_net *net)
{
    int x = cnv_relu(net, cnv_conv2d(net, cnv_input(net, 3), "conv1", 8, 3, 1, 1));
    x = cnv_relu(net, cnv_conv2d(net, x, "conv2", 16, 3, 2, 1));
    return cnv_linear(net, cnv_global_avg_pool(net, x), "logits", 16, 5);
}

/* The logit, or log P, of a class. */
static double class_score(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
                          int log_p)
{
    const cnv_tensor *out = &net->nodes[logits].out;
    double sum = 0;
    int c;
    CHECK(cnv_forward(net, image, logits), "%s", cnv_error());
    for (c = 0; c < out->c; c++) sum += exp((double)out->data[c]);
    return (double)out->data[class_id] - (log_p ? log(sum) : 0);
}

/* Saliency is the largest central difference of the three colours. */
static void test_saliency_is_the_slope(int log_p)
{
    cnv_net *net = cnv_net_new();
    int logits = smooth_net(net), i, c;
    cnv_tensor image = noise(1, 3, 8, 8, 1), map = {0};
    const double step = 1.0 / 64;
    CHECK(cnv_init(net, 2) && saliency(net, logits, &image, 1, &log_p, &map), "%s", cnv_error());
    for (i = 0; i < 64; i += 7) {
        double steepest = 0;
        for (c = 0; c < 3; c++) {
            float *pixel = &image.data[c * 64 + i], was = *pixel;
            double up, down;
            *pixel = was + (float)step, up = class_score(net, logits, &image, 1, log_p);
            *pixel = was - (float)step, down = class_score(net, logits, &image, 1, log_p);
            *pixel = was;
            steepest = fmax(steepest, fabs(up - down) / (2 * step));
        }
        CHECK(steepest > 1e-3, "pixel %d has no slope", i);
        CHECK(fabs((double)map.data[i] - steepest) < 2e-3 * steepest + 1e-5,
              "log P %d, pixel %d: saliency %g, difference quotient %g", log_p, i,
              (double)map.data[i], steepest);
    }
    cnv_tensor_free(&image), cnv_tensor_free(&map), cnv_net_free(net);
}

/* CAM (Zhou et al. 2016): the feature maps, weighted by the linear layer's weights of the class. */
static void cam(const cnv_net *net, int node, int class_id, double *map)
{
    const cnv_tensor *a = &net->nodes[node].out;
    const float *weight = net->params[4].value.data + class_id * a->c;
    int k, i, plane = a->h * a->w;
    for (i = 0; i < plane; i++) map[i] = 0;
    for (k = 0; k < a->c; k++)
        for (i = 0; i < plane; i++)
            map[i] += (double)weight[k] * (double)a->data[k * plane + i];
    for (i = 0; i < plane; i++) map[i] = fmax(map[i], 0);
}

static double correlation(const float *x, const double *y, int n)
{
    double sx = 0, sy = 0, xx = 0, yy = 0, xy = 0;
    int i;
    for (i = 0; i < n; i++) sx += (double)x[i] / n, sy += y[i] / n;
    for (i = 0; i < n; i++) {
        double u = (double)x[i] - sx, v = y[i] - sy;
        xx += u * u, yy += v * v, xy += u * v;
    }
    return xy / sqrt(xx * yy);
}

/* On such a network alpha_k = weight_k / (h w): Grad-CAM is CAM, and without anything in favour of
   the class it is zero. */
static void test_gradcam_is_cam(void)
{
    enum { SIDE = 16, PLANE = 64 };
    cnv_net *net = cnv_net_new();
    int logits = gap_net(net), node = example_feature_maps(net, cnv_find(net, "conv2")), c, i;
    cnv_tensor image = noise(1, 3, SIDE, SIDE, 3), map = {0}, details = {0}, guided = {0};
    cnv_tensor over = {0};
    double truth[PLANE], low, high;
    CHECK(cnv_init(net, 4) && node == cnv_find(net, "relu2"), "conv2 is read by node %d", node);
    for (c = 0; c < 5; c++) {
        CHECK(gradcam(net, logits, &image, c, &node, &map), "%s", cnv_error());
        cam(net, node, c, truth);
        cnv_range(&map, &low, &high);
        if (high > 0) CHECK(correlation(map.data, truth, PLANE) > 0.9999, "class %d: r = %.6f", c,
                            correlation(map.data, truth, PLANE));
        for (i = 0; i < PLANE; i++)
            CHECK(fabs((double)map.data[i] * PLANE - truth[i]) < 1e-5, "class %d, place %d: %g, %g",
                  c, i, (double)map.data[i] * PLANE, truth[i]);
    }
    for (i = 0; i < 16; i++) net->params[4].value.data[2 * 16 + i] = -1;
    cnv_weights_changed(net);
    CHECK(gradcam(net, logits, &image, 2, &node, &map), "%s", cnv_error());
    CHECK(truth_maximum(&map) == -1, "nothing speaks for the class, but the map is not zero");
    CHECK(guided_gradcam(net, logits, &image, 2, &map, &details, &guided) &&
          cnv_overlay(&image, &map, 0.6, &over), "%s", cnv_error());
    for (i = 0; i < 3 * SIDE * SIDE; i++)
        CHECK(guided.data[i] == 0 && over.data[i] >= 0 && over.data[i] <= 1, "pixel %d: %g %g", i,
              (double)guided.data[i], (double)over.data[i]);
    CHECK(net->relu_rule == CNV_GRADIENT, "guided backprop's rule stays behind");
    cnv_tensor_free(&image), cnv_tensor_free(&map), cnv_tensor_free(&details);
    cnv_tensor_free(&guided), cnv_tensor_free(&over), cnv_net_free(net);
}

/* A square of size 0 changes nothing; one over the whole picture gives what grey gives. */
static void test_occlusion_of_nothing_and_all(const example *e)
{
    occlusion_setting set = {0, 5, 0};
    occlusion_maps maps = {0, 0, {0}};
    cnv_tensor gray = {0}, p = {0};
    const float *found, *winner, *response;
    int i;
    set.node = e->layer;
    CHECK(occlusion(e->net, e->logits, &e->image, 3, &set, &maps), "%s", cnv_error());
    found = maps.all.data + 25 * HIDDEN_P, winner = maps.all.data + 25 * HIDDEN_WINNER;
    response = maps.all.data + 25 * HIDDEN_RESPONSE;
    for (i = 0; i < 25; i++) {
        CHECK(fabs((double)found[i] - maps.before) < 1e-6, "P %g, without a square %g",
              (double)found[i], maps.before);
        CHECK(fabsf(maps.all.data[25 * HIDDEN_DROP + i]) < 1e-6f, "it drops");
        CHECK((int)winner[i] == e->predicted, "answer %d", (int)winner[i]);
        CHECK(response[i] == response[0], "the response changes");
    }
    CHECK(cnv_tensor_copy(&e->image, &gray), "%s", cnv_error());
    cnv_tensor_fill(&gray, 0.5);
    CHECK(cnv_forward(e->net, &gray, e->logits) &&
          cnv_softmax_forward(&e->net->nodes[e->logits].out, &p), "%s", cnv_error());
    set.square = 2 * TOY_SIDE;
    CHECK(occlusion(e->net, e->logits, &e->image, 3, &set, &maps), "%s", cnv_error());
    for (i = 0; i < 25; i++)
        CHECK(fabsf(maps.all.data[25 * HIDDEN_P + i] - p.data[3]) < 1e-6f,
              "P %g, of the grey picture %g", (double)maps.all.data[i], (double)p.data[3]);
    cnv_tensor_free(&maps.all), cnv_tensor_free(&gray), cnv_tensor_free(&p);
}

/* ---- The scores themselves ---- */

/* A map that is the mask scores 1 in everything; its opposite 0, and an even map the area. */
static void test_scores(const example *e)
{
    truth_world world = truth_begin(e, NULL);
    cnv_tensor map = {0};
    int i, at;
    CHECK(truth_next(&world) && cnv_tensor_resize(&map, 1, 1, TOY_SIDE, TOY_SIDE), "no scene");
    CHECK(world.seed > EXAMPLE_HELD_OUT && world.area > 0 && world.area <= TRUTH_AREA, "%g",
          world.area);
    for (i = 0; i < TRUTH_PIXELS; i++) map.data[i] = world.mask[i] ? 0.5f : -1;
    at = truth_maximum(&map);
    CHECK(truth_hits(world.mask, at, 0) && truth_energy(&map, world.mask) == 1 &&
          truth_iou(&map, world.mask) == 1, "the mask is not a perfect map");
    for (i = 0; i < TRUTH_PIXELS; i++) map.data[i] = world.mask[i] ? 0 : 1;
    at = truth_maximum(&map);
    CHECK(!truth_hits(world.mask, at, 0) && truth_energy(&map, world.mask) == 0, "at %d", at);
    cnv_tensor_fill(&map, 2);
    CHECK(fabs(truth_energy(&map, world.mask) - world.area) < 1e-9 &&
          fabs(truth_iou(&map, world.mask) - world.area) < 1e-9, "an even map");
    cnv_tensor_fill(&map, 0);
    CHECK(truth_maximum(&map) == -1 && truth_energy(&map, world.mask) == 0, "an empty map");
    cnv_tensor_free(&map), truth_end(&world);
}

/* ---- The shipped network ---- */

/* A network with as many classes as the Toybox has, but others, has no scene that it gets right. */
static void test_other_classes(const example *e)
{
    example other = *e;
    truth_world world = truth_begin(&other, NULL);
    CHECK(truth_next(&world), "no scene for the network of the Toybox");
    other.class_names[3] = "zebra crossing";
    CHECK(!truth_next(&world), "a scene for a network of other classes");
    truth_end(&world);
}

/* What a layer hands on: after its ReLU, of convolutions as of linear layers. */
static void test_feature_maps(const example *e)
{
    const cnv_net *net = e->net;
    CHECK(example_feature_maps(net, cnv_find(net, "conv4")) == cnv_find(net, "relu4"), "conv4");
    CHECK(example_feature_maps(net, cnv_find(net, "fc5")) == cnv_find(net, "relu5"), "fc5");
    CHECK(example_feature_maps(net, cnv_find(net, "pool2")) == cnv_find(net, "pool2"), "pool2");
    CHECK(example_feature_maps(net, e->logits) == e->logits, "logits");
}

/* A cell of the last feature maps, enlarged to the picture, is greatest where its neuron looks: in
   the middle of its receptive field, to half a pixel. (Those at the border go on to the border.) */
static void test_alignment(const example *e)
{
    int node = cnv_find(e->net, "relu4"), n = e->net->nodes[node].out.w, i;
    cnv_tensor map = {0}, large = {0};
    CHECK(cnv_tensor_resize(&map, 1, 1, n, n), "%s", cnv_error());
    for (i = 1; i + 1 < n; i++) {
        units_box box = units_field(e->net, node, i, n - 1 - i, 1);
        int at;
        cnv_tensor_fill(&map, 0), map.data[i * n + n - 1 - i] = 1;
        CHECK(cnv_resize(&map, TOY_SIDE, TOY_SIDE, &large), "%s", cnv_error());
        at = truth_maximum(&large);
        CHECK(fabs(at % TOY_SIDE - (box.x + (box.w - 1) / 2.0)) <= 0.5 &&
                  fabs(at / TOY_SIDE - (box.y + (box.h - 1) / 2.0)) <= 0.5,
              "cell %d: greatest at %d, %d, the field begins at %d, %d and is %d wide", i,
              at % TOY_SIDE, at / TOY_SIDE, box.x, box.y, box.w);
    }
    cnv_tensor_free(&map), cnv_tensor_free(&large);
}

static void test_pass_lines(const example *e)
{
    occlusion_setting coarse = {TOY_SIDE / 4, 8, 0};
    int node = example_feature_maps(e->net, cnv_find(e->net, "conv4")), i;
    truth_table table = {0};
    const truth_row *slope = &table.row[0], *drop = &table.row[1], *heat = &table.row[2], *control;
    coarse.node = node;
    truth_add(&table, "saliency", saliency, NULL, TRUTH_BLUR);
    truth_add(&table, "occlusion", occlusion_drop, &coarse, 0);
    truth_add(&table, "Grad-CAM", gradcam, &node, 0);
    CHECK(truth_measure(e, &table, 200), "the network answers too few scenes right");
    truth_print(&table);
    CHECK(drop->pointing >= 0.90, "occlusion points at the object in %.3f", drop->pointing);
    CHECK(slope->pointing >= 0.60, "saliency points at the object in %.3f", slope->pointing);
    CHECK(slope->energy >= 3 * table.area, "saliency: energy %.3f", slope->energy);
    /* a map of 8 x 8 cells has a coarse maximum: the margin of the original pointing game */
    CHECK(heat->near >= 0.85, "Grad-CAM points near the object in %.3f", heat->near);
    CHECK(heat->iou >= 0.35, "Grad-CAM: IoU %.3f", heat->iou);
    for (i = 0; i < TRUTH_CONTROLS; i++) {
        control = &table.row[table.rows + i];
        CHECK(control->near < heat->near - 0.2, "%s points near the object in %.3f", control->name,
              control->near);
        CHECK(control->pointing < fmin(slope->pointing, fmin(drop->pointing, heat->pointing)) - 0.1,
              "%s points at the object in %.3f", control->name, control->pointing);
        CHECK(control->energy < 0.85 * slope->energy, "%s: energy %.3f, saliency %.3f",
              control->name, control->energy, slope->energy);
        CHECK(control->iou < heat->iou - 0.05, "%s: IoU %.3f, Grad-CAM %.3f", control->name,
              control->iou, heat->iou);
    }
}

int main(int argc, char **argv)
{
    char *arguments[3] = {argv[0], (char *)"--weights", NULL};
    example e;
    arguments[2] = argc > 1 ? argv[1] : (char *)example_data("toynet.safetensors");
    test_saliency_is_the_slope(0);
    test_saliency_is_the_slope(1);
    test_gradcam_is_cam();
    e = example_begin(3, arguments, "attribution", NULL, "");
    test_occlusion_of_nothing_and_all(&e);
    test_scores(&e);
    test_other_classes(&e), test_feature_maps(&e), test_alignment(&e);
    test_pass_lines(&e);
    example_end(&e);
    return check_report();
}
