"""What becomes of calls to a real S3 server when something between us and it goes wrong."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import fsspec
import pytest

from ancestral.jobs import buckets
from ancestral.jobs.errors import AlreadyExists, StoreUnavailable
from ancestral.jobs.store import Store, open_store
from tests.faults.proxy import SLOW_DOWN, Fault, HttpProxy, Meddler, Refusal
from tests.faults.wire import Wire
from tests.workers.fakes import eventually

pytestmark = pytest.mark.s3

CALLS: dict[str, Callable[[Store], object]] = {
    "create": lambda store: store.create("new", b"made"),
    "put": lambda store: store.put("one", b"replaced"),
    "read": lambda store: store.read("one"),
    "read_range": lambda store: store.read_range("one", 1, 2),
    "exists": lambda store: store.exists("one"),
    "size": lambda store: store.size("one"),
    "list": lambda store: store.list(),
    "delete": lambda store: store.delete("one"),
}


@pytest.fixture(scope="module")
def ways(s3_server: str) -> Iterator[tuple[Store, HttpProxy]]:
    """A store on the shortest way to its server, and what stands in the way of all others.

    Here a call is tried once, if a test wants no more.
    """
    kind = fsspec.get_filesystem_class("s3")
    with pytest.MonkeyPatch.context() as patch, HttpProxy(s3_server) as proxy:
        patch.setattr(buckets, "PATIENCE_SECONDS", 0.0)
        patch.setattr(buckets, "SDK_TRIES", 1)
        kind.clear_instance_cache()
        direct = open_store(f"s3://ancestral-tests/{uuid.uuid4().hex}")
        direct.put("one", b"first")
        kind.clear_instance_cache()
        patch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield direct, proxy
        kind.clear_instance_cache()


@pytest.fixture
def direct(ways: tuple[Store, HttpProxy]) -> Store:
    """The store past the proxy; it holds one object."""
    store, _ = ways
    for path in store.list():
        store.delete(path)
    store.put("one", b"first")
    return store


@pytest.fixture
def proxy(ways: tuple[Store, HttpProxy]) -> HttpProxy:
    _, proxy = ways
    proxy.meddle = always(Fault.PASS)
    proxy.counts.clear()
    return proxy


@pytest.fixture
def store(direct: Store, proxy: HttpProxy) -> Store:
    """The same store, through the proxy."""
    return open_store(direct.uri)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "PATIENCE_SECONDS", 60.0)


def first(meddling: Fault | Refusal, method: str = "", times: int = 1) -> Meddler:
    """Meddles with the first calls (of a method, if one is named)."""
    left = iter([meddling] * times)

    def meddle(called: str, path: str) -> Fault | Refusal:
        return next(left, Fault.PASS) if called.startswith(method) else Fault.PASS

    return meddle


def always(meddling: Fault | Refusal, method: str = "") -> Meddler:
    return lambda called, path: meddling if called.startswith(method) else Fault.PASS


# What passes by itself


@pytest.mark.parametrize(
    "refusal",
    [SLOW_DOWN, Refusal(429, "TooManyRequests"), Refusal(500, "InternalError"), Refusal(502, "")],
)
def test_a_call_is_repeated_until_the_store_answers(
    store: Store, proxy: HttpProxy, patient: None, refusal: Refusal
) -> None:
    proxy.meddle = first(refusal, times=3)
    store.create("new", b"made")
    assert proxy.counts[refusal] == 3
    assert store.read("new") == b"made"


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_each_call_says_that_the_store_is_throttling(
    store: Store, proxy: HttpProxy, call: Callable[[Store], object]
) -> None:
    proxy.meddle = always(SLOW_DOWN)
    with pytest.raises(StoreUnavailable, match=f"{store.uri}: the store is throttling us"):
        call(store)
    # and goes on once it no longer does
    proxy.meddle = always(Fault.PASS)
    call(store)


def test_who_lost_the_answer_to_its_success_finds_the_object_there(
    store: Store, proxy: HttpProxy, patient: None
) -> None:
    proxy.meddle = first(Fault.DROP_ANSWER, "PUT")
    with pytest.raises(AlreadyExists):
        store.create("new", b"made")
    assert store.read("new") == b"made"

    proxy.meddle = first(Fault.DROP_ANSWER, "PUT")
    store.put("one", b"second")
    assert proxy.counts[Fault.DROP_ANSWER] == 2
    assert store.read("one") == b"second"


def test_a_conflict_of_writers_is_asked_again(
    store: Store, proxy: HttpProxy, patient: None
) -> None:
    conflict = Refusal(409, "ConditionalRequestConflict")
    proxy.meddle = first(conflict, "PUT", times=2)
    store.create("new", b"made")
    assert proxy.counts[conflict] == 2


@pytest.mark.parametrize("method", ["create", "put"])
def test_a_torn_upload_is_never_seen(
    store: Store, direct: Store, proxy: HttpProxy, method: str
) -> None:
    write = getattr(store, method)
    data = bytes(range(256)) * 4096
    proxy.meddle = always(Fault.TEAR, "PUT")
    with pytest.raises(StoreUnavailable, match="no answer"):
        write("new", data)
    assert proxy.counts[Fault.TEAR]
    assert direct.list() == ["one"]

    proxy.meddle = always(Fault.PASS)
    write("new", data)
    assert direct.read("new") == data


def test_a_torn_upload_leaves_what_was_there(store: Store, direct: Store, proxy: HttpProxy) -> None:
    proxy.meddle = always(Fault.TEAR, "PUT")
    with pytest.raises(StoreUnavailable):
        store.put("one", b"second" * 1000)
    assert direct.read("one") == b"first"


@pytest.fixture
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "PART_BYTES", 5 * 2**20)


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize("fault", [Fault.TEAR, Fault.DROP_ANSWER, SLOW_DOWN])
def test_an_object_in_parts_is_seen_whole_or_not_at_all(
    direct: Store, proxy: HttpProxy, fault: Fault | Refusal
) -> None:
    store = open_store(direct.uri)
    data = b"large pack" * 2**20 + b"its end"
    proxy.meddle = lambda method, path: fault if "partNumber=2" in path else Fault.PASS
    with pytest.raises(StoreUnavailable):
        store.put("large", data)
    assert proxy.counts[fault]
    assert direct.list() == ["one"]

    proxy.meddle = always(Fault.PASS)
    store.put("large", data)
    assert direct.size("large") == len(data)
    assert direct.read("large") == data


@pytest.mark.usefixtures("_small_parts", "patient")
def test_an_upload_in_parts_of_whose_end_nobody_hears_is_done_again(
    direct: Store, proxy: HttpProxy
) -> None:
    store = open_store(direct.uri)
    data = b"large pack" * 2**20
    ends = iter([Fault.PASS, Fault.DROP_ANSWER])  # of the two POSTs the first begins it
    proxy.meddle = lambda method, path: next(ends, Fault.PASS) if method == "POST" else Fault.PASS
    store.put("large", data)
    assert proxy.counts[Fault.DROP_ANSWER] == 1
    assert direct.read("large") == data


def test_a_torn_answer_is_not_taken_for_the_object(store: Store, proxy: HttpProxy) -> None:
    proxy.meddle = always(Fault.TEAR, "GET")
    for call in (CALLS["read"], CALLS["read_range"], CALLS["list"]):
        with pytest.raises(StoreUnavailable, match="no answer"):
            call(store)


def test_after_a_torn_answer_the_object_is_read_again(
    store: Store, proxy: HttpProxy, patient: None
) -> None:
    proxy.meddle = first(Fault.TEAR, "GET")
    assert store.read("one") == b"first"
    assert proxy.counts[Fault.TEAR] == 1


def answers(store: Store) -> bool:
    """Whether the store does, as soon as it must."""
    try:
        store.read("one")
    except StoreUnavailable:
        return False
    return True


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_store_that_keeps_silent_is_unavailable(
    direct: Store,
    proxy: HttpProxy,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[Store], object],
) -> None:
    # Given an open connection, over which no answer comes any more
    monkeypatch.setattr(buckets, "READ_SECONDS", 0.2)
    monkeypatch.setattr(buckets, "WRITE_SECONDS", 0.2)
    server = urlsplit(proxy.url)
    with Wire(server.hostname or "", server.port or 0) as wire:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{wire.port}")
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        store = open_store(direct.uri)
        eventually(lambda: answers(store))
        wire.cut(answers=True)
        # Then
        with pytest.raises(StoreUnavailable, match=r"no answer \(\w*Timeout\w*\)"):
            call(store)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
