/* Section 11: resizing, blurring, colours, drawing, text and plots, against values worked out by
   hand, against conservation laws (means, areas, variances), and far outside the picture. */
#include <stdlib.h>

static long live_blocks;   /* allocated, not yet freed */
static long allowed = -1;  /* allocations until memory "runs out"; -1: plenty */
static void *counted_malloc(size_t bytes)
{
    void *p = NULL;
    if (allowed != 0) p = malloc(bytes), live_blocks += p != NULL;
    if (allowed > 0) allowed--;
    return p;
}
static void counted_free(void *p)
{
    live_blocks -= p != NULL;
    free(p);
}
#define CNNVIS_MALLOC(bytes) counted_malloc(bytes)
#define CNNVIS_REALLOC(p, bytes) realloc(p, bytes)
#define CNNVIS_FREE(p) counted_free(p)
#define CNNVIS_STATIC
#define CNNVIS_IMPLEMENTATION
#include "../cnnvis.h"
#include "check.h"

static const cnv_color white = {1, 1, 1}, black = {0, 0, 0}, red = {1, 0, 0};
static const double not_a_number = NAN, infinite = INFINITY;

static double at(const cnv_tensor *t, int k, int y, int x)
{
    return (double)t->data[((size_t)k * (size_t)t->h + (size_t)y) * (size_t)t->w + (size_t)x];
}

static cnv_tensor random_tensor(int n, int c, int h, int w, uint64_t seed)
{
    cnv_tensor t = {0};
    cnv_rng rng = cnv_rng_seed(seed);
    size_t i;
    cnv_tensor_resize(&t, n, c, h, w);
    for (i = 0; i < cnv_tensor_size(&t); i++) t.data[i] = (cnv_real)cnv_uniform(&rng);
    return t;
}

static double mean(const cnv_tensor *t)
{
    double sum = 0;
    size_t i, size = cnv_tensor_size(t);
    for (i = 0; i < size; i++) sum += (double)t->data[i];
    return sum / (double)size;
}

static int same(const cnv_tensor *a, const cnv_tensor *b) /* bit for bit */
{
    return a->n == b->n && a->c == b->c && a->h == b->h && a->w == b->w &&
           !memcmp(a->data, b->data, cnv_tensor_size(a) * sizeof(cnv_real));
}

static void test_roll(void)
{
    static const int shifts[][2] = {{0, 0}, {1, 0}, {0, 1}, {-2, 3}, {5, -7}, {12, -23}};
    cnv_tensor x = random_tensor(2, 3, 5, 7, 1), y = {0}, back = {0}, none = {0};
    size_t s;
    int k, i, j;
    for (s = 0; s < sizeof shifts / sizeof *shifts; s++) {
        int dx = shifts[s][0], dy = shifts[s][1], wrong = 0;
        CHECK(cnv_roll(&x, dx, dy, &y) && cnv_roll(&y, -dx, -dy, &back), "%s", cnv_error());
        for (k = 0; k < 6; k++)
            for (i = 0; i < 5; i++)
                for (j = 0; j < 7; j++)
                    wrong += at(&y, k, i, j) != at(&x, k, (i + dy + 25) % 5, (j + dx + 28) % 7);
        CHECK(wrong == 0, "%d, %d: %d are wrong", dx, dy, wrong);
        CHECK(same(&x, &back), "%d, %d: there and back", dx, dy);
    }
    CHECK(!cnv_roll(&x, 1, 1, &x) && !cnv_roll(&none, 1, 1, &y), "in place, or of nothing");
    cnv_tensor_free(&x), cnv_tensor_free(&y), cnv_tensor_free(&back);
}

/* One pixel's similarity by the definition: all pixels near it, the border repeated. */
static double similarity_at(const cnv_tensor *x, const cnv_tensor *y, int row, int column)
{
    double n = 0, a = 0, b = 0, aa = 0, bb = 0, ab = 0;
    int i, j, k;
    for (i = -6; i <= 6; i++)
        for (j = -6; j <= 6; j++) {
            double weight = exp(-(i * i + j * j) / 4.5), u = 0, v = 0;
            int r = row + i < 0 ? 0 : row + i >= x->h ? x->h - 1 : row + i;
            int c = column + j < 0 ? 0 : column + j >= x->w ? x->w - 1 : column + j;
            for (k = 0; k < 3; k++) u += at(x, k, r, c) / 3, v += at(y, k, r, c) / 3;
            n += weight, a += weight * u, b += weight * v;
            aa += weight * u * u, bb += weight * v * v, ab += weight * u * v;
        }
    a /= n, b /= n, aa = aa / n - a * a, bb = bb / n - b * b, ab = ab / n - a * b;
    return (2 * a * b + 1e-4) * (2 * ab + 9e-4) / ((a * a + b * b + 1e-4) * (aa + bb + 9e-4));
}

static void test_ssim(void)
{
    cnv_tensor x = random_tensor(1, 3, 9, 12, 2), y = random_tensor(1, 3, 9, 12, 3), narrow = {0};
    double s = 0, want = 0;
    int i;
    for (i = 0; i < 3 * 9 * 12; i++) y.data[i] = (cnv_real)(0.6 * at(&x, 0, 0, i) +
                                                            0.4 * at(&y, 0, 0, i));
    for (i = 0; i < 9 * 12; i++) want += similarity_at(&x, &y, i / 12, i % 12) / (9 * 12);
    CHECK(cnv_ssim(&x, &y, &s), "%s", cnv_error());
    CHECK(fabs(s - want) < 2e-3 && want > 0.5 && want < 0.95, "SSIM %g, not %g", s, want);
    CHECK(cnv_ssim(&x, &x, &s) && fabs(s - 1) < 1e-3, "to itself: %g", s);
    cnv_tensor_fill(&y, 0);
    CHECK(cnv_ssim(&x, &y, &s) && s < 0.05, "to black: %g", s);
    cnv_tensor_resize(&narrow, 1, 3, 9, 11);
    CHECK(!cnv_ssim(&x, &narrow, &s), "of other sizes");
    allowed = 0;
    CHECK(!cnv_ssim(&x, &y, &s), "without memory");
    allowed = 1;
    CHECK(!cnv_ssim(&x, &y, &s), "without memory to blur");
    allowed = -1;
    cnv_tensor_free(&x), cnv_tensor_free(&y), cnv_tensor_free(&narrow);
}

