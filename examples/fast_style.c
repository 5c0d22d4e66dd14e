/* fast_style.c - can a network learn to paint in one go?

   Question   Style transfer (style_transfer.c) searches anew for every picture. Can a network learn
              where that search ends, and go there in one pass?
   Formula    f := argmin over networks of the mean over pictures x of L(f(x), x),
              L = S + w K + v TV as in style_transfer.c; f: convolutions, of stride 2 twice;
              residual blocks x + g(x); nearest upsampling twice; instance norms; a sigmoid
   Paper      Johnson, Alahi, Fei-Fei: Perceptual Losses for Real-Time Style Transfer (2016);
              Ulyanov, Vedaldi, Lempitsky: Instance Normalization (2016)
   Look for   Pictures that the network has never seen are painted at once. The style is one alone:
              it is in the weights. Where the curve of the search passes the line, one pass is worth
              that many steps.
   Measured   held-out L <= that of the search after 100 steps; one pass >= 100x faster than these

   The network that comes along (painter.h) has learned from crops of landscapes and Toybox scenes.
   --train 1500 trains one anew, in so many steps, for --style strokes, mosaic, waves or FILE, and
   writes it to --model FILE; without --train that file is read. --image FILE: the content.

       cc -O2 -fopenmp examples/fast_style.c -o build/fast_style -lm && build/fast_style         */
#include "gram.h"
#include "painter.h"
#include "panel.h"

enum { BATCH = 4 };

/* One step of Adam on the loss of a batch, which is -a->value: its gradient at the painted pictures
   goes back through the painter to its weights. */
static int paint_step(cnv_net *net, int painted, ascent *a, gram_goal *goal,
                      const cnv_tensor *images, cnv_optimizer *optimizer)
{
    cnv_tensor *seed;
    net->training = 1;
    if (!gram_content(a->net, goal, images) || !cnv_forward(net, images, painted) ||
        !cnv_tensor_copy(&net->nodes[painted].out, &a->z) || !ascent_gradient(a))
        return 0;
    seed = cnv_seed(net, painted);
    if (!seed) return 0;
    ascent_add(-1.0 / images->n, &a->grad, seed);
    return cnv_backward(net, CNV_PARAMETERS) && cnv_step(net, optimizer);
}

/* The rate rises over 50 steps, and then falls along a cosine. */
static int paint_train(const example *e, cnv_net *net, int painted, ascent *a, gram_goal *goal,
                       int steps)
{
    cnv_optimizer optimizer = cnv_adam(0, 0);
    cnv_rng rng = cnv_rng_seed(e->seed);
    cnv_tensor pool = {0}, images = {0};
    double begin, mean = 0;
    int i, ok = cnv_init(net, e->seed) && painter_pool(e, &pool) &&
                   cnv_tensor_resize(&images, BATCH, 3, PAINTER_CROP, PAINTER_CROP);
    a->variation = goal->variation / (PAINTER_CROP * PAINTER_CROP);
    for (begin = example_seconds(), i = 0; ok && i < steps; i++) {
        painter_crops(&pool, &rng, &images);
        optimizer.rate = 0.004 * (0.5 + 0.5 * cos(ASCENT_PI * i / steps)) * fmin(1, (i + 1) / 50.0);
        ok = paint_step(net, painted, a, goal, &images, &optimizer);
        mean = i ? 0.98 * mean - 0.02 * ascent_total(a) / BATCH : -ascent_total(a) / BATCH;
        example_progress("training", i + 1, steps, begin);
    }
    printf("trained on %d crops in %.0f s; mean loss in the end %.4f\n", steps * BATCH,
           example_seconds() - begin, mean);
    net->training = 0;
    cnv_tensor_free(&pool), cnv_tensor_free(&images);
    return ok;
}
/* L of a picture for a content; -1 with cnv_error() */
static double paint_loss(ascent *a, gram_goal *goal, const cnv_tensor *content,
                         const cnv_tensor *picture)
{
    a->variation = goal->variation / (picture->h * picture->w);
    if (!gram_content(a->net, goal, content) || !cnv_tensor_copy(picture, &a->z) ||
        !ascent_gradient(a))
        return -1;
    return -ascent_total(a);
}

#ifndef EXAMPLE_NO_MAIN
enum { STEPS = 100 };

/* Losses against steps of the search, by L-BFGS and by Adam, and that of one pass as a line */
static int paint_plot(panel_sheet *sheet, int cell, double (*loss)[STEPS + 1], double pass)
{
    cnv_tensor picture = {0};
    cnv_plot plot = {0};
    double x[STEPS + 1], y[3][STEPS + 1];
    int i, k, ok, left, top;
    for (i = 0; i <= STEPS; i++)
        for (k = 0, x[i] = i; k < 3; k++) y[k][i] = log10(k < 2 ? loss[k][i] : pass);
    plot.title = "log10 of the loss", plot.x_label = "steps of the search", plot.x_high = STEPS;
    plot.y_low = floor(5 * fmin(y[0][STEPS], y[2][0])) / 5, plot.y_high = ceil(5 * y[0][0]) / 5;
    plot.width = 2 * PANEL_SIDE + PANEL_GAP, plot.height = PANEL_SIDE + PANEL_FOOT - 20;
    ok = cnv_plot_begin(&plot, &picture);
    for (k = 0; ok && k < 3; k++)
        cnv_plot_line(&plot, &picture, x, y[k], STEPS + 1, NULL,
                      k == 0 ? "search by L-BFGS" : k == 1 ? "search by Adam" : "one pass");
    panel_corner(sheet, cell, &left, &top);
    if (ok) cnv_paste(&sheet->picture, &picture, left, top);
    cnv_tensor_free(&picture);
    return ok;
}

