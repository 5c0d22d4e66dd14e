/* Proves that the tape keeps its promises: what runs, what is refused and in which words, where
   seeds go, what is accumulated, when memory is asked for, what an optimizer step does.

   How: small networks with a branch and a skip; memory is counted, and in turn each single request
   for it is refused. That the gradients themselves are right is proved in gradients.c. */
#include "memory.h"

#define CNNVIS_STATIC
#define CNNVIS_IMPLEMENTATION
#include "../cnnvis.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "check.h"
#include "guarded.h"

/* ---- The network of most tests ---- */

enum { CLASSES = 5 };

/* The nodes of interest. With `smooth`, tanh stands in for every ReLU, and nothing is pooled. */
typedef struct {
    cnv_net *net;
    int conv, relu, one, three, joined, sum, logits;
} sample_net;

static int nonlinearity(cnv_net *net, int x, int smooth)
{
    return smooth ? cnv_tanh(net, x) : cnv_relu(net, x);
}

/* input -> conv1 -> relu -> pool -> { one, three } -> concat -> + relu(concat) -> mean -> fc */
static sample_net build(int smooth)
{
    sample_net s;
    int branch[2], x;
    s.net = cnv_net_new();
    CHECK(s.net, "%s", cnv_error());
    s.conv = cnv_conv2d(s.net, cnv_input(s.net, 3), "conv1", 6, 3, 1, 1);
    s.relu = nonlinearity(s.net, s.conv, smooth);
    x = smooth ? s.relu : cnv_max_pool(s.net, s.relu, 2, 2, 0);
    branch[0] = s.one = cnv_conv2d(s.net, x, "one", 3, 1, 1, 0);
    branch[1] = s.three = cnv_conv2d(s.net, x, "three", 4, 3, 1, 1);
    s.joined = cnv_concat(s.net, branch, 2);
    s.sum = cnv_add(s.net, s.joined, nonlinearity(s.net, s.joined, smooth));
    x = cnv_global_avg_pool(s.net, s.sum);
    s.logits = cnv_linear(s.net, x, "fc", 7, CLASSES);
    CHECK(s.logits > 0, "%s", cnv_error());
    CHECK(cnv_init(s.net, 1), "%s", cnv_error());
    return s;
}

/* A batch of normal numbers. */
static cnv_tensor image_of(int n, int c, int h, int w, uint64_t seed)
{
    cnv_tensor t = {0};
    cnv_rng rng = cnv_rng_seed(seed);
    CHECK(cnv_tensor_resize(&t, n, c, h, w), "%s", cnv_error());
    fill_normal(&t, &rng);
    return t;
}

/* Puts a weight of i + 1 on output i of a node. */
static void plant(cnv_net *net, int node)
{
    cnv_tensor *seed = cnv_seed(net, node);
    size_t i;
    CHECK(seed, "%s", cnv_error());
    for (i = 0; seed && i < cnv_tensor_size(seed); i++) seed->data[i] += (cnv_real)(i % 7 + 1);
}

static cnv_tensor copy_of(const cnv_tensor *t)
{
    cnv_tensor copy = {0};
    CHECK(cnv_tensor_copy(t, &copy), "%s", cnv_error());
    return copy;
}

static int same(const cnv_tensor *a, const cnv_tensor *b)
{
    size_t size = cnv_tensor_size(a);
    return size == cnv_tensor_size(b) && size > 0 && a->n == b->n && a->c == b->c &&
        a->h == b->h && !memcmp(a->data, b->data, size * sizeof(cnv_real));
}

/* The largest difference, relative to the largest number of b. */
static double apart(const cnv_tensor *a, const cnv_tensor *b)
{
    double difference = 0, most = 0;
    size_t i, size = cnv_tensor_size(a);
    if (size != cnv_tensor_size(b) || size == 0) return HUGE_VAL;
    for (i = 0; i < size; i++) {
        double error = fabs((double)a->data[i] - (double)b->data[i]);
        if (!(error <= difference)) difference = error;
        most = fmax(most, fabs((double)b->data[i]));
    }
    return difference == 0 ? 0 : difference / most;
}

/* Pixels' gradient of seeds at the given nodes (b may be -1), as a copy. */
static cnv_tensor pixel_gradient(cnv_net *net, const cnv_tensor *image, int a, int b)
{
    CHECK(cnv_forward(net, image, CNV_ALL), "%s", cnv_error());
    plant(net, a);
    if (b >= 0) plant(net, b);
    CHECK(cnv_backward(net, 0), "%s", cnv_error());
    return copy_of(&net->nodes[0].grad);
}

/* ---- Forward ---- */

static void check_upto(void)
{
    sample_net s = build(0);
    cnv_tensor image = image_of(2, 3, 10, 9, 2), part, pixels;
    size_t i;
    CHECK(cnv_forward(s.net, &image, s.relu), "%s", cnv_error());
    CHECK(cnv_seed(s.net, s.relu) != NULL, "%s", cnv_error());
    CHECK(!cnv_seed(s.net, s.logits), "a node that never ran has a gradient");
    CHECK(!cnv_seed(s.net, -1) && !cnv_seed(s.net, s.net->count), "there is no such node");
    part = copy_of(&s.net->nodes[s.relu].out), pixels = copy_of(&image);
    CHECK(same(&s.net->nodes[0].out, &image), "node 0 is not the image");
    CHECK(cnv_forward(s.net, &image, CNV_ALL), "%s", cnv_error());
    CHECK(same(&s.net->nodes[s.relu].out, &part), "upto changes what is computed");
    CHECK(s.net->nodes[s.logits].out.c == CLASSES, "%d", s.net->nodes[s.logits].out.c);
    CHECK(same(&image, &pixels), "forward changed the image");
    for (i = 0; i < cnv_tensor_size(&image); i++) image.data[i] = 0;
    CHECK(same(&s.net->nodes[0].out, &pixels), "the image was not copied into node 0");
    CHECK(cnv_forward(s.net, &image, s.relu), "%s", cnv_error());
    CHECK(!cnv_seed(s.net, s.logits), "the output of another image can be seeded");
    CHECK(!cnv_forward(s.net, &image, s.net->count), "there is no such node");
    CHECK(!cnv_forward(s.net, &image, -2), "there is no such node");
    cnv_tensor_free(&image), cnv_tensor_free(&part), cnv_tensor_free(&pixels);
    cnv_net_free(s.net);
}

/* One network, batches and sizes in any order: the same as a new network each time. */
static void check_sizes(void)
{
    static const int sizes[5][3] = {{2, 10, 9}, {5, 10, 9}, {1, 24, 17}, {3, 6, 6}, {2, 10, 9}};
    sample_net s = build(0);
    int i, k;
    for (i = 0; i < 5; i++) {
        cnv_tensor image = image_of(sizes[i][0], 3, sizes[i][1], sizes[i][2], 3);
        sample_net other = build(0);
        cnv_tensor here = pixel_gradient(s.net, &image, s.logits, s.sum);
        cnv_tensor there = pixel_gradient(other.net, &image, s.logits, s.sum);
        CHECK(same(&here, &there), "gradient of size %d differs from a new network's", i);
        CHECK(same(&s.net->nodes[s.logits].out, &other.net->nodes[s.logits].out), "logits %d", i);
        for (k = 0; k < image.n; k++) {
            cnv_tensor one = cnv_tensor_image(&image, k), all = copy_of(&s.net->nodes[s.sum].out);
            cnv_tensor part = cnv_tensor_image(&all, k);
            CHECK(cnv_forward(other.net, &one, CNV_ALL), "%s", cnv_error());
            CHECK(same(&other.net->nodes[s.sum].out, &part), "image %d alone, size %d", k, i);
            cnv_tensor_free(&all);
        }
        cnv_tensor_free(&image), cnv_tensor_free(&here), cnv_tensor_free(&there);
        cnv_net_free(other.net);
    }
    cnv_net_free(s.net);
}

