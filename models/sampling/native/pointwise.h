// Ops on each float by itself.
#pragma once
#include "abi.h"
#include "functions.h"

namespace ancestral {

// The vector from float i on; at the end of the floats, what there is.
static Floats part(const float* from, int i, int floats) {
    if (i + LANES <= floats) return load(from + i);
    Floats v = Floats{};
    std::memcpy(&v, from + i, (floats - i) * sizeof(float));
    return v;
}

static void put(float* to, int i, int floats, Floats v) {
    if (i + LANES <= floats) store(to + i, v);
    else std::memcpy(to + i, &v, (floats - i) * sizeof(float));
}

template <class Function>
static void each(float* to, int floats, Function function) {
    for (int i = 0; i < floats; i += LANES) put(to, i, floats, function(i));
}

// `floats` are those of the target; in wide units, of all slots.
static void pointwise(const Op& op, const float* from, float* to, int floats) {
    switch (op.kind) {
        case WRITE: std::memcpy(to, from, floats * sizeof(float)); return;
        case ADD:
            return each(to, floats,
                        [&](int i) { return part(to, i, floats) + part(from, i, floats); });
        case RELU:
            return each(to, floats,
                        [&](int i) { return at_least(Floats{}, part(from, i, floats)); });
        case TANH:
            return each(to, floats, [&](int i) { return tanh(part(from, i, floats)); });
        case GATE: {
            const float* opening = from + floats;
            if (op.flag)
                return each(to, floats, [&](int i) {
                    return gated(part(from, i, floats), part(opening, i, floats));
                });
            return each(to, floats, [&](int i) {
                return part(from, i, floats) * sigmoid(part(opening, i, floats));
            });
        }
        default: {  // CONCAT_ELU
            const int half = floats / 2;
            float* negative = to + half;
            for (int i = 0; i < half; i += LANES) {
                const Floats x = part(from, i, half);
                // Of elu(x) and elu(−x) one is linear, so one exponential serves both.
                const Ints above = x > 0.0f;
                const Floats curved = exp(select(above, -x, x)) - 1.0f;
                put(to, i, half, select(above, x, curved));
                put(negative, i, half, select(above, curved, -x));
            }
        }
    }
}

}  // namespace ancestral
