"""From arrays to batches of symbols for training.

An item is one event with its conditions; a batch is several, padded at the end to one length. What
is padding weighs nothing in the loss.

    sound     ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▁▁▁▁▁▁      an item, padded to whole columns of its features
    features  │ a │ b │ c │ d │ e │         one column per hop
    crop          └───────────┘             pieces begin and end between columns, or anywhere in
                                            a sound or series without features

Shapes: B batch, E the event ((T,), (H, W), or frames of (H, W)), F columns of aligned features, C
their channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.errors import ConditionError, DataError
from ancestral.models.symbols import from_media


@dataclass(frozen=True)
class Item:
    """One event: symbols `x` (*E) int64, weights (*E): 1, or 0 where `x` is padding, and its
    conditions as a batch of one."""

    x: Tensor
    weights: Tensor
    conditions: Mapping[str, Tensor]

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return sum(t.nbytes for t in (self.x, self.weights, *self.conditions.values()))

    @property
    def columns(self) -> int:
        """Columns of its aligned features; 0 if it has none."""
        return next((c.shape[-1] for c in self.conditions.values() if c.ndim == 3), 0)

    @property
    def hop(self) -> int:
        """Samples that one column serves; 1 if there are none."""
        return len(self.x) // self.columns if self.columns else 1

    def piece(self, start: int, length: int) -> Item:
        """Those samples alone, with their columns: both numbers are multiples of `hop`."""
        span = slice(start, start + length)
        columns = slice(start // self.hop, (start + length) // self.hop)
        conditions = {
            name: c[..., columns] if c.ndim == 3 else c for name, c in self.conditions.items()
        }
        return Item(self.x[span], self.weights[span], conditions)


@dataclass(frozen=True)
class Batch:
    """Symbols `x` (B, *E), their conditions, and weights (B, *E): 1, or 0 where `x` is padding."""

    x: Tensor
    conditions: Mapping[str, Tensor]
    weights: Tensor

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return sum(t.nbytes for t in (self.x, self.weights, *self.conditions.values()))

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        conditions = {name: tensor.to(device) for name, tensor in self.conditions.items()}
        return Batch(self.x.to(device), conditions, self.weights.to(device))


def prepare(
    net: Autoregressive, media: Sequence[NDArray[Any]], fields: Sequence[Mapping[str, Any]]
) -> list[Item]:
    """Items that `net` can be trained on: images as uint8 (H, W), recordings as int16 (T,).

    Raises DataError, which names the row, when an array or its fields do not fit the network.
    """
    if len(media) != len(fields):
        raise DataError(f"{len(media)} arrays with the fields of {len(fields)}")
    items = []
    for row, (array, wanted) in enumerate(zip(media, fields, strict=True)):
        try:
            items.append(item_of(net, array, wanted))
        except (ConditionError, DataError) as error:
            raise DataError(f"training row {row}: {error}") from error
    return items


def item_of(net: Autoregressive, array: NDArray[Any], fields: Mapping[str, Any]) -> Item:
    """An item that `net` can be trained on.

    Raises DataError or ConditionError when array or fields do not fit the network.
    """
    symbols = torch.from_numpy(from_media(net.signature, array))
    x, conditions = net.example(symbols, fields)
    return Item(x, _padded(torch.ones(symbols.shape), len(x)), conditions)


def normalise_loudness(recording: NDArray[np.int16], dbfs: float = -20.0) -> NDArray[np.int16]:
    """A recording brought to one loudness (its root mean square, full scale being 0 dBFS).

    Peaks beyond full scale are clipped; silence stays silence.
    """
    wave = recording.astype(np.float64) - recording.mean()
    loudness = np.sqrt(np.mean(wave**2))
    if loudness == 0:
        return np.zeros_like(recording)
    gain = 32767 * 10 ** (dbfs / 20) / loudness
    normalised: NDArray[np.int16] = np.rint(np.clip(wave * gain, -32767, 32767)).astype(np.int16)
    return normalised


def batches_in_order(items: Sequence[Item], batch_size: int) -> Iterator[Batch]:
    """Every item once, whole, in order: for validation."""
    for start in range(0, len(items), batch_size):
        yield collate(items[start : start + batch_size])


def collate(items: Sequence[Item]) -> Batch:
    """Items of different lengths, in samples or frames, as one batch."""
    length = max(len(item.x) for item in items)
    columns = max(item.columns for item in items)
    conditions = {}
    for name in items[0].conditions:
        parts = [item.conditions[name] for item in items]
        aligned = parts[0].ndim == 3
        conditions[name] = torch.cat([_padded(p, columns, 2) if aligned else p for p in parts])
    return Batch(
        x=torch.stack([_padded(item.x, length) for item in items]),
        conditions=conditions,
        weights=torch.stack([_padded(item.weights, length) for item in items]),
    )


def _padded(tensor: Tensor, length: int, axis: int = 0) -> Tensor:
    # F.pad counts axes from the last one.
    return F.pad(tensor, [0, 0] * (tensor.ndim - 1 - axis) + [0, length - tensor.shape[axis]])
