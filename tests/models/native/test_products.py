"""Products of every size, in every layout and build: right, and the same to the last bit.

How a product is cut (blocks of outputs, parts of inputs, rows at once) depends on its size, on the
width of vectors and on how many units share the weights; what comes out may not.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ancestral.models.autoregressive import Projection
from ancestral.models.sampling import native
from ancestral.models.sampling.distributions import Bernoulli
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.ops import Condition, Dense, Draw, Grid, Register, Write
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.tile import Start
from tests.models.laws import needs_native
from tests.models.native.one_draw import generator
from tests.models.native.watched import NARROW, WIDE, executor_of

pytestmark = needs_native

#: Floats of each source: some fill whole vectors, some leave one over.
widths = st.lists(st.sampled_from([1, 2, 7, 16, 31, 64, 130, 300]), min_size=1, max_size=4)
outputs = st.sampled_from([1, 3, 4, 5, 8, 9, 15, 16, 17, 33, 64, 100, 129])


@given(widths=widths, outputs=outputs, accumulate=st.booleans(), bias=st.booleans())
@settings(max_examples=40)
def test_a_product_is_the_same_in_each_layout_and_build(
    widths: list[int], outputs: int, accumulate: bool, bias: bool
) -> None:
    # Given a product, which may add to what is there, and inputs for a few events
    product = Product(widths, outputs, accumulate, bias)
    inputs = product.inputs(events=20)

    # When each build computes it, with slots or outputs as lanes, for few units and for many
    found = [
        product.computed(inputs[:count], slots=slots, build=build)
        for build in native.available()
        for slots, count in ((NARROW, 1), (NARROW, 3), (NARROW, 8), (WIDE, 5), (WIDE, 20))
    ]

    # Then all agree to the last bit
    for own in found:
        assert torch.equal(own, found[-1][: len(own)])
    # And it is right
    expected = product.exactly(inputs)
    assert (found[-1] - expected).abs().max() <= 1e-6 * product.size(inputs)


@pytest.mark.skipif("avx512bf16" not in native.available(), reason="there is no bfloat16 here")
@given(widths=widths, outputs=outputs, accumulate=st.booleans(), bias=st.booleans())
@settings(max_examples=25)
def test_products_of_bfloat16_numbers_are_those_of_rounded_ones(
    widths: list[int], outputs: int, accumulate: bool, bias: bool
) -> None:
    product = Product(widths, outputs, accumulate, bias)
    inputs = product.inputs(events=20)

    # When it is computed in bfloat16
    found = [
        product.computed(inputs[:count], slots=slots, dtype=torch.bfloat16)
        for slots, count in ((NARROW, 1), (NARROW, 8), (WIDE, 20))
    ]

    # Then weights and inputs were rounded, and nothing else was
    for own in found:
        assert torch.equal(own, found[-1][: len(own)])
    expected = product.exactly(inputs, torch.bfloat16)
    assert (found[-1] - expected).abs().max() <= 1e-6 * product.size(inputs)


class Product:
    """target (O,) = weight · sources + bias, or the target's own conditioning + weight · sources.

    What events ask for is, side by side, the sources (I floats) and what the target holds (O).
    """

    def __init__(self, widths: Sequence[int], outputs: int, accumulate: bool, bias: bool) -> None:
        random = generator(sum(widths) + outputs)
        self._reads = sum(widths)
        self._weight = torch.randn(outputs, self._reads, generator=random)
        self._bias = torch.randn(outputs, generator=random) if bias else None
        self._accumulate = accumulate
        sources = tuple(Register(width) for width in widths)
        target, bit = Register(outputs), Register(1)
        firsts = [sum(widths[:number]) for number in range(len(widths))]
        given = [
            Condition("global", first, source, accumulate=False)
            for first, source in zip(firsts, sources, strict=True)
        ]
        self._program = StepProgram(
            None,
            None,
            (
                *(*given, Condition("global", self._reads, target, accumulate=False)),
                Dense(sources, self._weight, self._bias, target, accumulate),
                *(
                    Write(target, Grid(1, 1, outputs)),
                    Condition("global", 0, bit, accumulate=False),
                ),
                Draw(bit, Bernoulli()),
            ),
            global_width=self._reads + outputs,
        )

    def inputs(self, events: int) -> Tensor:
        """What so many events ask for, (events, I + O)."""
        return torch.randn(events, self._program.global_width, generator=generator(events))

    def computed(
        self,
        inputs: Tensor,
        *,
        slots: int,
        dtype: torch.dtype = torch.float32,
        build: str | None = None,
    ) -> Tensor:
        """The targets (events, O), computed at the same time in as many units as are needed."""
        executor = executor_of(self._program, slots=slots, dtype=dtype, build=build)
        tiles = [executor.new_tile() for _ in range(-(-len(inputs) // slots))]
        for number in range(len(inputs)):
            start = Start(Projection(fixed=inputs[number : number + 1]), 2, 0, 0, Settings())
            tiles[number // slots].admit(number % slots, start)
        executor.run([(tiles, 1)])
        memories = [
            tiles[number // slots].memory(number % slots).grids[0].flatten()
            for number in range(len(inputs))
        ]
        return torch.stack(memories)

    def exactly(self, inputs: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The same in float64, of weights and sources that are rounded to a dtype."""
        sources, before = torch.split(inputs, [self._reads, len(self._weight)], dim=1)
        exact = sources.to(dtype).double() @ self._weight.to(dtype).double().t()
        exact += 0 if self._bias is None else self._bias.double()
        return exact + before.double() if self._accumulate else exact

    def size(self, inputs: Tensor) -> float:
        """What errors are relative to: the largest sum of magnitudes."""
        magnitudes = inputs[:, : self._reads].abs() @ self._weight.abs().t()
        return float(magnitudes.max()) + 5
