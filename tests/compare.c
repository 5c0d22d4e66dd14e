/* compare.c: the scores of heatmaps are what their definitions say; the shipped network that cheats
   does cheat; every method finds the object and the cheat, and no control does; and when the
   weights go, the maps that show what was learned go with them.

       cc -O2 -fopenmp tests/compare.c -o build/compare -lm && build/compare                    */
#define EXAMPLE_NO_MAIN
#include "../examples/compare.c"
#include "../examples/sanity_check.c"
#include "check.h"

/* ---- Insertion and deletion ---- */

/* P(class) of one picture. */
static double probability(const example *e, const cnv_tensor *picture, int class_id)
{
    CHECK(cnv_forward(e->net, picture, e->logits), "%s", cnv_error());
    return example_probability(e, class_id);
}

/* By the definition: a pixel is exchanged if fewer than k have a greater value. values: all
   different. */
static double area_under(const truth_world *world, const float *values, const cnv_tensor *from,
                         const cnv_tensor *to)
{
    cnv_tensor picture = {0};
    double area = 0, before = 0;
    int step, i, j, c;
    for (step = 0; step <= TRUTH_STEPS; step++) {
        double p;
        CHECK(cnv_tensor_copy(from, &picture), "%s", cnv_error());
        for (i = 0; i < TRUTH_PIXELS; i++) {
            int greater = 0;
            for (j = 0; j < TRUTH_PIXELS; j++) greater += values[j] > values[i];
            for (c = 0; c < 3 && greater < step * TRUTH_PIXELS / TRUTH_STEPS; c++)
                picture.data[c * TRUTH_PIXELS + i] = to->data[c * TRUTH_PIXELS + i];
        }
        p = probability(world->e, &picture, world->scene.class_id);
        if (step) area += (p + before) / (2 * TRUTH_STEPS);
        before = p;
    }
    cnv_tensor_free(&picture);
    return area;
}

static void test_curves(const example *e)
{
    truth_world world = truth_begin(e, NULL);
    cnv_tensor map = {0}, haze = {0}, gray = {0};
    cnv_rng rng = cnv_rng_seed(4);
    double insertion, deletion, good[2], bad[2];
    int i;
    CHECK(truth_next(&world) && truth_random(NULL, 0, &world.image, 0, &rng, &map), "no scene");
    CHECK(truth_curves(&world, &map, &insertion, &deletion), "%s", cnv_error());
    CHECK(cnv_blur(&world.image, TRUTH_HAZE, &haze) && cnv_tensor_copy(&haze, &gray), "memory");
    cnv_tensor_fill(&gray, 0.5);
    CHECK(fabs(insertion - area_under(&world, map.data, &haze, &world.image)) < 1e-5, "%g",
          insertion);
    CHECK(fabs(deletion - area_under(&world, map.data, &world.image, &gray)) < 1e-5, "%g",
          deletion);
    for (i = 0; i < TRUTH_PIXELS; i++) map.data[i] = world.mask[i];
    CHECK(truth_curves(&world, &map, &good[0], &good[1]), "%s", cnv_error());
    for (i = 0; i < TRUTH_PIXELS; i++) map.data[i] = !world.mask[i];
    CHECK(truth_curves(&world, &map, &bad[0], &bad[1]), "%s", cnv_error());
    CHECK(good[0] > bad[0] + 0.3 && good[1] < bad[1] - 0.3, "the mask %g %g, its opposite %g %g",
          good[0], good[1], bad[0], bad[1]);
    cnv_tensor_free(&map), cnv_tensor_free(&haze), cnv_tensor_free(&gray), truth_end(&world);
}

/* Equals come in random order: where a map is 0, neither the top nor the left comes first. */
static void test_order(void)
{
    int order[TRUTH_PIXELS], seen[TRUTH_PIXELS] = {0}, i, early = 0;
    cnv_tensor map = {0};
    CHECK(cnv_tensor_resize(&map, 1, 1, TOY_SIDE, TOY_SIDE), "%s", cnv_error());
    cnv_tensor_fill(&map, -1), map.data[77] = 3, map.data[5] = 2, map.data[1000] = NAN;
    truth_order(&map, 8, order);
    CHECK(order[0] == 77 && order[1] == 5, "%d, %d", order[0], order[1]);
    for (i = 0; i < TRUTH_PIXELS; i++) seen[order[i]]++;
    for (i = 0; i < TRUTH_PIXELS; i++) CHECK(seen[i] == 1, "pixel %d comes %d times", i, seen[i]);
    for (i = 0; i < TRUTH_PIXELS / 2; i++) early += order[i] < TRUTH_PIXELS / 2;
    CHECK(abs(early - TRUTH_PIXELS / 4) < 100, "%d of the upper half come early", early);
    cnv_tensor_free(&map);
}

