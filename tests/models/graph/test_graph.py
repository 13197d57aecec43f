"""Records draw what the reference draws, to the last bit where tiles are as wide."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch

from ancestral.models.errors import ConfigError
from ancestral.models.pixelcnn import PixelCNN, PixelCNNConfig
from ancestral.models.sampling.distributions import Categorical
from ancestral.models.sampling.draw import SettingsBatch
from ancestral.models.sampling.graph.executor import GraphExecutor
from ancestral.models.sampling.reference import TILE_SLOTS
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest, SavedSample
from tests.models.alone import assert_same, check_broken_alone, check_independence, samples_of
from tests.models.laws import varied_requests
from tests.models.nets import Case, all_cases, sound_case, vector_case

CASES = all_cases()


@pytest.fixture(params=[7, 256], ids="{} positions".format)
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Positions of a run: they end within a column of aligned conditioning, or behind all ends."""
    positions: int = request.param
    monkeypatch.setattr(GraphExecutor, "chunk_positions", positions)
    return positions


@pytest.mark.parametrize("name", CASES, ids=lambda name: name.replace(" ", "-"))
def test_each_network_draws_what_the_reference_draws(name: str) -> None:
    # Given requests of every kind: other settings, prefixes alone and shared, other lengths
    case = CASES[name]
    requests = varied_requests(case, 8)
    # When they share fewer slots than there are of them, then every bit is the reference's
    assert_same(
        samples_of(case.net, requests, 5, "graph"), samples_of(case.net, requests, 8, "reference")
    )


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("name", ["wavenet by both", "wavenet by text and speaker", "linear"])
def test_sounds_go_on_past_each_others_ends(name: str) -> None:
    case = CASES[name]
    requests = varied_requests(case, 12)
    assert_same(
        samples_of(case.net, requests, 3, "graph"), samples_of(case.net, requests, 12, "reference")
    )


@pytest.mark.parametrize("name", ["linear", "pixelcnn", "wavenet by both"])
def test_in_float64_too(name: str) -> None:
    case = CASES[name]
    requests, net = varied_requests(case, 5), copy.deepcopy(case.net).double()
    assert_same(samples_of(net, requests, 5, "graph"), samples_of(net, requests, 5, "reference"))


@pytest.mark.parametrize("name", ["wavenet mixture by both", "gated_pixelcnn by map", "made"])
def test_bits_depend_on_no_slot_tile_neighbour_or_order(name: str) -> None:
    check_independence(name, "graph", TILE_SLOTS)


def test_short_sounds_do_not_cut_the_runs_of_long_ones() -> None:
    # Given sounds of 20 and of 31 samples side by side
    case = sound_case(speaker=False, digit=False)
    lengths = [20, 31, 31, 20]
    requests = [SampleRequest(n, {"seconds": length / 1000}, n) for n, length in enumerate(lengths)]
    sampler = Sampler(case.net, slots=4, executor="graph")
    for request in requests:
        sampler.admit(request)
    # When they are drawn
    samples = sampler.advance()
    # Then it is in one run, in which only what lies before the ends was counted
    assert {len(sample.symbols) for sample in samples} == {20, 31} and not sampler.active
    assert (sampler.steps, sampler.symbols) == (31, sum(lengths))
    assert sampler.slot_symbols == TILE_SLOTS * 31


@pytest.mark.parametrize(
    "name", ["wavenet by both", "gated_pixelcnn by map", "video_pixel", "made"]
)
def test_a_saved_sample_goes_on_elsewhere(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given samples as they are drawn without a pause
    case = CASES[name]
    requests = varied_requests(case, 3)
    expected = samples_of(case.net, requests, 3, "graph")
    # When they move at each period between two samplers that stand at different places
    monkeypatch.setattr(GraphExecutor, "chunk_positions", 1)
    here, there = (Sampler(case.net, slots=4, executor="graph") for _ in range(2))
    here.admit(SampleRequest("else", case.requests[0], seed=99))
    samples = here.advance()
    for request in requests:
        there.admit(request)
    while there.active or here.active:
        samples += here.advance() + there.advance()
        saved = [there.save(key) for key in _keys(there) if key != "else"]
        for each in saved:
            here.restore(SavedSample.from_bytes(each.to_bytes(), each.request.key))
        here, there = there, here
    # Then they end the same
    drawn = {sample.key: sample for sample in samples if sample.key != "else"}
    assert_same(drawn, expected)


def _keys(sampler: Sampler) -> Sequence[object]:
    return [active.asked.request.key for active in sampler._active.values()]


def test_logits_that_are_not_finite_cost_one_request_and_no_neighbour() -> None:
    check_broken_alone("graph")


class Peeping(Categorical):
    """A law that looks at numbers while it draws."""

    def draw(
        self, parameters: torch.Tensor, u: torch.Tensor, settings: SettingsBatch
    ) -> torch.Tensor:
        assert bool(u.isfinite().all())
        return super().draw(parameters, u, settings)


class PeepingPixelCNN(PixelCNN):
    """A network of such symbols."""

    @property
    def distribution(self) -> Peeping:
        return Peeping(self.config.levels)


def test_a_network_whose_step_cannot_be_recorded_is_refused_when_it_is_loaded() -> None:
    config = PixelCNNConfig(4, 4, levels=5, channels=6, blocks=2)
    case: Case = vector_case(PeepingPixelCNN, config)
    with pytest.raises(ConfigError, match="a step of this network cannot be recorded"):
        Sampler(case.net, executor="graph")
