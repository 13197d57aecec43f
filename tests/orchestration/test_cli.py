"""The command line: exit codes, one sentence for what is wrong, JSON for programs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from ancestral.jobs.client import Client
from ancestral.orchestration.cli import LISTED_PROBLEMS
from ancestral.orchestration.cluster import Resources
from ancestral.orchestration.commands.train import make_folder
from ancestral.workers.here import run_here
from tests.orchestration.home import Home, requests_file
from tests.orchestration.tiny import tiny_spec

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


@pytest.mark.parametrize("command", ["submit", "run"])
def test_a_job_that_would_end_with_the_command_is_refused(home: Home, command: str) -> None:
    file = home.write({**tiny_spec(home.lake), "output": "Memory://lake"})

    code, out, err = home.call(command, file)

    assert (code, out) == (2, "")
    assert "Memory://lake, and memory:// lives in one process only: give a folder or" in err
    assert home.nothing_was_submitted()


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
        (["run", "job.yaml", "--gpus-per-sampler", "0.5"], "needs --device cuda"),
        (["status", "no-such-job"], "'no-such-job'"),
        (["watch", "no-such-job"], "'no-such-job'"),
        (["results", "no-such-job"], "'no-such-job'"),
        (["pause", "no-such-job"], "'no-such-job'"),
        (["resume", "no-such-job"], "'no-such-job'"),
        (["cancel", "no-such-job"], "'no-such-job'"),
        (["fsck", "no-such-job"], "'no-such-job'"),
        (["estimate", "no.yaml"], "no.yaml: there is no such file"),
        (["estimate", "job.yaml", "--seconds", "-1"], "-1.0 is not in the range x>=0"),
        (["verify", "no-such-job"], "'no-such-job'"),
        (["verify", "a-job", "--fraction", "0"], "0.0 is not in the range 0<x<=1"),
        (["verify", "a-job", "--fraction", "1.5"], "1.5 is not in the range 0<x<=1"),
        (["gc", "no-such-job"], "'no-such-job'"),
        (["retry", "no-such-job", "--failed"], "'no-such-job'"),
        (["retry", "no-such-job"], "--failed or --cancelled"),
        (["retry", "no-such-job", "--failed", "--cancelled"], "either --failed or --cancelled"),
        (["recover", "no-such-job"], "ANCESTRAL_REDIS_URL"),
        (["devices"], "ANCESTRAL_REDIS_URL"),
        (["models", "show", "no-such-model"], "'no-such-model'"),
        (["models", "ls", "no-such-model"], "'no-such-model'"),
        (["models", "push", "nowhere"], "there is no config.json"),
        (["models", "push", "home/bundle", "--name", "No Good"], "'No Good'"),
        (["models", "latest", "tiny"], "NAME@DIGEST"),
        (["models", "latest", "tiny@0123"], "there is no such version"),
        (["models", "rm", "tiny"], "say what to remove"),
        (["models", "rm", "tiny@latest", "--all"], "say what to remove"),
        (["models", "rm", "no-such-model", "--all"], "'no-such-model'"),
        (["train", "no-such-recipe"], "'no-such-recipe'"),
        (["train", "digits", "--budget", "soon"], "'soon'"),
        (["train", "digits", "--name", "No Good"], "'name'"),
        (["train"], "RECIPE"),
        (["train", "digits", "--output", "/proc/model"], "/proc/model: cannot be written"),
        (["train", "digits", "--output", "home/bundle/card.md"], "card.md is a file: give"),
        (["train", "digits", "--output", "home"], "home holds something that is not a bundle"),
        (["demo", "--budget", "-3s"], "'-3s'"),
        (["up"], "ANCESTRAL_REDIS_URL"),
        (["up", "--gpus-per-sampler", "0.5", "--device", "cpu"], "needs --device cuda"),
        *(
            (
                ["up", "--samplers", wrong],
                f"'{wrong}' is neither a whole number above 0 nor a range",
            )
            for wrong in ("0", "-3", "0-0", "8-2", "1-2-3", "1-", "1.5", "²", "many")
        ),
        (["up", "--samplers", "3", "--idle-seconds", "60"], "--idle-seconds needs a range"),
        (["up", "--idle-seconds", "60"], "--idle-seconds needs a range"),
        (["up", "--samplers", "4-4", "--idle-seconds", "60"], "ANCESTRAL_REDIS_URL"),
        (["up", "--samplers", "0-4", "--idle-seconds", "0"], "0.0 is not in the range x>0"),
        *(
            ([*command, wrong], f"'{wrong}' is not a finite number")
            for command in (
                ["up", "--samplers", "0-4", "--idle-seconds"],
                ["estimate", "job.yaml", "--seconds"],
            )
            for wrong in ("nan", "inf")
        ),
        (["verify", "a-job", "--fraction", "nan"], "'nan' is not a finite number"),
        (["up", "--device", "cuda", "--gpus-per-sampler", "nan"], "'nan' is not a finite number"),
        (["run", "job.yaml", "--samplers", "0-2"], "'0-2' is not a valid integer range"),
        (["juggle"], "juggle"),
        (["train", "digits", "--output", "s3://b/models"], "without it the model goes to the"),
        (["demo", "--output", "s3:/b/demo"], "--output is a folder of this machine"),
    ],
)
def test_wrong_use(arguments: list[str], named: str, home: Home) -> None:
    code, out, err = home.call(*arguments)

    assert (code, out) == (2, "")
    assert named in err
    assert "Traceback" not in err


def test_a_bundle_is_written_to_a_new_folder_or_over_another_bundle(home: Home) -> None:
    make_folder(home.folder / "models" / "new")
    make_folder(home.settings.home / "bundle")

    assert not list((home.folder / "models" / "new").iterdir())


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


@pytest.mark.redis
def test_a_job_whose_cluster_is_down_is_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    file = home.write(tiny_spec(home.lake))

    code, out, err = home.call("run", file)

    (job_id,) = Client(home.settings).jobs()
    accepted, problem = err.splitlines()
    assert (code, out) == (3, "")
    assert f"job {job_id} is accepted" in accepted
    assert f"ancestral run --resume {job_id}" in accepted
    assert "RAY_ADDRESS" in problem


@pytest.mark.parametrize("size", ["2", "0-2"])
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "ancestral: no GPU is free in the Ray cluster: leave out --device cuda"),
        ("head.example:6379", "There is no GPU in the Ray cluster yet; samplers wait for a node"),
    ],
)
def test_samplers_on_gpus_that_are_not_there_wait_where_some_may_come(
    home: Home, monkeypatch: pytest.MonkeyPatch, size: str, address: str, said: str
) -> None:
    # Given a Ray without a GPU, here or elsewhere, and a queue that does not answer
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("ANCESTRAL_REDIS_URL", f"redis://127.0.0.1:{port}")
    monkeypatch.setenv("RAY_ADDRESS", address)
    without_gpu = nullcontext(Resources(cpus=2, gpus=0))
    monkeypatch.setattr("ancestral.orchestration.cluster.cluster", lambda *asked: without_gpu)

    code, _, err = home.call("up", "--samplers", size, "--device", "cuda")

    assert code == 3
    assert err.startswith(said)
    assert ("Serving" in err, str(port) in err) == (False, bool(address))


def test_an_embedded_queue_is_of_no_use_to_a_cluster_elsewhere(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head.example:6379")
    file = home.write(tiny_spec(home.lake))

    code, _, err = home.call("run", file)

    assert code == 2
    assert "ANCESTRAL_REDIS_URL" in err


@pytest.mark.parametrize("command", ["run", "up", "train"])
def test_rays_client_protocol_is_refused_before_anything_is_begun(
    home: Home, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://localhost:10001")
    if command != "train":
        monkeypatch.setenv("ANCESTRAL_REDIS_URL", "redis://queue:6379")
    file = {"run": home.write(tiny_spec(home.lake)), "train": "digits-made", "up": None}[command]

    code, _, err = home.call(*filter(None, (command, file)))

    assert code == 2
    assert "Ray's client protocol is not used" in err and "HOST:6379" in err
    assert not list(Client(home.settings).jobs())


def test_models_are_listed_and_shown(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    code, out, _ = home.call("models", "ls", "--json")
    (listed,) = (each for each in json.loads(out) if each["name"] == "tiny")
    assert (code, listed["family"], listed["ships"]) == (0, "gated_pixelcnn", False)
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
    artifact = next(iter(Client(home.settings).results(Client(home.settings).jobs()[0])))
    (home.folder / "image.png").write_bytes(artifact.bytes())

    blocks = home.call("models", "show", "tiny")[1].split("\n\n")

    jobs = [block for block in blocks if block.startswith("name: my-")]
    assert len(jobs) == 3
    for number, job in enumerate(jobs):
        (home.folder / f"{number}.yaml").write_text(job)
        run_here(str(home.folder / f"{number}.yaml"), settings=home.settings)
    states = [Client(home.settings).status(job_id).state for job_id in Client(home.settings).jobs()]
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
