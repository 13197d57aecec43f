// out = weights * inputs, the work of a sampler, for a few vectors ("rows") at a time.
//
// Weights are packed in blocks of 16 outputs. Each output is one sum in the order of the inputs,
// started from its bias (or from what it held), whatever the layout, the number of rows and the
// width of a vector are: so none of these can change a bit.
//
//     wide     a row is 16 slots at each input: weights are broadcast, slots are the lanes
//     narrow   a row is one slot: inputs are broadcast, outputs are the lanes
//
// With AVX-512, whose vectors hold 16 floats:
//
//                  wide, 2 rows x 8 outputs              narrow, 2 rows x 8 blocks
//     one input    2 vectors of slots, 8 weights         8 vectors of weights, 2 numbers
//     one tile     16 sums in registers                  16 sums in registers
#pragma once
#include <algorithm>
#include <vector>

#include "abi.h"
#include "vector.h"

namespace ancestral {

constexpr int VECTORS = BLOCK / LANES;  // of a block, or of a wide row
// What a product takes at once: rows, and steps over their inputs. compiled.py has both too.
constexpr int MOST_ROWS = 8, MOST_STEPS = 4096;

// Consecutive inputs, for each row its own.
struct Segment {
    const float* x[MOST_ROWS];
    int count;
};

struct Single {
    static constexpr int per_step = 1;
    static inline Floats multiply_add(Floats a, Floats b, Floats sum) { return fma(a, b, sum); }
};

#if defined(__AVX512BF16__)
// Two inputs a step, both rounded to bfloat16: their products are added in single precision.
struct Pairs {
    static constexpr int per_step = 2;
    static inline Floats multiply_add(Floats a, Floats b, Floats sum) {
        return (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
    }
    // Rounded to nearest, ties to even; the first input in the lower half of each lane.
    static inline Floats pair(Floats first, Floats second) {
        alignas(64) static constexpr int16_t TURNS[32] = {
            0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
            8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
        const auto both = (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
        return (Floats)_mm512_permutexvar_epi16(_mm512_load_si512(TURNS), both);
    }
};
#endif

// What the sums begin with.
struct Begin {
    const float* bias;  // null: none
    bool resume;        // from what is there
};

template <class Kind, int ROWS, int OUTPUTS>
static inline __attribute__((always_inline)) void wide_tile(
    const float* weight, int64_t ahead, const Segment* segments, int count, float* const* out,
    Begin begin) {
    constexpr int N = ROWS * VECTORS;
    Floats sum[OUTPUTS][N];
#pragma GCC unroll 16
    for (int o = 0; o < OUTPUTS; o++) {
        const Floats start = begin.bias ? all(begin.bias[o]) : Floats{};
#pragma GCC unroll 16
        for (int v = 0; v < N; v++) sum[o][v] = start;
    }
    if (begin.resume) {
#pragma GCC unroll 16
        for (int o = 0; o < OUTPUTS; o++)
#pragma GCC unroll 16
            for (int v = 0; v < N; v++)
                sum[o][v] += load(out[v / VECTORS] + o * BLOCK + v % VECTORS * LANES);
    }
    for (int s = 0; s < count; s++) {
        const float* x[ROWS];
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; r++) x[r] = segments[s].x[r];
        const int steps = segments[s].count;
        for (int k = 0; k < steps; k++, weight += BLOCK) {
            __builtin_prefetch(weight + ahead);
            Floats seen[N];
#pragma GCC unroll 16
            for (int v = 0; v < N; v++)
                seen[v] = load(x[v / VECTORS] + k * BLOCK + v % VECTORS * LANES);
#pragma GCC unroll 16
            for (int o = 0; o < OUTPUTS; o++) {
                const Floats w = all(weight[o]);
#pragma GCC unroll 16
                for (int v = 0; v < N; v++) sum[o][v] = Kind::multiply_add(w, seen[v], sum[o][v]);
            }
        }
    }
#pragma GCC unroll 16
    for (int o = 0; o < OUTPUTS; o++)
#pragma GCC unroll 16
        for (int v = 0; v < N; v++)
            store(out[v / VECTORS] + o * BLOCK + v % VECTORS * LANES, sum[o][v]);
}

template <class Kind, int ROWS, int BLOCKS>
static inline __attribute__((always_inline)) void narrow_tile(
    const float* weight, int64_t block_floats, const Segment* segments, int count,
    float* const* out, Begin begin) {
    constexpr int N = BLOCKS * VECTORS;
    Floats sum[ROWS][N];
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 16
        for (int v = 0; v < N; v++) {
            sum[r][v] = begin.bias ? load(begin.bias + v * LANES) : Floats{};
            if (begin.resume) sum[r][v] += load(out[r] + v * LANES);
        }
    for (int s = 0; s < count; s++) {
        const float* x[ROWS];
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; r++) x[r] = segments[s].x[r];
        const int steps = segments[s].count;
        for (int k = 0; k < steps; k++, weight += BLOCK) {
            Floats w[N];
#pragma GCC unroll 16
            for (int v = 0; v < N; v++)
                w[v] = load(weight + v / VECTORS * block_floats + v % VECTORS * LANES);
#pragma GCC unroll 16
            for (int r = 0; r < ROWS; r++) {
                const Floats seen = all(x[r][k]);
#pragma GCC unroll 16
                for (int v = 0; v < N; v++) sum[r][v] = Kind::multiply_add(w[v], seen, sum[r][v]);
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 16
        for (int v = 0; v < N; v++) store(out[r] + v * LANES, sum[r][v]);
}

template <class Kind, int ROWS, int MOST>
static void wide_rows(const float* weight, int64_t block_floats, const Segment* segments, int count,
                      float* const* out, int outputs, Begin begin, const float* next) {
    for (int first = 0; first < outputs; first += BLOCK, weight += block_floats) {
        const int live = std::min(BLOCK, outputs - first);
        // Each line of weights is asked for one block before its turn: the processor's own
        // prefetching brings it to the second-level cache only, a fifth slower.
        const int64_t ahead = first + BLOCK < outputs ? block_floats : next - weight;
        for (int o = 0; o < live;) {
            float* to[ROWS];
            for (int r = 0; r < ROWS; r++) to[r] = out[r] + (first + o) * BLOCK;
            const Begin here{begin.bias ? begin.bias + first + o : nullptr, begin.resume};
            const float* from = weight + o;
            if (MOST >= 16 && live - o > 8) {
                wide_tile<Kind, ROWS, std::min(MOST, 16)>(from, ahead, segments, count, to, here);
                o += 16;
            } else if (MOST >= 8 && live - o > 4) {
                wide_tile<Kind, ROWS, std::min(MOST, 8)>(from, ahead, segments, count, to, here);
                o += 8;
            } else {
                wide_tile<Kind, ROWS, 4>(from, ahead, segments, count, to, here);
                o += 4;
            }
        }
    }
}

template <class Kind, int ROWS, int MOST>
static void narrow_rows(const float* weight, int64_t block_floats, const Segment* segments,
                        int count, float* const* out, int outputs, Begin begin, const float*) {
    const int blocks = (outputs + BLOCK - 1) / BLOCK;
    for (int b = 0; b < blocks;) {
        float* to[ROWS];
        for (int r = 0; r < ROWS; r++) to[r] = out[r] + b * BLOCK;
        const Begin here{begin.bias ? begin.bias + b * BLOCK : nullptr, begin.resume};
        const float* from = weight + b * block_floats;
        const int left = blocks - b;
#define ANCESTRAL_TILE(BLOCKS)                                                               \
    if (MOST >= BLOCKS && left >= BLOCKS) {                                                  \
        narrow_tile<Kind, ROWS, std::min(MOST, BLOCKS)>(from, block_floats, segments, count, \
                                                        to, here);                           \
        b += BLOCKS;                                                                         \
        continue;                                                                            \
    }
        ANCESTRAL_TILE(8)
        ANCESTRAL_TILE(4)
        ANCESTRAL_TILE(2)
        ANCESTRAL_TILE(1)
#undef ANCESTRAL_TILE
    }
}

// At most MOST_ROWS rows, over all outputs. `next` are the weights that will be wanted afterwards.
template <class Kind, bool WIDE>
static void tiles(const float* weight, int64_t block_floats, const Segment* segments, int count,
                  float* const* out, int rows, int outputs, Begin begin, const float* next) {
    const auto go = [&](auto function) {
        function(weight, block_floats, segments, count, out, outputs, begin, next);
    };
    if constexpr (WIDE && LANES == BLOCK) {
        switch (rows) {
            case 1: return go(wide_rows<Kind, 1, 16>);
            default: return go(wide_rows<Kind, 2, 8>);
        }
    } else if constexpr (WIDE) {
        return go(wide_rows<Kind, 1, 4>);
    } else if constexpr (LANES == BLOCK) {
        switch (rows) {
            case 1: return go(narrow_rows<Kind, 1, 8>);
            case 2: return go(narrow_rows<Kind, 2, 8>);
            case 3: return go(narrow_rows<Kind, 3, 4>);
            case 4: return go(narrow_rows<Kind, 4, 4>);
            case 5: return go(narrow_rows<Kind, 5, 4>);
            case 6: return go(narrow_rows<Kind, 6, 4>);
            case 7: return go(narrow_rows<Kind, 7, 2>);
            default: return go(narrow_rows<Kind, 8, 2>);
        }
    } else {
        switch (rows) {
            case 1: return go(narrow_rows<Kind, 1, 4>);
            case 2: return go(narrow_rows<Kind, 2, 2>);
            case 3: return go(narrow_rows<Kind, 3, 1>);
            default: return go(narrow_rows<Kind, 4, 1>);
        }
    }
}

// Rows that one call of `tiles` takes.
template <bool WIDE>
constexpr int rows_at_once() {
    if (WIDE) return LANES == BLOCK ? 2 : 1;
    return LANES == BLOCK ? 8 : 4;
}

}  // namespace ancestral
