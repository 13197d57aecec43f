// Runs the op lists of a step program, position by position.
#pragma once
#include "drawing.h"
#include "pointwise.h"

namespace ancestral {

template <int SLOTS_PER_UNIT>
class Machine : DrawOps<SLOTS_PER_UNIT> {
    using Base = DrawOps<SLOTS_PER_UNIT>;
    using Base::at, Base::call_, Base::end_, Base::find_places, Base::k_, Base::known, Base::L;
    using Base::places_, Base::program_, Base::width;

  public:
    using Base::Base;

    void run() {
        for (int u = 0; u < call_.units; u++)
            for (int i = 0; i < L; i++) call_.unit[u].slot[i].bad = -1;
        for (int u = 0; u < call_.units; u++) begin_events(u);
        if (call_.forced) return run_forced();
        for (k_ = 0; k_ < call_.positions; k_++) {
            find_places();
            for (int u = 0; u < call_.units; u++) {
                turn_aligned(u);
                forget_what_was_before(u);
            }
            begin_row();
            run_ops(program_.step_op, program_.step_ops, POSITION);
        }
    }

  private:
    // All positions of a row at once: what is drawn there is known.
    void run_forced() {
        for (k_ = 0; k_ < call_.positions;) {
            find_places();
            int64_t columns = program_.columns;
            if (columns) {
                for (int u = 0; u < call_.units; u++) turn_aligned(u);
                begin_row();
            } else {
                columns = std::min<int64_t>(program_.forced_columns, call_.positions - k_);
            }
            run_ops(program_.forced_op, program_.forced_ops, Span{(int)columns, 0, 1, false});
            k_ += columns;
        }
    }

    // The sweeps, where a frame or a row begins.
    void begin_row() {
        const Place& place = places_[0];
        if (!program_.columns || place.column) return;
        if (program_.frame_ops && place.row == 0) {
            for (int u = 0; u < call_.units; u++)
                for (int g = 0; g < program_.grids; g++) {
                    const Grid& grid = program_.grid[g];
                    if (!grid.whole_rows)
                        std::fill_n(call_.unit[u].grid[g], grid.floats * L, 0.0f);
                }
            run_ops(program_.frame_op, program_.frame_ops,
                    Span{program_.rows * program_.columns, 0, 1, true});
        }
        run_ops(program_.row_op, program_.row_ops, Span{program_.columns, 0, 1, false});
    }

    // A slot's next column of aligned conditioning (of a map: row of cells), where one begins.
    void turn_aligned(int u) {
        const Unit& unit = call_.unit[u];
        if (!program_.aligned_width) return;
        const int floats = program_.cells * program_.aligned_width;
        for (int slot = 0; slot < L; slot++) {
            const int64_t position = unit.slot[slot].age + k_;
            if (!unit.slot[slot].occupied || (k_ && position % program_.hop)) continue;
            const float* from = unit.slot[slot].sequence + position / program_.hop * floats;
            for (int i = 0; i < floats; i++) unit.aligned[i * L + slot] = from[i];
        }
    }

    // An event begins with nothing remembered. A sound forgets on the way.
    void begin_events(int u) {
        const Unit& unit = call_.unit[u];
        int beginning[L], count = 0;
        for (int slot = 0; slot < L; slot++)
            if (unit.slot[slot].begins) beginning[count++] = slot;
        for (int g = 0; g < program_.grids && program_.columns; g++) {
            const int64_t floats = program_.grid[g].floats * L;
            if (count == L) std::fill_n(unit.grid[g], floats, 0.0f);
            else
                for (int64_t i = 0; i < floats; i += L)
                    for (int n = 0; n < count; n++) unit.grid[g][i + beginning[n]] = 0;
        }
    }

    // A sound's rings still hold what another sound left there before this one began.
    void forget_what_was_before(int u) {
        const Unit& unit = call_.unit[u];
        for (int slot = 0; slot < L && !program_.columns; slot++) {
            const int64_t age = unit.slot[slot].age + k_;
            if (age >= program_.oldest || !unit.slot[slot].occupied) continue;
            for (int o = 0; o < program_.operands; o++) {
                const Operand& operand = program_.operand[o];
                if (operand.kind != CELL) continue;
                if (age / program_.grid[operand.index].column_stride + operand.dx >= 0) continue;
                float* cell = const_cast<float*>(at(operand, u, POSITION, 0));
                for (int i = 0; i < operand.width; i++) cell[i * L + slot] = 0;
            }
        }
    }

