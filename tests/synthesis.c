/* The pass lines of filters, activations and deepdream on the network of the examples, with their
   negative controls, and identities that hold for any network.

   A path as the first argument names other weights. */
#define EXAMPLE_NO_MAIN
#include "../examples/filters.c"
#include "../examples/activations.c"
#include "../examples/deepdream.c"
#include "check.h"

static cnv_net *toynet(const char *weights)
{
    cnv_net *net = cnv_net_new();
    int ok = net && model_toynet(net, TOY_CLASSES) >= 0;
    ok = ok && (weights ? cnv_load(net, weights) : cnv_init(net, 1));
    CHECK(ok, "%s", cnv_error());
    return net;
}

/* Known autocorrelations: none, nearly 1, exactly -1; and 1 x 1 filters have none. */
static void check_smoothness(void)
{
    cnv_tensor w = {0};
    cnv_rng rng = cnv_rng_seed(3);
    size_t i;
    CHECK(cnv_tensor_resize(&w, 64, 3, 11, 11), "%s", cnv_error());
    for (i = 0; i < cnv_tensor_size(&w); i++) w.data[i] = (float)cnv_normal(&rng);
    CHECK(fabs(filters_smoothness(&w)) < 0.02, "white noise: %g", filters_smoothness(&w));
    for (i = 0; i < cnv_tensor_size(&w); i++) w.data[i] = (float)(i % 11 + i / 11 % 11);
    CHECK(filters_smoothness(&w) > 0.9, "a ramp: %g", filters_smoothness(&w));
    for (i = 0; i < cnv_tensor_size(&w); i++)
        w.data[i] = (i % 121 / 11 + i % 121 % 11) % 2 ? 1.0f : -1.0f;
    CHECK(fabs(filters_smoothness(&w) + 1) < 1e-9, "a chessboard: %g", filters_smoothness(&w));
    w.n = 64 * 121 * 3, w.c = w.h = w.w = 1;
    CHECK(isnan(filters_smoothness(&w)), "1 x 1 filters have no neighbours");
    cnv_tensor_free(&w);
}

/* Similar filters become neighbours: noisy copies of three patterns, shuffled. */
static void check_order(void)
{
    cnv_tensor w = {0};
    cnv_rng rng = cnv_rng_seed(4);
    int order[30], seen[30] = {0}, k, changes = 0;
    size_t i;
    cnv_tensor_resize(&w, 30, 3, 7, 7);
    for (i = 0; i < cnv_tensor_size(&w); i++)
        w.data[i] = (float)(sin((double)(i % 147) * (double)(1 + i / 147 % 3)) +
                            0.2 * cnv_normal(&rng));
    CHECK(filters_order(&w, order), "%s", cnv_error());
    for (k = 0; k < 30; k++) seen[order[k]]++;
    for (k = 1; k < 30; k++) changes += order[k] % 3 != order[k - 1] % 3;
    for (k = 0; k < 30; k++) CHECK(seen[k] == 1, "filter %d is shown %d times", k, seen[k]);
    CHECK(changes == 2, "three groups are torn into %d", changes + 1);
    cnv_tensor_free(&w);
}

/* The picture is drawn for other networks: AlexNet's first layer, a depthwise and a 1 x 1 one. */
static void check_filters_strips(void)
{
    cnv_window win = cnv_square(3, 1, 1);
    cnv_net *net = cnv_net_new();
    const cnv_net *nets[2];
    cnv_tensor strips[3] = {{0}}, picture = {0};
    double smoothness[2];
    int x = cnv_conv2d(net, cnv_input(net, 3), "features.0", 64, 11, 4, 2), height;
    x = cnv_conv2d_window(net, cnv_relu(net, x), "depthwise", 64, &win, 64, 0);
    x = cnv_conv2d(net, x, "pointwise", 200, 1, 1, 0);
    nets[0] = nets[1] = net;
    CHECK(x > 0 && cnv_init(net, 5), "%s", cnv_error());
    CHECK(filters_strip(nets, cnv_find(net, "features.0"), smoothness, &strips[0]), "%s",
          cnv_error());
    CHECK(fabs(smoothness[0]) < 0.05 && smoothness[1] == smoothness[0],
          "64 x 3 x 11 x 11 untrained: %g",
          smoothness[0]);
    CHECK(filters_strip(nets, cnv_find(net, "depthwise"), smoothness, &strips[1]), "%s",
          cnv_error());
    CHECK(filters_strip(nets, x, smoothness, &strips[2]) && isnan(smoothness[0]), "%g",
          smoothness[0]);
    height = strips[0].h + strips[1].h + strips[2].h;
    CHECK(panel_stack(strips, 3, &picture) && picture.h == height && !strips[1].data, "%d",
          picture.h);
    CHECK(picture.w < 1400 && picture.h > 800, "%d x %d", picture.w, picture.h);
    cnv_tensor_free(&picture);
    cnv_net_free(net);
}

