"""The prefills of recent prefixes, so that samples of one prefix share the work of taking it in."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from torch import Tensor

from ancestral.models.autoregressive import Projection
from ancestral.models.sampling.reference import Prefill

#: What is kept at most; the prefill used longest ago goes first.
KEPT_BYTES = 256 * 2**20


class Prefills:
    """Prefills by the digest of what they remember, bounded in bytes."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._bytes = 0
        # The one used longest ago first.
        self._prefills: OrderedDict[bytes, Prefill] = OrderedDict()

    def get(self, digest: bytes) -> Prefill | None:
        """The prefill, if it is still here."""
        if digest in self._prefills:
            self._prefills.move_to_end(digest)
        return self._prefills.get(digest)

    def keep(self, digest: bytes, prefill: Prefill) -> None:
        """Remember a prefill; one that is larger than all the room is not kept."""
        if digest in self._prefills:
            return
        self._prefills[digest] = prefill
        self._bytes += prefill.bytes
        while self._bytes > self._kept_bytes:
            _, oldest = self._prefills.popitem(last=False)
            self._bytes -= oldest.bytes


def prefix_digest(projection: Projection, prefix: Tensor) -> bytes:
    """Equal for two requests that remember the same at the end of their prefixes."""
    digest = hashlib.blake2b()
    for tensor in (projection.fixed, projection.aligned, prefix):
        if tensor is None:
            digest.update(b"none")
        else:
            digest.update(repr((tensor.dtype, tuple(tensor.shape))).encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.digest()
