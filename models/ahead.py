"""An iterator that is worked off ahead of whoever needs it, in a thread of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(source: Iterator[T], depth: int = 2) -> Iterator[T]:
    """What `source` gives, in order, of which at most `depth` are made before they are asked for.

    An error of the source is raised where its value would have come. Nothing is made before the
    first value is asked for, and nothing more once the iterator is closed.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        waiting = deque(pool.submit(next, source) for _ in range(depth))
        try:
            while True:
                try:
                    value = waiting.popleft().result()
                except StopIteration:
                    return
                waiting.append(pool.submit(next, source))
                yield value
        finally:
            for each in waiting:
                each.cancel()
