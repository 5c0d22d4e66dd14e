/* pca.c - along which directions do the codes differ most?

   Question   Which few directions account for most of how the codes of pictures differ, and what
              do the pictures at their ends show?
   Formula    v_1 is the unit vector along which the codes x_i vary most, v_2 the next at right
              angles to it, ...: the eigenvectors C v = lambda v of the covariance
              C = 1/(n-1) sum over i of (x_i - m)(x_i - m)^T, m the mean; lambda is the variance.
              Power iteration: v <- C v / |C v|, at right angles to those before, until v stays
   Paper      Pearson: On Lines and Planes of Closest Fit to Systems of Points in Space (1901)
   Look for   What the ends of a component show: it tells some classes from some others. In the
              plane of the first two most classes lie over each other: it is a shadow of 96
              dimensions, where t-SNE and UMAP bend and tear to keep neighbours together.
   Measured   the subspace is an independent eigenvalue solver's, to a cosine of .999 for every
              direction in it (tests/codes.c). The plane's trustworthiness beside a random plane's

       cc -O2 -fopenmp examples/pca.c -o build/pca -lm && build/pca --layer conv4               */
#include "codes.h"

enum { PCA_SWEEPS = 5000 };

/* w = C v for centred points z [n,C]: the sum of z_i (z_i . v) / (n-1). */
static void pca_covariance(const cnv_tensor *z, const double *v, double *w)
{
    int i, j;
    for (j = 0; j < z->c; j++) w[j] = 0;
    for (i = 0; i < z->n; i++) {
        const float *point = z->data + i * z->c;
        double along = 0;
        for (j = 0; j < z->c; j++) along += (double)point[j] * v[j];
        for (j = 0; j < z->c; j++) w[j] += (double)point[j] * along / (z->n - 1);
    }
}

/* Makes w [C] a unit vector at right angles to `count` others [count][C]. Returns its length, or 0,
   and w = 0, if nothing but rounding is left of it. */
static double pca_unit(double *w, const double *others, int count, int c)
{
    double before = 0, length = 0, along;
    int j, k;
    for (j = 0; j < c; j++) before += w[j] * w[j];
    for (k = 0; k < count; k++) {
        for (along = 0, j = 0; j < c; j++) along += w[j] * others[k * c + j];
        for (j = 0; j < c; j++) w[j] -= along * others[k * c + j];
    }
    for (j = 0; j < c; j++) length += w[j] * w[j];
    if (length <= 1e-20 * before) length = 0;
    for (j = 0; j < c; j++) w[j] = length > 0 ? w[j] / sqrt(length) : 0;
    return sqrt(length);
}

/* z = x less its mean; returns the variance in all, or NaN without memory. */
static double pca_centre(const cnv_tensor *x, cnv_tensor *z)
{
    double all = 0;
    int i, j;
    if (!cnv_tensor_copy(x, z)) return NAN;
    for (j = 0; j < x->c; j++) {
        double mean = 0, away;
        for (i = 0; i < x->n; i++) mean += (double)x->data[i * x->c + j] / x->n;
        for (i = 0; i < x->n; i++) {
            away = (double)x->data[i * x->c + j] - mean;
            z->data[i * x->c + j] = (float)away, all += away * away / (x->n - 1);
        }
    }
    return all;
}

/* The first `count` <= C principal components of points x [n,C,1,1]: axes [count][C], the variances
   along them, and the points' positions y [n,count,1,1] there. Returns the variance in all. */
