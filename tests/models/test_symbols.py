"""Decoding and encoding again gives the same symbols; encoding finds the nearest."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ancestral.models.errors import DataError
from ancestral.models.symbols import from_media, to_media


def image(levels: int) -> dict[str, Any]:
    return {"medium": "image", "levels": levels, "shape": [1, levels]}


def colour_image(levels: int) -> dict[str, Any]:
    return {"medium": "image", "levels": levels, "shape": [1, levels, 3]}


def audio(levels: int, encoding: str = "mu-law") -> dict[str, Any]:
    return {"medium": "audio", "levels": levels, "encoding": encoding, "shape": [None]}


def video(levels: int, *colours: int) -> dict[str, Any]:
    shape = [2, 1, levels, *colours]
    return {"medium": "video", "levels": levels, "shape": shape, "frames_per_second": 10}


SERIES: dict[str, Any] = {"medium": "series", "levels": None, "shape": [None]}


@given(levels=st.integers(2, 256))
def test_every_grey_level_survives_the_journey(levels: int) -> None:
    symbols = np.arange(levels)[None]
    grey = to_media(image(levels), symbols)
    assert grey.dtype == np.uint8
    assert (grey[0, 0], grey[0, -1]) == (0, 255)
    assert np.array_equal(from_media(image(levels), grey), symbols)


@given(levels=st.integers(2, 256))
def test_every_colour_and_every_frame_survives_the_journey(levels: int) -> None:
    # Given each level, in red rising, in green falling, in blue in another order
    rising = np.arange(levels)
    colours = np.stack([rising, rising[::-1], (rising + levels // 3) % levels], axis=-1)[None]
    events = [
        (colour_image(levels), colours),
        (video(levels), np.stack([rising, rising[::-1]])[:, None]),
        (video(levels, 3), np.stack([colours, colours[:, ::-1]])),
    ]
    for signature, symbols in events:
        media = to_media(signature, symbols)
        assert (media.dtype, media.shape) == (np.uint8, symbols.shape)
        assert np.array_equal(from_media(signature, media), symbols)


@given(levels=st.integers(2, 512))
def test_every_mu_law_symbol_survives_the_journey(levels: int) -> None:
    symbols = np.arange(levels)
    wave = to_media(audio(levels), symbols)
    assert wave.dtype == np.int16
    assert np.all(np.diff(wave.astype(int)) > 0)
    assert np.array_equal(from_media(audio(levels), wave), symbols)


@given(levels=st.integers(2, 65536) | st.integers(65000, 65536))
def test_every_linear_symbol_survives_the_journey(levels: int) -> None:
    signature, symbols = audio(levels, "linear"), np.arange(levels)
    wave = to_media(signature, symbols)
    assert wave.dtype == np.int16
    # Steps are even, but for the rounding to whole amplitudes.
    steps = np.diff(wave.astype(int))
    assert 0 < steps.min() and steps.max() - steps.min() <= 1
    assert wave[levels // 2] == 0
    assert np.array_equal(from_media(signature, wave), symbols)


def test_linear_symbols_of_16_bits_are_the_samples_themselves() -> None:
    wave = np.arange(-32768, 32768).astype(np.int16)
    symbols = from_media(audio(65536, "linear"), wave)
    assert np.array_equal(symbols, wave.astype(int) + 32768)
    assert np.array_equal(to_media(audio(65536, "linear"), symbols), wave)


@given(levels=st.integers(2, 65536), wave=hnp.arrays(np.int16, st.integers(1, 20)))
def test_a_linear_symbol_is_the_nearest(levels: int, wave: np.ndarray) -> None:
    signature = audio(levels, "linear")
    values = to_media(signature, np.arange(levels)).astype(int)
    found = to_media(signature, np.asarray(from_media(signature, wave))).astype(int)
    nearest = np.abs(wave.astype(int)[:, None] - values).min(axis=1)
    # Amplitudes are rounded, so that two of them can be as near but for one.
    assert np.all(np.abs(found - wave) <= nearest + 1)


@given(hnp.arrays(np.float64, st.integers(0, 20)))
def test_a_series_is_itself(values: np.ndarray) -> None:
    media = to_media(SERIES, values)
    assert media.dtype == np.float64
    np.testing.assert_array_equal(media, values)
    np.testing.assert_array_equal(from_media(SERIES, media), values)


@given(hidden=st.integers(1, 9), height=st.integers(1, 4), width=st.integers(1, 4))
def test_a_hidden_code_is_left_out(hidden: int, height: int, width: int) -> None:
    # Given an event of a hidden code of ones, and then an image
    signature = {"medium": "image", "levels": 2, "shape": [height, width], "hidden": hidden}
    visible = np.arange(height * width) % 2
    event = np.concatenate([np.ones(hidden, np.int64), visible])

    media = to_media(signature, event)

    assert np.array_equal(media, 255 * visible.reshape(height, width))
    assert np.array_equal(from_media(signature, media), visible.reshape(height, width))


@pytest.mark.parametrize("levels", [2, 3, 16, 256])
def test_a_grey_value_becomes_its_nearest_level(levels: int) -> None:
    grey = np.arange(256, dtype=np.uint8)[None]
    symbols = np.asarray(from_media(image(levels), grey))
    values = 255 * np.arange(levels) / (levels - 1)
    nearest = np.abs(grey[0][:, None] - values).min(axis=1)
    assert np.allclose(np.abs(grey[0] - values[symbols[0]]), nearest)


def test_silence_is_the_middle_symbol_and_full_scale_the_outermost() -> None:
    wave = np.array([0, 32767, -32767, -32768], dtype=np.int16)
    for encoding in ("mu-law", "linear"):
        assert from_media(audio(256, encoding), wave).tolist() == [128, 255, 0, 0]
    assert to_media(audio(256), np.array([128, 0])).tolist() == [0, -32767]
    # As PCM of 8 bits has it.
    linear = to_media(audio(256, "linear"), np.array([128, 0, 255]))
    assert linear.tolist() == [0, -32768, 32512]


def test_mu_law_is_fine_near_silence_and_coarse_near_full_scale() -> None:
    wave = np.arange(-32767, 32768, dtype=np.int16)
    decoded = to_media(audio(256), np.asarray(from_media(audio(256), wave)))
    error = np.abs(decoded - wave.astype(int))
    loudness = np.abs(wave.astype(int))
    # Half a step of the curve: (|x| + 32767 / 255) · ln(256) / 128 / 2, but for the top symbol,
    # which full scale is cut to.
    half_step = (loudness + 32767 / 255) * np.log(256) / 256
    inner = loudness < 31000
    assert np.all(error[inner] <= 1.03 * half_step[inner] + 1)
    assert error[loudness < 100].max() <= 5 < error[inner].max()


@given(levels=st.integers(2, 100_000))
def test_every_level_of_a_series_survives_the_journey(levels: int) -> None:
    signature = {**SERIES, "levels": levels}
    symbols = np.arange(levels)
    series = to_media(signature, symbols)
    assert series.dtype == np.float64
    again = from_media(signature, series)
    assert again.dtype == np.int64
    assert np.array_equal(again, symbols)


@pytest.mark.parametrize(
    ("number", "told"), [(-1, "-1"), (5, "5"), (1.5, "1.5"), (np.nan, "nan"), (np.inf, "inf")]
)
def test_other_numbers_than_a_series_levels_are_refused(number: float, told: str) -> None:
    with pytest.raises(DataError, match=f"whole numbers from 0 to 4, and one is {told}"):
        from_media({**SERIES, "levels": 5}, np.array([0.0, 4.0, number]))


@pytest.mark.parametrize("symbol", [-1, 16])
def test_symbols_outside_the_alphabet_are_refused(symbol: int) -> None:
    with pytest.raises(DataError, match="in 16 levels"):
        to_media(image(16), np.array([[symbol]]))


@pytest.mark.parametrize(
    ("signature", "largest"),
    [(image(257), 256), (video(257), 256), (audio(513), 512), (audio(65537, "linear"), 65536)],
)
def test_levels_that_a_medium_cannot_tell_apart_are_refused(
    signature: dict[str, Any], largest: int
) -> None:
    with pytest.raises(DataError, match=f"has 2 to {largest} levels, not {largest + 1}"):
        to_media(signature, np.zeros(1, np.int64))


@pytest.mark.parametrize(
    ("signature", "array"),
    [
        (image(16), np.zeros((2, 2), dtype=np.float32)),
        (image(16), np.zeros((2, 2, 3), dtype=np.uint8)),
        (colour_image(16), np.zeros((2, 2), dtype=np.uint8)),
        (colour_image(16), np.zeros((2, 2, 4), dtype=np.uint8)),
        (audio(256), np.zeros(5, dtype=np.float32)),
        (audio(256), np.zeros((5, 2), dtype=np.int16)),
        (video(16), np.zeros((2, 2), dtype=np.uint8)),
        (video(16, 3), np.zeros((2, 2, 2, 2), dtype=np.uint8)),
        (SERIES, np.zeros(5, dtype=np.int16)),
    ],
)
def test_arrays_of_another_kind_are_refused(signature: dict[str, Any], array: Any) -> None:
    with pytest.raises(DataError, match=r"such \w+ is (uint8|int16|float64) with \d axes"):
        from_media(signature, array)
