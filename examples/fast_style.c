/* fast_style.c - can a network learn to paint in one go?

   Question   Style transfer (style_transfer.c) searches anew for every picture. Can a network learn
              where that search ends, and go there in one pass?
   Formula    f := argmin over networks of the mean over pictures x of log L(f(x), x),
              L = S + w K + v TV as in style_transfer.c; f: convolutions, of stride 2 twice;
              residual blocks x + g(x); nearest upsampling twice; instance norms; a sigmoid
   Paper      Johnson, Alahi, Fei-Fei: Perceptual Losses for Real-Time Style Transfer (2016);
              Ulyanov, Vedaldi, Lempitsky: Instance Normalization (2016)
   Look for   Pictures that the network has never seen are painted at once. The style is one alone:
              it is in the weights. Where the curve of the search passes the line, one pass is worth
              that many steps.
   Measured   mean L of held-out landscapes <= that of the search after 100 steps of Adam, and after
              27 of L-BFGS; one pass >= 100x faster than 100 of these, which end 11% lower

   The network that comes along (painter.h) learned for 2.4 hours on one processor: --train 7000,
   --seed 2 --train 4500, --seed 3 --train 40000, with three residual blocks, 24 and 8 channels at
   the end, and L for log L. More changed nothing; so the other block and channels were put in, with
   weights of 0 behind them; then --seed 5 --train 8000, and with log L --seed 6 --train 6000 and
   --seed 7 --train 30000. --train 2000 trains one anew, in some two minutes, for --style strokes,
   mosaic, waves or FILE, and writes it to --model FILE, or goes on from there if the file exists
   (say another --seed, to see other pictures). Without --train it is read. --image FILE: content.

       cc -O2 -fopenmp examples/fast_style.c -o build/fast_style -lm && build/fast_style         */
#include "painter.h"
#include "panel.h"

enum { PAINT_ANEW = 4, PAINT_SEARCH = 1000 }; /* steps to a new picture; the longest search */

/* A step of the optimizer: the gradient of log L at what is painted goes on, through the painter,
   to its weights. (Of L itself, pictures that are hard to paint would drown the others.) Returns
   the loss before, -1 on failure. */
static double paint_step(painter *p, const cnv_tensor *images, cnv_optimizer *optimizer)
{
    double loss = -1;
    cnv_tensor *seed;
    p->net->training = 1;
    if (painter_paint(p, images, (unsigned long long)optimizer->step))
        loss = painter_loss(p, images, &p->net->nodes[p->painted].out);
    seed = loss < 0 ? NULL : cnv_seed(p->net, p->painted);
    if (!seed) return -1;
    cnv_add_scaled(-1.0 / (loss * images->n), &p->loss.grad, seed);
    return cnv_backward(p->net, CNV_PARAMETERS) && cnv_step(p->net, optimizer) ? loss : -1;
}

/* So many steps of Adam, each on a random crop of one of the latest PAINTER_POOL pictures. The rate
   rises over 50, and then falls along a cosine. */
