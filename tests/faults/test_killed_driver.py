"""The process that runs a job is killed, and its samplers with it; another one goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.orchestration.valkey import EmbeddedValkey
from tests.orchestration.shell import Shell, samplers_below
from tests.orchestration.tiny import drawn_in_peace, is_running, tiny_spec

pytestmark = [pytest.mark.ray, pytest.mark.redis]

#: Enough that the first process is not at their end when it is killed.
ROWS = 6000

#: For anything that is waited for.
PATIENCE_SECONDS = 120.0


def test_another_driver_goes_on_where_the_first_was_killed(tmp_path: Path) -> None:
    with EmbeddedValkey() as server:
        # Given a job that a first process runs, on a queue that outlives it
        shell = Shell(tmp_path)
        shell.environment["ANCESTRAL_REDIS_URL"] = server.url
        client = Client(shell.settings, RedisQueue(server.url))
        job = client.submit(tiny_spec(tmp_path / "lake", samples=ROWS // 10, unit={"rows": 20}))
        ledger = Ledger(client.store(job.job_id), job.job_id)
        first = shell.start("run", "--resume", job.job_id, "--samplers", "2")

        # When it is killed while it draws, as if its machine were gone
        wait_until(lambda: ledger.cover(job).rows != ())
        samplers = samplers_below(first.pid)
        assert len(samplers) == 2
        first.kill()
        for pid in samplers:
            os.kill(pid, signal.SIGKILL)
        first.communicate()
        wait_until(lambda: not any(is_running(pid) for pid in samplers))
        before = list(ledger.records(job))
        assert sum(record.counts.total for record in before) < job.rows
        # Nobody holds anything any more; without this, its leases would have to run out
        client.recover(job.job_id)
        status = shell.run_json("run", "--resume", job.job_id, "--samplers", "2")

    # Then
    assert (status["state"], status["rows_ok"]) == ("done", ROWS)
    assert set(before) <= set(ledger.records(job))
    disturbed = client.results(job.job_id).table()
    undisturbed = drawn_in_peace(shell.settings, tmp_path / "peace", samples=ROWS // 10)
    assert disturbed["ordinal"].to_pylist() == list(range(ROWS))
    assert disturbed["sha256"].equals(undisturbed["sha256"])


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
