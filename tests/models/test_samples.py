"""Half-drawn samples move: to another sampler, to another process; and end as if they had not."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.bundle import save_bundle
from ancestral.models.errors import ConditionError, SlotsFull
from ancestral.models.sampling.executors import ExecutorName
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import Sample, SampleRequest, SavedSample
from ancestral.models.wavenet import WaveNet
from tests.models import laws
from tests.models.laws import (
    drawn_alone,
    needs_native,
    on_each_executor,
    same_bits,
    varied_requests,
)
from tests.models.nets import DIGITS, all_cases, image_case, lively, sound_case

CASES = all_cases()

#: Executor, and the slots of who saves and of who restores: few of them lie one by one in the
#: native executor's memory, many side by side.
ROUTES = [
    pytest.param("reference", 6, 9, id="reference"),
    pytest.param("native", 6, 20, id="native-few-to-many", marks=needs_native),
    pytest.param("native", 20, 8, id="native-many-to-few", marks=needs_native),
]


@pytest.fixture
def every_period(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samplers stop at each period."""
    monkeypatch.setattr("ancestral.models.sampling.executor.Executor.chunk_positions", 1)


def _finish(sampler: Sampler) -> Iterator[Sample]:
    while sampler.active:
        yield from sampler.advance()


@pytest.mark.usefixtures("every_period")
@pytest.mark.parametrize(("executor", "slots", "more_slots"), ROUTES)
@pytest.mark.parametrize("name", CASES, ids=lambda name: name.replace(" ", "-"))
def test_a_saved_sample_ends_elsewhere_as_if_it_had_never_moved(
    name: str, executor: ExecutorName, slots: int, more_slots: int
) -> None:
    case, expected = CASES[name], drawn_alone(name, executor, 6)
    there = Sampler(case.net, slots=more_slots, executor=executor)
    for pause in (0, 1, 4):
        # Given samples of every kind, on their way or waiting for a prefix
        here = Sampler(case.net, slots=slots, executor=executor)
        for request in varied_requests(case, 6):
            here.admit(request)
        samples = list(itertools.chain.from_iterable(here.advance() for _ in range(pause)))
        # When they go, as bytes, to a sampler that stands elsewhere
        there.admit(SampleRequest("other", case.requests[0], seed=99 + pause))
        samples += there.advance()
        for key in expected.keys() - {sample.key for sample in samples}:
            saved = SavedSample.from_bytes(here.save(key).to_bytes(), key)
            there.restore(saved)
        assert here.active == 0
        samples += _finish(there)
        # Then every bit is as if they had been drawn alone
        moved = [sample for sample in samples if sample.key != "other"]
        assert len(moved) == 6
        assert all(same_bits(sample, expected[sample.key]) for sample in moved)


@on_each_executor
@given(rng=st.randoms(use_true_random=False), name=st.sampled_from(list(CASES)))
@settings(max_examples=15)
def test_no_journey_shows_in_a_sample(
    executor: ExecutorName, rng: random.Random, name: str
) -> None:
    # Given three samplers, and requests of every kind
    case, expected = CASES[name], drawn_alone(name, executor, 6)
    places = [
        Sampler(case.net, slots=rng.choice([1, 4, 9, 17, 70]), executor=executor) for _ in range(3)
    ]
    requests, journeys = varied_requests(case, 6), dict.fromkeys(range(6), 0)
    rng.shuffle(requests)
    here: dict[object, Sampler] = {}
    waiting: list[SavedSample] = []
    samples: list[Sample] = []
    # When they come and go at any time, from anywhere to anywhere, now and then waiting outside
    while len(samples) < 6:
        sampler = rng.choice(places)
        away = [key for key in here if journeys[int(str(key))] < 9]
        if requests and sampler.free and rng.random() < 0.4:
            sampler.admit(requests[-1])
            here[requests.pop().key] = sampler
        elif waiting and sampler.free and rng.random() < 0.5:
            sampler.restore(waiting[0])
            here[waiting.pop(0).request.key] = sampler
        elif away and rng.random() < 0.5:
            key = rng.choice(away)
            waiting.append(here.pop(key).save(key))
            journeys[int(str(key))] += 1
        else:
            for sample in sampler.advance():
                samples.append(sample)
                del here[sample.key]
    # Then every bit is as if they had been drawn alone
    assert all(same_bits(sample, expected[sample.key]) for sample in samples)


#: Ends the saved samples of a folder, each in a sampler of its bundle.
FINISH = """
import pathlib, sys
import numpy as np
from ancestral.models import Sampler, load_bundle
from ancestral.models.sampling.samples import SavedSample

executor, *folders = sys.argv[1:]
for folder in map(pathlib.Path, folders):
    sampler = Sampler(load_bundle(folder / "bundle").net, slots=9, executor=executor)
    for path in folder.glob("*.saved"):
        sampler.restore(SavedSample.from_bytes(path.read_bytes(), path.stem))
    while sampler.active:
        for sample in sampler.advance():
            nats = np.float64(sample.log_likelihood_nats)
            np.savez(folder / f"{sample.key}.npz", symbols=sample.symbols, nats=nats)
"""


