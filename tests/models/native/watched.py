"""What the native executor computes inside: the parameters from which it draws, and its memory.

A program can be watched without a change to the executor: it is given one op more for each draw,
which remembers the parameters of every position, and what is remembered can be asked for.

    ... Dense → logits │ Write(logits, seen) │ Draw(logits) ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.native import library
from ancestral.models.sampling.native.executor import NativeExecutor
from ancestral.models.sampling.ops import Draw, Grid, Op, When, Write
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.tile import Memory, Start
from ancestral.models.sampling.torch_state import single_threaded

#: Slots of a sampler whose units are of one slot, and of 16.
NARROW, WIDE = 1, 16


def executor_of(
    program: StepProgram,
    *,
    slots: int,
    dtype: torch.dtype = torch.float32,
    build: str | None = None,
) -> NativeExecutor:
    """The native executor of a program, by the best build if none is named."""
    return NativeExecutor(program, library.load(build), slots=slots, dtype=dtype)


@torch.inference_mode()
def start_of(
    net: Autoregressive, fields: Mapping[str, Any], prefix: Tensor | None, *, positions: int = 0
) -> Start:
    """An event of these fields that goes on for so many positions after its prefix."""
    with single_threaded():
        projection = net.project(net.conditions(fields))
    given = 0 if prefix is None else len(prefix)
    return Start(projection, given + positions * net.channels, 7, 0, Settings(), prefix)


@torch.inference_mode()
def stepped_memory(executor: NativeExecutor, start: Start, symbols: int) -> Memory:
    """What is remembered after so many symbols of a prefix, taken in one position at a time."""
    tile = executor.new_tile()
    tile.admit(0, start)
    executor.run([([tile], symbols // tile.program.channels)])
    return tile.memory(0)


def watched(program: StepProgram, positions: int) -> tuple[StepProgram, tuple[Grid, ...]]:
    """The program, which remembers the parameters of so many positions, and where: a grid for each
    channel."""
    seen = []
    step: list[Op | When] = []
    for item in program.step:
        if isinstance(item, Draw):
            width, parts = item.parameters.width, item.parameters.parts
            grid = Grid(1, positions, width, parts)
            if program.rows is not None and program.columns is not None:
                frames = positions // (program.rows * program.columns)
                grid = Grid(program.rows, program.columns, width, parts, frames)
            seen.append(grid)
            step.append(Write(item.parameters, grid))
        step.append(item)
    return replace(program, step=tuple(step)), tuple(seen)


def parameters_seen(memory: Memory, program: StepProgram, seen: Sequence[Grid]) -> Tensor:
    """The parameters (P, T) of a watched program's memory, in the order of drawing."""
    places = [program.grids.index(grid) for grid in seen]
    by_channel = [memory.grids[place].flatten(0, 2) for place in places]
    return torch.stack(by_channel, dim=1).flatten(0, 1).t()


@torch.inference_mode()
def stepped_parameters(
    net: Autoregressive,
    requests: Sequence[Mapping[str, Any]],
    events: Sequence[Tensor],
    *,
    slots: int,
    dtype: torch.dtype = torch.float32,
) -> list[Tensor]:
    """The parameters (P, T) of given events of equal length, drawn side by side in one tile if
    units are wide, each in one of its own if they are not."""
    plain, length = net.program(), events[0].numel()
    program, seen = watched(plain, length // net.channels)
    executor = executor_of(program, slots=slots, dtype=dtype)
    tiles = [executor.new_tile()]
    if slots == NARROW:
        tiles += [executor.new_tile() for _ in events[1:]]
    places = []
    for number, (fields, x) in enumerate(zip(requests, events, strict=True)):
        tile, slot = (tiles[0], number) if slots == WIDE else (tiles[number], 0)
        # A period more than is looked at, so that nobody leaves.
        tile.admit(slot, start_of(net, fields, x.flatten(), positions=plain.period))
        places.append((tile, slot))
    executor.run([(tiles, length // net.channels)])
    return [parameters_seen(tile.memory(slot), program, seen) for tile, slot in places]
