"""The torch executor of step programs: one tile of slots, on any device.

A tile always computes all its slots, whoever is there. Matrix libraries choose their inner loops by
the shape of a product, and a sum taken in another order can end in another bit; with the slots of a
tile fixed and every width padded to 16, no product's shape depends on a neighbour. Together with
one thread (a product split over threads is another sum) this makes each slot's bits its own.

Shapes: S slots of the tile, K steps of a run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ancestral.models.autoregressive import Projection
from ancestral.models.sampling.actions import Action, make_ready
from ancestral.models.sampling.distributions import Distribution
from ancestral.models.sampling.draw import Settings, SettingsBatch
from ancestral.models.sampling.memory import Place, Span, TileMemory
from ancestral.models.sampling.ops import Draw, Op, When
from ancestral.models.sampling.philox import uniform
from ancestral.models.sampling.program import StepProgram

#: Slots of a tile. Fixed, because the shape of a product is part of what decides its bits.
TILE_SLOTS = 64


@dataclass(frozen=True)
class Prefill:
    """What a slot remembered when so many symbols of its event were known: the warm cache of a
    prefix, from which any number of samples can go on."""

    symbols: int
    grids: list[Tensor]
    place: Place

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return sum(grid.nbytes for grid in self.grids)


@dataclass(frozen=True)
class Start:
    """What a slot needs to begin an event of `length` symbols.

    The symbols of `prefix` (n,) are not drawn but given. `prefill` is what the slot would remember
    after some of them, if that is known.
    """

    projection: Projection
    length: int
    seed: int
    sample: int
    settings: Settings
    prefix: Tensor | None = None
    prefill: Prefill | None = None


@dataclass(frozen=True)
class Drawn:
    """A finished event: `symbols` (length,), int32 or float64, and log p(x | c) in nats of those
    that were drawn.

    `bad_position` is the first position whose parameters were not finite; the event is then
    worthless.
    """

    symbols: np.ndarray
    log_likelihood_nats: float
    bad_position: int | None


@dataclass
class _Slot:
    """`age` and `length` count positions, `prefix` (positions, channels) as far as it is given."""

    start: Start
    prefix: Tensor
    given: int
    length: int
    aligned: Tensor
    first_step: int
    age: int = 0
    symbols: list[np.ndarray] = field(default_factory=list)
    bad_position: int | None = None

    @property
    def remaining(self) -> int:
        return 0 if self.bad_position is not None else self.length - self.age


@contextmanager
def single_threaded() -> Iterator[None]:
    """One torch thread within, as many as before afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def numerics_class(device: torch.device, dtype: torch.dtype) -> str:
    """The name within which equal requests give equal bytes: processor, executor, dtype, torch."""
    if device.type == "cuda":
        processor = torch.cuda.get_device_name(device).replace(" ", "-").lower()
    else:
        processor = f"{device.type}-{torch.backends.cpu.get_cpu_capability().lower()}"
    version = torch.__version__.split("+")[0]
    return f"{processor}/reference/{str(dtype).removeprefix('torch.')}/torch-{version}"