static double pca(const cnv_tensor *x, int count, double *axes, double *variance, cnv_tensor *y)
{
    cnv_tensor z = {0};
    cnv_rng rng = cnv_rng_seed(1);
    int i, j, k, sweep, c = x->c;
    double *w = (double *)malloc((size_t)c * sizeof(double)), all = pca_centre(x, &z), along;
    if (!w || all != all || !cnv_tensor_resize(y, x->n, count, 1, 1)) return NAN;
    for (k = 0; k < count; k++) {
        double *v = axes + k * c, change = 1;
        for (j = 0; j < c; j++) v[j] = cnv_normal(&rng);
        for (sweep = 0; sweep < PCA_SWEEPS && change > 1e-14; sweep++) {
            pca_covariance(&z, v, w);
            variance[k] = pca_unit(w, axes, k, c);
            for (change = 0, j = 0; j < c; j++) change += (w[j] - v[j]) * (w[j] - v[j]);
            memcpy(v, w, (size_t)c * sizeof(double));
        }
        for (i = 0; i < x->n; i++) {
            for (along = 0, j = 0; j < c; j++) along += v[j] * (double)z.data[i * c + j];
            y->data[i * count + k] = (float)along;
        }
    }
    free(w), cnv_tensor_free(&z);
    return all;
}

#ifndef EXAMPLE_NO_MAIN
enum { PCA_AXES = 12, PCA_ENDS = 6, PCA_TILE = 80, PCA_STEP = PCA_TILE + 3, PCA_LEFT = 156,
       PCA_PITCH = (CODES_SIDE + 16) / PCA_AXES };

/* Component k as row k: its share of the variance, and the pictures that lie lowest and highest
   along it, the lowest first, the highest last. */
static int pca_row(cnv_tensor *picture, const codes *c, const cnv_tensor *at, int k,
                   const double *variance, double all)
{
    static const cnv_color blue = {0, 0.45f, 0.70f};
    cnv_tensor along = {0};
    int i, end, index[PCA_ENDS], ok = cnv_tensor_resize(&along, 1, at->n, 1, 1);
    int x = CODES_RIGHT, y = CODES_TOP + k * PCA_PITCH;
    char text[32];
    snprintf(text, sizeof text, "%d", k + 1);
    cnv_text(picture, x, y + 18, 22, panel_black, text);
    snprintf(text, sizeof text, "%.1f%%", 100 * variance[k] / all);
    cnv_text(picture, x + 42, y + 20, 17, panel_gray, text);
    cnv_rectangle(picture, x + 42, y + 48, 1 + (int)(96 * variance[k] / *variance), 14, blue);
    for (end = 0; ok && end < 2; end++) {
        for (i = 0; i < at->n; i++) along.data[i] = (end ? -1 : 1) * at->data[i * at->c + k];
        codes_neighbours(&along, 0, -1, PCA_ENDS, index);
        for (i = 0; ok && i < PCA_ENDS; i++) {
            int place = end ? 2 * PCA_ENDS - 1 - i : i;
            ok = codes_tile(picture, &c->d, index[i], x + PCA_LEFT + place * PCA_STEP + 20 * end, y,
                            PCA_TILE, 4, codes_color(c, c->d.labels[index[i]]));
        }
    }
    cnv_tensor_free(&along);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "principal components of the codes", NULL, "data,images");
    codes c = codes_of(&e, 2000);
    int k, ok, count = c.x.c < PCA_AXES ? c.x.c : PCA_AXES;
    double variance[PCA_AXES], all, *axes = (double *)calloc((size_t)(count * c.x.c), sizeof all);
    cnv_tensor at = {0}, d2 = {0}, picture = {0};
    if (count < 2 || !axes) example_fail(&e, "%s: a plane wants two at least", c.layer);
    all = pca(&c.x, count, axes, variance, &at);
    example_check(&e, all == all);
    ok = codes_map(&picture, &c, &at, "Principal components", "component 1 to the right, 2 upwards",
                   "each component: its share of the variance, and the pictures at its two ends");
    for (k = 0; ok && k < count; k++) ok = pca_row(&picture, &c, &at, k, variance, all);
    example_check(&e, ok);
    example_save(&e, &picture);
    printf("variance: %.1f%% along the first component, %.1f%% along the second\n",
           100 * variance[0] / all, 100 * variance[1] / all);
    example_check(&e, codes_distances(&c.x, &c.x, &d2) &&
                      codes_report(&c, &d2, "the first two components", &at));
    free(axes), cnv_tensor_free(&at), cnv_tensor_free(&d2), cnv_tensor_free(&picture);
    codes_free(&c), example_end(&e);
    return 0;
}
#endif
