/* ascent.c: the pieces of gradient ascent are what they say: the gradient is that of the objective
   through waves, transforms and penalties; the cosine transform is orthonormal; L-BFGS finds the
   top of a hill.

       cc -O2 -fopenmp tests/ascent.c -o build/ascent -lm && build/ascent     */
#include "../examples/objectives.h"
#include "check.h"

/* Smooth, so that differences tell the slope. */
static cnv_net *smooth_net(int *top)
{
    cnv_net *net = cnv_net_new();
    int x = cnv_tanh(net, cnv_conv2d(net, cnv_input(net, 3), "conv", 4, 3, 1, 1));
    *top = cnv_conv2d(net, x, "top", 2, 3, 2, 1);
    CHECK(*top > 0 && cnv_init(net, 1), "%s", cnv_error());
    return net;
}

static ascent some_ascent(cnv_net *net, int top, ascent_unit *units)
{
    example e = {0};
    ascent a;
    e.net = net, e.seed = 7;
    units[0].node = units[1].node = top, units[0].channel = 1, units[1].channel = -1;
    units[0].y = 2, units[0].x = 3, units[1].y = units[1].x = -1;
    a = ascent_of(&e, top, ascent_units, units);
    return a;
}

/* The value at z, with the same random transforms as at the last time. */
static double value_at(ascent *a, cnv_rng rng)
{
    a->rng = rng;
    CHECK(ascent_gradient(a), "%s", cnv_error());
    return ascent_total(a);
}

/* The objective is the mean of the activations that a unit names: of one, of a channel's, of those
   at a place, of all. */
static void test_units(void)
{
    static const int named[4][3] = {{1, 2, 3}, {1, -1, -1}, {-1, 2, 3}, {-1, -1, -1}};
    ascent_unit units[2];
    int top, i, k;
    cnv_net *net = smooth_net(&top);
    ascent a = some_ascent(net, top, units);
    for (i = 0; i < 4; i++) {
        double sum = 0, count = 0;
        const cnv_tensor *out = &net->nodes[top].out;
        units[0].channel = named[i][0], units[0].y = named[i][1], units[0].x = named[i][2];
        CHECK(ascent_start(&a, 1, 9, 12, 0.1) && ascent_gradient(&a), "%s", cnv_error());
        for (k = 0; k < out->c * out->h * out->w; k++)
            if ((named[i][0] < 0 || k / (out->h * out->w) == named[i][0]) &&
                (named[i][1] < 0 || k / out->w % out->h == named[i][1]) &&
                (named[i][2] < 0 || k % out->w == named[i][2]))
                sum += (double)out->data[k], count++;
        CHECK(fabs((double)a.value.data[0] - sum / count) < 1e-6, "%d: %g, the mean is %g", i,
              (double)a.value.data[0], sum / count);
    }
    ascent_end(&a), cnv_net_free(net);
}

static void test_gradient(int waves, double jitter, double scale, double turn, double variation)
{
    ascent_unit units[2];
    int top, i, h = 9, w = 12, size = 2 * 3 * h * w;
    cnv_net *net = smooth_net(&top);
    ascent a = some_ascent(net, top, units);
    cnv_tensor slope = {0};
    cnv_rng rng = cnv_rng_seed(11);
    double length;
    a.waves = waves, a.jitter = jitter, a.scale = scale, a.turn = turn, a.variation = variation;
    CHECK(ascent_start(&a, 2, h, w, waves ? 1 : 0.1), "%s", cnv_error());
    value_at(&a, rng);
    CHECK(cnv_tensor_copy(&a.grad, &slope), "%s", cnv_error());
    length = sqrt(cnv_dot(&slope, &slope) / size);
    CHECK(length > 1e-4, "no slope");
    for (i = 0; i < size; i += 13) {
        double step = 1.0 / 64, up, down;
        float was = a.z.data[i];
        a.z.data[i] = was + (float)step, up = value_at(&a, rng);
        a.z.data[i] = was - (float)step, down = value_at(&a, rng);
        a.z.data[i] = was;
        CHECK(fabs((up - down) / (2 * step) - (double)slope.data[i]) < 0.02 * length + 2e-5,
              "waves %d, jitter %g, scale %g, turn %g, variation %g, number %d: slope %g, "
              "difference quotient %g", waves, jitter, scale, turn, variation, i,
              (double)slope.data[i], (up - down) / (2 * step));
    }
    cnv_tensor_free(&slope), ascent_end(&a), cnv_net_free(net);
}

