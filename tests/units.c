/* units.c: the lists of best pictures are what sorting gives; receptive fields are exact; a
   neuron's deconvnet projection is what transposing by hand gives; units of the
   shipped network are purer than chance, use less of their fields the deeper they are, and random
   directions are as pure.

       cc -O2 -fopenmp tests/units.c -o build/units -lm && build/units                        */
#define EXAMPLE_NO_MAIN
#include "../examples/top_images.c"
#include "../examples/top_patches.c"
#include "../examples/receptive_field.c"
#include "../examples/random_directions.c"
#include "check.h"

static cnv_tensor noise(int n, int c, int h, int w, uint64_t seed)
{
    cnv_tensor t = {0};
    cnv_rng rng = cnv_rng_seed(seed);
    size_t i;
    if (cnv_tensor_resize(&t, n, c, h, w))
        for (i = 0; i < cnv_tensor_size(&t); i++) t.data[i] = (float)cnv_uniform(&rng);
    return t;
}

/* ---- Lists ---- */

/* The place of the hit among all pictures: how many have a greater maximum, or an
   equal one before. */
static int rank_of(const cnv_tensor *a, int k, units_hit hit)
{
    int n, i, plane = a->h * a->w, rank = 0;
    for (n = 0; n < a->n; n++) {
        float best = -1e30f;
        for (i = 0; i < plane; i++)
            if (cnv_tensor_channel(a, n, k).data[i] > best)
                best = cnv_tensor_channel(a, n, k).data[i];
        rank += best > hit.value || (best == hit.value && n < hit.picture);
    }
    return rank;
}

/* Random activations, with equals, seen in batches of any size: hit i is the picture of rank i. */
static void test_lists_are_sorted(const example *e, int pictures, int top, int batch)
{
    cnv_tensor a = noise(pictures, 5, 3, 4, 7);
    units u = units_new(e, 5, top);
    int i, k, first;
    for (i = 0; i < (int)cnv_tensor_size(&a); i++)
        a.data[i] = (float)floor((double)a.data[i] * 40) - 20;
    for (first = 0; first < pictures; first += batch) {
        int n = first + batch < pictures ? batch : pictures - first;
        cnv_tensor some = cnv_tensor_view(cnv_tensor_image(&a, first).data, n, 5, 3, 4);
        units_see(&u, &some, first);
    }
    CHECK(u.count == (top < pictures ? top : pictures), "%d hits", u.count);
    for (k = 0; k < 5; k++)
        for (i = 0; i < u.count; i++) {
            units_hit hit = units_of(&u, k)[i];
            CHECK(cnv_tensor_channel(&a, hit.picture, k).data[hit.y * 4 + hit.x] == hit.value,
                  "channel %d: %g is not at (%d,%d)", k, (double)hit.value, hit.y, hit.x);
            CHECK(rank_of(&a, k, hit) == i, "channel %d: hit %d is of rank %d", k, i,
                  rank_of(&a, k, hit));
        }
    units_free(&u, 1), cnv_tensor_free(&a);
}

