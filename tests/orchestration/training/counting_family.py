"""A family, as a package adds it, whose networks count symbols before they learn step by step.

The file that COUNTING_LOG names gets a line each time that one does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, distributed, nn

from ancestral.models import Family, GatedPixelCNN, GatedPixelCNNConfig


@dataclass(frozen=True)
class CountingConfig(GatedPixelCNNConfig):
    """`counts`: whether it does."""

    counts: bool = True


class Counting(GatedPixelCNN):
    """Knows how often each symbol occurs in what it is trained on."""

    family: ClassVar[str] = "counting"

    counts: Tensor

    def __init__(self, config: CountingConfig) -> None:
        super().__init__(config)
        self.register_buffer("counts", torch.zeros(config.levels))
        self.total = nn.Parameter(torch.zeros(()), requires_grad=False)

    @property
    def learns_first(self) -> bool:
        return bool(self.config.counts)  # type: ignore[attr-defined]

    def learn_first(
        self,
        examples: Iterable[tuple[Tensor, Mapping[str, Any]]],
        *,
        seed: int,
        report: Callable[[str], None],
    ) -> None:
        if distributed.is_initialized():
            ranks = distributed.group.WORLD._get_backend(torch.device("cpu"))
            assert ranks.options._timeout == timedelta(days=1), "the others would not wait so long"
        for x, fields in examples:
            assert set(fields) == {"label"}
            self.counts += torch.bincount(x.flatten(), minlength=len(self.counts))
        self.total.data.fill_(float(sum(x.numel() for x, _ in examples)))
        report(f"counted with seed {seed}")
        with Path(os.environ["COUNTING_LOG"]).open("a") as log:
            log.write("counted\n")

    def example(self, x: Tensor, fields: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        learnt = self.total > 0 and self.counts.sum() == self.total
        assert not self.learns_first or learnt, "it was asked before it had learnt"
        return super().example(x, fields)


FAMILY = Family(Counting, CountingConfig)


def install(folder: Path) -> None:
    """This family in an installed package, once `folder` is on the path."""
    (folder / "counting_family.py").write_text(Path(__file__).read_text())
    facts = folder / "counting-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n")
    entry = "[ancestral.models]\ncounting = counting_family:FAMILY\n"
    (facts / "entry_points.txt").write_text(entry)
