"""Rows drawn again: the same ids, samples and seeds, in a job of their own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ancestral.jobs import layout
from ancestral.jobs.client import Client
from ancestral.jobs.errors import StoreUnavailable, UsageError
from ancestral.jobs.finalise import finalise
from ancestral.jobs.fsck import fsck
from ancestral.jobs.intents import Wanted, declare
from ancestral.jobs.media_values import MediaValue
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.jobs.request_shards import Request, read_rows
from ancestral.jobs.results import Results
from ancestral.jobs.retry import retry
from ancestral.jobs.settings import Settings
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store
from ancestral.jobs.units import Unit
from tests.jobs.drawn import accept_job, draw


def finish(store: Store, job: Job, statuses: str) -> None:
    """Draw all units, their rows ending by these letters, and publish the job."""
    for unit in job.units():
        draw(store, job, unit, statuses[unit.start : unit.end])
    finalise(store, job.job_id)


def artifacts(store: Store, job: Job) -> dict[tuple[str, int], bytes]:
    """The bytes of each ok row, by request and sample."""
    found = (each for each in Results(store, job) if each.ok)
    return {(each.row["request_id"], each.row["sample"]): each.bytes() for each in found}


def asked(store: Store, job: Job) -> list[tuple[str, int, int, Any]]:
    rows = read_rows(store, job, Unit(0, job.rows))
    return [(row.request_id, row.sample, row.seed, row.fields) for row in rows]


def test_failed_rows_are_drawn_as_they_would_have_been(store: Store) -> None:
    # Given a job of 12 requests of two samples, with three failed rows, and how it should have been
    whole = accept_job(store, job_id="whole")
    finish(store, whole, "o" * 24)
    parent = accept_job(store)
    finish(store, parent, "ooof" + "orof" + "o" * 15 + "f")

    # When they are retried
    child = retry(store, parent)

    # Then the child has them and no others
    assert (child.job_id, child.parent) == ("digits-1-retry", "digits-1")
    assert (child.requests, child.rows, child.samples) == (3, 3, 1)
    assert asked(store, child) == [
        ("r1", 1, 7, {"label": 1}),
        ("r3", 1, 21, {"label": 3}),
        ("r11", 1, 77, {"label": 1}),
    ]
    # And parent and child together have the artifacts that there should have been
    finish(store, child, "ooo")
    expected = artifacts(store, whole)
    rejected = expected.pop(("r2", 1))
    assert rejected
    assert artifacts(store, parent) | artifacts(store, child) == expected
    assert len(artifacts(store, child)) == 3
    assert fsck(store, child.job_id).problems == ()


def test_a_parent_has_one_child(local_store: Store) -> None:
    parent = accept_job(local_store)
    finish(local_store, parent, "f" * 24)

    first = retry(local_store, parent)
    before = local_store.list()

    assert retry(local_store, parent) == first
    assert local_store.list() == before


def test_of_many_at_once_one_makes_the_child(local_store: Store) -> None:
    parent = accept_job(local_store)
    finish(local_store, parent, "f" * 24)

    with ThreadPoolExecutor(4) as pool:
        children = list(pool.map(lambda _: retry(local_store, parent), range(4)))

    # The others' requests are gone
    assert children == [children[0]] * 4
    shards = local_store.list(layout.submits_folder(children[0].job_id))
    assert shards == [shard.path for shard in children[0].shards]


class Forgetful(Store):
    """A store that does what it is asked for, and loses the answer about a job."""

    def create(self, path: str, data: bytes | memoryview) -> None:
        super().create(path, data)
        if path.endswith("spec.json"):
            raise StoreUnavailable("the answer was lost")


def test_a_child_whose_answer_was_lost_is_there(local_store: Store) -> None:
    parent = accept_job(local_store)
    finish(local_store, parent, "f" * 24)

    with pytest.raises(StoreUnavailable):
        retry(Forgetful(local_store.uri), parent)

    child = retry(local_store, parent)
    assert len(asked(local_store, child)) == 24


def test_what_fails_again_is_retried_by_a_child_of_the_child(local_store: Store) -> None:
    parent = accept_job(local_store, 4)
    finish(local_store, parent, "fofo" + "offf")
    child = retry(local_store, parent)
    finish(local_store, child, "ofofo")

    grandchild = retry(local_store, child)

    assert (grandchild.job_id, grandchild.parent) == ("digits-1-retry-retry", "digits-1-retry")
    assert [row[:2] for row in asked(local_store, grandchild)] == [("r1", 0), ("r3", 0)]


def test_requests_that_were_wrong_are_left_out(local_store: Store) -> None:
    # Given a job with a wrong request, which failed, as did a row of a sound one
    requests = [Request("a", 1, {"label": 1}), Request("#1", 2, {}, "r.csv, line 3: no label 11")]
    parent = accept_job(local_store, requests)
    finish(local_store, parent, "of" + "ff")

    assert [row[:2] for row in asked(local_store, retry(local_store, parent))] == [("a", 1)]


def test_media_travel_along(local_store: Store) -> None:
    fields = {"label": 1, "image": MediaValue(b"pixels", "/data/one.png")}
    parent = accept_job(local_store, [Request("a", 1, fields)], samples=1)
    finish(local_store, parent, "f")

    [(_, _, _, given)] = asked(local_store, retry(local_store, parent))

    assert given == fields


def test_cancelled_rows_are_another_child(local_store: Store) -> None:
    # Given a job of which the middle was drawn before it was cancelled
    parent = accept_job(local_store)
    draw(local_store, parent, Unit(8, 16), "oooooofo")
    declare(local_store, parent.job_id, Wanted.CANCEL)
    finalise(local_store, parent.job_id)

    failed, rest = retry(local_store, parent), retry(local_store, parent, "cancelled")

    assert (failed.job_id, failed.rows) == ("digits-1-retry", 1)
    assert (rest.job_id, rest.rows) == ("digits-1-rest", 16)
    before, behind = asked(local_store, rest)[:8], asked(local_store, rest)[8:]
    assert [row[:2] for row in before] == [(f"r{n}", k) for n in range(4) for k in range(2)]
    assert [row[:2] for row in behind] == [(f"r{n}", k) for n in range(8, 12) for k in range(2)]


@pytest.mark.parametrize(
    ("statuses", "problem"),
    [
        ("oooo", "has no failed row"),
        ("ooor", "has no failed row"),
        (
            "ooff",
            "has no failed row to draw again; their requests were wrong: mend these and submit "
            "them as a new job",
        ),
    ],
)
def test_without_a_row_to_draw_again_there_is_no_child(
    statuses: str, problem: str, local_store: Store
) -> None:
    requests = [Request("a", 1, {"label": 1}), Request("#1", 2, {}, "r.csv, line 3: no label 11")]
    parent = accept_job(local_store, requests)
    finish(local_store, parent, statuses)
    before = local_store.list()

    with pytest.raises(UsageError, match=f"^job digits-1 {problem}$"):
        retry(local_store, parent)

    assert local_store.list() == before


def test_a_job_under_way_is_not_retried(local_store: Store) -> None:
    parent = accept_job(local_store)
    draw(local_store, parent, Unit(0, 8), "f" * 8)

    with pytest.raises(UsageError, match=r"^job digits-1 is not finished: .*--resume digits-1`"):
        retry(local_store, parent)


def test_a_client_queues_the_child(local_store: Store, settings: Settings) -> None:
    parent = accept_job(local_store)
    finish(local_store, parent, "f" * 24)
    queue = MemoryQueue()
    client = Client(settings, queue)
    client.take_up(parent)

    child = client.retry(parent.job_id)

    assert client.job(child.job_id) == child
    assert [lease.job_id for lease in queue.claim("ann", 1)] == [child.job_id]


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("home")
    return Settings(home=home, state_uri=str(home / "state"))
