"""The laws, and what a gated PixelCNN can see."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.errors import ConditionError, ConfigError
from ancestral.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig
from tests.models import laws
from tests.models.nets import random_fields

LABELS = ("cat", "dog", 3)


@st.composite
def nets(draw: st.DrawFn) -> GatedPixelCNN:
    """Random weights in any small shape, asked with any of a label, a latent vector and a map."""
    rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    labels = draw(st.sampled_from([(), LABELS]))
    config = GatedPixelCNNConfig(
        height=rows * draw(st.integers(1, 2)),
        width=columns * draw(st.integers(1, 3)),
        levels=draw(st.integers(2, 17)),
        labels=labels,
        guided=bool(labels) and draw(st.booleans()),
        latent=draw(st.sampled_from([0, 3])),
        map_shape=draw(st.sampled_from([(), (2, rows, columns)])),
        embedding=draw(st.integers(1, 6)),
        channels=draw(st.integers(1, 7)),
        layers=draw(st.integers(1, 4)),
        first_reach=draw(st.integers(1, 3)),
        reach=draw(st.integers(0, 2)),
        dilation_cycle=draw(st.integers(1, 3)),
        head=draw(st.integers(1, 18)),
        dropout=draw(st.sampled_from([0.0, 0.5])),
    )
    torch.manual_seed(draw(st.integers(0, 999)))
    return GatedPixelCNN(config).eval()


def requests_of(net: GatedPixelCNN) -> list[dict[str, Any]]:
    """Two requests that differ in everything that the net is asked with."""
    return [random_fields(net.signature, seed) for seed in range(2)]


@settings(max_examples=40)
@given(net=nets(), position=st.integers(0, 29), seed=st.integers(0, 999))
def test_law_of_causality(net: GatedPixelCNN, position: int, seed: int) -> None:
    laws.check_causality(net, requests_of(net)[-1], position, seed)


@settings(max_examples=40)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_sameness(net: GatedPixelCNN, seed: int) -> None:
    laws.check_sameness(net, requests_of(net), seed)


@settings(max_examples=40)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_log_prob(net: GatedPixelCNN, seed: int) -> None:
    laws.check_log_prob(net, requests_of(net)[0], seed)


@settings(max_examples=15)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_definition(net: GatedPixelCNN, seed: int) -> None:
    laws.check_definition(net, requests_of(net)[-1], seed)


@pytest.mark.parametrize(
    "asked",
    [{}, {"labels": LABELS}, {"latent": 2}, {"map_shape": (1, 2, 3)}],
    ids=["unconditioned", "by label", "by latent", "by map"],
)
def test_law_of_normalisation(asked: dict[str, Any]) -> None:
    torch.manual_seed(0)
    net = GatedPixelCNN(GatedPixelCNNConfig(2, 3, 3, layers=2, channels=5, **asked))
    for request in requests_of(net):
        laws.check_normalisation(net, request)


def test_a_pixel_is_seen_by_everything_behind_it_within_reach() -> None:
    # Given a net that reaches over the whole image
    torch.manual_seed(0)
    net = GatedPixelCNN(GatedPixelCNNConfig(5, 5, 4, layers=6, channels=8)).double()
    x = laws.random_event(net, {}, seed=1)
    conditions = net.conditions({})
    before = net(x, conditions)

    # When one pixel changes, there is no blind spot: every later logit moves
    for row, column in [(0, 0), (1, 4), (2, 2), (3, 0)]:
        changed = x.clone()
        changed[0, row, column] = (x[0, row, column] + 1) % 4
        moved = (net(changed, conditions) != before).any(1).flatten()
        position = row * 5 + column
        assert not moved[: position + 1].any()
        assert moved[position + 1 :].all()


@pytest.mark.parametrize(
    ("asked", "one", "other"),
    [
        ({"labels": LABELS}, {"label": "cat"}, {"label": "dog"}),
        (
            {"labels": LABELS, "guided": True},
            {"label": "cat"},
            {"label": "cat", "guidance": 0.5},
        ),
        ({"latent": 2}, {"latent": [1.0, 0.0]}, {"latent": [0.0, 1.0]}),
        ({"map_shape": (1, 1, 3)}, {"map": [[[0, 0, 1]]]}, {"map": [0, 0, 2]}),
    ],
)
def test_what_is_asked_for_matters(
    asked: dict[str, Any], one: dict[str, Any], other: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    net = GatedPixelCNN(GatedPixelCNNConfig(3, 3, 4, **asked))
    x = laws.random_event(net, one, seed=1)
    assert net.log_prob(x, net.conditions(one)) != net.log_prob(x, net.conditions(other))


def test_guidance_goes_on_from_the_mean_label_beyond_the_one_asked_for() -> None:
    # Given a net that can be guided, and one whose second label is half as far again from the mean
    torch.manual_seed(0)
    guided = GatedPixelCNN(GatedPixelCNNConfig(3, 3, 4, LABELS, guided=True))
    plain = GatedPixelCNN(GatedPixelCNNConfig(3, 3, 4, LABELS))
    plain.load_state_dict(guided.state_dict())
    rows = plain.get_parameter("asked.label.weight").data
    rows[1] += 0.5 * (rows[1] - rows.mean(0))
    x = laws.random_event(plain, {"label": "dog"}, seed=1)

    # Then guidance of a half says the same; and none, which is left out, changes nothing
    for fields, label in (({"label": "dog", "guidance": 0.5}, "dog"), ({"label": "cat"}, "cat")):
        told = guided(x, guided.conditions(fields))
        torch.testing.assert_close(told, plain(x, plain.conditions({"label": label})))


@pytest.mark.parametrize("guidance", [-0.1, 4.1, float("nan"), "much", True, None])
def test_guidance_out_of_range_is_named(guidance: object) -> None:
    net = GatedPixelCNN(GatedPixelCNNConfig(3, 3, 4, LABELS, guided=True))
    with pytest.raises(ConditionError, match="guidance must be a number from 0 to 4, not"):
        net.conditions({"label": "cat", "guidance": guidance})


def test_a_map_is_added_where_its_cell_lies() -> None:
    # Given a map of one row of three cells, each of which serves two rows and two columns
    torch.manual_seed(0)
    net = GatedPixelCNN(GatedPixelCNNConfig(2, 6, 4, map_shape=(1, 1, 3), layers=1)).double()
    x = laws.random_event(net, {"map": [0, 0, 0]}, seed=1)
    # When its middle cell changes
    before, after = (net(x, net.conditions({"map": [0, m, 0]})) for m in (0, 1))
    # Then a net of one layer, which passes nothing on, gives other logits there alone
    moved = (before != after).any(1)[0]
    assert moved.tolist() == [[False, False, True, True, False, False]] * 2


@pytest.mark.parametrize(
    "asked", [{}, {"labels": (1, 2), "latent": 3, "map_shape": (2, 2, 5)}], ids=["plain", "asked"]
)
def test_a_batch_is_scored_like_its_events_alone(asked: dict[str, Any]) -> None:
    torch.manual_seed(0)
    net = GatedPixelCNN(GatedPixelCNNConfig(4, 5, 4, **asked)).double()
    x = torch.randint(0, 4, (2, 4, 5))
    conditions = [net.conditions(request) for request in requests_of(net)]
    together = {name: torch.cat([c[name] for c in conditions]) for name in conditions[0]}
    alone = [net.log_prob(x[row : row + 1], conditions[row]) for row in range(2)]
    torch.testing.assert_close(net.log_prob(x, together), torch.cat(alone))


def test_features_are_left_out_in_training_only() -> None:
    torch.manual_seed(0)
    net = GatedPixelCNN(GatedPixelCNNConfig(4, 4, 4, layers=2, dropout=0.5)).eval()
    x = laws.random_event(net, {}, seed=1)
    assert torch.equal(net(x, {}), net(x, {}))
    net.train()
    assert not torch.equal(net(x, {}), net(x, {}))


NUMBERS = [[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]]


@pytest.mark.parametrize("given", [NUMBERS, tuple(NUMBERS), [n for row in NUMBERS[0] for n in row]])
def test_a_map_is_nested_as_its_shape_says_or_in_a_row(given: Any) -> None:
    net = GatedPixelCNN(GatedPixelCNNConfig(2, 4, 4, map_shape=(1, 2, 4)))
    assert net.conditions({"map": given})["map"].tolist() == [NUMBERS]


@pytest.mark.parametrize(
    "given",
    [
        [[[1], [5]], [[2], [6]], [[3], [7]], [[4], [8]]],
        NUMBERS[0],
        [[[1, 2, 3], [4, 5, 6, 7, 8]]],
        [[[1, 2, 3, 4]], [[5, 6, 7, 8]]],
        [[[1, 2, 3, 4], [5, 6, 7, [8]]]],
        [[1, 2, 3, 4], 5, 6, 7, 8],
        [1, 2, 3, 4, 5, 6, 7],
        "12345678",
    ],
    ids=["columns first", "no channels", "ragged", "rows first", "deeper", "mixed", "few", "text"],
)
def test_a_map_of_another_shape_is_refused(given: object) -> None:
    net = GatedPixelCNN(GatedPixelCNNConfig(2, 4, 4, map_shape=(1, 2, 4)))
    with pytest.raises(ConditionError, match="map must be"):
        net.conditions({"map": given})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "the model needs the field 'label'"),
        ({"label": 3.0}, "label cannot be 3.0"),
        ({"label": "cow"}, "label cannot be 'cow': it is one of cat, dog, 3"),
        ({"label": True}, "label cannot be True"),
        ({"label": "cat", "speaker": "ada"}, "the model has no field 'speaker'"),
    ],
)
def test_fields_that_do_not_fit_are_named(fields: dict[str, Any], message: str) -> None:
    net = GatedPixelCNN(GatedPixelCNNConfig(3, 3, 4, LABELS))
    with pytest.raises(ConditionError, match=message):
        net.conditions(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 0}, "channels must be at least 1, not 0"),
        ({"levels": 257}, "levels must be 2 to 256, not 257"),
        ({"reach": -1}, "reach must not be negative"),
        ({"labels": (1, 1)}, "a label is listed twice"),
        ({"guided": True}, "guided nets have two labels at least"),
        ({"guided": True, "labels": (1,)}, "guided nets have two labels at least"),
        ({"latent": -1}, "latent must not be negative"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, not 1.0"),
        ({"map_shape": (1, 2, 3)}, "rows and columns that divide 3 x 3"),
        ({"map_shape": (1, 3)}, "map_shape is"),
    ],
)
def test_sizes_that_make_no_network_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GatedPixelCNNConfig(**{"height": 3, "width": 3, "levels": 4, **change})
