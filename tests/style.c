/* style.c: Gram matrices and the losses made of them against their definitions, their gradients
   against differences; then what the programs on texture and style promise.

       cc -O2 -fopenmp tests/style.c -o build/style -lm && build/style     */
#define EXAMPLE_NO_MAIN
#include "../examples/fast_style.c"
#include "../examples/style_transfer.c"
#include "../examples/texture.c"

#include "check.h"

static void noise(cnv_tensor *t, int n, int c, int h, int w, unsigned long long seed)
{
    cnv_rng rng = cnv_rng_seed(seed);
    size_t i;
    CHECK(cnv_tensor_resize(t, n, c, h, w), "%s", cnv_error());
    for (i = 0; i < cnv_tensor_size(t); i++) t->data[i] = (float)cnv_uniform(&rng);
}

/* G[a][b] = mean over positions of F[a] F[b]; a picture beside itself has the same */
static void test_gram_matrix(void)
{
    cnv_tensor f = {0}, twice = {0}, gram = {0}, other = {0};
    int a, b, c, i, plane = 7 * 9;
    noise(&f, 1, 5, 7, 9, 1);
    CHECK(gram_matrix(&f, &gram, NULL) && gram.n == 5 && gram.c == 5, "%s", cnv_error());
    for (a = 0; a < 5; a++)
        for (b = 0; b < 5; b++) {
            double sum = 0;
            for (i = 0; i < plane; i++)
                sum += (double)f.data[a * plane + i] * (double)f.data[b * plane + i];
            CHECK(fabs(sum / plane - (double)gram.data[a * 5 + b]) < 1e-6, "%d, %d: %g is %g", a, b,
                  sum / plane, (double)gram.data[a * 5 + b]);
        }
    CHECK(cnv_tensor_resize(&twice, 1, 5, 14, 9), "%s", cnv_error());
    for (c = 0; c < 5; c++)
        for (i = 0; i < 2 * plane; i++)
            twice.data[c * 2 * plane + i] = f.data[c * plane + i % plane];
    CHECK(gram_matrix(&twice, &other, NULL), "%s", cnv_error());
    for (i = 0; i < 25; i++) CHECK(fabsf(gram.data[i] - other.data[i]) < 1e-6f, "%d", i);
    cnv_tensor_free(&f), cnv_tensor_free(&twice), cnv_tensor_free(&gram), cnv_tensor_free(&other);
}

/* |G - G0|^2 / |G0|^2 of image n of `out` against the one image of `style`, in double */
static double style_by_definition(const cnv_tensor *out, int n, const cnv_tensor *style)
{
    double away = 0, all = 0;
    int a, b, i;
    for (a = 0; a < out->c; a++)
        for (b = 0; b < out->c; b++) {
            double g = 0, g0 = 0;
            cnv_tensor x = cnv_tensor_channel(out, n, a), y = cnv_tensor_channel(out, n, b);
            for (i = 0; i < x.h * x.w; i++) g += (double)x.data[i] * (double)y.data[i];
            x = cnv_tensor_channel(style, 0, a), y = cnv_tensor_channel(style, 0, b);
            g /= out->h * out->w;
            for (i = 0; i < x.h * x.w; i++) g0 += (double)x.data[i] * (double)y.data[i];
            g0 /= style->h * style->w;
            away += (g - g0) * (g - g0), all += g0 * g0;
        }
    return away / all;
}

/* The slope, of numbers of about this length, by differences of the whole objective. */
static void check_slope(ascent *a, const cnv_tensor *slope, double length)
{
    enum { STEP = 7 }; /* so many numbers on */
    int i;
    for (i = 0; i < (int)cnv_tensor_size(slope); i += STEP) {
        double up, down, h = 1.0 / 64;
        float was = a->z.data[i];
        a->z.data[i] = was + (float)h;
        CHECK(ascent_gradient(a), "%s", cnv_error());
        up = ascent_total(a);
        a->z.data[i] = was - (float)h;
        CHECK(ascent_gradient(a), "%s", cnv_error());
        down = ascent_total(a);
        a->z.data[i] = was;
        CHECK(fabs((up - down) / (2 * h) - (double)slope->data[i]) < 0.02 * length + 2e-5,
              "number %d: slope %g, difference quotient %g", i, (double)slope->data[i],
              (up - down) / (2 * h));
    }
}

