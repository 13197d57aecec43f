"""The command line in processes of its own, in a folder and with a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.orchestration.tiny import tiny_settings

#: For one command, on a busy machine.
TIMEOUT_SECONDS = 200


class Shell:
    """Knows the model `tiny`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = tiny_settings(folder)
        self.environment = {
            **os.environ,
            "ANCESTRAL_HOME": str(self.settings.home),
            "ANCESTRAL_STATE": "",
            "ANCESTRAL_REDIS_URL": "",
            "RAY_ADDRESS": "",
            "OMP_NUM_THREADS": "1",
        }

    def write(self, name: str, document: dict[str, Any]) -> str:
        """A YAML file in the folder; its name."""
        (self.folder / name).write_text(yaml.safe_dump(document, sort_keys=False))
        return name

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that runs; with its own process group, as a terminal gives it."""
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("ancestral")), *arguments],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, code: int = 0) -> str:
        """What a command that ends with this exit code prints to stdout."""
        command = self.start(*arguments)
        out, err = command.communicate(timeout=TIMEOUT_SECONDS)
        assert command.returncode == code, err
        return out

    def run_json(self, *arguments: str, code: int = 0) -> Any:
        """The JSON document of a command; nothing else is on stdout."""
        return json.loads(self.run(*arguments, "--json", code=code))


def descendants(pid: int) -> list[int]:
    """All processes below one, however deep."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if (parent := _parent_of(int(folder.name))) is not None:
            parents[int(folder.name)] = parent
    found = [pid]
    for parent in found:
        found += [child for child, of in parents.items() if of == parent]
    return found[1:]


def samplers_below(pid: int) -> list[int]:
    """The processes of samplers that a command started."""
    found = [each for each in descendants(pid) if "SamplerActor" in _command_of(each)]
    # What one of them starts is called like it, until it becomes another program.
    return [each for each in found if _parent_of(each) not in (None, *found)]


def _parent_of(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
