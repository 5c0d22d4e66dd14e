/* codes.c: what the programs about codes rest on, against plain definitions: distances, neighbours,
   trustworthiness, the grid, principal components, t-SNE and UMAP; and their pass lines on the
   shipped network, beside what scikit-learn and umap-learn say of the same codes.

       cc -O2 -fopenmp tests/codes.c -o build/codes -lm && build/codes
       build/codes --write codes.f32          writes the codes, for tests/codes_reference.py     */
#define EXAMPLE_NO_MAIN
#include "../examples/nearest.c"
#include "../examples/pca.c"
#include "../examples/tsne.c"
#include "../examples/umap.c"
#include "check.h"
#include "codes_reference.h"

enum { PICTURES = 2000 };

static cnv_tensor normal(int n, int c, double size, uint64_t seed)
{
    cnv_tensor x = {0};
    cnv_rng rng = cnv_rng_seed(seed);
    int i;
    CHECK(cnv_tensor_resize(&x, n, c, 1, 1), "%s", cnv_error());
    for (i = 0; i < n * c; i++) x.data[i] = (float)(size * cnv_normal(&rng));
    return x;
}

static double square(double x) { return x * x; }

/* |a_i - b_j|^2 as it is written. */
static double distance2(const cnv_tensor *a, int i, const cnv_tensor *b, int j)
{
    double sum = 0;
    int k;
    for (k = 0; k < a->c; k++)
        sum += square((double)a->data[i * a->c + k] - (double)b->data[j * b->c + k]);
    return sum;
}

/* ---- Distances and neighbours ---- */

static void test_distances(void)
{
    cnv_tensor a = normal(37, 96, 3, 1), b = normal(41, 96, 3, 2), zero = normal(1, 96, 0, 1);
    cnv_tensor y = normal(30, 3, 5, 3), d2 = {0};
    int i, j;
    CHECK(codes_distances(&a, &b, &d2) && d2.n == 37 && d2.c == 41, "%s", cnv_error());
    for (i = 0; i < 37; i++)
        for (j = 0; j < 41; j++) {
            double truth = distance2(&a, i, &b, j), size = distance2(&a, i, &zero, 0) +
                                                            distance2(&b, j, &zero, 0);
            CHECK(fabs((double)d2.data[i * 41 + j] - truth) <= 16 * 6e-8 * size,
                  "(%d, %d): %g, truth %g", i, j, (double)d2.data[i * 41 + j], truth);
        }
    CHECK(codes_distances(&a, &a, &d2), "%s", cnv_error());
    for (i = 0; i < 37; i++) CHECK(d2.data[38 * i] >= 0, "below 0: %g", (double)d2.data[38 * i]);
    CHECK(codes_layout_distances(&y, &d2), "%s", cnv_error()); /* of three columns the first two */
    for (i = 0; i < 30; i++)
        for (j = 0; j < 30; j++) {
            double truth = square((double)y.data[3 * i] - (double)y.data[3 * j]) +
                           square((double)y.data[3 * i + 1] - (double)y.data[3 * j + 1]);
            CHECK(fabs((double)d2.data[30 * i + j] - truth) <= 1e-6 * truth, "%d %d", i, j);
        }
    cnv_tensor_free(&a), cnv_tensor_free(&b), cnv_tensor_free(&d2), cnv_tensor_free(&y);
    cnv_tensor_free(&zero);
}

/* How many columns of row i, but `but`, come before column j: nearer, or as near and earlier. */
static int place_of(const cnv_tensor *d2, int i, int but, int j)
{
    const float *row = d2->data + i * d2->c;
    int k, before = 0;
    for (k = 0; k < d2->c; k++)
        before += k != but && k != j && (row[k] < row[j] || (row[k] == row[j] && k < j));
    return before;
}

/* Whole numbers from a few: many are equal. */
static void test_neighbours(void)
{
    enum { N = 40, K = 12 };
    cnv_tensor d2 = {0};
    cnv_rng rng = cnv_rng_seed(5);
    int i, m, but, index[K];
    CHECK(cnv_tensor_resize(&d2, N, N, 1, 1), "%s", cnv_error());
    for (i = 0; i < N * N; i++) d2.data[i] = (float)(cnv_random(&rng) % 15);
    for (i = 0; i < N; i++)
        for (but = -1; but < N; but += 7) {
            codes_neighbours(&d2, i, but, K, index);
            for (m = 0; m < K; m++)
                CHECK(index[m] != but && place_of(&d2, i, but, index[m]) == m,
                      "row %d without %d: neighbour %d is %d", i, but, m, index[m]);
        }
    cnv_tensor_free(&d2);
}