static void test_range_and_colorize(void)
{
    cnv_real v[6] = {3, -2, 0, 7, 1, 0};
    cnv_tensor t = cnv_tensor_view(v, 1, 1, 2, 3), rgb = {0}, wide = {0};
    double low = 5, high = 5;
    v[2] = (cnv_real)not_a_number, v[5] = (cnv_real)-infinite;
    cnv_range(&t, &low, &high);
    CHECK(low == -2 && high == 7, "%g ... %g", low, high);

    CHECK(cnv_colorize(&t, CNV_MAP_GRAY, -2, 2, &rgb) && rgb.c == 3 && rgb.h == 2 && rgb.w == 3,
          "shape");
    CHECK(at(&rgb, 0, 0, 0) == 1 && at(&rgb, 0, 0, 1) == 0, "clamped to the ends of the map");
    CHECK(fabs(at(&rgb, 1, 1, 1) - 0.75) < 1e-6, "%g", at(&rgb, 1, 1, 1));
    CHECK(at(&rgb, 0, 0, 2) == 1 && at(&rgb, 1, 0, 2) == 0 && at(&rgb, 2, 0, 2) == 1,
          "NaN: magenta");
    CHECK(at(&rgb, 0, 1, 2) == 0 && at(&rgb, 2, 1, 2) == 0, "-infinity is the map's start");
    v[2] = v[5] = v[0] = v[1] = v[3] = v[4] = 0;
    CHECK(cnv_colorize(&t, CNV_MAP_RED_WHITE_BLUE, 0, 0, &rgb) && mean(&rgb) == 1,
          "an all-zero map is white, mean %g", mean(&rgb));
    cnv_tensor_resize(&wide, 1, 3, 2, 2);
    CHECK(!cnv_colorize(&wide, CNV_MAP_GRAY, 0, 1, &rgb), "three channels are refused");
    v[0] = v[1] = v[2] = v[3] = v[4] = v[5] = (cnv_real)not_a_number;
    cnv_range(&t, &low, &high);
    CHECK(low == 0 && high == 0, "nothing finite: %g ... %g", low, high);
    cnv_tensor_free(&rgb), cnv_tensor_free(&wide);
}

/* Points of the true maps: entries 0, 32, 64, ..., 224, 255 of the published tables. */
static void test_maps(void)
{
    static const double viridis[9][3] = {
        {0.2670, 0.0049, 0.3294}, {0.2788, 0.1755, 0.4834}, {0.2297, 0.3224, 0.5457},
        {0.1727, 0.4488, 0.5579}, {0.1276, 0.5669, 0.5506}, {0.1579, 0.6838, 0.5017},
        {0.3692, 0.7889, 0.3829}, {0.6785, 0.8637, 0.1895}, {0.9932, 0.9062, 0.1439}};
    static const double turbo[9][3] = {
        {0.1900, 0.0718, 0.2322}, {0.2763, 0.4212, 0.8912}, {0.1584, 0.7355, 0.9230},
        {0.1966, 0.9490, 0.5947}, {0.6436, 0.9900, 0.2336}, {0.9330, 0.8124, 0.2267},
        {0.9836, 0.4929, 0.1285}, {0.8161, 0.1846, 0.0181}, {0.4796, 0.0158, 0.0106}};
    double last = -1;
    cnv_color a, b, c;
    int i;
    for (i = 0; i < 9; i++) {
        int entry = i < 8 ? 32 * i : 255;
        a = cnv_map_color(CNV_MAP_VIRIDIS, entry / 255.0);
        b = cnv_map_color(CNV_MAP_TURBO, entry / 255.0);
        CHECK(fabs(a.r - viridis[i][0]) < 0.02 && fabs(a.g - viridis[i][1]) < 0.02 &&
              fabs(a.b - viridis[i][2]) < 0.02, "viridis %d: %g %g %g", entry, a.r, a.g, a.b);
        CHECK(fabs(b.r - turbo[i][0]) < 0.02 && fabs(b.g - turbo[i][1]) < 0.02 &&
              fabs(b.b - turbo[i][2]) < 0.02, "turbo %d: %g %g %g", entry, b.r, b.g, b.b);
    }
    for (i = 0; i <= 1000; i++) {
        double luminance;
        a = cnv_map_color(CNV_MAP_VIRIDIS, i / 1000.0);
        luminance = cnv__luminance(a.r, a.g, a.b);
        CHECK(luminance > last, "viridis grows lighter: %g after %g at %d", luminance, last, i);
        last = luminance;
    }
    a = cnv_map_color(CNV_MAP_RED_WHITE_BLUE, 0), b = cnv_map_color(CNV_MAP_RED_WHITE_BLUE, 0.5);
    c = cnv_map_color(CNV_MAP_RED_WHITE_BLUE, 1);
    CHECK(a.b > 2 * a.r && c.r > 2 * c.b, "low is blue, high is red");
    CHECK(b.r == 1 && b.g == 1 && b.b == 1, "the middle is white");
    a = cnv_map_color(CNV_MAP_GRAY, -3), b = cnv_map_color(CNV_MAP_GRAY, infinite);
    CHECK(a.r == 0 && b.r == 1, "clamped");
}