/* Purity by hand; two pictures of c even classes have it in the mean (1 + 1/c) / 2. */
static void test_purity(const example *e)
{
    static int labels[6] = {2, 0, 1, 2, 2, 1};
    units_hit hit[6];
    dataset d;
    int i, class_id, pick[3];
    units u = units_new(e, 3, 4);
    memset(&d, 0, sizeof d);
    d.n = 6, d.classes = 3, d.labels = labels;
    for (i = 0; i < 6; i++) hit[i].picture = i;
    CHECK(units_purity(&d, hit, 6, &class_id) == 0.5 && class_id == 2, "class %d", class_id);
    CHECK(units_purity(&d, hit, 2, &class_id) == 0.5 && class_id == 0, "class %d", class_id);
    CHECK(units_purity(&d, hit + 3, 2, &class_id) == 1 && class_id == 2, "class %d", class_id);
    for (i = 0; i < 3; i++) labels[i] = labels[i + 3] = i;
    CHECK(fabs(units_chance(&d, 2, 5) - 2.0 / 3) < 0.02, "%g", units_chance(&d, 2, 5));
    CHECK(units_chance(&d, 1, 5) > 1 - 1e-9, "%g", units_chance(&d, 1, 5));
    u.count = 4; /* channel 0 dead, 1 half pure, 2 pure */
    for (i = 0; i < 12; i++) u.hit[i].value = i < 4 ? 0 : 10.0f - (float)i;
    for (i = 0; i < 4; i++) u.hit[4 + i].picture = i, u.hit[8 + i].picture = 3 * (i % 2);
    CHECK(!units_alive(&u, 0) && units_alive(&u, 1), "alive");
    CHECK(units_pick(e, &d, &u, pick, 3) == 2 && pick[0] == 2, "picked %d", pick[0]);
    CHECK(fabs(units_mean_purity(&d, &u, &i) - 0.75) < 1e-9 && i == 2, "%d alive", i);
    units_free(&u, 1);
}

/* ---- Receptive fields ---- */

/* The pixels that make the neuron not a number when they are: the definition of "can change
   it", that
   no closed ReLU and no lost maximum hides. One forward pass for each row and column. */
static units_box field_by_nan(cnv_net *net, int node, int y, int x, int h, int w)
{
    units_box box = {0, 0, 0, 0};
    int axis, i, first, last;
    for (axis = 0; axis < 2; axis++) {
        for (i = 0, first = -1, last = -1; i < (axis ? w : h); i++) {
            cnv_tensor image = noise(1, 3, h, w, 3), *out = &net->nodes[node].out;
            int j, k, touched = 0;
            for (j = 0; j < 3 * h * w; j++)
                if ((axis ? j % w : j / w % h) == i) image.data[j] = NAN;
            CHECK(cnv_forward(net, &image, node), "%s", cnv_error());
            for (k = 0; k < out->c; k++) {
                float a = cnv_tensor_channel(out, 0, k).data[y * out->w + x];
                touched |= a != a;
            }
            if (touched) first = first < 0 ? i : first, last = i;
            cnv_tensor_free(&image);
        }
        if (first < 0) continue;
        if (axis) box.x = first, box.w = last - first + 1;
        else box.y = first, box.h = last - first + 1;
    }
    return box;
}

static void check_field(units_box a, units_box b, const char *what, int y, int x)
{
    CHECK(!memcmp(&a, &b, sizeof a), "%s, neuron (%d,%d): %d x %d at (%d,%d), brute force %d x %d "
          "at (%d,%d)", what, y, x, a.h, a.w, a.y, a.x, b.h, b.w, b.y, b.x);
}

/* All neurons of the last node. Weights are made positive, and with them all gradients. */
static void test_fields(cnv_net *net, const char *what, int h, int w, int maxima)
{
    int node = net->count - 1, y, x, i;
    size_t j;
    cnv_tensor images = noise(4, 3, h, w, 5);
    units_box field, touched;
    CHECK(cnv_init(net, 3), "%s", cnv_error());
    for (i = 0; i < net->param_count; i++)
        for (j = 0; net->params[i].rank > 1 && j < cnv_tensor_size(&net->params[i].value); j++)
            net->params[i].value.data[j] = fabsf(net->params[i].value.data[j]) + 0.01f;
    cnv_weights_changed(net), cnv_use_winograd(0);
    CHECK(cnv_forward(net, &images, CNV_ALL), "%s: %s", what, cnv_error());
    for (y = 0; y < net->nodes[node].out.h; y++)
        for (x = 0; x < net->nodes[node].out.w; x++) {
            field = units_field(net, node, y, x, 0);
            check_field(field, field_by_nan(net, node, y, x, h, w), what, y, x);
            CHECK(units_field_by_gradient(net, node, y, x, &images, &touched), "%s", cnv_error());
            if (!maxima) check_field(field, touched, what, y, x);
            cnv_use_winograd(0);
        }
    cnv_use_winograd(1);
    cnv_tensor_free(&images), cnv_net_free(net);
}

