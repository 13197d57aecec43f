"""A program that contradicts itself is refused when it is made, and told why."""

from typing import Any

import pytest
import torch

from ancestral.models.errors import ProgramError
from ancestral.models.sampling.distributions import Categorical, Gaussian, LogisticMixture
from ancestral.models.sampling.ops import (
    Activation,
    Add,
    ByColumn,
    ColourMixture,
    Condition,
    Dense,
    Draw,
    Embed,
    Gate,
    Grid,
    Op,
    Read,
    Register,
    Source,
    Value,
    When,
    Window,
    Write,
    width_at,
)
from ancestral.models.sampling.program import StepProgram

ROWS, COLUMNS, WIDTH, LEVELS = 4, 6, 4, 5
hidden, onward, number = Register(WIDTH), Register(WIDTH), Register(1)
pair, logits = Register(2 * WIDTH, parts=2), Register(LEVELS)


def dense(source: Source, target: Register) -> Dense:
    """Of sound widths."""
    return Dense((source,), torch.ones(target.width, width_at(source, 0)), None, target)


DRAW = Draw(logits, Categorical(LEVELS))
STEP: tuple[Op, ...] = (dense(hidden, logits), DRAW, Embed(torch.ones(LEVELS, WIDTH), hidden))


def sound(*ops: Op | When, **more: Any) -> StepProgram:
    return StepProgram(None, None, (*STEP, *ops), **more)


def image(*ops: Op | When, **more: Any) -> StepProgram:
    return StepProgram(ROWS, COLUMNS, (*STEP, *ops), **more)


def vector(*ops: Op | When, **more: Any) -> StepProgram:
    return StepProgram(1, COLUMNS, (*STEP, *ops), **more)


def test_a_draw_belongs_to_the_step_alone() -> None:
    with pytest.raises(ProgramError, match="draws in its step, and not in its sweeps"):
        StepProgram(None, None, STEP[:1])
    for draw in (DRAW, STEP[2], Value(1.0, 0.0, number), When((DRAW,))):
        with pytest.raises(ProgramError, match="draws in its step, and not in its sweeps"):
            image(row_sweep=(draw,))
    with pytest.raises(ProgramError, match="draws in its step, and not in its sweeps"):
        image(frame_sweep=(DRAW,))
    with pytest.raises(ProgramError, match="take the draw out of its When"):
        image(When((DRAW,), column_step=2))


@pytest.mark.parametrize(
    "when", [When((), 2, 2), When((), column_step=3, column=3)], ids=["row", "column"]
)
def test_what_is_never_due_is_refused(when: When) -> None:
    image(When((), 2, 1, 3, 2))
    with pytest.raises(ProgramError, match="a When is never due"):
        image(when)
    with pytest.raises(ProgramError, match="a When is never due"):
        image(row_sweep=(when,))


@pytest.mark.parametrize(
    "item",
    [When((), row_step=ROWS + 1), When((), column_step=COLUMNS + 1)],
    ids=["rows", "columns"],
)
def test_an_image_is_a_whole_number_of_rounds(item: When) -> None:
    with pytest.raises(ProgramError, match="strides and steps divide the"):
        image(item)


def test_rows_and_columns_are_known_together_and_to_every_sweep() -> None:
    for rows, columns in ((None, COLUMNS), (ROWS, None)):
        with pytest.raises(ProgramError, match="both known or both not"):
            StepProgram(rows, columns, STEP)
    for sweep in ("row_sweep", "frame_sweep"):
        with pytest.raises(ProgramError, match="a sweep needs rows of known length"):
            sound(**{sweep: (Gate(pair, onward),)})


def test_all_draws_are_of_the_same_levels_and_of_their_parameters() -> None:
    other = Register(3)
    with pytest.raises(ProgramError, match="all colours have the same levels"):
        image(dense(hidden, other), Draw(other, Categorical(3)))
    with pytest.raises(ProgramError, match="3 parameters cannot draw from a distribution of 5"):
        image(dense(hidden, other), Draw(other, Categorical(LEVELS)))


@pytest.mark.parametrize(
    "op",
    [
        Embed(torch.ones(LEVELS, WIDTH), hidden, channel=1),
        Value(1.0, 0.0, number, channel=1),
    ],
)
def test_a_symbol_is_looked_up_behind_its_draw(op: Op) -> None:
    # Given two draws, then the second symbol is known behind the second one
    image(DRAW, op)
    with pytest.raises(ProgramError, match="looks up a symbol that is drawn behind it"):
        image(op, DRAW)


