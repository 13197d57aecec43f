"""Fused kernels, by their twin in plain torch, draw what the reference draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ancestral.models.errors import ConfigError
from ancestral.models.sampling.executors import ExecutorName
from ancestral.models.sampling.fused import tile as fused_tile
from ancestral.models.sampling.fused.executor import TILES, FusedExecutor
from ancestral.models.sampling.fused.groups import is_supported
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest, SavedSample
from tests.models.alone import assert_same, check_broken_alone, check_independence, samples_of
from tests.models.laws import varied_requests
from tests.models.nets import all_cases

CASES = {name: case for name, case in all_cases().items() if is_supported(case.net.program())}


@pytest.mark.parametrize("name", CASES, ids=lambda name: name.replace(" ", "-"))
def test_each_network_draws_what_the_reference_draws(name: str) -> None:
    # Given requests of every kind: other settings, prefixes alone and shared, other lengths
    case = CASES[name]
    requests = varied_requests(case, 8)
    expected = samples_of(case.net, requests, 8, "reference")
    # When they share fewer slots than there are of them
    drawn = samples_of(case.net, requests, 5, "fused-few")
    # Then the symbols are those of the reference; likelihoods differ by how sums are rounded
    assert drawn.keys() == expected.keys()
    for key, sample in drawn.items():
        assert np.array_equal(sample.symbols, expected[key].symbols), f"sample {key}"
        nats = expected[key].log_likelihood_nats
        assert sample.log_likelihood_nats == pytest.approx(nats, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("positions", [3, 7, 1024])
def test_where_runs_end_changes_nothing(positions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given sounds of several lengths, with aligned conditioning of 4 samples a column
    case = CASES["wavenet by both"]
    requests = varied_requests(case, 12)
    expected = samples_of(case.net, requests, 12, "fused-few")
    # When runs are so long: they end within columns, and events end within runs
    monkeypatch.setattr(FusedExecutor, "chunk_positions", positions)
    # Then nothing is different
    assert_same(samples_of(case.net, requests, 3, "fused-few"), expected)


@pytest.mark.parametrize("executor", ["fused", "fused-few"])
@pytest.mark.parametrize("name", ["wavenet mixture by both", "gated_pixelcnn by map"])
def test_bits_depend_on_no_slot_tile_neighbour_or_order(name: str, executor: ExecutorName) -> None:
    tile_slots, _ = TILES[executor]
    check_independence(name, executor, tile_slots)


@pytest.mark.parametrize("name", ["wavenet by both", "gated_pixelcnn by map"])
def test_a_saved_sample_goes_on_elsewhere(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given samples as they are drawn without a pause
    case = CASES[name]
    requests = varied_requests(case, 3)
    expected = samples_of(case.net, requests, 3, "fused-few")
    # When they move after some positions to a sampler that stands elsewhere
    monkeypatch.setattr(FusedExecutor, "chunk_positions", 6)
    here, there = (Sampler(case.net, slots=4, executor="fused-few") for _ in range(2))
    here.admit(SampleRequest("else", case.requests[0], seed=99))
    here.advance()
    for request in requests:
        there.admit(request)
    samples = there.advance()
    for request in requests:
        saved = there.save(request.key)
        here.restore(SavedSample.from_bytes(saved.to_bytes(), request.key))
    while here.active:
        samples += here.advance()
    # Then they end the same
    assert_same({s.key: s for s in samples if s.key != "else"}, expected)


@pytest.mark.parametrize("name", ["wavenet by both", "gated_pixelcnn by map"])
def test_a_clock_that_has_run_long_begins_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    requests = varied_requests(case, 6)
    expected = samples_of(case.net, requests, 6, "fused-few")
    monkeypatch.setattr(FusedExecutor, "chunk_positions", 6)
    monkeypatch.setattr(fused_tile, "LATEST_CLOCK", 9)
    assert_same(samples_of(case.net, requests, 6, "fused-few"), expected)


def test_logits_that_are_not_finite_cost_one_request_and_no_neighbour() -> None:
    check_broken_alone("fused-few")


def test_bfloat16_rounds_weights_memories_and_what_is_multiplied() -> None:
    # Given requests of a network
    case = CASES["wavenet by speaker"]
    requests = varied_requests(case, 6)
    sampler = Sampler(case.net, slots=6, executor="fused-few", dtype=torch.bfloat16)
    # When it draws in bfloat16
    drawn = {sample.key: sample for sample in sampler.sample(requests)}
    exact = samples_of(case.net, requests, 6, "fused-few")
    # Then likelihoods differ, by little a symbol
    for key, sample in drawn.items():
        apart = abs(sample.log_likelihood_nats - exact[key].log_likelihood_nats)
        same = np.array_equal(sample.symbols, exact[key].symbols)
        assert not same or 0 < apart < 0.05 * sample.symbols.size
    assert any(np.array_equal(s.symbols, exact[key].symbols) for key, s in drawn.items())


def test_the_two_sizes_of_tiles_and_the_dtypes_are_numerics_of_their_own() -> None:
    case = CASES["wavenet"]
    names = {
        Sampler(case.net, slots=1, executor=executor, dtype=dtype).numerics
        for executor in ("fused", "fused-few")
        for dtype in (torch.float32, torch.bfloat16)
    }
    assert len(names) == 4


def test_what_kernels_cannot_do_is_refused() -> None:
    cases = all_cases()
    with pytest.raises(ConfigError, match="no fused kernel for such a network"):
        Sampler(cases["video_pixel"].net, executor="fused")
    with pytest.raises(ConfigError, match="float32 or bfloat16"):
        Sampler(cases["wavenet"].net, executor="fused", dtype=torch.float64)
