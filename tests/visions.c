/* visions.c: feature_vis and building_blocks. The objectives have the slopes that differences tell;
   the factorization does what its formula says; effects are those of the parts; and the pass lines
   hold on the network of the examples, with their controls.

       cc -O2 -fopenmp tests/visions.c -o build/visions -lm && build/visions

   A path as the first argument names other weights. */
#define EXAMPLE_NO_MAIN
#include "../examples/feature_vis.c"
#include "../examples/building_blocks.c"
#include "check.h"

/* ---- The objectives ---- */

/* Smooth, so that differences tell the slope. */
static cnv_net *smooth_net(int *below, int *top)
{
    cnv_net *net = cnv_net_new();
    *below = cnv_tanh(net, cnv_conv2d(net, cnv_input(net, 3), "conv", 4, 3, 1, 1));
    *top = cnv_conv2d(net, *below, "top", 3, 3, 2, 1);
    CHECK(*top > 0 && cnv_init(net, 1), "%s", cnv_error());
    return net;
}

static double value_at(ascent *a)
{
    CHECK(ascent_gradient(a), "%s", cnv_error());
    return ascent_total(a);
}

/* a->grad against difference quotients of the sum of all values. */
static void check_slope(ascent *a, const char *what)
{
    cnv_tensor slope = {0};
    int i, size = (int)cnv_tensor_size(&a->z);
    double length;
    value_at(a);
    CHECK(cnv_tensor_copy(&a->grad, &slope), "%s", cnv_error());
    length = sqrt(cnv_dot(&slope, &slope) / size);
    CHECK(length > 1e-4, "%s: no slope", what);
    for (i = 0; i < size; i += 11) {
        double step = 1.0 / 64, up, down;
        float was = a->z.data[i];
        a->z.data[i] = was + (float)step, up = value_at(a);
        a->z.data[i] = was - (float)step, down = value_at(a);
        a->z.data[i] = was;
        CHECK(fabs((up - down) / (2 * step) - (double)slope.data[i]) < 0.02 * length + 2e-5,
              "%s, number %d: slope %g, differences %g", what, i, (double)slope.data[i],
              (up - down) / (2 * step));
    }
    cnv_tensor_free(&slope);
}

/* The cosine of two pictures' Gram matrices, by four loops. */
static double gram_cosine(const cnv_tensor *out, int i, int k)
{
    int c, d, p, plane = out->h * out->w;
    double dot = 0, one = 0, other = 0;
    for (c = 0; c < out->c; c++)
        for (d = 0; d < out->c; d++) {
            double g = 0, h = 0;
            for (p = 0; p < plane; p++) {
                g += (double)cnv_tensor_channel(out, i, c).data[p] *
                     (double)cnv_tensor_channel(out, i, d).data[p];
                h += (double)cnv_tensor_channel(out, k, c).data[p] *
                     (double)cnv_tensor_channel(out, k, d).data[p];
            }
            dot += g * h, one += g * g, other += h * h;
        }
    return dot / sqrt(one * other);
}

