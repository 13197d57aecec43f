// Products of any op on any number of vectors, cut into what `product.h` does at once.
#pragma once
#include "places.h"
#include "product.h"

namespace ancestral {

template <int SLOTS_PER_UNIT>
class DenseOps : protected Places<SLOTS_PER_UNIT> {
  protected:
    using Base = Places<SLOTS_PER_UNIT>;
    using Base::at, Base::call_, Base::L, Base::places_, Base::program_, Base::width, Base::WIDE;

  public:
    DenseOps(const Program& program, const Call& call) : Base(program, call) {
        int most = 1;
        const auto ask = [&](const Op& op) { most = std::max(most, op.sources); };
        std::for_each_n(program.frame_op, program.frame_ops, ask);
        std::for_each_n(program.row_op, program.row_ops, ask);
        std::for_each_n(program.step_op, program.step_ops, ask);
        std::for_each_n(program.forced_op, program.forced_ops, ask);
        inputs_.resize(most);
        segments_.reserve(most + 1);
    }

  protected:
    template <class Kind>
    void dense(const Op& op, Span span) {
        const int64_t column = places_[0].column;
        const Weights& weights = op.weight[op.by_column ? column : 0];
        if (!weights.outputs) return;
        if (span.count == 1) prefetch_cells(op);
        const Operand& target = program_.operand[op.target];
        // A tile may write a few floats too many. Behind a window they would be another's.
        const bool aside = target.starts && !op.flag;
        constexpr int AT_ONCE = rows_at_once<WIDE>();
        const int vectors = span.count * call_.units;
        for (int first = 0; first < vectors; first += AT_ONCE) {
            next_ = (const float*)(first + AT_ONCE < vectors ? weights : after(op)).packed;
            const int rows = std::min(AT_ONCE, vectors - first);
            float *out[MOST_ROWS] = {}, *end[MOST_ROWS] = {};
            for (int r = 0; r < rows; r++) {
                const int v = (first + r) / call_.units, u = (first + r) % call_.units;
                end[r] = const_cast<float*>(at(target, u, span, v));
                out[r] = aside ? call_.work + r * (weights.outputs + BLOCK) * L : end[r];
                for (int s = 0; s < op.sources; s++)
                    inputs_[s].x[r] = at(program_.operand[op.source + s], u, span, v);
            }
            for (int s = 0; s < op.sources; s++)
                inputs_[s].count = width(program_.operand[op.source + s], 0);
            product<Kind>(weights, op.sources, rows, out, op.flag);
            if (aside)
                for (int r = 0; r < rows; r++)
                    std::memcpy(end[r], out[r], weights.outputs * L * sizeof(float));
        }
    }

    // Asks for the cells that the ops up to the next product will read and write: they lie far
    // apart in memory, and hardly one is in a cache.
    void prefetch_cells(const Op& op) const {
        for (const Op* next = &op + 1; next < end_; next++) {
            if (next->kind == WRITE) prefetch_cell(program_.operand[next->target]);
            if (next->kind != DENSE && next->kind != ADD) continue;
            for (int s = 0; s < next->sources; s++) {
                const Operand& source = program_.operand[next->source + s];
                if (source.kind != CELL || source.dz) continue;
                if (source.dx < 0 || next->kind == ADD) prefetch_cell(source);
            }
            if (next->kind == DENSE) return;
        }
    }

    void prefetch_cell(const Operand& operand) const {
        for (int u = 0; u < call_.units; u++) {
            const float* cell = at(operand, u, POSITION, 0);
            for (int i = 0; i < operand.width * L; i += BLOCK) __builtin_prefetch(cell + i, 0, 2);
        }
    }

    // The weights of the product behind this one, in its list.
    const Weights& after(const Op& op) const {
        const Op* next = &op + 1;
        while (next < end_ && next->kind != DENSE) next++;
        return next < end_ ? *next->weight : *op.weight;
    }

    // The product of one batch of rows, over as many inputs at a time as the first-level cache
    // holds: sums are left in memory and taken up again, which changes no bit.
    template <class Kind>
    void product(const Weights& weights, int sources, int rows, float* const* out, bool resume) {
        constexpr int PER_STEP = Kind::per_step;
        int64_t all_steps = 0;
        for (int s = 0; s < sources; s++)
            all_steps += (inputs_[s].count + PER_STEP - 1) / PER_STEP;
        const int64_t limit = WIDE ? 256 / rows : MOST_STEPS;
        const int64_t parts = (all_steps + limit - 1) / limit;
        const int most = parts ? (int)(all_steps / parts + 7) & ~7 : 1;
        const int64_t block_floats = all_steps * BLOCK;
        Begin begin{weights.bias, resume};
        int source = 0, from = 0;  // floats of it that have been taken
        int64_t done = 0;
        do {
            segments_.clear();
            int steps = 0;
            float* pairs = call_.work + MOST_ROWS * (weights.outputs + BLOCK) * L;
            while (source < sources && steps < most) {
                const int left = inputs_[source].count - from;
                const int taken = std::min(left, (most - steps) * PER_STEP);
                const int own = (taken + PER_STEP - 1) / PER_STEP;
                Segment segment;
                segment.count = own;
                for (int r = 0; r < rows; r++) {
                    segment.x[r] = inputs_[source].x[r] + from * L;
                    if constexpr (PER_STEP == 2) {
                        pair_up<Kind>(segment.x[r], taken, pairs);
                        segment.x[r] = pairs;
                        pairs += own * L;
                    }
                }
                if (own) segments_.push_back(segment);
                steps += own;
                from += taken;
                if (from == inputs_[source].count) source++, from = 0;
            }
            const float* packed = (const float*)weights.packed + done * BLOCK;
            done += steps;
            const float* next = source < sources ? packed + steps * BLOCK : next_;
            tiles<Kind, WIDE>(packed, block_floats, segments_.data(), (int)segments_.size(), out,
                              rows, weights.outputs, begin, next);
            begin = Begin{nullptr, true};
        } while (source < sources);
    }

    // Neighbouring inputs of each slot as two bfloat16 in the place of one float.
    template <class Kind>
    static void pair_up(const float* from, int count, float* to) {
        if (!WIDE) {
            for (int i = 0; i < count; i += 2)
                to[i / 2] = Kind::pair(all(from[i]), i + 1 < count ? all(from[i + 1]) : Floats{})[0];
            return;
        }
        for (int i = 0; i < count; i += 2)
            for (int lane = 0; lane < L; lane += LANES) {
                const Floats first = load(from + i * L + lane);
                const Floats second = i + 1 < count ? load(from + (i + 1) * L + lane) : Floats{};
                store(to + i / 2 * L + lane, Kind::pair(first, second));
            }
    }

    std::vector<Segment> inputs_, segments_;
    const Op* end_ = nullptr;      // of the list that is being run
    const float* next_ = nullptr;  // weights that will be wanted next
};

}  // namespace ancestral
