"""Trouble with HTTP calls: a proxy between a client and a real S3 server.

with HttpProxy(endpoint, Shares(7, {SLOW_DOWN: 0.2, Fault.DROP_ANSWER: 0.05})) as proxy:
    ... AWS_ENDPOINT_URL=proxy.url ...
    proxy.meddle = nothing
    assert proxy.counts[SLOW_DOWN]
"""

from __future__ import annotations

import contextlib
import enum
import http.client
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self, TypeAlias
from urllib.parse import urlsplit

from tests.faults.wire import abort

#: Seconds that a delayed call waits before it is passed on.
DELAY_SECONDS = 0.5

#: Seconds for the real server to answer.
ANSWER_SECONDS = 60.0


class Fault(enum.Enum):
    """What happens to one HTTP call."""

    PASS = "pass"
    #: The server does what was asked; if it did, nobody hears of it.
    DROP_ANSWER = "drop answer"
    #: Half of the upload reaches the server, or half of the answer the client; then all is cut.
    TEAR = "tear"
    #: The call reaches the server only after `DELAY_SECONDS`.
    DELAY = "delay"


@dataclass(frozen=True)
class Refusal:
    """The server is not asked; the client gets this status with an S3 error of this code."""

    status: int
    code: str


SLOW_DOWN = Refusal(503, "SlowDown")

Meddling: TypeAlias = Fault | Refusal

#: Decides about a call by its method and path (with the query).
Meddler: TypeAlias = Callable[[str, str], Meddling]


def nothing(method: str, path: str) -> Meddling:
    """The meddler that passes everything."""
    return Fault.PASS


class Shares:
    """The meddler that draws by chance: each fault has its share of all calls, from 0 to 1."""

    def __init__(self, seed: int, shares: Mapping[Meddling, float]) -> None:
        assert sum(shares.values()) <= 1
        self._random = random.Random(seed)
        self._faults = [*shares, Fault.PASS]
        self._weights = [*shares.values(), 1 - sum(shares.values())]
        self._lock = threading.Lock()

    def __call__(self, method: str, path: str) -> Meddling:
        with self._lock:
            return self._random.choices(self._faults, self._weights)[0]


class HttpProxy:
    """Runs while its context is open; `meddle` may be exchanged at any time.

    `counts` says how often what was done, `Fault.PASS` included.
    """

    def __init__(self, upstream: str, meddle: Meddler = nothing) -> None:
        """`upstream` is the real server, like http://127.0.0.1:8333."""
        self.upstream = urlsplit(upstream)
        self.meddle = meddle
        self.counts: Counter[Meddling] = Counter()
        self._lock = threading.Lock()
        handler = type("Handler", (_HttpHandler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def decide(self, method: str, path: str) -> Meddling:
        """What to do with a call; counted."""
        meddling = self.meddle(method, path)
        with self._lock:
            self.counts[meddling] += 1
        return meddling

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle is everyday life here."""


class _HttpHandler(BaseHTTPRequestHandler):
    proxy: ClassVar[HttpProxy]
    protocol_version = "HTTP/1.1"

    def _meddle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        meddling = self.proxy.decide(self.command, self.path)
        match meddling:
            case Refusal():
                self._refuse(meddling)
                return
            case Fault.TEAR if body:
                self._tear_upload(body)
                return
            case Fault.DELAY:
                time.sleep(DELAY_SECONDS)
        status, headers, answer = self._ask(body)
        if meddling is Fault.DROP_ANSWER and status < 300:
            self._cut()
            return
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        lengths = [value for name, value in headers if name.lower() == "content-length"]
        length = lengths[0] if self.command == "HEAD" and lengths else str(len(answer))
        self.send_header("Content-Length", length)
        self.end_headers()
        if meddling is Fault.TEAR:
            self.wfile.write(answer[: len(answer) // 2])
            self._cut()
            return
        self.wfile.write(answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _meddle

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        with contextlib.closing(self._connect()) as connection:
            self._send_head(connection)
            connection.send(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def _tear_upload(self, body: bytes) -> None:
        with contextlib.closing(self._connect()) as connection:
            self._send_head(connection)
            connection.send(body[: len(body) // 2])
            abort(connection.sock)
        self._cut()

    def _connect(self) -> http.client.HTTPConnection:
        upstream = self.proxy.upstream
        assert upstream.hostname is not None
        return http.client.HTTPConnection(upstream.hostname, upstream.port, timeout=ANSWER_SECONDS)

    def _send_head(self, connection: http.client.HTTPConnection) -> None:
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            # The wait for "100 Continue" was between the client and us.
            if name.lower() not in ("expect", "connection"):
                connection.putheader(name, value)
        connection.endheaders()

    def _refuse(self, refusal: Refusal) -> None:
        text = f"<Error><Code>{refusal.code}</Code><Message>not now</Message></Error>"
        data = b"" if self.command == "HEAD" else text.encode()
        self.send_response_only(refusal.status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _cut(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
