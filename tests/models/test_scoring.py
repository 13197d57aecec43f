"""The scorer: a number for each event that no neighbour and no order changes."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from ancestral.models.errors import ConditionError, ConfigError, SlotsFull
from ancestral.models.naive import sample_naive
from ancestral.models.pixelcnn_autoencoder import PixelCNNAutoencoder, PixelCNNAutoencoderConfig
from ancestral.models.scoring import Score, Scorer
from tests.models.nets import DIGITS, Case, all_cases, image_case, sound_case

CASES = all_cases()
cases = pytest.mark.parametrize("name", CASES)


def asked_of_events(case: Case, number: int) -> dict[str, Any]:
    """What a request says of a real event: not how long it is, nor what an encoder tells of it."""
    signature = case.net.signature
    own = {"latent"} if "reconstruct" in signature.get("kinds", ()) else set()
    return {
        name: value
        for name, value in case.requests[number % len(case.requests)].items()
        if "decides" not in signature["fields"][name] and name not in own
    }


def events_of(case: Case, count: int) -> list[tuple[np.ndarray, Mapping[str, Any]]]:
    """Random events, of different lengths where they may be, and their fields."""
    signature, generator = case.net.signature, np.random.default_rng(0)
    events = []
    for number in range(count):
        shape = [size or 21 + number for size in signature["shape"]]
        if signature["levels"] is None:
            x = generator.standard_normal(shape)
        else:
            x = generator.integers(0, signature["levels"], shape)
        fields = asked_of_events(case, number)
        initial = fields.get("initial")
        if initial is not None:
            x[: len(initial)] = initial
        events.append((x, fields))
    return events


def score(scorer: Scorer, events: list[tuple[np.ndarray, Mapping[str, Any]]]) -> list[Score]:
    for key, (x, fields) in enumerate(events):
        scorer.admit(key, x, fields)
    scores: list[Score] = []
    while scorer.free < scorer.slots:
        scores += scorer.advance()
    assert [each.key for each in scores] == list(range(len(events)))
    return scores


@cases
def test_a_score_is_what_the_network_says_of_the_event(name: str) -> None:
    case = CASES[name]
    events = events_of(case, 3)
    for (x, fields), scored in zip(events, score(Scorer(case.net), events), strict=True):
        padded, conditions = case.net.example(torch.from_numpy(x), fields)
        if padded.shape == x.shape:
            with torch.inference_mode():
                expected = case.net.score(padded.unsqueeze(0), conditions).item()
            assert scored.log_likelihood_nats == pytest.approx(expected, rel=1e-5, abs=1e-4)
        assert (scored.error, scored.drawn) == (None, x.size)
        np.testing.assert_array_equal(scored.symbols, x)


@cases
def test_no_neighbour_and_no_order_changes_a_bit_of_it(name: str) -> None:
    # Given each event alone
    case = CASES[name]
    scorer = Scorer(case.net, slots=40)
    events = events_of(case, 24)
    alone = [score(scorer, [event])[0].log_likelihood_nats for event in events]

    # When all are scored together, in another order
    order = list(range(len(events)))
    random.Random(1).shuffle(order)
    together = score(scorer, [events[number] for number in order])

    # Then
    assert [each.log_likelihood_nats for each in together] == [alone[number] for number in order]


@pytest.mark.parametrize(("channels", "latent"), [(11, 11), (5, 8), (7, 5)])
def test_nor_does_its_place_in_the_batch_where_an_encoder_s_widths_are_odd(
    channels: int, latent: int
) -> None:
    # Given an encoder whose last layer reads 2 columns of so many channels
    torch.manual_seed(0)
    net = PixelCNNAutoencoder(
        PixelCNNAutoencoderConfig(
            3, 5, 5, channels=4, layers=1, latent=latent, encoder=(channels, channels)
        )
    )
    places = 64
    images = [np.random.default_rng(key).integers(0, 5, (3, 5)) for key in range(places)]

    # When the same images are scored in two orders
    scores: list[dict[Any, float]] = []
    for order in (range(places), reversed(range(places))):
        scorer = Scorer(net, slots=places)
        for key in order:
            scorer.admit(key, images[key], {})
        scores.append({each.key: each.log_likelihood_nats for each in scorer.advance()})

    # Then
    assert scores[0] == scores[1]


def test_a_batch_is_always_full() -> None:
    # Given a network that tells how many events it sees at a time
    case = image_case()
    seen: list[int] = []
    log_prob = case.net.log_prob
    scorer = Scorer(case.net, slots=100)
    network = scorer._net
    network.log_prob = lambda x, c: (seen.append(len(x)), log_prob(x, c))[1]  # type: ignore

    score(scorer, events_of(case, 70))

    assert seen == [64, 64]
    assert scorer.steps == 2


@pytest.mark.parametrize("length", [7, 8, 9, 40])
def test_what_pads_an_event_is_not_scored(length: int) -> None:
    """A column of features serves 4 samples: of 7, 9, ... the last column is filled up."""
    case = sound_case(speaker=False, digit=True)
    x = np.random.default_rng(length).integers(0, 16, length)

    (scored,) = score(Scorer(case.net), [(x, {"digit": 1})])

    padded, conditions = case.net.example(torch.from_numpy(x), {"digit": 1})
    with torch.inference_mode():
        log_p = torch.log_softmax(case.net(padded.unsqueeze(0), conditions).double(), 1)
    expected = sum(log_p[0, symbol, position].item() for position, symbol in enumerate(x))
    assert scored.log_likelihood_nats == pytest.approx(expected, rel=1e-6)
    assert scored.drawn == length


def test_what_was_drawn_scores_as_it_did_when_it_was_drawn() -> None:
    case = image_case(labels=DIGITS)
    drawn = sample_naive(case.net, {"label": 2}, seed=3)

    (scored,) = score(Scorer(case.net), [(drawn.symbols.numpy().astype(np.int64), {"label": 2})])

    assert scored.log_likelihood_nats == pytest.approx(drawn.log_likelihood_nats, rel=1e-5)


def test_a_likelihood_that_is_no_number_is_an_error_of_its_event_alone() -> None:
    case = image_case(labels=DIGITS)
    with torch.no_grad():
        case.net.asked.label.weight[2] = math.nan  # type: ignore[union-attr, index]
    (x, _), (other, _) = events_of(case, 2)

    bad, good = score(Scorer(case.net), [(x, {"label": 2}), (other, {"label": 1})])

    assert bad.error == "the likelihood is nan"
    assert (good.error, math.isfinite(good.log_likelihood_nats)) == (None, True)


def test_what_does_not_fit_is_refused() -> None:
    case = image_case(labels=DIGITS)
    scorer = Scorer(case.net, slots=1)
    (event,) = events_of(case, 1)
    for x, fields in [(event[0][:4], event[1]), (event[0], {"label": 99}), (event[0], {})]:
        with pytest.raises(ConditionError):
            scorer.admit(0, x, fields)
    scorer.admit(0, *event)
    with pytest.raises(SlotsFull):
        scorer.admit(1, *event)
    with pytest.raises(ConfigError):
        Scorer(case.net, slots=0)


@pytest.mark.parametrize(
    "name", [name for name in CASES if None in CASES[name].net.signature["shape"]]
)
def test_an_event_without_symbols_costs_itself_and_no_neighbour(name: str) -> None:
    # Given an event that waits
    case = CASES[name]
    scorer = Scorer(case.net)
    (good,) = events_of(case, 1)
    scorer.admit("good", *good)
    # When another has no symbols
    with pytest.raises(ConditionError, match="an event without symbols cannot be scored"):
        scorer.admit("empty", good[0][:0], good[1])
    # Then the first is scored
    assert [each.key for each in scorer.advance()] == ["good"]


@pytest.mark.parametrize("symbol", [-1, 7, 1.5, 2.0])
def test_a_symbol_that_is_none_costs_its_own_event_and_no_neighbour(symbol: float) -> None:
    # Given an event that waits
    case = image_case(labels=DIGITS)
    scorer = Scorer(case.net)
    good, (bad, fields) = events_of(case, 2)
    scorer.admit("good", *good)
    # When another has a symbol that is not among the 7 levels, or is no whole number
    bad = bad.astype(type(symbol))
    bad[2, 3] = symbol
    with pytest.raises(ConditionError, match="not among 7 levels"):
        scorer.admit("bad", bad, fields)
    # Then the first is scored
    assert [each.key for each in scorer.advance()] == ["good"]


def test_a_device_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device, message in (("cuda", "no GPU here"), ("xyz", "knows no device 'xyz'")):
        with pytest.raises(ConfigError, match=message):
            Scorer(image_case().net, device=device)


def test_an_event_is_scored_within_its_steps_unless_it_is_dropped() -> None:
    # Given sounds, which are scored one by one
    case = sound_case(speaker=False, digit=False)
    scorer = Scorer(case.net, slots=4)
    steps = {
        key: scorer.admit(key, np.zeros(20, dtype=np.int64), {"seconds": 0.02}) for key in "abcd"
    }
    scorer.drop("b")
    assert scorer.free == 1
    # Then each of the others has its turn in time
    turns = {}
    while scorer.free < 4:
        turns.update({score.key: scorer.steps for score in scorer.advance()})
    assert turns == {"a": 1, "c": 2, "d": 3}
    assert steps == {"a": 1, "b": 2, "c": 3, "d": 4}


def test_nothing_waits_at_first() -> None:
    assert Scorer(image_case().net).advance() == []


@pytest.mark.parametrize("method", ["example", "score"])
def test_it_scores_in_full_precision(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    heard: list[str] = []
    case = image_case()
    unwatched = getattr(type(case.net), method)

    def watched(*given: Any) -> Any:
        heard.append(torch.backends.cudnn.conv.fp32_precision)
        return unwatched(*given)

    monkeypatch.setattr(type(case.net), method, watched)
    scorer = Scorer(case.net, slots=1)
    scorer.admit(0, np.zeros(case.net.event_shape({}), dtype=np.int64), {})
    scorer.advance()

    assert heard == ["ieee"]


def test_it_counts_events_and_their_symbols() -> None:
    # Given two events of which one is longer than the other, each a batch by itself
    case = sound_case(speaker=False, digit=False)
    scorer = Scorer(case.net)
    for length in (20, 31):
        scorer.admit(length, np.zeros(length, np.int64), {"seconds": length / 1000})

    assert (scorer.events_begun, scorer.symbols_begun, scorer.symbols) == (2, 51, 0)

    scorer.advance()
    assert scorer.symbols == 20
