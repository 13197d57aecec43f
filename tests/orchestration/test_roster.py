"""Which jobs are looked after, and what one that cannot be does to the others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ancestral.jobs import layout
from ancestral.jobs.errors import StoreUnavailable
from ancestral.jobs.manifest import Manifest
from ancestral.jobs.queue import QueuedJob
from ancestral.jobs.spec import Job
from ancestral.jobs.store import open_store
from ancestral.orchestration.controller import AUDIT_SECONDS
from ancestral.orchestration.roster import ASIDE_SECONDS, SEARCH_SECONDS, Roster
from tests.orchestration.desk import ROWS, UNIT_ROWS, Desk


class Office(Desk):
    """A desk for all jobs; `published` are the ids of those that ended."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.published: list[str] = []
        #: What writing a report runs into.
        self.trouble: Exception | None = None

    def roster(self) -> Roster:
        return Roster(self.client, self.queue, self.report_one, self.said.append, clock=self.clock)

    def report_one(self, job: Job, manifest: Manifest) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.published.append(job.job_id)

    def look(self, roster: Roster, seconds: float = 3.0) -> int:
        """Look for so long; the rows drawn, by the last look."""
        until = self.clock.now + seconds
        drawn = 0
        while self.clock.now < until:
            drawn = roster.look()
            self.clock.now += 0.5
        return drawn


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_every_job_of_the_queue_is_published_and_forgotten(office: Office) -> None:
    jobs = [office.submit(name=f"job {number}") for number in range(3)]
    roster = office.roster()
    office.draw(jobs[0], units=2)
    assert office.look(roster) == 2 * UNIT_ROWS

    for job in jobs:
        office.draw_the_rest(job)
    office.look(roster)

    assert sorted(office.published) == sorted(job.job_id for job in jobs)
    assert office.queue.jobs() == []
    assert office.look(roster, SEARCH_SECONDS + 2) == 0
    assert len(office.published) == 3


def test_units_that_are_ready_or_held_are_open_of_jobs_to_be_drawn(office: Office) -> None:
    # Given jobs of five units each: one is begun, one cannot go on, and of one a unit is held
    first, broken, second = (office.submit(name=f"job {number}") for number in range(3))
    roster = office.roster()
    office.draw(first, units=1)
    store = office.client.store(broken.job_id)
    store.put(layout.record_path(broken.job_id, next(iter(broken.units()))), b"{}")
    [lease] = office.queue.claim("ann", 1, second.job_id)
    assert roster.open_units == 0

    # Then
    office.look(roster)
    assert roster.open_units == 4 + 5

    office.client.pause(second.job_id)
    office.look(roster)
    assert roster.open_units == 4

    # When both end, then none is open
    office.client.resume(second.job_id)
    office.queue.release(lease)
    office.draw_the_rest(first)
    office.draw_the_rest(second)
    office.look(roster)
    assert sorted(office.published) == sorted([first.job_id, second.job_id])
    assert roster.open_units == 0


def test_jobs_need_a_sampler_for_each_open_unit_or_as_many_as_meet_their_deadline(
    office: Office,
) -> None:
    # Given two jobs of five units of four rows each, of which one is due
    plain, due = office.submit(name="plain"), office.submit(name="due", deadline="1000s")
    roster = office.roster()
    at = due.deadline_at
    assert at is not None
    now = at.timestamp() - 1000
    assert roster.samplers_needed(now) == 0
    office.look(roster)

    # Then as long as it is not known how long rows take, each unit counts
    assert roster.samplers_needed(now) == 5 + 5

    # When two units of both are drawn, whose rows took half a second each
    for job in (plain, due):
        office.draw(job, units=2)
    office.look(roster)

    # Then twelve rows are left, of six seconds
    needed = [roster.samplers_needed(at.timestamp() - left) for left in (1000, 6, 5.9, 2, 0.1, -9)]
    assert needed == [3 + one for one in (1, 1, 2, 3, 3, 3)]

    # When two of its units are held, then half of their rows count
    leases = office.queue.claim("ann", 2, due.job_id)
    office.look(roster)
    needed = [roster.samplers_needed(at.timestamp() - left) for left in (4, 3.9, 2, 1.9)]
    assert needed == [3 + one for one in (1, 2, 2, 3)]
    assert all(office.queue.release(lease) for lease in leases)

    # When it is paused, then it needs none
    office.client.pause(due.job_id)
    office.look(roster)
    assert roster.samplers_needed(at.timestamp() - 6) == 3


def test_a_job_is_found_when_both_the_queue_and_who_served_it_are_gone(office: Office) -> None:
    # Given a job that is half drawn, and one that is published
    job, finished = office.submit(), office.submit(name="finished")
    office.draw_the_rest(finished)
    office.draw(job, units=2)
    office.look(office.roster())
    office.queue.restart(None)

    # When
    roster = office.roster()
    office.look(roster)

    # Then
    assert [each.job_id for each in office.queue.jobs()] == [job.job_id]
    office.draw_the_rest(job)
    office.look(roster)
    assert office.published == [finished.job_id, job.job_id]
    assert len(office.client.results(job.job_id)) == ROWS


