"""The object store: one folder in which objects are created once, read, listed and deleted.

    /data/lake, file:///data/lake      a folder of this machine (or a shared one)
    s3://bucket/lake                   a bucket; endpoint and credentials from the environment
    memory://lake                      this process only: for tests and notebooks

    Store ──► Folder (folders.py)      a temporary file, linked to its name
         └──► Bucket (buckets.py)      fsspec: a conditional PUT

The store alone holds the truth about a job, and all of its safety rests on `create`: of any number
of writers of one path, in any processes on any machines, exactly one succeeds. `probe` puts that to
the test. A writer whose answer was lost on the wire can be told AlreadyExists by its own success;
what was written must say who wrote it where that matters (as range records do).
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from ancestral.jobs.buckets import Bucket
from ancestral.jobs.errors import (
    AlreadyExists,
    CorruptObject,
    PathRefused,
    StoreDenied,
    StoreError,
    StoreUnsafe,
)
from ancestral.jobs.folders import TEMPORARY, Folder

#: Writers that race for one object when a store is probed.
PROBE_WRITERS = 16

#: Objects that are read ahead of the one that is looked at; with 0 everything stays in one thread.
READ_AHEAD = 8

#: How a URI begins that has lost a slash, as in a `Path`.
_LOST_SLASH = re.compile(r"[A-Za-z0-9+.-]{2,}:/(?!/)")

Item = TypeVar("Item")
Result = TypeVar("Result")


class Driver(Protocol):
    """What `Store` needs of a file system. Paths are checked and relative; see `Store`."""

    def create(self, path: str, data: bytes | memoryview) -> None: ...
    def put(self, path: str, data: bytes | memoryview) -> None: ...
    def read(self, path: str) -> bytes: ...
    def read_range(self, path: str, offset: int, length: int) -> bytes: ...
    def exists(self, path: str) -> bool: ...
    def size(self, path: str) -> int: ...
    def list(self, folder: str) -> Iterable[str]: ...
    def delete(self, path: str) -> None: ...
    def creates_once(self) -> bool: ...


class Store:
    """Objects under one root; usable from several threads, and picklable.

    Paths are relative to the root, with "/" between segments. Every method can raise PathRefused,
    StoreDenied and StoreUnavailable besides what it names; messages never hold a secret.
    """

    #: The root: an absolute path on this machine, else a URI; without a slash at the end.
    uri: str

    def __init__(self, uri: str, driver: Driver | None = None) -> None:
        """Opens nothing and writes nothing yet. Raises PathRefused.

        With a `driver` the objects lie there, and the store is of this process alone.
        """
        self.uri, self._driver = (uri, driver) if driver is not None else _open(uri)

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return Store, (self.uri,)

    def __repr__(self) -> str:
        return f"Store({self.uri!r})"

    def create(self, path: str, data: bytes | memoryview) -> None:
        """Make a new object, whole or not at all. Raises AlreadyExists."""
        self._driver.create(_checked(path), data)

    def put(self, path: str, data: bytes | memoryview) -> None:
        """Make or replace an object; readers see the old bytes or the new ones."""
        self._driver.put(_checked(path), data)

    def read(self, path: str) -> bytes:
        """All bytes of an object. Raises NotFound."""
        return self._driver.read(_checked(path))

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` on. Raises NotFound, or CorruptObject if it ends earlier."""
        path = _checked(path)
        data = self._driver.read_range(path, offset, length) if length else b""
        if len(data) != length:
            raise CorruptObject(f"{self.uri_of(path)} ends before byte {offset + length}")
        return data

    def exists(self, path: str) -> bool:
        """Whether there is an object of that name (a folder is none)."""
        return self._driver.exists(_checked(path))

    def size(self, path: str) -> int:
        """How many bytes an object has. Raises NotFound."""
        return self._driver.size(_checked(path))

    def list(self, folder: str = "") -> list[str]:
        """The paths of all objects under a folder, at any depth, sorted; none when it is absent."""
        return sorted(
            path
            for path in self._driver.list(_checked(folder) if folder else "")
            if not path.rpartition("/")[2].startswith(TEMPORARY)
        )

    def delete(self, path: str) -> None:
        """Remove an object if it is there."""
        self._driver.delete(_checked(path))

    def sweep(self, folder: str, dry_run: bool = False) -> Sequence[int]:
        """Remove what writers that died long ago left half-written under a folder; the size of
        each. It was never listed, and only a folder of this machine has any."""
        folder = _checked(folder)
        return self._driver.sweep(folder, dry_run) if isinstance(self._driver, Folder) else []

    def uri_of(self, path: str) -> str:
        """The absolute path or URI of an object, for readers that know nothing of this store."""
        return f"{self.uri.rstrip('/')}/{_checked(path)}"

    def probe(self) -> None:
        """Show that the store can be written and creates objects once; leaves nothing behind.

        Raises StoreDenied and StoreUnsafe.
        """
        if not self._driver.creates_once():
            raise StoreUnsafe(
                f"{self.uri}: this file system looks first and writes then, so that two workers "
                "could both commit; use a local folder or an S3 store with conditional writes"
            )
        path = f"_probe-{uuid.uuid4().hex}"
        names = [f"writer {number:02d}".encode() for number in range(PROBE_WRITERS)]
        start = threading.Barrier(PROBE_WRITERS)

        def won(name: bytes) -> bool:
            start.wait()
            try:
                self.create(path, name)
            except AlreadyExists:
                return False
            return True

        try:
            with ThreadPoolExecutor(PROBE_WRITERS) as pool:
                try:
                    successes = list(pool.map(won, names))
                except BaseException:
                    # Interrupted, or a thread could not start: let go those that wait for the
                    # rest.
                    start.abort()
                    raise
            standing = self.read(path)
        except BaseException:
            # All writers have ended by now, and one may have been faster than the interrupt.
            with contextlib.suppress(StoreError):
                self.delete(path)
            raise
        told = [name for name, success in zip(names, successes, strict=True) if success]
        with contextlib.suppress(StoreDenied):  # A store may well forbid deletions.
            self.delete(path)
        # No winner at all is possible: its answer was lost, and its second try met the first.
        if standing not in names or told not in ([], [standing]):
            raise StoreUnsafe(
                f"{self.uri}: {len(told)} of {PROBE_WRITERS} writers were told that they had "
                "created the same object; this store ignores conditional writes"
            )


