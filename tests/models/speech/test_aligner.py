"""Alignments of a text with its sound."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ancestral.models.errors import ConditionError
from ancestral.models.speech.aligner import alignment_loss, durations, placed


def guesses(characters: int, frames: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(characters, frames, generator=generator).mul(2).log_softmax(0)


def ways(count: int, frames: int) -> list[list[int]]:
    """Every way through `count` characters in so many frames, as their durations."""
    return [
        [after - before for before, after in itertools.pairwise((0, *cuts, frames))]
        for cuts in itertools.combinations(range(1, frames), count - 1)
    ]


def nats_of(likely: Tensor, way: list[int]) -> float:
    index = torch.repeat_interleave(torch.tensor(way))
    return float(likely.double()[index, torch.arange(likely.shape[1])].sum())


@given(st.integers(1, 4), st.integers(0, 4), st.integers(0, 99))
def test_the_likeliest_way_is_found(count: int, more: int, seed: int) -> None:
    # Given a text with a letter twice, if it is long enough
    spelled = torch.arange(count) % 3
    likely = guesses(3, count + more, seed)

    # When
    taken = durations(likely, spelled)

    # Then
    there = placed(likely, spelled)
    best = max(nats_of(there, way) for way in ways(count, count + more))
    assert int(taken.sum()) == count + more and int(taken.min()) >= 1
    assert nats_of(there, taken.tolist()) == pytest.approx(best, abs=1e-6)


@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 99))
def test_the_loss_sums_all_ways(count: int, more: int, seed: int) -> None:
    # Given two texts of different lengths, in one padded batch
    spelled = [torch.arange(count) % 2, torch.arange(count + 1) % 2]
    frames = torch.tensor([count + more, count + 1])
    likely = torch.stack([guesses(2, count + more, seed), guesses(2, count + more, seed + 1)])

    # When
    loss = alignment_loss(likely, spelled, frames)

    # Then
    total = 0.0
    for index, each in enumerate(spelled):
        length = int(frames[index])
        there = placed(likely[index, :, :length], each).log_softmax(0)
        nats = [nats_of(there, way) for way in ways(len(each), length)]
        total -= math.log(sum(map(math.exp, nats)))
    assert float(loss) == pytest.approx(total / int(frames.sum()), abs=1e-4)


def test_the_gradient_is_that_of_the_sum_of_all_ways() -> None:
    # Given two texts and sounds of different lengths, in one padded batch
    spelled = [torch.tensor([0, 3, 2, 0]), torch.tensor([0, 4, 2, 1, 0])]
    frames = torch.tensor([9, 7])
    likely = torch.stack([guesses(5, 9, seed) for seed in (0, 1)]).requires_grad_()

    # When
    alignment_loss(likely, spelled, frames).backward()

    # Then it is as the sum itself has it, frame by frame in double precision
    exact = likely.detach().double().requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for index, each in enumerate(spelled):
        total -= all_ways(placed(exact[index, :, : int(frames[index])], each).log_softmax(0))
    (total / 16).backward()
    assert likely.grad is not None and exact.grad is not None
    assert torch.allclose(likely.grad.double(), exact.grad, rtol=0, atol=1e-5)
    assert likely.grad[1, :, 7:].eq(0).all()


def all_ways(likely: Tensor) -> Tensor:
    """The logarithm of the sum of all ways through (N, F)."""
    never = torch.full((1,), -1e30, dtype=likely.dtype)
    summed = torch.cat([likely[:1, 0], never.expand(len(likely) - 1)])
    for frame in range(1, likely.shape[1]):
        before = torch.cat([never, summed[:-1]])
        summed = torch.logaddexp(before, summed) + likely[:, frame]
    return summed[-1]


def test_without_knowledge_the_diagonal_is_likeliest() -> None:
    assert durations(torch.zeros(4, 12), torch.arange(4)).tolist() == [3, 3, 3, 3]


def test_a_sound_shorter_than_its_text_is_refused() -> None:
    with pytest.raises(ConditionError, match="2 columns is too short for the 3 characters"):
        durations(torch.zeros(4, 2), torch.arange(3))
