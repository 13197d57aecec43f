"""A step program as the native executor runs it: structures, packed weights, and sizes."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ancestral.models.sampling.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Gaussian,
    LogisticMixture,
)
from ancestral.models.sampling.native.forced import forced_step
from ancestral.models.sampling.native.layout import GridShape, Layout
from ancestral.models.sampling.native.packing import (
    packed_bfloat16,
    packed_float32,
    padded_bias,
)
from ancestral.models.sampling.native.structures import (
    BLOCK,
    DistributionKind,
    GridStructure,
    Image,
    OperandStructure,
    OpKind,
    OpStructure,
    ProgramStructure,
    RegisterStructure,
    WeightsStructure,
)
from ancestral.models.sampling.ops import (
    Activation,
    Add,
    ByColumn,
    ColourMixture,
    Condition,
    Dense,
    Draw,
    Embed,
    Gate,
    Op,
    Read,
    Source,
    Value,
    When,
    Window,
    Write,
    changed,
    offset_at,
    sources,
    width_at,
)
from ancestral.models.sampling.program import StepProgram

#: Positions of a sound that are forced at once, about.
FORCED_POSITIONS = 64

#: What a product takes at once: rows, and steps over their inputs; `product.h` has the same.
MOST_ROWS, MOST_STEPS = 8, 4096

_List = Literal["frame", "row", "step", "forced"]

_DISTRIBUTIONS: dict[type[Distribution], DistributionKind] = {
    Categorical: DistributionKind.CATEGORICAL,
    Bernoulli: DistributionKind.BERNOULLI,
    LogisticMixture: DistributionKind.LOGISTIC_MIXTURE,
    Gaussian: DistributionKind.GAUSSIAN,
}
_ACTIVATIONS = {"relu": OpKind.RELU, "tanh": OpKind.TANH, "concat_elu": OpKind.CONCAT_ELU}
_OPS: dict[type[Op], OpKind] = {
    Dense: OpKind.DENSE,
    ByColumn: OpKind.DENSE,
    Condition: OpKind.CONDITION,
    Gate: OpKind.GATE,
    Add: OpKind.ADD,
    Write: OpKind.WRITE,
    Draw: OpKind.DRAW,
    Embed: OpKind.EMBED,
    Value: OpKind.VALUE,
    ColourMixture: OpKind.COLOUR_MIXTURE,
}


class CompiledProgram:
    """A program for one kind of unit. `forced`: for units that take in prefixes, whose rings hold
    as many columns more as are forced at once."""

    def __init__(self, program: StepProgram, *, bfloat16: bool = False, forced: bool = False):
        self.program = program
        self._image = Image()
        self._bfloat16 = bfloat16
        self._layout = Layout(program, self._image)
        self._forced = forced_step(program) if forced else None
        #: Positions of a sound that are forced at once: whole periods.
        self._stretch = program.whole_periods(FORCED_POSITIONS)
        slack = self._stretch if self.forces else 0
        self.shapes = {grid: GridShape.of(grid, program, slack) for grid in program.grids}
        self._widest = max((_most_floats(op) for op in program.ops), default=1)
        self._structure = self._compile()

    @property
    def forces(self) -> bool:
        """Whether a prefix can be taken in, many positions at once."""
        return self._forced is not None

    @property
    def address(self) -> int:
        """Of the program's structure."""
        return ctypes.addressof(self._structure)

    @property
    def scratch_floats(self) -> int:
        """What a slot's registers take."""
        return self._layout.scratch

    @property
    def work_floats(self) -> int:
        """What an executor needs beside the registers, for wide units."""
        levels = self.program.levels or 2
        drawing = (2 * self._widest + 16 + 3 * levels) * BLOCK
        aside = MOST_ROWS * (self._widest + BLOCK) * BLOCK
        pairs = (MOST_STEPS + 64) * BLOCK
        return drawing + aside + pairs

    def _compile(self) -> ProgramStructure:
        program, image = self.program, self._image
        lists: dict[_List, Sequence[Op | When]] = {
            "frame": program.frame_sweep,
            "row": program.row_sweep,
            "step": program.step,
            "forced": self._forced or (),
        }
        ops = {kind: self._ops(items, kind) for kind, items in lists.items()}
        grids = [shape.structure(grid, program) for grid, shape in self.shapes.items()]
        distribution = program.draws[0].distribution
        return ProgramStructure(
            rows=program.rows or 0,
            columns=program.columns or 0,
            channels=program.channels,
            distribution=_DISTRIBUTIONS[type(distribution)],
            levels=distribution.levels or 0,
            components=getattr(distribution, "components", 0),
            aligned_width=program.local_width,
            hop=program.hop,
            cells=program.cells,
            grids=len(self.shapes),
            operands=len(self._layout.operands),
            frame_ops=len(ops["frame"]),
            row_ops=len(ops["row"]),
            step_ops=len(ops["step"]),
            forced_ops=len(ops["forced"]),
            forced_columns=self._stretch if self.forces else 0,
            bfloat16=self._bfloat16,
            oldest=max((-read.dx * read.grid.column_stride for read in program.reads), default=0),
            scratch=self._layout.scratch,
            offset=getattr(distribution, "offset", 0.0),
            register=image.structures(RegisterStructure, self._layout.registers),
            grid=image.structures(GridStructure, grids),
            operand=image.structures(OperandStructure, self._layout.operands),
            **{f"{kind}_op": image.structures(OpStructure, own) for kind, own in ops.items()},
        )

    def _ops(self, items: Sequence[Op | When], kind: _List) -> list[OpStructure]:
        structures = []
        channels = iter(range(self.program.channels))
        for item in items:
            when = item if isinstance(item, When) else When((item,))
            span: object = kind
            if kind in ("row", "forced"):
                span = kind, when.column_step, when.column
            for op in when.ops:
                structure = self._op(op, kind, span, when)
                structure.row_step, structure.row = when.row_step, when.row
                structure.column_step, structure.column = when.column_step, when.column
                if isinstance(op, Draw):
                    structure.channel = next(channels)
                structures.append(structure)
        return structures

    def _op(self, op: Op, kind: _List, span: object, when: When) -> OpStructure:
        vectors = self._vectors(kind, when)
        read = [self._layout.operand(source, span, vectors) for source in sources(op)]
        place = Read(op.grid, 0, 0) if isinstance(op, Write) else getattr(op, "target", None)
        target = 0 if place is None else self._layout.operand(place, span, vectors)
        structure = OpStructure(
            kind=_ACTIVATIONS[op.kind] if isinstance(op, Activation) else _OPS[type(op)],
            target=target,
            source=self._layout.side_by_side(read),
            sources=len(read),
        )
        match op:
            case Dense() | ByColumn():
                structure.flag = op.accumulate
                structure.by_column = isinstance(op, ByColumn)
                structure.weight = self._weights(op)
            case Condition():
                columns = range(1)
                if isinstance(op.offset, tuple):
                    columns = range(len(op.offset))
                    structure.by_column = 1
                structure.flag, structure.aligned = op.accumulate, op.scope == "local"
                structure.offset = self._image.numbers([offset_at(op, c) for c in columns])
            case Gate():
                structure.flag = op.squash == "tanh"
            case Embed():
                table = op.table.detach().to("cpu", torch.float32).contiguous().numpy()
                structure.table, structure.channel = self._image.array(table), op.channel
            case Value():
                structure.scale, structure.shift = op.scale, op.shift
                structure.channel = op.channel
            case ColourMixture():
                structure.channel = op.channel
            case _:
                pass
        return structure

    def _weights(self, op: Dense | ByColumn) -> int:
        structures = []
        weights = op.weight if isinstance(op, ByColumn) else (op.weight,)
        bias = 0
        if isinstance(op, Dense) and op.bias is not None:
            bias = self._image.array(padded_bias(op.bias))
        for column, weight in enumerate(weights):
            if self._bfloat16:
                widths = [width_at(source, column) for source in op.sources]
                packed: NDArray[np.generic] = packed_bfloat16(weight, widths)
            else:
                packed = packed_float32(weight)
            structures.append(WeightsStructure(self._image.array(packed), bias, weight.shape[0]))
        return self._image.structures(WeightsStructure, structures)

    def _vectors(self, kind: _List, when: When) -> int:
        """Vectors of a slot that a register holds."""
        rows, columns = self.program.rows or 1, self.program.columns or self._stretch
        match kind:
            case "step":
                return 1
            case "frame":
                return rows * columns
            case _:
                return -(-(columns - when.column) // when.column_step)


def _most_floats(op: Op) -> int:
    """Floats of the widest operand."""
    widths = [_width(source) for source in sources(op)]
    target = changed(op)
    return max([*widths, 1 if target is None else target.width])


def _width(source: Source) -> int:
    of = source.of if isinstance(source, Window) else source
    return of.grid.width if isinstance(of, Read) else of.width


def runs(program: StepProgram) -> bool:
    """Whether the native executor knows the law of the program's symbols; it has one for all."""
    first, *others = (op.distribution for op in program.ops if isinstance(op, Draw | ColourMixture))
    return type(first) in _DISTRIBUTIONS and all(other == first for other in others)
