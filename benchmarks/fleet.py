"""What a fleet makes of its samplers: the share of what the bare ones draw.

    python benchmarks/fleet.py [--quick] [--models NAMES] [--samplers N] [--seconds S] [--json FILE]

The same rows are drawn three times by as many processes of one thread each: by bare samplers, which
write nothing (parts/bare.py), by `ancestral run` with its queue, its local Ray, encoding, packs,
index and records in a folder of this machine, and by bare samplers again, whose mean counts. Rates
are of the middle of each, from the moment at which a fifth of the rows have ended to that at which
four fifths have, so that neither the start of processes nor the last rows count; as rows of one
length end together, those of the first moment are left out, and those of the last one counted.
`whole` has all of it: rows over the time from the samplers' start to the published table.
"""

from __future__ import annotations

import io
import math
import os
import sys
import tempfile
import time
from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from parts.bare import draw_bare
from parts.options import command, count, positive
from parts.written import machine, write

from ancestral.jobs.client import Client
from ancestral.jobs.errors import SpecError
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job
from ancestral.orchestration.cluster import cluster
from ancestral.orchestration.commands.services import queue_of
from ancestral.orchestration.interrupt import Interrupt
from ancestral.orchestration.serve import Service, run_job

#: What models that ship are asked for: each combination as often as need be.
GRIDS: dict[str, dict[str, list[Any]]] = {
    "digits": {"label": list(range(10))},
    "emoji": {"label": ["Food & Drink", "Symbols"]},
    "spoken-digits": {"text": ["seven", "three"], "speaker": ["jackson", "theo"]},
    "piano": {"seconds": [1.0]},
}
MODELS, QUICK_MODELS = tuple(GRIDS), ("digits",)
SECONDS, QUICK_SECONDS = 90.0, 20.0

#: The rows of which a rate is.
FROM, TO = 0.2, 0.8

#: Rows of each sampler that are drawn first, to settle how many take so many seconds.
PROBE_ROWS = 192

TARGET_SHARE = 0.97


@dataclass(frozen=True)
class Row:
    """One model. Rates are rows a second of all samplers together."""

    model: str
    samplers: int
    rows: int
    bare_per_second: float
    fleet_per_second: float
    share: float
    whole_per_second: float
    target_share: float = TARGET_SHARE

    @property
    def missed(self) -> bool:
        """Whether the share is below what is wanted."""
        return self.share < self.target_share


def measure(model: str, samplers: int, seconds: float) -> Row:
    """One model, with about so many seconds for each of the three."""
    grid = GRIDS[model]
    combinations = len(next(iter(grid.values()))) ** len(grid)
    with tempfile.TemporaryDirectory() as folder:
        # Its own state, and the queue and the cluster that a command brings along.
        settings = Settings(home=Path(folder), state_uri=str(Path(folder) / "state"))
        least = math.ceil(PROBE_ROWS * samplers / combinations)
        probe = _submitted(settings, folder, model, "probe", least)
        probed = draw_bare(settings, probe, samplers)
        pace = probe.rows / (probed.ended[-1] - probed.began)
        samples = max(least, math.ceil(pace * seconds / combinations))
        job = _submitted(settings, folder, model, "job", samples)
        print(f"{model}: {job.rows} rows by {samplers} samplers", file=sys.stderr)
        before = _rate(draw_bare(settings, job, samplers).ended)
        fleet, whole = _fleet(settings, job, samplers)
        after = _rate(draw_bare(settings, job, samplers).ended)
    bare = (before + after) / 2
    return Row(model, samplers, job.rows, bare, fleet, fleet / bare, whole)


def _submitted(settings: Settings, folder: str, model: str, name: str, samples: int) -> Job:
    return Client(settings).submit(
        {
            "name": name,
            "model": model,
            "grid": GRIDS[model],
            "output": str(Path(folder) / "lake"),
            "sampling": {"seed": 1, "samples": samples},
        }
    )


def _fleet(settings: Settings, job: Job, samplers: int) -> tuple[float, float]:
    """Rows a second in the middle of the job, and over all of it."""
    with (
        queue_of(settings) as queue,
        cluster(cpus=samplers),
        Interrupt() as interrupt,
    ):
        service = Service(Client(settings, queue), queue, samplers, slots=None, device="cpu")
        service.client.take_up(job)
        began = time.time()
        manifest = run_job(service, job, io.StringIO(), interrupt)
        seconds = time.time() - began
    if manifest.rows_ok + manifest.rows_rejected != job.rows:
        raise SpecError(f"{job.rows - manifest.rows_ok} rows of {job.spec.name} were not drawn")
    table = Client(settings).results(job.job_id).table()
    return _rate(sorted(at.timestamp() for at in table["created_at"].to_pylist())), (
        job.rows / seconds
    )


def _rate(ended: Sequence[float]) -> float:
    """Rows a second in the middle of the moments at which rows ended, in order."""
    start, stop = ended[int(FROM * len(ended))], ended[int(TO * len(ended))]
    return sum(start < moment <= stop for moment in ended) / (stop - start)


def named(text: str) -> list[str]:
    """Models, separated by commas."""
    names = text.split(",")
    if unknown := [name for name in names if name not in GRIDS]:
        raise ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(GRIDS)}")
    return names


def print_rows(rows: Sequence[Row]) -> None:
    """A star where the target is missed."""
    print(
        f"{'model':14} {'samplers':>8} {'rows':>7} {'bare/s':>9} {'fleet/s':>9} {'share':>7} "
        f"{'whole/s':>9}"
    )
    for row in rows:
        print(
            f"{row.model:14} {row.samplers:8} {row.rows:7} {row.bare_per_second:9.2f} "
            f"{row.fleet_per_second:9.2f} {row.share:7.1%} {row.whole_per_second:9.2f}"
            f"{' *' if row.missed else ''}"
        )


def main() -> None:
    parser = command(__doc__, quick="one model, for a short time")
    parser.add_argument("--models", type=named, metavar="NAMES", help=f"some of {','.join(MODELS)}")
    parser.add_argument(
        "--samplers", type=count, default=os.cpu_count() or 1, help="processes of one thread each"
    )
    parser.add_argument("--seconds", type=positive, help="for each of the three, about")
    arguments = parser.parse_args()
    seconds = arguments.seconds or (QUICK_SECONDS if arguments.quick else SECONDS)
    rows = []
    for model in arguments.models or (QUICK_MODELS if arguments.quick else MODELS):
        rows.append(measure(model, arguments.samplers, seconds))
        write(arguments.json, {**machine(), "fleet": [asdict(row) for row in rows]})
    print_rows(rows)


if __name__ == "__main__":
    main()
