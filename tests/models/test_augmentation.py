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


@settings(max_examples=30)
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

    scales = [(0.5, 0.5), (1.0, 1.0), (1.5, 1.5), (2.0, 2.0), (1.0, 2.0), (2.0, 0.5)]
    seen = [warp(image, NO_SHIFT, scale=scale) >= 128 for scale in scales]

    assert [int(each.any(1).sum()) for each in seen] == [2, 4, 6, 8, 4, 8]
    assert [int(each.any(0).sum()) for each in seen] == [2, 4, 6, 8, 8, 2]


def test_what_is_slanted_leans_to_the_side_by_its_rows() -> None:
    # Given a line down the middle
    image = np.zeros((9, 9), np.uint8)
    image[:, 4] = 255

    # When each row down goes a column to the right
    slanted = warp(image, NO_SHIFT, slant=1.0)

    # Then it is the diagonal, pixel by pixel
    assert np.array_equal(slanted, 255 * np.eye(9, dtype=np.uint8))


@settings(max_examples=30)
@given(down=st.floats(-0.9, 0.9), right=st.floats(-0.9, 0.9), colours=st.sampled_from([(), (3,)]))
def test_between_pixels_a_smooth_surface_goes_on(
    down: float, right: float, colours: tuple[int, ...]
) -> None:
    """Cubic convolution repeats polynomials of the second degree (Keys 1981, section III)."""
    # Given a paraboloid, whose values need no rounding to be told apart
    rows, columns = np.indices((24, 24), np.float64) - 11.5

    def surface(down: float, right: float) -> Any:
        return 40 + 0.9 * (rows - down) ** 2 + 0.4 * (columns - right) * (rows - down)

    image = np.rint(surface(0, 0)).astype(np.uint8)
    image = np.broadcast_to(image.reshape(24, 24, *[1] * len(colours)), (24, 24, *colours))

    # When it moves by parts of a pixel
    moved = warp(image, np.array([down, right]))

    # Then it is the moved surface, but for rounding, wherever no pixel is beyond an edge
    inner = (slice(3, -3), slice(3, -3))
    expected = surface(down, right)[inner].reshape(18, 18, *[1] * len(colours))
    assert np.abs(moved[inner] - expected).max() <= 1.6


def test_beside_an_edge_nothing_turns_from_black_to_white() -> None:
    # Given an edge, beside which cubic interpolation goes below black and above white
    image = np.zeros((9, 9), np.uint8)
    image[:, 4:] = 255

    # When it moves by half a pixel
    moved = warp(image, np.array([0.0, 0.5])).astype(int)

    # Then there is one grey between black and white
    assert (np.diff(moved) >= 0).all()
    assert [len(set(row)) for row in moved] == [3] * 9


def test_of_some_images_only_the_place_changes() -> None:
    image = picture(8, 8)
    how = Augmentation(shift_pixels=1, turn_degrees=10, slant_percent=10, share=0.25)
    shifted = {
        warp(image, np.array([down, right])).tobytes()
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    }

    seen = [augment(image, how, np.random.default_rng(seed)).tobytes() for seed in range(400)]

    assert 240 < sum(each in shifted for each in seen) < 360


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
    turned = Augmentation(turn_degrees=10, scale_percent=10, slant_percent=10)
    one, two, other = (augment(image, turned, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, two) and not np.array_equal(one, other)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shift_pixels": -1},
        {"turn_degrees": 181.0},
        {"scale_percent": 100.0},
        {"slant_percent": -1.0},
        {"share": 1.1},
    ],
)
def test_what_is_no_change_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Augmentation(**wrong)