static int window_conv(cnv_net *net, int x, int r, int s, int stride, int dilation, int top,
                       int left)
{
    cnv_window win = cnv_square(r, stride, 0);
    win.kernel_w = s, win.dilation_h = dilation, win.dilation_w = dilation;
    win.pad_top = top, win.pad_left = left, win.pad_bottom = left, win.pad_right = top;
    return cnv_conv2d_window(net, x, NULL, 2, &win, 1, 1);
}

/* Everything that a tape can be made of. */
static void test_all_kinds_of_fields(void)
{
    cnv_net *net = cnv_net_new();
    int x = cnv_relu(net, window_conv(net, cnv_input(net, 3), 3, 5, 2, 1, 1, 2)), y, both[2];
    window_conv(net, x, 2, 3, 1, 2, 2, 0);
    test_fields(net, "kernel, stride, dilation, pads", 17, 14, 0);
    net = cnv_net_new(), x = cnv_avg_pool(net, cnv_input(net, 3), 2, 2, 0);
    /* more pad than kernel: neurons that see next to nothing */
    window_conv(net, x, 2, 2, 3, 4, 3, 1);
    test_fields(net, "holes at the border", 16, 18, 0);
    net = cnv_net_new(), x = cnv_input(net, 3);
    both[0] = window_conv(net, x, 1, 1, 1, 1, 0, 0);
    both[1] = window_conv(net, x, 3, 3, 1, 3, 3, 3);
    x = cnv_concat(net, both, 2), y = window_conv(net, x, 3, 1, 2, 1, 1, 0);
    cnv_conv2d(net, y, "end", 2, 2, 1, 0);
    test_fields(net, "branches", 13, 12, 0);
    net = cnv_net_new(), x = cnv_conv2d(net, cnv_input(net, 3), "a", 4, 3, 1, 1);
    y = cnv_conv2d(net, cnv_relu(net, x), "b", 4, 5, 1, 2);
    x = cnv_upsample(net, cnv_max_pool(net, cnv_add(net, x, y), 3, 2, 1), 2);
    cnv_conv2d(net, cnv_reflect_pad(net, x, 2), "c", 2, 3, 2, 0);
    test_fields(net, "skip, maximum, upsampling, mirror", 12, 13, 1);
    net = cnv_net_new(), x = cnv_conv2d(net, cnv_input(net, 3), "a", 4, 3, 2, 1);
    cnv_adaptive_avg_pool(net, cnv_local_response_norm(net, x, 3, 1e-4, 0.75, 2), 3, 2);
    test_fields(net, "adaptive pool, response norm", 15, 17, 0);
    net = cnv_net_new(), x = cnv_conv2d(net, cnv_input(net, 3), "a", 4, 3, 2, 1);
    cnv_linear(net, x, "b", 4 * 5 * 4, 3);
    test_fields(net, "everything", 9, 8, 0);
    net = cnv_net_new(), x = cnv_conv2d(net, cnv_input(net, 3), "a", 4, 3, 2, 1);
    cnv_conv2d(net, cnv_instance_norm(net, x, "n", 1e-5), "b", 2, 1, 2, 0);
    test_fields(net, "instance norm", 9, 8, 1);
}

