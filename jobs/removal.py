"""Versions of models removed, unless jobs still need them.

A job pins its model's version, which workers fetch until the last row is drawn. Which jobs are not
finished the store alone can say, so all that were ever submitted are looked up, which a rare act
may cost. A job that is submitted at the same moment can be missed: its rows fail, and say that the
model is gone. Pushed again, the version is the same, and `retry` draws them.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from ancestral.jobs.acceptance import read_job
from ancestral.jobs.client import Client
from ancestral.jobs.errors import UnknownJob, UsageError
from ancestral.jobs.manifest import read_manifest
from ancestral.jobs.registry import is_path
from ancestral.jobs.shelves import version_folder
from ancestral.jobs.store import ahead
from ancestral.jobs.wording import shortened

#: Jobs that are named by a refusal.
NAMED_JOBS = 3


def remove_models(
    client: Client, model: str, *, every: bool = False, force: bool = False
) -> tuple[str, ...]:
    """Removes `name@digest` from the registry, or `every` published version of `name`: of those the
    beginnings of their digests. What is damaged can be removed like anything else.

    With `force` not even unfinished jobs are in the way. Raises ModelUnreadable when there is no
    such version, UsageError when it cannot be removed (see `Registry.remove`) or when a job needs
    it, and StoreError.
    """
    if is_path(model) or ("@" in model) == every:
        raise UsageError("say what to remove: NAME@DIGEST, or NAME --all")
    digests = client.registry.digests(model)
    name = model.partition("@")[0]
    if not force:
        _check_needed(client, model, [version_folder(name, digest) for digest in digests])
    client.registry.remove(name, digests)
    return digests


def _check_needed(client: Client, model: str, folders: Collection[str]) -> None:
    jobs = [job for job in ahead(partial(_needing, client, folders), client.jobs()) if job]
    if jobs:
        raise UsageError(
            f"{model} is what unfinished jobs draw with: wait for {shortened(jobs, NAMED_JOBS)} or "
            "cancel first, or force it, upon which their remaining rows fail"
        )


def _needing(client: Client, folders: Collection[str], job_id: str) -> str | None:
    """The job, if it is unfinished and fetches its model from one of these. The same version may
    well lie under another name, too."""
    try:
        store = client.store(job_id)
        job = read_job(store, job_id)
    except UnknownJob:
        return None
    if job is None or not job.model.uri.endswith(tuple(f"/{folder}" for folder in folders)):
        return None
    return None if read_manifest(store, job_id) is not None else job_id
