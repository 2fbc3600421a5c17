#ifndef TK_INTERNAL_H
#define TK_INTERNAL_H

#include "CTreeKernel.h"

#if defined(__x86_64__)
#define TK_HAS_AVX512 1
#else
#define TK_HAS_AVX512 0
#endif

// Rows a batch step evaluates side by side.
#define TK_ROWS 16

// The float nearest to 1e-35, the bound LightGBM uses for "zero".
#define TK_ZERO_BAND 1.0000000180025095e-35

// How many of the sorted thresholds are <= x.
uint32_t tk_rank(const double *thresholds, uint32_t count, double x);
void tk_encode_categories(const tk_forest *forest, const double *row, uint8_t *encoded);

// Stores the value positions of trees first ..< first + TK_CHUNK.
void tk_chunk_portable(const tk_forest *forest, const void *encoded, uint32_t first, uint32_t *positions);

#if TK_HAS_AVX512
void tk_encode_avx512(const tk_forest *forest, const double *row, uint8_t *encoded);
void tk_chunk_avx512(const tk_forest *forest, const uint8_t *encoded, uint32_t first, uint32_t *positions);

// Byte layouts, TK_ROWS encoded rows; adds into sums[output][row].
void tk_block32_avx512(const tk_forest *forest, const uint8_t *encoded, float *sums);
void tk_block64_avx512(const tk_forest *forest, const uint8_t *encoded, double *sums);
#endif

#endif
