"""The proxy makes the trouble that it says."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.faults.proxy import SLOW_DOWN, Fault, HttpProxy, Shares

ANSWER = b"x" * 1000


class Server(ThreadingHTTPServer):
    """Remembers the whole uploads that reached it."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        self.uploads: list[bytes] = []
        self.torn = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        self.torn.set()


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        length = int(self.headers["Content-Length"])
        data = self.rfile.read(length)
        if len(data) < length:
            raise ConnectionError("torn")
        self.server.uploads.append(data)
        self.do_GET()

    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/absent" else 200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(ANSWER)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(server: Server) -> Iterator[HttpProxy]:
    with HttpProxy(f"http://127.0.0.1:{server.server_address[1]}") as proxy:
        yield proxy


def call(proxy: HttpProxy, method: str, path: str = "/", body: bytes = b"") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=30)
    try:
        connection.request(method, path, body, {"Expect": "100-continue"} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_calls_pass(server: Server, proxy: HttpProxy) -> None:
    assert call(proxy, "PUT", body=b"data") == (200, ANSWER)
    assert call(proxy, "GET", "/absent") == (404, ANSWER)
    assert call(proxy, "HEAD") == (200, b"")
    assert server.uploads == [b"data"]
    assert proxy.counts == {Fault.PASS: 3}


def test_a_refused_call_never_reaches_the_server(server: Server, proxy: HttpProxy) -> None:
    proxy.meddle = lambda method, path: SLOW_DOWN
    status, text = call(proxy, "PUT", body=b"data")
    assert status == 503
    assert b"<Code>SlowDown</Code>" in text
    assert call(proxy, "HEAD") == (503, b"")
    assert server.uploads == []


def test_an_answer_is_dropped_after_success_alone(server: Server, proxy: HttpProxy) -> None:
    proxy.meddle = lambda method, path: Fault.DROP_ANSWER
    with pytest.raises(http.client.RemoteDisconnected):
        call(proxy, "PUT", body=b"data")
    assert server.uploads == [b"data"]
    assert call(proxy, "GET", "/absent") == (404, ANSWER)


def test_an_upload_is_torn(server: Server, proxy: HttpProxy) -> None:
    proxy.meddle = lambda method, path: Fault.TEAR
    with pytest.raises(http.client.RemoteDisconnected):
        call(proxy, "PUT", body=b"data")
    assert server.torn.wait(30)
    assert server.uploads == []


def test_an_answer_is_torn_where_nothing_is_uploaded(proxy: HttpProxy) -> None:
    proxy.meddle = lambda method, path: Fault.TEAR
    with pytest.raises(http.client.IncompleteRead) as torn:
        call(proxy, "GET")
    assert len(torn.value.partial) == len(ANSWER) // 2


def test_a_delayed_call_passes(server: Server, proxy: HttpProxy) -> None:
    proxy.meddle = lambda method, path: Fault.DELAY
    assert call(proxy, "PUT", body=b"data") == (200, ANSWER)
    assert server.uploads == [b"data"]


def test_shares_are_drawn_from_the_seed() -> None:
    def draws(seed: int) -> list[object]:
        meddle = Shares(seed, {SLOW_DOWN: 0.2, Fault.TEAR: 0.05})
        return [meddle("GET", "/") for _ in range(1000)]

    drawn = draws(7)
    assert drawn == draws(7) != draws(8)
    assert 150 < drawn.count(SLOW_DOWN) < 250
    assert 25 < drawn.count(Fault.TEAR) < 80
    assert 700 < drawn.count(Fault.PASS) < 800
