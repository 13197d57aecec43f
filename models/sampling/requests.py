"""From a request to what a slot needs: checked, its conditioning projected.

fields ──► conditions ──► their digest ──► projection, memory of the prefix
  kept by the fields' text                 kept by digest
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ancestral.models.autoregressive import Autoregressive, Conditions, Projection, beginning
from ancestral.models.errors import ConditionError
from ancestral.models.sampling.aligned import PIECE_COLUMNS
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.samples import SampleRequest
from ancestral.models.sampling.tile import Memory, Start
from ancestral.models.sampling.torch_state import full_precision, single_threaded
from ancestral.models.sampling.warm import WarmCache, digest_of

#: Conditions are kept by the fields that ask for them, in at most so many bytes; an entry counts
#: this much more than its tensors and its name, for its Python objects.
KEPT_CONDITIONS_BYTES = 16 * 2**20
_ENTRY_BYTES = 1024

#: Types of values whose repr tells them apart.
_PLAIN = frozenset((str, int, float, bool, type(None)))


@dataclass(frozen=True)
class _Conditioning:
    """What fields ask for: the event's shape, and conditions with their digest."""

    shape: tuple[int, ...]
    conditions: Conditions
    digest: bytes


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
        # Apart from what is warm, for it is found by other names.
        self._kept = WarmCache[_Conditioning](KEPT_CONDITIONS_BYTES)

    def ask(self, request: SampleRequest) -> Asked:
        """A request with everything that its slot needs; raises ConditionError."""
        request.settings.check_alphabet(self._program.levels)
        conditioning = self._conditioning(request.fields)
        conditions, asked = conditioning.conditions, conditioning.digest
        length = math.prod(conditioning.shape)
        self._check_form(request.prefix)
        prefix = beginning(self._net, request.fields, request.prefix)
        self._check_prefix(prefix, length)

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
        return Asked(request, conditioning.shape, start, prefilled, digest)

    def _conditioning(self, fields: Mapping[str, Any]) -> _Conditioning:
        """What the fields ask for; a few plain ones are asked for again and again."""
        name = _name_of(fields)
        found = None if name is None else self._kept.get(name)
        if found is None:
            # A text is foretold by nets, whose sums may not depend on the number of threads.
            with single_threaded(), full_precision():
                shape = self._net.event_shape(fields)
                conditions = self._net.conditions(fields)
            found = _Conditioning(shape, conditions, digest_of(conditions))
            if name is not None:
                size = sum(value.nbytes for value in conditions.values())
                self._kept.keep(name, found, _ENTRY_BYTES + len(name) + size)
        return found

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
            with single_threaded(), full_precision():
                projection = self._net.project(on_device)
            self._warm.keep(digest, projection, projection.bytes)
        return projection

    def _check_form(self, prefix: object) -> None:
        whole = self._program.levels is not None
        if prefix is None:
            return
        if not isinstance(prefix, Tensor):
            given = type(prefix).__name__
        elif prefix.ndim != 1 or (whole and prefix.dtype.is_floating_point):
            given = f"{tuple(prefix.shape)} of {prefix.dtype}"
        else:
            return
        numbers = "whole numbers" if whole else "numbers"
        raise ConditionError(f"a prefix is a flat tensor of {numbers}, not {given}")

    def _check_prefix(self, prefix: Tensor | None, length: int) -> None:
        if prefix is None:
            return
        levels = self._program.levels
        if len(prefix) >= length:
            raise ConditionError(
                f"a prefix of {len(prefix)} symbols leaves nothing to draw of {length}"
            )
        if levels is None and not prefix.isfinite().all():
            raise ConditionError("a prefix holds numbers that are not finite")
        if levels is not None and len(prefix) and not 0 <= prefix.min() <= prefix.max() < levels:
            raise ConditionError(f"a prefix holds symbols that are not among {levels} levels")


def _name_of(fields: Mapping[str, Any]) -> bytes | None:
    """Equal for equal fields alone, types and signs of zeros included; None for those that hold
    more than plain values."""
    if not all(type(value) in _PLAIN for value in fields.values()):
        return None
    return repr(sorted(fields.items())).encode()
