"""Durations and sounds of a text."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from ancestral.models.speech.acoustics import FEATURES, Acoustics, Held, hold


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_characters_are_held_for_as_long_as_they_last(lasting: list[int]) -> None:
    held = hold(torch.tensor(lasting))
    index, place = held.index[0].tolist(), held.place[0]
    assert index == [n for n, columns in enumerate(lasting) for _ in range(columns)]
    for character, columns in enumerate(lasting):
        mine = torch.tensor([n == character for n in index])
        middles = (torch.arange(columns) + 0.5) / columns
        assert torch.allclose(place[0, mine], middles)
        assert torch.allclose(place[1, mine], 1 - middles)


def test_what_is_padded_sounds_as_it_does_alone() -> None:
    # Given two texts of different lengths
    torch.manual_seed(0)
    net = Acoustics(characters=5, speakers=2, channels=8)
    texts = [torch.tensor([0, 3, 1, 4, 0]), torch.tensor([0, 2, 0])]
    lasting = [torch.tensor([2, 4, 1, 3, 2]), torch.tensor([1, 5, 1])]
    voices = [torch.tensor([1]), torch.tensor([0])]

    # When both are computed alone, and together
    alone = []
    for text, taken, voice in zip(texts, lasting, voices, strict=True):
        held, real = hold(taken), torch.ones(1, 1, len(text))
        known = net.encode(text.unsqueeze(0), voice, real)
        frames = torch.ones(1, 1, int(taken.sum()))
        alone.append((net.log_durations(known, real), net.sounds(known, held, voice, frames)))
    real = torch.tensor([[[1.0] * 5], [[1.0] * 3 + [0.0] * 2]])
    frames = torch.tensor([[[1.0] * 12], [[1.0] * 7 + [0.0] * 5]])
    held = [hold(each) for each in lasting]
    padded = [torch.nn.functional.pad(each.index, (0, 12 - each.index.shape[1])) for each in held]
    places = [torch.nn.functional.pad(each.place, (0, 12 - each.place.shape[2])) for each in held]
    both = torch.stack([texts[0], torch.nn.functional.pad(texts[1], (0, 2))])
    known = net.encode(both, torch.cat(voices), real)
    paced = net.log_durations(known, real)
    sounds = net.sounds(
        known, Held(torch.cat(padded), torch.cat(places)), torch.cat(voices), frames
    )

    # Then
    assert sounds.shape == (2, FEATURES, 12)
    for row, (its_pace, its_sound) in enumerate(alone):
        assert torch.allclose(paced[row, : its_pace.shape[1]], its_pace[0], atol=1e-5)
        assert torch.allclose(sounds[row, :, : its_sound.shape[2]], its_sound[0], atol=1e-5)
