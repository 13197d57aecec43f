"""One contract, three stores; and what is each one's own."""

import ctypes
import errno
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractFileSystem
from hypothesis import given
from hypothesis import strategies as st

from ancestral.jobs import buckets
from ancestral.jobs.errors import (
    AlreadyExists,
    CorruptObject,
    NotFound,
    PathRefused,
    StoreDenied,
    StoreUnavailable,
    StoreUnsafe,
)
from ancestral.jobs.store import Store, ahead, local_folder, open_store

WRITERS = 16
ROUNDS = 3


def race(store: Store, path: str) -> list[bytes]:
    """The names of those of many threads that were told to have created `path`."""
    start = threading.Barrier(WRITERS)

    def create(name: bytes) -> bytes | None:
        start.wait()
        try:
            store.create(path, name)
        except AlreadyExists:
            return None
        return name

    with ThreadPoolExecutor(WRITERS) as pool:
        told = pool.map(create, (f"writer {number}".encode() for number in range(WRITERS)))
    return [name for name in told if name is not None]


# The contract


def test_an_object_is_created_once(store: Store) -> None:
    store.create("jobs/one", b"first")
    with pytest.raises(AlreadyExists):
        store.create("jobs/one", b"second")
    assert store.read("jobs/one") == b"first"


def test_an_empty_object_is_created_once_too(store: Store) -> None:
    store.create("jobs/one", b"")
    with pytest.raises(AlreadyExists):
        store.create("jobs/one", b"second")
    assert store.read("jobs/one") == b""


def test_of_many_writers_exactly_one_creates_the_object(store: Store) -> None:
    for number in range(ROUNDS):
        winners = race(store, f"jobs/{number}")
        assert winners == [store.read(f"jobs/{number}")]


def test_put_makes_and_replaces(store: Store) -> None:
    store.put("jobs/one", b"first")
    store.put("jobs/one", b"second")
    assert store.read("jobs/one") == b"second"


def test_what_was_put_cannot_be_created(store: Store) -> None:
    store.put("jobs/one", b"first")
    with pytest.raises(AlreadyExists):
        store.create("jobs/one", b"second")


def test_views_of_memory_are_written(store: Store) -> None:
    view = memoryview(b"-- made --")[3:7]
    store.create("created", view)
    store.put("put", view)
    assert store.read("created") == store.read("put") == b"made"


def test_an_absent_object_is_not_found(store: Store) -> None:
    store.put("jobs/one/spec.json", b"{}")
    for path in ["absent", "jobs/two", "jobs/one", "jobs/one/spec.json/below"]:
        with pytest.raises(NotFound):
            store.read(path)
        with pytest.raises(NotFound):
            store.read_range(path, 0, 1)


def test_a_range_is_read(store: Store) -> None:
    store.put("pack", b"0123456789")
    assert store.read_range("pack", 3, 4) == b"3456"
    assert store.read_range("pack", 0, 10) == b"0123456789"
    assert store.read_range("pack", 10, 0) == b""


@pytest.mark.parametrize(("offset", "length"), [(8, 3), (10, 1), (50, 5)])
def test_a_range_beyond_the_end_is_corrupt(store: Store, offset: int, length: int) -> None:
    store.put("pack", b"0123456789")
    with pytest.raises(CorruptObject, match=f"ends before byte {offset + length}"):
        store.read_range("pack", offset, length)


def test_objects_exist_and_folders_do_not(store: Store) -> None:
    store.put("jobs/one/spec.json", b"{}")
    assert store.exists("jobs/one/spec.json")
    for path in ["jobs/one", "jobs", "jobs/one/spec", "absent", "jobs/one/spec.json/below"]:
        assert not store.exists(path)


def test_a_folder_is_listed_to_any_depth_in_order(store: Store) -> None:
    paths = ["jobs/b", "jobs/a/x/1", "jobs/a/y", "jobs-2/c", "job", "a space/é"]
    for path in paths:
        store.put(path, b"")
    assert store.list("jobs") == ["jobs/a/x/1", "jobs/a/y", "jobs/b"]
    assert store.list("a space") == ["a space/é"]
    assert store.list() == sorted(paths)
    assert store.list("absent") == store.list("job") == store.list("jobs/b/below") == []


