"""The laws, what a WaveNet hears, and how long its words are."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.aligned_encoder import aligned_features
from ancestral.models.errors import ConditionError, ConfigError
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig, sixteen_bits
from tests.models import laws

SPEAKERS = ("ada", "bob", "eve")
DIGITS = (0, 7)


@st.composite
def nets(draw: st.DrawFn) -> WaveNet:
    """Random weights in any small shape: unconditioned, by speaker, by digit or text, by both;
    softmax or mixture."""
    speakers, digits = draw(st.sampled_from([(), SPEAKERS])), draw(st.sampled_from([(), DIGITS]))
    characters = "" if digits else draw(st.sampled_from(["", " ab"]))
    length = st.floats(0.001, 0.03)
    row = st.tuples(*[length for _ in digits])
    config = WaveNetConfig(
        sample_rate_hz=1000,
        levels=2 * draw(st.integers(1, 9)),
        components=draw(st.sampled_from([0, 0, 1, 3])),
        max_length=400,
        digits=digits,
        characters=characters,
        front_end=draw(st.integers(1, 5)),
        speakers=speakers,
        seconds=draw(st.tuples(*[row for _ in speakers or (None,)])) if digits else (),
        hop=draw(st.integers(1, 7)),
        hats=draw(st.integers(2, 5)),
        encoder=draw(st.integers(1, 6)),
        residual=draw(st.integers(1, 7)),
        skip=draw(st.integers(1, 18)),
        kernel=draw(st.integers(2, 4)),
        depth=draw(st.integers(1, 3)),
        stacks=draw(st.integers(1, 2)),
        input_reach=draw(st.integers(1, 4)),
    )
    torch.manual_seed(draw(st.integers(0, 999)))
    return WaveNet(config).eval()


def requests_of(net: WaveNet) -> list[dict[str, Any]]:
    speakers = [{"speaker": speaker} for speaker in net.config.speakers] or [{}]
    what: list[dict[str, Any]] = [{"digit": digit} for digit in net.config.digits]
    if net.config.characters:
        what = [{"text": "A"}, {"text": "b"}]
    what = what or [{"seconds": 0.023}, {"seconds": 0.031}]
    return [{**who, **said} for who in speakers for said in what]


def small(
    speakers: tuple[str, ...] = (), digits: tuple[int, ...] = (), *, length: float = 0.011
) -> WaveNet:
    torch.manual_seed(0)
    seconds = tuple(tuple(length for _ in digits) for _ in speakers or (None,)) if digits else ()
    config = WaveNetConfig(
        sample_rate_hz=1000,
        levels=4,
        max_length=100,
        digits=digits,
        speakers=speakers,
        seconds=seconds,
        hop=3,
        hats=3,
        encoder=8,
        residual=8,
        skip=16,
        depth=3,
        stacks=2,
    )
    return WaveNet(config)


ALL_CONDITIONINGS = pytest.mark.parametrize(
    ("speakers", "digits"),
    [((), ()), (SPEAKERS, ()), ((), DIGITS), (SPEAKERS, DIGITS)],
    ids=["unconditioned", "global", "local", "both"],
)


@settings(max_examples=40)
@given(net=nets(), position=st.integers(0, 39), seed=st.integers(0, 999))
def test_law_of_causality(net: WaveNet, position: int, seed: int) -> None:
    laws.check_causality(net, requests_of(net)[-1], position, seed)


@settings(max_examples=40)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_sameness(net: WaveNet, seed: int) -> None:
    laws.check_sameness(net, requests_of(net), seed)


@settings(max_examples=40)
@given(net=nets(), seed=st.integers(0, 999))
def test_law_of_log_prob(net: WaveNet, seed: int) -> None:
    laws.check_log_prob(net, requests_of(net)[0], seed)


@ALL_CONDITIONINGS
def test_law_of_normalisation(speakers: tuple[str, ...], digits: tuple[int, ...]) -> None:
    # Given requests for 6 samples of 4 levels, 4096 events in all
    net = small(speakers, digits, length=0.006)
    for request in requests_of(net)[:2]:
        laws.check_normalisation(net, {**request, **({} if digits else {"seconds": 0.006})})


@pytest.mark.parametrize("levels", [4, 65536])
def test_a_mixture_is_normalised_and_sees_amplitudes(levels: int) -> None:
    # Given a mixture over few levels, and over those of 16 bits
    torch.manual_seed(0)
    config = WaveNetConfig(encoding="linear", levels=levels, components=3, depth=2, stacks=1)
    net = WaveNet(config).double()
    x = laws.random_event(net, {"seconds": 0.002}, seed=1)
    # Then the probabilities of all levels sum to one, at each sample
    parameters = net(x, {})
    every = torch.arange(levels).view(-1, 1).expand(-1, x.shape[1])
    probabilities = net.distribution.log_prob(parameters.expand(levels, -1, -1), every).exp()
    torch.testing.assert_close(probabilities.sum(0), torch.ones(x.shape[1]).double())
    # And a sampler draws levels that a plain one would
    laws.check_definition(net, {"seconds": 0.002}, seed=3)


def test_every_amplitude_is_seen_where_products_are_coarse() -> None:
    # Given 65,536 amplitudes, of which bfloat16 tells a few thousand apart
    config = WaveNetConfig(encoding="linear", levels=65536, components=1, residual=4, skip=4)
    net = WaveNet(config)
    symbols = torch.arange(65536).view(1, 1, -1)

    # When
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        seen = net.input(net._see(symbols))[0, :, 0]

    # Then no two of them look alike
    assert len(seen[:, config.input_reach :].unique(dim=1).T) == 65536 - config.input_reach


def test_sounds_of_16_bits_have_all_of_their_levels() -> None:
    assert WaveNet(sixteen_bits()).program().levels == 65536


def test_a_recording_says_itself_how_long_it_is() -> None:
    # Given an unconditioned net, which is asked for seconds
    net = small()
    assert net.signature["fields"]["seconds"]["decides"] == "length"
    # When it is shown a recording, then nothing needs to be said, and nothing is padded
    x, conditions = net.example(torch.zeros(7, dtype=torch.int64), {})
    assert (len(x), conditions) == (7, {})


def test_a_sample_is_heard_for_as_long_as_the_receptive_field() -> None:
    # Given two stacks of dilations 1, 2, 4 over an input that reads two symbols
    net = small().double()
    receptive_field = 2 * (1 + 2 + 4) + 2
    x = laws.random_event(net, {"seconds": 0.04}, seed=1)
    before = net(x, {})

    changed = x.clone()
    changed[0, 10] = (x[0, 10] + 1) % 4
    moved = (net(changed, {}) != before).any(1).flatten()

    assert torch.nonzero(moved).flatten().tolist() == list(range(11, 11 + receptive_field))


@ALL_CONDITIONINGS
def test_every_condition_matters(speakers: tuple[str, ...], digits: tuple[int, ...]) -> None:
    net = small(speakers, digits)
    requests = [r for r in requests_of(net) if digits or r["seconds"] == 0.023]
    x = laws.random_event(net, requests[0], seed=1)
    scores = [net.log_prob(x, net.conditions(request)).item() for request in requests]
    assert len(set(scores)) == len(requests)


@ALL_CONDITIONINGS
def test_a_batch_is_scored_like_its_events_alone(
    speakers: tuple[str, ...], digits: tuple[int, ...]
) -> None:
    net = small(speakers, digits).double()
    requests = [r for r in requests_of(net) if digits or r["seconds"] == 0.023]
    x = torch.cat([laws.random_event(net, request, seed=n) for n, request in enumerate(requests)])
    conditions = [net.conditions(request) for request in requests]
    together = {name: torch.cat([c[name] for c in conditions]) for name in conditions[0]}
    alone = [net.log_prob(x[n : n + 1], condition) for n, condition in enumerate(conditions)]
    torch.testing.assert_close(net.log_prob(x, together), torch.cat(alone))


def test_a_word_lasts_as_long_as_the_speaker_takes_for_it_in_whole_columns() -> None:
    config = WaveNetConfig(
        digits=(1, 2), speakers=("ada", "bob"), seconds=((0.5, 0.51), (0.6, 0.601)), hop=80
    )
    net = WaveNet(config)
    assert net.event_shape({"digit": 1, "speaker": "ada"}) == (4000,)
    assert net.event_shape({"digit": 2, "speaker": "ada"}) == (4080,)
    assert net.event_shape({"digit": 2, "speaker": "bob"}) == (4880,)
    assert net.conditions({"digit": 2, "speaker": "bob"})["features"].shape == (1, 32, 61)


def test_aligned_features_write_one_digit_along_its_progress() -> None:
    # Given the second of three digits, 4 hats and 30 columns
    features = aligned_features(1, 3, 4, 30).view(3, 4, 30)
    # Then the other digits are silent, hats rise in turn, and in each column they sum to one
    assert not features[[0, 2]].any()
    assert features[1].argmax(1).diff().min() > 0
    torch.testing.assert_close(features[1].sum(0), torch.ones(30))


@pytest.mark.parametrize(
    ("speakers", "digits", "fields", "message"),
    [
        (SPEAKERS, DIGITS, {"digit": 7}, "the model needs the field 'speaker'"),
        (SPEAKERS, DIGITS, {"digit": 5, "speaker": "ada"}, "digit cannot be 5: it is one of 0, 7"),
        (SPEAKERS, DIGITS, {"digit": 7, "speaker": "x"}, "one of ada, bob, eve"),
        ((), DIGITS, {"digit": 7, "seconds": 0.01}, "the model has no field 'seconds'"),
        ((), (), {"seconds": 0.2}, "seconds must be a number from 0 to 0.1, not 0.2"),
        ((), (), {"seconds": float("nan")}, "seconds must be a number"),
        ((), (), {"seconds": float("inf")}, "seconds must be a number"),
        ((), (), {"seconds": "1"}, "seconds must be a number"),
        ((), (), {"seconds": None}, "seconds must be a number"),
        ((), (), {"seconds": [1]}, "seconds must be a number"),
        ((), (), {"seconds": True}, "seconds must be a number"),
        ((), (), {"seconds": 0.0}, "above 0"),
    ],
)
def test_fields_that_do_not_fit_are_named(
    speakers: tuple[str, ...], digits: tuple[int, ...], fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConditionError, match=message):
        small(speakers, digits).conditions(fields)


def test_features_of_another_length_are_refused() -> None:
    net = small((), DIGITS)
    x = torch.zeros(1, 13, dtype=torch.int64)
    with pytest.raises(ConditionError, match="4 columns of 3 samples for 13 samples"):
        net(x, net.conditions({"digit": 7}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"residual": 0}, "residual must be at least 1, not 0"),
        ({"kernel": 1}, "kernel and hats must be at least 2"),
        ({"levels": 255}, "levels must be even and 2 to 256"),
        ({"levels": 65536, "components": 5}, "2 to 256"),
        ({"levels": 65536, "encoding": "linear"}, "2 to 256"),
        ({"encoding": "a-law"}, "mu-law or linear"),
        ({"components": -1}, "components must not be negative"),
        ({"speakers": ("ada", "ada")}, "speakers lists one of them twice"),
        ({"digits": (1, 2), "seconds": ((0.5,),)}, "seconds needs 1 rows"),
        ({"digits": (1,), "seconds": ((9.0,),)}, "not beyond 2.5"),
        (
            {"depth": 16, "stacks": 1},
            "further back than the longest sound, which has 20000 samples: lower",
        ),
        ({"depth": 15_000}, "further back than the longest sound, which has 20000 samples: lower"),
        ({"kernel": 4, "depth": 4, "max_length": 191}, "which has 191 samples: lower kernel"),
        # 100 samples have room for one column of 80
        (
            {
                "sample_rate_hz": 1000,
                "max_length": 100,
                "digits": (1,),
                "seconds": ((0.1,),),
            },
            "not beyond 0.08",
        ),
    ],
)
def test_sizes_that_make_no_network_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WaveNetConfig(**change)


def speaking(**more: Any) -> WaveNet:
    """A net that says texts of a and b in three voices; a column serves 80 samples."""
    torch.manual_seed(0)
    config = WaveNetConfig(
        characters=" ab",
        speakers=SPEAKERS,
        front_end=8,
        encoder=8,
        residual=8,
        skip=16,
        depth=3,
        stacks=1,
        max_length=8000,
        **more,
    )
    return WaveNet(config).eval()


def test_a_voice_of_the_lowest_sample_rate_can_be_told_of_its_recordings() -> None:
    net = speaking(sample_rate_hz=800)
    _, conditions = net.example(torch.randint(0, 256, (2000,)), {"text": "ab", "speaker": "ada"})
    assert conditions["features"].isfinite().all()


def test_a_sample_depends_on_as_many_before_it_as_the_receptive_field_says() -> None:
    # Given a net in which each weight matters
    net = small().double()
    with torch.no_grad():
        for weights in net.parameters():
            weights.normal_(std=0.5)
    x = laws.random_event(net, {"seconds": 0.1}, seed=0)
    last = net(x, {})[0, :, -1]

    # When a sample is changed that is as far back, or one further
    def changed(back: int) -> bool:
        other = x.clone()
        other[0, -1 - back] = (other[0, -1 - back] + 1) % 4
        return not net(other, {})[0, :, -1].equal(last)

    # Then
    assert net.config.receptive_field == 2 + 2 * (1 + 2 + 4)
    assert changed(net.config.receptive_field)
    assert not changed(net.config.receptive_field + 1)


def test_a_text_decides_how_long_it_takes() -> None:
    net = speaking()
    shapes = [net.event_shape({"text": text, "speaker": "ada"})[0] for text in ("a", "abba", "B a")]
    assert all(length > 0 and length % 80 == 0 for length in shapes)
    assert shapes[0] < shapes[1]
    for text, length in zip(("a", "abba", "b, A!"), shapes, strict=True):
        features = net.conditions({"text": text, "speaker": "ada"})["features"]
        assert features.shape == (1, 34, length // 80)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"text": "abc", "speaker": "ada"}, "knows no 'c': write the text with ab"),
        ({"text": "ab" * 200, "speaker": "ada"}, "longer to say than 1 seconds"),
        ({"text": "ab"}, "needs the field 'speaker'"),
        ({"text": "ab", "speaker": "mia"}, "speaker cannot be 'mia'"),
    ],
)
def test_what_cannot_be_said_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        speaking().conditions(fields)


def test_a_recording_is_told_along_its_own_durations() -> None:
    # Given a recording that takes longer than the voice would
    net = speaking()
    fields = {"text": "ab", "speaker": "bob"}
    x = torch.randint(0, 256, (80 * 40 + 7,))

    # When
    padded, conditions = net.example(x, fields)

    # Then it is padded with silence to whole columns, and each has its features
    assert padded[: len(x)].equal(x) and (padded[len(x) :] == 128).all()
    assert conditions["features"].shape == (1, 34, 41)
    assert net.event_shape(fields)[0] < 80 * 41
    with pytest.raises(ConditionError, match="1 columns is too short for the 4 characters"):
        net.example(x[:80], fields)


def test_the_front_end_learns_first_and_then_stays() -> None:
    # Given recordings as symbols
    net = speaking(front_end_steps=2)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    examples = [
        (torch.randint(0, 256, (900 + 100 * n,), generator=generator), {"text": t, "speaker": who})
        for n, (t, who) in enumerate([("a", "ada"), ("ba", "bob"), ("ab", "eve")])
    ]

    # When
    assert net.learns_first
    net.learn_first(examples, seed=1, report=lambda line: None)

    # Then nothing but the front end has changed, and no gradient will change that
    changed = {n for n, tensor in net.state_dict().items() if not tensor.equal(before[n])}
    assert changed and all(name.startswith("asked.front_end.") for name in changed)
    moved = [name for name, weights in net.named_parameters() if weights.requires_grad]
    assert moved and not any(name.startswith("asked.front_end.") for name in moved)


def test_without_texts_nothing_is_learnt_first() -> None:
    assert not small(SPEAKERS, DIGITS).learns_first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"characters": "ab"}, "first of characters is silence"),
        ({"characters": " aa"}, "characters lists one of them twice"),
        ({"characters": " a", "digits": (1,), "seconds": ((0.1,),)}, "texts or digits"),
        ({"front_end_steps": 0}, "front_end_steps must be at least 1"),
        ({"characters": " a", "max_length": 79}, "hop must be at most max_length, which is 79"),
        ({"characters": " "}, "characters has silence alone"),
        ({"characters": " aBß"}, r"no text has in lower case: \['B', 'ß'\]"),
        ({"characters": " a", "sample_rate_hz": 799}, "needs a sample_rate_hz of 800, not 799"),
    ],
)
def test_a_front_end_that_makes_no_sense_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WaveNetConfig(**change)
