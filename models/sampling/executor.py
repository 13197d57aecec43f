"""The contract of what runs step programs; there are four kinds:

reference   torch, on any device: the definition
native      C++, on processors
graph       the reference's steps as CUDA graphs, on GPUs
fused       kernels of many steps, on GPUs
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ancestral.models.sampling.tile import Drawn, Memory, Start, Tile


class Executor(ABC):
    """Runs one program in tiles."""

    #: Positions of a run, at most, unless a single period has more.
    chunk_positions: int = 128
    #: Whether a run may go past the end of an event. Its slot then stands idle until the run is
    #: over: what is drawn past the end belongs to no event, and counts in no likelihood.
    outlasts_ends: bool = False
    #: The name within which equal requests give equal bytes.
    numerics: str

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