def open_store(uri: str) -> Store:
    """The store at a path or URI. Raises PathRefused."""
    return Store(uri)


def open_output(uri: str) -> Store:
    """The store at a path or URI that is to be written. Raises PathRefused, of what can only be
    read, too."""
    store = Store(uri)
    if store.uri.startswith(("http://", "https://")):
        raise PathRefused(f"{store.uri}: web servers are only read: write to a folder or a bucket")
    return store


def is_uri(path: str) -> bool:
    """Whether that is meant as a URI, and as no path of this machine."""
    return "://" in path or _LOST_SLASH.match(path) is not None


def local_folder(folder: str | Path, given_as: str, instead: str) -> Path:
    """A folder of this machine, absolute. Raises PathRefused for a URI.

    `given_as` and `instead` say in the error as what it was given, and what to do with a URI.
    """
    text = str(folder)
    if is_uri(text):
        # What follows the scheme may hold a secret.
        scheme = text.partition(":")[0]
        raise PathRefused(f"{given_as} is a folder of this machine, no {scheme}:// URI: {instead}")
    return Path(folder).absolute()


def ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`map(function, items)`, in order, with a few calls running ahead: to read many objects."""
    if not READ_AHEAD:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(READ_AHEAD) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > READ_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _open(uri: str) -> tuple[str, Driver]:
    """The normalised URI and its driver."""
    scheme, found, rest = uri.partition("://")
    scheme = scheme.lower()
    if "::" in uri:
        raise PathRefused("a store's URI cannot chain file systems with '::'")
    if not uri or "\0" in uri or _LOST_SLASH.match(uri):
        raise PathRefused(f"{uri!r} is neither a path nor a URI like s3://bucket/folder")
    if found and scheme == "file" and not rest.startswith("/"):
        raise PathRefused(f"{uri!r} should be file:/// and an absolute path")
    if not found or scheme == "file":
        root = os.path.abspath(os.path.expanduser(rest if found else uri))
        return root, Folder(root)
    # What follows may hold a secret, so it does not go into these messages.
    if "@" in rest.partition("/")[0]:
        raise PathRefused(
            f"a {scheme}:// URI cannot hold credentials; give them by the environment or by the "
            "provider's own configuration"
        )
    if "?" in rest or "#" in rest:
        raise PathRefused(f"a {scheme}:// URI of a store cannot have a query or a fragment")
    root = f"{scheme}://{_checked(rest.rstrip('/'))}"
    return root, Bucket(root)


def _checked(path: str) -> str:
    """`path`, if it names something inside the root and nothing of the store's own."""
    for segment in path.split("/"):
        # s3fs cuts a key at its "?versionId=".
        if segment in ("", ".", "..") or segment.startswith(TEMPORARY) or set(segment) & set("\0?"):
            raise PathRefused(f"{path!r} is not a path inside the store")
    return path
