/* Tensors for tests: filled from a seed, and with canaries in the memory on both sides, so that a
   kernel which writes a number too many, or reads one and uses it, is caught. All memory is scratch
   memory: a check takes what it needs and ends with scratch_free().

   Include it after cnnvis.h. */
#ifndef GUARDED_H
#define GUARDED_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *scratch_blocks[1024];
static int scratch_count;

/* Memory until the next scratch_free(). A test without memory has nothing to say, so it stops. */
static inline void *scratch(size_t bytes)
{
    void *block = scratch_count < 1024 ? malloc(bytes ? bytes : 1) : NULL;
    if (!block) exit(2);
    return scratch_blocks[scratch_count++] = block;
}

static inline void scratch_free(void)
{
    while (scratch_count) free(scratch_blocks[--scratch_count]);
}

enum { GUARD = 64, INPUT_CANARY = 0xFF /* bytes of a NaN */, OUTPUT_CANARY = 0x5A };

typedef struct {
    cnv_tensor t;      /* what is handed to the library: a view into the middle of memory */
    cnv_real *memory;  /* GUARD canaries or more, the data, GUARD canaries or none */
    size_t count;      /* how many numbers memory holds */
    uint32_t checksum; /* of memory, when it was sealed */
} guarded;

/* The data starts at every alignment in turn, and every third time it ends with the memory, for an
   address sanitizer to see what goes beyond. Contents: NaN, so that a number which was read but
   never written shows. */
static inline guarded guarded_new(int n, int c, int h, int w, int canary)
{
    static unsigned calls;
    size_t offset = GUARD + calls++ % 16, after = calls % 3 ? GUARD : 0;
    size_t size = (size_t)n * (size_t)c * (size_t)h * (size_t)w;
    guarded g;
    g.count = offset + size + after;
    g.memory = (cnv_real *)scratch(g.count * sizeof(cnv_real));
    memset(g.memory, canary, g.count * sizeof(cnv_real));
    g.t = cnv_tensor_view(g.memory + offset, n, c, h, w);
    memset(g.t.data, 0xFF, size * sizeof(cnv_real));
    g.checksum = 0;
    return g;
}

static inline guarded guarded_input(int n, int c, int h, int w)
{
    return guarded_new(n, c, h, w, INPUT_CANARY);
}

static inline guarded guarded_output(int n, int c, int h, int w)
{
    return guarded_new(n, c, h, w, OUTPUT_CANARY);
}

/* FNV-1a, a number at a time. */
static inline uint32_t guarded_checksum(const guarded *g)
{
    uint32_t sum = 2166136261u, word;
    size_t i, words = g->count * sizeof(cnv_real) / sizeof word;
    for (i = 0; i < words; i++) {
        memcpy(&word, (const char *)g->memory + i * sizeof word, sizeof word);
        sum = (sum ^ word) * 16777619u;
    }
    return sum;
}

/* Inputs are sealed when filled, and must not have changed later. */
static inline void guarded_seal(guarded *g) { g->checksum = guarded_checksum(g); }
static inline int guarded_unchanged(const guarded *g)
{
    return g->checksum == guarded_checksum(g);
}

/* Outputs change, but their canaries must be alive. */
static inline int guarded_intact(const guarded *g)
{
    const unsigned char *byte = (const unsigned char *)g->memory;
    const unsigned char *data = (const unsigned char *)g->t.data;
    const unsigned char *end = (const unsigned char *)(g->t.data + cnv_tensor_size(&g->t));
    const unsigned char *last = (const unsigned char *)(g->memory + g->count);
    for (; byte < data; byte++)
        if (*byte != OUTPUT_CANARY) return 0;
    for (byte = end; byte < last; byte++)
        if (*byte != OUTPUT_CANARY) return 0;
    return 1;
}

/* ---- What is in them ---- */

/* A whole number in low ... high. */
static inline int pick(cnv_rng *rng, int low, int high)
{
    return low + (int)(cnv_random(rng) % (uint32_t)(high - low + 1));
}

/* -3 ... 3: sums of a million products of these are exact in float, in any order. */
static inline void fill_integers(cnv_tensor *t, cnv_rng *rng)
{
    size_t i, size = cnv_tensor_size(t);
    for (i = 0; i < size; i++) t->data[i] = (cnv_real)pick(rng, -3, 3);
}

static inline void fill_normal(cnv_tensor *t, cnv_rng *rng)
{
    size_t i, size = cnv_tensor_size(t);
    for (i = 0; i < size; i++) t->data[i] = (cnv_real)cnv_normal(rng);
}

/* Zeros, and here and there a number of up to a thousand. */
static inline void fill_spikes(cnv_tensor *t, cnv_rng *rng)
{
    size_t i, size = cnv_tensor_size(t);
    for (i = 0; i < size; i++)
        t->data[i] = pick(rng, 0, 49) ? 0 : (cnv_real)(1000 * cnv_uniform(rng));
}

/* Whole numbers with many ties, some NaN, infinities and zeros of both signs. */
static inline void fill_wild(cnv_tensor *t, cnv_rng *rng)
{
    const double wild[8] = {0, -0.0, HUGE_VAL, -HUGE_VAL, -HUGE_VAL, -HUGE_VAL, 0, 0};
    size_t i, size = cnv_tensor_size(t);
    for (i = 0; i < size; i++) {
        int kind = pick(rng, 0, 15);
        t->data[i] = (cnv_real)(kind < 6 ? wild[kind] : kind == 6 ? (double)NAN : pick(rng, -2, 2));
    }
}

/* Numbers from -20 to 20, most of them near 0. */
static inline void fill_wide(cnv_tensor *t, cnv_rng *rng)
{
    size_t i, size = cnv_tensor_size(t);
    for (i = 0; i < size; i++) t->data[i] = (cnv_real)(5 * cnv_normal(rng));
}

typedef void (*filler)(cnv_tensor *t, cnv_rng *rng);

static inline guarded guarded_filled(int n, int c, int h, int w, filler fill, cnv_rng *rng)
{
    guarded g = guarded_input(n, c, h, w);
    fill(&g.t, rng);
    guarded_seal(&g);
    return g;
}

/* ---- The instruction sets that this CPU runs ---- */

static const char *sets[4];
static int set_count;

/* Tries them all and says which there are. */
static inline void find_instruction_sets(void)
{
    static const char *const all[4] = {"scalar", "avx2", "avx512", "neon"};
    int i;
    printf("instruction sets:");
    for (i = 0; i < 4; i++)
        if (cnv_use(all[i])) {
            sets[set_count++] = all[i];
            printf(" %s", all[i]);
        }
    printf("\n");
}

#endif
