/* tsne.c - which pictures does the network take for neighbours?

   Question   What does a map look like on which pictures that the network finds alike are near?
   Formula    p(j|i) = exp(-|x_i - x_j|^2 / 2 s_i^2) / sum over k != i of the same for k,
              s_i such that 2^(entropy of p(.|i)), the perplexity, is 30
              p_ij = (p(j|i) + p(i|j)) / 2n,   q_ij = w_ij / sum over k != l of w_kl,
              w_ij = 1 / (1 + |y_i - y_j|^2);   C = sum over i != j of p_ij log(p_ij / q_ij)
              dC/dy_i = 4 sum over j of (p_ij - q_ij) w_ij (y_i - y_j), and y goes downhill
   Paper      van der Maaten, Hinton: Visualizing Data using t-SNE (2008)
   Look for   An island for each class, found without being told the classes; which pictures lie
              with another class, and why; what varies inside an island. Sizes of islands and
              distances between them mean little: only who is near whom.
   Measured   C within 5%, trustworthiness(5) within 1% of scikit-learn's exact t-SNE on 2000 of
              these codes: .880 and .993 (tests/codes_reference.py). Shuffled: 6.0 and .5

       cc -O2 -fopenmp examples/tsne.c -o build/tsne -lm && build/tsne --layer conv4           */
#include "codes.h"

/* p [n]: p(j|i), from the squared distances d [n] of picture i; bisection for beta = 1 / 2 s^2. */
static void tsne_row(const float *d, int n, int i, double perplexity, float *p)
{
    double beta = 1, low = 0, high = INFINITY, nearest = INFINITY, sum, mean, excess = 1;
    int j, tries;
    for (j = 0; j < n; j++)
        if (j != i) nearest = fmin(nearest, (double)d[j]);
    for (tries = 0; tries < 100 && fabs(excess) > 1e-5; tries++) {
        for (sum = mean = 0, j = 0; j < n; j++) { /* less the nearest: else all may be 0 */
            double away = (double)d[j] - nearest, weight = j == i ? 0 : exp(-beta * away);
            p[j] = (float)weight, sum += weight, mean += weight * away;
        }
        for (j = 0; j < n; j++) p[j] /= (float)sum;
        excess = log(sum) + beta * mean / sum - log(perplexity); /* of entropy */
        if (excess > 0) low = beta;
        else high = beta;
        beta = high == INFINITY ? 2 * beta : (low + high) / 2;
    }
}

/* p [n,n]: p_ij, from squared distances d2 [n,n]. */
static int tsne_affinities(const cnv_tensor *d2, double perplexity, cnv_tensor *p)
{
    int i, j, n = d2->n;
    if (!cnv_tensor_resize(p, n, n, 1, 1)) return 0;
    for (i = 0; i < n; i++)
        tsne_row(cnv_tensor_image(d2, i).data, n, i, perplexity, cnv_tensor_image(p, i).data);
    for (i = 0; i < n; i++)
        for (j = 0; j <= i; j++) {
            float *ij = &cnv_tensor_image(p, i).data[j], *ji = &cnv_tensor_image(p, j).data[i];
            *ij = *ji = (*ij + *ji) / (2 * (float)n);
        }
    return 1;
}

/* force [n,5]: how each point is pulled and pushed, x and y of each: the sums over j of
   p_ij w_ij (y_i - y_j) and of w_ij^2 (y_i - y_j); and of w_ij. Returns W, the sum of all w_ij:
   dC/dy = 4 (pull - push / W). */
static float tsne_forces(const cnv_tensor *p, const cnv_tensor *y, cnv_tensor *force)
{
    const float *at = y->data;
    double all = 0;
    int i, n = y->n;
#ifdef _OPENMP
#pragma omp parallel for if (n > 256)
#endif
    for (i = 0; i < n; i++) {
        const float *row = cnv_tensor_image(p, i).data;
        float *f = force->data + 5 * i, pull_x = 0, pull_y = 0, push_x = 0, push_y = 0, sum = 0;
        int j;
#ifdef _OPENMP
#pragma omp simd reduction(+ : pull_x, pull_y, push_x, push_y, sum)
#endif
        for (j = 0; j < n; j++) {
            float dx = at[2 * i] - at[2 * j], dy = at[2 * i + 1] - at[2 * j + 1];
            float w = 1 / (1 + dx * dx + dy * dy), pull = row[j] * w, push = w * w;
            pull_x += pull * dx, pull_y += pull * dy;
            push_x += push * dx, push_y += push * dy, sum += w;
        }
        f[0] = pull_x, f[1] = pull_y, f[2] = push_x, f[3] = push_y, f[4] = sum - 1; /* not w_ii */
    }
    for (i = 0; i < n; i++) all += (double)force->data[5 * i + 4];
    return (float)all;
}

