"""One row's samplers: one in this process, or several that share the device."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

import torch

from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest
from parts.gpu.kernel import advance_seconds
from parts.gpu.row import DTYPES, Row, networks
from parts.protocol import Windows, event_rate, fill, sound_rate

#: For all processes of a row to be ready, and then to be done.
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Measured:
    """What one process saw; `advance` is one of a fused executor that has the device for itself
    (`kernel.advance_seconds`)."""

    numerics: str
    symbols_per_second: float
    build_seconds: float
    fill_seconds: float
    first_advance_seconds: float
    processor_share: float
    memory_bytes: int
    advance: Mapping[str, float]


def measure(
    row: Row, device: str, tiny: bool, windows: Windows, ready: Barrier | None = None
) -> Measured:
    """The rate of one sampler with all its slots taken; it begins when all are `ready`."""
    network = networks(tiny=tiny)[row.network]
    gc.collect()
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    times = [time.perf_counter()]
    sampler = Sampler(
        network.fresh(),
        slots=row.slots,
        device=device,
        dtype=DTYPES[row.executor],
        executor=row.executor,
    )
    times.append(time.perf_counter())
    requests = (SampleRequest(n, network.fields(n), seed=n) for n in itertools.count())
    fill(sampler, requests)
    times.append(time.perf_counter())
    sampler.advance()
    times.append(time.perf_counter())
    if ready is not None:
        ready.wait(PATIENCE_SECONDS)
    rate_of = sound_rate if windows.seconds else event_rate
    rate = rate_of(sampler, requests, windows, threads=1)
    advance: Mapping[str, float] = {}
    if row.executor != "graph" and ready is None:
        # The processor spins while it waits for a device, so that its share tells nothing of this.
        fill(sampler, requests)
        advance = advance_seconds(sampler, device)
    build, filling, first = (later - earlier for earlier, later in itertools.pairwise(times))
    return Measured(
        numerics=sampler.numerics,
        symbols_per_second=rate.per_second,
        build_seconds=build,
        fill_seconds=filling,
        first_advance_seconds=first,
        processor_share=rate.processor_share,
        memory_bytes=torch.cuda.max_memory_allocated() if device != "cpu" else 0,
        advance=advance,
    )


def in_processes(row: Row, device: str, tiny: bool, windows: Windows) -> list[Measured]:
    """The same in as many processes as asked for, each with all its slots, at one time."""
    part = replace(row, processes=1)
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(row.processes)
    ends = []
    for _ in range(row.processes):
        mine, theirs = context.Pipe(duplex=False)
        arguments = (part, device, tiny, windows, ready, theirs)
        context.Process(target=_tell, args=arguments, daemon=True).start()
        # Only the process holds its end now, so that one which died is heard of.
        theirs.close()
        ends.append(mine)
    return [end.recv() for end in ends]


def _tell(
    row: Row,
    device: str,
    tiny: bool,
    windows: Windows,
    ready: Barrier,
    answer: Connection,
) -> None:
    answer.send(measure(row, device, tiny, windows, ready))
