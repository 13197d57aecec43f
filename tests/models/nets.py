"""Tiny networks with random weights, one for each family and kind of conditioning."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.darn import Darn
from ancestral.models.darn_config import DarnConfig
from ancestral.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig
from ancestral.models.linear import LinearAR, LinearConfig
from ancestral.models.made import Made, MadeConfig
from ancestral.models.pixelcnn import PixelCNN, PixelCNNConfig
from ancestral.models.pixelcnn_autoencoder import PixelCNNAutoencoder, PixelCNNAutoencoderConfig
from ancestral.models.pixelcnn_pp import PixelCNNPlusPlus, PixelCNNPlusPlusConfig
from ancestral.models.video_pixel import VideoPixel, VideoPixelConfig
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig

DIGITS = (0, 1, 2)
SPEAKERS = ("ada", "bob")


@dataclass(frozen=True)
class Case:
    """A network and requests that it understands, of different lengths where it can."""

    net: Autoregressive
    requests: tuple[Mapping[str, Any], ...]


def image_case(seed: int = 0, **asked: Any) -> Case:
    """5 rows, 6 columns, 7 grey levels; `asked` are labels, latent or map_shape."""
    config = GatedPixelCNNConfig(
        height=5,
        width=6,
        levels=7,
        embedding=5,
        channels=8,
        layers=3,
        first_reach=2,
        head=12,
        **asked,
    )
    net = lively(GatedPixelCNN, config, seed)
    return Case(net, tuple(random_fields(net.signature, seed) for seed in range(3)))


class Foreign(GatedPixelCNN):
    """Of a family that is not installed."""

    family: ClassVar[str] = "foreign"


def foreign_case() -> Case:
    """Grey images by label, of a network that can be saved, but not be built anew."""
    config = GatedPixelCNNConfig(height=5, width=6, levels=7, labels=DIGITS)
    return Case(lively(Foreign, config, 0), ({"label": DIGITS[0]},))


def sound_case(speaker: bool, digit: bool, components: int = 0, seed: int = 0) -> Case:
    """Up to 40 samples of 16 levels; a column of aligned features serves 4 samples."""
    config = WaveNetConfig(
        levels=16,
        components=components,
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
    return Case(lively(WaveNet, config, seed), tuple({**s, **d} for s in speakers for d in digits))


def speech_case(seed: int = 0) -> Case:
    """Texts of three letters in two voices; a column serves 4 samples."""
    config = WaveNetConfig(
        levels=16,
        sample_rate_hz=1000,
        residual=6,
        skip=10,
        depth=3,
        stacks=1,
        characters=" abc",
        speakers=SPEAKERS,
        front_end=6,
        hop=4,
        encoder=8,
    )
    return Case(
        lively(WaveNet, config, seed),
        tuple(
            {"text": text, "speaker": speaker}
            for text, speaker in (("a", "ada"), ("c b", "bob"), ("ab", "ada"))
        ),
    )


def random_fields(signature: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Fields that a network of that signature understands; neighbouring seeds differ in each."""
    generator = random.Random(seed)
    fields: dict[str, Any] = {}
    for name, field in signature["fields"].items():
        match field["type"]:
            case "category":
                fields[name] = field["values"][seed % len(field["values"])]
            case _ if field.get("default", 0) is None:
                fields[name] = None
            case "number":
                fields[name] = generator.uniform(field["minimum"], field["maximum"])
            case "vector":
                fields[name] = [generator.gauss(0, 1) for _ in range(field["length"])]
            case "map":
                fields[name] = [generator.gauss(0, 1) for _ in range(math.prod(field["shape"]))]
            case _:
                raise AssertionError(f"no random {field['type']}")
    return fields


def vector_case(family: Any, config: Any, *more: Mapping[str, Any]) -> Case:
    """A net of images whose requests are random fields, with `more` of them."""
    net = lively(family, config)
    fields = [random_fields(net.signature, seed) for seed in range(2)]
    return Case(net, (*fields, *({**fields[0], **each} for each in more)))


