/* occlusion.c - what must be hidden for the network to lose sight of the object?

   Question   A grey square slides over the picture: where does the class become improbable, and
              what does the network take the picture for instead?
   Formula    M(y,x) = P(class | image with the square centred at (y,x)); its heatmap is the drop
              P(class | image) - M, also called occlusion sensitivity. Variant: max over (i,j) of
              A_k(i,j), k the channel of a layer that the untouched image excites most
   Paper      Zeiler, Fergus: Visualizing and Understanding Convolutional Networks (2014), section
              4.2; there the variant adds the feature map up instead of taking its maximum
   Look for   Dark where the square covers the object, or the part that decides; elsewhere nothing
              changes. A square hides as much as it touches: the map is no sharper than the square.
   Measured   pointing >= .90 for the drop, at 8 x 8 places instead of the picture's 16 x 16

       cc -O2 examples/occlusion.c -o build/occlusion -lm && build/occlusion --square 12       */
#include "panel.h"
#include "truth.h"

typedef struct {
    int square;             /* side of the grey square, in pixels */
    int steps, node;        /* positions along a side: centres (i + 1/2) / steps; the variant's */
} occlusion_setting;

enum { HIDDEN_P, HIDDEN_DROP, HIDDEN_WINNER, HIDDEN_RESPONSE, HIDDEN_MAPS };
typedef struct {
    double before;          /* P(class | image) */
    int channel;            /* of the node: the one that the image excites most */
    cnv_tensor all;         /* [1,4,steps,steps], with the square there: P(class), how much less it
                               is than before, the class with the greatest, the channel's maximum */
} occlusion_maps;

/* A grey square in a picture [1,C,H,W], centred at (u,v) in [0,1], cut off at the border. */
static void occlusion_cover(cnv_tensor *image, int square, double u, double v)
{
    int left = (int)floor(u * image->w - square / 2.0 + 0.5), x, y, c;
    int top = (int)floor(v * image->h - square / 2.0 + 0.5);
    for (c = 0; c < image->c; c++)
        for (y = top < 0 ? 0 : top; y < top + square && y < image->h; y++)
            for (x = left < 0 ? 0 : left; x < left + square && x < image->w; x++)
                image->data[(c * image->h + y) * image->w + x] = 0.5f;
}

/* The row of positions i: a batch of n covered images. */
static int occlusion_row(cnv_net *net, int logits, const cnv_tensor *image, int square, int i,
                         cnv_tensor *batch, cnv_tensor *p)
{
    int j;
    for (j = 0; j < batch->n; j++) {
        cnv_tensor one = cnv_tensor_image(batch, j);
        if (!cnv_tensor_copy(image, &one)) return 0;
        occlusion_cover(&one, square, (j + 0.5) / batch->n, (i + 0.5) / batch->n);
    }
    return cnv_forward(net, batch, logits) && cnv_softmax_forward(&net->nodes[logits].out, p);
}

static int occlusion(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
                     const occlusion_setting *set, occlusion_maps *maps)
{
    const cnv_tensor *a = &net->nodes[set->node].out;
    cnv_tensor batch = {0}, p = {0};
    int i, j, n = set->steps, size = n * n;
    int ok = cnv_tensor_resize(&maps->all, 1, HIDDEN_MAPS, n, n) &&
             cnv_tensor_resize(&batch, n, image->c, image->h, image->w) &&
             cnv_forward(net, image, logits) && cnv_softmax_forward(&net->nodes[logits].out, &p);
    if (ok) maps->before = (double)p.data[class_id];
    if (ok) maps->channel = example_greatest(a->data, a->c * a->h * a->w) / (a->h * a->w);
    for (i = 0; ok && i < n; i++) {
        ok = occlusion_row(net, logits, image, set->square, i, &batch, &p);
        for (j = 0; ok && j < n; j++) {
            const float *one = p.data + j * p.c;
            float *at = maps->all.data + i * n + j;
            cnv_tensor map = cnv_tensor_channel(a, j, maps->channel);
            at[HIDDEN_P * size] = one[class_id];
            at[HIDDEN_DROP * size] = (float)maps->before - one[class_id];
            at[HIDDEN_WINNER * size] = (float)example_greatest(one, p.c);
            at[HIDDEN_RESPONSE * size] = map.data[example_greatest(map.data, a->h * a->w)];
        }
    }
    cnv_tensor_free(&batch), cnv_tensor_free(&p);
    return ok;
}

