"""Equal ids are found, in memory or on disk."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs.duplicates import Duplicate, SeenIds


def duplicates_of(ids: list[str], buffered_requests: int) -> list[Duplicate]:
    with TemporaryDirectory() as folder:
        seen = SeenIds(Path(folder), buffered_requests)
        for index, request_id in enumerate(ids):
            seen.add(request_id, number=index + 1)
        return sorted(seen.duplicates())


@pytest.mark.parametrize("buffered_requests", [1, 2, 5, 1000])
def test_every_repeat_names_the_first(buffered_requests: int) -> None:
    assert duplicates_of(["a", "b", "a", "c", "b", "a"], buffered_requests) == [
        Duplicate(index=2, number=3, first_index=0, first_number=1),
        Duplicate(index=4, number=5, first_index=1, first_number=2),
        Duplicate(index=5, number=6, first_index=0, first_number=1),
    ]


def test_nothing_repeats_in_nothing() -> None:
    assert duplicates_of([], 10) == []


@given(st.lists(st.text("ab", max_size=3)), st.integers(1, 12))
def test_the_found_are_those_that_a_set_finds(ids: list[str], buffered_requests: int) -> None:
    first: dict[str, int] = {}
    expected = [
        Duplicate(index, index + 1, first[each], first[each] + 1)
        for index, each in enumerate(ids)
        if first.setdefault(each, index) != index
    ]
    assert duplicates_of(ids, buffered_requests) == expected
