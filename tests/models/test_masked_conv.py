"""A masked convolution sees what its mask draws, and tells the program so weight by weight."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.masked_conv import MaskedConv, mask
from ancestral.models.sampling.ops import Grid, Read, Register

HEIGHT, WIDTH = 3, 5


def drawn(picture: str) -> torch.Tensor:
    return torch.tensor(
        [[float(cell == "1") for cell in row.split()] for row in picture.split("/")]
    )


@pytest.mark.parametrize(
    ("kind", "reach", "picture"),
    [
        ("A", 1, "1 1 1 / 1 · ·"),
        ("B", 1, "1 1 1 / 1 1 ·"),
        ("A", 2, "1 1 1 1 1 / 1 1 1 1 1 / 1 1 · · ·"),
        ("B", 2, "1 1 1 1 1 / 1 1 1 1 1 / 1 1 1 · ·"),
        ("B", 0, "1"),
    ],
)
def test_a_grey_mask_is_as_drawn(kind: str, reach: int, picture: str) -> None:
    seen = mask(2, 3, kind, reach)  # type: ignore[arg-type]
    assert torch.equal(seen, drawn(picture).expand(3, 2, -1, -1))


@pytest.mark.parametrize(
    ("kind", "picture"),
    [("A", "· · · / 1 · · / 1 1 ·"), ("B", "1 · · / 1 1 · / 1 1 1")],
)
def test_colours_see_each_other_as_drawn(kind: str, picture: str) -> None:
    # Given two channels a colour in, and one out
    seen = mask(6, 3, kind, reach=1, colours=3)  # type: ignore[arg-type]

    # At the pixel itself the order of colours decides; above and left all are seen, behind none
    assert torch.equal(seen[:, :, 1, 1], drawn(picture).repeat_interleave(2, dim=1))
    assert bool(seen[:, :, 0].all()) and bool(seen[:, :, 1, 0].all())
    assert not seen[:, :, 1, 2].any()


@settings(max_examples=15)
@given(
    kind=st.sampled_from(["A", "B"]),
    reach=st.integers(1, 3),
    colours=st.sampled_from([1, 3]),
    inputs=st.integers(1, 2),
    outputs=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_each_position_and_colour_is_the_sum_of_what_it_says_that_it_reads(
    kind: str, reach: int, colours: int, inputs: int, outputs: int, seed: int
) -> None:
    # Given features of a small image, and where the program would find them
    torch.manual_seed(seed)
    layer = MaskedConv(
        inputs * colours,
        outputs * colours,
        kind=kind,  # type: ignore[arg-type]
        reach=reach,
        colours=colours,
    ).double()
    x = torch.randn(1, inputs * colours, HEIGHT, WIDTH).double()
    groups = x[0].split(inputs)
    past = [Grid(reach + 1, WIDTH, inputs) for _ in range(colours)]
    here = [Register(inputs) for _ in range(colours)]

    whole = layer(x)[0]

    for colour, expected in enumerate(whole.split(outputs)):
        op = layer.dense(colour, past, here, Register(outputs))
        for row in range(HEIGHT):
            for column in range(WIDTH):
                found = []
                for source in op.sources:
                    if isinstance(source, Read):
                        group = groups[past.index(source.grid)]
                        place = row + source.dy, column + source.dx
                        inside = 0 <= place[0] < HEIGHT and 0 <= place[1] < WIDTH
                        zeros = torch.zeros(inputs).double()
                        found.append(group[:, place[0], place[1]] if inside else zeros)
                    else:
                        assert isinstance(source, Register)
                        found.append(groups[here.index(source)][:, row, column])
                assert op.bias is not None
                step = op.weight @ torch.cat(found) + op.bias
                torch.testing.assert_close(step, expected[:, row, column])


@pytest.mark.parametrize("colours", [1, 3])
def test_a_program_takes_no_weight_that_the_mask_stops(colours: int) -> None:
    layer = MaskedConv(2 * colours, 4 * colours, kind="A", reach=2, colours=colours)
    past = [Grid(3, WIDTH, 2) for _ in range(colours)]
    here = [Register(2) for _ in range(colours)]

    taken = [layer.dense(colour, past, here, Register(4)) for colour in range(colours)]

    assert sum(op.weight.numel() for op in taken) == int(layer.mask.sum())


def test_a_gradient_moves_no_weight_that_the_mask_stops() -> None:
    layer = MaskedConv(3, 3, kind="B", reach=1, colours=3)

    layer(torch.randn(2, 3, HEIGHT, WIDTH)).square().sum().backward()

    assert layer.weight.grad is not None
    assert torch.equal(layer.weight.grad != 0, layer.mask == 1)
