/* slopes.c: deconvnet, guided backprop, integrated gradients and SmoothGrad are what their formulas
   say, and find the object on the network of the examples, better than maps that know nothing.

   A path as the first argument names other weights. */
#define EXAMPLE_NO_MAIN
#include "../examples/deconvnet.c"
#include "../examples/guided_backprop.c"
#include "../examples/integrated_gradients.c"
#include "../examples/saliency.c"
#include "../examples/smoothgrad.c"
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

/* max |a - b| / max |b| */
static double distance(const cnv_tensor *a, const cnv_tensor *b)
{
    double most = 0, far = 0;
    size_t i;
    if (cnv_tensor_size(a) != cnv_tensor_size(b)) return INFINITY;
    for (i = 0; i < cnv_tensor_size(a); i++) {
        most = fmax(most, fabs((double)b->data[i]));
        far = fmax(far, fabs((double)a->data[i] - (double)b->data[i]));
    }
    return most > 0 ? far / most : INFINITY;
}

static void random_biases(cnv_net *net, uint64_t seed)
{
    cnv_rng rng = cnv_rng_seed(seed);
    int p, i;
    for (p = 0; p < net->param_count; p++)
        for (i = 0; net->params[p].rank == 1 && i < net->params[p].value.c; i++)
            net->params[p].value.data[i] = (float)(0.3 * cnv_normal(&rng));
    cnv_weights_changed(net);
}

/* ---- The three rules, by definition ---- */

enum { SIDE = 6, IN = 2, MAPS = 3, CODES = 7, CLASSES = 3, POOLED = MAPS * 9 };

typedef struct {
    double map[MAPS][SIDE * SIDE];  /* before the ReLU */
    double pooled[POOLED];
    int won[POOLED];                /* which number of map */
    double code[CODES];             /* before the ReLU */
} reference;

/* conv 3 x 3, ReLU, max pool 2 x 2, linear, ReLU, linear */
static int small_net(cnv_net *net)
{
    int x = cnv_relu(net, cnv_conv2d(net, cnv_input(net, IN), "conv", MAPS, 3, 1, 1));
    x = cnv_max_pool(net, x, 2, 2, 0);
    x = cnv_relu(net, cnv_linear(net, x, "codes", POOLED, CODES));
    return cnv_linear(net, x, "logits", CODES, CLASSES);
}

/* The weight that takes pixel (c,y,x) to place (p,q) of map k, or 0. */
static double tap(const cnv_net *net, int k, int c, int y, int x, int p, int q)
{
    int r = y - p + 1, s = x - q + 1;
    if (r < 0 || r > 2 || s < 0 || s > 2) return 0;
    return (double)net->params[0].value.data[((k * IN + c) * 3 + r) * 3 + s];
}

static void reference_forward(const cnv_net *net, const cnv_tensor *image, reference *ref)
{
    int i, j, k, c;
    for (k = 0; k < MAPS; k++)
        for (i = 0; i < SIDE * SIDE; i++) {
            ref->map[k][i] = (double)net->params[1].value.data[k];
            for (c = 0; c < IN; c++)
                for (j = 0; j < SIDE * SIDE; j++)
                    ref->map[k][i] += tap(net, k, c, j / SIDE, j % SIDE, i / SIDE, i % SIDE) *
                                      (double)image->data[c * SIDE * SIDE + j];
        }
    for (i = 0; i < POOLED; i++) {
        ref->pooled[i] = -1;
        for (j = 0; j < 4; j++) {
            int at = (i % 9 / 3 * 2 + j / 2) * SIDE + i % 3 * 2 + j % 2;
            double value = fmax(ref->map[i / 9][at], 0);
            if (value > ref->pooled[i]) ref->pooled[i] = value, ref->won[i] = at;
        }
    }
    for (i = 0; i < CODES; i++) {
        ref->code[i] = (double)net->params[3].value.data[i];
        for (j = 0; j < POOLED; j++)
            ref->code[i] += (double)net->params[2].value.data[i * POOLED + j] * ref->pooled[j];
    }
}

