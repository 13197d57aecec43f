"""Slots are chosen from free memory: what a slot is said to take, and what it takes."""

from __future__ import annotations

import gc
from types import FunctionType, ModuleType

import pytest
import torch

from ancestral.models.sampling import budget
from ancestral.models.sampling.budget import (
    LONGEST_CHUNK_POSITIONS,
    MOST_SLOTS,
    TILES_SLOTS,
    slot_bytes,
    slots_for,
)
from ancestral.models.sampling.fused.executor import FusedExecutor
from ancestral.models.sampling.fused.groups import is_supported
from ancestral.models.sampling.graph.executor import GraphExecutor
from ancestral.models.sampling.native.executor import NativeExecutor
from ancestral.models.sampling.reference import TILE_SLOTS, ReferenceExecutor
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig
from tests.models.nets import all_cases

CASES = all_cases()


def bytes_behind(thing: object) -> int:
    """What all tensors take that can be reached from a thing."""
    waiting, met = [thing], dict[int, object]()
    storages: dict[int, int] = {}
    while waiting:
        found = waiting.pop()
        if id(found) in met or isinstance(found, type | ModuleType):
            continue
        met[id(found)] = found
        if isinstance(found, torch.Tensor):
            storage = found.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        elif isinstance(found, FunctionType):
            waiting += [cell.cell_contents for cell in found.__closure__ or ()]
        else:
            waiting += gc.get_referents(found)
    return sum(storages.values())


@pytest.mark.parametrize("name", CASES)
def test_a_tile_of_slots_takes_no_more_than_it_is_said_to(name: str) -> None:
    # Given a tile, and what there is besides slots: the weights, padded to 16 each way
    net = CASES[name].net
    program = net.program()
    weights = 8 * sum(p.nbytes for p in (*net.parameters(), *net.buffers()))
    tile = ReferenceExecutor(program, torch.device("cpu"), torch.float32).new_tile()

    # When
    taken = bytes_behind(tile) - weights

    # Then its slots take what was counted, but for those of a chunk, which are made when it runs
    said = TILE_SLOTS * slot_bytes(program, torch.float32)
    assert taken <= said


FUSED_CASES = [name for name, case in CASES.items() if is_supported(case.net.program())]


@pytest.mark.parametrize("name", FUSED_CASES)
def test_slots_of_the_fused_executor_take_no_more_than_they_are_said_to(name: str) -> None:
    program, dtype = CASES[name].net.program(), torch.bfloat16

    def taken(slots: int) -> int:
        return bytes_behind(
            FusedExecutor(program, "fused", slots=slots, device=torch.device("cpu"), dtype=dtype)
        )

    assert 0 < taken(128) - taken(64) <= 64 * slot_bytes(program, dtype)


def test_the_rings_of_a_sound_are_what_its_slots_take() -> None:
    # 10 layers of dilations 1 to 512 that keep 64 floats a sample: 1,023 x 64 floats, and little
    # beside them
    config = WaveNetConfig(sample_rate_hz=16_000, residual=64, skip=64, depth=10, stacks=1)
    program = WaveNet(config).program()
    rings = sum(grid.columns * grid.width for grid in program.grids)
    assert rings >= 1_023 * 64

    for dtype, each in ((torch.float32, 4), (torch.bfloat16, 2)):
        symbols = LONGEST_CHUNK_POSITIONS * (budget.SYMBOL_BYTES + 2 * each)
        beside = slot_bytes(program, dtype) - symbols - rings * each
        assert 0 < beside < 4 * (64 + 64 + 256) * 10 * each


def test_no_executor_goes_on_by_more_than_was_counted() -> None:
    for executor in (GraphExecutor, FusedExecutor, NativeExecutor, ReferenceExecutor):
        assert executor.chunk_positions <= LONGEST_CHUNK_POSITIONS


def test_slots_are_chosen_from_free_memory() -> None:
    program = CASES["wavenet"].net.program()
    each = slot_bytes(program, torch.float32)

    def chosen(free_slots: float) -> int:
        return slots_for(int(free_slots * each / budget.SHARE_OF_FREE) + 1, program, torch.float32)

    assert chosen(0) == 1
    assert chosen(10) == 10
    for tile in TILES_SLOTS:
        assert chosen(3 * tile + 5) == 3 * tile
    assert chosen(10 * MOST_SLOTS) == MOST_SLOTS
    assert slots_for(10**8, program, torch.bfloat16) > slots_for(10**8, program, torch.float32)
