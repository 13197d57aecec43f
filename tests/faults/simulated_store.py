"""The object store of a simulated world: a dict, and the doors of its processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from ancestral.jobs.errors import AlreadyExists, NotFound, StoreUnavailable
from tests.faults.simulated_faults import Faults
from tests.faults.simulated_world import Process

Answer = TypeVar("Answer")

#: What a page of a listing holds at most; a real one holds 1000.
PAGE = 8


class Objects:
    """What lies in the store. `watch` is called with the path and the bytes of a new object, before
    it is there."""

    def __init__(self, watch: Callable[[str, bytes], None] = lambda path, data: None) -> None:
        self.stored: dict[str, bytes] = {}
        self._watch = watch

    def create(self, path: str, data: bytes | memoryview) -> None:
        if path in self.stored:
            raise AlreadyExists(path)
        self._watch(path, bytes(data))
        self.stored[path] = bytes(data)

    def put(self, path: str, data: bytes | memoryview) -> None:
        self._watch(path, bytes(data))
        self.stored[path] = bytes(data)

    def read(self, path: str) -> bytes:
        try:
            return self.stored[path]
        except KeyError:
            raise NotFound(path) from None

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        return self.read(path)[offset : offset + length]

    def size(self, path: str) -> int:
        return len(self.read(path))

    def exists(self, path: str) -> bool:
        return path in self.stored

    def list(self, folder: str) -> Iterable[str]:
        prefix = f"{folder}/" if folder else ""
        return [path for path in sorted(self.stored) if path.startswith(prefix)]

    def delete(self, path: str) -> None:
        self.stored.pop(path, None)

    def creates_once(self) -> bool:
        return True


class StoreDoor:
    """The store as one process sees it: a `Driver` for `Store`, with all that goes wrong."""

    def __init__(self, objects: Objects, faults: Faults, process: Process) -> None:
        self._objects = objects
        self._faults = faults
        self._process = process

    def create(self, path: str, data: bytes | memoryview) -> None:
        self._call(f"creates {path}", lambda: self._objects.create(path, data))
        if self._faults.happens(self._faults.rates.lost):
            # The client sent it again by itself, and met what it had made.
            self._faults.world.tell(f"{self._process.name} creates {path}: met its own")
            raise AlreadyExists(path)

    def put(self, path: str, data: bytes | memoryview) -> None:
        self._call(f"puts {path}", lambda: self._objects.put(path, data))

    def read(self, path: str) -> bytes:
        return self._call(f"reads {path}", lambda: self._objects.read(path))

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        name = f"reads {length} bytes of {path}"
        return self._call(name, lambda: self._objects.read_range(path, offset, length))

    def size(self, path: str) -> int:
        return self._call(f"measures {path}", lambda: self._objects.size(path))

    def exists(self, path: str) -> bool:
        return self._call(f"looks for {path}", lambda: self._objects.exists(path))

    def list(self, folder: str) -> Iterable[str]:
        """Page by page: what is created meanwhile is listed or not."""
        found: list[str] = []
        while True:
            last = found[-1] if found else ""
            page = self._call(f"lists {folder} from {last!r}", partial(self._page, folder, last))
            found.extend(page)
            if len(page) < PAGE:
                return found

    def delete(self, path: str) -> None:
        self._call(f"deletes {path}", lambda: self._objects.delete(path))

    def creates_once(self) -> bool:
        return True

    def _page(self, folder: str, last: str) -> Sequence[str]:
        return [path for path in self._objects.list(folder) if path > last][:PAGE]

    def _call(self, name: str, effect: Callable[[], Answer]) -> Answer:
        return self._faults.call(self._process, "store", name, effect, StoreUnavailable)
