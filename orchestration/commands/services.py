"""The services that a command brings along, unless the environment names others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ancestral.jobs.errors import UsageError
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.settings import Settings

#: Leases of a queue that lives and dies with the command. Short, for the only thing that can take
#: a lease away here is a sampler that hangs, and its rows should not wait long.
EMBEDDED_LEASE_SECONDS = 15.0

#: Beginnings of Ray addresses from which a server on 127.0.0.1 can be reached.
_THIS_MACHINE = ("local", "auto", "127.0.0.1:", "localhost:")


def ray_address(settings: Settings) -> str | None:
    """The cluster that was asked for. Raises UsageError for an address of another protocol."""
    address = settings.ray_address
    if address is not None and address.startswith("ray://"):
        raise UsageError(
            f"RAY_ADDRESS cannot be {address!r}, for Ray's client protocol is not used: give this "
            "command on a node of the cluster, and set it to HOST:6379 of its head"
        )
    return address


@contextmanager
def queue_of(settings: Settings, port: int | None = None) -> Iterator[RedisQueue]:
    """The queue that the settings name, or one on a server of our own, which ends with the block.

    Raises UsageError when a port was asked for that cannot be had, when there can be no such
    cluster, or when it could not reach a server of our own, and ServiceUnavailable when one does
    not start.
    """
    from ancestral.orchestration.errors import ServiceUnavailable
    from ancestral.orchestration.valkey import EmbeddedValkey

    cluster = ray_address(settings)
    if settings.redis_url is not None:
        if port is not None:
            raise UsageError(
                "--redis-port is for an embedded server, but ANCESTRAL_REDIS_URL names one: unset "
                "it, or leave the option out"
            )
        yield RedisQueue(settings.redis_url)
        return
    if cluster and not cluster.startswith(_THIS_MACHINE):
        raise UsageError(
            f"the samplers of the Ray cluster at {cluster} cannot reach a queue on this machine: "
            "set ANCESTRAL_REDIS_URL to a server that they reach"
        )
    server = EmbeddedValkey(port)
    try:
        server.start()
    except ServiceUnavailable as error:
        if port is None:
            raise
        raise UsageError(str(error)) from error
    try:
        yield RedisQueue(server.url, EMBEDDED_LEASE_SECONDS)
    finally:
        server.stop()
