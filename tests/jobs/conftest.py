"""A real S3 server, and jobs whose rows a test decides as it likes."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ancestral.jobs import layout
from ancestral.jobs.errors import StoreUnavailable
from ancestral.jobs.index import IndexRow, encode_part
from ancestral.jobs.ledger import FileFact, Ledger, RangeRecord
from ancestral.jobs.spec import Job, JobSpec, ModelReference
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import Unit

SIGNATURE = {
    "medium": "image",
    "levels": 16,
    "shape": [20, 20],
    "fields": {
        "label": {"type": "category", "values": list(range(10)), "description": "the digit"},
        "style": {"type": "category", "values": ["bold", "thin"], "default": "bold"},
        "slant": {"type": "number", "minimum": -1, "maximum": 1, "default": 0.0},
        "size": {"type": "integer", "minimum": 0, "default": 3},
    },
}

#: Two users of the S3 server: one may do everything, one may only read.
WRITER = ("writer-key", "writer-secret-5b1f")
READER = ("reader-key", "reader-secret-77ad")

STARTED = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The endpoint of a running S3 server; the environment holds it and WRITER's credentials."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weed-")))
        users = [
            _user(WRITER, ["Admin", "Read", "Write", "List"]),
            _user(READER, ["Read", "List"]),
        ]
        (folder / "users.json").write_text(json.dumps({"identities": users}))
        ports = _free_ports(8)
        log = stack.enter_context((folder / "log").open("wb"))
        server = subprocess.Popen(_command(folder, ports), stdout=log, stderr=log)
        stack.callback(_stop, server)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        endpoint = f"http://127.0.0.1:{ports[-1]}"
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", WRITER[0])
        patch.setenv("AWS_SECRET_ACCESS_KEY", WRITER[1])
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.delenv("AWS_PROFILE", raising=False)
        _wait_until_ready(endpoint, server, folder / "log")
        yield endpoint


@pytest.fixture(params=["local", "memory", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind in turn."""
    match request.param:
        case "local":
            return open_store(str(tmp_path / "lake"))
        case "memory":
            return open_store(f"memory://{uuid.uuid4().hex}/lake")
        case _:
            request.getfixturevalue("s3_server")
            return open_store(f"s3://ancestral-tests/{uuid.uuid4().hex}")


@pytest.fixture
def local_store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "lake"))


@pytest.fixture
def make_job() -> Callable[..., Job]:
    """make_job(rows, unit_rows) is an accepted job; its spec.json is not written."""

    def make(rows: int, unit_rows: int, job_id: str = "digits-1") -> Job:
        return Job(
            job_id=job_id,
            spec=JobSpec(name="digits", model="digits", input="requests.jsonl", output="lake"),
            model=ModelReference(name="digits", uri="/m", digest="d" * 64, family="pixelcnn"),
            signature=SIGNATURE,
            requests=rows,
            rows=rows,
            unit_rows=unit_rows,
            shards=(),
            inputs=(),
            submitted_at="2026-11-22T15:30:12Z",
        )

    return make


@pytest.fixture
def make_row() -> Callable[..., IndexRow]:
    """make_row(job, ordinal) is the index row that any attempt would write, bar what is given."""
    return _row


@pytest.fixture
def commit() -> Callable[..., RangeRecord]:
    """commit(store, job, unit, statuses) does what a worker does once it has drawn a unit."""

    def decide(
        store: Store, job: Job, unit: Unit, statuses: str | None = None, attempt: str = ""
    ) -> RangeRecord:
        statuses = statuses or "o" * unit.rows
        attempt = attempt or uuid.uuid4().hex
        pack_path = layout.pack_path(job.job_id, unit, attempt)
        pack = b""
        rows = []
        for ordinal, letter in zip(range(unit.start, unit.end), statuses, strict=True):
            if letter != "o":
                status = "failed" if letter == "f" else "rejected"
                rows.append(_row(job, ordinal, status=status, error="no luck", attempt=attempt))
                continue
            data = f"image {ordinal}".encode()
            rows.append(
                _row(
                    job,
                    ordinal,
                    attempt=attempt,
                    media_type="image/png",
                    uri=store.uri_of(pack_path),
                    offset=len(pack),
                    length=len(data),
                    sha256=hashlib.sha256(data).hexdigest(),
                )
            )
            pack += data
        part = encode_part(rows, job.signature)
        part_path = layout.attempt_path(job.job_id, unit, attempt)
        store.put(pack_path, pack)
        store.put(part_path, part)
        record = RangeRecord(
            start=unit.start,
            end=unit.end,
            attempt=attempt,
            worker="ann",
            device="cpu",
            numerics="x86-64/reference/float32",
            model_digest=job.model.digest,
            code_version="0.1.0",
            statuses=statuses,
            index_part=FileFact.of(part_path, part),
            packs=(FileFact.of(pack_path, pack),),
            created_at=STARTED + timedelta(seconds=unit.end),
            sampling_seconds=0.5,
        )
        return Ledger(store, job.job_id).decide(record)

    return decide


def _row(job: Job, ordinal: int, **given: object) -> IndexRow:
    values: dict[str, object] = {
        "request_id": f"request {ordinal}",
        "sample": 0,
        "ordinal": ordinal,
        "job_id": job.job_id,
        "status": "ok",
        "kind": "generate",
        "model": job.model.name,
        "model_digest": job.model.digest,
        "numerics": "x86-64/reference/float32",
        "seed": 2**63 - 1 - ordinal,
        "temperature": 1.0,
        "conditioning": {"label": ordinal % 10, "style": "thin", "slant": 0.5, "size": 4},
        "log_likelihood_nats": -1.5 * ordinal,
        "likelihood_kind": "exact",
        "worker": "ann",
        "device": "cpu",
        "attempt": "a" * 32,
        "created_at": STARTED,
    }
    return IndexRow(**{**values, **given})  # type: ignore[arg-type]


def _user(credentials: tuple[str, str], actions: list[str]) -> dict[str, object]:
    key, secret = credentials
    return {
        "name": key,
        "credentials": [{"accessKey": key, "secretKey": secret}],
        "actions": actions,
    }


def _command(folder: Path, ports: list[int]) -> list[str]:
    names = ["master", "volume", "filer", "s3"]
    data = folder / "data"
    data.mkdir()
    return [
        os.path.join(sysconfig.get_path("scripts"), "weed"),
        "-logtostderr=true",
        "server",
        "-s3",
        f"-dir={data}",
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


def _wait_until_ready(endpoint: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"{endpoint}/status", timeout=1).close()
            # The first write also makes the bucket.
            open_store("s3://ancestral-tests").put("ready", b"yes")
            return
        except (urllib.error.URLError, StoreUnavailable):
            time.sleep(0.2)
    raise RuntimeError(f"the S3 server did not start:\n{log.read_text()[-2000:]}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    # Asked politely it takes half a minute to bring to disk what nobody will read.
    server.kill()
    server.wait()
