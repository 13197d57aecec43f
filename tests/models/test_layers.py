"""A box convolution reads its box and nothing else, and tells the program so in the same order."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.layers import BoxConv, SymbolTable, gate
from ancestral.models.sampling.ops import Grid, Register

HEIGHT, WIDTH = 4, 9


@settings(max_examples=40)
@given(
    top=st.integers(-2, 0),
    rows=st.integers(1, 3),
    left=st.integers(-3, 1),
    columns=st.integers(1, 4),
    dilation=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_a_box_conv_is_the_weighted_sum_of_what_it_says_that_it_reads(
    top: int, rows: int, left: int, columns: int, dilation: int, seed: int
) -> None:
    # Given a box anywhere around the position, and features
    torch.manual_seed(seed)
    box = BoxConv(
        2, 3, rows=(top, top + rows - 1), columns=(left, left + columns - 1), dilation=dilation
    )
    torch.nn.init.normal_(box.bias)
    x = torch.randn(1, 2, HEIGHT, WIDTH)

    # When it runs over the whole event
    whole = box(x)

    # Then at every position it is its dense op over its reads, zeros outside the event
    grid, target = Grid(1, 1, 2), Register(3)
    reads = box.reads(grid)
    dense = box.dense(reads, target)
    assert dense.bias is not None
    for row in range(HEIGHT):
        for column in range(WIDTH):
            values = [_at(x, row + read.dy, column + read.dx) for read in reads]
            expected = dense.weight @ torch.cat(values) + dense.bias
            torch.testing.assert_close(whole[0, :, row, column], expected)


def _at(x: torch.Tensor, row: int, column: int) -> torch.Tensor:
    inside = 0 <= row < HEIGHT and 0 <= column < WIDTH
    return x[0, :, row, column] if inside else torch.zeros(x.shape[1])


def test_the_weights_of_a_dense_op_follow_the_network_as_it_learns() -> None:
    box = BoxConv(2, 3)
    dense = box.dense((Register(2),), Register(3))
    with torch.no_grad():
        box.weight.fill_(7.0)
    assert dense.weight.eq(7.0).all()
    assert not dense.weight.requires_grad


def test_a_fresh_box_conv_keeps_the_size_of_its_inputs() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 64, 20, 20)
    for gain in (1.0, 2.0):
        inner = BoxConv(64, 64, rows=(-1, 0), columns=(-1, 1), gain=gain)(x)[..., 1:, 1:-1]
        assert inner.std().item() == pytest.approx(gain, rel=0.1)


def test_neighbouring_symbols_start_as_neighbours() -> None:
    table = SymbolTable(16, 8).weight.detach()
    distance = torch.cdist(table, table)
    for level in range(1, 15):
        far = [other for other in range(16) if abs(other - level) > 4]
        assert distance[level, level + 1] < distance[level, far].min()


def test_a_gate_is_tanh_times_sigmoid() -> None:
    x = torch.tensor([0.5, -1.0, 2.0, 0.0]).view(1, 4, 1, 1)
    signal, opening = torch.tensor([0.5, -1.0]), torch.tensor([2.0, 0.0])
    torch.testing.assert_close(gate(x).flatten(), torch.tanh(signal) * torch.sigmoid(opening))