/* How a signal passes a ReLU that saw z. */
static double passes(cnv_relu_rule rule, double z, double signal)
{
    if (rule != CNV_DECONVNET && z <= 0) return 0;
    if (rule != CNV_GRADIENT && signal <= 0) return 0;
    return signal;
}

/* From 1 at a class down to the pixels. */
static void reference_backward(const cnv_net *net, const reference *ref, cnv_relu_rule rule,
                               int class_id, cnv_tensor *slope)
{
    double code[CODES], map[MAPS][SIDE * SIDE] = {{0}};
    int i, j, k, c;
    for (i = 0; i < CODES; i++)
        code[i] = passes(rule, ref->code[i],
                         (double)net->params[4].value.data[class_id * CODES + i]);
    for (j = 0; j < POOLED; j++) {
        double signal = 0;
        for (i = 0; i < CODES; i++)
            signal += (double)net->params[2].value.data[i * POOLED + j] * code[i];
        map[j / 9][ref->won[j]] += signal; /* the switch */
    }
    CHECK(cnv_tensor_resize(slope, 1, IN, SIDE, SIDE), "%s", cnv_error());
    for (c = 0; c < IN; c++)
        for (j = 0; j < SIDE * SIDE; j++) {
            double sum = 0;
            for (k = 0; k < MAPS; k++)
                for (i = 0; i < SIDE * SIDE; i++)
                    sum += tap(net, k, c, j / SIDE, j % SIDE, i / SIDE, i % SIDE) *
                           passes(rule, ref->map[k][i], map[k][i]);
            slope->data[c * SIDE * SIDE + j] = (float)sum;
        }
}

static void test_rules(void)
{
    static const cnv_relu_rule rules[3] = {CNV_GRADIENT, CNV_DECONVNET, CNV_GUIDED};
    cnv_net *net = cnv_net_new();
    int logits = small_net(net), k, c;
    cnv_tensor image = noise_image(IN, SIDE, 1), slope[3] = {{0}}, truth = {0}, map = {0};
    reference ref;
    CHECK(cnv_init(net, 2), "%s", cnv_error());
    random_biases(net, 3);
    reference_forward(net, &image, &ref);
    for (c = 0; c < CLASSES; c++) {
        for (k = 0; k < 3; k++) {
            reference_backward(net, &ref, rules[k], c, &truth);
            CHECK(backprop(net, rules[k], logits, &image, c, &slope[k]), "%s", cnv_error());
            CHECK(distance(&slope[k], &truth) < 1e-5, "rule %d, class %d: off by %g", k, c,
                  distance(&slope[k], &truth));
            CHECK(net->relu_rule == CNV_GRADIENT, "rule %d stays behind", k);
        }
        CHECK(distance(&slope[1], &slope[0]) > 0.1 && distance(&slope[2], &slope[0]) > 0.1 &&
              distance(&slope[1], &slope[2]) > 0.1, "the rules hardly differ");
        CHECK(deconvnet(net, logits, &image, c, &truth) && distance(&truth, &slope[1]) == 0 &&
              guided_backprop(net, logits, &image, c, &truth) && distance(&truth, &slope[2]) == 0,
              "class %d: not its own rule", c);
        CHECK(deconvnet_map(net, logits, &image, c, NULL, &map) && map.c == 1 &&
              map.data[7] == fmaxf(fabsf(slope[1].data[7]), fabsf(slope[1].data[7 + SIDE * SIDE])),
              "deconvnet's heatmap");
        CHECK(guided_backprop_map(net, logits, &image, c, NULL, &map) && map.data[8] ==
              fmaxf(fabsf(slope[2].data[8]), fabsf(slope[2].data[8 + SIDE * SIDE])),
              "guided backprop's heatmap");
    }
    for (k = 0; k < 3; k++) cnv_tensor_free(&slope[k]);
    cnv_tensor_free(&image), cnv_tensor_free(&truth), cnv_tensor_free(&map), cnv_net_free(net);
}

