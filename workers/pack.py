"""Packs: the artifacts of one unit in a tar that WebDataset reads.

Every row of the unit that has an artifact is a WebDataset sample of two members:

    000000000042.png     the artifact
    000000000042.json    what it was asked for: request_id, sample, seed, fields, likelihood

Everything else that a tar can tell (owner, date, mode) is fixed, so equal rows make equal packs.
Members are plain USTAR: a header of one block, then the data, filled up to a block.

     offset of a member's data
              ↓
    ┌────────┬───────────────┬────────┬──────┬─────────────┐
    │ header │ png       ░░░ │ header │ json │ zeros (end) │     blocks of 512 bytes
    └────────┴───────────────┴────────┴──────┴─────────────┘
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ancestral.workers.encode import Artifact
from ancestral.workers.errors import PackError
from ancestral.workers.metadata import canonical_json


@dataclass(frozen=True)
class Member:
    """Where an artifact's own bytes lie within its pack."""

    offset: int
    length: int


class PackWriter:
    """Builds one pack in memory: rows in rising order, then `close`."""

    def __init__(self) -> None:
        self._tar = bytearray()
        self._last_ordinal = -1
        self._closed = False

    def add(self, ordinal: int, artifact: Artifact, description: Mapping[str, Any]) -> Member:
        """Put a row's artifact and its description in; returns where the artifact's bytes lie.

        Raises PackError when the rows do not rise or the pack is closed.
        """
        if self._closed:
            raise PackError(f"row {ordinal} came after the pack was closed")
        if ordinal <= self._last_ordinal:
            raise PackError(f"row {ordinal} came after row {self._last_ordinal}")
        self._last_ordinal = ordinal
        member = self._append(f"{ordinal:012d}.{artifact.suffix}", artifact.data)
        self._append(f"{ordinal:012d}.json", canonical_json(description).encode())
        return member

    def close(self) -> memoryview:
        """The pack's bytes; nothing can be added any more."""
        if not self._closed:
            self._tar += bytes(2 * tarfile.BLOCKSIZE)
            self._tar += bytes(-len(self._tar) % tarfile.RECORDSIZE)
            self._closed = True
        return memoryview(self._tar)

    def _append(self, name: str, data: bytes) -> Member:
        header = tarfile.TarInfo(name)
        header.size = len(data)
        header.mode = 0o644
        # Owner and date are zero and empty unless set.
        self._tar += header.tobuf(tarfile.USTAR_FORMAT)
        member = Member(len(self._tar), len(data))
        self._tar += data
        self._tar += bytes(-len(data) % tarfile.BLOCKSIZE)
        return member
