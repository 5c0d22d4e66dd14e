/* concepts.c: dissection and TCAV. The t-test is that of the tables; IoU is what counting gives; a
   planted shortcut is found, random pictures are not; detectors vanish with other masks.

       cc -O2 -fopenmp tests/concepts.c -o build/concepts -lm && build/concepts               */
#define EXAMPLE_NO_MAIN
#include "../examples/dissection.c"
#include "../examples/tcav.c"
#include "check.h"

/* ---- Statistics ---- */

/* Student's table, two-sided: t, degrees of freedom, p. */
static void test_t_table(void)
{
    static const double table[][3] = {
        {12.706, 1, 0.05}, {2.571, 5, 0.05}, {4.032, 5, 0.01}, {1.812, 10, 0.10}, {2.086, 20, 0.05},
        {3.850, 20, 0.001}, {2.042, 30, 0.05}, {1.980, 120, 0.05}, {0, 7, 1}
    };
    size_t i;
    for (i = 0; i < sizeof table / sizeof *table; i++) {
        double p = statistics_tail(table[i][0], table[i][1]);
        CHECK(fabs(p - table[i][2]) < 0.002 * table[i][2] + 2e-5, "t = %g, f = %g: %g, not %g",
              table[i][0], table[i][1], p, table[i][2]);
    }
}

/* Against scipy.stats.ttest_ind(a, b, equal_var=False) of SciPy 1.10; and in normal samples with
   different sizes and variances p is even: below .05 in one of twenty. */
static void test_welch(void)
{
    static const double a[15] = {27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1,
                                 19.6, 19.0, 21.7, 21.4};
    static const double b[15] = {27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9,
                                 22.1, 22.9, 30.5, 24.4};
    double x[20], y[20];
    cnv_rng rng = cnv_rng_seed(5);
    int i, k, low = 0;
    CHECK(fabs(statistics_p(a, 15, b, 15) - 0.0080719382) < 1e-7, "%.10f",
          statistics_p(a, 15, b, 15));
    CHECK(fabs(statistics_p(b, 8, a, 15) - 0.0177682165) < 1e-7, "%.10f",
          statistics_p(b, 8, a, 15));
    CHECK(fabs(statistics_p(a, 15, a, 15) - 1) < 1e-9, "%g", statistics_p(a, 15, a, 15));
    for (k = 0; k < 400; k++) {
        for (i = 0; i < 20; i++) x[i] = cnv_normal(&rng), y[i] = 3 * cnv_normal(&rng);
        low += statistics_p(x, 20, y, 8) < 0.05;
    }
    CHECK(low > 5 && low < 37, "p < .05 in %d of 400", low);
    for (i = 0; i < 20; i++) x[i] = 1, y[i] = 0.5;
    CHECK(statistics_p(x, 20, x, 20) == 1 && statistics_p(x, 20, y, 20) == 0, "constants");
}

/* ---- Dissection ---- */

/* A map that is the mask of a part detects that, and what else lies there. */
static void test_a_mask_detects_itself(const example *e)
{
    static unsigned char parts[2][16 * 16];
    static dissection_unit unit[2];
    cnv_tensor map = {0};
    int i;
    CHECK(cnv_tensor_resize(&map, 1, 1, 16, 16), "%s", cnv_error());
    for (i = 0; i < 256; i++) {
        parts[0][i] = i % 16 < 5 ? TOY_WHEEL : i / 16 < 4 ? TOY_ROOF : TOY_NO_PART;
        parts[1][i] = i % 16 < 10 ? TOY_EYE : TOY_NO_PART;
        map.data[i] = parts[0][i] == TOY_WHEEL ? 2 : 1;
    }
    for (i = 0; i < 2; i++) {
        unit[i].threshold = 1.5;
        dissection_count(e, &map, parts[i], i ? TOY_FISH : TOY_CAR, 16, &unit[i]);
    }
    CHECK(unit[0].on == 80 && unit[0].both[TOY_WHEEL] == 80 && unit[0].both[TOY_ROOF] == 0 &&
          unit[0].both[TOY_PARTS + TOY_CAR] == 80, "%ld on the wheel", unit[0].both[TOY_WHEEL]);
    CHECK(unit[1].on == 80 && unit[1].both[TOY_EYE] == 80 && unit[1].both[TOY_WHEEL] == 0 &&
          unit[1].both[TOY_PARTS + TOY_FISH] == 80, "%ld on the eye", unit[1].both[TOY_EYE]);
    unit[0].threshold = 2;
    dissection_count(e, &map, parts[0], TOY_CAR, 16, &unit[0]);
    CHECK(unit[0].on == 80, "at the threshold is not above it");
    cnv_tensor_free(&map);
}

