"""The front end of a voice: what WaveNet is told of a text, and what a recording tells of its text.

Shapes: T samples, F columns of features (T = F · hop), C features of a column, N characters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ancestral.models.errors import ConditionError
from ancestral.models.speech.acoustics import Acoustics, hold
from ancestral.models.speech.aligner import Aligner, durations
from ancestral.models.speech.frames import BANDS, Frames, frames_of
from ancestral.models.speech.spelling import spell


class FrontEnd(nn.Module):
    """Of some voices that know the same characters.

    `learning.learn` sets its weights before the network that hears of them learns; then they stay.
    It may lie on any device; what it takes and gives lies in the processor's memory.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, characters: str, speakers: int, *, sample_rate_hz: int, hop: int, channels: int
    ) -> None:
        super().__init__()
        self.known = characters
        self.sample_rate_hz = sample_rate_hz
        self.hop = hop
        self.aligner = Aligner(len(characters), channels)
        self.acoustics = Acoustics(len(characters), speakers, channels)
        #: Of the spectrum and the pitch of what was learnt from: all nets see them as if they
        #: had a mean of 0 and a deviation of 1.
        self.register_buffer("mean", torch.zeros(BANDS + 1))
        self.register_buffer("deviation", torch.ones(BANDS + 1))
        self.requires_grad_(False)

    def spell(self, text: str) -> Tensor:
        """(N,) int64. Raises ConditionError when there is nothing to say, or no way to."""
        return torch.tensor(spell(text, self.known))

    def hear(self, wave: Tensor) -> Frames:
        """The frames of a sound (T,), full scale being 1."""
        return frames_of(wave.float(), self.sample_rate_hz, self.hop)

    def measure(self, heard: Sequence[Frames]) -> None:
        """Take the mean and the deviation of all these frames for those of any sound."""
        spectrum = torch.cat([frames.spectrum for frames in heard], 1)
        pitch = torch.cat([frames.log_pitch[frames.voiced > 0] for frames in heard])
        for band, values in enumerate((*spectrum, pitch)):
            if len(values) > 1:
                self.mean[band] = values.mean()
                self.deviation[band] = values.std().clamp(min=1e-3)

    def seen(self, frames: Frames) -> Tensor:
        """Frames as the nets see them, in units of their deviation: (C, F)."""
        heard = torch.cat([frames.spectrum, frames.log_pitch.unsqueeze(0)])
        mean, deviation = self.mean.cpu().unsqueeze(1), self.deviation.cpu().unsqueeze(1)
        scaled = (heard - mean) / deviation
        return torch.cat([scaled, frames.voiced.unsqueeze(0)])

    @torch.no_grad()
    def align(self, frames: Frames, spelled: Tensor) -> Tensor:
        """How many of the frames each character of their text has: (N,) int64.

        Raises ConditionError when there are fewer frames than characters.
        """
        spectrum = self.seen(frames)[:BANDS].unsqueeze(0)
        return durations(self.aligner(spectrum.to(self.mean.device))[0].cpu(), spelled)

    @torch.no_grad()
    def pace(self, spelled: Tensor, speaker: int, most: int) -> Tensor:
        """How many frames a voice takes for each character: (N,) int64.

        Raises ConditionError when these are more than `most` together.
        """
        log_durations = self.acoustics.log_durations(*self._known(spelled, speaker))[0].cpu()
        taken = log_durations.clamp(max=math.log(most)).exp().round().long().clamp(min=1)
        if int(taken.sum()) > most:
            seconds = most * self.hop / self.sample_rate_hz
            raise ConditionError(
                f"the text takes longer to say than {seconds:g} seconds: cut it into several"
            )
        return taken

    @torch.no_grad()
    def features(self, spelled: Tensor, speaker: int, taken: Tensor) -> Tensor:
        """What each column sounds like when the characters take so many: (C, F) float32."""
        device = self.mean.device
        known, _ = self._known(spelled, speaker)
        held = hold(taken)
        real = torch.ones(1, 1, held.index.shape[1], device=device)
        voice = torch.tensor([speaker], device=device)
        sounds = self.acoustics.sounds(known, held.to(device), voice, real)[0].cpu()
        voiced = torch.sigmoid(sounds[BANDS + 1 :])
        pitch = sounds[BANDS : BANDS + 1] * voiced
        return torch.cat([sounds[:BANDS], pitch, 2 * voiced - 1])

    def _known(self, spelled: Tensor, speaker: int) -> tuple[Tensor, Tensor]:
        device = self.mean.device
        real = torch.ones(1, 1, len(spelled), device=device)
        voice = torch.tensor([speaker], device=device)
        return self.acoustics.encode(spelled.unsqueeze(0).to(device), voice, real), real
