"""The torch executor of step programs: one tile of slots, on any device.

A tile always computes all its slots, whoever is there. Matrix libraries choose their inner loops by
the shape of a product, and a sum taken in another order can end in another bit; with the slots of a
tile fixed and every width padded to 16, no product's shape depends on a neighbour. Together with
one thread (a product split over threads is another sum) this makes each slot's bits its own.

Shapes: S slots of the tile, K steps of a run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ancestral.models.sampling.actions import Action, make_ready
from ancestral.models.sampling.aligned import AlignedColumns
from ancestral.models.sampling.distributions import Distribution
from ancestral.models.sampling.draw import Settings, SettingsBatch
from ancestral.models.sampling.executor import Executor, numerics_class, single_threaded
from ancestral.models.sampling.memory import Place, Span, TileMemory
from ancestral.models.sampling.ops import Draw, Op, When
from ancestral.models.sampling.philox import uniform
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.tile import Drawn, Slot, Tile

#: Slots of a tile. Fixed, because the shape of a product is part of what decides its bits.
TILE_SLOTS = 64


class ReferenceTile(Tile):
    """`TILE_SLOTS` slots that run one program in step."""

    def __init__(self, program: StepProgram, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(program, TILE_SLOTS)
        self._device = device
        self._dtype = dtype
        self._memory = TileMemory(program, TILE_SLOTS, device, dtype)
        self._aligned: dict[int, AlignedColumns] = {}
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

    def run(self, positions: int) -> dict[int, Drawn]:
        """Go on by so many positions in every slot; the events that ended, by slot.

        `positions` is a whole number of periods and at most `positions_to_end`.
        """
        assert positions % self.program.period == 0
        numbers, began = self._uniforms(positions), self._clock
        is_given, given = self._given_on_device(positions)
        self._settings = self._settings_batch()
        channels = self.program.channels
        symbols = self._symbols.new_zeros(positions, channels, TILE_SLOTS)
        sums = self._memory.zeros(positions, channels, TILE_SLOTS)
        for k in range(positions):
            self._turn_columns(k)
            self._uniform.copy_(numbers[k])
            self._is_given = None if is_given is None else is_given[k]
            if given is not None:
                self._given = given[k]
            self._run_step(began + k)
            symbols[k] = self._symbols
            sums[k] = self._parameters_sum
        finite = torch.isfinite(sums).all(1).cpu().numpy()
        bad = np.where(finite.all(0), -1, np.argmin(finite, axis=0))
        return self._record(symbols.cpu().numpy(), bad)

    def _place(
        self, slot: int, admitted: Slot, grids: Sequence[Tensor] | None, nats: float
    ) -> None:
        program, memory, projection = self.program, self._memory, admitted.start.projection
        if projection.fixed is not None:
            memory.fixed.rows[0, slot] = memory.fixed.pack(projection.fixed)[0]
        self._aligned.pop(slot, None)
        if projection.aligned is not None:
            self._aligned[slot] = AlignedColumns(admitted.start)
            self._turn_column(slot, admitted.age // program.hop)
        self._log_likelihood[slot] = nats
        if grids is None:
            memory.clear(slot)
        else:
            memory.restore(slot, grids, self._place_at(self._clock))

    def _remembered(self, slot: int) -> list[Tensor]:
        return self._memory.saved(slot, self._place_at(self._clock))

    def _log_likelihood_nats(self, slot: int) -> float:
        return float(self._log_likelihood[slot])

    def _place_at(self, clock: int) -> Place:
        rows, columns = self.program.rows, self.program.columns
        if rows is None or columns is None:
            return Place(0, 0, clock)
        row, column = divmod(clock, columns)
        if not self.program.frame_sweep:
            return Place(0, row, column)
        return Place(row // rows, row % rows, column)

    def _scheduled(
        self, items: Sequence[Op | When], kind: Literal["position", "row", "frame"]
    ) -> Schedule:
        """The actions of an op list, by where they are due."""
        draws = iter(range(self.program.channels))
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

    def _run_step(self, clock: int) -> None:
        place = self._place_at(clock)
        frame, row, column = place.frame, place.row, place.column
        if column == 0 and self.program.columns is not None:
            if row == 0 and self.program.frame_sweep:
                self._memory.begin_frame()
                self._frame_sweep.run(frame, 0, 0)
            self._row_sweep.run(frame, row, 0)
        self._step.run(frame, row, column)

    def _uniforms(self, positions: int) -> Tensor:
        """The uniform numbers of the next positions, (K, channels, S)."""
        facts = torch.zeros(3, TILE_SLOTS, dtype=torch.int64)
        for number, slot in self._slots.items():
            facts[:, number] = torch.tensor([slot.start.seed, slot.start.sample, slot.age])
        seed, sample, age = facts.to(self._device)
        position = age + torch.arange(positions, device=self._device).unsqueeze(1)
        channels = range(self.program.channels)
        numbers = [uniform(seed, sample, position, channel) for channel in channels]
        return torch.stack(numbers, dim=1).to(self._dtype)

    def _given_on_device(self, positions: int) -> tuple[Tensor | None, Tensor | None]:
        """Which symbols of the next positions are given, and what they are: (K, channels, S)."""
        found = self._given_symbols(positions)
        if found is None:
            return None, None
        is_given, given = (torch.from_numpy(array).to(self._device) for array in found)
        return is_given, given.to(self._symbol_dtype)

    def _settings_batch(self) -> SettingsBatch:
        idle = Settings()
        settings = [idle] * TILE_SLOTS
        for number, slot in self._slots.items():
            settings[number] = slot.start.settings
        batch = SettingsBatch.of(settings, self.program.levels, self._dtype)
        return batch.to(self._device)

    def _turn_columns(self, k: int) -> None:
        """Let slots that come to their next column of aligned conditioning go on to it."""
        for number in self._aligned:
            slot = self._slots.get(number)
            if slot is not None and (slot.age + k) % self.program.hop == 0:
                self._turn_column(number, (slot.age + k) // self.program.hop)

    def _turn_column(self, slot: int, column: int) -> None:
        cells = self.program.cells
        rows = self._aligned[slot].rows(column * cells, (column + 1) * cells)
        self._memory.aligned.rows[:, slot] = self._memory.aligned.pack(rows)


class ReferenceExecutor(Executor):
    """Every tile by itself, on one torch thread."""

    def __init__(self, program: StepProgram, device: torch.device, dtype: torch.dtype) -> None:
        self._program = program
        self._device = device
        self._dtype = dtype

    @property
    def numerics(self) -> str:
        return numerics_class("reference", self._device, self._dtype)

    def new_tile(self) -> ReferenceTile:
        return ReferenceTile(self._program, self._device, self._dtype)

    def groups(self, tiles: Sequence[Tile]) -> list[list[Tile]]:
        return [[tile] for tile in tiles]

    def run(self, groups: Sequence[tuple[Sequence[Tile], int]]) -> list[list[dict[int, Drawn]]]:
        ended = []
        with single_threaded():
            for tiles, positions in groups:
                (tile,) = tiles
                assert isinstance(tile, ReferenceTile)
                ended.append([tile.run(positions)])
        return ended


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