/* Five pictures, of which three and two belong together. */
static void test_objectives(int waves)
{
    static const float v[3] = {1, -2, 0.5f};
    enum { N = 5 };
    ascent_direction d[N];
    ascent_diversity diversity = {ascent_directions, NULL, 0, 3, 0.7, 0};
    int below, top, i, k, c, p;
    cnv_net *net = smooth_net(&below, &top);
    example e = {0};
    ascent a;
    const cnv_tensor *out = &net->nodes[top].out;
    double plain[N], wanted;
    e.net = net, e.seed = 3;
    for (i = 0; i < N; i++) d[i].node = top, d[i].v = v, d[i].y = i % 2 ? -1 : 2, d[i].x = i - 1;
    diversity.setting = d, diversity.node = below;
    a = ascent_of(&e, top, ascent_directions, d);
    a.waves = waves, a.spectrum = 0.85;
    CHECK(ascent_start(&a, N, 8, 9, waves ? 1 : 0.2), "%s", cnv_error());
    check_slope(&a, "directions");
    for (i = 0; i < N; i++) { /* against the definition */
        double sum = 0;
        int count = 0;
        for (c = 0; c < out->c; c++)
            for (p = 0; p < out->h * out->w; p++) {
                if ((d[i].y >= 0 && p / out->w != d[i].y) || (d[i].x >= 0 && p % out->w != d[i].x))
                    continue;
                sum += (double)(v[c] * cnv_tensor_channel(out, i, c).data[p]), count += !c;
            }
        plain[i] = (double)a.value.data[i];
        CHECK(fabs(plain[i] - sum / count) < 1e-4, "picture %d: %g, %g", i, plain[i], sum / count);
    }
    a.objective = ascent_diverse, a.setting = &diversity, diversity.weight = 50;
    check_slope(&a, "diversity"); /* is most of the slope */
    diversity.weight = 0.7, value_at(&a);
    out = &net->nodes[below].out;
    for (wanted = 0, i = 0; i < N; i++) {
        double cosines = 0;
        int first = i < 3 ? 0 : 3, end = i < 3 ? 3 : N;
        for (k = first; k < end; k++) cosines += k == i ? 0 : gram_cosine(out, i, k);
        cosines /= end - first - 1, wanted += cosines / N;
        CHECK(fabs((double)a.value.data[i] - plain[i] + 0.7 * cosines) < 1e-4,
              "picture %d: %g less, its mean cosine is %g", i, plain[i] - (double)a.value.data[i],
              cosines);
    }
    CHECK(fabs(diversity.cosine - wanted) < 1e-5, "%g, %g", diversity.cosine, wanted);
    ascent_end(&a), cnv_net_free(net);
}

/* Waves of twice the frequency are smaller by 2 ^ spectrum, and the variance stays 1. */
static void test_spectrum(void)
{
    cnv_tensor z = {0}, amplitude = {0};
    int x;
    CHECK(cnv_tensor_resize(&z, 1, 3, 16, 16) && waves_amplitudes(16, 16, 0.7, &amplitude), "%s",
          cnv_error());
    cnv_tensor_fill(&z, 1), waves_weigh(&amplitude, &z);
    for (x = 1; x < 8; x++)
        CHECK(fabs((double)(z.data[x] / z.data[2 * x]) - pow(2, 0.7)) < 1e-4, "wave %d: %g times",
              x, (double)(z.data[x] / z.data[2 * x]));
    CHECK(fabs(cnv_dot(&z, &z) / (3 * 16 * 16) - 1) < 1e-5, "the variance becomes %g",
          cnv_dot(&z, &z) / (3 * 16 * 16));
    cnv_tensor_free(&z), cnv_tensor_free(&amplitude);
}

/* The control has the spectrum of the pictures, and is another picture. */
static void test_noise(void)
{
    static const float v[3] = {0, 1, 0};
    ascent_direction d = {0, -1, -1, NULL};
    int below, top, i, flipped = 0, size = 3 * 16 * 16;
    cnv_net *net = smooth_net(&below, &top);
    example e = {0};
    ascent a;
    cnv_tensor before = {0};
    e.net = net, d.node = top, d.v = v;
    a = ascent_of(&e, top, ascent_directions, &d);
    CHECK(vision_climb(&a, 1, 16, 9, 20), "%s", cnv_error());
    CHECK(cnv_tensor_copy(&a.z, &before) && vision_noise(&a), "%s", cnv_error());
    for (i = 0; i < size; i++) {
        CHECK(fabsf(a.z.data[i]) == fabsf(before.data[i]), "wave %d", i);
        flipped += a.z.data[i] != before.data[i];
    }
    CHECK(abs(flipped - size / 2) < 100, "%d of %d waves have another sign", flipped, size);
    cnv_tensor_free(&before), ascent_end(&a), cnv_net_free(net);
}

/* ---- Non-negative matrix factorization ---- */

enum { C = 7, P = 12, G = 3 };

static void random_values(cnv_tensor *v, uint64_t seed)
{
    cnv_rng rng = cnv_rng_seed(seed);
    int i;
    CHECK(cnv_tensor_resize(v, 1, C, 3, 4), "%s", cnv_error());
    for (i = 0; i < C * P; i++) v->data[i] = (float)(cnv_uniform(&rng) - 0.3);
}

