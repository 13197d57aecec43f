"""All that a kernel works on: what it is told of each slot, and what each slot remembers.

Everything is as large as it will ever be and stays where it is. What is told lies on both sides,
and is copied to the device before a run.

Shapes: N slots of all tiles, K positions of a run at most, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ancestral.models.sampling.fused.launch import Argument
from ancestral.models.sampling.fused.source import KernelSource
from ancestral.models.sampling.program import StepProgram


class State:
    """The slots of one executor."""

    def __init__(
        self,
        program: StepProgram,
        source: KernelSource,
        slots: int,
        tile_slots: int,
        positions: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._device = device
        self._channels = program.channels
        #: Columns of aligned conditioning that a slot can go through in a run.
        self.columns = (positions // program.hop + 2) * program.cells
        self.seeds = np.zeros(slots, dtype=np.int64)
        self.samples = np.zeros(slots, dtype=np.int64)
        self.ages = np.zeros(slots, dtype=np.int32)
        self.lengths = np.zeros(slots, dtype=np.int32)
        self.temperatures = np.ones(slots, dtype=np.float32)
        self.top_ks = np.ones(slots, dtype=np.int32)
        self.top_ps = np.ones(slots, dtype=np.float32)
        tiles = slots // tile_slots
        self.clocks = np.zeros(tiles, dtype=np.int32)
        self.is_forced = np.zeros(tiles, dtype=np.int32)
        self.is_truncated = np.zeros(tiles, dtype=np.int32)
        floats = source.places.floats

        def zeros(*shape: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros(*shape, dtype=dtype, device=device)

        self.grids = zeros(slots, floats, dtype=dtype)
        self.fixed = zeros(slots, program.global_width or 1, dtype=torch.float32)
        width = self.columns * program.local_width
        self.aligned = zeros(slots, width or 1, dtype=torch.float32)
        self.nats = zeros(slots, dtype=torch.float64)
        self._scratch = zeros(slots, source.scratch_floats, dtype=torch.float32)
        self._bads = zeros(slots, dtype=torch.int32)
        self._symbols = zeros(slots * positions * program.channels, dtype=torch.int32)
        # Where nothing is given, of the dtypes of what is: others would be another kernel.
        self._nothing = zeros(1, dtype=torch.uint8), zeros(1, dtype=torch.int32)
        #: Log-likelihoods after the last run.
        self.told_nats = np.zeros(slots)
        self._tables: dict[str, Argument] = {
            "weights": source.weights.to(device, dtype),
            "floats": source.floats.to(device),
            "numbers": source.numbers.to(device),
        }

    def arguments(
        self,
        tiles: Sequence[int],
        positions: int,
        given: tuple[NDArray[np.bool_], NDArray[np.int32]] | None,
    ) -> dict[str, Argument]:
        """What a run of so many positions in these tiles is called with; `given` are (N, K, C)."""
        self._bads.fill_(-1)
        told = {
            name: torch.from_numpy(getattr(self, name)).to(self._device)
            for name in (
                *("clocks", "is_forced", "is_truncated", "seeds", "samples", "ages", "lengths"),
                *("temperatures", "top_ks", "top_ps"),
            )
        }
        is_given, symbols_given = self._nothing
        if given is not None:
            is_given = torch.from_numpy(given[0]).to(self._device, torch.uint8).flatten()
            symbols_given = torch.from_numpy(given[1]).to(self._device, torch.int32).flatten()
        return {
            **self._tables,
            **told,
            "grids": self.grids.view(-1),
            "fixed": self.fixed.view(-1),
            "aligned": self.aligned.view(-1),
            "scratch": self._scratch.view(-1),
            "tiles": torch.tensor(list(tiles), dtype=torch.int32, device=self._device),
            "is_given": is_given,
            "given": symbols_given,
            "symbols": self._symbols,
            "nats": self.nats,
            "bads": self._bads,
            "positions": positions,
            "all_columns": self.columns,
        }

    def drawn(self, positions: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """What the last run drew, (N, K, C), and the first position whose parameters were not
        finite, (N,), or −1."""
        shape = len(self.seeds), positions, self._channels
        symbols = self._symbols[: math.prod(shape)].cpu().numpy().reshape(shape)
        self.told_nats = self.nats.cpu().numpy().copy()
        return symbols, self._bads.cpu().numpy()
