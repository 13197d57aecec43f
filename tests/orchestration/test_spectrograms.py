"""Pictures of sounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.orchestration.spectrograms import COLOURS, SHADES, coloured, spectrogram


@pytest.mark.parametrize("sample_rate_hz", [1000, 8000, 22050])
def test_a_tone_is_a_line_at_its_pitch(sample_rate_hz: int) -> None:
    # Given a tone of an eighth of the sample rate, so a quarter of the way up
    tone = (8000 * np.sin(2 * np.pi / 8 * np.arange(sample_rate_hz))).astype(np.int16)

    picture = spectrogram(tone, sample_rate_hz)

    # Then it is brightest there at every moment, and there is one every 8 ms of the second
    from_below = picture[::-1].argmax(0) / (picture.shape[0] - 1)
    np.testing.assert_allclose(from_below, 0.25, atol=0.04)
    assert picture.shape[1] == pytest.approx(125, abs=1)


def test_what_is_70_decibels_below_the_loudest_is_dark() -> None:
    # Given a second of a loud tone, and one of the same tone 76 decibels below
    tone = 30000 * np.sin(2 * np.pi / 8 * np.arange(8000))
    sound = np.concatenate([tone, tone / 6300]).round().astype(np.int16)

    picture = spectrogram(sound, 8000)

    assert picture[:, 60].max() == 255
    assert picture[:, -60].max() == 0


def test_silence_is_dark() -> None:
    assert spectrogram(np.zeros(400, np.int16), 8000).max() == 0


@pytest.mark.parametrize(("samples", "columns"), [(0, 1), (1, 1), (64, 1), (65, 2), (8000, 125)])
def test_a_sound_of_any_length_has_a_picture(samples: int, columns: int) -> None:
    assert spectrogram(np.full(samples, 9000, np.int16), 8000).shape == (129, columns)


@given(st.integers(1, 3000), st.integers(1, 60))
def test_a_long_sound_has_no_more_columns_than_it_may_have(length: int, most: int) -> None:
    sound = np.arange(length, dtype=np.int16)

    assert 1 <= spectrogram(sound, 500, most_columns=most).shape[1] <= most


def test_louder_is_lighter() -> None:
    picture = coloured(np.arange(256, dtype=np.uint8)[None])

    assert picture.shape == (1, 256, 3)
    lightness = picture[0].astype(float) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(lightness) >= 0).all()
    assert tuple(picture[0, 0]) == COLOURS[0] and tuple(picture[0, -1]) == COLOURS[-1]
    assert len(np.unique(picture[0], axis=0)) == SHADES