/* AlexNet's as Zhou et al. (2015) list them, and GoogLeNet's branches against not-a-numbers. */
static void test_known_fields(void)
{
    static const char *const names[] = {"features.0", "pool1", "features.3", "pool2", "features.6",
                                        "features.8", "features.10", "pool3"};
    static const int size[] = {11, 19, 51, 67, 99, 131, 163, 195};
    cnv_net *net = cnv_net_new();
    cnv_tensor image = noise(1, 3, 224, 224, 1);
    units_box box, in;
    int i, node;
    CHECK(model_alexnet(net, 10) >= 0 && cnv_forward(net, &image, cnv_find(net, "pool3")), "%s",
          cnv_error());
    for (i = 0; i < 8; i++) {
        box = units_field(net, cnv_find(net, names[i]), 2, 2, 1);
        CHECK(box.w == size[i] && box.h == size[i], "%s: %d x %d", names[i], box.w, box.h);
        in = units_field(net, cnv_find(net, names[i]), 2, 2, 0);
        CHECK(in.x == (box.x > 0 ? box.x : 0) && in.x + in.w == box.x + box.w,
              "%s: %d + %d, %d + %d",
              names[i], in.x, in.w, box.x, box.w);
    }
    cnv_net_free(net), cnv_tensor_free(&image);
    net = cnv_net_new(), image = noise(1, 3, 48, 40, 1);
    cnv_use_winograd(0);
    CHECK(model_googlenet(net, 10) >= 0 && cnv_init(net, 1), "%s", cnv_error());
    node = cnv_find(net, "inception3a");
    CHECK(cnv_forward(net, &image, node), "%s", cnv_error());
    check_field(units_field(net, node, 1, 3, 0), field_by_nan(net, node, 1, 3, 48, 40),
                "inception3a", 1, 3);
    cnv_use_winograd(1);
    cnv_net_free(net), cnv_tensor_free(&image);
}

/* Noise everywhere outside of its field does not change a neuron at all; inside, it does. */
static void test_nothing_reaches_from_outside(const example *e)
{
    static const char *const names[] = {"conv1", "pool1", "conv2", "pool2", "conv3", "relu4"};
    cnv_tensor image = noise(1, 3, 64, 64, 1), other = noise(1, 3, 64, 64, 2), mixed = {0};
    int i, j, k, inside;
    cnv_use_winograd(0);
    for (i = 0; i < 6; i++) {
        int node = cnv_find(e->net, names[i]), y, x;
        cnv_tensor *out = &e->net->nodes[node].out, before = {0};
        CHECK(cnv_forward(e->net, &image, node) && cnv_tensor_copy(out, &before),
              "%s", cnv_error());
        for (j = 0; j < 8; j++)
            for (inside = 0; inside < 2; inside++) {
                int same = 1;
                units_box box;
                y = j * out->h / 8, x = j * 5 % 8 * out->w / 8;
                box = units_field(e->net, node, y, x, 0);
                CHECK(cnv_tensor_copy(&image, &mixed), "%s", cnv_error());
                for (k = 0; k < 3 * 64 * 64; k++) {
                    int u = k % 64 - box.x, v = k / 64 % 64 - box.y;
                    if ((u >= 0 && v >= 0 && u < box.w && v < box.h) == inside)
                        mixed.data[k] = other.data[k];
                }
                CHECK(cnv_forward(e->net, &mixed, node), "%s", cnv_error());
                for (k = 0; k < out->c; k++)
                    same &= cnv_tensor_channel(out, 0, k).data[y * out->w + x] ==
                            cnv_tensor_channel(&before, 0, k).data[y * out->w + x];
                CHECK(same == !inside, "%s (%d,%d): noise %s", names[i], y, x,
                      inside ? "inside changes nothing" : "outside reaches it");
            }
        cnv_tensor_free(&before);
    }
    cnv_use_winograd(1);
    cnv_tensor_free(&image), cnv_tensor_free(&other), cnv_tensor_free(&mixed);
}

/* ---- Patches ---- */

/* Two layers by hand: projection = W1^T relu(W2^T a), and of that, relu of the first ReLU's input
   does not matter. */