/* Waves and back are the picture; lengths stay; a picture of one cosine is one wave. */
static void test_cosines(void)
{
    ascent_unit units[2];
    int top, i, k, size = 2 * 3 * 6 * 10;
    cnv_net *net = smooth_net(&top);
    ascent a = some_ascent(net, top, units);
    cnv_tensor waves = {0}, back = {0};
    a.waves = 1;
    CHECK(ascent_start(&a, 2, 6, 10, 1), "%s", cnv_error());
    CHECK(waves_transform(a.basis, 0, &a.z, &waves) &&
              waves_transform(a.basis, 1, &waves, &back), "%s", cnv_error());
    CHECK(fabs(cnv_dot(&waves, &waves) / cnv_dot(&a.z, &a.z) - 1) < 1e-5, "length");
    for (i = 0; i < size; i++)
        CHECK(fabsf(back.data[i] - a.z.data[i]) < 1e-5f, "%d: %g, %g", i, (double)back.data[i],
              (double)a.z.data[i]);
    for (i = 0; i < size; i++)
        a.z.data[i] = (float)cos(3.14159265358979 * (i % 10 + 0.5) * 3 / 10);
    CHECK(waves_transform(a.basis, 0, &a.z, &waves), "%s", cnv_error());
    for (k = 0; k < 60; k++)
        CHECK(k == 3 ? fabsf(waves.data[k]) > 1 : fabsf(waves.data[k]) < 1e-5f, "wave %d is %g", k,
              (double)waves.data[k]);
    cnv_tensor_free(&waves), cnv_tensor_free(&back), ascent_end(&a), cnv_net_free(net);
}

/* - sum of i^2 (x - 0.3)^2 on the image itself: top at 0.3, badly conditioned. */
static int hill(ascent *a, void *setting)
{
    cnv_tensor *seed = cnv_seed(a->net, 0);
    const cnv_tensor *x = &a->net->nodes[0].out;
    size_t i;
    (void)setting;
    a->value.data[0] = 0;
    for (i = 0; seed && i < cnv_tensor_size(x); i++) {
        float weight = (float)(i + 1), away = x->data[i] - 0.3f;
        a->value.data[0] -= weight * away * away;
        seed->data[i] = -2 * weight * away;
    }
    return seed != NULL;
}

/* The mean distance from the top after so many steps. */
static double climb(ascent_method method, double rate, int steps)
{
    int top, i;
    cnv_net *net = smooth_net(&top);
    ascent_unit units[2];
    ascent a = some_ascent(net, top, units);
    double away = 0;
    a.objective = hill, a.upto = 0, a.method = method, a.rate = rate;
    CHECK(ascent_start(&a, 1, 4, 5, 0), "%s", cnv_error());
    for (i = 0; i < steps; i++) CHECK(ascent_step(&a), "%s", cnv_error());
    for (i = 0; i < 60; i++) away += fabs((double)a.z.data[i] - 0.3) / 60;
    ascent_end(&a), cnv_net_free(net);
    return away;
}

static void test_optimizers(void)
{
    double plain = climb(ASCENT_PLAIN, 0.01, 100), momentum = climb(ASCENT_MOMENTUM, 0.001, 300);
    double adam = climb(ASCENT_ADAM, 0.01, 200), lbfgs = climb(ASCENT_LBFGS, 0.01, 30);
    double early = climb(ASCENT_LBFGS, 0.01, 5);
    CHECK(plain < 0.03, "plain steps end %g away", plain);
    CHECK(momentum < 0.02, "momentum ends %g away", momentum);
    CHECK(adam < 0.005, "Adam ends %g away", adam);
    CHECK(lbfgs < 1e-4, "L-BFGS ends %g away", lbfgs);
    CHECK(early < 0.1, "L-BFGS ends %g away after 5 steps", early);
}

/* Adam's first step is as long as the rate in every coordinate, whatever the slope: its means are
   corrected for their start at 0. After many, on an even slope, steps are still that long. */
static void test_adam_correction(void)
{
    double first = climb(ASCENT_ADAM, 0.01, 1), third = climb(ASCENT_ADAM, 0.01, 3);
    CHECK(fabs(first - 0.19) < 1e-5, "from 0.2, the first step ends %g away", first);
    CHECK(fabs(third - 0.17) < 5e-4, "from 0.2, the third step ends %g away", third);
}

