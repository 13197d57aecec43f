"""Commands in processes of their own: what a signal does to them."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.ledger import Ledger
from tests.orchestration.shell import Shell, descendants, samplers_below
from tests.orchestration.tiny import is_running, tiny_spec


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
    assert time.monotonic() < deadline
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

    # And it goes on from there, even if somebody paused it
    assert shell.run_json("pause", job_id)["state"] == "paused"
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
    told = shell.run_json("results", job_id)
    os.kill(fleet.pid, signal.SIGTERM)
    out, err = fleet.communicate(timeout=60)

    # Then
    assert (watched["state"], watched["rows_ok"]) == ("done", 30)
    assert report.exists()
    assert told["report"] == str(report)
    assert fleet.returncode == 0, err
    assert json.loads(out) == {"published": [job_id]}


@pytest.mark.ray
@pytest.mark.redis
def test_samplers_come_with_a_job_and_go_after_it(tmp_path: Path, redis_url: str) -> None:
    # Given a fleet that may have no sampler
    shell = Shell(tmp_path)
    shell.environment["ANCESTRAL_REDIS_URL"] = redis_url
    size = ["--samplers", "0-2", "--idle-seconds", "2"]
    fleet = shell.start("up", *size, "--slots", "8", "--json")
    assert fleet.stderr is not None
    assert fleet.stderr.readline().startswith("Serving the queue with 0 to 2 samplers")
    assert samplers_below(fleet.pid) == []

    # When a job comes and is drawn
    file = shell.write("job.yaml", tiny_spec(tmp_path / "lake", unit={"rows": 5}))
    job_id = shell.run_json("submit", file)["job_id"]
    assert shell.run_json("watch", job_id)["rows_ok"] == 30

    # Then samplers came with it, and go after it
    assert "6 units open: from 0 to 2 samplers\n" in fleet.stderr
    fewer = re.compile("fewer sufficed for 2.0 s: from [12] to 0 samplers\n")
    assert any(map(fewer.fullmatch, fleet.stderr))
    deadline = time.monotonic() + 60
    while samplers_below(fleet.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert samplers_below(fleet.pid) == []
    os.kill(fleet.pid, signal.SIGTERM)
    out, err = fleet.communicate(timeout=60)
    assert fleet.returncode == 0, err
    assert json.loads(out) == {"published": [job_id]}

    # And each row ended once
    client = Client(shell.settings)
    records = Ledger(client.store(job_id), job_id).records(client.job(job_id))
    assert sum(record.counts.total for record in records) == 30
    assert client.results(job_id).table()["ordinal"].to_pylist() == list(range(30))
