"""The published known answers, and what follows from a counter."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ancestral.models.sampling.philox import LARGEST_SEED, philox, uniform

#: Random123, tests/kat_vectors: philox4x32, 10 rounds.
KNOWN_ANSWERS = [
    (
        (0x00000000, 0x00000000, 0x00000000, 0x00000000),
        (0x00000000, 0x00000000),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]

seeds = st.integers(0, LARGEST_SEED)
positions = st.integers(0, 2**40)


def _words(values: tuple[int, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor([value]) for value in values)


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_published_known_answers(
    counter: tuple[int, ...], key: tuple[int, ...], answer: tuple[int, ...]
) -> None:
    words = philox(_words(counter), _words(key))
    assert tuple(int(word) for word in words) == answer


@given(seeds, st.integers(0, 2**31), positions)
def test_a_number_is_inside_the_unit_interval_and_the_same_in_every_batch(
    seed: int, sample: int, position: int
) -> None:
    alone = uniform(torch.tensor([seed]), torch.tensor([sample]), torch.tensor([position]))
    batch = uniform(
        torch.tensor([1, seed, 2]), torch.tensor([0, sample, 3]), torch.tensor([9, position, 9])
    )
    assert 0 < float(alone) < 1
    assert batch[1] == alone[0]


@given(seeds, positions)
def test_neighbouring_positions_samples_seeds_and_channels_differ(seed: int, position: int) -> None:
    def words(seed: int, sample: int, position: int, channel: int = 0) -> float:
        at = (torch.tensor([seed]), torch.tensor([sample]), torch.tensor([position]))
        return float(uniform(*at, channel))

    numbers = {
        words(seed, 0, position),
        words(seed ^ 1, 0, position),
        words(seed, 1, position),
        words(seed, 0, position + 1),
        words(seed, 0, position, 1),
    }
    # Of 2²³ possible numbers two may agree by chance, but hardly three of five.
    assert len(numbers) >= 4


def test_the_numbers_are_uniform() -> None:
    # Given a million numbers of one stream
    numbers = uniform(torch.tensor([7]), torch.tensor([0]), torch.arange(1_000_000)).numpy()
    # Then each of 100 equal bins holds its share within five standard deviations
    counts, _ = np.histogram(numbers, bins=100, range=(0, 1))
    assert np.abs(counts - 10_000).max() < 5 * np.sqrt(10_000)
