/* behaviour.c: correspondence, attributes and human_vs_net: each is what its formula says, and the
   pass lines hold on the network of the examples, with controls.

       cc -O2 -fopenmp tests/behaviour.c -o build/behaviour -lm && build/behaviour           */
#define EXAMPLE_NO_MAIN
#include "../examples/correspondence.c"
#include "../examples/attributes.c"
#include "../examples/human_vs_net.c"
#include "check.h"

#include <fcntl.h>
#include <unistd.h>

/* ---- Shares ---- */

/* Both ends of Wilson's interval are z standard errors, of the ends, away from what was seen. */
static void test_wilson(void)
{
    static const int seen[][2] = {{0, 1}, {1, 1}, {3, 10}, {50, 100}, {99, 100}, {0, 500}, {7, 8}};
    double low, high;
    size_t i;
    for (i = 0; i < sizeof seen / sizeof *seen; i++) {
        double n = seen[i][1], p = seen[i][0] / n;
        score_wilson(seen[i][0], n, &low, &high);
        CHECK(low >= 0 && low <= p && p <= high && high <= 1, "%g %g %g", low, p, high);
        CHECK(fabs((p - low) - 1.96 * sqrt(low * (1 - low) / n)) < 1e-9, "%g: low %g", p, low);
        CHECK(fabs((high - p) - 1.96 * sqrt(high * (1 - high) / n)) < 1e-9, "%g: high %g", p, high);
    }
    score_wilson(0, 0, &low, &high);
    CHECK(low == 0 && high == 1, "nothing is known: %g %g", low, high);
}

static score_curve curve_of(const int *right, int points, int n)
{
    score_curve curve = {0, {0}, {0}, {0}, {0}};
    int i;
    for (i = 0; i < points; i++) score_add(&curve, i, right[i], n);
    return curve;
}

static void test_monotone(void)
{
    static const int up[5] = {10, 50, 49, 80, 100}, dip[5] = {10, 50, 20, 80, 100};
    score_curve rising = curve_of(up, 5, 100), torn = curve_of(dip, 5, 100);
    CHECK(score_monotone(&rising, 1) && !score_monotone(&rising, -1), "49 after 50 may be chance");
    CHECK(!score_monotone(&torn, 1) && !score_monotone(&torn, -1), "20 after 50 is none");
    CHECK(rising.share[3] == 80 && rising.x[3] == 3 && rising.points == 5, "%g", rising.share[3]);
}

/* ---- Correspondence ---- */

static void random_maps(cnv_tensor *maps, int c, int h, int w, uint64_t seed)
{
    cnv_rng rng = cnv_rng_seed(seed);
    size_t i;
    CHECK(cnv_tensor_resize(maps, 1, c, h, w), "%s", cnv_error());
    for (i = 0; i < cnv_tensor_size(maps); i++) maps->data[i] = (float)cnv_normal(&rng);
}

/* Pearson's correlation over the channels of two places. */
static double correlation(const cnv_tensor *a, int p, const cnv_tensor *b, int q)
{
    double sa = 0, sb = 0, aa = 0, bb = 0, ab = 0;
    int k, n = a->c, plane = a->h * a->w;
    for (k = 0; k < n; k++) {
        double x = (double)a->data[k * plane + p], y = (double)b->data[k * plane + q];
        sa += x, sb += y, aa += x * x, bb += y * y, ab += x * y;
    }
    return (ab - sa * sb / n) / sqrt((aa - sa * sa / n) * (bb - sb * sb / n));
}

/* The match is the place of the greatest correlation, whatever the scale of the numbers; and the
   place itself in the same picture. */
