"""What samples of one request, or of one prefix, share: projected conditioning, and the memory of a
prefix, so that the work is done once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor

#: What is kept at most; what was used longest ago goes first.
KEPT_BYTES = 256 * 2**20

Kept = TypeVar("Kept")


@dataclass
class WarmCounters:
    """How a cache fares: lookups that found something or did not, what went, what is there."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    bytes: int = 0


class WarmCache(Generic[Kept]):
    """Things by the digest of what made them, bounded in bytes."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        # The one used longest ago first.
        self._kept: OrderedDict[bytes, tuple[Kept, int]] = OrderedDict()
        self.counters = WarmCounters()

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._kept

    def get(self, digest: bytes) -> Kept | None:
        """What is kept, if it is still here."""
        if digest not in self._kept:
            self.counters.misses += 1
            return None
        self.counters.hits += 1
        self._kept.move_to_end(digest)
        return self._kept[digest][0]

    def clear(self) -> None:
        """Let everything go."""
        self._kept.clear()
        self.counters.bytes = 0

    def keep(self, digest: bytes, value: Kept, size: int) -> None:
        """Remember something of `size` bytes; what is larger than all the room is not kept."""
        if digest in self._kept or size > self._kept_bytes:
            return
        self._kept[digest] = value, size
        self.counters.bytes += size
        while self.counters.bytes > self._kept_bytes:
            _, (_, oldest) = self._kept.popitem(last=False)
            self.counters.bytes -= oldest
            self.counters.evictions += 1


def digest_of(tensors: Mapping[str, Tensor]) -> bytes:
    """Equal for equal tensors of the same names, in whatever order."""
    digest = hashlib.blake2b(digest_size=32)
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(repr((name, tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.digest()
