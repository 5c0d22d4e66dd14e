/* classmax.c: the pass lines of class_max with their negative controls, on the network that small
   changes do not fool and, as a control, on the ordinary one; and what makes it robust: pushing
   pictures up the slope of the loss.

       cc -O2 -fopenmp tests/classmax.c -o build/classmax -lm && build/classmax     */
#define EXAMPLE_NO_MAIN
#include "../examples/class_max.c"
#include "../examples/robust.h"

#include "check.h"

static double distance(const cnv_tensor *a, const cnv_tensor *b)
{
    size_t i;
    double sum = 0;
    for (i = 0; i < cnv_tensor_size(a); i++) sum += pow((double)(a->data[i] - b->data[i]), 2);
    return sqrt(sum);
}

/* Half of the radius at first, along the slope; never further than the radius, nor out of [0,1]. */
static void check_push(void)
{
    cnv_tensor clean = {0}, x = {0}, slope = {0};
    cnv_rng rng = cnv_rng_seed(5);
    double radius = 0.4, noise = 0.4 / sqrt(192) * 255, along = 0, low, high;
    int i, turn, size = 2 * 3 * 8 * 8;
    CHECK(cnv_tensor_resize(&clean, 2, 3, 8, 8) && cnv_tensor_resize(&slope, 2, 3, 8, 8), "size");
    for (i = 0; i < size; i++) {
        clean.data[i] = (float)(0.4 + 0.2 * cnv_uniform(&rng));
        slope.data[i] = (float)(100 * cnv_normal(&rng));
    }
    CHECK(cnv_tensor_copy(&clean, &x), "%s", cnv_error());
    robust_push(&slope, &clean, noise, &x);
    for (i = 0; i < 2; i++) {
        cnv_tensor from = cnv_tensor_image(&clean, i), to = cnv_tensor_image(&x, i);
        cnv_tensor g = cnv_tensor_image(&slope, i);
        along = (cnv_dot(&g, &to) - cnv_dot(&g, &from)) / sqrt(cnv_dot(&g, &g));
        CHECK(fabs(distance(&from, &to) - radius / 2) < 1e-4, "moved %g", distance(&from, &to));
        CHECK(fabs(along - radius / 2) < 1e-4, "moved %g along the slope", along);
    }
    for (turn = 0; turn < 5; turn++) robust_push(&slope, &clean, noise, &x);
    for (i = 0; i < 2; i++) {
        cnv_tensor from = cnv_tensor_image(&clean, i), to = cnv_tensor_image(&x, i);
        CHECK(fabs(distance(&from, &to) - radius) < 1e-4, "ends %g away", distance(&from, &to));
    }
    for (turn = 0; turn < 5; turn++) robust_push(&slope, &clean, 1e4, &x);
    cnv_range(&x, &low, &high);
    CHECK(low == 0 && high == 1, "pixels from %g to %g", low, high);
    cnv_tensor_fill(&slope, 0);
    robust_push(&slope, &clean, noise, &x);
    for (i = 0; i < size; i++) CHECK(isfinite((double)x.data[i]), "no slope: %d", i);
    CHECK(fabs(robust_radius(255, &x) - sqrt(192)) < 1e-9, "%g", robust_radius(255, &x));
    cnv_tensor_free(&clean), cnv_tensor_free(&x), cnv_tensor_free(&slope);
}

/* The score of known probabilities: a network that hands on its input. */
static void check_score(void)
{
    cnv_net *net = cnv_net_new();
    const float logits[2][3] = {{2, 0, 1}, {0, -1, 3}};
    cnv_tensor x = cnv_tensor_view((float *)logits, 2, 3, 1, 1);
    double a = 1 + exp(2) + exp(1), b = 1 + exp(-1) + exp(3);
    example e = {0};
    class_score s;
    e.net = net, e.logits = cnv_input(net, 3);
    CHECK(class_score_of(&e, &x, 1, 0, &s), "%s", cnv_error());
    CHECK(fabs(s.mean - (1 / a + exp(3) / b) / 2) < 1e-6, "mean %g", s.mean);
    CHECK(fabs(s.least - 1 / a) < 1e-6, "least %g", s.least);
    CHECK(fabs(s.next - (exp(1) / a + 1 / b) / 2) < 1e-6, "next %g", s.next);
    cnv_net_free(net);
}

