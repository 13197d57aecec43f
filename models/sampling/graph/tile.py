"""Slots whose steps are recorded, phase by phase, and run again.

    run     fill the chunk ──▶ a record for each position ──▶ read the chunk once
                  ▲
    between runs: events come and go, by writing in place

Shapes: S slots, K positions of a run, C channels, N slots that are admitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ancestral.models.sampling.aligned import AlignedColumns
from ancestral.models.sampling.draw import SettingsBatch
from ancestral.models.sampling.graph.chunk import Chunk
from ancestral.models.sampling.graph.indexed import IndexedMemory
from ancestral.models.sampling.graph.phases import Phase, Phases
from ancestral.models.sampling.graph.recorder import Recorder
from ancestral.models.sampling.grid_memory import Place
from ancestral.models.sampling.memory import TileMemory
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.step import TileStep
from ancestral.models.sampling.tile import Drawn, Slot
from ancestral.models.sampling.torch_tile import TorchTile

#: Phases that are recorded before the first run, at most; the others when they are met.
WARMED_PHASES = 64


class GraphTile(TorchTile):
    """A fixed number of slots, with the records of their steps."""

    def __init__(
        self,
        program: StepProgram,
        slots: int,
        device: torch.device,
        dtype: torch.dtype,
        recorder: Recorder,
        positions: int,
    ) -> None:
        """`positions` run between two looks at the slots, at most: whole periods."""
        self._phases = Phases(program)
        memory: TileMemory
        cells = None
        if self._phases.by_column:
            memory = TileMemory(program, slots, device, dtype)
        else:
            memory = indexed = IndexedMemory(program, slots, device, dtype)
            cells = indexed.cells
        step = TileStep(program, memory, slots)
        super().__init__(program, memory, step)
        self._cells = cells
        self._chunk = Chunk(program, memory, step, cells, positions)
        self._recorder = recorder
        self._records: dict[tuple[Phase, bool], Callable[[], None]] = {}
        self._temperature = memory.zeros(slots, 1) + 1
        self._top_k = torch.ones(slots, 1, dtype=torch.int64, device=device)
        self._top_p = memory.zeros(slots, 1) + 1
        self._aligned: dict[int, AlignedColumns] = {}
        #: Slots whose memory is to be cleared, and fixed conditioning, before the next run.
        self._cleared: set[int] = set()
        self._fixed: dict[int, Tensor] = {}
        #: What was summed up for each slot, as of the last run.
        self._nats = torch.zeros(slots, dtype=torch.float64)

    def warm(self) -> None:
        """Record the phases that come first, while no slot has an event."""
        for clock in range(self._phases.cycle):
            if len(self._records) == WARMED_PHASES:
                return
            place = self._place_at(clock)
            if (self._phases.of(place), False) not in self._records:
                self._chunk.begin()
                self._run_step(place, truncated=False)

    def run(self, positions: int) -> dict[int, Drawn]:
        """Go on by so many positions in every slot; the events that ended, by slot.

        `positions` are whole periods, and a chunk at most. Slots whose event has ended stand idle.
        """
        assert positions % self.program.period == 0
        self._write_admitted()
        truncated = self._write_settings()
        self._fill(positions)
        self._chunk.begin()
        for clock in range(self._clock, self._clock + positions):
            self._run_step(self._place_at(clock), truncated)
        self._nats = self._step.log_likelihood.cpu()
        return self._take(self._chunk.symbols[:positions], self._chunk.sums[:positions])

    def _run_step(self, place: Place, truncated: bool) -> None:
        key = self._phases.of(place), truncated
        record = self._records.get(key)
        if record is None:
            step = partial(self._compute_step, place, truncated)
            self._records[key] = self._recorder.record(step)
        else:
            record()

    def _compute_step(self, place: Place, truncated: bool) -> None:
        """What is recorded."""
        self._step.settings = SettingsBatch(
            self._temperature,
            self._top_k if truncated else None,
            self._top_p if truncated else None,
        )
        self._chunk.take_in()
        self._step.run(place)
        self._chunk.give_out()

    def _set_up(
        self, slot: int, admitted: Slot, grids: Sequence[Tensor] | None, nats: float
    ) -> None:
        projection = admitted.start.projection
        if projection.fixed is not None:
            self._fixed[slot] = projection.fixed
        self._aligned.pop(slot, None)
        if projection.aligned is not None:
            self._aligned[slot] = AlignedColumns(admitted.start)
        self._step.log_likelihood[slot] = nats
        self._nats[slot] = nats
        if grids is None:
            self._cleared.add(slot)
        else:
            self._cleared.discard(slot)
            self._memory.restore(slot, grids, self._place_at(self._clock))

    def _log_likelihood_nats(self, slot: int) -> float:
        return float(self._nats[slot])

    def _write_admitted(self) -> None:
        """Make memory and conditioning of the slots ready that were admitted, all at once."""
        if self._cleared:
            self._memory.clear(self._on_device(list(self._cleared)))
            self._cleared.clear()
        if self._fixed:
            fixed = self._memory.fixed
            packed = fixed.pack(torch.cat(list(self._fixed.values())))
            fixed.rows[0].index_copy_(0, self._on_device(list(self._fixed)), packed)
            self._fixed.clear()

    def _write_settings(self) -> bool:
        """Lay out how each slot is drawn; whether any of them is truncated.

        What nobody asks for has the value that changes nothing.
        """
        batch = SettingsBatch.of(self._settings(), self.program.levels, self._dtype)
        for place, asked, neutral in (
            (self._temperature, batch.temperature, 1),
            (self._top_k, batch.top_k, self.program.levels or 1),
            (self._top_p, batch.top_p, 1),
        ):
            if asked is None:
                place.fill_(neutral)
            else:
                place.copy_(asked)
        return batch.top_k is not None or batch.top_p is not None

    def _fill(self, positions: int) -> None:
        """Lay out what the next positions take in."""
        chunk = self._chunk
        chunk.uniform[:positions] = self._uniforms(positions)
        # Behind an event's end all is given, so that nothing is counted.
        remaining = np.zeros(self.slots, dtype=np.int64)
        for number, slot in self._slots.items():
            remaining[number] = slot.remaining
        is_given = (np.arange(positions)[:, None] >= remaining)[:, None, :]
        found = self._given_symbols(positions)
        if found is not None:
            is_given = is_given | found[0]
            chunk.given[:positions] = torch.from_numpy(found[1]).to(self._device)
        chunk.is_given[:positions] = torch.from_numpy(is_given).to(self._device)
        if self._cells is not None:
            places = [self._place_at(self._clock + k) for k in range(positions)]
            rows, columns = np.array([(place.row, place.column) for place in places]).T
            table = self._cells.table(rows, columns)
            chunk.cells[:positions] = torch.from_numpy(table).to(self._device)
        if self._aligned:
            self._fill_columns(positions)

    def _fill_columns(self, positions: int) -> None:
        """Lay out the columns of aligned conditioning that slots go through, and which is whose at
        each position."""
        hop, cells, chunk = self.program.hop, self.program.cells, self._chunk
        ages, first, last = np.zeros((3, self.slots), dtype=np.int64)
        rows, places = [], []
        for number, slot in self._slots.items():
            ages[number] = slot.age
            first[number] = slot.age // hop
            last[number] = (slot.age + min(positions, slot.remaining) - 1) // hop
            if number in self._aligned:
                count = int(last[number] - first[number]) + 1
                begins = int(first[number]) * cells
                rows.append(self._aligned[number].rows(begins, begins + count * cells))
                places.append(np.arange(count) * self.slots + number)
        turns = (ages + np.arange(positions)[:, None]) // hop
        turns = (np.minimum(turns, last) - first) * self.slots + np.arange(self.slots)
        chunk.turns[:positions] = torch.from_numpy(turns).to(self._device)
        if rows:
            packed = self._memory.aligned.pack(torch.cat(rows))
            packed = packed.view(-1, cells, packed.shape[1]).transpose(0, 1)
            chunk.columns.index_copy_(1, self._on_device(np.concatenate(places)), packed)

    def _on_device(self, numbers: Sequence[int] | np.ndarray) -> Tensor:
        return torch.as_tensor(numbers, dtype=torch.int64).to(self._device)
