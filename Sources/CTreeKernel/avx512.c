#include "internal.h"

#if TK_HAS_AVX512
#include <float.h>
#include <immintrin.h>

#pragma STDC FP_CONTRACT OFF

#define WIDE __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx512vbmi,popcnt")))
#define WIDE_INLINE static inline __attribute__((always_inline)) WIDE

// The rank within at most 255 thresholds: first the block, then the place in it.
WIDE_INLINE uint32_t wide_rank(const double *wide, double x) {
    __m512d value = _mm512_set1_pd(x);
    uint32_t low = _mm512_cmp_pd_mask(_mm512_load_pd(wide), value, _CMP_LE_OQ);
    uint32_t high = _mm512_cmp_pd_mask(_mm512_load_pd(wide + 8), value, _CMP_LE_OQ);
    uint32_t block = (uint32_t)__builtin_popcount(low | high << 8);
    const double *start = wide + TK_WIDE_BLOCKS + (size_t)block * TK_WIDE_BLOCK;
    low = _mm512_cmp_pd_mask(_mm512_load_pd(start), value, _CMP_LE_OQ);
    high = _mm512_cmp_pd_mask(_mm512_load_pd(start + 8), value, _CMP_LE_OQ);
    return block * TK_WIDE_BLOCK + (uint32_t)__builtin_popcount(low | high << 8);
}

WIDE void tk_encode_avx512(const tk_forest *forest, const double *row, uint8_t *encoded) {
    for (uint32_t i = 0; i < forest->feature_count; i++) {
        const tk_feature *f = &forest->features[i];
        double x = row[f->feature];
        x = forest->rounds_inputs ? (double)(float)x : x > DBL_MAX ? DBL_MAX : x;
        uint32_t rank = f->wide_offset != UINT32_MAX ? wide_rank(forest->wide_thresholds + f->wide_offset, x)
                                                    : tk_rank(forest->thresholds + f->threshold_offset,
                                                              f->threshold_count, x);
        uint32_t missing = x != x;
        uint32_t zero = (x >= -TK_ZERO_BAND) & (x <= TK_ZERO_BAND);
        for (uint32_t s = f->slot_offset; s < f->slot_offset + f->slot_count; s++) {
            const tk_slot *slot = &forest->slots[s];
            uint32_t above = rank > slot->rank_base ? rank - slot->rank_base : 0;
            above = above > 255 ? 255 : above;
            // All bits when the value counts as missing: selected without a branch, since data decide.
            uint32_t is_missing = 0u - (missing | (zero & slot->zero_is_missing));
            encoded[s] = (uint8_t)((above & ~is_missing) | (slot->missing_rank & is_missing));
        }
    }
    tk_encode_categories(forest, row, encoded);
}

typedef struct {
    __m512i part[4];
} slot_tables;

WIDE_INLINE slot_tables load_tables(const uint8_t *encoded, const uint32_t count) {
    slot_tables t;
    for (uint32_t i = 0; i < count; i++) t.part[i] = _mm512_load_si512(encoded + 64 * i);
    return t;
}

// Bit n: the row's value in the slot of node n is above the node's rank, so the row goes right there.
WIDE_INLINE uint64_t compare_nodes(__m512i slots, __m512i ranks, const slot_tables *t, const uint32_t count) {
    __m512i values;
    if (count == 1) {
        values = _mm512_permutexvar_epi8(slots, t->part[0]);
    } else {
        values = _mm512_permutex2var_epi8(t->part[0], slots, t->part[1]);
        if (count == 4) {
            __m512i upper = _mm512_permutex2var_epi8(t->part[2], slots, t->part[3]);
            values = _mm512_mask_mov_epi8(values, _mm512_movepi8_mask(slots), upper);
        }
    }
    return _mm512_cmpgt_epu8_mask(values, ranks);
}

