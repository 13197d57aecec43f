"""What is made ahead comes in order, no more of it than was asked for, and its errors too."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ancestral.models.ahead import ahead


def test_values_come_in_order_and_end() -> None:
    assert list(ahead(iter(range(20)), depth=3)) == list(range(20))
    assert list(ahead(iter(()), depth=3)) == []


def test_they_are_made_in_another_thread_and_few_at_a_time() -> None:
    made: list[int] = []
    threads = set[int]()

    def source() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            threads.add(threading.get_ident())
            yield number

    values = ahead(source(), depth=3)
    assert made == []

    taken = [next(values) for _ in range(10)]
    values.close()  # type: ignore[attr-defined]

    # Then at most three were made that nobody took
    assert taken == list(range(10))
    assert 10 <= len(made) <= 13
    assert threading.get_ident() not in threads


def test_an_error_comes_where_its_value_would_have() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the third is broken")

    values = ahead(source(), depth=5)

    assert (next(values), next(values)) == (1, 2)
    with pytest.raises(ValueError, match="the third is broken"):
        next(values)


def test_once_closed_nothing_works_on() -> None:
    before = threading.active_count()
    values = ahead(iter(range(100)))
    next(values)
    assert threading.active_count() == before + 1

    values.close()  # type: ignore[attr-defined]

    assert threading.active_count() == before