static void test_match_is_the_greatest_correlation(void)
{
    cnv_tensor a = {0}, b = {0}, fa = {0}, fb = {0}, scaled = {0};
    int p, q, best;
    size_t i;
    random_maps(&a, 9, GRID, GRID, 1), random_maps(&b, 9, GRID, GRID, 2);
    CHECK(cnv_tensor_copy(&b, &scaled), "%s", cnv_error());
    for (i = 0; i < cnv_tensor_size(&b); i++) scaled.data[i] = 3 * b.data[i] + 5;
    CHECK(correspondence_features(&a, &fa) && correspondence_features(&scaled, &fb), "%s",
          cnv_error());
    for (p = 0; p < PLACES; p += 97) {
        for (q = 1, best = 0; q < PLACES; q++)
            if (correlation(&a, p, &b, q) > correlation(&a, p, &b, best)) best = q;
        CHECK(correspondence(&fa, &fb, p) == best, "place %d goes to %d, not %d", p,
              correspondence(&fa, &fb, p), best);
        CHECK(correspondence(&fa, &fa, p) == p, "place %d is not most like itself", p);
    }
    cnv_tensor_free(&a), cnv_tensor_free(&b), cnv_tensor_free(&scaled);
    cnv_tensor_free(&fa), cnv_tensor_free(&fb);
}

/* What is known about a pair: perfect matches are all right, and chance is the circle's area. */
static void test_pairs(void)
{
    static score_pair pair, again;
    score_tally tally = {0, 0, 0, 0, 0};
    int match[TOY_MAX_KEYS], i, k, inside = 0;
    for (i = 0; i < 24; i++) {
        CHECK(score_pair_make(&pair, i, i % TOY_CLASSES, TOY_SIDE), "%s", cnv_error());
        CHECK(pair.scene[0].class_id == i % TOY_CLASSES &&
              pair.scene[1].class_id == i % TOY_CLASSES &&
              pair.scene[0].seed != pair.scene[1].seed, "pair %d", i);
        for (k = 0; k < pair.scene[1].key_points; k++) {
            const toy_key_point *key = &pair.scene[1].key[k];
            if (!score_shows(&pair, k)) continue;
            match[k] = score_place(key->x, key->y);
            CHECK(score_error(&pair, k, match[k]) <= 0.708 / GRID, "pair %d, point %d", i, k);
            inside += key->x > 0.1 && key->x < 0.9 && key->y > 0.1 && key->y < 0.9;
        }
        score_pair_add(&pair, match, &tally);
    }
    CHECK(tally.keys > 80 && tally.right == tally.keys && tally.strict == tally.keys, "%g %g %g",
          tally.keys, tally.right, tally.strict);
    CHECK(tally.chance / tally.keys < 0.0317 && tally.chance > 0.0311 * inside, "chance %g",
          tally.chance / tally.keys);
    CHECK(tally.on_object > 3 * tally.chance && tally.on_object < 0.4 * tally.keys, "%g",
          tally.on_object / tally.keys);
    for (k = 0; k < TOY_MAX_KEYS; k++) match[k] = 0;
    memset(&tally, 0, sizeof tally);
    score_pair_add(&pair, match, &tally);
    CHECK(tally.right == 0, "the corner is no key point");
    CHECK(score_pair_make(&again, 23, 11, TOY_SIDE) &&
          !memcmp(again.mask, pair.mask, sizeof pair.mask), "a pair is drawn otherwise again");
    cnv_tensor_free(&pair.images), cnv_tensor_free(&again.images);
}

static score_tally pck(cnv_net *net, int node, int pairs)
{
    static score_pair pair;
    score_tally sum = {0, 0, 0, 0, 0};
    int i, match[TOY_MAX_KEYS] = {0};
    for (i = 0; i < pairs; i++) {
        CHECK(score_pair_make(&pair, i, i % TOY_CLASSES, TOY_SIDE) &&
              correspondence_match(&pair, net, node, match), "%s", cnv_error());
        score_pair_add(&pair, match, &sum);
    }
    cnv_tensor_free(&pair.images);
    return sum;
}

