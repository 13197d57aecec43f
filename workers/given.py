"""Media that rows give: read, held against what the network draws, and cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ancestral.jobs.media_values import MediaValue
from ancestral.workers.encode import read_media
from ancestral.workers.errors import EncodeError, RowRefused

#: What is counted of a beginning that is kept, by medium.
KEPT = {"image": "rows", "audio": "seconds", "video": "frames", "series": "values"}


def read_given(signature: Mapping[str, Any], name: str, value: MediaValue) -> np.ndarray:
    """The array of the medium `name`, of any length, but with the other sizes of an event.

    Raises RowRefused, for an empty one too.
    """
    try:
        array = read_media(signature, value.data)
    except EncodeError as error:
        raise RowRefused(f"{name!r} cannot be used: {error}") from error
    if array.ndim != len(signature["shape"]) or not fits(signature["shape"][1:], array.shape[1:]):
        raise RowRefused(wrong_shape(signature, name, array))
    if not array.size:
        raise RowRefused(f"{name!r} is empty")
    if not np.isfinite(array).all():
        raise RowRefused(f"{name!r} holds values that are no numbers")
    return array


def beginning(signature: Mapping[str, Any], array: np.ndarray, keep: float | None) -> np.ndarray:
    """The beginning of a medium: so many rows, frames or values of it, or seconds of a sound.

    Raises RowRefused when it is shorter than that.
    """
    if keep is None:
        return array
    rate = signature["sample_rate_hz"] if signature["medium"] == "audio" else 1
    length = round(keep * rate)
    if length > len(array):
        unit = KEPT[signature["medium"]]
        raise RowRefused(
            f"'keep' asks for {keep:g} {unit} of a 'prefix' that has {len(array) / rate:g}"
        )
    return array[:length]


def fits(wanted: Sequence[int | None], sizes: Sequence[int]) -> bool:
    """Whether sizes are those of a signature's shape, where null is any."""
    return all(want in (None, size) for want, size in zip(wanted, sizes, strict=True))


def wrong_shape(signature: Mapping[str, Any], name: str, array: np.ndarray) -> str:
    """That the medium `name` is no event of the model, as a sentence."""
    return f"{name!r} is {_sizes(array.shape)}, and the model draws {_sizes(signature['shape'])}"


def _sizes(shape: Sequence[int | None]) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape)
