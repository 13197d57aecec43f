"""Dynamic time warping and correlation against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.orchestration.warping import (
    MEL_BANDS,
    Floats,
    best_correlation,
    spectral_shapes,
    warped_distances,
)


def slow_distance(a: Floats, b: Floats) -> float:
    """The definition of `warped_distances`, one cell of the table at a time."""
    cost = {(0, 0): 0.0}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            d = math.dist(a[i - 1], b[j - 1])
            cost[i, j] = min(
                cost.get((i - 1, j), math.inf) + d,
                cost.get((i, j - 1), math.inf) + d,
                cost.get((i - 1, j - 1), math.inf) + 2 * d,
            )
    return cost[len(a), len(b)] / (len(a) + len(b))


@given(st.integers(0, 1000), st.integers(1, 9), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_warping_many_templates_at_once_is_warping_each(
    seed: int, frames: int, lengths: list[int]
) -> None:
    random = np.random.default_rng(seed)
    query = random.standard_normal((frames, 3))
    templates = [random.standard_normal((length, 3)) for length in lengths]

    expected = [slow_distance(query, template) for template in templates]

    assert warped_distances(query, templates) == pytest.approx(expected)


def test_a_sound_said_more_slowly_is_no_further_away() -> None:
    shapes = np.random.default_rng(0).standard_normal((6, 3))

    (distance,) = warped_distances(shapes, [np.repeat(shapes, 2, axis=0)])

    assert distance == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("samples", [1, 150, 4000])
def test_shapes_do_not_know_how_loud_a_sound_is(samples: int) -> None:
    sound = (np.random.default_rng(0).standard_normal(samples) * 2000).astype(np.int16)

    shapes = spectral_shapes(sound, 8000)
    louder = spectral_shapes(sound * 3, 8000)

    assert shapes.shape == (max(1, 1 + (samples - 200) // 80), MEL_BANDS)
    assert np.allclose(shapes.mean(0), 0)
    assert np.allclose(shapes, louder)


@given(st.integers(0, 100), st.integers(0, 40))
def test_correlation_finds_the_shift(seed: int, shift: int) -> None:
    random = np.random.default_rng(seed)
    sound = (random.standard_normal(100) * 1000).astype(np.int16)
    later = np.concatenate([np.zeros(shift, np.int16), sound])

    assert best_correlation(sound, later) == pytest.approx(1)
    assert best_correlation(later, sound) == pytest.approx(1)
    other = (random.standard_normal(100) * 1000).astype(np.int16)
    assert best_correlation(sound, other) < 0.9


def test_silence_correlates_with_nothing() -> None:
    assert best_correlation(np.zeros(9, np.int16), np.ones(9, np.int16)) == 0
