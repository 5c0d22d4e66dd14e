/* human_vs_net.c - who sees more, you or the network?

   Question   On sharp pictures the network makes hardly any mistake. Is it as good as you are once
              they are blurred and shrunk, as it never saw them in training?
   Formula    picture(s) = enlarge(shrink(blur(picture, (64/s - 1)/2), s)), s = 64 ... 12 pixels;
              table[k][a] = how often a picture of class k was taken for class a
   Paper      Geirhos et al.: Generalisation in Humans and Deep Neural Networks (2018); Dodge,
              Karam: Human and Deep Learning Recognition Performance (2017)
   Look for   Pictures that you still find easy while the network guesses: it knows things by their
              sharp outlines. A column that fills is what it takes everything for, then.
   Measured   The network: > 95% on sharp pictures, chance at 12 pixels, 1/12. You: that is the
              question. The same answers on the input give the same tables every time

       cc -O2 -fopenmp examples/human_vs_net.c -o build/human_vs_net -lm && build/human_vs_net

   Answer with a name, its beginning or its number. Other pictures: --seed 2, or --data FOLDER.
   Without a terminal they go to a file; without answers the network plays alone.               */
#include "datasets.h"
#include "scores.h"

enum { LEVELS = 6 };
static const int level_side[LEVELS] = {64, 48, 32, 24, 16, 12}; /* pixels, of 64 */

/* Pictures [N,3,S,S] as if they had level_side / 64 as many pixels in a row. */
static int degrade(const cnv_tensor *images, int level, cnv_tensor *result)
{
    int side = images->w * level_side[level] / 64;
    cnv_tensor small = {0};
    int ok = cnv_blur(images, 0.5 * images->w / side - 0.5, result) &&
             cnv_resize(result, side, side, &small) &&
             cnv_resize(&small, images->h, images->w, result);
    cnv_tensor_free(&small);
    return ok;
}

/* The network answers all pictures at a level. */
static void play(const example *e, const dataset *d, int level, score_table *table)
{
    cnv_tensor images = {0}, blurred = {0};
    int i, k;
    for (i = 0; i < d->n; i += images.n) {
        dataset_batch(e, d, i, dataset_lot(d), &images);
        example_check(e, degrade(&images, level, &blurred) &&
                         cnv_forward(e->net, &blurred, e->logits));
        for (k = 0; k < images.n; k++) score_answer(table, d->labels[i + k], example_answer(e, k));
    }
    cnv_tensor_free(&images), cnv_tensor_free(&blurred);
}

/* Asks about the first pictures, sharp ones first, until all are answered or the input ends. you,
   net: a table for each level. Without a terminal the pictures are written to a file. */
static void quiz(const example *e, const dataset *d, int questions, FILE *in, const char *path,
                 score_table *you, score_table *net)
{
    cnv_tensor image = {0}, blurred = {0}, large = {0};
    int q, c, here = panel_terminal(), last = e->classes - 1;
    for (c = 0; c <= last; c++) printf("%d %s%s", c, e->class_names[c], c < last ? ", " : "\n");
    for (q = 0; q < questions; q++) {
        int level = q * LEVELS / questions, truth = d->labels[q], answer;
        dataset_batch(e, d, q, 1, &image);
        example_check(e, degrade(&image, level, &blurred) && cnv_resize(&blurred, 64, 64, &image) &&
                         cnv_forward(e->net, &blurred, e->logits));
        if (here) panel_print(&image);
        else example_check(e, cnv_enlarge(&image, 5, &large) && cnv_image_save(path, &large));
        printf("%d of %d, %d pixels%s%s: what is it? ", q + 1, questions, level_side[level],
               here ? "" : ", see ", here ? "" : path);
        fflush(stdout);
        answer = score_read(e, in);
        if (answer < 0) break;
        score_answer(&you[level], truth, answer);
        score_answer(&net[level], truth, example_answer(e, 0));
        printf("%s: %s. The network says %s.\n", answer == truth ? "Right" : "No",
               e->class_names[truth], e->class_names[example_answer(e, 0)]);
    }
    printf("\n");
    cnv_tensor_free(&image), cnv_tensor_free(&blurred), cnv_tensor_free(&large);
}

#ifndef EXAMPLE_NO_MAIN
/* Accuracy by level in the last cell: of the network alone, and yours as far as you played. */
static int draw_curves(const score_table *alone, const score_table *you, panel_sheet *sheet)
{
    score_curve curve = {0, {0}, {0}, {0}, {0}}, yours = curve;
    cnv_plot plot = {0};
    cnv_tensor picture = {0};
    int i, x, y;
    for (i = LEVELS - 1; i >= 0; i--) {
        score_add(&curve, level_side[i], alone[i].right, alone[i].answers);
        if (you[i].answers) score_add(&yours, level_side[i], you[i].right, you[i].answers);
    }
    plot.x_label = "pixels in a row", plot.y_label = "right, %", plot.x_high = 64;
    plot.y_high = 100, plot.width = PANEL_SIDE + 30, plot.height = PANEL_SIDE + 56;
    if (!cnv_plot_begin(&plot, &picture)) return 0;
    score_plot(&plot, &picture, &curve, "the network");
    if (yours.points) score_plot(&plot, &picture, &yours, "you");
    panel_corner(sheet, 5, &x, &y);
    cnv_paste(&sheet->picture, &picture, x, y - 18);
    cnv_tensor_free(&picture);
    return 1;
}

int main(int argc, char **argv)
{
    static score_table you[LEVELS], net[LEVELS], alone[LEVELS];
    example e = example_begin(argc, argv, "a quiz: you against the network", NULL,
                              "data,scenes,questions");
    dataset d = dataset_of(&e, (int)example_number(&e, "scenes", 240, 1, 100000));
    int questions = (int)example_number(&e, "questions", 18, 0, 100000), i;
    cnv_rng rng = cnv_rng_seed(e.seed);
    cnv_tensor image = {0}, blurred = {0};
    panel_sheet sheet = {{0}, 0};
    const char *dot = strrchr(e.out, '.');
    char text[1024];
    score_needs(&e, d.names, d.classes);
    dataset_shuffle(&d, &rng);
    snprintf(text, sizeof text, "%.900s.question%.99s", e.out, dot ? dot : "");
    quiz(&e, &d, questions < d.n ? questions : d.n, stdin, text, you, net);
    remove(text);
    example_check(&e, panel_begin(&sheet, 3, 2, "Who sees more, you or the network?"));
    dataset_batch(&e, &d, 0, 1, &image);
    for (i = 0; i < LEVELS; i++) {
        play(&e, &d, i, &alone[i]);
        snprintf(text, sizeof text, "%d pixels: the network has %.0f %% right", level_side[i],
                 100.0 * alone[i].right / alone[i].answers);
        printf("%s; in the quiz %d, you %d of %d\n", text, net[i].right, you[i].right,
               you[i].answers);
        example_check(&e, i % 2 || (degrade(&image, i, &blurred) &&
                                    panel_picture(&sheet, i / 2, &blurred, text, "")));
    }
    if (you[0].answers) {
        score_table_draw(&e, "You", you, LEVELS, &sheet, 3);
        score_table_draw(&e, "The network", net, LEVELS, &sheet, 4);
    } else {
        score_table_draw(&e, "The network, sharp", alone, 1, &sheet, 3);
        score_table_draw(&e, "blurred", alone + 1, LEVELS - 1, &sheet, 4);
    }
    example_check(&e, draw_curves(alone, you, &sheet));
    example_save(&e, &sheet.picture);
    cnv_tensor_free(&image), cnv_tensor_free(&blurred), dataset_free(&d);
    panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