/* Packed weights must follow the instruction set in use, and hand-written weights. */
static void check_packing(void)
{
    sample_net s = build(0), fresh;
    cnv_tensor image = image_of(2, 3, 12, 11, 4), scalar, logits;
    int round, i;
    cnv_use("scalar");
    scalar = pixel_gradient(s.net, &image, s.logits, -1);
    logits = copy_of(&s.net->nodes[s.logits].out);
    for (round = 0; round < 2; round++)
        for (i = 0; i < set_count; i++) {
            cnv_tensor gradient;
            cnv_use(sets[i]);
            gradient = pixel_gradient(s.net, &image, s.logits, -1);
            CHECK(apart(&gradient, &scalar) < 1e-5, "%s: gradient differs by %g", sets[i],
                  apart(&gradient, &scalar));
            CHECK(apart(&s.net->nodes[s.logits].out, &logits) < 1e-5, "%s: logits", sets[i]);
            cnv_tensor_free(&gradient);
            CHECK(cnv_forward(s.net, &image, CNV_ALL), "%s", cnv_error());
            cnv_use(sets[(i + 1) % set_count]); /* between the passes, too */
            plant(s.net, s.logits);
            CHECK(cnv_backward(s.net, 0), "%s", cnv_error());
            CHECK(apart(&s.net->nodes[0].grad, &scalar) < 1e-5, "%s, then another", sets[i]);
        }
    fresh = build(0);
    for (i = 0; i < s.net->param_count; i++) {
        s.net->params[i].value.data[0] += 1;
        fresh.net->params[i].value.data[0] += 1;
    }
    cnv_weights_changed(s.net), cnv_weights_changed(fresh.net);
    cnv_tensor_free(&logits);
    logits = pixel_gradient(fresh.net, &image, s.logits, -1);
    cnv_tensor_free(&scalar);
    scalar = pixel_gradient(s.net, &image, s.logits, -1);
    CHECK(same(&scalar, &logits), "changed weights: differs from a network that had them first");
    cnv_tensor_free(&image), cnv_tensor_free(&scalar), cnv_tensor_free(&logits);
    cnv_net_free(s.net), cnv_net_free(fresh.net);
    cnv_use("auto");
}

/* Filters that are kept for Winograd's convolution must not be taken for plain ones, nor the other
   way round: not when it is switched, not when images change their size. */
static void check_winograd(void)
{
    cnv_net *net = cnv_net_new();
    int y = cnv_conv2d(net, cnv_input(net, 64), "conv", 32, 3, 1, 1), round;
    cnv_tensor large = image_of(2, 64, 19, 21, 4), small = image_of(2, 64, 9, 8, 5);
    cnv_tensor plain, plain_y, small_dx;
    CHECK(cnv_init(net, 3), "%s", cnv_error());
    cnv_use_winograd(0);
    plain = pixel_gradient(net, &large, y, -1), plain_y = copy_of(&net->nodes[y].out);
    small_dx = pixel_gradient(net, &small, y, -1);
    for (round = 0; round < 4; round++) {
        int on = round % 2 == 0;
        cnv_tensor dx;
        cnv_use_winograd(on);
        dx = pixel_gradient(net, &large, y, -1);
        CHECK(same(&dx, &plain) != on, "round %d", round);
        CHECK(same(&net->nodes[y].out, &plain_y) != on, "round %d", round);
        CHECK(apart(&dx, &plain) < 1e-5, "%g", apart(&dx, &plain));
        CHECK(apart(&net->nodes[y].out, &plain_y) < 1e-5, "round %d", round);
        cnv_tensor_free(&dx);
        dx = pixel_gradient(net, &small, y, -1);
        CHECK(same(&dx, &small_dx), "an image too small for it, round %d", round);
        cnv_tensor_free(&dx);
    }
    cnv_use_winograd(1);
    cnv_tensor_free(&plain), cnv_tensor_free(&plain_y), cnv_tensor_free(&small_dx);
    cnv_tensor_free(&large), cnv_tensor_free(&small);
    cnv_net_free(net);
}

/* ---- What is refused ---- */

#define SAYS(text) CHECK(strstr(cnv_error(), text), "'%s' is not in '%s'", text, cnv_error())

static void check_refused_images(void)
{
    sample_net s = build(0);
    cnv_tensor gray = image_of(1, 1, 9, 9, 5), tiny = image_of(1, 3, 1, 9, 5), none = {0};
    cnv_net *net = cnv_net_new();
    int x = cnv_conv2d(net, cnv_input(net, 3), "wide", 4, 11, 4, 0);
    CHECK(!cnv_forward(s.net, &gray, CNV_ALL), "one channel for three");
    SAYS("3");
    SAYS("1");
    CHECK(!cnv_forward(s.net, &tiny, CNV_ALL), "pooling one row by two");
    SAYS(s.net->nodes[s.relu + 1].name);
    CHECK(s.net->nodes[s.relu + 1].name[0], "the pooling has no name");
    CHECK(!cnv_forward(s.net, &none, CNV_ALL), "no image");
    x = cnv_linear(net, x, "flat", 4 * 3 * 3, 2);
    cnv_tensor_free(&tiny);
    tiny = image_of(1, 3, 10, 30, 5);
    CHECK(!cnv_forward(net, &tiny, CNV_ALL), "10 rows for a kernel of 11");
    SAYS("wide");
    SAYS("11");
    cnv_tensor_free(&tiny);
    tiny = image_of(1, 3, 19, 20, 5);
    CHECK(cnv_forward(net, &tiny, x), "%s", cnv_error());
    cnv_tensor_free(&tiny);
    tiny = image_of(1, 3, 23, 20, 5);
    CHECK(!cnv_forward(net, &tiny, x), "4 * 4 * 3 features for 4 * 3 * 3");
    SAYS("flat");
    SAYS("36");
    SAYS("48");
    cnv_tensor_free(&gray), cnv_tensor_free(&tiny);
    cnv_net_free(s.net), cnv_net_free(net);
}

static void check_names(void)
{
    sample_net s = build(0);
    int i, j;
    CHECK(cnv_find(s.net, "three") == s.three, "%s", cnv_error());
    CHECK(cnv_find(s.net, "four") == -1, "there is no such node");
    SAYS("four");
    for (i = 1; i < s.net->count; i++) SAYS(s.net->nodes[i].name);
    CHECK(cnv_name(s.net, s.sum, "the sum"), "%s", cnv_error());
    CHECK(cnv_find(s.net, "the sum") == s.sum, "%s", cnv_error());
    CHECK(!cnv_name(s.net, s.net->count, "beyond"), "there is no such node");
    CHECK(!strcmp(s.net->params[0].name, "conv1.weight"), "%s", s.net->params[0].name);
    CHECK(!strcmp(s.net->params[1].name, "conv1.bias"), "%s", s.net->params[1].name);
    CHECK(s.net->params[0].rank == 4 && s.net->params[1].rank == 1, "ranks");
    CHECK(s.net->params[s.net->nodes[s.logits].param[0]].rank == 2, "rank of a matrix");
    for (i = 0; i < s.net->count; i++)
        for (j = 0; j < i; j++)
            CHECK(strcmp(s.net->nodes[i].name, s.net->nodes[j].name), "two nodes are called %s",
                  s.net->nodes[i].name);
    for (i = 0; i < CNV_OPS; i++) CHECK(cnv_op_name((cnv_op)i)[0], "operator %d has no name", i);
    cnv_net_free(s.net);
}

