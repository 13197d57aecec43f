"""A bundle, asked for one event after the other: what it draws, and real media as it could draw
them."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ancestral.jobs.client import Client
from ancestral.jobs.errors import RequestProblem, SpecError
from ancestral.jobs.signature import check_fields
from ancestral.models import (
    Bundle,
    DataError,
    Sampler,
    SampleRequest,
    Settings,
    from_media,
    load_bundle,
    to_media,
)

SLOTS = 64

#: Samples drawn between two lines of progress.
REPORT = 100


@dataclass(frozen=True)
class Asked:
    """A bundle by the name that it was given, and how it is asked."""

    model: str
    bundle: Bundle
    temperature: float
    top_p: float | None = None
    #: By how much labels are stressed, in a model that can be guided.
    guidance: float = 0.0

    @property
    def signature(self) -> Mapping[str, Any]:
        """What it can be asked for, and what it makes."""
        return self.bundle.net.signature

    def fields(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a request, complete. Raises SpecError when it cannot be asked for that."""
        stressed = {"guidance": self.guidance} if self.guidance else {}
        try:
            return check_fields(self.signature, {**wanted, **stressed})
        except RequestProblem as error:
            raise SpecError(f"{self.model} cannot be asked for {dict(wanted)}: {error}") from error

    def draw(self, fields: Sequence[Mapping[str, Any]]) -> tuple[list[NDArray[Any]], float]:
        """An event as media for each request, the seed being its number; and how many seconds that
        took. Raises DataError when one is worthless."""
        began = time.perf_counter()
        settings = Settings(temperature=self.temperature, top_p=self.top_p)
        requests = (
            SampleRequest(number, each, seed=number, settings=settings)
            for number, each in enumerate(fields)
        )
        drawn: dict[Any, NDArray[Any]] = {}
        for sample in Sampler(self.bundle.net, slots=SLOTS).sample(requests):
            if sample.error is not None:
                raise DataError(f"{self.model}, sample {sample.key}: {sample.error}")
            drawn[sample.key] = to_media(self.signature, sample.symbols)
            if len(drawn) % REPORT == 0:
                print(f"{self.model}: {len(drawn)} of {len(fields)} drawn", file=sys.stderr)
        return [drawn[number] for number in range(len(fields))], time.perf_counter() - began

    def heard(self, media: NDArray[Any]) -> NDArray[Any]:
        """Real media as the bundle would draw them at best: in the values of its alphabet."""
        visible = {**self.signature, "hidden": 0}
        return to_media(visible, np.asarray(from_media(visible, media), np.int64))


def open_bundle(
    model: str, temperature: float, top_p: float | None = None, guidance: float = 0.0
) -> Asked:
    """By name, as jobs do, or by the path or URI of its folder. Raises ModelUnreadable."""
    registry = Client().registry
    entry = registry.resolve(model)
    bundle = load_bundle(registry.fetch(entry.uri, entry.digest))
    return Asked(model, bundle, temperature, top_p, guidance)
