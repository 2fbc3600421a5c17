#include "internal.h"

// Sums are plain additions in tree order: the order decides the last bits.
#pragma STDC FP_CONTRACT OFF

static inline void chunk_positions(const tk_forest *forest, const void *encoded, uint32_t first, uint32_t *positions) {
#if TK_HAS_AVX512
    if (forest->isa >= TK_ISA_AVX512 && forest->layout != TK_LAYOUT_LINKED) {
        tk_chunk_avx512(forest, encoded, first, positions);
        return;
    }
#endif
    tk_chunk_portable(forest, encoded, first, positions);
}

void tk_positions(const tk_forest *forest, const void *encoded, uint32_t *positions) {
    for (uint32_t first = 0; first < forest->tree_count; first += TK_CHUNK) {
        chunk_positions(forest, encoded, first, positions + first);
    }
}

#define TK_ADD(NAME, TYPE, VALUES)                                                            \
    void NAME(const tk_forest *forest, const void *encoded, TYPE *outputs) {                  \
        uint32_t positions[TK_CHUNK];                                                         \
        const TYPE *values = forest->VALUES;                                                  \
        TYPE sum = outputs[0];                                                                \
        for (uint32_t first = 0; first < forest->tree_count; first += TK_CHUNK) {             \
            uint32_t count = forest->tree_count - first;                                      \
            if (count > TK_CHUNK) count = TK_CHUNK;                                           \
            chunk_positions(forest, encoded, first, positions);                               \
            if (forest->groups == NULL) {                                                     \
                for (uint32_t i = 0; i < count; i++) sum += values[positions[i]];             \
            } else {                                                                          \
                const uint32_t *groups = forest->groups + first;                              \
                for (uint32_t i = 0; i < count; i++) outputs[groups[i]] += values[positions[i]]; \
            }                                                                                 \
        }                                                                                     \
        if (forest->groups == NULL) outputs[0] = sum;                                         \
    }

TK_ADD(tk_add32, float, values32)
TK_ADD(tk_add64, double, values64)

size_t tk_batch_scratch_bytes(const tk_forest *forest) {
    size_t encoded = (tk_encoded_bytes(forest) + 63) & ~(size_t)63;
    if (forest->layout == TK_LAYOUT_LINKED) return encoded;
    return encoded * TK_ROWS + (size_t)forest->output_count * TK_ROWS * sizeof(double);
}

#if TK_HAS_AVX512
#define TK_WIDE(forest) ((forest)->isa >= TK_ISA_AVX512 && (forest)->layout != TK_LAYOUT_LINKED)
#else
#define TK_WIDE(forest) 0
#define tk_block32_avx512(forest, encoded, sums) ((void)0)
#define tk_block64_avx512(forest, encoded, sums) ((void)0)
#endif

#define TK_ADD_ROWS(NAME, TYPE, SINGLE, BLOCK)                                                \
    void NAME(const tk_forest *forest, const double *rows, size_t row_count, size_t stride, void *scratch, \
              TYPE *outputs) {                                                                \
        uint32_t output_count = forest->output_count;                                         \
        size_t row = 0;                                                                       \
        if (TK_WIDE(forest)) {                                                                \
            size_t row_bytes = (size_t)forest->table_count * 64;                              \
            uint8_t *encoded = scratch;                                                       \
            TYPE *sums = (TYPE *)(encoded + row_bytes * TK_ROWS);                             \
            for (; row + TK_ROWS <= row_count; row += TK_ROWS) {                              \
                TYPE *out = outputs + row * output_count;                                     \
                for (uint32_t r = 0; r < TK_ROWS; r++) {                                      \
                    tk_encode(forest, rows + (row + r) * stride, encoded + row_bytes * r);    \
                    for (uint32_t k = 0; k < output_count; k++) sums[k * TK_ROWS + r] = out[r * output_count + k]; \
                }                                                                             \
                BLOCK(forest, encoded, sums);                                                 \
                for (uint32_t r = 0; r < TK_ROWS; r++) {                                      \
                    for (uint32_t k = 0; k < output_count; k++) out[r * output_count + k] = sums[k * TK_ROWS + r]; \
                }                                                                             \
            }                                                                                 \
        }                                                                                     \
        for (; row < row_count; row++) {                                                      \
            tk_encode(forest, rows + row * stride, scratch);                                  \
            SINGLE(forest, scratch, outputs + row * output_count);                            \
        }                                                                                     \
    }

TK_ADD_ROWS(tk_add_rows32, float, tk_add32, tk_block32_avx512)
TK_ADD_ROWS(tk_add_rows64, double, tk_add64, tk_block64_avx512)
