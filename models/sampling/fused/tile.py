"""A tile of slots as a kernel sees it.

Shapes: S slots of the tile, K positions, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ancestral.models.sampling.aligned import AlignedColumns
from ancestral.models.sampling.fused.places import GridPlace, Places
from ancestral.models.sampling.fused.state import State
from ancestral.models.sampling.ops import Grid
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.tile import Drawn, Slot, Tile

#: A clock is begun again when it is past this: a kernel counts in 32 bits, and divides faster so.
LATEST_CLOCK = 2**30


class FusedTile(Tile):
    """The slots of a state from `number · slots` on."""

    def __init__(
        self, program: StepProgram, number: int, slots: int, state: State, places: Places
    ) -> None:
        super().__init__(program, slots)
        self.number = number
        self._state = state
        self._places = places
        self._first = number * slots
        #: Its slots among those of the state.
        self.own = slice(self._first, self._first + slots)
        self._aligned: dict[int, AlignedColumns] = {}

    def begin(self, positions: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]] | None:
        """Tell the state what a run of so many positions needs; the symbols that are given in it,
        (K, C, S), if any are."""
        if self._clock > LATEST_CLOCK:
            self._begin_clock_again()
        state, occupied = self._state, np.zeros(self.slots, dtype=np.bool_)
        occupied[list(self._slots)] = True
        # A slot without an event has none left.
        state.lengths[self.own] = np.where(occupied, state.lengths[self.own], 0)
        state.ages[self.own] = np.where(occupied, state.ages[self.own], 0)
        truncated = state.top_ks[self.own] < (self.program.levels or 1)
        truncated |= state.top_ps[self.own] < 1
        given = self._given_symbols(positions)
        state.clocks[self.number] = self._clock
        state.is_truncated[self.number] = bool((truncated & occupied).any())
        state.is_forced[self.number] = given is not None
        if self._aligned:
            self._fill_columns(positions)
        return given

    def end(self, symbols: NDArray[np.int32], bads: NDArray[np.int32]) -> dict[int, Drawn]:
        """Take what was drawn, (S, K, C), and what was bad, (S,); the events that ended."""
        self._state.ages[self.own] += symbols.shape[1]
        return self._record(np.moveaxis(symbols, 0, 2), bads.astype(np.int64))

    def _set_up(
        self, slot: int, admitted: Slot, grids: Sequence[Tensor] | None, nats: float
    ) -> None:
        state, here, start = self._state, self._first + slot, admitted.start
        settings = start.settings
        levels = self.program.levels or 1
        state.seeds[here], state.samples[here] = start.seed, start.sample
        state.ages[here], state.lengths[here] = admitted.age, admitted.length
        state.temperatures[here] = settings.temperature
        state.top_ks[here] = min(settings.top_k or levels, levels)
        state.top_ps[here] = 1.0 if settings.top_p is None else settings.top_p
        state.nats[here] = state.told_nats[here] = nats
        if start.projection.fixed is not None:
            state.fixed[here] = start.projection.fixed[0].to(state.fixed)
        self._aligned.pop(slot, None)
        if start.projection.aligned is not None:
            self._aligned[slot] = AlignedColumns(start)
        # What a slot remembers of an event before is never read: it is older than the event.
        if grids is not None:
            self._remember(slot, grids)

    def _remembered(self, slot: int) -> list[Tensor]:
        grids = []
        for grid, cells in self._cells(slot):
            back = [-by for by in self._turned(grid)]
            turned = torch.roll(cells[..., : grid.width], back, (0, 1))
            grids.append(turned.float().cpu().unsqueeze(0))
        return grids

    def _remember(self, slot: int, grids: Sequence[Tensor]) -> None:
        for (grid, cells), saved in zip(self._cells(slot), grids, strict=True):
            cells[..., : grid.width] = torch.roll(saved[0].to(cells), self._turned(grid), (0, 1))

    def _begin_clock_again(self) -> None:
        """Let the clock stand at zero, and what goes round with it."""
        remembered = {slot: self._remembered(slot) for slot in self._slots}
        self._clock = 0
        for slot, grids in remembered.items():
            self._remember(slot, grids)

    def _log_likelihood_nats(self, slot: int) -> float:
        return float(self._state.told_nats[self._first + slot])

    def _fill_columns(self, positions: int) -> None:
        """Lay out the columns of aligned conditioning that slots go through in so many positions,
        all at once: each copy of its own would take the processor's time."""
        program, state = self.program, self._state
        rows, places = [], []
        for number, event in self._slots.items():
            if number not in self._aligned:
                continue
            last = event.age + min(positions, event.remaining) - 1
            first = event.age // program.hop * program.cells
            behind = (last // program.hop + 1) * program.cells
            rows.append(self._aligned[number].rows(first, behind))
            begins = (self._first + number) * state.columns
            places.append(np.arange(begins, begins + behind - first))
        if rows:
            aligned = state.aligned.view(-1, program.local_width)
            where = torch.from_numpy(np.concatenate(places)).to(aligned.device)
            aligned.index_copy_(0, where, torch.cat(rows).to(aligned))

    def _cells(self, slot: int) -> list[tuple[Grid, Tensor]]:
        """The grids that a program knows of, (rows, columns, floats), in its order."""
        memory = self._state.grids[self._first + slot]
        return [(grid, _view(memory, self._places.grids[grid])) for grid in self.program.grids]

    def _turned(self, grid: Grid) -> tuple[int, int]:
        """Where the oldest row and column lie."""
        place, columns = self._places.grids[grid], self.program.columns
        row, column = (0, self._clock) if columns is None else divmod(self._clock, columns)
        return (
            row // grid.row_stride % place.rows,
            column // grid.column_stride % place.columns if place.ring else 0,
        )


def _view(memory: Tensor, place: GridPlace) -> Tensor:
    floats = memory[place.start : place.start + place.floats]
    return floats.view(place.rows, place.columns, place.stride)
