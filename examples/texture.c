/* texture.c - what is a texture, if places do not count?

   Question   Keep of a picture only which features go together, not where: what else looks so?
   Formula    x := argmin sum over nodes of |G(x) - G(sample)|^2 / |G(sample)|^2,
              G = F F^T / P, F [C,P]: the activations of C channels at P positions
   Paper      Gatys, Ecker, Bethge: Texture Synthesis Using CNNs (2015); Ustyuzhaninov, Brendel,
              Gatys, Bethge: Texture Synthesis Using Shallow CNNs with Random Weights (2016)
   Look for   Tiles and waves again, but other ones: what repeats is kept, where it stood is lost.
              Filters that nobody trained do as well, if they come in several sizes: here better
              than the small network's, which pass over every second pixel.
   Measured   the Gram loss falls to <= 1% of that at the start. Compare with another piece of the
              same texture, with the sample's pixels in random order, and with the other sample

   From noise, by L-BFGS, with a little total variation against noise that no filter sees. The
   output may be larger than the sample.

       cc -O2 -fopenmp examples/texture.c -o build/texture -lm && build/texture

   --image FILE: your own sample. --layer NAME: the last layer whose Gram matrix counts.         */
#include "gram.h"
#include "paintings.h"
#include "panel.h"

enum { TEXTURE_STEPS = 10000 }; /* at most */

/* out [1,3,size,size] with the sample's Gram matrices, from noise. start, end: S */
static int texture(const example *e, cnv_net *net, gram_goal *goal, const cnv_tensor *sample,
                   int size, int steps, cnv_tensor *out, double *start, double *end)
{
    static double loss[TEXTURE_STEPS + 1];
    ascent a;
    int ok = gram_style(net, goal, sample) &&
             gram_begin(&a, e, net, goal, size, size, NULL, ASCENT_LBFGS);
    *start = ok ? gram_loss(net, goal, &a.image) : -1;
    if (ok) ascent_end(&a);
    ok = ok && gram_search(e, net, goal, size, size, NULL, ASCENT_LBFGS, steps, loss, out);
    *end = goal->style_loss;
    return ok;
}

/* The pixels of a picture in random order: its colours, and nothing else */
static int shuffled(const cnv_tensor *picture, unsigned long long seed, cnv_tensor *out)
{
    cnv_rng rng = cnv_rng_seed(seed);
    int i, c, plane = picture->h * picture->w;
    if (!cnv_tensor_copy(picture, out)) return 0;
    for (i = plane - 1; i > 0; i--) {
        int k = (int)(cnv_uniform(&rng) * (i + 1));
        for (c = 0; c < 3; c++) {
            float *p = out->data + c * plane, pixel = p[i];
            p[i] = p[k], p[k] = pixel;
        }
    }
    return 1;
}

#ifndef EXAMPLE_NO_MAIN
enum { SIDE = 96, CONTROLS = 3 };

/* A sample and what its loss is compared with; an empty tensor where there is none. */
typedef struct {
    const char *name;
    cnv_tensor sample, control[CONTROLS];
} texture_row;
static const char *const control_names[CONTROLS] = {"another piece", "shuffled pixels",
                                                    "other sample"};

static texture_row texture_samples(const example *e, const char *name, const char *other)
{
    texture_row row = {0};
    example later = *e;
    later.seed += 1;
    row.name = example_text(e, "image", NULL) ? "the picture" : name;
    painting_open(e, example_text(e, "image", name), SIDE, &row.sample);
    if (row.name == name) painting_open(&later, name, SIDE, &row.control[0]);
    example_check(e, shuffled(&row.sample, e->seed, &row.control[1]));
    painting_open(e, other, SIDE, &row.control[2]);
    return row;
}

/* A network's texture in a cell of the sheet, and a line of figures: shares of the first loss */
static void texture_cell(const example *e, panel_sheet *sheet, int cell, cnv_net *net,
                         gram_goal *goal, const char *features, const texture_row *row)
{
    int size = (int)example_number(e, "size", 144, 32, 2000), i;
    int steps = (int)example_number(e, "steps", 60, 1, TEXTURE_STEPS);
    cnv_tensor out = {0};
    double start, end;
    char note[128];
    example_check(e, texture(e, net, goal, &row->sample, size, steps, &out, &start, &end));
    snprintf(note, sizeof note, "Gram loss: %.2f%% of the start's", 100 * end / start);
    example_check(e, panel_picture(sheet, cell, &out, features, note));
    printf("%s, %s: %.2f%%", row->name, features, 100 * end / start);
    for (i = 0; i < CONTROLS; i++) {
        double loss = row->control[i].data ? gram_loss(net, goal, &row->control[i]) : 0;
        example_check(e, loss >= 0);
        if (row->control[i].data) printf(", %s %.1f%%", control_names[i], 100 * loss / start);
    }
    printf("\n");
    cnv_tensor_free(&out);
}

/* The sample among white, as large as it is beside a texture of that size */
static int texture_sample(const example *e, panel_sheet *sheet, int cell, const texture_row *row)
{
    int size = (int)example_number(e, "size", 144, 32, 2000), room = size > SIDE ? size : SIDE;
    cnv_tensor tile = {0};
    int ok = cnv_canvas(&tile, room, room, panel_white);
    if (ok) cnv_paste(&tile, &row->sample, (room - SIDE) / 2, (room - SIDE) / 2);
    ok = ok && panel_picture(sheet, cell, &tile, row->name, "the sample, at the same scale");
    cnv_tensor_free(&tile);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "textures from Gram matrices", NULL, "size,steps");
    static const char *const names[] = {"mosaic", "waves"};
    int rows = example_text(&e, "image", NULL) ? 1 : 2, i, k;
    gram_goal goal = {0}, random_goal = {0};
    cnv_net *random_net = gram_random_net(3, 48, e.seed, &random_goal);
    panel_sheet sheet = {{0}, 0};
    example_check(&e, random_net && panel_begin(&sheet, 3, rows, "Texture synthesis"));
    if (!gram_layers(e.net, e.layer, &goal))
        example_fail(&e, "the network has no ReLU up to \"%s\"", e.net->nodes[e.layer].name);
    printf("Gram losses as shares of that at the start:\n");
    for (i = 0; i < rows; i++) {
        texture_row row = texture_samples(&e, names[i], names[!i]);
        example_check(&e, texture_sample(&e, &sheet, 3 * i, &row));
        texture_cell(&e, &sheet, 3 * i + 1, e.net, &goal, e.model->name, &row);
        texture_cell(&e, &sheet, 3 * i + 2, random_net, &random_goal, "random filters", &row);
        cnv_tensor_free(&row.sample);
        for (k = 0; k < CONTROLS; k++) cnv_tensor_free(&row.control[k]);
    }
    example_save(&e, &sheet.picture);
    gram_end(&goal), gram_end(&random_goal), cnv_net_free(random_net);
    panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
