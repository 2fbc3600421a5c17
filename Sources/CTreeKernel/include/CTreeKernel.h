#ifndef CTREEKERNEL_H
#define CTREEKERNEL_H

#include <stddef.h>
#include <stdint.h>

// Evaluation of tree ensembles over prepared, immutable arrays. Why C: the wide variants need per-function
// instruction-set attributes and chosen intrinsics, which Swift does not offer. Everything here is total: it
// trusts indices that the loader has checked, allocates nothing and keeps no state.

// How leaves are found. All layouts give the same leaf for the same row.
enum {
    // Complete trees of depth <= 8 in heap order; a node is one byte of slot and one byte of threshold rank.
    TK_LAYOUT_HEAP = 0,
    // Trees of at most 32 leaves; every node that sends the row right removes its left leaves from a bit set.
    TK_LAYOUT_LEAFSET32 = 1,
    // The same for at most 64 leaves.
    TK_LAYOUT_LEAFSET64 = 2,
    // Linked nodes over float64 slots, for everything else.
    TK_LAYOUT_LINKED = 3,
};

// Instruction sets the kernels are written for; higher includes lower.
enum {
    TK_ISA_PORTABLE = 0,
    TK_ISA_AVX512 = 1,
};

// One input feature: its sorted thresholds, and the numeric slots derived from it.
typedef struct {
    uint32_t feature;
    uint32_t threshold_offset;
    uint32_t threshold_count;
    uint32_t slot_offset;
    uint32_t slot_count;
    uint32_t wide_offset;      // into wide_thresholds; UINT32_MAX when there are too many thresholds for it
} tk_feature;

// Layout of one feature in wide_thresholds: the last threshold of every full block, then the blocks, padded with NaN.
#define TK_WIDE_BLOCK 16
#define TK_WIDE_BLOCKS 16

// One numeric slot: a view of a feature under one rule for missing values.
typedef struct {
    double missing_value;      // linked layout: the value that stands for a missing one
    uint32_t rank_base;        // byte layouts: ranks are counted from here, saturated to 0...255
    uint8_t missing_rank;      // byte layouts: the rank that stands for a missing value
    uint8_t zero_is_missing;   // 1: |x| <= float32(1e-35) counts as missing
} tk_slot;

// One categorical slot: 1 when the row goes right at every node with this feature and set, else 0.
typedef struct {
    double lowest;             // a code <= lowest is outside the set
    uint32_t feature;
    uint32_t word_offset;
    uint32_t bit_count;
    uint8_t hit;               // slot value when the code is in the set
    uint8_t missing;           // slot value when the feature is missing
} tk_category;

// One node of the linked layout: right when slot value >= threshold. A leaf points to itself and has threshold NaN.
typedef struct {
    double threshold;
    uint32_t slot;
    uint32_t left;             // right child = left + 1
} tk_node;

typedef struct {
    const double *thresholds;
    const double *wide_thresholds;
    const tk_feature *features;
    const tk_slot *slots;
    const tk_category *categories;
    const uint64_t *category_words;
    const uint8_t *node_slots;     // byte layouts: tree-major blocks of block_bytes
    const uint8_t *node_ranks;
    const void *leaf_masks;        // leaf-set layouts: [group][node][lane] of uint32_t or uint64_t
    const uint32_t *group_nodes;   // leaf-set layouts: nodes to visit per group of lanes
    const tk_node *nodes;          // linked layout
    const uint32_t *roots;         // linked layout: first node of every tree
    const uint32_t *node_values;   // linked layout: value position of every node that is a leaf
    const float *values32;         // leaf values by position, or NULL
    const double *values64;
    const uint32_t *groups;        // output of every tree; NULL when there is one output
    uint32_t feature_count;
    uint32_t category_count;
    uint32_t slot_count;           // numeric slots; categorical slots follow them
    uint32_t table_count;          // byte layouts: 64-byte tables the slots fill (1, 2 or 4)
    uint32_t tree_count;           // real trees; arrays are padded to a multiple of TK_CHUNK
    uint32_t output_count;
    uint32_t depth;                // heap layout: 1...8
    uint32_t block_bytes;          // byte layouts: 64, 128 or 256 (heap), 32 or 64 (leaf sets)
    uint8_t layout;
    uint8_t isa;
    uint8_t rounds_inputs;         // 1: inputs are rounded to float32 first
} tk_forest;

// Trees per step: padded arrays are a multiple of it.
#define TK_CHUNK 64

// Bytes of encoded slots a byte layout needs at most.
#define TK_BYTE_SLOTS_MAX 256

// The best instruction set of this processor among TK_ISA_*.
uint8_t tk_best_isa(void);

// Prepares the slots of one row. `encoded` holds at least tk_encoded_bytes(forest), aligned to 64 bytes.
size_t tk_encoded_bytes(const tk_forest *forest);
void tk_encode(const tk_forest *forest, const double *row, void *encoded);

// Value positions of all trees for encoded slots; `positions` holds tree_count rounded up to TK_CHUNK.
void tk_positions(const tk_forest *forest, const void *encoded, uint32_t *positions);

// Adds the leaf of every tree, in tree order, to `outputs` (output_count values, holding the start values).
void tk_add32(const tk_forest *forest, const void *encoded, float *outputs);
void tk_add64(const tk_forest *forest, const void *encoded, double *outputs);

// The same for `row_count` rows of `stride` doubles. `outputs` is row-major and holds the start values.
// `scratch` holds tk_batch_scratch_bytes(forest), aligned to 64 bytes.
size_t tk_batch_scratch_bytes(const tk_forest *forest);
void tk_add_rows32(const tk_forest *forest, const double *rows, size_t row_count, size_t stride, void *scratch,
                   float *outputs);
void tk_add_rows64(const tk_forest *forest, const double *rows, size_t row_count, size_t stride, void *scratch,
                   double *outputs);

#endif