static void test_resize_by_hand(void)
{
    cnv_real two[2] = {0, 1}, three[3] = {1, 2, 6}, ramp[4] = {0, 1, 2, 3};
    cnv_tensor x = cnv_tensor_view(two, 1, 1, 1, 2), y = {0};
    CHECK(cnv_resize(&x, 1, 4, &y) && at(&y, 0, 0, 0) == 0 && at(&y, 0, 0, 1) == 0.25 &&
          at(&y, 0, 0, 2) == 0.75 && at(&y, 0, 0, 3) == 1, "half-pixel centres");
    x = cnv_tensor_view(three, 1, 1, 3, 1); /* 3 -> 2: each output covers one and a half inputs */
    CHECK(cnv_resize(&x, 2, 1, &y) && fabs(at(&y, 0, 0, 0) - 2 / 1.5) < 1e-6 &&
          fabs(at(&y, 0, 1, 0) - 7 / 1.5) < 1e-6, "%g %g", at(&y, 0, 0, 0), at(&y, 0, 1, 0));
    x = cnv_tensor_view(ramp, 1, 1, 2, 2); /* up in one direction, down in the other */
    CHECK(cnv_resize(&x, 4, 1, &y) && at(&y, 0, 0, 0) == 0.5 && at(&y, 0, 1, 0) == 1 &&
          at(&y, 0, 2, 0) == 2 && at(&y, 0, 3, 0) == 2.5, "up and down at once");
    CHECK(!cnv_resize(&x, 0, 3, &y) && !cnv_resize(&x, 1, 4, &x), "refusals");
    cnv_tensor_free(&y);
}

static void test_resize_laws(void)
{
    cnv_tensor x = random_tensor(2, 3, 12, 18, 1), y = {0}, z = {0}, flat = {0}, plane;
    int h, w, i, j, k;
    double worst = 0;
    x.data[5] = (cnv_real)not_a_number;
    CHECK(cnv_resize(&x, 12, 18, &y) && same(&x, &y), "the same size is the same picture, NaN too");
    x.data[5] = 0.5;
    cnv_resize(&x, 4, 6, &y);
    for (k = 0; k < 6; k++)
        for (i = 0; i < 4; i++)
            for (j = 0; j < 6; j++) {
                double sum = 0;
                int a;
                for (a = 0; a < 9; a++) sum += at(&x, k, 3 * i + a / 3, 3 * j + a % 3);
                worst = fmax(worst, fabs(sum / 9 - at(&y, k, i, j)));
            }
    CHECK(y.n == 2 && y.c == 3 && worst < 1e-6, "a third of the size is means of 3 x 3: %g", worst);
    plane = cnv_tensor_channel(&x, 1, 2);
    cnv_resize(&x, 31, 7, &y), cnv_resize(&plane, 31, 7, &z);
    plane = cnv_tensor_channel(&y, 1, 2);
    CHECK(same(&plane, &z), "each plane by itself");
    cnv_tensor_resize(&flat, 1, 1, 7, 5);
    cnv_tensor_fill(&flat, 0.3);
    for (h = 1; h < 23; h++)
        for (w = 1; w < 23; w++) {
            double low, high;
            cnv_resize(&flat, h, w, &z);
            cnv_range(&z, &low, &high);
            CHECK(fabs(low - (double)flat.data[0]) < 1e-15 && fabs(high - low) < 1e-15,
                  "constant to %d x %d: %.17g %.17g", h, w, low, high);
            if (h > 12 || w > 18) continue;
            cnv_resize(&x, h, w, &z);
            CHECK(fabs(mean(&z) - mean(&x)) < 1e-6, "mean, to %d x %d", h, w);
        }
    CHECK(cnv_enlarge(&x, 3, &y) && y.h == 36 && y.w == 54 && cnv_resize(&y, 12, 18, &z),
          "enlarge");
    for (worst = 0, i = 0; i < (int)cnv_tensor_size(&x); i++)
        worst = fmax(worst, fabs((double)(x.data[i] - z.data[i])));
    CHECK(worst < 1e-6 && at(&y, 4, 35, 53) == at(&x, 4, 11, 17), "pixels become squares: %g",
          worst);
    CHECK(!cnv_enlarge(&x, 0, &y) && !cnv_enlarge(&x, INT_MAX, &y), "refusals");
    cnv_tensor_free(&x), cnv_tensor_free(&y), cnv_tensor_free(&z), cnv_tensor_free(&flat);
}

