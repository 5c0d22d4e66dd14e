/* building_blocks.c - what does the network see where, and what is it worth to a class?

   Question   A layer has a hundred feature maps: too many to look at. Which few groups of channels
              fire together, where, what do they look for, and which class do they speak for?
   Formula    V ~ A B, nothing negative: V [C,P] the feature maps, A [C,G] the groups, B [G,P] where
              attribution of place p: sum over c of dS/dV(c,p) V(c,p), S the logit of a class;
              effect of group g: sum over c, p of dS/dV(c,p) A(c,g) B(g,p)
   Paper      Olah and others: The Building Blocks of Interpretability (2018); Lee, Seung:
              Algorithms for Non-negative Matrix Factorization (2001)
   Look for   Groups that lie on parts of the object, sometimes one on the background, each with the
              picture that was made for it. Some speak for the next best class as well, others are
              what decides. A, B, C, D, the semantic dictionary: which channels fire most at four
              places, by their pictures.
   Measured   the error of the factorization falls with every step; the map of the group with the
              greatest effect points at the object, and covers it, better than the same map with its
              places shuffled, than a group at random, edges and a blob in the middle

   Own options: --groups N (6), --steps N (64) of the pictures, --scenes N to measure on (60).
   Try --class car, face or butterfly, and --layer conv3.

       cc -O2 -fopenmp examples/building_blocks.c -o build/building_blocks -lm                    */
#include "blocks.h"
#include "truth.h"

/* Groups the channels of b->node for an image; the group with the greatest effect on the class
   comes first. */
static int building_blocks(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
                           blocks *b)
{
    int i;
    net->relu_rule = CNV_GRADIENT;
    if (!cnv_forward(net, image, logits) ||
        !nmf_start(&b->parts, &net->nodes[b->node].out, b->groups, cnv_random(&b->rng)))
        return 0;
    b->before = nmf_error(&b->parts);
    for (i = 0; i < b->steps; i++)
        if (!nmf_step(&b->parts)) return 0;
    b->after = nmf_error(&b->parts), nmf_normalize(&b->parts);
    if (!blocks_effects(net, logits, class_id, b, b->effect, &b->share)) return 0;
    return blocks_sort(b), 1;
}

/* The first group's map as a heatmap, to be scored; or a control. setting: blocks */
static int building_blocks_map(cnv_net *net, int logits, const cnv_tensor *image, int class_id,
                               void *setting, cnv_tensor *map)
{
    blocks *b = (blocks *)setting;
    int group = b->wanted == BLOCK_ANY ? (int)(cnv_uniform(&b->rng) * b->groups) : 0;
    cnv_tensor one;
    if (!building_blocks(net, logits, image, class_id, b)) return 0;
    one = cnv_tensor_channel(&b->parts.maps, 0, group);
    if (b->wanted == BLOCK_SHUFFLED) blocks_shuffle(&one, &b->rng);
    return cnv_tensor_copy(&one, map);
}

#ifndef EXAMPLE_NO_MAIN
enum { STEP = 235, TILE = STEP - 24, TOP = PANEL_TOP + PANEL_SIDE + PANEL_FOOT + 4 };

static const cnv_color block_colors[BLOCK_MOST] = {{0.95f, 0.5f, 0.05f}, {0.2f, 0.65f, 0.95f},
    {0.1f, 0.7f, 0.4f}, {0.95f, 0.85f, 0.2f}, {0.85f, 0.4f, 0.75f}, {0.6f, 0.45f, 0.3f}};

/* A group's column: where it is, the picture made for it, and what it is worth to two classes, by
   bars of `scale` pixels for 1. */
static void blocks_column(const example *e, const blocks *b, int g, const char *other, double worth,
                          double scale, const cnv_tensor *scene, const cnv_tensor *picture,
                          cnv_tensor *sheet)
{
    int x = PANEL_MARGIN + g * STEP, y = TOP + 26;
    cnv_tensor map = cnv_tensor_channel(&b->parts.maps, 0, g), over = {0};
    example_check(e, blocks_overlay(scene, &map, &block_colors[g], &over));
    vision_paste(e, &over, vision_whole(&over), TILE, x, y, sheet);
    cnv_rectangle(sheet, x, y + TILE, TILE, 6, block_colors[g]);
    vision_paste(e, picture, vision_whole(picture), TILE, x, y + TILE + 6, sheet);
    blocks_bar(sheet, x, y + 2 * TILE + 18, b->effect[g], scale, e->class_names[e->class_id]);
    blocks_bar(sheet, x, y + 2 * TILE + 40, worth, scale, other);
    cnv_tensor_free(&over);
}