@pytest.mark.parametrize("channel", [-1, 1])
def test_a_symbol_that_is_never_drawn_is_not_looked_up(channel: int) -> None:
    for op in (Embed(torch.ones(LEVELS, WIDTH), hidden, channel), Value(1.0, 0.0, number, channel)):
        with pytest.raises(ProgramError, match="looks up a symbol that is drawn behind it"):
            image(op)


def test_each_symbol_has_an_embedding() -> None:
    for rows in (LEVELS - 1, LEVELS + 1):
        with pytest.raises(ProgramError, match=f"of {rows} symbols, of which there are {LEVELS}"):
            image(Embed(torch.ones(rows, WIDTH), hidden))
    # And a real number has none
    embedded, draw = Register(2), Draw(Register(2), Gaussian())
    StepProgram(None, None, (draw, Value(1.0, 0.0, number)))
    with pytest.raises(ProgramError, match="of 4 symbols, of which there are endlessly many"):
        StepProgram(None, None, (draw, Embed(torch.ones(4, 2), embedded)))


def test_the_mixture_of_a_colour_needs_the_colours_before_it() -> None:
    raw, mixture = Register(20), Register(6)
    distribution = LogisticMixture(LEVELS, 2)
    image(ColourMixture(raw, 1, distribution, mixture))
    with pytest.raises(ProgramError, match="the mixture of colour 2 needs the colours before it"):
        image(ColourMixture(raw, 2, distribution, mixture))


@pytest.mark.parametrize("colour", [-1, 3])
def test_a_pixel_has_three_colours(colour: int) -> None:
    raw, mixture = Register(20), Register(6)
    distribution = LogisticMixture(LEVELS, 2)
    image(DRAW, DRAW, ColourMixture(raw, 2, distribution, mixture))
    with pytest.raises(ProgramError, match=f"there is no colour {colour}"):
        image(DRAW, DRAW, ColourMixture(raw, colour, distribution, mixture))


def test_conditioning_lies_inside_what_is_projected() -> None:
    for scope in ("global", "local"):
        width = {f"{scope}_width": WIDTH + 2}
        sound(Condition(scope, 2, hidden), **width)
        with pytest.raises(
            ProgramError, match=f"floats 3 to 7 of {scope} conditioning, of which 6 are projected"
        ):
            sound(Condition(scope, 3, hidden), **width)


def test_aligned_conditioning_is_for_every_position_of_step_or_row_sweep() -> None:
    aligned = Condition("local", 0, hidden)
    image(aligned, row_sweep=(aligned,), local_width=WIDTH)
    with pytest.raises(ProgramError, match="belongs to the step or the row sweep"):
        image(frame_sweep=(aligned,), local_width=WIDTH)
    with pytest.raises(ProgramError, match="for every position, not for some"):
        image(When((aligned,), row_step=2), local_width=WIDTH)


def test_a_grid_that_is_read_is_written() -> None:
    with pytest.raises(ProgramError, match="a grid is read that is never written"):
        sound(dense(Read(Grid(1, 2, WIDTH), 0, -1), onward))


def test_what_a_frame_a_row_or_a_position_reads_of_itself_is_written_before() -> None:
    # Given a grid of whole frames
    grid = Grid(ROWS, COLUMNS, WIDTH, frames=2)
    write = Write(hidden, grid)

    def read(dz: int, dy: int, dx: int) -> Op:
        return dense(Read(grid, dy, dx, dz), onward)

    # Then each list reads what it, or a list before it, has written, and what is past
    image(write, read(0, 0, 0))
    image(read(0, 0, 0), row_sweep=(read(0, 0, 1),), frame_sweep=(write,))
    image(read(0, 0, -1), write, row_sweep=(read(0, -1, 1),), frame_sweep=(read(-1, 0, 0),))
    for program in (
        lambda: image(read(0, 0, 0), write),
        lambda: image(write, row_sweep=(read(0, 0, -1),)),
        lambda: image(frame_sweep=(read(0, -1, 0), write)),
    ):
        with pytest.raises(ProgramError, match=r"a read at \(.*\) of what is written after it"):
            program()