/* Numbered names step aside for names that are given; an empty name is none. */
static void check_numbered_names(void)
{
    cnv_net *net = cnv_net_new();
    int x = cnv_conv2d(net, cnv_input(net, 1), "conv2", 1, 1, 1, 0), y;
    CHECK(cnv_name(net, cnv_relu(net, x), "relu2"), "%s", cnv_error());
    x = cnv_conv2d(net, x, NULL, 1, 1, 1, 0);
    y = cnv_relu(net, x);
    CHECK(x >= 0 && !strcmp(net->nodes[x].name, "conv3"), "%s", cnv_error());
    CHECK(y >= 0 && !strcmp(net->nodes[y].name, "relu3"), "%s", cnv_error());
    CHECK(!cnv_name(net, y, ""), "an empty name");
    SAYS("empty");
    cnv_net_free(net);
}

/* Backward needs a forward pass of the same kind, as far as it goes. */
static void check_backward_without_forward(void)
{
    sample_net s = build(0);
    cnv_tensor image = image_of(1, 3, 8, 8, 5);
    CHECK(!cnv_backward(s.net, 0), "nothing has been run");
    CHECK(cnv_forward(s.net, &image, s.relu), "%s", cnv_error());
    CHECK(!cnv_backward(s.net, s.sum), "the image has not come so far");
    CHECK(cnv_backward(s.net, s.relu), "%s", cnv_error());
    s.net->training = 1;
    CHECK(!cnv_backward(s.net, 0), "training was switched on in between");
    SAYS("training");
    cnv_tensor_free(&image);
    cnv_net_free(s.net);
}

/* A node's switches are those of the operator, of the latest image. */
static void check_switches(void)
{
    cnv_net *net = cnv_net_new();
    cnv_window win = cnv_square(3, 2, 1);
    cnv_tensor want = {0};
    int n, x = cnv_input(net, 2), pool = cnv_max_pool(net, x, 3, 2, 1);
    CHECK(!cnv_switches(net, pool), "nothing has been run");
    SAYS("1");
    for (n = 1; n <= 3; n++) {
        cnv_tensor image = image_of(n, 2, 9, 7, (uint64_t)n);
        const cnv_tensor *got;
        CHECK(cnv_forward(net, &image, pool), "%s", cnv_error());
        if (n == 2) CHECK(cnv_seed(net, pool) && cnv_backward(net, x), "%s", cnv_error());
        got = cnv_switches(net, pool);
        CHECK(cnv_max_pool_switches(&image, &win, &net->nodes[pool].out, &want), "%s", cnv_error());
        CHECK(got && got->n == n && got->h == 5 && got->w == 4, "%s", cnv_error());
        if (got) CHECK(!memcmp(got->data, want.data, cnv_tensor_size(&want) * sizeof *want.data),
                       "image %d", n);
        cnv_tensor_free(&image);
    }
    CHECK(!cnv_switches(net, x) && !cnv_switches(net, -1) && !cnv_switches(net, 2), "no pooling");
    SAYS("max pooling");
    cnv_tensor_free(&want);
    cnv_net_free(net);
}

/* The names of a long network do not fit into a message; it ends with those that do. */
static void check_many_names(void)
{
    cnv_net *net = cnv_net_new();
    int x = cnv_input(net, 1), i;
    for (i = 0; i < 300; i++) x = cnv_relu(net, x);
    CHECK(x == 300, "%s", cnv_error());
    CHECK(cnv_find(net, "four") == -1, "there is no such node");
    SAYS("four");
    SAYS(net->nodes[1].name);
    CHECK(cnv_find(net, net->nodes[250].name) == 250, "%s", cnv_error());
    cnv_net_free(net);
}

/* When one node cannot be built, everything after it is -1, and the first message is kept. */
static void check_unbuilt(int (*attempt)(cnv_net *net, int x), const char *what)
{
    cnv_net *net = cnv_net_new();
    cnv_tensor image = image_of(1, 6, 8, 8, 6);
    char first[512];
    int x = cnv_input(net, 6);
    cnv_find(net, "an older message");
    x = attempt(net, x);
    CHECK(x == -1, "%s: node %d was built", what, x);
    CHECK(!strstr(cnv_error(), "an older message"), "%s: no message", what);
    snprintf(first, sizeof first, "%s", cnv_error());
    x = cnv_linear(net, cnv_relu(net, x), "fc", 6, 2);
    CHECK(x == -1, "%s: node %d was built on nothing", what, x);
    CHECK(!strcmp(cnv_error(), first), "%s: '%s' became '%s'", what, first, cnv_error());
    cnv_find(net, "an older message");
    CHECK(!cnv_forward(net, &image, CNV_ALL), "%s: it runs", what);
    CHECK(strstr(cnv_error(), first), "%s: '%s' became '%s'", what, first, cnv_error());
    cnv_tensor_free(&image);
    cnv_net_free(net);
}

static int no_filters(cnv_net *net, int x) { return cnv_conv2d(net, x, "a", 0, 3, 1, 1); }
static int no_spread(cnv_net *net, int x)
{
    static const double mean[4] = {0, 0, 0, 0}, std[4] = {1, 1, 0, 1};
    return cnv_normalize(net, cnv_conv2d(net, x, "a", 4, 1, 1, 0), mean, std);
}
static int no_kernel(cnv_net *net, int x) { return cnv_conv2d(net, x, "a", 4, 0, 1, 1); }
static int no_stride(cnv_net *net, int x) { return cnv_conv2d(net, x, "a", 4, 3, 0, 1); }
static int negative_pad(cnv_net *net, int x) { return cnv_conv2d(net, x, "a", 4, 3, 1, -1); }
static int no_features(cnv_net *net, int x) { return cnv_linear(net, x, "a", 0, 4); }
static int no_outputs(cnv_net *net, int x) { return cnv_linear(net, x, "a", 6, -4); }
static int huge_matrix(cnv_net *net, int x) { return cnv_linear(net, x, "a", 1 << 30, 1 << 30); }
static int no_pool(cnv_net *net, int x) { return cnv_max_pool(net, x, 0, 2, 0); }
static int still_pool(cnv_net *net, int x) { return cnv_avg_pool(net, x, 2, 0, 0); }
static int no_bins(cnv_net *net, int x) { return cnv_adaptive_avg_pool(net, x, 0, 3); }
static int no_factor(cnv_net *net, int x) { return cnv_upsample(net, x, 0); }
static int negative_mirror(cnv_net *net, int x) { return cnv_reflect_pad(net, x, -1); }
static int all_dropped(cnv_net *net, int x) { return cnv_dropout(net, x, 1.5); }
static int no_neighbours(cnv_net *net, int x)
{
    return cnv_local_response_norm(net, x, 0, 1, 1, 1);
}