class ReferenceTile:
    """`TILE_SLOTS` slots that run one program in step."""

    def __init__(self, program: StepProgram, device: torch.device, dtype: torch.dtype) -> None:
        self._program = program
        self._device = device
        self._dtype = dtype
        self._slots: dict[int, _Slot] = {}
        self._clock = 0
        self._memory = TileMemory(program, TILE_SLOTS, device, dtype)
        self._symbol_dtype = program.draws[0].distribution.symbol_dtype
        self._symbols = torch.zeros(
            program.channels, TILE_SLOTS, dtype=self._symbol_dtype, device=device
        )
        self._uniform = self._memory.zeros(program.channels, TILE_SLOTS)
        self._parameters_sum = self._memory.zeros(program.channels, TILE_SLOTS)
        self._log_likelihood = torch.zeros(TILE_SLOTS, dtype=torch.float64, device=device)
        self._settings = SettingsBatch(None, None, None)
        #: Where a position's symbols are given: (channels, S), and what they are.
        self._is_given: Tensor | None = None
        self._given = torch.zeros_like(self._symbols)
        self._frame_sweep = self._scheduled(program.frame_sweep, "frame")
        self._row_sweep = self._scheduled(program.row_sweep, "row")
        self._step = self._scheduled(program.step, "position")

    @property
    def active(self) -> int:
        """Slots with an event in them."""
        return len(self._slots)

    @property
    def free_slot(self) -> int | None:
        """A slot without an event, if there is one."""
        return next((s for s in range(TILE_SLOTS) if s not in self._slots), None)

    @property
    def positions_to_end(self) -> int:
        """Positions until the first of the tile's events ends."""
        return min(slot.remaining for slot in self._slots.values())

    def age(self, slot: int) -> int:
        """How many symbols of its event are known in a slot."""
        return self._slots[slot].age * self._program.channels

    def admit(self, slot: int, start: Start) -> None:
        """Begin an event in a free slot; the tile stands on a period boundary."""
        program, memory = self._program, self._memory
        assert slot not in self._slots and self._clock % program.period == 0
        if start.projection.fixed is not None:
            memory.fixed.rows[0, slot] = memory.fixed.pack(start.projection.fixed)[0]
        aligned = memory.zeros(0, 0)
        if start.projection.aligned is not None:
            packed = memory.aligned.pack(start.projection.aligned[0])
            aligned = packed.view(-1, program.cells, packed.shape[1])
        self._log_likelihood[slot] = 0.0
        admitted = _Slot(
            start,
            *_padded_prefix(start.prefix, program.channels, self._symbol_dtype),
            start.length // program.channels,
            aligned,
            self._clock,
        )
        if start.prefill is None:
            memory.clear(slot)
        else:
            self._go_on(slot, admitted, start.prefill)
        self._slots[slot] = admitted

    def prefill(self, slot: int) -> Prefill:
        """What a slot remembers now; the tile stands on a period boundary."""
        assert self._clock % self._program.period == 0
        return Prefill(self.age(slot), self._memory.saved(slot), self._place)

    def run(self, positions: int) -> dict[int, Drawn]:
        """Go on by so many positions in every slot; the events that ended, by slot.

        `positions` is a whole number of periods and at most `positions_to_end`.
        """
        assert positions % self._program.period == 0
        numbers, turns = self._uniforms(positions), self._turns()
        is_given, given = self._given_symbols(positions)
        self._settings = self._settings_batch()
        channels = self._program.channels
        symbols = self._symbols.new_zeros(positions, channels, TILE_SLOTS)
        sums = self._memory.zeros(positions, channels, TILE_SLOTS)
        for k in range(positions):
            self._turn_columns(turns)
            self._uniform.copy_(numbers[k])
            self._is_given = None if is_given is None else is_given[k]
            if given is not None:
                self._given = given[k]
            self._run_step()
            symbols[k] = self._symbols
            sums[k] = self._parameters_sum
        finite = torch.isfinite(sums).all(1)
        self._record(symbols.cpu().numpy(), finite.cpu().numpy())
        ended = [number for number, slot in self._slots.items() if not slot.remaining]
        return {number: self._retire(number) for number in ended}

    @property
    def _place(self) -> Place:
        rows, columns = self._program.rows, self._program.columns
        if rows is None or columns is None:
            return Place(0, 0, self._clock)
        row, column = divmod(self._clock, columns)
        if not self._program.frame_sweep:
            return Place(0, row, column)
        return Place(row // rows, row % rows, column)

    def _go_on(self, slot: int, admitted: _Slot, prefill: Prefill) -> None:
        """Continue a slot from a prefill, as if it had been there all the time."""
        program = self._program
        admitted.age = prefill.symbols // program.channels
        admitted.first_step -= admitted.age
        known = admitted.prefix[: admitted.age]
        admitted.symbols.append(_compact(known.cpu().numpy()))
        self._memory.restore(slot, prefill.grids, prefill.place, self._place)
        if len(admitted.aligned) and admitted.age % program.hop:
            self._memory.aligned.rows[:, slot] = admitted.aligned[admitted.age // program.hop]

    def _scheduled(
        self, items: Sequence[Op | When], kind: Literal["position", "row", "frame"]
    ) -> Schedule:
        """The actions of an op list, by where they are due."""
        draws = iter(range(self._program.channels))
        actions: list[tuple[Action, When]] = []
        for item in items:
            when = item if isinstance(item, When) else When((item,))
            span = Span(kind)
            if kind == "row":
                span = Span(kind, when.column_step, when.column)
            for op in when.ops:
                if isinstance(op, Draw):
                    actions.append((self._draw_action(op, span, next(draws)), when))
                else:
                    ready = make_ready(op, self._memory, span, list(self._symbols))
                    actions.append((ready, when))
        return Schedule(actions, by_column=kind == "position")

    def _draw_action(self, op: Draw, span: Span, channel: int) -> Action:
        padded = self._memory.register(op.parameters, span)[:, : op.parameters.width]
        return lambda frame, row, column: self._draw(padded, op.distribution, channel)

    def _draw(self, padded: Tensor, distribution: Distribution, channel: int) -> None:
        parameters = padded.contiguous()
        torch.sum(parameters, dim=1, out=self._parameters_sum[channel])
        symbols = distribution.draw(parameters, self._uniform[channel], self._settings)
        if self._is_given is not None:
            symbols = torch.where(self._is_given[channel], self._given[channel], symbols)
        self._symbols[channel] = symbols
        nats = distribution.log_prob(parameters, self._symbols[channel])
        if self._is_given is not None:
            nats = torch.where(self._is_given[channel], 0.0, nats)
        self._log_likelihood.add_(nats)

    def _run_step(self) -> None:
        place = self._place
        frame, row, column = place.frame, place.row, place.column
        if column == 0 and self._program.columns is not None:
            if row == 0 and self._program.frame_sweep:
                self._memory.begin_frame()
                self._frame_sweep.run(frame, 0, 0)
            self._row_sweep.run(frame, row, 0)
        self._step.run(frame, row, column)
        self._clock += 1

    def _uniforms(self, positions: int) -> Tensor:
        """The uniform numbers of the next positions, (K, channels, S)."""
        facts = torch.zeros(3, TILE_SLOTS, dtype=torch.int64)
        for number, slot in self._slots.items():
            facts[:, number] = torch.tensor([slot.start.seed, slot.start.sample, slot.age])
        seed, sample, age = facts.to(self._device)
        position = age + torch.arange(positions, device=self._device).unsqueeze(1)
        channels = range(self._program.channels)
        numbers = [uniform(seed, sample, position, channel) for channel in channels]
        return torch.stack(numbers, dim=1).to(self._dtype)

    def _given_symbols(self, positions: int) -> tuple[Tensor | None, Tensor | None]:
        """Which symbols of the next positions are given, and what they are: (K, channels, S)."""
        if not any(slot.age * self._program.channels < slot.given for slot in self._slots.values()):
            return None, None
        given = self._symbols.new_zeros(positions, self._program.channels, TILE_SLOTS)
        is_given = torch.zeros_like(given, dtype=torch.bool)
        for number, slot in self._slots.items():
            part = slot.prefix[slot.age : slot.age + positions]
            given[: len(part), :, number] = part.to(given)
            known = max(0, slot.given - slot.age * self._program.channels)
            is_given[:, :, number] = (
                torch.arange(positions * self._program.channels, device=self._device)
                .lt(known)
                .view(positions, self._program.channels)
            )
        return is_given, given

    def _settings_batch(self) -> SettingsBatch:
        idle = Settings()
        settings = [idle] * TILE_SLOTS
        for number, slot in self._slots.items():
            settings[number] = slot.start.settings
        batch = SettingsBatch.of(settings, self._program.levels, self._dtype)
        return batch.to(self._device)

    def _turns(self) -> dict[int, list[int]]:
        """The slots that go on to their next column of aligned conditioning, by clock mod hop."""
        turns: dict[int, list[int]] = {}
        for number, slot in self._slots.items():
            if len(slot.aligned):
                turns.setdefault(slot.first_step % self._program.hop, []).append(number)
        return turns

    def _turn_columns(self, turns: dict[int, list[int]]) -> None:
        for number in turns.get(self._clock % self._program.hop, ()):
            slot = self._slots[number]
            column = (self._clock - slot.first_step) // self._program.hop
            self._memory.aligned.rows[:, number] = slot.aligned[column]

    def _record(self, symbols: np.ndarray, finite: np.ndarray) -> None:
        """Give each slot its share of symbols (K, channels, S) and of what was finite (K, S)."""
        for number, slot in self._slots.items():
            slot.symbols.append(_compact(symbols[:, :, number]))
            if slot.bad_position is None and not finite[:, number].all():
                slot.bad_position = slot.age + int(np.argmin(finite[:, number]))
            slot.age += len(symbols)

    def _retire(self, number: int) -> Drawn:
        slot = self._slots.pop(number)
        symbols = np.concatenate(slot.symbols).reshape(-1)
        return Drawn(symbols, float(self._log_likelihood[number]), slot.bad_position)


class Schedule:
    """Actions by where they are due: those of one row and column, modulo all steps, in a list."""

    def __init__(self, actions: Sequence[tuple[Action, When]], *, by_column: bool) -> None:
        self._rows = math.lcm(1, *(when.row_step for _, when in actions))
        columns = (when.column_step for _, when in actions) if by_column else ()
        self._columns = math.lcm(1, *columns)
        self._due = [
            [
                [
                    action
                    for action, when in actions
                    if row % when.row_step == when.row
                    and (not by_column or column % when.column_step == when.column)
                ]
                for column in range(self._columns)
            ]
            for row in range(self._rows)
        ]

    def run(self, frame: int, row: int, column: int) -> None:
        """Do what is due at a position."""
        for act in self._due[row % self._rows][column % self._columns]:
            act(frame, row, column)


def _padded_prefix(prefix: Tensor | None, channels: int, dtype: torch.dtype) -> tuple[Tensor, int]:
    """The prefix (positions, channels), filled up to a whole position, and how much is given."""
    given = torch.zeros(0, dtype=dtype) if prefix is None else prefix.to(dtype)
    return F.pad(given, (0, -len(given) % channels)).view(-1, channels), len(given)


def _compact(symbols: np.ndarray) -> np.ndarray:
    """A copy: symbols of levels as int32, real numbers as they are."""
    return symbols.astype(np.float64 if symbols.dtype.kind == "f" else np.int32)
