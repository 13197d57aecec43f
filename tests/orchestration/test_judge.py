"""The judges against real digits, real recordings, and noise of several kinds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from ancestral.jobs.datasets import read_table
from ancestral.orchestration.judge import (
    Pictures,
    Recordings,
    judge_pictures,
    judge_sounds,
)
from ancestral.orchestration.tables import table_uri

Sounds = list[NDArray[np.int16]]


def real_pictures(split: str) -> Pictures:
    rows = list(read_table(table_uri("digits20"), ["image", "label"], split=split))
    images = [np.frombuffer(row["image"], np.uint8).reshape(20, 20) for row in rows]
    return Pictures(np.stack(images), [row["label"] for row in rows])


@pytest.fixture(scope="module")
def training() -> Pictures:
    return real_pictures("train")


@pytest.fixture(scope="module")
def held_out() -> Pictures:
    return real_pictures("test")


@pytest.fixture(scope="module")
def recordings() -> Recordings:
    columns = ["audio", "digit", "speaker", "language"]
    rows = list(read_table(table_uri("spoken_digits"), columns))
    return Recordings(
        [np.frombuffer(row["audio"], "<i2").astype(np.int16) for row in rows],
        [row["digit"] for row in rows],
        [row["speaker"] for row in rows],
        8000,
        [row["language"] for row in rows],
    )


def instead(recordings: Recordings, change: Callable[[NDArray[np.float64]], object]) -> Recordings:
    """The same words, each sound replaced by what `change` makes of it."""
    sounds = [np.asarray(change(sound.astype(np.float64))) for sound in recordings.sounds]
    clipped: Sounds = [np.clip(np.round(sound), -32768, 32767).astype(np.int16) for sound in sounds]
    return Recordings(clipped, recordings.digits, recordings.speakers, recordings.sample_rate_hz)


def test_real_digits_that_were_held_out_are_named_rightly(
    training: Pictures, held_out: Pictures
) -> None:
    judgement = judge_pictures(held_out, training, held_out)

    assert judgement.accuracy == judgement.held_out_accuracy > 0.95
    assert judgement.verdict == "recognisable"
    assert judgement.copies == 0
    assert f"{judgement.held_out_accuracy:.1%} of 450 real digits" in judgement.sentence()


def test_digits_under_wrong_labels_are_not_recognised(
    training: Pictures, held_out: Pictures
) -> None:
    wrong = Pictures(held_out.images, [(label + 1) % 10 for label in held_out.labels])

    judgement = judge_pictures(wrong, training, held_out)

    assert judgement.accuracy < 0.05
    assert judgement.verdict == "not recognisable"


def test_noise_is_not_recognised_as_digits(training: Pictures, held_out: Pictures) -> None:
    # Given the pixels of real digits, in another order
    random = np.random.default_rng(0)
    pixels = random.permuted(held_out.images.reshape(len(held_out), -1), axis=1)

    # When
    noise = Pictures(pixels.reshape(held_out.images.shape), held_out.labels)
    judgement = judge_pictures(noise, training, held_out)

    # Then
    assert judgement.accuracy < 0.3
    assert judgement.verdict == "not recognisable"


def test_training_digits_in_fewer_greys_are_found_to_be_copies(
    training: Pictures, held_out: Pictures
) -> None:
    # Given 30 training digits as a model of 16 levels would repeat them, among 90 held-out ones
    greys = (training.images[:30] // 16 * 17).astype(np.uint8)
    mixed = Pictures(
        np.concatenate([greys, held_out.images[:90]]),
        [*training.labels[:30], *held_out.labels[:90]],
    )

    assert judge_pictures(mixed, training, held_out).copies == 0.25


@pytest.mark.parametrize("missing", ["generated", "training", "held_out"])
def test_pictures_without_anything_to_compare_are_refused(missing: str) -> None:
    some = Pictures(np.zeros((5, 4, 4), np.uint8), [0] * 5)
    given = {"generated": some, "training": some, "held_out": some}
    given[missing] = Pictures(np.zeros((0, 4, 4), np.uint8), [])

    with pytest.raises(ValueError, match="judging pictures takes"):
        judge_pictures(**given)


def test_recordings_at_another_speed_and_loudness_with_noise_are_recognised(
    recordings: Recordings,
) -> None:
    random = np.random.default_rng(0)

    def worse(sound: NDArray[np.float64]) -> NDArray[np.float64]:
        moments = np.linspace(0, len(sound) - 1, int(len(sound) / 1.1))
        faster = np.interp(moments, np.arange(len(sound)), sound) * 0.5
        # 20 dB below the sound.
        noise = random.standard_normal(len(faster)) * np.sqrt((faster**2).mean()) / 10
        return faster + noise

    judgement = judge_sounds(instead(recordings, worse), recordings)

    assert judgement.digit_accuracy > 0.9
    assert judgement.speaker_accuracy > 0.9
    assert judgement.verdict == "recognisable"
    assert judgement.copies < 0.1


def test_noise_as_loud_as_the_word_at_each_moment_is_babble(recordings: Recordings) -> None:
    random = np.random.default_rng(0)

    def shaped(sound: NDArray[np.float64]) -> NDArray[np.float64]:
        loudness = np.sqrt(np.convolve(sound**2, np.ones(200) / 200, "same"))
        return loudness * random.standard_normal(len(sound))

    judgement = judge_sounds(instead(recordings, shaped), recordings)

    assert judgement.digit_accuracy < 0.3
    assert judgement.verdict == "not recognisable"
    assert "still babble" in judgement.sentence()


def test_noise_with_the_spectrum_and_the_loudness_of_the_word_is_babble(
    recordings: Recordings,
) -> None:
    # Given what a model makes that has learnt everything about a word but the order of its sounds
    random = np.random.default_rng(0)

    def shaped(sound: NDArray[np.float64]) -> NDArray[np.float64]:
        spectrum = np.abs(np.fft.rfft(sound))
        smooth = np.convolve(spectrum, np.ones(60) / 60, "same")
        turned = smooth * np.exp(2j * np.pi * random.random(len(smooth)))
        loudness = np.sqrt(np.convolve(sound**2, np.ones(200) / 200, "same"))
        noise = np.fft.irfft(turned, len(sound)) * loudness
        return noise / np.abs(noise).max() * 8000

    # Then the verdict's threshold lies above it
    assert judge_sounds(instead(recordings, shaped), recordings).verdict == "not recognisable"


def test_silence_is_babble_and_no_copy(recordings: Recordings) -> None:
    judgement = judge_sounds(instead(recordings, np.zeros_like), recordings)

    assert judgement.digit_accuracy <= 0.1
    assert judgement.copies == 0


def test_a_shifted_recording_is_a_copy(recordings: Recordings) -> None:
    def later(sound: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([np.zeros(300), 0.7 * sound])

    assert judge_sounds(instead(recordings, later), recordings).copies == 1


def test_the_reference_is_what_other_speakers_of_the_language_name(recordings: Recordings) -> None:
    # French alone has two speakers, of ten words each
    judgement = judge_sounds(recordings, recordings)

    assert judgement.across_speakers_judged == 20
    assert judgement.across_speakers > 0.5
    assert f"{judgement.across_speakers:.0%} of 20 real recordings" in judgement.sentence()


def test_sounds_that_cannot_be_compared_are_refused(recordings: Recordings) -> None:
    none = Recordings([], [], [], 8000)
    faster = Recordings(recordings.sounds, recordings.digits, recordings.speakers, 16000)

    with pytest.raises(ValueError, match="judging sounds takes"):
        judge_sounds(none, recordings)
    with pytest.raises(ValueError, match="differ in sample rate"):
        judge_sounds(faster, recordings)