/* S and K of two pictures by their definitions, and their gradient by differences, at nodes of a
   smooth network: one node carries style and content, one only style. */
static void test_losses(void)
{
    cnv_net *net = cnv_net_new();
    gram_goal g = {0};
    example e = {0};
    ascent a;
    cnv_tensor style = {0}, content = {0}, x = {0}, at[2] = {{0}, {0}};
    int i, k;
    double away = 0, all = 0, whole, length;
    g.node[0] = cnv_tanh(net, cnv_conv2d(net, cnv_input(net, 3), "one", 4, 3, 1, 1));
    g.node[1] = cnv_tanh(net, cnv_conv2d(net, g.node[0], "two", 5, 3, 2, 1));
    g.nodes = 2, g.content_node = g.last = g.node[1];
    g.style_weight = 0.7, g.content_weight = 0.3;
    CHECK(cnv_init(net, 3), "%s", cnv_error());
    noise(&style, 1, 3, 12, 9, 1), noise(&content, 2, 3, 8, 10, 2), noise(&x, 2, 3, 8, 10, 3);
    CHECK(gram_style(net, &g, &style), "%s", cnv_error());
    for (k = 0; k < 2; k++)
        CHECK(cnv_tensor_copy(&net->nodes[g.node[k]].out, &at[k]), "%s", cnv_error());
    CHECK(gram_content(net, &g, &content), "%s", cnv_error());
    e.net = net;
    a = ascent_of(&e, g.last, gram_objective, &g);
    CHECK(ascent_from(&a, &x) && ascent_gradient(&a), "%s", cnv_error());
    for (i = 0; i < 2; i++) { /* K of each picture */
        cnv_tensor f = cnv_tensor_image(&net->nodes[g.last].out, i);
        cnv_tensor f0 = cnv_tensor_image(&g.content, i);
        double d = 0;
        for (k = 0; k < (int)cnv_tensor_size(&f); k++)
            d += pow((double)(f.data[k] - f0.data[k]), 2);
        away += d / cnv_dot(&f0, &f0) / 2;
    }
    CHECK(fabs(away / g.content_loss - 1) < 1e-5, "K is %g, should be %g", g.content_loss, away);
    for (i = 0, away = 0; i < 4; i++)
        away += style_by_definition(&net->nodes[g.node[i / 2]].out, i % 2, &at[i / 2]) / 4;
    CHECK(fabs(away / g.style_loss - 1) < 1e-5, "S is %g, by definition %g", g.style_loss, away);
    whole = ascent_total(&a), away = g.style_loss;
    for (i = 0; i < 2; i++) {
        cnv_tensor one = cnv_tensor_image(&x, i);
        all += gram_loss(net, &g, &one) / 2;
    }
    CHECK(fabs(all / away - 1) < 1e-5, "S is %g, of each by itself %g", away, all);
    CHECK(gram_loss(net, &g, &style) < 1e-10, "S of the style itself");
    CHECK(ascent_from(&a, &x) && ascent_gradient(&a), "%s", cnv_error());
    CHECK(fabs(whole + 2 * (0.7 * g.style_loss + 0.3 * g.content_loss)) < 1e-5, "value");
    CHECK(cnv_tensor_copy(&a.grad, &style), "%s", cnv_error());
    length = sqrt(cnv_dot(&style, &style) / (double)cnv_tensor_size(&style));
    CHECK(length > 1e-4, "no slope");
    check_slope(&a, &style, length);
    gram_end(&g), ascent_end(&a), cnv_net_free(net);
    cnv_tensor_free(&style), cnv_tensor_free(&content), cnv_tensor_free(&x);
    cnv_tensor_free(&at[0]), cnv_tensor_free(&at[1]);
}

