"""What watchers see: rates, times, lines, and a bar where there is a terminal."""

from __future__ import annotations

import io
from contextlib import suppress

import pytest

from ancestral.orchestration.progress import (
    SECONDS_BETWEEN_LINES,
    UNTOLD_SECONDS,
    ProgressLine,
    Rate,
    rows_text,
    telling_checked,
)


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_lines_come_now_and_then_and_at_the_end() -> None:
    clock, stream = Clock(), io.StringIO()
    with ProgressLine("digits", 10, stream, clock=clock) as line:
        for done in range(11):
            line.show(done, f"{done} rows")
            clock.now += SECONDS_BETWEEN_LINES / 4

    lines = stream.getvalue().splitlines()

    assert lines == ["digits  0 rows", "digits  4 rows", "digits  8 rows", "digits  10 rows"]


def test_without_a_terminal_nothing_is_said_twice() -> None:
    clock, stream = Clock(), io.StringIO()
    with ProgressLine("digits", 10, stream, clock=clock) as line:
        for _ in range(5):
            line.show(3, "3 rows")
            clock.now += 100

    assert stream.getvalue() == "digits  3 rows\n"


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_what_should_be_heard_is_said_at_once(stream: io.StringIO) -> None:
    with ProgressLine("digits", 10, stream) as line:
        line.show(3, "3 rows")
        line.say("rows [5, 9) broke")

        assert "rows [5, 9) broke\n" in stream.getvalue()


def test_on_a_terminal_there_is_a_bar() -> None:
    stream = Terminal()
    with ProgressLine("digits", 10, stream) as line:
        line.show(5, "5 of 10")

    assert "━" in stream.getvalue()
    assert "5 of 10" in stream.getvalue()


def test_brackets_on_a_terminal_are_brackets() -> None:
    stream = Terminal()
    with ProgressLine("seven [/b]", 10, stream) as line:
        line.show(5, "paused: [/red]")

    assert "seven [/b]" in stream.getvalue()
    assert "paused: [/red]" in stream.getvalue()


def test_a_check_that_takes_a_while_is_told_of() -> None:
    clock, stream = Clock(), io.StringIO()
    with telling_checked("digits", stream, clock=clock) as tell:
        tell(256)
        assert not stream.getvalue()

        clock.now += UNTOLD_SECONDS
        tell(1280)
        tell(1536)
        clock.now += SECONDS_BETWEEN_LINES
        tell(1792)

    assert stream.getvalue().splitlines() == [
        "digits  1,280 requests checked",
        "digits  1,792 requests checked",
    ]


def test_on_a_terminal_a_check_has_a_bar_without_an_end() -> None:
    clock, stream = Clock(), Terminal()
    with telling_checked("digits", stream, clock=clock) as tell:
        clock.now += UNTOLD_SECONDS
        tell(1280)

    assert "1,280 requests checked" in stream.getvalue()


def test_a_rate_follows_the_last_half_minute() -> None:
    clock = Clock()
    rate = Rate(clock)
    assert rate(0) == 0.0

    # Given 10 a second for a minute, then 2 a second
    done = 0
    for pace in [10] * 60 + [2] * 60:
        clock.now += 1
        done += pace
        seen = rate(done)

    assert seen == pytest.approx(2.0)


def test_a_rate_of_the_first_look_alone_is_not_known() -> None:
    assert Rate(Clock())(1000) == 0.0


@pytest.mark.parametrize(
    ("done", "rate", "text"),
    [
        (0, 0.0, "0 of 2,000 rows"),
        (1250, 42.11, "1,250 of 2,000 rows · 42.1 rows/s · 0:18 left"),
        (2000, 42.11, "2,000 of 2,000 rows · 42.1 rows/s"),
    ],
)
def test_rows_in_words(done: int, rate: float, text: str) -> None:
    assert rows_text(done, 2000, rate) == text


def test_nobody_hears_any_more_and_it_goes_on() -> None:
    # Given an output that takes nothing
    full = open("/dev/full", "w", buffering=1)
    try:
        with ProgressLine("draw", 10, full) as line:
            line.show(5, "half of it")
            line.say("a line of its own")
    finally:
        with suppress(OSError):
            full.close()
