/* correspondence.c - where in that picture is what I see here?

   Question   Nobody told the network what a beak is. Does a place on one object still look to it
              like the same place on another object of the class, and unlike all other places?
   Formula    match(p) = argmax over places q of the second picture of corr(a(p), b(q)),
              a(p): all channels of a layer at p, between its cells interpolated
              PCK@.1 = share of the key points with |match - truth| <= .1 of the picture's side
   Paper      Long, Zhang, Darrell: Do Convnets Learn Correspondence? (2014), sections 3 and 4
   Look for   Blue lines join what belongs together, though colour, size and pose differ; an orange
              line ends at a wrong place, and a cross is the right one. Many of these go to the
              twin of a part: the other wheel, the other eye. Early layers match colours and edges.
   Measured   PCK@.1 at least .3 above chance; controls: patches of raw pixels, the same layer
              untrained, and a random place on the very object, which only the truth can know.
              Within .1 of the object's width is stricter: half a cell of conv4

       cc -O2 examples/correspondence.c -o build/correspondence -lm && build/correspondence   */
#include "panel.h"
#include "scores.h"

enum { GRID = SCORE_GRID, PLACES = SCORE_PLACES };

/* A layer's maps [1,C,h,w] at all places, of mean 0 and length 1 over the channels of each, so that
   the product of two is their correlation. features [1,C,GRID,GRID]. */
static int correspondence_features(const cnv_tensor *maps, cnv_tensor *features)
{
    float mean[PLACES] = {0}, square[PLACES] = {0};
    int i, k, channels = maps->c;
    if (!cnv_resize(maps, GRID, GRID, features)) return 0;
    for (k = 0; k < channels; k++)
        for (i = 0; i < PLACES; i++) mean[i] += features->data[k * PLACES + i] / (float)channels;
    for (k = 0; k < channels; k++)
        for (i = 0; i < PLACES; i++) {
            float *a = &features->data[k * PLACES + i];
            *a -= mean[i], square[i] += *a * *a;
        }
    for (i = 0; i < PLACES; i++) square[i] = 1 / sqrtf(square[i] + 1e-30f);
    for (k = 0; k < channels; k++)
        for (i = 0; i < PLACES; i++) features->data[k * PLACES + i] *= square[i];
    return 1;
}

/* The place in the second picture that is most like `place` in the first. */
static int correspondence(const cnv_tensor *first, const cnv_tensor *second, int place)
{
    float likeness[PLACES] = {0};
    int i, k;
    for (k = 0; k < first->c; k++) {
        const float *b = second->data + k * PLACES, a = first->data[k * PLACES + place];
        for (i = 0; i < PLACES; i++) likeness[i] += a * b[i];
    }
    return example_greatest(likeness, PLACES);
}

/* For each key point of the first scene that shows, the place in the second: by the features of a
   node, or, without a network, by patches of 5 x 5 pixels. */
static int correspondence_match(const score_pair *pair, cnv_net *net, int node, int *match)
{
    const cnv_window patch = cnv_square(5, 1, 2);
    const toy_scene *scene = &pair->scene[0];
    cnv_tensor maps = {0}, features[2] = {{0}};
    int i, k, ok = net ? cnv_forward(net, &pair->images, node)
                       : cnv_im2col(&pair->images, &patch, &maps);
    for (i = 0; ok && i < 2; i++) {
        cnv_tensor one = cnv_tensor_image(net ? &net->nodes[node].out : &maps, i);
        ok = correspondence_features(&one, &features[i]);
    }
    for (k = 0; ok && k < scene->key_points; k++)
        if (scene->key[k].visible)
            match[k] = correspondence(&features[0], &features[1],
                                      score_place(scene->key[k].x, scene->key[k].y));
    cnv_tensor_free(&maps), cnv_tensor_free(&features[0]), cnv_tensor_free(&features[1]);
    return ok;
}

