"""The Ray cluster that samplers and training run on: one of our own, or the one at an address.

with cluster(address=None, cpus=2) as resources:      a local Ray, stopped at the end
with cluster(address="ray-head:6379") as resources:   joined, and left as it was
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ancestral.orchestration.errors import ServiceUnavailable, Stopped
from ancestral.orchestration.interrupt import Interrupt

# Ray reads these once, when it is imported, and its processes inherit them. It would report usage
# home, and print its own account of every dead worker to stdout, where `--json` writes; the fleet
# says in one line what happened and what it does about it.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
# It would look ten times a second for new logs, which nobody reads here.
os.environ.setdefault("RAY_LOG_MONITOR_MANY_FILES_THRESHOLD", "0")
os.environ.setdefault("LOG_NAME_UPDATE_INTERVAL_S", "86400")
# Seconds between two looks at training ranks; a run of a minute should not end seconds late.
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
# It would log which nodes are about to go, by a process of its own; ranks go on from checkpoints.
os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")


def ray_module(name: str) -> Any:
    """A module of Ray. Ray has types for a part of itself only, so it is all untyped here."""
    return importlib.import_module(name)


#: Others take Ray from here, so that nobody imports it before what stands above.
ray = ray_module("ray")

#: Samplers and training hand each other next to nothing through Ray's object store: 128 MiB.
OBJECT_STORE_BYTES = 128 * 2**20

#: Unix socket paths end at 107 characters, and Ray's own part takes about 65 of them.
TEMPORARY_ROOT = "/tmp"

#: For the head of a cluster to answer, in seconds.
CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class Resources:
    """What the cluster has for us, in whole units; at least one CPU."""

    cpus: int
    gpus: int

    def places(self, device: str, gpus: float = 1.0) -> int:
        """For how many samplers on "cpu" or "cuda" there is room, when each takes such a share of
        a GPU.

        Raises ServiceUnavailable when there is none.
        """
        if device == "cuda" and not self.gpus:
            raise ServiceUnavailable("no GPU is free in the Ray cluster: leave out --device cuda")
        if device != "cuda":
            return self.cpus
        # A share lies on one GPU: of three that take 0.4, one has to take another GPU.
        return min(self.gpus * int(1 / gpus + 1e-9), self.cpus)


@contextmanager
def cluster(address: str | None = None, cpus: int | None = None) -> Iterator[Resources]:
    """A connection to Ray for as long as the block lasts.

    Without an address (or with "local") a local Ray is started, with `cpus` places for samplers
    (default: as many as the machine has), and stopped at the end, nothing of it left behind. With
    one, that cluster is joined, and only left at the end.

    To be opened in the main thread. Raises ServiceUnavailable when the cluster does not answer or a
    local one does not start, and Stopped when interrupted meanwhile.
    """
    folder = None
    try:
        # Ray that is torn out of its start can take the process down with it. For TERM it installs
        # a handler of its own.
        with Interrupt([signal.SIGINT, signal.SIGHUP]) as interrupt:
            if address in (None, "local"):
                folder = _make_folder()
                _start(folder, cpus)
            else:
                _join(address)
        if interrupt.asked:
            raise Stopped("stopped before Ray had started")
        total = ray.cluster_resources()
        yield Resources(max(1, int(total.get("CPU", 1))), int(total.get("GPU", 0)))
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def draining_nodes() -> frozenset[str]:
    """The ids of the nodes that are about to go: scaled down, preempted, or told to end."""
    # Ray says so nowhere else; its own training asks here, too.
    return frozenset(ray_module("ray._private.state").state.get_draining_nodes())


def _make_folder() -> str:
    try:
        return tempfile.mkdtemp(prefix="ancestral-ray-", dir=TEMPORARY_ROOT)
    except OSError as error:
        raise ServiceUnavailable(
            f"a local Ray needs a folder in {TEMPORARY_ROOT}, which cannot be made "
            f"({error.strerror or error}): make room there, or let it be written"
        ) from error


def _start(folder: str, cpus: int | None) -> None:
    if sys.platform == "linux":
        # The ranks of a training run are on this machine; its name need not resolve.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    # Its processes inherit this, as they do Ray's own block of SIGINT: a terminal that is closed
    # tells all of them, and who started them drains them first.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        # Its ports are open to every machine, and only a token runs code there: Ray makes one by
        # itself, unless RAY_AUTH_MODE says not to.
        ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=OBJECT_STORE_BYTES,
            _temp_dir=folder,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise ServiceUnavailable(f"a local Ray did not start: {error}") from error
    except Exception as error:
        # That one of its processes is late, on a busy machine, Ray says by an Exception of no kind.
        if type(error) is not Exception:
            raise
        raise ServiceUnavailable(f"a local Ray did not start: {error}; try again") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _join(address: str) -> None:
    _check_reachable(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as error:
        raise ServiceUnavailable(
            f"no Ray cluster answers at {address!r}; check RAY_ADDRESS, or unset it to use a "
            f"local one ({type(error).__name__})"
        ) from error


def _check_reachable(address: str) -> None:
    """Ray itself tries for minutes, and complains on stderr all the while."""
    host, found, port = address.rpartition(":")
    if not found or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise ServiceUnavailable(
            f"no Ray cluster answers at {address!r}; check RAY_ADDRESS, or unset it to use a "
            f"local one ({error.strerror or error})"
        ) from error
