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
    cnv_tensor strips[3] = {{0}}, picture = {0}, *each;
    double smoothness[2];
    int x = cnv_conv2d(net, cnv_input(net, 3), "features.0", 64, 11, 4, 2), height;
    x = cnv_conv2d_window(net, cnv_relu(net, x), "depthwise", 64, &win, 64, 0);
    x = cnv_conv2d(net, x, "pointwise", 200, 1, 1, 0);
    nets[0] = nets[1] = net, each = &net->params[2].value; /* the depthwise ones */
    CHECK(x > 0 && cnv_init(net, 5), "%s", cnv_error());
    CHECK(filters_strip(nets, cnv_find(net, "features.0"), smoothness, &strips[0]), "%s",
          cnv_error());
    CHECK(fabs(smoothness[0]) < 0.05 && smoothness[1] == smoothness[0],
          "64 x 3 x 11 x 11 untrained: %g",
          smoothness[0]);
    cnv_tensor_fill(each, 0); /* but one: a correlation of -0.003 */
    each->data[4] = 1;
    CHECK(fabs(filters_smoothness(each)) < 0.005, "%g", filters_smoothness(each));
    CHECK(filters_strip(nets, cnv_find(net, "depthwise"), smoothness, &strips[1]), "%s",
          cnv_error());
    CHECK(smoothness[0] == 0 && !signbit(smoothness[0]), "%.2f instead of 0", smoothness[0]);
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

/* ---- deepdream ---- */

static void landscape(unsigned long long seed, int w, int h, cnv_tensor *image)
{
    CHECK(cnv_tensor_resize(image, 1, 3, h, w), "%s", cnv_error());
    toy_landscape(seed, w, h, image->data);
}

static int dream_in(cnv_net *net, int node, ascent_objective *objective, void *setting,
                    const cnv_tensor *image, const dream_options *o, unsigned long long seed,
                    cnv_tensor *dream)
{
    example e;
    ascent a;
    int ok;
    memset(&e, 0, sizeof e);
    e.net = net, e.seed = seed;
    a = dream_ascent(&e, net, node, objective, setting);
    ok = deepdream(&a, image, o) && cnv_tensor_copy(&a.z, dream);
    ascent_end(&a);
    return ok;
}

static void check_dream_identities(cnv_net *net)
{
    dream_options o = {3, 0, 1.4, 0.02};
    cnv_tensor image = {0}, a = {0}, b = {0}, c = {0};
    double low, high, pulled = 0, free = 0;
    int layer = cnv_find(net, "relu3"), i;
    landscape(3, 83, 60, &image);
    CHECK(dream_in(net, layer, ascent_activations, &layer, &image, &o, 1, &a) && equal(&image, &a),
          "0 steps change it");
    o.steps = 2;
    CHECK(dream_in(net, layer, ascent_activations, &layer, &image, &o, 1, &a) &&
          dream_in(net, layer, ascent_activations, &layer, &image, &o, 1, &b) &&
          dream_in(net, layer, ascent_activations, &layer, &image, &o, 2, &c), "%s", cnv_error());
    CHECK(equal(&a, &b), "the same seed gives another dream");
    CHECK(!equal(&a, &c), "another seed gives the same dream");
    cnv_range(&a, &low, &high);
    CHECK(low >= 0 && high <= 1, "pixels from %g to %g", low, high);
    o.back = 0.3;
    CHECK(dream_in(net, layer, ascent_activations, &layer, &image, &o, 1, &b), "%s", cnv_error());
    for (i = 0; i < (int)cnv_tensor_size(&image); i++) {
        free += fabs((double)a.data[i] - (double)image.data[i]);
        pulled += fabs((double)b.data[i] - (double)image.data[i]);
    }
    CHECK(pulled < 0.8 * free, "drawn back, it is %g away, else %g", pulled, free);
    cnv_tensor_free(&image), cnv_tensor_free(&a), cnv_tensor_free(&b), cnv_tensor_free(&c);
}

/* Each octave begins with what the one before has added: with steps at the smallest octave alone,
   the dream is the picture and the detail of that octave, enlarged. */
static int first_octave_only(ascent *a, void *setting)
{
    int width = *(int *)setting, ok = ascent_activations(a, (int *)setting + 1);
    if (ok && a->z.w != width) cnv_tensor_fill(cnv_seed(a->net, ((int *)setting)[1]), 0);
    return ok;
}