/* Trustworthiness from the ranks of all; and what it must be for layouts that are easy to judge. */
static void test_trust(void)
{
    enum { N = 60, K = 5 };
    cnv_tensor x = normal(N, 7, 1, 6), y = normal(N, 2, 1, 7), d2 = {0}, near = {0};
    double sum = 0, trust;
    int i, j;
    CHECK(codes_distances(&x, &x, &d2) && codes_layout_distances(&y, &near), "%s", cnv_error());
    for (i = 0; i < N; i++)
        for (j = 0; j < N; j++) { /* place_of counts from 0, ranks count from 1 */
            int rank = place_of(&d2, i, i, j) + 1;
            if (j != i && place_of(&near, i, i, j) < K && rank > K) sum += rank - K;
        }
    trust = 1 - 2 * sum / (N * K * (2.0 * N - 3 * K - 1));
    CHECK(fabs(codes_trust(&d2, &near, K) - trust) < 1e-12, "%g, by definition %g",
          codes_trust(&d2, &near, K), trust);
    CHECK(codes_trust(&d2, &d2, K) == 1, "a layout does not trust itself");
    CHECK(trust > 0.4 && trust < 0.6, "at random: %g", trust);
    for (i = 0; i < N * N; i++) near.data[i] = 100 - d2.data[i]; /* the farthest become nearest */
    CHECK(fabs(codes_trust(&d2, &near, K)) < 1e-12, "upside down: %g", codes_trust(&d2, &near, K));
    cnv_tensor_free(&x), cnv_tensor_free(&y), cnv_tensor_free(&d2), cnv_tensor_free(&near);
}

/* Two pairs far apart: 0 1 and 2 3. */
static void test_precision(void)
{
    float at[8] = {0, 0, 0, 1, 9, 0, 9, 1};
    int alike[4] = {4, 4, 2, 2}, crossed[4] = {4, 2, 4, 2};
    cnv_tensor y = cnv_tensor_view(at, 4, 2, 1, 1), d2 = {0};
    dataset d;
    memset(&d, 0, sizeof d);
    d.n = 4, d.labels = alike;
    CHECK(codes_layout_distances(&y, &d2), "%s", cnv_error());
    CHECK(codes_precision(&d2, alike, 1) == 1 && codes_precision(&d2, crossed, 1) == 0, "of one");
    CHECK(fabs(codes_precision(&d2, alike, 3) - 1 / 3.0) < 1e-12, "of all");
    CHECK(fabs(codes_chance(&d) - 1 / 3.0) < 1e-12, "chance: %g", codes_chance(&d));
    cnv_tensor_free(&d2);
}

/* nearest() is the square root of what is written above, in order. */
static void test_nearest(void)
{
    cnv_tensor x = normal(50, 20, 2, 8), from = cnv_tensor_image(&x, 17);
    double distance[10];
    int index[10], m, j;
    CHECK(nearest(&x, &from, 17, 10, index, distance), "%s", cnv_error());
    for (m = 0; m < 10; m++) {
        int nearer = 0;
        for (j = 0; j < 50; j++)
            nearer += j != 17 && distance2(&x, j, &x, 17) < distance2(&x, index[m], &x, 17);
        CHECK(index[m] != 17 && nearer == m, "neighbour %d: %d are nearer", m, nearer);
        CHECK(fabs(distance[m] - sqrt(distance2(&x, index[m], &x, 17))) < 1e-5 * distance[m],
              "neighbour %d at %g", m, distance[m]);
    }
    CHECK(nearest(&x, &from, -1, 1, index, distance) && index[0] == 17, "not itself");
    cnv_tensor_free(&x);
}

/* ---- Layers ---- */

static void check_layer(const char *name, cnv_op op, const char *reader, int channels)
{
    example e;
    int node;
    memset(&e, 0, sizeof e);
    e.net = cnv_net_new();
    e.logits = model_find(name)->build(e.net, 10);
    node = codes_layer(&e);
    CHECK(e.logits >= 0 && e.net->nodes[node].op == op && e.net->nodes[node].channels == channels,
          "%s: %s, %d channels", name, e.net->nodes[node].name, e.net->nodes[node].channels);
    CHECK(!strcmp(e.net->nodes[e.net->nodes[node].input[0]].name, reader), "%s: %s reads %s", name,
          e.net->nodes[node].name, e.net->nodes[e.net->nodes[node].input[0]].name);
    cnv_net_free(e.net);
}

/* No fully connected layer but a 1 x 1 convolution, pooled; and a softmax on top. */
static void test_layers(void)
{
    example e;
    int x, code;
    float numbers[2 * 2 * 3] = {1, 2, 6, -1, 0, 4, 5, 5, 5, 0, 0, 9}, means[4];
    cnv_tensor out = cnv_tensor_view(numbers, 2, 2, 1, 3);
    check_layer("toynet", CNV_RELU, "fc5", 96);
    check_layer("alexnet", CNV_RELU, "classifier.4", 4096);
    check_layer("vgg19", CNV_RELU, "classifier.3", 4096); /* not the dropout after it */
    check_layer("googlenet", CNV_ADAPTIVE_AVG_POOL, "inception5b", 1024);
    memset(&e, 0, sizeof e);
    e.net = cnv_net_new();
    code = cnv_relu(e.net, cnv_conv2d(e.net, cnv_input(e.net, 3), "conv", 8, 3, 1, 1));
    x = cnv_conv2d(e.net, code, "classes", 5, 1, 1, 0);
    e.logits = cnv_softmax(e.net, cnv_global_avg_pool(e.net, x));
    CHECK(codes_layer(&e) == code, "node %d", codes_layer(&e));
    cnv_net_free(e.net);
    codes_means(&out, means);
    CHECK(means[0] == 3 && means[1] == 1 && means[2] == 5 && means[3] == 3, "%g %g %g %g",
          (double)means[0], (double)means[1], (double)means[2], (double)means[3]);
}

