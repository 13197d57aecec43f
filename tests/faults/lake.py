"""A model, a folder to work in, and jobs that real faults befall; how they should end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from ancestral.jobs.client import Client
from ancestral.jobs.fsck import fsck
from ancestral.jobs.queue import Queue
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job
from tests.faults.perils import SIGNATURE
from tests.faults.processes import Plan
from tests.jobs.bundles import write_bundle

#: The sha256 of a row's symbols and of its artifact, by its seed.
Drawn: TypeAlias = Mapping[int, tuple[str, str]]


class Lake:
    """Where the jobs of one test lie.

    `queue` is the test's own way to the queue, and `undisturbed` what plain rows should be.
    """

    def __init__(self, folder: Path, queue: Queue, undisturbed: Drawn) -> None:
        self.folder = folder
        self.queue = queue
        self._undisturbed = undisturbed
        write_bundle(folder / "model", SIGNATURE)
        settings = Settings(folder / "home", str(folder / "home" / "state"))
        self.client = Client(settings, queue)

    def submit(
        self, labels: Sequence[str], output: str | None = None, unit_rows: int = 8, **spec: Any
    ) -> Job:
        """A job of one row for each label, with the seeds 0, 1, 2, ..."""
        lines = (
            json.dumps({"request_id": f"r{number}", "seed": number, "label": label})
            for number, label in enumerate(labels)
        )
        (self.folder / "requests.jsonl").write_text("\n".join(lines))
        document: Mapping[str, Any] = {
            "name": "pictures",
            "model": str(self.folder / "model"),
            "input": str(self.folder / "requests.jsonl"),
            "output": output or str(self.folder / "lake"),
            "unit": {"rows": unit_rows},
            **spec,
        }
        return self.client.submit(document)

    def check(self, job: Job, failed: Mapping[int, str] | None = None, cancelled: int = 0) -> None:
        """The job ended as it should, by its store alone.

        Nothing is lost and nothing doubled, the rows of `failed` failed with errors that hold the
        given texts and no others did, `cancelled` rows were not drawn, and what was drawn is what
        an undisturbed job draws.
        """
        failed = failed or {}
        store = self.client.store(job.job_id)
        report = fsck(store, job.job_id)
        assert report.sound, "\n".join(report.problems)
        rows = self.client.results(job.job_id).table().to_pylist()
        ordinals = [row["ordinal"] for row in rows]
        assert len(ordinals) == len(set(ordinals)) == job.rows - cancelled
        errors = {row["ordinal"]: row["error"] for row in rows if row["status"] == "failed"}
        assert sorted(errors) == sorted(failed), errors
        for ordinal, text in failed.items():
            assert text in errors[ordinal]
        for row in rows:
            if row["status"] == "ok":
                drawn = row["symbols_sha256"], row["sha256"]
                assert drawn == self._undisturbed[row["seed"]], f"row {row['ordinal']} is another"

    def plan(self, job: Job, redis_url: str, namespace: str, **plan: Any) -> Plan:
        """A plan for a fleet of processes that does the job."""
        journals = self.folder / "journals"
        journals.mkdir(exist_ok=True)
        return Plan(url=redis_url, namespace=namespace, job=job, journals=journals, **plan)
