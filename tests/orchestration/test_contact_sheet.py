"""Pictures of samples."""

from __future__ import annotations

import numpy as np
import pytest

from ancestral.orchestration.contact_sheet import (
    GAP,
    GAP_GREY,
    arrange,
    draw_contact_sheet,
    spectrogram,
)
from ancestral.workers.encode import decode_image
from tests.models.nets import DIGITS, Case, image_case, sound_case


@pytest.mark.parametrize(
    ("case", "rows"),
    [
        (image_case(labelled=True), len(DIGITS)),
        (image_case(labelled=False), 1),
        (sound_case(speaker=True, digit=True), len(DIGITS)),
        (sound_case(speaker=False, digit=False), 1),
    ],
)
def test_every_kind_of_network_has_a_sheet(case: Case, rows: int) -> None:
    sheet, _ = decode_image(draw_contact_sheet(case.net))

    # The left edge shows where tiles lie: as many as there are rows, between gaps.
    edge = sheet[:, GAP] == GAP_GREY
    gaps_that_end = np.count_nonzero(edge[:-1] & ~edge[1:])
    assert gaps_that_end >= rows
    assert draw_contact_sheet(case.net) == draw_contact_sheet(case.net)


def test_tiles_stand_in_rows_with_gaps() -> None:
    small, large = np.full((2, 3), 7, np.uint8), np.full((5, 4), 9, np.uint8)

    sheet = arrange([[small, large], [small]])

    assert sheet.shape == (5 + 2 + 3 * GAP, 3 + 4 + 3 * GAP)
    assert (sheet[GAP : GAP + 2, GAP : GAP + 3] == 7).all()
    assert (sheet[GAP : GAP + 5, 2 * GAP + 3 : 2 * GAP + 7] == 9).all()
    assert (sheet == GAP_GREY).sum() == sheet.size - 2 * 6 - 20


def test_a_tone_is_a_line_at_its_pitch() -> None:
    # Given 1,000 Hz at 8,000 samples a second: an eighth of the way from 0 to 8,000 Hz
    time = np.arange(8000) / 8000
    tone = (8000 * np.sin(2 * np.pi * 1000 * time)).astype(np.int16)

    picture = spectrogram(tone)

    # Then the brightest pitch is a quarter of the way up, as pitches end at 4,000 Hz
    from_below = picture[::-1, 10].argmax() / (picture.shape[0] - 1)
    assert from_below == pytest.approx(0.25, abs=0.01)


def test_silence_has_a_picture_too() -> None:
    assert spectrogram(np.zeros(400, np.int16)).shape[0] == 129