/* The blur of a point is a distribution of mass 1 and variance sigma^2 in both directions. */
static void test_blur(void)
{
    static const double sigmas[3] = {0.8, 1.5, 4};
    cnv_tensor x = {0}, y = {0}, r = random_tensor(2, 2, 9, 13, 3), z = {0};
    int s, i, j;
    cnv_tensor_resize(&x, 1, 1, 41, 45);
    for (s = 0; s < 3; s++) {
        double mass = 0, down = 0, across = 0, want = sigmas[s] * sigmas[s];
        cnv_tensor_fill(&x, 0);
        x.data[20 * 45 + 22] = 1;
        CHECK(cnv_blur(&x, sigmas[s], &y), "%s", cnv_error());
        for (i = 0; i < 41; i++)
            for (j = 0; j < 45; j++) {
                mass += at(&y, 0, i, j);
                down += at(&y, 0, i, j) * (i - 20) * (i - 20);
                across += at(&y, 0, i, j) * (j - 22) * (j - 22);
            }
        CHECK(fabs(mass - 1) < 1e-5, "mass %g", mass);
        CHECK(fabs(down / want - 1) < 0.01 && fabs(across / want - 1) < 0.01,
              "sigma %g: variances %g %g", sigmas[s], down, across);
    }
    cnv_tensor_fill(&x, 0);
    for (i = 0; i < 41; i++)
        x.data[45 * i] = 1; /* the left border repeats: half of all that is seen */
    cnv_blur(&x, 1.5, &y);
    CHECK(fabs(at(&y, 0, 9, 0) + at(&y, 0, 9, 1) - 1 - at(&y, 0, 9, 44)) < 1e-6,
          "the left border continues: %g %g", at(&y, 0, 9, 0), at(&y, 0, 9, 1));
    cnv_tensor_fill(&x, 0.25);
    cnv_blur(&x, 20, &y);
    CHECK(fabs(at(&y, 0, 0, 0) - 0.25) < 1e-6 && fabs(at(&y, 0, 40, 20) - 0.25) < 1e-6, "borders");
    cnv_blur(&r, 2, &z), cnv_blur(&r, 0, &y);
    CHECK(same(&r, &y), "sigma 0 copies");
    CHECK(cnv_blur(&r, 2, &r) && same(&r, &z), "in place");
    CHECK(cnv_blur(&r, 1e-200, &z) && cnv_blur(&r, 0, &y) && same(&z, &y), "hardly any blur");
    CHECK(!cnv_blur(&r, -1, &y) && !cnv_blur(&r, not_a_number, &y), "refusals");
    cnv_tensor_free(&x), cnv_tensor_free(&y), cnv_tensor_free(&r), cnv_tensor_free(&z);
}

static void test_stretch_and_overlay(void)
{
    cnv_tensor x = random_tensor(2, 3, 4, 5, 4), y = {0}, image = random_tensor(1, 3, 8, 8, 5);
    cnv_tensor heat = random_tensor(1, 1, 4, 4, 6), rgb = {0}, part;
    double low, high;
    int k, i;
    for (k = 0; k < 60; k++) x.data[k] *= 7; /* the first image spans more than the second */
    cnv_stretch(&x, 0, &y);
    for (k = 0; k < 2; k++) {
        part = cnv_tensor_image(&y, k), cnv_range(&part, &low, &high);
        CHECK(low == 0 && high == 1, "image %d: %g ... %g", k, low, high);
    }
    cnv_stretch(&x, 1, &y);
    for (k = 0; k < 6; k++) {
        part = cnv_tensor_channel(&y, k / 3, k % 3), cnv_range(&part, &low, &high);
        CHECK(low == 0 && high == 1, "channel %d: %g ... %g", k, low, high);
    }
    cnv_tensor_fill(&x, 3), cnv_stretch(&x, 0, &x), cnv_range(&x, &low, &high);
    CHECK(low == 0 && high == 0, "all equal, in place: %g ... %g", low, high);

    cnv_tensor_fill(&heat, 42);
    CHECK(cnv_overlay(&image, &heat, 0.7, &rgb), "%s", cnv_error());
    for (i = 0; i < 64; i++) {
        double gray = 0.299 * at(&image, 0, 0, i) + 0.587 * at(&image, 1, 0, i) +
                      0.114 * at(&image, 2, 0, i);
        for (k = 0; k < 3; k++)
            CHECK(fabs(at(&rgb, k, 0, i) - gray) < 1e-6, "flat heat: the gray picture");
    }
    heat.data[0] = 43, heat.data[5] = (cnv_real)not_a_number;
    cnv_overlay(&image, &heat, 1, &rgb);
    CHECK(fabs(at(&rgb, 0, 0, 0) - 0.48) < 0.01 && at(&rgb, 2, 0, 0) < 0.02,
          "the hottest: deep red");
    CHECK(at(&rgb, 0, 2, 2) == 1 && at(&rgb, 1, 2, 2) == 0, "NaN: magenta");
    cnv_tensor_free(&heat), heat = random_tensor(1, 1, 8, 8, 6);
    heat.data[0] = (cnv_real)HUGE_VAL, heat.data[9] = -(cnv_real)HUGE_VAL;
    cnv_overlay(&image, &heat, 0.5, &rgb);
    for (i = 0; i < 192; i++) CHECK(rgb.data[i] >= 0 && rgb.data[i] <= 1, "infinite heat");
    CHECK(!cnv_overlay(&image, &image, 1, &rgb), "a heat of three channels is refused");
    cnv_tensor_free(&x), cnv_tensor_free(&y), cnv_tensor_free(&image), cnv_tensor_free(&heat);
    cnv_tensor_free(&rgb);
}

