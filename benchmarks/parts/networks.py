"""The networks that are timed, how many slots draw from each, and what is expected.

Speed does not depend on the weights, so they are random.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from ancestral.models.autoregressive import Autoregressive, Conditions
from ancestral.models.darn import Darn
from ancestral.models.darn_config import binarized_mnist as darn_of_mnist
from ancestral.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig, digits20
from ancestral.models.made import Made, MadeConfig
from ancestral.models.pixelcnn_pp import PixelCNNPlusPlus, PixelCNNPlusPlusConfig
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig, spoken_digits
from parts.masked_net import MaskedNet, MaskedNetConfig

#: Samples of a timed sound: long enough to hold several windows.
SOUND_SAMPLES = 32_000
#: The same with local conditioning, each column of which is kept for each slot.
CONDITIONED_SAMPLES = 8_000

_DIGITS = tuple(range(10))
_SPEAKERS = ("one", "two", "three", "four")

#: The network of the WaveNet rows: 30 layers, dilations 1 to 512, 1,236,992 multiply-adds a sample.
WAVENET = WaveNetConfig(
    max_length=SOUND_SAMPLES,
    sample_rate_hz=16000,
    residual=64,
    skip=256,
    depth=10,
    stacks=3,
    input_reach=1,
)

#: The same, asked for a digit (local conditioning) in a speaker's voice (global conditioning).
CONDITIONED_WAVENET = replace(
    WAVENET,
    digits=_DIGITS,
    speakers=_SPEAKERS,
    seconds=((CONDITIONED_SAMPLES / WAVENET.sample_rate_hz,) * len(_DIGITS),) * len(_SPEAKERS),
    hop=80,
)


@dataclass(frozen=True)
class Target:
    """What a row should reach: so much a second, such a share of the multiply-add ceiling, or such
    a ratio to the row that it is compared with."""

    per_second: float | None = None
    share_of_multiply_add: float | None = None
    ratio: float | None = None


@dataclass(frozen=True)
class Variant:
    """One row of a network. `compared_with` names another row that `ratio` is to."""

    slots: int
    dtype: str = "float32"
    executor: Literal["auto", "native", "reference"] = "auto"
    threads: int = 1
    target: Target = field(default_factory=Target)
    compared_with: tuple[str, Variant] | None = None


@dataclass(frozen=True)
class Network:
    """`fields(n)` asks for the n-th event."""

    name: str
    unit: Literal["samples", "images", "vectors"]
    build: Callable[[], Autoregressive]
    variants: tuple[Variant, ...]
    fields: Callable[[int], Mapping[str, Any]] = lambda number: {}

    def fresh(self) -> Autoregressive:
        """The network, in evaluation mode."""
        torch.manual_seed(0)
        return self.build().eval()

    def symbols_per_unit(self, net: Autoregressive) -> int:
        """Symbols of an image or a vector; a sample is one."""
        if self.unit == "samples":
            return 1
        return math.prod(net.event_shape(self.fields(0)))

    def naive_pass(self, net: Autoregressive) -> tuple[Tensor, Conditions]:
        """What a sampler without a cache passes forward for each symbol: a batch of one event, or
        of as much of a sound as its last sample can see, and its conditions."""
        fields = self.fields(0)
        if not isinstance(net, WaveNet):
            return torch.zeros(1, *net.event_shape(fields), dtype=torch.int64), net.conditions(
                fields
            )
        config, hop = net.config, net.asked.hop
        seen = config.input_reach + (config.kernel - 1) * sum(config.dilations)
        samples = min(net.asked.length(fields), math.ceil(seen / hop) * hop)
        conditions = net.asked.recorded(fields, torch.zeros(samples))
        return torch.zeros(1, samples, dtype=torch.int64), conditions


def _one_thread(slots: int, per_second: float, share: float | None = None) -> Variant:
    return Variant(slots, target=Target(per_second, share))


def _bfloat16(slots: int, per_second: float | None = None) -> Variant:
    return Variant(slots, dtype="bfloat16", executor="native", target=Target(per_second))


def _wavenet_variants() -> tuple[Variant, ...]:
    full = _one_thread(256, 75_000, 0.78)
    return (
        _one_thread(1, 9_000),
        _one_thread(16, 66_000, 0.70),
        _one_thread(64, 75_000, 0.78),
        full,
        _one_thread(1024, 75_000, 0.78),
        replace(full, threads=2, target=Target(ratio=1.9), compared_with=("wavenet", full)),
        _bfloat16(1),
        _bfloat16(16),
        _bfloat16(64),
        _bfloat16(256, 120_000),
        _bfloat16(1024, 120_000),
        Variant(64, executor="reference"),
        Variant(256, executor="reference", target=Target(20_000)),
    )


def _conditioned_variants() -> tuple[Variant, ...]:
    plain = {variant.slots: variant for variant in _wavenet_variants()[:5]}
    return tuple(
        Variant(slots, target=Target(ratio=0.85), compared_with=("wavenet", plain[slots]))
        for slots in (64, 256)
    )


def _pixelcnn_pp(colours: int) -> PixelCNNPlusPlus:
    return PixelCNNPlusPlus(
        PixelCNNPlusPlusConfig(
            28, 28, levels=256, colours=colours, channels=40, blocks=5, coarser=2, components=10
        )
    )


NETWORKS = (
    Network(
        "wavenet",
        "samples",
        lambda: WaveNet(WAVENET),
        _wavenet_variants(),
        lambda number: {"seconds": SOUND_SAMPLES / WAVENET.sample_rate_hz},
    ),
    Network(
        "wavenet-conditioned",
        "samples",
        lambda: WaveNet(CONDITIONED_WAVENET),
        _conditioned_variants(),
        lambda number: {
            "digit": _DIGITS[number % len(_DIGITS)],
            "speaker": _SPEAKERS[number % len(_SPEAKERS)],
        },
    ),
    Network(
        "gated_pixelcnn",
        "images",
        lambda: GatedPixelCNN(
            GatedPixelCNNConfig(
                28, 28, levels=2, embedding=2, channels=128, layers=11, dilation_cycle=1, head=32
            )
        ),
        (_one_thread(16, 25),),
    ),
    Network(
        "masked_net",
        "images",
        lambda: MaskedNet(MaskedNetConfig(28, 28)),
        (_one_thread(16, 60),),
    ),
    Network("pixelcnn_pp", "images", lambda: _pixelcnn_pp(1), (_one_thread(16, 45),)),
    Network("pixelcnn_pp-colour", "images", lambda: _pixelcnn_pp(3), (_one_thread(16, 45),)),
    Network(
        "made",
        "vectors",
        lambda: Made(MadeConfig(28, 28, hidden=(8000,), direct=False)),
        (_one_thread(64, 4_000),),
    ),
    Network("darn", "vectors", lambda: Darn(darn_of_mnist()), (Variant(64),)),
    Network(
        "digits",
        "images",
        lambda: GatedPixelCNN(digits20()),
        (Variant(64), Variant(256), Variant(64, executor="reference")),
        lambda number: {"label": number % 10},
    ),
    Network(
        "spoken-digits",
        "samples",
        lambda: WaveNet(spoken_digits(("one",), ((0.8,) * 10,))),
        (Variant(64), Variant(256), Variant(64, executor="reference")),
        lambda number: {"digit": number % 10, "speaker": "one"},
    ),
)
