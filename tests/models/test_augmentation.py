"""Images change by as much as they may, and their background goes on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.augmentation import Augmentation, augment, warp
from ancestral.models.errors import ConfigError

NO_SHIFT = np.array([0, 0])


def picture(*shape: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


@settings(deadline=None, max_examples=30)
@given(
    height=st.integers(1, 7),
    width=st.integers(1, 7),
    colours=st.sampled_from([(), (3,)]),
    down=st.integers(-3, 3),
    right=st.integers(-3, 3),
)
def test_a_shift_moves_whole_pixels_and_the_border_goes_on(
    height: int, width: int, colours: tuple[int, ...], down: int, right: int
) -> None:
    image = picture(height, width, *colours)

    moved = warp(image, np.array([down, right]))

    assert moved.shape == image.shape and moved.dtype == np.uint8
    for row in range(height):
        for column in range(width):
            came_from = (
                min(max(row - down, 0), height - 1),
                min(max(column - right, 0), width - 1),
            )
            assert np.array_equal(moved[row, column], image[came_from])


def test_a_quarter_turn_moves_whole_pixels_too() -> None:
    image = picture(5, 5)
    # From down to right: what was below the centre is now to its right.
    turned = warp(image, NO_SHIFT, angle=np.pi / 2)
    assert np.array_equal(turned, np.rot90(image))


def test_what_is_enlarged_is_seen_closer() -> None:
    # Given a white square of 4 x 4 in the middle of 12 x 12 pixels
    image = np.zeros((12, 12), np.uint8)
    image[4:8, 4:8] = 255

    areas = [int((warp(image, NO_SHIFT, scale=s) >= 128).sum()) for s in (0.5, 1.0, 1.5, 2.0)]

    assert areas == [4, 16, 36, 64]


def test_values_between_pixels_lie_between_them() -> None:
    image = picture(9, 9)
    turned = warp(image, NO_SHIFT, angle=0.3, scale=1.1)
    assert image.min() <= turned.min() <= turned.max() <= image.max()
    assert not np.array_equal(turned, image)


def test_an_image_changes_by_as_much_as_it_may_and_as_the_generator_says() -> None:
    image = picture(8, 8)
    how = Augmentation(shift_pixels=2)

    seen = {augment(image, how, np.random.default_rng(seed)).tobytes() for seed in range(300)}

    # Then it was seen in all 25 places, and nowhere else
    everywhere = {
        warp(image, np.array([down, right])).tobytes()
        for down in range(-2, 3)
        for right in range(-2, 3)
    }
    assert seen == everywhere
    turned = Augmentation(turn_degrees=10, scale_percent=10)
    one, two, other = (augment(image, turned, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, two) and not np.array_equal(one, other)


@pytest.mark.parametrize(
    "wrong", [{"shift_pixels": -1}, {"turn_degrees": 181.0}, {"scale_percent": 100.0}]
)
def test_what_is_no_change_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Augmentation(**wrong)