static void test_montage_and_paste(void)
{
    cnv_tensor tiles = {0}, sheet = {0}, one;
    int i, k;
    cnv_tensor_resize(&tiles, 5, 3, 2, 4);
    for (i = 0; i < 5 * 3 * 8; i++) tiles.data[i] = (cnv_real)(i / 256.0);
    CHECK(cnv_montage(&tiles, 3, 2, &sheet) && sheet.h == 10 && sheet.w == 20, "%d x %d", sheet.h,
          sheet.w);
    for (i = 0; i < 5; i++)
        for (k = 0; k < 3; k++) {
            int y = 2 + i / 3 * 4, x = 2 + i % 3 * 6;
            one = cnv_tensor_channel(&tiles, i, k);
            CHECK(at(&sheet, k, y, x) == at(&one, 0, 0, 0) &&
                      at(&sheet, k, y + 1, x + 3) == at(&one, 0, 1, 3),
                  "tile %d channel %d", i, k);
            CHECK(at(&sheet, k, y + 2, x) == 1 && at(&sheet, k, y, x - 1) == 1, "gap %d", i);
        }
    CHECK(at(&sheet, 0, 6, 14) == 1, "an empty place is white");
    CHECK(cnv_montage(&tiles, 0, 0, &sheet) && sheet.h == 6 && sheet.w == 8, "%d x %d", sheet.h,
          sheet.w);
    CHECK(!cnv_montage(&tiles, -1, 0, &sheet) && !cnv_montage(&tiles, INT_MAX, 0, &sheet) &&
          !cnv_montage(&tiles, 1, INT_MAX, &sheet), "refusals");
    one = cnv_tensor_channel(&tiles, 2, 1); /* gray onto colour */
    cnv_canvas(&sheet, 3, 5, white), cnv_paste(&sheet, &one, -1, 2);
    for (k = 0; k < 3; k++)
        CHECK(at(&sheet, k, 2, 0) == at(&one, 0, 0, 1) && at(&sheet, k, 1, 0) == 1 &&
              at(&sheet, k, 2, 3) == 1, "gray goes to channel %d", k);
    cnv_tensor_resize(&sheet, 1, 1, 2, 4);
    one = cnv_tensor_image(&tiles, 1), cnv_paste(&sheet, &one, 0, 0); /* colour onto gray */
    CHECK(fabs(at(&sheet, 0, 1, 2) - cnv__luminance(at(&one, 0, 1, 2), at(&one, 1, 1, 2),
          at(&one, 2, 1, 2))) < 1e-6, "luminance");
    cnv_tensor_free(&tiles), cnv_tensor_free(&sheet);
}

/* Ink is area: what a disc or a line covers sums up to its formula. */
static void test_ink(void)
{
    cnv_tensor p = {0};
    int i, j, wrong = 0;
    double r, area;
    cnv_tensor_resize(&p, 1, 1, 60, 80);
    for (r = 2; r < 20; r *= 1.7) {
        cnv_tensor_fill(&p, 0), cnv_disc(&p, 40.3, 30.7, r, white);
        area = mean(&p) * 4800;
        CHECK(fabs(area / (3.14159265 * r * r) - 1) < 0.02, "disc %g: %g", r, area);
    }
    for (i = 0; i < 12; i++) {
        double dx = 24 * cos(i * 0.3), dy = 24 * sin(i * 0.3);
        cnv_tensor_fill(&p, 0), cnv_line(&p, 40 - dx, 30 - dy, 40 + dx, 30 + dy, 3, white);
        area = mean(&p) * 4800;
        CHECK(fabs(area / (48 * 3 + 3.14159265 * 2.25) - 1) < 0.02, "line %d: %g", i, area);
    }
    cnv_tensor_fill(&p, 1), cnv_rectangle(&p, 10, 5, 7, 3, red);
    for (i = 0; i < 60; i++)
        for (j = 0; j < 80; j++) {
            int inside = i >= 5 && i < 8 && j >= 10 && j < 17;
            wrong += fabs(at(&p, 0, i, j) - (inside ? 0.299 : 1)) > 1e-6;
        }
    CHECK(wrong == 0, "rectangle: %d pixels differ", wrong);
    cnv_tensor_fill(&p, 0), cnv_frame(&p, 10, 5, 20, 10, 2, white);
    CHECK(mean(&p) * 4800 > 103.99 && mean(&p) * 4800 < 104.01, "frame: %g", mean(&p) * 4800);
    cnv_tensor_fill(&p, 0), cnv_frame(&p, 10, 5, 20, 10, 99, white);
    CHECK(fabs(mean(&p) * 4800 - 200) < 0.01, "a thick frame is full: %g", mean(&p) * 4800);
    cnv_tensor_free(&p);
}

/* Everything far outside, infinite or NaN: memory around the picture must stay, and so must the
   picture where nothing can show. */
