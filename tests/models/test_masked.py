"""How a masked dense layer is cut into the pieces of single columns."""

import torch

from ancestral.models.masked import (
    MaskedDense,
    after,
    always,
    before,
    cut,
    event_vector,
    in_turn,
    since,
    until,
)
from ancestral.models.sampling.ops import Window

COLUMNS, WIDTH = 4, 3
VECTOR = event_vector(COLUMNS * WIDTH)
OWN = in_turn(VECTOR, WIDTH)


def places(window: Window, column: int) -> list[int]:
    start = window.starts[column]
    return list(range(start, start + window.widths[column]))


def test_a_vector_falls_into_what_is_before_a_window_its_own_floats_and_what_is_behind() -> None:
    every = list(range(COLUMNS * WIDTH))
    for column in range(COLUMNS):
        own = every[column * WIDTH : (column + 1) * WIDTH]
        assert places(OWN, column) == own
        assert places(before(OWN), column) == every[: own[0]]
        assert places(until(OWN), column) == every[: own[-1] + 1]
        assert places(since(OWN), column) == every[own[0] :]
        assert places(after(OWN), column) == every[own[-1] + 1 :]
        assert places(always(VECTOR, 2, 5, COLUMNS), column) == [2, 3, 4, 5, 6]


def test_pulled_or_pushed_each_weight_under_a_triangle_is_cut_out_once() -> None:
    # Given a layer from each float of a vector to those of later columns
    torch.manual_seed(0)
    column = torch.arange(COLUMNS * WIDTH) // WIDTH
    weight = MaskedDense(column < column.unsqueeze(1)).masked

    # Then both cuts, put back where they were, are the layer
    for outputs, inputs in ((OWN, before(OWN)), (after(OWN), OWN)):
        pieces = cut(weight, outputs, inputs)
        assert len(pieces) == COLUMNS
        assert sum(piece.numel() for piece in pieces) == (weight != 0).sum()
        together = torch.zeros_like(weight)
        for number, piece in enumerate(pieces):
            rows, columns = (
                torch.tensor(places(window, number), dtype=torch.int64)
                for window in (outputs, inputs)
            )
            together[rows.unsqueeze(1), columns] += piece
        torch.testing.assert_close(together, weight.detach())