// Walks eight complete trees (or one tree for eight rows): lane i follows its own decision bits, heap order, root = 1.
WIDE_INLINE __m512i walk(const uint64_t *masks, const size_t word_stride, const uint32_t depth) {
    const __m512i one = _mm512_set1_epi64(1);
    __m512i at = one;
    __m512i bits = _mm512_load_si512(masks);
    for (uint32_t level = 0; level < depth; level++) {
        if (level == 6) bits = _mm512_load_si512(masks + word_stride);
        __m512i shift = at;
        if (level == 7) {
            __m512i low = _mm512_load_si512(masks + 2 * word_stride);
            __m512i high = _mm512_load_si512(masks + 3 * word_stride);
            bits = _mm512_mask_mov_epi64(low, _mm512_test_epi64_mask(at, _mm512_set1_epi64(64)), high);
        }
        if (level >= 6) shift = _mm512_and_si512(at, _mm512_set1_epi64(63));
        __m512i taken = _mm512_srlv_epi64(bits, shift);
        // (at + at) | (taken & 1)
        at = _mm512_ternarylogic_epi64(_mm512_add_epi64(at, at), taken, one, 0xF8);
    }
    return _mm512_sub_epi64(at, _mm512_set1_epi64((int64_t)1 << depth));
}

WIDE_INLINE void heap_chunk(const tk_forest *forest, const uint8_t *encoded, uint32_t first, uint32_t *positions,
                            const uint32_t tables, const uint32_t words, const uint32_t depth) {
    _Alignas(64) uint64_t masks[4 * TK_CHUNK];
    slot_tables t = load_tables(encoded, tables);
    const uint8_t *slots = forest->node_slots + (size_t)first * 64 * words;
    const uint8_t *ranks = forest->node_ranks + (size_t)first * 64 * words;
    for (uint32_t i = 0; i < TK_CHUNK; i++) {
        for (uint32_t w = 0; w < words; w++) {
            size_t at = ((size_t)i * words + w) * 64;
            masks[w * TK_CHUNK + i] =
                compare_nodes(_mm512_load_si512(slots + at), _mm512_load_si512(ranks + at), &t, tables);
        }
    }
    const __m512i lanes = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    for (uint32_t i = 0; i < TK_CHUNK; i += 8) {
        __m512i base = _mm512_slli_epi64(_mm512_add_epi64(lanes, _mm512_set1_epi64(first + i)), depth);
        __m512i at = _mm512_add_epi64(base, walk(masks + i, TK_CHUNK, depth));
        _mm256_storeu_si256((__m256i *)(positions + i), _mm512_cvtepi64_epi32(at));
    }
}

WIDE_INLINE void heap_depths(const tk_forest *forest, const uint8_t *encoded, uint32_t first, uint32_t *positions,
                             const uint32_t tables) {
    switch (forest->depth) {
    case 8: heap_chunk(forest, encoded, first, positions, tables, 4, 8); break;
    case 7: heap_chunk(forest, encoded, first, positions, tables, 2, 7); break;
    case 6: heap_chunk(forest, encoded, first, positions, tables, 1, 6); break;
    default: heap_chunk(forest, encoded, first, positions, tables, 1, forest->depth); break;
    }
}

// Index of the lowest leaf still in each set.
WIDE_INLINE __m512i lowest32(__m512i set) {
    __m512i low = _mm512_and_si512(set, _mm512_sub_epi32(_mm512_setzero_si512(), set));
    return _mm512_sub_epi32(_mm512_set1_epi32(31), _mm512_lzcnt_epi32(low));
}

WIDE_INLINE __m512i lowest64(__m512i set) {
    __m512i low = _mm512_and_si512(set, _mm512_sub_epi64(_mm512_setzero_si512(), set));
    return _mm512_sub_epi64(_mm512_set1_epi64(63), _mm512_lzcnt_epi64(low));
}