static void test_projection_by_hand(void)
{
    cnv_net *net = cnv_net_new();
    cnv_window win = cnv_square(3, 1, 1);
    int x = cnv_relu(net, cnv_conv2d(net, cnv_input(net, 3), "one", 6, 3, 1, 1)), i;
    int node = cnv_conv2d(net, x, "two", 4, 3, 1, 1);
    cnv_tensor images = noise(2, 3, 9, 8, 1), projection = {0}, top = {0}, middle = {0}, down = {0};
    units_hit hit[2] = {{0, 0, 4, 3}, {0, 1, 0, 7}};
    CHECK(cnv_init(net, 4) && top_patches_project(net, node, 2, &images, hit, &projection), "%s",
          cnv_error());
    CHECK(net->relu_rule == CNV_GRADIENT, "the deconvnet's rule stays behind");
    CHECK(cnv_tensor_resize(&top, 2, 4, 9, 8) && cnv_tensor_resize(&middle, 2, 6, 9, 8) &&
          cnv_tensor_resize(&down, 2, 3, 9, 8), "%s", cnv_error());
    cnv_tensor_fill(&top, 0);
    for (i = 0; i < 2; i++) {
        int at = hit[i].y * 8 + hit[i].x;
        cnv_tensor_channel(&top, i, 2).data[at] =
            cnv_tensor_channel(&net->nodes[node].out, i, 2).data[at];
    }
    CHECK(cnv_conv2d_backward_data(&top, &net->params[2].value, &win, 1, &middle, NULL) &&
          cnv_relu_forward(&middle, &middle) &&
          cnv_conv2d_backward_data(&middle, &net->params[0].value, &win, 1, &down, NULL), "%s",
          cnv_error());
    for (i = 0; i < (int)cnv_tensor_size(&down); i++)
        CHECK(fabsf(down.data[i] - projection.data[i]) < 1e-5f, "%d: %g, by hand %g", i,
              (double)projection.data[i], (double)down.data[i]);
    cnv_tensor_free(&images), cnv_tensor_free(&projection), cnv_tensor_free(&top);
    cnv_tensor_free(&middle), cnv_tensor_free(&down), cnv_net_free(net);
}

/* Without ReLUs it is the gradient, times the activation; with them, it is still 0 outside of the
   receptive field. */
static void test_projection_and_gradient(const example *e)
{
    cnv_net *net = cnv_net_new();
    int x = cnv_max_pool(net, cnv_conv2d(net, cnv_input(net, 3), "a", 6, 5, 1, 2), 2, 2, 0), i;
    int node = cnv_conv2d(net, x, "b", 4, 3, 1, 1), at;
    cnv_tensor image = noise(1, 3, 16, 16, 1), projection = {0};
    units_hit hit = {0, 0, 5, 2};
    units_box box;
    float value;
    CHECK(cnv_init(net, 4) && top_patches_project(net, node, 1, &image, &hit, &projection) &&
          cnv_forward(net, &image, node), "%s", cnv_error());
    at = (8 + hit.y) * 8 + hit.x, value = net->nodes[node].out.data[at];
    cnv_seed(net, node)->data[at] = 1;
    CHECK(cnv_backward(net, 0), "%s", cnv_error());
    for (i = 0; i < 3 * 256; i++)
        CHECK(fabsf(projection.data[i] - value * net->nodes[0].grad.data[i]) < 1e-6f,
              "pixel %d", i);
    cnv_use_winograd(0);
    node = cnv_find(e->net, "conv3"), hit.y = 3, hit.x = 6;
    CHECK(cnv_tensor_copy(&e->image, &image) &&
          top_patches_project(e->net, node, 9, &image, &hit, &projection), "%s", cnv_error());
    cnv_use_winograd(1);
    box = units_field(e->net, node, hit.y, hit.x, 0);
    for (i = 0; i < 3 * 64 * 64; i++) {
        int u = i % 64 - box.x, v = i / 64 % 64 - box.y;
        int inside = u >= 0 && v >= 0 && u < box.w && v < box.h;
        CHECK(inside || projection.data[i] == 0, "pixel %d: %g", i, (double)projection.data[i]);
    }
    cnv_tensor_free(&image), cnv_tensor_free(&projection), cnv_net_free(net);
}

/* ---- Actual receptive fields ---- */

/* A convolution of 13 x 13 that reads one tap alone: patches of one pixel change it at one place of
   169. With all its taps alike, an even map: 90% of it take 90% of the area. */
