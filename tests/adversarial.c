/* adversarial.c: attacks stay in their ball after rounding to 8 bits, still fool when their file
   has been read back, and work where controls of the same size do not.

       cc -O2 -fopenmp tests/adversarial.c -o build/adversarial -lm && build/adversarial     */
#ifdef __has_include
#if __has_include(<stb/stb_image.h>)
#define STBI_ONLY_PNG
#define STB_IMAGE_IMPLEMENTATION /* reads PNG */
#include <stb/stb_image.h>
#endif
#endif
#define EXAMPLE_NO_MAIN
#include "../examples/fgsm.c"
#include "../examples/targeted.c"
#include "../examples/fooling.c"
#include "../examples/transfer.c"
#include "../examples/physical.c"
#include "check.h"

/* ---- Identities ---- */

static double loss(cnv_net *net, int logits, const cnv_tensor *x, int label)
{
    const cnv_tensor *out = &net->nodes[logits].out;
    double sum = 0;
    int c;
    CHECK(cnv_forward(net, x, logits), "%s", cnv_error());
    for (c = 0; c < out->c; c++) sum += exp((double)out->data[c] - (double)out->data[label]);
    return log(sum);
}

/* attack_slope is the difference quotient of J = -log P, picture by picture in a batch. */
static void test_slope(void)
{
    cnv_net *net = cnv_net_new();
    int x = cnv_tanh(net, cnv_conv2d(net, cnv_input(net, 3), "conv", 5, 3, 1, 1)), n, i;
    int logits = cnv_linear(net, x, "logits", 5 * 64, 4), labels[2] = {3, 1};
    cnv_tensor images = {0}, slope = {0};
    cnv_rng rng = cnv_rng_seed(2);
    const double step = 1.0 / 64;
    CHECK(cnv_init(net, 1) && cnv_tensor_resize(&images, 2, 3, 8, 8), "%s", cnv_error());
    for (i = 0; i < 2 * 192; i++) images.data[i] = (float)cnv_uniform(&rng);
    CHECK(attack_slope(net, logits, &images, labels, &slope), "%s", cnv_error());
    for (n = 0; n < 2; n++)
        for (i = 0; i < 192; i += 11) {
            cnv_tensor one = cnv_tensor_image(&images, n);
            float was = one.data[i];
            double up, down, its = (double)cnv_tensor_image(&slope, n).data[i];
            one.data[i] = was + (float)step, up = loss(net, logits, &one, labels[n]);
            one.data[i] = was - (float)step, down = loss(net, logits, &one, labels[n]);
            one.data[i] = was;
            CHECK(fabs((up - down) / (2 * step) - its) < 0.01 * fabs(its) + 1e-4,
                  "picture %d, number %d: slope %g, difference quotient %g", n, i, its,
                  (up - down) / (2 * step));
        }
    cnv_tensor_free(&images), cnv_tensor_free(&slope), cnv_net_free(net);
}

/* Every number is a level of 255, in [0,1], and at most eps levels away: counted in integers. */
static void check_ball(const cnv_tensor *clean, const cnv_tensor *x, int eps, const char *what)
{
    size_t i, wrong = 0, moved = 0;
    for (i = 0; i < cnv_tensor_size(x); i++) {
        long from = lrint(255.0 * (double)clean->data[i]), to = lrint(255.0 * (double)x->data[i]);
        wrong += x->data[i] != (float)to / 255 || to < 0 || to > 255 || labs(to - from) > eps;
        moved += to != from;
    }
    CHECK(wrong == 0, "%s: %.0f numbers outside the ball of %d", what, (double)wrong, eps);
    CHECK(moved > 0 || !eps, "%s: nothing has moved", what);
}

/* attack_sign by hand, at the edges of [0,1]. */
static void test_sign(void)
{
    float clean[6] = {0, 1, 0.4f, 0.4f, 0.4f, 0.4f}, slope[6] = {-1, 1, 2, -3, 0, 1e-30f};
    float want[6] = {0, 255, 104, 100, 102, 104};
    cnv_tensor c = cnv_tensor_view(clean, 1, 1, 1, 6), g = cnv_tensor_view(slope, 1, 1, 1, 6);
    cnv_tensor x = {0};
    int i;
    CHECK(attack_sign(&c, &g, 2, &x), "%s", cnv_error());
    for (i = 0; i < 6; i++) CHECK(x.data[i] == want[i] / 255, "%d: %g", i, (double)x.data[i]);
    CHECK(attack_size(&c, &x) == 255 * (double)(104 / 255.0f - 0.4f), "%g", attack_size(&c, &x));
    CHECK(attack_sign(&c, &g, -2, &x) && x.data[2] == 100 / 255.0f, "down: %g", (double)x.data[2]);
    cnv_tensor_free(&x);
}

