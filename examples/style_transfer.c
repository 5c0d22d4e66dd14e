/* style_transfer.c - what does this look like, painted like that?

   Question   Keep what a picture shows, and change how it is painted: where is the border?
   Formula    x := argmin  S(x) + w K(x) + v TV(x):  style S: the mean over several nodes of
              |G(x) - G(style)|^2 / |G(style)|^2, G = F F^T / P;  content K at one node:
              |F(x) - F(content)|^2 / |F(content)|^2;  TV: squared differences of neighbours
   Paper      Gatys, Ecker, Bethge: Image Style Transfer Using CNNs (2016)
   Look for   Mountains, trees and lake stay where they are, and are made of strokes, tiles, waves.
              With the style alone the place of everything is free to change. Adam is not as far
              as L-BFGS after as many steps: it has moved away less from the content's colours.
   Measured   loss <= 5% of that at the start, for both; K < that of a run without content

   From the content with a little noise (the paper: from noise, and it says that both will do), or,
   with style alone, from noise on grey. The features are those of random filters (see texture.c):
   the default network has seen cartoons only, and forgets where things are. --features net takes
   the network's all the same, or those of --net.

       cc -O2 -fopenmp examples/style_transfer.c -o build/style_transfer -lm && build/style_transfer

   --image FILE: the content. --style: strokes, mosaic, waves, or FILE. --weight: w.             */
#include "gram.h"
#include "paintings.h"
#include "panel.h"

enum { STYLE_STEPS = 10000 }; /* at most */

typedef struct {
    ascent_method method;
    int steps;
    double start, loss, style, content; /* the loss at the start and at the end; S and K */
} style_run;

/* out [1,3,h,w]: the content [1,3,h,w], painted like `style`. goal: nodes and weights. */
static int style_transfer(const example *e, cnv_net *net, gram_goal *goal,
                          const cnv_tensor *content, const cnv_tensor *style, style_run *run,
                          cnv_tensor *out)
{
    static double loss[STYLE_STEPS + 1];
    const cnv_tensor *start = goal->content_weight > 0 ? content : NULL;
    if (!gram_style(net, goal, style) || !gram_content(net, goal, content) ||
        !gram_search(e, net, goal, content->h, content->w, start, run->method, run->steps, loss,
                     out))
        return 0;
    run->start = loss[0], run->loss = loss[run->steps];
    run->style = goal->style_loss, run->content = goal->content_loss;
    return 1;
}

#ifndef EXAMPLE_NO_MAIN
/* A run in a cell of the sheet, the style in its corner, and a line of figures */
static double style_cell(const example *e, panel_sheet *sheet, int cell, const cnv_tensor *content,
                         const char *name, ascent_method method, double weight)
{
    gram_goal goal = {0};
    cnv_net *net = gram_open(e, &goal);
    cnv_tensor style = {0}, out = {0};
    style_run run = {method, (int)example_number(e, "steps", 45, 1, STYLE_STEPS), 0, 0, 0, 0};
    char caption[128], note[128];
    goal.content_weight = weight;
    painting_open(e, name, content->h, &style);
    snprintf(caption, sizeof caption, "%.60s%s, by %s", name, weight > 0 ? "" : ", style alone",
             method == ASCENT_ADAM ? "Adam" : "L-BFGS");
    example_check(e, style_transfer(e, net, &goal, content, &style, &run, &out));
    snprintf(note, sizeof note, "loss %.2f%% of the start's; S %.4f, K %.3f",
             100 * run.loss / run.start, run.style, run.content);
    printf("%-28s %s\n", caption, note);
    example_check(e, panel_picture(sheet, cell, &out, caption, note) &&
                     panel_inset(sheet, cell, &style));
    cnv_tensor_free(&style), cnv_tensor_free(&out);
    gram_close(e, net, &goal);
    return run.content;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "a picture, painted like another", NULL,
                              "features,style,weight,size,steps");
    const char *path = example_text(&e, "image", NULL);
    const char *style = example_text(&e, "style", "strokes");
    int size = (int)example_number(&e, "size", 160, 32, 2000);
    cnv_tensor content = {0};
    panel_sheet sheet = {{0}, 0};
    double weight = example_number(&e, "weight", 0.02, 0, 1e6), kept, lost;
    if (path) painting_open(&e, path, size, &content);
    else example_check(&e, cnv_tensor_resize(&content, 1, 3, size, size));
    if (!path) toy_landscape(e.seed, size, size, content.data);
    example_check(&e, panel_begin(&sheet, 3, 2, "Style transfer") &&
                      panel_picture(&sheet, 0, &content, "the content",
                                    "each picture has its style in the corner"));
    kept = style_cell(&e, &sheet, 1, &content, style, ASCENT_LBFGS, weight);
    style_cell(&e, &sheet, 2, &content, "mosaic", ASCENT_LBFGS, weight);
    lost = style_cell(&e, &sheet, 3, &content, style, ASCENT_LBFGS, 0);
    style_cell(&e, &sheet, 4, &content, style, ASCENT_ADAM, weight);
    style_cell(&e, &sheet, 5, &content, "waves", ASCENT_LBFGS, 5 * weight);
    printf("content loss K with content %.3f, with style alone %.3f\n", kept, lost);
    example_save(&e, &sheet.picture);
    cnv_tensor_free(&content), panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
