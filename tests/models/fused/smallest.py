"""The smallest networks that have everything, for an interpreter that is slow."""

from __future__ import annotations

from typing import Any

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig
from ancestral.models.pixelcnn import PixelCNN, PixelCNNConfig
from ancestral.models.pixelcnn_pp import PixelCNNPlusPlus, PixelCNNPlusPlusConfig
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig
from tests.models.nets import lively

LABELS = (0, 1)


def smallest(name: str) -> Autoregressive:
    """Sounds are asked for a digit in a speaker's voice; images by label, and a map."""
    match name:
        case "sound":
            return _sound()
        case "sound of mixtures":
            return _sound(components=2, levels=200, skip=10)
        case "wide sound":
            return _sound(residual=64, skip=64, digits=(), seconds=())
        case "gated_pixelcnn":
            config: Any = GatedPixelCNNConfig(
                height=2,
                width=4,
                levels=5,
                embedding=3,
                channels=6,
                layers=2,
                first_reach=1,
                head=9,
                labels=LABELS,
                map_shape=(2, 1, 2),
            )
            return lively(GatedPixelCNN, config)
        case "pixelcnn in colour":
            config = PixelCNNConfig(
                height=2, width=2, colours=3, levels=4, channels=6, blocks=1, head=6, first_reach=1
            )
            return lively(PixelCNN, config)
        case "pixelcnn_pp in colour":
            config = PixelCNNPlusPlusConfig(
                height=2,
                width=2,
                levels=9,
                colours=3,
                channels=4,
                blocks=1,
                coarser=1,
                components=2,
                labels=LABELS,
            )
            return lively(PixelCNNPlusPlus, config)
        case _:
            raise AssertionError(f"there is no {name}")


def _sound(**changed: Any) -> Autoregressive:
    """Of kernel 3, 2 layers, and wider than a block."""
    config: dict[str, Any] = {
        "levels": 16,
        "sample_rate_hz": 1000,
        "residual": 5,
        "skip": 70,
        "depth": 2,
        "stacks": 1,
        "kernel": 3,
        "digits": LABELS,
        "speakers": ("ada", "bob"),
        "seconds": ((0.004, 0.008), (0.008, 0.004)),
        "hop": 4,
        "hats": 3,
        "encoder": 8,
    }
    return lively(WaveNet, WaveNetConfig(**{**config, **changed}))
