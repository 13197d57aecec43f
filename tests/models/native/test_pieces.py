"""Sounds so long that their aligned conditioning is projected piece by piece, on the way."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from unittest.mock import patch

import pytest
import torch

from ancestral.models.sampling.aligned import PIECE_COLUMNS, AlignedColumns
from ancestral.models.sampling.executor import Executor
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import Sample, SampleRequest
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig
from tests.models.laws import needs_native
from tests.models.native.asked import CASES, assert_same_bits
from tests.models.nets import Case, lively

pytestmark = needs_native

#: Samples that a column serves, and columns of the longest sound.
HOP, COLUMNS = 4, 2 * PIECE_COLUMNS + 9


def test_conditioning_is_that_of_its_own_column_wherever_a_piece_ends() -> None:
    # Given sounds of less than a piece, of exactly one, and of more than two
    case = long_sounds()
    for number in range(len(case.requests)):
        sample = drawn_alone(number)

        # Then their likelihood is what forward says, to which all columns are known at once
        x = torch.from_numpy(sample.symbols).unsqueeze(0)
        with torch.inference_mode():
            nats = case.net.log_prob(x, case.net.conditions(case.requests[number]))
        assert sample.log_likelihood_nats == pytest.approx(float(nats), rel=1e-5)


@pytest.mark.parametrize("slots", [6, 16], ids=["narrow", "wide"])
@pytest.mark.parametrize("chunk", [1, 50, 128, 1000])
def test_neither_chunks_nor_neighbours_change_a_bit(slots: int, chunk: int) -> None:
    # Given slots that stand at different columns, so that pieces end at different times
    requests = [request_of(number) for number in range(len(long_sounds().requests))]
    with patch.object(Executor, "chunk_positions", chunk):
        sampler = Sampler(long_sounds().net, slots=slots, executor="native")
        samples = []
        for request in requests:
            sampler.admit(request)
            samples += sampler.advance()
        while sampler.active:
            samples += sampler.advance()

    assert {sample.key for sample in samples} == set(range(len(requests)))
    for sample in samples:
        assert_same_bits(sample, drawn_alone(int(str(sample.key))))


def test_columns_are_laid_out_once_a_piece() -> None:
    # Given a sound that is drawn in many runs
    with (
        patch.object(Executor, "chunk_positions", 1),
        patch.object(
            AlignedColumns, "rows_kept", autospec=True, side_effect=AlignedColumns.rows_kept
        ) as rows_kept,
    ):
        sampler = Sampler(long_sounds().net, slots=1, executor="native")
        (sample,) = sampler.sample([request_of(2)])

    # Then the executor is given its columns anew where a piece begins, and the same bits come of it
    assert rows_kept.call_count == math.ceil(COLUMNS / PIECE_COLUMNS)
    assert_same_bits(sample, drawn_alone(2))


@pytest.mark.parametrize("columns", [PIECE_COLUMNS - 1, PIECE_COLUMNS, 2 * PIECE_COLUMNS + 1])
@pytest.mark.parametrize("more", [0, 1])
def test_a_prefix_or_a_move_may_end_at_any_column(columns: int, more: int) -> None:
    # Given a sound
    net, known = long_sounds().net, columns * HOP + more
    longest = drawn_alone(2)

    # When another goes on from its first samples
    prefix = torch.from_numpy(longest.symbols[:known])
    request = replace(request_of(2), prefix=prefix)
    (sample,) = Sampler(net, slots=1, executor="native").sample([request])

    # Or it moves to another sampler there
    with patch.object(Executor, "chunk_positions", known):
        began = Sampler(net, slots=1, executor="native")
        began.admit(request_of(2))
        assert began.advance() == []
    moved = Sampler(net, slots=16, executor="native")
    moved.restore(began.save(2))
    ended: list[Sample] = []
    while moved.active:
        ended += moved.advance()

    # Then it goes on as the sound did
    assert sample.symbols.tobytes() == longest.symbols.tobytes()
    assert_same_bits(ended[0], longest)


def request_of(number: int) -> SampleRequest:
    """One sound after the other."""
    return SampleRequest(number, long_sounds().requests[number], seed=number)


@cache
def long_sounds() -> Case:
    """Of 60, 64 and 137 columns, which each speaker says a little differently."""
    case = CASES["wavenet by both"]
    config = case.net.config
    assert isinstance(config, WaveNetConfig) and config.hop == HOP
    per_second = config.sample_rate_hz / HOP
    seconds = tuple(columns / per_second for columns in (60, PIECE_COLUMNS, COLUMNS))
    return Case(
        lively(WaveNet, replace(config, seconds=(seconds,) * len(config.speakers))), case.requests
    )


@cache
def drawn_alone(number: int) -> Sample:
    """What a sampler of one slot draws."""
    (sample,) = Sampler(long_sounds().net, slots=1, executor="native").sample([request_of(number)])
    return sample