/* ---- The grid ---- */

/* The least sum of costs [n][n] over all ways to give each row a column of its own: shortest
   augmenting paths (Jonker & Volgenant 1987). */
static double least_cost(const double *cost, int n)
{
    double u[128] = {0}, v[128] = {0}, least[128], total = 0;
    int owner[128], way[128], done[128], i, k, j, next = 0;
    for (k = 0; k <= n; k++) owner[k] = -1;
    for (i = 0; i < n; i++) {
        for (k = 0; k <= n; k++) least[k] = INFINITY, done[k] = 0;
        for (owner[n] = i, j = n; owner[j] >= 0; j = next) {
            double delta = INFINITY;
            done[j] = 1;
            for (k = 0; k < n; k++) {
                double slack = done[k] ? 0 : cost[owner[j] * n + k] - u[owner[j]] - v[k];
                if (!done[k] && slack < least[k]) least[k] = slack, way[k] = j;
                if (!done[k] && least[k] < delta) delta = least[k], next = k;
            }
            for (k = 0; k <= n; k++) {
                if (done[k]) u[owner[k]] += delta, v[k] -= delta;
                else least[k] -= delta;
            }
        }
        for (; j != n; j = way[j]) owner[j] = owner[way[j]];
    }
    for (k = 0; k < n; k++) total += cost[owner[k] * n + k];
    return total;
}

/* An auction whose last raises are of `least` ends within n * least of the optimum. */
static void test_auction(void)
{
    enum { N = 100 };
    cnv_tensor from = normal(N, 2, 0.15, 9), to = normal(N, 2, 0, 9);
    static double cost[N * N];
    const float least = 1e-3f / N;
    double sum = 0, best;
    int picture[N], seen[N] = {0}, i, j;
    for (i = 0; i < N; i++) {
        from.data[2 * i] += 0.5f, from.data[2 * i + 1] += 0.5f;
        if (i < 8) from.data[2 * i] = from.data[2 * i + 1] = 0.25f; /* several at one place */
        to.data[2 * i] = ((float)(i % 10) + 0.5f) / 10;
        to.data[2 * i + 1] = ((float)(i / 10) + 0.5f) / 10;
    }
    for (i = 0; i < N; i++)
        for (j = 0; j < N; j++) cost[i * N + j] = distance2(&from, i, &to, j);
    best = least_cost(cost, N);
    CHECK(codes_auction(&from, &to, least, picture), "out of memory");
    for (j = 0; j < N; j++) {
        CHECK(picture[j] >= 0 && picture[j] < N && !seen[picture[j]]++, "cell %d: %d", j,
              picture[j]);
        sum += cost[picture[j] * N + j];
    }
    CHECK(sum > best - 1e-6 && sum < best + 1e-3 + 1e-5, "%g, the least is %g", sum, best);
    cnv_tensor_free(&from), cnv_tensor_free(&to);
}

/* ---- Principal components ---- */

/* Jacobi's eigenvalues: turns a [n][n], symmetric, until it is diagonal; v [n][n]: an eigenvector
   in each row. */
static void jacobi(double *a, int n, double *v)
{
    int i, p, q, sweep;
    for (i = 0; i < n * n; i++) v[i] = i % (n + 1) == 0;
    for (sweep = 0; sweep < 12; sweep++)
        for (p = 0; p < n; p++)
            for (q = p + 1; q < n; q++) {
                double angle = 0.5 * atan2(2 * a[p * n + q], a[q * n + q] - a[p * n + p]);
                double c = cos(angle), s = sin(angle), x;
                for (i = 0; i < n; i++)
                    x = a[i * n + p], a[i * n + p] = c * x - s * a[i * n + q],
                    a[i * n + q] = s * x + c * a[i * n + q];
                for (i = 0; i < n; i++)
                    x = a[p * n + i], a[p * n + i] = c * x - s * a[q * n + i],
                    a[q * n + i] = s * x + c * a[q * n + i];
                for (i = 0; i < n; i++)
                    x = v[p * n + i], v[p * n + i] = c * x - s * v[q * n + i],
                    v[q * n + i] = s * x + c * v[q * n + i];
            }
}

/* The covariance of points x [n,C] as it is written. */
static void covariance(const cnv_tensor *x, double *a)
{
    double mean[128] = {0};
    int i, j, k, c = x->c;
    for (i = 0; i < x->n; i++)
        for (j = 0; j < c; j++) mean[j] += (double)x->data[i * c + j] / x->n;
    for (j = 0; j < c * c; j++) a[j] = 0;
    for (i = 0; i < x->n; i++)
        for (j = 0; j < c; j++)
            for (k = 0; k < c; k++)
                a[j * c + k] += ((double)x->data[i * c + j] - mean[j]) *
                                ((double)x->data[i * c + k] - mean[k]) / (x->n - 1);
}