static void test_correspondence(const example *e)
{
    cnv_net *untrained = example_untrained(e);
    int node = cnv_find(e->net, "conv4"), pairs = 120;
    score_tally deep = pck(e->net, node, pairs), early = pck(e->net, cnv_find(e->net, "conv1"), 36);
    score_tally raw = pck(NULL, 0, pairs), before = pck(untrained, node, pairs);
    double right = deep.right / deep.keys, chance = deep.chance / deep.keys;
    printf("PCK@.1 %.3f, conv1 %.3f, patches %.3f, untrained %.3f, on the object %.3f, "
           "anywhere %.3f\n", right, early.right / early.keys, raw.right / raw.keys,
           before.right / before.keys, deep.on_object / deep.keys, chance);
    CHECK(right >= chance + 0.3, "PCK@.1 is %.3f, by chance %.3f", right, chance);
    CHECK(right >= deep.on_object / deep.keys + 0.2, "on the object %.3f",
          deep.on_object / deep.keys);
    CHECK(right >= raw.right / raw.keys + 0.15, "patches %.3f", raw.right / raw.keys);
    CHECK(right >= before.right / before.keys + 0.15, "untrained %.3f", before.right / before.keys);
    CHECK(right >= early.right / early.keys + 0.15, "conv1 %.3f", early.right / early.keys);
    cnv_net_free(untrained);
}

/* ---- Attributes ---- */

static int same_picture(const toy_scene *a, const toy_scene *b)
{
    static float x[3 * 32 * 32], y[3 * 32 * 32];
    toy_render(a, 32, x, NULL, NULL), toy_render(b, 32, y, NULL, NULL);
    return !memcmp(x, y, sizeof x);
}

/* One field is as asked; the rest of the scene is as it comes. */
static void test_scenes(void)
{
    unsigned long long seed;
    double x;
    for (seed = EXAMPLE_HELD_OUT; seed < EXAMPLE_HELD_OUT + 40; seed++) {
        toy_scene plain = toy_make(seed, NULL), s = attribute_scene(CONTRAST, 0.3, seed);
        CHECK(s.contrast == 0.3, "contrast %g", s.contrast);
        CHECK(!same_picture(&s, &plain), "contrast changes nothing");
        s.contrast = plain.contrast;
        CHECK(same_picture(&s, &plain), "contrast changes something else, too");
        s = attribute_scene(ROTATION, 120, seed);
        CHECK(fabs(fabs(s.rotation) - TOY_TAU / 3) < 1e-12 && s.rotation * plain.rotation >= 0,
              "rotation %g", s.rotation);
        s.rotation = plain.rotation;
        CHECK(same_picture(&s, &plain), "rotation changes something else, too");
        s = attribute_scene(CLUTTER, 6, seed);
        CHECK(s.clutter == 6, "%d", s.clutter);
        s.clutter = plain.clutter;
        CHECK(same_picture(&s, &plain), "clutter changes something else, too");
        s = attribute_scene(SIZE, 0.3, seed);
        CHECK(s.class_id == plain.class_id && s.hue == plain.hue && s.rotation == plain.rotation,
              "size changes something else, too");
        CHECK(s.area > 0.3 * 0.09 && s.area < 1.4 * 0.09, "area %g, class %d", s.area, s.class_id);
        for (x = 0; x <= 1; x += 0.125) {
            s = attribute_scene(OCCLUSION, x, seed);
            CHECK(fabs(s.occlusion - x) < 0.05, "%g is hidden instead of %g", s.occlusion, x);
            s.occluder = plain.occluder;
            CHECK(same_picture(&s, &plain), "occlusion changes something else, too");
        }
    }
}

static score_curve measured(const example *e, int which, int n)
{
    const attribute *a = &attributes[which];
    score_curve curve = {0, {0}, {0}, {0}, {0}};
    int i;
    for (i = 0; i < a->levels; i++) {
        double value = a->first + i * a->step;
        score_add(&curve, value, attribute_right(e, which, value, n), n);
    }
    return curve;
}

