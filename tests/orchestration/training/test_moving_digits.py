"""Clips of digits that move about: where they can be, and that they are always the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.jobs.recipe import MovingDigits
from ancestral.models.errors import DataError
from ancestral.orchestration.training.moving_digits import FASTEST, moving_digits

#: A full square, so that where it is can be read off a frame.
SQUARE = bytes([200] * 25)


def plan(**changes: int) -> MovingDigits:
    return MovingDigits(**{"clips": 3, "held_out_clips": 2, "frames": 12, "canvas": 16, **changes})


def corners(clip: np.ndarray) -> np.ndarray:
    """Where the only square of a clip begins, (F, 2)."""
    return np.array([np.argwhere(frame)[0] for frame in clip])


@settings(max_examples=40)
@given(canvas=st.integers(5, 20), frames=st.integers(1, 30), seed=st.integers(0, 999))
def test_a_digit_moves_whole_and_never_faster_than_it_may(
    canvas: int, frames: int, seed: int
) -> None:
    config = plan(clips=1, digits=1, canvas=canvas, frames=frames, seed=seed)

    (clip,) = moving_digits([SQUARE], config, held_out=False)

    # Then all of it is seen in every frame
    assert (clip.shape, clip.dtype) == ((frames, canvas, canvas), np.uint8)
    for frame, (top, left) in zip(clip, corners(clip), strict=True):
        assert frame[top : top + 5, left : left + 5].sum() == frame.sum() == 200 * 25
    # And from frame to frame it goes no further than a pixel's rounding beyond the highest speed
    steps = np.diff(corners(clip), axis=0)
    assert (np.hypot(*steps.T) <= FASTEST + np.sqrt(2)).all()


def test_a_digit_goes_straight_on_and_comes_back_from_the_edges() -> None:
    # Given enough frames to cross the canvas several times
    clips = list(moving_digits([SQUARE], plan(digits=1, frames=60, clips=20), held_out=False))

    tops = np.stack([corners(clip)[:, 0] for clip in clips])

    # Then it turns only at an edge, which is less than a step away
    steps = np.diff(tops, axis=1)
    turns = steps[:, 1:] * steps[:, :-1] < 0
    assert turns.any()
    assert (np.minimum(tops, 11 - tops)[:, 1:-1][turns] <= FASTEST).all()
    assert (tops.min(), tops.max()) == (0, 11)


def test_digits_are_joined_by_the_brighter_pixel() -> None:
    # Given two digits that have no room to move
    one, two = bytes([10, 0, 0, 90]), bytes([0, 40, 0, 50])
    config = plan(canvas=2, frames=1, clips=30)

    clips = [clip.tobytes() for clip in moving_digits([one, two], config, held_out=False)]

    assert set(clips) == {one, two, bytes([10, 40, 0, 90])}


def test_clips_are_a_function_of_their_settings() -> None:
    def made(held_out: bool = False, **changes: int) -> list[bytes]:
        clips = moving_digits([SQUARE], plan(**changes), held_out=held_out)
        return [clip.tobytes() for clip in clips]

    assert made() == made()
    assert len(made()) == 3 and len(made(held_out=True)) == 2
    assert made()[:2] != made(held_out=True)
    assert made() != made(seed=1)
    assert made() == made(clips=5)[:3]


@pytest.mark.parametrize("image", [bytes(24), bytes(17 * 17)])
def test_what_is_no_square_or_finds_no_room_is_refused(image: bytes) -> None:
    with pytest.raises(DataError, match="is no grey square that moves on 16 x 16"):
        list(moving_digits([image], plan(), held_out=False))