static void check_dream_carries_detail(cnv_net *net)
{
    dream_options o = {3, 4, 1.5, 0};
    cnv_tensor image = {0}, dream = {0}, base = {0}, small = {0}, detail = {0};
    int setting[2] = {64, 0}, i;
    double apart = 0, added = 0;
    setting[1] = cnv_find(net, "relu2");
    landscape(4, 144, 108, &image);
    CHECK(cnv_resize(&image, 48, 64, &base), "%s", cnv_error());
    o.octaves = 1;
    CHECK(dream_in(net, setting[1], first_octave_only, setting, &base, &o, 1, &small), "%s",
          cnv_error());
    o.octaves = 3;
    CHECK(dream_in(net, setting[1], first_octave_only, setting, &image, &o, 1, &dream), "%s",
          cnv_error());
    cnv_add_scaled(-1, &base, &small);
    CHECK(cnv_resize(&small, 72, 96, &base) && cnv_resize(&base, 108, 144, &detail), "%s",
          cnv_error());
    for (i = 0; i < (int)cnv_tensor_size(&image); i++) {
        double more = (double)dream.data[i] - (double)image.data[i];
        apart += fabs(more - (double)detail.data[i]), added += fabs(more);
    }
    CHECK(added > 0 && apart < 0.1 * added, "the detail is %g, %g of it is not the octave's", added,
          apart);
    cnv_tensor_free(&image), cnv_tensor_free(&dream), cnv_tensor_free(&base);
    cnv_tensor_free(&small), cnv_tensor_free(&detail);
}

/* As convolutions, the fully connected layers give at the middle what they gave before. */
static void check_convolutional(const char *weights)
{
    cnv_net *net = toynet(weights), *other = toynet(weights);
    int logits = net->count - 1, labels[1], c;
    const cnv_tensor *out = &other->nodes[logits].out;
    cnv_tensor image = {0};
    cnv_tensor_resize(&image, 1, 3, TOY_SIDE, TOY_SIDE);
    render(7, &image, labels);
    CHECK(cnv_forward(net, &image, CNV_ALL) && cnv_forward(other, &image, CNV_ALL), "%s",
          cnv_error());
    synthesis_convolutional(other);
    CHECK(cnv_forward(other, &image, CNV_ALL), "%s", cnv_error());
    CHECK(out->h == 4 && out->w == 4, "%d x %d", out->h, out->w);
    for (c = 0; c < out->c; c++)
        CHECK(fabsf(out->data[c * 16 + 5] - net->nodes[logits].out.data[c]) < 1e-3f,
              "logit %d: %g, fully connected %g", c, (double)out->data[c * 16 + 5],
              (double)net->nodes[logits].out.data[c]);
    cnv_tensor_free(&image), cnv_net_free(net), cnv_net_free(other);
}

/* The guide's objective against its definition, and its seed against differences. */
static void check_guide(void)
{
    cnv_net *net = cnv_net_new();
    int top = cnv_tanh(net, cnv_conv2d(net, cnv_input(net, 3), "conv", 6, 3, 1, 1)), i, k, c, p;
    example e;
    ascent a;
    synthesis_guide guide = {0};
    cnv_tensor image = {0}, slope = {0}, dots = {0};
    double mean = 0;
    memset(&e, 0, sizeof e);
    CHECK(top > 0 && cnv_init(net, 3), "%s", cnv_error());
    landscape(5, 14, 10, &guide.image), landscape(6, 12, 9, &image);
    CHECK(synthesis_guide_of(net, top, &guide), "%s", cnv_error());
    CHECK(guide.features.n == 140 && guide.features.c == 6, "%d features", guide.features.n);
    e.net = net;
    a = ascent_of(&e, top, synthesis_guided, &guide);
    CHECK(ascent_from(&a, &image) && ascent_gradient(&a) && cnv_tensor_copy(&a.grad, &slope), "%s",
          cnv_error());
    CHECK(cnv_forward(net, &guide.image, top) && cnv_tensor_copy(&net->nodes[top].out, &dots) &&
          cnv_forward(net, &image, top), "%s", cnv_error());
    for (p = 0; p < 108; p++) {
        double best = -1e30, dot;
        for (k = 0; k < 140; k++, best = fmax(best, dot))
            for (c = 0, dot = 0; c < 6; c++)
                dot += (double)net->nodes[top].out.data[c * 108 + p] *
                       (double)dots.data[c * 140 + k];
        mean += best / 108;
    }
    CHECK(fabs((double)a.value.data[0] - mean) < 1e-5, "%g, by definition %g",
          (double)a.value.data[0], mean);
    for (i = 0; i < 3 * 108; i += 17) {
        float was = a.z.data[i], step = 1.0f / 128;
        double up, down, length = sqrt(cnv_dot(&slope, &slope) / (3 * 108));
        a.z.data[i] = was + step, ascent_gradient(&a), up = (double)a.value.data[0];
        a.z.data[i] = was - step, ascent_gradient(&a), down = (double)a.value.data[0];
        a.z.data[i] = was;
        CHECK(fabs((up - down) * 64 - (double)slope.data[i]) < 0.1 * length + 1e-4,
              "pixel %d: slope %g, difference quotient %g", i, (double)slope.data[i],
              (up - down) * 64);
    }
    ascent_end(&a), cnv_net_free(net), cnv_tensor_free(&image), cnv_tensor_free(&slope);
    cnv_tensor_free(&dots), cnv_tensor_free(&guide.image), cnv_tensor_free(&guide.features);
}