/* One step by matrices, in double: B first, then A with the new B. Negative values count as 0. */
static void step_by_definition(const cnv_tensor *v, double a[C][G], double b[G][P])
{
    int c, p, g, k;
    double above[C][P], ab[C][P] = {{0}};
    for (c = 0; c < C; c++)
        for (p = 0; p < P; p++) {
            above[c][p] = fmax(0, (double)v->data[c * P + p]);
            for (g = 0; g < G; g++) ab[c][p] += a[c][g] * b[g][p];
        }
    for (g = 0; g < G; g++)
        for (p = 0; p < P; p++) {
            double up = 0, down = 0;
            for (c = 0; c < C; c++) up += a[c][g] * above[c][p], down += a[c][g] * ab[c][p];
            b[g][p] *= up / down;
        }
    for (c = 0; c < C; c++)
        for (p = 0; p < P; p++)
            for (ab[c][p] = 0, k = 0; k < G; k++) ab[c][p] += a[c][k] * b[k][p];
    for (c = 0; c < C; c++)
        for (g = 0; g < G; g++) {
            double up = 0, down = 0;
            for (p = 0; p < P; p++) up += above[c][p] * b[g][p], down += ab[c][p] * b[g][p];
            a[c][g] *= up / down;
        }
}

static void test_nmf_step(void)
{
    cnv_tensor v = {0};
    nmf n = {0};
    double a[C][G], b[G][P], error, squares = 0, rest = 0;
    int c, p, g, step;
    random_values(&v, 5);
    CHECK(nmf_start(&n, &v, G, 1), "%s", cnv_error());
    for (g = 0; g < G; g++) {
        for (c = 0; c < C; c++) a[c][g] = (double)n.groups.data[g * C + c];
        for (p = 0; p < P; p++) b[g][p] = (double)n.maps.data[g * P + p];
    }
    for (step = 0; step < 3; step++) nmf_step(&n), step_by_definition(&v, a, b);
    for (g = 0; g < G; g++) {
        for (c = 0; c < C; c++)
            CHECK(fabs((double)n.groups.data[g * C + c] - a[c][g]) < 1e-4 * (1 + a[c][g]),
                  "A(%d,%d): %g, %g", c, g, (double)n.groups.data[g * C + c], a[c][g]);
        for (p = 0; p < P; p++)
            CHECK(fabs((double)n.maps.data[g * P + p] - b[g][p]) < 1e-4 * (1 + b[g][p]),
                  "B(%d,%d): %g, %g", g, p, (double)n.maps.data[g * P + p], b[g][p]);
    }
    for (c = 0; c < C; c++)
        for (p = 0; p < P; p++) {
            double value = fmax(0, (double)v.data[c * P + p]), left = value;
            for (g = 0; g < G; g++) left -= a[c][g] * b[g][p];
            rest += left * left, squares += value * value;
        }
    error = nmf_error(&n);
    CHECK(fabs(error - rest / squares) < 1e-4, "error %g, %g", error, rest / squares);
    nmf_normalize(&n);
    CHECK(fabs(nmf_error(&n) - error) < 1e-5, "normalized: %g, before %g", nmf_error(&n), error);
    for (g = 0; g < G; g++) {
        cnv_tensor group = cnv_tensor_image(&n.groups, g);
        CHECK(fabs(cnv_dot(&group, &group) - 1) < 1e-5, "group %d", g);
    }
    nmf_end(&n), cnv_tensor_free(&v);
}

/* The error never grows; values that are a product of two factors are found; 0 stays 0. */
static void test_nmf_error(void)
{
    cnv_tensor v = {0};
    cnv_rng rng = cnv_rng_seed(8);
    nmf n = {0};
    double error, before;
    int i, step;
    random_values(&v, 6);
    CHECK(nmf_start(&n, &v, G, 2), "%s", cnv_error());
    for (before = nmf_error(&n), step = 0; step < 200; step++, before = error) {
        nmf_step(&n), error = nmf_error(&n);
        CHECK(error <= before * (1 + 1e-5), "step %d: %g, before %g", step, error, before);
    }
    for (i = 0; i < C * P; i++) v.data[i] = 0;
    for (step = 0; step < 2; step++) {
        double a[C], b[P];
        for (i = 0; i < C; i++) a[i] = cnv_uniform(&rng);
        for (i = 0; i < P; i++) b[i] = cnv_uniform(&rng);
        for (i = 0; i < C * P; i++) v.data[i] += (float)(a[i / P] * b[i % P]);
    }
    CHECK(nmf_start(&n, &v, 2, 3), "%s", cnv_error());
    for (step = 0; step < 3000; step++) nmf_step(&n);
    CHECK(nmf_error(&n) < 1e-4, "two parts: %g is left", nmf_error(&n));
    for (i = 0; i < 2 * P; i++) CHECK(n.maps.data[i] >= 0, "map: %g", (double)n.maps.data[i]);
    cnv_tensor_fill(&v, 0);
    CHECK(nmf_start(&n, &v, 2, 3), "%s", cnv_error());
    nmf_step(&n), nmf_step(&n), nmf_normalize(&n);
    for (i = 0; i < 2 * P; i++)
        CHECK(n.maps.data[i] == 0, "of nothing: %g", (double)n.maps.data[i]);
    nmf_end(&n), cnv_tensor_free(&v);
}