def test_an_object_has_a_size_and_a_folder_has_none(store: Store) -> None:
    store.put("jobs/one", b"first")
    store.put("jobs/empty", b"")
    assert (store.size("jobs/one"), store.size("jobs/empty")) == (5, 0)
    for path in ["absent", "jobs", "jobs/one/below", "jobs/on"]:
        with pytest.raises(NotFound):
            store.size(path)


def test_an_object_is_deleted_if_it_is_there(store: Store) -> None:
    store.put("jobs/one", b"first")
    store.delete("jobs/one")
    store.delete("jobs/one")
    assert not store.exists("jobs/one")
    store.create("jobs/one", b"second")
    assert store.read("jobs/one") == b"second"


def test_an_object_has_an_absolute_uri(store: Store) -> None:
    assert store.uri_of("packs/one.tar") == f"{store.uri}/packs/one.tar"
    store.put("packs/one.tar", b"tar")
    with fsspec.open(store.uri_of("packs/one.tar"), "rb") as file:
        assert file.read() == b"tar"


def test_a_pickled_store_is_the_same_store(store: Store) -> None:
    store.put("jobs/one", b"first")
    copy = pickle.loads(pickle.dumps(store))
    assert (copy.uri, copy.read("jobs/one")) == (store.uri, b"first")


def test_threads_use_a_store_at_once(store: Store) -> None:
    def work(number: int) -> bool:
        folder = f"thread-{number}"
        for turn in range(4):
            store.create(f"{folder}/{turn}", b"created")
            store.put(f"{folder}/put", str(turn).encode())
            listed = store.list()
            assert f"{folder}/{turn}" in listed
            assert store.read(f"{folder}/put") == str(turn).encode()
        store.delete(f"{folder}/put")
        return store.list(folder) == [f"{folder}/{turn}" for turn in range(4)]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_probe_that_cannot_start_its_writers_ends(
    error: type[BaseException], local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a process that is interrupted, or may have no more threads, at the eighth of them
    start, started = threading.Thread.start, list[threading.Thread]()

    def limited(thread: threading.Thread) -> None:
        started.append(thread)
        if len(started) == 8:
            raise error
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)

    # Then those that wait for the others wait no longer
    with pytest.raises(error):
        local_store.probe()
    assert len(started) == 8
    assert not any(thread.is_alive() for thread in started[:7])


@pytest.mark.parametrize("moment", ["create", "read"])
def test_a_probe_that_is_interrupted_leaves_nothing(
    moment: str, local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given Ctrl-C just after an object was created, or while it is read
    done = getattr(local_store, moment)

    def interrupted(*arguments: object) -> None:
        done(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(local_store, moment, interrupted)

    with pytest.raises(KeyboardInterrupt):
        local_store.probe()
    assert local_store.list() == []


def test_a_probe_passes_and_leaves_nothing(store: Store) -> None:
    store.probe()
    assert store.list() == []


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../up", "a/../../up", "a/./b", "a//b", "a/", "a\0b", "a?b", "a/.tmp-1"],
)
def test_a_path_that_is_not_inside_is_refused(store: Store, path: str) -> None:
    calls = [
        lambda: store.create(path, b""),
        lambda: store.put(path, b""),
        lambda: store.read(path),
        lambda: store.read_range(path, 0, 0),
        lambda: store.exists(path),
        lambda: store.size(path),
        lambda: store.delete(path),
        lambda: store.uri_of(path),
    ]
    if path:  # The empty path lists the root.
        calls.append(lambda: store.list(path))
    for call in calls:
        with pytest.raises(PathRefused):
            call()


@given(st.text(alphabet="./a\\~* ", max_size=12))
def test_no_path_leaves_the_root(path: str) -> None:
    root = "/data/lake"
    try:
        uri = Store(root).uri_of(path)
    except PathRefused:
        return
    assert os.path.normpath(uri) == uri
    assert uri.startswith(f"{root}/")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "a\0b",
        "simplecache::s3://bucket/lake",
        "zip://x.zip::/data",
        "nosuch://bucket/lake",
        "s3:/bucket/lake",
        "s3://",
        "s3:///lake",
        "s3://bucket/../other",
        "s3://bucket//lake",
        "s3://no bucket/lake",
        "s3://bucket/lake?versionId=1",
        "s3://bucket/lake#part",
        "file://data/lake",
    ],
)
def test_what_is_no_store_is_refused(uri: str) -> None:
    with pytest.raises(PathRefused):
        open_store(uri)


