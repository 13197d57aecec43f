"""Tiny networks with random weights, one for each family and kind of conditioning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig
from ancestral.models.wavenet import WaveNet, WaveNetConfig

DIGITS = (0, 1, 2)
SPEAKERS = ("ada", "bob")


@dataclass(frozen=True)
class Case:
    """A network and requests that it understands, of different lengths where it can."""

    net: Autoregressive
    requests: tuple[Mapping[str, Any], ...]


def image_case(labelled: bool, seed: int = 0) -> Case:
    """5 rows, 6 columns, 7 grey levels."""
    labels = DIGITS if labelled else ()
    config = GatedPixelCNNConfig(
        height=5,
        width=6,
        levels=7,
        labels=labels,
        embedding=5,
        channels=8,
        layers=3,
        first_reach=2,
        head=12,
    )
    return Case(
        _lively(GatedPixelCNN, config, seed),
        tuple({"label": label} for label in labels) or ({},),
    )


def sound_case(speaker: bool, digit: bool, seed: int = 0) -> Case:
    """Up to 40 samples of 16 levels; a column of aligned features serves 4 samples."""
    config = WaveNetConfig(
        levels=16,
        sample_rate_hz=1000,
        residual=6,
        skip=10,
        depth=3,
        stacks=2,
        digits=DIGITS if digit else (),
        speakers=SPEAKERS if speaker else (),
        seconds=_seconds(speaker) if digit else (),
        hop=4,
        hats=3,
        encoder=8,
    )
    speakers = [{"speaker": name} for name in SPEAKERS] if speaker else [{}]
    digits: list[dict[str, Any]] = [{"seconds": 0.031}, {"seconds": 0.02}]
    if digit:
        digits = [{"digit": value} for value in DIGITS]
    return Case(_lively(WaveNet, config, seed), tuple({**s, **d} for s in speakers for d in digits))


def all_cases() -> dict[str, Case]:
    """Every family in every kind of conditioning, by name."""
    return {
        "gated_pixelcnn": image_case(labelled=False),
        "gated_pixelcnn by label": image_case(labelled=True),
        "wavenet": sound_case(speaker=False, digit=False),
        "wavenet by speaker": sound_case(speaker=True, digit=False),
        "wavenet by digit": sound_case(speaker=False, digit=True),
        "wavenet by both": sound_case(speaker=True, digit=True),
    }


def _seconds(speaker: bool) -> tuple[tuple[float, ...], ...]:
    return tuple(
        tuple(0.02 + 0.004 * (row + 2 * column) for column in range(len(DIGITS)))
        for row in range(len(SPEAKERS) if speaker else 1)
    )


def _lively(family: Any, config: Any, seed: int) -> Autoregressive:
    # Weights half as large again as a fresh network's, so that conditions and past matter.
    torch.manual_seed(seed)
    net: Autoregressive = family(config)
    for parameter in net.parameters():
        parameter.data.mul_(1.5)
    return net.eval()
