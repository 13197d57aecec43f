"""Ctrl-C, and Ctrl-C again: a worker ends all of its threads."""

from __future__ import annotations

import threading

import pytest

from ancestral.jobs.request_shards import Row
from ancestral.workers.worker import Worker
from tests.workers.fakes import QUICK, Diary, FakeModels, House


def test_a_second_ctrl_c_while_it_stops_leaves_no_thread_waiting(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given Ctrl-C while rows are drawn, and again as soon as the intake was told to end
    def interrupt(rows: list[Row]) -> None:
        raise KeyboardInterrupt

    job = house.submit(["plain"] * 4, unit_rows=2)
    models = FakeModels(before_advance=interrupt)
    worker = Worker(house.queue, models, job_id=job.job_id, listener=Diary(), pace=QUICK)
    close = worker.intake.close

    def interrupted() -> None:
        close()
        raise KeyboardInterrupt

    monkeypatch.setattr(worker.intake, "close", interrupted)
    ended = threading.Event()

    def work() -> None:
        with pytest.raises(KeyboardInterrupt):
            worker.run()
        ended.set()

    # When it works in a thread, which may hang without the tests
    threading.Thread(target=work, daemon=True).start()

    # Then it ends, and gives back what it had in hand
    assert ended.wait(30)
    counts = house.queue.counts(job.job_id)
    assert (counts.ready, counts.leased, counts.done) == (2, 0, 0)
