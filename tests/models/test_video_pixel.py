"""The laws, and what a video pixel network can see."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ancestral.models.errors import ConditionError, ConfigError
from ancestral.models.sampling.draw import Settings
from ancestral.models.video_pixel import VideoPixel, VideoPixelConfig, moving_digits
from tests.models import laws

LABELS = ("cat", "dog", 3)


@st.composite
def nets(draw: st.DrawFn) -> VideoPixel:
    """Random weights in any small shape, with labels or without, of a fixed length or not."""
    config = VideoPixelConfig(
        height=draw(st.integers(1, 4)),
        width=draw(st.integers(1, 4)),
        levels=draw(st.integers(2, 5)),
        frames=draw(st.integers(1, 4)),
        frames_by_request=draw(st.booleans()),
        labels=draw(st.sampled_from([(), LABELS])),
        embedding=draw(st.integers(1, 4)),
        encoder_channels=draw(st.integers(1, 5)),
        encoder_layers=draw(st.integers(1, 3)),
        encoder_first_frames=draw(st.integers(1, 3)),
        encoder_first_reach=draw(st.integers(0, 2)),
        channels=draw(st.integers(1, 5)),
        layers=draw(st.integers(1, 3)),
        first_reach=draw(st.integers(1, 3)),
        dilation_cycle=draw(st.integers(1, 3)),
        head=draw(st.integers(1, 7)),
    )
    torch.manual_seed(draw(st.integers(0, 999)))
    return VideoPixel(config).eval()


def small(seed: int = 0, **changes: Any) -> VideoPixel:
    """3 frames of 3 rows and 4 columns, 3 levels; the decoder reaches over a whole frame."""
    torch.manual_seed(seed)
    sizes = {
        "height": 3,
        "width": 4,
        "levels": 3,
        "frames": 3,
        "embedding": 4,
        "encoder_channels": 6,
        "encoder_layers": 2,
        "channels": 6,
        "layers": 3,
        "head": 8,
    }
    return VideoPixel(VideoPixelConfig(**{**sizes, **changes})).eval()


def requests_of(net: VideoPixel) -> list[dict[str, Any]]:
    """Of different lengths, where the net lets them."""
    config = net.config
    requests: list[dict[str, Any]] = [{"label": label} for label in config.labels] or [{}, {}]
    if config.frames_by_request:
        for index, request in enumerate(requests):
            request["frames"] = max(1, config.frames - index)
    return requests


@settings(max_examples=25)
@given(net=nets(), position=st.integers(0, 63), seed=st.integers(0, 999))
def test_law_of_causality(net: VideoPixel, position: int, seed: int) -> None:
    laws.check_causality(net, requests_of(net)[-1], position, seed)


@settings(max_examples=25)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_sameness(net: VideoPixel, seed: int) -> None:
    laws.check_sameness(net, requests_of(net), seed)


@settings(max_examples=15)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_log_prob(net: VideoPixel, seed: int) -> None:
    laws.check_log_prob(net, requests_of(net)[0], seed)


@settings(max_examples=10)
@given(
    net=nets(),
    seed=st.integers(0, 999),
    adjusted=st.sampled_from([Settings(), Settings(temperature=0.8, top_k=2)]),
)
def test_law_of_definition(net: VideoPixel, seed: int, adjusted: Settings) -> None:
    laws.check_definition(net, requests_of(net)[-1], seed, adjusted)


@pytest.mark.parametrize("known", [12, 24, 17], ids=["one frame", "two frames", "part of a frame"])
def test_law_of_definition_behind_first_frames_that_are_given(known: int) -> None:
    net = small(labels=LABELS)
    prefix = laws.random_event(net, {"label": "dog"}, seed=3).flatten()[:known]
    laws.check_definition(net, {"label": "dog"}, seed=4, prefix=prefix)


@pytest.mark.parametrize("labels", [(), LABELS], ids=["unconditioned", "by label"])
def test_law_of_normalisation(labels: tuple[int | str, ...]) -> None:
    net = small(height=2, width=1, frames=3, labels=labels)
    for request in requests_of(net):
        laws.check_normalisation(net, request)


def moved_by(net: VideoPixel, frame: int, row: int, column: int) -> Tensor:
    """Which positions (F, H, W) have other logits when that pixel changes."""
    x, conditions = laws.random_event(net, {}, seed=1), net.conditions({})
    changed = x.clone()
    changed[0, frame, row, column] = (x[0, frame, row, column] + 1) % net.config.levels
    moved: Tensor = (net(changed, conditions) != net(x, conditions)).any(1)[0]
    return moved


@pytest.mark.parametrize("pixel", [(0, 0, 0), (0, 2, 3), (1, 0, 3), (1, 2, 0), (2, 1, 1)])
def test_a_pixel_is_seen_by_everything_behind_it_within_reach(pixel: tuple[int, int, int]) -> None:
    # Given a net that reaches over whole frames, and over all frames before
    net = small(encoder_layers=3).double()

    # When one pixel changes
    moved = moved_by(net, *pixel).flatten()

    # Then there is no blind spot, in its frame or in those behind: every later logit moves
    frame, row, column = pixel
    position = (frame * 3 + row) * 4 + column
    assert not moved[: position + 1].any()
    assert moved[position + 1 :].all()


def test_every_layer_of_the_encoder_looks_one_frame_further_back() -> None:
    # Given an encoder whose first layer reads two frames, and that has a second layer
    net = small(frames=5, encoder_first_frames=2, encoder_layers=2).double()

    # When the first frame changes, three frames see it, and the next one does not
    moved = moved_by(net, 0, 1, 1).flatten(1)
    assert moved[1:4].any(1).all()
    assert not moved[4].any()


def test_a_frame_knows_what_lies_ahead_of_a_pixel_in_the_frames_before() -> None:
    # Given that the last pixel of a frame changes, then the first one of the next frame sees it
    net = small(encoder_layers=3).double()
    assert moved_by(net, 0, 2, 3)[1, 0, 0]


@torch.no_grad()
def test_the_label_matters_from_the_first_frame_on() -> None:
    net = small(labels=LABELS)
    x = laws.random_event(net, {"label": "cat"}, seed=1)
    cat, dog = (net(x, net.conditions({"label": name})) for name in ("cat", "dog"))
    assert (cat != dog).any(1).all()


@pytest.mark.parametrize("labels", [(), (1, 2)], ids=["unconditioned", "by label"])
def test_a_batch_is_scored_like_its_events_alone(labels: tuple[int, ...]) -> None:
    net = small(labels=labels).double()
    x = torch.randint(0, 3, (2, 3, 3, 4))
    conditions = [net.conditions(request) for request in requests_of(net)]
    together = {name: torch.cat([c[name] for c in conditions]) for name in conditions[0]}
    alone = [net.log_prob(x[row : row + 1], conditions[row]) for row in range(2)]
    torch.testing.assert_close(net.log_prob(x, together), torch.cat(alone))


def test_the_signature_says_whether_a_request_decides_the_length() -> None:
    fixed, free = small().signature, small(frames_by_request=True).signature
    assert (fixed["shape"], fixed["fields"]) == ([3, 3, 4], {})
    assert free["shape"] == [None, 3, 4]
    assert free["max_length"] == free["fields"]["frames"]["maximum"] == 3
    assert free["fields"]["frames"]["decides"] == "length"


def test_a_clip_has_the_frames_that_are_asked_for_and_a_real_one_those_it_has() -> None:
    net = small(frames_by_request=True)
    assert net.event_shape({"frames": 2}) == (2, 3, 4)
    x = torch.zeros(2, 3, 4, dtype=torch.int64)
    assert net.example(x, {})[0] is x
    for frames in (0, 4):
        with pytest.raises(ConditionError, match=f"a clip has 1 to 3 frames, not {frames}"):
            net.event_shape({"frames": frames})
    for other in (2.5, 2.0, "2", None, True):
        with pytest.raises(ConditionError, match="frames must be a whole number, not"):
            net.event_shape({"frames": other})
    with pytest.raises(ConditionError, match="1 to 3 frames, not 4"):
        net.example(torch.zeros(4, 3, 4, dtype=torch.int64), {})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "the model needs the field 'label'"),
        ({"label": "cow"}, "label cannot be 'cow': it is one of cat, dog, 3"),
        ({"label": "cat", "frames": 2}, "the model has no field 'frames'"),
    ],
)
def test_fields_that_do_not_fit_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        small(labels=LABELS).conditions(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 0}, "frames must be at least 1, not 0"),
        ({"encoder_layers": 0}, "encoder_layers must be at least 1, not 0"),
        ({"encoder_first_reach": -1}, "encoder_first_reach must not be negative"),
        ({"frames_per_second": 0.0}, "frames_per_second must be above 0"),
        ({"frames_per_second": math.inf}, "frames_per_second must be above 0 and finite"),
        ({"frames_per_second": math.nan}, "frames_per_second must be above 0 and finite"),
        ({"levels": 257}, "levels must be 2 to 256, not 257"),
        ({"labels": (1, 1)}, "a label is listed twice"),
    ],
)
def test_sizes_that_make_no_network_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small(**change)


def test_the_preset_admits_a_clip_where_a_frame_begins() -> None:
    assert VideoPixel(moving_digits()).program().period == 32 * 32