static int unborn(cnv_net *net, int x) { return cnv_relu(net, x + 1); }
static int below_zero(cnv_net *net, int x) { return cnv_relu(net, x - 5); }
static int no_channels(cnv_net *net, int x) { return x < 0 ? x : cnv_input(net, 0); }
static int bad_groups(cnv_net *net, int x)
{
    cnv_window win = cnv_square(3, 1, 1);
    return cnv_conv2d_window(net, x, "a", 8, &win, 4, 1); /* 4 does not divide 6 channels */
}

static int bad_filters(cnv_net *net, int x)
{
    cnv_window win = cnv_square(3, 1, 1);
    return cnv_conv2d_window(net, x, "a", 8, &win, 3, 1); /* 3 does not divide 8 filters */
}

static int nothing_joined(cnv_net *net, int x) { return cnv_concat(net, &x, 0); }
static int too_many_joined(cnv_net *net, int x)
{
    int nine[9], i;
    for (i = 0; i < 9; i++) nine[i] = x;
    return cnv_concat(net, nine, 9);
}

/* 6 * 8^12 channels do not fit into an int. */
static int endless_channels(cnv_net *net, int x)
{
    int eight[8], i, k;
    for (k = 0; k < 12; k++) {
        for (i = 0; i < 8; i++) eight[i] = x;
        x = cnv_concat(net, eight, 8);
    }
    return x;
}

static int too_many_means(cnv_net *net, int x)
{
    static const double six[6] = {1, 1, 1, 1, 1, 1};
    return cnv_normalize(net, x, six, six); /* a node holds 4 */
}

static void check_building(void)
{
    static const struct {
        int (*attempt)(cnv_net *net, int x);
        const char *what;
    } attempts[] = {
        {no_filters, "no filters"},         {no_kernel, "no kernel"},
        {no_stride, "no stride"},           {negative_pad, "a negative pad"},
        {no_features, "no features"},       {no_outputs, "no outputs"},
        {no_spread, "a std of 0"},
        {huge_matrix, "a huge matrix"},     {no_pool, "no pool"},
        {still_pool, "pool, stride 0"},     {no_bins, "no bins"},
        {no_factor, "upsample by 0"},       {negative_mirror, "reflect by -1"},
        {all_dropped, "dropout of 1.5"},    {no_neighbours, "norm over 0 channels"},
        {unborn, "a node not yet built"},   {below_zero, "node -5"},
        {no_channels, "image without channels"}, {bad_groups, "4 groups of 6 channels"},
        {bad_filters, "3 groups of 8 filters"},  {nothing_joined, "concat of nothing"},
        {too_many_joined, "concat of 9"},   {endless_channels, "endless channels"},
        {too_many_means, "6 means"}};
    size_t i;
    for (i = 0; i < sizeof attempts / sizeof *attempts; i++)
        check_unbuilt(attempts[i].attempt, attempts[i].what);
    cnv_net_free(NULL);
}

/* ---- Seeds and the way back ---- */

static void check_seeds(void)
{
    sample_net s = build(0);
    cnv_tensor image = image_of(2, 3, 10, 9, 7), once, twice, both, a, b, *seed;
    size_t i;
    once = pixel_gradient(s.net, &image, s.logits, -1);
    seed = cnv_seed(s.net, s.logits);
    for (i = 0; i < cnv_tensor_size(seed); i++) CHECK(seed->data[i] == 0, "not consumed");
    plant(s.net, s.logits);
    CHECK(cnv_seed(s.net, s.logits)->data[0] == 1, "a seed is lost when asked for again");
    CHECK(cnv_backward(s.net, 0), "%s", cnv_error());
    CHECK(same(&s.net->nodes[0].grad, &once), "a second backward differs");
    plant(s.net, s.logits), plant(s.net, s.logits);
    CHECK(cnv_backward(s.net, 0), "%s", cnv_error());
    twice = copy_of(&s.net->nodes[0].grad);
    for (i = 0; i < cnv_tensor_size(&once); i++) once.data[i] *= 2;
    CHECK(apart(&twice, &once) < 1e-6, "twice the seed is not twice the gradient");
    cnv_forward(s.net, &image, CNV_ALL), plant(s.net, s.sum);
    a = pixel_gradient(s.net, &image, s.logits, -1); /* forward clears the seed at sum */
    b = pixel_gradient(s.net, &image, s.three, -1);
    both = pixel_gradient(s.net, &image, s.logits, s.three);
    for (i = 0; i < cnv_tensor_size(&a); i++) once.data[i] /= 2, b.data[i] += a.data[i];
    CHECK(same(&a, &once), "forward did not clear the seeds");
    CHECK(apart(&both, &b) < 1e-6, "two seeds differ from the sum of each by %g", apart(&both, &b));
    CHECK(apart(&both, &a) > 1e-2, "the second seed does nothing");
    cnv_tensor_free(&image), cnv_tensor_free(&once), cnv_tensor_free(&twice);
    cnv_tensor_free(&both), cnv_tensor_free(&a), cnv_tensor_free(&b);
    cnv_net_free(s.net);
}

/* Stopping at a node gives it the gradient that it has on the way to the pixels. */
static void check_downto(void)
{
    sample_net s = build(0);
    cnv_tensor image = image_of(2, 3, 10, 9, 8), pixels, full[16];
    int i;
    CHECK(s.net->count <= 16, "%d nodes", s.net->count);
    pixels = pixel_gradient(s.net, &image, s.logits, s.joined);
    for (i = 0; i < s.net->count; i++) full[i] = copy_of(&s.net->nodes[i].grad);
    for (i = 0; i < s.net->count; i++) {
        CHECK(cnv_forward(s.net, &image, CNV_ALL), "%s", cnv_error());
        plant(s.net, s.logits), plant(s.net, s.joined);
        CHECK(cnv_backward(s.net, i), "%s", cnv_error());
        CHECK(same(&s.net->nodes[i].grad, &full[i]), "node %d", i);
    }
    CHECK(!cnv_backward(s.net, s.net->count), "there is no such node");
    for (i = 0; i < s.net->count; i++) cnv_tensor_free(&full[i]);
    cnv_tensor_free(&image), cnv_tensor_free(&pixels);
    cnv_net_free(s.net);
}

static int all_zero(const cnv_tensor *t)
{
    size_t i, size = cnv_tensor_size(t);
    for (i = 0; i < size; i++)
        if (t->data[i] != 0) return 0;
    return size > 0;
}

/* A node that the objective does not depend on has gradient 0, not what an earlier pass left there;
   so have the pixels when nothing was seeded, unless that is refused. */
static void check_unreached(void)
{
    sample_net s = build(0);
    cnv_tensor image = image_of(2, 3, 10, 9, 29), before;
    before = pixel_gradient(s.net, &image, s.logits, -1);
    CHECK(!all_zero(&s.net->nodes[s.one].grad), "the first pass reaches all nodes");
    CHECK(cnv_forward(s.net, &image, CNV_ALL), "%s", cnv_error());
    plant(s.net, s.three); /* a branch beside that of node one */
    CHECK(cnv_backward(s.net, s.one), "%s", cnv_error());
    CHECK(all_zero(&s.net->nodes[s.one].grad), "an old gradient at a node that was not reached");
    CHECK(cnv_forward(s.net, &image, CNV_ALL), "%s", cnv_error());
    CHECK(!cnv_backward(s.net, 0) || all_zero(&s.net->nodes[0].grad), "an old gradient, no seed");
    cnv_tensor_free(&image), cnv_tensor_free(&before);
    cnv_net_free(s.net);
}

