// Mixtures of logistic functions, as `softmax.h` has logits: parameters are (3 K, 16).
#pragma once
#include <cmath>

#include "softmax.h"

namespace ancestral {

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
