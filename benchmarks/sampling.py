"""How fast the warm sampler draws, beside the naive sampler and the processor's own product rate.

    python benchmarks/sampling.py [--quick] [--json FILE]

One thread, random weights (speed does not depend on them), drawing from the softmax included. Every
row is the median of several repeats. The ceiling is `torch.mm` in float32 at 64 x 128 x 128,
measured in the same run; the naive sampler's time is one full forward pass times the symbols.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.gated_pixelcnn import GatedPixelCNN, digits20
from ancestral.models.sampling.sampler import Sampler, SampleRequest
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import spoken_digits


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    network: str
    parameters: int
    multiply_adds_per_symbol: int
    slots: int
    symbols_per_second: float
    events_per_second: float
    useful_gflops: float
    share_of_product_ceiling: float
    times_naive: float


def networks() -> dict[str, tuple[Autoregressive, Mapping[str, Any]]]:
    """The networks of the shipped recipes, with a request each."""
    torch.manual_seed(0)
    voices = WaveNet(spoken_digits(("one",), ((0.8,) * 10,)))
    return {
        "gated_pixelcnn digits": (GatedPixelCNN(digits20()), {"label": 7}),
        "wavenet spoken digits": (voices, {"digit": 7, "speaker": "one"}),
    }


def seconds_of(action: Callable[[], object], repeats: int) -> float:
    """The median time of one call, after a first that warms up."""
    action()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def product_gflops(repeats: int) -> float:
    """What `torch.mm` reaches here in float32 on one thread."""
    left, right = torch.randn(64, 128), torch.randn(128, 128)
    products = 1000
    taken = seconds_of(lambda: [torch.mm(left, right) for _ in range(products)], repeats)
    return 2 * 64 * 128 * 128 * products / taken / 1e9


@torch.inference_mode()
def naive_symbol_seconds(net: Autoregressive, fields: Mapping[str, Any], repeats: int) -> float:
    """What one symbol costs without a cache: one forward pass over the whole event."""
    conditions = net.conditions(fields)
    x = torch.zeros(1, *net.event_shape(fields), dtype=torch.int64)
    return seconds_of(lambda: net(x, conditions), repeats)


def symbol_rate(
    net: Autoregressive, fields: Mapping[str, Any], slots: int, seconds: float
) -> float:
    """Symbols a second with all slots full, over at least that many seconds."""
    sampler = Sampler(net, slots=slots)
    seed = 0
    steps_before = 0
    began = None
    while began is None or time.perf_counter() - began < seconds:
        while sampler.free:
            sampler.admit(SampleRequest(seed, fields, seed=seed))
            seed += 1
        sampler.advance()
        if began is None:
            began, steps_before = time.perf_counter(), sampler.steps
    tiles = -(-slots // 64)
    steps = (sampler.steps - steps_before) / tiles
    return steps * slots / (time.perf_counter() - began)


def measure(quick: bool) -> tuple[list[Row], float]:
    """All rows, and the product ceiling in GFLOP/s."""
    repeats, seconds = (3, 0.5) if quick else (7, 2.0)
    ceiling = product_gflops(repeats)
    rows = []
    for name, (net, fields) in networks().items():
        net.eval()
        cost = net.program().multiply_adds_per_symbol
        symbols = float(torch.tensor(net.event_shape(fields)).prod())
        naive = naive_symbol_seconds(net, fields, repeats)
        for slots in (1, 16, 64, 256):
            rate = statistics.median(
                symbol_rate(net, fields, slots, seconds) for _ in range(repeats)
            )
            gflops = rate * 2 * cost / 1e9
            rows.append(
                Row(
                    network=name,
                    parameters=sum(p.numel() for p in net.parameters()),
                    multiply_adds_per_symbol=cost,
                    slots=slots,
                    symbols_per_second=rate,
                    events_per_second=rate / symbols,
                    useful_gflops=gflops,
                    share_of_product_ceiling=gflops / ceiling,
                    times_naive=rate * naive,
                )
            )
    return rows, ceiling


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter repeats")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows, ceiling = measure(arguments.quick)
    print(f"torch.mm float32 64x128x128, one thread: {ceiling:.0f} GFLOP/s\n")
    print(
        f"{'network':24} {'slots':>5} {'symbols/s':>10} {'events/s':>9} {'GFLOP/s':>8} "
        f"{'of mm':>6} {'x naive':>8}"
    )
    for row in rows:
        print(
            f"{row.network:24} {row.slots:5} {row.symbols_per_second:10,.0f} "
            f"{row.events_per_second:9.1f} {row.useful_gflops:8.1f} "
            f"{row.share_of_product_ceiling:6.1%} {row.times_naive:8,.0f}"
        )
    if arguments.json:
        document = {
            "processor": platform.processor() or platform.machine(),
            "torch": torch.__version__,
            "product_gflops": ceiling,
            "rows": [asdict(row) for row in rows],
        }
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
