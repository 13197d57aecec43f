"""The laws on the event (h, x), and what a DARN's bounds have to do with the likelihood."""

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ancestral.models.darn import Darn
from ancestral.models.darn_config import DarnConfig, binarized_mnist, digits20
from ancestral.models.description_length import opposite_codes
from ancestral.models.errors import ConditionError, ConfigError
from tests.models import laws

LABELS = ("cat", "dog", 3)


@st.composite
def nets(draw: st.DrawFn) -> Darn:
    """Random weights in any small shape, with labels or without."""
    config = DarnConfig(
        height=draw(st.integers(1, 3)),
        width=draw(st.integers(1, 3)),
        labels=draw(st.sampled_from([(), LABELS])),
        code=draw(st.integers(1, 6)),
        deterministic=draw(st.integers(0, 5)),
        local=draw(st.integers(0, 3)),
        local_depth=draw(st.integers(1, 3)),
        reach=draw(st.integers(1, 3)),
        encoder=draw(st.integers(1, 5)),
    )
    return lively(config, seed=draw(st.integers(0, 999)))


def lively(config: DarnConfig, seed: int = 0) -> Darn:
    """A net whose autoregressive weights and biases, which begin at zero, matter too."""
    torch.manual_seed(seed)
    net = Darn(config)
    for parameter in net.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.5)
    return net.eval()


def requests_of(net: Darn) -> list[dict[str, Any]]:
    return [{"label": label} for label in net.config.labels] or [{}, {}]


@settings(max_examples=25)
@given(net=nets(), position=st.integers(0, 14), seed=st.integers(0, 999))
def test_law_of_causality(net: Darn, position: int, seed: int) -> None:
    laws.check_causality(net, requests_of(net)[-1], position, seed)


@settings(max_examples=25)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_sameness(net: Darn, seed: int) -> None:
    laws.check_sameness(net, requests_of(net), seed)


@settings(max_examples=15)
@given(net=nets(), seed=st.integers(0, 999), coded=st.booleans())
def test_law_of_definition(net: Darn, seed: int, coded: bool) -> None:
    # Given a request that leaves the hidden code to the net, or brings it
    request = requests_of(net)[0]
    if coded:
        event = laws.random_event(net, request, seed).flatten()
        request["code"] = event[: net.config.code].tolist()
    laws.check_definition(net, request, seed)


@settings(max_examples=15)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_log_prob(net: Darn, seed: int) -> None:
    laws.check_log_prob(net, requests_of(net)[0], seed)


@pytest.mark.parametrize("labels", [(), LABELS], ids=["unconditioned", "by label"])
def test_law_of_normalisation(labels: tuple[int | str, ...]) -> None:
    net = lively(DarnConfig(2, 3, labels, code=4, deterministic=3, local=2, encoder=2))
    for request in requests_of(net):
        laws.check_normalisation(net, request)


def test_a_pixel_sees_the_whole_code_and_all_pixels_before_it() -> None:
    net = lively(DarnConfig(2, 2, code=3, deterministic=4, local=3, encoder=2)).double()
    x = laws.random_event(net, {}, seed=1)
    before = net(x, {}).flatten()
    for position in range(7):
        changed = x.clone()
        changed[0, position] = 1 - x[0, position]
        moved = net(changed, {}).flatten() != before
        assert not moved[: position + 1].any()
        assert moved[position + 1 :].all()


def test_a_unit_looks_at_the_pixels_near_its_own() -> None:
    # Given a net in which pixels speak to each other through the local layer alone
    config = DarnConfig(5, 6, code=2, deterministic=0, local=9, reach=1, encoder=2)
    net = lively(config).double()
    net.within.weight.data.zero_()
    x = laws.random_event(net, {}, seed=1)
    before = net(x, {})[0, 0, 2:].view(5, 6)

    # When one of them is another
    x[0, 2 + 2 * 6 + 3] ^= 1
    moved = net(x, {})[0, 0, 2:].view(5, 6) != before

    # Then it is heard to its right, and in the three pixels below it
    heard = {(int(row), int(column)) for row, column in moved.nonzero()}
    assert heard == {(2, 4), (3, 2), (3, 3), (3, 4)}


@pytest.mark.parametrize("labels", [(), LABELS], ids=["unconditioned", "by label"])
def test_a_bound_rises_with_the_codes_to_the_likelihood(labels: tuple[int | str, ...]) -> None:
    # Given the likelihood of every image, summed over all of its codes
    net = lively(DarnConfig(2, 2, labels, code=3, deterministic=4, encoder=3))
    images = all_bits(4).view(-1, 2, 2)
    conditions = laws.repeated(net.conditions(requests_of(net)[0]), len(images))
    exact = exact_log_likelihood(net, images, conditions)
    assert abs(exact.exp().sum() - 1) < 1e-5

    # Then the bound of one code is far below it, that of ten nearer, and that of many there
    one, ten, many = (
        (net.score(images, conditions, codes) - exact).mean().item() for codes in (1, 10, 4000)
    )
    assert one < -0.3 < ten < 0.05
    assert abs(ten) < abs(one) / 2
    assert abs(many) < 0.02


