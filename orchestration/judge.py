"""How recognisable generated digits are, measured against real ones.

Pictures are named by their three nearest real training pictures, on slightly blurred pixels.
Sounds are named by the nearest real recording: frames of log-mel energies, each frame relative to
its own mean (loudness) and each band to its mean over the sound (microphone), aligned by dynamic
time warping. Both judges also name real things, so that their own errors are in sight, and both
look for copies of the training data.

A judge is not a listener: it says whether a digit is closer to its own kind than to any other.

Shapes: N items, H height, W width, T audio samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ancestral.orchestration.warping import (
    Floats,
    best_correlation,
    spectral_shapes,
    squared_distances,
    warped_distances,
)

#: How many of the nearest training pictures vote for a label.
NEIGHBOURS = 3
#: Root mean square difference, as a share of the full range, up to which a picture is a copy.
#: Real held-out digits are all further than this from their nearest training digit.
PICTURE_COPY_DIFFERENCE = 0.03
#: Correlation, at the best shift in time, from which a sound is a copy.
SOUND_COPY_CORRELATION = 0.9

#: Shares of items named as asked from which they count as recognisable, and as partly so. Noise
#: with the long-term spectrum and the loudness curve of the right word stays below the second.
RECOGNISABLE = 0.75
PARTLY_RECOGNISABLE = 0.5


@dataclass(frozen=True)
class Pictures:
    """Pictures of digits: `images` (N, H, W) uint8 and the digit that each shows or should show."""

    images: NDArray[np.uint8]
    labels: Sequence[int]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Recordings:
    """Sounds of words: N arrays (T,) int16, the digit that each says or should say, the speaker.

    `languages`, where they are known, tell who can be compared with whom.
    """

    sounds: Sequence[NDArray[np.int16]]
    digits: Sequence[int]
    speakers: Sequence[str]
    sample_rate_hz: int
    languages: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.sounds)


def _verdict(accuracy: float) -> str:
    if accuracy >= RECOGNISABLE:
        return "recognisable"
    return "partly recognisable" if accuracy >= PARTLY_RECOGNISABLE else "not recognisable"


@dataclass(frozen=True)
class PictureJudgement:
    """What the judge of pictures found; every share is between 0 and 1."""

    judged: int
    accuracy: float
    held_out: int
    held_out_accuracy: float
    copies: float
    held_out_copies: float

    @property
    def verdict(self) -> str:
        """`recognisable`, `partly recognisable` or `not recognisable`."""
        return _verdict(self.accuracy)

    def headline(self) -> str:
        """The verdict in a sentence."""
        return f"The pictures are {self.verdict}."

    def details(self) -> str:
        """What was measured, in plain words."""
        return (
            f"The nearest real training digits give the asked label to {self.accuracy:.1%} of "
            f"{self.judged:,} generated digits, and the true label to {self.held_out_accuracy:.1%} "
            f"of {self.held_out:,} real digits that were held out. Copies of a training digit: "
            f"{self.copies:.1%} of the generated, {self.held_out_copies:.1%} of the held-out ones."
        )

    def sentence(self) -> str:
        """Headline and details."""
        return f"{self.headline()} {self.details()}"


@dataclass(frozen=True)
class SoundJudgement:
    """What the judge of sounds found; every share is between 0 and 1.

    `across_speakers` is the judge's accuracy on real recordings when the speaker's own are left
    out, over the `across_speakers_judged` words that somebody else says in the same language.
    """

    judged: int
    digit_accuracy: float
    speaker_accuracy: float
    digit_chance: float
    speaker_chance: float
    across_speakers: float
    across_speakers_judged: int
    copies: float

    @property
    def verdict(self) -> str:
        """`recognisable`, `partly recognisable` or `not recognisable`."""
        return _verdict(self.digit_accuracy)

    def headline(self) -> str:
        """The verdict in a sentence."""
        babble = ": it is still babble" if self.verdict == "not recognisable" else ""
        return f"The speech is {self.verdict}{babble}."

    def details(self) -> str:
        """What was measured, in plain words."""
        reference = (
            f" For comparison, {self.across_speakers:.0%} of {self.across_speakers_judged} real "
            "recordings are named rightly by those of another speaker of the language."
            if self.across_speakers_judged
            else ""
        )
        return (
            f"Of {self.judged:,} generated sounds, {self.digit_accuracy:.0%} are nearest to a real "
            f"recording of the asked digit and {self.speaker_accuracy:.0%} to one by the asked "
            f"speaker; choosing blindly would give {self.digit_chance:.0%} and "
            f"{self.speaker_chance:.0%}.{reference} Copies of a real recording: "
            f"{self.copies:.0%}; with one take of each word by each speaker, a model can only "
            "learn to repeat it."
        )

    def sentence(self) -> str:
        """Headline and details."""
        return f"{self.headline()} {self.details()}"


Judgement = PictureJudgement | SoundJudgement


def judge_pictures(generated: Pictures, training: Pictures, held_out: Pictures) -> PictureJudgement:
    """Compare `generated` with real `training` pictures, beside real `held_out` ones.

    Raises ValueError when there is nothing to judge or fewer than three training pictures.
    """
    if not len(generated) or not len(held_out) or len(training) < NEIGHBOURS:
        raise ValueError("judging pictures takes generated, held-out and three training pictures")
    accuracy, copies = _named_by_neighbours(generated, training)
    held_out_accuracy, held_out_copies = _named_by_neighbours(held_out, training)
    return PictureJudgement(
        judged=len(generated),
        accuracy=accuracy,
        held_out=len(held_out),
        held_out_accuracy=held_out_accuracy,
        copies=copies,
        held_out_copies=held_out_copies,
    )


def judge_sounds(generated: Recordings, real: Recordings) -> SoundJudgement:
    """Compare `generated` sounds with the `real` recordings of the same words.

    Raises ValueError when either is empty or their sample rates differ.
    """
    if not len(generated) or not len(real):
        raise ValueError("judging sounds takes generated and real recordings")
    if generated.sample_rate_hz != real.sample_rate_hz:
        raise ValueError("generated and real recordings differ in sample rate")
    shapes_of_real = [spectral_shapes(sound, real.sample_rate_hz) for sound in real.sounds]
    digits_right = speakers_right = copied = 0
    for index, sound in enumerate(generated.sounds):
        shapes = spectral_shapes(sound, generated.sample_rate_hz)
        nearest = int(np.argmin(warped_distances(shapes, shapes_of_real)))
        digits_right += real.digits[nearest] == generated.digits[index]
        speakers_right += real.speakers[nearest] == generated.speakers[index]
        copied += any(
            best_correlation(sound, take) >= SOUND_COPY_CORRELATION for take in real.sounds
        )
    judged = len(generated)
    across, across_judged = _across_speakers(real, shapes_of_real)
    return SoundJudgement(
        judged=judged,
        digit_accuracy=digits_right / judged,
        speaker_accuracy=speakers_right / judged,
        digit_chance=1 / len(set(real.digits)),
        speaker_chance=1 / len(set(real.speakers)),
        across_speakers=across,
        across_speakers_judged=across_judged,
        copies=copied / judged,
    )


def _named_by_neighbours(pictures: Pictures, training: Pictures) -> tuple[float, float]:
    """The share of `pictures` named by their neighbours as they should be, and that of copies."""
    blurred, training_blurred = _blur(pictures.images), _blur(training.images)
    nearest = np.argsort(squared_distances(blurred, training_blurred), axis=1)[:, :NEIGHBOURS]
    votes_NK = np.asarray(training.labels)[nearest]
    counts_NKK = votes_NK[:, :, None] == votes_NK[:, None, :]
    # argmax takes the first of equals, which is the vote of the nearest.
    named = votes_NK[np.arange(len(votes_NK)), counts_NKK.sum(2).argmax(1)]
    plain, training_plain = _flat(pictures.images), _flat(training.images)
    closest = squared_distances(plain, training_plain).min(1) / plain.shape[1]
    return (
        float((named == np.asarray(pictures.labels)).mean()),
        float((np.sqrt(np.maximum(closest, 0)) <= PICTURE_COPY_DIFFERENCE).mean()),
    )


def _flat(images: NDArray[np.uint8]) -> Floats:
    """Images (N, H, W) as vectors (N, H·W) between 0 and 1."""
    return images.reshape(len(images), -1).astype(np.float64) / 255


def _blur(images: NDArray[np.uint8]) -> Floats:
    """Images (N, H, W) under the kernel (1 2 1)/4 both ways, as vectors (N, H·W)."""
    padded = np.pad(images.astype(np.float64) / 255, ((0, 0), (1, 1), (1, 1)))
    rows = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    both = (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 4
    return both.reshape(len(images), -1)


def _across_speakers(recordings: Recordings, shapes: Sequence[Floats]) -> tuple[float, int]:
    """How often a recording's word is named by the same language's other speakers, of how many."""
    right = judged = 0
    for index in range(len(recordings.languages)):
        others = [
            other
            for other in range(len(recordings))
            if recordings.languages[other] == recordings.languages[index]
            and recordings.speakers[other] != recordings.speakers[index]
        ]
        if recordings.digits[index] not in {recordings.digits[other] for other in others}:
            continue
        distances = warped_distances(shapes[index], [shapes[other] for other in others])
        nearest = others[int(np.argmin(distances))]
        right += recordings.digits[nearest] == recordings.digits[index]
        judged += 1
    return (right / judged if judged else 0.0), judged