/* Decay, blur and clipping leave what they should. */
static void test_regularizers(void)
{
    int top, i, grey = 0;
    cnv_net *net = smooth_net(&top);
    ascent_unit units[2];
    ascent a = some_ascent(net, top, units);
    double before, after;
    CHECK(ascent_start(&a, 2, 8, 8, 0.05), "%s", cnv_error());
    a.rate = 0, a.decay = 0.25, before = (double)a.z.data[5];
    CHECK(ascent_step(&a), "%s", cnv_error());
    CHECK(fabs((double)a.z.data[5] - 0.5 - 0.75 * (before - 0.5)) < 1e-6, "decay");
    a.decay = 0, a.clip_norm = 0.5;
    CHECK(ascent_step(&a), "%s", cnv_error());
    for (i = 0; i < 64; i++) grey += a.z.data[i] == 0.5f && a.z.data[i + 64] == 0.5f;
    CHECK(grey >= 30 && grey <= 33, "%d of 64 pixels are grey", grey);
    a.clip_norm = 0, before = cnv_dot(&a.z, &a.z) - 0.25 * 2 * 3 * 64;
    a.blur = 2, a.blur_every = 1;
    CHECK(ascent_step(&a) && ascent_step(&a), "%s", cnv_error());
    after = cnv_dot(&a.z, &a.z) - 0.25 * 2 * 3 * 64;
    CHECK(fabs(after) < fabs(before), "blurred %g, before %g", after, before);
    ascent_end(&a), cnv_net_free(net);
}

/* log P is the softmax's, its seed is onehot - P, and it keeps a slope where P rounds to 1. */
static void test_log_p(void)
{
    const float logits[2][4] = {{1, 2, 0.5f, -1}, {-3, 40, 0, 2}};
    cnv_net *net = cnv_net_new();
    int top = cnv_input(net, 4), classes[2] = {2, 1}, i, c;
    example e = {0};
    ascent a;
    cnv_tensor x = cnv_tensor_view((float *)logits, 2, 4, 1, 1), *seed;
    e.net = net;
    a = ascent_of(&e, top, ascent_log_p, classes);
    CHECK(cnv_forward(net, &x, top) && cnv_tensor_resize(&a.value, 2, 1, 1, 1) &&
          ascent_log_p(&a, classes), "%s", cnv_error());
    seed = &net->nodes[top].grad;
    for (i = 0; i < 2; i++) {
        double sum = 0, others = 0;
        for (c = 0; c < 4; c++) sum += exp((double)logits[i][c]);
        for (c = 0; c < 4; c++) {
            double p = exp((double)logits[i][c]) / sum;
            if (c != classes[i]) others += p;
            if (c != classes[i]) CHECK(fabs((double)seed->data[4 * i + c] + p) < 1e-5 * p,
                                       "image %d, class %d: %g, P %g", i, c,
                                       (double)seed->data[4 * i + c], p);
        }
        CHECK(fabs((double)seed->data[4 * i + classes[i]] / others - 1) < 1e-5,
              "image %d: %g of the class, %g of the others", i,
              (double)seed->data[4 * i + classes[i]], others);
        CHECK(fabs((double)a.value.data[i] - (double)logits[i][classes[i]] + log(sum)) < 1e-6,
              "image %d: log P %g", i, (double)a.value.data[i]);
    }
    cnv_tensor_free(&a.value), ascent_end(&a), cnv_net_free(net);
}

/* Tied pixels stay equal, and their slope is the mean of what each would have by itself. */
static void test_ties(void)
{
    enum { H = 6, W = 5 };
    int top, i, p, tie[H * W];
    cnv_net *net = smooth_net(&top);
    ascent_unit units[2];
    ascent a = some_ascent(net, top, units);
    cnv_tensor slope = {0};
    for (i = 0; i < H * W; i++) tie[i] = i / W;
    CHECK(ascent_start(&a, 2, H, W, 0) && ascent_gradient(&a) && cnv_tensor_copy(&a.grad, &slope),
          "%s", cnv_error());
    a.tie = tie;
    CHECK(ascent_step(&a), "%s", cnv_error());
    for (p = 0; p < 6 * H; p++) {
        double mean = 0;
        for (i = 0; i < W; i++) mean += (double)slope.data[p * W + i] / W;
        for (i = 0; i < W; i++) {
            CHECK(fabs((double)a.grad.data[p * W + i] - mean) < 1e-6, "row %d: %g, mean %g", p,
                  (double)a.grad.data[p * W + i], mean);
            CHECK(a.z.data[p * W + i] == a.z.data[p * W], "row %d is torn", p);
        }
    }
    CHECK(cnv_dot(&a.grad, &a.grad) > 0, "nothing moves");
    cnv_tensor_free(&slope), ascent_end(&a), cnv_net_free(net);
}

