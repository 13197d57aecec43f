"""The torch executor of step programs: one tile of slots, on any device.

A tile always computes all its slots, whoever is there. Matrix libraries choose their inner loops by
the shape of a product, and a sum taken in another order can end in another bit; with the slots of a
tile fixed and every width padded to 16, no product's shape depends on a neighbour. Together with
one thread (a product split over threads is another sum) this makes each slot's bits its own.

Shapes: S slots of the tile, K steps of a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ancestral.models.autoregressive import Projection
from ancestral.models.sampling.actions import Action, make_ready
from ancestral.models.sampling.draw import Settings, SettingsBatch, draw
from ancestral.models.sampling.memory import TileMemory
from ancestral.models.sampling.philox import uniform
from ancestral.models.sampling.program import Draw, Op, StepProgram

#: Slots of a tile. Fixed, because the shape of a product is part of what decides its bits.
TILE_SLOTS = 64


@dataclass(frozen=True)
class Start:
    """What a slot needs to begin an event of `length` symbols."""

    projection: Projection
    length: int
    seed: int
    sample: int
    settings: Settings


@dataclass(frozen=True)
class Drawn:
    """A finished event: `symbols` (length,) int16 and log p(x | c) in nats.

    `bad_position` is the first position whose logits were not finite; the event is then worthless.
    """

    symbols: np.ndarray
    log_likelihood_nats: float
    bad_position: int | None


@dataclass
class _Slot:
    start: Start
    aligned: Tensor
    first_step: int
    age: int = 0
    symbols: list[np.ndarray] = field(default_factory=list)
    bad_position: int | None = None

    @property
    def remaining(self) -> int:
        return 0 if self.bad_position is not None else self.start.length - self.age


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
        self._symbols = torch.zeros(TILE_SLOTS, dtype=torch.int64, device=device)
        self._uniform = self._memory.zeros(TILE_SLOTS)
        self._logits_sum = self._memory.zeros(TILE_SLOTS)
        self._log_likelihood = torch.zeros(TILE_SLOTS, dtype=torch.float64, device=device)
        self._settings = SettingsBatch(None, None, None)
        self._sweep = [self._ready(op, swept=True) for op in program.sweep]
        self._step = [self._ready(op, swept=False) for op in program.step]

    @property
    def active(self) -> int:
        """Slots with an event in them."""
        return len(self._slots)

    @property
    def free_slot(self) -> int | None:
        """A slot without an event, if there is one."""
        return next((s for s in range(TILE_SLOTS) if s not in self._slots), None)

    @property
    def steps_to_end(self) -> int:
        """Steps until the first of the tile's events ends."""
        return min(slot.remaining for slot in self._slots.values())

    def admit(self, slot: int, start: Start) -> None:
        """Begin an event in a free slot; the tile stands on a period boundary."""
        assert slot not in self._slots and self._clock % self._program.period == 0
        memory = self._memory
        memory.clear(slot)
        if start.projection.fixed is not None:
            memory.fixed.rows[slot] = memory.fixed.pack(start.projection.fixed)[0]
        aligned = memory.zeros(0, 0)
        if start.projection.aligned is not None:
            aligned = memory.aligned.pack(start.projection.aligned[0])
        self._log_likelihood[slot] = 0.0
        self._slots[slot] = _Slot(start, aligned, self._clock)

    def run(self, steps: int) -> dict[int, Drawn]:
        """Draw that many symbols in every slot, and give back the events that ended, by slot.

        `steps` is a whole number of periods and at most `steps_to_end`.
        """
        assert steps % self._program.period == 0
        numbers, turns = self._uniforms(steps), self._turns()
        self._settings = self._settings_batch()
        symbols = self._symbols.new_zeros(steps, TILE_SLOTS)
        sums = self._memory.zeros(steps, TILE_SLOTS)
        for k in range(steps):
            self._turn_columns(turns)
            self._uniform.copy_(numbers[k])
            self._run_step()
            symbols[k] = self._symbols
            sums[k] = self._logits_sum
        self._record(symbols.cpu().numpy(), torch.isfinite(sums).cpu().numpy())
        ended = [number for number, slot in self._slots.items() if not slot.remaining]
        return {number: self._retire(number) for number in ended}

    def _ready(self, op: Op, swept: bool) -> Action:
        if not isinstance(op, Draw):
            return make_ready(op, self._memory, swept, self._symbols)
        logits = self._memory.register(op.logits, swept)[:, : self._program.levels]
        return lambda row, column: self._draw(logits)

    def _draw(self, padded: Tensor) -> None:
        logits = padded.contiguous()
        torch.sum(logits, dim=1, out=self._logits_sum)
        self._symbols.copy_(draw(logits, self._uniform, self._settings))
        log_p = torch.log_softmax(logits, dim=1).gather(1, self._symbols.unsqueeze(1))
        self._log_likelihood.add_(log_p.squeeze(1))

    def _run_step(self) -> None:
        row, column = divmod(self._clock, self._program.columns or self._clock + 1)
        if column == 0:
            for act in self._sweep:
                act(row, 0)
        for act in self._step:
            act(row, column)
        self._clock += 1

    def _uniforms(self, steps: int) -> Tensor:
        """The uniform numbers of the next steps, (K, S)."""
        facts = torch.zeros(3, TILE_SLOTS, dtype=torch.int64)
        for number, slot in self._slots.items():
            facts[:, number] = torch.tensor([slot.start.seed, slot.start.sample, slot.age])
        seed, sample, age = facts.to(self._device)
        position = age + torch.arange(steps, device=self._device).unsqueeze(1)
        return uniform(seed, sample, position).to(self._dtype)

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
            self._memory.aligned.rows[number] = slot.aligned[column]

    def _record(self, symbols: np.ndarray, finite: np.ndarray) -> None:
        """Give each slot its column of drawn symbols (K, S) and of finite logits (K, S)."""
        for number, slot in self._slots.items():
            slot.symbols.append(symbols[:, number].astype(np.int16))
            if slot.bad_position is None and not finite[:, number].all():
                slot.bad_position = slot.age + int(np.argmin(finite[:, number]))
            slot.age += len(symbols)

    def _retire(self, number: int) -> Drawn:
        slot = self._slots.pop(number)
        symbols = np.concatenate(slot.symbols)
        return Drawn(symbols, float(self._log_likelihood[number]), slot.bad_position)
