"""How long a job's queue takes to be built anew from the store, and what it takes up.

    python benchmarks/recovery.py [--quick] [--json FILE]

A job of 10 million rows in units of 256, of which every other one is decided and 100 are split. Its
records lie in a local folder, its queue is a real Valkey, wiped before each repeat. Measured is
`recover`, as a controller calls it. Beside it stand, in the same run, the bare costs of the two
things that it cannot do without: the folders' names read by `os.listdir`, and as many members put
into Valkey by plain commands in pipelines of 100.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import redis
from parts.options import command
from parts.written import machine, write

from ancestral.jobs import layout
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.records import FileFact, RangeRecord, RowsRecord, SplitRecord
from ancestral.jobs.recovery import recover
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.spec import Job, JobSpec, ModelReference
from ancestral.jobs.store import open_store
from ancestral.jobs.units import Unit
from ancestral.orchestration.valkey import EmbeddedValkey

UNIT_ROWS = 256
THOROUGH_ROWS, QUICK_ROWS = 10_000_000, 1_000_000
THOROUGH_REPEATS, QUICK_REPEATS = 3, 1
SPLITS = 100
BATCH = 100

CREATED = datetime(2026, 11, 22, tzinfo=UTC)


@dataclass(frozen=True)
class Recovery:
    """Medians, in seconds; memory in bytes. The first three are parts of `total_seconds`."""

    rows: int
    units: int
    decided: int
    splits: int
    listing_seconds: float
    cover_seconds: float
    queue_seconds: float
    total_seconds: float
    bare_listing_seconds: float
    bare_queue_seconds: float
    queue_bytes: int
    bare_queue_bytes: int


class Timed:
    """Passes calls on, and adds up how long they took, by name."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.seconds: dict[str, float] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._inner, name)

        def timed(*given: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*given, **named)
            finally:
                passed = time.perf_counter() - start
                self.seconds[name] = self.seconds.get(name, 0.0) + passed

        return timed


def make_job(rows: int, output: str) -> Job:
    return Job(
        job_id="recovery",
        spec=JobSpec(name="recovery", model="m", input="requests.jsonl", output=output),
        model=ModelReference(name="m", uri="/m", digest="d" * 64, family="pixelcnn"),
        signature={},
        requests=rows,
        rows=rows,
        unit_rows=UNIT_ROWS,
        shards=(),
        inputs=(),
        submitted_at="2026-11-22T00:00:00Z",
    )


def decide_half(folder: Path, job: Job) -> tuple[int, int]:
    """Lay down records as workers leave them; how many units were decided, and how many split."""
    decided = list(islice(job.units(), 0, None, 2))
    for number, unit in enumerate(decided):
        if number >= SPLITS:
            write_record(folder, job, rows_record(unit))
            continue
        first, _ = unit.split(unit.middle)
        marker = folder / layout.split_path(job.job_id, unit)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_bytes(b"split\n")
        write_record(folder, job, split_record(unit))
        write_record(folder, job, rows_record(first))
    return len(decided), SPLITS


