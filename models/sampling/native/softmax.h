// From logits and a uniform number to a symbol and its likelihood, for 16 slots side by side: logits
// are (P, 16). The laws are those of distributions.py, and so is the order of what is done.
#pragma once
#include <algorithm>
#include <functional>
#include <utility>

#include "abi.h"
#include "functions.h"

namespace ancestral {

constexpr int SLOTS = BLOCK;

// How each of 16 slots is drawn.
struct Drawing {
    float u[SLOTS], temperature[SLOTS], top_p[SLOTS];
    int32_t top_k[SLOTS];
    bool tempered, truncated;  // is any?
    bool is_given[SLOTS];
    double symbol[SLOTS];      // in: those given; out: all
    double nats[SLOTS];
    bool finite[SLOTS];
};

// Philox4x32-10: see philox.py.
static inline float uniform(uint64_t seed, uint64_t sample, uint64_t position, uint32_t channel) {
    uint32_t c0 = (uint32_t)position, c1 = channel, c2 = (uint32_t)sample;
    uint32_t c3 = (uint32_t)(position >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return ((float)(c0 >> 9) + 0.5f) * 0x1p-23f;
}

// Keys, whose lower halves fall from one to the next, in falling order. `spare` has room for them.
static void sort_falling(uint64_t* keys, int count, uint64_t* spare) {
    // Few are sorted sooner by comparing them.
    if (count < 100) return std::sort(keys, keys + count, std::greater<uint64_t>());
    // By one byte of their upper halves after another, from the lowest on.
    for (int byte = 4; byte < 8; byte++) {
        const auto digit = [&](int i) { return ~keys[i] >> 8 * byte & 255; };
        int place[257] = {};
        for (int i = 0; i < count; i++) place[digit(i) + 1]++;
        for (int d = 0; d < 256; d++) place[d + 1] += place[d];
        for (int i = 0; i < count; i++) spare[place[digit(i)]++] = keys[i];
        std::swap(keys, spare);
    }
}

// The weights of a slot's symbols outside its top-k, then outside its top-p, become zero. `keys`
// has room for twice as many as there are levels.
static void truncate(float* weight, int levels, int top_k, float top_p, uint64_t* keys) {
    // The bits of positive floats are in their order; of equals the lower symbol comes first.
    for (int i = 0; i < levels; i++) {
        uint32_t bits;
        std::memcpy(&bits, weight + i * SLOTS, sizeof bits);
        keys[i] = (uint64_t)bits << 32 | (uint32_t)~i;
    }
    int left = top_k > 0 && top_k < levels ? top_k : levels;
    if (top_p < 1) {
        const auto own = [](uint64_t key) {
            const uint32_t bits = key >> 32;
            float w;
            std::memcpy(&w, &bits, sizeof w);
            return w;
        };
        sort_falling(keys, levels, keys + levels);
        float total = 0;
        for (int i = 0; i < left; i++) total += own(keys[i]);
        // The likeliest symbol, whose weight is 1, stays, however little p is.
        const float most = std::max(top_p * total, 1e-30f);
        const int kept = left;
        left = 0;
        for (float before = 0; left < kept && before < most; left++) before += own(keys[left]);
    } else if (left < levels) {
        std::nth_element(keys, keys + left, keys + levels, std::greater<uint64_t>());
    }
    for (int i = left; i < levels; i++) weight[(int)~(uint32_t)keys[i] * SLOTS] = 0;
}

// Softmax: the first symbol whose running weight exceeds u * total. `work` has room for
// (levels, 16) twice.
static void draw_categorical(const float* logits, int levels, Drawing& drawing, float* work) {
    float *weight = work, *running = work + levels * SLOTS;
    for (int lane = 0; lane < SLOTS; lane += LANES) {
        const Floats temperature = load(drawing.temperature + lane);
        Floats highest = load(logits + lane);
        for (int i = 1; i < levels; i++)
            highest = at_least(highest, load(logits + i * SLOTS + lane));
        const auto sum_up = [&](Floats by, bool keep) {
            Floats total = Floats{};
            const Floats top = highest / by;
            for (int i = 0; i < levels; i++) {
                const Floats w = exp(load(logits + i * SLOTS + lane) / by - top);
                total += w;
                if (keep) store(weight + i * SLOTS + lane, w);
                if (keep) store(running + i * SLOTS + lane, total);
            }
            return total;
        };
        const Floats tempered = sum_up(temperature, true);
        const Floats threshold = load(drawing.u + lane) * tempered;
        Ints count = Ints{};
        for (int i = 0; i < levels; i++)
            count -= load(running + i * SLOTS + lane) <= threshold;  // a mask is −1
        const Floats total = drawing.tempered ? sum_up(all(1.0f), false) : tempered;
        const Floats normaliser = highest + log(total);
        for (int i = 0; i < LANES; i++) {
            const int slot = lane + i;
            if (drawing.truncated && (drawing.top_k[slot] > 0 || drawing.top_p[slot] < 1)) {
                truncate(weight + slot, levels, drawing.top_k[slot], drawing.top_p[slot],
                         (uint64_t*)running);
                float sum = 0, share = 0;
                for (int l = 0; l < levels; l++) sum += weight[l * SLOTS + slot];
                int drawn = 0;
                for (int l = 0; l < levels; l++) {
                    share += weight[l * SLOTS + slot];
                    drawn += share <= drawing.u[slot] * sum;
                }
                count[i] = drawn;
                // `running` was used for sorting; slots behind this one have been counted.
            }
            if (!drawing.is_given[slot])
                drawing.symbol[slot] = count[i] < levels ? count[i] : levels - 1;
            drawing.nats[slot] = logits[(int)drawing.symbol[slot] * SLOTS + slot] - normaliser[i];
        }
    }
}

// One bit: a softmax over the logits 0 and l.
static void draw_bernoulli(const float* logit, Drawing& drawing, float* work) {
    float* both = work + 4 * SLOTS;
    for (int i = 0; i < SLOTS; i++) both[i] = 0;
    std::memcpy(both + SLOTS, logit, SLOTS * sizeof(float));
    draw_categorical(both, 2, drawing, work);
}

}  // namespace ancestral
