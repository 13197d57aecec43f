"""How a real server's refusals are come by, and what must hold of the words for each."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ancestral.jobs.errors import QueueError
from ancestral.jobs.redis_errors import translated_errors

ADDRESS = "redis://queue.example:6379"
SECRET = "open-sesame-41"

Call = Callable[[redis.Redis], object]


@contextmanager
def connected(url: str) -> Iterator[redis.Redis]:
    """A client that tries once."""
    once = Retry(NoBackoff(), 0)
    with redis.Redis.from_url(url, decode_responses=True, socket_timeout=5, retry=once) as client:
        yield client


def refusal(url: str, call: Call = lambda client: client.get("a")) -> QueueError:
    """What a call is told; its words hold no secret, nor do those that a log would show."""
    address = ADDRESS.replace("redis", url.partition(":")[0])
    with connected(url) as client, pytest.raises(QueueError) as caught:
        with translated_errors(address):
            call(client)
    told = str(caught.value)
    assert told.startswith(f"the queue's server {address} ")
    logged = "".join(traceback.format_exception(caught.value))
    for text in (told, repr(caught.value), logged):
        assert SECRET not in text
    return caught.value
