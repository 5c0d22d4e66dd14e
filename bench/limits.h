/* How fast this CPU would let the kernels be. */
#ifndef LIMITS_H
#define LIMITS_H

/* ---- What each instruction set could do at best ----

   sum = sum * a + b, again and again, in sums that do not depend on one another. Each waits some 4
   cycles for its last value, and in a cycle a core starts up to 2 multiply-adds (4 on some ARM):
   with 12 or 16 sums it never waits. Copying is the same for memory. */

enum { SCALAR_SUMS = 48, AVX2_SUMS = 12, AVX512_SUMS = 16, NEON_SUMS = 16 };

/* Compilers put four of these into a vector of 128 bits, as they do in the scalar kernels: hence so
   many. Without FMA a sum waits twice, for its product and for itself. */
static float fma_scalar(long steps)
{
    float sum[SCALAR_SUMS], a = 0.999f, b = 0.001f;
    int i;
    CNV__UNROLL for (i = 0; i < SCALAR_SUMS; i++) sum[i] = (float)i;
    for (; steps > 0; steps--) {
        CNV__UNROLL for (i = 0; i < SCALAR_SUMS; i++) sum[i] = sum[i] * a + b;
    }
    CNV__UNROLL for (i = 1; i < SCALAR_SUMS; i++) sum[0] += sum[i];
    return sum[0];
}

static void copy_scalar(size_t n, const float *x, float *y) { memcpy(y, x, n * sizeof *y); }

#ifdef CNV__X86
__attribute__((target("avx2,fma"))) static float fma_avx2(long steps)
{
    __m256 sum[AVX2_SUMS], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
    float lanes[8];
    int i;
    CNV__UNROLL for (i = 0; i < AVX2_SUMS; i++) sum[i] = _mm256_set1_ps((float)i);
    for (; steps > 0; steps--) {
        CNV__UNROLL for (i = 0; i < AVX2_SUMS; i++) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
    }
    CNV__UNROLL for (i = 1; i < AVX2_SUMS; i++) sum[0] = _mm256_add_ps(sum[0], sum[i]);
    _mm256_storeu_ps(lanes, sum[0]);
    return lanes[0];
}

__attribute__((target("avx2"))) static void copy_avx2(size_t n, const float *x, float *y)
{
    size_t i;
    for (i = 0; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, _mm256_loadu_ps(x + i));
    for (; i < n; i++) y[i] = x[i];
}

__attribute__((target("avx512f"))) static float fma_avx512(long steps)
{
    __m512 sum[AVX512_SUMS], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
    float lanes[16];
    int i;
    CNV__UNROLL for (i = 0; i < AVX512_SUMS; i++) sum[i] = _mm512_set1_ps((float)i);
    for (; steps > 0; steps--) {
        CNV__UNROLL for (i = 0; i < AVX512_SUMS; i++) sum[i] = _mm512_fmadd_ps(sum[i], a, b);
    }
    CNV__UNROLL for (i = 1; i < AVX512_SUMS; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    _mm512_storeu_ps(lanes, sum[0]);
    return lanes[0];
}

__attribute__((target("avx512f"))) static void copy_avx512(size_t n, const float *x, float *y)
{
    size_t i;
    for (i = 0; i + 16 <= n; i += 16) _mm512_storeu_ps(y + i, _mm512_loadu_ps(x + i));
    for (; i < n; i++) y[i] = x[i];
}
#endif

#ifdef CNV__ARM
static float fma_neon(long steps)
{
    float32x4_t sum[NEON_SUMS], a = vdupq_n_f32(0.999f), b = vdupq_n_f32(0.001f);
    int i;
    CNV__UNROLL for (i = 0; i < NEON_SUMS; i++) sum[i] = vdupq_n_f32((float)i);
    for (; steps > 0; steps--) { /* NEON adds to its first operand: sum + a * b */
        CNV__UNROLL for (i = 0; i < NEON_SUMS; i++) sum[i] = vfmaq_f32(sum[i], a, b);
    }
    CNV__UNROLL for (i = 1; i < NEON_SUMS; i++) sum[0] = vaddq_f32(sum[0], sum[i]);
    return vaddvq_f32(sum[0]);
}

static void copy_neon(size_t n, const float *x, float *y)
{
    size_t i;
    for (i = 0; i + 4 <= n; i += 4) vst1q_f32(y + i, vld1q_f32(x + i));
    for (; i < n; i++) y[i] = x[i];
}
#endif

typedef struct {
    const char *name;
    int flops; /* of one step */
    float (*fma)(long steps);
    void (*copy)(size_t n, const float *x, float *y);
} limits;

static const limits all_limits[] = {
#ifdef CNV__X86
    {"avx512", 2 * 16 * AVX512_SUMS, fma_avx512, copy_avx512},
    {"avx2", 2 * 8 * AVX2_SUMS, fma_avx2, copy_avx2},
#endif
#ifdef CNV__ARM
    {"neon", 2 * 4 * NEON_SUMS, fma_neon, copy_neon},
#endif
    {"scalar", 2 * SCALAR_SUMS, fma_scalar, copy_scalar},
};
enum { LIMITS = sizeof all_limits / sizeof *all_limits };

/* On all threads at once. */
static int run_fma(const limits *set, long steps)
{
    int i, threads = cnv__threads();
    CNV__PARALLEL_FOR(threads > 1)
    for (i = 0; i < threads; i++) set->fma(steps); /* by a pointer: no compiler can leave it out */
    return 1;
}

#endif
