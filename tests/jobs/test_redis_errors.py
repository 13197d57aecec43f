"""What real servers refuse, in words of our own: what to do, and whether it passes by itself."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis
from redis import exceptions

from ancestral.jobs.errors import QueueError, QueueMisconfigured, QueueUnavailable
from ancestral.jobs.intents import Wanted
from ancestral.jobs.queue import Progress, QueuedJob
from ancestral.jobs.redis_errors import RIGHTS, translated_errors
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.units import RowCounts, Unit
from ancestral.orchestration.valkey import EmbeddedValkey
from tests.jobs.refusals import ADDRESS, SECRET, Call, connected, refusal

pytestmark = pytest.mark.redis

#: A script that writes, as the queue's moves do, and one that never ends.
WRITE = "#!lua\nreturn redis.call('ZADD', KEYS[1], 1, 'unit')"
LOOP = "while true do end"


@pytest.fixture
def server() -> Iterator[EmbeddedValkey]:
    """A server of the test's own."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def admin(server: EmbeddedValkey) -> Iterator[redis.Redis]:
    with connected(server.url) as client:
        yield client


def with_user(server: EmbeddedValkey, admin: redis.Redis, *rights: str) -> str:
    """The URL for a new user of these rights."""
    admin.execute_command("ACL", "SETUSER", "low", "on", f">{SECRET}", *rights)
    return f"redis://low:{SECRET}@{server.url.partition('@')[2]}"


def unused_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
    return port


# Not there


def test_a_server_that_is_down_is_unavailable(tmp_path: Path) -> None:
    told = refusal(f"redis://:{SECRET}@127.0.0.1:{unused_port()}")
    assert isinstance(told, QueueUnavailable)
    assert str(told).endswith("does not answer: connection refused")
    told = refusal(f"unix://:{SECRET}@{tmp_path}/none")
    assert isinstance(told, QueueUnavailable)
    assert str(told).endswith("does not answer: no such file or directory")


def test_a_host_that_is_not_known_is_unavailable() -> None:
    told = refusal(f"redis://:{SECRET}@no-such-host.invalid")
    assert isinstance(told, QueueUnavailable)
    assert "its host name is not known here" in str(told)