static void test_attributes(const example *e)
{
    const double chance = 100.0 / TOY_CLASSES;
    example blind = *e;
    int which, i, last;
    blind.net = example_untrained(e);
    for (which = 0; which < ATTRIBUTES; which++) {
        const attribute *a = &attributes[which];
        score_curve c = measured(e, which, 120), control = measured(&blind, which, 24);
        last = c.points - 1;
        if (a->easier) CHECK(score_monotone(&c, a->easier), "%s is not monotone", a->name);
        for (i = 0; i <= last; i++) {
            if (c.x[i] >= a->low + 0.02 && c.x[i] <= a->high)
                CHECK(c.share[i] >= 88, "%s %g: %g%%", a->name, c.x[i], c.share[i]);
            CHECK(control.low[i] <= chance && control.share[i] < 34, "untrained, %s %g: %g%%",
                  a->name, c.x[i], control.share[i]);
        }
        if (which == SIZE) CHECK(c.share[0] < 25 && c.share[last] > 90, "%g%%", c.share[0]);
        if (which == CONTRAST)
            CHECK(c.low[0] <= chance && c.share[0] < 20, "gray: %g%%", c.share[0]);
        if (which == OCCLUSION)
            CHECK(c.low[last] <= chance && c.share[last] < 20, "hidden: %g%%", c.share[last]);
        if (which == CLUTTER) CHECK(c.share[0] > c.share[last], "%g%%", c.share[last]);
    }
    cnv_net_free(blind.net);
}

/* ---- You against the network ---- */

static void test_degrade(const example *e)
{
    cnv_tensor next = {0};
    int level;
    size_t i, size = cnv_tensor_size(&e->image);
    double before = 1e9;
    for (level = 0; level < LEVELS; level++) {
        double mean = 0, rough = 0;
        CHECK(degrade(&e->image, level, &next) && next.h == e->image.h, "%s", cnv_error());
        for (i = 0; i < size; i++) {
            mean += (double)(next.data[i] - e->image.data[i]) / (double)size;
            if ((i + 1) % (size_t)next.w) rough += fabs((double)(next.data[i + 1] - next.data[i]));
        }
        CHECK(fabs(mean) < 0.01, "level %d is brighter by %g", level, mean);
        CHECK(rough < 0.9 * before, "level %d: roughness %g, before %g", level, rough, before);
        if (!level) CHECK(!memcmp(next.data, e->image.data, size * sizeof(float)), "it changes");
        before = rough;
    }
    cnv_tensor_free(&next);
}

static void test_understand(const example *e)
{
    static const struct {
        const char *line;
        int class_id;
    } lines[] = {{"fish\n", 0}, {"key", 11}, {"11\r\n", 11}, {"0\n", 0}, {"12\n", -1}, {"-1\n", -1},
                 {"f\n", -1}, {"fi\n", 0}, {"fac\n", 6}, {"mush\n", 8}, {"", -1}, {"\n", -1},
                 {"fishes\n", -1}, {"3x\n", -1}, {"k\n", 11}, {" \n", -1}};
    size_t i;
    for (i = 0; i < sizeof lines / sizeof *lines; i++)
        CHECK(score_understand(e, lines[i].line) == lines[i].class_id, "\"%s\" is taken for %d",
              lines[i].line, score_understand(e, lines[i].line));
}

enum { QUESTIONS = 12 };
static const char *const question = "build/behaviour.question.ppm";

/* Plays with a script, without a word; you and net: tables of all levels together. */
static void play_script(const example *e, const dataset *d, const char *script, score_table *you,
                        score_table *net)
{
    static score_table yours[LEVELS], nets[LEVELS];
    FILE *in = tmpfile();
    int i, out, nowhere;
    memset(yours, 0, sizeof yours), memset(nets, 0, sizeof nets);
    CHECK(in && fputs(script, in) >= 0, "no file");
    if (!in) return;
    rewind(in), fflush(stdout);
    out = dup(1), nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, 1);
    quiz(e, d, QUESTIONS, in, question, yours, nets);
    fflush(stdout);
    dup2(out, 1), close(out), close(nowhere);
    for (i = 0; i < LEVELS; i++) {
        CHECK(yours[i].answers == nets[i].answers, "level %d", i);
        if (strlen(script) > 60) CHECK(yours[i].answers == QUESTIONS / LEVELS, "level %d: %d", i,
                                       yours[i].answers);
    }
    score_table_sum(yours, LEVELS, you), score_table_sum(nets, LEVELS, net);
    fclose(in), remove(question);
}

