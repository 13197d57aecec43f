"""Trouble with bytes on the wire: a proxy between a client and a real server, such as Redis.

with Wire("127.0.0.1", 6379) as wire:
    ... redis://127.0.0.1:{wire.port} ...
    wire.cut(answers=True)
    wire.heal()
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Self


class Wire:
    """Passes bytes both ways, until told otherwise. Runs while its context is open.

    What comes in a direction that is cut waits, and arrives late, as a network sends again what
    was lost; a client that gave up meanwhile hears no answer.
    """

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._changed = threading.Condition()
        self._closed = False
        self._cut = {"requests": False, "answers": False}
        self._links: set[_Link] = set()
        #: Bytes that came while their direction was cut.
        self.held_back: Counter[str] = Counter()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def cut(self, *, requests: bool = False, answers: bool = False) -> None:
        """Let nothing pass to the server, or nothing back to the clients."""
        with self._changed:
            self._cut = {"requests": requests, "answers": answers}
            self._changed.notify_all()

    def heal(self) -> None:
        """Let everything pass again; what waited arrives now."""
        self.cut()

    def reset(self) -> None:
        """Break every connection; what is under way on them is lost."""
        with self._changed:
            links, self._links = self._links, set()
        for link in links:
            link.reset()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        # A listener that is only closed goes on waiting for its next connection.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._upstream)
            except OSError:
                abort(client)
                continue
            link = _Link(client, server)
            with self._changed:
                self._links.add(link)
            for source, target, way in ((client, server, "requests"), (server, client, "answers")):
                told = (link, source, target, way)
                threading.Thread(target=self._pump, args=told, daemon=True).start()

    def _pump(self, link: _Link, source: socket.socket, target: socket.socket, way: str) -> None:
        try:
            while data := source.recv(65536):
                self._wait(way, len(data))
                target.sendall(data)
            self._wait(way, 0)
            if link in self._links:
                target.shutdown(socket.SHUT_WR)
        except OSError:
            link.reset()
        with self._changed:
            link.ways -= 1
            if not link.ways:
                self._links.discard(link)
                link.reset()

    def _wait(self, way: str, size: int) -> None:
        with self._changed:
            if self._cut[way]:
                self.held_back[way] += size
            self._changed.wait_for(lambda: self._closed or not self._cut[way])


@dataclass(eq=False)
class _Link:
    """A client's connection, and the one to the server that belongs to it."""

    client: socket.socket
    server: socket.socket
    #: Directions that are not at their end.
    ways: int = 2

    def reset(self) -> None:
        abort(self.client)
        abort(self.server)


def abort(connection: socket.socket) -> None:
    """Close with RST, so that the other end knows at once that bytes are missing."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Wakes the thread that waits for bytes from it; closing alone does not.
        connection.shutdown(socket.SHUT_RD)
    connection.close()
