"""A bucket (or any other file system that fsspec knows) as a store: see store.py.

Whatever is written goes through here; inputs.py also reads from fsspec. Endpoint and credentials
come from the environment and the provider's chain (AWS_ENDPOINT_URL, AWS_PROFILE, ...), never from
us.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterable
from typing import Any

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractFileSystem

from ancestral.jobs.errors import (
    AlreadyExists,
    NotFound,
    PathRefused,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)

#: fsspec's memory:// is one dictionary per process that any thread may change while another lists.
_MEMORY_LOCK = threading.RLock()

#: S3's words for "the object is there already" and for "ask again". Its SDKs have been seen to
#: raise these with other HTTP statuses, so the code decides.
_TAKEN = ("PreconditionFailed", "412")
_CONFLICT = ("ConditionalRequestConflict", "OperationAborted", "409")

_S3_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}|arn:.*")

#: Seconds to wait before asking again after a conflict.
_CONFLICT_WAITS = (0.1, 0.4, 1.6, 6.4)


class Bucket:
    """Objects under `root`, a URI like s3://bucket/folder. See `Store` for the methods."""

    def __init__(self, root: str) -> None:
        scheme, _, rest = root.partition("://")
        if scheme.startswith("s3") and not _S3_BUCKET.fullmatch(rest.partition("/")[0]):
            raise PathRefused(f"{root}: S3 has no buckets of such a name")
        try:
            # Without the cache of listings, a listing is what the store holds now.
            self._files = fsspec.filesystem(scheme, use_listings_cache=False)
        except (ValueError, ImportError) as error:
            raise PathRefused(
                f"{root}: {scheme}:// is unknown, or its fsspec package is not installed"
            ) from error
        self._uri = root
        self._root = self._files._strip_protocol(root)
        self._guard: Any = _MEMORY_LOCK if scheme == "memory" else contextlib.nullcontext()
        # Each of its own accord, s3fs asks for an object's size before it reads it.
        self._read_options = {"max_concurrency": 1} if scheme.startswith("s3") else {}
        self._foreign = foreign_errors(scheme)

    def create(self, path: str, data: bytes | memoryview) -> None:
        for wait in (*_CONFLICT_WAITS, None):
            try:
                with self._guard:
                    self._files.pipe_file(self._full(path), bytes(data), mode="create")
                return
            except self._foreign as error:
                if isinstance(error, FileExistsError) or _code(error) in _TAKEN:
                    raise AlreadyExists(f"{self._uri}/{path} is there already") from error
                if wait is None or _code(error) not in _CONFLICT:
                    raise self._translated(error, "cannot write to") from error
            time.sleep(wait)

    def put(self, path: str, data: bytes | memoryview) -> None:
        try:
            with self._guard:
                self._files.pipe_file(self._full(path), bytes(data))
        except self._foreign as error:
            raise self._translated(error, "cannot write to") from error

    def read(self, path: str) -> bytes:
        return self._read(path)

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        return self._read(path, start=offset, end=offset + length)

    def exists(self, path: str) -> bool:
        try:
            with self._guard:
                return bool(self._files.info(self._full(path))["type"] == "file")
        except FileNotFoundError:
            return False
        except self._foreign as error:
            raise self._translated(error, "cannot read") from error

    def list(self, folder: str) -> Iterable[str]:
        top = self._full(folder) if folder else self._root
        try:
            with self._guard:
                found = self._files.find(top, detail=True)
        except FileNotFoundError:
            return []
        except self._foreign as error:
            raise self._translated(error, "cannot list") from error
        return [
            name[len(self._root) + 1 :]
            for name, facts in found.items()
            if facts["type"] == "file" and name.startswith(f"{top}/")
        ]

    def delete(self, path: str) -> None:
        try:
            with self._guard, contextlib.suppress(FileNotFoundError):
                self._files.rm_file(self._full(path))
        except self._foreign as error:
            raise self._translated(error, "cannot delete from") from error

    def creates_once(self) -> bool:
        # fsspec's own pipe_file asks whether the object exists, and then writes it.
        kind = type(self._files)
        if self._files.async_impl:
            return kind._pipe_file is not AsyncFileSystem._pipe_file
        return kind.pipe_file is not AbstractFileSystem.pipe_file

    def _read(self, path: str, **limits: int) -> bytes:
        try:
            with self._guard:
                return bytes(self._files.cat_file(self._full(path), **limits, **self._read_options))
        except FileNotFoundError as error:
            raise NotFound(f"there is no {self._uri}/{path}") from error
        except self._foreign as error:
            if _code(error) in ("InvalidRange", "416"):
                return b""
            raise self._translated(error, "cannot read") from error

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _translated(self, error: Exception, what: str) -> StoreError:
        """Our error, in words of our own: those of an SDK may quote what is secret."""
        where = f"{what} {self._uri}"
        if "Credential" in type(error).__name__:
            return StoreDenied(f"{where}: there are no credentials in the environment")
        if isinstance(error, FileNotFoundError):
            return StoreDenied(f"{where}: there is no such bucket")
        if isinstance(error, PermissionError):
            return StoreDenied(
                f"{where}: access is denied ({_code(error) or 'no reason given'}); check the "
                "credentials in the environment and the bucket's policy"
            )
        return StoreUnavailable(f"{where}: no answer ({_code(error) or type(error).__name__})")


def foreign_errors(scheme: str) -> tuple[type[Exception], ...]:
    """What the file systems of `scheme` raise when they cannot do what they are asked."""
    if scheme.startswith("s3"):
        # Here, because it is slow to import and most uses of this package need no S3.
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

        return OSError, BotoCoreError
    return (OSError,)


def _code(error: Exception) -> str:
    """The store's own code of an error that s3fs made a Python one of; "" without one."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
