"""Networks whose conditioning is not finite for one request, and as ever for all others."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch

from ancestral.models.autoregressive import Autoregressive, Conditions, Projection
from ancestral.models.sampling.aligned import PIECE_COLUMNS
from tests.models.laws import Fields


def ailing(net: Autoregressive, fields: Fields) -> Autoregressive:
    """A copy of a network that breaks for the request of these fields: at once, or, where its
    conditioning is aligned, from the third column on."""
    family: Any = type(net)
    own = _first_piece(net, fields)

    class Ailing(family):  # type: ignore[misc]
        def project(self, conditions: Conditions) -> Projection:
            projection: Projection = super().project(conditions)
            if not _equal(own, conditions):
                return projection
            if projection.aligned is None:
                assert projection.fixed is not None
                return replace(projection, fixed=torch.full_like(projection.fixed, torch.nan))
            aligned = projection.aligned.clone()
            aligned[:, 2:] = torch.nan
            return replace(projection, aligned=aligned)

    broken = copy.deepcopy(net)
    broken.__class__ = Ailing
    return broken


def ails(net: Autoregressive, fields: Fields, other: Fields) -> bool:
    """Whether a network that breaks for the one request breaks for the other as well."""
    return _equal(_first_piece(net, fields), _first_piece(net, other))


def _first_piece(net: Autoregressive, fields: Fields) -> Conditions:
    return net.piece(net.conditions(fields), 0, PIECE_COLUMNS)


def _equal(one: Conditions, other: Conditions) -> bool:
    return all(torch.equal(one[name], value) for name, value in other.items())
