"""What one row asks for, and of which networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from ancestral.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig
from parts.networks import NETWORKS, Network

Executor = Literal["graph", "fused", "fused-few"]

#: What each executor computes in.
DTYPES = {"graph": torch.float32, "fused": torch.bfloat16, "fused-few": torch.bfloat16}


@dataclass(frozen=True)
class Row:
    """One row: `target_per_second` is what it should reach, of samples or images in all. Each of
    the `processes`, over which the Python for each event is spread, has so many slots: they take
    turns on the device, and fewer slots would leave a part of it idle in each turn."""

    network: str
    executor: Executor
    slots: int
    target_per_second: float | None = None
    processes: int = 1


#: Networks with which the whole command can be tried on a processor.
TINY_NETWORKS = (
    Network(
        "wavenet",
        "samples",
        lambda: WaveNet(
            WaveNetConfig(levels=16, sample_rate_hz=1000, residual=8, skip=16, depth=2, stacks=1)
        ),
        (),
        lambda number: {"seconds": 0.02},
    ),
    Network(
        "gated_pixelcnn",
        "images",
        lambda: GatedPixelCNN(
            GatedPixelCNNConfig(4, 4, levels=2, embedding=2, channels=8, layers=2, head=8)
        ),
        (),
    ),
)


def networks(*, tiny: bool) -> Mapping[str, Network]:
    """Those of the rows, by name."""
    return {network.name: network for network in (TINY_NETWORKS if tiny else NETWORKS)}
