/* tcav.c - does something that people have a word for matter to a class?

   Question   Does water make the network say "fish"? Ask with pictures of water, not with pixels.
   Formula    v_C = normal of a linear classifier of a layer's activations A: pictures with concept C
              against random ones
              TCAV = share of the class's pictures x with <d S_class / d A(x), v_C> > 0; for 20 v_C
              from new samples, Welch's t-test against 20 v of random pictures against random ones
   Paper      Kim, Wattenberg, Gilmer, Cai, Wexler, Viegas, Sayres: Testing with Concept Activation
              Vectors (2018), section 3
   Look for   Blue: the network. Orange: the same with a shortcut planted, which adds to the logit
              whatever resembles the first concept: TCAV finds it. Black: the truth, which only a
              drawn world has, the share of the class's pictures whose logit rises when the concept is
              drawn into them. TCAV is not always near it, however small p is.
   Measured   planted concept: p < .05; random pictures as a concept: p >= .05

       cc -O2 -fopenmp examples/tcav.c -o build/tcav -lm && build/tcav --class fish --layer conv3

   Own pictures: --concept FOLDER of some with the concept, --data FOLDER of one folder per class.  */
#include "concepts.h"
#include "panel.h"
#include "statistics.h"
#include "units.h"

enum { RUNS = 20, EACH = 60, POOL = 300, MEMBERS = 100, TILE = 128, LONG = 480 };

/* v [D]: the weights of a linear classifier (logistic regression by stochastic gradient descent) of
   EACH random rows of some activations [n,D,1,1] against EACH of others. */
static void tcav_direction(const cnv_tensor *concept, const cnv_tensor *others, uint64_t seed,
                           float *v)
{
    cnv_rng rng = cnv_rng_seed(seed);
    const float *row[2 * EACH];
    double bias = 0, squares = 1e-30;
    int i, t, d, dims = concept->c;
    for (d = 0; d < dims; d++) v[d] = 0;
    for (i = 0; i < 2 * EACH; i++) {
        const cnv_tensor *set = i < EACH ? concept : others;
        row[i] = cnv_tensor_image(set, (int)(cnv_uniform(&rng) * set->n)).data;
        for (d = 0; d < dims; d++) squares += (double)row[i][d] * (double)row[i][d] / (2 * EACH);
    }
    for (t = 0; t < 10 * EACH; t++) { /* each row five times */
        double z = bias, step;
        i = (int)(cnv_uniform(&rng) * 2 * EACH);
        for (d = 0; d < dims; d++) z += (double)v[d] * (double)row[i][d];
        step = ((i < EACH) - 1 / (1 + exp(-z))) / squares;
        for (d = 0; d < dims; d++) v[d] += (float)step * row[i][d];
        bias += step;
    }
}

/* score[run]: the share of the gradients [n,D,1,1] that point along v, for RUNS directions v. */
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
        int i, along = 0;
        size_t d;
        tcav_direction(concept, others, seed + 1000 * (uint64_t)run, direction);
        for (i = 0; i < slopes->n; i++) {
            const float *slope = cnv_tensor_image(slopes, i).data;
            double dot = 0;
            for (d = 0; d < dims; d++) dot += (double)slope[d] * (double)direction[d];
            along += dot > 0;
        }
        score[run] = (double)along / slopes->n;
    }
    free(v);
    return v != NULL;
}

/* Plants a shortcut: adds to the class's logit what a node has along the difference of two means, of
   activations [n,D,1,1] with a concept and without, scaled so that the logit's means differ by `gain`.
   Returns the node of the new logits, -1 with cnv_error(). */
static int tcav_plant(cnv_net *net, int logits, int node, int class_id, const cnv_tensor *with,
                      const cnv_tensor *without, double gain)
{
    int i, d, classes = net->nodes[logits].channels;
    int shortcut = cnv_linear(net, node, "shortcut", with->c, classes);
    double squares = 0;
    float *v;
    if (shortcut < 0) return -1;
    cnv_tensor_fill(&net->params[net->nodes[shortcut].param[0]].value, 0);
    v = cnv_tensor_image(&net->params[net->nodes[shortcut].param[0]].value, class_id).data;
    for (d = 0; d < with->c; d++) {
        for (i = 0; i < with->n; i++)
            v[d] += cnv_tensor_image(with, i).data[d] / (float)with->n;
        for (i = 0; i < without->n; i++)
            v[d] -= cnv_tensor_image(without, i).data[d] / (float)without->n;
        squares += (double)v[d] * (double)v[d];
    }
    for (d = 0; d < with->c; d++) v[d] *= (float)(gain / squares);
    cnv_weights_changed(net);
    return cnv_add(net, logits, shortcut);
}

