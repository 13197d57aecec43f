"""Spectrum and pitch of a sound."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ancestral.models.speech.frames import BANDS, FAINTEST, frames_of

RATE_HZ, HOP = 8000, 80


def tone(hertz: float, columns: int = 30, loudness: float = 0.3) -> torch.Tensor:
    """A voice-like sound: a tone with two overtones."""
    time = torch.arange(columns * HOP) / RATE_HZ
    parts = [torch.sin(2 * math.pi * n * hertz * time) / n for n in (1, 2, 3)]
    return loudness * torch.stack(parts).sum(0)


@given(st.integers(1, 60), st.sampled_from([(8000, 80), (8000, 64), (16000, 200)]))
def test_there_is_a_frame_for_every_hop(columns: int, kind: tuple[int, int]) -> None:
    rate, hop = kind
    frames = frames_of(torch.randn(columns * hop), rate, hop)
    assert len(frames) == columns
    assert frames.spectrum.shape == (BANDS, columns)
    assert frames.log_pitch.shape == frames.voiced.shape == (columns,)


@pytest.mark.parametrize("hertz", [75.0, 110.0, 180.0, 240.0, 330.0])
def test_the_pitch_of_a_voice_is_heard(hertz: float) -> None:
    frames = frames_of(tone(hertz), RATE_HZ, HOP)
    inside = slice(4, -4)
    assert frames.voiced[inside].all()
    heard = frames.log_pitch[inside].exp()
    assert torch.allclose(heard, torch.full_like(heard, hertz), rtol=0.03)


def test_noise_and_silence_have_no_pitch() -> None:
    torch.manual_seed(0)
    noise = frames_of(0.3 * torch.randn(40 * HOP), RATE_HZ, HOP)
    silence = frames_of(torch.zeros(40 * HOP), RATE_HZ, HOP)
    assert noise.voiced.mean() < 0.1
    assert not silence.voiced.any()
    assert (silence.log_pitch == 0).all()
    assert torch.allclose(silence.spectrum, torch.tensor(FAINTEST))


def test_between_voiced_frames_the_pitch_is_a_straight_line() -> None:
    # Given a low voice, silence, and a high voice
    wave = torch.cat([tone(100.0, 20), torch.zeros(11 * HOP), tone(200.0, 20)])

    # When
    frames = frames_of(wave, RATE_HZ, HOP)

    # Then
    last = int(frames.voiced[:30].nonzero().max())
    first = 30 + int(frames.voiced[30:].nonzero().min())
    steps = frames.log_pitch[last : first + 1].diff()
    assert (frames.voiced[last + 1 : first] == 0).all()
    assert torch.allclose(steps, steps.mean().expand_as(steps), atol=1e-4)


@pytest.mark.parametrize("hertz", [200.0, 700.0, 1500.0, 3000.0])
def test_a_band_tells_where_a_tone_is(hertz: float) -> None:
    wave = torch.sin(2 * math.pi * hertz * torch.arange(20 * HOP) / RATE_HZ)
    strongest = frames_of(wave, RATE_HZ, HOP).spectrum[:, 10].argmax()
    top = 2595 * math.log10(1 + 4000 / 700)
    wanted = 2595 * math.log10(1 + hertz / 700) / top * (BANDS + 1) - 1
    assert abs(float(strongest) - wanted) <= 1.5


def test_twice_as_loud_is_four_times_the_power() -> None:
    quiet, loud = (frames_of(tone(150.0, loudness=x), RATE_HZ, HOP) for x in (0.2, 0.4))
    strong = quiet.spectrum > -2
    assert strong.any()
    difference = (loud.spectrum - quiet.spectrum)[strong]
    assert torch.allclose(difference, torch.tensor(math.log(4.0)), atol=1e-3)
