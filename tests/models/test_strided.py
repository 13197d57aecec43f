"""Layers between a grid and one half as fine: whole maps and single positions agree."""

import pytest
import torch
from torch import Tensor

from ancestral.models.layers import BoxConv
from ancestral.models.sampling.ops import Grid, Register
from ancestral.models.strided import Upsample

#: Of the coarse grid.
HEIGHT, WIDTH = 2, 3


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
