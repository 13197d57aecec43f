"""How fast executors draw on a device: networks, slots, and one row for each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from ancestral.models.sampling.fused.groups import is_supported
from ancestral.models.sampling.sampler import Sampler, SampleRequest
from parts.gpu_asked import DTYPES, Asked, Executor, networks
from parts.gpu_case import Case
from parts.gpu_kernel import resources, watched
from parts.gpu_measured import in_processes, measure
from parts.gpu_work import work_of
from parts.networks import Network
from parts.protocol import Windows

#: A row is measured within this time, building, compiling and filling the slots included.
ROW_SECONDS = 120.0
#: Rows wait for their kernel, so that it may take all the time that there is for compiling.
COMPILE_SECONDS = math.inf
#: Why a row was not measured.
NO_KERNEL = "there is no fused kernel for it"

#: What matters most is known soonest: fused kernels first, as they have targets, and of those that
#: take long the ones that tell most.
ROWS = (
    Asked("wavenet", "fused", 16_384, 50e6),
    Asked("wavenet", "fused", 8_192, 50e6),
    Asked("wavenet", "fused", 1_024),
    Asked("wavenet", "fused", 64),
    Asked("wavenet", "fused-few", 1, 8_000),
    Asked("wavenet", "fused-few", 16),
    Asked("wavenet", "fused-few", 64),
    Asked("gated_pixelcnn", "fused", 8_192, 10_000),
    Asked("gated_pixelcnn", "fused", 8_192, 10_000, processes=2),
    Asked("wavenet", "fused", 16_384, 50e6, processes=2),
    Asked("gated_pixelcnn", "fused", 1_024),
    Asked("wavenet-conditioned", "fused", 8_192),
    Asked("pixelcnn_pp", "fused", 1_024),
    Asked("wavenet", "graph", 8_192),
    Asked("wavenet", "graph", 1_024),
    Asked("wavenet", "graph", 64),
    Asked("wavenet-conditioned", "graph", 8_192),
    Asked("gated_pixelcnn", "graph", 1_024),
    Asked("pixelcnn_pp", "graph", 1_024),
)
#: With networks so small that the whole command can be tried on a processor.
TINY_ROWS = (
    Asked("wavenet", "fused", 3),
    Asked("wavenet", "fused-few", 1, 1e12),
    Asked("gated_pixelcnn", "graph", 4, processes=2),
)


def compile_cases(device: str, *, tiny: bool) -> Iterator[Case]:
    """A case for each kernel of the rows: it is compiled, and kept on the disk for those who need
    it next. Its name says for which network and executor."""
    rows = TINY_ROWS if tiny else ROWS
    kernels = {(each.network, each.executor) for each in rows if each.executor != "graph"}
    for name, executor in sorted(kernels):
        action = partial(_compile, networks(tiny=tiny)[name], executor, device)
        yield Case("compile", f"{name}, {executor}", action, COMPILE_SECONDS)


def rate_cases(device: str, *, tiny: bool, quick: bool) -> Iterator[Case]:
    """A case for each row."""
    # In the middle of sounds, as these are long; or whole events, admission included.
    within, whole = Windows(3, 0.2) if quick else Windows(5, 0.5), Windows(3, 0.0)
    for asked in TINY_ROWS if tiny else ROWS:
        unit = networks(tiny=tiny)[asked.network].unit
        windows = within if unit == "samples" and not tiny else whole
        name = f"{asked.network}, {asked.executor}, {asked.slots} slots"
        if asked.processes > 1:
            name += f" in each of {asked.processes} processes"
        yield Case("sampling", name, partial(_row, asked, device, tiny, windows), ROW_SECONDS)


def _compile(network: Network, executor: Executor, device: str) -> Mapping[str, Any]:
    net = network.fresh()
    if not is_supported(net.program()):
        return {"refused": NO_KERNEL}
    sampler = Sampler(net, slots=1, device=device, dtype=DTYPES[executor], executor=executor)
    sampler.admit(SampleRequest(0, network.fields(0), seed=0))
    with watched(device) as launches:
        sampler.advance()
    return resources(launches)


def _row(asked: Asked, device: str, tiny: bool, windows: Windows) -> Mapping[str, Any]:
    network = networks(tiny=tiny)[asked.network]
    net, dtype = network.fresh(), DTYPES[asked.executor]
    program = net.program()
    slots = asked.slots * asked.processes
    facts: dict[str, Any] = {**asdict(asked), "slots": slots, "unit": network.unit}
    if asked.executor != "graph" and not is_supported(program):
        return {**facts, "refused": NO_KERNEL}
    if asked.processes == 1:
        measured = [measure(asked, device, tiny, windows)]
    else:
        measured = in_processes(asked, device, tiny, windows)
    positions = network.symbols_per_unit(net) / program.channels
    symbols = positions * program.channels
    return {
        **facts,
        "dtype": str(dtype).removeprefix("torch."),
        "numerics": measured[0].numerics,
        "per_second": sum(each.symbols_per_second for each in measured) / symbols,
        "windows": windows.repeats,
        "build_seconds": max(each.build_seconds for each in measured),
        "fill_seconds": max(each.fill_seconds for each in measured),
        "first_advance_seconds": max(each.first_advance_seconds for each in measured),
        "processor_share": sum(each.processor_share for each in measured),
        "positions_per_unit": positions,
        **measured[0].advance,
        "memory_bytes": sum(each.memory_bytes for each in measured),
        "work": asdict(work_of(program, asked.executor, dtype)),
    }
