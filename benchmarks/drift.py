"""What products of bfloat16 numbers cost: how far the likelihood drifts from float32.

    python benchmarks/drift.py [--quick] [--models NAME ...] [--executors NAME ...] [--json FILE]

Each model draws events with products of bfloat16 numbers, and says how likely they are; then the
float32 network says it of the same events, all symbols at once. The difference is the drift: by how
much events seem likelier than they are, in all, and at most for a single event.

Executors are native, where the processor has such products, and fused: on a processor that is its
twin in plain torch, which rounds what a GPU rounds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from parts.asked import Asked, open_bundle
from parts.learning import compute_on
from parts.options import command
from parts.written import machine, write

from ancestral.jobs.errors import JobError
from ancestral.models import ConfigError, ModelError, Sample, Sampler, SampleRequest

EXECUTORS = ("native", "fused")


@dataclass(frozen=True)
class Case:
    """A model that ships, and what it is asked for: each event by the next of `asked`."""

    model: str
    asked: Sequence[dict[str, Any]]


CASES = {
    case.model: case
    for case in (
        Case("digits", [{"label": digit} for digit in range(10)]),
        Case(
            "spoken-digits",
            [
                {"text": "zero", "speaker": "george"},
                {"text": "one", "speaker": "jackson"},
                {"text": "two", "speaker": "nicolas"},
                {"text": "three", "speaker": "theo"},
            ],
        ),
        Case("piano", [{"seconds": 0.5}]),
    )
}
EVENTS, QUICK_EVENTS = 64, 4


@dataclass(frozen=True)
class Row:
    """One model by one executor. Nats are per symbol."""

    model: str
    executor: str
    events: int
    symbols: int
    nats: float
    float32_nats: float
    drift: float
    #: Of the event whose likelihood drifts most, either way.
    largest_drift: float


def measure(case: Case, executors: Sequence[str], events: int) -> list[Row]:
    """A row for each executor that this machine runs. Raises ModelError."""
    asked = open_bundle(case.model, 1.0)
    requests = [
        SampleRequest(number, asked.fields(case.asked[number % len(case.asked)]), seed=number)
        for number in range(events)
    ]
    rows = []
    for executor in executors:
        try:
            samples = _drawn(asked, requests, executor)
        except ConfigError as error:
            print(f"left out: {case.model} by {executor} ({error})", file=sys.stderr)
            continue
        counts = [samples[request.key].symbols.size for request in requests]
        said = [samples[request.key].log_likelihood_nats for request in requests]
        exact = [_exact(asked, request, samples[request.key]) for request in requests]
        drifts = [(one - other) / n for one, other, n in zip(said, exact, counts, strict=True)]
        rows.append(
            Row(
                model=case.model,
                executor=executor,
                events=events,
                symbols=sum(counts),
                nats=sum(said) / sum(counts),
                float32_nats=sum(exact) / sum(counts),
                drift=(sum(said) - sum(exact)) / sum(counts),
                largest_drift=max(drifts, key=abs),
            )
        )
    return rows


def _drawn(asked: Asked, requests: Sequence[SampleRequest], executor: Any) -> dict[Any, Sample]:
    sampler = Sampler(
        asked.bundle.net, slots=len(requests), executor=executor, dtype=torch.bfloat16
    )
    return {sample.key: sample for sample in sampler.sample(requests)}


@torch.no_grad()
def _exact(asked: Asked, request: SampleRequest, sample: Sample) -> float:
    """log p of an event by the float32 network, in nats."""
    net = asked.bundle.net
    symbols = torch.from_numpy(sample.symbols).unsqueeze(0)
    return float(net.log_prob(symbols, net.conditions(request.fields)))


def main() -> None:
    parser = command(__doc__, quick=f"{QUICK_EVENTS} events of each")
    parser.add_argument("--models", metavar="NAME", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument(
        "--executors", metavar="NAME", nargs="+", choices=EXECUTORS, default=list(EXECUTORS)
    )
    arguments = parser.parse_args()
    compute_on(threads=1)
    rows: list[Row] = []
    print(
        f"{'model':14} {'executor':10} {'events':>6} {'symbols':>8} {'nats':>9} {'float32':>9} "
        f"{'drift':>9} {'largest':>9}"
    )
    try:
        for name in arguments.models:
            events = QUICK_EVENTS if arguments.quick else EVENTS
            for row in measure(CASES[name], arguments.executors, events):
                rows.append(row)
                write(arguments.json, {**machine(), "rows": [asdict(row) for row in rows]})
                print(
                    f"{row.model:14} {row.executor:10} {row.events:6} {row.symbols:8,} "
                    f"{row.nats:9.5f} {row.float32_nats:9.5f} {row.drift:+9.5f} "
                    f"{row.largest_drift:+9.5f}"
                )
    except (JobError, ModelError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
