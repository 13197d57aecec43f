"""A bucket (or any other file system that fsspec knows) as a store: see store.py.

Reads and writes of stores other than folders. What people hand in (inputs.py, media_values.py,
datasets.py) is read through fsspec directly. Endpoint and credentials come from the environment and
the provider's chain (AWS_ENDPOINT_URL, AWS_PROFILE, ...), never from us.

Three layers ask again when a store does not answer. The SDK repeats each HTTP call twice, a second
or two apart, which spares a large upload from starting over. `Bucket` repeats what failed in spite
of that for `PATIENCE_SECONDS`, with pauses of random length. Workers have a patience of their own
above. What meets only silence ends after a minute, and an upload after the time that its bytes may
take.
"""

from __future__ import annotations

import contextlib
import random
import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractFileSystem

from ancestral.jobs.bucket_errors import (
    BEYOND_END,
    STALE_CREDENTIALS,
    TAKEN,
    code_of,
    foreign_errors,
    translated,
)
from ancestral.jobs.errors import (
    AlreadyExists,
    NotFound,
    PathRefused,
    StoreDenied,
    StoreUnavailable,
)

#: Seconds for which a call is repeated that the store does not answer, and the longest first pause;
#: each later one may be twice as long as the one before.
PATIENCE_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.1

#: Seconds for a connection, and for the next bytes of an answer; tries of the SDK.
CONNECT_SECONDS = 5
READ_SECONDS = 15
SDK_TRIES = 3

#: Seconds for an upload to S3, and how many more for each MiB of it. The SDK itself would wait
#: without end for the server's consent to send the bytes, and for a network that takes none.
WRITE_SECONDS = 40.0
WRITE_SECONDS_PER_MIB = 4.0

#: An object of twice this size is uploaded to S3 in parts, of which each can be repeated.
PART_BYTES = 32 * 2**20

#: fsspec's memory:// is one dictionary per process that any thread may change while another lists.
_MEMORY_LOCK = threading.RLock()

_S3_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}|arn:.*")

Answer = TypeVar("Answer")


