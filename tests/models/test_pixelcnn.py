"""The laws, and what each pixel and colour of a PixelCNN can see."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ancestral.models.errors import ConditionError, ConfigError
from ancestral.models.masked_conv import MaskedConv
from ancestral.models.naive import sample_naive
from ancestral.models.pixelcnn import PixelCNN, PixelCNNConfig, binarized_mnist, digits20
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest
from tests.models import laws

LABELS = ("cat", "dog", 3)


@st.composite
def nets(draw: st.DrawFn) -> PixelCNN:
    """Random weights in any small shape, grey or colour, with labels or without."""
    colours = draw(st.sampled_from([1, 3]))
    config = PixelCNNConfig(
        height=draw(st.integers(1, 4)),
        width=draw(st.integers(1, 4)),
        levels=draw(st.integers(2, 9)),
        colours=colours,
        labels=draw(st.sampled_from([(), LABELS])),
        channels=colours * draw(st.integers(1, 3)),
        blocks=draw(st.integers(1, 2)),
        first_reach=draw(st.integers(1, 3)),
        reach=draw(st.integers(1, 2)),
        head=colours * draw(st.integers(1, 6)),
    )
    torch.manual_seed(draw(st.integers(0, 999)))
    return PixelCNN(config).eval()


def requests_of(net: PixelCNN) -> list[dict[str, Any]]:
    return [{"label": label} for label in net.config.labels] or [{}, {}]


@settings(max_examples=25)
@given(net=nets(), position=st.integers(0, 47), seed=st.integers(0, 999))
def test_law_of_causality(net: PixelCNN, position: int, seed: int) -> None:
    laws.check_causality(net, requests_of(net)[-1], position, seed)


@settings(max_examples=20)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_sameness(net: PixelCNN, seed: int) -> None:
    laws.check_sameness(net, requests_of(net), seed)


@settings(max_examples=15)
@given(net=nets(), seed=st.integers(0, 999), given_symbols=st.integers(0, 47))
def test_law_of_the_definition(net: PixelCNN, seed: int, given_symbols: int) -> None:
    """From the first symbol, and from somewhere on: a completion."""
    request = requests_of(net)[0]
    event = laws.random_event(net, request, seed).flatten()
    prefix = event[: given_symbols % len(event)]
    laws.check_definition(net, request, seed, prefix=prefix if len(prefix) else None)


@settings(max_examples=20)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_log_prob(net: PixelCNN, seed: int) -> None:
    laws.check_log_prob(net, requests_of(net)[0], seed)


@pytest.mark.parametrize("labels", [(), LABELS], ids=["unconditioned", "by label"])
@pytest.mark.parametrize(("height", "width", "colours"), [(2, 3, 1), (1, 2, 3)])
def test_law_of_normalisation(
    height: int, width: int, colours: int, labels: tuple[int | str, ...]
) -> None:
    torch.manual_seed(0)
    config = PixelCNNConfig(height, width, 3, colours, labels, channels=6, blocks=2, head=6)
    net = PixelCNN(config)
    for request in requests_of(net):
        laws.check_normalisation(net, request)


def seen(net: PixelCNN) -> Tensor:
    """Whether symbol i's logits depend on symbol j, (N, N), from the gradient."""
    shape = net.event_shape({})
    count = int(np.prod(shape))
    x = laws.random_event(net, {}, seed=1).double().repeat(count, *[1] * len(shape))
    x.requires_grad_()
    logits = net(x, {}).flatten(2)
    mixed = (logits * torch.randn(logits.shape[1], 1)).sum(1)
    mixed.diagonal().sum().backward()
    assert x.grad is not None
    return x.grad.flatten(1) != 0


@pytest.mark.parametrize(("first_reach", "reach"), [(1, 1), (3, 1), (1, 2)])
def test_what_a_pixel_sees_and_its_blind_spot(first_reach: int, reach: int) -> None:
    # Given a net with blocks enough for all of the image
    torch.manual_seed(0)
    size = 7
    config = PixelCNNConfig(
        size, size, 4, blocks=7, channels=24, first_reach=first_reach, reach=reach
    )

    sees = seen(PixelCNN(config).double()).view(size, size, size, size)

    # Then each pixel sees the pixels before it, but for those above beyond the diagonal
    for row in range(size):
        for column in range(size):
            expected = torch.zeros(size, size, dtype=torch.bool)
            expected[row, :column] = True
            for above in range(1, row + 1):
                last = column + first_reach + reach * (above - 1)
                expected[row - above, : last + 1] = True
            assert torch.equal(sees[row, column], expected)