static void check_filters(const cnv_net *net)
{
    cnv_net *untrained = toynet(NULL);
    double trained = filters_smoothness(&net->params[0].value);
    double before = filters_smoothness(&untrained->params[0].value);
    CHECK(fabs(before) < 0.1, "untrained %g", before);
    CHECK(trained > before + 0.2, "the first layer: trained %g, untrained %g", trained, before);
    cnv_net_free(untrained);
}

static void render(unsigned long long seed, cnv_tensor *images, int *labels)
{
    int i;
    for (i = 0; i < images->n; i++) {
        toy_scene scene = toy_make(seed + (unsigned)i, NULL);
        toy_render(&scene, TOY_SIDE, cnv_tensor_image(images, i).data, NULL, NULL);
        labels[i] = scene.class_id;
    }
}

/* The share of dead channels in all ReLUs, over `count` scenes. */
static double dead_share(cnv_net *net, int count)
{
    cnv_tensor *highest = calloc((size_t)net->count, sizeof *highest), images = {0};
    int i, labels[32], dead = 0, channels = 0;
    cnv_tensor_resize(&images, 32, 3, TOY_SIDE, TOY_SIDE);
    for (i = 0; i < count; i += 32) {
        render(1000000000 + (unsigned)i, &images, labels);
        CHECK(activations_highest(net, &images, highest), "%s", cnv_error());
    }
    for (i = 0; i < net->count; i++) {
        if (net->nodes[i].op == CNV_RELU)
            dead += activations_dead(&highest[i], NULL, 0), channels += highest[i].c;
        cnv_tensor_free(&highest[i]);
    }
    cnv_tensor_free(&images);
    free(highest);
    return (double)dead / channels;
}

/* A few steps of training at some rate; returns the share of channels that are dead then. So early
   it is a tenth even at a low rate: channels that never were alive. */
static double dead_after_training(double rate)
{
    enum { BATCH = 32, STEPS = 20 };
    cnv_net *net = toynet(NULL);
    cnv_optimizer optimizer = cnv_sgd(rate, 0.9, 0.0005);
    cnv_tensor images = {0};
    int labels[BATCH], step, logits = net->count - 1;
    double loss, dead;
    cnv_tensor_resize(&images, BATCH, 3, TOY_SIDE, TOY_SIDE);
    net->training = 1;
    for (step = 0; step < STEPS; step++) {
        render((unsigned)(1 + step * BATCH), &images, labels);
        CHECK(cnv_forward(net, &images, CNV_ALL) &&
              cnv_cross_entropy(&net->nodes[logits].out, labels, &loss, cnv_seed(net, logits)) &&
              cnv_backward(net, CNV_PARAMETERS) && cnv_step(net, &optimizer), "%s", cnv_error());
    }
    net->training = 0;
    CHECK(isfinite((double)net->params[0].value.data[0]), "rate %g: the weights overflow", rate);
    dead = dead_share(net, 96);
    cnv_tensor_free(&images);
    cnv_net_free(net);
    return dead;
}

static void check_activations(cnv_net *net)
{
    double shipped = dead_share(net, 256), usual, high;
    CHECK(shipped < 0.05, "dead in the network of the examples: %g", shipped);
    usual = dead_after_training(0.001), high = dead_after_training(0.03);
    CHECK(high > 0.25 && high > 2 * usual, "dead at 30 times the rate: %g, else %g", high, usual);
}

