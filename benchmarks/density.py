"""How well each family foretells what it has not seen, beside ways to code the same symbols.

    python benchmarks/density.py [--quick] [--seconds S] [--cases NAME ...] [--json FILE]
    python benchmarks/density.py --mnist [--quick] [--seconds S] [--cases NAME ...] [--json FILE]

Each network learns for S seconds on one thread, asked for nothing; then it scores the held-out
events of its table. Baselines are measured on the same symbols in the same run: every position by
itself, files that people use (all bytes, headers included; also with all events in one file), an
adaptive linear predictor for sounds, and a small VAE that learns for as long.

With --mnist the networks learn the literature's binarized MNIST for the time that their cases
state, and their nats per image stand beside what was published. FILE then keeps the curves;
`python -m parts.curves FILE.json FILE.svg` in this folder draws them.

Tables that do not ship are looked for in the folder ANCESTRAL_DATA. FILE is written anew after each
row.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from parts import mnist
from parts.cases import CASES, Case
from parts.compared import baselines
from parts.learning import compute_on, fresh, learn, read_events
from parts.options import command, positive
from parts.written import earlier, machine, write

from ancestral.jobs.errors import SpecError
from ancestral.orchestration.training.tables import table_uri

#: Seconds that a network learns, and held-out events at most, by default and with --quick.
SECONDS, QUICK_SECONDS = 120.0, 3.0
HELD_OUT, QUICK_HELD_OUT = 400, 8


@dataclass(frozen=True)
class Row:
    """One line of the table: a network, or a baseline, whose other columns are empty."""

    data: str
    what: str
    bits_per_dim: float
    kind: str = "exact"
    parameters: int | None = None
    steps: int | None = None
    seconds: float | None = None
    bytes: int | None = None


def measure(cases: Sequence[Case], seconds: float, most_held_out: int) -> Iterator[list[Row]]:
    """All rows that are known, once one more is: by table and alphabet, the fewest bits first.
    Raises SpecError without a table."""
    groups: defaultdict[str, list[Row]] = defaultdict(list)

    def known() -> list[Row]:
        return [
            row
            for rows in groups.values()
            for row in sorted(rows, key=lambda row: row.bits_per_dim)
        ]

    for case in cases:
        recipe = case.read()
        net = fresh(recipe)
        events = read_events(recipe, net, most_held_out)
        data = f"{recipe.name if recipe.data.moving_digits else recipe.data.path}"
        data += f", {events.levels:,} levels"
        if data not in groups:
            for baseline in baselines(events, seconds):
                say(data, baseline.what)
                groups[data].append(Row(data, **asdict(baseline)))
                yield known()
        say(data, case.name)
        learned = learn(recipe, net, events, seconds)
        kind = events.signature["likelihood_kind"]
        groups[data].append(
            Row(
                data=data,
                what=case.name,
                # Real events do not tell the hidden symbols that a joint likelihood is of.
                kind="bound" if kind == "joint" else kind,
                bits_per_dim=learned.bits_per_dim,
                parameters=learned.parameters,
                steps=learned.steps,
                seconds=learned.seconds,
            )
        )
        yield known()


def say(data: str, what: str) -> None:
    """Progress, apart from the table."""
    print(f"{data}: {what}", file=sys.stderr)


def print_table(rows: Sequence[Row]) -> None:
    """One part for each table and alphabet; networks are marked by a star."""
    previous = None
    for row in rows:
        if row.data != previous:
            print(f"\n{row.data:50} {'bits/dim':>8} {'bytes':>11} {'parameters':>10} {'steps':>7}")
        previous = row.data
        of_files = "" if row.bytes is None else f"{row.bytes:11,}"
        of_networks = "" if row.parameters is None else f"{row.parameters:10,} {row.steps:7,}"
        star = " " if row.parameters is None else "*"
        # Of files, their bytes say what is counted.
        kind = "" if row.kind == "exact" or row.bytes is not None else f" ({row.kind})"
        print(f"{star} {row.what + kind:48} {row.bits_per_dim:8.4f} {of_files:11} {of_networks}")


def with_tables(cases: Sequence[Case]) -> list[Case]:
    """Those whose table is there; the others are named in one sentence."""
    there, missing = [], {}
    for case in cases:
        try:
            table_uri(case.read().data.path)
        except SpecError as error:
            missing[case.name] = error
        else:
            there.append(case)
    if missing:
        print(f"left out: {', '.join(missing)} ({next(iter(missing.values()))})", file=sys.stderr)
    return there


def main() -> None:
    parser = command(__doc__, quick="a few seconds for each network")
    parser.add_argument(
        "--seconds", type=positive, metavar="S", help="how long each network learns"
    )
    parser.add_argument("--cases", nargs="+", metavar="NAME", help="these networks alone")
    parser.add_argument("--mnist", action="store_true", help="the literature's yardstick instead")
    arguments = parser.parse_args()
    names = list(mnist.RECIPES) if arguments.mnist else [case.name for case in CASES]
    for name in arguments.cases or ():
        if name not in names:
            parser.error(f"no case {name!r}: there are {', '.join(names)}")
    compute_on(threads=1)
    try:
        (run_mnist if arguments.mnist else run)(arguments)
    except SpecError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def run(arguments: argparse.Namespace) -> None:
    """All cases, or those named. Raises SpecError when the table of a named one is not there."""
    named = arguments.cases
    cases = [case for case in CASES if case.name in named] if named else with_tables(CASES)
    for case in cases:
        table_uri(case.read().data.path)
    seconds = arguments.seconds
    if seconds is None:
        seconds = QUICK_SECONDS if arguments.quick else SECONDS
    rows = list[Row]()
    for rows in measure(cases, seconds, QUICK_HELD_OUT if arguments.quick else HELD_OUT):
        write(
            arguments.json, {**machine(), "seconds": seconds, "rows": [asdict(row) for row in rows]}
        )
    print(f"{seconds:g} seconds of training each, one thread; * networks")
    print_table(rows)


def run_mnist(arguments: argparse.Namespace) -> None:
    """All four networks, or those named. Raises SpecError when the table is not there."""
    seconds = arguments.seconds
    if seconds is None and arguments.quick:
        seconds = QUICK_SECONDS
    images = 20 if arguments.quick else None
    # A file of other figures is refused before anything is learned.
    earlier(arguments.json, "networks")
    results = []
    for family in arguments.cases or mnist.RECIPES:
        say("binarized_mnist", family)
        results.append(mnist.learn_mnist(family, seconds, images))
        mnist.keep(arguments.json, results)
    mnist.print_table(results)


if __name__ == "__main__":
    main()
