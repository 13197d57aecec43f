// Where everything lies: what a unit's position is, and where the floats of an operand are.
//
// An op works on vectors: one for each unit at a position; in a sweep, one for each unit and each
// column of a row (or each place of a frame). SLOTS_PER_UNIT is 16 (wide) or 1 (narrow); a vector
// of W floats lies there as (W, slots), so that functions of single floats need not know which.
#pragma once
#include <algorithm>
#include <vector>

#include "abi.h"

namespace ancestral {

struct Place {
    int64_t frame, row, column;
};

// What an op list runs over: columns first, first + step, ... of a row; of a frame all its places.
struct Span {
    int count;            // vectors of a unit
    int64_t first;        // column of the first, counted from the unit's own
    int step;
    bool frame;
};

constexpr Span POSITION{1, 0, 1, false};

template <int SLOTS_PER_UNIT>
class Places {
  public:
    Places(const Program& program, const Call& call)
        : program_(program), call_(call), places_(call.units) {}

  protected:
    static constexpr int L = SLOTS_PER_UNIT;
    static constexpr bool WIDE = L == BLOCK;

    void find_places() {
        for (int u = 0; u < call_.units; u++) {
            const int64_t clock = call_.unit[u].clock + k_;
            Place& place = places_[u] = Place{0, 0, clock};
            if (!program_.columns) continue;
            place.row = clock / program_.columns;
            place.column = clock % program_.columns;
            if (!program_.frame_ops) continue;
            place.frame = place.row / program_.rows;
            place.row %= program_.rows;
        }
    }

    // The symbols of a position: drawn just now, or given.
    const double* known(int u, int channel, Span span, int v) const {
        const Unit& unit = call_.unit[u];
        const int64_t k = k_ + (call_.forced ? span.first + (int64_t)v * span.step : 0);
        const double* symbols = call_.forced ? unit.given : unit.symbols;
        return symbols + (k * program_.channels + channel) * L;
    }

    int width(const Operand& operand, int u) const {
        return operand.widths ? operand.widths[places_[u].column] : operand.width;
    }

    // Where the floats of an operand lie for vector v of a unit; zeros beyond the edges.
    const float* at(const Operand& operand, int u, Span span, int v) const {
        const Place& place = places_[u];
        switch (operand.kind) {
            case REGISTER: return vector(operand.index, u, v);
            case REGISTER_WINDOW:
                return vector(operand.index, u, v) + operand.starts[place.column] * L;
            case GRID_WINDOW:
                return call_.unit[u].grid[operand.index] + operand.starts[place.column] * L;
            default: break;
        }
        const Grid& grid = program_.grid[operand.index];
        int64_t row = place.row, column = place.column;
        if (span.frame) row = v / program_.columns, column = v % program_.columns;
        else column += span.first + (int64_t)v * span.step;
        row = shifted(row, grid.row_stride, operand.dy);
        column = shifted(column, grid.column_stride, operand.dx);
        if (grid.event_columns && (column < 0 || column >= grid.event_columns)) return zeros();
        if (!grid.whole_rows) row = modulo(row, grid.rows);
        else if (row < 0 || row >= grid.event_rows) return zeros();
        if (grid.ring) column = modulo(column, grid.columns);
        const int64_t frame = modulo(place.frame + operand.dz, grid.frames);
        return call_.unit[u].grid[operand.index] +
               ((frame * grid.rows + row) * grid.columns + column) * grid.width * L;
    }

    static int64_t shifted(int64_t place, int stride, int by) {
        return (stride == 1 ? place : place / stride) + by;
    }

    static int64_t modulo(int64_t number, int by) {
        const int64_t left = number % by;
        return left < 0 ? left + by : left;
    }

    const float* vector(int index, int u, int v) const {
        const Register& own = program_.register_[index];
        return call_.scratch + (u * program_.scratch + own.offset + (int64_t)v * own.stride) * L;
    }

    // The first floats of the scratch stay zero.
    const float* zeros() const { return call_.scratch; }

    const Program& program_;
    const Call& call_;
    std::vector<Place> places_;
    int64_t k_ = 0;  // positions of this run that are done
};

}  // namespace ancestral
