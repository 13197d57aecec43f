"""Our sampler in the form in which `benchmarks/sampling.py --peer FILE` takes others:

    wavenet(shape, batch) -> gen        gen(steps) draws `steps` samples of `batch` sounds
    pixel(batch, hw, width, depth)      sample() draws `batch` images of hw x hw pixels from a
        -> sample                       network `width` channels wide and `depth` layers deep

`shape` has the attributes layers (of all stacks), stacks, res, gate, skip, head, classes, kernel
and dilations. As many threads are used as torch has been given
(by the native executor; the reference has one). A peer may lack either function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from ancestral.models import Autoregressive
from ancestral.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig
from ancestral.models.sampling import native
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig

SAMPLE_RATE_HZ = 16000
LONGEST_SAMPLES = 10_000_000


class Shape(Protocol):
    """A WaveNet: `gate` counts both halves, `head` is the width of the two layers at the end."""

    layers: int
    stacks: int
    res: int
    gate: int
    skip: int
    head: int
    classes: int
    kernel: int
    dilations: Sequence[int]


def wavenet(shape: Shape, batch: int) -> Callable[[int], np.ndarray]:
    """gen(steps) gives symbols (batch, steps). Raises ValueError for a shape that ours has not."""
    config = WaveNetConfig(
        sample_rate_hz=SAMPLE_RATE_HZ,
        max_length=LONGEST_SAMPLES,
        levels=shape.classes,
        residual=shape.res,
        skip=shape.skip,
        kernel=shape.kernel,
        depth=shape.layers // shape.stacks,
        stacks=shape.stacks,
        input_reach=1,
    )
    if (shape.gate, shape.head) != (2 * shape.res, shape.skip):
        raise ValueError("a gate is twice as wide as the residual path, and the head as the skips")
    # Some name the dilations of all layers, some those of one stack.
    if tuple(shape.dilations) not in (config.dilations, config.dilations[: config.depth]):
        raise ValueError(f"the dilations are {config.dilations}, not {tuple(shape.dilations)}")
    draw = _drawing(WaveNet(config), batch)
    return lambda steps: draw({"seconds": steps / SAMPLE_RATE_HZ})


def pixel(batch: int, hw: int, width: int, depth: int) -> Callable[[], np.ndarray]:
    """sample() gives images (batch, hw, hw) of a Gated PixelCNN over bits."""
    config = GatedPixelCNNConfig(
        hw, hw, levels=2, embedding=2, channels=width, layers=depth, dilation_cycle=1, head=32
    )
    draw = _drawing(GatedPixelCNN(config), batch)
    return lambda: draw({})


def _drawing(net: Autoregressive, batch: int) -> Callable[[Mapping[str, Any]], np.ndarray]:
    """Draws `batch` events for the same fields, others at each call, from one warm sampler."""
    threads = torch.get_num_threads() if native.available() else 1
    sampler = Sampler(net, slots=batch, threads=threads)
    calls = 0

    def draw(fields: Mapping[str, Any]) -> np.ndarray:
        nonlocal calls
        requests = [SampleRequest(row, fields, seed=calls, sample=row) for row in range(batch)]
        calls += 1
        drawn = {sample.key: sample.symbols for sample in sampler.sample(requests)}
        return np.stack([drawn[row] for row in range(batch)])

    return draw