class Bucket:
    """Objects under `root`, a URI like s3://bucket/folder. See `Store` for the methods."""

    def __init__(self, root: str) -> None:
        scheme, _, rest = root.partition("://")
        if scheme.startswith("s3") and not _S3_BUCKET.fullmatch(rest.partition("/")[0]):
            raise PathRefused(f"{root}: S3 has no buckets of such a name")
        self._uri = root
        self._scheme = scheme
        self._files = self._open()
        self._renewing = threading.Lock()
        self._root = self._files._strip_protocol(root)
        self._guard: Any = _MEMORY_LOCK if scheme == "memory" else contextlib.nullcontext()
        # With more than one, s3fs asks for an object's size before it reads it.
        self._read_options = {"max_concurrency": 1} if scheme.startswith("s3") else {}
        self._foreign = foreign_errors(scheme)

    def create(self, path: str, data: bytes | memoryview) -> None:
        def write() -> None:
            try:
                self._write(path, data, mode="create")
            except self._foreign as error:
                if isinstance(error, FileExistsError) or code_of(error) in TAKEN:
                    raise AlreadyExists(f"{self._uri}/{path} is there already") from None
                raise

        self._call("cannot write to", write)

    def put(self, path: str, data: bytes | memoryview) -> None:
        self._call("cannot write to", lambda: self._write(path, data))

    def read(self, path: str) -> bytes:
        return self._read(path)

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        return self._read(path, start=offset, end=offset + length)

    def exists(self, path: str) -> bool:
        # Not by HEAD, which does not say why it is refused.
        try:
            self._read(path, start=0, end=1)
        except NotFound:
            return False
        return True

    def size(self, path: str) -> int:
        def ask() -> int:
            try:
                facts = self._files.info(self._full(path))
            except FileNotFoundError:
                facts = {"type": "absent"}
            if facts["type"] != "file":
                raise NotFound(f"there is no {self._uri}/{path}")
            return int(facts["size"])

        try:
            return self._call("cannot read", ask)
        except StoreDenied:
            # A HEAD does not say why it is refused; a GET does, and may have read credentials anew.
            self._read(path, start=0, end=1)
            return self._call("cannot read", ask)

    def list(self, folder: str) -> Iterable[str]:
        top = self._full(folder) if folder else self._root

        def find() -> dict[str, dict[str, Any]]:
            try:
                found: dict[str, dict[str, Any]] = self._files.find(top, detail=True)
            except FileNotFoundError:
                return {}
            return found

        return [
            name[len(self._root) + 1 :]
            for name, facts in self._call("cannot list", find).items()
            if facts["type"] == "file" and name.startswith(f"{top}/")
        ]

    def delete(self, path: str) -> None:
        def remove() -> None:
            with contextlib.suppress(FileNotFoundError):
                self._files.rm_file(self._full(path))

        self._call("cannot delete from", remove)

    def creates_once(self) -> bool:
        # fsspec's own pipe_file asks whether the object exists, and then writes it.
        kind = type(self._files)
        if self._files.async_impl:
            return kind._pipe_file is not AsyncFileSystem._pipe_file
        return kind.pipe_file is not AbstractFileSystem.pipe_file

    def _write(self, path: str, data: bytes | memoryview, **options: Any) -> None:
        if self._scheme.startswith("s3"):
            seconds = WRITE_SECONDS + WRITE_SECONDS_PER_MIB * len(data) / 2**20
            options = {**options, "chunksize": PART_BYTES, "timeout": seconds}
        self._files.pipe_file(self._full(path), bytes(data), **options)

    def _read(self, path: str, **limits: int) -> bytes:
        def read() -> bytes:
            try:
                options = {**limits, **self._read_options}
                return bytes(self._files.cat_file(self._full(path), **options))
            except FileNotFoundError:
                raise NotFound(f"there is no {self._uri}/{path}") from None
            except self._foreign as error:
                if code_of(error) in BEYOND_END:
                    return b""
                raise

        return self._call("cannot read", read)

    def _call(self, what: str, call: Callable[[], Answer]) -> Answer:
        """What `call` returns in the end; see above for how often it is asked.

        Credentials are read anew once, so that a worker goes on when they were renewed.
        """
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        longest = FIRST_PAUSE_SECONDS
        renewed = False
        while True:
            files = self._files
            try:
                with self._guard:
                    return call()
            except self._foreign as error:
                problem = translated(error, f"{what} {self._uri}")
                stale = code_of(error) in STALE_CREDENTIALS
            if stale and not renewed:
                with self._renewing:
                    if self._files is files:  # else another thread was faster
                        self._files = self._open(anew=True)
                renewed = True
                continue
            pause = random.uniform(0, longest)
            passing = isinstance(problem, StoreUnavailable) and not stale
            if not passing or time.monotonic() + pause > give_up_at:
                raise problem
            time.sleep(pause)
            longest *= 2

    def _open(self, anew: bool = False) -> Any:
        """The file system, shared by all buckets of this process unless it is to be `anew`."""
        try:
            if anew:
                fsspec.get_filesystem_class(self._scheme).clear_instance_cache()
            # Without the cache of listings, a listing is what the store holds now.
            if not self._scheme.startswith("s3"):
                return fsspec.filesystem(self._scheme, use_listings_cache=False)
            files = fsspec.filesystem(
                self._scheme,
                use_listings_cache=False,
                config_kwargs={
                    "connect_timeout": CONNECT_SECONDS,
                    "read_timeout": READ_SECONDS,
                    "retries": {"mode": "standard", "total_max_attempts": SDK_TRIES},
                },
            )
        except (ValueError, ImportError) as error:
            raise PathRefused(
                f"{self._uri}: {self._scheme}:// is unknown, or its fsspec package is not installed"
            ) from error
        files.retries = 1  # Its own tries would multiply those of the SDK.
        return files

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"
