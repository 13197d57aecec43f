"""Arrays of every medium and metadata for them, as hypothesis draws them; files of other people."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

# What a PNG's tEXt chunk holds: Latin-1 without line ends, whose form readers may change.
_LATIN = st.text(st.characters(codec="latin-1", categories=("L", "N", "P", "S")), max_size=40)
_KEYS = st.sampled_from(["model", "seed", "sample", "settings"])

LATIN_METADATA = st.dictionaries(_KEYS, _LATIN)

# What JSON in UTF-8 holds: everything but halves of characters.
METADATA = st.dictionaries(_KEYS, st.text(st.characters(exclude_categories=["Cs"]), max_size=40))


def pixels(axes: int, largest: int) -> st.SearchStrategy[np.ndarray]:
    """uint8 of so many axes, each up to `largest`, or in colour with one more of 3."""
    grey = hnp.array_shapes(min_dims=axes, max_dims=axes, max_side=largest)
    shapes = grey | grey.map(lambda shape: (*shape, 3))
    return shapes.flatmap(lambda shape: hnp.arrays(np.uint8, shape))


IMAGES = pixels(2, 20)
SOUNDS = hnp.arrays(np.int16, st.integers(1, 1000))
CLIPS = pixels(3, 6)
SERIES = hnp.arrays(np.float64, st.integers(1, 100))

#: A clip in which frames repeat: the first twice, the last three times.
STILLS = np.stack([np.full((5, 7, 3), value, np.uint8) for value in (9, 9, 0, 70, 70, 70)])


def picture_file(array: np.ndarray | Image.Image, format: str, **options: Any) -> bytes:
    """A file as another program may have written it."""
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def shades(*shape: int) -> np.ndarray:
    """uint8 of that shape whose values all differ from their neighbours."""
    return (np.arange(np.prod(shape)) * 37 % 251).astype(np.uint8).reshape(shape)
