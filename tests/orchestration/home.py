"""A user's home, and commands within this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ancestral.jobs.client import Client
from ancestral.jobs.finalise import finalise
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.spec import Job
from ancestral.orchestration.cli import exit_code_of
from ancestral.workers.samplers import WarmSamplers
from ancestral.workers.worker import Worker
from tests.orchestration.tiny import tiny_settings, tiny_spec


class Home:
    """A user's environment, commands within this process, and what they say."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder
        self.settings = tiny_settings(folder)
        self._capsys = capsys
        monkeypatch.chdir(folder)
        monkeypatch.setenv("ANCESTRAL_HOME", str(self.settings.home))
        for name in ("ANCESTRAL_STATE", "ANCESTRAL_REDIS_URL", "RAY_ADDRESS"):
            monkeypatch.delenv(name, raising=False)

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    def write(self, spec: dict[str, Any]) -> str:
        (self.folder / "job.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
        return "job.yaml"

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        code = exit_code_of(arguments)
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def call_json(self, *arguments: str, code: int = 0) -> Any:
        """The JSON document of a command that exits with `code` and says nothing else."""
        got, out, err = self.call(*arguments, "--json")
        assert got == code, err
        return json.loads(out)

    def nothing_was_submitted(self) -> bool:
        jobs = Client(self.settings).jobs()
        return not jobs and not list(self.folder.glob("lake/**/spec.json"))


def requests_file(folder: Path, name: str, text: str) -> dict[str, Any]:
    """A spec of requests in a file of this text."""
    (folder / name).write_text(text)
    spec = tiny_spec(folder / "lake", input=str(folder / name))
    del spec["grid"]
    return spec


def work(client: Client, job: Job) -> None:
    """Draw what is undecided of a job, and publish it."""
    queue = MemoryQueue()
    Client(client.settings, queue).take_up(job)
    Worker(queue, WarmSamplers(client.registry, slots=16), job_id=job.job_id).run()
    finalise(client.store(job.job_id), job.job_id)
