"""Saved samples: what bytes carry of them, and what is not taken for one or cannot go on here."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from ancestral.models.errors import ConditionError
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.philox import LARGEST_SEED
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest, SavedSample
from ancestral.models.sampling.tile import HalfDrawn, Memory
from tests.models.laws import needs_native
from tests.models.nets import DIGITS, Case, image_case, sound_case


@given(
    seed=st.integers(0, LARGEST_SEED),
    sample=st.integers(0, 2**31),
    temperature=st.floats(1e-3, 1e3),
    top_k=st.none() | st.integers(1, 256),
    top_p=st.none() | st.floats(1e-6, 1),
    prefix=st.none() | st.lists(st.integers(0, 6), max_size=5),
    nats=st.floats(-1e9, 0),
    symbols=st.lists(st.integers(0, 6), max_size=9) | st.lists(st.floats(-1e9, 1e9), max_size=9),
)
def test_bytes_carry_everything_but_the_key(
    seed: int,
    sample: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    prefix: list[int] | None,
    nats: float,
    symbols: list[int] | list[float],
) -> None:
    fields = {"label": "é", "latent": [0.1, -2.5e-30], "seconds": None}
    given_symbols = None if prefix is None else torch.tensor(prefix, dtype=torch.int64)
    settings = Settings(temperature, top_k, top_p)
    request = SampleRequest(("any", 1), fields, seed, sample, settings, given_symbols)
    grids = [torch.randn(1, 2, 3, 4), torch.randn(1, 1, 5, 6).double()]
    dtype = np.int32 if all(isinstance(symbol, int) for symbol in symbols) else np.float64
    known = np.array(symbols, dtype=dtype)
    saved = SavedSample(request, HalfDrawn(known, nats, Memory(len(known), grids)), "someone", 0.1)

    same = SavedSample.from_bytes(saved.to_bytes(), ("any", 1))

    assert (same.request, same.drawn_by, same.seconds) == (request, "someone", 0.1)
    assert (same.request.prefix is None) == (given_symbols is None)
    if same.request.prefix is not None and given_symbols is not None:
        assert torch.equal(same.request.prefix, given_symbols)
    assert same.so_far is not None
    assert (same.so_far.log_likelihood_nats, same.so_far.memory.symbols) == (nats, len(known))
    assert same.so_far.symbols.dtype == dtype
    np.testing.assert_array_equal(same.so_far.symbols, known)
    assert all(map(torch.equal, same.so_far.memory.grids, grids))
    # One that has not begun has nothing but the request
    waiting = SavedSample.from_bytes(replace(saved, so_far=None).to_bytes(), "another")
    assert (waiting.request, waiting.so_far) == (replace(request, key="another"), None)


def test_numbers_of_numpy_are_drawn_and_carried_like_others() -> None:
    # Given a request out of an array
    sampler = Sampler(image_case(labels=DIGITS).net)
    asked = SampleRequest("a", {"label": np.int64(2)}, seed=np.int64(7), sample=np.uint32(1))
    usual = SampleRequest("a", {"label": 2}, seed=7, sample=1)

    # When it is taken out of its slot before it begins
    sampler.admit(asked)
    carried = SavedSample.from_bytes(sampler.save("a").to_bytes(), "a")

    assert carried.request == usual
    [drawn], [expected] = sampler.sample([asked]), sampler.sample([usual])
    np.testing.assert_array_equal(drawn.symbols, expected.symbols)


def _changed(saved: SavedSample, **changes: Any) -> bytes:
    """Its bytes with other facts."""
    tensors = load(saved.to_bytes())
    facts = json.loads(bytes(tensors["facts"].tolist())) | changes
    tensors["facts"] = torch.tensor(list(json.dumps(facts).encode()), dtype=torch.uint8)
    return save(tensors)


def test_bytes_of_something_else_are_refused() -> None:
    grids, symbols = [torch.zeros(1, 2, 3, 4)], np.zeros(6, dtype=np.int32)
    half_drawn = HalfDrawn(symbols, -9.5, Memory(6, grids))
    saved = SavedSample(SampleRequest("key", {}, seed=1), half_drawn, "someone", 0.0)
    own = saved.to_bytes()
    tensors = load(own)
    foreign = {
        "nothing": b"",
        "a text": b"not a saved sample",
        "half of it": own[: len(own) // 2],
        "more than it": own + b"more",
        "a bundle's weights": save({"weight": torch.zeros(3)}),
        "facts that are no text": save({**tensors, "facts": torch.zeros(3)}),
        "facts that are no JSON": save({**tensors, "facts": torch.zeros(3, dtype=torch.uint8)}),
        "grids with a gap": save({**tensors, "grid 99": torch.zeros(1)}),
        "a seed out of range": _changed(saved, seed=-1),
        "no seed": _changed(saved, seed=None),
        "no settings": _changed(saved, settings=None),
        "settings out of range": _changed(saved, settings={"temperature": 0}),
        "unknown settings": _changed(saved, settings={"beams": 3}),
        "no likelihood": _changed(saved, log_likelihood_nats=None),
        "a likelihood too large": _changed(saved, log_likelihood_nats="0x1p99999"),
    }
    for what, data in foreign.items():
        with pytest.raises(ConditionError):
            taken = SavedSample.from_bytes(data, what)
            pytest.fail(f"{what} was taken for {taken}")


@pytest.fixture
def every_period(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samplers stop at each period."""
    monkeypatch.setattr("ancestral.models.sampling.executor.Executor.chunk_positions", 1)