static void test_quiz(const example *e, const dataset *d)
{
    char script[1024] = "", wrong[1024] = "";
    static score_table you, net, want;
    cnv_tensor image = {0}, blurred = {0};
    int q, i, j, bad = 0;
    memset(&want, 0, sizeof want);
    for (q = 0; q < QUESTIONS; q++) {
        const char *name = d->names[d->labels[q]];
        sprintf(script + strlen(script), q % 3 ? "%s\n" : "what?\n%s\n", name);
        sprintf(wrong + strlen(wrong), "nothing at all\n%d\n", (d->labels[q] + 1) % TOY_CLASSES);
        dataset_batch(e, d, q, 1, &image);
        CHECK(degrade(&image, q * LEVELS / QUESTIONS, &blurred) &&
              cnv_forward(e->net, &blurred, e->logits), "%s", cnv_error());
        score_answer(&want, d->labels[q], example_answer(e, 0));
    }
    play_script(e, d, script, &you, &net);
    CHECK(you.answers == QUESTIONS && you.right == QUESTIONS, "%d of %d", you.right, you.answers);
    CHECK(!memcmp(&net, &want, sizeof net), "the network: %d of %d", net.right, net.answers);
    for (i = 0; i < TOY_CLASSES; i++)
        for (j = 0; j < TOY_CLASSES; j++) bad += i != j && you.count[i][j];
    CHECK(bad == 0, "%d off the diagonal", bad);
    play_script(e, d, wrong, &you, &net);
    CHECK(you.answers == QUESTIONS && you.right == 0, "%d of %d", you.right, you.answers);
    for (i = bad = 0; i < TOY_CLASSES; i++) bad += you.count[i][(i + 1) % TOY_CLASSES];
    CHECK(bad == QUESTIONS, "%d beside the diagonal", bad);
    play_script(e, d, "star\n7\n", &you, &net);
    for (i = bad = 0; i < TOY_CLASSES; i++) bad += you.count[i][TOY_STAR];
    CHECK(you.answers == 2 && net.answers == 2 && bad == 2, "%d answers", you.answers);
    play_script(e, d, "", &you, &net);
    CHECK(you.answers == 0 && net.answers == 0, "%d answers to nothing", you.answers);
    cnv_tensor_free(&image), cnv_tensor_free(&blurred);
}

/* Alone: right on sharp pictures; by chance on the worst, where it takes most things for one. */
static void test_alone(const example *e, const dataset *d)
{
    static score_table table[LEVELS];
    double low, high;
    int i;
    for (i = 0; i < LEVELS; i++) {
        play(e, d, i, &table[i]);
        CHECK(table[i].answers == d->n, "%d answers", table[i].answers);
        if (i) CHECK(table[i].right <= table[i - 1].right + 0.05 * d->n, "level %d is easier", i);
    }
    CHECK(table[0].right > 0.95 * d->n, "sharp: %d of %d", table[0].right, d->n);
    score_wilson(table[LEVELS - 1].right, d->n, &low, &high);
    CHECK(low <= 1.0 / TOY_CLASSES && high >= 1.0 / TOY_CLASSES, "12 pixels: %g to %g", low, high);
}

int main(int argc, char **argv)
{
    char *arguments[3] = {argv[0], (char *)"--weights", NULL};
    cnv_rng rng = cnv_rng_seed(1);
    example e;
    dataset d;
    arguments[2] = argc > 1 ? argv[1] : (char *)example_data("toynet.safetensors");
    test_wilson();
    test_monotone();
    test_match_is_the_greatest_correlation();
    test_pairs();
    test_scenes();
    e = example_begin(3, arguments, "behaviour", NULL, "");
    test_correspondence(&e);
    test_attributes(&e);
    d = dataset_of(&e, 240);
    dataset_shuffle(&d, &rng);
    test_degrade(&e);
    test_understand(&e);
    test_quiz(&e, &d);
    test_alone(&e, &d);
    dataset_free(&d), example_end(&e);
    return check_report();
}