/* |a| and SSIM, and more than noise does; early and late. */
static void check_dream(cnv_net *net, const cnv_tensor *image)
{
    static const char *const layers[] = {"relu2", "relu3", "relu4"};
    cnv_tensor dream = {0};
    synthesis_measures m;
    int i;
    for (i = 0; i < 3; i++) {
        int layer = cnv_find(net, layers[i]);
        CHECK(dream_in(net, layer, ascent_activations, &layer, image, &dream_standard, 1, &dream) &&
              synthesis_measure(net, layer, image, &dream, 1, &m), "%s", cnv_error());
        CHECK(m.after.length >= 2 * m.before.length, "%s: |a| x %.2f", layers[i],
              m.after.length / m.before.length);
        CHECK(m.ssim >= 0.3, "%s: SSIM %.2f", layers[i], m.ssim);
        CHECK(m.after.length - m.before.length > 2 * (m.noise.length - m.before.length),
              "%s: noise x %.2f, dream x %.2f", layers[i], m.noise.length / m.before.length,
              m.after.length / m.before.length);
    }
    cnv_tensor_free(&dream);
}

/* Fed on faces, a network sees them everywhere; not so the others. Then, a class by its name. */
static void check_favourite(cnv_net *net, cnv_net *faces, const cnv_tensor *image)
{
    cnv_net *nets[2];
    cnv_tensor dream = {0};
    synthesis_measures m;
    ascent_unit unit = {0, TOY_FLOWER, -1, -1};
    int i;
    nets[0] = net, nets[1] = faces;
    for (i = 0; i < 2; i++) {
        int layer = cnv_find(nets[i], "relu4"), logits = nets[i]->count - 1, most;
        CHECK(dream_in(nets[i], layer, ascent_activations, &layer, image, &dream_standard, 1,
                       &dream) &&
              synthesis_measure(nets[i], logits, image, &dream, 1, &m), "%s", cnv_error());
        most = synthesis_most(&m, TOY_CLASSES, 0);
        CHECK((most == TOY_FACE) == (i == 1), "network %d: %s rises by %.1f, face by %.1f", i,
              toy_class_names[most], synthesis_rise(&m, most), synthesis_rise(&m, TOY_FACE));
    }
    unit.node = net->count - 1;
    CHECK(dream_in(net, unit.node, ascent_units, &unit, image, &dream_standard, 1, &dream) &&
          synthesis_measure(net, unit.node, image, &dream, 1, &m), "%s", cnv_error());
    CHECK(synthesis_most(&m, TOY_CLASSES, 0) == TOY_FLOWER && synthesis_rise(&m, TOY_FLOWER) > 3,
          "flower rises by %.1f", synthesis_rise(&m, TOY_FLOWER));
    CHECK(m.noise.mean[TOY_FLOWER] - m.before.mean[TOY_FLOWER] < 1, "noise makes flowers: %.1f",
          m.noise.mean[TOY_FLOWER]);
    CHECK(m.ssim >= 0.3, "SSIM %.2f", m.ssim);
    cnv_tensor_free(&dream);
}

/* On landscapes. Changes the network. */
static void check_dreams(cnv_net *net)
{
    example e;
    cnv_net *faces;
    cnv_tensor image = {0};
    int k, labels[1];
    memset(&e, 0, sizeof e);
    e.program = "synthesis", faces = synthesis_faces(&e);
    cnv_tensor_resize(&image, 1, 3, TOY_SIDE, TOY_SIDE);
    render(1, &image, labels);
    CHECK(cnv_forward(net, &image, CNV_ALL), "%s", cnv_error());
    synthesis_convolutional(net);
    for (k = 1; k <= 3; k++) {
        landscape((unsigned)k, 216, 162, &image);
        check_dream(net, &image);
        check_favourite(net, faces, &image);
    }
    cnv_net_free(faces), cnv_tensor_free(&image);
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
    check_guide();
    check_convolutional(argc > 1 ? argv[1] : example_data("toynet.safetensors"));
    check_dream_identities(net);
    check_dream_carries_detail(net);
    check_dreams(net);
    cnv_net_free(net);
    return check_report();
}