def write_record(folder: Path, job: Job, record: RangeRecord) -> None:
    path = folder / layout.record_path(job.job_id, record.unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(record.to_json())


def rows_record(unit: Unit) -> RowsRecord:
    return RowsRecord(
        start=unit.start,
        end=unit.end,
        attempt="a" * 32,
        worker="ann",
        device="node/cuda:0",
        numerics="cuda/graph/float32",
        model_digest="d" * 64,
        code_version="0.1.0",
        statuses="o" * unit.rows,
        index_part=FileFact("attempts/part", 10_000, "e" * 64),
        packs=(FileFact("packs/pack.tar", 1_000_000, "f" * 64),),
        created_at=CREATED,
        sampling_seconds=30.0,
    )


def split_record(unit: Unit) -> SplitRecord:
    return SplitRecord(
        start=unit.start,
        end=unit.end,
        at=unit.middle,
        attempt="a" * 32,
        worker="ann",
        reason="share",
        created_at=CREATED,
    )


def measure(rows: int, repeats: int) -> Recovery:
    """Recover one job so many times."""
    with tempfile.TemporaryDirectory() as name, EmbeddedValkey() as server:
        folder = Path(name)
        job = make_job(rows, name)
        decided, splits = decide_half(folder, job)
        with redis.Redis.from_url(server.url) as client:
            runs = []
            for repeat in range(repeats):
                print(f"repeat {repeat + 1} of {repeats}", file=sys.stderr)
                runs.append({**recovered(job, server.url, client), **bare(folder, job, client)})
    medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return Recovery(
        rows=rows,
        units=len(list(job.units())),
        decided=decided,
        splits=splits,
        queue_bytes=round(medians.pop("queue_bytes")),
        bare_queue_bytes=round(medians.pop("bare_queue_bytes")),
        **medians,
    )


def recovered(job: Job, url: str, client: redis.Redis) -> dict[str, float]:
    """One recovery by a wiped server."""
    wipe(client)
    before = used_bytes(client)
    plain_queue = RedisQueue(url)
    store, queue = Timed(open_store(job.spec.output)), Timed(plain_queue)
    start = time.perf_counter()
    # A store and a queue in all but their types.
    assert recover(queue, store, job)  # type: ignore[arg-type]
    total = time.perf_counter() - start
    cover = Ledger(open_store(job.spec.output), job.job_id).cover(job)
    counts = plain_queue.counts(job.job_id)
    assert (counts.ready, counts.done) == (len(cover.undecided), len(cover.rows))
    plain_queue.close()
    queue_seconds = sum(queue.seconds.values())
    return {
        "listing_seconds": store.seconds["list"],
        "cover_seconds": total - queue_seconds - store.seconds["list"],
        "queue_seconds": queue_seconds,
        "total_seconds": total,
        "queue_bytes": used_bytes(client) - before,
    }


def bare(folder: Path, job: Job, client: redis.Redis) -> dict[str, float]:
    """The least that it takes to list the folders, and to keep that many members."""
    start = time.perf_counter()
    for kept in (layout.records_folder(job.job_id), layout.splits_folder(job.job_id)):
        os.listdir(folder / kept)
    listed = time.perf_counter()
    wipe(client)
    before = used_bytes(client)
    units = iter([unit.name for unit in job.units()])
    began = time.perf_counter()
    while batch := list(islice(units, BATCH)):
        half = len(batch) // 2
        pipeline = client.pipeline(transaction=False)
        pipeline.zadd("ready", dict.fromkeys(batch[:half], 0))
        pipeline.hset("decided", mapping=dict.fromkeys(batch[half:], "rows"))
        pipeline.execute()
    return {
        "bare_listing_seconds": listed - start,
        "bare_queue_seconds": time.perf_counter() - began,
        "bare_queue_bytes": used_bytes(client) - before,
    }


def wipe(client: redis.Redis) -> None:
    """Not in the background, where memory would be freed while it is measured."""
    client.execute_command("FLUSHALL", "SYNC")  # type: ignore[no-untyped-call]


def used_bytes(client: redis.Redis) -> int:
    memory: Any = client.info("memory")
    return int(memory["used_memory"])


def print_table(line: Recovery) -> None:
    """What took how long, and how much more than its bare cost."""
    print(
        f"{line.rows:,} rows in {line.units:,} units, {line.decided:,} decided, {line.splits} split"
    )
    print(f"{'':24} {'measured':>10} {'bare':>10} {'ratio':>6}")
    listing, queue = line.listing_seconds, line.queue_seconds
    print_line("listing, s", listing, line.bare_listing_seconds)
    print_line("records and cover, s", line.cover_seconds, None)
    print_line("queue, s", queue, line.bare_queue_seconds)
    print_line("recover, s", line.total_seconds, None)
    print_line("memory of the queue, MB", line.queue_bytes / 1e6, line.bare_queue_bytes / 1e6)


def print_line(name: str, value: float, bare_value: float | None) -> None:
    beside = "" if bare_value is None else f"{bare_value:10.3f} {value / bare_value:6.1f}"
    print(f"{name:24} {value:10.3f} {beside}".rstrip())


def main() -> None:
    parser = command(__doc__, quick="a job of a tenth of the rows, once")
    arguments = parser.parse_args()
    line = (
        measure(QUICK_ROWS, QUICK_REPEATS)
        if arguments.quick
        else measure(THOROUGH_ROWS, THOROUGH_REPEATS)
    )
    print_table(line)
    write(arguments.json, {**machine(), **asdict(line)})


if __name__ == "__main__":
    main()
