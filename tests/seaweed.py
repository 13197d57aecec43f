"""A real S3 server on this machine: SeaweedFS, from its wheel."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ancestral.jobs.errors import StoreUnavailable
from ancestral.jobs.store import open_store

#: Two users: one may do everything, one may only read.
WRITER = ("writer-key", "writer-secret-5b1f")
READER = ("reader-key", "reader-secret-77ad")

#: How often it is started at most.
ATTEMPTS = 3


@contextmanager
def seaweed() -> Iterator[str]:
    """The endpoint of a running server; the environment holds it and WRITER's credentials."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weed-")))
        users = [
            _user(WRITER, ["Admin", "Read", "Write", "List"]),
            _user(READER, ["Read", "List"]),
        ]
        (folder / "users.json").write_text(json.dumps({"identities": users}))
        (folder / "data").mkdir()
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("AWS_ACCESS_KEY_ID", WRITER[0])
        patch.setenv("AWS_SECRET_ACCESS_KEY", WRITER[1])
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.delenv("AWS_PROFILE", raising=False)
        log = stack.enter_context((folder / "log").open("wb"))
        for _ in range(ATTEMPTS):
            # Until the server has them, others may take these ports; then it ends.
            ports = _free_ports(8)
            endpoint = f"http://127.0.0.1:{ports[-1]}"
            patch.setenv("AWS_ENDPOINT_URL", endpoint)
            server = subprocess.Popen(_command(folder, ports), stdout=log, stderr=log)
            stack.callback(_stop, server)
            if _comes_up(endpoint, server):
                break
            if server.poll() is None:
                raise RuntimeError("the S3 server is not ready after a minute")
        else:
            said = (folder / "log").read_text()
            raise RuntimeError(f"the S3 server did not start:\n{said[-2000:]}")
        yield endpoint


def _user(credentials: tuple[str, str], actions: list[str]) -> dict[str, object]:
    key, secret = credentials
    return {
        "name": key,
        "credentials": [{"accessKey": key, "secretKey": secret}],
        "actions": actions,
    }


def _command(folder: Path, ports: list[int]) -> list[str]:
    names = ["master", "volume", "filer", "s3"]
    return [
        os.path.join(sysconfig.get_path("scripts"), "weed"),
        "-logtostderr=true",
        "server",
        "-s3",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        f"-s3.config={folder / 'users.json'}",
        *(f"-{name}.port.grpc={port}" for name, port in zip(names, ports[:4], strict=True)),
        *(f"-{name}.port={port}" for name, port in zip(names, ports[4:], strict=True)),
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-filer.localSocket={folder / 'filer.sock'}",
        f"-s3.localSocket={folder / 's3.sock'}",
        "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false",
    ]


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _comes_up(endpoint: str, server: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"{endpoint}/status", timeout=1).close()
            # The first write also makes the bucket.
            open_store("s3://ancestral-tests").put("ready", b"yes")
            return True
        except (urllib.error.URLError, StoreUnavailable):
            time.sleep(0.2)
    return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    # Asked politely it takes half a minute to bring to disk what nobody will read.
    server.kill()
    server.wait()
