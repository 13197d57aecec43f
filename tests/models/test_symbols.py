"""Decoding and encoding again gives the same symbols; encoding finds the nearest."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.errors import DataError
from ancestral.models.symbols import from_media, to_media


def image(levels: int) -> dict[str, Any]:
    return {"medium": "image", "levels": levels, "shape": [1, levels]}


def audio(levels: int) -> dict[str, Any]:
    return {"medium": "audio", "levels": levels, "encoding": "mu-law", "shape": [None]}


@settings(deadline=None)
@given(levels=st.integers(2, 256))
def test_every_grey_level_survives_the_journey(levels: int) -> None:
    symbols = np.arange(levels)[None]
    grey = to_media(image(levels), symbols)
    assert grey.dtype == np.uint8
    assert (grey[0, 0], grey[0, -1]) == (0, 255)
    assert np.array_equal(from_media(image(levels), grey), symbols)


@settings(deadline=None)
@given(half=st.integers(1, 128))
def test_every_mu_law_symbol_survives_the_journey(half: int) -> None:
    symbols = np.arange(2 * half)
    wave = to_media(audio(2 * half), symbols)
    assert wave.dtype == np.int16
    assert np.all(np.diff(wave.astype(int)) > 0)
    assert np.array_equal(from_media(audio(2 * half), wave), symbols)


@pytest.mark.parametrize("levels", [2, 3, 16, 256])
def test_a_grey_value_becomes_its_nearest_level(levels: int) -> None:
    grey = np.arange(256, dtype=np.uint8)[None]
    symbols = from_media(image(levels), grey)
    values = 255 * np.arange(levels) / (levels - 1)
    nearest = np.abs(grey[0][:, None] - values).min(axis=1)
    assert np.allclose(np.abs(grey[0] - values[symbols[0]]), nearest)


def test_silence_is_the_middle_symbol_and_full_scale_the_outermost() -> None:
    wave = np.array([0, 32767, -32767, -32768], dtype=np.int16)
    assert from_media(audio(256), wave).tolist() == [128, 255, 0, 0]
    assert to_media(audio(256), np.array([128, 0])).tolist() == [0, -32767]


def test_mu_law_is_fine_near_silence_and_coarse_near_full_scale() -> None:
    wave = np.arange(-32767, 32768, dtype=np.int16)
    error = np.abs(to_media(audio(256), from_media(audio(256), wave)) - wave.astype(int))
    loudness = np.abs(wave.astype(int))
    # Half a step of the curve: (|x| + 32767 / 255) · ln(256) / 128 / 2, but for the top symbol,
    # which full scale is cut to.
    half_step = (loudness + 32767 / 255) * np.log(256) / 256
    inner = loudness < 31000
    assert np.all(error[inner] <= 1.03 * half_step[inner] + 1)
    assert error[loudness < 100].max() <= 5 < error[inner].max()


@pytest.mark.parametrize("symbol", [-1, 16])
def test_symbols_outside_the_alphabet_are_refused(symbol: int) -> None:
    with pytest.raises(DataError, match="in 16 levels"):
        to_media(image(16), np.array([[symbol]]))


@pytest.mark.parametrize(
    ("signature", "array"),
    [
        (image(16), np.zeros((2, 2), dtype=np.float32)),
        (image(16), np.zeros((2, 2, 3), dtype=np.uint8)),
        (audio(256), np.zeros(5, dtype=np.float32)),
        (audio(256), np.zeros((5, 2), dtype=np.int16)),
    ],
)
def test_arrays_of_another_kind_are_refused(signature: dict[str, Any], array: Any) -> None:
    with pytest.raises(DataError, match=r"is (uint8 with 2|int16 with 1) axes, not"):
        from_media(signature, array)
