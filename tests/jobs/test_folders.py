"""A folder whose disk is full, read-only or broken: nothing half-written, and on it goes."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ancestral.jobs.errors import StoreDenied, StoreUnavailable
from ancestral.jobs.store import Store, open_store

#: More than the small disk has room for.
LARGE = b"large" * 100_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(mount("size=256k", disk), capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def mount(options: str, folder: Path) -> list[str | Path]:
    return ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]


def files_below(folder: Path) -> list[str]:
    """Temporary ones included, which a store does not list."""
    return sorted(name for _, _, names in os.walk(folder) for name in names)


@pytest.mark.parametrize("method", ["create", "put"])
def test_a_full_disk_keeps_nothing_half_written(small_disk: Path, method: str) -> None:
    # Given
    store = open_store(str(small_disk / "lake"))
    store.put("one", b"first")
    write = getattr(store, method)
    # When
    with pytest.raises(StoreUnavailable, match="no space left on device; make room"):
        write("large", LARGE)
    # Then
    assert files_below(small_disk) == ["one"]
    # And when there is room again
    subprocess.run(mount("remount,size=4m", small_disk), check=True)
    write("large", LARGE)
    assert store.read("large") == LARGE


def test_a_full_disk_leaves_what_was_there(small_disk: Path) -> None:
    store = open_store(str(small_disk / "lake"))
    store.put("one", b"first")
    with pytest.raises(StoreUnavailable):
        store.put("one", LARGE)
    assert files_below(small_disk) == ["one"]
    assert store.read("one") == b"first"


def test_on_a_full_disk_an_object_can_be_deleted(small_disk: Path) -> None:
    store = open_store(str(small_disk / "lake"))
    store.put("half", LARGE[:150_000])
    with pytest.raises(StoreUnavailable):
        store.put("other half", LARGE[:150_000])
    store.delete("half")
    store.put("other half", LARGE[:150_000])
    assert store.list() == ["other half"]


def test_a_disk_that_is_read_only_is_denied(small_disk: Path) -> None:
    store = open_store(str(small_disk / "lake"))
    store.put("one", b"first")
    subprocess.run(mount("remount,ro", small_disk), check=True)
    for write in (store.probe, lambda: store.create("two", b""), lambda: store.delete("one")):
        with pytest.raises(StoreDenied, match="read-only file system"):
            write()
    assert store.read("one") == b"first"


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, StoreUnavailable, "no space left on device; make room"),
        (errno.EDQUOT, StoreUnavailable, "disk quota exceeded; make room, or raise the quota"),
        (errno.EIO, StoreUnavailable, "input/output error; the disk or its mount is broken"),
        (errno.ESTALE, StoreUnavailable, "stale file handle; the folder's server has forgotten"),
        (errno.ETIMEDOUT, StoreUnavailable, "connection timed out"),
        (errno.EACCES, StoreDenied, "permission denied"),
        (errno.EFBIG, StoreDenied, "file too large"),
    ],
)
def test_a_broken_disk_keeps_nothing_half_written(
    local_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: type[Exception],
    words: str,
) -> None:
    # Given a disk that takes the bytes and refuses to keep them
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    local_store.put("jobs/one", b"first")
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", refuse)
        # When
        for write in (local_store.create, local_store.put):
            with pytest.raises(kind, match=f"cannot write to {local_store.uri}: {words}"):
                write("jobs/two", b"second")
    # Then
    assert files_below(Path(local_store.uri)) == ["one"]
    local_store.create("jobs/two", b"second")