/* The heatmap to score, a truth_method: how much P(class) drops. */
static int occlusion_drop(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
                          void *setting, cnv_tensor *map)
{
    occlusion_maps maps = {0, 0, {0}};
    int ok = occlusion(net, logits, image, class_id, (occlusion_setting *)setting, &maps);
    cnv_tensor drop = cnv_tensor_channel(&maps.all, 0, HIDDEN_DROP);
    ok = ok && cnv_tensor_copy(&drop, map);
    cnv_tensor_free(&maps.all);
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
/* The covered scene, P(class), who wins; the drop, the channel's maximum, the channel itself. */
static int occlusion_picture(const example *e, const occlusion_setting *set,
                             const occlusion_maps *maps, panel_sheet *sheet)
{
    const cnv_node *node = &e->net->nodes[set->node];
    const char *name = e->class_names[e->class_id];
    cnv_tensor covered = {0}, channel, map[HIDDEN_MAPS];
    int i, at, n = set->steps;
    int ok = panel_image(e, &covered) && cnv_forward(e->net, &e->image, e->logits);
    char text[128], note[128];
    for (i = 0; i < HIDDEN_MAPS; i++) map[i] = cnv_tensor_channel(&maps->all, 0, i);
    channel = cnv_tensor_channel(&node->out, 0, maps->channel);
    at = example_greatest(map[HIDDEN_DROP].data, n * n);
    occlusion_cover(&covered, set->square * covered.w / e->image.w, (at % n + 0.5) / n,
                    (at / n + 0.5) / n);
    snprintf(text, sizeof text, "Occlusion: where does hiding cost \"%s\" most?", name);
    snprintf(note, sizeof note, "P(%s) = %.4f here, %.4f untouched", name,
             (double)map[HIDDEN_P].data[at], maps->before);
    ok = ok && panel_begin(sheet, 3, 2, text) &&
         panel_picture(sheet, 0, &covered, "the square where it costs most", note);
    snprintf(text, sizeof text, "P(%s) with the square centred there", name);
    snprintf(note, sizeof note, "red: P falls by %.4f", (double)map[HIDDEN_DROP].data[at]);
    ok = ok && panel_map(sheet, 1, &map[HIDDEN_P], CNV_MAP_VIRIDIS, 0, 1, text) &&
         panel_classes(sheet, 2, &map[HIDDEN_WINNER], e->class_names, e->classes, e->class_id,
                       "the answer with the square there") &&
         panel_over(sheet, 3, e, &map[HIDDEN_DROP], 0, "the drop of P over the picture", note);
    snprintf(text, sizeof text, "variant: maximum of %s, channel %d", node->name, maps->channel);
    snprintf(note, sizeof note, "%s, channel %d, untouched", node->name, maps->channel);
    ok = ok && panel_values(sheet, 4, &map[HIDDEN_RESPONSE], text) &&
         panel_values(sheet, 5, &channel, note);
    cnv_tensor_free(&covered);
    return ok;
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "a grey square slides over the picture", NULL,
                              "square,steps,scenes");
    int side = e.image.w, scenes = (int)example_number(&e, "scenes", 200, 0, 100000);
    occlusion_setting set = {(int)example_number(&e, "square", side / 4, 0, side),
                             (int)example_number(&e, "steps", 16, 1, side), e.layer};
    occlusion_maps maps = {0, 0, {0}};
    panel_sheet sheet = {{0}, 0};
    truth_table table = {0};
    double start = example_seconds();
    example_check(&e, occlusion(e.net, e.logits, &e.image, e.class_id, &set, &maps));
    example_rate(set.steps * set.steps, start);
    example_check(&e, occlusion_picture(&e, &set, &maps, &sheet));
    example_save(&e, &sheet.picture);
    set.steps = 8;
    truth_add(&table, "probability drop", occlusion_drop, &set, 0);
    truth_report(&e, &table, scenes);
    cnv_tensor_free(&maps.all), panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