static double all_variance(const cnv_tensor *x)
{
    static double a[128 * 128];
    double sum = 0;
    int j;
    covariance(x, a);
    for (j = 0; j < x->c; j++) sum += a[j * x->c + j];
    return sum;
}

/* The cosine of the greatest angle between a direction in the span of a [k][c] and the span of b
   [k][c], both orthonormal: the least singular value of a b^T. */
static double subspace_cosine(const double *a, const double *b, int k, int c)
{
    double product[32 * 32], gram[32 * 32], vectors[32 * 32], least = 1;
    int i, j, m;
    for (i = 0; i < k; i++)
        for (j = 0; j < k; j++)
            for (product[i * k + j] = 0, m = 0; m < c; m++)
                product[i * k + j] += a[i * c + m] * b[j * c + m];
    for (i = 0; i < k; i++)
        for (j = 0; j < k; j++)
            for (gram[i * k + j] = 0, m = 0; m < k; m++)
                gram[i * k + j] += product[i * k + m] * product[j * k + m];
    jacobi(gram, k, vectors);
    for (i = 0; i < k; i++) least = fmin(least, gram[i * k + i]);
    return sqrt(fmax(least, 0));
}

/* The eigenvectors of the `count` greatest eigenvalues, the greatest first. */
static void eigenvectors(const cnv_tensor *x, int count, double *vectors, double *values)
{
    static double a[128 * 128], v[128 * 128];
    int c = x->c, i, k, used[128] = {0};
    covariance(x, a);
    jacobi(a, c, v);
    for (k = 0; k < count; k++) {
        int best = -1;
        for (i = 0; i < c; i++)
            if (!used[i] && (best < 0 || a[i * c + i] > a[best * c + best])) best = i;
        used[best] = 1, values[k] = a[best * c + best];
        for (i = 0; i < c; i++) vectors[k * c + i] = v[best * c + i];
    }
}

static void check_pca(const cnv_tensor *x, int count, const char *what)
{
    static double axes[16 * 128], truth[16 * 128], other[16 * 128];
    double variance[16], values[16], all, cosine, control;
    cnv_tensor at = {0}, noise = normal(16, x->c, 1, 11);
    int i, j, k, c = x->c;
    all = pca(x, count, axes, variance, &at);
    eigenvectors(x, count, truth, values);
    cosine = subspace_cosine(axes, truth, count, c);
    for (k = 0; k < count; k++) {
        for (j = 0; j < c; j++) other[k * c + j] = (double)noise.data[k * c + j];
        pca_unit(other + k * c, other, k, c);
    }
    control = subspace_cosine(other, truth, count, c);
    printf("PCA of %s: cosine %.7f for %d components, random directions %.3f\n", what, cosine,
           count, control);
    CHECK(cosine > 0.999, "%s: cosine %g", what, cosine);
    CHECK(control < 0.9, "%s: random directions have %g", what, control);
    for (k = 0; k < count; k++) {
        double mean = 0, spread = 0, dot = 0;
        CHECK(fabs(variance[k] - values[k]) < 1e-4 * values[0], "%s, %d: variance %g, truth %g",
              what, k, variance[k], values[k]);
        for (j = 0; j < c; j++) dot += axes[k * c + j] * truth[k * c + j];
        CHECK(fabs(dot) > 0.999, "%s, %d: cosine %g", what, k, dot);
        for (i = 0; i < x->n; i++) mean += (double)at.data[i * count + k] / x->n;
        for (i = 0; i < x->n; i++)
            spread += square((double)at.data[i * count + k] - mean) / (x->n - 1);
        CHECK(fabs(mean) < 1e-4 * sqrt(values[0]) && fabs(spread - values[k]) < 1e-4 * values[0],
              "%s, %d: positions have mean %g and variance %g", what, k, mean, spread);
    }
    CHECK(fabs(all - all_variance(x)) < 1e-6 * all, "%s: in all %g, truth %g", what, all,
          all_variance(x));
    cnv_tensor_free(&at), cnv_tensor_free(&noise);
}

/* Points that lie in a plane of five dimensions have two components; equal points have none. */
static void test_flat_points(void)
{
    cnv_tensor x = normal(40, 5, 1, 12), at = {0};
    double axes[3 * 5], variance[3], all, length = 0;
    int i, j;
    for (i = 0; i < 40; i++)
        for (j = 2; j < 5; j++)
            x.data[5 * i + j] = (float)j * x.data[5 * i] - 2 * x.data[5 * i + 1];
    all = pca(&x, 3, axes, variance, &at);
    CHECK(fabs(variance[0] + variance[1] - all) < 1e-6 * all, "%g + %g of %g", variance[0],
          variance[1], all);
    CHECK(variance[2] < 1e-6 * all, "a third component: %g of %g", variance[2], all);
    cnv_tensor_fill(&x, 3);
    all = pca(&x, 3, axes, variance, &at);
    for (j = 0; j < 15; j++) length += fabs(axes[j]);
    CHECK(all < 1e-20 && variance[0] < 1e-20 && length == length, "equal points vary by %g", all);
    cnv_tensor_free(&x), cnv_tensor_free(&at);
}

