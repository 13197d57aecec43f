"""A step program as the text of a kernel.

The text calls functions that exist twice, by Triton in `kernels.py` and in plain torch in
`twin.py`; they are the words of a small language:

    for k in range(0, last):                       a position of all slots of a tile
        ...
        cell, seen = sound_cell(...)               where in a slot's memory, and is anything there
        x64_1 = take(grids, memory, cell, ...)     a block of floats for each slot
        w64_x64_2 = weights_of(weights, ...)       a block of weights
        x64_2 = dot(x64_1, w64_x64_2, x64_2)       a product with it, added
        x64_3 = gate(x64_2, x64_0)
        put(grids, memory, cell, x64_3, ...)

Where weights and memories lie is in a table of numbers, which the text reads from front to back:
`at` is the next one. So like layers have the same text, and become a loop (`rolled.py`), or one
function that is called for each: what a compiler takes grows faster than the text that it is given.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ancestral.models.sampling.fused.groups import Group, Groups, is_supported
from ancestral.models.sampling.fused.op_text import OpWriter, Scratch
from ancestral.models.sampling.fused.places import Places
from ancestral.models.sampling.fused.rolled import Lines, indented, rolled
from ancestral.models.sampling.fused.tables import Tables
from ancestral.models.sampling.ops import ColourMixture, Draw, Embed, Value
from ancestral.models.sampling.program import StepProgram

#: What a kernel is called with, in this order; `state.py` says what each of them is.
ARGUMENTS = (
    *("weights", "floats", "numbers", "grids", "fixed", "aligned", "scratch"),
    *("tiles", "clocks", "is_forced", "is_truncated"),
    *("seeds", "samples", "ages", "lengths", "temperatures", "top_ks", "top_ps"),
    *("is_given", "given", "symbols", "nats", "bads"),
    *("positions", "all_columns"),
)


#: The function of a text that is the kernel, and how the names begin of those that it calls.
RUN, GROUP = "run", "group_"
#: What a group's function is called with.
_SHARED = ("weights", "floats", "numbers", "grids", "fixed", "aligned", "ages", "all_columns")


@dataclass(frozen=True)
class KernelSource:
    """A program's kernel: its text, and the tables that the text reads.

    `weights` are blocks (inputs, outputs) of products, one behind the other; `floats` are biases
    and tables of symbols; `numbers` (int64) say where they, and memories, lie. A slot has
    `scratch_floats` beside its memory, which is laid out by `places`.
    """

    text: str
    weights: Tensor
    floats: Tensor
    numbers: Tensor
    places: Places
    scratch_floats: int


def kernel_source(program: StepProgram, slots: int) -> KernelSource:
    """The kernel of a program that is supported, in tiles of so many slots."""
    assert is_supported(program)
    groups = Groups.of(program)
    tables, scratch = Tables(), Scratch()
    places = Places(program, groups.kept.values())
    writer = _Writer(program, groups, tables, places, scratch, slots)
    sweep, step = writer.sweep(), writer.step()
    lines = [
        "tile = scalar(tiles, program_number())",
        *_of_slots(program, slots, places),
        *_of_launch(program, scratch),
        "for k in range(0, last):",
    ]
    lines += indented([*_position(program), *sweep, *step, "barrier()"])
    text = "\n".join(
        [*writer.functions(), f"def {RUN}({', '.join(ARGUMENTS)}):", *indented(lines), ""]
    )
    return KernelSource(
        text, tables.weights(), tables.floats(), tables.numbers(), places, scratch.floats
    )


class _Writer:
    """Writes the lists of a program, in order."""

    def __init__(
        self,
        program: StepProgram,
        groups: Groups,
        tables: Tables,
        places: Places,
        scratch: Scratch,
        slots: int,
    ) -> None:
        self._program = program
        self._slots = slots
        self._groups = groups
        self._tables = tables
        self._places = places
        self._scratch = scratch
        self._channel = 0
        #: The names of functions, by what they do.
        self._functions: dict[Lines, str] = {}

    def functions(self) -> list[str]:
        """The functions of groups; they were written before."""
        lines: list[str] = []
        for body, name in self._functions.items():
            position = [*_of_slots(self._program, self._slots, self._places), "age = admitted + k"]
            if self._program.columns is not None:
                position.append(f"event_row = age // {self._program.columns}")
            lines += [f"def {name}({', '.join(self._arguments)}):", *indented([*position, *body])]
            lines += ["", ""]
        return lines

    @property
    def _arguments(self) -> tuple[str, ...]:
        """What a group's function is called with."""
        place = ("clock",) if self._program.columns is None else ("row", "column")
        return ("tile", "k", *place, "at", *_SHARED)

    def sweep(self) -> list[str]:
        """The row sweep, which is due where a row begins."""
        if not self._groups.sweep:
            return ["at = 0"]
        units: list[Lines] = [("barrier()",)]
        units += [self._group(group, in_sweep=True) for group in self._groups.sweep]
        behind = self._tables.told
        return [
            "at = 0",
            "if column == 0:",
            *indented(rolled(units)),
            f"at = {behind}",
        ]

    def step(self) -> list[str]:
        """The step. A group that draws stays as it is, so that its symbols are known to others."""
        units: list[Lines] = []
        for group in self._groups.step:
            if any(isinstance(op, Draw | Embed | Value | ColourMixture) for op in group.ops):
                units += [("barrier()",), *self._ops(group, "column")]
            else:
                units.append(self._group(group, in_sweep=False))
        return rolled(units)

    def _group(self, group: Group, *, in_sweep: bool) -> Lines:
        """The call of a group's function."""
        due, before = group.due, self._tables.told
        body = rolled(self._ops(group, "across" if in_sweep else "column"))
        conditions = []
        if due.row_step > 1:
            conditions.append(f"(row % {due.row_step} == {due.row})")
        if in_sweep:
            across = f"range({due.column}, {self._program.columns}, {due.column_step})"
            body = ["begin = at", f"for across in {across}:", *indented(["at = begin", *body])]
        elif due.column_step > 1:
            conditions.append(f"(column % {due.column_step} == {due.column})")
        name = self._functions.setdefault(tuple(body), f"{GROUP}{len(self._functions)}")
        call = f"{name}({', '.join(self._arguments)})"
        if conditions:
            return f"if {' & '.join(conditions)}:", f"    {call}", *self._behind(before)
        return call, *self._behind(before)

    def _behind(self, before: int) -> Lines:
        """What follows a group."""
        return "barrier()", f"at = at + {self._tables.told - before}"

    def _ops(self, group: Group, column: str) -> list[Lines]:
        """The pieces of all ops."""
        writer = OpWriter(
            self._program,
            group.ops,
            column,
            self._tables,
            self._places,
            self._scratch,
            self._groups.kept,
            self._slots,
        )
        units: list[Lines] = []
        for number, op in enumerate(group.ops):
            units += writer.units(number, self._channel)
            self._channel += isinstance(op, Draw)
        return units


