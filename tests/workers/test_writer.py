"""The writing side: a bound on what waits, and no commit but of a unit's own rows."""

from __future__ import annotations

from dataclasses import replace
from weakref import ReferenceType, ref

import pytest

from ancestral.jobs.ledger import Ledger
from ancestral.jobs.request_shards import Row, read_rows
from ancestral.jobs.store import open_store
from ancestral.jobs.units import Unit
from ancestral.workers.commit import commit
from ancestral.workers.errors import UnitIncomplete
from ancestral.workers.held import HeldLeases
from ancestral.workers.lane import Ended
from ancestral.workers.outcomes import outcome_of
from ancestral.workers.patience import Patience
from ancestral.workers.work import OpenJob, Work
from ancestral.workers.workplace import Workplace
from ancestral.workers.writer import Writer
from tests.workers.by_hand import ByHand
from tests.workers.fakes import Diary, FakeModels, House


class Full(Exception):
    """Raised by a test that would wait."""


def refuse_to_wait() -> None:
    raise Full


def desk(house: House) -> tuple[Workplace, Work]:
    """A workplace that holds a unit of three rows."""
    job = house.submit(["plain"] * 3, unit_rows=3)
    diary = Diary()
    patience = Patience("ann", diary, seconds=0.0)
    held = HeldLeases(house.queue, "ann", diary, patience, 0.0)
    (lease,) = house.queue.claim("ann", 1)
    hold = held.add(lease)
    store = house.client.store(job.job_id)
    opened = OpenJob(job, store, Ledger(store, job.job_id))
    work = Work(hold, opened, read_rows(store, job, lease.unit), FakeModels().get(job))
    place = Workplace("ann", "host/cpu", house.queue, diary, patience, held, open_store)
    return place, work


def test_a_full_backlog_lets_the_sampler_wait(house: House) -> None:
    place, work = desk(house)
    writer = Writer(place, backlog_rows=2)
    first, second, third = (Ended(work, row, error="not drawn") for row in work.rows)

    writer.put(first, refuse_to_wait)
    writer.put(second, refuse_to_wait)
    with pytest.raises(Full):
        writer.put(third, refuse_to_wait)

    # When what waited is written, there is room again.
    writer.close()
    writer.run()
    writer.put(third, refuse_to_wait)
    assert writer.rows == 2


def test_an_aborted_writer_writes_nothing_more(house: House) -> None:
    place, work = desk(house)
    writer = Writer(place, backlog_rows=10)
    for row in work.rows:
        writer.put(Ended(work, row, error="not drawn"), refuse_to_wait)

    writer.abort()
    writer.run()

    assert work.outcomes == {}
    assert work.opened.ledger.lookup(Unit(0, 3)) is None


def test_rows_of_a_unit_that_is_held_no_more_are_thrown_away(house: House) -> None:
    place, work = desk(house)
    writer = Writer(place, backlog_rows=10)
    place.held.lose(work.hold, work.hold.lease)
    for row in work.rows:
        writer.put(Ended(work, row, error="not drawn"), refuse_to_wait)

    writer.close()
    writer.run()

    assert work.outcomes == {}
    assert work.opened.ledger.lookup(Unit(0, 3)) is None


def test_a_row_is_gone_from_memory_when_it_is_written(house: House) -> None:
    # Given a unit of which one row ends before the other
    job = house.submit(["plain"] * 2, unit_rows=2, seeds=[0, 4])
    seen: dict[int, ReferenceType[Row]] = {}
    watch = FakeModels(before_advance=lambda rows: seen.update((r.ordinal, ref(r)) for r in rows))
    ann = ByHand(house, job, models=watch)
    ann.take_in()

    # When it has been written
    for _ in range(3):
        ann.turn()

    # Then only the other one is held
    assert seen[0]() is None
    row = seen[1]()
    assert row is not None and row.ordinal == 1


@pytest.mark.parametrize("ordinals", [(0, 1), (0, 1, 3), (0, 1, 2, 3)])
def test_no_unit_is_committed_with_other_rows_than_its_own(
    house: House, ordinals: tuple[int, ...]
) -> None:
    place, work = desk(house)
    store = work.opened.store
    before = store.list()
    outcome = outcome_of(work.opened.job, work.model, work.rows[0], None, "not drawn")
    for ordinal in ordinals:
        row = replace(work.rows[0], ordinal=ordinal)
        work.outcomes[ordinal] = replace(outcome, row=row)

    with pytest.raises(UnitIncomplete, match="do not fit the rows"):
        commit(place, work)

    assert store.list() == before
