"""A picture of what a freshly trained network draws, to be looked at before a job of millions.

There is a row for each value of the first field that has a few; what every other field says is its
default, or the most usual; a text is a word.

    images    several samples in each row
    clips     one sample in each row, its frames side by side
    sounds    one spectrogram: time to the right, pitch upwards
    series    one curve: time to the right
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ancestral.models import Autoregressive, Sampler, SampleRequest, to_media
from ancestral.orchestration.job_examples import example_text
from ancestral.orchestration.spectrograms import coloured, spectrogram
from ancestral.orchestration.training.trial import check_program
from ancestral.workers.images import encode_image

#: Values of the first category that get a row.
MOST_ROWS = 10

#: Rows of a small sheet.
SMALL_ROWS = 3

#: Samples in a row of images. Of everything else, which takes long, there is one.
IMAGES_IN_A_ROW = 10

#: How long a sample is where that can be asked for: seconds, values, frames.
LENGTHS = {"audio": 1.0, "series": 400, "video": 12}

#: Pixels that one pixel of an image is drawn as, along each side.
IMAGE_SCALE = 2

#: Pixels from the lowest to the highest value of a series.
CURVE_HEIGHT = 128

#: Between two pictures, in pixels, and how bright that is.
GAP, GAP_GREY = 4, 90


def draw_contact_sheet(net: Autoregressive, *, small: bool = False) -> bytes:
    """A PNG of samples of `net`, in evaluation mode; the same for the same network. A small one has
    but a few rows, and takes a moment.

    Raises ProgramError when samples are not as probable as the network itself says.
    """
    signature = net.signature
    asked = asked_in_rows(signature)[: SMALL_ROWS if small else None]
    in_a_row = IMAGES_IN_A_ROW if signature["medium"] == "image" else 1
    requests = [
        SampleRequest(f"{row:02d} {sample:02d}", fields, seed=row, sample=sample)
        for row, fields in enumerate(asked)
        for sample in range(in_a_row)
    ]
    samples = sorted(Sampler(net).sample(requests), key=lambda sample: str(sample.key))
    # What is wrong with a program is wrong in each sample, so one of each row will do.
    for request, sample in zip(requests[::in_a_row], samples[::in_a_row], strict=True):
        if sample.error is None:
            check_program(net, request.fields, sample.symbols, sample.log_likelihood_nats)
    tiles = [_tile(signature, to_media(signature, sample.symbols)) for sample in samples]
    rows = [tiles[row * in_a_row : (row + 1) * in_a_row] for row in range(len(asked))]
    return encode_image(arrange(rows), {})


def arrange(rows: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """Pictures, all grey (H, W) or all in colour (H, W, 3), in rows on one sheet, with gaps between
    them and around."""
    height = sum(max(tile.shape[0] for tile in row) + GAP for row in rows) + GAP
    width = max(sum(tile.shape[1] + GAP for tile in row) for row in rows) + GAP
    sheet = np.full((height, width, *rows[0][0].shape[2:]), GAP_GREY, np.uint8)
    top = GAP
    for row in rows:
        left = GAP
        for tile in row:
            sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
            left += tile.shape[1] + GAP
        top += max(tile.shape[0] for tile in row) + GAP
    return sheet


def curve_pixels(series: NDArray[Any]) -> NDArray[np.uint8]:
    """The course of a series (T,), (CURVE_HEIGHT, T): white on black, from its lowest value to its
    highest."""
    span = np.ptp(series) or 1.0
    height = np.rint((series - series.min()) / span * (CURVE_HEIGHT - 1))
    before = np.concatenate([height[:1], height[:-1]])
    level = np.arange(CURVE_HEIGHT)[::-1, None]
    on = (np.minimum(before, height) <= level) & (level <= np.maximum(before, height))
    return np.where(on, 255, 0).astype(np.uint8)


def asked_in_rows(signature: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is asked for in each row."""
    fields: Mapping[str, Mapping[str, Any]] = signature["fields"]
    usual = {name: _usual(name, field, signature["medium"]) for name, field in fields.items()}
    for name, field in fields.items():
        if field["type"] == "category":
            return [{**usual, name: value} for value in field["values"][:MOST_ROWS]]
    return [usual]


def _tile(signature: Mapping[str, Any], media: NDArray[Any]) -> NDArray[np.uint8]:
    match signature["medium"]:
        case "audio":
            return coloured(spectrogram(media, signature["sample_rate_hz"]))
        case "series":
            return curve_pixels(media)
        case "video":
            media = np.concatenate(list(media), axis=1)
    return media.repeat(IMAGE_SCALE, 0).repeat(IMAGE_SCALE, 1)


def _usual(name: str, field: Mapping[str, Any], medium: str) -> Any:
    if "default" in field:
        return field["default"]
    match field["type"]:
        case "category":
            return field["values"][0]
        case "vector":
            return [0.0] * field["length"]
        case "map":
            return np.zeros(field["shape"]).tolist()
        case "text":
            return example_text(name, field)
        case _:
            wanted = LENGTHS[medium] if field.get("decides") == "length" else 1
            return min(max(wanted, field.get("minimum", wanted)), field.get("maximum", wanted))