@pytest.mark.parametrize(
    ("dy", "dx", "complaint"),
    [
        (0, 1, r"a read at \(0, 1\) is of what is not drawn yet"),
        (1, 0, r"a read at \(1, 0\) is of what is not drawn yet"),
        (0, -3, r"a read at \(0, -3\) of a ring that keeps 2 columns"),
        (-1, 0, r"a read at \(-1, 0\) of a ring that keeps 2 columns"),
    ],
)
def test_a_ring_is_read_in_its_past_and_no_further_than_it_keeps(
    dy: int, dx: int, complaint: str
) -> None:
    ring = Grid(1, 2, WIDTH)
    sound(Write(hidden, ring), dense(Read(ring, 0, -2), onward))
    with pytest.raises(ProgramError, match=complaint):
        sound(Write(hidden, ring), dense(Read(ring, dy, dx), onward))


def test_a_ring_is_for_programs_of_one_row_and_no_sweep() -> None:
    ring = Grid(1, 2, WIDTH)
    vector(Write(hidden, ring), dense(Read(ring, 0, -2), onward))
    with pytest.raises(ProgramError, match=r"a read at \(0, -3\) of a ring that keeps 2 columns"):
        vector(Write(hidden, ring), dense(Read(ring, 0, -3), onward))
    for program in (
        lambda: image(Write(hidden, ring)),
        lambda: vector(row_sweep=(Write(hidden, ring),)),
        lambda: vector(frame_sweep=(Write(hidden, ring),)),
    ):
        with pytest.raises(ProgramError, match="of a ring that keeps 2 columns"):
            program()


def test_only_a_sweep_reads_to_its_right_and_nobody_above_what_is_kept() -> None:
    # Given a grid of two rows, and reads of it
    rows = Grid(2, COLUMNS, WIDTH)

    def ops(dy: int, dx: int) -> tuple[Op, ...]:
        return Write(hidden, rows), dense(Read(rows, dy, dx), onward)

    # Then to the right in its own row is known to a sweep, and one row above is kept
    image(row_sweep=ops(0, 1))
    image(*ops(-1, 1))
    for program in (lambda: image(*ops(-2, 0)), lambda: image(row_sweep=ops(-2, 0))):
        with pytest.raises(ProgramError, match="2 rows above of a grid that keeps 2"):
            program()
    # And a step does not know what is to its right, nor a row sweep what is below
    for program in (lambda: image(*ops(0, 1)), lambda: image(row_sweep=ops(1, 0))):
        with pytest.raises(ProgramError, match="not drawn yet"):
            program()


def test_only_a_frame_sweep_reads_below_and_nobody_a_frame_ahead_or_beyond_those_kept() -> None:
    # Given a grid of whole frames, two of them, and reads of it
    frames = Grid(ROWS, COLUMNS, WIDTH, frames=2)

    def ops(dz: int, dy: int) -> tuple[Op, ...]:
        return Write(hidden, frames), dense(Read(frames, dy, 1, dz), onward)

    # Then all of the frame before is known to everything, and all of its own to a frame sweep
    image(*ops(-1, 1), frame_sweep=ops(0, 1))
    image(row_sweep=ops(-1, 1))
    with pytest.raises(ProgramError, match=r"a read at \(1, 0, 1\) is of what is not drawn yet"):
        image(frame_sweep=ops(1, 0))
    with pytest.raises(ProgramError, match="2 frames before of a grid that keeps 2"):
        image(frame_sweep=ops(-2, 0))


def test_a_grid_over_frames_keeps_whole_ones() -> None:
    for grid in (Grid(2, COLUMNS, WIDTH), Grid(2, COLUMNS, WIDTH, frames=2)):
        with pytest.raises(ProgramError, match="a grid over frames keeps all 4 rows, not 2"):
            image(frame_sweep=(Write(hidden, grid),))
    with pytest.raises(ProgramError, match="a grid over frames keeps all 4 rows, not 2"):
        image(Write(hidden, Grid(2, COLUMNS, WIDTH, frames=2)))


