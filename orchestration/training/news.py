"""What the ranks of a training run tell, as objects and as the plain documents that travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ancestral.models import TrainProgress


@dataclass(frozen=True)
class Began:
    """All ranks are at work. What was told of later steps before is done again."""

    step: int


@dataclass(frozen=True)
class Said:
    """A line for people."""

    text: str


@dataclass(frozen=True)
class Picture:
    """Samples of the averaged weights after a step, as a PNG."""

    step: int
    png: bytes


@dataclass(frozen=True)
class GaveUp:
    """A rank ended by an error that would come again, however often it were tried."""

    text: str


News = Began | Said | Picture | GaveUp | TrainProgress

_KINDS = {kind.__name__: kind for kind in (Began, Said, Picture, GaveUp, TrainProgress)}


def as_document(news: News) -> dict[str, Any]:
    """A piece of news for `news_in`, of plain values."""
    return {"kind": type(news).__name__, **asdict(news)}


def news_in(document: Mapping[str, Any]) -> News:
    """What `as_document` made a document of."""
    fields = dict(document)
    return _KINDS[fields.pop("kind")](**fields)