#ifndef EXAMPLE_NO_MAIN
/* A pair in cells `index` and the next, and a line from each key point to its match. */
static int correspondence_draw(panel_sheet *sheet, int index, const score_pair *pair,
                               const int *match)
{
    static const cnv_color colors[2] = {{1, 0.55f, 0.1f}, {0.3f, 0.75f, 1}};
    int i, k, pass, x[2], y, keys = 0, hits = 0, ok = 1, side = PANEL_SIDE;
    cnv_tensor large = {0};
    char note[64];
    for (i = 0; ok && i < 2; i++) {
        ok = example_scene(&pair->scene[i], side, &large) &&
             panel_picture(sheet, index + i, &large, "", "");
        panel_corner(sheet, index + i, &x[i], &y);
    }
    for (k = 0; ok && k < pair->scene[0].key_points; k++) {
        const toy_key_point *from = &pair->scene[0].key[k], *to = &pair->scene[1].key[k];
        double x0 = x[0] + side * from->x, x1 = x[1] + side * (match[k] % GRID + 0.5) / GRID;
        double y0 = y + side * from->y, y1 = y + side * (match[k] / GRID + 0.5) / GRID;
        int hit = score_error(pair, k, match[k]) <= 0.1;
        if (!score_shows(pair, k)) continue;
        if (!hit) panel_cross(sheet, index + 1, to->x, to->y, colors[0]);
        for (pass = 0; pass < 2; pass++) { /* a dark rim, so that it shows on every colour */
            cnv_color color = pass ? colors[hit] : panel_black;
            cnv_line(&sheet->picture, x0, y0, x1, y1, pass ? 2.5 : 5, color);
            cnv_disc(&sheet->picture, x0, y0, pass ? 5 : 6.5, color);
        }
        keys++, hits += hit;
    }
    snprintf(note, sizeof note, "%s: %d of %d right", toy_class_names[pair->scene[0].class_id],
             hits, keys);
    panel_text(sheet, x[0], y + side + 12, 13, panel_black, note);
    cnv_tensor_free(&large);
    return ok;
}

int main(int argc, char **argv)
{
    enum { LAYER, UNTRAINED, PATCHES, WAYS, SHOWN = 6 };
    example e = example_begin(argc, argv, "matches the parts of two objects", NULL, "scenes");
    int scenes = (int)example_number(&e, "scenes", 240, 2, 100000), only = score_class(&e), i, w;
    const cnv_node *at = &e.net->nodes[e.layer];
    const char *names[] = {at->name, "the same layer, untrained", "patches of 5 x 5 pixels"};
    cnv_net *nets[WAYS] = {e.net, example_untrained(&e), NULL};
    double start = example_seconds(), keys;
    int match[WAYS][TOY_MAX_KEYS];
    score_tally sum[WAYS] = {{0, 0, 0, 0, 0}};
    panel_sheet sheet = {{0}, 0};
    static score_pair pair;
    if (at->out.h * at->out.w == 1) example_fail(&e, "%s has channels, but no places", at->name);
    example_check(&e, panel_begin(&sheet, 4, scenes / 2 < SHOWN ? (scenes / 2 + 1) / 2 : SHOWN / 2,
                                  "Correspondence"));
    for (i = 0; i < scenes / 2; i++) {
        example_check(&e, score_pair_make(&pair, i, only < 0 ? i % TOY_CLASSES : only, e.image.w));
        for (w = 0; w < WAYS; w++) {
            example_check(&e, correspondence_match(&pair, nets[w], e.layer, match[w]));
            score_pair_add(&pair, match[w], &sum[w]);
        }
        if (i < SHOWN) example_check(&e, correspondence_draw(&sheet, 2 * i, &pair, match[LAYER]));
        example_progress("matching", i + 1, scenes / 2, start);
    }
    cnv_text(&sheet.picture, PANEL_MARGIN, 68, 12, panel_gray,
             "blue: the right place; orange: a wrong one, and the cross is where it belongs");
    example_save(&e, &sheet.picture);
    keys = fmax(1, sum->keys);
    printf("PCK@.1, %5.0f key points   of the picture's side  of the object's width\n", sum->keys);
    for (w = 0; w < WAYS; w++)
        printf("%-25s %21.3f %22.3f\n", names[w], sum[w].right / keys, sum[w].strict / keys);
    printf("%-25s %21.3f\n", "any place on the object", sum->on_object / keys);
    printf("%-25s %21.3f\n", "any place in the picture", sum->chance / keys);
    cnv_tensor_free(&pair.images), cnv_net_free(nets[UNTRAINED]), panel_end(&sheet);
    example_end(&e);
    return 0;
}
#endif