/* Noise has the strength of the picture, around the same grey. */
static void check_noise(void)
{
    cnv_tensor x = {0}, noise = {0}, grey = {0};
    cnv_rng rng = cnv_rng_seed(6);
    int i;
    CHECK(cnv_tensor_resize(&x, 1, 3, 32, 32) && cnv_tensor_copy(&x, &grey), "%s", cnv_error());
    for (i = 0; i < 3072; i++) x.data[i] = (float)cnv_uniform(&rng);
    cnv_tensor_fill(&grey, 0.5);
    CHECK(class_score_noise(&x, &noise), "%s", cnv_error());
    CHECK(fabs(distance(&noise, &grey) / distance(&x, &grey) - 1) < 0.05, "%g, %g",
          distance(&noise, &grey), distance(&x, &grey));
    CHECK(distance(&noise, &x) > distance(&x, &grey), "the noise is the picture");
    cnv_tensor_free(&x), cnv_tensor_free(&noise), cnv_tensor_free(&grey);
}

/* The share of `count` held-out scenes that are answered right after `turns` pushes, or after
   random ones. */
static double accuracy(const example *e, int count, double noise, int turns, int at_random)
{
    cnv_tensor clean = {0}, x = {0}, slope = {0};
    cnv_rng rng = cnv_rng_seed(8);
    int i, k, right = 0, labels[50];
    double loss;
    CHECK(cnv_tensor_resize(&clean, 50, 3, 64, 64), "%s", cnv_error());
    for (i = 0; i < count; i += 50) {
        for (k = 0; k < 50; k++) {
            toy_scene scene = toy_make(EXAMPLE_HELD_OUT + (unsigned)(i + k), NULL);
            toy_render(&scene, 64, cnv_tensor_image(&clean, k).data, NULL, NULL);
            labels[k] = scene.class_id;
        }
        CHECK(cnv_tensor_copy(&clean, &x) && cnv_tensor_copy(&clean, &slope), "%s", cnv_error());
        for (k = 0; k < turns; k++) {
            int p;
            CHECK(cnv_forward(e->net, &x, e->logits) &&
                  cnv_cross_entropy(&e->net->nodes[e->logits].out, labels, &loss,
                                    cnv_seed(e->net, e->logits)) &&
                  cnv_backward(e->net, 0), "%s", cnv_error());
            for (p = 0; at_random && p < (int)cnv_tensor_size(&slope); p++)
                slope.data[p] = (float)cnv_normal(&rng);
            robust_push(at_random ? &slope : &e->net->nodes[0].grad, &clean, noise, &x);
        }
        CHECK(cnv_forward(e->net, &x, e->logits), "%s", cnv_error());
        for (k = 0; k < 50; k++) right += example_answer(e, k) == labels[k];
    }
    cnv_tensor_free(&clean), cnv_tensor_free(&x), cnv_tensor_free(&slope);
    return (double)right / count;
}

/* Pushed to where it errs most, the robust network still answers right where the ordinary one does
   not; a random change of the same length does nothing to either. */
static void check_robust(const example *ordinary, const example *robust)
{
    double clean = accuracy(robust, 200, 0, 0, 0), pushed = accuracy(robust, 200, 2, 4, 0);
    double control = accuracy(ordinary, 200, 2, 4, 0), shaken = accuracy(robust, 200, 2, 4, 1);
    CHECK(clean >= 0.8, "the robust network gets %g of the scenes right", clean);
    CHECK(pushed > 2 * control, "pushed: robust %g, ordinary %g", pushed, control);
    CHECK(fabs(shaken - clean) < 0.05, "changed at random: %g, as they are %g", shaken, clean);
}

/* The pass lines: P of each picture's class as it is, and shifted; of noise; of the next class. */
static void check_pictures(const example *by, const class_style *style, cnv_tensor *pictures)
{
    cnv_tensor noise = {0};
    class_score own, shifted, chance;
    CHECK(class_max(by, style, 0, TOY_CLASSES, 64, pictures) &&
          class_score_noise(pictures, &noise) && class_score_of(by, pictures, 0, 0, &own) &&
          class_score_of(by, pictures, 0, 4, &shifted) &&
          class_score_of(by, &noise, 0, 0, &chance), "%s", cnv_error());
    CHECK(own.least >= 0.99, "%s: the least P is %g", style->name, own.least);
    CHECK(shifted.least >= 0.9, "%s: shifted, the least P is %g", style->name, shifted.least);
    CHECK(chance.mean < 0.2, "%s: of noise, P is %g", style->name, chance.mean);
    CHECK(own.next < 0.01, "%s: of the next class, P is %g", style->name, own.next);
    cnv_tensor_free(&noise);
}

