"""The services that a command brings along, unless the environment names others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ancestral.jobs.errors import UsageError
from ancestral.jobs.settings import Settings

#: Beginnings of Ray addresses from which a server on 127.0.0.1 can be reached.
_THIS_MACHINE = ("local", "auto", "127.0.0.1:", "localhost:")


@contextmanager
def queue_url(settings: Settings, port: int | None = None) -> Iterator[tuple[str, bool]]:
    """The URL of the queue's server, and whether it is one of our own, that ends with the block.

    Raises UsageError when a port was asked for that cannot be had, or when the cluster could not
    reach a server of our own, and ServiceUnavailable when one does not start.
    """
    from ancestral.orchestration.errors import ServiceUnavailable
    from ancestral.orchestration.valkey import EmbeddedValkey

    if settings.redis_url is not None:
        if port is not None:
            raise UsageError(
                "--redis-port is for an embedded server, but ANCESTRAL_REDIS_URL names one: unset "
                "it, or leave the option out"
            )
        yield settings.redis_url, False
        return
    if settings.ray_address and not settings.ray_address.startswith(_THIS_MACHINE):
        raise UsageError(
            f"the samplers of the Ray cluster at {settings.ray_address} cannot reach a queue on "
            "this machine: set ANCESTRAL_REDIS_URL to a server that they reach"
        )
    server = EmbeddedValkey(port)
    try:
        server.start()
    except ServiceUnavailable as error:
        if port is None:
            raise
        raise UsageError(str(error)) from error
    try:
        yield server.url, True
    finally:
        server.stop()
