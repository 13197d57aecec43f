// From a symbol's parameters and a uniform number to the symbol and its likelihood, for 16 slots
// side by side: parameters are (P, 16). The laws are those of distributions.py, and so is the order
// of what is done.
#pragma once
#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "abi.h"
#include "functions.h"
#include "quantile.h"

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

// A mixture of K logistic functions over levels: Salimans et al. 2017, equation 2. `work` has room
// for (K, 16) twice.
class Mixture {
  public:
    Mixture(const float* parameters, int components, int levels, int lane)
        : parameters_(parameters + lane), components_(components), levels_(levels) {}

    // The adjusted mixture of slots with these temperatures.
    void temper(Floats temperature) {
        temperature_ = temperature;
        log_temperature_ = log(temperature);
    }

    Floats log_prob(Floats symbol, float* work) const {
        Floats highest = all(-3.4e38f), total = Floats{};
        for (int k = 0; k < components_; k++) {
            const Floats nats = logit(k) + component(k, symbol);
            highest = at_least(highest, nats);
            store(work + k * LANES, nats);
        }
        for (int k = 0; k < components_; k++) total += exp(load(work + k * LANES) - highest);
        Floats most = logit(0), sum = Floats{};
        for (int k = 1; k < components_; k++) most = at_least(most, logit(k));
        for (int k = 0; k < components_; k++) sum += exp(logit(k) - most);
        return highest + log(total) - (most + log(sum));
    }

    // Nats of a symbol under one component; with a > b, log(σ(a) − σ(b)) = log σ(a) + log σ(−b)
    // + log(1 − exp(b − a)).
    Floats component(int k, Floats symbol) const {
        const Floats narrowness = exp(-log_scale(k)), centred = value(symbol) - mean(k);
        const float step = 1.0f / (levels_ - 1);
        const Ints last = symbol >= (float)(levels_ - 1), first = symbol <= 0.0f;
        const Floats below = log_sigmoid((centred + step) * narrowness);
        const Floats above = log_sigmoid((step - centred) * narrowness);
        const Floats between = log(at_least(all(1e-37f), one_minus_exp(2 * step * narrowness)));
        return select(last, Floats{}, below) + select(first, Floats{}, above) +
               select(last | first, Floats{}, between);
    }

    // The first symbol whose cumulative probability exceeds u.
    Floats bisect(Floats u, float* work) const {
        Floats most = logit(0), sum = Floats{};
        for (int k = 1; k < components_; k++) most = at_least(most, logit(k));
        for (int k = 0; k < components_; k++) sum += exp(logit(k) - most);
        float *weight = work, *narrowness = work + components_ * LANES;
        for (int k = 0; k < components_; k++) {
            store(weight + k * LANES, exp(logit(k) - most) / sum);
            store(narrowness + k * LANES, exp(-log_scale(k)));
        }
        Ints low = Ints{}, high = Ints{} + (levels_ - 1);
        for (int left = levels_ - 1; left > 0; left >>= 1) {
            const Ints middle = (low + high) >> 1;
            const Floats edge = value(__builtin_convertvector(middle, Floats)) +
                                1.0f / (levels_ - 1);
            Floats running = Floats{};
            for (int k = 0; k < components_; k++)
                running += load(weight + k * LANES) *
                           sigmoid((edge - mean(k)) * load(narrowness + k * LANES));
            const Ints exceeds = running > u;
            low = exceeds | (low == high) ? low : middle + 1;
            high = exceeds ? middle : high;
        }
        return __builtin_convertvector(high, Floats);
    }

    // Where a symbol stands in [−1, 1].
    Floats value(Floats symbol) const {
        return (2.0f * symbol - (float)(levels_ - 1)) * (1.0f / (levels_ - 1));
    }

  private:
    Floats logit(int k) const { return load(parameters_ + k * SLOTS) / temperature_; }
    Floats mean(int k) const { return load(parameters_ + (components_ + k) * SLOTS); }
    Floats log_scale(int k) const {
        const Floats x = load(parameters_ + (2 * components_ + k) * SLOTS);
        return at_least(all(smallest_), at_most(all(20.0f), x)) + log_temperature_;
    }

    const float* parameters_;
    int components_, levels_;
    float smallest_ = -(float)std::log((double)levels_) - 2;
    Floats temperature_ = all(1.0f), log_temperature_ = Floats{};
};

