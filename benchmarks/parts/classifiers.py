"""Small networks that say what a picture shows or who says which word, learned from real data.

They never meet a generated example before they judge it, and nothing of them goes back into what
they judge.

Shapes: N examples, B a batch, H rows (or mel bands), W columns (or frames), K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BATCH = 64
#: Of OneCycle's peak; weights decay, and no label is learned as wholly certain.
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.02
SMOOTHING = 0.1

#: The augmentation of pictures: turned either way, scaled and slanted by as much, moved.
TURN_DEGREES = 12.0
SCALE = 0.12
SLANT = 0.15
SHIFT_PIXELS = 1.5

#: From examples and a source of random numbers to what the network sees of them this time.
Augment = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Shape:
    """Of a classifier: the widths of its convolutions, of which the first `poolings` halve the
    picture.

    With `places`, so many places are left and each has weights of its own: a digit stands in the
    middle. Else the means and maxima over all places tell the class: a word is said at any time.
    """

    widths: tuple[int, ...]
    poolings: int
    places: int | None = None


class Classifier(nn.Module):
    """From pictures (B, H, W) to logits (B, K)."""

    def __init__(self, classes: int, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        layers: list[nn.Module] = []
        befores = (1, *shape.widths)
        for number, (before, width) in enumerate(zip(befores, shape.widths, strict=False)):
            layers += [
                nn.Conv2d(before, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            if number < shape.poolings:
                layers.append(nn.MaxPool2d(2))
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.5 if shape.places else 0.3)
        self.head = nn.Linear((shape.places or 2) * shape.widths[-1], classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits (B, K)."""
        features = self.layers(pictures.unsqueeze(1)).flatten(2)
        if self.shape.places is None:
            features = torch.cat([features.mean(2), features.amax(2)], 1)
        logits: Tensor = self.head(self.dropout(features.flatten(1)))
        return logits


def taught(
    net: Classifier, examples: Tensor, labels: Tensor, augment: Augment, *, epochs: int, seed: int
) -> Classifier:
    """`net` after so many passes over real examples, in evaluation mode."""
    random = torch.Generator().manual_seed(seed)
    steps = epochs * math.ceil(len(examples) / BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    net.train()
    for _ in range(epochs):
        for chosen in torch.split(torch.randperm(len(examples), generator=random), BATCH):
            logits = net(augment(examples[chosen], random))
            loss = F.cross_entropy(logits, labels[chosen], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return net.eval()


@torch.no_grad()
def named(net: Classifier, pictures: Tensor) -> Tensor:
    """The class of each picture (N, H, W) by the network, (N,)."""
    return torch.cat([net(batch).argmax(1) for batch in torch.split(pictures, BATCH)])


def warped(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Pictures (B, H, W) turned, scaled, slanted and moved a little, each in its own way."""

    def uniform(most: float) -> Tensor:
        return most * (2 * torch.rand(len(pictures), generator=random) - 1)

    turn = uniform(math.radians(TURN_DEGREES))
    wide, high, slant = 1 + uniform(SCALE), 1 + uniform(SCALE), uniform(SLANT)
    right = uniform(2 * SHIFT_PIXELS / pictures.shape[2])
    down = uniform(2 * SHIFT_PIXELS / pictures.shape[1])
    across = torch.stack([wide * turn.cos(), slant - turn.sin(), right], 1)
    along = torch.stack([turn.sin(), high * turn.cos(), down], 1)
    affine = torch.stack([across, along], 1)
    places = F.affine_grid(affine, [len(pictures), 1, *pictures.shape[1:]], align_corners=False)
    return F.grid_sample(pictures.unsqueeze(1), places, align_corners=False).squeeze(1)