static camera_shot still_shot(void)
{
    camera_shot t;
    memset(&t, 0, sizeof t);
    t.turn[0] = t.gain = 1, t.rng = cnv_rng_seed(1);
    return t;
}

/* A photograph from in front, in plain light, is the picture. */
static void test_still(const cnv_tensor *x)
{
    camera_shot t = still_shot();
    cnv_tensor seen = {0}, from = *x;
    int i;
    CHECK(cnv_tensor_copy(x, &seen) && camera_shoot(&t, &from, &seen), "%s", cnv_error());
    for (i = 0; i < 1200; i++)
        CHECK(fabsf(seen.data[i] - x->data[i]) < 1e-6f, "number %d: %g, %g", i,
              (double)seen.data[i], (double)x->data[i]);
    t.offset = 0.1, t.gain = 0.5, t.shift[0] = 1;
    CHECK(camera_shoot(&t, &from, &seen), "%s", cnv_error());
    CHECK(fabs((double)seen.data[45] - 0.5 * (double)x->data[46] - 0.1) < 1e-6, "light or shift");
    t = still_shot(), t.noise = 0.05;
    CHECK(camera_shoot(&t, &from, &seen), "%s", cnv_error());
    cnv_add_scaled(-1, x, &seen);
    CHECK(fabs(sqrt(cnv_dot(&seen, &seen) / 1200) - 0.05) < 0.005, "noise of %g",
          sqrt(cnv_dot(&seen, &seen) / 1200));
    cnv_tensor_free(&seen);
}

/* <photo(x), y> = <x, back(y)> where nothing is clipped and no border seen. */
static void test_camera(void)
{
    camera_shot t = still_shot();
    cnv_tensor x = {0}, seen = {0}, y = {0}, sum = {0};
    cnv_rng rng = cnv_rng_seed(5);
    double left, right;
    int i;
    CHECK(cnv_tensor_resize(&x, 1, 3, 20, 20) && cnv_tensor_resize(&y, 1, 3, 20, 20), "%s",
          cnv_error());
    for (i = 0; i < 1200; i++) x.data[i] = (float)(0.2 + 0.6 * cnv_uniform(&rng));
    test_still(&x);
    for (i = 0; i < 1200; i++) {
        int at = i % 400, edge = at < 60 || at >= 340 || at % 20 < 3 || at % 20 > 16;
        y.data[i] = edge ? 0 : (float)cnv_normal(&rng); /* the blur mirrors at the borders */
    }
    t.turn[0] = 0.7, t.turn[1] = 0.2, t.shift[0] = 1.5, t.shift[1] = -2.25;
    t.tilt[0] = 0.01, t.tilt[1] = -0.008, t.blur = 0.6, t.gain = 0.9;
    CHECK(cnv_tensor_copy(&x, &seen) && cnv_tensor_copy(&x, &sum) &&
          camera_shoot(&t, &x, &seen), "%s", cnv_error());
    left = cnv_dot(&seen, &y);
    CHECK(camera_back(&t, &seen, &y, &sum), "%s", cnv_error());
    right = cnv_dot(&x, &sum);
    CHECK(fabs(left - right) < 1e-4 * sqrt(cnv_dot(&x, &x)), "%g, adjoint %g", left, right);
    cnv_tensor_fill(&seen, 1), cnv_tensor_fill(&y, 1);
    CHECK(camera_back(&t, &seen, &y, &sum) && cnv_dot(&sum, &sum) == 0, "slope where clipped");
    cnv_tensor_free(&x), cnv_tensor_free(&seen), cnv_tensor_free(&y), cnv_tensor_free(&sum);
}

/* ---- The pass lines, on the shipped network ---- */

/* What is saved is what is read; a sheet of pictures is cut where it was joined. */
static void test_file(example *e, const cnv_tensor *x)
{
    cnv_tensor again = {0};
    e->out = "build/adversarial.png";
    CHECK(cnv_tensor_copy(x, &again), "%s", cnv_error());
    attack_reload(e, "test", &again);
    CHECK(!memcmp(again.data, x->data, cnv_tensor_size(x) * sizeof(float)), "PPM changes pixels");
#ifdef STBI_VERSION
    again = (cnv_tensor){0};
    {
        cnv_tensor one = cnv_tensor_image(x, 0);
        CHECK(cnv_image_save(e->out, &one) && cnv_image_load(e->out, &again), "%s", cnv_error());
        CHECK(!memcmp(again.data, one.data, cnv_tensor_size(&one) * sizeof(float)),
              "PNG changes pixels");
    }
#endif
    cnv_tensor_free(&again);
}

