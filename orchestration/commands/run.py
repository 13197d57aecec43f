"""`ancestral run`: a job from its file to its report, with everything it needs on this machine."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from ancestral.jobs.client import Client
from ancestral.jobs.errors import JobError, UsageError
from ancestral.jobs.finalise import finalise
from ancestral.jobs.manifest import Manifest
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job, JobSpec
from ancestral.jobs.states import State
from ancestral.orchestration.commands.options import fleet_options, json_option, read_job_file
from ancestral.orchestration.commands.output import (
    exit_code,
    print_json,
    print_status,
    say,
    status_document,
)
from ancestral.orchestration.commands.services import queue_of, ray_address


@click.command()
@click.argument("job_file", metavar="[JOB.yaml]", required=False)
@click.option("--resume", "job_id", metavar="JOB_ID", help="Go on with a job that was submitted.")
@click.option(
    "--samplers",
    type=click.IntRange(1),
    help="Sampler processes.  [default: one for each processor, or share of a GPU, of the cluster]",
)
@fleet_options
@click.option(
    "--redis-port",
    type=click.IntRange(1, 65535),
    help="Port of the embedded queue server.  [default: a free one]",
)
@json_option
def run(
    job_file: str | None,
    job_id: str | None,
    samplers: int | None,
    slots: int | None,
    device: str,
    gpus: float,
    redis_port: int | None,
    as_json: bool,
) -> int:
    """Run a job to its end on this machine: queue, samplers, progress, results, report.

    ANCESTRAL_REDIS_URL and RAY_ADDRESS name a queue and a cluster to use in place of
    those that are brought along.
    """
    if (job_file is None) == (job_id is None):
        raise click.UsageError("Give either a job file or --resume with the id of a job.")
    settings = Settings.from_environment()
    spec = read_job_file(job_file) if job_file is not None else None
    if spec is not None and settings.ray_address in (None, "local"):
        # Of the machines of a cluster nothing is known here: there, samplers refuse.
        _check_fits(spec, device)
    with queue_of(settings, redis_port) as queue:
        client = Client(settings, queue)
        if spec is None:
            job = client.job(str(job_id))
        else:
            job = _submit(client, spec)
            # Before anything else can go wrong, so that nobody submits it again for that.
            say(
                f"job {job.job_id} is accepted; if this ends early, "
                f"`ancestral run --resume {job.job_id}` goes on with it"
            )
        found = client.status(job.job_id)
        if found.state in (State.PAUSED, State.FAILED):
            client.resume(job.job_id)
        client.take_up(job)
        # From here on it takes seconds to import things; what is wrong with the job is said by now.
        from ancestral.orchestration.serve import publish_report

        more: dict[str, Any] = {}
        report = None
        if found.finished:
            manifest = finalise(client.store(job.job_id), job.job_id)
        else:
            manifest, more = _draw(client, queue, job, samplers, slots, device, gpus)
        try:
            report = publish_report(client, job, manifest)
        # The job is published, whatever a report of it runs into.
        except Exception as error:  # noqa: BLE001
            why = str(error) if isinstance(error, JobError) else repr(error)
            say(
                f"the report of job {job.job_id} could not be written: {why}; "
                f"`ancestral run --resume {job.job_id}` writes it again"
            )
        found = client.status(job.job_id)
    if as_json:
        print_json(status_document(found, report, **more))
    else:
        print_status(client, found, report)
        if "rows_per_second" in more:
            speed, seconds = more["rows_per_second"], more["seconds"]
            click.echo(f"speed   {speed:,} rows/s over {seconds:,} s, from the samplers' start on")
    return exit_code(found)


def _submit(client: Client, spec: JobSpec) -> Job:
    from ancestral.orchestration.progress import telling_checked

    with telling_checked(spec.name, sys.stderr) as tell:
        return client.submit(spec, tell)


def _check_fits(spec: JobSpec, device: str) -> None:
    if spec.sampling.precision == "float32":
        # All devices do, and the workers' libraries take their time to be imported.
        return
    from ancestral.workers.devices import misfit, refusal

    if (reason := misfit(spec, device)) is not None:
        raise UsageError(f"{refusal(device, repr(spec.name), reason)}; nothing was submitted")


def _draw(
    client: Client,
    queue: RedisQueue,
    job: Job,
    samplers: int | None,
    slots: int | None,
    device: str,
    gpus: float,
) -> tuple[Manifest, dict[str, Any]]:
    """The published job, and how fast it was drawn, the start of the cluster left out."""
    from ancestral.orchestration.cluster import cluster
    from ancestral.orchestration.interrupt import Interrupt
    from ancestral.orchestration.serve import Service, run_job

    with cluster(ray_address(client.settings), samplers) as resources, Interrupt() as interrupt:
        places = samplers or resources.places(device, gpus)
        service = Service(client, queue, places, slots, device, gpus)
        before = queue.counts(job.job_id).rows_decided
        start = time.monotonic()
        manifest = run_job(service, job, sys.stderr, interrupt)
        seconds = time.monotonic() - start
    rate = (manifest.rows - manifest.rows_cancelled - before) / seconds
    return manifest, {"seconds": round(seconds, 1), "rows_per_second": round(rate, 1)}
