/* relevance.c: layer-wise relevance follows its rules through every kind of layer and loses nothing
   on the way; Score-CAM is what its formula says; both find the object on the network of the
   examples, better than maps that know nothing.

   A path as the first argument names other weights. */
#define EXAMPLE_NO_MAIN
#include "../examples/lrp.c"
#include "../examples/scorecam.c"
#include "check.h"

static cnv_tensor noise_image(int channels, int side, uint64_t seed)
{
    cnv_tensor image = {0};
    cnv_rng rng = cnv_rng_seed(seed);
    int i;
    CHECK(cnv_tensor_resize(&image, 1, channels, side, side), "%s", cnv_error());
    for (i = 0; i < channels * side * side; i++) image.data[i] = (float)cnv_uniform(&rng);
    return image;
}

static double total(const cnv_tensor *t)
{
    double sum = 0;
    size_t i;
    for (i = 0; i < cnv_tensor_size(t); i++) sum += (double)t->data[i];
    return sum;
}

/* Gives every parameter that is one number a channel a random value in [low,high). */
static void random_channels(cnv_net *net, double low, double high, uint64_t seed)
{
    cnv_rng rng = cnv_rng_seed(seed);
    int p, i;
    for (p = 0; p < net->param_count; p++)
        for (i = 0; net->params[p].rank == 1 && i < net->params[p].value.c; i++)
            net->params[p].value.data[i] = (float)(low + (high - low) * cnv_uniform(&rng));
    cnv_weights_changed(net);
}

/* ---- Relevance: identities ---- */

/* ReLUs, every kind of pool, two branches joined by channels and by a sum; no biases. */
static int homogeneous_net(cnv_net *net)
{
    int x = cnv_relu(net, cnv_conv2d(net, cnv_input(net, 3), "a", 6, 3, 1, 1)), y[2];
    x = cnv_max_pool(net, x, 2, 2, 0);
    y[0] = cnv_relu(net, cnv_conv2d(net, x, "b", 5, 3, 1, 1));
    y[1] = cnv_avg_pool(net, x, 3, 1, 1);
    x = cnv_concat(net, y, 2);
    x = cnv_relu(net, cnv_add(net, x, cnv_conv2d(net, x, "c", 11, 1, 1, 0)));
    x = cnv_reflect_pad(net, cnv_upsample(net, x, 2), 1);
    x = cnv_adaptive_avg_pool(net, cnv_dropout(net, x, 0.5), 3, 4);
    x = cnv_relu(net, cnv_linear(net, x, "d", 11 * 12, 9));
    return cnv_linear(net, x, "logits", 9, 4);
}

static void test_gradient_times_input(void)
{
    cnv_net *net = cnv_net_new();
    int logits = homogeneous_net(net), c, i;
    lrp_setting set = {1e-9, 1, 0, 0, 0};
    cnv_tensor image = noise_image(3, 12, 1), slope = {0}, *relevance = &net->nodes[0].grad;
    CHECK(cnv_init(net, 2), "%s", cnv_error());
    for (c = 0; c < 4; c++) {
        double far = 0, most = 0;
        CHECK(backprop(net, CNV_GRADIENT, logits, &image, c, &slope) &&
              lrp(net, logits, &image, c, &set), "%s", cnv_error());
        for (i = 0; i < 3 * 144; i++) {
            double truth = (double)slope.data[i] * (double)image.data[i];
            most = fmax(most, fabs(truth));
            far = fmax(far, fabs((double)relevance->data[i] - truth));
        }
        CHECK(most > 0 && far < 1e-4 * most, "class %d: off by %g of %g", c, far, most);
    }
    cnv_tensor_free(&image), cnv_tensor_free(&slope), cnv_net_free(net);
}

