"""What the text of a kernel reads: weights, floats, and the numbers that say where they lie."""

from __future__ import annotations

import torch
from torch import Tensor

from ancestral.models.sampling.fused.blocks import NARROWEST, Block, blocks
from ancestral.models.sampling.ops import Dense, Read, Register, Source

#: Where something lies is told in so many floats: so a compiler sees that it begins on the edge of
#: 16 bytes, in either dtype, and reads it in such pieces.
UNIT = 8


class Tables:
    """Filled in the order in which the text reads."""

    def __init__(self) -> None:
        self._weights, self._floats = _Tensors(), _Tensors()
        self._numbers: list[int] = []

    @property
    def told(self) -> int:
        """How many numbers there are."""
        return len(self._numbers)

    def tell(self, *numbers: int) -> None:
        """Put numbers into the table."""
        self._numbers += numbers

    def tell_weight(self, op: Dense) -> None:
        """Say in units where a product's blocks of weights lie, which go into the table: those of
        the first block of inputs, then those of the next."""
        pieces = []
        for source in shifted(op):
            for target in register_blocks(op.target):
                weight = op.weight.detach().to("cpu", torch.float32)
                part = weight[target.start : target.start + target.width]
                part = part[:, source.start : source.start + source.width].t()
                pieces.append(torch.zeros(source.lanes, target.lanes))
                pieces[-1][: source.width, : target.width] = part
        self.tell(self._weights.add(torch.cat([piece.flatten() for piece in pieces])) // UNIT)

    def tell_floats(self, tensor: Tensor) -> None:
        """Say in units where a bias or a table of symbols lies, which goes into the table."""
        self.tell(self._floats.add(tensor) // UNIT)

    def weights(self) -> Tensor:
        """All blocks of weights."""
        return self._weights.all()

    def floats(self) -> Tensor:
        """All biases and tables of symbols."""
        return self._floats.all()

    def numbers(self) -> Tensor:
        """All numbers, int64."""
        return torch.tensor([*self._numbers, 0], dtype=torch.int64)


def source_blocks(source: Source) -> tuple[Block, ...]:
    """The blocks of what an op reads."""
    if isinstance(source, Read):
        return blocks(source.grid.width, source.grid.parts)
    return register_blocks(source)


def register_blocks(place: object) -> tuple[Block, ...]:
    """The blocks of a register."""
    assert isinstance(place, Register)
    return blocks(place.width, place.parts)


def shifted(op: Dense) -> list[Block]:
    """The blocks of all sources of a product, as columns of its weight."""
    found: list[Block] = []
    before = 0
    for source in op.sources:
        own = source_blocks(source)
        found += [Block(before + block.start, block.width, block.lanes) for block in own]
        before += sum(block.width for block in own)
    return found


class _Tensors:
    """Tensors one behind the other."""

    def __init__(self) -> None:
        self._pieces: list[Tensor] = []
        self._next = 0

    def add(self, tensor: Tensor) -> int:
        """Where it begins."""
        begins = self._next
        spare = -tensor.numel() % UNIT
        self._pieces += [tensor.detach().to("cpu", torch.float32).flatten(), torch.zeros(spare)]
        self._next += tensor.numel() + spare
        return begins

    def all(self) -> Tensor:
        return torch.cat([*self._pieces, torch.zeros(NARROWEST)])
