"""Warm models: bundles loaded once and kept ready to draw or to score.

job ──▶ registry (fetch the bundle) ──▶ load ──▶ Sampler with its slots ──▶ WarmSampler
                                            └──▶ Scorer, for score jobs  ──▶ WarmScorer
                                                               kept here, by digest and kind
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch

from ancestral.jobs.bundles import DIGEST_CHARACTERS
from ancestral.jobs.errors import ModelUnreadable
from ancestral.jobs.registry import Registry
from ancestral.jobs.request_shards import Row
from ancestral.jobs.spec import Job, Sampling
from ancestral.models import (
    Autoregressive,
    Bundle,
    BundleError,
    ConditionError,
    ConfigError,
    NativeMissing,
    ProgramError,
    Sample,
    Sampler,
    SampleRequest,
    Settings,
    load_bundle,
    to_media,
)
from ancestral.models.sampling.budget import free_bytes, slots_for
from ancestral.models.sampling.executors import ExecutorName
from ancestral.models.scoring import Score, Scorer
from ancestral.workers.asking import Asked, completion, own_fields, reconstruction, whole_event
from ancestral.workers.devices import misfit, refusal
from ancestral.workers.errors import JobRefused, RowRefused, SlotsLost
from ancestral.workers.work import WarmModel

#: Models that are kept when others are asked for; the one asked for longest ago goes first.
WARM_MODELS = 4

#: Rows that a sampler draws at the same time, where the memory of its device is no limit.
DEFAULT_SLOTS = 64

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

#: What samplers differ by: the model's digest, the job's kind, precision and tiles.
_Key = tuple[str, str, str, str]

Answer = TypeVar("Answer")


class WarmSampler:
    """A `WarmModel` on a `Sampler`; `ask` says what a row's fields ask of the network.

    When device memory runs out, it goes on with half as many slots, as often as need be.
    """

    def __init__(
        self,
        make: Callable[[int], Sampler],
        slots: int,
        signature: Mapping[str, Any],
        ask: Callable[[Mapping[str, Any]], Asked],
    ) -> None:
        """`make` gives a sampler of so many slots. Raises what it raises; torch.OutOfMemoryError if
        there is no room for one slot."""
        self._make = make
        self._sampler = self._fitting(slots)
        #: Rows that are drawn at the same time. Other threads ask for this and for the numerics,
        #: also while there is no sampler.
        self.slots = self._sampler.slots
        self.numerics = self._sampler.numerics
        self._steps_before = 0
        self._signature = signature
        self._ask = ask

    def forget(self) -> None:
        """Let go what is kept warm for rows that ask for the same."""
        self._sampler.forget()

    @property
    def drawing(self) -> Sampler:
        """What draws at the moment; another one after slots were lost."""
        return self._sampler

    @property
    def free(self) -> int:
        return self._sampler.free

    @property
    def steps(self) -> int:
        return self._steps_before + self._sampler.steps

    def admit(self, key: Hashable, row: Row, sampling: Sampling) -> int:
        settings = Settings(sampling.temperature, sampling.top_k, sampling.top_p)
        try:
            asked = self._ask(row.fields)
            request = SampleRequest(key, asked.fields, row.seed, row.sample, settings, asked.prefix)
            return self._within_memory(lambda sampler: sampler.admit(request))
        except ConditionError as error:
            raise RowRefused(str(error)) from error

    def drop(self, key: Hashable) -> None:
        self._sampler.drop(key)

    def advance(self) -> Sequence[Sample]:
        return self._within_memory(lambda sampler: sampler.advance())

    def _within_memory(self, ask: Callable[[Sampler], Answer]) -> Answer:
        """What the sampler answers; SlotsLost when it ran out of memory, and there is another."""
        try:
            return ask(self._sampler)
        except torch.OutOfMemoryError:
            if self.slots == 1:
                raise
        # Here, and not while the error is handled, nothing holds on to the old sampler's memory.
        self.slots, self._steps_before = self.slots // 2, self.steps
        del self._sampler
        self._sampler = self._fitting(self.slots)
        self.slots = self._sampler.slots
        raise SlotsLost(self.slots)

    def _fitting(self, slots: int) -> Sampler:
        """A sampler of so many slots, or of as many as there is room for."""
        while True:
            _free_memory()
            try:
                return self._make(slots)
            except torch.OutOfMemoryError:
                if slots == 1:
                    raise
            slots //= 2

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

    def forget(self) -> None:
        """Nothing is kept."""

    @property
    def drawing(self) -> Scorer:
        """What scores."""
        return self._scorer

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
    """The `WarmModels` of a process: samplers on one device.

    slots: of each sampler; None: `DEFAULT_SLOTS`, or on a GPU what its memory has room for.
    gpus: the share of its GPU that this process may take, in (0, 1].
    """

    def __init__(
        self,
        registry: Registry,
        *,
        slots: int | None = None,
        device: str = "cpu",
        gpus: float = 1.0,
    ) -> None:
        self.device = device
        self._slots = slots
        self._gpus = gpus
        self._registry = registry
        self._lock = threading.Lock()
        # The one asked for longest ago first.
        self._warm: dict[_Key, WarmSampler | WarmScorer] = {}

    @property
    def slots(self) -> int:
        """The most that a model here has; before there is one, what it is sure to want."""
        with self._lock:
            slots = [warm.slots for warm in self._warm.values() if isinstance(warm, WarmSampler)]
        return max(slots, default=self._slots or DEFAULT_SLOTS)

    def get(self, job: Job) -> WarmSampler | WarmScorer:
        """The job's model, from here or loaded.

        Raises ModelUnreadable or StoreError when it cannot be had, and JobRefused when it cannot be
        built here, as where its family's package is missing, or this device does not draw as the
        job asks.
        """
        sampling = job.spec.sampling
        key = job.model.digest, job.spec.kind, sampling.precision, sampling.tiles
        with self._lock:
            warm = self._warm.pop(key, None) or self._load(job)
            self._warm[key] = warm
            if len(self._warm) > WARM_MODELS:
                del self._warm[next(iter(self._warm))]
            return warm

    def forget(self, model: WarmModel) -> None:
        with self._lock:
            self._warm = {key: warm for key, warm in self._warm.items() if warm is not model}

    def _load(self, job: Job) -> WarmSampler | WarmScorer:
        if (reason := misfit(job.spec, self.device)) is not None:
            raise JobRefused(refusal(self.device, job.job_id, reason))
        try:
            return self._build(job, self._bundle(job))
        except (ConfigError, NativeMissing, ProgramError) as error:
            raise JobRefused(refusal(self.device, job.job_id, str(error))) from error

    def _bundle(self, job: Job) -> Bundle:
        """The job's model. Raises ModelUnreadable, StoreError, and ConfigError when this process
        has no such family, or another version of it."""
        folder = self._registry.fetch(job.model.uri, job.model.digest)
        try:
            bundle = load_bundle(folder)
        except BundleError as error:
            if isinstance(error.__cause__, ConfigError):
                raise ConfigError(str(error)) from error
            raise ModelUnreadable(str(error)) from error
        if bundle.digest != job.model.digest:
            # It was the one when it was fetched, and was replaced before it was read.
            found, wanted = (
                digest[:DIGEST_CHARACTERS] for digest in (bundle.digest, job.model.digest)
            )
            raise ModelUnreadable(
                f"{folder}: holds another model now (digest {found}, and not {wanted}): put back "
                f"the one that job {job.job_id} was accepted with, or submit the job again"
            )
        return bundle

    def _build(self, job: Job, bundle: Bundle) -> WarmSampler | WarmScorer:
        """What draws or scores with the model. Raises ConfigError, NativeMissing, ProgramError."""
        net = bundle.net
        if job.spec.kind == "score":
            scorer = Scorer(net, slots=self._slots or DEFAULT_SLOTS, device=self.device)
            return WarmScorer(scorer, job.signature)
        dtype = DTYPES[job.spec.sampling.precision]
        executor: ExecutorName = "auto" if job.spec.sampling.tiles == "many" else "fused-few"
        ask = _asking(job, net.to(self.device), torch.device(self.device))

        def make(slots: int) -> Sampler:
            return Sampler(net, slots=slots, device=self.device, dtype=dtype, executor=executor)

        slots = self._slots or slots_on(self.device, self._gpus, net, job.spec.sampling)
        return WarmSampler(make, slots, job.signature, ask)


def slots_on(device: str, gpus: float, net: Autoregressive, sampling: Sampling) -> int:
    """How many slots a sampler has, unless somebody says a number; see `WarmSamplers`."""
    if torch.device(device).type == "cpu" or sampling.tiles == "few":
        return DEFAULT_SLOTS
    free = free_bytes(torch.device(device), gpus)
    return slots_for(free, net.program(), DTYPES[sampling.precision])


def _free_memory() -> None:
    """Give back what nobody holds any more: tensors in cycles, and what torch keeps of a GPU."""
    gc.collect()
    torch.cuda.empty_cache()


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
