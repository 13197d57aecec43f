"""How fast executors draw on a device: networks, slots, and one row for each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from ancestral.models.sampling.fused.groups import is_supported
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest
from parts.gpu.case import Case
from parts.gpu.kernel import resources, watched
from parts.gpu.measured import in_processes, measure
from parts.gpu.row import DTYPES, Executor, Row, networks
from parts.gpu.work import work_of
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
    Row("wavenet", "fused", 16_384, 50e6),
    Row("wavenet", "fused", 8_192, 50e6),
    Row("wavenet", "fused", 1_024),
    Row("wavenet", "fused", 64),
    Row("wavenet", "fused-few", 1, 8_000),
    Row("wavenet", "fused-few", 16),
    Row("wavenet", "fused-few", 64),
    Row("gated_pixelcnn", "fused", 8_192, 10_000),
    Row("gated_pixelcnn", "fused", 8_192, 10_000, processes=2),
    Row("wavenet", "fused", 16_384, 50e6, processes=2),
    Row("gated_pixelcnn", "fused", 1_024),
    Row("wavenet-conditioned", "fused", 8_192),
    Row("pixelcnn_pp", "fused", 1_024),
    Row("wavenet", "graph", 8_192),
    Row("wavenet", "graph", 1_024),
    Row("wavenet", "graph", 64),
    Row("wavenet-conditioned", "graph", 8_192),
    Row("gated_pixelcnn", "graph", 1_024),
    Row("pixelcnn_pp", "graph", 1_024),
)
#: With networks so small that the whole command can be tried on a processor.
TINY_ROWS = (
    Row("wavenet", "fused", 3),
    Row("wavenet", "fused-few", 1, 1e12),
    Row("gated_pixelcnn", "graph", 4, processes=2),
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
    for row in TINY_ROWS if tiny else ROWS:
        unit = networks(tiny=tiny)[row.network].unit
        windows = within if unit == "samples" and not tiny else whole
        name = f"{row.network}, {row.executor}, {row.slots} slots"
        if row.processes > 1:
            name += f" in each of {row.processes} processes"
        yield Case("sampling", name, partial(_measured, row, device, tiny, windows), ROW_SECONDS)


def _compile(network: Network, executor: Executor, device: str) -> Mapping[str, Any]:
    net = network.fresh()
    if not is_supported(net.program()):
        return {"refused": NO_KERNEL}
    sampler = Sampler(net, slots=1, device=device, dtype=DTYPES[executor], executor=executor)
    sampler.admit(SampleRequest(0, network.fields(0), seed=0))
    with watched(device) as launches:
        sampler.advance()
    return resources(launches)


def _measured(row: Row, device: str, tiny: bool, windows: Windows) -> Mapping[str, Any]:
    network = networks(tiny=tiny)[row.network]
    net, dtype = network.fresh(), DTYPES[row.executor]
    program = net.program()
    slots = row.slots * row.processes
    facts: dict[str, Any] = {**asdict(row), "slots": slots, "unit": network.unit}
    if row.executor != "graph" and not is_supported(program):
        return {**facts, "refused": NO_KERNEL}
    if row.processes == 1:
        measured = [measure(row, device, tiny, windows)]
    else:
        measured = in_processes(row, device, tiny, windows)
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
        "work": asdict(work_of(program, row.executor, dtype)),
    }
