// Draws for all units of a position.
#pragma once
#include "dense.h"
#include "draw.h"

namespace ancestral {

template <int SLOTS_PER_UNIT>
class DrawOps : protected DenseOps<SLOTS_PER_UNIT> {
  protected:
    using Base = DenseOps<SLOTS_PER_UNIT>;
    using Base::at, Base::call_, Base::k_, Base::known, Base::L, Base::program_, Base::WIDE;

  public:
    using Base::Base;

  protected:
    // Units are drawn 16 slots at a time: a wide one alone, narrow ones side by side.
    void draw_symbols(const Op& op) {
        const Operand& source = program_.operand[op.source];
        const int at_once = WIDE ? 1 : SLOTS;
        for (int first = 0; first < call_.units; first += at_once) {
            const int units = std::min(at_once, call_.units - first);
            float* work = call_.work;
            const float* parameters = at(source, first, POSITION, 0);
            if (!WIDE) {
                parameters = side_by_side(source, POSITION, first, units, work);
                work += source.width * SLOTS;
            }
            Drawing drawing;
            ask(drawing, first, units, op.channel);
            draw(parameters, source.width, program_, drawing, work);
            for (int slot = 0; slot < units * L; slot++) {
                const int u = first + slot / L, own = slot % L;
                const Unit& unit = call_.unit[u];
                unit.symbols[(k_ * program_.channels + op.channel) * L + own] =
                    drawing.symbol[slot];
                if (!drawing.finite[slot] && unit.slot[own].bad < 0) unit.slot[own].bad = k_;
                if (!drawing.is_given[slot])
                    unit.slot[own].log_likelihood += drawing.nats[slot];
            }
        }
    }

    void ask(Drawing& drawing, int first, int units, int channel) const {
        drawing.tempered = drawing.truncated = false;
        for (int slot = 0; slot < SLOTS; slot++) {
            const bool there = slot < units * L;
            const int u = there ? first + slot / L : first, own = there ? slot % L : 0;
            const Unit& unit = call_.unit[u];
            const Slot& asked = unit.slot[own];
            const bool asks = there && asked.occupied;
            const int64_t place = (k_ * program_.channels + channel) * L + own;
            drawing.u[slot] =
                asks ? uniform(asked.seed, asked.sample, asked.age + k_, channel) : 0.5f;
            drawing.temperature[slot] = asks ? asked.temperature : 1.0f;
            drawing.top_k[slot] = asks ? asked.top_k : 0;
            drawing.top_p[slot] = asks ? asked.top_p : 1.0f;
            drawing.is_given[slot] = asks && unit.is_given && unit.is_given[place];
            drawing.symbol[slot] = drawing.is_given[slot] ? unit.given[place] : 0.0;
            drawing.tempered |= drawing.temperature[slot] != 1;
            drawing.truncated |= drawing.top_k[slot] > 0 || drawing.top_p[slot] < 1;
        }
    }

    // A register of up to 16 narrow vectors as (width, 16).
    const float* side_by_side(const Operand& source, Span span, int first, int count,
                              float* to) const {
        std::fill_n(to, source.width * SLOTS, 0.0f);
        for (int n = 0; n < count; n++) {
            const float* from = at(source, unit_of(first + n), span, vector_of(first + n));
            for (int i = 0; i < source.width; i++) to[i * SLOTS + n] = from[i];
        }
        return to;
    }

    void mix_colours(const Op& op, Span span) {
        const Operand &source = program_.operand[op.source], &target = program_.operand[op.target];
        const int at_once = WIDE ? 1 : SLOTS, all = span.count * call_.units;
        for (int first = 0; first < all; first += at_once) {
            const int count = std::min(at_once, all - first);
            const int u = unit_of(first), v = vector_of(first);
            const float* raw = WIDE ? at(source, u, span, v)
                                    : side_by_side(source, span, first, count, call_.work);
            float* mixed = WIDE ? const_cast<float*>(at(target, u, span, v))
                                : call_.work + source.width * SLOTS;
            double symbols[2][SLOTS] = {};
            const double* earlier[2] = {symbols[0], symbols[1]};
            for (int c = 0; c < op.channel; c++)
                for (int slot = 0; slot < count * L; slot++) {
                    const int n = first + slot / L;
                    symbols[c][slot] = known(unit_of(n), c, span, vector_of(n))[slot % L];
                }
            colour_mixture(raw, op.channel, earlier, program_, mixed);
            for (int n = 0; n < count && !WIDE; n++) {
                const int number = first + n;
                float* to =
                    const_cast<float*>(at(target, unit_of(number), span, vector_of(number)));
                for (int i = 0; i < target.width; i++) to[i] = mixed[i * SLOTS + n];
            }
        }
    }

    // Vectors are counted unit by unit, then column by column.
    int unit_of(int number) const { return number % call_.units; }
    int vector_of(int number) const { return number / call_.units; }
};

}  // namespace ancestral