/* By hand: x = -1 2 3, seed = 5 -6 7. */
static void check_rules_by_hand(void)
{
    static const cnv_real want[3][3] = {{0, -6, 7}, {5, 0, 7}, {0, 0, 7}};
    cnv_real x[3] = {-1, 2, 3}, dy[3] = {5, -6, 7};
    cnv_tensor image = cnv_tensor_view(x, 1, 1, 1, 3), *seed;
    cnv_net *net = cnv_net_new();
    int relu = cnv_relu(net, cnv_input(net, 1)), rule;
    CHECK(net->relu_rule == CNV_GRADIENT, "a network starts with the true gradient");
    for (rule = CNV_GRADIENT; rule <= CNV_GUIDED; rule++) {
        net->relu_rule = (cnv_relu_rule)rule;
        CHECK(cnv_forward(net, &image, CNV_ALL), "%s", cnv_error());
        seed = cnv_seed(net, relu);
        memcpy(seed->data, dy, sizeof dy);
        CHECK(cnv_backward(net, 0), "%s", cnv_error());
        CHECK(!memcmp(net->nodes[0].grad.data, want[rule], sizeof dy), "rule %d", rule);
    }
    cnv_net_free(net);
}

/* Without a ReLU the rules make no difference; with one they do. */
static void check_rules(void)
{
    int smooth, rule;
    for (smooth = 0; smooth < 2; smooth++) {
        sample_net s = build(smooth);
        cnv_tensor image = image_of(1, 3, 10, 9, 9);
        cnv_tensor gradient = pixel_gradient(s.net, &image, s.logits, -1);
        for (rule = CNV_DECONVNET; rule <= CNV_GUIDED; rule++) {
            cnv_tensor other;
            s.net->relu_rule = (cnv_relu_rule)rule;
            other = pixel_gradient(s.net, &image, s.logits, -1);
            CHECK((apart(&other, &gradient) <= 1e-6) == smooth, "rule %d differs by %g", rule,
                  apart(&other, &gradient));
            cnv_tensor_free(&other);
        }
        cnv_tensor_free(&image), cnv_tensor_free(&gradient);
        cnv_net_free(s.net);
    }
}

/* ---- Training ---- */

/* Trainable parameters' gradients, one after the other. */
static cnv_tensor parameter_gradients(const cnv_net *net)
{
    cnv_tensor all = {0};
    size_t size = 0, at = 0, i;
    int p;
    for (p = 0; p < net->param_count; p++) size += cnv_tensor_size(&net->params[p].grad);
    CHECK(size > 0 && cnv_tensor_resize(&all, 1, (int)size, 1, 1), "no gradients");
    for (p = 0; p < net->param_count; p++)
        for (i = 0; i < cnv_tensor_size(&net->params[p].grad); i++)
            all.data[at++] = net->params[p].grad.data[i];
    return all;
}

static void train_pass(sample_net *s, const cnv_tensor *image, int downto)
{
    CHECK(cnv_forward(s->net, image, CNV_ALL), "%s", cnv_error());
    plant(s->net, s->logits);
    CHECK(cnv_backward(s->net, downto), "%s", cnv_error());
}

static void check_parameter_gradients(void)
{
    sample_net s = build(0), other = build(0);
    cnv_tensor image = image_of(2, 3, 10, 9, 10), once, twice, alone, later;
    size_t i;
    s.net->training = other.net->training = 1;
    train_pass(&s, &image, 0);
    once = parameter_gradients(s.net);
    train_pass(&s, &image, 0);
    twice = parameter_gradients(s.net);
    for (i = 0; i < cnv_tensor_size(&once); i++) once.data[i] *= 2;
    CHECK(apart(&twice, &once) < 1e-6, "gradients of parameters do not add up");
    s.net->training = 0;
    train_pass(&s, &image, 0);
    later = parameter_gradients(s.net);
    CHECK(same(&later, &twice), "gradients of parameters are computed though not training");
    train_pass(&other, &image, CNV_PARAMETERS);
    alone = parameter_gradients(other.net);
    for (i = 0; i < cnv_tensor_size(&alone); i++) alone.data[i] *= 2;
    CHECK(same(&alone, &once), "gradients differ when the pixels' is not wanted");
    cnv_tensor_free(&image), cnv_tensor_free(&once), cnv_tensor_free(&twice);
    cnv_tensor_free(&alone), cnv_tensor_free(&later);
    cnv_net_free(s.net), cnv_net_free(other.net);
}

/* What a step should do to one number: the formulas of cnv_step, in double. */
typedef struct {
    double w, m, v;
    double moved; /* the sum of the steps' lengths, from which rounding errors come */
} state;

static void step_by_hand(const cnv_optimizer *o, state *s, double g, int decays)
{
    double decay = decays ? o->weight_decay : 0, before = s->w;
    long t = o->step + 1;
    if (o->method == CNV_SGD) {
        s->m = o->momentum * s->m + g + decay * s->w;
        s->w -= o->rate * s->m;
    } else {
        double m, v;
        s->m = o->momentum * s->m + (1 - o->momentum) * g;
        s->v = o->beta2 * s->v + (1 - o->beta2) * g * g;
        m = s->m / (1 - pow(o->momentum, (double)t)), v = s->v / (1 - pow(o->beta2, (double)t));
        s->w -= o->rate * (m / (sqrt(v) + o->eps) + decay * s->w);
    }
    s->moved += fabs(s->w - before);
}

/* Steps all parameters of the network by hand, from the gradients that it holds. */
static void step_network(const cnv_net *net, const cnv_optimizer *o, state *states)
{
    size_t i;
    int p;
    for (p = 0; p < net->param_count; p++)
        for (i = 0; i < cnv_tensor_size(&net->params[p].value); i++, states++)
            if (net->params[p].trainable)
                step_by_hand(o, states, (double)net->params[p].grad.data[i],
                             net->params[p].rank > 1);
}

/* Every parameter has the values of `states`, to 16 eps, and its gradient is cleared. */
static void compare_states(const cnv_net *net, const cnv_optimizer *o, const state *states)
{
    size_t i;
    int p;
    for (p = 0; p < net->param_count; p++) {
        const cnv_param *param = &net->params[p];
        double worst = 0, left = 0;
        for (i = 0; i < cnv_tensor_size(&param->value); i++, states++) {
            double error = fabs((double)param->value.data[i] - states->w);
            double unit = (double)FLT_EPSILON * (fabs(states->w) + states->moved);
            if (error > 0) worst = fmax(worst, error / unit);
            if (param->trainable) left += fabs((double)param->grad.data[i]);
        }
        CHECK(worst <= 16, "%s: method %d, step %ld, %s is wrong by %g eps", cnv_using(),
              (int)o->method, o->step, param->name, worst);
        CHECK(left == 0, "%s: the gradient is not cleared", param->name);
    }
}

/* Seven steps; the fifth and sixth without new gradients, the last at another rate. Batch norm
   brings statistics that must not be trained. */
