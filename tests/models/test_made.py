"""The laws, and what the masks of a MADE let through."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.errors import ConditionError, ConfigError
from ancestral.models.made import Made, MadeConfig, binarized_mnist, spread_degrees, units_due
from ancestral.models.naive import sample_naive
from ancestral.models.sampling.distributions import Bernoulli, Categorical
from ancestral.models.sampling.draw import Settings
from tests.models import laws

LABELS = ("cat", "dog", 3)


@st.composite
def nets(draw: st.DrawFn) -> Made:
    """Random weights in any small shape, with labels or without."""
    config = MadeConfig(
        height=draw(st.integers(1, 3)),
        width=draw(st.integers(1, 4)),
        levels=draw(st.integers(2, 5)),
        labels=draw(st.sampled_from([(), LABELS])),
        hidden=tuple(draw(st.lists(st.integers(1, 30), min_size=1, max_size=2))),
        embedding=draw(st.integers(1, 3)),
        direct=draw(st.booleans()),
        dropout=draw(st.sampled_from([0.0, 0.5])),
    )
    return lively(config, seed=draw(st.integers(0, 999)))


def lively(config: MadeConfig, seed: int = 0) -> Made:
    """A net whose biases and direct connections, which begin at zero, matter too."""
    torch.manual_seed(seed)
    net = Made(config)
    for parameter in net.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.3)
    return net.eval()


def requests_of(net: Made) -> list[dict[str, Any]]:
    return [{"label": label} for label in net.config.labels] or [{}, {}]


@settings(max_examples=25)
@given(net=nets(), position=st.integers(0, 11), seed=st.integers(0, 999))
def test_law_of_causality(net: Made, position: int, seed: int) -> None:
    laws.check_causality(net, requests_of(net)[-1], position, seed)


@settings(max_examples=25)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_sameness(net: Made, seed: int) -> None:
    laws.check_sameness(net, requests_of(net), seed)


@settings(max_examples=15)
@given(
    net=nets(),
    seed=st.integers(0, 999),
    temperature=st.sampled_from([1.0, 0.7]),
    given_symbols=st.integers(0, 5),
)
def test_law_of_definition(net: Made, seed: int, temperature: float, given_symbols: int) -> None:
    # Given, or not, the first symbols of an event, of which some remain to be drawn
    request = requests_of(net)[0]
    event = laws.random_event(net, request, seed).flatten()
    prefix = event[: min(given_symbols, len(event) - 1)] if given_symbols else None
    laws.check_definition(net, request, seed, Settings(temperature), prefix)


@settings(max_examples=15)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_log_prob(net: Made, seed: int) -> None:
    laws.check_log_prob(net, requests_of(net)[0], seed)


@pytest.mark.parametrize("labels", [(), LABELS], ids=["unconditioned", "by label"])
@pytest.mark.parametrize("levels", [2, 3])
def test_law_of_normalisation(labels: tuple[int | str, ...], levels: int) -> None:
    net = lively(MadeConfig(2, 3, levels, labels, hidden=(9, 8)))
    for request in requests_of(net):
        laws.check_normalisation(net, request)


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("hidden", [(13,), (6, 6), (7, 29)], ids=str)
def test_each_pixel_depends_on_all_pixels_before_it_and_on_no_other(
    hidden: tuple[int, ...], direct: bool
) -> None:
    # Given the product of all masks: the number of paths from each pixel to each output
    net = Made(MadeConfig(2, 3, hidden=hidden, direct=direct))
    paths = torch.eye(6)
    for layer in (*net.layers, net.outputs):
        paths = layer.mask @ paths
    if net.direct is not None:
        paths = paths + net.direct.mask

    # Then it is a strictly lower triangle without a gap
    assert torch.equal(paths > 0, torch.ones(6, 6).tril(-1) > 0)


def test_weights_under_the_mask_stay_out_of_training() -> None:
    torch.manual_seed(0)
    net = Made(MadeConfig(2, 3, 4, hidden=(8, 9)))
    net.training_nats(torch.randint(0, 4, (5, 2, 3)), {}).sum().backward()
    for layer in (*net.layers, net.outputs, net.direct):
        assert not layer.weight.grad[layer.mask == 0].any()
        assert layer.weight.grad[layer.mask == 1].any()


@given(units=st.integers(1, 40), count=st.integers(1, 20))
def test_degrees_are_sorted_and_as_frequent_as_can_be(units: int, count: int) -> None:
    degrees = spread_degrees(units, count)
    assert torch.equal(degrees, degrees.sort().values)
    frequencies = degrees.bincount(minlength=count)
    assert len(frequencies) == count
    assert frequencies.max() - frequencies.min() <= 1


@given(units=st.integers(1, 40), count=st.integers(1, 20))
def test_each_unit_is_due_once_at_its_degree(units: int, count: int) -> None:
    degrees = spread_degrees(units, count)
    due = units_due(degrees, count)
    seen: list[int] = []
    for degree, (start, width) in enumerate(zip(due.starts, due.widths, strict=True)):
        assert (degrees[start : start + width] == degree).all()
        seen += range(start, start + width)
    assert seen == list(range(units))
    assert due.of.width == units


@pytest.mark.parametrize("direct", [True, False])
def test_a_bit_is_pushed_to_and_levels_are_pulled(direct: bool) -> None:
    # Given nets of one parameter a pixel, and of several
    bits = Made(MadeConfig(2, 3, 2, hidden=(12,), direct=direct)).program()
    levels = Made(MadeConfig(2, 3, 5, hidden=(12,), direct=direct)).program()

    # Then the first keeps a sum for each pixel beside pixels and units, the second nothing else
    assert sorted(grid.width for grid in bits.grids) == [6, 6, 12]
    assert sorted(grid.width for grid in levels.grids) == [6, 12]


def test_bits_are_bernoulli_and_grey_levels_categorical() -> None:
    assert Made(MadeConfig(2, 2)).distribution == Bernoulli()
    assert Made(MadeConfig(2, 2, 16)).distribution == Categorical(16)


def test_the_preset_is_of_the_data() -> None:
    mnist = binarized_mnist()
    assert (mnist.height, mnist.width, mnist.levels) == (28, 28, 2)


def test_training_learns_what_follows_from_what() -> None:
    # Given images of which the second half repeats the first
    torch.manual_seed(0)
    half = torch.randint(0, 2, (200, 2, 3))
    images = torch.cat([half, half], dim=1)
    net = Made(MadeConfig(4, 3, hidden=(36,)))

    # When the net is trained on them
    optimizer = torch.optim.Adam(net.parameters(), lr=0.03)
    for _ in range(60):
        optimizer.zero_grad()
        net.training_nats(images, {}).sum().div(len(images)).backward()
        optimizer.step()

    # Then only the first half is news, of ln 2 each
    first, second = net.training_nats(images, {}).detach().mean(0).split(2)
    assert 0.6 < first.mean() < 0.75
    assert second.mean() < 0.05


def test_the_label_matters_from_the_first_pixel_on() -> None:
    net = lively(MadeConfig(2, 2, 3, LABELS, hidden=(8,)))
    x = laws.random_event(net, {"label": "cat"}, seed=1)
    cat, dog = (net(x, net.conditions({"label": name})) for name in ("cat", "dog"))
    assert (cat != dog).all(1).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "the model needs the field 'label'"),
        ({"label": "cow"}, "label cannot be 'cow': it is one of cat, dog, 3"),
        ({"label": "cat", "speaker": "ada"}, "the model has no field 'speaker': it has label"),
    ],
)
def test_fields_that_do_not_fit_are_named(fields: dict[str, Any], message: str) -> None:
    net = Made(MadeConfig(3, 3, labels=LABELS))
    with pytest.raises(ConditionError, match=message):
        net.conditions(fields)


def test_the_naive_sampler_drops_nothing_of_a_network_in_training() -> None:
    # Given a network and what it draws without dropout
    net = lively(MadeConfig(height=4, width=4, levels=5, hidden=(30,), dropout=0.5))
    drawn = sample_naive(net, {}, seed=1)

    # When it is asked in training, then it draws the same and is in training still
    again = sample_naive(net.train(), {}, seed=1)
    assert again.symbols.equal(drawn.symbols)
    assert again.log_likelihood_nats == drawn.log_likelihood_nats
    assert net.training


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"height": 0}, "height must be at least 1, not 0"),
        ({"embedding": 0}, "embedding must be at least 1, not 0"),
        ({"hidden": ()}, "hidden must be one or two sizes"),
        ({"hidden": (3, 4, 5)}, "hidden must be one or two sizes"),
        ({"hidden": (0,)}, "hidden must be one or two sizes"),
        ({"levels": 257}, "levels must be 2 to 256, not 257"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"labels": (1, 1)}, "a label is listed twice"),
    ],
)
def test_sizes_that_make_no_network_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MadeConfig(**{"height": 3, "width": 3, **change})