    void run_ops(const Op* ops, int count, Span whole) {
        end_ = ops + count;
        for (const Op* op = ops; op < end_; op++) {
            const Place& place = places_[0];
            if (op->row_step > 1 && place.row % op->row_step != op->row) continue;
            Span span = whole;
            if (op->column_step > 1) {
                if (whole.count == 1) {
                    if (place.column % op->column_step != op->column) continue;
                } else {
                    span.first = op->column;
                    span.step = op->column_step;
                    span.count = (whole.count - op->column + span.step - 1) / span.step;
                }
            }
            run_op(*op, span);
        }
    }

    void run_op(const Op& op, Span span) {
        switch (op.kind) {
            case DENSE:
#if defined(__AVX512BF16__)
                if (program_.bfloat16) return this->template dense<Pairs>(op, span);
#endif
                return this->template dense<Single>(op, span);
            case CONDITION: return condition(op, span);
            case DRAW: return this->draw_symbols(op);
            case COLOUR_MIXTURE: return this->mix_colours(op, span);
            case EMBED: return embed(op, span);
            case VALUE: return value(op, span);
            default: break;
        }
        const Operand &source = program_.operand[op.source], &target = program_.operand[op.target];
        for (int v = 0; v < span.count; v++)
            for (int u = 0; u < call_.units; u++) {
                const float* from = at(source, u, span, v);
                float* to = const_cast<float*>(at(target, u, span, v));
                pointwise(op, from, to, width(target, u) * L);
            }
    }

    void condition(const Op& op, Span span) {
        const Operand& target = program_.operand[op.target];
        const int offset = op.offset[op.by_column ? places_[0].column : 0];
        for (int v = 0; v < span.count; v++)
            for (int u = 0; u < call_.units; u++) {
                const float* from = projected(op, u, span, v) + offset * L;
                float* to = const_cast<float*>(at(target, u, span, v));
                const int floats = width(target, u) * L;
                if (!op.flag) std::memcpy(to, from, floats * sizeof(float));
                else each(to, floats, [&](int i) {
                    return part(to, i, floats) + part(from, i, floats);
                });
            }
    }

    const float* projected(const Op& op, int u, Span span, int v) const {
        const Unit& unit = call_.unit[u];
        if (!op.aligned) return unit.fixed;
        const int64_t width = program_.aligned_width;
        if (!program_.columns && call_.forced)
            return unit.slot[0].sequence + (unit.slot[0].age + k_ + v) / program_.hop * width;
        if (program_.cells == 1) return unit.aligned;
        const int64_t column = span.count > 1 ? span.first + (int64_t)v * span.step
                                              : places_[u].column;
        return unit.aligned + column / (program_.columns / program_.cells) * width * L;
    }

    void embed(const Op& op, Span span) {
        const Operand& target = program_.operand[op.target];
        const int floats = target.width;
        for (int v = 0; v < span.count; v++)
            for (int u = 0; u < call_.units; u++) {
                float* to = const_cast<float*>(at(target, u, span, v));
                const double* symbols = known(u, op.channel, span, v);
                for (int slot = 0; slot < L; slot++) {
                    const float* row = op.table + (int64_t)symbols[slot] * floats;
                    for (int i = 0; i < floats; i++) to[i * L + slot] = row[i];
                }
            }
    }

    // Real numbers may lie far from zero, where floats have no digits left for what sets them apart.
    void value(const Op& op, Span span) {
        const float scale = (float)op.scale, shift = (float)op.shift;
        for (int v = 0; v < span.count; v++)
            for (int u = 0; u < call_.units; u++) {
                float* to = const_cast<float*>(at(program_.operand[op.target], u, span, v));
                const double* symbols = known(u, op.channel, span, v);
                for (int slot = 0; slot < L; slot++)
                    to[slot] = program_.levels ? (float)symbols[slot] * scale + shift
                                               : (float)(symbols[slot] * op.scale + op.shift);
            }
    }

};

}  // namespace ancestral
