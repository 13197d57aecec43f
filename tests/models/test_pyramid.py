"""How a stream's layers follow each other, that its program computes each once, and that those
between two grids agree on whole maps and on single positions."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ancestral.models.gated_resnet import Remembered
from ancestral.models.layers import BoxConv
from ancestral.models.pyramid import Stream, Upsample, stages
from ancestral.models.sampling.ops import Grid, Register, Write, placed

#: Of the coarse grid.
HEIGHT, WIDTH = 2, 3


def test_the_stages_of_the_drawing() -> None:
    assert [(s.kind, s.level, s.partner) for s in stages(blocks=1, coarser=2)] == [
        ("block", 0, None),
        ("down", 1, None),
        ("block", 1, None),
        ("down", 2, None),
        ("block", 2, None),
        ("block", 2, 4),
        ("up", 1, None),
        ("block", 1, 3),
        ("block", 1, 2),
        ("up", 0, None),
        ("block", 0, 1),
        ("block", 0, 0),
    ]


@given(blocks=st.integers(1, 6), coarser=st.integers(0, 4))
def test_every_feature_map_on_the_way_down_has_one_partner_of_its_grid(
    blocks: int, coarser: int
) -> None:
    made = stages(blocks, coarser)
    levels = [0, *(stage.level for stage in made)]
    partners = [stage.partner for stage in made if stage.partner is not None]
    # All but the last one on the way down, from which the way up begins.
    assert partners == list(reversed(range((coarser + 1) * (blocks + 1) - 1)))
    assert all(s.partner is None or levels[s.partner] == s.level for s in made)
    assert levels[-1] == 0


@pytest.mark.parametrize("coarser", [0, 1, 2])
@pytest.mark.parametrize("beside", [False, True])
def test_every_cell_of_every_grid_is_written_once(coarser: int, beside: bool) -> None:
    # Given the program of a stream, beside another or not
    def stream(*, beside: bool) -> Stream:
        return Stream(
            channels=3,
            blocks=2,
            coarser=coarser,
            columns=(-1, 0),
            columns_up=(0, 0),
            beside=beside,
            dropout=0.0,
        )

    first = Remembered(Register(3), Grid(2, 8, 6, parts=2))
    _, other = stream(beside=False).ops(first, None, None)
    items, maps = stream(beside=beside).ops(first, other if beside else None, None)

    # When the cells that its ops write are counted, as a share of all positions
    written: dict[Grid, Fraction] = {}
    for op, due in placed(items):
        if isinstance(op, Write):
            share = Fraction(1, due.row_step * due.column_step)
            written[op.grid] = written.get(op.grid, Fraction(0)) + share

    # Then each grid's are all the cells that it has
    assert {made.active for made in maps[1:]} <= written.keys()
    for grid, share in written.items():
        assert share == Fraction(1, grid.row_stride * grid.column_stride)
        assert grid.columns * grid.column_stride == 8


@pytest.mark.parametrize("columns", [(-1, 0), (-1, 1)])
def test_a_strided_layer_is_the_plain_one_at_every_second_row_and_column(
    columns: tuple[int, int],
) -> None:
    torch.manual_seed(0)
    strided = BoxConv(2, 3, rows=(-1, 0), columns=columns, stride=2)
    plain = BoxConv(2, 3, rows=(-1, 0), columns=columns)
    plain.load_state_dict(strided.state_dict())
    x = torch.randn(1, 2, 2 * HEIGHT, 2 * WIDTH)
    torch.testing.assert_close(strided(x), plain(x)[:, :, ::2, ::2])


@pytest.mark.parametrize("columns", [(0, 0), (0, 1)])
def test_each_fine_position_has_the_weights_of_its_parity(columns: tuple[int, int]) -> None:
    # Given a layer that leads up, and a coarse feature map
    torch.manual_seed(0)
    layer = Upsample(2, 3, columns=columns)
    torch.nn.init.normal_(layer.box.bias)
    x = torch.randn(1, 2, HEIGHT, WIDTH)

    # When it runs over the whole map
    whole = layer(x)

    # Then it is, at every fine position, that parity's dense op over what it reads of its cell
    coarse, target = Grid(1, WIDTH, 2, row_stride=2, column_stride=2), Register(3)
    reads = layer.reads(coarse)
    assert whole.shape == (1, 3, 2 * HEIGHT, 2 * WIDTH)
    for row in range(2 * HEIGHT):
        for column in range(2 * WIDTH):
            dense = layer.dense(reads, target, row=row % 2, column=column % 2)
            values = torch.cat([_cell(x, row // 2, column // 2 + read.dx) for read in reads])
            assert dense.bias is not None
            expected = dense.weight @ values + dense.bias
            torch.testing.assert_close(whole[0, :, row, column], expected)


def test_a_transposed_convolution_can_be_said_so() -> None:
    # Given the transposed convolution of the paper's upper stream: 2 x 3, stride 2, the first and
    # the last column cut off
    torch.manual_seed(0)
    kernel, x = torch.randn(2, 3, 2, 3), torch.randn(1, 2, HEIGHT, WIDTH)
    transposed = torch.nn.functional.conv_transpose2d(x, kernel, stride=2)[..., 1:]

    # When its weights are laid out by parity: even columns lie under the kernel's middle, odd ones
    # under its right column for their own cell and its left one for the next
    layer = Upsample(2, 3, columns=(0, 1))
    torch.nn.init.zeros_(layer.box.bias)
    with torch.no_grad():
        weight = layer.box.weight.view(3, 2, 2, 2, 2)
        weight.zero_()
        weight[:, :, 0, :, 0] = kernel[..., 1].permute(1, 2, 0)
        weight[:, :, 1, :, 0] = kernel[..., 2].permute(1, 2, 0)
        weight[:, :, 1, :, 1] = kernel[..., 0].permute(1, 2, 0)

    # Then both are the same
    torch.testing.assert_close(layer(x), transposed)


def _cell(x: Tensor, row: int, column: int) -> Tensor:
    return x[0, :, row, column] if column < WIDTH else torch.zeros(x.shape[1])