static void check_optimizer(cnv_optimizer o)
{
    cnv_net *net = cnv_net_new();
    cnv_tensor image = image_of(4, 3, 6, 5, 11);
    state *states = (state *)calloc(2000, sizeof *states), *at = states;
    uint64_t version;
    size_t i;
    int x = cnv_conv2d(net, cnv_input(net, 3), "conv", 5, 3, 1, 1), p, t;
    x = cnv_linear(net, cnv_relu(net, cnv_batch_norm(net, x, "norm", 1e-3)), "fc", 5 * 6 * 5, 4);
    CHECK(states && x > 0 && cnv_init(net, 12), "%s", cnv_error());
    net->training = 1;
    for (t = 1; t <= 7; t++) {
        CHECK(cnv_forward(net, &image, CNV_ALL), "%s", cnv_error());
        plant(net, x);
        if (t != 5 && t != 6) CHECK(cnv_backward(net, CNV_PARAMETERS), "%s", cnv_error());
        for (p = 0, at = states; p < net->param_count; p++)
            for (i = 0; i < cnv_tensor_size(&net->params[p].value); i++, at++)
                if (t == 1 || !net->params[p].trainable)
                    at->w = (double)net->params[p].value.data[i];
        if (t == 7) o.rate *= 0.1;
        step_network(net, &o, states);
        version = net->version;
        CHECK(cnv_step(net, &o), "%s", cnv_error());
        CHECK(o.step == t && net->version > version, "step %ld", o.step);
        compare_states(net, &o, states);
    }
    free(states);
    cnv_tensor_free(&image);
    cnv_net_free(net);
}

static void check_optimizers(void)
{
    cnv_optimizer o = cnv_adam(0.01, 0.1);
    int i;
    CHECK(o.method == CNV_ADAM && o.momentum == 0.9 && o.beta2 == 0.999 && o.eps == 1e-8 &&
          o.rate == 0.01 && o.weight_decay == 0.1 && o.step == 0, "Adam's customary numbers");
    for (i = 0; i < set_count; i++) {
        cnv_use(sets[i]);
        check_optimizer(o);
        check_optimizer(cnv_adam(0.02, 0));
        check_optimizer(cnv_sgd(0.01, 0.9, 0.05));
        check_optimizer(cnv_sgd(0.02, 0, 0));
    }
    cnv_use("auto");
}

/* 8 x 8 pictures of noise with one bright row (label 0) or column (label 1). */
static void draw_bars(cnv_tensor *images, int *labels, cnv_rng *rng)
{
    int i, k;
    fill_normal(images, rng);
    for (i = 0; i < images->n; i++) {
        int where = pick(rng, 0, 7);
        cnv_real *pixels = images->data + i * 64;
        labels[i] = pick(rng, 0, 1);
        for (k = 0; k < 64; k++) pixels[k] *= (cnv_real)0.3;
        for (k = 0; k < 8; k++) pixels[labels[i] ? k * 8 + where : where * 8 + k] += 1;
    }
}

static double bars_loss(cnv_net *net, int logits, cnv_tensor *images, cnv_rng *rng, int train)
{
    int labels[32];
    double loss = HUGE_VAL;
    draw_bars(images, labels, rng);
    net->training = train;
    CHECK(cnv_forward(net, images, CNV_ALL), "%s", cnv_error());
    CHECK(cnv_cross_entropy(&net->nodes[logits].out, labels, &loss,
                            train ? cnv_seed(net, logits) : NULL), "%s", cnv_error());
    if (train) CHECK(cnv_backward(net, CNV_PARAMETERS), "%s", cnv_error());
    return loss;
}

static void check_learning(cnv_optimizer o)
{
    cnv_net *net = cnv_net_new();
    cnv_tensor images = image_of(32, 1, 8, 8, 13);
    cnv_rng rng = cnv_rng_seed(14);
    double first, last;
    int x = cnv_relu(net, cnv_conv2d(net, cnv_input(net, 1), "conv1", 8, 3, 1, 1)), i;
    x = cnv_relu(net, cnv_conv2d(net, cnv_max_pool(net, x, 2, 2, 0), "conv2", 8, 3, 1, 1));
    x = cnv_linear(net, cnv_dropout(net, cnv_global_avg_pool(net, x), 0.1), "fc", 8, 2);
    CHECK(x > 0 && cnv_init(net, 15), "%s", cnv_error());
    first = bars_loss(net, x, &images, &rng, 0);
    for (i = 0; i < 300; i++) {
        bars_loss(net, x, &images, &rng, 1);
        CHECK(cnv_step(net, &o), "%s", cnv_error());
    }
    last = bars_loss(net, x, &images, &rng, 0);
    CHECK(first > 0.3 && last < 0.05, "loss %g before, %g after", first, last);
    cnv_tensor_free(&images);
    cnv_net_free(net);
}

/* Layers that behave differently while training. */
static void check_training_layers(void)
{
    cnv_net *net = cnv_net_new();
    cnv_tensor image = image_of(2, 3, 16, 16, 16), before, dropped;
    int norm = cnv_batch_norm(net, cnv_input(net, 3), "norm", 1e-3);
    int drop = cnv_dropout(net, norm, 0.5);
    size_t i, zeros = 0, size = cnv_tensor_size(&image);
    CHECK(drop > 0 && cnv_init(net, 17), "%s", cnv_error());
    CHECK(cnv_forward(net, &image, CNV_ALL), "%s", cnv_error());
    CHECK(same(&net->nodes[drop].out, &net->nodes[norm].out), "dropout drops though not training");
    CHECK(apart(&net->nodes[norm].out, &image) < 1e-2, "a new batch norm is not the identity");
    before = copy_of(&net->params[net->nodes[norm].param[2]].value);
    CHECK(cnv_forward(net, &image, CNV_ALL), "%s", cnv_error());
    CHECK(same(&net->params[net->nodes[norm].param[2]].value, &before), "statistics moved");
    net->training = 1;
    net->rng = cnv_rng_seed(18);
    CHECK(cnv_forward(net, &image, CNV_ALL), "%s", cnv_error());
    CHECK(!same(&net->params[net->nodes[norm].param[2]].value, &before), "statistics stay");
    dropped = copy_of(&net->nodes[drop].out);
    for (i = 0; i < size; i++) zeros += dropped.data[i] == 0;
    CHECK(zeros > size * 4 / 10 && zeros < size * 6 / 10, "%d of %d dropped", (int)zeros,
          (int)size);
    CHECK(cnv_forward(net, &image, CNV_ALL), "%s", cnv_error());
    CHECK(!same(&net->nodes[drop].out, &dropped), "the same mask twice");
    net->rng = cnv_rng_seed(18);
    CHECK(cnv_forward(net, &image, CNV_ALL), "%s", cnv_error());
    CHECK(same(&net->nodes[drop].out, &dropped), "the same seed gives another mask");
    cnv_tensor_free(&image), cnv_tensor_free(&before), cnv_tensor_free(&dropped);
    cnv_net_free(net);
}

