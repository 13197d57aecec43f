// From a symbol's parameters and a uniform number to the symbol and its likelihood, for 16 slots
// side by side: parameters are (P, 16). The laws are those of distributions.py, and so is the order
// of what is done.
#pragma once
#include <cmath>

#include "mixture.h"
#include "quantile.h"

namespace ancestral {

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

}  // namespace ancestral