WIDE_INLINE void set32_chunk(const tk_forest *forest, const uint8_t *encoded, uint32_t first, uint32_t *positions,
                             const uint32_t tables) {
    _Alignas(64) uint64_t masks[TK_CHUNK / 2];
    slot_tables t = load_tables(encoded, tables);
    const uint8_t *slots = forest->node_slots + (size_t)first * 32;
    const uint8_t *ranks = forest->node_ranks + (size_t)first * 32;
    for (uint32_t i = 0; i < TK_CHUNK / 2; i++) {
        masks[i] = compare_nodes(_mm512_load_si512(slots + 64 * i), _mm512_load_si512(ranks + 64 * i), &t, tables);
    }
    const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    for (uint32_t i = 0; i < TK_CHUNK; i += 16) {
        uint32_t group = (first + i) / 16;
        const uint32_t *keep = (const uint32_t *)forest->leaf_masks + (size_t)group * 32 * 16;
        __m512i bits = _mm512_load_si512((const uint8_t *)masks + 4 * i);
        __m512i even = _mm512_set1_epi32(-1);
        __m512i odd = even;
        for (uint32_t n = 0; n < forest->group_nodes[group]; n += 2) {
            __mmask16 right0 = _mm512_test_epi32_mask(bits, _mm512_set1_epi32((int32_t)(1u << n)));
            __mmask16 right1 = _mm512_test_epi32_mask(bits, _mm512_set1_epi32((int32_t)(2u << n)));
            even = _mm512_mask_and_epi32(even, right0, even, _mm512_load_si512(keep + 16 * n));
            odd = _mm512_mask_and_epi32(odd, right1, odd, _mm512_load_si512(keep + 16 * n + 16));
        }
        __m512i base = _mm512_slli_epi32(_mm512_add_epi32(lanes, _mm512_set1_epi32((int32_t)(first + i))), 5);
        _mm512_storeu_si512(positions + i, _mm512_add_epi32(base, lowest32(_mm512_and_si512(even, odd))));
    }
}

WIDE_INLINE void set64_chunk(const tk_forest *forest, const uint8_t *encoded, uint32_t first, uint32_t *positions,
                             const uint32_t tables) {
    _Alignas(64) uint64_t masks[TK_CHUNK];
    slot_tables t = load_tables(encoded, tables);
    const uint8_t *slots = forest->node_slots + (size_t)first * 64;
    const uint8_t *ranks = forest->node_ranks + (size_t)first * 64;
    for (uint32_t i = 0; i < TK_CHUNK; i++) {
        masks[i] = compare_nodes(_mm512_load_si512(slots + 64 * i), _mm512_load_si512(ranks + 64 * i), &t, tables);
    }
    const __m512i lanes = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    for (uint32_t i = 0; i < TK_CHUNK; i += 8) {
        uint32_t group = (first + i) / 8;
        const uint64_t *keep = (const uint64_t *)forest->leaf_masks + (size_t)group * 64 * 8;
        __m512i bits = _mm512_load_si512(masks + i);
        __m512i left = _mm512_set1_epi64(-1);
        for (uint32_t n = 0; n < forest->group_nodes[group]; n++) {
            __mmask8 right = _mm512_test_epi64_mask(bits, _mm512_set1_epi64((int64_t)((uint64_t)1 << n)));
            left = _mm512_mask_and_epi64(left, right, left, _mm512_load_si512(keep + 8 * n));
        }
        __m512i base = _mm512_slli_epi64(_mm512_add_epi64(lanes, _mm512_set1_epi64(first + i)), 6);
        __m512i at = _mm512_add_epi64(base, lowest64(left));
        _mm256_storeu_si256((__m256i *)(positions + i), _mm512_cvtepi64_epi32(at));
    }
}

WIDE_INLINE void chunk_by_layout(const tk_forest *forest, const uint8_t *encoded, uint32_t first, uint32_t *positions,
                                 const uint32_t tables) {
    switch (forest->layout) {
    case TK_LAYOUT_HEAP: heap_depths(forest, encoded, first, positions, tables); break;
    case TK_LAYOUT_LEAFSET32: set32_chunk(forest, encoded, first, positions, tables); break;
    default: set64_chunk(forest, encoded, first, positions, tables); break;
    }
}

WIDE void tk_chunk_avx512(const tk_forest *forest, const uint8_t *encoded, uint32_t first, uint32_t *positions) {
    switch (forest->table_count) {
    case 1: chunk_by_layout(forest, encoded, first, positions, 1); break;
    case 2: chunk_by_layout(forest, encoded, first, positions, 2); break;
    default: chunk_by_layout(forest, encoded, first, positions, 4); break;
    }
}

// Batches: one tree at a time, its nodes in registers, TK_ROWS rows side by side.

