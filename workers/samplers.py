"""Warm models: bundles loaded once and kept ready to draw. The one file that imports the models.

job ──▶ registry (fetch the bundle) ──▶ load ──▶ Sampler with its slots ──▶ WarmSampler
                                                                kept here, by digest
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from ancestral.jobs.registry import Registry
from ancestral.jobs.request_shards import Row
from ancestral.jobs.spec import Job, Sampling
from ancestral.models import (
    ConditionError,
    Sample,
    Sampler,
    SampleRequest,
    Settings,
    load_bundle,
    to_media,
)
from ancestral.workers.errors import RowRefused
from ancestral.workers.work import WarmModel

#: Models that are kept when others are asked for; the one asked for longest ago goes first.
WARM_MODELS = 4


class WarmSampler:
    """A `WarmModel` on a `Sampler`."""

    def __init__(self, sampler: Sampler, signature: Mapping[str, Any], device: str) -> None:
        self._sampler = sampler
        self._signature = signature
        self.device = device

    @property
    def numerics(self) -> str:
        return self._sampler.numerics

    @property
    def free(self) -> int:
        return self._sampler.free

    @property
    def steps(self) -> int:
        return self._sampler.steps

    def admit(self, key: Hashable, row: Row, sampling: Sampling) -> None:
        try:
            settings = Settings(sampling.temperature, sampling.top_k, sampling.top_p)
            self._sampler.admit(SampleRequest(key, row.fields, row.seed, row.sample, settings))
        except ConditionError as error:
            raise RowRefused(str(error)) from error

    def advance(self) -> Sequence[Sample]:
        return self._sampler.advance()

    def to_media(self, symbols: np.ndarray) -> np.ndarray:
        return to_media(self._signature, symbols)


class WarmSamplers:
    """The `WarmModels` of a process: samplers of `slots` slots on one device."""

    def __init__(self, registry: Registry, *, slots: int = 64, device: str = "cpu") -> None:
        self.slots = slots
        self._registry = registry
        self._device = device
        self._lock = threading.Lock()
        # By digest, the one asked for longest ago first.
        self._warm: dict[str, WarmSampler] = {}

    def get(self, job: Job) -> WarmSampler:
        """The job's model, from here or loaded.

        Raises ModelUnreadable, BundleError or StoreError when it cannot be had.
        """
        with self._lock:
            warm = self._warm.pop(job.model.digest, None) or self._load(job)
            self._warm[job.model.digest] = warm
            if len(self._warm) > WARM_MODELS:
                del self._warm[next(iter(self._warm))]
            return warm

    def forget(self, model: WarmModel) -> None:
        with self._lock:
            self._warm = {digest: warm for digest, warm in self._warm.items() if warm is not model}

    def _load(self, job: Job) -> WarmSampler:
        folder = self._registry.fetch(job.model.uri, job.model.digest)
        bundle = load_bundle(folder)
        sampler = Sampler(bundle.net, slots=self.slots, device=self._device)
        return WarmSampler(sampler, job.signature, self._device)