/* ---- t-SNE ---- */

/* Each row is what the formula says, with one s for all j, and of the perplexity asked for. */
static void test_affinities(void)
{
    enum { N = 90 };
    cnv_tensor x = normal(N, 10, 5, 13), d2 = {0}, p = {0};
    float rows[N][N];
    double all = 0;
    int i, j;
    CHECK(codes_distances(&x, &x, &d2) && tsne_affinities(&d2, 12, &p), "%s", cnv_error());
    for (i = 0; i < N; i++) {
        int near = (i + 1) % N, far = (i + 2) % N;
        double sum = 0, entropy = 0, beta;
        tsne_row(d2.data + i * N, N, i, 12, rows[i]);
        for (j = 0; j < N; j++) sum += (double)rows[i][j];
        for (j = 0; j < N; j++)
            entropy -= rows[i][j] > 0 ? (double)rows[i][j] * log((double)rows[i][j]) : 0;
        CHECK(rows[i][i] == 0 && fabs(sum - 1) < 1e-5, "row %d: sum %g", i, sum);
        CHECK(fabs(exp(entropy) - 12) < 1e-3, "row %d: perplexity %g", i, exp(entropy));
        beta = log((double)rows[i][near] / (double)rows[i][far]) /
               (double)(d2.data[i * N + far] - d2.data[i * N + near]);
        for (j = 0; j < N; j++)
            if (j != i && rows[i][j] > 1e-20f)
                CHECK(fabs(log((double)rows[i][j] / (double)rows[i][near]) +
                           beta * (double)(d2.data[i * N + j] - d2.data[i * N + near])) < 1e-2,
                      "p(%d|%d) is not Gaussian", j, i);
    }
    for (i = 0; i < N; i++)
        for (j = 0; j < N; j++) {
            double pij = ((double)rows[i][j] + (double)rows[j][i]) / (2 * N);
            all += (double)p.data[i * N + j];
            CHECK(fabs((double)p.data[i * N + j] - pij) < 1e-9, "p_%d,%d", i, j);
        }
    CHECK(fabs(all - 1) < 1e-5, "all p_ij: %g", all);
    cnv_tensor_free(&x), cnv_tensor_free(&d2), cnv_tensor_free(&p);
}

/* 4 (pull - push / W) */
static void slope_of(const cnv_tensor *p, const cnv_tensor *y, double *slope)
{
    cnv_tensor force = {0};
    double all;
    int i;
    CHECK(cnv_tensor_resize(&force, y->n, 5, 1, 1), "%s", cnv_error());
    all = (double)tsne_forces(p, y, &force);
    for (i = 0; i < 2 * y->n; i++) {
        const float *f = force.data + 5 * (i / 2) + i % 2;
        slope[i] = 4 * ((double)f[0] - (double)f[2] / all);
    }
    cnv_tensor_free(&force);
}

/* C by its definition, and its slope by central differences of that. */
static void test_slope(void)
{
    enum { N = 24 };
    cnv_tensor x = normal(N, 6, 1, 14), y = normal(N, 2, 0.7, 15), d2 = {0}, p = {0};
    double slope[2 * N], c = 0, all = 0, steepest = 0;
    const float step = 1.0f / 64;
    int i, j;
    CHECK(codes_distances(&x, &x, &d2) && tsne_affinities(&d2, 5, &p), "%s", cnv_error());
    for (i = 0; i < N; i++)
        for (j = 0; j < N; j++) all += i == j ? 0 : 1 / (1 + distance2(&y, i, &y, j));
    for (i = 0; i < N; i++)
        for (j = 0; j < N; j++) {
            double pij = (double)p.data[i * N + j], q = 1 / (1 + distance2(&y, i, &y, j)) / all;
            if (i != j) c += pij * log(pij / q);
        }
    CHECK(fabs(tsne_divergence(&p, &y) - c) < 1e-6, "C %g, by definition %g",
          tsne_divergence(&p, &y), c);
    slope_of(&p, &y, slope);
    for (i = 0; i < 2 * N; i++) steepest = fmax(steepest, fabs(slope[i]));
    CHECK(steepest > 1e-3, "no slope");
    for (i = 0; i < 2 * N; i++) {
        float was = y.data[i];
        double up, down;
        y.data[i] = was + step, up = tsne_divergence(&p, &y);
        y.data[i] = was - step, down = tsne_divergence(&p, &y), y.data[i] = was;
        up = (up - down) / (2 * (double)step);
        CHECK(fabs(up - slope[i]) < 2e-3 * steepest, "%d: slope %g, difference quotient %g", i,
              slope[i], up);
    }
    cnv_tensor_free(&x), cnv_tensor_free(&y), cnv_tensor_free(&d2), cnv_tensor_free(&p);
}