static void test_clipping(void)
{
    enum { H = 16, W = 24, GUARD = 4096 };
    static cnv_real memory[3 * H * W + 2 * GUARD];
    const double bad[] = {-1e300, -1e30, -1e9, -40, 5, 70, 1e9, 1e30, 1e300, infinite, -infinite,
                          not_a_number};
    const int far[] = {INT_MIN, -1000000, -30, 0, 30, 1000000, INT_MAX};
    cnv_tensor p = cnv_tensor_view(memory + GUARD, 1, 3, H, W), tile = random_tensor(1, 1, 9, 9, 8);
    int i, j, k, broken = 0, dirty = 0, spoilt = 0;
    for (i = 0; i < (int)(sizeof memory / sizeof *memory); i++) memory[i] = 0.5f;
    for (i = 0; i < 12; i++)
        for (j = 0; j < 12; j++) {
            if (bad[i] == 5 && bad[j] == 5) continue;
            cnv_disc(&p, bad[i], bad[j], 3, red);
            cnv_text(&p, bad[i], bad[j], 9, red, "m\xff");
        }
    for (i = 0; i < 7; i++)
        for (j = 0; j < 7; j++) {
            if (far[i] == 0 || far[j] == 0) continue;
            cnv_rectangle(&p, far[i], far[j], 20, 10, red);
            cnv_frame(&p, far[i], far[j], 20, 10, 3, red);
            cnv_paste(&p, &tile, far[i], far[j]);
        }
    for (i = 0; i < 3 * H * W; i++) dirty += p.data[i] != (cnv_real)0.5;
    CHECK(dirty == 0, "%d pixels changed by what lies outside", dirty);
    for (i = 0; i < 12; i++)
        for (j = 0; j < 12; j++)
            for (k = 0; k < 12; k++) {
                cnv_line(&p, bad[i], bad[j], bad[k], 3, 2, red);
                cnv_line(&p, 7, bad[k], bad[j], bad[i], bad[k], red);
                cnv_disc(&p, bad[i], bad[j], bad[k], red);
            }
    for (i = 0; i < 12; i++) cnv_text(&p, 3, 3, bad[i], red, "W");
    for (i = 0; i < 7; i++)
        for (j = 0; j < 7; j++) {
            cnv_rectangle(&p, far[i], far[j], far[6 - j], far[j], red);
            cnv_frame(&p, far[i], far[j], far[j], far[6 - i], far[i], red);
        }
    for (i = 0; i < GUARD; i++)
        broken += memory[i] != (cnv_real)0.5 || memory[3 * H * W + GUARD + i] != (cnv_real)0.5;
    for (i = 0; i < 3 * H * W; i++) spoilt += !(p.data[i] >= 0 && p.data[i] <= 1);
    CHECK(broken == 0 && spoilt == 0, "%d guards changed, %d pixels out of [0,1]", broken, spoilt);

    cnv_tensor_fill(&p, 0);
    cnv_rectangle(&p, 20, -2, 10, 5, white);
    CHECK(fabs(mean(&p) - 12.0 / (H * W)) < 1e-6, "a corner shows %g pixels", mean(&p) * H * W);
    cnv_tensor_fill(&p, 0);
    cnv_line(&p, 1e30, 8.5, 4.5, 8.5, 1, white);
    CHECK(at(&p, 0, 8, 4) > 0.99 && at(&p, 0, 8, 23) > 0.99 && at(&p, 0, 8, 3) == 0,
          "a line from far, far away");
    cnv_tensor_fill(&p, 0);
    cnv_line(&p, 4.5, 8.5, 1e30, 8.5, 1, white);
    CHECK(at(&p, 0, 8, 4) > 0.99 && at(&p, 0, 8, 23) > 0.99 && at(&p, 0, 8, 3) == 0, "and back");
    cnv_tensor_free(&tile);
}

/* Draws one character, black on white, and tells its box of ink. */
static double glyph(cnv_tensor *p, int c, double size, int box[4])
{
    char text[2] = {0};
    double ink = 0;
    int x, y;
    text[0] = (char)c;
    cnv_tensor_resize(p, 1, 1, 60, 60);
    cnv_tensor_fill(p, 0);
    cnv_text(p, 10, 15, size, white, text);
    box[0] = box[1] = 99, box[2] = box[3] = -1;
    for (y = 0; y < 60; y++)
        for (x = 0; x < 60; x++) {
            ink += at(p, 0, y, x);
            if (at(p, 0, y, x) < 0.3) continue;
            if (x < box[0]) box[0] = x;
            if (x > box[2]) box[2] = x;
            if (y < box[1]) box[1] = y;
            if (y > box[3]) box[3] = y;
        }
    return ink;
}

static void test_text(void)
{
    static const int sizes[3] = {7, 9, 20};
    cnv_tensor letter[96], p = {0};
    int box[4], s, c, d;
    memset(letter, 0, sizeof letter);
    for (s = 0; s < 3; s++) {
        int size = sizes[s];
        for (c = 32; c < 128; c++) { /* 127 is not printable: the box */
            double ink = glyph(&letter[c - 32], c, size, box);
            char text[2] = {0};
            text[0] = (char)c;
            CHECK((ink > 0.5) == (c != ' '), "'%c' at %d has ink %g", c, size, ink);
            if (c == ' ') continue;
            CHECK(box[0] >= 10 && box[2] < 10 + cnv_text_width(size, text) + 1 && box[1] >= 14 &&
                      box[3] < 15 + 1.45 * size,
                  "'%c' at %d lies in %d %d %d %d", c, size, box[0], box[1], box[2], box[3]);
            for (d = 32; d < c; d++) {
                double differ = 0;
                int i;
                for (i = 0; i < 3600; i++)
                    differ += fabs((double)(letter[c - 32].data[i] - letter[d - 32].data[i]));
                CHECK(differ > 0.8, "'%c' and '%c' at %d differ by %g only", c, d, size, differ);
            }
        }
        glyph(&p, 'H', size, box);
        CHECK(box[1] == 15 && box[3] == 14 + size, "H at %d: rows %d ... %d", size, box[1], box[3]);
    }
    for (s = 7; s < 30; s++) { /* bars begin and end sharply at the lines that letters stand on */
        glyph(&p, 'E', s, box);
        c = (box[0] + box[2]) / 2;
        CHECK(at(&p, 0, 15, c) > 0.99 && at(&p, 0, 14, c) < 0.01, "the top of an E of %d", s);
        CHECK(at(&p, 0, 14 + s, c) > 0.99 && at(&p, 0, 15 + s, c) < 0.01, "its foot, %d", s);
    }
    glyph(&p, '\x80', 20, box);
    CHECK(same(&p, &letter[127 - 32]), "bytes beyond ASCII are boxes");
    for (c = 0; c < 96; c++) cnv_tensor_free(&letter[c]);
    cnv_tensor_free(&p);
}