def test_a_sweep_visits_the_columns_of_a_coarser_grid_apart() -> None:
    coarse = Grid(ROWS // 2, COLUMNS // 2, WIDTH, row_stride=2, column_stride=2)
    write = Write(hidden, coarse)
    image(row_sweep=(When((write,), row_step=2, column_step=2),))
    for sweep in ({"row_sweep": (write,)}, {"frame_sweep": (write,)}):
        with pytest.raises(ProgramError, match="let it be due for each of its columns apart"):
            image(**sweep)


def set_by_condition(target: Window) -> Condition:
    return Condition("global", 0, target, accumulate=False)


def by_column(columns: int) -> ByColumn:
    return ByColumn((hidden,), (torch.ones(WIDTH, WIDTH),) * columns, onward)


def window(of: Register | Grid, first: int, columns: int = COLUMNS, width: int = WIDTH) -> Window:
    """Of so many columns, each a float behind the one before."""
    return Window(of, tuple(range(first, first + columns)), (width,) * columns)


#: A register and a vector in which a window of 4 floats can start at 0 to 6.
wide, vast = Register(WIDTH + COLUMNS), Grid(1, 1, WIDTH + COLUMNS)


def test_what_changes_with_the_column_stands_in_the_step_of_a_single_row() -> None:
    offsets = Condition("global", tuple(range(COLUMNS)), hidden)
    for op in (by_column(COLUMNS), dense(window(wide, 0), onward), offsets):
        vector(op, global_width=WIDTH + COLUMNS)
        for program in (
            lambda op: image(op, global_width=WIDTH + COLUMNS),
            lambda op: sound(op, global_width=WIDTH + COLUMNS),
            lambda op: vector(row_sweep=(op,), global_width=WIDTH + COLUMNS),
            lambda op: vector(frame_sweep=(op,), global_width=WIDTH + COLUMNS),
        ):
            with pytest.raises(ProgramError, match="in programs of one row, a sweep never"):
                program(op)


def test_what_changes_with_the_column_has_one_for_each() -> None:
    with pytest.raises(ProgramError, match="weights for 5 of 6 columns"):
        vector(by_column(COLUMNS - 1))
    with pytest.raises(ProgramError, match="offsets for 5 of 6 columns"):
        vector(Condition("global", (0,) * (COLUMNS - 1), hidden), global_width=WIDTH)
    with pytest.raises(ProgramError, match="is for a register of one part"):
        vector(Condition("global", (0,) * COLUMNS, pair), global_width=2 * WIDTH)


def test_a_window_lies_inside_a_register_or_a_grid_of_a_single_cell() -> None:
    # Given windows of both, at the first place and at the last one
    for of in (wide, vast):
        vector(set_by_condition(window(of, 0)), dense(window(of, 1), onward), global_width=WIDTH)

    # Then nothing else has any
    for wrong in (window(wide, -1), window(wide, 2), window(wide, 0, COLUMNS - 1)):
        with pytest.raises(ProgramError, match="a window lies inside what it is of"):
            vector(dense(wrong, onward))
    with pytest.raises(ProgramError, match="a window lies inside what it is of"):
        vector(set_by_condition(window(wide, 0, width=-1)))
    with pytest.raises(ProgramError, match="a window is of floats in one part"):
        vector(dense(window(Register(2 * WIDTH + COLUMNS, parts=2), 0), onward))
    for grid in (
        Grid(1, COLUMNS, wide.width),
        Grid(2, 1, wide.width),
        Grid(1, 1, wide.width, frames=2),
        Grid(1, 1, wide.width, column_stride=2),
    ):
        with pytest.raises(ProgramError, match="or of a grid of a single cell"):
            vector(dense(window(grid, 0), onward), Write(wide, grid))


def test_a_vector_that_is_read_is_changed() -> None:
    with pytest.raises(ProgramError, match="a grid is read that is never written"):
        vector(dense(window(vast, 0), onward))


def test_a_window_of_conditioning_lies_inside_what_is_projected() -> None:
    moved = Condition("global", tuple(range(COLUMNS)), window(vast, 0))
    vector(moved, global_width=WIDTH + COLUMNS - 1)
    with pytest.raises(ProgramError, match="floats 5 to 9 of global conditioning, of which 8"):
        vector(moved, global_width=WIDTH + COLUMNS - 2)
    with pytest.raises(ProgramError, match="floats -1 to 3 of global conditioning"):
        vector(Condition("global", -1, hidden), global_width=WIDTH)


def test_weights_fit_the_windows_of_each_column() -> None:
    # Given one float more to read at each column, and one less to change
    more = Window(wide, (0,) * COLUMNS, tuple(range(COLUMNS)))
    less = Window(vast, (0,) * COLUMNS, tuple(range(COLUMNS, 0, -1)))
    weight = tuple(torch.ones(COLUMNS - column, column) for column in range(COLUMNS))

    vector(ByColumn((more,), weight, less))
    with pytest.raises(ProgramError, match=r"from 5 to 1 has weights \(1, 4\)"):
        vector(ByColumn((more,), (*weight[:-1], torch.ones(1, COLUMNS - 2)), less))
    # And weights that do not change fit none but windows that do not
    with pytest.raises(ProgramError, match=r"from 1 to 4 has weights \(4, 0\)"):
        vector(dense(more, onward))


def test_a_product_does_not_change_what_it_reads() -> None:
    whole = Window(vast, (0,) * COLUMNS, (vast.width,) * COLUMNS)
    first, second = (Window(vast, (start,) * COLUMNS, (2,) * COLUMNS) for start in (0, 2))
    square = torch.ones(2, 2)
    vector(Dense((first,), square, None, second))
    for source, target, weight in (
        (first, first, square),
        (whole, second, torch.ones(2, vast.width)),
        (hidden, hidden, torch.ones(WIDTH, WIDTH)),
    ):
        with pytest.raises(ProgramError, match="a dense op changes what it reads"):
            vector(Dense((source,), weight, None, target))


def test_an_activation_is_of_a_window_in_place_or_of_windows_apart() -> None:
    first, apart, across = (Window(vast, (start,) * COLUMNS, (2,) * COLUMNS) for start in (0, 2, 1))
    vector(Activation("relu", first, first), Activation("tanh", first, apart))
    with pytest.raises(ProgramError, match="one and the same, or apart"):
        vector(Activation("relu", first, across))
    for source, target in ((hidden, window(vast, 0)), (window(vast, 0), hidden)):
        with pytest.raises(ProgramError, match="of registers or of windows, not of both"):
            vector(
                Activation("relu", source, target),
                Embed(torch.ones(LEVELS, WIDTH), window(vast, 0)),
            )
    with pytest.raises(ProgramError, match="relu makes 4 of 2 floats"):
        vector(Activation("relu", first, window(vast, 0)))
    with pytest.raises(ProgramError, match="concat_elu makes a register of two parts"):
        vector(Activation("concat_elu", first, Window(vast, (2,) * COLUMNS, (4,) * COLUMNS)))


@pytest.mark.parametrize(
    ("op", "complaint"),
    [
        (
            Dense((hidden, onward), torch.ones(LEVELS, WIDTH), None, logits),
            r"from 8 to 5 has weights \(5, 4\)",
        ),
        (
            Dense((hidden,), torch.ones(LEVELS, WIDTH), torch.ones(4), logits),
            r"a bias of \(4,\) for 5 outputs",
        ),
        (
            ByColumn((hidden,), (torch.ones(LEVELS, 3),) * COLUMNS, logits),
            r"from 4 to 5 has weights \(5, 3\)",
        ),
        (Gate(Register(2 * WIDTH), onward), "a gate halves 8 floats into 4"),
        (Gate(pair, logits), "a gate halves 8 floats into 5"),
        (Activation("relu", hidden, logits), "relu makes 5 of 4 floats"),
        (Activation("concat_elu", hidden, onward), "concat_elu makes 4 of 4 floats"),
        (Activation("concat_elu", hidden, Register(2 * WIDTH)), "a register of two parts"),
        (Activation("concat_elu", pair, Register(4 * WIDTH, parts=2)), "from one of one"),
        (Embed(torch.ones(LEVELS, 3), hidden), "embeddings of 3 floats for 4"),
        (Value(1.0, 0.0, hidden), "a value is one float, not 4"),
        (Embed(torch.ones(LEVELS, 3), window(vast, 0)), "embeddings of 3 floats for 4"),
        (Value(1.0, 0.0, window(vast, 0)), "a value is one float, not 4"),
        (
            ColourMixture(Register(19), 0, LogisticMixture(LEVELS, 2), Register(6)),
            "2 components need 10 floats each, not 19",
        ),
        (
            ColourMixture(Register(20), 0, LogisticMixture(LEVELS, 2), Register(5)),
            "2 components need 10 floats each",
        ),
        (Write(pair, Grid(1, COLUMNS, WIDTH)), "8 floats written to a grid of 4"),
        (Write(pair, Grid(1, COLUMNS, 2 * WIDTH)), "8 floats written to a grid of 8"),
        (Add(pair, hidden), "8 floats added to 4"),
    ],
)
def test_widths_fit_each_other(op: Op, complaint: str) -> None:
    with pytest.raises(ProgramError, match=complaint):
        vector(op)