/* A network whose one channel is a colour: its threshold is the colour's quantile. */
static void test_quantiles(const example *e, const dataset *d)
{
    example one = *e;
    cnv_tensor images = {0};
    float quantile[3];
    int i, c, above[3] = {0};
    one.net = cnv_net_new();
    cnv_input(one.net, 3);
    units_quantiles(&one, d, 0, 0.1, quantile);
    dataset_batch(e, d, 0, d->n, &images);
    for (i = 0; i < (int)cnv_tensor_size(&images); i++) {
        c = i / (64 * 64) % 3;
        above[c] += images.data[i] > quantile[c];
    }
    for (c = 0; c < 3; c++)
        CHECK(fabs(above[c] / (64.0 * 64 * d->n) - 0.1) < 0.01, "channel %d: %g above %g", c,
              above[c] / (64.0 * 64 * d->n), (double)quantile[c]);
    cnv_net_free(one.net), cnv_tensor_free(&images);
}

/* The greatest IoU of the places of a channel above a level with any concept, by its definition;
   where the channel is a colour of the pictures. */
static double greatest_iou(const dataset *d, const cnv_tensor *images, int channel, double level,
                           const unsigned char *parts, int shift)
{
    double best = 0;
    int c, i, plane = d->side * d->side;
    for (c = 1; c < CONCEPTS; c++) {
        long both = 0, either = 0;
        for (i = 0; i < d->n * plane; i++) {
            int on = (double)cnv_tensor_channel(images, i / plane, channel).data[i % plane] > level;
            int of = (i + shift * plane) % (d->n * plane), part = parts[of];
            int is = c < TOY_PARTS ? part == c : part && d->labels[of / plane] == c - TOY_PARTS;
            both += on && is, either += on || is;
        }
        best = fmax(best, (double)both / (double)either);
    }
    return best;
}

static void test_iou(const example *e, const dataset *all)
{
    example one = *e;
    dataset d = *all;
    cnv_tensor images = {0};
    unsigned char *parts;
    double most = 0;
    int k, shift;
    d.n = 30, parts = units_parts(e, &d), one.net = cnv_net_new();
    cnv_input(one.net, 3);
    dataset_batch(e, &d, 0, d.n, &images);
    for (shift = 0; shift < 2; shift++) {
        dissection_unit *unit = dissection(&one, &d, 0, parts, shift);
        for (k = 0; k < 3; k++) {
            double iou = greatest_iou(&d, &images, k, unit[k].threshold, parts, shift);
            CHECK(fabs(unit[k].iou - iou) < 1e-12, "IoU %g, by counting %g", unit[k].iou, iou);
            most = fmax(most, iou);
        }
        free(unit);
    }
    CHECK(most > 0, "no colour has anything in common with a concept");
    free(parts), cnv_net_free(one.net), cnv_tensor_free(&images);
}

