"""What a sampler is asked for, what it gives, and what it can hand over half-way.

Shapes: E the event, n symbols of a prefix.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ancestral.models.errors import ConditionError
from ancestral.models.fields import is_whole
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.philox import LARGEST_SAMPLE, LARGEST_SEED
from ancestral.models.sampling.tile import HalfDrawn, Memory


@dataclass(frozen=True)
class SampleRequest:
    """One event to draw. `key` comes back with the sample and means nothing here.

    `seed` lies in [0, 2⁶³); `sample`, in [0, 2³²), tells the samples of one seed apart; they are
    whole numbers, else ConditionError.
    `prefix` (n,) are the event's first symbols, which are not drawn but given.
    """

    key: Hashable
    fields: Mapping[str, Any]
    seed: int
    sample: int = 0
    settings: Settings = field(default_factory=Settings)
    prefix: Tensor | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not (is_whole(self.seed) and 0 <= self.seed <= LARGEST_SEED):
            raise ConditionError(f"a seed is a whole number in [0, 2**63), not {self.seed!r}")
        if not (is_whole(self.sample) and 0 <= self.sample <= LARGEST_SAMPLE):
            raise ConditionError(
                f"a sample number is a whole number in [0, 2**32), not {self.sample!r}"
            )


@dataclass(frozen=True)
class Sample:
    """A drawn event.

    `symbols` (int32, or float64 for real numbers) has the event's shape and begins with the prefix;
    `log_likelihood_nats` is log p(x | c) of the `drawn` symbols under the unadjusted network;
    `error` says why the event is worthless, if it is; `seconds` is its share of the sampler's time.
    """

    key: Hashable
    symbols: NDArray[Any]
    log_likelihood_nats: float
    error: str | None
    seconds: float
    drawn: int


@dataclass(frozen=True)
class SavedSample:
    """An event on its way, out of its slot: a request, and how far it has come (None: nowhere).

    It goes on in any sampler of the same network and numerics, which `drawn_by` names, in this
    process or another. `seconds` is its share of the time of the samplers so far.
    """

    request: SampleRequest
    so_far: HalfDrawn | None
    drawn_by: str
    seconds: float

    def to_bytes(self) -> bytes:
        """As bytes, without the key, which may be anything."""
        request, so_far = self.request, self.so_far
        tensors: dict[str, Tensor] = {}
        facts: dict[str, Any] = {
            "drawn_by": self.drawn_by,
            "seconds": self.seconds,
            "fields": dict(request.fields),
            "seed": request.seed,
            "sample": request.sample,
            "settings": asdict(request.settings),
        }
        if request.prefix is not None:
            tensors["prefix"] = request.prefix.contiguous()
        if so_far is not None:
            facts["log_likelihood_nats"] = so_far.log_likelihood_nats.hex()
            tensors["symbols"] = torch.from_numpy(np.ascontiguousarray(so_far.symbols))
            for number, grid in enumerate(so_far.memory.grids):
                tensors[f"grid {number}"] = grid.cpu().contiguous()
        # The header of the format holds text alone, so the facts travel as a tensor of bytes.
        tensors["facts"] = torch.tensor(
            list(json.dumps(facts, default=_plain).encode()), dtype=torch.uint8
        )
        return save(tensors)

    @staticmethod
    def from_bytes(data: bytes, key: Hashable) -> SavedSample:
        """The saved event that these bytes are of; raises ConditionError for other bytes."""
        try:
            tensors = load(data)
            facts = json.loads(bytes(tensors["facts"].tolist()))
            settings = Settings(**facts["settings"])
            request = SampleRequest(
                key,
                facts["fields"],
                facts["seed"],
                facts["sample"],
                settings,
                tensors.get("prefix"),
            )
            drawn_by, seconds = facts["drawn_by"], float(facts["seconds"])
            if "symbols" not in tensors:
                return SavedSample(request, None, drawn_by, seconds)
            symbols = tensors["symbols"].numpy()
            nats = float.fromhex(facts["log_likelihood_nats"])
            count = sum(name.startswith("grid ") for name in tensors)
            grids = [tensors[f"grid {number}"] for number in range(count)]
            memory = Memory(symbols.size, grids)
            return SavedSample(request, HalfDrawn(symbols, nats, memory), drawn_by, seconds)
        except (ArithmeticError, LookupError, SafetensorError, TypeError, ValueError) as error:
            raise ConditionError(f"these bytes are no saved sample: {error}") from error


def _plain(value: object) -> Any:
    """What JSON holds of a number of numpy's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is no plain value")