/* Layers are ReLUs, the first to the one after --layer; without any there is nothing to compare. */
static void test_layers(const example *e)
{
    gram_goal g = {0};
    cnv_net *bare = cnv_net_new();
    int i, relu4 = cnv_find(e->net, "relu4");
    CHECK(gram_layers(e->net, cnv_find(e->net, "conv4"), &g), "no layers");
    CHECK(g.nodes == 5 && g.last == relu4, "%d nodes, the last is %d, relu4 is %d", g.nodes, g.last,
          relu4);
    CHECK(e->net->nodes[g.node[0]].op == CNV_NORMALIZE, "the first is %d", g.node[0]);
    for (i = 1; i < g.nodes; i++)
        CHECK(e->net->nodes[g.node[i]].op == CNV_RELU && g.node[i] > g.node[i - 1], "%d", i);
    CHECK(gram_layers(e->net, cnv_find(e->net, "conv1"), &g) && g.nodes == 2, "conv1 alone");
    CHECK(gram_layers(e->net, e->logits, &g) && g.last == cnv_find(e->net, "relu4"),
          "up to the logits: linear layers have no places");
    cnv_conv2d(bare, cnv_input(bare, 3), "only", 2, 3, 1, 1);
    CHECK(!gram_layers(bare, 1, &g), "a layer where there is none");
    cnv_net_free(bare);
}

/* texture.c: the Gram loss falls to 1%; the sample's colours alone would be far away. */
static void test_texture(const example *e, cnv_net *net, gram_goal *goal, const char *name)
{
    cnv_tensor sample = {0}, other = {0}, out = {0};
    double start, end, colours;
    painting_open(e, name, 64, &sample);
    CHECK(texture(e, net, goal, &sample, 96, 70, &out, &start, &end), "%s", cnv_error());
    CHECK(out.h == 96 && out.w == 96, "%d x %d", out.h, out.w);
    CHECK(end <= 0.01 * start, "%s: Gram loss %g of %g at the start", name, end, start);
    CHECK(fabs(gram_loss(net, goal, &out) - end) < 1e-4 * start, "%g, claimed %g",
          gram_loss(net, goal, &out), end);
    CHECK(shuffled(&sample, 1, &other), "%s", cnv_error());
    colours = gram_loss(net, goal, &other);
    CHECK(colours > 10 * end, "%s: %g, shuffled pixels %g", name, end, colours);
    cnv_tensor_free(&sample), cnv_tensor_free(&other), cnv_tensor_free(&out);
}

static void test_textures(const example *e)
{
    gram_goal goal = {0}, random_goal = {0};
    cnv_net *net = gram_random_net(3, 32, 1, &random_goal);
    CHECK(net && gram_layers(e->net, e->layer, &goal), "%s", cnv_error());
    test_texture(e, e->net, &goal, "mosaic");
    test_texture(e, net, &random_goal, "mosaic");
    test_texture(e, net, &random_goal, "waves");
    gram_end(&goal), gram_end(&random_goal), cnv_net_free(net);
}

/* One run on a landscape; returns K */
static double transfer(const example *e, ascent_method method, double weight, double most)
{
    gram_goal goal = {0};
    cnv_net *net = gram_open(e, &goal);
    cnv_tensor content = {0}, style = {0}, out = {0};
    style_run run = {method, 45, 0, 0, 0, 0};
    CHECK(cnv_tensor_resize(&content, 1, 3, 128, 128), "%s", cnv_error());
    toy_landscape(1, 128, 128, content.data);
    painting_open(e, "strokes", 128, &style);
    goal.content_weight = weight;
    CHECK(style_transfer(e, net, &goal, &content, &style, &run, &out), "%s", cnv_error());
    CHECK(run.loss <= most * run.start, "method %d: loss %g of %g", (int)method, run.loss,
          run.start);
    cnv_tensor_free(&content), cnv_tensor_free(&style), cnv_tensor_free(&out);
    gram_close(e, net, &goal);
    return run.content;
}