/* Without a ReLU there is nothing to pass or to stop: convolution, pools, a skip, linear. */
static void test_without_relu(void)
{
    cnv_net *net = cnv_net_new();
    int x = cnv_conv2d(net, cnv_input(net, 3), "a", 6, 3, 1, 1), logits, neuron;
    cnv_tensor image = noise_image(3, 12, 4), gradient = {0}, slope = {0};
    x = cnv_max_pool(net, x, 2, 2, 0);
    x = cnv_add(net, x, cnv_tanh(net, cnv_conv2d(net, x, "b", 6, 3, 1, 1)));
    logits = cnv_linear(net, x, "logits", 6 * 36, 4);
    CHECK(cnv_init(net, 5), "%s", cnv_error());
    for (neuron = 0; neuron < 4; neuron++) {
        int node = neuron % 2 ? logits : x, at = neuron % 2 ? neuron : 6 * 36 - 20 * (neuron + 1);
        CHECK(backprop(net, CNV_GRADIENT, node, &image, at, &gradient) &&
              deconvnet(net, node, &image, at, &slope), "%s", cnv_error());
        CHECK(distance(&slope, &gradient) <= 1e-6, "deconvnet: off by %g",
              distance(&slope, &gradient));
        CHECK(guided_backprop(net, node, &image, at, &slope) &&
              distance(&slope, &gradient) <= 1e-6, "guided: off by %g",
              distance(&slope, &gradient));
    }
    cnv_tensor_free(&image), cnv_tensor_free(&gradient), cnv_tensor_free(&slope);
    cnv_net_free(net);
}

/* ---- Small things ---- */

static void test_neurons_and_squares(void)
{
    float out[12] = {1, 5, 2, -1, -1, -3, 7, 0, 7, 4, 3, 5}, map[100] = {0};
    cnv_tensor t = cnv_tensor_view(out, 1, 4, 1, 3), m = cnv_tensor_view(map, 1, 1, 10, 10);
    int neuron[4];
    backprop_square at;
    CHECK(backprop_strongest(&t, 0) == 1 && backprop_strongest(&t, 2) == 6, "the strongest");
    CHECK(backprop_firing(&t, 4, neuron) == 2 && neuron[0] == 6 && neuron[1] == 1,
          "7, then 5; the other 5 ties with it, and channel 1 does not fire");
    CHECK(backprop_firing(&t, 1, neuron) == 1 && neuron[0] == 6, "the first of them");
    map[23] = 1, map[47] = 0.5f, map[99] = 0.05f;
    at = backprop_where(&m, 0);
    CHECK(at.left == 3 && at.side == 5 && at.top + at.side >= 5 && at.top <= 2, "%d %d %d", at.left,
          at.top, at.side);
    at = backprop_where(&m, 8);
    CHECK(at.left >= 0 && at.top >= 0 && at.left + 8 <= 10 && at.top + 8 <= 10, "outside");
    at = backprop_where(&m, 11);
    CHECK(at.left == 0 && at.top == 0 && at.side == 10, "larger than the map");
    map[23] = map[47] = map[99] = 0;
    at = backprop_where(&m, 0);
    CHECK(at.left >= 0 && at.top >= 0 && at.side >= 1 && at.left + at.side <= 10, "an empty map");
}

/* ---- Integrated gradients ---- */

