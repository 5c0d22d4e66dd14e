/* tcav.c - does something that people have a word for matter to a class?

   Question   Does water make the network say "fish"? Ask with pictures of water, not with pixels.
   Formula    v_C = normal of a linear classifier of a layer's activations A: pictures with concept
              C against random ones
              TCAV = share of the class's pictures x with <d S_class / d A(x), v_C> > 0; for 20 v_C
              from new samples, Welch's t-test against 20 v of random pictures against random ones
   Paper      Kim, Wattenberg, Gilmer, Cai, Wexler, Viegas, Sayres: Testing with Concept Activation
              Vectors (2018), section 3
   Look for   Blue: the network. Orange: the same with a shortcut planted, which adds to the logit
              whatever resembles the first concept: TCAV finds it. Black: the truth, which only a
              drawn world has, the share of the class's pictures whose logit rises when the concept
              is drawn into them. TCAV is not always near it, however small p is.
   Measured   planted concept: p < .05; random pictures as a concept: p >= .05

       cc -O2 examples/tcav.c -o build/tcav -lm && build/tcav --class fish --layer conv3

   Own pictures: --concept FOLDER of some with the concept, --data FOLDER of a folder per class.  */
#include "concepts.h"
#include "panel.h"
#include "statistics.h"
#include "units.h"

enum { RUNS = 20, EACH = 60 };

/* v [D]: the weights of a linear classifier of EACH random rows of some activations [n,D,1,1]
   against EACH of others: logistic regression by stochastic gradient descent. Small steps, and
   few, keep v from fitting the noise of so few rows. */
static void tcav_direction(const cnv_tensor *concept, const cnv_tensor *others, uint64_t seed,
                           float *v)
{
    cnv_rng rng = cnv_rng_seed(seed);
    const float *row[2 * EACH];
    double bias = 0, squares = 1e-30;
    int i, t, d, dims = concept->c;
    memset(v, 0, (size_t)dims * sizeof *v);
    for (i = 0; i < 2 * EACH; i++) {
        const cnv_tensor *set = i < EACH ? concept : others;
        row[i] = cnv_tensor_image(set, (int)(cnv_uniform(&rng) * set->n)).data;
        for (d = 0; d < dims; d++) squares += (double)row[i][d] * (double)row[i][d];
    }
    for (t = 0; t < 4 * EACH; t++) { /* each row twice */
        double z = bias, step;
        i = (int)(cnv_uniform(&rng) * 2 * EACH);
        for (d = 0; d < dims; d++) z += (double)v[d] * (double)row[i][d];
        step = 0.1 * ((i < EACH) - 1 / (1 + exp(-z))) * 2 * EACH / squares;
        for (d = 0; d < dims; d++) v[d] += (float)step * row[i][d];
        bias += step;
    }
}

/* score[run]: the share of gradients [n,D,1,1] that point along v, for each of some directions
   v. */
static int tcav(const cnv_tensor *concept, const cnv_tensor *others, const cnv_tensor *slopes,
                uint64_t seed, double *score)
{
    size_t dims = (size_t)concept->c;
    float *v = (float *)malloc(RUNS * dims * sizeof *v);
    int run;
#ifdef _OPENMP
#pragma omp parallel for
#endif
    for (run = 0; run < (v ? RUNS : 0); run++) {
        float *direction = v + (size_t)run * dims;
        int i, d, along = 0;
        tcav_direction(concept, others, seed + 1000 * (uint64_t)run, direction);
        for (i = 0; i < slopes->n; i++) {
            double dot = 0;
            for (d = 0; d < concept->c; d++)
                dot += (double)cnv_tensor_image(slopes, i).data[d] * (double)direction[d];
            along += dot > 0;
        }
        score[run] = (double)along / slopes->n;
    }
    free(v);
    return v != NULL;
}

#ifndef EXAMPLE_NO_MAIN
enum { POOL = 300, MEMBERS = 100, TILE = 128, TOP = 122, BARS = 790, LONG = 480 };

