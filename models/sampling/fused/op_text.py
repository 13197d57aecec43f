"""The text of ops: which functions do what an op says to its blocks."""

from __future__ import annotations

from collections.abc import Sequence

from ancestral.models.sampling.distributions import Bernoulli, Categorical, LogisticMixture
from ancestral.models.sampling.fused.blocks import Block, lanes
from ancestral.models.sampling.fused.group_text import GroupText
from ancestral.models.sampling.fused.places import Places
from ancestral.models.sampling.fused.rolled import Lines
from ancestral.models.sampling.fused.tables import UNIT, Tables, register_blocks, source_blocks
from ancestral.models.sampling.ops import (
    Activation,
    Add,
    ColourMixture,
    Condition,
    Dense,
    Draw,
    Embed,
    Gate,
    Grid,
    Op,
    Register,
    Value,
    Write,
    changed,
)
from ancestral.models.sampling.program import StepProgram

#: Slots that draw at the same time. All levels of all slots of a tile would not fit the registers.
DRAWN_SLOTS = 16


class Scratch:
    """Where the parameters of draws lie, beside a slot's memory."""

    def __init__(self) -> None:
        self._starts: dict[Register, int] = {}
        self._floats = 0

    def start(self, register: Register) -> int:
        """Where a register's floats begin."""
        if register not in self._starts:
            self._starts[register] = self._floats
            self._floats += register.width
        return self._starts[register]

    def holds(self, register: Register) -> bool:
        """Whether a register has a place here."""
        return register in self._starts

    @property
    def floats(self) -> int:
        """Floats of a slot."""
        return max(self._floats, 1)