/* A channel whose bias is far below zero is dead, and no other; the posters can be drawn. */
static void check_dead(cnv_net *net)
{
    int conv = cnv_find(net, "conv2"), relu = cnv_find(net, "relu2"), labels[2], dead[64], n, i;
    cnv_tensor *highest = calloc((size_t)net->count, sizeof *highest), images = {0}, poster = {0};
    char *alone[] = {(char *)"activations", (char *)"--layer", (char *)"conv2", NULL};
    example e;
    float *bias = net->params[net->nodes[conv].param[1]].value.data, kept = bias[7];
    bias[7] = -1e6f;
    cnv_weights_changed(net);
    cnv_tensor_resize(&images, 2, 3, TOY_SIDE, TOY_SIDE);
    render(1, &images, labels);
    CHECK(activations_highest(net, &images, highest), "%s", cnv_error());
    n = activations_dead(&highest[relu], dead, 64);
    for (i = 0; i < n && dead[i] != 7;) i++;
    CHECK(i < n, "channel 7 is not found among the dead");
    bias[7] = 1e6f;
    cnv_weights_changed(net);
    CHECK(activations_highest(net, &images, highest), "%s", cnv_error());
    CHECK(activations_dead(&highest[relu], dead, 64) == n - 1, "channel 7 is still dead");
    bias[7] = kept;
    cnv_weights_changed(net);
    memset(&e, 0, sizeof e);
    e.net = net, e.image = cnv_tensor_image(&images, 0), e.class_names[0] = "thing";
    CHECK(activations_poster(&e, highest, &poster), "%s", cnv_error());
    CHECK(poster.w > 1300 && poster.h > 900, "%d x %d", poster.w, poster.h);
    e.argc = 3, e.argv = alone, e.layer = conv;
    CHECK(activations_poster(&e, highest, &poster), "%s", cnv_error());
    CHECK(poster.w > 1100 && poster.h < 1500, "%d x %d", poster.w, poster.h);
    for (i = 0; i < net->count; i++) cnv_tensor_free(&highest[i]);
    cnv_tensor_free(&images), cnv_tensor_free(&poster);
    free(highest);
}

static int equal(const cnv_tensor *a, const cnv_tensor *b)
{
    return cnv_tensor_size(a) == cnv_tensor_size(b) &&
           !memcmp(a->data, b->data, cnv_tensor_size(a) * sizeof(float));
}

static void check_dream_identities(cnv_net *net)
{
    dream_options o = {3, 0, 3, 1.4, 1.5 / 255};
    cnv_tensor image = {0}, a = {0}, b = {0}, c = {0};
    double low, high;
    int layer = cnv_find(net, "relu3");
    cnv_tensor_resize(&image, 1, 3, 60, 83);
    toy_landscape(3, 83, 60, image.data);
    CHECK(deepdream(net, layer, &image, &o, 1, &a) && equal(&image, &a), "0 steps change it");
    o.steps = 2;
    CHECK(deepdream(net, layer, &image, &o, 1, &a) && deepdream(net, layer, &image, &o, 1, &b) &&
          deepdream(net, layer, &image, &o, 2, &c), "%s", cnv_error());
    CHECK(equal(&a, &b), "the same seed gives another dream");
    CHECK(!equal(&a, &c), "another seed gives the same dream");
    cnv_range(&a, &low, &high);
    CHECK(low >= 0 && high <= 1, "pixels from %g to %g", low, high);
    cnv_tensor_free(&image), cnv_tensor_free(&a), cnv_tensor_free(&b), cnv_tensor_free(&c);
}

static void check_dream(cnv_net *net)
{
    static const char *const layers[] = {"pool1", "relu2", "relu3", "relu4", "pool3"};
    cnv_tensor image = {0}, dream = {0};
    synthesis_measures m = {0, 0, 0, 0};
    int i;
    cnv_tensor_resize(&image, 1, 3, 108, 144);
    toy_landscape(1, 144, 108, image.data);
    for (i = 0; i < 5; i++) {
        int layer = cnv_find(net, layers[i]);
        CHECK(deepdream(net, layer, &image, &dream_standard, 1, &dream) &&
              synthesis_measure(net, layer, &image, &dream, 1, &m), "%s", cnv_error());
        CHECK(m.after >= 2 * m.before, "%s: |a| x %.2f", layers[i], m.after / m.before);
        CHECK(m.ssim >= 0.3, "%s: SSIM %.2f", layers[i], m.ssim);
        CHECK(m.after - m.before > 2 * (m.noise - m.before), "%s: noise x %.2f, dream x %.2f",
              layers[i], m.noise / m.before, m.after / m.before);
    }
    cnv_tensor_free(&image), cnv_tensor_free(&dream);
}

int main(int argc, char **argv)
{
    cnv_net *net = toynet(argc > 1 ? argv[1] : example_data("toynet.safetensors"));
    check_smoothness();
    check_order();
    check_filters_strips();
    check_filters(net);
    check_dead(net);
    check_activations(net);
    check_dream_identities(net);
    check_dream(net);
    cnv_net_free(net);
    return check_report();
}
