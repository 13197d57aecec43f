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

from ancestral.workers.encode import Encoded
from ancestral.workers.metadata import canonical_json


@dataclass(frozen=True)
class Member:
    """Where an artifact's own bytes lie within its pack."""

    offset: int
    length: int


class PackWriter:
    """Builds one pack in memory: rows in rising order, then `close`, once."""

    def __init__(self) -> None:
        self._tar = bytearray()

    def add(self, ordinal: int, artifact: Encoded, description: Mapping[str, Any]) -> Member:
        """Put a row's artifact and its description in; returns where the artifact's bytes lie."""
        member = self._append(f"{ordinal:012d}.{artifact.suffix}", artifact.data)
        self._append(f"{ordinal:012d}.json", canonical_json(description).encode())
        return member

    def close(self) -> memoryview:
        """The pack's bytes."""
        self._tar += bytes(2 * tarfile.BLOCKSIZE)
        self._tar += bytes(-len(self._tar) % tarfile.RECORDSIZE)
        return memoryview(self._tar)

    def _append(self, name: str, data: bytes) -> Member:
        self._tar += _header(name.encode(), len(data))
        member = Member(len(self._tar), len(data))
        self._tar += data
        self._tar += bytes(-len(data) % tarfile.BLOCKSIZE)
        return member


def _nameless() -> bytes:
    """The header of an empty member without a name."""
    member = tarfile.TarInfo()
    member.mode = 0o644
    # Owner and date are zero and empty unless set.
    return member.tobuf(tarfile.USTAR_FORMAT)


# Where a header has its member's name and size, and the sum of its bytes, in which its own place
# counts as spaces; numbers are octal.
_NAME, _SIZE, _SUM = slice(0, 100), slice(124, 136), slice(148, 156)
_HEADER = bytearray(_nameless())
_HEADER[_NAME], _HEADER[_SIZE], _HEADER[_SUM] = bytes(100), bytes(12), b" " * 8
_HEADER_SUM = sum(_HEADER)


def _header(name: bytes, size: int) -> bytearray:
    """A member's header. tarfile makes the same one in ten times as long: a pack has two a row."""
    header, octal = _HEADER.copy(), b"%011o\0" % size
    header[: len(name)] = name
    header[_SIZE] = octal
    header[_SUM] = b"%06o\0 " % (_HEADER_SUM + sum(name) + sum(octal))
    assert len(header) == tarfile.BLOCKSIZE, f"{size} bytes are too many for a tar"
    return header
