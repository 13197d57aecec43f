"""The queue on a Redis server (Redis 7 or Valkey): one Lua script per atomic move.

The keys; `{ancestral}` is the namespace, the hash tag that keeps a shard of jobs together, so that
picking the job and leasing its units is one script. Times are microseconds of the server's clock.

    {ancestral}:sequence       integer  jobs known so far
    {ancestral}:jobs           zset     place -> where its priority and its deadline put it, see
                                        `score`; a place is "{sequence:016d}:{job}"
    {ancestral}:runnable       zset     the same; only open jobs that should run, with ready units
    {ancestral}:fence          integer  the last fence given out
    {ancestral}:expiry         zset     "{job}/{slot}" -> when its lease runs out; a unit has two
                                        slots, "{unit}" and "{unit}#copy"; and "/silence", which
                                        whoever speaks renews, for longer than any lease
    {ancestral}:workers        zset     worker -> when it was last heard of; dropped when silent
    {ancestral}:tickets        hash     worker -> JSON, the last ticket that it got leases for, and
                                        those leases; dropped with the worker
    {ancestral}:devices        zset     device -> when it was last heard of
    {ancestral}:probation      zset     device -> when a unit was last charged for a lease on it;
                                        the latest of them
    {ancestral}:blame          hash     device -> JSON, the units "{job}/{unit}" against it
    {ancestral}:job:{job}      hash     place, output, priority, deadline (seconds since 1970, or
                                        ""), rows; epoch, rebuilding, rebuilt_at, server; wanted,
                                        intent; done, rows_decided, rows_ok, rows_failed,
                                        rows_rejected, sampling; hungry, hungry_until; declined
    {ancestral}:ready:{job}    zset     unit -> from when it may be claimed; 0 is at once
    {ancestral}:leased:{job}   zset     unit -> since when it is held
    {ancestral}:lease:{job}    hash     slot -> JSON, who holds it and how far it is
    {ancestral}:decided:{job}  hash     unit -> "split", "rows", or "rows OK FAILED REJECTED"
    {ancestral}:trouble:{job}  hash     unit -> JSON, what it was charged with, and where it broke
    {ancestral}:pace:{job}     list     microseconds per row of the latest units
    {ancestral}:declined:{job} set      devices on which the job was declined since they last held
                                        a unit of it; kept when it is built anew

A ready unit that never failed costs one sorted-set member, a decided one a hash field; no more.
Scripts are handed the shard's prefix as KEYS[1] and derive every other key from it. Those that must
go on when the server's memory is full, so that finished work lands, say so in their first line.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

from ancestral.jobs.errors import QueueMisconfigured, UnknownJob
from ancestral.jobs.intents import Wanted
from ancestral.jobs.queue import (
    FEWEST_FOR_MEDIAN,
    LARGEST_BATCH,
    LEASE_SECONDS,
    MEDIAN_UNITS,
    MOST_ON_PROBATION,
    OTHERS_FIRST,
    SILENCE,
    SLOW,
    STALL_SECONDS,
    UNITS_AGAINST_DEVICE,
    Lease,
    Order,
    Progress,
    QueueCounts,
    QueuedJob,
    clip_error,
)
from ancestral.jobs.redis_connection import address_of, open_client
from ancestral.jobs.redis_errors import translated_errors
from ancestral.jobs.redis_scripts import Scripts, parse_lease
from ancestral.jobs.units import RowCounts, Unit

Item = TypeVar("Item")

#: Decided units of which one call of the server tells.
SCANNED_AT_ONCE = 1000


class RedisQueue:
    """A `Queue` on a Redis server, to be shared by any number of processes.

    It may be pickled, password included: the copy opens connections of its own.
    """

    def __init__(
        self,
        url: str,
        lease_seconds: float = LEASE_SECONDS,
        stall_seconds: float = STALL_SECONDS,
        namespace: str = "ancestral",
    ) -> None:
        """`url` is `redis://`, `rediss://` (TLS) or `unix://`; nothing is connected yet."""
        self.lease_seconds = lease_seconds
        self._arguments = (url, lease_seconds, stall_seconds, namespace)
        self._shard = f"{{{namespace}}}"
        self._client = open_client(url)
        self._address = address_of(self._client)
        constants = {
            "LEASE": _microseconds(lease_seconds),
            "STALL": _microseconds(stall_seconds),
            "LARGEST_BATCH": LARGEST_BATCH,
            "SILENCE": SILENCE,
            "SLOW": SLOW,
            "MEDIAN_UNITS": MEDIAN_UNITS,
            "OTHERS_FIRST": OTHERS_FIRST,
            "FEWEST_FOR_MEDIAN": FEWEST_FOR_MEDIAN,
            "UNITS_AGAINST_DEVICE": UNITS_AGAINST_DEVICE,
            "MOST_ON_PROBATION": MOST_ON_PROBATION,
        }
        self._run = Scripts(self._client, self._address, self._shard, constants).run

    def __reduce__(self) -> tuple[type[RedisQueue], tuple[str, float, float, str]]:
        return RedisQueue, self._arguments

    def __repr__(self) -> str:
        return f"RedisQueue({self._address}, {self._shard})"

    def begin_rebuild(self, job: QueuedJob, epoch: int) -> bool:
        deadline = "" if job.deadline is None else job.deadline
        return bool(
            self._run(
                "begin_rebuild", job.job_id, job.output, job.priority, deadline, job.rows, epoch
            )
        )

    def restore(
        self,
        job_id: str,
        epoch: int,
        undecided: Iterable[Unit] = (),
        rows: Iterable[Unit] = (),
        split: Iterable[Unit] = (),
    ) -> bool:
        # Split units first, so that none is leased beside its halves.
        states = chain(
            ((unit, "split") for unit in split),
            ((unit, "rows") for unit in rows),
            ((unit, "undecided") for unit in undecided),
        )
        # An empty batch, if need be, to hear whether the epoch stands.
        return all(
            self._run(
                "restore",
                job_id,
                epoch,
                *(word for unit, state in batch for word in (unit.name, state)),
            )
            for batch in chain([[]], _batches(states))
        )

    def end_rebuild(self, job_id: str, epoch: int) -> bool:
        return bool(self._run("end_rebuild", job_id, epoch))

    def want(self, job_id: str, wanted: Wanted, intent: int) -> bool:
        return bool(self._run("want", job_id, wanted.value, intent))

    def claim(
        self,
        worker: str,
        limit: int,
        job_id: str | None = None,
        device: str = "",
        among_others: bool = False,
        ticket: str = "",
        without: Collection[str] = (),
    ) -> list[Lease]:
        found = self._run(
            "claim",
            worker,
            _within_batch(limit),
            device,
            job_id or "",
            int(among_others),
            ticket,
            *without,
        )
        return [parse_lease(told) for told in found]

    def heartbeat(self, worker: str, progress: Mapping[Lease, Progress]) -> dict[Lease, Order]:
        orders: dict[Lease, Order] = {}
        for batch in _batches(progress.items()):
            words = [
                word
                for lease, reached in batch
                for word in (
                    lease.job_id,
                    lease.unit.name,
                    lease.fence,
                    reached.moved,
                    reached.unbegun,
                )
            ]
            told = self._run("heartbeat", worker, *words)
            orders.update(
                (lease, Order(order)) for (lease, _), order in zip(batch, told, strict=True)
            )
        return orders

    def complete(
        self,
        job_id: str,
        unit: Unit,
        counts: RowCounts,
        device: str = "",
        sampling_seconds: float = 0.0,
    ) -> None:
        ended = counts.ok, counts.failed, counts.rejected
        sampling = _microseconds(sampling_seconds)
        self._run("complete", job_id, unit.name, *ended, device, sampling)

    def split(
        self,
        job_id: str,
        unit: Unit,
        at: int,
        attempts: int = 0,
        last_error: str | None = None,
        keep: Lease | None = None,
    ) -> Lease | None:
        first, second = unit.split(at)
        error = clip_error(last_error or "")
        kept = (keep.worker, keep.fence) if keep else ("", "")
        told = self._run(
            "split", job_id, unit.name, first.name, second.name, attempts, error, *kept
        )
        return parse_lease(told) if told else None

    def fail(self, lease: Lease, error: str, delay_seconds: float = 0.0) -> bool:
        delay = _microseconds(delay_seconds)
        return bool(self._run("fail", *_names(lease), clip_error(error), delay))

    def release(self, lease: Lease, declined: str = "") -> bool:
        return bool(self._run("release", *_names(lease), clip_error(declined)))

    def reap(self, limit: int = LARGEST_BATCH) -> int:
        reaped: int = self._run("reap", _within_batch(limit))
        return reaped

    def expire(self, worker: str) -> int:
        with translated_errors(self._address):
            held: Any = self._client.zrange(f"{self._shard}:expiry", 0, -1)
        return sum(self._run("expire", worker, *batch) for batch in _batches(held))

    def counts(self, job_id: str) -> QueueCounts:
        found = self._run("counts", job_id)
        if found is None:
            raise UnknownJob(f"the queue at {self._address} knows no job {job_id!r}")
        epoch, rebuilding, rebuilt, stale, wanted, *counted, sampling, pace, declined = found
        rest = [*counted, sampling / 1e6, float(pace) / 1e6 if pace else None, declined]
        return QueueCounts(
            epoch, bool(rebuilding), rebuilt / 1e6, bool(stale), Wanted(wanted), *rest
        )

    def untold(self, job_id: str) -> list[Unit]:
        key = f"{self._shard}:decided:{job_id}"
        with translated_errors(self._address):
            decided = self._client.hscan_iter(key, count=SCANNED_AT_ONCE)
            # A scan may come upon a unit twice.
            names = {name for name, how in decided if how == "rows"}
        return sorted(map(Unit.parse, names))

    def jobs(self) -> list[QueuedJob]:
        with translated_errors(self._address):
            places: Any = self._client.zrange(f"{self._shard}:jobs", 0, -1)
            ids = [place.partition(":")[2] for place in places]
            reads = self._client.pipeline(transaction=False)
            for job_id in ids:
                fields = "output", "priority", "rows", "deadline"
                reads.hmget(f"{self._shard}:job:{job_id}", *fields)
            found = zip(ids, reads.execute(), strict=True)
        return [
            QueuedJob(job_id, output, int(priority), int(rows), int(deadline) if deadline else None)
            for job_id, (output, priority, rows, deadline) in found
            if output is not None  # else forgotten between the two reads
        ]

    def drained_devices(self) -> dict[str, list[str]]:
        with translated_errors(self._address):
            found: Any = self._client.hgetall(f"{self._shard}:blame")
        against = {device: json.loads(units) for device, units in found.items()}
        return {
            device: units for device, units in against.items() if len(units) >= UNITS_AGAINST_DEVICE
        }

    def pardon(self, device: str) -> None:
        with translated_errors(self._address):
            both = self._client.pipeline(transaction=False)
            both.hdel(f"{self._shard}:blame", device)
            both.zrem(f"{self._shard}:probation", device)
            both.execute()

    def forget(self, job_id: str) -> None:
        self._run("forget", job_id)

    def check(self) -> None:
        with translated_errors(self._address):
            memory: Any = self._client.info("memory")
        policy = memory["maxmemory_policy"]
        if policy != "noeviction":
            raise QueueMisconfigured(
                f"the queue's server {self._address} would evict keys under its maxmemory-policy "
                f"{policy!r}: set it to noeviction"
            )

    def close(self) -> None:
        self._client.close()


def _names(lease: Lease) -> tuple[str, str, str, int]:
    return lease.job_id, lease.unit.name, lease.worker, lease.fence


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _within_batch(limit: int) -> int:
    return max(0, min(limit, LARGEST_BATCH))


def _batches(items: Iterable[Item]) -> Iterator[Sequence[Item]]:
    """The items in lists of what one script may loop over."""
    source = iter(items)
    while batch := list(islice(source, LARGEST_BATCH)):
        yield batch