/* The pictures to attack are those that the network answers with their own classes. */
static void test_pictures(const example *e, const dataset *d)
{
    dataset all = dataset_of(e, d->n + d->n / 8 + 8);
    size_t bytes = dataset_image_bytes(d);
    cnv_tensor one = {0};
    int i, k = 0;
    for (i = 0; i < all.n && k < d->n; i++) {
        dataset_batch(e, &all, i, 1, &one);
        if (!attack_count(e, &one, all.labels + i)) continue;
        CHECK(d->labels[k] == all.labels[i] && !memcmp(d->pixels + (size_t)k * bytes,
              all.pixels + (size_t)i * bytes, bytes), "picture %d is not the next right one", k);
        k++;
    }
    CHECK(k == d->n && k < i, "%d of %d pictures, %d right", k, i, d->n);
    cnv_tensor_free(&one), dataset_free(&all);
}

static void test_fgsm(example *e, const dataset *d)
{
    static const int eps[4] = {0, 2, 8, 16};
    double right[2][4];
    cnv_tensor clean = {0}, x = {0}, again = {0};
    const int *labels = d->labels;
    int k, fooled;
    dataset_batch(e, d, 0, ATTACK_BATCH, &clean);
    for (k = 0; k < 4; k++) {
        CHECK(fgsm(e->net, e->logits, &clean, labels, eps[k], &x), "%s", cnv_error());
        check_ball(&clean, &x, eps[k], "fgsm");
    }
    fooled = attack_count(e, &x, labels);
    test_file(e, &x);
    CHECK(cnv_tensor_copy(&x, &again), "%s", cnv_error());
    attack_reload(e, "test", &again);
    CHECK(attack_count(e, &again, labels) == fooled, "read back, the file fools otherwise");
    attack_sweep(e, d, 0, e->net, e->logits, eps, 4, right[0]);
    attack_sweep(e, d, 0, NULL, 0, eps, 4, right[1]);
    printf("FGSM, %d pictures: right at 2, 8, 16/255: %.3f %.3f %.3f; random signs %.3f %.3f "
           "%.3f\n", d->n, right[0][1], right[0][2], right[0][3], right[1][1], right[1][2],
           right[1][3]);
    CHECK(right[0][0] == 1 && right[1][0] == 1, "eps 0 changes answers");
    CHECK(right[0][2] < 0.3 && right[1][2] > 0.9, "attacked %.3f, random %.3f", right[0][2],
          right[1][2]);
    CHECK(right[0][1] > right[0][2] && right[0][2] > right[0][3], "no fall with eps");
    cnv_tensor_free(&clean), cnv_tensor_free(&x), cnv_tensor_free(&again);
}

static void test_targeted(const example *e, const dataset *d, int *targets)
{
    targeted_setting once = {8, 1, 0}, many = {8, 10, 0.5}, wide = {12, 10, 0.5};
    cnv_tensor clean = {0}, x = {0}, slope = {0}, by_hand = {0};
    double success[3];
    dataset_batch(e, d, 0, ATTACK_BATCH, &clean);
    CHECK(targeted(e, &clean, targets, &many, &x), "%s", cnv_error());
    check_ball(&clean, &x, 8, "targeted");
    CHECK(targeted(e, &clean, targets, &once, &x) &&
          attack_slope(e->net, e->logits, &clean, targets, &slope) &&
          attack_sign(&clean, &slope, -8, &by_hand), "%s", cnv_error());
    CHECK(!memcmp(x.data, by_hand.data, cnv_tensor_size(&x) * sizeof(float)),
          "one step is not FGSM's");
    success[0] = targeted_success(e, d, targets, &once);
    success[1] = targeted_success(e, d, targets, &many);
    success[2] = targeted_success(e, d, targets, &wide);
    printf("Targeted, %d pictures: FGSM %.3f, steps at 8/255 %.3f, at 12/255 %.3f\n", d->n,
           success[0], success[1], success[2]);
    CHECK(success[1] >= success[0] && success[2] >= success[1], "steps below FGSM");
    CHECK(success[2] >= 0.95, "%.3f at 12/255", success[2]);
    cnv_tensor_free(&clean), cnv_tensor_free(&x), cnv_tensor_free(&slope);
    cnv_tensor_free(&by_hand);
}

