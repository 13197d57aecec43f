"""Queues under test, and how their time is made to pass.

For `MemoryQueue` by its clock; for `RedisQueue`, which trusts the server's clock alone, by setting
back every time that it has stored.
"""

import json
from collections.abc import Iterable
from typing import Any, Protocol

import redis

from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Lease, Order, Progress, Queue, QueuedJob
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.units import RowCounts, Unit, plan_units

#: Long beside what a test takes, so that real time decides nothing.
LEASE_SECONDS = 1500.0
STALL_SECONDS = 3500.0

#: A unit of ten rows that all went well.
TEN = RowCounts(ok=10)


class Rig(Protocol):
    """A queue under test and its time."""

    queue: Queue

    def pass_time(self, seconds: float) -> None: ...


class MemoryRig:
    def __init__(
        self, lease_seconds: float = LEASE_SECONDS, stall_seconds: float = STALL_SECONDS
    ) -> None:
        self.now = 0.0
        self.queue: Queue = MemoryQueue(lease_seconds, stall_seconds, clock=self.read_clock)

    def read_clock(self) -> float:
        self.now += 1e-6  # no two calls at the same instant, as on a server
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += seconds


class RedisRig:
    def __init__(
        self,
        url: str,
        namespace: str,
        lease_seconds: float = LEASE_SECONDS,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self.queue: Queue = RedisQueue(url, lease_seconds, stall_seconds, namespace)
        self.client = redis.Redis.from_url(url, decode_responses=True)
        self.shard = f"{{{namespace}}}"

    def pass_time(self, seconds: float) -> None:
        for name in ("expiry", "workers", "devices", "probation"):
            self._set_scores_back(name, seconds)
        for job in self.queue.jobs():
            for name in ("ready", "leased"):
                self._set_scores_back(f"{name}:{job.job_id}", seconds)
            facts = f"{self.shard}:job:{job.job_id}"
            for field in ("rebuilt_at", "hungry_until"):
                value: Any = self.client.hget(facts, field)
                if value is not None:
                    self.client.hset(facts, field, _earlier(value, seconds))
            leases = f"{self.shard}:lease:{job.job_id}"
            held: Any = self.client.hgetall(leases)
            for slot, text in held.items():
                lease = json.loads(text)
                for field in ("since", "moved_at"):
                    lease[field] = _earlier(lease[field], seconds)
                self.client.hset(leases, slot, json.dumps(lease))
            troubles = f"{self.shard}:trouble:{job.job_id}"
            known: Any = self.client.hgetall(troubles)
            for unit, text in known.items():
                trouble = json.loads(text)
                if "broke_at" in trouble:
                    trouble["broke_at"] = _earlier(trouble["broke_at"], seconds)
                    self.client.hset(troubles, unit, json.dumps(trouble))

    def close(self) -> None:
        self.queue.close()
        self.client.close()

    def _set_scores_back(self, name: str, seconds: float) -> None:
        key = f"{self.shard}:{name}"
        members: Any = self.client.zrange(key, 0, -1, withscores=True)
        for member, score in members:
            if score != 0:  # which is no time: at once
                self.client.zadd(key, {member: float(_earlier(score, seconds))})


def _earlier(microseconds: str | float, seconds: float) -> str:
    return f"{float(microseconds) - seconds * 1e6:.0f}"


def add(
    queue: Queue,
    job_id: str = "job",
    units: int = 3,
    priority: int = 0,
    deadline: int | None = None,
) -> list[Unit]:
    """A job of units of ten rows, in its first epoch, open to claims."""
    planned = list(plan_units(units * 10, 10))
    job = QueuedJob(job_id, f"/lake/{job_id}", priority, units * 10, deadline)
    assert queue.begin_rebuild(job, 1)
    assert queue.restore(job_id, 1, planned)
    assert queue.end_rebuild(job_id, 1)
    return planned


def standing(queue: Queue, job_id: str = "job") -> tuple[int, int, int]:
    """Its units by state: ready, leased, decided as rows."""
    counts = queue.counts(job_id)
    return counts.ready, counts.leased, counts.done


def units_of(leases: Iterable[Lease]) -> list[Unit]:
    return [lease.unit for lease in leases]


def beat(queue: Queue, lease: Lease, moved: int = 1, unbegun: int = 0) -> Order:
    """The order that the holder of a lease gets."""
    return queue.heartbeat(lease.worker, {lease: Progress(moved, unbegun)})[lease]
