"""Rows of every medium become events of the shape that a network's signature says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ancestral.jobs.errors import SpecError
from ancestral.jobs.recipe import Recipe, read_recipe
from ancestral.models.errors import DataError
from ancestral.orchestration.training.examples import Events, Example
from ancestral.workers.sounds import encode_audio
from tests.orchestration.sounds import RATE_HZ, noise

GREY = {"medium": "image", "shape": [2, 3]}
COLOUR = {"medium": "image", "shape": [2, 2, 3]}
VIDEO = {"medium": "video", "shape": [2, 3, 2]}
LONG_VIDEO = {"medium": "video", "shape": [None, 3, 2]}
AUDIO = {"medium": "audio", "shape": [None], "sample_rate_hz": RATE_HZ}
SERIES = {"medium": "series", "shape": [None]}

SOUND_ROW = {"codec": "pcm_s16le", "sample_rate": RATE_HZ}


def recipe(folder: Path, rows: list[Mapping[str, Any]], **data: Any) -> Recipe:
    """For a table of these rows, to learn from where they do not say otherwise."""
    table = pa.Table.from_pylist([{"split": "train", **row} for row in rows])
    pq.write_table(table, folder / "table.parquet")
    return read_recipe(
        {
            "name": "any",
            "family": "any",
            "data": {"path": str(folder / "table.parquet"), **data},
            "training": {"steps": 1, "batch_size": 1},
        }
    )


def read(recipe: Recipe, signature: Mapping[str, Any], *, held_out: bool = False) -> list[Example]:
    return list(Events(recipe, signature, held_out=held_out))


@pytest.mark.parametrize(
    ("signature", "shape"),
    [(GREY, (2, 3)), (COLOUR, (2, 2, 3)), (VIDEO, (2, 3, 2)), (LONG_VIDEO, (4, 3, 2))],
)
def test_pixels_lie_in_c_order(
    signature: dict[str, Any], shape: tuple[int, ...], tmp_path: Path
) -> None:
    rows = [{signature["medium"]: bytes(range(math.prod(shape)))}]

    (array,) = (each.array for each in read(recipe(tmp_path, rows), signature))

    assert (array.shape, array.dtype) == (shape, np.uint8)
    assert array.flatten().tolist() == list(range(array.size))


def test_bits_are_black_and_white(tmp_path: Path) -> None:
    # Given six pixels, the most significant bit first, and two bits that fill up the byte
    rows = [{"image": bytes([0b10010111])}]

    (array,) = (each.array for each in read(recipe(tmp_path, rows, packed=True), GREY))

    assert array.tolist() == [[255, 0, 0], [255, 0, 255]]


def test_fields_and_what_is_held_out_are_the_recipes_to_name(tmp_path: Path) -> None:
    rows = [{"image": bytes(6), "kind": "a"}, {"image": bytes(6), "kind": "b", "split": "valid"}]
    config = recipe(tmp_path, rows, fields={"label": "kind"}, held_out="valid")

    learnt, held_out = (read(config, GREY, held_out=apart) for apart in (False, True))

    fields = [[each.fields for each in some] for some in (learnt, held_out)]
    assert fields == [[{"label": "a"}], [{"label": "b"}]]
    assert len(learnt) == len(held_out) == 1


def test_flac_and_pcm_are_the_same_sound_at_the_loudness_asked_for(tmp_path: Path) -> None:
    sound = noise(0.3)
    rows = [
        {**SOUND_ROW, "audio": sound.tobytes()},
        {**SOUND_ROW, "audio": encode_audio(sound, RATE_HZ, {}), "codec": "flac"},
    ]

    first, second = (each.array for each in read(recipe(tmp_path, rows, loudness_dbfs=-30), AUDIO))
    as_it_is = read(recipe(tmp_path, rows, loudness_dbfs=None), AUDIO)[0].array

    assert np.array_equal(first, second)
    loudness = 20 * np.log10(np.sqrt(np.mean(first.astype(float) ** 2)) / 32767)
    assert loudness == pytest.approx(-30, abs=0.1)
    assert np.array_equal(as_it_is, sound)


def test_a_series_is_a_list_of_numbers_or_a_sound(tmp_path: Path) -> None:
    (array,) = (each.array for each in read(recipe(tmp_path, [{"series": [0.5, -2, 3]}]), SERIES))
    assert (array.tolist(), array.dtype) == ([0.5, -2, 3], np.float64)

    rows = [{**SOUND_ROW, "audio": noise(0.1).tobytes()}]
    config = recipe(tmp_path, rows, source="audio", loudness_dbfs=None)
    (array,) = (each.array for each in read(config, SERIES))
    assert np.array_equal(array, noise(0.1).astype(np.float64))


@pytest.mark.parametrize(
    ("name", "beginning"), [("PNG", b"\x89PNG\r\n\x1a\n"), ("JPEG", b"\xff\xd8\xff\xe0")]
)
def test_a_file_in_place_of_pixels_is_recognised(
    name: str, beginning: bytes, tmp_path: Path
) -> None:
    row = {"image": beginning + bytes(22)}
    with pytest.raises(DataError, match=f"3 bytes; these are the bytes of a {name} file: decode"):
        read(recipe(tmp_path, [row]), GREY)


def test_clips_are_made_of_the_digits_of_their_own_split(tmp_path: Path) -> None:
    # Given digits to learn from that are darker than those held out
    rows = [
        {"image": bytes([100 + n] * 4), "split": "train" if n < 5 else "test"} for n in range(10)
    ]
    made = {"clips": 20, "held_out_clips": 6, "frames": 2, "canvas": 4}
    config = recipe(tmp_path, rows, moving_digits=made)

    learnt, held_out = (
        read(config, {"medium": "video", "shape": [2, 4, 4]}, held_out=apart)
        for apart in (False, True)
    )

    assert (len(learnt), len(held_out)) == (20, 6)
    assert all(each.fields == {} for each in learnt)
    assert set(np.unique([each.array for each in learnt])) == {0, *range(100, 105)}
    assert set(np.unique([each.array for each in held_out])) <= {0, *range(105, 110)}


def test_a_row_is_called_by_its_file_and_its_number_there(tmp_path: Path) -> None:
    # Given two files of several row groups, and in the second an image that is too small
    for file, lengths in (("a", [6] * 5), ("b", [6, 6, 6, 5, 6])):
        splits = ["test", "train", "train", "train", "test"]
        table = pa.table({"image": [bytes(length) for length in lengths], "split": splits})
        pq.write_table(table, tmp_path / f"{file}.parquet", row_group_size=2)
    config = recipe(tmp_path, [{"image": bytes(6)}])
    config = config.model_copy(
        update={"data": config.data.model_copy(update={"path": f"{tmp_path}/[ab].parquet"})}
    )

    with pytest.raises(DataError, match=r"b\.parquet, row 3 counted from 0: the image has 5 bytes"):
        read(config, GREY)


def test_whole_sounds_are_as_long_as_the_model_makes_them_at_most(tmp_path: Path) -> None:
    # Given a sound of a sample more than the model makes
    config = recipe(tmp_path, [{**SOUND_ROW, "audio": bytes(2 * 9)}])
    short, enough = ({**AUDIO, "max_length": longest} for longest in (8, 9))

    with pytest.raises(DataError, match=r"row 0 .* has 9 samples, .* 8 .*: raise 'model.max_leng"):
        read(config, short)

    # Then it is learnt from by one that makes longer ones, or in pieces
    assert len(read(config, enough)) == 1
    assert config.training is not None
    pieces = config.training.model_copy(update={"crop_samples": 4})
    assert len(read(config.model_copy(update={"training": pieces}), short)) == 1


@pytest.mark.parametrize(
    ("signature", "row", "problem"),
    [
        (GREY, {"image": bytes(5)}, "the image has 5 bytes, not 2 x 3 bytes"),
        (GREY, {"image": bytes(18)}, "the image has 18 bytes, not 2 x 3 bytes; they would be 2"),
        (COLOUR, {"image": bytes(4)}, "the image has 4 bytes, not 2 x 2 x 3 bytes"),
        (VIDEO, {"video": bytes(5)}, "the video has 5 bytes, not 2 x 3 x 2 bytes"),
        (LONG_VIDEO, {"video": bytes(7)}, "the video has 7 bytes, not any x 3 x 2 bytes"),
        (LONG_VIDEO, {"video": b""}, "the video has 0 bytes, not any x 3 x 2 bytes"),
        (GREY, {"image": None}, "the column 'image' holds nothing"),
        (GREY, {"image": "text"}, "the column 'image' holds 'text', which is no bytes"),
        (SERIES, {"series": [1.0, None]}, "the series is no list of finite numbers"),
        (SERIES, {"series": []}, "the series is no list of finite numbers"),
        (SERIES, {"series": ["a"]}, "the column 'series' holds ['a'], no numbers"),
        (AUDIO, {**SOUND_ROW, "audio": b"123"}, "these 3 bytes of audio are no 'pcm_s16le'"),
        (AUDIO, {**SOUND_ROW, "audio": b"1234", "codec": "flac"}, "these 4 bytes are not a sound"),
        (AUDIO, {**SOUND_ROW, "audio": b"1234", "codec": "mp3"}, "these 4 bytes of audio are no"),
        (AUDIO, {**SOUND_ROW, "audio": b"", "sample_rate": 4000}, "the sound has 4000 samples"),
        (AUDIO, {**SOUND_ROW, "audio": b""}, "the sound has no samples"),
        (AUDIO, {**SOUND_ROW, "audio": b"", "codec": None}, "the column 'codec' holds nothing"),
    ],
)
def test_a_row_that_cannot_be_learnt_from_is_named(
    signature: dict[str, Any], row: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        read(recipe(tmp_path, [row]), signature)

    assert f"table.parquet, row 0 counted from 0: {problem}" in str(caught.value)


@pytest.mark.parametrize(
    ("signature", "data", "problem"),
    [
        (AUDIO, {"packed": True}, "'data.packed' is for models of images, and this one makes aud"),
        (AUDIO, {"source": "audio"}, "'data.source' is for models of series"),
        (GREY, {"moving_digits": {"clips": 1, "held_out_clips": 1}}, "is for models of video"),
        (GREY, {"fields": ["voice"]}, "has no column 'voice'"),
        (VIDEO, {}, "has no column 'video'"),
        (GREY, {"held_out": "valid"}, "has no row where split is 'valid'"),
    ],
)
def test_data_of_another_kind_is_refused(
    signature: dict[str, Any], data: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=problem):
        read(recipe(tmp_path, [{"image": bytes(6)}], **data), signature, held_out=True)
