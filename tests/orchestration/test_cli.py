"""The command line: exit codes, one sentence for what is wrong, JSON for programs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from ancestral.jobs.client import Client
from ancestral.orchestration.cli import LISTED_PROBLEMS, exit_code_of
from ancestral.workers.here import run_here
from tests.orchestration.shell import Shell, descendants
from tests.orchestration.tiny import is_running, tiny_settings, tiny_spec


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

    def nothing_was_submitted(self) -> bool:
        jobs = Client(self.settings).jobs()
        return not jobs and not list(self.folder.glob("lake/**/spec.json"))


@pytest.fixture
def home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Home:
    return Home(tmp_path, monkeypatch, capsys)


def requests_file(folder: Path, name: str, text: str) -> dict[str, Any]:
    """A spec of requests in a file of this text."""
    (folder / name).write_text(text)
    spec = tiny_spec(folder / "lake", input=str(folder / name))
    del spec["grid"]
    return spec


#: What a user gets wrong: the spec, and what the message must name.
MISTAKES = {
    "unknown label": (
        lambda folder: requests_file(folder, "r.csv", "request_id,label\na,3\nb,11\n"),
        ["r.csv, line 3", "label", "11"],
    ),
    "duplicate request_id": (
        lambda folder: requests_file(folder, "r.csv", "request_id,label\nsame,3\nsame,4\n"),
        ["r.csv, line 3", "line 2"],
    ),
    "missing column": (
        lambda folder: requests_file(folder, "r.csv", "request_id\na\n"),
        ["r.csv", "label"],
    ),
    "broken JSONL line": (
        lambda folder: requests_file(folder, "r.jsonl", '{"label": 1}\n{"label": \n'),
        ["r.jsonl, line 2"],
    ),
    "no input file": (
        lambda folder: {
            key: value
            for key, value in tiny_spec(folder / "lake", input=str(folder / "no.csv")).items()
            if key != "grid"
        },
        ["no.csv"],
    ),
    "unknown model": (
        lambda folder: tiny_spec(folder / "lake", model="tinny"),
        ["'tinny'", "did you mean 'tiny'"],
    ),
    "unreadable model": (
        lambda folder: tiny_spec(folder / "lake", model=str(folder / "nothing")),
        [str(Path("nothing")), "config.json"],
    ),
    "output not writable": (
        lambda folder: tiny_spec(Path("/proc/ancestral")),
        ["/proc/ancestral"],
    ),
    "unknown key": (
        lambda folder: tiny_spec(folder / "lake", prioritty=3),
        ["job.yaml", "'prioritty'", "did you mean 'priority'"],
    ),
}


@pytest.mark.parametrize("command", ["submit", "run"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_and_nothing_is_submitted(
    mistake: str, command: str, home: Home
) -> None:
    make_spec, named = MISTAKES[mistake]
    file = home.write(make_spec(home.folder))

    code, out, err = home.call(command, file, "--json")

    assert code == 2
    assert out == ""
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1
    assert all(each in err for each in named), err
    assert home.nothing_was_submitted()


def test_many_wrong_rows_are_listed_and_counted(home: Home) -> None:
    rows = "".join(f"r{n},{n}\n" for n in range(1000))
    file = home.write(requests_file(home.folder, "r.csv", f"request_id,label\n{rows}"))

    code, out, err = home.call("submit", file)

    lines = err.splitlines()
    assert (code, out) == (2, "")
    assert "r.csv, line 12" in lines[0]
    assert lines[-1] == "ancestral: 990 rows are wrong; nothing was submitted"
    assert len(lines) == LISTED_PROBLEMS + 1


def test_a_port_that_is_taken_is_said_and_nothing_is_submitted(home: Home) -> None:
    file = home.write(tiny_spec(home.lake))

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = home.call("run", file, "--redis-port", str(port))

    assert (code, out) == (2, "")
    assert str(port) in err
    assert home.nothing_was_submitted()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run"], "--resume"),
        (["run", "job.yaml", "--resume", "x"], "--resume"),
        (["run", "no.yaml"], "no.yaml: there is no such file"),
        (["run", "--resume", "no-such-job"], "'no-such-job'"),
        (["status", "no-such-job"], "'no-such-job'"),
        (["watch", "no-such-job"], "'no-such-job'"),
        (["results", "no-such-job"], "'no-such-job'"),
        (["models", "show", "no-such-model"], "'no-such-model'"),
        (["train", "no-such-recipe"], "'no-such-recipe'"),
        (["train", "digits", "--budget", "soon"], "'soon'"),
        (["train", "digits", "--name", "No Good"], "'name'"),
        (["train", "--resume", "no-such-run"], "'no-such-run'"),
        (["demo", "--budget", "-3s"], "'-3s'"),
        (["up"], "ANCESTRAL_REDIS_URL"),
        (["juggle"], "juggle"),
    ],
)
def test_wrong_use(arguments: list[str], named: str, home: Home) -> None:
    code, out, err = home.call(*arguments)

    assert (code, out) == (2, "")
    assert named in err
    assert "Traceback" not in err


def test_a_queue_that_does_not_answer_is_exit_code_3(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("ANCESTRAL_REDIS_URL", f"redis://:secret@127.0.0.1:{port}")
    file = home.write(tiny_spec(home.lake))

    code, out, err = home.call("submit", file)

    assert (code, out) == (3, "")
    assert str(port) in err and "secret" not in err
    assert home.nothing_was_submitted()


def test_an_embedded_queue_is_of_no_use_to_a_cluster_elsewhere(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://head.example:10001")
    file = home.write(tiny_spec(home.lake))

    code, _, err = home.call("run", file)

    assert code == 2
    assert "ANCESTRAL_REDIS_URL" in err


def test_submit_and_status_tell_the_same(home: Home) -> None:
    file = home.write(tiny_spec(home.lake))

    code, out, _ = home.call("submit", file, "--json")
    submitted = json.loads(out)
    _, out, _ = home.call("status", submitted["job_id"], "--json")

    assert code == 0
    assert json.loads(out) == submitted
    assert (submitted["state"], submitted["rows"], submitted["index"]) == ("queued", 30, None)
    code, out, err = home.call("submit", file)
    assert code == 0
    assert "queued" in out
    assert "ancestral run --resume" in err


def test_a_finished_job(home: Home) -> None:
    # Given a job with a wrong request, which is recorded
    spec = requests_file(home.folder, "r.csv", "request_id,label\na,3\nb,11\n")
    spec = {**spec, "on_invalid": "record", "sampling": {"samples": 1}}
    run_here(spec, settings=home.settings, slots=2)
    job_id = Client(home.settings).jobs()[0].job_id

    # Then its exit code says that a row failed
    code, out, _ = home.call("status", job_id, "--json")
    status = json.loads(out)
    assert code == 1
    assert (status["state"], status["rows_ok"], status["rows_failed"]) == ("done_with_errors", 1, 1)
    assert home.call("watch", job_id, "--json") == (1, out, "")
    code, out, _ = home.call("status", job_id)
    assert code == 1
    assert "1 ok, 1 failed" in out and status["index"] in out

    # And what came out can be downloaded
    code, out, _ = home.call("results", job_id, "--to", "files", "--json")
    assert code == 1
    assert json.loads(out)["files"] == 1
    assert [path.name for path in (home.folder / "files").iterdir()] == ["a-0.png"]
    assert "1 files in" in home.call("results", job_id, "--to", "files")[1]


def test_models_are_listed_and_shown(home: Home) -> None:
    code, out, _ = home.call("models", "ls", "--json")
    (listed,) = json.loads(out)
    assert (code, listed["name"], listed["family"]) == (0, "tiny", "gated_pixelcnn")
    assert "3.0000 held-out bits/dim" in home.call("models", "ls")[1]

    code, out, _ = home.call("models", "show", f"tiny@{listed['digest'][:6]}", "--json")
    shown = json.loads(out)
    assert (code, shown.items() >= listed.items()) == (0, True)
    assert list(shown["kinds"]) == ["generate", "complete", "score"]
    out = home.call("models", "show", "tiny")[1]
    assert "images of 5 x 6 pixels in 8 levels" in out
    assert "label   category  (required)  one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in out
    assert "keep    integer   null        from 1 to 4" in out


def test_the_jobs_that_a_model_is_shown_with_can_be_pasted(home: Home) -> None:
    run_here(tiny_spec(home.lake, samples=1), settings=home.settings)
    artifact = next(iter(Client(home.settings).results(Client(home.settings).jobs()[0].job_id)))
    (home.folder / "image.png").write_bytes(artifact.bytes())

    blocks = home.call("models", "show", "tiny")[1].split("\n\n")

    jobs = [block for block in blocks if block.startswith("name: my-")]
    assert len(jobs) == 3
    for number, job in enumerate(jobs):
        (home.folder / f"{number}.yaml").write_text(job)
        run_here(str(home.folder / f"{number}.yaml"), settings=home.settings)
    states = [
        Client(home.settings).status(job.job_id).state for job in Client(home.settings).jobs()
    ]
    assert states == ["done"] * 4


@pytest.mark.parametrize(
    "arguments", [["--help"], ["train", "--help"], ["status", "none"], ["models", "ls"]]
)
def test_what_needs_no_model_waits_for_neither_torch_nor_ray(
    arguments: list[str], tmp_path: Path
) -> None:
    code = (
        "import sys; from ancestral.orchestration.cli import exit_code_of;"
        f"exit_code_of({arguments!r}); print('loaded:', *sys.modules)"
    )
    environment = {**os.environ, "ANCESTRAL_HOME": str(tmp_path), "ANCESTRAL_REDIS_URL": ""}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )

    loaded = set(run.stdout.rpartition("loaded:")[2].split())
    assert "ancestral.jobs.errors" in loaded
    assert loaded.isdisjoint({"torch", "ray"})


@pytest.mark.ray
@pytest.mark.redis
def test_ctrl_c_keeps_what_is_committed_and_leaves_no_process(tmp_path: Path) -> None:
    # Given a job of many rows under way
    shell = Shell(tmp_path)
    lake = tmp_path / "lake"
    spec = tiny_spec(lake, samples=500, unit={"rows": 20})
    command = shell.start("run", shell.write("job.yaml", spec), "--slots", "16")
    deadline = time.monotonic() + 120
    while not list(lake.glob("_jobs/*/ranges/*")) and time.monotonic() < deadline:
        assert command.poll() is None, command.communicate()
        time.sleep(0.1)
    children = descendants(command.pid)
    assert len(children) > 3

    # When Ctrl-C is pressed, which the terminal sends to every process in the foreground
    os.killpg(command.pid, signal.SIGINT)
    out, err = command.communicate(timeout=60)

    # Then
    assert command.returncode == 130
    (job_id,) = [path.name for path in lake.glob("_jobs/*")]
    assert out == ""
    assert err.splitlines()[-1].startswith("ancestral: stopped; the rows committed so far are kept")
    assert f"ancestral run --resume {job_id}" in err
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in children if is_running(pid)]
    kept = shell.run_json("status", job_id)
    assert 0 < kept["rows_ok"] < 5000

    # And it goes on from there
    resumed = shell.run_json("run", "--resume", job_id, "--slots", "64")
    assert (resumed["job_id"], resumed["rows_ok"]) == (job_id, 5000)


@pytest.mark.ray
@pytest.mark.redis
def test_up_serves_what_is_submitted_until_it_is_told_to_stop(
    tmp_path: Path, redis_url: str
) -> None:
    # Given a fleet on a shared queue
    shell = Shell(tmp_path)
    shell.environment["ANCESTRAL_REDIS_URL"] = redis_url
    fleet = shell.start("up", "--samplers", "1", "--slots", "8", "--json")

    # When a job is submitted
    file = shell.write("job.yaml", tiny_spec(tmp_path / "lake"))
    job_id = shell.run_json("submit", file)["job_id"]
    watched = shell.run_json("watch", job_id)
    report = tmp_path / "lake" / "reports" / f"{job_id}.html"
    deadline = time.monotonic() + 60
    while not report.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(fleet.pid, signal.SIGTERM)
    out, err = fleet.communicate(timeout=60)

    # Then
    assert (watched["state"], watched["rows_ok"]) == ("done", 30)
    assert report.exists()
    assert fleet.returncode == 0, err
    assert json.loads(out) == {"published": [job_id]}
