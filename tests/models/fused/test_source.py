"""Kernels as text."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ancestral.models.sampling.fused.groups import is_supported
from ancestral.models.sampling.fused.launch import kernel_function
from ancestral.models.sampling.fused.source import KernelSource, kernel_source
from ancestral.models.sampling.fused.state import State
from ancestral.models.sampling.fused.twin import WORDS
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig
from tests.models.nets import all_cases

CASES = {name: case for name, case in all_cases().items() if is_supported(case.net.program())}
CONFIG = WaveNetConfig(levels=16, sample_rate_hz=1000, residual=6, skip=10, depth=5, stacks=2)


def _wavenet(config: WaveNetConfig) -> KernelSource:
    return kernel_source(WaveNet(config).eval().program(), 16)


def test_a_deeper_network_has_no_longer_text() -> None:
    # Given networks of 10 and of 50 layers
    short, long = _wavenet(CONFIG), _wavenet(replace(CONFIG, stacks=10))
    # Then the text differs in how often a loop runs, and the tables in how long they are
    assert len(short.text.splitlines()) == len(long.text.splitlines())
    assert "for _ in range(0, 8):" in short.text and "for _ in range(0, 48):" in long.text
    assert len(long.numbers) > 4 * len(short.numbers)


@pytest.mark.parametrize("name", CASES, ids=lambda name: name.replace(" ", "-"))
def test_every_number_of_the_table_is_read(name: str) -> None:
    # Given a kernel whose reading is watched
    program = CASES[name].net.program()
    source = kernel_source(program, 16)
    positions = (program.rows or 1) * (program.columns or 4)
    read: set[int] = set()

    def number(table: torch.Tensor, at: int) -> int:
        read.add(at)
        return int(table[at])

    def sound_cell(clock: object, age: object, table: object, at: int, *_: int) -> object:
        read.update(range(at, at + 3))
        return 0, torch.zeros(16, dtype=torch.bool)

    def image_cell(
        row: object, column: object, event_row: object, table: object, at: int, *_: int
    ) -> object:
        read.update(range(at, at + 5))
        return 0, torch.zeros(16, dtype=torch.bool)

    watched = {"number": number, "sound_cell": sound_cell, "image_cell": image_cell}
    words = {**WORDS, **watched, "program_number": lambda: 0}
    state = State(program, source, 16, 16, positions, torch.device("cpu"), torch.float32)
    state.lengths[:] = positions
    # When it draws an event
    kernel_function(source.text, words)(**state.arguments([0], positions, None))
    # Then it read every number, and none behind them
    assert read == set(range(len(source.numbers) - 1))