WIDE_INLINE void add_values32(const tk_forest *forest, uint32_t tree, __m512i positions, float *sums) {
    float *sum = sums + (forest->groups ? forest->groups[tree] : 0) * TK_ROWS;
    __m512 leaf = _mm512_i32gather_ps(positions, forest->values32, 4);
    _mm512_store_ps(sum, _mm512_add_ps(_mm512_load_ps(sum), leaf));
}

WIDE_INLINE void add_values64(const tk_forest *forest, uint32_t tree, __m512i positions, double *sums) {
    double *sum = sums + (forest->groups ? forest->groups[tree] : 0) * TK_ROWS;
    __m512d low = _mm512_i32gather_pd(_mm512_castsi512_si256(positions), forest->values64, 8);
    __m512d high = _mm512_i32gather_pd(_mm512_extracti64x4_epi64(positions, 1), forest->values64, 8);
    _mm512_store_pd(sum, _mm512_add_pd(_mm512_load_pd(sum), low));
    _mm512_store_pd(sum + 8, _mm512_add_pd(_mm512_load_pd(sum + 8), high));
}

WIDE_INLINE void add_values(const tk_forest *forest, uint32_t tree, __m512i positions, void *sums,
                            const int is_double) {
    if (is_double) {
        add_values64(forest, tree, positions, sums);
    } else {
        add_values32(forest, tree, positions, sums);
    }
}

WIDE_INLINE void compare_rows(__m512i slots, __m512i ranks, const uint8_t *encoded, uint64_t *masks,
                              const uint32_t tables) {
    for (uint32_t r = 0; r < TK_ROWS; r++) {
        slot_tables t = load_tables(encoded + (size_t)r * 64 * tables, tables);
        masks[r] = compare_nodes(slots, ranks, &t, tables);
    }
}

WIDE_INLINE __m512i join(__m512i low, __m512i high) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi64_epi32(low)), _mm512_cvtepi64_epi32(high), 1);
}

WIDE_INLINE void heap_rows(const tk_forest *forest, const uint8_t *encoded, void *sums, const int is_double,
                           const uint32_t tables, const uint32_t words, const uint32_t depth) {
    // Two sets of masks: the walk of one tree reads while the next tree's masks are being written.
    _Alignas(64) uint64_t masks[2][4 * TK_ROWS];
    for (uint32_t tree = 0; tree < forest->tree_count; tree++) {
        uint64_t *bits = masks[tree & 1];
        for (uint32_t w = 0; w < words; w++) {
            size_t at = ((size_t)tree * words + w) * 64;
            compare_rows(_mm512_load_si512(forest->node_slots + at), _mm512_load_si512(forest->node_ranks + at),
                         encoded, bits + w * TK_ROWS, tables);
        }
        __m512i low = walk(bits, TK_ROWS, depth);
        __m512i high = walk(bits + 8, TK_ROWS, depth);
        __m512i base = _mm512_set1_epi32((int32_t)(tree << depth));
        add_values(forest, tree, _mm512_add_epi32(base, join(low, high)), sums, is_double);
    }
}

WIDE_INLINE void heap_rows_depths(const tk_forest *forest, const uint8_t *encoded, void *sums, const int is_double,
                                  const uint32_t tables) {
    switch (forest->depth) {
    case 8: heap_rows(forest, encoded, sums, is_double, tables, 4, 8); break;
    case 7: heap_rows(forest, encoded, sums, is_double, tables, 2, 7); break;
    case 6: heap_rows(forest, encoded, sums, is_double, tables, 1, 6); break;
    default: heap_rows(forest, encoded, sums, is_double, tables, 1, forest->depth); break;
    }
}

WIDE_INLINE __m512i set32_rows_tree(const tk_forest *forest, uint32_t tree, __m512i bits) {
    uint32_t group = tree / 16;
    const uint32_t *keep = (const uint32_t *)forest->leaf_masks + (size_t)group * 32 * 16 + tree % 16;
    __m512i left = _mm512_set1_epi32(-1);
    for (uint32_t n = 0; n < forest->group_nodes[group]; n++) {
        __mmask16 right = _mm512_test_epi32_mask(bits, _mm512_set1_epi32((int32_t)(1u << n)));
        left = _mm512_mask_and_epi32(left, right, left, _mm512_set1_epi32((int32_t)keep[16 * n]));
    }
    return _mm512_add_epi32(_mm512_set1_epi32((int32_t)(tree * 32)), lowest32(left));
}