/* What is painted in one pass, in a cell, with something small in its corner; its time and loss */
static double paint_cell(const example *e, panel_sheet *sheet, int cell, cnv_net *net, int painted,
                         const cnv_tensor *content, const cnv_tensor *inset, double loss)
{
    double begin;
    char note[128];
    example_check(e, cnv_forward(net, content, painted)); /* the first time, memory is asked for */
    begin = example_seconds();
    example_check(e, cnv_forward(net, content, painted));
    begin = example_seconds() - begin;
    snprintf(note, sizeof note, "loss %.4f, %.1f ms", loss, 1000 * begin);
    example_check(e, panel_picture(sheet, cell, &net->nodes[painted].out, "one pass", note) &&
                         panel_inset(sheet, cell, inset));
    return begin;
}

/* The painter as trained, or from its file */
static void paint_open(const example *e, cnv_net *net, int painted, ascent *a, gram_goal *goal)
{
    int steps = (int)example_number(e, "train", 0, 0, 1e6);
    const char *path = example_text(e, "model", steps ? "fast_style.safetensors" : NULL);
    if (!path) path = example_data("fast_style.safetensors");
    if (!steps) example_check(e, cnv_load(net, path));
    if (!steps) return;
    example_check(e, paint_train(e, net, painted, a, goal, steps) && cnv_save(net, path, NULL));
    printf("wrote %s\n", path);
}

/* Both searches from noise, as in Gatys et al., against one pass: a cell and two lines each */
static int paint_compare(const example *e, panel_sheet *sheet, cnv_net *features, gram_goal *goal,
                         const cnv_tensor *content, double pass, double seconds)
{
    static const char *const names[2] = {"L-BFGS", "Adam"};
    double loss[2][STEPS + 1], time;
    cnv_tensor out = {0};
    char note[128];
    int i, k, ok = gram_content(features, goal, content);
    for (k = 1; ok && k >= 0; k--) {
        time = example_seconds();
        ok = gram_search(e, features, goal, content->h, content->w, NULL,
                         k ? ASCENT_ADAM : ASCENT_LBFGS, STEPS, loss[k], &out);
        time = example_seconds() - time;
        for (i = 0; i < STEPS && loss[k][i] > pass; i++) continue;
        printf("%d steps of search by %s: loss %.4f, %.0f times slower; %s after %d\n", STEPS,
               names[k], loss[k][STEPS], time / seconds,
               loss[k][i] > pass ? "not yet where one pass is" : "where one pass is", i);
    }
    snprintf(note, sizeof note, "loss %.4f, %.1f s", loss[0][STEPS], time);
    ok = ok && panel_picture(sheet, 2, &out, "100 steps of search, by L-BFGS", note) &&
         paint_plot(sheet, 4, loss, pass);
    cnv_tensor_free(&out);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "a network that paints in one pass", NULL,
                              "features,style,weight,size,model,train"), first = e;
    int size = (int)example_number(&e, "size", PAINTER_LARGE, 64, 2000) / 4 * 4, i;
    cnv_net *net = cnv_net_new(), *features;
    cnv_tensor style = {0}, content = {0};
    panel_sheet sheet = {{0}, 0};
    gram_goal goal = {0};
    ascent a;
    double pass = 0, seconds = 0;
    int painted = net ? painter(net) : -1;
    first.seed = 1; /* what the painter has learned does not change with --seed */
    features = gram_open(&first, &goal);
    painting_open(&first, example_text(&e, "style", "strokes"), PAINTER_LARGE, &style);
    goal.content_weight = example_number(&e, "weight", 0.05, 0, 1e6);
    a = ascent_of(&e, goal.last, gram_objective, &goal), a.net = features;
    example_check(&e, painted >= 0 && gram_style(features, &goal, &style));
    paint_open(&e, net, painted, &a, &goal);
    example_check(&e, panel_begin(&sheet, 3, 2, "Fast style transfer"));
    for (i = 1; i >= 0; i--) { /* the first content last: it is searched for, too */
        painter_held_out(&e, i, size, &content);
        example_check(&e, cnv_forward(net, &content, painted));
        pass = paint_loss(&a, &goal, &content, &net->nodes[painted].out);
        example_check(&e, pass >= 0);
        seconds = paint_cell(&e, &sheet, i ? 3 : 1, net, painted, &content,
                             i ? &content : &style, pass);
        printf("one pass: loss %.4f, %.1f ms; the picture as it is: loss %.4f\n", pass,
               1000 * seconds, paint_loss(&a, &goal, &content, &content));
    }
    example_check(&e, panel_picture(&sheet, 0, &content, "the content", "") &&
                      paint_compare(&e, &sheet, features, &goal, &content, pass, seconds));
    example_save(&e, &sheet.picture);
    cnv_tensor_free(&style), cnv_tensor_free(&content), ascent_end(&a);
    gram_close(&e, features, &goal), cnv_net_free(net), panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