/* One layer's rule by definition: z_ij = a_i w_ij and so on, in double, one by one. */
static double contribution(relevance_rule rule, double a, double w, double low, double high)
{
    if (rule == RELEVANCE_POSITIVE) return fmax(a * w, 0);
    if (rule == RELEVANCE_BOX) return a * w - low * fmax(w, 0) - high * fmin(w, 0);
    return a * w;
}

/* A strided, padded, grouped convolution behind a normalization, negative inputs included. */
static void test_rules(relevance_rule rule)
{
    enum { C = 4, H = 7, K = 6, P = 4, CG = 2, KG = 3 };
    static const double mean[C] = {0.3, 0.5, 0.6, 0.4}, std[C] = {0.2, 0.3, 0.25, 0.5};
    const double epsilon = 0.01;
    cnv_net *net = cnv_net_new();
    cnv_window win = cnv_square(3, 2, 1);
    int x = cnv_normalize(net, cnv_input(net, C), mean, std), conv, i, j, k, p, r;
    cnv_tensor image = noise_image(C, H, 3), *top;
    double truth[C * H * H] = {0}, z[K * P * P] = {0}, size = 0, far = 0, most = 0;
    const float *w, *a, *got;
    conv = cnv_conv2d_window(net, x, "conv", K, &win, 2, 1);
    CHECK(cnv_init(net, 4), "%s", cnv_error());
    random_channels(net, -1, 1, 5);
    CHECK(cnv_forward(net, &image, conv) && (top = cnv_seed(net, conv)) != NULL, "%s", cnv_error());
    for (i = 0; i < K * P * P; i++) top->data[i] = (float)((i * 7 + 3) % 11 - 4);
    CHECK(relevance_through(net, conv, rule, epsilon), "%s", cnv_error());
    w = net->params[0].value.data, a = net->nodes[x].out.data, got = net->nodes[x].grad.data;
    for (r = 0; r < 2; r++) { /* first the divisors, then the shares */
        for (j = 0; j < K * P * P; j++) {
            double share = 0;
            if (r) {
                double e = rule == RELEVANCE_EPSILON ? epsilon * size / (K * P * P) : 0;
                share = (double)net->nodes[conv].grad.data[j] / (z[j] + (z[j] < 0 ? -e : e));
            }
            for (k = 0; k < CG * 9; k++) {
                int c = j / (P * P) / KG * CG + k / 9, y = j / P % P * 2 - 1 + k / 3 % 3;
                int at_x = j % P * 2 - 1 + k % 3, at = (c * H + y) * H + at_x;
                double weight = (double)w[j / (P * P) * CG * 9 + k], low, high, part;
                if (y < 0 || y >= H || at_x < 0 || at_x >= H) continue;
                low = (0 - mean[c]) / std[c], high = (1 - mean[c]) / std[c];
                part = contribution(rule, (double)a[at], weight, low, high);
                if (r) truth[at] += part * share;
                else z[j] += part;
            }
        }
        for (j = 0; j < K * P * P; j++) size += fabs(z[j]);
    }
    for (p = 0; p < C * H * H; p++) {
        most = fmax(most, fabs(truth[p])), far = fmax(far, fabs((double)got[p] - truth[p]));
    }
    CHECK(most > 0 && far < 1e-4 * most, "rule %d: off by %g of %g", (int)rule, far, most);
    cnv_tensor_free(&image), cnv_net_free(net);
}