/* Three heaps in ten dimensions, some of their points equal, become three in the plane. */
static void make_heaps(cnv_tensor *x, int *labels)
{
    int i;
    *x = normal(90, 10, 1, 16);
    for (i = 0; i < 90; i++) {
        labels[i] = i % 3;
        x->data[10 * i + labels[i]] += 20;
        if (i >= 80) memcpy(x->data + 10 * i, x->data + 10 * (i - 30), 10 * sizeof(float));
    }
}

static void check_heaps(const char *what, const cnv_tensor *y, const cnv_tensor *again,
                        const int *labels)
{
    cnv_tensor near = {0};
    int i;
    CHECK(codes_layout_distances(y, &near), "%s", cnv_error());
    for (i = 0; i < 180; i++)
        CHECK(fabs((double)y->data[i]) < 1e6, "%s: %g", what, (double)y->data[i]);
    CHECK(codes_precision(&near, labels, 5) == 1, "%s mixes heaps: %g", what,
          codes_precision(&near, labels, 5));
    CHECK(!memcmp(y->data, again->data, 180 * sizeof(float)), "%s: another layout", what);
    cnv_tensor_free(&near);
}

static void test_heaps(void)
{
    cnv_tensor x, d2 = {0}, p = {0}, w = {0}, y = {0}, again = {0};
    int labels[90];
    make_heaps(&x, labels);
    CHECK(codes_distances(&x, &x, &d2) && tsne_affinities(&d2, 10, &p) && tsne(&p, 400, 3, &y) &&
          tsne(&p, 400, 3, &again), "%s", cnv_error());
    check_heaps("t-SNE", &y, &again, labels);
    CHECK(umap_graph(&d2, 10, &w) && umap(&w, 200, 3, &y) && umap(&w, 200, 3, &again), "%s",
          cnv_error());
    check_heaps("UMAP", &y, &again, labels);
    cnv_tensor_free(&x), cnv_tensor_free(&d2), cnv_tensor_free(&p), cnv_tensor_free(&w);
    cnv_tensor_free(&y), cnv_tensor_free(&again);
}

/* ---- UMAP ---- */

static void test_graph(void)
{
    enum { N = 50, K = 8 };
    cnv_tensor x = normal(N, 6, 3, 17), d2 = {0}, w = {0};
    static float rows[N][N];
    int i, j;
    CHECK(codes_distances(&x, &x, &d2) && umap_graph(&d2, K, &w), "%s", cnv_error());
    for (i = 0; i < N; i++) {
        double sum = 0;
        umap_row(&d2, i, K, rows[i]);
        for (j = 0; j < N; j++) {
            int place = place_of(&d2, i, i, j);
            sum += (double)rows[i][j];
            if (j == i || place >= K - 1) CHECK(rows[i][j] == 0, "no edge from %d to %d", i, j);
            else CHECK(place ? rows[i][j] < 1 : rows[i][j] == 1, "%d, %d: %g", i, j,
                       (double)rows[i][j]);
        }
        CHECK(fabs(sum - log(K) / log(2)) < 1e-4, "row %d: sum %g", i, sum);
    }
    for (i = 0; i < N; i++)
        for (j = 0; j < N; j++) {
            double a = (double)rows[i][j], b = (double)rows[j][i];
            CHECK(fabs((double)w.data[i * N + j] - (1 - (1 - a) * (1 - b))) < 1e-6, "%d %d", i, j);
        }
    cnv_tensor_free(&x), cnv_tensor_free(&d2), cnv_tensor_free(&w);
}

/* -log v, or -log(1 - v), of two points at a distance. */
static double umap_cost(const float *a, const float *b, int towards)
{
    double r2 = square((double)a[0] - (double)b[0]) + square((double)a[1] - (double)b[1]);
    double v = 1 / (1 + 1.577 * pow(r2, 0.895));
    return -log(towards ? v : 1 - v);
}

/* A step is down the slope by central differences, but for what keeps it finite at 0. */
static void test_moves(void)
{
    static const float at[4][2] = {{1, 0.5f}, {-0.7f, 2}, {0.2f, -0.3f}, {4, -3}};
    const float b[2] = {0.1f, -0.2f}, step = 1.0f / 128;
    int i, axis, towards;
    for (i = 0; i < 4; i++)
        for (towards = 0; towards < 2; towards++)
            for (axis = 0; axis < 2; axis++) {
                float a[2] = {at[i][0], at[i][1]}, up[2] = {at[i][0], at[i][1]}, down[2];
                double slope, moved, kept, r2 = square((double)(a[0] - b[0])) +
                                                square((double)(a[1] - b[1]));
                memcpy(down, up, sizeof down);
                up[axis] += step, down[axis] -= step;
                slope = umap_cost(up, b, towards) - umap_cost(down, b, towards);
                slope /= 2 * (double)step;
                umap_move(a, b, towards, 0.01f);
                moved = (double)(a[axis] - at[i][axis]) / 0.01;
                kept = towards ? 1 : (0.001 + r2) / r2;
                slope = fmax(-4, fmin(4, slope / kept));
                CHECK(fabs(moved + slope) < 0.02 * fabs(slope) + 2e-3,
                      "from %d, towards %d: moved %g, slope %g", i, towards, moved, slope);
            }
}

