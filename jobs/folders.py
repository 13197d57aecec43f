"""A folder of this machine as a store: see store.py.

A new object is written to a temporary file beside its name, brought to disk and linked to its name:

    .tmp-5f0c ──write, fsync──► link to 000-256.json ──► fsync of the folder ──► unlink .tmp-5f0c
                                └─ fails if the name is taken: that decides who created it

so that an object is never seen half-written, neither by readers nor after a power cut.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import time
import uuid
from collections.abc import Iterator, Sequence

from ancestral.jobs.errors import (
    AlreadyExists,
    NotFound,
    StoreDenied,
    StoreError,
    StoreUnavailable,
    StoreUnsafe,
)

#: Files whose names start so are being written; they are no objects.
TEMPORARY = ".tmp-"

#: Of such a file that nobody has written to for so long, the writer is dead.
ABANDONED_SECONDS = 3600.0

#: What `link` says on file systems that have no links, and `fsync` of a folder where it is unknown.
_UNSUPPORTED = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)

#: What to do about it, where the reason alone does not say.
_ADVICE = {
    errno.ENOSPC: "; make room",
    errno.EDQUOT: "; make room, or raise the quota",
    errno.EIO: "; the disk or its mount is broken, see the kernel's log",
    errno.ESTALE: "; the folder's server has forgotten it, mount it again",
}

#: What no second try can mend; the rest (a full disk, a lost mount) may pass.
_DENIED = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOENT,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EFBIG,
)

# From Linux's fcntl.h and fs.h.
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


class Folder:
    """Objects as files under `root`, an absolute path. See `Store` for the methods."""

    def __init__(self, root: str) -> None:
        self._root = root

    def create(self, path: str, data: bytes | memoryview) -> None:
        target = self._full(path)
        with self._writing(), _temporary_file(target, data) as temporary:
            try:
                _link(temporary, target)
            except FileExistsError as error:
                raise AlreadyExists(f"{target} is there already") from error
            # Only now may someone who asks see a success that outlives a power cut.
            _sync_folder(os.path.dirname(target))

    def put(self, path: str, data: bytes | memoryview) -> None:
        target = self._full(path)
        with self._writing(), _temporary_file(target, data) as temporary:
            os.replace(temporary, target)
            _sync_folder(os.path.dirname(target))

    def read(self, path: str) -> bytes:
        with self._reading(path), open(self._full(path), "rb") as file:
            return file.read()

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        with self._reading(path), open(self._full(path), "rb") as file:
            file.seek(offset)
            return file.read(length)

    def exists(self, path: str) -> bool:
        with self._reading(path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return stat.S_ISREG(os.stat(self._full(path)).st_mode)
        return False

    def size(self, path: str) -> int:
        with self._reading(path):
            facts = os.stat(self._full(path))
            if not stat.S_ISREG(facts.st_mode):
                raise IsADirectoryError
            return facts.st_size

    def list(self, folder: str) -> Iterator[str]:
        def check(error: OSError) -> None:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise error

        with self._reading(folder):
            for parent, _, names in os.walk(self._full(folder), onerror=check):
                for name in names:
                    yield os.path.relpath(os.path.join(parent, name), self._root)

    def delete(self, path: str) -> None:
        with self._writing(), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(self._full(path))

    def sweep(self, folder: str, dry_run: bool) -> Sequence[int]:
        """Deletes what writers that died have left under a folder; the size of each file."""
        sizes = []
        for path in self.list(folder):
            if os.path.basename(path).startswith(TEMPORARY):
                with self._writing(), contextlib.suppress(FileNotFoundError):
                    facts = os.stat(self._full(path))
                    if facts.st_mtime < time.time() - ABANDONED_SECONDS:
                        sizes.append(facts.st_size)
                        if not dry_run:
                            os.unlink(self._full(path))
        return sizes

    def creates_once(self) -> bool:
        return True

    def _full(self, path: str) -> str:
        return os.path.join(self._root, path)

    @contextlib.contextmanager
    def _reading(self, path: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NotFound(f"there is no {self._full(path)}") from error
        except OSError as error:
            raise _translated(error, f"cannot read {self._full(path)}") from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _translated(error, f"cannot write to {self._root}") from error


def _translated(error: OSError, what: str) -> StoreError:
    reason = (error.strerror or type(error).__name__).lower()
    if error.errno in _DENIED:
        return StoreDenied(f"{what}: {reason}")
    return StoreUnavailable(f"{what}: {reason}{_ADVICE.get(error.errno or 0, '')}")


@contextlib.contextmanager
def _temporary_file(target: str, data: bytes | memoryview) -> Iterator[str]:
    """A file beside `target` that holds `data` on disk; gone afterwards, unless it was renamed."""
    folder = os.path.dirname(target)
    _make_folder(folder)
    temporary = os.path.join(folder, TEMPORARY + uuid.uuid4().hex)
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _make_folder(folder: str) -> None:
    """Like `os.makedirs`, but each new name is on disk before it is used."""
    if os.path.isdir(folder):
        return
    parent = os.path.dirname(folder)
    _make_folder(parent)
    try:
        os.mkdir(folder)
    except FileExistsError:
        if not os.path.isdir(folder):  # Else another writer was faster.
            raise
    _sync_folder(parent)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def _link(source: str, target: str) -> None:
    """Give a file the name `target`. Raises FileExistsError if it is taken."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        _rename_without_replacing(source, target)


def _rename_without_replacing(source: str, target: str) -> None:
    """`_link` for file systems without links, such as vfat and some network ones."""
    refusal = (
        f"{os.path.dirname(target)}: this file system has neither links nor renameat2, so that an "
        "object cannot be created exactly once; choose another"
    )
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError as error:
        raise StoreUnsafe(refusal) from error
    names = os.fsencode(source), os.fsencode(target)
    if rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        if number in _UNSUPPORTED:
            raise StoreUnsafe(refusal)
        raise OSError(number, os.strerror(number))
