"""The functions of a kernel's text, in Triton.

A kernel runs one tile of slots: it walks all layers and all positions by itself, so that nothing
waits for others. Activations stay in registers in float32; products take them in the dtype of the
weights and add up in float32; memories are in the dtype of the weights.

The text and `twin.py` say what each function means. Triton's interpreter has no bfloat16 products:
there they are of the same numbers, in float32.

Shapes: S slots of a tile, W floats of a block in L lanes.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ancestral.models.sampling.fused import tables

#: In how many floats places are told.
UNIT: tl.constexpr = tl.constexpr(tables.UNIT)
#: Whether kernels are interpreted, on a processor.
INTERPRETED: tl.constexpr = tl.constexpr(bool(triton.knobs.runtime.interpret))


@triton.jit
def program_number():
    return tl.program_id(0)


@triton.jit
def slots_of(tile, SLOTS: tl.constexpr):
    return tile.to(tl.int64) * SLOTS + tl.arange(0, SLOTS)


@triton.jit
def scalar(pointer, index):
    return tl.load(pointer + index)


@triton.jit
def number(numbers, index):
    return tl.load(numbers + index).to(tl.int32)


@triton.jit
def each(pointer, here):
    return tl.load(pointer + here)


@triton.jit
def leave(pointer, here, value):
    tl.store(pointer + here, value)


@triton.jit
def positions_left(positions, left):
    return tl.minimum(positions, tl.maximum(tl.max(left, 0), 0))


@triton.jit
def barrier():
    tl.debug_barrier()


@triton.jit
def zeros(here, L: tl.constexpr):
    return tl.zeros((here.shape[0], L), tl.float32)


@triton.jit
def sound_cell(clock, age, numbers, at, COLUMN_STRIDE: tl.constexpr, FLOATS: tl.constexpr):
    start, columns = number(numbers, at) * UNIT, number(numbers, at + 1)
    dx = number(numbers, at + 2)
    # Of a ring, so that what is left of its beginning is its end.
    column = (clock // COLUMN_STRIDE + dx + columns) % columns
    return start + column * FLOATS, age // COLUMN_STRIDE + dx >= 0


@triton.jit
def image_cell(
    row,
    column,
    event_row,
    numbers,
    at,
    ROW_STRIDE: tl.constexpr,
    COLUMN_STRIDE: tl.constexpr,
    CELLS: tl.constexpr,
    FLOATS: tl.constexpr,
):
    start = number(numbers, at) * UNIT
    rows, columns = number(numbers, at + 1), number(numbers, at + 2)
    dy, dx = number(numbers, at + 3), number(numbers, at + 4)
    read_row = (row // ROW_STRIDE + dy + rows) % rows
    read_column = column // COLUMN_STRIDE + dx
    # For each slot, though it is the same for all: the interpreter has no mask of a scalar.
    columns_read = event_row * 0 + read_column
    inside = (columns_read >= 0) & (columns_read < CELLS)
    seen = (event_row // ROW_STRIDE + dy >= 0) & inside
    return start + (read_row * columns + (read_column + columns) % columns) * FLOATS, seen


@triton.jit
def take(grids, memory, cell, seen, START: tl.constexpr, W: tl.constexpr, L: tl.constexpr):
    lane = tl.arange(0, L)
    where = (memory + cell + START)[:, None] + lane[None, :]
    mask = seen[:, None] & (lane < W)[None, :]
    return tl.load(grids + where, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def put(grids, memory, cell, x, START: tl.constexpr, W: tl.constexpr, L: tl.constexpr):
    lane = tl.arange(0, L)
    where = (memory + cell + START)[:, None] + lane[None, :]
    mask = (lane < W)[None, :] & (memory >= 0)[:, None]
    tl.store(grids + where, x.to(grids.dtype.element_ty), mask=mask)


@triton.jit
def row_of(pointer, own, first, W: tl.constexpr, L: tl.constexpr):
    lane = tl.arange(0, L)
    mask = (lane < W)[None, :] & (own >= 0)[:, None]
    return tl.load(pointer + (own + first)[:, None] + lane[None, :], mask=mask, other=0.0)


@triton.jit
def bias_row(floats, first, here, W: tl.constexpr, L: tl.constexpr):
    lane = tl.arange(0, L)
    row = tl.load(floats + first + lane, mask=lane < W, other=0.0)
    return tl.zeros((here.shape[0], L), tl.float32) + row[None, :]


@triton.jit
def weights_of(weights, first, INPUTS: tl.constexpr, OUTPUTS: tl.constexpr):
    where = tl.arange(0, INPUTS)[:, None] * OUTPUTS + tl.arange(0, OUTPUTS)[None, :]
    return tl.load(weights + first + where)


@triton.jit
def dot(x, weight, total):
    taken = x.to(weight.dtype)
    if INTERPRETED:
        taken, weight = taken.to(tl.float32), weight.to(tl.float32)
    return tl.dot(taken, weight, total, input_precision="ieee")


@triton.jit
def gate(signal, opening):
    return (2 * tl.sigmoid(2 * signal) - 1) * tl.sigmoid(opening)


@triton.jit
def opened(signal, opening):
    return signal * tl.sigmoid(opening)


@triton.jit
def relu(x):
    # What is not a number stays so: it is looked for where symbols are drawn.
    return tl.where(x < 0, 0.0, x)


@triton.jit
def tanh(x):
    return 2 * tl.sigmoid(2 * x) - 1


@triton.jit
def elu(x):
    return tl.where(x > 0, x, tl.exp(tl.where(x > 0, 0.0, x)) - 1)


@triton.jit
def value(symbol, SCALE: tl.constexpr, SHIFT: tl.constexpr, L: tl.constexpr):
    number = symbol.to(tl.float32) * SCALE + SHIFT
    return tl.where(tl.arange(0, L)[None, :] == 0, number[:, None], 0.0)


@triton.jit
def keep(scratch, parameters, START: tl.constexpr, x, W: tl.constexpr, L: tl.constexpr):
    lane = tl.arange(0, L)
    mask = (lane < W)[None, :] & (parameters >= 0)[:, None]
    tl.store(scratch + (parameters + START)[:, None] + lane[None, :], x, mask=mask)


@triton.jit
def uniform(seed, sample, age, CHANNEL: tl.constexpr):
    zero = (age * 0).to(tl.uint32)
    word, _, _, _ = tl.philox(
        seed.to(tl.uint64),
        age.to(tl.uint32),
        zero + CHANNEL,
        sample.to(tl.uint32),
        zero,
    )
    return ((word >> 9).to(tl.float32) + 0.5) * 1.1920928955078125e-07


@triton.jit
def known(place, is_given, given, forced, symbol, own_nats):
    if forced:
        told = tl.load(is_given + place) != 0
        symbol = tl.where(told, tl.load(given + place), symbol)
        own_nats = tl.where(told, 0.0, own_nats)
    return symbol, own_nats


@triton.jit
def count(nats, bads, here, own_nats, finite, alive, k):
    sum_of_nats, bad = tl.load(nats + here), tl.load(bads + here)
    tl.store(nats + here, sum_of_nats + tl.where(alive, own_nats, 0.0).to(tl.float64))
    tl.store(bads + here, tl.where((bad < 0) & alive & (finite == 0), k, bad))
