"""A gate rejects what it names, and nothing of the other medium."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs.spec import Gates
from ancestral.models import from_media, normalise_loudness, to_media
from ancestral.workers import gates

IMAGE = {"medium": "image"}
CLIP = {"medium": "video"}
SERIES = {"medium": "series"}
MU_LAW = {
    "medium": "audio",
    "shape": [None],
    "encoding": "mu-law",
    "levels": 256,
    "sample_rate_hz": 8000,
}
LINEAR = {**MU_LAW, "encoding": "linear"}
SIXTEEN_BITS = {**LINEAR, "levels": 65536}
AUDIO = MU_LAW
ALL = Gates(
    silence_dbfs=-60,
    clipped_share=0.01,
    shortest_seconds=0.01,
    longest_seconds=20,
    constant_image=True,
)


def check(signature: dict[str, Any], array: np.ndarray, asked: Gates) -> str | None:
    return gates.check(signature, array, symbols_of(signature, array), asked)


def clipped_share(signature: dict[str, Any], sound: np.ndarray) -> float:
    return gates.clipped_share(signature, sound, symbols_of(signature, sound))


def symbols_of(signature: dict[str, Any], array: np.ndarray) -> np.ndarray:
    """What a sound is made of; no gate asks for that of other media."""
    return from_media(signature, array) if signature["medium"] == "audio" else array


def square_wave(amplitude: int) -> np.ndarray:
    return np.tile(np.array([amplitude, -amplitude], np.int16), 50)


@given(st.integers(1, 32767))
def test_the_level_of_a_square_wave_is_its_amplitude(amplitude: int) -> None:
    assert gates.level_dbfs(square_wave(amplitude)) == pytest.approx(
        20 * math.log10(amplitude / 32768)
    )


@given(st.integers(0, 32767))
def test_silence_is_what_lies_below_the_level(amplitude: int) -> None:
    # -60 dBFS is one thousandth of full scale: 32.768.
    reason = check(AUDIO, square_wave(amplitude), Gates(silence_dbfs=-60))

    assert (reason is not None) == (amplitude <= 32)


def test_the_reason_names_the_level() -> None:
    assert check(AUDIO, square_wave(8), ALL) == "silence: -72.2 dBFS is below -60 dBFS"
    assert check(AUDIO, square_wave(0), ALL) == "silence: -inf dBFS is below -60 dBFS"


def test_one_click_in_a_long_silence_is_still_silence() -> None:
    sound = np.zeros(100_000, np.int16)
    sound[5] = 5000

    assert check(AUDIO, sound, ALL) is not None


@pytest.mark.parametrize("signature", [MU_LAW, {**MU_LAW, "levels": 512}, LINEAR])
@given(data=st.data())
def test_what_is_clipped_lies_in_the_lowest_or_the_highest_level(
    signature: dict[str, Any], data: st.DataObject
) -> None:
    last = signature["levels"] - 1
    symbol = st.one_of(st.sampled_from([0, 1, last - 1, last]), st.integers(0, last))
    symbols = np.array(data.draw(st.lists(symbol, min_size=1)))

    share = clipped_share(signature, to_media(signature, symbols))

    assert share == np.isin(symbols, [0, last]).mean()


def test_of_16_bits_minus_32767_is_clipped_as_well() -> None:
    sound = np.array([-32768, -32767, -32766, 0, 32766, 32767], np.int16)

    assert clipped_share(SIXTEEN_BITS, sound) == 3 / 6


def test_a_hidden_code_is_no_sample() -> None:
    sound = square_wave(100)
    symbols = np.concatenate([np.zeros(3, np.int64), from_media(MU_LAW, sound)])

    assert gates.clipped_share({**MU_LAW, "hidden": 3}, sound, symbols) == 0


@pytest.mark.parametrize("signature", [MU_LAW, LINEAR, SIXTEEN_BITS])
def test_a_recording_that_was_made_too_loud_is_clipped(signature: dict[str, Any]) -> None:
    # Given a loud tone, and the same at a loudness that it cannot have
    tone = np.rint(30_000 * np.sin(np.arange(8000) / 7)).astype(np.int16)
    beyond = normalise_loudness(tone, 0)

    assert check(signature, tone, Gates(clipped_share=0)) is None
    # Then both halves of its waves are counted, a quarter of the samples each
    assert clipped_share(signature, np.minimum(beyond, 0)) == pytest.approx(0.25, abs=0.06)
    assert clipped_share(signature, np.maximum(beyond, 0)) == pytest.approx(0.25, abs=0.06)


@given(st.integers(0, 100))
def test_a_sound_is_rejected_when_more_than_the_share_is_clipped(clipped: int) -> None:
    sound = np.tile(square_wave(8000), 10)
    sound[:clipped] = 32767

    reason = check(AUDIO, sound, Gates(clipped_share=0.05))

    assert (reason is not None) == (clipped > 50)


def test_the_reason_names_the_share() -> None:
    sound = square_wave(32767)
    sound[2:] //= 2

    reason = check(AUDIO, sound, ALL)

    assert reason == "clipping: 0.02 of the samples are clipped, above 0.01"
    assert check(AUDIO, sound, Gates(clipped_share=0.02)) is None


@given(st.integers(1, 200))
def test_a_sound_is_rejected_that_is_shorter_or_longer(samples: int) -> None:
    sound = np.tile(square_wave(100), 2)[:samples]
    asked = Gates(shortest_seconds=0.005, longest_seconds=0.015)

    assert (check(AUDIO, sound, asked) is None) == (40 <= samples <= 120)


def test_the_reason_names_the_length() -> None:
    shortest, longest = Gates(shortest_seconds=0.0126), Gates(longest_seconds=0.01)

    assert check(AUDIO, square_wave(100), shortest) == "length: 0.0125 s is shorter than 0.0126 s"
    assert check(AUDIO, square_wave(100), longest) == "length: 0.0125 s is longer than 0.01 s"


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
    assert check(AUDIO, square_wave(32767), Gates()) is None
    assert check(IMAGE, np.zeros((4, 5), np.uint8), Gates()) is None


def test_a_gate_lets_the_other_medium_pass() -> None:
    black = np.zeros((4, 5), np.uint8)
    of_sounds = Gates(silence_dbfs=0, clipped_share=0, shortest_seconds=1, longest_seconds=1)
    assert check(IMAGE, black, of_sounds) is None
    assert check(AUDIO, square_wave(0), Gates(constant_image=True)) is None
    assert check(CLIP, np.zeros((2, 4, 5), np.uint8), ALL) is None
    assert check(SERIES, np.zeros(9), ALL) is None
