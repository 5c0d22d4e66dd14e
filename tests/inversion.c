/* inversion.c: the objective is what it says, its gradient is its slope, layers that lose nothing
   give the picture back; and on the network of the examples deeper layers have forgotten more.

       cc -O2 -fopenmp tests/inversion.c -o build/inversion -lm && build/inversion     */
#define EXAMPLE_NO_MAIN
#include "../examples/inversion.c"
#include "check.h"

static void noise(cnv_tensor *x, int n, int h, int w, uint64_t seed)
{
    cnv_rng rng = cnv_rng_seed(seed);
    size_t i;
    CHECK(cnv_tensor_resize(x, n, 3, h, w), "%s", cnv_error());
    for (i = 0; i < cnv_tensor_size(x); i++) x->data[i] = (float)cnv_uniform(&rng);
}

static void scenes(cnv_tensor *images, int n, unsigned long long first)
{
    int i;
    CHECK(cnv_tensor_resize(images, n, 3, TOY_SIDE, TOY_SIDE), "%s", cnv_error());
    for (i = 0; i < n; i++) {
        toy_scene scene = toy_make(first + (unsigned)i, NULL);
        toy_render(&scene, TOY_SIDE, cnv_tensor_image(images, i).data, NULL, NULL);
    }
}

/* Values and error by definition, in double; the slope against differences. */
static void test_objective(void)
{
    cnv_net *net = cnv_net_new();
    int top = cnv_tanh(net, cnv_conv2d(net, cnv_input(net, 3), "conv", 4, 3, 2, 1)), i, k, size;
    example e;
    ascent a;
    inversion_target t = {0};
    cnv_tensor x0 = {0}, x = {0}, slope = {0}, out = {0};
    double error = 0, length;
    memset(&e, 0, sizeof e);
    e.net = net, t.node = top;
    noise(&x0, 2, 8, 6, 1), noise(&x, 2, 8, 6, 2);
    CHECK(top > 0 && cnv_init(net, 3) && cnv_forward(net, &x0, top) &&
          cnv_tensor_copy(&net->nodes[top].out, &t.wanted) && cnv_forward(net, &x, top) &&
          cnv_tensor_copy(&net->nodes[top].out, &out), "%s", cnv_error());
    a = ascent_of(&e, top, inversion_likeness, &t);
    CHECK(ascent_from(&a, &x) && ascent_gradient(&a) && cnv_tensor_copy(&a.grad, &slope), "%s",
          cnv_error());
    size = out.c * out.h * out.w;
    for (i = 0; i < 2; i++) {
        double apart = 0, whole = 0;
        for (k = i * size; k < (i + 1) * size; k++) {
            apart += pow((double)out.data[k] - (double)t.wanted.data[k], 2);
            whole += pow((double)t.wanted.data[k], 2);
        }
        CHECK(fabs((double)a.value.data[i] + apart / whole) < 1e-5, "picture %d: %g, not %g", i,
              (double)a.value.data[i], -apart / whole);
        error += sqrt(apart / whole) / 2;
    }
    CHECK(fabs(t.error - error) < 1e-5, "error %g, not %g", t.error, error);
    length = sqrt(cnv_dot(&slope, &slope) / (2 * 3 * 48));
    for (i = 0; i < 2 * 3 * 48; i += 7) {
        float was = a.z.data[i], step = 1.0f / 128;
        double up, down;
        a.z.data[i] = was + step, ascent_gradient(&a), up = ascent_total(&a);
        a.z.data[i] = was - step, ascent_gradient(&a), down = ascent_total(&a);
        a.z.data[i] = was;
        CHECK(fabs((up - down) * 64 - (double)slope.data[i]) < 0.02 * length + 1e-4,
              "pixel %d: slope %g, difference quotient %g", i, (double)slope.data[i],
              (up - down) * 64);
    }
    CHECK(ascent_from(&a, &x0) && ascent_gradient(&a), "%s", cnv_error());
    CHECK(t.error < 1e-6 && cnv_dot(&a.grad, &a.grad) < 1e-10, "at x0 itself: %g", t.error);
    ascent_end(&a), cnv_net_free(net), cnv_tensor_free(&t.wanted), cnv_tensor_free(&out);
    cnv_tensor_free(&x0), cnv_tensor_free(&x), cnv_tensor_free(&slope);
}

/* The pixels themselves, in another order of the colours: everything comes back. The same seed
   gives the same picture, another one another start. */
static void test_nothing_lost(void)
{
    cnv_net *net = cnv_net_new();
    int top = cnv_conv2d(net, cnv_input(net, 3), "swap", 3, 1, 1, 0), i;
    static const float swap[9] = {0, 0, 1, 1, 0, 0, 0, 1, 0};
    example e;
    inversion_target t = {0};
    cnv_tensor images = {0}, x = {0}, y = {0}, z = {0};
    memset(&e, 0, sizeof e);
    e.net = net, e.seed = 5, t.node = top;
    scenes(&images, 2, EXAMPLE_HELD_OUT);
    CHECK(top > 0 && cnv_init(net, 3), "%s", cnv_error());
    for (i = 0; i < 9; i++) net->params[0].value.data[i] = swap[i];
    cnv_weights_changed(net);
    CHECK(inversion(&e, net, &images, 150, 0.01, &t, &x), "%s", cnv_error());
    CHECK(t.error < 0.01 && similarity_psnr(&x, &images) > 40, "error %g, PSNR %g", t.error,
          similarity_psnr(&x, &images));
    CHECK(inversion(&e, net, &images, 2, 0.01, &t, &x) &&
          inversion(&e, net, &images, 2, 0.01, &t, &y), "%s", cnv_error());
    e.seed = 6;
    CHECK(inversion(&e, net, &images, 2, 0.01, &t, &z), "%s", cnv_error());
    CHECK(!memcmp(x.data, y.data, cnv_tensor_size(&x) * sizeof(float)), "one seed, two pictures");
    CHECK(memcmp(x.data, z.data, cnv_tensor_size(&x) * sizeof(float)), "two seeds, one picture");
    cnv_net_free(net), cnv_tensor_free(&images), cnv_tensor_free(&x), cnv_tensor_free(&y);
    cnv_tensor_free(&z);
}