#ifndef EXAMPLE_NO_MAIN
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

int main(int argc, char **argv)
{
    static const cnv_color colors[2] = {{0, 0.45f, 0.7f}, {0.9f, 0.6f, 0}};
    example e = example_begin(argc, argv, "which concepts matter to a class", NULL, "concept,data");
    concepts c = concepts_load(&e, POOL, MEMBERS);
    int i, k, t, y = PANEL_TOP + 30, x = PANEL_MARGIN + 180 + 4 * (TILE + 10), logits[2];
    cnv_tensor codes = {0}, others = {0}, slopes[2] = {{0}}, sheet = {0}, image = {0}, tile = {0};
    double score[RUNS], reference[2][RUNS], p, truth;
    char text[200];
    snprintf(text, sizeof text, "TCAV at %s: which concepts raise the logit of \"%s\"?",
             e.net->nodes[e.layer].name, e.class_names[e.class_id]);
    example_check(&e, cnv_canvas(&sheet, y + 40 + (c.count + 1) * (TILE + 22), x + LONG + 200,
                                 panel_white));
    cnv_text(&sheet, PANEL_MARGIN, 38, 21, panel_black, text);
    units_codes(&e, &c.without, e.layer, &others);
    units_codes(&e, &c.with[0], e.layer, &codes);
    logits[0] = e.logits;
    logits[1] = tcav_plant(e.net, e.logits, e.layer, e.class_id, &codes, &others, 5);
    example_check(&e, logits[1] >= 0);
    for (t = 0; t < 2; t++) {
        units_slopes(&e, &c.members, e.layer, logits[t], e.class_id, &slopes[t]);
        example_check(&e, tcav(&others, &others, &slopes[t], e.seed + 500, reference[t]));
    }
    printf("%-16s %26s %32s\n", "", "TCAV, p, truth", "with a shortcut planted");
    for (i = 0; i <= c.count; i++, y += TILE + 22) {
        const dataset *set = i < c.count ? &c.with[i] : &c.without;
        const char *name = i < c.count ? c.name[i] : "random pictures";
        printf("%-16s", name);
        units_codes(&e, set, e.layer, &codes);
        cnv_text(&sheet, PANEL_MARGIN, y + 56, 15, panel_black, name);
        for (k = 0; k < 4; k++) {
            dataset_batch(&e, set, k % set->n, 1, &image);
            example_check(&e, cnv_enlarge(&image, TILE / image.w + 1, &tile) &&
                              cnv_resize(&tile, TILE, TILE, &image));
            cnv_paste(&sheet, &image, PANEL_MARGIN + 160 + k * (TILE + 10), y);
        }
        for (t = 0; t < 2; t++) {
            example_check(&e, tcav(&codes, &others, &slopes[t], e.seed, score));
            p = statistics_p(score, RUNS, reference[t], RUNS);
            truth = i < c.count ? concepts_truth(&e, &c, i, logits[t]) : -1;
            tcav_bar(&sheet, x, y + 16 + 52 * t, score, p, truth, colors[t]);
            printf(" %10.2f %10.4f %8.2f", statistics_mean(score, RUNS), p, truth);
        }
        printf("\n");
        cnv_line(&sheet, x + LONG / 2.0, y, x + LONG / 2.0, y + TILE, 1, panel_gray);
    }
    cnv_text(&sheet, x, y, 12, colors[0], "the network");
    cnv_text(&sheet, x + 130, y, 12, colors[1], "with a shortcut planted");
    cnv_text(&sheet, x + 360, y, 12, panel_black, c.scenes ? "black mark: the truth" : "");
    example_save(&e, &sheet);
    concepts_free(&c), cnv_tensor_free(&codes), cnv_tensor_free(&others), cnv_tensor_free(&tile);
    cnv_tensor_free(&slopes[0]), cnv_tensor_free(&slopes[1]), cnv_tensor_free(&image);
    cnv_tensor_free(&sheet), example_end(&e);
    return 0;
}
#endif
