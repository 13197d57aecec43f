"""What the ranks of a training run tell whoever watches, by way of an actor."""

from __future__ import annotations

from dataclasses import dataclass

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


class Board:
    """A Ray actor on which ranks write, for the process that shows it."""

    def __init__(self) -> None:
        self._news: list[News] = []

    def write(self, news: News) -> None:
        self._news.append(news)

    def read(self) -> list[News]:
        """What was written since the last call."""
        news, self._news = self._news, []
        return news
