"""From a request to what a slot needs: checked, its conditioning projected.

Conditioning and the memories of prefixes are kept warm under digests of what was asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ancestral.models.autoregressive import Autoregressive, Conditions, Projection
from ancestral.models.errors import ConditionError
from ancestral.models.sampling.aligned import PIECE_COLUMNS
from ancestral.models.sampling.executor import single_threaded
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.samples import SampleRequest
from ancestral.models.sampling.tile import Memory, Start
from ancestral.models.sampling.warm import WarmCache, digest_of


@dataclass(frozen=True)
class Asked:
    """A request that fits: the event's shape, and how a slot starts. `digest` is equal for requests
    that remember the same after their first `prefilled` symbols; None when no prefix is given."""

    request: SampleRequest
    shape: tuple[int, ...]
    start: Start
    prefilled: int
    digest: bytes | None


class Requests:
    """The requests of one network on one device."""

    def __init__(
        self,
        net: Autoregressive,
        program: StepProgram,
        device: torch.device,
        warm: WarmCache[Projection | Memory],
    ) -> None:
        self._net = net
        self._program = program
        self._device = device
        self._warm = warm

    def ask(self, request: SampleRequest) -> Asked:
        """A request with everything that its slot needs; raises ConditionError."""
        request.settings.check_alphabet(self._program.levels)
        # A text is foretold by nets, whose sums may not depend on the number of threads.
        with single_threaded():
            shape = self._net.event_shape(request.fields)
            conditions = self._net.conditions(request.fields)
        length = math.prod(shape)
        prefix = self._net.prefix(request.fields) if request.prefix is None else request.prefix
        self._check_prefix(prefix, length)
        asked = digest_of(conditions)

        def further(column: int) -> Tensor:
            aligned = self._projection(asked, conditions, column).aligned
            assert aligned is not None
            return aligned[0]

        start = Start(
            self._projection(asked, conditions, 0),
            length,
            request.seed,
            request.sample,
            request.settings,
            prefix,
            further if self._in_pieces else None,
        )
        # A prefix can be prefilled in whole periods.
        period = self._program.period * self._program.channels
        prefilled = 0 if prefix is None else len(prefix) // period * period
        digest = asked + digest_of({"prefix": prefix}) if prefix is not None and prefilled else None
        return Asked(request, shape, start, prefilled, digest)

    @property
    def _in_pieces(self) -> bool:
        """Whether conditioning is projected a piece at a time: that of a sound."""
        return self._program.columns is None and self._program.local_width > 0

    def _projection(self, asked: bytes, conditions: Conditions, column: int) -> Projection:
        """Projected conditioning; of a sound, the piece that begins at a column."""
        digest = asked + column.to_bytes(8, "big")
        projection = self._warm.get(digest)
        if not isinstance(projection, Projection):
            if self._in_pieces:
                conditions = self._net.piece(conditions, column, PIECE_COLUMNS)
            on_device = {name: value.to(self._device) for name, value in conditions.items()}
            with single_threaded():
                projection = self._net.project(on_device)
            self._warm.keep(digest, projection, projection.bytes)
        return projection

    def _check_prefix(self, prefix: Tensor | None, length: int) -> None:
        if prefix is None:
            return
        levels = self._program.levels
        if prefix.ndim != 1 or len(prefix) >= length:
            raise ConditionError(
                f"a prefix of {tuple(prefix.shape)} leaves nothing to draw of {length} symbols"
            )
        if levels is None and not prefix.isfinite().all():
            raise ConditionError("a prefix holds numbers that are not finite")
        if levels is not None and len(prefix) and not 0 <= prefix.min() <= prefix.max() < levels:
            raise ConditionError(f"a prefix holds symbols that are not among {levels} levels")
