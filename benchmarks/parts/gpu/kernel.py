"""Launches of fused executors: how long their kernels take, and what of a device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from ancestral.models.sampling.fused.launch import (
    Argument,
    Launcher,
    TritonLauncher,
    TwinLauncher,
    interpreted,
)
from ancestral.models.sampling.sampler import Sampler
from parts.gpu.machine import timing_event


@dataclass(frozen=True)
class Launch:
    """One launch; `seconds` can be asked for when the device has done it."""

    launcher: Launcher
    seconds: Callable[[], float]


@contextmanager
def watched(device: str) -> Iterator[list[Launch]]:
    """The launches of this process in the block, in their order."""
    twin = device == "cpu" and not interpreted()
    kind: type[Launcher] = TwinLauncher if twin else TritonLauncher
    span = _span_of_processor if device == "cpu" else _span_of_device
    launch, launches = kind.launch, list[Launch]()

    def watch(launcher: Launcher, programs: int, arguments: dict[str, Argument]) -> None:
        with span() as seconds:
            launch(launcher, programs, arguments)
        launches.append(Launch(launcher, seconds))

    with patch.object(kind, "launch", watch):
        yield launches


def advance_seconds(sampler: Sampler, device: str) -> Mapping[str, float]:
    """Seconds of one advance of a fused sampler, and what of them its kernel took: the rest is the
    host's, and copies."""
    with watched(device) as launches:
        began = time.perf_counter()
        sampler.advance()
        took = time.perf_counter() - began
    return {
        "kernel_seconds": sum(launch.seconds() for launch in launches),
        "advance_seconds": took,
    }


def resources(launches: list[Launch]) -> Mapping[str, int]:
    """What the kernel that was launched takes of a multiprocessor: registers a thread, those that
    did not fit, and shared memory. Where nothing is compiled, nothing."""
    (launch,) = launches
    compiled = launch.launcher.compiled
    if compiled is None:
        return {}
    return {
        "registers": compiled.n_regs,
        "spilled_registers": compiled.n_spills,
        "shared_bytes": compiled.metadata.shared,
    }


@contextmanager
def _span_of_device() -> Iterator[Callable[[], float]]:
    began, ended = timing_event(), timing_event()
    began.record()
    yield lambda: began.elapsed_time(ended) / 1000
    ended.record()


@contextmanager
def _span_of_processor() -> Iterator[Callable[[], float]]:
    times = [time.perf_counter()]
    yield lambda: times[1] - times[0]
    times.append(time.perf_counter())
