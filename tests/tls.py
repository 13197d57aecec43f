"""TLS in front of a real server that speaks none; its certificates are made when asked for."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Certificate:
    """A self-signed one: its own authority."""

    path: Path
    key: Path


def make_certificate(folder: Path, host: str) -> Certificate:
    """A certificate of the host of that name. Takes the command `openssl`."""
    made = Certificate(folder / f"{host}.pem", folder / f"{host}.key")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-newkey", "ec"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"),
            *("-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"),
            *("-out", str(made.path), "-keyout", str(made.key)),
        ],
        check=True,
        capture_output=True,
    )
    return made


class TlsFront:
    """Passes on to 127.0.0.1:`upstream` what comes over TLS. Runs while its context is open."""

    def __init__(
        self, upstream: int, certificate: Certificate, clients: Path | None = None
    ) -> None:
        """With `clients`, a client must show a certificate that this file vouches for."""
        self._upstream = upstream
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=clients)
        self._context.load_cert_chain(certificate.path, certificate.key)
        if clients:
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._stop = asyncio.Event()
        self._port: Future[int] = Future()

    @property
    def port(self) -> int:
        return self._port.result()

    def __enter__(self) -> Self:
        self._thread.start()
        self._port.result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _serve(self) -> None:
        # Clients whose handshake fails are what the tests are about: nothing to tell of.
        self._loop.set_exception_handler(lambda loop, context: None)
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._listen())

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0, ssl=self._context)
        self._port.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        links = asyncio.all_tasks() - {asyncio.current_task()}
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        answers, calls = await asyncio.open_connection("127.0.0.1", self._upstream)
        await asyncio.gather(_pump(source, calls), _pump(answers, sink))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    finally:
        sink.close()
        with contextlib.suppress(OSError):
            await sink.wait_closed()
