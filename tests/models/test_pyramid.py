"""How a stream's layers follow each other, and that its program computes each once."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ancestral.models.gated_resnet import Remembered
from ancestral.models.pyramid import Stream, stages
from ancestral.models.sampling.ops import Grid, Op, Register, When, Write


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
    for op, due in _placed(items):
        if isinstance(op, Write):
            share = Fraction(1, due.row_step * due.column_step)
            written[op.grid] = written.get(op.grid, Fraction(0)) + share

    # Then each grid's are all the cells that it has
    assert {made.active for made in maps[1:]} <= written.keys()
    for grid, share in written.items():
        assert share == Fraction(1, grid.row_stride * grid.column_stride)
        assert grid.columns * grid.column_stride == 8


def _placed(items: list[Op | When]) -> list[tuple[Op, When]]:
    placed = []
    for item in items:
        due = item if isinstance(item, When) else When((item,))
        placed += [(op, due) for op in due.ops]
    return placed