@pytest.mark.parametrize(
    "uri",
    ["s3://key:hunter2@bucket/lake", "s3://bucket/lake?secret=hunter2", "a::s3://k:hunter2@b/x"],
)
def test_credentials_in_a_uri_are_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(PathRefused) as caught:
        open_store(uri)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "normal"),
    [
        ("/data/lake/", "/data/lake"),
        ("/data/x/../lake", "/data/lake"),
        ("file:///data/lake", "/data/lake"),
        ("FILE:///data/lake", "/data/lake"),
        ("s3://bucket/lake/", "s3://bucket/lake"),
        ("S3://bucket", "s3://bucket"),
        ("memory://lake", "memory://lake"),
    ],
)
def test_a_uri_is_normalised(uri: str, normal: str) -> None:
    assert open_store(uri).uri == normal


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert open_store("lake").uri == str(tmp_path / "lake")
    assert open_store("~/lake").uri == str(tmp_path / "home" / "lake")


def test_reads_run_ahead_in_order() -> None:
    assert list(ahead(lambda number: number * number, range(50))) == [n * n for n in range(50)]
    assert list(ahead(str, [])) == []


def test_an_error_while_running_ahead_comes_in_its_turn() -> None:
    answers = ahead(lambda number: 1 // (3 - number), range(10))
    assert [next(answers) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(answers)


# Stores that cannot keep the promise


class LooksThenWrites(MemoryFileSystem):
    """A file system with fsspec's own pipe_file."""

    protocol = "looksthenwrites"
    pipe_file = AbstractFileSystem.pipe_file


class IgnoresConditions(MemoryFileSystem):
    """A file system with a pipe_file of its own, by which the last writer wins."""

    protocol = "ignoresconditions"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix("ignoresconditions:/")

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: object) -> None:
        super().pipe_file(path, value)


@pytest.mark.parametrize("kind", [LooksThenWrites, IgnoresConditions])
def test_a_store_that_does_not_create_once_is_refused(kind: type[MemoryFileSystem]) -> None:
    fsspec.register_implementation(kind.protocol, kind, clobber=True)
    with pytest.raises(StoreUnsafe):
        open_store(f"{kind.protocol}://lake").probe()


class TakesNothingAway(MemoryFileSystem):
    """A file system that cannot remove files."""

    protocol = "takesnothingaway"

    def rm_file(self, path: str) -> None:
        raise NotImplementedError


def test_what_a_file_system_cannot_do_is_denied() -> None:
    fsspec.register_implementation(TakesNothingAway.protocol, TakesNothingAway, clobber=True)
    store = open_store("takesnothingaway://lake")
    with pytest.raises(StoreDenied, match="cannot delete from takesnothingaway://lake: a file sys"):
        store.delete("one")


# A local folder

RACER = """
import os, sys, time
from ancestral.jobs.errors import AlreadyExists
from ancestral.jobs.store import open_store
store = open_store(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
won = 0
for number in range(50):
    try:
        store.create(f"jobs/{number}", sys.argv[2].encode())
        won += 1
    except AlreadyExists:
        pass
print(won)
"""


def test_of_many_processes_exactly_one_creates_the_object(local_store: Store) -> None:
    # Given four processes that are ready
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, local_store.uri, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    # When they create the same fifty objects
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = [int(racer.communicate()[0]) for racer in racers]
    # Then each object has one creator, and it is the one that was told so
    standing = [local_store.read(f"jobs/{number}").decode() for number in range(50)]
    assert won == [standing.count(str(number)) for number in range(4)]


def test_what_a_dead_writer_left_is_not_listed(local_store: Store) -> None:
    local_store.put("jobs/one", b"first")
    (Path(local_store.uri) / "jobs" / ".tmp-0123").write_bytes(b"half")
    assert local_store.list() == ["jobs/one"]


@pytest.mark.parametrize("root", ["file/lake", "/proc/ancestral"])
def test_a_folder_that_cannot_be_written_is_denied(tmp_path: Path, root: str) -> None:
    (tmp_path / "file").write_text("in the way")
    store = open_store(str(tmp_path / root))
    for write in (store.probe, lambda: store.create("a", b""), lambda: store.put("a", b"")):
        with pytest.raises(StoreDenied, match=f"cannot write to {store.uri}: "):
            write()


def test_without_links_an_object_is_still_created_once(
    local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: str, target: str) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    local_store.probe()
    assert race(local_store, "jobs/one") == [local_store.read("jobs/one")]
    assert local_store.list() == ["jobs/one"]
    assert os.listdir(Path(local_store.uri) / "jobs") == ["one"]


def test_without_links_and_renameat2_a_folder_is_unsafe(
    local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: str, target: str) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(ctypes, "CDLL", lambda name, use_errno: object())
    with pytest.raises(StoreUnsafe):
        local_store.probe()
    assert os.listdir(local_store.uri) == []


# S3


@pytest.fixture
def s3_as(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment to change, of which no file system made before or after knows."""
    kind = fsspec.get_filesystem_class("s3")
    kind.clear_instance_cache()
    yield monkeypatch
    kind.clear_instance_cache()


@pytest.mark.s3
def test_reading_rights_do_not_write(s3_as: pytest.MonkeyPatch) -> None:
    open_store("s3://ancestral-tests/shared").put("one", b"first")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    s3_as.setenv("AWS_ACCESS_KEY_ID", "reader-key")
    s3_as.setenv("AWS_SECRET_ACCESS_KEY", "reader-secret-77ad")
    store = open_store("s3://ancestral-tests/shared")
    assert store.read("one") == b"first"
    for write in (store.probe, lambda: store.create("two", b""), lambda: store.put("two", b"")):
        with pytest.raises(StoreDenied, match="cannot write to s3://ancestral-tests/shared"):
            write()


@pytest.mark.s3
def test_a_wrong_secret_is_denied_and_not_repeated(s3_as: pytest.MonkeyPatch) -> None:
    s3_as.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    store = open_store("s3://ancestral-tests/shared")
    for call in (store.probe, store.list, lambda: store.read("a"), lambda: store.exists("a")):
        with pytest.raises(StoreDenied, match="access is denied") as caught:
            call()
        assert "hunter2" not in str(caught.value)


@pytest.mark.s3
def test_without_credentials_a_store_is_denied(s3_as: pytest.MonkeyPatch, tmp_path: Path) -> None:
    s3_as.delenv("AWS_ACCESS_KEY_ID")
    s3_as.delenv("AWS_SECRET_ACCESS_KEY")
    s3_as.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    s3_as.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    s3_as.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StoreDenied, match="no credentials"):
        open_store("s3://ancestral-tests/shared").put("one", b"")


@pytest.mark.s3
def test_a_server_that_is_away_is_unavailable(s3_as: pytest.MonkeyPatch) -> None:
    s3_as.setattr(buckets, "PATIENCE_SECONDS", 0.0)
    s3_as.setenv("AWS_ENDPOINT_URL", "http://user:hunter2@127.0.0.1:9")
    store = open_store("s3://ancestral-tests/shared")
    with pytest.raises(StoreUnavailable, match="no answer") as caught:
        store.create("a", b"")
    assert "hunter2" not in str(caught.value)


@pytest.mark.s3
def test_an_absent_bucket_holds_nothing(s3_server: str) -> None:
    store = open_store("s3://no-such-bucket/lake")
    assert store.list() == []
    assert not store.exists("one")
    with pytest.raises(NotFound):
        store.read("one")


@pytest.mark.s3
def test_a_listing_longer_than_a_page_is_whole(s3_server: str, tmp_path: Path) -> None:
    store = open_store(f"s3://ancestral-tests/{tmp_path.name}")
    paths = [f"many/{number:04d}" for number in range(1001)]
    for _ in ahead(lambda path: store.put(path, b""), paths):
        pass
    assert store.list("many") == paths


@pytest.mark.parametrize(
    ("folder", "scheme"), [("s3://key:secret@b/x", "s3"), ("s3:/b/x", "s3"), ("file:///x", "file")]
)
def test_a_uri_is_no_folder_of_this_machine(folder: str, scheme: str) -> None:
    with pytest.raises(PathRefused, match=f"^--to is .*, no {scheme}:// URI: leave it$") as caught:
        local_folder(folder, "--to", "leave it")
    assert "secret" not in str(caught.value)


def test_a_folder_of_this_machine_is_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("here", "c:/x", "1:2/x"):
        assert local_folder(folder, "--to", "") == tmp_path / folder
    assert local_folder(Path("/lake"), "--to", "") == Path("/lake")