/* C of a layout y [n,2]. */
static double tsne_divergence(const cnv_tensor *p, const cnv_tensor *y)
{
    double c = 0, all = 0;
    int i, j;
    for (i = 0; i < 2 * y->n; i += 2)
        for (j = 0; j < 2 * y->n; j += 2) {
            double dx = y->data[i] - y->data[j], dy = y->data[i + 1] - y->data[j + 1];
            double w = 1 / (1 + dx * dx + dy * dy), pij = cnv_tensor_image(p, i / 2).data[j / 2];
            if (i != j) all += w;
            if (i != j && pij > 0) c += pij * log(pij / w);
        }
    return c + log(all); /* the sum of all p_ij is 1 */
}

/* A layout y [n,2,1,1] of n pictures with affinities p [n,n,1,1], from a random heap in the middle
   on. In the first quarter of the steps all pull 12 times as hard, so that groups find together. */
static int tsne(const cnv_tensor *p, int steps, uint64_t seed, cnv_tensor *y)
{
    cnv_tensor force = {0}, speed = {0}, gain = {0};
    cnv_rng rng = cnv_rng_seed(seed);
    int i, step, n = p->n, ok = cnv_tensor_resize(y, n, 2, 1, 1) &&
        cnv_tensor_resize(&force, n, 5, 1, 1) && cnv_tensor_resize(&speed, n, 2, 1, 1) &&
        cnv_tensor_resize(&gain, n, 2, 1, 1);
    float rate = (float)fmax(n / 12.0 / 4, 50);
    double start = example_seconds();
    for (i = 0; ok && i < 2 * n; i++)
        y->data[i] = (float)(1e-4 * cnv_normal(&rng)), speed.data[i] = 0, gain.data[i] = 1;
    for (step = 0; ok && step < steps; step++) {
        int early = 4 * step < steps;
        float all = tsne_forces(p, y, &force);
        for (i = 0; i < 2 * n; i++) { /* momentum; and faster while the direction stays the same */
            float *f = &force.data[5 * (i / 2) + i % 2], *g = &gain.data[i], *v = &speed.data[i];
            float down = 4 * (f[2] / all - (early ? 12 : 1) * f[0]);
            *g = down * *v > 0 ? *g + 0.2f : fmaxf(0.8f * *g, 0.01f);
            *v = (early ? 0.5f : 0.8f) * *v + rate * *g * down;
            y->data[i] += *v;
        }
        example_progress("t-SNE   ", step + 1, steps, start);
    }
    cnv_tensor_free(&force), cnv_tensor_free(&speed), cnv_tensor_free(&gain);
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "t-SNE", NULL, "data,images,perplexity,steps");
    codes c = codes_of(&e, 2025); /* 45 x 45 */
    double perplexity = example_number(&e, "perplexity", fmin(30, c.d.n / 4), 2, c.d.n / 2);
    int steps = (int)example_number(&e, "steps", 1000, 1, 1e6);
    cnv_tensor d2 = {0}, p = {0}, y = {0}, dealt = {0}, picture = {0};
    double start = example_seconds();
    example_check(&e, codes_distances(&c.x, &c.x, &d2) && tsne_affinities(&d2, perplexity, &p) &&
                      tsne(&p, steps, e.seed, &y));
    printf("%d steps in %.1f seconds\n", steps, example_seconds() - start);
    example_check(&e, codes_map(&picture, &c, &y, "t-SNE", "the pictures at their positions; a dot "
                                "where there is no room", "each moved to a cell of a grid") &&
                      codes_grid(&picture, CODES_RIGHT, &c, &y));
    example_save(&e, &picture);
    example_check(&e, codes_report(&c, &d2, "t-SNE", &y) && codes_shuffle(&y, e.seed, &dealt));
    printf("C = %.3f, shuffled %.3f\n", tsne_divergence(&p, &y), tsne_divergence(&p, &dealt));
    cnv_tensor_free(&d2), cnv_tensor_free(&p), cnv_tensor_free(&y), cnv_tensor_free(&dealt);
    cnv_tensor_free(&picture), codes_free(&c), example_end(&e);
    return 0;
}
#endif
