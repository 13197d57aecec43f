"""Queues under test, and how their time is made to pass.

For `MemoryQueue` by its clock; for `RedisQueue`, which trusts the server's clock alone, by setting
back every time that it has stored.
"""

from typing import Protocol

import redis

from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.queue import Queue
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.units import Unit, plan_units

#: Long beside what a test takes, so that real time decides nothing.
LEASE_SECONDS = 1500.0
STALL_SECONDS = 3500.0


class Rig(Protocol):
    """A queue under test and its time."""

    queue: Queue

    def pass_time(self, seconds: float) -> None: ...


class MemoryRig:
    def __init__(self) -> None:
        self.now = 0.0
        self.queue: Queue = MemoryQueue(LEASE_SECONDS, STALL_SECONDS, clock=self.read_clock)

    def read_clock(self) -> float:
        self.now += 1e-6  # no two calls at the same instant, as on a server
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += seconds


class RedisRig:
    def __init__(self, url: str, namespace: str) -> None:
        self.queue: Queue = RedisQueue(url, LEASE_SECONDS, STALL_SECONDS, namespace)
        self.client = redis.Redis.from_url(url, decode_responses=True)
        self.shard = f"{{{namespace}}}"

    def pass_time(self, seconds: float) -> None:
        back = seconds * 1e6
        timed = [f"{self.shard}:expiry"]
        for job in self.queue.jobs():
            timed.append(f"{self.shard}:ready:{job.job_id}")
            facts = f"{self.shard}:unit:{job.job_id}"
            for field, value in self.client.hgetall(facts).items():
                if field.endswith(":progressed_at"):
                    self.client.hset(facts, field, f"{float(value) - back:.0f}")
        for key in timed:
            for member, score in self.client.zrange(key, 0, -1, withscores=True):
                if score > 0:
                    self.client.zadd(key, {member: score - back})

    def close(self) -> None:
        self.queue.close()
        self.client.close()


def add(queue: Queue, job_id: str = "job", units: int = 3, priority: int = 0) -> list[Unit]:
    """A job of units of ten rows."""
    planned = list(plan_units(units * 10, 10))
    queue.add_job(job_id, f"/lake/{job_id}", priority, 3)
    assert queue.add_units(job_id, planned) == units
    return planned