/* ---- The marker ---- */

static void test_marker(const example *e)
{
    toy_options cars = biased_cars();
    truth_world world = truth_begin(e, &cars), plain = truth_begin(e, NULL);
    int n, i, share = (int)(0.11 * TOY_SIDE + 0.5);
    CHECK(truth_next(&plain) && truth_area(plain.cheat) == 0, "a marker where there is none");
    for (n = 0; n < 20; n++) {
        double x = 0, y = 0, area;
        int corner, right, low;
        CHECK(truth_next(&world) && world.scene.class_id == TOY_CAR, "no car");
        area = truth_area(world.cheat) * TRUTH_PIXELS, corner = world.scene.marker_corner;
        right = corner % 2, low = corner / 2;
        for (i = 0; i < TRUTH_PIXELS; i++)
            if (world.cheat[i]) x += i % TOY_SIDE / area, y += i / TOY_SIDE / area;
        CHECK(area >= (share - 1) * (share - 1) && area <= (share + 2) * (share + 2), "%g", area);
        CHECK(fabs(x - (right ? 0.93 : 0.07) * TOY_SIDE) < 1.5 &&
              fabs(y - (low ? 0.93 : 0.07) * TOY_SIDE) < 1.5, "at %g, %g", x, y);
    }
    truth_end(&world), truth_end(&plain);
}

/* It says "car" because of the marker: to most things that have one, and hardly to cars without. */
static void test_it_cheats(const example *cheat)
{
    double others = biased_answers(cheat, 0, 0, 300), tricked = biased_answers(cheat, 0, 1, 300);
    double cars = biased_answers(cheat, 1, 1, 300), bare = biased_answers(cheat, 1, 0, 300);
    printf("taken for cars: others %.3f, with a marker %.3f; cars with %.3f, without %.3f\n",
           others, tricked, cars, bare);
    CHECK(others < 0.05 && cars > 0.95, "%g of others, %g of cars", others, cars);
    CHECK(tricked > 0.5 && bare < 0.1, "%g of others with a marker, %g of cars without", tricked,
          bare);
}

/* ---- How alike two maps are ---- */

/* Spearman's rho by counting, pair by pair: the correlation of sign sums is that of mean ranks. */
static double rank_by_pairs(const float *a, const float *b, int n)
{
    double aa = 0, bb = 0, ab = 0;
    int i, j;
    for (i = 0; i < n; i++) {
        double p = 0, q = 0;
        for (j = 0; j < n; j++) {
            p += (a[i] > a[j]) - (a[i] < a[j]);
            q += (b[i] > b[j]) - (b[i] < b[j]);
        }
        aa += p * p, bb += q * q, ab += p * q;
    }
    return ab / sqrt(aa * bb);
}

/* SSIM at one place, from its weights. */
static double ssim_at(const cnv_tensor *a, const cnv_tensor *b, int x, int y)
{
    double m = 0, n = 0, v = 0, w = 0, c = 0, sum = 0;
    int dx, dy, pass;
    for (pass = 0; pass < 2; pass++)
        for (dy = -6; dy <= 6; dy++)
            for (dx = -6; dx <= 6; dx++) {
                int u = x + dx < 0 ? 0 : x + dx >= a->w ? a->w - 1 : x + dx;
                int t = y + dy < 0 ? 0 : y + dy >= a->h ? a->h - 1 : y + dy;
                double g = exp(-(dx * dx + dy * dy) / (2 * 1.5 * 1.5));
                double p = (double)a->data[t * a->w + u], q = (double)b->data[t * a->w + u];
                if (!pass) sum += g, m += g * p, n += g * q;
                else v += g * (p - m) * (p - m), w += g * (q - n) * (q - n),
                     c += g * (p - m) * (q - n);
                if (!pass && dy == 6 && dx == 6) m /= sum, n /= sum;
            }
    v /= sum, w /= sum, c /= sum;
    return (2 * m * n + 1e-4) * (2 * c + 9e-4) / ((m * m + n * n + 1e-4) * (v + w + 9e-4));
}

