"""What the README shows works as it stands there, on a small model in place of the demo's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import torch
import yaml

from ancestral.jobs.registry import Registry
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import load_spec
from ancestral.models import GatedPixelCNN, GatedPixelCNNConfig, save_bundle
from ancestral.orchestration.cli import cli
from ancestral.workers.here import run_here
from tests.complaint import complaint

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle, published as `digits` where the environment looks for it; we are in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANCESTRAL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ANCESTRAL_STATE", raising=False)
    torch.manual_seed(0)
    config = GatedPixelCNNConfig(
        height=4, width=5, levels=4, labels=tuple(range(10)), channels=6, layers=2, head=6
    )
    folder = tmp_path / "bundle"
    save_bundle(folder, GatedPixelCNN(config).eval(), card="A tiny one.", metrics={})
    settings = Settings.from_environment()
    Registry(settings.state_uri, settings.cache_folder).publish(folder, "digits")
    return folder


@pytest.fixture
def demo(bundle: Path) -> None:
    """What the demo's first job leaves behind, and three rows of a request that was wrong."""
    grid = {"label": [*range(10), 10]}
    sampling = {"samples": 3}
    run_here(
        {
            "name": "handwritten digits",
            "model": "digits",
            "grid": grid,
            "on_invalid": "record",
            "output": "demo",
            "sampling": sampling,
        }
    )


@pytest.fixture
def drawn(bundle: Path) -> None:
    """A `job.yaml` of 20 rows that are drawn already: submitted again, it is the same job."""
    job = {
        "name": "sevens",
        "model": "digits",
        "grid": {"label": [7]},
        "output": "lake",
        "sampling": {"samples": 20},
        "idempotency_key": "sevens",
    }
    Path("job.yaml").write_text(yaml.safe_dump(job))
    run_here("job.yaml")


def run(example: str) -> list[str]:
    """What an example prints when a process of its own runs it in the working folder."""
    result = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.parametrize(
    ("about", "lines"),
    [
        ("from ancestral.workers import", 20),
        ("from ancestral.models import", 10),
        ("import pandas", 1),
        ("import duckdb", 10),
        ("import webdataset", 30),
    ],
)
def test_python_examples_work(about: str, lines: int, bundle: Path, demo: None) -> None:
    # Given the one example about something
    (example,) = [block for block in blocks("python") if about in block]

    # When it runs where a demo has been: one takes a bundle, one gives bytes
    before = f"from pathlib import Path\nbundle_folder = Path({str(bundle)!r})\n"
    after = "\nprint(png[:4])" if "png = " in example else ""
    printed = run(before + example + after)

    # Then a line tells of each artifact or row, by its likelihood or its first bytes
    assert len([line for line in printed if re.search(r"\.\d{4}|PNG", line)]) == lines


def test_a_scheduler_needs_neither_torch_nor_ray(drawn: None) -> None:
    # Given the one example of the client
    (example,) = [block for block in blocks("python") if "import Client" in block]

    # When it runs, and tells in the end what it has loaded
    state, *rows, loaded = run(f"{example}\nimport sys; print(*sys.modules)")

    # Then it has followed the job to its end
    assert state.startswith("done 20 0 ") and "model_name=digits" in state
    assert len(rows) == 20 and all(re.search(r"\.\d{4}", row) for row in rows)
    assert {"torch", "ray"}.isdisjoint(loaded.split())


def test_the_jobs_are_jobs() -> None:
    thousand, endings = (load_spec(yaml.safe_load(job)) for job in blocks("yaml"))

    assert (thousand.kind, thousand.sampling.samples) == ("generate", 1000)
    assert (endings.kind, endings.sampling.samples) == ("complete", 4)


def commands(text: str) -> list[list[str]]:
    """The words of each command that is listed, of those after a `|` as well."""
    found = []
    for line in re.findall(r"^    ancestral (.+?)(?:  .*)?$", text, flags=re.M):
        first, *others = (part.split() for part in line.split("|"))
        group = first[:1] if isinstance(cli.commands.get(first[0]), click.Group) else []
        found += [first, *([*group, *other] for other in others)]
    return found


def test_the_commands_are_there() -> None:
    listed = commands(README)

    assert ["watch"] in listed and ["models", "rm"] in listed
    for command in listed:
        assert complaint(command) is None, f"ancestral {' '.join(command)}"


def test_a_wrong_command_or_option_would_be_found() -> None:
    wrong = commands("    ancestral models ls | juggle  a\n    ancestral retry JOB --sideways  b\n")

    assert [complaint(command) is None for command in wrong] == [True, False, False]