/* ---- Groups ---- */

/* Behind the feature maps all is linear here: a group's effect is the logit of its part, and all
   places together are the logit without its bias. */
static void test_effects(void)
{
    cnv_net *net = cnv_net_new();
    cnv_tensor image = {0}, w;
    cnv_rng rng = cnv_rng_seed(4);
    int maps = cnv_relu(net, cnv_conv2d(net, cnv_input(net, 3), "conv", 8, 3, 1, 1)), i, g, c;
    int logits = cnv_linear(net, cnv_global_avg_pool(net, maps), "fc", 8, 5);
    example e = {0};
    blocks b;
    double sum = 0;
    e.net = net, e.seed = 1, b = blocks_of(&e, maps, 4, BLOCK_LEADING);
    CHECK(logits > 0 && cnv_init(net, 2) && cnv_tensor_resize(&image, 1, 3, 6, 5), "%s",
          cnv_error());
    for (i = 0; i < 90; i++) image.data[i] = (float)cnv_uniform(&rng);
    CHECK(building_blocks(net, logits, &image, 3, &b), "%s", cnv_error());
    w = net->params[net->nodes[logits].param[0]].value;
    for (g = 0; g < 4; g++) {
        double logit = 0;
        for (c = 0; c < 8; c++)
            for (i = 0; i < 30; i++)
                logit += (double)(w.data[3 * 8 + c] * b.parts.groups.data[g * 8 + c] *
                                  b.parts.maps.data[g * 30 + i]) / 30;
        CHECK(fabs(b.effect[g] - logit) < 1e-4, "group %d: %g, %g", g, b.effect[g], logit);
        CHECK(!g || b.effect[g] <= b.effect[g - 1], "group %d is not in order", g);
    }
    for (i = 0; i < 30; i++) sum += (double)b.share.data[i];
    CHECK(fabs(sum - (double)net->nodes[logits].out.data[3]) < 1e-4, "places %g, logit %g", sum,
          (double)net->nodes[logits].out.data[3]);
    CHECK(b.after < b.before, "error %g, before %g", b.after, b.before);
    blocks_end(&b), cnv_tensor_free(&image), cnv_net_free(net);
}

static void test_places(void)
{
    static float data[6 * 9];
    cnv_tensor maps = cnv_tensor_view(data, 1, 6, 3, 3);
    cnv_rng rng = cnv_rng_seed(9);
    int i, k, place[BLOCK_PLACES], channel[BLOCK_PLACES][BLOCK_TOP];
    for (i = 0; i < 6 * 9; i++) data[i] = (float)cnv_uniform(&rng);
    data[4] = 2, data[9 + 4] = 3; /* the first two groups want the same place */
    blocks_places(&maps, place);
    CHECK(place[0] == 4 && place[1] != 4, "%d, %d", place[0], place[1]);
    for (i = 0; i < BLOCK_PLACES; i++) {
        int better = 0;
        for (k = 0; k < i; k++) CHECK(place[i] != place[k], "places %d and %d", i, k);
        for (k = 0; k < 9; k++) better += data[i * 9 + k] > data[i * 9 + place[i]];
        CHECK(better <= i, "group %d: %d places are better", i, better);
        blocks_strongest(&maps, place[i], channel[i], BLOCK_TOP);
        for (k = 0; k < BLOCK_TOP; k++) {
            int c, above = 0;
            for (c = 0; c < 6; c++)
                above += data[c * 9 + place[i]] > data[channel[i][k] * 9 + place[i]];
            CHECK(above == k, "place %d, channel %d: %d are stronger", i, k, above);
        }
    }
    for (i = 0; i < BLOCK_PLACES * BLOCK_TOP; i++) {
        k = blocks_first(channel, i / BLOCK_TOP, i % BLOCK_TOP);
        CHECK(k <= i && channel[0][k] == channel[0][i], "%d of %d", k, i);
    }
}