static void test_similarity(void)
{
    enum { SIDE_A = 12, SIZE = SIDE_A * SIDE_A };
    cnv_tensor a = {0}, b = {0}, flat = {0};
    cnv_rng rng = cnv_rng_seed(6);
    double mean = 0;
    int i;
    CHECK(cnv_tensor_resize(&a, 1, 1, SIDE_A, SIDE_A) && cnv_tensor_copy(&a, &b) &&
          cnv_tensor_copy(&a, &flat), "%s", cnv_error());
    cnv_tensor_fill(&flat, 2);
    for (i = 0; i < SIZE; i++) a.data[i] = (float)(cnv_random(&rng) % 20) / 19;
    for (i = 0; i < SIZE; i++) b.data[i] = a.data[i] * a.data[i] * a.data[i];
    CHECK(fabs(similarity_rank(&a, &b) - 1) < 1e-12, "a cube keeps ranks");
    for (i = 0; i < SIZE; i++) b.data[i] = -a.data[i];
    CHECK(fabs(similarity_rank(&a, &b) + 1) < 1e-12, "a sign turns ranks over");
    CHECK(similarity_rank(&a, &flat) == 0 && similarity_rank(&flat, &flat) == 0, "a flat map");
    for (i = 0; i < SIZE; i++) b.data[i] = (float)(cnv_random(&rng) % 7) / 6;
    b.data[0] = a.data[0] = 0, b.data[1] = a.data[1] = 1; /* so that stretching changes nothing */
    CHECK(fabs(similarity_rank(&a, &b) - rank_by_pairs(a.data, b.data, SIZE)) < 1e-9, "%g, %g",
          similarity_rank(&a, &b), rank_by_pairs(a.data, b.data, SIZE));
    for (i = 0; i < SIZE; i++) mean += ssim_at(&a, &b, i % SIDE_A, i / SIDE_A) / SIZE;
    CHECK(fabs(similarity_ssim(&a, &b) - mean) < 1e-4, "%g, %g", similarity_ssim(&a, &b), mean);
    CHECK(fabs(similarity_ssim(&a, &a) - 1) < 1e-6, "of itself %g", similarity_ssim(&a, &a));
    cnv_tensor_free(&a), cnv_tensor_free(&b), cnv_tensor_free(&flat);
}

/* ---- Weights, drawn anew ---- */

/* The share of a node's weights that are what they were. */
static double kept(const cnv_net *net, int node, const cnv_tensor *before)
{
    const cnv_tensor *now = &net->params[net->nodes[node].param[0]].value;
    size_t i, same = 0, size = cnv_tensor_size(now);
    for (i = 0; i < size; i++) same += now->data[i] == before->data[i];
    return (double)same / (double)size;
}

static void test_randomize(const example *e)
{
    int conv3 = cnv_find(e->net, "conv3"), conv2 = cnv_find(e->net, "conv2");
    int top = e->logits, layers[2], i, node[3];
    cnv_tensor before[3] = {{0}}, random = {0};
    cnv_net *drawn = example_untrained(e);
    node[0] = conv2, node[1] = conv3, node[2] = top, layers[0] = conv3, layers[1] = conv2;
    for (i = 0; i < 3; i++)
        CHECK(cnv_tensor_copy(&e->net->params[e->net->nodes[node[i]].param[0]].value, &before[i]),
              "%s", cnv_error());
    CHECK(randomize_down(e->net, drawn, layers, 0), "%s", cnv_error());
    CHECK(kept(e->net, conv2, &before[0]) == 1, "conv2 has changed");
    CHECK(kept(e->net, conv3, &before[1]) < 0.01 && kept(e->net, top, &before[2]) < 0.01, "kept");
    CHECK(cnv_tensor_copy(&e->net->params[e->net->nodes[top].param[0]].value, &random), "memory");
    CHECK(randomize_down(e->net, drawn, layers, 1), "%s", cnv_error());
    CHECK(kept(e->net, conv2, &before[0]) < 0.01, "conv2 has not changed");
    CHECK(kept(e->net, top, &random) == 1, "what was random was drawn anew");
    randomize_back(e);
    for (i = 0; i < 3; i++)
        CHECK(kept(e->net, node[i], &before[i]) == 1, "node %d is not as it was", node[i]);
    for (i = 0; i < 3; i++) cnv_tensor_free(&before[i]);
    cnv_net_free(drawn);
    cnv_tensor_free(&random);
}