def _of_slots(program: StepProgram, slots: int, places: Places) -> list[str]:
    """Where a tile's slots have what is theirs."""
    lines = [
        f"here = slots_of(tile, {slots})",
        f"memory = here * {places.floats}",
        "admitted = each(ages, here)",
    ]
    if program.global_width:
        lines.append(f"own_fixed = here * {program.global_width}")
    if program.local_width:
        lines.append(f"own_aligned = here * all_columns * {program.local_width}")
    return lines


def _of_launch(program: StepProgram, scratch: Scratch) -> list[str]:
    """What holds for a whole launch."""
    lines = [
        f"scratch_floats = {scratch.floats}",
        "parameters = here * scratch_floats",
        "began = scalar(clocks, tile)",
        "forced = scalar(is_forced, tile)",
        "truncated = scalar(is_truncated, tile)",
        "left = each(lengths, here) - admitted",
        "last = positions_left(positions, left)",
    ]
    if any(isinstance(op, ColourMixture) for op in program.ops):
        lines.append("no_symbol = here * 0")
    return lines


def _position(program: StepProgram) -> list[str]:
    """What holds for a position."""
    lines = ["clock = began + k", "age = admitted + k"]
    if program.columns is not None:
        lines += [
            f"row = clock // {program.columns}",
            f"column = clock % {program.columns}",
            f"event_row = age // {program.columns}",
        ]
    return lines