/* style_transfer.c: the loss falls to 5% by either optimizer, and content is kept: better than by a
   search for the style alone, be it from grey or from the content itself. */
static void test_style_transfer(const example *e)
{
    double lbfgs = transfer(e, ASCENT_LBFGS, 0.02, 0.05);
    double adam = transfer(e, ASCENT_ADAM, 0.02, 0.05);
    double grey = transfer(e, ASCENT_LBFGS, 0, 0.05), same = transfer(e, ASCENT_LBFGS, 1e-9, 0.05);
    CHECK(lbfgs < same && lbfgs < grey, "K %g, style alone %g, from grey %g", lbfgs, same, grey);
    CHECK(adam < same && adam < grey, "K %g, style alone %g, from grey %g", adam, same, grey);
}

/* Of the random filters, only those of the coarsest scale see what is even. */
static void test_random_filters(void)
{
    gram_goal g = {0};
    cnv_net *net = gram_random_net(3, 8, 1, &g);
    int i, k, c;
    CHECK(net && g.nodes == 4 && net->param_count == 6, "%s", cnv_error());
    for (i = 0; i < 3; i++)
        for (k = 0; k < 8; k++)
            for (c = 0; c < 3; c++) {
                cnv_tensor w = cnv_tensor_channel(&net->params[2 * i].value, k, c);
                double sum = 0;
                int t;
                for (t = 0; t < 49; t++) sum += (double)w.data[t];
                CHECK(i < 2 ? fabs(sum) < 1e-5 : fabs(sum) > 1e-4, "scale %d: the sum is %g", i,
                      sum);
            }
    cnv_net_free(net), gram_end(&g);
}

/* Paintings keep the size; the seed alone decides; an even picture is not painted evenly. */
static void test_painter(const example *e)
{
    painter p;
    cnv_tensor grey = {0}, first = {0}, *out;
    double low, high;
    painter_begin(e, example_data("fast_style.safetensors"), &p);
    out = &p.net->nodes[p.painted].out;
    CHECK(cnv_tensor_resize(&grey, 2, 3, 64, 96), "%s", cnv_error());
    cnv_tensor_fill(&grey, 0.5);
    CHECK(painter_paint(&p, &grey, 7) && cnv_tensor_copy(out, &first), "%s", cnv_error());
    CHECK(out->n == 2 && out->c == 3 && out->h == 64 && out->w == 96, "%d x %d", out->h, out->w);
    cnv_range(out, &low, &high);
    CHECK(low >= 0 && high <= 1 && high - low > 0.2, "from %g to %g", low, high);
    CHECK(painter_paint(&p, &grey, 7), "%s", cnv_error());
    CHECK(!memcmp(out->data, first.data, cnv_tensor_size(out) * sizeof(float)), "not the same");
    CHECK(painter_paint(&p, &grey, 8), "%s", cnv_error());
    CHECK(memcmp(out->data, first.data, cnv_tensor_size(out) * sizeof(float)), "the same");
    cnv_tensor_free(&grey), cnv_tensor_free(&first), painter_end(e, &p);
}

/* Pictures to learn from are landscapes and scenes, large and small, each another one. A crop is a
   part of its picture, at another place each time, or all of it. */
