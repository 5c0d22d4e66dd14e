/* style.c: Gram matrices and the losses made of them against their definitions, their gradients
   against differences; then what the programs on texture and style promise.

       cc -O2 -fopenmp tests/style.c -o build/style -lm && build/style     */
#define EXAMPLE_NO_MAIN
#include "../examples/fast_style.c"
#include "../examples/style_transfer.c"
#include "../examples/texture.c"

#include "check.h"

/* An example as example_begin leaves it, without arguments. */
static example begin(int argc, char **argv)
{
    return example_begin(argc, argv, "", NULL, "features");
}

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

/* S and K of two pictures by their definitions, and their gradient by differences, at nodes of a
   smooth network: one node carries style and content, one only style. */
static void test_losses(void)
{
    cnv_net *net = cnv_net_new();
    gram_goal g = {0};
    example e = {0};
    ascent a;
    cnv_tensor style = {0}, content = {0}, x = {0};
    int i, k, step = 7;
    double away = 0, all = 0, whole, length;
    g.node[0] = cnv_tanh(net, cnv_conv2d(net, cnv_input(net, 3), "one", 4, 3, 1, 1));
    g.node[1] = cnv_tanh(net, cnv_conv2d(net, g.node[0], "two", 5, 3, 2, 1));
    g.nodes = 2, g.content_node = g.last = g.node[1];
    g.style_weight = 0.7, g.content_weight = 0.3;
    CHECK(cnv_init(net, 3), "%s", cnv_error());
    noise(&style, 1, 3, 12, 9, 1), noise(&content, 2, 3, 8, 10, 2), noise(&x, 2, 3, 8, 10, 3);
    CHECK(gram_style(net, &g, &style) && gram_content(net, &g, &content), "%s", cnv_error());
    e.net = net;
    a = ascent_of(&e, g.last, gram_objective, &g);
    CHECK(ascent_from(&a, &x) && ascent_gradient(&a), "%s", cnv_error());
    for (i = 0; i < 2; i++) { /* K of each picture */
        cnv_tensor f = cnv_tensor_image(&net->nodes[g.last].out, i);
        cnv_tensor f0 = cnv_tensor_image(&g.content, i);
        double d = 0;
        for (k = 0; k < (int)cnv_tensor_size(&f); k++) d += pow((double)(f.data[k] - f0.data[k]), 2);
        away += d / ascent_dot(&f0, &f0) / 2;
    }
    CHECK(fabs(away / g.content_loss - 1) < 1e-5, "K is %g, by definition %g", g.content_loss, away);
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
    length = sqrt(ascent_dot(&style, &style) / (double)cnv_tensor_size(&style));
    CHECK(length > 1e-4, "no slope");
    for (i = 0; i < (int)cnv_tensor_size(&x); i += step) {
        double up, down, h = 1.0 / 64;
        float was = a.z.data[i];
        a.z.data[i] = was + (float)h, CHECK(ascent_gradient(&a), "%s", cnv_error());
        up = ascent_total(&a);
        a.z.data[i] = was - (float)h, CHECK(ascent_gradient(&a), "%s", cnv_error());
        down = ascent_total(&a);
        a.z.data[i] = was;
        CHECK(fabs((up - down) / (2 * h) - (double)style.data[i]) < 0.02 * length + 2e-5,
              "number %d: slope %g, difference quotient %g", i, (double)style.data[i],
              (up - down) / (2 * h));
    }
    gram_end(&g), ascent_end(&a), cnv_net_free(net);
    cnv_tensor_free(&style), cnv_tensor_free(&content), cnv_tensor_free(&x);
}