/* A batch norm that turns a channel's sign turns what speaks for it. */
static void test_batch_norm(void)
{
    cnv_net *net = cnv_net_new(), *merged = cnv_net_new();
    cnv_window win = cnv_square(3, 1, 1);
    int x = cnv_relu(net, cnv_conv2d(net, cnv_input(net, 2), "a", 4, 3, 1, 1)), node, other, i, k;
    cnv_tensor image = noise_image(2, 6, 6), *top;
    x = cnv_conv2d_window(net, x, "b", 5, &win, 1, 0);
    node = cnv_relu(net, cnv_batch_norm(net, x, "norm", 1e-5));
    x = cnv_relu(merged, cnv_conv2d(merged, cnv_input(merged, 2), "a", 4, 3, 1, 1));
    other = cnv_relu(merged, cnv_conv2d(merged, x, "b", 5, 3, 1, 1));
    CHECK(cnv_init(net, 7) && cnv_init(merged, 7), "%s", cnv_error());
    for (k = 0; k < 5; k++) {
        cnv_tensor from = cnv_tensor_image(&net->params[2].value, k);
        cnv_tensor to = cnv_tensor_image(&merged->params[2].value, k);
        net->params[3].value.data[k] = k % 2 ? -1.5f : 0.5f;
        for (i = 0; i < 36; i++) to.data[i] = (k % 2 ? -1.5f : 0.5f) * from.data[i];
    }
    cnv_weights_changed(net), cnv_weights_changed(merged);
    CHECK(cnv_tensor_copy(&net->params[0].value, &merged->params[0].value), "%s", cnv_error());
    CHECK(cnv_forward(net, &image, node) && cnv_forward(merged, &image, other), "%s", cnv_error());
    for (k = 0; k < 2; k++) {
        cnv_net *one = k ? merged : net;
        top = cnv_seed(one, k ? other : node);
        for (i = 0; i < 180; i++) top->data[i] = (float)(1 + i % 7);
        for (i = k ? other : node; i > 2; i--)
            CHECK(relevance_through(one, i, RELEVANCE_POSITIVE, 0), "%s", cnv_error());
    }
    for (i = 0; i < 144; i++)
        CHECK(fabsf(net->nodes[2].grad.data[i] - merged->nodes[2].grad.data[i]) < 1e-3f,
              "place %d: %g, merged %g", i, (double)net->nodes[2].grad.data[i],
              (double)merged->nodes[2].grad.data[i]);
    cnv_tensor_free(&image), cnv_net_free(net), cnv_net_free(merged);
}

/* Every operator that there is, with biases: what is handed down adds up to the logit. */
static void test_conservation(void)
{
    static const double mean[3] = {0.4, 0.5, 0.6}, std[3] = {0.2, 0.25, 0.3};
    cnv_net *net = cnv_net_new();
    int x = cnv_normalize(net, cnv_input(net, 3), mean, std), y[3], logits, c;
    lrp_setting set = {1e-4, 0, 0, 0, 0};
    cnv_tensor image = noise_image(3, 16, 8), map = {0};
    x = cnv_relu(net, cnv_conv2d(net, x, "a", 8, 5, 1, 2));
    x = cnv_max_pool(net, cnv_local_response_norm(net, x, 3, 1e-2, 0.75, 1), 2, 2, 0);
    y[0] = cnv_relu(net, cnv_batch_norm(net, cnv_conv2d(net, x, "b", 6, 3, 1, 1), "bn", 1e-5));
    y[1] = cnv_instance_norm(net, cnv_conv2d(net, x, "c", 4, 1, 1, 0), "in", 1e-5);
    y[1] = cnv_sigmoid(net, y[1]);
    y[2] = cnv_avg_pool(net, x, 3, 1, 1);
    x = cnv_concat(net, y, 3);
    y[0] = cnv_conv2d(net, cnv_reflect_pad(net, x, 1), "d", 18, 3, 1, 0);
    x = cnv_relu(net, cnv_add(net, x, y[0]));
    x = cnv_upsample(net, cnv_dropout(net, x, 0.3), 2);
    x = cnv_relu(net, cnv_linear(net, cnv_adaptive_avg_pool(net, x, 5, 3), "e", 18 * 15, 12));
    logits = cnv_linear(net, x, "logits", 12, 3);
    CHECK(logits > 0 && cnv_init(net, 9), "%s", cnv_error());
    random_channels(net, 0.1, 0.6, 10);
    for (c = 0; c < 3; c++)
        CHECK(lrp_map(net, logits, &image, c, &set, &map) && map.h == 16, "%s", cnv_error());
    CHECK(set.maps == 3 && set.worst < 0.01, "leakage %g", set.worst);
    CHECK(lrp_obstacle(net, logits) == -1, "an obstacle");
    CHECK(lrp_obstacle(net, cnv_softmax(net, logits)) == logits + 1, "softmax is no obstacle");
    cnv_tensor_free(&image), cnv_tensor_free(&map), cnv_net_free(net);
}