def test_a_server_that_keeps_silent_is_unavailable() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"redis://:{SECRET}@127.0.0.1:{silent.getsockname()[1]}?socket_timeout=0.1"
        told = refusal(url)
    assert isinstance(told, QueueUnavailable)
    assert str(told).endswith("does not answer in time")


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"", QueueUnavailable, "closed the connection; if it wants TLS"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", QueueMisconfigured, "not speak Redis's protocol"),
    ],
)
def test_what_is_no_redis_is_told_apart(answer: bytes, kind: type[QueueError], words: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            with listener.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(answer)

        serving = threading.Thread(target=serve)
        serving.start()
        told = refusal(f"redis://:{SECRET}@127.0.0.1:{listener.getsockname()[1]}")
        serving.join()
    assert isinstance(told, kind)
    assert words in str(told)


# Who may do what


@pytest.mark.parametrize("user", ["", f":{SECRET}@", f"nobody:{SECRET}@"])
def test_a_wrong_password_is_misconfigured(server: EmbeddedValkey, user: str) -> None:
    told = refusal(f"redis://{user}{server.url.partition('@')[2]}")
    assert isinstance(told, QueueMisconfigured)
    assert "refuses the user or password of its URL" in str(told)


@pytest.mark.parametrize(
    ("rights", "call", "denied"),
    [
        ("~* +@connection", lambda client: client.eval(WRITE, 1, "a"), "'eval'"),
        ("~* +@connection +@scripting", lambda client: client.eval(WRITE, 1, "a"), "'zadd'"),
        ("~b +@all", lambda client: client.eval(WRITE, 1, "a"), "a key"),
        ("~* +@all -info", lambda client: client.info("memory"), "'info'"),
    ],
)
def test_a_denied_right_is_named_and_those_that_it_takes(
    server: EmbeddedValkey, admin: redis.Redis, rights: str, call: Call, denied: str
) -> None:
    told = refusal(with_user(server, admin, *rights.split()), call)
    assert isinstance(told, QueueMisconfigured)
    assert denied in str(told)
    assert str(told).endswith(f"it takes {RIGHTS}")


def test_those_rights_are_enough(
    server: EmbeddedValkey, admin: redis.Redis, namespace: str
) -> None:
    queue = RedisQueue(
        with_user(server, admin, *RIGHTS.split()), namespace=f"ancestral-{namespace}"
    )
    queue.check()
    queue.begin_rebuild(QueuedJob("job", "/lake", 0, 50), 1)
    units = [Unit(start, start + 10) for start in range(0, 50, 10)]
    queue.restore("job", 1, undecided=units)
    queue.end_rebuild("job", 1)
    queue.want("job", Wanted.RUN, 1)
    done, split, failed, released, _ = queue.claim("ann", 5, device="node/cpu")
    queue.heartbeat("ann", {done: Progress(1)})
    queue.complete("job", done.unit, RowCounts(ok=10), "node/cpu")
    queue.split("job", split.unit, split.unit.start + 5, keep=split)
    assert queue.fail(failed, "broken")
    assert queue.release(released)
    queue.reap()
    queue.expire("ann")
    queue.pardon("node/cpu")
    assert queue.counts("job").rows_ok == 10
    assert queue.drained_devices() == {}
    queue.forget("job")
    assert queue.jobs() == []
    queue.close()


# Not now


@pytest.mark.parametrize(
    ("trouble", "call", "words"),
    [
        (
            lambda admin: admin.config_set("maxmemory", 1),
            lambda client: client.eval(WRITE, 1, "a"),
            "has no memory left: raise its maxmemory",
        ),
        (
            lambda admin: admin.replicaof("127.0.0.1", 1),
            lambda client: client.eval(WRITE, 1, "a"),
            "is a replica: the URL must lead to the primary",
        ),
        (
            lambda admin: (
                admin.config_set("replica-serve-stale-data", "no"),
                admin.replicaof("127.0.0.1", 1),
            ),
            lambda client: client.get("a"),
            "is a replica whose primary is down",
        ),
        (
            lambda admin: admin.config_set("min-replicas-to-write", 1),
            lambda client: client.eval(WRITE, 1, "a"),
            "misses replicas",
        ),
        (
            lambda admin: admin.config_set("maxclients", 1),
            lambda client: client.get("a"),
            "has no connection left: raise its maxclients",
        ),
    ],
)
def test_what_may_pass_is_unavailable(
    server: EmbeddedValkey, admin: redis.Redis, trouble: Call, call: Call, words: str
) -> None:
    trouble(admin)
    told = refusal(server.url, call)
    assert isinstance(told, QueueUnavailable)
    assert words in str(told)


def test_a_server_that_cannot_save_is_unavailable(
    server: EmbeddedValkey, admin: redis.Redis
) -> None:
    # Given a server that should save, and whose folder is gone
    admin.config_set("save", "3600 1")
    admin.bgsave()
    while admin.info("persistence")["rdb_last_bgsave_status"] == "ok":
        pass
    told = refusal(server.url, lambda client: client.eval(WRITE, 1, "a"))
    assert isinstance(told, QueueUnavailable)
    assert "cannot save its data, so it takes none" in str(told)
    admin.config_set("save", "")  # else it will not stop either


def test_a_server_that_runs_a_long_script_is_unavailable(
    server: EmbeddedValkey, admin: redis.Redis
) -> None:
    admin.config_set("busy-reply-threshold", 1)
    killed: list[QueueError] = []
    looping = threading.Thread(
        target=lambda: killed.append(refusal(server.url, lambda client: client.eval(LOOP, 0)))
    )
    looping.start()
    while not isinstance(told := busy_or_not(server), QueueError):
        assert told is None, "the script ended by itself"
    assert isinstance(told, QueueUnavailable)
    assert "is busy with a long script" in str(told)

    admin.script_kill()
    looping.join()
    assert isinstance(killed[0], QueueUnavailable)
    assert "had our script killed" in str(killed[0])


def busy_or_not(server: EmbeddedValkey) -> QueueError | None:
    with connected(server.url) as client:
        try:
            with translated_errors(ADDRESS):
                client.get("a")
        except QueueError as error:
            return error
    return None


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (exceptions.BusyLoadingError("Redis is loading"), QueueUnavailable, "still loading"),
        (exceptions.ClusterDownError("The cluster is down"), QueueUnavailable, "cluster that is"),
        (exceptions.TryAgainError("Multiple keys"), QueueUnavailable, "moving its keys"),
        (exceptions.MovedError("3999 127.0.0.1:6381"), QueueMisconfigured, "one node of a cluster"),
        (exceptions.ClusterCrossSlotError("Keys in"), QueueMisconfigured, "one node of a cluster"),
        (
            redis.ResponseError("Script attempted to access a non local key in a cluster node"),
            QueueMisconfigured,
            "one node of a cluster",
        ),
        (
            redis.ResponseError("The user executing the script can't run this script: " + "0" * 40),
            QueueMisconfigured,
            "denies its user a right (The user executing the script can't run this);",
        ),
        (
            redis.ResponseError(f"unknown command 'HELLO', with args beginning with: '{SECRET}'"),
            QueueError,
            "refused a call: unknown command 'HELLO'",
        ),
    ],
)
def test_what_other_servers_say_is_understood(
    server: EmbeddedValkey, error: redis.RedisError, kind: type[QueueError], words: str
) -> None:
    def call(client: redis.Redis) -> None:
        raise error

    told = refusal(server.url, call)
    assert type(told) is kind
    assert words in str(told)


def test_a_database_that_is_not_there_is_misconfigured(server: EmbeddedValkey) -> None:
    told = refusal(server.url.removesuffix("/0") + "/99")
    assert isinstance(told, QueueMisconfigured)
    assert "has no database of the URL's number" in str(told)