def series_case() -> Case:
    """Series of an order of 3 that swing for a while."""
    net = LinearAR(LinearConfig(order=3))
    with torch.no_grad():
        net.coefficients.copy_(torch.tensor([0.9, -0.5, 0.2]))
        net.mean.fill_(0.7)
        net.log_deviation.fill_(-0.3)
    return Case(net.eval(), ({"length": 20, "initial": None}, {"length": 31, "initial": [1, 2, 3]}))


@cache
def all_cases() -> Mapping[str, Case]:
    """Every family in every kind of conditioning, by name; all tests of a process share the nets,
    so that who changes one copies it."""
    small: dict[str, Any] = {"height": 4, "width": 4, "channels": 6}
    code = {"code": [1, 0, 1, 1, 0]}
    return {
        "linear": series_case(),
        "darn": vector_case(Darn, DarnConfig(3, 4, (), 5, 6, encoder=7), code),
        "darn with a local layer": vector_case(
            Darn, DarnConfig(3, 4, (), 5, 6, local=3, local_depth=2, reach=2, encoder=7), code
        ),
        "darn by label": vector_case(Darn, DarnConfig(3, 4, DIGITS, 5, 0, encoder=7), code),
        "made": vector_case(Made, MadeConfig(3, 4, 2, hidden=(15, 9))),
        "made of levels by label": vector_case(
            Made, MadeConfig(3, 4, 5, DIGITS, hidden=(15,), embedding=2)
        ),
        "pixelcnn": vector_case(PixelCNN, PixelCNNConfig(**small, levels=5, blocks=2)),
        "pixelcnn in colour by label": vector_case(
            PixelCNN, PixelCNNConfig(**small, levels=5, colours=3, labels=DIGITS, blocks=2, head=9)
        ),
        "gated_pixelcnn": image_case(),
        "gated_pixelcnn by label": image_case(labels=DIGITS),
        "gated_pixelcnn by latent": image_case(latent=3),
        "gated_pixelcnn by map": image_case(map_shape=(2, 5, 3)),
        "pixelcnn_pp": vector_case(
            PixelCNNPlusPlus, PixelCNNPlusPlusConfig(**small, levels=7, components=2)
        ),
        "pixelcnn_pp in colour by label and latent": vector_case(
            PixelCNNPlusPlus,
            PixelCNNPlusPlusConfig(
                **small, levels=7, components=2, colours=3, labels=DIGITS, latent=2, coarser=1
            ),
        ),
        "pixelcnn_autoencoder": vector_case(
            PixelCNNAutoencoder,
            PixelCNNAutoencoderConfig(**small, levels=5, layers=2, latent=3, encoder=(4,)),
        ),
        "wavenet": sound_case(speaker=False, digit=False),
        "wavenet by speaker": sound_case(speaker=True, digit=False),
        "wavenet by digit": sound_case(speaker=False, digit=True),
        "wavenet by both": sound_case(speaker=True, digit=True),
        "wavenet by text and speaker": speech_case(),
        "wavenet mixture by both": sound_case(speaker=True, digit=True, components=3),
        "video_pixel": vector_case(
            VideoPixel,
            VideoPixelConfig(
                3, 3, 4, frames=3, labels=DIGITS, encoder_channels=4, encoder_layers=2, channels=4,
                layers=2,
            ),
        ),
    }  # fmt: skip


def _seconds(speaker: bool) -> tuple[tuple[float, ...], ...]:
    return tuple(
        tuple(0.02 + 0.004 * (row + 2 * column) for column in range(len(DIGITS)))
        for row in range(len(SPEAKERS) if speaker else 1)
    )


def lively(family: Any, config: Any, seed: int = 0) -> Autoregressive:
    """A network with weights half as large again as a fresh one's: conditions and past matter."""
    torch.manual_seed(seed)
    net: Autoregressive = family(config)
    for parameter in net.parameters():
        parameter.data.mul_(1.5)
    return net.eval()