/* The width announced is the ink's, but for the space that a letter keeps beside it. */
static void test_text_width(void)
{
    static const char sentence[] = "Handgloves 0.85 (relu5_1)";
    cnv_tensor p = {0};
    double size;
    CHECK(cnv_text_width(9, "") == 0, "nothing is 0 wide");
    for (size = 7; size < 30; size += 3) {
        int first = -1, last = -1, x, y;
        double width = cnv_text_width(size, sentence);
        cnv_tensor_resize(&p, 1, 1, 60, 700), cnv_tensor_fill(&p, 0);
        cnv_text(&p, 20, 10, size, white, sentence);
        for (x = 0; x < 700; x++)
            for (y = 0; y < 60; y++)
                if (at(&p, 0, y, x) > 0.3) last = x, first = first < 0 ? x : first;
        CHECK(first >= 20 && first - 20 <= 0.25 * size &&
                  fabs(last + 1 - 20 - width) <= 0.25 * size,
              "size %g: width %g, ink from %d to %d", size, width, first - 20, last - 20);
    }
    cnv_tensor_free(&p);
}

static void test_ticks(void)
{
    static const struct {
        double low, high;
        const char *labels;
    } axes[] = {
        {0, 1, "0 0.2 0.4 0.6 0.8 1 "}, {0, 60, "0 10 20 30 40 50 60 "},
        {-3, 3, "-3 -2 -1 0 1 2 3 "},   {0.13, 0.29, "0.14 0.16 0.18 0.2 0.22 0.24 0.26 0.28 "},
        {0, 2.5, "0 0.5 1 1.5 2 2.5 "}, {0, 3e6, "0 500000 1e+06 1.5e+06 2e+06 2.5e+06 3e+06 "},
        {1e16, 1e16 + 2, NULL},         {0, 5e-324, NULL},
        {-1e308, 1e308, NULL}};
    size_t a;
    for (a = 0; a < sizeof axes / sizeof *axes; a++) {
        char all[400] = "", label[32];
        double value;
        int i;
        for (i = 0; cnv__tick(axes[a].low, axes[a].high, i, &value, label, sizeof label); i++)
            if (strlen(all) < 300) strcat(strcat(all, label), " ");
        CHECK(i <= 21, "%d ticks", i);
        if (axes[a].labels) CHECK(!strcmp(all, axes[a].labels), "%s, not %s", all, axes[a].labels);
    }
}

static void test_plot(void)
{
    cnv_plot plot = {0};
    cnv_tensor p = {0}, before = {0};
    double x[5] = {0, 1, 2, 3, 4}, y[5] = {2, 2, 0, 2, 2};
    int i, row, blank, column;
    y[2] = not_a_number;
    plot.title = "Title", plot.x_label = "x", plot.y_label = "y";
    plot.x_high = 4, plot.y_high = 4;
    CHECK(cnv_plot_begin(&plot, &p) && p.h == 420 && p.w == 640 && p.c == 3, "%s", cnv_error());
    CHECK(plot.left > 16 && plot.right < 640 && plot.top > 20 && plot.bottom < 400, "frame");
    cnv_tensor_copy(&p, &before);
    cnv_plot_line(&plot, &p, x, y, 5, &red, NULL);
    row = (plot.top + plot.bottom) / 2; /* y = 2 */
    column = plot.left + (plot.right - plot.left) / 8;
    CHECK(fabs(at(&p, 0, row, column) + at(&p, 0, row - 1, column) - 2) < 0.2 &&
          at(&p, 1, row, column) < 0.6, "the line runs where y = 2");
    blank = plot.left + (plot.right - plot.left) * 3 / 8; /* between x = 1 and the NaN at 2 */
    CHECK(at(&p, 1, row, blank) == at(&before, 1, row, blank), "NaN leaves a gap");
    CHECK(plot.series == 1, "%d series", plot.series);
    cnv_tensor_copy(&p, &before);
    for (i = 0; i < 5; i++) y[i] = i % 2 ? 4.1 : -1e30, x[i] = i == 3 ? infinite : i;
    cnv_plot_points(&plot, &p, x, y, 5, NULL, NULL);
    CHECK(same(&p, &before), "points beyond the axes are not shown");
    cnv_plot_points(&plot, &p, x, y, 0, NULL, "points");
    CHECK(!same(&p, &before) && plot.series == 3, "the legend shows the label");
    for (i = 0; i < 40; i++) cnv_plot_line(&plot, &p, x, y, 5, NULL, "one of too many series");
    cnv_tensor_free(&p), cnv_tensor_free(&before);
}

/* A band from 1 to 3 where x is in [1,3], and nothing in the gap behind it. */
static void test_band(void)
{
    cnv_plot plot = {0};
    cnv_tensor p = {0}, before = {0};
    double x[4] = {1, 3, 3.5, 4}, low[4] = {1, 1, 1, 1}, high[4] = {3, 3, 3, 3}, tinted = 0, want;
    int i, j, wrong = 0;
    high[2] = not_a_number;
    plot.x_high = plot.y_high = 4;
    CHECK(cnv_plot_begin(&plot, &p) && cnv_tensor_copy(&p, &before), "%s", cnv_error());
    cnv_plot_band(&plot, &p, x, low, high, 4, &red);
    for (i = 0; i < p.h; i++)
        for (j = 0; j < p.w; j++) {
            double u = 4.0 * (j - plot.left) / (plot.right - plot.left - 1);
            double v = 4.0 * (plot.bottom - 1 - i) / (plot.bottom - plot.top - 1);
            double share = 1 - at(&p, 1, i, j) / at(&before, 1, i, j); /* red has no green */
            double edge = fmax(fabs(u - 2), fabs(v - 2)) - 1, one = 0.03;
            tinted += share / 0.2;
            if (edge < -one ? fabs(share - 0.2) > 1e-5 : edge > one && share != 0) wrong++;
        }
    CHECK(wrong == 0, "%d pixels", wrong);
    want = 0.25 * (plot.right - plot.left - 1) * (plot.bottom - plot.top - 1);
    CHECK(fabs(tinted - want) < 0.005 * want, "the band covers %g pixels, not %g", tinted, want);
    CHECK(plot.series == 0, "a band is no series");
    cnv_tensor_copy(&p, &before);
    cnv_plot_band(&plot, &p, x, high, low, 2, NULL);
    cnv_plot_band(&plot, &p, x, low, high, 1, NULL);
    cnv_plot_band(&plot, &p, x, low, high, 0, NULL);
    CHECK(same(&p, &before), "upside down, or of one point");
    cnv_tensor_free(&p), cnv_tensor_free(&before);
}