static int paint_train(const example *e, painter *p, int steps)
{
    cnv_optimizer adam = cnv_adam(0, 0);
    cnv_rng rng = cnv_rng_seed(e->seed);
    cnv_tensor pool[PAINTER_POOL] = {{0}}, image = {0};
    double begin = example_seconds(), loss, mean = 0;
    int i, drawn = 0, ok = cnv_tensor_resize(&image, 1, 3, PAINTER_CROP, PAINTER_CROP);
    for (i = 0; ok && i < steps; i++) {
        if (drawn < PAINTER_POOL || i % PAINT_ANEW == 0)
            ok = painter_lesson(e, drawn, &pool[drawn % PAINTER_POOL]), drawn++;
        painter_crop(&pool[(int)(cnv_uniform(&rng) * fmin(drawn, PAINTER_POOL))], &rng, &image);
        adam.rate = 0.005 * (0.5 + 0.5 * cos(ASCENT_PI * i / steps)) * fmin(1, (i + 1) / 50.0);
        loss = ok ? paint_step(p, &image, &adam) : -1, ok = loss >= 0;
        mean += (loss - mean) / fmin(i + 1, 150);
        example_progress("training", i + 1, steps, begin);
    }
    printf("trained on crops of %d pictures in %.0f s; loss of the last ones %.4f\n", drawn,
           example_seconds() - begin, mean);
    p->net->training = 0;
    for (i = 0; i < PAINTER_POOL; i++) cnv_tensor_free(&pool[i]);
    cnv_tensor_free(&image);
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
/* A content in one pass, the fastest of three: L and the seconds. In a cell, with an inset. */
static double paint_cell(const example *e, panel_sheet *sheet, int cell, painter *p,
                         const cnv_tensor *content, const cnv_tensor *inset, double *seconds)
{
    const cnv_tensor *out = &p->net->nodes[p->painted].out;
    double loss;
    char note[128];
    int i;
    for (*seconds = 1e9, i = 0; i < 3; i++) {
        double begin = example_seconds();
        example_check(e, painter_paint(p, content, e->seed));
        *seconds = fmin(*seconds, example_seconds() - begin);
    }
    loss = painter_loss(p, content, out);
    snprintf(note, sizeof note, "loss %.4f", loss);
    example_check(e, loss >= 0 && panel_picture(sheet, cell, out, "one pass", note) &&
                     panel_inset(sheet, cell, inset));
    printf("one pass: loss %.4f, %.1f ms; the content itself: loss %.4f\n", loss, 1000 * *seconds,
           painter_loss(p, content, content));
    return loss;
}

/* The search for the same, from noise: loss[0 ... steps] on the way; returns the seconds. */
static double paint_search(const example *e, painter *p, const cnv_tensor *content,
                           ascent_method method, double pass, int steps, double *loss,
                           cnv_tensor *out)
{
    double begin = example_seconds();
    int i;
    example_check(e, gram_content(p->features, &p->goal, content) &&
                     gram_search(e, p->features, &p->goal, content->h, content->w, NULL, method,
                                 steps, loss, out));
    begin = example_seconds() - begin;
    for (i = 0; i < steps && loss[i] > pass; i++) continue;
    printf("%s of %s: loss %.4f, %.2f s; %s one pass after %d\n", example_count(steps, "step"),
           method == ASCENT_ADAM ? "Adam" : "L-BFGS", loss[steps], begin,
           loss[i] > pass ? "still behind" : "level with", i);
    return begin;
}

int main(int argc, char **argv)
{
    static const char *const names[3] = {"search by L-BFGS", "search by Adam", "one pass"};
    static double loss[3 * (PAINT_SEARCH + 1)];
    example e = example_begin(argc, argv, "a network that paints in one pass", NULL,
                              "features,style,weight,size,steps,model,train");
    int size = (int)example_number(&e, "size", 176, 64, 2000) / 4 * 4, i;
    int train = (int)example_number(&e, "train", 0, 0, 1e6);
    int points = (int)example_number(&e, "steps", 100, 1, PAINT_SEARCH) + 1;
    const char *path = example_text(&e, "model", train ? "fast_style.safetensors" : NULL);
    double pass, one, many;
    cnv_tensor scene = {0}, content = {0}, out = {0};
    panel_sheet sheet = {{0}, 0};
    painter p;
    char note[128];
    if (!path) path = example_data("fast_style.safetensors");
    painter_begin(&e, train && !painter_exists(path) ? NULL : path, &p);
    if (train) example_check(&e, paint_train(&e, &p, train) && painter_save(&p, path));
    painter_held_out(&e, 0, size, &content), painter_held_out(&e, 1, size, &scene);
    example_check(&e, panel_begin(&sheet, 3, 2, "Fast style transfer") &&
                      panel_picture(&sheet, 0, &content, "the content", "never seen in training"));
    paint_cell(&e, &sheet, 3, &p, &scene, &scene, &one);
    pass = paint_cell(&e, &sheet, 1, &p, &content, &p.style, &one);
    paint_search(&e, &p, &content, ASCENT_ADAM, pass, points - 1, loss + points, &out);
    many = paint_search(&e, &p, &content, ASCENT_LBFGS, pass, points - 1, loss, &out);
    printf("one pass is %.0f times faster than the search by L-BFGS\n", many / one);
    snprintf(note, sizeof note, "loss %.4f after %s", loss[points - 1],
             example_count(points - 1, "step"));
    for (i = 0; i < 3 * points; i++) loss[i] = log10(i < 2 * points ? loss[i] : pass);
    example_check(&e, panel_picture(&sheet, 2, &out, "the search, by L-BFGS", note) &&
                      panel_lines(&sheet, 4, "log10 of the loss", "share of the search's steps",
                                  loss, names, 3, points));
    example_save(&e, &sheet.picture);
    cnv_tensor_free(&scene), cnv_tensor_free(&content), cnv_tensor_free(&out);
    painter_end(&e, &p), panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