static void test_crops(const example *e)
{
    cnv_tensor picture[5] = {{0}}, crop = {0}, again = {0};
    cnv_rng rng = cnv_rng_seed(3);
    int i, wrong = 0, side = PAINTER_CROP;
    for (i = 0; i < 5; i++) CHECK(painter_lesson(e, i, &picture[i]), "%s", cnv_error());
    CHECK(picture[0].w == PAINTER_LARGE && picture[1].w == PAINTER_LARGE && picture[2].w == side &&
          picture[3].w == side && picture[4].w == PAINTER_LARGE, "their sizes");
    CHECK(memcmp(picture[0].data, picture[4].data, cnv_tensor_size(&picture[0]) * sizeof(float)),
          "the same twice");
    CHECK(cnv_tensor_resize(&crop, 1, 3, side, side), "%s", cnv_error());
    painter_crop(&picture[3], &rng, &crop);
    CHECK(!memcmp(crop.data, picture[3].data, cnv_tensor_size(&crop) * sizeof(float)), "not all");
    for (i = 0; i < (int)cnv_tensor_size(&picture[0]); i++) picture[0].data[i] = (float)i;
    CHECK(cnv_tensor_copy(&crop, &again), "%s", cnv_error());
    painter_crop(&picture[0], &rng, &crop), painter_crop(&picture[0], &rng, &again);
    CHECK(crop.data[0] < again.data[0] || crop.data[0] > again.data[0], "the same place");
    for (i = 0; i < 3 * side * side; i++) {
        int c = i / (side * side), y = i / side % side, x = i % side;
        float at = crop.data[0] + (float)((c * PAINTER_LARGE + y) * PAINTER_LARGE + x);
        wrong += fabsf(crop.data[i] - at) > 0.5f;
    }
    CHECK(!wrong, "%d pixels are from elsewhere", wrong);
    for (i = 0; i < 5; i++) cnv_tensor_free(&picture[i]);
    cnv_tensor_free(&crop), cnv_tensor_free(&again);
}

/* A step of plain descent changes a weight by -rate times the slope of log(mean loss). */
static void test_paint_step(const example *e)
{
    painter p;
    cnv_tensor images = {0};
    cnv_param *bias;
    double loss[3], step = 1.0 / 64, slope, moved;
    float was;
    int i;
    noise(&images, 2, 3, 16, 16, 5);
    painter_begin(e, NULL, &p);
    bias = &p.net->params[p.net->param_count - 1]; /* of the last convolution */
    CHECK(cnv_init(p.net, 1), "%s", cnv_error());
    was = bias->value.data[1];
    for (i = 0; i < 3; i++) { /* rate 0 only looks */
        cnv_optimizer descent = cnv_sgd(i == 2 ? 0.001 : 0, 0, 0);
        bias->value.data[1] = was + (float)(step * (i == 2 ? 0 : 2 * i - 1));
        cnv_weights_changed(p.net);
        loss[i] = paint_step(&p, &images, &descent);
        CHECK(loss[i] >= 0, "%s", cnv_error());
    }
    slope = log(loss[1] / loss[0]) / (2 * step);
    moved = (double)(was - bias->value.data[1]) / 0.001;
    CHECK(fabs(slope) > 1e-4, "no slope");
    CHECK(fabs(moved - slope) < 0.02 * fabs(slope) + 1e-5, "descent %g, difference quotient %g",
          moved, slope);
    cnv_tensor_free(&images), painter_end(e, &p);
}

/* Training lowers the loss on what it has not seen, and its seed alone decides the weights. */
static void test_training(const example *e)
{
    painter p, twin;
    cnv_tensor content = {0};
    double before, after;
    int i;
    painter_begin(e, NULL, &p), painter_begin(e, NULL, &twin);
    painter_held_out(e, 0, 64, &content);
    CHECK(cnv_init(p.net, e->seed) && painter_paint(&p, &content, 1), "%s", cnv_error());
    before = painter_loss(&p, &content, &p.net->nodes[p.painted].out);
    CHECK(paint_train(e, &p, 8) && paint_train(e, &twin, 8), "%s", cnv_error());
    CHECK(painter_paint(&p, &content, 1) && !p.net->training, "%s", cnv_error());
    after = painter_loss(&p, &content, &p.net->nodes[p.painted].out);
    CHECK(before > 0 && after < 0.9 * before, "loss %g, before %g", after, before);
    for (i = 0; i < p.net->param_count; i++)
        CHECK(!memcmp(p.net->params[i].value.data, twin.net->params[i].value.data,
                      cnv_tensor_size(&p.net->params[i].value) * sizeof(float)), "%s",
              p.net->params[i].name);
    cnv_tensor_free(&content), painter_end(e, &p), painter_end(e, &twin);
}

/* Processor seconds: other programs do not count. */
static double seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