/* Every number stays, at another place. */
static void test_shuffle(void)
{
    float data[64];
    int i, seen[64] = {0}, moved = 0;
    cnv_tensor map = cnv_tensor_view(data, 1, 1, 8, 8);
    cnv_rng rng = cnv_rng_seed(2);
    for (i = 0; i < 64; i++) data[i] = (float)i;
    blocks_shuffle(&map, &rng);
    for (i = 0; i < 64; i++) seen[(int)data[i]]++, moved += (int)data[i] != i;
    for (i = 0; i < 64; i++) CHECK(seen[i] == 1, "%d is there %d times", i, seen[i]);
    CHECK(moved > 50, "%d of 64 have moved", moved);
}

/* ---- The pass lines ---- */

static void test_feature_vis(const example *e, const dataset *d)
{
    enum { EACH = 8 };
    int node[5], maps[5], unit[EACH], n = vision_layers(e, node, 5);
    int i, k, all = 0, good = 0, noise = 0;
    ascent_direction direction[EACH];
    ascent_diversity wanted = {NULL, NULL, 0, 1, 0, 0};
    float *v = vision_room(e, node, n, EACH);
    double alone;
    units u[5];
    ascent a;
    for (k = 0; k < n; k++) maps[k] = example_feature_maps(e->net, node[k]);
    units_search(e, d, maps, n, 4, u);
    wanted.setting = direction;
    for (k = 0; k < n; k++) {
        int live = units_pick(e, d, &u[k], unit, EACH);
        for (i = 0; i < live; i++)
            direction[i] = vision_direction(e->net, node[k], unit + i, 1, 0, v + i * u[k].channels);
        CHECK(feature_vis(e, &wanted, live, 48, &a), "%s", cnv_error());
        all += live, good += vision_better(e->net, node[k], &u[k], unit, live);
        CHECK(vision_noise(&a), "%s", cnv_error());
        noise += vision_better(e->net, node[k], &u[k], unit, live);
        ascent_end(&a);
    }
    printf("%d of %d units prefer their picture to all of %d; noise of its spectrum: %d\n", good,
           all, d->n, noise);
    CHECK(all >= 30 && good >= 0.9 * all, "%d of %d", good, all);
    CHECK(noise <= 0.25 * all, "noise: %d of %d", noise, all);
    k = 3, wanted.among = 3;
    for (i = 0; i < 3; i++) direction[i] = vision_direction(e->net, node[k], unit, 1, 0, v);
    CHECK(feature_vis(e, &wanted, 3, 48, &a), "%s", cnv_error());
    alone = wanted.cosine, ascent_end(&a);
    wanted.weight = (double)units_of(&u[k], *unit)->value;
    CHECK(feature_vis(e, &wanted, 3, 48, &a), "%s", cnv_error());
    printf("mean cosine of three pictures %.3f, with the diversity term %.3f\n", alone,
           wanted.cosine);
    CHECK(wanted.cosine < alone - 0.2, "%g, alone %g", wanted.cosine, alone);
    ascent_end(&a), units_free(u, n), free(v);
}

/* What is shown of a picture is a square inside of it, with all of what the neuron sees, unless the
   picture is smaller. */
