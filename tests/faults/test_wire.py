"""The wire makes the trouble that it says."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.faults.wire import Wire
from tests.workers.fakes import eventually

pytestmark = pytest.mark.redis


@pytest.fixture
def wire(redis_url: str) -> Iterator[Wire]:
    address = urlsplit(redis_url)
    assert address.hostname is not None and address.port is not None
    with Wire(address.hostname, address.port) as proxy:
        yield proxy


def connect(redis_url: str, port: int, seconds: float = 30.0) -> redis.Redis:
    url = urlsplit(redis_url)
    return redis.Redis(
        port=port, password=url.password, socket_timeout=seconds, retry=Retry(NoBackoff(), 0)
    )


def answers(client: redis.Redis) -> bool:
    """Whether the server does, as soon as the client wants it."""
    try:
        return bool(client.ping())
    except redis.TimeoutError:
        return False


def test_bytes_pass_both_ways(redis_url: str, namespace: str, wire: Wire) -> None:
    with connect(redis_url, wire.port) as client:
        client.set(namespace, b"x" * 200_000)
        assert client.get(namespace) == b"x" * 200_000


@pytest.mark.parametrize("way", ["requests", "answers"])
def test_one_way_is_cut_until_it_heals(
    redis_url: str, namespace: str, wire: Wire, way: str
) -> None:
    direct = redis.Redis.from_url(redis_url)
    with direct, connect(redis_url, wire.port, 0.2) as client:
        eventually(lambda: answers(client))
        wire.cut(**{way: True})
        with pytest.raises(redis.TimeoutError):
            client.set(namespace, "late")
        eventually(lambda: bool(wire.held_back[way]))
        if way == "requests":
            # It waits on the wire, and arrives when its sender has long given up.
            assert direct.get(namespace) is None
        else:
            assert direct.get(namespace) == b"late"
        wire.heal()
        eventually(lambda: direct.get(namespace) == b"late")
        eventually(lambda: answers(client))


def test_connections_are_reset(redis_url: str, wire: Wire) -> None:
    with socket.create_connection(("127.0.0.1", wire.port)) as client:
        client.sendall(b"PING\r\n")
        assert client.recv(100).startswith(b"-NOAUTH")
        wire.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(100)
    with connect(redis_url, wire.port) as after:
        assert after.ping()
