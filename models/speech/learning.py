"""How a front end learns: from recordings, their texts and their voices, in two short trainings.

    1  the aligner          until it tells which frames belong to which character
    2  all is aligned; then the acoustics: the frames of each character, the features of each frame

Both take a number of steps, in batches drawn by a seed, so that they end alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from ancestral.models.errors import DataError
from ancestral.models.speech.acoustics import Acoustics, Held, hold
from ancestral.models.speech.aligner import alignment_loss
from ancestral.models.speech.frames import BANDS, Frames
from ancestral.models.speech.front_end import FrontEnd

#: Recordings of a step.
BATCH = 16

#: The learning rate of Adam at first.
LEARNING_RATE = 3e-3

#: Steps between two reports.
REPORT_STEPS = 100


@dataclass(frozen=True)
class Recording:
    """A sound as its frames; the characters (N,) int64 of its text, and the index of its voice."""

    frames: Frames
    spelled: Tensor
    speaker: int


def learn(
    front_end: FrontEnd,
    recordings: Sequence[Recording],
    *,
    steps: int,
    seed: int,
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Learn from all recordings, so many steps in each training.

    Raises DataError, which names the row, when a text is too long for its sound.
    """
    front_end.measure([each.frames for each in recordings])
    seen = [front_end.seen(each.frames) for each in recordings]
    spelled = [each.spelled for each in recordings]
    lengths = torch.tensor([features.shape[1] for features in seen])
    for row, each in enumerate(spelled):
        if len(each) > lengths[row]:
            raise DataError(f"training row {row}: its text is too long for its sound")
    generator = torch.Generator().manual_seed(seed)

    def aligning(rows: Sequence[int]) -> Tensor:
        spectrum = _batch([seen[row][:BANDS] for row in rows])
        likely = front_end.aligner(spectrum)
        return alignment_loss(likely, [spelled[row] for row in rows], lengths[rows])

    _descend(front_end.aligner, aligning, len(seen), steps, generator, report)
    taken = [front_end.align(each.frames, each.spelled) for each in recordings]

    def sounding(rows: Sequence[int]) -> Tensor:
        return _acoustic_loss(
            front_end.acoustics,
            [spelled[row] for row in rows],
            [taken[row] for row in rows],
            torch.tensor([recordings[row].speaker for row in rows]),
            [seen[row] for row in rows],
        )

    _descend(front_end.acoustics, sounding, len(seen), steps, generator, report)


def _acoustic_loss(
    acoustics: Acoustics,
    spelled: Sequence[Tensor],
    taken: Sequence[Tensor],
    speaker: Tensor,
    seen: Sequence[Tensor],
) -> Tensor:
    """How far off durations, spectrum, pitch and voicing are, per character and per frame."""
    characters, frames = _real(spelled), _real(seen)
    known = acoustics.encode(pad_sequence(list(spelled), batch_first=True), speaker, characters)
    paced = acoustics.log_durations(known, characters)
    lasts = pad_sequence([each.float().log() for each in taken], batch_first=True)
    held = [hold(each) for each in taken]
    index = pad_sequence([each.index[0] for each in held], batch_first=True)
    sounds = acoustics.sounds(
        known, Held(index, _batch([each.place[0] for each in held])), speaker, frames
    )
    wanted, real = _batch(seen), frames[:, 0]
    voiced = wanted[:, BANDS + 1] * real
    off = (sounds[:, : BANDS + 1] - wanted[:, : BANDS + 1]).abs()
    spectrum = (off[:, :BANDS].mean(1) * real).sum() / real.sum()
    pitch = (off[:, BANDS] * voiced).sum() / voiced.sum().clamp(min=1)
    doubt = F.binary_cross_entropy_with_logits(
        sounds[:, BANDS + 1], wanted[:, BANDS + 1], weight=real, reduction="sum"
    )
    pace = ((paced - lasts).square() * characters[:, 0]).sum() / characters.sum()
    return spectrum + 0.3 * pitch + 0.3 * doubt / real.sum() + 0.3 * pace


def _descend(
    net: nn.Module,
    loss_of: Callable[[Sequence[int]], Tensor],
    rows: int,
    steps: int,
    generator: torch.Generator,
    report: Callable[[str], None],
) -> None:
    """Lower the loss of batches of rows, so many steps, at a rate that falls to nothing."""
    net.requires_grad_(True)
    optimizer = torch.optim.Adam(net.parameters(), betas=(0.9, 0.98))
    order: list[int] = []
    for step in range(steps):
        while len(order) < BATCH:
            order += torch.randperm(rows, generator=generator).tolist()
        batch, order = order[:BATCH], order[BATCH:]
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        loss = loss_of(batch)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % REPORT_STEPS == 0:
            name = type(net).__name__.lower()
            report(f"{name}: step {step + 1:,} of {steps:,}, loss {float(loss.detach()):.3f}")
    net.requires_grad_(False)
    # Gradients left here would count in the norm that the network's own training clips.
    net.zero_grad()


def _batch(features: Sequence[Tensor]) -> Tensor:
    """(C, F) each, padded at the end with zeros: (B, C, F)."""
    return pad_sequence([each.T for each in features], batch_first=True).transpose(1, 2)


def _real(sequences: Sequence[Tensor]) -> Tensor:
    """(B, 1, L): 1, or 0 where a sequence of fewer than L is padded."""
    lengths = torch.tensor([each.shape[-1] for each in sequences])
    return (torch.arange(int(lengths.max())) < lengths.unsqueeze(1)).float().unsqueeze(1)
