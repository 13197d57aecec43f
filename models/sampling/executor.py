"""What runs step programs: the contract, of which there are several kinds.

reference   torch, on any device: the definition
native      C++, on processors
graph       the reference's steps as CUDA graphs, on GPUs
fused       kernels of many steps, on GPUs
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from ancestral.models.errors import ConfigError
from ancestral.models.sampling.tile import Drawn, Memory, Start, Tile


class Executor(ABC):
    """Runs one program in tiles."""

    #: Positions of a run, at most, unless a single period has more.
    chunk_positions: int = 128
    #: Whether a run may go past the end of an event. Its slot then stands idle until the run is
    #: over: what is drawn past the end belongs to no event, and counts in no likelihood.
    outlasts_ends: bool = False

    @property
    @abstractmethod
    def numerics(self) -> str:
        """The name within which equal requests give equal bytes."""

    @abstractmethod
    def new_tile(self) -> Tile:
        """A tile whose slots are free."""

    @abstractmethod
    def groups(self, tiles: Sequence[Tile]) -> list[list[Tile]]:
        """Tiles sorted into those that run together."""

    @abstractmethod
    def run(self, groups: Sequence[tuple[Sequence[Tile], int]]) -> list[list[dict[int, Drawn]]]:
        """Go on by so many positions in each tile of a group; for each tile of each group, the
        events that ended, by slot.

        They are whole periods, and at most the positions to the first end of an event; where the
        executor `outlasts_ends`, to the last end of the group's events.
        """

    def prefilled(self, start: Start, symbols: int) -> Memory | None:
        """What is remembered after so many symbols of a prefix, taken in at once; None if this
        executor does so step by step, in a slot."""
        return None


def device_of(name: str | torch.device) -> torch.device:
    """The device of that name. Raises ConfigError when torch has none here."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"torch knows no device {name!r}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"torch finds no GPU here for device {name!r}: take 'cpu'")
    return device


@contextmanager
def single_threaded() -> Iterator[None]:
    """One torch thread within, as many as before afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def full_precision() -> Iterator[None]:
    """Products of float32 within are of float32, whatever the caller's settings say: by default a
    GPU rounds what it convolves to 10 bits (TF32).

    They are settings of the process, so that no other thread should change them meanwhile.
    """
    kinds = (
        torch.backends.cuda.matmul,
        torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
        torch.backends.cudnn.conv,  # type: ignore[attr-defined]
        torch.backends.mkldnn.conv,  # type: ignore[attr-defined]
    )
    before = [kind.fp32_precision for kind in kinds]
    try:
        matmul = torch.get_float32_matmul_precision()
    except RuntimeError:
        # The caller's settings contradict each other, and torch will not say the old one.
        matmul = "highest"
    try:
        # First the old setting of products, with which the new ones have to agree.
        torch.set_float32_matmul_precision("highest")
        for kind in kinds:
            kind.fp32_precision = "ieee"
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        for kind, precision in zip(kinds, before, strict=True):
            kind.fp32_precision = precision


def numerics_class(executor: str, device: torch.device, dtype: torch.dtype) -> str:
    """The name within which equal requests give equal bytes: processor, executor, dtype, torch.

    Whoever runs the steps, torch projects the conditioning, and it computes by what it finds.
    """
    processor = f"{device.type}-{torch.backends.cpu.get_cpu_capability().lower()}"
    if device.type == "cuda":
        processor = torch.cuda.get_device_name(device).replace(" ", "-").lower()
    version = torch.__version__.split("+")[0]
    return f"{processor}/{executor}/{str(dtype).removeprefix('torch.')}/torch-{version}"