static void test_fooling(const example *e)
{
    int tie[TOY_SIDE * TOY_SIDE], kind, c, i, sure, chance;
    cnv_rng rng = cnv_rng_seed(17);
    cnv_tensor start = {0}, x = {0};
    for (kind = 0; kind < FOOLING_KINDS; kind++) {
        fooling_ties(kind, TOY_SIDE, TOY_SIDE, tie);
        for (c = sure = 0; c < e->classes; c++) {
            CHECK(fooling_start(tie, TOY_SIDE, TOY_SIDE, &rng, &start) &&
                  fooling(e, &start, tie, c, 0.998, 200, &x) &&
                  cnv_forward(e->net, &x, e->logits), "%s", cnv_error());
            sure += example_probability(e, c) >= 0.996;
            for (i = 0; i < 3 * TOY_SIDE * TOY_SIDE; i++) {
                int plane = i / (TOY_SIDE * TOY_SIDE) * TOY_SIDE * TOY_SIDE, first;
                for (first = 0; tie[first] != tie[i - plane];) first++;
                if (x.data[i] != x.data[plane + first]) break;
            }
            CHECK(i == 3 * TOY_SIDE * TOY_SIDE, "%s of class %d are torn", fooling_names[kind], c);
        }
        chance = fooling_by_chance(e, tie, TOY_SIDE, 20);
        printf("Fooling by %s: %d of %d classes; by chance %d\n", fooling_names[kind], sure,
               e->classes, chance);
        CHECK(sure >= 10, "%s: %d", fooling_names[kind], sure);
        CHECK(chance < 10, "%s reach it anyway", fooling_names[kind]);
    }
    cnv_tensor_free(&start), cnv_tensor_free(&x);
}

static void test_transfer(const example *e, const dataset *d)
{
    static const int eps[2] = {24, 32};
    int first = d->n - 200, k;
    double by_substitute[2], by_chance[2];
    substitute a;
    transfer(e, d, first, 3, &a);
    attack_sweep(e, d, first, a.net, a.logits, eps, 2, by_substitute);
    attack_sweep(e, d, first, NULL, 0, eps, 2, by_chance);
    for (k = 0; k < 2; k++) {
        double changed = 1 - by_substitute[k], random = 1 - by_chance[k];
        printf("Transfer at %d/255, %d questions: %.3f of the answers change, random signs %.3f\n",
               eps[k], a.n, changed, random);
        CHECK(k == 0 || (changed >= 3 * random && changed >= 0.1), "%.3f, random signs %.3f",
              changed, random);
    }
    substitute_end(&a);
}

static void test_physical(const example *e, dataset *d, const int *targets)
{
    physical_setting set = {14, 40, 12};
    cnv_tensor clean = {0}, x = {0};
    double share[4];
    dataset_batch(e, d, 0, 1, &clean);
    CHECK(physical(e, &clean, targets[0], &set, 1, &x), "%s", cnv_error());
    check_ball(&clean, &x, set.eps, "physical");
    cnv_tensor_free(&clean), cnv_tensor_free(&x);
    d->n = 8;
    physical_measure(e, d, targets, &set, 25, share);
    printf("Physical: %.3f over photographs, %.3f plain, %.3f clean; clean ones right %.3f\n",
           share[0], share[1], share[2], share[3]);
    CHECK(share[0] >= 0.8, "%.3f", share[0]);
    CHECK(share[0] >= 2 * share[1], "%.3f, plain steps %.3f", share[0], share[1]);
    CHECK(share[2] < 0.1, "clean pictures are taken for the target: %.3f", share[2]);
}

int main(int argc, char **argv)
{
    char *arguments[3] = {argv[0], (char *)"--weights", NULL};
    example e;
    dataset d;
    int *targets;
    arguments[2] = argc > 1 ? argv[1] : (char *)example_data("toynet.safetensors");
    test_slope();
    test_sign();
    test_camera();
    e = example_begin(3, arguments, "attacks", NULL, "");
    attack_pictures(&e, 128, &d);
    targets = attack_draw(&e, &d);
    test_pictures(&e, &d);
    test_fgsm(&e, &d);
    d.n = 64;
    test_targeted(&e, &d, targets);
    test_fooling(&e);
    test_physical(&e, &d, targets);
    free(targets), dataset_free(&d);
    attack_pictures(&e, 1200, &d);
    test_transfer(&e, &d);
    dataset_free(&d), example_end(&e);
    return check_report();
}