def test_the_description_length_is_the_bound_of_one_code() -> None:
    # Given the expectation over the codes of an image, which is known exactly
    net = lively(DarnConfig(2, 2, code=3, deterministic=4, encoder=3))
    image = torch.tensor([[[1, 0], [0, 1]]])
    expected = exact_description_length(net, image).item()

    # Then a mean of many drawn ones is near, and above the exact likelihood's nats
    drawn = net.training_nats(image.expand(4000, 2, 2), {}).sum((1, 2)).mean().item()
    assert drawn == pytest.approx(expected, abs=0.1)
    assert expected > -exact_log_likelihood(net, image, {}).item()


def test_the_gradient_of_training_is_that_of_the_description_length() -> None:
    # Given a net and an image, and the exact gradient by enumerating the codes
    net = lively(DarnConfig(2, 2, code=3, deterministic=4, local=2, encoder=3))
    image = torch.tensor([[[1, 0], [0, 1]]])
    exact = gradient(net, exact_description_length(net, image))

    # When the gradients of many pairs of codes are averaged
    nats = net.training_nats(image.expand(40_000, 2, 2), {}).sum((1, 2)).mean()
    estimated = gradient(net, nats)

    # Then they agree, for the encoder as for the decoder
    assert exact["encoder.logits.bias"].abs().max() > 0.05
    for name, direction in exact.items():
        torch.testing.assert_close(estimated[name], direction, atol=0.03, rtol=0.0)


def test_a_score_depends_on_its_image_alone() -> None:
    config = DarnConfig(3, 3, LABELS, code=4, deterministic=3, local=3, encoder=2, score_codes=7)
    net = lively(config)
    torch.manual_seed(1)
    images, labels = torch.randint(0, 2, (5, 3, 3)), torch.tensor([0, 1, 2, 1, 0])
    together = net.score(images, {"label": labels})
    assert together.dtype == torch.float64
    assert torch.equal(net.score(images, {"label": labels}), together)
    for row in (0, 3):
        alone = net.score(images[row : row + 1], {"label": labels[row : row + 1]})
        assert torch.equal(alone, together[row : row + 1])


def test_images_are_scored_with_codes_of_their_own() -> None:
    # Given a net whose encoder tosses coins, and for which bits of the code are all that matters
    net = Darn(DarnConfig(2, 2, code=30, deterministic=0, encoder=1))
    for parameter in net.parameters():
        parameter.data.zero_()
    net.starts.bias.data[:30] = 2.0
    scores = net.score(all_bits(4).view(-1, 2, 2), {}, codes=1)
    assert len(scores.unique()) > 5


def test_training_lowers_the_bound() -> None:
    # Given images of which half are all black, half all white
    torch.manual_seed(0)
    images = torch.arange(2).repeat(50).view(-1, 1, 1).expand(-1, 3, 3).contiguous()
    net = Darn(DarnConfig(3, 3, code=2, deterministic=4, encoder=4))

    # When the net is trained on them
    optimizer = torch.optim.Adam(net.parameters(), lr=0.03)
    for _ in range(120):
        optimizer.zero_grad()
        net.training_nats(images, {}).sum().div(len(images)).backward()
        optimizer.step()

    # Then an image is little more than one bit of news, instead of nine
    assert math.log(2) - 0.02 < -net.score(images[:2], {}).mean() < math.log(2) + 0.3


