"""What runs together."""

from __future__ import annotations

import torch

from ancestral.models.sampling.distributions import Categorical
from ancestral.models.sampling.fused.groups import Groups, is_supported
from ancestral.models.sampling.ops import (
    Activation,
    Add,
    Condition,
    Dense,
    Draw,
    Grid,
    Op,
    Read,
    Register,
    When,
    Write,
)
from ancestral.models.sampling.program import StepProgram
from tests.models.nets import all_cases

X, Y, LOGITS = Register(4), Register(4), Register(3)
DRAW: tuple[Op, ...] = (Dense((X,), torch.zeros(3, 4), None, LOGITS), Draw(LOGITS, Categorical(3)))


def _dense(grid: Grid, dx: int, target: Register) -> Dense:
    return Dense((Read(grid, -1, 0), Read(grid, 0, dx)), torch.zeros(4, 8), None, target)


def test_a_sweep_is_cut_where_a_layer_looks_beside_itself() -> None:
    # Given a second layer of a sweep that reads the first one's grid to its right
    below, above = Grid(2, 6, 4), Grid(2, 6, 4)
    first = (Dense((Read(below, -1, 0),), torch.zeros(4, 4), None, X), Write(X, above))
    second = (_dense(above, 1, Y), Write(Y, below))
    program = StepProgram(rows=4, columns=6, row_sweep=(*first, *second), step=(*first[:1], *DRAW))
    # When it is sorted
    groups = Groups.of(program)
    # Then each layer goes through the row by itself
    assert [group.ops for group in groups.sweep] == [first, second]
    assert [group.ops for group in groups.step] == [program.step]


def test_layers_that_look_straight_up_follow_each_other_at_each_column() -> None:
    below, above = Grid(2, 6, 4), Grid(2, 6, 4)
    sweep = (
        Dense((Read(below, -1, 1),), torch.zeros(4, 4), None, X),
        Write(X, above),
        Dense((Read(above, 0, 0),), torch.zeros(4, 4), None, Y),
        Write(Y, below),
    )
    program = StepProgram(rows=4, columns=6, row_sweep=sweep, step=(sweep[0], *DRAW))
    assert [group.ops for group in Groups.of(program).sweep] == [sweep]


def test_what_is_due_together_is_one_group() -> None:
    # Given two blocks for every second position, with a register that both use, and one for all
    grid = Grid(1, 6, 4, column_stride=2)
    read = Dense((Read(grid, 0, -1),), torch.zeros(4, 4), None, X)
    blocks = [
        When((read, Activation("relu", X, Y)), column_step=2),
        When((Add(X, Y), Write(Y, grid)), column_step=2),
    ]
    program = StepProgram(rows=2, columns=6, step=(*blocks, read, *DRAW))
    # When they are sorted
    groups = Groups.of(program)
    # Then the blocks are one, and nothing need be kept but what the others use too
    assert [len(group.ops) for group in groups.step] == [4, 3]
    assert list(groups.kept) == [X]


def test_windows_frames_and_real_numbers_are_left_to_others() -> None:
    supported = {name for name, case in all_cases().items() if is_supported(case.net.program())}
    families = {name.split()[0] for name in supported}
    assert families == {
        "pixelcnn",
        "gated_pixelcnn",
        "pixelcnn_pp",
        "pixelcnn_autoencoder",
        "wavenet",
    }


def test_offsets_by_column_are_left_to_others() -> None:
    # Given a step whose columns take conditioning of their own, or all the same
    def program(offset: int | tuple[int, ...]) -> StepProgram:
        step = (Condition("global", offset, X, accumulate=False), *DRAW)
        return StepProgram(rows=1, columns=2, step=step, global_width=8)

    # Then kernels know the latter alone
    assert is_supported(program(4))
    assert not is_supported(program((0, 4)))
