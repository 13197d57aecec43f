"""Another sampler beside ours, through one protocol in one run.

Both come as adapters (../adapter.py says what that is), and their calls alternate, so that whatever
else goes on in the machine meets both alike. Random weights, one thread, drawing included.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from parts.networks import WAVENET
from parts.protocol import Windows

#: A call that takes longer is not repeated.
PATIENCE_SECONDS = 30.0

#: Samples of a first call, whose time says how many a measured call should draw.
_FIRST_STEPS = 32

#: Batches of the WaveNet; batch, side, width and depth of image networks.
SOUND_BATCHES = (1, 16, 64, 256)
IMAGES = ((16, 8, 128, 11), (64, 8, 128, 11), (16, 28, 128, 11))
QUICK_SOUND_BATCHES, QUICK_IMAGES = (1, 16), ((16, 8, 32, 3),)


@dataclass(frozen=True)
class WaveNetShape:
    """The WaveNet of the benchmark, as adapters are told of it."""

    layers: int = len(WAVENET.dilations)
    stacks: int = WAVENET.stacks
    res: int = WAVENET.residual
    gate: int = 2 * WAVENET.residual
    skip: int = WAVENET.skip
    head: int = WAVENET.skip
    classes: int = WAVENET.levels
    kernel: int = WAVENET.kernel
    dilations: list[int] = field(default_factory=lambda: list(WAVENET.dilations))


@dataclass(frozen=True)
class Comparison:
    """One line of the table: units (samples or images) a second, ours over the peer's."""

    network: str
    batch: int
    unit: str
    ours_per_second: float
    peer_per_second: float
    ratio: float
    repeats: int


def load_adapter(file: Path) -> ModuleType:
    """A Python file as a module. Raises ValueError when it is none, or offers nothing to run."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise ValueError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not any(hasattr(module, name) for name in ("wavenet", "pixel")):
        raise ValueError(f"{file} has neither wavenet nor pixel")
    return module


def compare(
    ours: ModuleType, peer: ModuleType, windows: Windows, quick: bool
) -> Iterator[Comparison]:
    """A line for each network that the peer can draw from, as soon as it is measured."""
    if hasattr(peer, "wavenet"):
        for batch in QUICK_SOUND_BATCHES if quick else SOUND_BATCHES:
            runs = [_Sound(module, batch, windows.seconds) for module in (ours, peer)]
            yield _compared("wavenet", batch, "samples", runs, windows.repeats)
    if hasattr(peer, "pixel"):
        for image in QUICK_IMAGES if quick else IMAGES:
            batch, side, width, depth = image
            images = [_Images(module, image, windows.seconds) for module in (ours, peer)]
            name = f"pixel {side}x{side} {width}x{depth}"
            yield _compared(name, batch, "images", images, windows.repeats)


class _Run:
    """Something that is called again and again and makes so many units each time.

    `first_seconds` is how long a warm call took, or the only one when it took too long.
    """

    def __init__(self, call: Callable[[], object], units: int, first_seconds: float) -> None:
        self._call = call
        self._units = units
        self.first_seconds = first_seconds
        self.rates = [units / first_seconds]

    def repeat(self) -> None:
        """Call it once more."""
        self.rates.append(self._units / _seconds(self._call))


class _Sound(_Run):
    """Calls that take about so many seconds."""

    def __init__(self, module: ModuleType, batch: int, seconds: float) -> None:
        gen = module.wavenet(WaveNetShape(), batch)
        # The first call may compile something.
        _seconds(lambda: gen(_FIRST_STEPS))
        taken = _seconds(lambda: gen(_FIRST_STEPS))
        steps = max(_FIRST_STEPS, int(_FIRST_STEPS * seconds / taken))
        first = _seconds(lambda: gen(steps))
        super().__init__(lambda: gen(steps), batch * steps, first)


class _Images(_Run):
    """Calls that draw a batch each, as many in a row as take about so many seconds."""

    def __init__(
        self, module: ModuleType, image: tuple[int, int, int, int], seconds: float
    ) -> None:
        batch, side, width, depth = image
        sample = module.pixel(batch, side, width, depth)
        first = _seconds(sample)
        if first < PATIENCE_SECONDS:
            first = _seconds(sample)
        calls = max(1, int(seconds / first))
        super().__init__(lambda: [sample() for _ in range(calls)], batch * calls, calls * first)


def _compared(
    network: str, batch: int, unit: str, runs: Sequence[_Run], repeats: int
) -> Comparison:
    if max(run.first_seconds for run in runs) < PATIENCE_SECONDS:
        for _ in range(repeats):
            for run in runs:
                run.repeat()
        # The first may still have been warming up.
        for run in runs:
            del run.rates[0]
    ours, peer = (statistics.median(run.rates) for run in runs)
    return Comparison(network, batch, unit, ours, peer, ours / peer, len(runs[0].rates))


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