/* What a network likes, so does a second one, which began with other weights and saw other scenes;
   but not noise in its place, nor as the next class. */
static void check_second(const example *second, const class_style *style,
                         const cnv_tensor *pictures)
{
    cnv_tensor noise = {0};
    class_score other, chance;
    CHECK(class_score_noise(pictures, &noise) &&
          class_score_of(second, pictures, 0, 0, &other) &&
          class_score_of(second, &noise, 0, 0, &chance), "%s", cnv_error());
    printf("%s: to the second network P >= %.3f, mean %.3f; of noise %.3f, next class %.3f\n",
           style->name, other.least, other.mean, chance.mean, other.next);
    CHECK(other.least >= 0.5, "%s: to the second network, the least P is %g", style->name,
          other.least);
    CHECK(chance.mean < 0.2 && other.next < 0.05, "%s: of noise, P is %g, of the next class %g",
          style->name, chance.mean, other.next);
    cnv_tensor_free(&noise);
}

/* The second network is one that has learned, and no copy of the first two. */
static void check_stranger(const example *second, const example *ordinary)
{
    double right = accuracy(second, 200, 0, 0, 0);
    const cnv_tensor *a = &second->net->params[0].value, *b = &ordinary->net->params[0].value;
    CHECK(right >= 0.85, "the second network gets %g of the scenes right", right);
    CHECK(cnv_tensor_size(a) != cnv_tensor_size(b) || distance(a, b) > 0, "the same filters");
}

/* The same seed gives the same pictures, and another one others. */
static void check_seed(const example *e)
{
    cnv_tensor a = {0}, b = {0}, c = {0};
    example other = *e;
    other.seed = e->seed + 1;
    CHECK(class_max(e, &class_styles[0], 3, 2, 4, &a) &&
          class_max(e, &class_styles[0], 3, 2, 4, &b) &&
          class_max(&other, &class_styles[0], 3, 2, 4, &c), "%s", cnv_error());
    CHECK(distance(&a, &b) == 0 && distance(&a, &c) > 0, "distances %g and %g", distance(&a, &b),
          distance(&a, &c));
    cnv_tensor_free(&a), cnv_tensor_free(&b), cnv_tensor_free(&c);
}

/* The styles of pixels find a picture for every class, too, on the ordinary network. */
static void check_styles(const example *ordinary)
{
    int i;
    for (i = 2; i < STYLES; i++) {
        cnv_tensor pictures = {0};
        class_score s;
        double low, high;
        CHECK(class_max(ordinary, &class_styles[i], 0, TOY_CLASSES, 32, &pictures) &&
              class_score_of(ordinary, &pictures, 0, 0, &s), "%s", cnv_error());
        cnv_range(&pictures, &low, &high);
        CHECK(s.mean >= 0.5, "%s: P %g", class_styles[i].name, s.mean);
        CHECK(low >= 0 && high <= 1, "pixels from %g to %g", low, high);
        cnv_tensor_free(&pictures);
    }
}

int main(void)
{
    char name[] = "classmax", *arguments[] = {name, NULL};
    example e = example_begin(1, arguments, "", NULL, "");
    example robust = class_score_network(&e, "robustnet", "robust.safetensors");
    example second = class_score_network(&e, "smallnet", "second.safetensors");
    cnv_tensor pictures = {0};
    check_push();
    check_score();
    check_noise();
    check_robust(&e, &robust);
    check_stranger(&second, &e);
    check_pictures(&robust, &class_styles[0], &pictures);
    check_second(&second, &class_styles[0], &pictures);
    check_pictures(&e, &class_styles[1], &pictures);
    check_second(&second, &class_styles[1], &pictures);
    check_seed(&e);
    check_styles(&e);
    cnv_tensor_free(&pictures);
    cnv_net_free(robust.net), cnv_net_free(second.net), example_end(&e);
    return check_report();
}