/* He et al.: variance 2 / fan_in, the fan counted within a group. */
static void check_init(void)
{
    cnv_net *net = cnv_net_new();
    cnv_window win = cnv_square(3, 1, 1);
    int x = cnv_conv2d_window(net, cnv_input(net, 32), "conv", 128, &win, 2, 1), i;
    double fans[2] = {16 * 9, 128};
    cnv_tensor first;
    x = cnv_linear(net, cnv_batch_norm(net, x, "norm", 1e-5), "fc", 128, 200);
    CHECK(x > 0 && cnv_init(net, 19), "%s", cnv_error());
    for (i = 0; i < 2; i++) {
        const cnv_node *node = &net->nodes[i ? x : 1];
        const cnv_tensor *w = &net->params[node->param[0]].value;
        const cnv_tensor *b = &net->params[node->param[1]].value;
        double sum = 0, squares = 0, size = (double)cnv_tensor_size(w);
        size_t k;
        for (k = 0; k < cnv_tensor_size(w); k++) {
            sum += (double)w->data[k];
            squares += (double)w->data[k] * (double)w->data[k];
        }
        CHECK(fabs(squares / size * fans[i] / 2 - 1) < 0.05, "%s: variance %g", node->name,
              squares / size);
        CHECK(fabs(sum / size) < 5 * sqrt(2 / fans[i] / size), "%s: mean %g", node->name,
              sum / size);
        for (k = 0; k < cnv_tensor_size(b); k++) CHECK(b->data[k] == 0, "%s: bias", node->name);
    }
    for (i = 0; i < 4; i++) /* gamma, beta, mean, var */
        CHECK(net->params[net->nodes[2].param[i]].value.data[3] == (i == 0 || i == 3),
              "norm's parameter %d", i);
    first = copy_of(&net->params[0].value);
    CHECK(cnv_init(net, 20) && !same(&net->params[0].value, &first), "another seed, same weights");
    CHECK(cnv_init(net, 19) && same(&net->params[0].value, &first), "same seed, other weights");
    cnv_tensor_free(&first);
    cnv_net_free(net);
}

/* ---- Memory ---- */

/* Every kind of layer. */
static int build_zoo(cnv_net *net)
{
    static const double mean[3] = {0.5, 0.4, 0.3}, std[3] = {0.2, 0.3, 0.4};
    cnv_window win = cnv_square(3, 1, 1);
    int x = cnv_reflect_pad(net, cnv_normalize(net, cnv_input(net, 3), mean, std), 1), y[3];
    x = cnv_relu(net, cnv_batch_norm(net, cnv_conv2d(net, x, "c1", 4, 3, 1, 0), "n1", 1e-3));
    y[0] = cnv_local_response_norm(net, cnv_max_pool(net, x, 2, 2, 0), 3, 1, 0.75, 1);
    y[1] = cnv_avg_pool(net, x, 2, 2, 0);
    y[2] = cnv_sigmoid(net, cnv_max_pool_window(net, cnv_upsample(net, y[1], 2), &win));
    y[2] = cnv_conv2d(net, y[2], NULL, 4, 3, 2, 1);
    x = cnv_add(net, cnv_tanh(net, y[0]), cnv_instance_norm(net, y[2], "n2", 1e-3));
    y[0] = cnv_conv2d_window(net, x, "c2", 4, &win, 4, 0);
    x = cnv_adaptive_avg_pool(net, cnv_concat(net, y, 3), 2, 2);
    return cnv_softmax(net, cnv_linear(net, cnv_dropout(net, x, 0.3), "fc", 12 * 4, CLASSES));
}

static int zoo_pass(cnv_net *net, int out, const cnv_tensor *image, cnv_optimizer *o)
{
    cnv_tensor *seed;
    net->training = o != NULL;
    net->rng = cnv_rng_seed(22);
    if (!cnv_forward(net, image, CNV_ALL)) return 0;
    seed = cnv_seed(net, out);
    if (!seed) return 0;
    seed->data[0] = 1;
    return cnv_backward(net, 0) && (!o || cnv_step(net, o));
}

/* After the first iteration no more memory is asked for, whatever comes that is not larger. */
static void check_allocations(int frugal)
{
    cnv_net *net = cnv_net_new();
    cnv_tensor image = image_of(3, 3, 12, 10, 23);
    cnv_tensor fewer = cnv_tensor_view(image.data, 1, 3, 12, 10);
    cnv_optimizer adam = cnv_adam(1e-3, 1e-2);
    int out = build_zoo(net), i;
    long calls;
    CHECK(out > 0 && cnv_init(net, 24), "%s", cnv_error());
    net->frugal = frugal;
    CHECK(zoo_pass(net, out, &image, &adam), "%s", cnv_error());
    CHECK(zoo_pass(net, out, &image, NULL), "%s", cnv_error());
    calls = memory_calls;
    for (i = 0; i < 3; i++) {
        CHECK(zoo_pass(net, out, &image, &adam), "%s", cnv_error());
        CHECK(memory_calls == calls, "%ld requests while training", memory_calls - calls);
        CHECK(zoo_pass(net, out, &image, NULL), "%s", cnv_error());
        CHECK(memory_calls == calls, "%ld requests, not training", memory_calls - calls);
        CHECK(zoo_pass(net, out, &fewer, NULL), "%s", cnv_error());
        CHECK(memory_calls == calls, "%ld requests with a smaller batch", memory_calls - calls);
    }
    cnv_tensor_free(&image);
    cnv_net_free(net);
}

/* The whole life of a network, as far as it gets; pixels: the gradient of its first pass; *stage
   says how far. */
enum { UNBUILT, BUILT, PASSED };
static int zoo_life(int frugal, cnv_net **net, int *stage, const cnv_tensor *image,
                    cnv_tensor *pixels)
{
    cnv_optimizer o = cnv_adam(1e-3, 0);
    int out;
    *net = cnv_net_new();
    *stage = UNBUILT;
    if (!*net) return 0;
    (*net)->frugal = frugal;
    out = build_zoo(*net);
    if (out < 0 || !cnv_init(*net, 25)) return 0;
    *stage = BUILT;
    if (!zoo_pass(*net, out, image, NULL)) return 0;
    *stage = PASSED;
    memcpy(pixels->data, (*net)->nodes[0].grad.data, cnv_tensor_size(pixels) * sizeof(cnv_real));
    return zoo_pass(*net, out, image, &o);
}

/* Each single request fails in turn: there must be an error, no crash and no lost block, and the
   network must work as if nothing had been once there is memory again. */
static void check_failing_memory(int frugal)
{
    cnv_tensor image = image_of(2, 3, 6, 6, 26), pixels = copy_of(&image), after = copy_of(&image);
    long k, before = memory_live, failures = 0;
    cnv_net *net;
    int i, stage, ok = zoo_life(0, &net, &stage, &image, &pixels);
    CHECK(ok, "%s", cnv_error());
    cnv_net_free(net);
    for (k = 1;; k++) {
        int refused;
        cnv_use("nothing of that name");
        memory_fail_at = memory_calls + k;
        ok = zoo_life(frugal, &net, &stage, &image, &after);
        refused = memory_calls >= memory_fail_at;
        memory_fail_at = 0;
        if (refused && !ok) {
            failures++;
            CHECK(strstr(cnv_error(), "memory"), "request %ld: '%s'", k, cnv_error());
            for (i = 0; net && i < net->count; i++)
                CHECK(!net->nodes[i].borrowed, "request %ld: node %d borrows still", k, i);
            if (stage == PASSED) CHECK(cnv_init(net, 25), "%s", cnv_error()); /* undo the step */
            if (stage != UNBUILT) {
                CHECK(zoo_pass(net, net->count - 1, &image, NULL), "%s", cnv_error());
                CHECK(same(&net->nodes[0].grad, &pixels), "request %ld: damage", k);
            }
        } else {
            CHECK(ok && same(&after, &pixels), "request %ld: another result", k);
        }
        cnv_net_free(net);
        CHECK(memory_live == before, "request %ld: %ld blocks lost", k, memory_live - before);
        if (!refused) break;
    }
    CHECK(failures > 50, "only %ld of %ld requests were refused", failures, k);
    cnv_tensor_free(&image), cnv_tensor_free(&pixels), cnv_tensor_free(&after);
}

