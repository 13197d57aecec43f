"""The tiles of a sampler, kept as full as their events allow: a tile without events costs nothing.

new events go to the fullest tile           the events of the emptiest tile move, as soon as
that has room                               the others have room for them

▓▓▓▓▓▓▓▓  ▓▓▓▓▓▓▓· ◀── event                ▓▓▓▓▓▓▓·  ▓▓▓▓▓··· ◀─┐
▓▓······  ········                          ▓▓▓····· ────────────┘
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from ancestral.models.sampling.executor import Executor
from ancestral.models.sampling.tile import HalfDrawn, Memory, Start, Tile

#: Events that move to other tiles together, at most: each is copied grid by grid, and a thousand of
#: them would take longer than the emptied tile takes to draw them.
MOST_MOVED = 64

#: A tile, and a slot of it.
TileSlot: TypeAlias = tuple[Tile, int]


class Tiles:
    """Tiles of one executor, made as they are needed, and who goes where."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._tiles: list[Tile] = []
        #: The tile to which events were last admitted, since others lost any.
        self._filling: Tile | None = None

    @property
    def busy(self) -> list[Tile]:
        """Those with events in them."""
        return [tile for tile in self._tiles if tile.active]

    @property
    def slots_of_each(self) -> int:
        """Slots of a tile; there is one."""
        return self._tiles[0].slots

    def admit(self, start: Start, so_far: Memory | HalfDrawn | None) -> TileSlot:
        """Begin an event in a free slot, or go on with it, as `Tile.admit` does."""
        tile = self._with_room()
        slot = tile.free_slot
        assert slot is not None
        tile.admit(slot, start, so_far)
        return tile, slot

    def choose_anew(self) -> None:
        """Look for the fullest tile anew: some have lost events."""
        self._filling = None

    def move_together(self) -> Iterator[tuple[TileSlot, TileSlot]]:
        """Move the events of the emptiest tiles where others have room: from where to where each
        went. The tiles stand on a period boundary."""
        while True:
            tiles = sorted(self.busy, key=lambda tile: tile.active)
            if len(tiles) < 2:
                return
            emptiest, *others = tiles
            room = sum(tile.slots - tile.active for tile in others)
            if emptiest.active > min(room, MOST_MOVED):
                return
            for slot in emptiest.occupied:
                tile = next(tile for tile in reversed(others) if tile.active < tile.slots)
                yield (emptiest, slot), (tile, emptiest.move(slot, tile))

    def _with_room(self) -> Tile:
        tile = self._filling
        # The fullest stays the fullest while it is filled.
        if tile is None or tile.active == tile.slots:
            tile = max(
                (tile for tile in self._tiles if tile.active < tile.slots),
                key=lambda tile: tile.active,
                default=None,
            )
        if tile is None:
            tile = self._executor.new_tile()
            self._tiles.append(tile)
        self._filling = tile
        return tile
