"""Pictures of samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from ancestral.models import Autoregressive, build
from ancestral.orchestration.training.contact_sheet import (
    CURVE_HEIGHT,
    GAP,
    GAP_GREY,
    arrange,
    curve_pixels,
    draw_contact_sheet,
)
from ancestral.workers.images import decode_image
from tests.models.nets import DIGITS, image_case, sound_case

SIZE = {"height": 4, "width": 4, "levels": 4}
TALK = {
    "characters": " senv",
    "front_end": 4,
    "sample_rate_hz": 1000,
    "hop": 10,
    "residual": 4,
    "skip": 4,
    "depth": 2,
}


@pytest.mark.parametrize(
    ("net", "rows"),
    [
        (image_case(labels=DIGITS).net, len(DIGITS)),
        (image_case(latent=3).net, 1),
        (image_case(map_shape=(2, 5, 3)).net, 1),
        (sound_case(speaker=True, digit=True).net, len(DIGITS)),
        (sound_case(speaker=False, digit=False).net, 1),
        (build("wavenet", {**TALK, "speakers": ["ada", "bob"]}), 2),
        (build("wavenet", {**TALK, "characters": " abc"}), 1),
        (build("linear", {"order": 2}), 1),
        (build("pixelcnn_pp", {**SIZE, "colours": 3, "coarser": 0, "channels": 4}), 1),
        (build("video_pixel", {**SIZE, "frames": 3, "frames_by_request": True}), 1),
        (build("darn", {"height": 4, "width": 4, "code": 3, "labels": ["a", "b"]}), 2),
    ],
    ids=lambda value: value.family if isinstance(value, Autoregressive) else "",
)
def test_every_kind_of_network_has_a_sheet(net: Autoregressive, rows: int) -> None:
    sheet, _ = decode_image(draw_contact_sheet(net))

    # The left edge shows where tiles lie: as many as there are rows, between gaps.
    edge = sheet[:, GAP].reshape(len(sheet), -1)[:, 0] == GAP_GREY
    gaps_that_end = np.count_nonzero(edge[:-1] & ~edge[1:])
    assert gaps_that_end >= rows
    assert draw_contact_sheet(net) == draw_contact_sheet(net)


def test_one_sample_of_each_row_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = list[Any]()

    def seen(net: Autoregressive, fields: Mapping[str, Any], *_: object) -> None:
        checked.append(fields["label"])

    monkeypatch.setattr("ancestral.orchestration.training.contact_sheet.check_program", seen)
    draw_contact_sheet(image_case(labels=DIGITS).net)

    assert checked == list(DIGITS)


def test_tiles_stand_in_rows_with_gaps() -> None:
    small, large = np.full((2, 3), 7, np.uint8), np.full((5, 4), 9, np.uint8)

    sheet = arrange([[small, large], [small]])

    assert sheet.shape == (5 + 2 + 3 * GAP, 3 + 4 + 3 * GAP)
    assert (sheet[GAP : GAP + 2, GAP : GAP + 3] == 7).all()
    assert (sheet[GAP : GAP + 5, 2 * GAP + 3 : 2 * GAP + 7] == 9).all()
    assert (sheet == GAP_GREY).sum() == sheet.size - 2 * 6 - 20


def test_colours_are_kept() -> None:
    red = np.full((2, 3, 3), (200, 0, 0), np.uint8)

    sheet = arrange([[red, red]])

    assert sheet.shape == (2 + 2 * GAP, 6 + 3 * GAP, 3)
    assert (sheet[GAP, GAP] == (200, 0, 0)).all() and (sheet[0, 0] == GAP_GREY).all()


def test_a_curve_is_one_line_from_its_lowest_value_to_its_highest() -> None:
    picture = curve_pixels(np.array([5.0, 7.0, 6.0, 5.0]))

    # Then white is at the bottom, at the top, half way and at the bottom again
    ends = [np.flatnonzero(column)[[0, -1]].tolist() for column in picture.T]
    assert picture.shape == (CURVE_HEIGHT, 4)
    assert ends == [[127, 127], [0, 127], [0, 63], [63, 127]]
    assert np.count_nonzero(curve_pixels(np.full(9, 3.0))) == 9