def test_a_job_that_was_accepted_and_not_queued_is_found(office: Office) -> None:
    roster = office.roster()
    office.look(roster)
    job = office.submit()
    office.queue.forget(job.job_id)

    office.look(roster, SEARCH_SECONDS + 2)

    assert [each.job_id for each in office.queue.jobs()] == [job.job_id]


def test_a_job_that_cannot_be_served_keeps_no_other_waiting(office: Office) -> None:
    # Given a job whose output is not there any more
    gone = office.submit(output=str(office.house.folder / "moved"))
    shutil.rmtree(office.house.folder / "moved")
    job = office.submit()
    office.draw_the_rest(job)

    office.look(office.roster(), SEARCH_SECONDS + 2)

    assert office.published == [job.job_id]
    [line] = office.said
    assert gone.job_id in line and "set aside" in line
    # And nobody claims units of it any more
    assert office.queue.jobs() == []


def test_a_job_whose_output_goes_and_comes_back_is_forgotten_and_queued_again(
    office: Office,
) -> None:
    # Given a job that is looked after
    output, elsewhere = office.house.folder / "moved", office.house.folder / "elsewhere"
    job = office.submit(output=str(output))
    roster = office.roster()
    office.look(roster)

    # When its output is moved away, then the queue forgets it soon
    output.rename(elsewhere)
    office.look(roster, AUDIT_SECONDS + 2 * ASIDE_SECONDS)
    assert office.queue.jobs() == []
    assert "no longer in its output" in office.said[0]

    # When it is there again, then it goes on
    shutil.rmtree(output, ignore_errors=True)
    elsewhere.rename(output)
    office.look(roster, 2 * ASIDE_SECONDS)
    assert [each.job_id for each in office.queue.jobs()] == [job.job_id]


@pytest.mark.parametrize("how", ["cancelled", "drawn"])
def test_a_job_is_forgotten_that_came_to_its_end_as_its_output_went(
    office: Office, how: str
) -> None:
    # Given a job that is looked after, and that has nothing left to draw
    output = office.house.folder / "moved"
    job = office.submit(output=str(output))
    roster = office.roster()
    office.look(roster)
    if how == "cancelled":
        office.client.cancel(job.job_id)
    else:
        office.draw_the_rest(job)

    shutil.rmtree(output)
    office.look(roster, AUDIT_SECONDS + 2 * ASIDE_SECONDS)

    # Then nothing is left of it, and nothing is made anew
    assert office.queue.jobs() == []
    assert not output.exists()


def test_a_job_of_another_state_is_left_to_those_who_know_it(office: Office) -> None:
    office.queue.begin_rebuild(QueuedJob("theirs", "/lake", 0, 10), 1)

    office.look(office.roster(), SEARCH_SECONDS + 2)

    assert [each.job_id for each in office.queue.jobs()] == ["theirs"]


def test_a_job_that_cannot_even_be_found_hides_no_other(office: Office) -> None:
    # Given two jobs that the queue lost, the first of which the state store garbled
    lost, other = sorted((office.submit(), office.submit()), key=lambda job: job.job_id)
    state = open_store(office.client.settings.state_uri)
    state.put(layout.state_job_path(lost.job_id), b"{")
    office.queue.restart(None)

    office.look(office.roster(), SEARCH_SECONDS + 2)

    assert [each.job_id for each in office.queue.jobs()] == [other.job_id]
    assert sum("set aside" in line for line in office.said) == 1


def test_what_is_set_aside_is_tried_again(office: Office) -> None:
    job = office.submit()
    roster = office.roster()
    office.draw_the_rest(job)
    office.trouble = StoreUnavailable("the lake is closed")
    office.look(roster, 3 * ASIDE_SECONDS)
    assert office.published == []
    # A report that ends the server is not tried again by the next one.
    assert office.queue.jobs() == []
    assert office.said == [f"job {job.job_id} is set aside: the lake is closed"]

    office.trouble = None
    office.look(roster, 2 * ASIDE_SECONDS)

    assert office.published == [job.job_id]


def test_a_report_that_goes_wrong_in_itself_ends_nothing(office: Office) -> None:
    # Given two jobs that are drawn
    jobs = [office.submit(), office.submit()]
    roster = office.roster()
    for job in jobs:
        office.draw_the_rest(job)

    # When their reports run into what nobody thought of
    office.trouble = TypeError("no\x1b number")
    office.look(roster, SEARCH_SECONDS + 2 * ASIDE_SECONDS)

    # Then each is said once, in a line that no terminal obeys, and the jobs are published
    assert sorted(office.said) == [
        f"job {job_id} is published, but its report could not be written: "
        "TypeError('no\\x1b number')"
        for job_id in sorted(job.job_id for job in jobs)
    ]
    assert all(len(office.client.results(job.job_id)) == ROWS for job in jobs)
    assert office.queue.jobs() == []