static void test_detectors(const example *e, const dataset *d)
{
    example untrained = *e;
    int node = cnv_find(e->net, "conv4"), n = e->net->nodes[node].channels, i, found[3];
    unsigned char *parts = units_parts(e, d);
    untrained.net = example_untrained(e);
    for (i = 0; i < 3; i++) {
        dissection_unit *unit = dissection(i < 2 ? e : &untrained, d, node, parts, i == 1);
        found[i] = dissection_detectors(unit, n, CONCEPTS);
        free(unit);
    }
    printf("%d of %d units of conv4 are detectors; with other pictures' masks %d; before training "
           "%d\n", found[0], n, found[1], found[2]);
    CHECK(found[0] >= n / 2, "%d detectors", found[0]);
    CHECK(found[1] == 0, "%d with the masks of other pictures", found[1]);
    CHECK(found[2] <= n / 20, "%d before training", found[2]);
    free(parts), cnv_net_free(untrained.net);
}

/* ---- TCAV ---- */

/* Two clouds that differ along one axis: the classifier's weights point along it. */
static void test_direction(void)
{
    enum { DIMS = 40, N = 200 };
    cnv_tensor a = {0}, b = {0}, slopes = {0};
    cnv_rng rng = cnv_rng_seed(2);
    float v[DIMS];
    double norm = 0, score[RUNS];
    int i, d;
    CHECK(cnv_tensor_resize(&a, N, DIMS, 1, 1) && cnv_tensor_resize(&b, N, DIMS, 1, 1) &&
          cnv_tensor_resize(&slopes, 4, DIMS, 1, 1), "%s", cnv_error());
    for (i = 0; i < N * DIMS; i++) {
        a.data[i] = (float)(cnv_normal(&rng) + (i % DIMS == 7 ? 4 : 0));
        b.data[i] = (float)cnv_normal(&rng);
    }
    tcav_direction(&a, &b, 3, v);
    for (d = 0; d < DIMS; d++) norm += (double)v[d] * (double)v[d];
    CHECK((double)v[7] / sqrt(norm) > 0.8, "cosine %g with the axis", (double)v[7] / sqrt(norm));
    cnv_tensor_fill(&slopes, 0);
    for (i = 0; i < 4; i++) cnv_tensor_image(&slopes, i).data[7] = i ? 1 : -1;
    CHECK(tcav(&a, &b, &slopes, 1, score), "out of memory");
    for (i = 0; i < RUNS; i++) CHECK(score[i] == 0.75, "score %g", score[i]);
    CHECK(tcav(&b, &a, &slopes, 1, score) && score[0] == 0.25, "the other way: %g", score[0]);
    cnv_tensor_free(&a), cnv_tensor_free(&b), cnv_tensor_free(&slopes);
}

/* A small step of a feature map changes the logit by its slope. */
static void test_slopes(const example *e, const dataset *d)
{
    int node = cnv_find(e->net, "relu5"), i, c = e->net->nodes[node].channels;
    const float *w = e->net->params[e->net->nodes[e->logits].param[0]].value.data;
    cnv_tensor slopes = {0};
    units_slopes(e, d, node, e->logits, 3, &slopes);
    CHECK(slopes.n == d->n && slopes.c == c, "%d x %d", slopes.n, slopes.c);
    for (i = 0; i < slopes.n * c; i++) /* the last layer is linear */
        CHECK(fabsf(slopes.data[i] - w[3 * c + i % c]) < 1e-6f, "slope %d", i);
    cnv_tensor_free(&slopes);
}

/* p of one concept's scores against those of random pictures. */
static double tcav_test(const cnv_tensor *concept, const cnv_tensor *others,
                        const cnv_tensor *slopes, uint64_t seed, double *mean)
{
    double score[RUNS], reference[RUNS];
    CHECK(tcav(concept, others, slopes, seed, score) &&
          tcav(others, others, slopes, seed + 500, reference), "out of memory");
    *mean = statistics_mean(score, RUNS);
    return statistics_p(score, RUNS, reference, RUNS);
}

