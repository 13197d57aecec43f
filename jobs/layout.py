"""Where things lie: every path of every object, as pure functions.

    {output}/                                            a store; paths are relative to it
        _jobs/{job_id}/spec.json                         the accepted job
                       submits/{submit}/requests-00000   its requests, normalised (Arrow)
                       ranges/{unit}.json                what was decided about a unit, once
                       splits/{unit}                     a split of it was tried: read its record
                       attempts/{unit}-{attempt8}        the index of one attempt (Arrow)
                       epochs/{number}                   the queue was built anew so many times
                       intents/{number}                  pause, run, cancel: the last one holds
                       cancelled.json                    what a cancelled job was sealed without
                       manifest.json                     the finished job
                       _SUCCESS                          created last
        packs/{job_id}/{unit}-{attempt8}.tar             artifacts
                       packs.txt                         the packs that count
        reports/{job_id}.html                            what people look at, if somebody wrote it
        artifacts/model_name=/day=/job=/outcome=/part-00000.parquet      the public table

    {state}/                                             a store of its own
        jobs/{job_id}                                    where the job's output is
        keys/{sha256 of the idempotency key}             which job has the key

Equal arguments give equal paths, so that a retry meets what it wrote before. Nothing under `_jobs`
ends in `.parquet`, so that no reader's glob picks it up. No function lets a name leave its folder.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from ancestral.jobs.errors import PathRefused
from ancestral.jobs.units import Unit

#: One segment of a path, safe on every file system and in every object store.
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_RANGE = re.compile(r"_jobs/[^/]+/(?:ranges/(\d{12,}-\d{12,})\.json|splits/(\d{12,}-\d{12,}))")

#: The reports of all jobs of an output.
REPORTS_FOLDER = "reports"

#: Characters of an attempt's uuid that stand in object names.
_ATTEMPT_CHARACTERS = 8


def job_folder(job_id: str) -> str:
    """Everything about a job that readers of its artifacts need not see."""
    return f"_jobs/{_segment(job_id)}"


def spec_path(job_id: str) -> str:
    """The accepted job."""
    return f"{job_folder(job_id)}/spec.json"


def submits_folder(job_id: str) -> str:
    """The folder of a job's requests, by acts of submitting."""
    return f"{job_folder(job_id)}/submits"


def shard_path(job_id: str, submit: str, number: int) -> str:
    """The normalised requests of one shard; `submit` is the uuid of the act of submitting."""
    return f"{submits_folder(job_id)}/{_segment(submit)}/requests-{number:05d}"


def records_folder(job_id: str) -> str:
    """The folder of a job's range records."""
    return f"{job_folder(job_id)}/ranges"


def record_path(job_id: str, unit: Unit) -> str:
    """The range record that decides a unit."""
    return f"{records_folder(job_id)}/{unit.name}.json"


def splits_folder(job_id: str) -> str:
    """The folder of the markers of splits."""
    return f"{job_folder(job_id)}/splits"


def split_path(job_id: str, unit: Unit) -> str:
    """The marker that announces that a unit's record may say `split`."""
    return f"{splits_folder(job_id)}/{unit.name}"


def unit_of_name(path: str) -> Unit | None:
    """The unit of a range record or a marker of this path; None when it is no such path."""
    match = _RANGE.fullmatch(path)
    return Unit.parse(match[1] or match[2]) if match else None


def last_number(paths: Iterable[str]) -> int:
    """The highest number among epochs or intents of these paths; 0 when there is none."""
    names = (path.rpartition("/")[2] for path in paths)
    return max((int(name) for name in names if name.isdecimal()), default=0)


def cancelled_path(job_id: str) -> str:
    """The seal of a cancelled job."""
    return f"{job_folder(job_id)}/cancelled.json"


def epochs_folder(job_id: str) -> str:
    """The folder of the epochs of a job's queue."""
    return f"{job_folder(job_id)}/epochs"


def epoch_path(job_id: str, number: int) -> str:
    """Created before the queue is built for that time."""
    return f"{epochs_folder(job_id)}/{number:08d}"


def intents_folder(job_id: str) -> str:
    """The folder of what people wanted of a job."""
    return f"{job_folder(job_id)}/intents"


def intent_path(job_id: str, number: int) -> str:
    """What was wanted of a job, by number, from 1."""
    return f"{intents_folder(job_id)}/{number:08d}"


def attempts_folder(job_id: str) -> str:
    """The folder of the index parts of all attempts."""
    return f"{job_folder(job_id)}/attempts"


def attempt_path(job_id: str, unit: Unit, attempt: str) -> str:
    """The index part that one attempt at a unit wrote."""
    return f"{attempts_folder(job_id)}/{_attempt_name(unit, attempt)}"


def manifest_path(job_id: str) -> str:
    """What became of a finished job."""
    return f"{job_folder(job_id)}/manifest.json"


def success_path(job_id: str) -> str:
    """Created last: the job is finished and all of its outputs are there."""
    return f"{job_folder(job_id)}/_SUCCESS"


def packs_folder(job_id: str) -> str:
    """The folder of a job's packs."""
    return f"packs/{_segment(job_id)}"


def pack_path(job_id: str, unit: Unit, attempt: str) -> str:
    """The tar of artifacts that one attempt at a unit wrote."""
    return f"{packs_folder(job_id)}/{_attempt_name(unit, attempt)}.tar"


def pack_of(job_id: str, uri: str) -> str | None:
    """The path within the store of a pack that was written at a URI, so that an output that was
    moved can still be read; None when it is no pack of the job."""
    folder = packs_folder(job_id)
    _, found, name = uri.rpartition(f"/{folder}/")
    return f"{folder}/{name}" if found else None


def packs_list_path(job_id: str) -> str:
    """The list of the packs that range records name."""
    return f"{packs_folder(job_id)}/packs.txt"


def report_path(job_id: str) -> str:
    """The page about a finished job; what draws a job without a fleet writes none."""
    return f"{REPORTS_FOLDER}/{_segment(job_id)}.html"


def artifacts_folder(model_name: str, day: str, job_id: str) -> str:
    """The folder of a job's part of the public table.

    `day` is the day of submission (YYYY-MM-DD, UTC). In the path, characters of the model's name
    that some reader would decode or expand are replaced by "-"; the column `model` has it as it is.
    """
    if not _DAY.fullmatch(day):
        raise PathRefused(f"{day!r} is not a day like 2026-11-22")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", model_name)[:100] or "-"
    return f"artifacts/model_name={name}/day={day}/job={_segment(job_id)}"


def part_path(folder: str, outcome: str, number: int) -> str:
    """One Parquet file of the public table; `folder` is that of `artifacts_folder`."""
    return f"{folder}/outcome={_segment(outcome)}/part-{number:05d}.parquet"


def state_job_path(job_id: str) -> str:
    """In the state store: where the job's output is."""
    return f"jobs/{_segment(job_id)}"


def state_key_path(idempotency_key: str) -> str:
    """In the state store: which job has this idempotency key."""
    return f"keys/{hashlib.sha256(idempotency_key.encode()).hexdigest()}"


def _attempt_name(unit: Unit, attempt: str) -> str:
    return f"{unit.name}-{_segment(attempt)[:_ATTEMPT_CHARACTERS]}"


def _segment(text: str) -> str:
    if not _SEGMENT.fullmatch(text):
        raise PathRefused(f"{text!r} cannot be part of an object's name")
    return text