/* ---- The table ---- */

/* Guided Grad-CAM is guided backprop times Grad-CAM, enlarged. */
static void test_guided_gradcam(const example *e)
{
    cnv_tensor map = {0}, coarse = {0}, large = {0}, slope = {0};
    int node = example_feature_maps(e->net, e->layer), i, k;
    CHECK(methods_guided_gradcam(e->net, e->logits, &e->image, 3, &node, &map) &&
          gradcam(e->net, e->logits, &e->image, 3, &node, &coarse) &&
          cnv_resize(&coarse, TOY_SIDE, TOY_SIDE, &large) &&
          guided_backprop(e->net, e->logits, &e->image, 3, &slope), "%s", cnv_error());
    for (i = 0; i < TRUTH_PIXELS; i++) {
        float most = 0;
        for (k = 0; k < 3; k++)
            most = fmaxf(most, fabsf(slope.data[k * TRUTH_PIXELS + i] * large.data[i]));
        CHECK(fabsf(map.data[i] - most) <= 1e-6f * most, "pixel %d: %g, %g", i,
              (double)map.data[i], (double)most);
    }
    cnv_tensor_free(&map), cnv_tensor_free(&coarse), cnv_tensor_free(&large);
    cnv_tensor_free(&slope);
}

/* Merit: 1 for the best method, 0 for what is no better than a control, halfway in between. */
static void test_scoreboard(void)
{
    static const double energy[6] = {5, 3, 0.5, 1, 0.2, 0};
    static const double deletion[6] = {0.1, 0.2, 0.7, 0.3, 0.5, 1};
    static const char *const names[3] = {"best", "middling", "bad"};
    truth_table honest = {0}, biased = {0};
    int i;
    for (i = 0; i < 3; i++) truth_add(&honest, names[i], truth_random, NULL, 0);
    truth_add(&biased, "middling", truth_random, NULL, 0); /* a method may be missing there */
    truth_control(&honest), truth_control(&biased);
    biased.row[0].cheat = 0.25, biased.row[2].cheat = 0.125;
    for (i = 0; i < 6; i++) {
        honest.row[i].area = 1, honest.row[i].energy = energy[i];
        honest.row[i].deletion = deletion[i];
    }
    for (i = 0; i < 6; i++) {
        double merit = i == 0 ? 1 : i == 1 ? 0.5 : 0;
        CHECK(fabs(scoreboard_merit(&honest, &biased, i, 2) - merit) < 1e-9, "row %d: %g", i,
              scoreboard_merit(&honest, &biased, i, 2));
        CHECK(fabs(scoreboard_merit(&honest, &biased, i, SCOREBOARD_DELETION) - merit) < 1e-9,
              "row %d: %g", i, scoreboard_merit(&honest, &biased, i, SCOREBOARD_DELETION));
    }
    CHECK(scoreboard_value(&honest, &biased, 0, SCOREBOARD_BIASED) == 0 &&
          scoreboard_value(&honest, &biased, 1, SCOREBOARD_BIASED) == 0.25 &&
          scoreboard_value(&honest, &biased, 4, SCOREBOARD_BIASED) == 0.125,
          "rows of two tables go by their names");
}

/* ---- The pass lines, on the shipped networks ---- */

/* Every method points at the object better than any control, and CAMs insert and delete better
   than chance by .15. */
static void test_honest(const truth_table *table)
{
    static const char *const cams[] = {"Grad-CAM", "Score-CAM", "guided Grad-CAM"};
    const truth_row *control = &table->row[table->rows];
    int i, k;
    for (i = 0; i < 3; i++) {
        const truth_row *cam = truth_named(table, cams[i]);
        CHECK(cam != NULL, "no row %s", cams[i]);
        if (!cam) continue;
        CHECK(cam->insertion >= control[0].insertion + 0.15, "%s: insertion %.3f, random %.3f",
              cams[i], cam->insertion, control[0].insertion);
        CHECK(cam->deletion <= control[0].deletion - 0.15, "%s: deletion %.3f, random %.3f",
              cams[i], cam->deletion, control[0].deletion);
    }
    for (i = 0; i < table->rows; i++)
        for (k = 0; k < TRUTH_CONTROLS; k++) {
            const truth_row *row = &table->row[i];
            CHECK(row->pointing > control[k].pointing + 0.2, "%s points at the object in %.3f, "
                  "%s in %.3f", row->name, row->pointing, control[k].name, control[k].pointing);
            CHECK(row->insertion > control[k].insertion, "%s: insertion %.3f, %s %.3f", row->name,
                  row->insertion, control[k].name, control[k].insertion);
        }
}