class OpWriter(GroupText):
    """Writes the ops of one group."""

    def __init__(
        self,
        program: StepProgram,
        ops: Sequence[Op],
        column: str,
        tables: Tables,
        places: Places,
        scratch: Scratch,
        kept: dict[Register, Grid],
        slots: int,
    ) -> None:
        super().__init__(program, ops, column, tables, places, kept)
        self._scratch = scratch
        self._slots = slots

    def units(self, number: int, channel: int) -> list[Lines]:
        """The text of an op, in one piece or several; `channel` is that of the next draw."""
        op = self._ops[number]
        self._units = []
        match op:
            case Dense():
                self._dense(op)
            case Condition():
                self._condition(op)
            case Gate():
                function = "gate" if op.squash == "tanh" else "opened"
                source = self._read_register(op.source)
                half = len(source) // 2
                target = self._begin(op.target)
                for name, signal, opening in zip(target, source[:half], source[half:], strict=True):
                    self._say(f"{name} = {function}({signal}, {opening})")
                self._end(op.target, target)
            case Activation():
                self._activation(op)
            case Add():
                self._add(op, number)
            case Write():
                self._write(op.source, op.grid)
                self._fresh[op.grid] = op.source
            case Draw():
                self._draw(op, channel)
            case Embed():
                self._embed(op)
            case Value():
                (name,) = target = self._begin(_register(op.target))
                (block,) = register_blocks(op.target)
                self._say(
                    f"{name} = value(symbol_{op.channel}, {op.scale!r}, {op.shift!r}, "
                    f"{block.lanes})"
                )
                self._end(_register(op.target), target)
            case ColourMixture():
                self._colour_mixture(op)
            case _:
                raise AssertionError(f"kernels know no {type(op).__name__}")
        if number + 1 == len(self._ops):
            for register, grid in self._kept.items():
                if any(changed(each) is register for each in self._ops):
                    self._write(register, grid)
        self._variables.end(number, kept=tuple(self._kept))
        self._end_unit()
        return self._units

    def _dense(self, op: Dense) -> None:
        register = _register(op.target)
        shape = register_blocks(register)
        if op.accumulate:
            names = self._read_register(register)
        else:
            names = self._begin(register)
        if op.bias is not None:
            self._say(f"bias = number(numbers, {self._next()}) * {UNIT}")
            self._tables.tell_floats(op.bias)
        for name, block in zip(names, shape, strict=True):
            row = f"bias_row(floats, bias + {block.start}, here, {block.width}, {block.lanes})"
            if op.accumulate and op.bias is not None:
                self._say(f"{name} = {name} + {row}")
            elif not op.accumulate:
                self._say(f"{name} = {row if op.bias is not None else zeros(block)}")
        self._say(f"weight = number(numbers, {self._next()}) * {UNIT}")
        self._tables.tell_weight(op)
        self._end_unit()
        for source in op.sources:
            # Each by itself, with like texts: of a convolution they become a loop.
            offset = 0
            read, temporary = self._read(source)
            for one, inputs in zip(read, source_blocks(source), strict=True):
                # First all weights, so that threads wait for memory, and for each other, once.
                # A name has one shape, as Triton asks for in loops.
                for name, outputs in zip(names, shape, strict=True):
                    at = f"weight + {offset}, {inputs.lanes}, {outputs.lanes}"
                    self._say(f"w{inputs.lanes}_{name} = weights_of(weights, {at})")
                    offset += inputs.lanes * outputs.lanes
                for name in names:
                    self._say(f"{name} = dot({one}, w{inputs.lanes}_{name}, {name})")
            if temporary:
                self._variables.give_back(read)
            self._say(f"weight = weight + {offset}")
            self._end_unit()
        self._end(register, names)

    def _condition(self, op: Condition) -> None:
        assert isinstance(op.offset, int)
        register = _register(op.target)
        names = self._read_register(register) if op.accumulate else self._begin(register)
        self._say(f"share = number(numbers, {self._next()})")
        self._tables.tell(op.offset)
        if op.scope == "global":
            pointer, own = "fixed", "own_fixed"
        else:
            pointer, own = "aligned", "own_aligned + own_column"
            self._say(self._own_column())
        for name, block in zip(names, register_blocks(register), strict=True):
            row = f"row_of({pointer}, {own}, share + {block.start}, {block.width}, {block.lanes})"
            self._say(f"{name} = {name} + {row}" if op.accumulate else f"{name} = {row}")
        self._end(register, names)

    def _own_column(self) -> str:
        """Where a slot's column of aligned conditioning lies among those of this launch."""
        program = self._program
        served = f"age // {program.hop} - admitted // {program.hop}"
        if program.columns is not None and program.cells > 1:
            cell = f"{self._column} // {program.columns // program.cells}"
            served = f"({served}) * {program.cells} + {cell}"
        return f"own_column = ({served}) * {program.local_width}"

    def _activation(self, op: Activation) -> None:
        source = self._read_register(_register(op.source))
        register = _register(op.target)
        target = self._begin(register)
        if op.kind == "concat_elu":
            half = len(target) // 2
            for name, negative, one in zip(target[:half], target[half:], source, strict=True):
                self._say(f"{name} = elu({one})")
                self._say(f"{negative} = elu(-{one})")
        else:
            for name, one in zip(target, source, strict=True):
                self._say(f"{name} = {op.kind}({one})")
        self._end(register, target)

    def _add(self, op: Add, number: int) -> None:
        names = self._read_register(op.target)
        read, temporary = self._read(op.source)
        result = names
        if isinstance(op.source, Register) and op.source not in self._kept:
            result = self._variables.take_over(op.target, op.source, number) or names
        for name, one, other in zip(result, names, read, strict=True):
            self._say(f"{name} = {one} + {other}")
        if temporary:
            self._variables.give_back(read)
        self._end(op.target, result)

    def _embed(self, op: Embed) -> None:
        register = _register(op.target)
        names = self._begin(register)
        self._say(f"table = number(numbers, {self._next()}) * {UNIT}")
        self._tables.tell_floats(op.table)
        for name, block in zip(names, register_blocks(register), strict=True):
            self._say(
                f"{name} = row_of(floats, symbol_{op.channel} * {op.table.shape[1]}, "
                f"table + {block.start}, {block.width}, {block.lanes})"
            )
        self._end(register, names)

    def _keep_parameters(self, register: Register) -> int:
        """Put a register where draws find it; where it begins."""
        if self._scratch.holds(register) and self._variables.held(register) is None:
            return self._scratch.start(register)
        start = self._scratch.start(register)
        names = self._read_register(register)
        # What an earlier draw reads there has been read.
        self._say("barrier()")
        for name, block in zip(names, register_blocks(register), strict=True):
            self._say(
                f"keep(scratch, parameters, {start + block.start}, {name}, {block.width}, "
                f"{block.lanes})"
            )
        self._say("barrier()")
        return start

    def _colour_mixture(self, op: ColourMixture) -> None:
        raw, target = self._keep_parameters(op.raw), self._scratch.start(op.target)
        earlier = [f"symbol_{channel}" for channel in range(op.channel)]
        first, second = (*earlier, "no_symbol", "no_symbol")[:2]
        distribution = op.distribution
        self._say(
            f"mix_colours(scratch, parameters, {raw}, {target}, {first}, {second}, {op.channel}, "
            f"{distribution.components}, {lanes(distribution.components)}, {distribution.levels}, "
            f"{distribution.smallest_log_scale!r})"
        )
        self._say("barrier()")

    def _draw(self, op: Draw, channel: int) -> None:
        start = self._keep_parameters(op.parameters)
        parts, channels = self._slots // DRAWN_SLOTS, self._program.channels
        at, what = f"scratch, some * scratch_floats, {start}", op.distribution
        asked = "u, each(temperatures, some), each(top_ks, some), each(top_ps, some), truncated"
        match what:
            case LogisticMixture(levels=levels, components=components):
                drawn = (
                    f"draw_mixture({at}, {asked}, {components}, {lanes(components)}, {levels}, "
                    f"{lanes(levels)}, {(levels - 1).bit_length()}, {what.smallest_log_scale!r})"
                )
            case Categorical(levels=levels) | Bernoulli(levels=levels):
                drawn = (
                    f"draw_level({at}, {asked}, {levels}, {lanes(levels)}, "
                    f"{isinstance(what, Bernoulli)})"
                )
        self._say(f"for part in range(0, {parts}):")
        for line in (
            f"some = slots_of(tile * {parts} + part, {DRAWN_SLOTS})",
            "own_age = each(ages, some) + k",
            f"u = uniform(each(seeds, some), each(samples, some), own_age, {channel})",
            f"symbol, own_nats, finite = {drawn}",
            f"own_place = (some * positions + k) * {channels} + {channel}",
            "symbol, own_nats = known(own_place, is_given, given, forced, symbol, own_nats)",
            "leave(symbols, own_place, symbol)",
            "alive = each(lengths, some) > own_age",
            "count(nats, bads, some, own_nats, finite, alive, k)",
        ):
            self._say(f"    {line}")
        # Others than drew them look at the symbols.
        self._say("barrier()")
        self._say(f"place = (here * positions + k) * {channels} + {channel}")
        self._say(f"symbol_{channel} = each(symbols, place)")


def zeros(block: Block) -> str:
    """A block of nothing, in a text."""
    return f"zeros(here, {block.lanes})"


def _register(place: object) -> Register:
    assert isinstance(place, Register)
    return place
