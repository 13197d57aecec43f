"""What a device is, and what it could give: the ceilings that floors are counted with.

product     a large torch.mm: what tensor cores (bfloat16) and ordinary ones (float32) multiply
memory      a large copy, bytes read and written
weights     every program of a launch reads the same few megabytes, again and again, as the programs
            of a fused kernel read weights: from the second-level cache, all at once and one alone
"""

from __future__ import annotations

import itertools
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

#: Bytes of the weights that are read again and again: those of a large WaveNet in bfloat16.
WEIGHT_BYTES = 2_500_000
REPEATS = 7
WARM_SECONDS = 0.2


def machine(device: str) -> dict[str, Any]:
    """The device by name, and the versions of what runs on it."""
    facts: dict[str, Any] = {
        "device": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "triton": _triton_version(),
        "cuda": torch.version.cuda,
    }
    if device == "cpu":
        return facts
    properties = torch.cuda.get_device_properties(device)
    return facts | {
        "device": properties.name,
        "driver": _asked_of_driver("driver_version"),
        "clock_mhz": _asked_of_driver("clocks.max.sm"),
        "processors": properties.multi_processor_count,
        "cache_bytes": properties.L2_cache_size,
        "memory_bytes": properties.total_memory,
    }


def ceilings(device: str, *, tiny: bool) -> dict[str, Any]:
    """The ceilings of a device, as `floors.Ceilings` takes them."""
    size = 256 if tiny else 8192
    found = {
        f"{name}_flops_per_second": _product(device, dtype, size)
        for name, dtype in (("bfloat16", torch.bfloat16), ("float32", torch.float32))
    }
    found["memory_bytes_per_second"] = _memory(device, 2**22 if tiny else 2**32)
    if device == "cpu":
        # One processor stands for all that a launch has, and a matrix and vector product for it.
        streamed = _streamed_by_torch()
        return found | {
            "processors": 1,
            "cache_bytes": 0,
            "weights_bytes_per_second": streamed,
            "weights_bytes_per_second_of_one": streamed,
        }
    properties = torch.cuda.get_device_properties(device)
    processors = properties.multi_processor_count
    return found | {
        "processors": processors,
        "cache_bytes": properties.L2_cache_size,
        "weights_bytes_per_second": _streamed(device, 2 * processors),
        "weights_bytes_per_second_of_one": _streamed(device, 1),
    }


def device_seconds(action: Callable[[], object], device: str, repeats: int = REPEATS) -> float:
    """The median time of one call on a device, which was warmed up: an idle one is slow."""
    warm = time.perf_counter() + (0.0 if device == "cpu" else WARM_SECONDS)
    for call in itertools.count():
        action()
        if device != "cpu":
            torch.cuda.synchronize()
        if call and time.perf_counter() >= warm:
            break
    times = []
    for _ in range(repeats):
        if device == "cpu":
            began = time.perf_counter()
            action()
            times.append(time.perf_counter() - began)
            continue
        start, end = timing_event(), timing_event()
        start.record()
        action()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1000)
    return statistics.median(times)


def timing_event() -> torch.cuda.Event:
    """What a device is told to note the time of, when it comes to it."""
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def _product(device: str, dtype: torch.dtype, size: int) -> float:
    # Random numbers: zeros take less power, and a chip that is cooler is faster.
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    result = torch.empty_like(left)
    seconds = device_seconds(lambda: torch.mm(left, right, out=result), device)
    return 2 * size**3 / seconds


def _memory(device: str, size: int) -> float:
    source = torch.empty(size, dtype=torch.uint8, device=device).random_(255)
    target = torch.empty_like(source)
    return 2 * size / device_seconds(lambda: target.copy_(source), device)


def _streamed_by_torch() -> float:
    weights = torch.randn(WEIGHT_BYTES // 4 // 512, 512)
    vector = torch.randn(512)
    return weights.nbytes / device_seconds(lambda: torch.mv(weights, vector), "cpu")


def _streamed(device: str, programs: int) -> float:
    """Bytes a second of so many programs that read the same weights."""
    from parts.gpu.stream import stream

    weights = torch.randn(WEIGHT_BYTES // 2, device=device).to(torch.bfloat16)
    times = 64

    def action() -> Tensor:
        return stream(weights, programs, times)

    return programs * times * weights.nbytes / device_seconds(action, device)


def _triton_version() -> str | None:
    try:
        import triton
    except ImportError:
        return None
    return str(triton.__version__)


def _asked_of_driver(fact: str) -> str | None:
    """What the driver's own tool says of the first device, where there is one."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    command = [tool, f"--query-gpu={fact}", "--format=csv,noheader,nounits", "--id=0"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout.strip() or None
