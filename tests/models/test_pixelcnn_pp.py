"""The laws, and what a PixelCNN++ can see."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.errors import ConditionError, ConfigError
from ancestral.models.pixelcnn_pp import PixelCNNPlusPlus, PixelCNNPlusPlusConfig, salimans
from ancestral.models.sampling.draw import Settings
from tests.models import laws

LABELS = ("cat", "dog", 3)


@st.composite
def nets(draw: st.DrawFn) -> PixelCNNPlusPlus:
    """Random weights in any small shape, with every kind of conditioning."""
    coarser = draw(st.integers(0, 2))
    config = PixelCNNPlusPlusConfig(
        height=2**coarser * draw(st.integers(1, 2)),
        width=2**coarser * draw(st.integers(1, 3)),
        levels=draw(st.sampled_from([2, 3, 16, 256])),
        colours=draw(st.sampled_from([1, 3])),
        labels=draw(st.sampled_from([(), LABELS])),
        latent=draw(st.integers(0, 2)),
        channels=draw(st.integers(1, 5)),
        blocks=draw(st.integers(1, 2)),
        coarser=coarser,
        components=draw(st.integers(1, 3)),
        dropout=draw(st.sampled_from([0.0, 0.5])),
    )
    return _lively(config, seed=draw(st.integers(0, 999)))


def some_net(seed: int = 0, **change: Any) -> PixelCNNPlusPlus:
    """A tiny net of 4 by 4 grey pixels in 4 levels, or what is said instead."""
    sizes = {"height": 4, "width": 4, "levels": 4, "channels": 4, "coarser": 1, "components": 2}
    return _lively(PixelCNNPlusPlusConfig(**{**sizes, **change}), seed)


def requests_of(net: PixelCNNPlusPlus) -> list[dict[str, Any]]:
    """Two requests at least, which differ where there is something to ask for."""
    requests: list[dict[str, Any]] = [{"label": label} for label in net.config.labels] or [{}, {}]
    if net.config.latent:
        for place, request in enumerate(requests):
            request["latent"] = [0.5 - place] * net.config.latent
    return requests


def _lively(config: PixelCNNPlusPlusConfig, seed: int) -> PixelCNNPlusPlus:
    # A fresh net's blocks and head add little; here everything that is behind must matter.
    torch.manual_seed(seed)
    net = PixelCNNPlusPlus(config)
    for parameter in net.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    return net.eval()


@settings(max_examples=25)
@given(net=nets(), position=st.integers(0, 400), seed=st.integers(0, 999))
def test_law_of_causality(net: PixelCNNPlusPlus, position: int, seed: int) -> None:
    laws.check_causality(net, requests_of(net)[-1], position, seed)


@settings(max_examples=20)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_sameness(net: PixelCNNPlusPlus, seed: int) -> None:
    laws.check_sameness(net, requests_of(net), seed)


@settings(max_examples=15)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_log_prob(net: PixelCNNPlusPlus, seed: int) -> None:
    laws.check_log_prob(net, requests_of(net)[0], seed)


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize(
    ("coarser", "labels", "latent"), [(0, (), 2), (1, LABELS, 0), (2, LABELS, 3)]
)
def test_law_of_the_definition(
    colours: int, coarser: int, labels: tuple[int | str, ...], latent: int
) -> None:
    net = some_net(colours=colours, coarser=coarser, labels=labels, latent=latent)
    laws.check_definition(net, requests_of(net)[1], seed=5)


@pytest.mark.parametrize("colours", [1, 3])
def test_law_of_the_definition_for_the_rest_of_an_image(colours: int) -> None:
    # The first row and a half are given; of colour images, not even all of a pixel.
    net = some_net(colours=colours)
    given_symbols = torch.randint(0, 4, (6 * colours - colours // 2,))
    laws.check_definition(net, {}, 5, Settings(temperature=0.8, top_k=3), given_symbols)


@pytest.mark.parametrize(
    "change",
    [
        {"height": 2, "width": 2, "levels": 3, "coarser": 0, "labels": LABELS},
        {"height": 2, "width": 2, "levels": 3, "coarser": 1, "latent": 2},
        {"height": 1, "width": 1, "levels": 4, "coarser": 0, "colours": 3},
        {"height": 2, "width": 2, "levels": 2, "coarser": 1, "colours": 3, "components": 3},
    ],
    ids=["grey by label", "grey by latent", "one pixel in colour", "four pixels in colour"],
)
def test_law_of_normalisation(change: dict[str, Any]) -> None:
    net = some_net(**change)
    for request in requests_of(net):
        laws.check_normalisation(net, request)


@pytest.mark.parametrize(("coarser", "side"), [(0, 3), (1, 6), (2, 8)])
def test_a_pixel_is_seen_by_everything_behind_it(coarser: int, side: int) -> None:
    # Given a net that reaches over the whole image
    net = some_net(height=side, width=side, coarser=coarser, channels=8, blocks=2).double()
    x = laws.random_event(net, {}, seed=1)
    before = net(x, {})

    # When one pixel changes, there is no blind spot: every later mixture moves
    for row, column in [(0, 0), (0, side - 1), (1, side - 1), (side - 2, 1), (side - 1, 0)]:
        changed = x.clone()
        changed[0, row, column] = (x[0, row, column] + 1) % 4
        moved = (net(changed, {}) != before).any(1).flatten()
        position = row * side + column
        assert not moved[: position + 1].any()
        assert moved[position + 1 :].all()


def test_a_colour_is_seen_by_the_colours_behind_it() -> None:
    net = some_net(height=2, width=2, colours=3).double()
    x = laws.random_event(net, {}, seed=1)
    before = net(x, {})
    for position in range(x.numel()):
        changed = x.clone()
        changed.view(-1)[position] = (x.view(-1)[position] + 1) % 4
        moved = (net(changed, {}) != before).any(1).flatten()
        assert not moved[: position + 1].any()
        assert moved[position + 1 :].all()


def test_the_edge_of_the_image_can_be_told_from_a_grey_between() -> None:
    # Given an image in the middle of the levels, whose value is 0
    net = some_net(height=8, width=8, levels=3, coarser=0)
    x = torch.ones(1, 8, 8, dtype=torch.int64)

    # Then a pixel at its edge has another mixture than one in its middle
    parameters = net(x, {})
    assert not torch.allclose(parameters[..., 0, 0], parameters[..., 7, 4])


@pytest.mark.parametrize("coarser", [0, 1, 2])
def test_a_slot_is_free_to_begin_with_each_row_of_the_coarsest_grid(coarser: int) -> None:
    net = some_net(height=8, width=12, coarser=coarser)
    assert net.program().period == 2**coarser * 12


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"label": "cat", "latent": [1.0, 0.0]}, {"label": "dog", "latent": [1.0, 0.0]}),
        ({"label": "cat", "latent": [1.0, 0.0]}, {"label": "cat", "latent": [1.0, 0.1]}),
    ],
    ids=["label", "latent"],
)
def test_what_is_asked_for_matters(one: dict[str, Any], other: dict[str, Any]) -> None:
    net = some_net(labels=LABELS, latent=2)
    x = laws.random_event(net, one, seed=1)
    assert net.log_prob(x, net.conditions(one)) != net.log_prob(x, net.conditions(other))


def test_a_batch_is_scored_like_its_events_alone() -> None:
    net = some_net(colours=3, labels=LABELS, latent=2).double()
    x = torch.randint(0, 4, (3, 4, 4, 3))
    conditions = [net.conditions(request) for request in requests_of(net)]
    together = {name: torch.cat([c[name] for c in conditions]) for name in conditions[0]}
    alone = [net.log_prob(x[row : row + 1], conditions[row]) for row in range(3)]
    torch.testing.assert_close(net.log_prob(x, together), torch.cat(alone))


def test_features_are_left_out_in_training_only() -> None:
    net = some_net(dropout=0.5)
    x = laws.random_event(net, {}, seed=1)
    assert torch.equal(net(x, {}), net(x, {}))
    net.train()
    assert not torch.equal(net(x, {}), net(x, {}))


@torch.no_grad()
def test_a_fresh_net_begins_near_even_odds() -> None:
    torch.manual_seed(0)
    net = PixelCNNPlusPlus(PixelCNNPlusPlusConfig(8, 8, 16, coarser=1))
    x = torch.randint(0, 16, (8, 8, 8))
    bits = float(net.training_nats(x, {}).mean()) / math.log(2)
    assert 3.9 < bits < 4.6


def test_the_signature_tells_fields_and_shape() -> None:
    signature = some_net(colours=3, labels=LABELS, latent=2).signature
    assert signature["shape"] == [4, 4, 3]
    assert signature["fields"]["label"]["values"] == list(LABELS)
    assert signature["fields"]["latent"]["type"] == "vector"
    assert signature["fields"]["latent"]["length"] == 2
    assert some_net().signature["shape"] == [4, 4]
    assert some_net().signature["fields"] == {}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"latent": [1.0, 2.0]}, "the model needs the field 'label'"),
        ({"label": "cat"}, "the model needs the field 'latent'"),
        ({"label": "cow", "latent": [1.0, 2.0]}, "label cannot be 'cow'"),
        ({"label": "cat", "latent": [1.0]}, "latent must be a list of 2 finite numbers"),
        ({"label": "cat", "latent": [1.0, float("nan")]}, "latent must be a list of 2"),
        ({"label": "cat", "latent": [True, 1.0]}, "latent must be a list of 2"),
        ({"label": "cat", "latent": 3.0}, "latent must be a list of 2"),
    ],
)
def test_fields_that_do_not_fit_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        some_net(labels=LABELS, latent=2).conditions(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 0}, "channels must be at least 1, not 0"),
        ({"coarser": -1}, "coarser must not be negative"),
        ({"levels": 257}, "levels must be 2 to 256, not 257"),
        ({"colours": 2}, "colours must be 1 or 3, not 2"),
        ({"labels": (1, 1)}, "a label is listed twice"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, not 1.0"),
        ({"height": 6}, "height must be a multiple of 4 for 2 coarser grids, not 6"),
        ({"width": 10}, "width must be a multiple of 4 for 2 coarser grids, not 10"),
    ],
)
def test_sizes_that_make_no_network_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PixelCNNPlusPlusConfig(**{"height": 4, "width": 4, "levels": 4, **change})


def test_the_papers_network_makes_images_of_cifar10() -> None:
    with torch.device("meta"):
        assert PixelCNNPlusPlus(salimans()).signature["shape"] == [32, 32, 3]
