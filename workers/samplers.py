"""Warm models: bundles loaded once and kept ready to draw or to score.

job ──▶ registry (fetch the bundle) ──▶ load ──▶ Sampler with its slots ──▶ WarmSampler
                                            └──▶ Scorer, for score jobs  ──▶ WarmScorer
                                                               kept here, by digest and kind
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from ancestral.jobs.registry import Registry
from ancestral.jobs.request_shards import Row
from ancestral.jobs.spec import Job, Sampling
from ancestral.models import (
    Autoregressive,
    ConditionError,
    Sample,
    Sampler,
    SampleRequest,
    Settings,
    load_bundle,
    to_media,
)
from ancestral.models.sampling.executor import single_threaded
from ancestral.models.scoring import Score, Scorer
from ancestral.workers.asking import Asked, completion, own_fields, reconstruction, whole_event
from ancestral.workers.errors import RowRefused
from ancestral.workers.work import WarmModel

#: Models that are kept when others are asked for; the one asked for longest ago goes first.
WARM_MODELS = 4


class WarmSampler:
    """A `WarmModel` on a `Sampler`; `ask` says what a row's fields ask of the network."""

    def __init__(
        self,
        sampler: Sampler,
        signature: Mapping[str, Any],
        ask: Callable[[Mapping[str, Any]], Asked],
    ) -> None:
        self._sampler = sampler
        self._signature = signature
        self._ask = ask

    @property
    def numerics(self) -> str:
        return self._sampler.numerics

    @property
    def free(self) -> int:
        return self._sampler.free

    @property
    def steps(self) -> int:
        return self._sampler.steps

    def admit(self, key: Hashable, row: Row, sampling: Sampling) -> int:
        settings = Settings(sampling.temperature, sampling.top_k, sampling.top_p)
        try:
            with torch.inference_mode(), single_threaded():
                asked = self._ask(row.fields)
            return self._sampler.admit(
                SampleRequest(key, asked.fields, row.seed, row.sample, settings, asked.prefix)
            )
        except ConditionError as error:
            raise RowRefused(str(error)) from error

    def drop(self, key: Hashable) -> None:
        self._sampler.drop(key)

    def advance(self) -> Sequence[Sample]:
        return self._sampler.advance()

    def to_media(self, symbols: np.ndarray) -> np.ndarray:
        return to_media(self._signature, symbols)


class WarmScorer:
    """A `WarmModel` on a `Scorer`: it draws nothing, and its rows are scored many at once."""

    def __init__(self, scorer: Scorer, signature: Mapping[str, Any]) -> None:
        self._scorer = scorer
        self._signature = signature

    @property
    def numerics(self) -> str:
        return self._scorer.numerics

    @property
    def free(self) -> int:
        return self._scorer.free

    @property
    def steps(self) -> int:
        return self._scorer.steps

    def admit(self, key: Hashable, row: Row, sampling: Sampling) -> int:
        symbols = whole_event(self._signature, "artifact", row.fields["artifact"])
        try:
            return self._scorer.admit(key, symbols, own_fields(row.fields))
        except ConditionError as error:
            raise RowRefused(str(error)) from error

    def drop(self, key: Hashable) -> None:
        self._scorer.drop(key)

    def advance(self) -> Sequence[Score]:
        return self._scorer.advance()

    def to_media(self, symbols: np.ndarray) -> np.ndarray:
        return to_media(self._signature, symbols)


class WarmSamplers:
    """The `WarmModels` of a process: samplers of `slots` slots on one device."""

    def __init__(self, registry: Registry, *, slots: int = 64, device: str = "cpu") -> None:
        self.slots = slots
        self.device = device
        self._registry = registry
        self._lock = threading.Lock()
        # By digest and kind, the one asked for longest ago first.
        self._warm: dict[tuple[str, str], WarmModel] = {}

    def get(self, job: Job) -> WarmModel:
        """The job's model, from here or loaded.

        Raises ModelUnreadable, BundleError or StoreError when it cannot be had.
        """
        with self._lock:
            key = job.model.digest, job.spec.kind
            warm = self._warm.pop(key, None) or self._load(job)
            self._warm[key] = warm
            if len(self._warm) > WARM_MODELS:
                del self._warm[next(iter(self._warm))]
            return warm

    def forget(self, model: WarmModel) -> None:
        with self._lock:
            self._warm = {key: warm for key, warm in self._warm.items() if warm is not model}

    def _load(self, job: Job) -> WarmModel:
        folder = self._registry.fetch(job.model.uri, job.model.digest)
        net = load_bundle(folder).net
        if job.spec.kind == "score":
            scorer = Scorer(net, slots=self.slots, device=self.device)
            return WarmScorer(scorer, job.signature)
        sampler = Sampler(net, slots=self.slots, device=self.device)
        ask = _asking(job, net.to(self.device), torch.device(self.device))
        return WarmSampler(sampler, job.signature, ask)


def _asking(
    job: Job, net: Autoregressive, device: torch.device
) -> Callable[[Mapping[str, Any]], Asked]:
    match job.spec.kind:
        case "complete":
            return partial(completion, job.signature, net)
        case "reconstruct":
            return partial(reconstruction, job.signature, net, device)
        case _:
            return lambda fields: Asked(dict(fields))