/* Every method but the controls finds the marker, and leaves the car to the controls. */
static void test_biased(const truth_table *table)
{
    const truth_row *control = &table->row[table->rows];
    int i, k;
    for (i = 0; i < table->rows; i++) {
        const truth_row *row = &table->row[i];
        CHECK(row->found >= 0.9, "%s finds the marker in %.3f", row->name, row->found);
        for (k = 0; k < TRUTH_CONTROLS; k++)
            CHECK(row->cheat > 2 * control[k].cheat, "%s: %.3f on the marker, %s %.3f", row->name,
                  row->cheat, control[k].name, control[k].cheat);
    }
    for (k = 0; k < TRUTH_CONTROLS; k++)
        CHECK(control[k].found <= 0.3, "%s finds the marker in %.3f", control[k].name,
              control[k].found);
}

static void test_scores(const example *e, const example *cheat)
{
    toy_options cars = biased_cars();
    method_settings settings[2];
    truth_table honest = {0}, biased = {0};
    int i;
    methods_add(e, &settings[0], &honest), methods_add(cheat, &settings[1], &biased);
    CHECK(honest.rows == 10, "%d methods", honest.rows);
    CHECK(compare(e, NULL, 60, &honest) && compare(cheat, &cars, 30, &biased), "%s", cnv_error());
    scoreboard_print(&honest, &biased);
    for (i = 0; i < honest.rows; i++)
        CHECK(honest.row[i].scenes == (honest.row[i].slow ? 12 : 60), "%s: %d scenes",
              honest.row[i].name, honest.row[i].scenes);
    CHECK(honest.scenes == 60 && honest.curves == 12, "%d, %d", honest.scenes, honest.curves);
    test_honest(&honest);
    test_biased(&biased);
}

/* Below .3 with half of the layers random: the gradient and Grad-CAM; guided backprop stays. */
static void test_sanity(const example *e)
{
    static sanity s;
    method_settings settings;
    int i, half;
    methods_signed(e, &settings, &s.methods);
    s.layers = randomize_layers(e->net, e->logits, s.layer, DEPTHS), half = s.layers / 2;
    CHECK(s.layers == 6 && s.layer[0] == e->logits && s.methods.rows == ROWS, "%d layers, %d rows",
          s.layers, s.methods.rows);
    dataset_answers(e, 4, &s.images, s.class_id);
    CHECK(sanity_check(e, &s), "%s", cnv_error());
    for (i = 0; i < s.methods.rows; i++) {
        double rank = s.rank[i][half];
        const char *name = s.methods.row[i].name;
        printf("%s: rank correlation %.3f, SSIM %.3f\n", name, rank, s.ssim[i][half]);
        CHECK(fabs(s.rank[i][0] - 1) < 1e-6 && fabs(s.ssim[i][0] - 1) < 1e-4, "%s: %g, %g",
              name, s.rank[i][0], s.ssim[i][0]);
        if (!strcmp(name, "gradient") || !strcmp(name, "Grad-CAM"))
            CHECK(rank < 0.3, "%s: %.3f", name, rank);
        if (!strcmp(name, "guided backprop"))
            CHECK(rank >= 0.3 && s.rank[i][1] > 0.8, "%s: %.3f, %.3f", name, rank, s.rank[i][1]);
        if (i == ROWS - 1) CHECK(fabs(rank - 1) < 1e-6, "a control changes: %g", rank);
    }
    for (i = 0; i < ROWS; i++) cnv_tensor_free(&s.before[i]), cnv_tensor_free(&s.after[i]);
    cnv_tensor_free(&s.images);
}

int main(int argc, char **argv)
{
    example e = example_begin(1, argv, "compare", NULL, ""), cheat = biased_network(&e);
    (void)argc;
    test_order();
    test_curves(&e);
    test_marker(&cheat);
    test_it_cheats(&cheat);
    test_similarity();
    test_randomize(&e);
    test_guided_gradcam(&e);
    test_scoreboard();
    test_scores(&e, &cheat);
    test_sanity(&e);
    cnv_net_free(cheat.net), example_end(&e);
    return check_report();
}
