#include <float.h>

#include "internal.h"

uint8_t tk_best_isa(void) {
#if TK_HAS_AVX512
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512vbmi")) {
        return TK_ISA_AVX512;
    }
#endif
    return TK_ISA_PORTABLE;
}

size_t tk_encoded_bytes(const tk_forest *forest) {
    if (forest->layout == TK_LAYOUT_LINKED) {
        return ((size_t)forest->slot_count + forest->category_count + 1) * sizeof(double);
    }
    return (size_t)forest->table_count * 64;
}

// No data-dependent branch: mispredictions would cost more than the search.
uint32_t tk_rank(const double *thresholds, uint32_t count, double x) {
    const double *base = thresholds;
    uint32_t left = count;
    while (left > 1) {
        uint32_t half = left >> 1;
        base += (size_t)(base[half - 1] <= x) * half;
        left -= half;
    }
    return (uint32_t)(base - thresholds) + (count > 0 && *base <= x);
}

// In float64 models a threshold of +infinity sends everything left that is not missing, so that infinite inputs are
// lowered to the largest number, which is below it.
static inline double input_of(const tk_forest *forest, const double *row, uint32_t feature) {
    double x = row[feature];
    if (forest->rounds_inputs) return (double)(float)x;
    return x > DBL_MAX ? DBL_MAX : x;
}

static inline int is_zero(double x) { return x >= -TK_ZERO_BAND && x <= TK_ZERO_BAND; }

static inline uint8_t category_value(const tk_forest *forest, const tk_category *c, const double *row) {
    double x = input_of(forest, row, c->feature);
    if (x != x) return c->missing;
    if (!(x > c->lowest) || x >= (double)c->bit_count) return !c->hit;
    uint32_t code = (uint32_t)(int32_t)x;
    uint64_t word = forest->category_words[c->word_offset + (code >> 6)];
    return ((word >> (code & 63)) & 1) ? c->hit : !c->hit;
}

void tk_encode_categories(const tk_forest *forest, const double *row, uint8_t *encoded) {
    for (uint32_t i = 0; i < forest->category_count; i++) {
        encoded[forest->slot_count + i] = category_value(forest, &forest->categories[i], row);
    }
}

static void encode_bytes(const tk_forest *forest, const double *row, uint8_t *encoded) {
    for (uint32_t i = 0; i < forest->feature_count; i++) {
        const tk_feature *f = &forest->features[i];
        double x = input_of(forest, row, f->feature);
        uint32_t rank = tk_rank(forest->thresholds + f->threshold_offset, f->threshold_count, x);
        int missing = x != x;
        int zero = is_zero(x);
        for (uint32_t s = f->slot_offset; s < f->slot_offset + f->slot_count; s++) {
            const tk_slot *slot = &forest->slots[s];
            uint32_t above = rank > slot->rank_base ? rank - slot->rank_base : 0;
            uint8_t byte = above > 255 ? 255 : (uint8_t)above;
            encoded[s] = (missing | (zero & slot->zero_is_missing)) ? slot->missing_rank : byte;
        }
    }
    tk_encode_categories(forest, row, encoded);
}

static void encode_doubles(const tk_forest *forest, const double *row, double *encoded) {
    // Leaves read slot 0 whatever the model, so it always exists.
    encoded[forest->slot_count + forest->category_count] = 0;
    for (uint32_t i = 0; i < forest->feature_count; i++) {
        const tk_feature *f = &forest->features[i];
        double x = input_of(forest, row, f->feature);
        int missing = x != x;
        int zero = is_zero(x);
        for (uint32_t s = f->slot_offset; s < f->slot_offset + f->slot_count; s++) {
            const tk_slot *slot = &forest->slots[s];
            encoded[s] = (missing | (zero & slot->zero_is_missing)) ? slot->missing_value : x;
        }
    }
    for (uint32_t i = 0; i < forest->category_count; i++) {
        encoded[forest->slot_count + i] = category_value(forest, &forest->categories[i], row);
    }
}

void tk_encode(const tk_forest *forest, const double *row, void *encoded) {
    if (forest->layout == TK_LAYOUT_LINKED) {
        encode_doubles(forest, row, encoded);
#if TK_HAS_AVX512
    } else if (forest->isa >= TK_ISA_AVX512) {
        tk_encode_avx512(forest, row, encoded);
#endif
    } else {
        encode_bytes(forest, row, encoded);
    }
}