/* Which rule goes where. */
static void test_choice(const example *e)
{
    const cnv_net *net = e->net;
    CHECK(lrp_rule(net, &net->nodes[cnv_find(net, "conv1")], 0) == RELEVANCE_BOX &&
          lrp_rule(net, &net->nodes[cnv_find(net, "conv2")], 0) == RELEVANCE_POSITIVE &&
          lrp_rule(net, &net->nodes[cnv_find(net, "fc5")], 0) == RELEVANCE_EPSILON &&
          lrp_rule(net, &net->nodes[cnv_find(net, "logits")], 0) == RELEVANCE_EPSILON, "the rules");
    CHECK(lrp_rule(net, &net->nodes[cnv_find(net, "conv1")], 1) == RELEVANCE_EPSILON &&
          lrp_rule(net, &net->nodes[cnv_find(net, "conv2")], 1) == RELEVANCE_EPSILON, "everywhere");
}

/* In each layer the relevance adds up to the same. */
static void test_every_layer(const example *e)
{
    lrp_setting set = {1e-6, 0, 0, 0, 0};
    int i;
    double score;
    CHECK(lrp(e->net, e->logits, &e->image, e->class_id, &set), "%s", cnv_error());
    score = (double)e->net->nodes[e->logits].out.data[e->class_id];
    for (i = 0; i <= e->logits; i++)
        CHECK(fabs(total(&e->net->nodes[i].grad) - score) < 1e-3 * score, "%s: %g of %g",
              e->net->nodes[i].name, total(&e->net->nodes[i].grad), score);
}

/* ---- Score-CAM ---- */

/* The formula, map by map, without batches; more maps than a batch holds. Before the ReLU the maps
   have negative places, too. */
static void test_scorecam(int before_relu)
{
    enum { K = 60, SIDE = 64, SMALL = 32, PLANE = SIDE * SIDE };
    static const double mean[3] = {0.4, 0.5, 0.6}, std[3] = {0.5, 0.5, 0.5};
    cnv_net *net = cnv_net_new();
    int x = cnv_normalize(net, cnv_input(net, 3), mean, std), node, logits, i, k, cold = 0;
    cnv_tensor image = noise_image(3, SIDE, 11), maps = {0}, mask = {0}, one = {0}, map = {0};
    double score[K], truth[SMALL * SMALL] = {0}, sum = 0, far = 0, most = 0;
    node = cnv_relu(net, cnv_conv2d(net, x, "conv", K, 3, 2, 1));
    logits = cnv_linear(net, cnv_global_avg_pool(net, node), "logits", K, 3);
    node -= before_relu;
    CHECK(cnv_init(net, 12), "%s", cnv_error());
    if (!before_relu) net->params[1].value.data[7] = -1e3f; /* a dead channel */
    cnv_weights_changed(net);
    CHECK(cnv_forward(net, &image, logits) && cnv_tensor_copy(&net->nodes[node].out, &maps) &&
          cnv_tensor_copy(&image, &one), "%s", cnv_error());
    for (k = 0; k < K; k++) {
        cnv_tensor a = cnv_tensor_channel(&maps, 0, k);
        double low, high;
        CHECK(cnv_resize(&a, SIDE, SIDE, &mask), "%s", cnv_error());
        cnv_range(&mask, &low, &high);
        for (i = 0; i < 3 * PLANE; i++) {
            double h = high > low ? ((double)mask.data[i % PLANE] - low) / (high - low) : 0;
            one.data[i] = (float)(h * (double)image.data[i] + (1 - h) * mean[i / PLANE]);
        }
        CHECK(cnv_forward(net, &one, logits), "%s", cnv_error());
        score[k] = exp((double)net->nodes[logits].out.data[1]);
        sum += score[k];
    }
    for (k = 0; k < K; k++)
        for (i = 0; i < SMALL * SMALL; i++)
            truth[i] += score[k] / sum * (double)maps.data[k * SMALL * SMALL + i];
    CHECK(scorecam(net, logits, &image, 1, &node, &map) && map.h == SMALL, "%s", cnv_error());
    for (i = 0; i < SMALL * SMALL; i++) {
        most = fmax(most, truth[i]), cold += truth[i] < 0;
        far = fmax(far, fabs((double)map.data[i] - fmax(truth[i], 0)));
    }
    CHECK(!before_relu == !cold, "%d places are below 0", cold);
    CHECK(most > 0 && far < 1e-4 * most, "off by %g of %g", far, most);
    cnv_tensor_free(&image), cnv_tensor_free(&maps), cnv_tensor_free(&mask);
    cnv_tensor_free(&one), cnv_tensor_free(&map), cnv_net_free(net);
}