/* Linear: the shares are w (x - x0), however many steps there are. */
static void test_linear_net(void)
{
    static const int steps[4] = {1, 7, 50, 63};
    cnv_net *net = cnv_net_new();
    int x = cnv_conv2d(net, cnv_input(net, 3), "conv", 4, 3, 1, 1), logits, k, i;
    cnv_tensor image = noise_image(3, 8, 6), blank = {0}, w = {0}, shares = {0}, map = {0};
    integrated_gradients_setting set = {1, 1, 0, 0, 0};
    logits = cnv_linear(net, cnv_avg_pool(net, x, 2, 2, 0), "logits", 4 * 16, 3);
    CHECK(cnv_init(net, 7) && example_blank(net, &image, 1, &blank), "%s", cnv_error());
    random_biases(net, 8);
    CHECK(blank.data[0] == 0.5f && blank.data[191] == 0.5f, "no normalization: grey");
    CHECK(backprop(net, CNV_GRADIENT, logits, &image, 2, &w), "%s", cnv_error());
    for (i = 0; i < 192; i++) w.data[i] *= image.data[i] - blank.data[i];
    for (k = 0; k < 4; k++) {
        CHECK(integrated_gradients(net, logits, &image, &blank, 2, steps[k], &shares), "%s",
              cnv_error());
        CHECK(distance(&shares, &w) < 1e-5, "%d steps: off by %g", steps[k],
              distance(&shares, &w));
    }
    CHECK(integrated_gradients_map(net, logits, &image, 2, &set, &map) && set.worst < 1e-4,
          "completeness gap %g", set.worst);
    CHECK(fabsf(map.data[9] - w.data[9] - w.data[73] - w.data[137]) < 1e-5f, "colours are added");
    cnv_tensor_free(&image), cnv_tensor_free(&blank), cnv_tensor_free(&w);
    cnv_tensor_free(&shares), cnv_tensor_free(&map), cnv_net_free(net);
}

/* Otherwise they are the mean of the slopes at the midpoints, by difference quotients; and the gap
   shrinks to nothing. */
static void test_midpoints(void)
{
    enum { STEPS = 53 };
    cnv_net *net = cnv_net_new();
    int x = cnv_conv2d(net, cnv_input(net, 3), "conv", 5, 3, 1, 1), logits, i, k;
    cnv_tensor image = noise_image(3, 8, 9), blank = {0}, point = {0}, shares = {0}, map = {0};
    integrated_gradients_setting coarse = {3, 0, 0, 0, 0}, fine = {200, 0, 0, 0, 0};
    const float *score;
    logits = cnv_linear(net, cnv_tanh(net, x), "logits", 5 * 64, 3);
    CHECK(cnv_init(net, 10) && example_blank(net, &image, 0, &blank) && blank.data[5] == 0 &&
          integrated_gradients(net, logits, &image, &blank, 1, STEPS, &shares) &&
          cnv_tensor_copy(&image, &point), "%s", cnv_error());
    for (i = 3; i < 192; i += 17) {
        double sum = 0;
        for (k = 0; k < STEPS; k++) {
            double up;
            int j;
            for (j = 0; j < 192; j++) point.data[j] = image.data[j] * (float)(k + 0.5) / STEPS;
            point.data[i] += 1 / 64.0f;
            CHECK(cnv_forward(net, &point, logits), "%s", cnv_error());
            score = net->nodes[logits].out.data;
            up = (double)score[1];
            point.data[i] -= 1 / 32.0f;
            CHECK(cnv_forward(net, &point, logits), "%s", cnv_error());
            sum += (up - (double)net->nodes[logits].out.data[1]) * 32 / STEPS;
        }
        sum *= (double)image.data[i];
        CHECK(fabs((double)shares.data[i] - sum) < 2e-3 * fabs(sum) + 2e-5, "pixel %d: %g, %g", i,
              (double)shares.data[i], sum);
    }
    CHECK(integrated_gradients_map(net, logits, &image, 1, &coarse, &map) &&
          integrated_gradients_map(net, logits, &image, 1, &fine, &map), "%s", cnv_error());
    CHECK(fine.worst < 1e-3 && coarse.worst > 2 * fine.worst, "gaps %g with 3 steps, %g with 200",
          coarse.worst, fine.worst);
    cnv_tensor_free(&image), cnv_tensor_free(&blank), cnv_tensor_free(&point);
    cnv_tensor_free(&shares), cnv_tensor_free(&map), cnv_net_free(net);
}

