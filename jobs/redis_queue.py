"""The queue on a Redis server (Redis 7 or Valkey): one Lua script per atomic move.

The keys; `{ancestral}` is the namespace, the hash tag that keeps a shard of jobs together, so that
picking the job and leasing its units is one script. Times are microseconds of the server's clock.

    {ancestral}:sequence      integer  jobs added so far
    {ancestral}:jobs          zset     place -> -priority; a place is "{sequence:016d}:{job}"
    {ancestral}:runnable      zset     the same, only jobs with ready units
    {ancestral}:fence         integer  the last fence given out
    {ancestral}:expiry        zset     "{job}/{unit}" -> when its lease runs out
    {ancestral}:job:{job}     hash     output, priority, max_attempts, place,
                                       rows_ok, rows_failed, rows_rejected
    {ancestral}:ready:{job}   zset     unit -> from when it may be claimed; 0 is at once
    {ancestral}:leased:{job}  hash     unit -> fence of its lease
    {ancestral}:unit:{job}    hash     "{unit}:attempts", "{unit}:error"; while leased also
                                       "{unit}:worker", ":progress", ":progressed_at", ":stalled"
    {ancestral}:done:{job}    set      units whose records are in the store

A ready unit that never failed costs one sorted-set member, a done one a set member, nothing else.
Scripts are handed the shard's prefix as KEYS[1] and derive every other key from it. Those that must
go on when the server's memory is full, so that finished work lands, say so in their first line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from itertools import islice
from typing import Any, TypeVar

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from ancestral.jobs.errors import QueueError, QueueMisconfigured, QueueUnavailable, UnknownJob
from ancestral.jobs.queue import (
    LARGEST_BATCH,
    LEASE_SECONDS,
    STALL_SECONDS,
    Lease,
    Order,
    QueueCounts,
    QueuedJob,
    clip_error,
)
from ancestral.jobs.units import RowCounts, Unit

#: Seconds to wait for a connection, and for an answer.
TIMEOUT_SECONDS = 10.0

#: Times that a call is sent again after a lost connection, and seconds to wait before: a random
#: part of twice, four and eight times the first pause.
RETRIES = 3
FIRST_PAUSE_SECONDS = 0.1

Item = TypeVar("Item")


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
        self._arguments = (url, lease_seconds, stall_seconds, namespace)
        self._lease = _microseconds(lease_seconds)
        self._stall = _microseconds(stall_seconds)
        self._shard = f"{{{namespace}}}"
        try:
            self._client = redis.Redis.from_url(
                url,
                decode_responses=True,
                encoding_errors="backslashreplace",
                socket_timeout=TIMEOUT_SECONDS,
                socket_connect_timeout=TIMEOUT_SECONDS,
                retry=Retry(ExponentialWithJitterBackoff(base=FIRST_PAUSE_SECONDS), RETRIES),
            )
        except ValueError as error:
            raise QueueMisconfigured(
                "the queue's address must look like redis://HOST:PORT, rediss://HOST:PORT or "
                "unix:///PATH"
            ) from error
        self._address = _address(self._client)
        self._add_job = self._script("add_job")
        self._add_units = self._script("add_units")
        self._claim = self._script("claim")
        self._heartbeat = self._script("heartbeat")
        self._complete = self._script("complete")
        self._fail = self._script("fail")
        self._release = self._script("release")
        self._reap = self._script("reap")
        self._counts = self._script("counts")
        self._forget = self._script("forget")

    def __reduce__(self) -> tuple[type[RedisQueue], tuple[str, float, float, str]]:
        return RedisQueue, self._arguments

    def __repr__(self) -> str:
        return f"RedisQueue({self._address}, {self._shard})"

    def add_job(self, job_id: str, output: str, priority: int, max_attempts: int) -> None:
        self._add_job(job_id, output, priority, max_attempts)

    def add_units(self, job_id: str, units: Iterable[Unit]) -> int:
        self.counts(job_id)
        added = 0
        for batch in _batches(units):
            new = self._add_units(job_id, *(unit.name for unit in batch))
            if new is None:
                raise self._unknown(job_id)
            added += new
        return added

    def claim(self, worker: str, limit: int, job_id: str | None = None) -> list[Lease]:
        found = self._claim(worker, _within_batch(limit), self._lease, job_id or "")
        return [
            Lease(
                job_id=job,
                output=output,
                unit=Unit.parse(unit),
                fence=int(fence),
                attempts=int(attempts),
                last_error=error if int(attempts) else None,
                worker=worker,
                max_attempts=int(max_attempts),
            )
            for job, output, max_attempts, unit, fence, attempts, error in found
        ]

    def heartbeat(self, worker: str, progress: Mapping[Lease, int]) -> dict[Lease, Order]:
        orders: dict[Lease, Order] = {}
        for batch in _batches(progress):
            told = [
                word
                for lease in batch
                for word in (lease.job_id, lease.unit.name, lease.fence, progress[lease])
            ]
            stands = self._heartbeat(worker, self._lease, self._stall, *told)
            for lease, stood in zip(batch, stands, strict=True):
                orders[lease] = Order.CONTINUE if stood else Order.LOST
        return orders

    def complete(self, job_id: str, unit: Unit, counts: RowCounts) -> None:
        self._complete(job_id, unit.name, counts.ok, counts.failed, counts.rejected)

    def fail(self, lease: Lease, error: str, delay_seconds: float = 0.0) -> bool:
        delay = _microseconds(delay_seconds)
        return bool(
            self._fail(lease.job_id, lease.unit.name, lease.fence, clip_error(error), delay)
        )

    def release(self, lease: Lease) -> bool:
        return bool(self._release(lease.job_id, lease.unit.name, lease.fence))

    def reap(self, limit: int = LARGEST_BATCH) -> int:
        reaped: int = self._reap(_within_batch(limit))
        return reaped

    def counts(self, job_id: str) -> QueueCounts:
        found = self._counts(job_id)
        if found is None:
            raise self._unknown(job_id)
        return QueueCounts(*found)

    def jobs(self) -> list[QueuedJob]:
        with self._translated_errors():
            places: Any = self._client.zrange(f"{self._shard}:jobs", 0, -1)
            ids = [place.partition(":")[2] for place in places]
            reads = self._client.pipeline(transaction=False)
            for job_id in ids:
                reads.hmget(f"{self._shard}:job:{job_id}", "output", "priority")
            found = zip(ids, reads.execute(), strict=True)
        return [
            QueuedJob(job_id, output, int(priority))
            for job_id, (output, priority) in found
            if output is not None  # else forgotten between the two reads
        ]

    def forget(self, job_id: str) -> None:
        self._forget(job_id)

    def check(self) -> None:
        with self._translated_errors():
            memory: Any = self._client.info("memory")
        policy = memory["maxmemory_policy"]
        if policy != "noeviction":
            raise QueueMisconfigured(
                f"the queue's server {self._address} would evict keys under its maxmemory-policy "
                f"{policy!r}: set it to noeviction"
            )

    def close(self) -> None:
        self._client.close()

    def _script(self, name: str) -> Callable[..., Any]:
        """A move as a function of its ARGV; loaded again whenever the server has forgotten it."""
        folder = files("ancestral.jobs") / "lua"
        first_line, move = (folder / f"{name}.lua").read_text("utf-8").split("\n", 1)
        common = (folder / "common.lua").read_text("utf-8")
        script = self._client.register_script(f"{first_line}\n{common}\n{move}")

        def run(*arguments: str | int) -> Any:
            with self._translated_errors():
                return script(keys=[self._shard], args=arguments)

        return run

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except redis.AuthenticationError as error:
            raise QueueUnavailable(
                f"the queue's server {self._address} refuses the user or password of its URL"
            ) from error
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise QueueUnavailable(
                f"the queue's server {self._address} does not answer: {error}"
            ) from error
        except redis.exceptions.OutOfMemoryError as error:
            raise QueueUnavailable(
                f"the queue's server {self._address} has no memory left: raise its maxmemory"
            ) from error
        except redis.RedisError as error:
            raise QueueError(
                f"the queue's server {self._address} refused a call: {error}"
            ) from error

    def _unknown(self, job_id: str) -> UnknownJob:
        return UnknownJob(f"the queue at {self._address} knows no job {job_id!r}")


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _within_batch(limit: int) -> int:
    return max(0, min(limit, LARGEST_BATCH))


def _batches(items: Iterable[Item]) -> Iterator[Sequence[Item]]:
    """The items in lists of what one script may loop over."""
    source = iter(items)
    while batch := list(islice(source, LARGEST_BATCH)):
        yield batch


def _address(client: redis.Redis) -> str:
    """Where the server is, without the password."""
    settings = client.connection_pool.connection_kwargs
    if "path" in settings:
        return f"unix://{settings['path']}"
    return f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"