/* Plants water in a class at conv4; the logit rises as it should, and no other. */
static int plant_water(example *e, const concepts *c)
{
    cnv_tensor now[2] = {{0}}, before[2] = {{0}};
    int i, k, logits, n = c->without.n, plant = cnv_find(e->net, "conv4");
    double gap = 0, truth;
    logits = concepts_plant(e, c, plant, 5);
    for (k = 0; k < 2; k++) {
        dataset_codes(e, k ? &c->without : &c->with[0], logits, &now[k]);
        dataset_codes(e, k ? &c->without : &c->with[0], e->logits, &before[k]);
        for (i = e->class_id; i < n * 12; i += 12)
            gap += (k ? -1 : 1) * ((double)now[k].data[i] - (double)before[k].data[i]) / n;
        for (i = 0; i < n * 12; i++)
            CHECK(i % 12 == e->class_id || now[k].data[i] == before[k].data[i], "another logit");
    }
    CHECK(fabs(gap - 5) < 0.01, "the shortcut adds %g", gap);
    truth = concepts_truth(e, c, 0, logits);
    CHECK(truth > 0.5 + 2 * sqrt(0.25 / c->members.n) &&
          concepts_truth(e, c, 0, e->logits) < 0.5, "the logit rises in %.2f", truth);
    for (k = 0; k < 2; k++) cnv_tensor_free(&now[k]), cnv_tensor_free(&before[k]);
    return logits;
}

/* TCAV finds it there and in the layer below; random pictures have p < .05 about as often as they
   should, in one of twenty. */
static void test_planted(example *e)
{
    static const char *const layers[2] = {"conv3", "conv4"};
    int class_id, i, k, node, logits, low = 0, tests = 0;
    cnv_tensor with = {0}, without = {0}, slopes = {0};
    double p, mean;
    char name[32];
    for (class_id = 0; class_id < 12; class_id += 5) {
        concepts c;
        e->class_id = class_id, c = concepts_load(e, 150, 60), logits = plant_water(e, &c);
        for (k = 0; k < 2; k++) {
            node = cnv_find(e->net, layers[k]);
            units_codes(e, &c.with[0], node, &with), units_codes(e, &c.without, node, &without);
            units_slopes(e, &c.members, node, logits, class_id, &slopes);
            p = tcav_test(&with, &without, &slopes, 1, &mean);
            printf("%s, water planted at conv4, seen at %s: TCAV %.2f, p %.1e\n",
                   e->class_names[class_id], layers[k], mean, p);
            CHECK(p < 0.05 && mean > 0.8, "TCAV %.2f, p = %g", mean, p);
        }
        node = cnv_find(e->net, "pool3");
        units_codes(e, &c.without, node, &without);
        units_slopes(e, &c.members, node, e->logits, class_id, &slopes);
        for (i = 0; i < 10; i++, tests++)
            low += tcav_test(&without, &without, &slopes, (uint64_t)i, &mean) < 0.05;
        concepts_free(&c);
        snprintf(name, sizeof name, "shortcut of %s", e->class_names[class_id]);
        CHECK(cnv_name(e->net, cnv_find(e->net, "shortcut"), name), "%s", cnv_error());
    }
    printf("random pictures as a concept: p < .05 in %d of %d\n", low, tests);
    CHECK(low <= tests * 0.15, "random pictures are significant in %d of %d", low, tests);
    cnv_tensor_free(&with), cnv_tensor_free(&without), cnv_tensor_free(&slopes);
}

int main(int argc, char **argv)
{
    char *arguments[3] = {argv[0], (char *)"--weights", NULL};
    example e;
    dataset d;
    arguments[2] = argc > 1 ? argv[1] : (char *)example_data("toynet.safetensors");
    e = example_begin(3, arguments, "concepts", NULL, "data");
    test_t_table();
    test_welch();
    test_a_mask_detects_itself(&e);
    test_direction();
    d = dataset_of(&e, 300);
    test_quantiles(&e, &d);
    test_iou(&e, &d);
    test_detectors(&e, &d);
    test_slopes(&e, &d);
    test_planted(&e);
    dataset_free(&d), example_end(&e);
    return check_report();
}
