"""Patience waits for what passes, for as long as it was told to, and tells of every failure."""

from __future__ import annotations

import pytest

from ancestral.jobs.errors import QueueUnavailable, StoreDenied, StoreUnavailable
from ancestral.workers.events import Hiccup
from ancestral.workers.patience import Patience
from tests.workers.fakes import Clock, Diary


class Failing:
    """Fails with the errors it is given, one a call, then answers 7."""

    def __init__(self, *errors: Exception, seconds: float = 0.0) -> None:
        self.clock = Clock()
        self.calls = 0
        self._errors = list(errors)
        self._seconds = seconds

    def __call__(self) -> int:
        self.calls += 1
        self.clock.now += self._seconds
        if self._errors:
            raise self._errors.pop(0)
        return 7


def test_what_passes_is_tried_again() -> None:
    diary = Diary()
    failing = Failing(StoreUnavailable("503"), QueueUnavailable("refused"))
    patience = Patience("ann", diary, clock=failing.clock)

    assert patience.retry("counting", failing) == 7

    assert [(event.doing, event.error) for event in diary.of(Hiccup)] == [
        ("counting", "503"),
        ("counting", "refused"),
    ]
    assert patience.retries == 2


def test_what_does_not_pass_is_raised_at_once() -> None:
    failing = Failing(StoreDenied("no rights"))

    with pytest.raises(StoreDenied):
        Patience("ann", Diary(), clock=failing.clock).retry("writing", failing)
    assert failing.calls == 1


def test_patience_has_an_end() -> None:
    # Given calls that take four seconds each, and ten seconds of patience.
    failing, diary = Failing(*[StoreUnavailable("503")] * 9, seconds=4), Diary()
    patience = Patience("ann", diary, seconds=10, clock=failing.clock)

    with pytest.raises(StoreUnavailable):
        patience.retry("writing", failing)
    assert failing.calls == 3
    assert [event.waited_seconds for event in diary.of(Hiccup)] == [4, 8]


def test_whoever_was_told_to_stop_waits_no_more() -> None:
    failing = Failing(StoreUnavailable("503"))
    patience = Patience("ann", Diary(), clock=failing.clock)
    patience.stop()

    with pytest.raises(StoreUnavailable):
        patience.retry("writing", failing)
    assert failing.calls == 1