/* The same one by one as in batches, of which these steps take two. */
static void test_batches(const example *e)
{
    enum { STEPS = 55 };
    cnv_tensor blank = {0}, point = {0}, slope = {0}, sum = {0}, shares = {0};
    size_t i, size = cnv_tensor_size(&e->image);
    int k;
    CHECK(example_blank(e->net, &e->image, 1, &blank) && cnv_tensor_copy(&blank, &sum) &&
          cnv_tensor_copy(&blank, &point) && example_batch(&e->image, STEPS) < STEPS &&
          integrated_gradients(e->net, e->logits, &e->image, &blank, 3, STEPS, &shares), "%s",
          cnv_error());
    cnv_tensor_fill(&sum, 0);
    for (k = 0; k < STEPS; k++) {
        for (i = 0; i < size; i++)
            point.data[i] = blank.data[i] + (float)((k + 0.5) / STEPS) *
                                            (e->image.data[i] - blank.data[i]);
        CHECK(backprop(e->net, CNV_GRADIENT, e->logits, &point, 3, &slope), "%s", cnv_error());
        for (i = 0; i < size; i++)
            sum.data[i] += slope.data[i] / STEPS * (e->image.data[i] - blank.data[i]);
    }
    CHECK(distance(&shares, &sum) < 1e-3, "off by %g", distance(&shares, &sum));
    cnv_tensor_free(&blank), cnv_tensor_free(&point), cnv_tensor_free(&slope);
    cnv_tensor_free(&sum), cnv_tensor_free(&shares);
}

/* ---- SmoothGrad ---- */

/* Without noise it is saliency; the same seed gives the same map; and it is the mean of gradients
   taken one by one. */
static void test_smoothgrad(const example *e)
{
    enum { COPIES = 55 };
    smoothgrad_setting none = {3, 0, 1}, some = {COPIES, 0.1, 1}, other = {COPIES, 0.1, 2};
    cnv_tensor map = {0}, again = {0}, copy = {0}, slope = {0}, sum = {0};
    cnv_rng rng = cnv_rng_seed(1);
    double low, high;
    size_t i;
    int k;
    CHECK(smoothgrad(e->net, e->logits, &e->image, 4, &none, &map) &&
          saliency(e->net, e->logits, &e->image, 4, NULL, &again), "%s", cnv_error());
    CHECK(distance(&map, &again) < 1e-5, "without noise: off saliency by %g",
          distance(&map, &again));
    CHECK(smoothgrad(e->net, e->logits, &e->image, 4, &some, &map) &&
          distance(&map, &again) > 0.1 &&
          smoothgrad(e->net, e->logits, &e->image, 4, &some, &again) &&
          distance(&map, &again) == 0, "not reproduced");
    CHECK(smoothgrad(e->net, e->logits, &e->image, 4, &other, &again) &&
          distance(&map, &again) > 1e-3, "the seed does not matter");
    CHECK(cnv_tensor_copy(&e->image, &copy) && cnv_tensor_copy(&e->image, &sum), "%s", cnv_error());
    cnv_tensor_fill(&sum, 0);
    cnv_range(&e->image, &low, &high);
    for (k = 0; k < COPIES; k++) {
        for (i = 0; i < cnv_tensor_size(&copy); i++)
            copy.data[i] = e->image.data[i] + (float)(0.1 * (high - low) * cnv_normal(&rng));
        CHECK(backprop(e->net, CNV_GRADIENT, e->logits, &copy, 4, &slope), "%s", cnv_error());
        for (i = 0; i < cnv_tensor_size(&sum); i++) sum.data[i] += slope.data[i] / COPIES;
    }
    CHECK(backprop_steepest(&sum, &again) && distance(&map, &again) < 1e-4,
          "off the mean of %d gradients by %g", COPIES, distance(&map, &again));
    cnv_tensor_free(&map), cnv_tensor_free(&again), cnv_tensor_free(&copy);
    cnv_tensor_free(&slope), cnv_tensor_free(&sum);
}

/* ---- The shipped network ---- */

