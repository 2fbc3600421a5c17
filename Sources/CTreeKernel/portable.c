#include "internal.h"

// Trees walked side by side: enough independent chains to hide the load latency of each.
#define LANES 8

static void heap(const tk_forest *forest, const uint8_t *encoded, uint32_t first, uint32_t *positions) {
    uint32_t depth = forest->depth;
    size_t block = forest->block_bytes;
    for (uint32_t lane = 0; lane < TK_CHUNK; lane += LANES) {
        const uint8_t *slots = forest->node_slots + (size_t)(first + lane) * block;
        const uint8_t *ranks = forest->node_ranks + (size_t)(first + lane) * block;
        uint32_t at[LANES];
        for (int i = 0; i < LANES; i++) at[i] = 1;
        for (uint32_t level = 0; level < depth; level++) {
            for (int i = 0; i < LANES; i++) {
                size_t node = block * (size_t)i + at[i];
                at[i] = at[i] + at[i] + (encoded[slots[node]] > ranks[node]);
            }
        }
        for (uint32_t i = 0; i < LANES; i++) {
            positions[lane + i] = ((first + lane + i) << depth) + at[i] - (1u << depth);
        }
    }
}

static void leaf_set(const tk_forest *forest, const uint8_t *encoded, uint32_t first, uint32_t *positions) {
    int wide = forest->layout == TK_LAYOUT_LEAFSET64;
    uint32_t lanes = wide ? 8 : 16;
    uint32_t nodes_max = wide ? 64 : 32;
    for (uint32_t i = 0; i < TK_CHUNK; i++) {
        uint32_t tree = first + i;
        uint32_t group = tree / lanes;
        size_t mask = (size_t)group * nodes_max * lanes + tree % lanes;
        const uint8_t *slots = forest->node_slots + (size_t)tree * forest->block_bytes;
        const uint8_t *ranks = forest->node_ranks + (size_t)tree * forest->block_bytes;
        uint64_t left = ~(uint64_t)0;
        for (uint32_t n = 0; n < forest->group_nodes[group]; n++, mask += lanes) {
            uint64_t keep = wide ? ((const uint64_t *)forest->leaf_masks)[mask]
                                 : ((const uint32_t *)forest->leaf_masks)[mask];
            // Keeps all leaves unless the row goes right; no branch, since data decide.
            left &= keep | ((uint64_t)(encoded[slots[n]] > ranks[n]) - 1);
        }
        positions[i] = tree * nodes_max + (uint32_t)__builtin_ctzll(left);
    }
}

static void linked(const tk_forest *forest, const double *encoded, uint32_t first, uint32_t *positions) {
    const tk_node *nodes = forest->nodes;
    for (uint32_t lane = 0; lane < TK_CHUNK; lane += LANES) {
        uint32_t at[LANES];
        for (int i = 0; i < LANES; i++) at[i] = forest->roots[first + lane + i];
        uint32_t moved;
        do {
            moved = 0;
            for (int i = 0; i < LANES; i++) {
                tk_node node = nodes[at[i]];
                uint32_t next = node.left + (encoded[node.slot] >= node.threshold);
                moved |= next ^ at[i];
                at[i] = next;
            }
        } while (moved);
        for (int i = 0; i < LANES; i++) positions[lane + i] = forest->node_values[at[i]];
    }
}

void tk_chunk_portable(const tk_forest *forest, const void *encoded, uint32_t first, uint32_t *positions) {
    if (forest->layout == TK_LAYOUT_LINKED) {
        linked(forest, encoded, first, positions);
    } else if (forest->layout == TK_LAYOUT_HEAP) {
        heap(forest, encoded, first, positions);
    } else {
        leaf_set(forest, encoded, first, positions);
    }
}
