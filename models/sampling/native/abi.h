// What Python hands over: a compiled step program, and calls that run it. All of it is plain data,
// owned by Python; the mirror image in Python is structures.py.
//
// Lanes: slots lie side by side in *units*. In a wide unit 16 slots are the lanes of every vector,
// and a register of W floats is W x 16; in a narrow unit there is one slot, and it is W floats.
#pragma once
#include <cstdint>

namespace ancestral {

// Raised with every change of the structures below or of what is computed; library.py has it too.
constexpr int32_t ABI = 3;

// Outputs of a product are packed in blocks of so many; a wide unit has as many slots.
constexpr int BLOCK = 16;

enum OperandKind : int32_t { REGISTER, CELL, REGISTER_WINDOW, GRID_WINDOW };

// What an op reads or changes.
struct Operand {
    int32_t kind;
    int32_t index;       // of a register or a grid
    int32_t dz, dy, dx;  // of CELL
    int32_t width;
    const int32_t *starts, *widths;  // of windows, by column
};

struct Register {
    int64_t offset;  // of its first vector, in floats of one lane
    int32_t stride;  // from one vector to the next, in floats of one lane
};

struct Grid {
    int32_t frames, rows, columns, width;  // cells kept
    int32_t row_stride, column_stride;     // positions that a cell serves
    int32_t event_rows, event_columns;     // cells of an image or a frame; 0: without end
    int32_t whole_rows;                    // 1: a row of the frame has a place of its own
    int32_t ring;                          // 1: a column's place is its number mod `columns`
    int64_t floats;                        // of all cells, in floats of one lane
};

// One product: `packed` holds blocks of 16 outputs, in each block the inputs one after another.
struct Weights {
    const void* packed;
    const float* bias;
    int32_t outputs;
};

enum OpKind : int32_t {
    DENSE, CONDITION, GATE, RELU, TANH, CONCAT_ELU, ADD, WRITE, DRAW, EMBED, VALUE, COLOUR_MIXTURE
};

struct Op {
    int32_t kind;
    int32_t row_step, row, column_step, column;  // where it is due
    int32_t target;           // an operand
    int32_t source, sources;  // the first operand, and how many
    int32_t flag;             // DENSE, CONDITION: 1 to accumulate; GATE: 1 for tanh
    int32_t aligned;          // CONDITION: 1 for aligned conditioning
    int32_t channel;          // DRAW, EMBED, VALUE, COLOUR_MIXTURE
    int32_t by_column;        // DENSE, CONDITION: 1 if weights or offsets change with the column
    double scale, shift;      // VALUE
    const Weights* weight;    // DENSE
    const int32_t* offset;    // CONDITION: the first float of the projection (by column)
    const float* table;       // EMBED: (levels, width)
};

enum DistributionKind : int32_t { CATEGORICAL, BERNOULLI, LOGISTIC_MIXTURE, GAUSSIAN };

struct Program {
    int32_t rows, columns;        // of an image or a frame; 0: a sound
    int32_t channels;
    int32_t distribution, levels, components;
    int32_t aligned_width, hop, cells;
    int32_t grids, operands;
    int32_t frame_ops, row_ops, step_ops, forced_ops;
    int32_t forced_columns;       // positions that the forced list takes at once; 0: it takes none
    int32_t bfloat16;             // 1: products are of bfloat16 numbers
    int32_t oldest;               // a sound: how many positions back it reads
    int64_t scratch;              // floats of one lane that the registers of a unit take
    double offset;                // GAUSSIAN: added to what is drawn
    const Register* register_;
    const Grid* grid;
    const Operand* operand;
    const Op *frame_op, *row_op, *step_op, *forced_op;
};

struct Slot {
    uint64_t seed, sample;
    int64_t age;            // known positions of the event
    const float* sequence;  // its aligned conditioning, (columns, cells, aligned_width)
    float temperature, top_p;  // top_p: 1 for all
    int32_t top_k;             // 0 for all
    int32_t occupied, begins;  // begins: with this run, and with nothing remembered
    double log_likelihood;  // grows
    int64_t bad;            // out: the first position of the run whose parameters are not finite
};

// 16 slots or one.
struct Unit {
    int64_t clock;           // positions since it was made
    float* const* grid;      // the memory of each grid
    const float* fixed;      // what is projected for the whole event, (floats, slots)
    float* aligned;          // (cells, aligned_width, slots): for where it stands
    Slot* slot;
    const uint8_t* is_given; // (K, channels, slots); null: none is
    const double* given;     // (K, channels, slots)
    double* symbols;         // out: (K, channels, slots)
};

struct Call {
    int32_t wide;                 // 1: units of 16 slots
    int32_t units;
    int64_t positions;
    int32_t forced;               // 1: symbols are given, all positions of a row at once
    float* scratch;               // the registers of all units
    float* work;                  // for draws; products: outputs set aside, pairs of bfloat16
    const Unit* unit;
};

// structures.py has the same sizes: a structure that changes here alone does not compile.
static_assert(sizeof(Operand) == 40);
static_assert(sizeof(Register) == 16);
static_assert(sizeof(Grid) == 48);
static_assert(sizeof(Weights) == 24);
static_assert(sizeof(Op) == 88);
static_assert(sizeof(Program) == 144);
static_assert(sizeof(Slot) == 72);
static_assert(sizeof(Unit) == 64);
static_assert(sizeof(Call) == 48);

}  // namespace ancestral
