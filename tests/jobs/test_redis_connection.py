"""A queue's server that is gone, that is back, that is silent; and the URL that leads to it."""

import os
import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from ancestral.jobs import redis_connection
from ancestral.jobs.errors import QueueMisconfigured, QueueUnavailable
from ancestral.jobs.intents import Wanted
from ancestral.jobs.queue import Lease, Progress, Queue, QueuedJob
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.units import Unit
from ancestral.orchestration.valkey import EmbeddedValkey
from tests.jobs.rigs import TEN, add

pytestmark = pytest.mark.redis

LEASE = Lease("job", "/lake", Unit(0, 10), 1, "ann")

#: Every method that talks to the server.
CALLS: dict[str, Callable[[Queue], object]] = {
    "begin_rebuild": lambda queue: queue.begin_rebuild(QueuedJob("job", "/lake", 0, 10), 1),
    "restore": lambda queue: queue.restore("job", 1, [Unit(0, 10)]),
    "end_rebuild": lambda queue: queue.end_rebuild("job", 1),
    "want": lambda queue: queue.want("job", Wanted.PAUSE, 1),
    "claim": lambda queue: queue.claim("ann", 1),
    "heartbeat": lambda queue: queue.heartbeat("ann", {LEASE: Progress(1)}),
    "complete": lambda queue: queue.complete("job", Unit(0, 10), TEN),
    "split": lambda queue: queue.split("job", Unit(0, 10), 5),
    "fail": lambda queue: queue.fail(LEASE, "broken"),
    "release": lambda queue: queue.release(LEASE),
    "reap": lambda queue: queue.reap(),
    "expire": lambda queue: queue.expire("ann"),
    "counts": lambda queue: queue.counts("job"),
    "untold": lambda queue: queue.untold("job"),
    "jobs": lambda queue: queue.jobs(),
    "drained_devices": lambda queue: queue.drained_devices(),
    "pardon": lambda queue: queue.pardon("node/cuda:0"),
    "forget": lambda queue: queue.forget("job"),
    "check": lambda queue: queue.check(),
}


@pytest.fixture
def server() -> Iterator[EmbeddedValkey]:
    """A server of the test's own, to be stopped."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture(scope="module")
def queue_of_a_killed_server() -> Iterator[Queue]:
    with EmbeddedValkey() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis_connection, "FIRST_PAUSE_SECONDS", 0.001)
        queue = RedisQueue(server.url)
        add(queue, units=1)
        os.kill(server.pid, signal.SIGKILL)
        yield queue
        queue.close()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_killed_server_is_unavailable_to_every_call(
    queue_of_a_killed_server: Queue, call: Callable[[Queue], object]
) -> None:
    with pytest.raises(QueueUnavailable, match=r"^the queue's server redis://127.0.0.1:\d+ does"):
        call(queue_of_a_killed_server)


def test_a_queue_goes_on_when_its_server_is_back(server: EmbeddedValkey) -> None:
    queue = RedisQueue(server.url)
    add(queue, units=1)
    server.stop()
    with pytest.raises(QueueUnavailable):
        queue.claim("ann", 1)

    server.start()

    add(queue, units=2)
    assert len(queue.claim("ann", 5)) == 2
    queue.close()


def test_silence_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_connection, "TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        queue = RedisQueue(f"redis://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(QueueUnavailable, match="does not answer in time"):
            queue.claim("ann", 1)
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
        queue.close()


# The URL


def test_the_password_is_never_told(server: EmbeddedValkey) -> None:
    password = server.url.partition(":")[2].partition("@")[0].removeprefix("//:")
    wrong = RedisQueue(server.url.replace("@", "-wrong@"))
    with pytest.raises(QueueMisconfigured, match="refuses the user or password") as refused:
        wrong.check()
    server.stop()
    queue = RedisQueue(server.url)
    with pytest.raises(QueueUnavailable) as gone:
        queue.check()

    assert len(password) >= 24
    for told in (repr(queue), refused.value, refused.value.__cause__, gone.value):
        assert password not in str(told)
    for each in (wrong, queue):
        each.close()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://:pass%2Fword@host:6380/2", "redis://host:6380"),
        ("rediss://user:pass%40word@host", "rediss://host:6379"),
        ("unix://user:password@/run/a@b/redis.sock?db=1", "unix:///run/a@b/redis.sock"),
    ],
)
def test_the_address_is_told_without_the_password(url: str, address: str) -> None:
    queue = RedisQueue(url)

    assert repr(queue) == f"RedisQueue({address}, {{ancestral}})"
    queue.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://:secret@host:6379",
        "host:6379",
        "",
        "redis://:se/cret@host:6379",
        "redis://user:123/secret@host",
        "redis://user:123?secret@host",
        "redis://user:123#secret@host",
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_an_address_of_another_kind_is_refused(
    url: str, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANCESTRAL_REDIS_URL", url if named else "redis://another")

    with pytest.raises(QueueMisconfigured, match="redis://HOST:PORT") as refused:
        RedisQueue(url)

    # An empty variable counts as absent
    assert ("ANCESTRAL_REDIS_URL" in str(refused.value)) == (named and url != "")

    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    assert "cret" not in str(refused.value)
