"""Recurrent networks of sounds, the step-by-step peers of a WaveNet.

    symbols ──► table ──► GRU ──► GRU ──► logits        x_t is foretold from the state after x_{t−1}

Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder", in torch's form. Both
classes have the same weights, compute the same and learn the same; they differ in who goes through
time: Python, one step a call, or torch's own loop, which is the stronger peer.

Shapes: B batch, T samples, L levels.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EMBEDDING = 32
LAYERS = 2


class FusedGRU(nn.Module):
    """Through time in torch's own loop, layer by layer."""

    def __init__(self, levels: int, hidden: int) -> None:
        super().__init__()
        self.table = nn.Embedding(levels, EMBEDDING)
        self.recurrent = nn.GRU(EMBEDDING, hidden, LAYERS, batch_first=True)
        self.logits = nn.Linear(hidden, levels)

    def forward(self, x: Tensor) -> Tensor:
        """Nats of each symbol of `x` (B, T): (B, T)."""
        # Before the first symbol the input is that of silence.
        before = F.pad(x[:, :-1], (1, 0), value=self.table.num_embeddings // 2)
        states = self.states(self.table(before))
        nats = F.cross_entropy(self.logits(states).flatten(0, 1), x.flatten(), reduction="none")
        return nats.view(x.shape)

    def states(self, inputs: Tensor) -> Tensor:
        """(B, T, EMBEDDING) to the states of the upper layer (B, T, hidden)."""
        return cast(Tensor, self.recurrent(inputs)[0])


class SteppedGRU(FusedGRU):
    """Through time in Python, one step of all layers a call."""

    def states(self, inputs: Tensor) -> Tensor:
        below = [torch.zeros(len(inputs), self.recurrent.hidden_size) for _ in range(LAYERS)]
        states = []
        for value in inputs.unbind(1):
            for layer in range(LAYERS):
                value = below[layer] = torch.gru_cell(value, below[layer], *self._weights(layer))
            states.append(value)
        return torch.stack(states, dim=1)

    def _weights(self, layer: int) -> list[Tensor]:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [getattr(self.recurrent, f"{name}_l{layer}") for name in names]


def hidden_for(parameters: int, levels: int) -> int:
    """The hidden size whose network comes closest to so many parameters."""

    def size(hidden: int) -> int:
        gates = sum(3 * hidden * (inputs + hidden + 2) for inputs in (EMBEDDING, hidden))
        return levels * EMBEDDING + gates + (hidden + 1) * levels

    return min(range(1, 2048), key=lambda hidden: abs(size(hidden) - parameters))