def _half_drawn(case: Case, **asked: Any) -> SavedSample:
    """The first request's sample after two periods; to be drawn with `every_period`."""
    sampler = Sampler(case.net, slots=1, **asked)
    sampler.admit(SampleRequest("half", case.requests[0], seed=3))
    sampler.advance()
    sampler.advance()
    return sampler.save("half")


@pytest.mark.usefixtures("every_period")
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize(
    "other",
    [image_case(seed=1), image_case(labels=DIGITS), sound_case(speaker=False, digit=False)],
    ids=["other-weights", "other-layers", "another-family"],
)
def test_another_network_refuses_a_saved_sample(other: Case, begun: bool) -> None:
    # Given a sample of one network, on its way or not begun
    saved = _half_drawn(image_case())
    if not begun:
        saved = replace(saved, so_far=None)
    # Then no other goes on with it, and keeps no slot for it
    sampler = Sampler(other.net, slots=1)
    with pytest.raises(ConditionError, match="the network and the numerics that it began with"):
        sampler.restore(saved)
    assert sampler.free == 1


@pytest.mark.usefixtures("every_period")
@needs_native
def test_another_executor_or_dtype_refuses_a_saved_sample() -> None:
    case = image_case()
    saved = _half_drawn(case, executor="native")
    with pytest.raises(ConditionError, match=r"it began with: .*/native/float32"):
        Sampler(case.net, executor="reference").restore(saved)
    with pytest.raises(ConditionError, match=r"not .*/reference/float64"):
        Sampler(case.net, dtype=torch.float64).restore(saved)


@pytest.mark.usefixtures("every_period")
def test_a_sample_that_was_tampered_with_is_refused_before_it_takes_a_slot() -> None:
    # Given a saved sample whose symbols are more than its event has
    case = image_case()
    saved = _half_drawn(case)
    assert saved.so_far is not None
    symbols = np.tile(saved.so_far.symbols, 5)
    tampered = HalfDrawn(symbols, 0.0, Memory(len(symbols), saved.so_far.memory.grids))
    # Then it is refused
    sampler = Sampler(case.net, slots=1)
    with pytest.raises(ConditionError, match="the request that it began with"):
        sampler.restore(replace(saved, so_far=tampered))
    assert sampler.free == 1