/* Over many scenes, for what costs little. */
static void test_many_scenes(const example *e)
{
    cnv_relu_rule gradient = CNV_GRADIENT;
    double same, differs;
    truth_table table = {0};
    const truth_row *row = table.row;
    int i;
    truth_add(&table, "deconvnet", deconvnet_map, NULL, TRUTH_BLUR);
    truth_add(&table, "guided backprop", guided_backprop_map, NULL, TRUTH_BLUR);
    truth_add(&table, "gradient", deconvnet_map, &gradient, TRUTH_BLUR);
    CHECK(truth_measure(e, &table, 120), "the network answers too few scenes right");
    truth_print(&table);
    CHECK(row[1].energy > row[2].energy && row[0].energy < row[2].energy,
          "energy: guided %.2f, gradient %.2f, deconvnet %.2f", row[1].energy, row[2].energy,
          row[0].energy);
    for (i = 0; i < TRUTH_CONTROLS; i++) {
        const truth_row *control = &row[table.rows + i];
        CHECK(control->pointing < fmin(row[0].pointing, row[1].pointing) - 0.3, "%s: %.3f",
              control->name, control->pointing);
        CHECK(control->energy < row[0].energy - 0.02, "%s: %.3f", control->name, control->energy);
    }
    same = guided_backprop_alike(e, CNV_GUIDED, 40);
    differs = guided_backprop_alike(e, CNV_GRADIENT, 40);
    CHECK(same > 0.9 && differs < same - 0.1, "two classes: guided backprop %.3f, gradient %.3f",
          same, differs);
}

/* Over fewer, for what takes 50 images a map. */
static void test_pass_lines(const example *e)
{
    integrated_gradients_setting black = {50, 0, 0, 0, 0}, mean = {50, 1, 0, 0, 0};
    integrated_gradients_setting finer[2] = {{300, 0, 0, 0, 0}, {300, 1, 0, 0, 0}};
    smoothgrad_setting smooth = {50, 0.15, 1};
    truth_table table = {0}, fine = {0};
    const truth_row *row = table.row;
    int i, k;
    truth_add(&table, "SmoothGrad", smoothgrad, &smooth, TRUTH_BLUR);
    truth_add(&table, "saliency", saliency, NULL, TRUTH_BLUR);
    truth_add(&table, "IG from black", integrated_gradients_map, &black, TRUTH_BLUR);
    truth_add(&table, "IG from the mean colour", integrated_gradients_map, &mean, TRUTH_BLUR);
    truth_add(&fine, "IG from black", integrated_gradients_map, &finer[0], TRUTH_BLUR);
    truth_add(&fine, "IG from the mean colour", integrated_gradients_map, &finer[1], TRUTH_BLUR);
    CHECK(truth_measure(e, &table, 30) && truth_measure(e, &fine, 2), "%s", cnv_error());
    truth_print(&table);
    printf("gaps: %.4f %.4f, with 300 steps %.4f %.4f\n", black.gap / 20, mean.gap / 20,
           finer[0].gap / 2, finer[1].gap / 2);
    CHECK(row[0].pointing >= row[1].pointing, "SmoothGrad points in %.3f, saliency in %.3f",
          row[0].pointing, row[1].pointing);
    CHECK(black.gap / black.maps <= 0.05 && mean.gap / mean.maps <= 0.05, "gaps of %g and %g",
          black.gap / black.maps, mean.gap / mean.maps);
    CHECK(finer[0].gap / 2 <= 0.01 && finer[1].gap / 2 <= 0.01, "with 300 steps: %g and %g",
          finer[0].gap / 2, finer[1].gap / 2);
    for (i = 0; i < TRUTH_CONTROLS; i++)
        for (k = 0; k < 4; k++)
            CHECK(row[table.rows + i].pointing < row[k].pointing - 0.3, "%s: %.3f, %s: %.3f",
                  row[table.rows + i].name, row[table.rows + i].pointing, row[k].name,
                  row[k].pointing);
}

int main(int argc, char **argv)
{
    char *arguments[3] = {argv[0], (char *)"--weights", NULL};
    example e;
    arguments[2] = argc > 1 ? argv[1] : (char *)example_data("toynet.safetensors");
    test_rules();
    test_without_relu();
    test_neurons_and_squares();
    test_linear_net();
    test_midpoints();
    e = example_begin(3, arguments, "slopes", NULL, "");
    test_batches(&e);
    test_smoothgrad(&e);
    test_many_scenes(&e);
    test_pass_lines(&e);
    example_end(&e);
    return check_report();
}