static void test_bars(void)
{
    static const char *const labels[4] = {"a", "b", "c",
                                          "a very, very long label indeed, is it not"};
    cnv_plot plot = {0};
    cnv_tensor p = {0};
    double heights[4] = {1, -1, 0, 1e9}, slot;
    int i, middle;
    heights[2] = not_a_number;
    plot.y_low = -2, plot.y_high = 2, plot.width = 400, plot.height = 300;
    CHECK(cnv_plot_begin(&plot, &p) && p.w == 400 && p.h == 300, "%s", cnv_error());
    cnv_plot_bars(&plot, &p, heights, labels, 4, &red);
    slot = (plot.right - plot.left) / 4.0, middle = (plot.top + plot.bottom) / 2;
    for (i = 0; i < 4; i++) {
        int x = plot.left + (int)((i + 0.5) * slot), y, count = 0;
        double unit = (plot.bottom - plot.top) / 4.0, want = i == 2 ? 0 : i == 3 ? 2 * unit : unit;
        for (y = plot.top; y < plot.bottom; y++)
            if (at(&p, 0, y, x) == 1 && at(&p, 1, y, x) == 0) {
                count++;
                CHECK(i == 1 ? y >= middle - 2 : y <= middle + 1, "bar %d has a pixel at %d", i, y);
            }
        CHECK(fabs(count - want) <= 2, "bar %d is %d high, not %g", i, count, want);
    }
    cnv_plot_bars(&plot, &p, heights, NULL, 0, NULL);
    cnv_tensor_free(&p);
}

/* Pictures of hardly any size, ranges of none, no data, no memory. */
static void test_extremes(void)
{
    static const double ranges[][2] = {{0, 0},          {5, 5},       {1, -1},
                                       {-1e308, 1e308}, {1e16, 1e16}, {0, 1e-320}};
    double v[3] = {0, 1, 2};
    cnv_tensor p = {0}, none = {0}, y = {0};
    size_t i;
    int size;
    for (i = 0; i < sizeof ranges / sizeof *ranges; i++)
        for (size = 1; size < 200; size = 2 * size + 1) {
            cnv_plot plot = {0};
            plot.width = plot.height = size, plot.title = plot.x_label = plot.y_label = "label";
            plot.x_low = plot.y_low = ranges[i][0], plot.x_high = plot.y_high = ranges[i][1];
            v[1] = size & 2 ? not_a_number : 1;
            CHECK(cnv_plot_begin(&plot, &p), "%s", cnv_error());
            CHECK(plot.y_high > plot.y_low, "%g ... %g", plot.y_low, plot.y_high);
            cnv_plot_line(&plot, &p, v, v, 3, NULL, "line");
            cnv_plot_points(&plot, &p, v, v, 3, NULL, "points");
            cnv_plot_bars(&plot, &p, v, NULL, 3, NULL);
            cnv_plot_band(&plot, &p, v, v, v + 1, 2, NULL);
            CHECK(mean(&p) >= 0 && mean(&p) <= 1, "size %d: mean %g", size, mean(&p));
        }
    cnv_disc(&none, 0, 0, 3, red), cnv_text(&none, 0, 0, 9, red, "none");
    cnv_rectangle(&none, 0, 0, 9, 9, red), cnv_paste(&none, &p, 0, 0), cnv_paste(&p, &none, 0, 0);
    CHECK(!cnv_resize(&none, 2, 2, &y) && !cnv_blur(&none, 1, &y) && !cnv_stretch(&none, 0, &y) &&
              !cnv_montage(&none, 0, 1, &y) && !cnv_enlarge(&none, 2, &y) &&
              !cnv_canvas(&y, -1, 5, black),
          "empty inputs are refused");
    for (i = 0; i < 4; i++) { /* memory runs out at the first ... fourth request */
        cnv_tensor fresh = {0};
        allowed = (long)i;
        CHECK(!cnv_resize(&p, 50, 50, &fresh) && !strncmp(cnv_error(), "out of memory", 13),
              "resize");
        cnv_tensor_free(&fresh), allowed = (long)i;
        CHECK(i > 2 || !cnv_blur(&p, 2, &fresh), "blur without memory, %d", (int)i);
        cnv_tensor_free(&fresh);
    }
    allowed = 0;
    cnv_text(&p, 0, 0, 9, red, "quietly not drawn"), cnv_line(&p, 0, 0, 9, 9, 2, red);
    allowed = -1;
    cnv_tensor_free(&p), cnv_tensor_free(&y);
}

int main(void)
{
    test_roll();
    test_ssim();
    test_range_and_colorize();
    test_maps();
    test_resize_by_hand();
    test_resize_laws();
    test_blur();
    test_stretch_and_overlay();
    test_montage_and_paste();
    test_ink();
    test_clipping();
    test_text();
    test_text_width();
    test_ticks();
    test_plot();
    test_band();
    test_bars();
    test_extremes();
    CHECK(live_blocks == 0, "%ld blocks were not freed", live_blocks);
    return check_report();
}
