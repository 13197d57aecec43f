"""The functions of a kernel's text, in plain torch, on any device: `kernels.py` and `draws.py`
without a GPU.

A slot's floats are those of the kernel: blocks of a power of two of lanes, products with the
weights' dtype, sums in float32.

Shapes: S slots of a tile, W floats of a block in L lanes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ancestral.models.sampling.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    LogisticMixture,
    colour_mixture,
)
from ancestral.models.sampling.draw import SettingsBatch
from ancestral.models.sampling.fused.tables import UNIT
from ancestral.models.sampling.philox import uniform as philox_uniform

#: The words that a text may use, by name.
WORDS: dict[str, Any] = {"range": range}


def _word(function: Callable[..., Any]) -> Callable[..., Any]:
    WORDS[function.__name__] = function
    return function


@_word
def slots_of(tile: int, slots: int) -> Tensor:
    return tile * slots + torch.arange(slots)


@_word
def scalar(pointer: Tensor, index: int) -> int:
    return int(pointer[index])


@_word
def number(numbers: Tensor, index: int) -> int:
    return int(numbers[index])


@_word
def each(pointer: Tensor, here: Tensor) -> Tensor:
    return pointer[here]


@_word
def leave(pointer: Tensor, here: Tensor, value: Tensor) -> None:
    pointer[here] = value


@_word
def positions_left(positions: int, left: Tensor) -> int:
    return min(positions, max(int(left.max()), 0))


@_word
def barrier() -> None:
    """One thread waits for nobody."""


@_word
def zeros(here: Tensor, lanes: int) -> Tensor:
    return torch.zeros(len(here), lanes, device=here.device)


@_word
def sound_cell(
    clock: int, age: Tensor, numbers: Tensor, at: int, column_stride: int, floats: int
) -> tuple[int, Tensor]:
    start, columns, dx = numbers[at : at + 3].tolist()
    column = (clock // column_stride + dx) % columns
    return start * UNIT + column * floats, age // column_stride + dx >= 0


@_word
def image_cell(
    row: int,
    column: int,
    event_row: Tensor,
    numbers: Tensor,
    at: int,
    row_stride: int,
    column_stride: int,
    cells: int,
    floats: int,
) -> tuple[int, Tensor]:
    start, rows, columns, dy, dx = numbers[at : at + 5].tolist()
    read_row, read_column = (row // row_stride + dy) % rows, column // column_stride + dx
    seen = (event_row // row_stride + dy >= 0) & (0 <= read_column < cells)
    return start * UNIT + (read_row * columns + read_column % columns) * floats, seen


@_word
def take(
    grids: Tensor, memory: Tensor, cell: int, seen: Tensor, start: int, width: int, lanes: int
) -> Tensor:
    read = _rows(grids, memory + cell + start, width)
    return F.pad(torch.where(seen.unsqueeze(1), read, 0.0), (0, lanes - width))


@_word
def put(
    grids: Tensor, memory: Tensor, cell: int, x: Tensor, start: int, width: int, lanes: int
) -> None:
    where = (memory + cell + start).unsqueeze(1) + torch.arange(width, device=memory.device)
    grids[where] = x[:, :width].to(grids.dtype)


@_word
def row_of(pointer: Tensor, own: Tensor, first: int, width: int, lanes: int) -> Tensor:
    return F.pad(_rows(pointer, own + first, width), (0, lanes - width))


@_word
def bias_row(floats: Tensor, first: int, here: Tensor, width: int, lanes: int) -> Tensor:
    row = F.pad(floats[first : first + width], (0, lanes - width))
    return row.expand(len(here), -1)


@_word
def weights_of(weights: Tensor, first: int, inputs: int, outputs: int) -> Tensor:
    return weights[first : first + inputs * outputs].view(inputs, outputs)


@_word
def dot(x: Tensor, weight: Tensor, total: Tensor) -> Tensor:
    return total + x.to(weight.dtype).float() @ weight.float()


@_word
def gate(signal: Tensor, opening: Tensor) -> Tensor:
    return torch.tanh(signal) * torch.sigmoid(opening)


@_word
def opened(signal: Tensor, opening: Tensor) -> Tensor:
    return signal * torch.sigmoid(opening)


WORDS |= {"relu": torch.relu, "tanh": torch.tanh, "elu": F.elu}


@_word
def value(symbol: Tensor, scale: float, shift: float, lanes: int) -> Tensor:
    return F.pad((symbol.float() * scale + shift).unsqueeze(1), (0, lanes - 1))


@_word
def keep(
    scratch: Tensor, parameters: Tensor, start: int, x: Tensor, width: int, lanes: int
) -> None:
    put(scratch, parameters, 0, x, start, width, lanes)


@_word
def uniform(seed: Tensor, sample: Tensor, age: Tensor, channel: int) -> Tensor:
    return philox_uniform(seed, sample, age.long(), channel)


@_word
def draw_level(
    scratch: Tensor,
    parameters: Tensor,
    start: int,
    u: Tensor,
    temperature: Tensor,
    top_k: Tensor,
    top_p: Tensor,
    truncated: int,
    levels: int,
    lanes: int,
    one_logit: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    law: Distribution = Bernoulli() if one_logit else Categorical(levels)
    told = _rows(scratch, parameters + start, law.parameters)
    return _draw(law, told, u, temperature, top_k, top_p, truncated)


@_word
def draw_mixture(
    scratch: Tensor,
    parameters: Tensor,
    start: int,
    u: Tensor,
    temperature: Tensor,
    top_k: Tensor,
    top_p: Tensor,
    truncated: int,
    components: int,
    component_lanes: int,
    levels: int,
    lanes: int,
    halved: int,
    smallest_log_scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    law = LogisticMixture(levels, components)
    told = _rows(scratch, parameters + start, law.parameters)
    return _draw(law, told, u, temperature, top_k, top_p, truncated)


@_word
def mix_colours(
    scratch: Tensor,
    parameters: Tensor,
    raw: int,
    target: int,
    first: Tensor,
    second: Tensor,
    colour: int,
    components: int,
    component_lanes: int,
    levels: int,
    smallest_log_scale: float,
) -> None:
    law = LogisticMixture(levels, components)
    told = _rows(scratch, parameters + raw, 10 * components)
    earlier = torch.stack([first, second], dim=1)[:, :colour]
    mixture = colour_mixture(told, earlier, law)
    put(scratch, parameters, 0, mixture, target, law.parameters, law.parameters)


@_word
def known(
    place: Tensor,
    is_given: Tensor,
    given: Tensor,
    forced: int,
    symbol: Tensor,
    own_nats: Tensor,
) -> tuple[Tensor, Tensor]:
    if not forced:
        return symbol, own_nats
    told = is_given[place] != 0
    return torch.where(told, given[place], symbol), torch.where(told, 0.0, own_nats)


@_word
def count(
    nats: Tensor,
    bads: Tensor,
    here: Tensor,
    own_nats: Tensor,
    finite: Tensor,
    alive: Tensor,
    k: int,
) -> None:
    nats[here] += torch.where(alive, own_nats, 0.0).double()
    bads[here] = torch.where((bads[here] < 0) & alive & ~finite, k, bads[here])


def _rows(pointer: Tensor, first: Tensor, width: int) -> Tensor:
    """So many floats of each slot, (S, width)."""
    return pointer[first.unsqueeze(1) + torch.arange(width, device=first.device)].float()


def _draw(
    law: Distribution,
    parameters: Tensor,
    u: Tensor,
    temperature: Tensor,
    top_k: Tensor,
    top_p: Tensor,
    truncated: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Symbols, their nats under the unadjusted law, and whether all parameters were finite."""
    settings = SettingsBatch(temperature.unsqueeze(1), None, None)
    if truncated:
        settings = SettingsBatch(temperature.unsqueeze(1), top_k.unsqueeze(1), top_p.unsqueeze(1))
    symbol = law.draw(parameters, u, settings)
    nats = law.log_prob(parameters, symbol)
    return symbol.int(), nats, torch.isfinite(parameters.sum(1))