/* ---- The shipped network ---- */

static void test_pass_lines(const example *e)
{
    lrp_setting set = {0.005, 0, 0, 0, 0}, everywhere = {0.005, 1, 0, 0, 0};
    int node = example_feature_maps(e->net, cnv_find(e->net, "conv4")), i;
    truth_table table = {0}, masks = {0};
    const truth_row *row = table.row, *cam = masks.row;
    truth_add(&table, "relevance", lrp_map, &set, TRUTH_BLUR);
    truth_add(&table, "epsilon everywhere", lrp_map, &everywhere, TRUTH_BLUR);
    truth_add(&masks, "Score-CAM", scorecam, &node, 0);
    CHECK(truth_measure(e, &table, 100) && truth_measure(e, &masks, 40), "%s", cnv_error());
    truth_print(&table), truth_print(&masks);
    printf("leakage: %.4f, epsilon everywhere %.4f\n", set.leak / set.maps,
           everywhere.leak / everywhere.maps);
    CHECK(set.leak <= 0.01 * set.maps, "leakage %.4f", set.leak / set.maps);
    CHECK(row[0].energy > 4 * table.area && row[0].iou > row[1].iou + 0.2,
          "energy %.3f, IoU %.3f, with one rule %.3f", row[0].energy, row[0].iou, row[1].iou);
    for (i = 0; i < TRUTH_CONTROLS; i++) {
        CHECK(row[2 + i].pointing < row[0].pointing - 0.3 && row[2 + i].iou < row[0].iou - 0.15,
              "%s: %.3f", row[2 + i].name, row[2 + i].pointing);
        CHECK(cam[1 + i].pointing < cam[0].pointing - 0.3 && cam[1 + i].near < cam[0].near - 0.2 &&
              cam[1 + i].iou < cam[0].iou - 0.1, "%s: %.3f", cam[1 + i].name, cam[1 + i].pointing);
    }
}

int main(int argc, char **argv)
{
    char *arguments[3] = {argv[0], (char *)"--weights", NULL};
    example e;
    arguments[2] = argc > 1 ? argv[1] : (char *)example_data("toynet.safetensors");
    test_gradient_times_input();
    test_rules(RELEVANCE_EPSILON);
    test_rules(RELEVANCE_POSITIVE);
    test_rules(RELEVANCE_BOX);
    test_batch_norm();
    test_conservation();
    test_scorecam(0), test_scorecam(1);
    e = example_begin(3, arguments, "relevance", NULL, "");
    test_choice(&e);
    test_every_layer(&e);
    test_pass_lines(&e);
    example_end(&e);
    return check_report();
}
