"""Rows drawn without a lease."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ancestral.jobs.request_shards import Row
from ancestral.jobs.spec import Sampling
from ancestral.workers.drawing import draw
from tests.workers.fakes import FakeSampler, picture

SAMPLING = Sampling()


def rows(*labels: str) -> list[Row]:
    """A row for each label; they take 1, 2, ... 5, 1, 2, ... advances."""
    return [Row(n, f"r{n}", 0, n, {"label": label}, None) for n, label in enumerate(labels)]


def test_every_row_ends_once_with_what_was_drawn_or_what_went_wrong() -> None:
    asked = rows("plain", "refused", "plain", "poison", "plain", "refused")

    ended = {row.ordinal: (drawn, error) for row, drawn, error in draw(fake(2), SAMPLING, asked)}

    assert sorted(ended) == list(range(6))
    for ordinal in (0, 2, 4):
        drawn, error = ended[ordinal]
        assert drawn is not None and error is None
        np.testing.assert_array_equal(drawn.symbols, picture(ordinal, 0))
    assert ended[1] == ended[5] == (None, "no such thing can be drawn")
    assert ended[3][1] == "the logits are not finite"


def test_slots_stay_full_and_no_row_is_taken_before_there_is_one_for_it() -> None:
    # Given rows that are counted as they are taken
    taken = 0

    def counted() -> Iterator[Row]:
        nonlocal taken
        for row in rows(*["plain"] * 20):
            taken += 1
            yield row

    in_slots: list[int] = []
    model = fake(3, lambda rows: in_slots.append(len(rows)))

    # When they are drawn
    for ended, _ in enumerate(draw(model, SAMPLING, counted()), start=1):
        assert taken <= ended + 3

    # Then only the last rows had company that was missing
    full = in_slots.index(2) if 2 in in_slots else len(in_slots)
    assert in_slots[:full] == [3] * full and full > 10
    assert in_slots[full:] == sorted(in_slots[full:], reverse=True)


def test_rows_whose_slots_were_lost_are_drawn_anew() -> None:
    model = FakeSampler(8, lambda rows: None, room=4)

    ended = [row.ordinal for row, _, error in draw(model, SAMPLING, rows(*["plain"] * 12))]

    assert sorted(ended) == list(range(12))
    assert model.admitted[:12] == [*range(8), *range(4)]


def test_it_ends_between_two_advances_when_it_is_told_to() -> None:
    # Given an endless stream of rows, and somebody who has seen enough after three advances
    advances: list[int] = []
    model = fake(2, lambda rows: advances.append(len(rows)))
    endless = itertools.cycle(rows(*["plain"] * 5))

    ended = list(draw(model, SAMPLING, endless, lambda: len(advances) < 3))

    # Then slots are still full
    assert advances == [2, 2, 2]
    assert (model.free, len(ended)) == (0, len(model.admitted) - 2)


def fake(slots: int, before_advance: Any = lambda rows: None) -> FakeSampler:
    return FakeSampler(slots, before_advance)
