"""How fast the warm sampler draws, and how much of what the processor could do that is.

    python benchmarks/sampling.py [--quick] [--json FILE] [--only NAME,...] [--dtype NAME,...]
    python benchmarks/sampling.py --peer ADAPTER.py [--quick] [--json FILE]

Random weights (speed does not depend on them), drawing from the softmax included, one thread where
the row says no other. Every row is the median of several windows (parts/protocol.py); useful FLOPs
are two for each weight that a symbol needs, none twice. The ceilings are measured in the same run
(parts/ceilings.py). A sampler without a cache passes forward once for each symbol; it draws one
event at a time, however many slots the row has.

With --peer another implementation, in the form of benchmarks/adapter.py, and ours take turns.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from parts.ceilings import Ceilings, measure_ceilings
from parts.networks import NETWORKS, Network, Variant
from parts.options import command
from parts.peers import Comparison, compare, load_adapter
from parts.protocol import QUICK, THOROUGH
from parts.sampled import Measured, Row
from parts.written import machine, write

from ancestral.models.sampling import native

DTYPES = ("float32", "bfloat16")

#: Ours, as a peer would be given.
OURS = Path(__file__).with_name("adapter.py")


def rows_of(names: Sequence[str], dtypes: Sequence[str], measured: Measured) -> Iterator[Row]:
    """The rows of these networks, one by one, and progress apart from the table."""
    for network in NETWORKS:
        variants = [variant for variant in network.variants if variant.dtype in dtypes]
        if network.name in names and variants:
            print(network.name, file=sys.stderr)
            yield from measured.rows(network, runnable(network, variants))


def runnable(network: Network, variants: Sequence[Variant]) -> list[Variant]:
    """Those that can run here: bfloat16 and more than one thread need the native executor."""
    builds = native.available()
    kept = [
        v
        for v in variants
        if (v.dtype == "float32" or "avx512bf16" in builds) and (v.threads == 1 or builds)
    ]
    if len(kept) < len(variants):
        print(f"{network.name}: {len(variants) - len(kept)} rows do not run here", file=sys.stderr)
    return kept


def print_ceilings(ceilings: Ceilings) -> None:
    """One line for each kind."""
    for dtype, products in ceilings.products.items():
        figures = ", ".join(f"{shape} {gflops:.0f}" for shape, gflops in products.items())
        print(f"torch.mm {dtype}, one thread: {figures} GFLOP/s")
    for dtype, peak in ceilings.multiply_adds.items():
        print(f"multiply-adds {dtype}, one thread: {peak:.0f} GFLOP/s")


HEADER = (
    f"{'network':20} {'executor':9} {'dtype':8} {'slots':>5} {'thr':>3} {'per second':>10} "
    f"{'unit':7} {'target':>8} {'MFLOP':>8} {'GFLOP/s':>7} {'of mm':>6} {'of fma':>6} "
    f"{'stream':>6} {'x naive, one event':>18} {'ratio':>6} {'cpu':>4}"
)


def print_row(row: Row) -> None:
    """One line, with a star for each target that it stays below."""
    missed = " ".join(f"*{name}" for name in row.misses)
    print(
        f"{row.network:20} {row.executor:9} {row.dtype:8} {row.slots:5} {row.threads:3} "
        f"{number(row.per_second):>10} {row.unit:7} {number(row.target_per_second):>8} "
        f"{row.flops_per_unit / 1e6:8,.2f} {row.gflops:7.1f} {row.share_of_product:6.0%} "
        f"{share(row.share_of_multiply_add):>6} {share(row.share_of_streaming):>6} "
        f"{row.times_naive:18,.0f} {'' if row.ratio is None else f'{row.ratio:.2f}':>6} "
        f"{row.processor_share:4.0%} {missed}".rstrip(),
        flush=True,
    )


def number(value: float | None) -> str:
    """Three digits at least."""
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def share(value: float | None) -> str:
    """Per cent; nothing for None."""
    return "" if value is None else f"{value:.0%}"


def print_comparisons(lines: Iterator[Comparison]) -> list[Comparison]:
    """A line for each, as soon as it is there."""
    print(f"{'network':24} {'batch':>5} {'unit':8} {'ours':>10} {'peer':>10} {'ratio':>7}")
    kept = []
    for line in lines:
        kept.append(line)
        print(
            f"{line.network:24} {line.batch:5} {line.unit:8} {number(line.ours_per_second):>10} "
            f"{number(line.peer_per_second):>10} {line.ratio:7.2f}",
            flush=True,
        )
    return kept


def listed(text: str) -> list[str]:
    """Names between commas."""
    return [name for name in text.split(",") if name]


def main() -> None:
    names = [network.name for network in NETWORKS]
    parser = command(__doc__, quick="fewer and shorter windows")
    parser.add_argument(
        "--only", type=listed, default=names, metavar="NAME,...", help="these networks alone"
    )
    parser.add_argument(
        "--dtype", type=listed, default=list(DTYPES), metavar="NAME,...", help="float32, bfloat16"
    )
    parser.add_argument(
        "--peer", type=Path, metavar="ADAPTER.py", help="another implementation beside ours"
    )
    arguments = parser.parse_args()
    for given, known, what in (
        (arguments.only, names, "network"),
        (arguments.dtype, DTYPES, "dtype"),
    ):
        for name in given:
            if name not in known:
                parser.error(f"no {what} {name!r}: there are {', '.join(known)}")
    if arguments.peer and (arguments.only, arguments.dtype) != (names, list(DTYPES)):
        parser.error("--peer takes no --only and no --dtype: its networks are others")
    torch.set_num_threads(1)
    builds = {"native": list(native.available())}
    windows = QUICK if arguments.quick else THOROUGH
    if arguments.peer:
        try:
            adapters = load_adapter(OURS), load_adapter(arguments.peer)
        except ValueError as error:
            parser.error(str(error))
        comparisons = print_comparisons(compare(*adapters, windows, arguments.quick))
        lines = [asdict(line) for line in comparisons]
        write(
            arguments.json,
            {**machine(), **builds, "peer": str(arguments.peer), "comparisons": lines},
        )
        return
    ceilings = measure_ceilings(arguments.dtype, windows.repeats)
    print_ceilings(ceilings)
    print(f"\n{HEADER}")
    rows = []
    for row in rows_of(arguments.only, arguments.dtype, Measured(ceilings, windows)):
        rows.append(asdict(row))
        print_row(row)
        write(arguments.json, {**machine(), **builds, "ceilings": asdict(ceilings), "rows": rows})


if __name__ == "__main__":
    main()
