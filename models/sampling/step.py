"""One step of a program as torch operations on a tile's memory, all of it in place.

What a step takes in and gives out are tensors that stay where they are, and what it does depends on
where the tile stands and on nothing else. So it can be recorded and run again (`graph/`).

Shapes: S slots, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ancestral.models.sampling.actions import Action, make_ready
from ancestral.models.sampling.distributions import Distribution
from ancestral.models.sampling.draw import SettingsBatch
from ancestral.models.sampling.grid_memory import Place, Span
from ancestral.models.sampling.memory import TileMemory
from ancestral.models.sampling.ops import Draw, Op, When
from ancestral.models.sampling.program import StepProgram


class TileStep:
    """One step of S slots.

    Taken in: `uniform` (C, S), and of symbols that are given, which they are and what they are,
    `is_given` and `given` (C, S), or None; `settings`. Given out: `symbols` (C, S), and
    `parameters_sum` (C, S), which is finite where all parameters are. Summed up: `log_likelihood`
    (S,), float64, in nats, of the symbols that were not given.
    """

    def __init__(self, program: StepProgram, memory: TileMemory, slots: int) -> None:
        dtype = program.draws[0].distribution.symbol_dtype
        self._program = program
        self._memory = memory
        self.uniform = memory.zeros(program.channels, slots)
        self.parameters_sum = memory.zeros(program.channels, slots)
        self.symbols = torch.zeros_like(self.uniform, dtype=dtype)
        self.log_likelihood = torch.zeros_like(self.uniform[0], dtype=torch.float64)
        self.settings = SettingsBatch(None, None, None)
        self.is_given: Tensor | None = None
        self.given = torch.zeros_like(self.symbols)
        self._frame_sweep = self._scheduled(program.frame_sweep, "frame")
        self._row_sweep = self._scheduled(program.row_sweep, "row")
        self._step = self._scheduled(program.step, "position")

    def run(self, place: Place) -> None:
        """Go on by the position at that place."""
        frame, row, column = place.frame, place.row, place.column
        if column == 0 and self._program.columns is not None:
            if row == 0 and self._program.frame_sweep:
                self._memory.begin_frame()
                self._frame_sweep.run(frame, 0, 0)
            self._row_sweep.run(frame, row, 0)
        self._step.run(frame, row, column)

    def draw(self, padded: Tensor, distribution: Distribution, channel: int) -> None:
        """Draw the symbol of a channel from its parameters (S, P)."""
        parameters = padded.contiguous()
        torch.sum(parameters, dim=1, out=self.parameters_sum[channel])
        symbols = distribution.draw(parameters, self.uniform[channel], self.settings)
        if self.is_given is not None:
            symbols = torch.where(self.is_given[channel], self.given[channel], symbols)
        self.symbols[channel] = symbols
        nats = distribution.log_prob(parameters, self.symbols[channel])
        if self.is_given is not None:
            nats = torch.where(self.is_given[channel], 0.0, nats)
        self.log_likelihood.add_(nats)

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
                    ready = make_ready(op, self._memory, span, list(self.symbols))
                    actions.append((ready, when))
        return Schedule(actions, by_column=kind == "position")

    def _draw_action(self, op: Draw, span: Span, channel: int) -> Action:
        padded = self._memory.register(op.parameters, span)[:, : op.parameters.width]
        return lambda frame, row, column: self.draw(padded, op.distribution, channel)


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
