"""Samplers that draw the rows of a job and do nothing with them: a process for each."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier

from ancestral.jobs.registry import Registry
from ancestral.jobs.request_shards import read_rows
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job
from ancestral.jobs.store import open_store
from ancestral.jobs.units import Unit

#: For all processes to have their model.
LOAD_SECONDS = 600.0


@dataclass(frozen=True)
class _Share:
    """What one process draws: every so many-th row of the job."""

    settings: Settings
    job: Job
    first: int
    step: int


@dataclass(frozen=True)
class Drawn:
    """When drawing began, and the moments at which rows ended, in order: Unix time."""

    began: float
    ended: list[float]


def draw_bare(settings: Settings, job: Job, samplers: int) -> Drawn:
    """Draw all rows of a job that was submitted. Samplers begin when all have their model."""
    context = multiprocessing.get_context("spawn")
    shares = [_Share(settings, job, first, samplers) for first in range(samplers)]
    barrier = context.Barrier(samplers)
    with context.Pool(samplers, _take, (barrier,)) as pool:
        # One for each process: none is given two, since the others wait for it.
        drawn = pool.map(_draw, shares, chunksize=1)
    moments = sorted(moment for each in drawn for moment in each.ended)
    return Drawn(min(each.began for each in drawn), moments)


_together: Barrier


def _take(barrier: Barrier) -> None:
    global _together
    _together = barrier


def _draw(share: _Share) -> Drawn:
    import torch

    from ancestral.workers.samplers import WarmSamplers

    torch.set_num_threads(1)
    job, settings = share.job, share.settings
    samplers = WarmSamplers(
        Registry(settings.state_uri, settings.cache_folder, settings.shipped_folder)
    )
    model = samplers.get(job)
    rows = read_rows(open_store(job.spec.output), job, Unit(0, job.rows))[share.first :: share.step]
    waiting, moments = iter(rows), list[float]()
    # One that could not get its model would be waited for without end.
    _together.wait(timeout=LOAD_SECONDS)
    began, left = time.time(), len(rows)
    while left:
        while model.free and (row := next(waiting, None)) is not None:
            model.admit(row.ordinal, row, job.spec.sampling)
        ended = model.advance()
        moments += [time.time()] * len(ended)
        left -= len(ended)
    return Drawn(began, moments)