def test_unlikely_bits_are_drawn_as_often_by_either_code_in_bfloat16(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given an encoder that says 0.002 of each bit
    net = Darn(DarnConfig(2, 2, code=100, deterministic=0, encoder=1))
    net.encoder.logits.weight.data.zero_()
    net.encoder.logits.bias.data.fill_(math.log(0.002 / 0.998))
    drawn: list[Tensor] = []

    def watched(logits: Tensor) -> Tensor:
        drawn.append(opposite_codes(logits))
        return drawn[-1]

    monkeypatch.setattr("ancestral.models.darn.opposite_codes", watched)

    # When a million are drawn, and products are of bfloat16
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        net.training_nats(torch.zeros(10_000, 2, 2), {})

    # Then so many are 1
    shares = drawn[0].float().mean((1, 2))
    assert shares.tolist() == pytest.approx([0.002, 0.002], rel=0.1)


def test_pixels_are_left_out_in_training_alone() -> None:
    # Given two nets of the same weights, of which one leaves pixels out
    careful = lively(DarnConfig(3, 3, code=2, deterministic=2, encoder=2))
    dropping = Darn(replace(careful.config, dropout=0.5))
    dropping.load_state_dict(careful.state_dict())
    image = torch.ones(1, 3, 3, dtype=torch.int64)

    def nats(net: Darn, training: bool) -> Tensor:
        torch.manual_seed(0)
        return net.train(training).training_nats(image, {}).detach()

    # Then they differ in training, and agree otherwise
    assert torch.equal(nats(dropping, False), nats(careful, False))
    assert not torch.equal(nats(dropping, True), nats(careful, True))


def test_an_example_is_the_image_alone() -> None:
    net = Darn(DarnConfig(3, 4, LABELS))
    image = torch.zeros(3, 4, dtype=torch.int64)
    x, conditions = net.example(image, {"label": "dog", "code": None})
    assert torch.equal(x, image)
    assert conditions["label"].tolist() == [1]
    with pytest.raises(ConditionError, match=r"an image of \(3, 4\) was asked for, not \(4, 3\)"):
        net.example(image.t(), {"label": "dog"})


def test_a_given_code_is_the_prefix() -> None:
    net = Darn(DarnConfig(2, 2, code=3))
    assert net.prefix({}) is None
    assert net.prefix({"code": None}) is None
    given_code = net.prefix({"code": [1.0, 0.0, 1.0]})
    assert given_code is not None
    assert given_code.tolist() == [1, 0, 1]


@pytest.mark.parametrize("code", [[1, 0], [1, 0, 2], [1, 0, 0.5], "101", 3])
def test_a_code_that_is_none_is_refused(code: object) -> None:
    net = Darn(DarnConfig(2, 2, code=3))
    with pytest.raises(ConditionError, match="code must be a list of 3 zeros and ones"):
        net.prefix({"code": code})


def test_the_signature_says_what_is_hidden() -> None:
    signature = Darn(DarnConfig(2, 3, LABELS, code=5)).signature
    assert signature["shape"] == [2, 3]
    assert signature["hidden"] == 5
    assert signature["likelihood_kind"] == "joint"
    assert signature["kinds"] == ["generate", "score"]
    assert list(signature["fields"]) == ["label", "code"]
    assert signature["fields"]["code"]["default"] is None


def test_the_presets_are_of_the_data() -> None:
    mnist, digits = binarized_mnist(), digits20()
    assert (mnist.height, mnist.width, mnist.labels) == (28, 28, ())
    assert (digits.height, digits.width, digits.labels) == (20, 20, tuple(range(10)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "the model needs the field 'label'"),
        ({"label": "cow"}, "label cannot be 'cow': it is one of cat, dog, 3"),
        ({"label": "cat", "codes": None}, "the model has no field 'codes'"),
    ],
)
def test_fields_that_do_not_fit_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        Darn(DarnConfig(2, 2, LABELS)).conditions(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"code": 0}, "code must be at least 1, not 0"),
        ({"score_codes": 0}, "score_codes must be at least 1, not 0"),
        ({"deterministic": -1}, "deterministic must not be negative, but is -1"),
        ({"local": -1}, "local must not be negative, but is -1"),
        ({"local_depth": 0}, "local_depth must be at least 1, not 0"),
        ({"reach": 0}, "reach must be at least 1, not 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"labels": (1, 1)}, "a label is listed twice"),
    ],
)
def test_sizes_that_make_no_network_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DarnConfig(**{"height": 3, "width": 3, **change})


def all_bits(count: int) -> Tensor:
    """Every vector of `count` bits, (2^count, count)."""
    return torch.tensor(list(itertools.product((0, 1), repeat=count)))


def joint_log_prob(net: Darn, images: Tensor, conditions: dict[str, Tensor]) -> Tensor:
    """log p(h, x) (codes, B) of every code with every image."""
    flat = images.flatten(1)
    return torch.stack(
        [
            net.log_prob(torch.cat([code.expand(len(flat), -1), flat], dim=1), conditions)
            for code in all_bits(net.config.code)
        ]
    )


def exact_log_likelihood(net: Darn, images: Tensor, conditions: dict[str, Tensor]) -> Tensor:
    return torch.logsumexp(joint_log_prob(net, images, conditions), dim=0).detach()


def exact_description_length(net: Darn, image: Tensor) -> Tensor:
    """Σ_h q(h | x) (log q(h | x) − log p(h, x)) of one image."""
    logits = net.encoder(image.flatten(1).float(), {}).double()
    codes = all_bits(net.config.code)
    log_q = torch.nn.functional.logsigmoid(torch.where(codes == 1, logits, -logits)).sum(1)
    joint = joint_log_prob(net, image, {})[:, 0]
    return (log_q.exp() * (log_q - joint)).sum()


def gradient(net: Darn, nats: Tensor) -> dict[str, Tensor]:
    net.zero_grad()
    nats.backward()
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
