"""Nothing is computed twice: the products of an event are counted in three ways that must agree.

By a closed form written from a network's sizes alone; by what its program declares; and by
listening to torch while the reference executor draws an event.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ancestral.models.darn_config import DarnConfig
from ancestral.models.gated_pixelcnn import GatedPixelCNNConfig
from ancestral.models.linear import LinearConfig
from ancestral.models.made import Made, MadeConfig
from ancestral.models.pixelcnn import PixelCNNConfig
from ancestral.models.pixelcnn_pp import PixelCNNPlusPlusConfig
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.grid_memory import padded_width
from ancestral.models.sampling.ops import ByColumn, Dense, Read, Source, Window, width_at
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.reference import TILE_SLOTS, ReferenceTile
from ancestral.models.sampling.tile import Start
from ancestral.models.video_pixel import VideoPixelConfig
from ancestral.models.wavenet_config import WaveNetConfig
from tests.models.nets import Case, all_cases, lively

CASES = all_cases()


def linear(config: LinearConfig, values: int) -> int:
    """A mean and a deviation, each from as many values as the order says."""
    return values * 2 * config.order


def darn(config: DarnConfig, bits: int) -> int:
    """Each bit adds to every later one; the deterministic layer reads the code once, and adds to
    each pixel once; the local layer reads the code once, and at each pixel those before it nearby,
    as far as they lie on the image; its deeper layers read the one before at each bit."""
    code, units, pixels = config.code, config.deterministic, config.height * config.width
    assert bits == code + pixels
    near = sum(
        abs(row - other_row) <= config.reach and abs(column - other_column) <= config.reach
        for row, column in places(config)
        for other_row, other_column in places(config)
        if (other_row, other_column) < (row, column)
    )
    between = bits * (bits - 1) // 2 + units * (code + pixels)
    deeper = bits * config.local**2 * (config.local_depth - 1)
    return between + config.local * (code + near + pixels) + deeper


def places(config: DarnConfig) -> Iterator[tuple[int, int]]:
    return itertools.product(range(config.height), range(config.width))


def made(config: MadeConfig, pixels: int) -> int:
    """A unit of degree m reads pixels before m and units of degrees up to m, and the parameters of
    pixel d read units of degrees up to d and pixels before d."""
    parameters = 1 if config.levels == 2 else config.levels
    first, *others = ([unit * pixels // size for unit in range(size)] for size in config.hidden)
    total = sum(degree * config.embedding for degree in first)
    last = first
    for layer in others:
        total += sum(below <= above for below in last for above in layer)
        last = layer
    total += sum(pixels - degree for degree in last) * parameters
    if config.direct:
        total += pixels * (pixels - 1) // 2 * config.embedding * parameters
    return total


def pixelcnn(config: PixelCNNConfig, pixels: int) -> int:
    h, colours = config.channels, config.colours

    def convolution(inputs: int, outputs: int, reach: int, own_colours: int) -> int:
        """The whole of each pixel before, and so many pairs of colours at the pixel."""
        seen = reach * (2 * reach + 1) + reach
        return inputs * outputs * seen + inputs * outputs * own_colours // colours**2

    mask_a, mask_b = colours * (colours - 1) // 2, colours * (colours + 1) // 2
    block = (
        convolution(2 * h, h, 0, mask_b)
        + convolution(h, h, config.reach, mask_b)
        + convolution(h, 2 * h, 0, mask_b)
    )
    return pixels * (
        convolution(colours, 2 * h, config.first_reach, mask_a)
        + config.blocks * block
        + convolution(2 * h, config.head, 0, mask_b)
        + convolution(config.head, colours * config.levels, 0, mask_b)
    )


def gated_pixelcnn(config: GatedPixelCNNConfig, pixels: int) -> int:
    return pixels * two_stacks(config, reach=config.reach)


def two_stacks(config: GatedPixelCNNConfig | VideoPixelConfig, reach: int) -> int:
    """A pixel of the vertical stack, the horizontal one, and the head."""
    channels, far, later = config.channels, config.first_reach, config.layers - 1
    vertical = far * (2 * far + 1) * config.embedding + later * 2 * (2 * reach + 1) * channels
    horizontal = far * config.embedding + later * (reach + 1) * channels
    return (
        (vertical + horizontal) * 2 * channels
        + config.layers * (2 * channels * 2 * channels + channels * config.head)
        + later * channels * channels
        + config.head * (config.head + config.levels)
    )


def pixelcnn_pp(config: PixelCNNPlusPlusConfig, pixels: int) -> int:
    channels, planes, mixture = config.channels, config.colours + 1, config.components
    total = pixels * planes * channels * (2 * 3 + 3 + 1)
    for columns, columns_up, beside in ((3, 2, 0), (2, 1, 1)):
        box = 2 * columns * 2 * channels
        for level in range(config.coarser + 1):
            cells, is_coarsest = pixels // 4**level, level == config.coarser
            downward, upward = config.blocks, config.blocks + (not is_coarsest)
            shortcuts = downward * beside + upward * (beside + 1)
            total += cells * (downward + upward) * box * (channels + 2 * channels)
            total += cells * shortcuts * 2 * channels * channels
            total += cells * box * channels if level else 0
            total += 0 if is_coarsest else cells * columns_up * 2 * channels * channels
    raw = (3 if config.colours == 1 else 10) * mixture
    # The values of a pixel, and the one that tells it from the edge, are put side by side by a
    # product.
    return total + pixels * (2 * channels * raw + config.colours * planes)


def wavenet(config: WaveNetConfig, samples: int) -> int:
    residual, skip, layers = config.residual, config.skip, config.depth * config.stacks
    seen = 1 if config.components else residual
    outputs = 3 * config.components or config.levels
    return samples * (
        config.input_reach * seen * residual
        + layers * (config.kernel * residual * 2 * residual + residual * skip)
        + (layers - 1) * residual * residual
        + skip * skip
        + skip * outputs
    )


def video_pixel(config: VideoPixelConfig, pixels: int) -> int:
    """A pixel of a frame costs one of the encoder, and one of the decoder with its features."""
    channels, side = config.encoder_channels, 2 * config.encoder_first_reach + 1
    first = config.encoder_first_frames * side * side * config.embedding * 2 * channels
    later = (config.encoder_layers - 1) * 2 * 3 * 3 * channels * 2 * channels
    encoder = first + later + config.encoder_layers * channels * channels
    features = config.layers * channels * 2 * config.channels
    return pixels * (encoder + features + two_stacks(config, reach=1))


CLOSED_FORMS: Mapping[str, Callable[[Any, int], int]] = {
    "linear": linear,
    "darn": darn,
    "made": made,
    "pixelcnn": pixelcnn,
    "gated_pixelcnn": gated_pixelcnn,
    "pixelcnn_pp": pixelcnn_pp,
    "pixelcnn_autoencoder": gated_pixelcnn,
    "wavenet": wavenet,
    "video_pixel": video_pixel,
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_an_event_costs_what_the_networks_sizes_say(case: Case) -> None:
    program, config = case.net.program(), case.net.config
    closed_form = CLOSED_FORMS[case.net.family]
    for fields in case.requests:
        positions = math.prod(case.net.event_shape(fields)) // program.channels
        declared = positions * program.multiply_adds_per_step
        assert declared == pytest.approx(closed_form(config, positions), rel=1e-12)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_executor_multiplies_no_more_than_the_program_declares(case: Case) -> None:
    # Given an event in a slot
    net, fields = case.net, case.requests[-1]
    program = net.program()
    tile = ReferenceTile(program, torch.device("cpu"), torch.float32)
    length = math.prod(net.event_shape(fields))
    with torch.no_grad():
        projection = net.project(net.conditions(fields))
    tile.admit(0, Start(projection, length, seed=0, sample=0, settings=Settings()))

    # When it is drawn
    with torch.no_grad(), Products() as products:
        tile.run(tile.positions_to_end)

    # Then each slot saw every declared product once, in widths filled up to whole lanes
    assert products.count == TILE_SLOTS * padded_products(program, length // program.channels)


@pytest.mark.parametrize("hidden", [(40,), (33, 21)], ids=str)
def test_made_touches_the_weights_that_its_masks_let_through_and_no_other(
    hidden: tuple[int, ...],
) -> None:
    net = lively(Made, MadeConfig(4, 5, 2, hidden=hidden))
    assert isinstance(net, Made) and net.direct is not None
    masks = [layer.mask for layer in (*net.layers, net.outputs, net.direct)]
    per_event = 20 * net.program().multiply_adds_per_step
    assert per_event == pytest.approx(sum(float(mask.sum()) for mask in masks))


class Products(TorchDispatchMode):
    """Counts the multiply-adds of all matrix products while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func.overloadpacket.__name__.rstrip("_")
        if name in ("mm", "addmm"):
            left, right = args[:2] if name == "mm" else args[1:3]
            self.count += left.shape[0] * left.shape[1] * right.shape[1]
        assert name not in ("bmm", "baddbmm", "convolution", "dot", "mv", "addmv"), name
        return func(*args, **(kwargs or {}))


def padded_products(program: StepProgram, positions: int) -> int:
    """Products of one slot and event, when every width is filled up to whole lanes."""
    total = 0
    for op, when in program.placed_ops():
        if not isinstance(op, Dense | ByColumn):
            continue
        if isinstance(op, Dense):
            times = positions // (when.row_step * when.column_step)
            total += times * padded(op, 0)
        else:
            assert program.rows == 1 and program.columns == positions
            total += sum(padded(op, c) for c in range(when.column, positions, when.column_step))
    return total


def padded(op: Dense | ByColumn, column: int) -> int:
    def width(place: Source) -> int:
        holder = place.grid if isinstance(place, Read) else place
        parts = 1 if isinstance(holder, Window) else holder.parts
        return padded_width(width_at(place, column), parts)

    return sum(map(width, op.sources)) * width(op.target)