/* ---- The shipped network ---- */

static double mean(const double *x, int n)
{
    double sum = 0;
    int i;
    for (i = 0; i < n; i++) sum += x[i] / n;
    return sum;
}

/* A layout that is no method's has the trustworthiness, C and slope that scikit-learn finds. */
static void test_plane(const codes *c, const cnv_tensor *d2, const cnv_tensor *p)
{
    static double slope[2 * PICTURES];
    cnv_tensor y = {0}, near = {0};
    double length = 0, u, v;
    int i, k;
    CHECK(cnv_tensor_resize(&y, PICTURES, 2, 1, 1), "%s", cnv_error());
    for (i = 0; i < PICTURES; i++) {
        for (u = v = 0, k = 0; k < c->x.c; k++)
            u += 0.05 * cos(k) * (double)c->x.data[i * c->x.c + k],
            v += 0.05 * sin(k) * (double)c->x.data[i * c->x.c + k];
        y.data[2 * i] = (float)u, y.data[2 * i + 1] = (float)v;
    }
    CHECK(codes_layout_distances(&y, &near), "%s", cnv_error());
    CHECK(fabs(codes_trust(d2, &near, 5) - reference_plane_trust[0]) < 1e-4,
          "trustworthiness %g, scikit-learn %g", codes_trust(d2, &near, 5),
          reference_plane_trust[0]);
    CHECK(fabs(tsne_divergence(p, &y) / reference_plane_tsne[0] - 1) < 1e-3,
          "C %g, scikit-learn %g", tsne_divergence(p, &y), reference_plane_tsne[0]);
    slope_of(p, &y, slope);
    for (i = 0; i < 2 * PICTURES; i++) length += square(slope[i]);
    CHECK(fabs(sqrt(length) / reference_plane_tsne[1] - 1) < 1e-3, "slope %g, scikit-learn %g",
          sqrt(length), reference_plane_tsne[1]);
    cnv_tensor_free(&y), cnv_tensor_free(&near);
}

static double trust_of(const cnv_tensor *d2, const cnv_tensor *y)
{
    cnv_tensor near = {0};
    double trust;
    CHECK(codes_layout_distances(y, &near), "%s", cnv_error());
    trust = codes_trust(d2, &near, 5);
    cnv_tensor_free(&near);
    return trust;
}

/* The nearest of the codes, of the pixels, and of the codes before training. */
static void test_nearest_line(example *e, codes *c)
{
    cnv_tensor pixels = {0}, d2 = {0}, before = {0};
    double trained, pixel, untrained, chance = codes_chance(&c->d);
    cnv_tensor trained_codes = c->x;
    codes half = *c;
    CHECK(codes_distances(&c->x, &c->x, &d2), "%s", cnv_error());
    trained = codes_precision(&d2, c->d.labels, 5);
    half.d.n = PICTURES / 2; /* a thousand are enough for the controls */
    CHECK(codes_pixels(&half.d, &pixels) && codes_distances(&pixels, &pixels, &d2), "%s",
          cnv_error());
    pixel = codes_precision(&d2, c->d.labels, 5);
    CHECK(cnv_init(e->net, 1), "%s", cnv_error());
    half.x = before, codes_read(e, &half);
    CHECK(codes_distances(&half.x, &half.x, &d2), "%s", cnv_error());
    untrained = codes_precision(&d2, c->d.labels, 5);
    printf("precision at 5: codes %.3f, pixels %.3f, untrained %.3f, chance %.3f\n", trained, pixel,
           untrained, chance);
    CHECK(trained >= 0.9, "precision at 5: %.3f", trained);
    CHECK(pixel < 0.2 && pixel > 0.5 * chance, "pixels: %.3f", pixel);
    CHECK(untrained < 0.3 && untrained > 0.5 * chance, "untrained: %.3f", untrained);
    c->x = trained_codes;
    cnv_tensor_free(&pixels), cnv_tensor_free(&d2), cnv_tensor_free(&half.x);
}