static void test_actual_field_of_a_filter(int taps)
{
    cnv_net *net = cnv_net_new();
    int node = cnv_conv2d(net, cnv_input(net, 3), "a", 1, 13, 1, 6), i, places = RECEPTIVE_PLACES;
    cnv_tensor image = noise(1, 3, 29, 29, 1), sum = {0}, map;
    units_hit hit = {0, 0, 14, 12};
    cnv_rng rng = cnv_rng_seed(1);
    double level, area;
    CHECK(cnv_init(net, 1) && cnv_tensor_resize(&sum, 1, 2, RECEPTIVE_STEPS, RECEPTIVE_STEPS), "%s",
          cnv_error());
    cnv_tensor_fill(&net->params[0].value, taps == 1 ? 0 : 1), cnv_tensor_fill(&sum, 0);
    if (taps == 1) net->params[0].value.data[4 * 13 + 9] = 1;
    cnv_weights_changed(net), cnv_tensor_fill(&image, 0);
    for (i = 0; i < 50; i++)
        CHECK(receptive_field(net, node, 0, hit, &image, 1, &rng, &sum) == places,
              "%s", cnv_error());
    map = cnv_tensor_channel(&sum, 0, 0);
    area = units_area(&map, 0.9, &level) * places;
    if (taps == 1) CHECK(area == 1 && map.data[4 * 13 + 9] == 50.0f * (float)places, "%g", area);
    else CHECK(area > 0.83 * places && area < 0.93 * places, "%g of %d", area, places);
    CHECK(sum.data[places] == 50, "%g patches on the first place", (double)sum.data[places]);
    hit.y = 0, hit.x = 0; /* in the corner, a quarter of the field is on the image */
    CHECK(receptive_field(net, node, 0, hit, &image, 1, &rng, &sum) == 49, "in the corner");
    cnv_tensor_free(&image), cnv_tensor_free(&sum), cnv_net_free(net);
}

/* ---- The shipped network ---- */

/* Units are the directions e_k; what is random is normal. */
static void test_directions(const example *e, const dataset *d)
{
    int node = cnv_find(e->net, "relu4"), c = e->net->nodes[node].channels, i, k;
    cnv_tensor v = {0};
    units along, plain;
    double sum = 0, squares = 0;
    CHECK(random_directions_draw(c, 3, &v) && v.n == 2 * c, "%s", cnv_error());
    for (i = c * c; i < 2 * c * c; i++)
        sum += (double)v.data[i], squares += (double)v.data[i] * (double)v.data[i];
    CHECK(fabs(sum) / (c * c) < 0.04 && fabs(squares / (c * c) - 1) < 0.05, "mean %g, variance %g",
          sum / (c * c), squares / (c * c));
    random_directions(e, d, node, &v, &along);
    units_search(e, d, &node, 1, DIRECTIONS_TOP, &plain);
    for (k = 0; k < c; k++)
        for (i = 0; i < DIRECTIONS_TOP; i++)
            CHECK(units_of(&along, k)[i].picture == units_of(&plain, k)[i].picture ||
                  units_of(&plain, k)[i].value == 0, "unit %d: hit %d", k, i);
    units_free(&along, 1), units_free(&plain, 1), cnv_tensor_free(&v);
}