/* Steps of signs stay in the ball, reach its surface, and go where momentum says. */
static void test_ball(void)
{
    int top, i, step, size = 2 * 3 * 6 * 5, inside = 0;
    cnv_net *net = smooth_net(&top);
    ascent_unit units[2];
    ascent a = some_ascent(net, top, units);
    cnv_tensor start = {0}, before = {0}, sum = {0};
    units[0].x = 1;
    CHECK(ascent_start(&a, 2, 6, 5, 0.05) && cnv_tensor_copy(&a.z, &start) &&
          cnv_tensor_copy(&a.z, &sum), "%s", cnv_error());
    a.method = ASCENT_SIGN, a.momentum = 0.5, a.rate = 0.01, a.around = &start, a.reach = 0.02;
    for (step = 0; step < 6; step++) {
        CHECK(cnv_tensor_copy(&a.z, &before) && ascent_step(&a), "%s", cnv_error());
        for (i = 0; i < size; i++) {
            double mean = 0, g = (double)a.grad.data[i], m, to;
            int k, first = i / (size / 2) * (size / 2);
            for (k = 0; k < size / 2; k++)
                mean += fabs((double)a.grad.data[first + k]) / (size / 2);
            m = 0.5 * (step ? (double)sum.data[i] : 0) + g / mean, sum.data[i] = (float)m;
            to = (double)before.data[i] + (m > 0 ? 0.01 : m < 0 ? -0.01 : 0);
            to = fmin((double)start.data[i] + 0.02, fmax((double)start.data[i] - 0.02, to));
            CHECK(fabs((double)a.z.data[i] - to) < 1e-6, "step %d, number %d: %g, not %g", step, i,
                  (double)a.z.data[i], to);
        }
    }
    for (i = size / 2; i < size; i++) inside += fabsf(a.z.data[i] - start.data[i]) < 0.0199f;
    CHECK(inside < 9, "%d of %d numbers have not reached the surface", inside, size / 2);
    cnv_tensor_free(&start), cnv_tensor_free(&before), cnv_tensor_free(&sum);
    ascent_end(&a), cnv_net_free(net);
}

/* Upside down, and each picture darker than the one before. */
static int hang(ascent *a, void *camera, int back, cnv_tensor *x, cnv_tensor *y)
{
    int n, i, size = 3 * x->h * x->w;
    for (n = 0; n < x->n; n++)
        for (i = 0; i < size; i++) {
            float dim = *(float *)camera / (float)(n + 1), *up = x->data + n * size + i;
            float *down = y->data + (n + 1) * size - 1 - i;
            if (back) *up = dim * *down;
            else *down = dim * *up;
        }
    return a != NULL;
}

/* The gradient through a view of one's own, and that of one picture in two views: their mean. */
static void test_views(int together)
{
    enum { SIZE = 3 * 6 * 5 };
    int top, i, n;
    cnv_net *net = smooth_net(&top);
    ascent_unit units[2];
    ascent a = some_ascent(net, top, units);
    cnv_tensor slope = {0};
    cnv_rng rng = cnv_rng_seed(3);
    float dim = 0.7f;
    units[0].x = 1;
    a.view = hang, a.camera = &dim, a.together = together;
    CHECK(ascent_start(&a, 2, 6, 5, 0.1), "%s", cnv_error());
    if (together) memcpy(a.z.data + SIZE, a.z.data, SIZE * sizeof(float));
    value_at(&a, rng);
    CHECK(cnv_tensor_copy(&a.grad, &slope), "%s", cnv_error());
    for (i = 0; i < (together ? 1 : 2) * SIZE; i++) {
        double step = 1.0 / 64, up, down;
        float was = a.z.data[i];
        for (n = 0; n <= together; n++) a.z.data[n * SIZE + i] = was + (float)step;
        up = value_at(&a, rng);
        for (n = 0; n <= together; n++) a.z.data[n * SIZE + i] = was - (float)step;
        down = value_at(&a, rng);
        for (n = 0; n <= together; n++) a.z.data[n * SIZE + i] = was;
        up /= 1 + together, down /= 1 + together;
        CHECK(fabs((up - down) / (2 * step) - (double)slope.data[i]) <
              0.02 * fabs((double)slope.data[i]) + 1e-4, "together %d, number %d: slope %g, "
              "difference quotient %g", together, i, (double)slope.data[i],
              (up - down) / (2 * step));
        CHECK(!together || slope.data[i] == slope.data[SIZE + i], "apart");
    }
    CHECK(cnv_dot(&slope, &slope) > 1e-4, "no slope");
    cnv_tensor_free(&slope), ascent_end(&a), cnv_net_free(net);
}