@pytest.mark.usefixtures("every_period")
@on_each_executor
def test_a_saved_sample_ends_the_same_in_another_process(
    executor: ExecutorName, tmp_path: Path
) -> None:
    # Given bundles, and samples of each of them that have come some way
    names = ("linear", "gated_pixelcnn by label", "wavenet mixture by both", "video_pixel")
    for name in names:
        case, folder = CASES[name], tmp_path / name
        save_bundle(folder / "bundle", case.net, card="A toy.", metrics={})
        sampler = Sampler(case.net, slots=6, executor=executor)
        for request in varied_requests(case, 6):
            sampler.admit(request)
        ended = {sample.key for sample in sampler.advance()}
        for key in set(range(6)) - ended:
            (folder / f"{key}.saved").write_bytes(sampler.save(key).to_bytes())
    # When another process goes on with them
    folders = [tmp_path / name for name in names]
    subprocess.run([sys.executable, "-c", FINISH, executor, *folders], check=True)
    # Then they end as they would have here
    for name in names:
        saved = sorted((tmp_path / name).glob("*.saved"))
        assert len(saved) >= 4
        expected = drawn_alone(name, executor, 6)
        for path in saved:
            there, alone = np.load(path.with_suffix(".npz")), expected[int(path.stem)]
            np.testing.assert_array_equal(there["symbols"], alone.symbols)
            assert there["nats"] == alone.log_likelihood_nats


@on_each_executor
def test_a_long_sound_goes_on_in_the_middle_of_its_conditioning(executor: ExecutorName) -> None:
    # Given a sound of 300 columns of conditioning, which is projected in pieces
    config: Any = sound_case(speaker=True, digit=True).net.config
    net = lively(WaveNet, replace(config, seconds=((1.2,) * len(DIGITS),) * 2))
    request = SampleRequest(0, {"speaker": "bob", "digit": 1}, seed=5)
    (expected,) = Sampler(net, slots=1, executor=executor).sample([request])
    assert expected.symbols.shape == (1200,)
    # When it moves at every pause
    one, other = (Sampler(net, slots=9, executor=executor) for _ in range(2))
    one.admit(request)
    samples: list[Sample] = []
    while not samples:
        one, other = other, one
        one.restore(other.save(0))
        samples += one.advance()
    # Then it is the same
    assert same_bits(samples[0], expected)


@pytest.mark.usefixtures("every_period")
@on_each_executor
def test_a_saved_sample_leaves_its_slot_to_another(executor: ExecutorName) -> None:
    # Given a sampler whose slots are taken
    case = image_case(labels=DIGITS)
    first, second, third = (
        SampleRequest(n, fields, seed=n) for n, fields in enumerate(case.requests)
    )
    alone = [next(Sampler(case.net, executor=executor).sample([r])) for r in (first, second, third)]
    sampler = Sampler(case.net, slots=2, executor=executor)
    sampler.admit(first)
    sampler.admit(second)
    sampler.advance()
    # When one is saved, and another takes its place until it ends
    saved = sampler.save(1)
    assert (sampler.active, sampler.free) == (1, 1)
    sampler.admit(third)
    with pytest.raises(SlotsFull, match="2 slots"):
        sampler.restore(saved)
    samples = list(_finish(sampler))
    sampler.restore(saved)
    samples += _finish(sampler)
    # Then each is what it would have been alone
    assert [sample.key for sample in samples] == [0, 2, 1]
    assert all(same_bits(sample, alone[int(str(sample.key))]) for sample in samples)


@pytest.mark.usefixtures("every_period")
def test_who_waited_for_a_prefix_takes_it_in_when_the_first_was_saved() -> None:
    # Given three samples of one prefix, of which the first is taking it in
    case = image_case()
    prefix = laws.random_event(case.net, {}, seed=3).flatten()[:18]
    requests = [SampleRequest(n, {}, seed=7, sample=n, prefix=prefix) for n in range(3)]
    expected = [next(Sampler(case.net, executor="reference").sample([r])) for r in requests]
    sampler = Sampler(case.net, slots=3, executor="reference")
    for request in requests:
        sampler.admit(request)
    sampler.advance()
    # When it is saved, and one that waits is, too
    first, waiting = sampler.save(0), sampler.save(2)
    # Then the one has come a row far, and the other has not begun
    assert first.so_far is not None
    assert (first.so_far.memory.symbols, first.so_far.log_likelihood_nats) == (6, 0.0)
    assert waiting.so_far is None
    # And all end as they should, whoever waits for whom
    samples = list(_finish(sampler))
    sampler.restore(waiting)
    sampler.restore(first)
    samples += _finish(sampler)
    assert len(samples) == 3
    assert all(same_bits(sample, expected[int(str(sample.key))]) for sample in samples)


def test_what_is_not_being_drawn_cannot_be_saved() -> None:
    sampler = Sampler(image_case().net, slots=2)
    sampler.admit(SampleRequest("here", {}, seed=0))
    with pytest.raises(ConditionError, match="no event of key 'there' is being drawn"):
        sampler.save("there")
    sampler.save("here")
    with pytest.raises(ConditionError, match="no event of key 'here' is being drawn"):
        sampler.save("here")