def test_few_blocks_see_no_further_than_they_reach() -> None:
    torch.manual_seed(0)
    net = PixelCNN(PixelCNNConfig(7, 7, 4, blocks=1, channels=24, first_reach=2)).double()

    sees = seen(net).view(7, 7, 7, 7)[6, 3]

    # Two and one rows above, and as many columns to both sides, off the blind spot
    expected = torch.zeros(7, 7, dtype=torch.bool)
    expected[6, 0:3] = True
    expected[5, 0:6] = True
    expected[4, 0:7] = True
    expected[3, 0:7] = True
    assert torch.equal(sees, expected)


def test_colours_see_those_before_them() -> None:
    # Given a colour image of two pixels
    torch.manual_seed(0)
    net = PixelCNN(PixelCNNConfig(1, 2, 4, colours=3, channels=24, blocks=2, head=24)).double()

    # Then each of the six symbols sees all before it, and nothing else
    assert torch.equal(seen(net), torch.ones(6, 6).tril(-1) == 1)


@pytest.mark.parametrize("colours", [1, 3])
def test_each_weight_that_a_mask_lets_through_is_used_once_for_a_pixel(colours: int) -> None:
    net = PixelCNN(PixelCNNConfig(4, 4, 4, colours, channels=6, blocks=2, head=9))
    masks = [layer.mask for layer in net.modules() if isinstance(layer, MaskedConv)]
    assert net.program().multiply_adds_per_step == sum(float(mask.sum()) for mask in masks)


def test_images_that_begin_at_different_times_do_not_meet() -> None:
    # Given a second image that is admitted while the first is being drawn
    torch.manual_seed(0)
    net = PixelCNN(PixelCNNConfig(10, 15, 3, channels=4, blocks=1, head=4)).double()
    sampler = Sampler(net, slots=2, dtype=torch.float64)
    sampler.admit(SampleRequest(0, {}, seed=0))
    assert not sampler.advance()
    sampler.admit(SampleRequest(1, {}, seed=1))

    drawn = {sample.key: sample.symbols for _ in range(3) for sample in sampler.advance()}

    for key, symbols in drawn.items():
        np.testing.assert_array_equal(symbols, sample_naive(net, {}, seed=key).symbols)
    assert drawn.keys() == {0, 1}


@pytest.mark.parametrize("colours", [1, 3])
def test_the_label_matters(colours: int) -> None:
    torch.manual_seed(0)
    net = PixelCNN(PixelCNNConfig(3, 3, 4, colours, LABELS, channels=6, blocks=1, head=6))
    x = laws.random_event(net, {"label": "cat"}, seed=1)
    cat, dog = (net.log_prob(x, net.conditions({"label": name})) for name in ("cat", "dog"))
    assert cat != dog


@pytest.mark.parametrize(
    ("preset", "shape"),
    [(binarized_mnist, [28, 28]), (digits20, [20, 20])],
)
def test_presets_make_networks(preset: Any, shape: list[int]) -> None:
    net = PixelCNN(preset())
    assert net.signature["shape"] == shape
    assert net.program().channels == net.channels == 1


def test_fields_that_do_not_fit_are_named() -> None:
    net = PixelCNN(PixelCNNConfig(3, 3, 4, labels=LABELS, channels=4, blocks=1))
    with pytest.raises(ConditionError, match="label cannot be 'cow': it is one of cat, dog, 3"):
        net.conditions({"label": "cow"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks": 0}, "blocks must be at least 1, not 0"),
        ({"levels": 257}, "levels must be 2 to 256, not 257"),
        ({"colours": 2}, "colours must be 1 or 3, not 2"),
        ({"colours": 3, "channels": 32}, "channels must be a multiple of 3"),
        ({"labels": (1, 1)}, "a label is listed twice"),
    ],
)
def test_sizes_that_make_no_network_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PixelCNNConfig(**{"height": 3, "width": 3, "levels": 4, **change})