/* Mixed: M M^T times the slope. Softened: plus twice its blur. */
static void test_mix_and_soften(void)
{
    static const double mix[3][3] = {{0.84, 0.53, 0.09}, {0.74, -0.13, -0.30}, {0.79, -0.45, 0.19}};
    int top, i, c, d, k, h = 9, w = 7;
    cnv_net *net = smooth_net(&top);
    ascent_unit units[2];
    ascent a = some_ascent(net, top, units);
    cnv_tensor slope = {0}, blurred = {0};
    CHECK(ascent_start(&a, 2, h, w, 0.1) && ascent_gradient(&a) && cnv_tensor_copy(&a.grad, &slope),
          "%s", cnv_error());
    a.mix = 1;
    CHECK(ascent_gradient(&a), "%s", cnv_error());
    for (i = 0; i < 2 * h * w; i++)
        for (c = 0; c < 3; c++) {
            int at = i / (h * w) * 3 * h * w + i % (h * w);
            double sum = 0, got = (double)a.grad.data[at + c * h * w];
            for (d = 0; d < 3; d++)
                for (k = 0; k < 3; k++)
                    sum += mix[c][k] * mix[d][k] * (double)slope.data[at + d * h * w];
            CHECK(fabs(got - sum) < 1e-6, "colour %d of pixel %d: %g, not %g", c, i, got, sum);
        }
    a.mix = 0, a.soften = 1.5;
    CHECK(ascent_gradient(&a) && cnv_blur(&slope, 1.5, &blurred), "%s", cnv_error());
    for (i = 0; i < 2 * 3 * h * w; i++)
        CHECK(fabsf(a.grad.data[i] - slope.data[i] - 2 * blurred.data[i]) < 1e-6f, "soft: %g",
              (double)a.grad.data[i]);
    cnv_tensor_free(&slope), cnv_tensor_free(&blurred), ascent_end(&a), cnv_net_free(net);
}

/* Pixels decay to their home. */
static void test_home(void)
{
    int top, i;
    cnv_net *net = smooth_net(&top);
    ascent_unit units[2];
    ascent a = some_ascent(net, top, units);
    cnv_tensor home = {0}, before = {0};
    CHECK(ascent_start(&a, 2, 6, 6, 0.1) && cnv_tensor_copy(&a.z, &home), "%s", cnv_error());
    CHECK(ascent_start(&a, 2, 6, 6, 0.1) && cnv_tensor_copy(&a.z, &before), "%s", cnv_error());
    a.home = &home, a.decay = 0.25, a.rate = 0;
    CHECK(ascent_step(&a), "%s", cnv_error());
    for (i = 0; i < 2 * 3 * 36; i++)
        CHECK(fabsf(a.z.data[i] - 0.25f * home.data[i] - 0.75f * before.data[i]) < 1e-6f, "%g",
              (double)a.z.data[i]);
    cnv_tensor_free(&home), cnv_tensor_free(&before), ascent_end(&a), cnv_net_free(net);
}

int main(void)
{
    test_units();
    test_mix_and_soften();
    test_home();
    test_log_p();
    test_ties();
    test_cosines();
    test_gradient(0, 0, 1, 0, 0);
    test_gradient(0, 3, 1.3, 20, 0);
    test_gradient(0, 0, 1, 0, 0.5);
    test_gradient(1, 0, 1, 0, 0);
    test_gradient(1, 3, 1.3, 20, 0.5);
    test_views(0);
    test_views(1);
    test_ball();
    test_optimizers();
    test_adam_correction();
    test_regularizers();
    return check_report();
}