static void blocks_picture(const example *e, const blocks *b, int steps, panel_sheet *sheet)
{
    int place[BLOCK_PLACES], channel[BLOCK_PLACES][BLOCK_TOP], i, rival;
    cnv_tensor scene = {0}, over = {0}, share = {0};
    double worth[BLOCK_MOST], most = 1e-9;
    char text[160];
    ascent a;
    sheet->columns = 4;
    snprintf(text, sizeof text, "The building blocks of \"%s\" at %s", e->class_names[e->class_id],
             e->net->nodes[b->node].name);
    example_check(e, cnv_canvas(&sheet->picture, TOP + 2 * TILE + 108, 6 * STEP + 64,
                                panel_white) && panel_scene(sheet, 0, e) &&
                     panel_image(e, &scene) &&
                     blocks_overlay(&scene, &b->parts.maps, block_colors, &over));
    rival = example_rival(e, e->class_id);
    example_check(e, blocks_effects(e->net, e->logits, rival, b, worth, &share));
    cnv_text(&sheet->picture, PANEL_MARGIN, 38, 21, panel_black, text);
    snprintf(text, sizeof text, "%s for %d channels, error %.2f", example_count(b->groups, "group"),
             b->parts.values.c, b->after);
    example_check(e, panel_picture(sheet, 1, &over, "where which group fires", text) &&
                     panel_shares(sheet, 2, &b->share, "what each place is worth to the class"));
    blocks_places(&b->parts.maps, place);
    for (i = 0; i < BLOCK_PLACES; i++)
        blocks_strongest(&b->parts.values, place[i], channel[i], BLOCK_TOP);
    blocks_pictures(e, b, steps, channel, &a);
    blocks_dictionary(e, b, place, channel, &a.image, sheet);
    cnv_text(&sheet->picture, PANEL_MARGIN, TOP, 13, panel_black, "The groups, the one with the "
             "greatest effect first: where it is, the picture made for it, its effect on the "
             "logits");
    for (i = 0; i < b->groups; i++) most = fmax(most, fmax(fabs(b->effect[i]), fabs(worth[i])));
    for (i = 0; i < b->groups; i++) {
        cnv_tensor picture = cnv_tensor_image(&a.image, i);
        blocks_column(e, b, i, e->class_names[rival], worth[i], 70 / most, &scene, &picture,
                      &sheet->picture);
    }
    cnv_tensor_free(&scene), cnv_tensor_free(&over), cnv_tensor_free(&share), ascent_end(&a);
}

int main(int argc, char **argv)
{
    example e = example_begin(argc, argv, "groups of channels, by non-negative factorization",
                              NULL, "groups,steps,scenes");
    int groups = (int)example_number(&e, "groups", BLOCK_MOST, 1, BLOCK_MOST), i;
    int scenes = (int)example_number(&e, "scenes", 60, 0, 1e5);
    int steps = (int)example_number(&e, "steps", 64, 1, 1e5);
    int node = example_feature_maps(e.net, e.layer);
    const cnv_tensor *out = &e.net->nodes[node].out;
    static const char *const names[] = {"the group with the greatest effect",
                                        "  a group at random", "  its places shuffled"};
    double sum = 0, all = 0;
    panel_sheet sheet = {{0}, 0};
    truth_table table = {0};
    blocks b[3];
    if (node >= e.logits || out->h * out->w < BLOCK_PLACES || out->c < BLOCK_TOP)
        example_fail(&e, "this needs a layer with at least %d places and %d channels before the "
                     "logits; %s has %d and %d", BLOCK_PLACES, BLOCK_TOP, e.net->nodes[node].name,
                     out->h * out->w, out->c);
    for (i = 0; i < 3; i++) b[i] = blocks_of(&e, node, groups, i);
    example_check(&e, building_blocks(e.net, e.logits, &e.image, e.class_id, &b[0]));
    blocks_picture(&e, &b[0], steps, &sheet);
    example_save(&e, &sheet.picture);
    for (i = 0; i < groups; i++) sum += b[0].effect[i];
    for (i = 0; i < (int)cnv_tensor_size(&b[0].share); i++) all += (double)b[0].share.data[i];
    printf("error of the factorization: %.3f at first, %.3f after %s; effect of the groups %.2f, "
           "of all %.2f\n", b[0].before, b[0].after, example_count(b[0].steps, "step"), sum, all);
    for (i = 0; i < 3; i++) truth_add(&table, names[i], building_blocks_map, &b[i], 0);
    truth_report(&e, &table, scenes);
    for (i = 0; i < 3; i++) blocks_end(&b[i]);
    panel_end(&sheet), example_end(&e);
    return 0;
}
#endif