static void test_pass_lines(const example *e, const dataset *d)
{
    example untrained = units_untrained(e);
    int last = cnv_find(e->net, e->model->last_conv), codes = e->net->nodes[e->logits].input[0];
    int alive, n = e->net->nodes[codes].channels;
    double chance = units_chance(d, 9, 1), mean;
    cnv_tensor v = {0};
    units u, half;
    units_search(e, d, &last, 1, 9, &u);
    mean = units_mean_purity(d, &u, &alive);
    printf("purity of %d units of conv4 %.3f, chance %.3f", alive, mean, chance);
    CHECK(mean >= 2 * chance, "units are %.2f times as pure as chance", mean / chance);
    units_free(&u, 1);
    units_search(&untrained, d, &last, 1, 9, &u);
    mean = units_mean_purity(d, &u, &alive);
    printf(", before training %.3f\n", mean);
    CHECK(mean < 1.3 * chance, "untrained units are %.2f times as pure as chance", mean / chance);
    units_free(&u, 1);
    CHECK(random_directions_draw(n, 1, &v), "%s", cnv_error());
    random_directions(e, d, codes, &v, &u);
    half = u, half.channels = n, mean = units_mean_purity(d, &half, &alive);
    half.hit += n * u.top;
    printf("purity of units of the codes %.3f, of random directions %.3f\n", mean,
           units_mean_purity(d, &half, &alive));
    CHECK(mean >= 2 * chance, "units of the codes: %.3f", mean);
    mean = units_mean_purity(d, &half, &alive); /* Szegedy's finding */
    CHECK(mean >= 2 * chance && alive == n, "random directions: %.3f, %d alive", mean, alive);
    units_free(&u, 1), cnv_tensor_free(&v), cnv_net_free(untrained.net);
}

/* Theory and gradients agree for all layers, and of the deep ones less than .8 is used. */
static void test_receptive_fields(const example *e, const dataset *d)
{
    static const char *const names[] = {"conv1", "conv2", "conv3", "conv4"};
    cnv_tensor image = {0}, sum = {0}, map;
    cnv_rng rng = cnv_rng_seed(1);
    double level, area[4];
    int i, j, k, unit[6], n;
    units u;
    CHECK(cnv_tensor_resize(&sum, 1, 2, RECEPTIVE_STEPS, RECEPTIVE_STEPS), "%s", cnv_error());
    for (i = 0; i < 4; i++) {
        int node = cnv_find(e->net, names[i]);
        units_search(e, d, &node, 1, 2, &u);
        CHECK(units_fields_exact(e, d, node) == 9, "%s: %d of 9", names[i],
              units_fields_exact(e, d, node));
        n = units_pick(e, d, &u, unit, 6);
        cnv_tensor_fill(&sum, 0);
        for (j = 0; j < n; j++) {
            units_hit hit = units_of(&u, unit[j])[0];
            dataset_batch(e, d, hit.picture, 1, &image);
            CHECK(receptive_field(e->net, node, unit[j], hit, &image, 3, &rng, &sum), "%s",
                  cnv_error());
        }
        for (k = 0; k < RECEPTIVE_PLACES; k++)
            sum.data[k] /= fmaxf(sum.data[RECEPTIVE_PLACES + k], 1);
        map = cnv_tensor_channel(&sum, 0, 0), area[i] = units_area(&map, 0.9, &level);
        printf("%s uses %.2f of its theoretical field\n", names[i], area[i]);
        units_free(&u, 1);
    }
    CHECK(area[2] < 0.8 && area[3] < 0.8, "conv3 %.2f, conv4 %.2f", area[2], area[3]);
    CHECK(area[3] < area[0], "conv1 %.2f, conv4 %.2f", area[0], area[3]);
    cnv_tensor_free(&image), cnv_tensor_free(&sum);
}

int main(int argc, char **argv)
{
    char *arguments[3] = {argv[0], (char *)"--weights", NULL};
    example e;
    dataset d;
    arguments[2] = argc > 1 ? argv[1] : (char *)example_data("toynet.safetensors");
    e = example_begin(3, arguments, "units", NULL, "data");
    test_lists_are_sorted(&e, 40, 9, 7);
    test_lists_are_sorted(&e, 40, 1, 40);
    test_lists_are_sorted(&e, 5, 9, 1);
    test_purity(&e);
    test_all_kinds_of_fields();
    test_known_fields();
    test_nothing_reaches_from_outside(&e);
    test_projection_by_hand();
    test_projection_and_gradient(&e);
    test_actual_field_of_a_filter(1);
    test_actual_field_of_a_filter(169);
    d = dataset_of(&e, 1000);
    test_pass_lines(&e, &d);
    d.n = 250; /* the first of them */
    test_directions(&e, &d);
    test_receptive_fields(&e, &d);
    dataset_free(&d), example_end(&e);
    return check_report();
}
