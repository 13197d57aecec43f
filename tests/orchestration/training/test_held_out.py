"""The held-out figure: every event whole, and of the right kind."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from ancestral.models import Autoregressive, Item, bits_per_dim, build
from ancestral.orchestration.training import held_out as held_out_module
from ancestral.orchestration.training.examples import Events, Example, network
from ancestral.orchestration.training.held_out import (
    SYMBOLS_AT_A_TIME,
    HeldOut,
    held_out_batches,
    held_out_metrics,
)
from tests.orchestration.training.stripes import plan


def images(net: Autoregressive, count: int) -> list[Item]:
    """Black and white images of 4 x 4 pixels."""
    torch.manual_seed(0)
    items = []
    for _ in range(count):
        x, conditions = net.example(torch.randint(0, 2, (4, 4)), {})
        items.append(Item(x, torch.ones(4, 4), conditions))
    return items


def test_long_events_come_one_by_one_and_short_ones_together() -> None:
    def sizes(length: int) -> list[int]:
        items = [Item(torch.zeros(length), torch.ones(length), {}) for _ in range(5)]
        return [len(batch.x) for batch in held_out_batches(items)]

    assert sizes(SYMBOLS_AT_A_TIME + 1) == [1] * 5
    assert sizes(SYMBOLS_AT_A_TIME // 2) == [2, 2, 1]
    assert sizes(10) == [5]


@pytest.mark.parametrize(
    ("family", "config", "kind"),
    [
        ("made", {"hidden": [8], "dropout": 0.5}, "exact"),
        ("darn", {"code": 3, "deterministic": 4, "encoder": 5}, "bound"),
    ],
)
def test_the_figure_is_the_networks_own_score(
    family: str, config: dict[str, Any], kind: str
) -> None:
    # Given a network in the state in which training leaves it
    net = build(family, {"height": 4, "width": 4, **config}).train()
    items = images(net, 7)

    metrics = held_out_metrics(net, held_out_batches(items))

    nats = -sum(net.score(item.x[None], item.conditions).item() for item in items)
    assert metrics["held_out_bits_per_dim"] == pytest.approx(nats / math.log(2) / (7 * 16))
    assert metrics["held_out_kind"] == kind


def test_a_bound_of_many_codes_is_tighter_than_that_of_training() -> None:
    net = build("darn", {"height": 4, "width": 4, "code": 3, "deterministic": 4, "encoder": 5})
    # Given weights that make the code matter
    for weights in net.parameters():
        weights.data.add_(torch.randn_like(weights))
    batches = list(held_out_batches(images(net, 40)))

    assert held_out_metrics(net, batches)["held_out_bits_per_dim"] < bits_per_dim(net, batches)


@pytest.mark.parametrize("ranks", [1, 2, 5, 13])
def test_an_event_is_made_by_one_rank_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranks: int
) -> None:
    # Given twelve images in row groups of five rows of all, so of one held-out image each
    recipe = plan(tmp_path).recipe
    pq.write_table(pq.read_table(recipe.data.path), recipe.data.path, row_group_size=5)
    net = network(recipe)
    events = Events(recipe, net.signature, held_out=True)
    made, item = list[int](), events.item

    def noted(net: Autoregressive, number: int, example: Example) -> Item:
        made.append(number)
        return item(net, number, example)

    monkeypatch.setattr(events, "item", noted)

    # When every rank goes through its share
    shares = [list(HeldOut(events, net, torch.device("cpu"), rank, ranks)) for rank in range(ranks)]

    # Then each image was made once, and no rank has more than one more than another
    assert made == list(range(12))
    counts = [sum(len(batch.x) for batch in share) for share in shares]
    assert max(counts) - min(counts) <= 1


def test_ranks_share_what_is_held_out_and_keep_it_if_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given twelve images, of which four are scored at a time
    recipe = plan(tmp_path).recipe
    net = network(recipe)
    events = Events(recipe, net.signature, held_out=True)
    monkeypatch.setattr(held_out_module, "SYMBOLS_AT_A_TIME", 4 * 16)
    shares = [HeldOut(events, net, torch.device("cpu"), rank, 2) for rank in range(2)]

    first = [list(share) for share in shares]

    # Then each rank has one half, in two batches, and reads them once
    whole = list(HeldOut(events, net, torch.device("cpu")))
    assert [[len(batch.x) for batch in batches] for batches in first] == [[4, 2]] * 2
    assert torch.equal(
        torch.cat([batch.x for batches in first for batch in batches]),
        torch.cat([batch.x for batch in whole]),
    )
    assert all(map(lambda one, other: one is other, first[0], shares[0]))

    # And where there is no room, all are read again
    monkeypatch.setattr(held_out_module, "KEPT_BYTES", first[0][0].bytes)
    tight = HeldOut(events, net, torch.device("cpu"), 0, 2)
    again = [list(tight), list(tight)]
    assert not any(map(lambda one, other: one is other, *again))
    assert [batch.x.tolist() for batch in again[1]] == [batch.x.tolist() for batch in first[0]]