/* Adds the loss after each of 100 steps of search from noise to sum; returns the seconds. */
static double search(const example *e, painter *p, const cnv_tensor *content, ascent_method method,
                     double *sum)
{
    static double loss[101];
    cnv_tensor out = {0};
    double begin = seconds();
    int i;
    CHECK(gram_content(p->features, &p->goal, content) &&
          gram_search(e, p->features, &p->goal, content->h, content->w, NULL, method, 100, loss,
                      &out), "%s", cnv_error());
    for (i = 0; i <= 100; i++) sum[i] += loss[i];
    cnv_tensor_free(&out);
    return seconds() - begin;
}

/* The loss of a picture as the painter paints it; *fastest: seconds of the fastest pass so far */
static double pass(painter *p, const cnv_tensor *content, double *fastest)
{
    double begin = seconds();
    CHECK(painter_paint(p, content, 1), "%s", cnv_error());
    *fastest = fmin(*fastest, seconds() - begin);
    return painter_loss(p, content, &p->net->nodes[p->painted].out);
}

/* fast_style.c: one pass of the network that comes along, over pictures that training has not seen,
   is as far as LEVEL_ADAM and LEVEL_LBFGS steps of search, and 100 times faster than 100; weights
   drawn anew are not. */
enum { LEVEL_ADAM = 100, LEVEL_LBFGS = 27, LEVEL_PICTURES = 3 };

static void test_fast_style(const example *e)
{
    painter p;
    cnv_tensor content[LEVEL_PICTURES] = {{0}};
    static double adam[101], lbfgs[101];
    double one = 0, plain = 0, blank = 0, time = 0, fastest = 1e9;
    int i, j;
    painter_begin(e, example_data("fast_style.safetensors"), &p);
    for (i = 0; i < LEVEL_PICTURES; i++) { /* landscapes */
        painter_held_out(e, 2 * i, 128, &content[i]);
        pass(&p, &content[i], &fastest), one += pass(&p, &content[i], &fastest);
        plain += painter_loss(&p, &content[i], &content[i]);
        search(e, &p, &content[i], ASCENT_ADAM, adam);
        time += search(e, &p, &content[i], ASCENT_LBFGS, lbfgs) / LEVEL_PICTURES;
    }
    CHECK(cnv_init(p.net, 1), "%s", cnv_error());
    for (i = 0; i < LEVEL_PICTURES; i++) {
        blank += pass(&p, &content[i], &fastest);
        cnv_tensor_free(&content[i]);
    }
    CHECK(one < 0.2 * plain && one < 0.2 * blank, "loss %g, of the pictures as they are %g, of a "
          "painter that has learned nothing %g", one, plain, blank);
    CHECK(one <= adam[LEVEL_ADAM], "loss %g in one pass, %g by Adam", one, adam[LEVEL_ADAM]);
    CHECK(one <= lbfgs[LEVEL_LBFGS], "loss %g, %g by L-BFGS", one, lbfgs[LEVEL_LBFGS]);
    CHECK(time >= 100 * fastest, "%g times faster", time / fastest);
    for (i = 0; i < 100 && adam[i] > one; i++) continue;
    for (j = 0; j < 100 && lbfgs[j] > one; j++) continue;
    printf("one pass: mean loss %.4f, level with %d steps of Adam, %d of L-BFGS; 100 of them %.4f, "
           "%.4f, %.0f times slower\n", one / LEVEL_PICTURES, i, j, adam[100] / LEVEL_PICTURES,
           lbfgs[100] / LEVEL_PICTURES, time / fastest);
    painter_end(e, &p);
}

int main(void)
{
    static char program[] = "style";
    char *arguments[] = {program, NULL};
    example e = example_begin(1, arguments, "", NULL, "");
    test_gram_matrix();
    test_losses();
    test_layers(&e);
    test_random_filters();
    test_textures(&e);
    test_style_transfer(&e);
    test_painter(&e);
    test_crops(&e);
    test_paint_step(&e);
    test_training(&e);
    test_fast_style(&e);
    example_end(&e);
    return check_report();
}