// `work` has room for (K, 16) twice, and for (levels, 16) three times where anything is truncated.
static void draw_mixture(const float* parameters, const Program& program, Drawing& drawing,
                         float* work) {
    float* by_component = work;
    work += 2 * program.components * SLOTS;
    double given[SLOTS];
    std::memcpy(given, drawing.symbol, sizeof given);
    for (int lane = 0; lane < SLOTS; lane += LANES) {
        Mixture adjusted(parameters, program.components, program.levels, lane);
        adjusted.temper(load(drawing.temperature + lane));
        const Floats drawn = adjusted.bisect(load(drawing.u + lane), by_component);
        for (int i = 0; i < LANES; i++)
            if (!drawing.is_given[lane + i]) drawing.symbol[lane + i] = drawn[i];
        if (drawing.truncated)
            for (int level = 0; level < program.levels; level++)
                store(work + (2 * program.levels + level) * SLOTS + lane,
                      adjusted.log_prob(all((float)level), by_component));
    }
    if (drawing.truncated) {
        Drawing cut = drawing;
        cut.tempered = false;
        for (float& temperature : cut.temperature) temperature = 1;
        draw_categorical(work + 2 * program.levels * SLOTS, program.levels, cut, work);
        for (int slot = 0; slot < SLOTS; slot++)
            if ((drawing.top_k[slot] > 0 && drawing.top_k[slot] < program.levels) ||
                drawing.top_p[slot] < 1)
                drawing.symbol[slot] = drawing.is_given[slot] ? given[slot] : cut.symbol[slot];
    }
    for (int lane = 0; lane < SLOTS; lane += LANES) {
        Floats symbol;
        for (int i = 0; i < LANES; i++) symbol[i] = (float)drawing.symbol[lane + i];
        const Mixture own(parameters, program.components, program.levels, lane);
        const Floats nats = own.log_prob(symbol, by_component);
        for (int i = 0; i < LANES; i++) drawing.nats[lane + i] = nats[i];
    }
}

// A real number: offset + mean + standard deviation * quantile of u.
static void draw_gaussian(const float* parameters, double offset, Drawing& drawing) {
    for (int slot = 0; slot < SLOTS; slot++) {
        const double mean = parameters[slot], log_deviation = parameters[SLOTS + slot];
        const double deviation = std::exp(log_deviation) * (double)drawing.temperature[slot];
        if (!drawing.is_given[slot])
            drawing.symbol[slot] =
                offset + (mean + deviation * normal_quantile((double)drawing.u[slot]));
        const double standard =
            (drawing.symbol[slot] - offset - mean) * std::exp(-log_deviation);
        drawing.nats[slot] =
            -0.5 * (standard * standard + 1.8378770664093453) - log_deviation;
    }
}

static void draw(const float* parameters, int count, const Program& program, Drawing& drawing,
                 float* work) {
    for (int lane = 0; lane < SLOTS; lane += LANES) {
        Floats nothing = Floats{};
        for (int i = 0; i < count; i++) nothing += load(parameters + i * SLOTS + lane) * 0.0f;
        for (int i = 0; i < LANES; i++) drawing.finite[lane + i] = nothing[i] == 0;
    }
    switch (program.distribution) {
        case CATEGORICAL: return draw_categorical(parameters, program.levels, drawing, work);
        case BERNOULLI: return draw_bernoulli(parameters, drawing, work);
        case LOGISTIC_MIXTURE: return draw_mixture(parameters, program, drawing, work);
        default: return draw_gaussian(parameters, program.offset, drawing);
    }
}

// The mixture of the next colour of a pixel: `colour_mixture` of distributions.py. `raw` is
// (10 K, 16), `target` (3 K, 16), `earlier` the symbols of the colours before, 16 of each.
static void colour_mixture(const float* raw, int colour, const double* const* earlier,
                           const Program& program, float* target) {
    const int K = program.components;
    for (int lane = 0; lane < SLOTS; lane += LANES) {
        const auto part = [&](int group, int k) {
            return load(raw + (group * K + k) * SLOTS + lane);
        };
        Floats symbol[2];
        for (int before = 0; before < colour; before++)
            for (int i = 0; i < LANES; i++) symbol[before][i] = (float)earlier[before][lane + i];
        const Mixture scale(raw, K, program.levels, 0);
        for (int k = 0; k < K; k++) store(target + k * SLOTS + lane, part(0, k));
        for (int c = 0; c <= colour; c++) {
            for (int k = 0; k < K; k++) {
                Floats mean = part(1 + c, k);
                // Coefficients: green-red, blue-red, blue-green.
                for (int before = 0; before < c; before++)
                    mean += tanh(part(7 + (c == 1 ? 0 : 1 + before), k)) *
                            scale.value(symbol[before]);
                store(target + (K + k) * SLOTS + lane, mean);
                store(target + (2 * K + k) * SLOTS + lane, part(4 + c, k));
            }
            if (c == colour) break;
            const Mixture mixture(target, K, program.levels, lane);
            for (int k = 0; k < K; k++) {
                float* logit = target + k * SLOTS + lane;
                store(logit, load(logit) + mixture.component(k, symbol[c]));
            }
        }
    }
}

}  // namespace ancestral