static void test_tsne_line(const codes *c, const cnv_tensor *d2)
{
    cnv_tensor p = {0}, y = {0}, dealt = {0}, random = {0}, at = {0};
    double c_truth = mean(reference_tsne_c, 3), t_truth = mean(reference_tsne_trust, 3);
    double trust, plane, shuffled, flat, divergence, start, axes[2 * 96], variance[2];
    CHECK(tsne_affinities(d2, 30, &p), "%s", cnv_error());
    test_plane(c, d2, &p);
    start = example_seconds();
    CHECK(tsne(&p, 1000, 1, &y), "%s", cnv_error());
    printf("t-SNE of %d: %.1f s\n", PICTURES, example_seconds() - start);
    CHECK(codes_shuffle(&y, 1, &dealt) && codes_plane(&c->x, 1, &random) &&
          pca(&c->x, 2, axes, variance, &at) > 0, "%s", cnv_error());
    trust = trust_of(d2, &y), shuffled = trust_of(d2, &dealt), plane = trust_of(d2, &random);
    flat = trust_of(d2, &at), divergence = tsne_divergence(&p, &y);
    printf("C %.4f, scikit-learn %.4f, shuffled %.3f\n", divergence, c_truth,
           tsne_divergence(&p, &dealt));
    printf("trustworthiness(5) %.4f, scikit-learn %.4f, PCA %.3f, a random plane %.3f, shuffled "
           "%.3f\n", trust, t_truth, flat, plane, shuffled);
    CHECK(fabs(trust - t_truth) < 0.01 * t_truth, "trustworthiness %g", trust);
    CHECK(fabs(divergence - c_truth) < 0.05 * c_truth, "C %g", divergence);
    CHECK(shuffled < 0.55 && plane < 0.7 && flat < trust - 0.1 && plane < flat - 0.1,
          "controls: %g %g %g", shuffled, plane, flat);
    CHECK(tsne_divergence(&p, &dealt) > 3 * divergence, "shuffled: C %g",
          tsne_divergence(&p, &dealt));
    cnv_tensor_free(&p), cnv_tensor_free(&y), cnv_tensor_free(&dealt), cnv_tensor_free(&random);
    cnv_tensor_free(&at);
}

static void test_umap_line(const cnv_tensor *d2)
{
    cnv_tensor w = {0}, y = {0};
    double trust, truth = mean(reference_umap_trust, 3), edges = 0, sum = 0, squares = 0, start;
    int i;
    CHECK(umap_graph(d2, 15, &w), "%s", cnv_error());
    for (i = 0; i < PICTURES * PICTURES; i++)
        edges += w.data[i] > 0, sum += (double)w.data[i], squares += square((double)w.data[i]);
    CHECK(fabs(edges - reference_umap_graph[0]) < 10, "%g edges, umap-learn %g", edges,
          reference_umap_graph[0]);
    CHECK(fabs(sum / reference_umap_graph[1] - 1) < 1e-3 &&
          fabs(squares / reference_umap_graph[2] - 1) < 1e-3, "weights: %g, squares %g, umap-learn "
          "%g and %g", sum, squares, reference_umap_graph[1], reference_umap_graph[2]);
    start = example_seconds();
    CHECK(umap(&w, 500, 1, &y), "%s", cnv_error());
    trust = trust_of(d2, &y);
    printf("UMAP of %d: %.1f s, trustworthiness(5) %.4f, umap-learn %.4f\n", PICTURES,
           example_seconds() - start, trust, truth);
    CHECK(trust > truth - 0.01, "trustworthiness %g, umap-learn %g", trust, truth);
    cnv_tensor_free(&w), cnv_tensor_free(&y);
}

/* The variances along the first twelve components, as scikit-learn finds them. */
static void test_pca_line(const codes *c)
{
    static double axes[12 * 96];
    double variance[12];
    cnv_tensor at = {0};
    int k;
    check_pca(&c->x, 12, "the codes");
    pca(&c->x, 12, axes, variance, &at);
    for (k = 0; k < 12; k++)
        CHECK(fabs(variance[k] / reference_variance[k] - 1) < 1e-3, "%d: %g, scikit-learn %g", k,
              variance[k], reference_variance[k]);
    cnv_tensor_free(&at);
}

static void write_codes(const example *e, const codes *c, const char *path)
{
    FILE *file = fopen(path, "wb");
    size_t size = cnv_tensor_size(&c->x);
    if (!file || fwrite(c->x.data, sizeof(float), size, file) != size || fclose(file))
        example_fail(e, "cannot write %s", path);
}

int main(int argc, char **argv)
{
    example e = example_begin(1, argv, "codes", NULL, "");
    codes c = codes_of(&e, PICTURES);
    cnv_tensor x = normal(300, 30, 2, 10), d2 = {0};
    int j;
    if (argc == 3 && !strcmp(argv[1], "--write")) return write_codes(&e, &c, argv[2]), 0;
    test_distances(), test_neighbours(), test_trust(), test_precision(), test_nearest();
    test_layers(), test_auction(), test_flat_points();
    for (j = 0; j < 300 * 30; j++) x.data[j] *= (float)(1 + j % 30); /* clear axes, off centre */
    for (j = 0; j < 300 * 30; j++) x.data[j] += 7;
    check_pca(&x, 6, "stretched noise");
    test_affinities(), test_slope(), test_heaps(), test_graph(), test_moves();
    CHECK(codes_distances(&c.x, &c.x, &d2), "%s", cnv_error());
    test_pca_line(&c), test_tsne_line(&c, &d2), test_umap_line(&d2);
    test_nearest_line(&e, &c); /* last: it spoils the network */
    cnv_tensor_free(&x), cnv_tensor_free(&d2), codes_free(&c), example_end(&e);
    return check_report();
}
