"""What the server of a `MemoryQueue` would keep: its jobs, and what concerns all of them."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from ancestral.jobs.intents import Wanted
from ancestral.jobs.memory_job import Holding, MemoryJob, Trouble
from ancestral.jobs.queue import (
    MOST_ON_PROBATION,
    OTHERS_FIRST,
    SILENCE,
    UNITS_AGAINST_DEVICE,
    Lease,
)
from ancestral.jobs.units import Unit


@dataclass
class MemoryState:
    """Times are readings of one clock, in seconds."""

    #: Another one after each restart.
    server: int = 0
    fence: int = 0
    #: From when on it will be that all slept, if nobody speaks until then.
    silent_from: float = math.inf
    jobs: dict[str, MemoryJob] = field(default_factory=dict)
    #: When each worker was last heard of.
    workers: dict[str, float] = field(default_factory=dict)
    #: The last ticket that each worker got leases for, and those leases.
    tickets: dict[str, tuple[str, list[Lease]]] = field(default_factory=dict)
    #: When each device was last claimed for.
    devices: dict[str, float] = field(default_factory=dict)
    #: The units that speak against each device, as (job, unit).
    blame: dict[str, list[tuple[str, Unit]]] = field(default_factory=dict)
    #: The devices on probation, in the order of the last charge to a lease on each.
    probation: dict[str, None] = field(default_factory=dict)

    def next_fence(self, now: float) -> int:
        """Never below the clock: fences rise over a wipe or an old snapshot."""
        self.fence = max(self.fence + 1, int(now * 1e6))
        return self.fence

    def in_order(self) -> list[MemoryJob]:
        """Highest priority first; among equals the earliest deadline, then the oldest, as dicts
        keep the order of insertion."""

        def place(job: MemoryJob) -> tuple[int, float]:
            deadline = job.facts.deadline
            return -job.facts.priority, math.inf if deadline is None else deadline

        return sorted(self.jobs.values(), key=place)

    def at_epoch(self, job_id: str, epoch: int) -> MemoryJob | None:
        """The job, if it is at that epoch and this server has not forgotten any of it."""
        job = self.jobs.get(job_id)
        return job if job and (job.epoch, job.server) == (epoch, self.server) else None

    def is_open(self, job: MemoryJob) -> bool:
        return job.server == self.server and not job.rebuilding

    def may_claim(self, job_id: str | None, without: Collection[str]) -> list[MemoryJob]:
        """The jobs to claim from, in order; just this one, if it is named."""
        return [
            job
            for job in self.in_order()
            if job_id in (None, job.facts.job_id)
            and job.facts.job_id not in without
            and self.is_open(job)
            and job.wanted is Wanted.RUN
        ]

    def standing(self, lease: Lease) -> tuple[MemoryJob, Holding] | None:
        """The job and the holding, if the lease stands."""
        job = self.jobs.get(lease.job_id)
        if job is None or not self.is_open(job):
            return None
        holding = job.holding(lease.unit, lease.worker, lease.fence)
        return (job, holding) if holding else None

    def renew(self, leases: list[Lease], expires_at: float) -> list[Lease]:
        """Renew those of the leases that stand."""
        renewed = []
        for lease in leases:
            if held := self.standing(lease):
                held[1].expires_at = expires_at
                renewed.append(lease)
        return renewed

    def holdings(self) -> Iterator[tuple[MemoryJob, Unit, Holding]]:
        """All leases."""
        for job in self.jobs.values():
            for unit, holdings in job.leased.items():
                for holding in holdings:
                    yield job, unit, holding

    def reap(self, now: float, limit: int) -> int:
        """Take back expired leases, the longest expired first; how many."""
        expired = [
            (holding.expires_at, job.facts.job_id, unit, holding)
            for job, unit, holding in self.holdings()
            if holding.expires_at <= now
        ]
        soonest = heapq.nsmallest(limit, expired, key=lambda each: each[:3])
        taken = [(self.jobs[job_id], unit, holding) for _, job_id, unit, holding in soonest]
        return self._take_back(taken, now)

    def expire(self, worker: str, now: float) -> int:
        """Take back all leases of a worker; how many."""
        held = [each for each in self.holdings() if each[2].worker == worker]
        return self._take_back(held, now)

    def _take_back(self, held: list[tuple[MemoryJob, Unit, Holding]], now: float) -> int:
        for job, unit, holding in held:
            what = "made no progress" if holding.stalled else "went silent"
            error = f"lease expired: the worker {holding.worker} {what}"
            self.charge(job, unit, holding, error, now)
        return len(held)

    def charge(
        self, job: MemoryJob, unit: Unit, holding: Holding, error: str, ready_at: float
    ) -> None:
        """End a lease as a failed attempt; it is none while another worker holds the unit too."""
        others = [each for each in job.leased[unit] if each is not holding]
        for other in others:
            other.last_standing = True
        if not others:
            trouble = job.troubles.setdefault(unit, Trouble())
            trouble.charge(error, holding.device, holding.alone, ready_at)
            if holding.device:
                self._put_on_probation(holding.device)
        job.end(unit, holding, ready_at)

    def _put_on_probation(self, device: str) -> None:
        self.probation.pop(device, None)
        self.probation[device] = None
        if len(self.probation) > MOST_ON_PROBATION:
            del self.probation[next(iter(self.probation))]

    def hear(self, now: float, lease_seconds: float) -> None:
        """Note that somebody speaks. If nobody did for long, no worker is to blame for its own
        silence: all slept, or the clock jumped, and every lease begins anew."""
        if self.silent_from <= now:
            for _, _, holding in self.holdings():
                holding.expires_at, holding.moved_at = now + lease_seconds, now
        self.silent_from = now + SILENCE * lease_seconds

    def see(self, worker: str, now: float, lease_seconds: float) -> None:
        """Note that a worker lives, and forget those that were silent for a lease's time."""
        self.hear(now, lease_seconds)
        self.workers[worker] = now
        for silent in [name for name, seen in self.workers.items() if seen <= now - lease_seconds]:
            del self.workers[silent]
            self.tickets.pop(silent, None)

    def see_device(self, device: str, now: float, lease_seconds: float) -> None:
        """Note that a device is there for units, and forget those that were silent for a lease's
        time."""
        then = now - lease_seconds
        self.devices = {name: seen for name, seen in self.devices.items() if seen > then}
        if device and not self.is_drained(device):
            self.devices[device] = now

    def due(self, job: MemoryJob, device: str, now: float, lease_seconds: float) -> list[Unit]:
        """The units of a job that may be claimed on a device, in order.

        A unit that broke there is left to others for a while, if there are others that do not
        decline the job.
        """
        others = self.devices.keys() - {device} - job.declined_on
        return job.due(device, now, OTHERS_FIRST * lease_seconds if others else 0.0)

    def draws_alone(self, job: MemoryJob, unit: Unit, device: str) -> bool:
        """Whether a unit that is claimed on a device must be drawn alone."""
        return job.is_charged(unit) or device in self.probation

    def is_drained(self, device: str) -> bool:
        return len(self.blame.get(device, ())) >= UNITS_AGAINST_DEVICE

    def drained_devices(self) -> dict[str, list[str]]:
        return {
            device: [f"{job_id}/{unit.name}" for job_id, unit in units]
            for device, units in self.blame.items()
            if self.is_drained(device)
        }

    def pardon(self, device: str) -> None:
        self.blame.pop(device, None)
        self.probation.pop(device, None)

    def acquit(self, device: str) -> None:
        """A unit was completed on a device: what it did before was by chance, unless it was enough
        to drain it."""
        self.probation.pop(device, None)
        if not self.is_drained(device):
            self.blame.pop(device, None)

    def accuse(self, device: str, job_id: str, unit: Unit) -> None:
        """A unit speaks against a device, unless another one that shares its rows does."""
        units = self.blame.setdefault(device, [])
        shared = any(
            each_job == job_id and each.start < unit.end and unit.start < each.end
            for each_job, each in units
        )
        if not shared and not self.is_drained(device):
            units.append((job_id, unit))
