"""Which of its characters a recording says when: an alignment that is learned, not given.

A small net tells from the spectrum about a frame how likely each character is. All ways are summed
in which the frames can go through the characters of the text in order, none left out, and that sum
is made likely (Graves et al. 2006, "Connectionist Temporal Classification", without blanks). The
likeliest way is the alignment. As in Badlani et al. 2021, "One TTS Alignment To Rule Them All",
ways near the diagonal are likelier from the start, and in a frame the characters of the text share
all probability, so that the net learns what tells them apart there.

    s    ■ ■ · · · · · · · ·        four characters, ten frames
    i    · · ■ ■ ■ · · · · ·
    l    · · · · · ■ ■ · · ·
         · · · · · · · ■ ■ ■        durations 2, 3, 2, 3

Shapes: B batch, M bands, F frames, A known characters, N characters of a text.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.errors import ConditionError
from ancestral.models.speech.frames import BANDS

#: How far from the diagonal a frame may be for half a nat, as a share of the text.
DIAGONAL = 0.2

#: What stands for an impossible logarithm of a probability.
NEVER = -1e4


class Aligner(nn.Module):
    """How likely each known character is in each frame."""

    def __init__(self, characters: int, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(BANDS, channels, 5, padding=2)
        self.second = nn.Conv1d(channels, channels, 3, padding=1)
        self.output = nn.Conv1d(channels, characters, 1)

    def forward(self, spectrum: Tensor) -> Tensor:
        """(B, M, F) to log probabilities (B, A, F)."""
        hidden = torch.relu(self.second(torch.relu(self.first(spectrum))))
        return F.log_softmax(self.output(hidden), 1)


def placed(log_probabilities: Tensor, spelled: Tensor) -> Tensor:
    """How likely each character of a text is in each frame, with the diagonal: (A, F) and (N,) to
    (N, F)."""
    frames, count = log_probabilities.shape[1], len(spelled)
    along = (torch.arange(frames) + 0.5) / frames
    through = (torch.arange(count) + 0.5) / count
    far = (through.unsqueeze(1) - along) / DIAGONAL
    return log_probabilities[spelled] - 0.5 * far.square()


def alignment_loss(log_probabilities: Tensor, spelled: list[Tensor], frames: Tensor) -> Tensor:
    """Nats per frame of the sum over all ways.

    Log probabilities (B, A, F), padded; each item's characters; `frames` (B,) of each item.
    """
    count = max(len(each) for each in spelled)
    ways = torch.full((log_probabilities.shape[2], len(spelled), count + 1), NEVER)
    for index, each in enumerate(spelled):
        length = int(frames[index])
        # The gradient of F.ctc_loss is right only where the probabilities of a frame sum to one.
        likely = F.log_softmax(placed(log_probabilities[index, :, :length], each), 0)
        ways[:length, index, 1 : len(each) + 1] = likely.T
    targets = [torch.arange(1, len(each) + 1) for each in spelled]
    lengths = torch.tensor([len(each) for each in spelled])
    nats = F.ctc_loss(ways, torch.cat(targets), frames, lengths, blank=0, reduction="sum")
    return nats / frames.sum()


def durations(log_probabilities: Tensor, spelled: Tensor) -> Tensor:
    """The frames of each character on the likeliest way: (A, F) and (N,) to (N,) int64, which sum
    to F.

    Raises ConditionError when there are fewer frames than characters.
    """
    likely = placed(log_probabilities, spelled).double()
    count, frames = likely.shape
    if frames < count:
        raise ConditionError(
            f"a sound of {frames} columns is too short for the {count} characters of its text"
        )
    best = torch.full((count,), NEVER * frames, dtype=torch.float64)
    best[0] = likely[0, 0]
    came = torch.zeros(frames, count, dtype=torch.bool)
    for frame in range(1, frames):
        before = F.pad(best[:-1], (1, 0), value=NEVER * frames)
        came[frame] = before > best
        best = torch.maximum(before, best) + likely[:, frame]
    spans = torch.zeros(count, dtype=torch.int64)
    character = count - 1
    for frame in range(frames - 1, -1, -1):
        spans[character] += 1
        character -= int(came[frame, character])
    return spans
