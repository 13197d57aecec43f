"""Intents: what is wanted of a job, declared by whoever, known from the store alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ancestral.jobs import layout
from ancestral.jobs.errors import AlreadyExists, CorruptObject
from ancestral.jobs.intents import Intent, Wanted, declare, latest_intent
from ancestral.jobs.store import Store


def test_a_job_of_which_nothing_was_said_should_run(store: Store) -> None:
    assert latest_intent(store, "j") == Intent(0, Wanted.RUN)


def test_the_last_intent_holds(store: Store) -> None:
    paused = declare(store, "j", Wanted.PAUSE, "the lake is being moved")
    assert latest_intent(store, "j") == paused
    assert (paused.number, paused.wanted) == (1, Wanted.PAUSE)
    assert paused.reason == "the lake is being moved"
    running = declare(store, "j", Wanted.RUN)
    assert latest_intent(store, "j") == running
    assert (running.number, running.wanted, running.reason) == (2, Wanted.RUN, None)
    assert latest_intent(store, "other") == Intent()


def test_wanting_the_same_again_says_nothing_new(store: Store) -> None:
    assert declare(store, "j", Wanted.RUN) == Intent()
    first = declare(store, "j", Wanted.FAIL, "the model is gone")
    assert declare(store, "j", Wanted.FAIL, "it is still gone") == first
    assert len(store.list(layout.intents_folder("j"))) == 1


@pytest.mark.parametrize("wanted", Wanted)
def test_a_cancelled_job_stays_so(store: Store, wanted: Wanted) -> None:
    cancelled = declare(store, "j", Wanted.CANCEL, "a typo")
    assert declare(store, "j", wanted, "never mind") == cancelled
    assert latest_intent(store, "j") == cancelled


def test_numbers_go_on_beyond_nine(local_store: Store) -> None:
    for number in range(1, 12):
        wanted = Wanted.PAUSE if number % 2 else Wanted.RUN
        assert declare(local_store, "j", wanted).number == number
    assert latest_intent(local_store, "j").number == 11


def test_of_many_at_once_each_has_its_number_and_none_follows_a_cancel(store: Store) -> None:
    # Given four people who want four things at once
    start = threading.Barrier(4)

    def want(wanted: Wanted) -> Intent:
        start.wait()
        return declare(store, "j", wanted)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(want, Wanted))
    # Then the cancel holds, and the numbers have no gap
    last = latest_intent(store, "j")
    assert last.wanted is Wanted.CANCEL
    paths = store.list(layout.intents_folder("j"))
    assert paths == [layout.intent_path("j", number) for number in range(1, last.number + 1)]


class ForgetfulStore(Store):
    """Creates, and is told that somebody else did: the answer of the first try was lost."""

    def create(self, path: str, data: bytes | memoryview) -> None:
        super().create(path, data)
        raise AlreadyExists("sent twice")


def test_ones_own_intent_is_not_declared_twice(local_store: Store) -> None:
    store = ForgetfulStore(local_store.uri)
    assert declare(store, "j", Wanted.PAUSE) == latest_intent(store, "j")
    assert len(store.list(layout.intents_folder("j"))) == 1


def test_what_is_no_intent_is_corrupt(local_store: Store) -> None:
    for data in (b"", b"[]", b"{}", b'{"wanted": "sleep"}'):
        local_store.put(layout.intent_path("j", 1), data)
        with pytest.raises(CorruptObject, match="intents/00000001 is no intent"):
            latest_intent(local_store, "j")


def test_a_note_that_somebody_left_is_no_intent(local_store: Store) -> None:
    local_store.put(f"{layout.intents_folder('j')}/README", b"hands off")
    assert latest_intent(local_store, "j") == Intent()