/* The same for operators called without a workspace. */
static int lone_operators(const cnv_tensor *x, const cnv_tensor *w, cnv_tensor out[6])
{
    cnv_window win = cnv_square(3, 1, 1), pool = cnv_square(2, 2, 0);
    return cnv_conv2d_forward(x, w, NULL, &win, 1, &out[0], NULL) &&
        cnv_tensor_resize(&out[1], x->n, x->c, x->h, x->w) &&
        cnv_conv2d_backward_data(&out[0], w, &win, 1, &out[1], NULL) &&
        cnv_tensor_copy(w, &out[2]) &&
        cnv_conv2d_backward_weights(x, &out[0], &win, 1, &out[2], NULL, NULL) &&
        cnv_max_pool_forward(x, &pool, &out[3]) &&
        cnv_max_pool_switches(x, &pool, &out[3], &out[4]) && cnv_im2col(x, &win, &out[5]);
}

static void check_failing_operators(void)
{
    cnv_tensor x = image_of(2, 8, 9, 7, 27), w = image_of(5, 8, 3, 3, 28), out[6];
    long k, before = memory_live;
    int ok, refused = 1, i;
    for (k = 1; refused; k++) {
        memset(out, 0, sizeof out);
        memory_fail_at = memory_calls + k;
        ok = lone_operators(&x, &w, out);
        refused = memory_calls >= memory_fail_at;
        memory_fail_at = 0;
        CHECK(ok || (refused && strstr(cnv_error(), "memory")), "request %ld: '%s'", k,
              cnv_error());
        for (i = 0; i < 6; i++) cnv_tensor_free(&out[i]);
        CHECK(memory_live == before, "request %ld: %ld blocks lost", k, memory_live - before);
    }
    CHECK(ok && k > 6, "%ld requests", k);
    cnv_tensor_free(&x), cnv_tensor_free(&w);
}

/* A frugal network's gradients are the same, to the last bit; they are left where they were asked
   for and nowhere else, and the nodes share their memory. */
static void check_borrowing(void)
{
    cnv_tensor image = image_of(2, 3, 8, 8, 28), pixels, inner;
    sample_net s = build(0);
    int i, turn, kept;
    for (turn = 0; turn < 3; turn++) { /* the first: not frugal */
        for (i = 0; i < (turn == 1 ? s.net->count : 0); i++) cnv_tensor_free(&s.net->nodes[i].grad);
        s.net->frugal = turn > 0;
        CHECK(cnv_forward(s.net, &image, CNV_ALL), "%s", cnv_error());
        cnv_seed(s.net, s.logits)->data[1] = 1;
        CHECK(cnv_backward(s.net, 0), "%s", cnv_error());
        if (!turn) pixels = copy_of(&s.net->nodes[0].grad), inner = copy_of(&s.net->nodes[1].grad);
        CHECK(same(&s.net->nodes[0].grad, &pixels), "pixels, turn %d", turn);
        for (i = kept = 0; i < s.net->count; i++) kept += s.net->nodes[i].grad.data != NULL;
        CHECK(kept == (turn ? 2 : s.net->count), "turn %d: %d gradients", turn, kept);
    }
    for (i = kept = 0; i < CNV_POOL; i++) kept += s.net->pool[i].data != NULL;
    CHECK(kept > 1 && kept < 6, "%d at once, of %d nodes", kept, s.net->count);
    CHECK(cnv_forward(s.net, &image, CNV_ALL), "%s", cnv_error());
    cnv_seed(s.net, s.logits)->data[1] = 1;
    CHECK(cnv_backward(s.net, 1) && same(&s.net->nodes[1].grad, &inner), "%s", cnv_error());
    cnv_tensor_free(&image), cnv_tensor_free(&pixels), cnv_tensor_free(&inner);
    cnv_net_free(s.net);
}

static cnv_net *mapped_net(const char *path)
{
    cnv_net *net = cnv_net_new();
    int x = cnv_conv2d(net, cnv_input(net, 3), "conv", 512, 3, 1, 1);
    x = cnv_linear(net, cnv_global_avg_pool(net, cnv_relu(net, x)), "fc", 512, 40);
    CHECK(x > 0 && (path ? cnv_load(net, path) : cnv_init(net, 30)), "%s", cnv_error());
    net->frugal = 1;
    return net;
}

/* Whole pages of mapped weights go back as long as nobody has said that they changed: what was
   written in secret is lost, and shows that they did. All else stays. */
static void check_giving_back(void)
{
    const char *path = "build/network_test.safetensors";
    cnv_tensor image = image_of(1, 3, 6, 6, 29);
    cnv_net *net = mapped_net(NULL);
    int told, node;
    CHECK(cnv_save(net, path, NULL), "%s", cnv_error());
    for (told = 0; told < 3; told++)
        for (node = 1; node < 5; node += 3) { /* the convolution, the linear layer */
            cnv_net *mapped = mapped_net(path);
            cnv_real *value = &mapped->params[mapped->nodes[node].param[0]].value.data[5000];
            int gone = 0;
            CHECK(cnv_forward(mapped, &image, CNV_ALL), "%s", cnv_error());
            *value = 1234;
            if (told == 1) cnv_weights_changed(mapped);
            if (told == 2) mapped->frugal = 0;
            CHECK(cnv_forward(mapped, &image, CNV_ALL), "%s", cnv_error());
#ifdef MADV_DONTNEED
            gone = !told && mapped->file && mapped->file->mapped && sizeof(cnv_real) == 4;
#endif
            CHECK((*value != 1234) == gone, "node %d, told %d: %g", node, told, (double)*value);
            CHECK(!gone || *value == net->params[net->nodes[node].param[0]].value.data[5000],
                  "node %d: %g", node, (double)*value);
            cnv_net_free(mapped);
        }
    remove(path);
    cnv_tensor_free(&image), cnv_net_free(net);
}

int main(void)
{
    find_instruction_sets();
    cnv_use("auto");
    check_upto();
    check_sizes();
    check_packing();
    check_winograd();
    check_refused_images();
    check_names();
    check_many_names();
    check_numbered_names();
    check_backward_without_forward();
    check_switches();
    check_building();
    check_seeds();
    check_downto();
    check_unreached();
    check_rules_by_hand();
    check_rules();
    check_parameter_gradients();
    check_optimizers();
    check_learning(cnv_adam(0.01, 0));
    check_learning(cnv_sgd(0.05, 0.9, 1e-4));
    check_training_layers();
    check_init();
    check_allocations(0), check_allocations(1);
    check_failing_memory(0), check_failing_memory(1);
    check_borrowing();
    check_giving_back();
    check_failing_operators();
    CHECK(memory_live == 0, "%ld blocks were never freed", memory_live);
    return check_report();
}
