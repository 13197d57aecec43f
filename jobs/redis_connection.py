"""The connection to a queue's Redis server."""

from __future__ import annotations

from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from ancestral.jobs.errors import QueueMisconfigured
from ancestral.jobs.settings import Settings

#: Seconds to wait for a connection, and for an answer.
TIMEOUT_SECONDS = 10.0

#: Times that a call is sent again after a lost connection, and seconds to wait before: a random
#: part of twice, four and eight times the first pause. Silence is not waited for again.
RETRIES = 3
FIRST_PAUSE_SECONDS = 0.1


def open_client(url: str) -> redis.Redis:
    """A client for that URL; nothing is connected yet.

    Raises QueueMisconfigured when it is none of Redis's. The message holds nothing of it, since a
    password can be anywhere in an URL that was not encoded.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme != "unix" and "@" in parts.path + parts.query + parts.fragment:
            raise ValueError("the host stands before the @")
        return redis.Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="backslashreplace",
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(
                ExponentialWithJitterBackoff(base=FIRST_PAUSE_SECONDS),
                RETRIES,
                supported_errors=(redis.ConnectionError,),
            ),
        )
    except ValueError:
        named = " in ANCESTRAL_REDIS_URL" if url == Settings.from_environment().redis_url else ""
        raise QueueMisconfigured(
            f"the queue's address{named} must look like redis://HOST:PORT, rediss://HOST:PORT or "
            "unix:///PATH, with every / ? # @ of a password percent-encoded"
        ) from None


def address_of(client: redis.Redis) -> str:
    """Where the server is, without user and password."""
    settings = client.connection_pool.connection_kwargs
    if "path" in settings:
        return f"unix://{settings['path']}"
    tls = issubclass(client.connection_pool.connection_class, redis.SSLConnection)
    address = f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"
    return f"{'rediss' if tls else 'redis'}://{address}"