static void test_psnr(void)
{
    cnv_tensor x = {0}, y = {0};
    CHECK(cnv_tensor_resize(&x, 1, 3, 4, 4) && cnv_tensor_resize(&y, 1, 3, 4, 4), "%s",
          cnv_error());
    cnv_tensor_fill(&x, 0.5), cnv_tensor_fill(&y, 0.6);
    CHECK(fabs(similarity_psnr(&x, &y) - 20) < 1e-3, "%g", similarity_psnr(&x, &y));
    CHECK(similarity_psnr(&x, &x) > 100, "%g", similarity_psnr(&x, &x));
    cnv_tensor_free(&x), cnv_tensor_free(&y);
}

/* How far the features of the two images are apart: what a picture of another would have. */
static double others(cnv_net *net, int node, const cnv_tensor *images)
{
    inversion_target t = {0};
    cnv_tensor one = cnv_tensor_image(images, 0), two = cnv_tensor_image(images, 1);
    ascent a;
    example e;
    double error;
    memset(&e, 0, sizeof e);
    e.net = net, t.node = node;
    a = ascent_of(&e, node, inversion_likeness, &t);
    CHECK(cnv_forward(net, &one, node) && cnv_tensor_copy(&net->nodes[node].out, &t.wanted) &&
          ascent_from(&a, &two) && ascent_gradient(&a), "%s", cnv_error());
    error = t.error;
    ascent_end(&a), cnv_tensor_free(&t.wanted);
    return error;
}

/* The mean PSNR of each of x to the image so many after it: 0, its own; 1, another */
static double mean_psnr(const cnv_tensor *x, const cnv_tensor *images, int after)
{
    double sum = 0;
    int i;
    for (i = 0; i < x->n; i++) {
        cnv_tensor one = cnv_tensor_image(x, i), two = cnv_tensor_image(images, (i + after) % x->n);
        sum += similarity_psnr(&one, &two) / x->n;
    }
    return sum;
}

/* Over eight pictures PSNR falls from layer to layer. The linear layers come last: there, it is
   that of another's inversion within .5 dB, and cannot fall by more than noise does: .2 dB. */
static void test_layers(const char *weights)
{
    static const char *const layers[] = {"conv1", "conv2", "conv3", "conv4", "fc5", "logits"};
    cnv_net *net = cnv_net_new();
    example e;
    inversion_target t = {0};
    cnv_tensor images = {0}, x = {0};
    double psnr[6], other;
    int k, ok = net && model_toynet(net, TOY_CLASSES) >= 0 && cnv_load(net, weights);
    CHECK(ok, "%s", cnv_error());
    memset(&e, 0, sizeof e);
    e.net = net, e.seed = 1;
    scenes(&images, 8, EXAMPLE_HELD_OUT + 40);
    for (k = 0; k < 6; k++) {
        t.node = cnv_find(net, layers[k]);
        CHECK(inversion(&e, net, &images, 84, k ? 0.15 : 0.04, &t, &x), "%s", cnv_error());
        psnr[k] = mean_psnr(&x, &images, 0), other = mean_psnr(&x, &images, 1);
        printf("%s: PSNR %.2f, to another picture %.2f\n", layers[k], psnr[k], other);
        CHECK(t.error <= (k ? 0.2 : 0.05), "%s: error %.3f", layers[k], t.error);
        CHECK(others(net, t.node, &images) > 4 * t.error, "%s: others %.3f, own %.3f", layers[k],
              others(net, t.node, &images), t.error);
        if (k < 3) CHECK(psnr[k] > other + 1, "%s: PSNR %.1f, another's %.1f", layers[k], psnr[k],
                         other);
        if (k) CHECK(psnr[k] < psnr[k - 1] + (k < 5 ? 0 : 0.2), "%s: PSNR %.2f, before %.2f",
                     layers[k], psnr[k], psnr[k - 1]);
        if (k >= 4) CHECK(fabs(psnr[k] - other) < 0.5, "%s: PSNR %.2f, another's %.2f", layers[k],
                          psnr[k], other);
    }
    CHECK(psnr[0] >= 25, "first convolution: PSNR %.1f", psnr[0]);
    cnv_net_free(net), cnv_tensor_free(&images), cnv_tensor_free(&x);
}

int main(int argc, char **argv)
{
    test_objective();
    test_psnr();
    test_nothing_lost();
    test_layers(argc > 1 ? argv[1] : example_data("toynet.safetensors"));
    return check_report();
}
