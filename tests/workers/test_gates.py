"""A gate rejects what it names, and nothing of the other medium."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs.spec import Gates
from ancestral.workers.gates import check, level_dbfs

IMAGE = {"medium": "image"}
CLIP = {"medium": "video"}
SERIES = {"medium": "series"}
AUDIO = {"medium": "audio"}
ALL = Gates(silence_dbfs=-60, constant_image=True)


def square_wave(amplitude: int) -> np.ndarray:
    return np.tile(np.array([amplitude, -amplitude], np.int16), 50)


@given(st.integers(1, 32767))
def test_the_level_of_a_square_wave_is_its_amplitude(amplitude: int) -> None:
    assert level_dbfs(square_wave(amplitude)) == pytest.approx(20 * math.log10(amplitude / 32768))


@given(st.integers(0, 32767))
def test_silence_is_what_lies_below_the_level(amplitude: int) -> None:
    # -60 dBFS is one thousandth of full scale: 32.768.
    reason = check(AUDIO, square_wave(amplitude), ALL)

    assert (reason is not None) == (amplitude <= 32)


def test_the_reason_names_the_level() -> None:
    assert check(AUDIO, square_wave(8), ALL) == "silence: -72.2 dBFS is below -60 dBFS"
    assert check(AUDIO, square_wave(0), ALL) == "silence: -inf dBFS is below -60 dBFS"


def test_one_click_in_a_long_silence_is_still_silence() -> None:
    sound = np.zeros(100_000, np.int16)
    sound[5] = 5000

    assert check(AUDIO, sound, ALL) is not None


def test_an_image_of_one_value_is_rejected() -> None:
    assert check(IMAGE, np.full((4, 5), 17, np.uint8), ALL) == "constant image: every pixel is 17"


@given(st.integers(0, 19), st.integers(0, 255).filter(lambda value: value != 17))
def test_one_other_pixel_lets_an_image_pass(place: int, value: int) -> None:
    image = np.full((4, 5), 17, np.uint8)
    image.flat[place] = value

    assert check(IMAGE, image, ALL) is None


def test_an_image_of_one_colour_is_rejected() -> None:
    image = np.full((4, 5, 3), (1, 200, 30), np.uint8)

    assert check(IMAGE, image, ALL) == "constant image: every pixel is [1, 200, 30]"


@given(st.integers(0, 59))
def test_one_other_colour_lets_an_image_pass(place: int) -> None:
    image = np.full((4, 5, 3), (1, 200, 30), np.uint8)
    image.flat[place] = 31

    assert check(IMAGE, image, ALL) is None


def test_gates_are_closed_only_when_asked_for() -> None:
    assert check(AUDIO, square_wave(0), Gates()) is None
    assert check(IMAGE, np.zeros((4, 5), np.uint8), Gates()) is None


def test_a_gate_lets_the_other_medium_pass() -> None:
    assert check(IMAGE, np.zeros((4, 5), np.uint8), Gates(silence_dbfs=0)) is None
    assert check(AUDIO, square_wave(0), Gates(constant_image=True)) is None
    assert check(CLIP, np.zeros((2, 4, 5), np.uint8), ALL) is None
    assert check(SERIES, np.zeros(9), ALL) is None