static void test_fields(const example *e)
{
    static const char *const names[] = {"conv1", "conv2", "conv3", "conv4", "fc5"};
    int i, k, last = 0;
    for (i = 0; i < 5; i++) {
        int node = cnv_find(e->net, names[i]), h = e->net->nodes[node].out.h;
        for (k = 0; k < 9; k++) {
            int y = k / 3 * (h - 1) / 2, x = k % 3 * (h - 1) / 2;
            units_box box = vision_field(e->net, node, y, x);
            units_box seen = units_field(e->net, node, y, x, 0);
            CHECK(box.w == box.h && box.x >= 0 && box.y >= 0 && box.x + box.w <= 64 &&
                  box.y + box.h <= 64, "%s: %d x %d at %d, %d", names[i], box.w, box.h, box.x,
                  box.y);
            CHECK(box.x <= seen.x && box.y <= seen.y && box.x + box.w >= seen.x + seen.w &&
                  box.y + box.h >= seen.y + seen.h, "%s: %d x %d at %d, %d sees more", names[i],
                  box.w, box.h, box.x, box.y);
            CHECK(box.w >= last, "%s shows less than the layer before", names[i]);
            last = k == 8 ? box.w : last;
        }
    }
}

/* The same seed gives the same pictures. */
static void test_seed(const example *e)
{
    float v[112] = {1};
    ascent_direction d = {0, 4, 4, NULL};
    cnv_tensor first = {0};
    size_t i, same = 0;
    int run;
    d.node = cnv_find(e->net, "conv4"), d.v = v;
    for (run = 0; run < 2; run++) {
        ascent a = ascent_of(e, d.node, ascent_directions, &d);
        CHECK(vision_climb(&a, 1, e->model->side, 55, 10), "%s", cnv_error());
        if (!run) CHECK(cnv_tensor_copy(&a.image, &first), "%s", cnv_error());
        for (i = 0; i < cnv_tensor_size(&first); i++) same += first.data[i] == a.image.data[i];
        ascent_end(&a);
    }
    CHECK(same == 2 * cnv_tensor_size(&first), "the second run's picture is another one");
    cnv_tensor_free(&first);
}

static void test_building_blocks(const example *e, int scenes)
{
    int i, k, node = example_feature_maps(e->net, e->layer);
    static const char *const names[] = {"leading", "any", "shuffled"};
    truth_table table = {0};
    truth_world world = truth_begin(e, NULL);
    blocks b[3];
    for (i = 0; i < 3; i++) {
        b[i] = blocks_of(e, node, 6, i);
        truth_add(&table, names[i], building_blocks_map, &b[i], 0);
    }
    CHECK(truth_measure(e, &table, scenes), "%s", cnv_error());
    truth_print(&table);
    for (i = 1; i < 3 + TRUTH_CONTROLS; i++) {
        const truth_row *good = &table.row[0], *other = &table.row[i];
        CHECK(good->pointing > other->pointing + 0.1, "%s: pointing %g, %g", other->name,
              good->pointing, other->pointing);
        CHECK(good->energy > 1.3 * other->energy, "%s: energy %g, %g", other->name, good->energy,
              other->energy);
        CHECK(good->iou > other->iou + 0.03, "%s: IoU %g, %g", other->name, good->iou, other->iou);
    }
    for (k = 0; k < 5; k++) {
        double before, error;
        CHECK(truth_next(&world) && cnv_forward(e->net, &world.image, node) &&
              nmf_start(&b[0].parts, &e->net->nodes[node].out, 6, (uint64_t)k), "%s", cnv_error());
        for (before = nmf_error(&b[0].parts), i = 0; i < 40; i++, before = error) {
            nmf_step(&b[0].parts), error = nmf_error(&b[0].parts);
            CHECK(error <= before * (1 + 1e-5), "step %d: %g, before %g", i, error, before);
        }
        CHECK(before < 0.4, "%g is left", before);
    }
    for (i = 0; i < 3; i++) blocks_end(&b[i]);
    truth_end(&world);
}

int main(int argc, char **argv)
{
    char *arguments[3] = {argv[0], (char *)"--weights", NULL};
    example e;
    dataset d;
    arguments[2] = argc > 1 ? argv[1] : (char *)example_data("toynet.safetensors");
    e = example_begin(3, arguments, "visions", NULL, "data");
    test_objectives(0);
    test_objectives(1);
    test_spectrum();
    test_noise();
    test_nmf_step();
    test_nmf_error();
    test_effects();
    test_places();
    test_shuffle();
    test_fields(&e);
    test_seed(&e);
    test_building_blocks(&e, 60);
    d = dataset_of(&e, 500);
    test_feature_vis(&e, &d);
    dataset_free(&d), example_end(&e);
    return check_report();
}
