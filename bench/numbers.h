/* The random numbers that everyone computes with, uniform in [-0.5, 0.5): splitmix64 (Steele, Lea &
   Flood 2014), 24 bits of each. Drawing many takes long, so a million are repeated.
   pytorch.py draws the same. */
#ifndef NUMBERS_H
#define NUMBERS_H

#include <stddef.h>
#include <stdint.h>

enum { NUMBERS_PERIOD = (1 << 20) + 1, X_SEED = 1, DY_SEED = 2, WEIGHTS_SEED = 3, BIAS_SEED = 4 };

static void fill_random(float *data, size_t size, uint64_t seed)
{
    size_t i;
    for (i = 0; i < size; i++) {
        uint64_t z = (seed += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        data[i] = i < NUMBERS_PERIOD ? (float)(z >> 40) / (1 << 24) - 0.5f
                                     : data[i - NUMBERS_PERIOD];
    }
}

#endif
