"""A table in a stream: as a whole where it is small, in blocks where it is not, and exact."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ancestral.jobs.recipe import Recipe, read_recipe
from ancestral.models import Autoregressive, build
from ancestral.models.augmentation import Augmentation
from ancestral.models.errors import DataError
from ancestral.models.visits import Place, visits
from ancestral.orchestration.training import stream as stream_module
from ancestral.orchestration.training.examples import Events
from ancestral.orchestration.training.stream import Stream

ROWS = 60
#: To learn from.
LEARNT = 40


@pytest.fixture
def events(tmp_path: Path) -> Events:
    """Images of 2 x 3 pixels, of which the first two tell the row; every third is held out."""
    rows = [
        {
            "image": bytes([row // 3, row % 3, 9, 9, 9, 9]),
            "split": "test" if row % 3 == 0 else "train",
        }
        for row in range(ROWS)
    ]
    table = pa.Table.from_pylist(rows)
    # Without a dictionary every image takes its bytes.
    pq.write_table(table, tmp_path / "table.parquet", row_group_size=15, use_dictionary=["split"])
    return Events(recipe(tmp_path), net().signature)


def recipe(folder: Path, **data: Any) -> Recipe:
    return read_recipe(
        {
            "name": "any",
            "family": "made",
            "data": {"path": str(folder / "table.parquet"), **data},
            "training": {"steps": 1, "batch_size": 1},
        }
    )


def net() -> Autoregressive:
    return build("pixelcnn", {"height": 2, "width": 3, "levels": 256, "channels": 2, "blocks": 1})


def table_bytes(events: Events) -> int:
    return sum(size.bytes for size in events.sizes)


def rows_visited(stream: Stream, count: int, place: Place | None = None) -> list[int]:
    visited = visits(stream.blocks, seed=1, place=place)
    return [int(3 * item.x[0, 0] + item.x[0, 1]) for item, _ in islice(visited, count)]


@pytest.mark.parametrize("blocks", [1, 7])
def test_an_epoch_visits_every_row_once_whoever_does(events: Events, blocks: int) -> None:
    block_bytes = table_bytes(events) // blocks
    streams = [
        Stream(events, net(), seed=1, rank=rank, ranks=2, block_bytes=block_bytes)
        for rank in range(2)
    ]
    assert streams[0].is_whole == (blocks == 1)

    for epoch in range(2):
        rows = [row for each in streams for row in rows_visited(each, 20, Place(epoch))]
        assert Counter(rows) == Counter(row for row in range(ROWS) if row % 3)
        assert rows != sorted(rows)


def test_a_large_table_goes_on_in_the_middle_without_what_came_before(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a rank that was stopped in its third block of the second epoch
    def stream() -> Stream:
        block_bytes = table_bytes(events) // 10
        return Stream(events, net(), seed=1, rank=1, ranks=2, block_bytes=block_bytes)

    undisturbed = list(islice(visits(stream().blocks, seed=1), 80))
    left_at = next(
        number for number, (_, place) in enumerate(undisturbed) if place == Place(1, 2, 1)
    )
    read: list[int] = []
    read_events = Events.read

    def noted(self: Events, spans: Any) -> Any:
        for number, example in read_events(self, spans):
            read.append(number)
            yield number, example

    monkeypatch.setattr(Events, "read", noted)

    # When it goes on
    again = list(islice(visits(stream().blocks, seed=1, place=Place(1, 2, 1)), 5))

    # Then bit by bit, and it reads little more than those rows
    for (item, place), (expected, expected_place) in zip(
        again, undisturbed[left_at + 1 :], strict=False
    ):
        assert place == expected_place
        assert item.x.equal(expected.x)
    assert len(read) < 20


def test_a_small_table_is_decoded_once(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(events, net(), seed=1)
    rows_visited(stream, LEARNT)
    monkeypatch.setattr(Events, "read", None)
    monkeypatch.setattr(Events, "item", None)

    assert len(set(rows_visited(stream, LEARNT, Place(7)))) == LEARNT


def test_items_beyond_the_bound_are_made_again(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Counter[int]()
    item_of_event = Events.item

    def noted(self: Events, maker: Any, number: int, example: Any) -> Any:
        made[number] += 1
        return item_of_event(self, maker, number, example)

    monkeypatch.setattr(Events, "item", noted)
    # Given room for ten items, of six symbols of 8 bytes and six weights of 4
    monkeypatch.setattr(stream_module, "ITEM_BYTES", 10 * 6 * 12)

    rows_visited(Stream(events, net(), seed=1), 3 * LEARNT)

    assert sorted(made.values()) == [1] * 10 + [3] * 30


def test_images_are_changed_by_seed_epoch_and_row(events: Events) -> None:
    def pictures(epoch: int, augmentation: Augmentation | None, rank: int = 0) -> list[str]:
        stream = Stream(events, net(), seed=1, rank=rank, ranks=2, augmentation=augmentation)
        visited = islice(visits(stream.blocks, seed=1, place=Place(epoch)), 20)
        return [str(item.x.tolist()) for item, _ in visited]

    shifted = Augmentation(shift_pixels=1)
    assert pictures(3, shifted) == pictures(3, shifted)
    assert set(pictures(3, shifted)) != set(pictures(4, shifted))
    unchanged = [*pictures(3, None), *pictures(3, None, rank=1)]
    changed = [*pictures(3, shifted), *pictures(3, shifted, rank=1)]
    # One in nine stays where it is, and one in six is moved up or down and looks the same.
    same = sum(one == other for one, other in zip(unchanged, changed, strict=True))
    assert len(set(unchanged)) == LEARNT
    assert 0 < same < LEARNT // 2


def test_a_row_that_does_not_fit_is_named(tmp_path: Path) -> None:
    table = pa.table({"image": [bytes(6)], "split": ["train"], "label": [3]})
    pq.write_table(table, tmp_path / "table.parquet")
    events = Events(recipe(tmp_path, fields=["label"]), net().signature)

    with pytest.raises(DataError, match=r"table\.parquet, row 0 counted from 0: .* 'label'"):
        next(visits(Stream(events, net(), seed=0).blocks, seed=0))