WIDE_INLINE void set32_rows(const tk_forest *forest, const uint8_t *encoded, void *sums, const int is_double,
                            const uint32_t tables) {
    _Alignas(64) uint64_t masks[2][TK_ROWS];
    for (uint32_t tree = 0; tree < forest->tree_count; tree += 2) {
        uint64_t *both = masks[(tree >> 1) & 1];
        size_t at = (size_t)tree * 32;
        compare_rows(_mm512_load_si512(forest->node_slots + at), _mm512_load_si512(forest->node_ranks + at), encoded,
                     both, tables);
        __m512i low = _mm512_load_si512(both);
        __m512i high = _mm512_load_si512(both + 8);
        add_values(forest, tree, set32_rows_tree(forest, tree, join(low, high)), sums, is_double);
        if (tree + 1 < forest->tree_count) {
            __m512i second = join(_mm512_srli_epi64(low, 32), _mm512_srli_epi64(high, 32));
            add_values(forest, tree + 1, set32_rows_tree(forest, tree + 1, second), sums, is_double);
        }
    }
}

WIDE_INLINE void set64_rows(const tk_forest *forest, const uint8_t *encoded, void *sums, const int is_double,
                            const uint32_t tables) {
    _Alignas(64) uint64_t masks[2][TK_ROWS];
    for (uint32_t tree = 0; tree < forest->tree_count; tree++) {
        uint64_t *bits = masks[tree & 1];
        size_t at = (size_t)tree * 64;
        compare_rows(_mm512_load_si512(forest->node_slots + at), _mm512_load_si512(forest->node_ranks + at), encoded,
                     bits, tables);
        uint32_t group = tree / 8;
        const uint64_t *keep = (const uint64_t *)forest->leaf_masks + (size_t)group * 64 * 8 + tree % 8;
        __m512i bits0 = _mm512_load_si512(bits);
        __m512i bits1 = _mm512_load_si512(bits + 8);
        __m512i left0 = _mm512_set1_epi64(-1);
        __m512i left1 = left0;
        for (uint32_t n = 0; n < forest->group_nodes[group]; n++) {
            __m512i bit = _mm512_set1_epi64((int64_t)((uint64_t)1 << n));
            __m512i mask = _mm512_set1_epi64((int64_t)keep[8 * n]);
            left0 = _mm512_mask_and_epi64(left0, _mm512_test_epi64_mask(bits0, bit), left0, mask);
            left1 = _mm512_mask_and_epi64(left1, _mm512_test_epi64_mask(bits1, bit), left1, mask);
        }
        __m512i base = _mm512_set1_epi32((int32_t)(tree * 64));
        add_values(forest, tree, _mm512_add_epi32(base, join(lowest64(left0), lowest64(left1))), sums, is_double);
    }
}

WIDE_INLINE void rows_by_layout(const tk_forest *forest, const uint8_t *encoded, void *sums, const int is_double,
                                const uint32_t tables) {
    switch (forest->layout) {
    case TK_LAYOUT_HEAP: heap_rows_depths(forest, encoded, sums, is_double, tables); break;
    case TK_LAYOUT_LEAFSET32: set32_rows(forest, encoded, sums, is_double, tables); break;
    default: set64_rows(forest, encoded, sums, is_double, tables); break;
    }
}

WIDE void tk_block32_avx512(const tk_forest *forest, const uint8_t *encoded, float *sums) {
    switch (forest->table_count) {
    case 1: rows_by_layout(forest, encoded, sums, 0, 1); break;
    case 2: rows_by_layout(forest, encoded, sums, 0, 2); break;
    default: rows_by_layout(forest, encoded, sums, 0, 4); break;
    }
}

WIDE void tk_block64_avx512(const tk_forest *forest, const uint8_t *encoded, double *sums) {
    switch (forest->table_count) {
    case 1: rows_by_layout(forest, encoded, sums, 1, 1); break;
    case 2: rows_by_layout(forest, encoded, sums, 1, 2); break;
    default: rows_by_layout(forest, encoded, sums, 1, 4); break;
    }
}

#endif