/* A bar at (x,y): mean and standard deviation of the scores, p beside it, the truth (if >= 0). */
static void tcav_bar(cnv_tensor *sheet, int x, int y, const double *score, double p, double truth,
                     cnv_color color)
{
    double mean = statistics_mean(score, RUNS), sd = sqrt(statistics_variance(score, RUNS));
    char text[64];
    cnv_rectangle(sheet, x, y, (int)(mean * LONG), 36, color);
    cnv_line(sheet, x + LONG * fmax(mean - sd, 0), y + 18, x + LONG * fmin(mean + sd, 1), y + 18, 2,
             panel_gray);
    if (truth >= 0) cnv_rectangle(sheet, x + (int)(truth * LONG) - 2, y - 5, 4, 46, panel_black);
    snprintf(text, sizeof text, "%.2f, p %s %.3f", mean, p < 0.001 ? "<" : "=", fmax(p, 0.001));
    cnv_text(sheet, x + LONG + 24, y + 12, 13, p < 0.05 ? panel_black : panel_gray, text);
}

/* Concept i, or random pictures for i == c->count: its pictures, and a bar for each kind of
   gradients, those of the network and those with the shortcut. */
static void tcav_row(const example *e, const concepts *c, int i, const int *logits,
                     const cnv_tensor *slopes, const cnv_tensor *others, double reference[2][RUNS],
                     int y, cnv_tensor *sheet)
{
    static const cnv_color colors[2] = {{0, 0.45f, 0.7f}, {0.9f, 0.6f, 0}};
    const dataset *set = i < c->count ? &c->with[i] : &c->without;
    const char *name = i < c->count ? c->name[i] : "random pictures";
    cnv_tensor codes = {0};
    double score[RUNS];
    double p, truth;
    int t;
    units_codes(e, set, e->layer, &codes);
    cnv_text(sheet, PANEL_MARGIN, y + 56, 15, panel_black, name);
    units_pictures(e, set, 4, TILE, PANEL_MARGIN + 180, y, sheet);
    printf("%-16s", name);
    for (t = 0; t < 2; t++) {
        truth = i < c->count ? concepts_truth(e, c, i, logits[t]) : -1;
        example_check(e, tcav(&codes, others, &slopes[t], e->seed, score));
        p = statistics_p(score, RUNS, reference[t], RUNS);
        tcav_bar(sheet, BARS, y + 16 + 52 * t, score, p, truth, colors[t]);
        printf("    %.2f, p = %.4f", statistics_mean(score, RUNS), p);
        if (truth >= 0) printf(", truth %.2f", truth);
    }
    printf("\n");
    cnv_line(sheet, BARS + LONG / 2.0, y, BARS + LONG / 2.0, y + TILE, 1, panel_gray);
    cnv_tensor_free(&codes);
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "which concepts matter to a class", NULL, "concept,data");
    concepts c = concepts_load(&e, POOL, MEMBERS);
    int i, t, logits[2], rows = c.count + 1;
    cnv_tensor codes = {0}, others = {0}, slopes[2] = {{0}}, sheet = {0};
    double reference[2][RUNS];
    char text[200];
    snprintf(text, sizeof text, "TCAV at %s: which concepts raise the logit of \"%s\"?",
             e.net->nodes[e.layer].name, e.class_names[e.class_id]);
    example_check(&e, cnv_canvas(&sheet, TOP + rows * (TILE + 22), BARS + LONG + 200, panel_white));
    cnv_text(&sheet, PANEL_MARGIN, 38, 21, panel_black, text);
    units_codes(&e, &c.without, e.layer, &others);
    units_codes(&e, &c.with[0], e.layer, &codes);
    logits[0] = e.logits;
    logits[1] = concepts_plant(e.net, e.logits, e.layer, e.class_id, &codes, &others, 5);
    example_check(&e, logits[1] >= 0);
    for (t = 0; t < 2; t++) {
        units_slopes(&e, &c.members, e.layer, logits[t], e.class_id, &slopes[t]);
        example_check(&e, tcav(&others, &others, &slopes[t], e.seed + 500, reference[t]));
    }
    printf("TCAV for \"%s\", and for the same network with a shortcut from %s planted\n",
           e.class_names[e.class_id], c.name[0]);
    for (i = 0; i < rows; i++)
        tcav_row(&e, &c, i, logits, slopes, &others, reference, TOP + i * (TILE + 22), &sheet);
    cnv_text(&sheet, BARS, PANEL_TOP - 4, 11, panel_gray, "blue: the network, orange: with the "
             "shortcut; black: the truth, where it is known");
    example_save(&e, &sheet);
    for (t = 0; t < 2; t++) cnv_tensor_free(&slopes[t]);
    cnv_tensor_free(&codes), cnv_tensor_free(&others), cnv_tensor_free(&sheet);
    concepts_free(&c), example_end(&e);
    return 0;
}
#endif
