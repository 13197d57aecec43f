"""A service that fails a command: exit code 3 and one sentence, without a secret in it."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import fsspec
import pytest
import redis

from ancestral.jobs import buckets, layout, redis_connection, store
from ancestral.jobs.client import Client
from ancestral.jobs.queue import QueueCounts
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.spec import Job
from ancestral.orchestration.valkey import EmbeddedValkey
from tests.faults.proxy import SLOW_DOWN, HttpProxy, Refusal
from tests.jobs.drawn import draw
from tests.orchestration.home import Home, work
from tests.orchestration.tiny import tiny_spec
from tests.seaweed import WRITER
from tests.tls import TlsFront, make_certificate

SECRET = "open-sesame-41"


def says_one_sentence(home: Home, arguments: list[str], words: str) -> bool:
    code, out, err = home.call(*arguments)
    assert (code, out) == (3, "")
    assert len(err.splitlines()) == 1
    assert words in err, err
    for secret in (SECRET, WRITER[1], "Traceback"):
        assert secret not in err
    return True


def in_a_bucket(home: Home) -> dict[str, Any]:
    """A job whose output is a bucket."""
    return {**tiny_spec(home.lake), "output": f"s3://ancestral-tests/{uuid.uuid4().hex}"}


# The queue


@pytest.fixture
def queue_urls(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The URL of a queue in each kind of trouble."""
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedValkey())
        place = server.url.partition("@")[2]
        port = int(place.partition(":")[2].partition("/")[0])
        admin = stack.enter_context(redis.Redis.from_url(server.url))
        admin.execute_command("ACL", "SETUSER", "low", "on", f">{SECRET}", "~*", "+@connection")
        front = stack.enter_context(TlsFront(port, make_certificate(tmp_path, "localhost")))
        yield {
            "down": f"redis://:{SECRET}@127.0.0.1:1/0",
            "wrong password": f"redis://:{SECRET}@{place}",
            "denied": f"redis://low:{SECRET}@{place}",
            "not trusted": f"rediss://:{SECRET}@localhost:{front.port}/0",
        }


@pytest.mark.redis
@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("down", "the queue's server redis://127.0.0.1:1 does not answer: connection refused"),
        ("wrong password", "refuses the user or password of its URL"),
        ("denied", "denies its user a right"),
        ("not trusted", "shows a certificate that is not trusted"),
    ],
)
def test_a_queue_that_cannot_serve(
    home: Home,
    queue_urls: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    trouble: str,
    words: str,
) -> None:
    # Given a job from before, and a queue that is in trouble
    file = home.write(tiny_spec(home.lake))
    monkeypatch.setattr(redis_connection, "RETRIES", 0)
    job_id = home.call_json("submit", file)["job_id"]
    monkeypatch.setenv("ANCESTRAL_REDIS_URL", queue_urls[trouble])
    # Then
    assert says_one_sentence(home, ["submit", file], words)
    assert says_one_sentence(home, ["watch", job_id], words)


def test_the_store_is_asked_when_the_queue_does_not_answer(
    home: Home, client: Client, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two jobs, one of which has a unit drawn and the other one is finished, and no queue
    done = client.submit(tiny_spec(home.lake, name="done"))
    work(client, done)
    draw(client.store(job.job_id), job, next(job.units()))
    monkeypatch.setenv("ANCESTRAL_REDIS_URL", "unix:///nowhere.sock")
    reason = "the queue's server unix:///nowhere.sock does not answer"

    # Then the store says how far the first one is
    code, out, err = home.call("status", job.job_id)
    assert (code, err.startswith(f"ancestral: {reason}")) == (3, True)
    assert f"state   pending (10 of 30 rows are decided; {reason}" in out
    assert home.call_json("status", job.job_id, code=3)["rows_ok"] == 10

    # And the queue is asked for one job only
    asked: list[str] = []
    counts = RedisQueue.counts

    def counted(queue: RedisQueue, job_id: str) -> QueueCounts:
        asked.append(job_id)
        return counts(queue, job_id)

    monkeypatch.setattr(RedisQueue, "counts", counted)
    monkeypatch.setattr(store, "READ_AHEAD", 0)
    client.submit(tiny_spec(home.lake))
    code, out, err = home.call("ls")
    assert (code, err.startswith(f"ancestral: {reason}")) == (3, True)
    assert out.count(reason) == 2 and "10 of 30" in out
    assert len(asked) == 1
    assert len(home.call_json("ls", code=3)) == 3

    # And what is finished or drawn needs no queue
    assert home.call_json("status", done.job_id)["state"] == "done"
    assert home.call_json("results", job.job_id, "--to", "files")["files"] == 10


@pytest.mark.parametrize("name", ["manifest.json", "spec.json"])
def test_a_broken_object_of_a_job_is_named(home: Home, client: Client, job: Job, name: str) -> None:
    work(client, job)
    path = home.lake / "_jobs" / job.job_id / name
    path.write_text("{}\n")

    code, out, err = home.call("status", job.job_id)

    assert (code, out) == (1, "")
    assert err.startswith(f"ancestral: {path} is ")


def test_an_index_part_that_is_gone_is_no_wrong_use(home: Home, client: Client, job: Job) -> None:
    work(client, job)
    shutil.rmtree(home.lake / layout.attempts_folder(job.job_id))

    code, out, err = home.call("results", job.job_id, "--to", "files")

    assert (code, out) == (1, "")
    assert "there is no" in err


def test_a_state_that_is_a_file_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    (home.folder / "state").write_text("")
    monkeypatch.setenv("ANCESTRAL_STATE", "state")

    code, out, err = home.call("ls")

    assert (code, out) == (2, "")
    assert f"the state is the file {home.folder}/state" in err


# The store


@pytest.fixture
def proxy(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpProxy]:
    monkeypatch.setattr(buckets, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(buckets, "SDK_TRIES", 1)
    kind = fsspec.get_filesystem_class("s3")
    kind.clear_instance_cache()
    with HttpProxy(s3_server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy
    kind.clear_instance_cache()


@pytest.mark.s3
@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (SLOW_DOWN, "the store is throttling us"),
        (Refusal(400, "ExpiredToken"), "the credentials have expired: renew them"),
    ],
)
def test_a_store_that_refuses_for_now(
    home: Home, proxy: HttpProxy, refusal: Refusal, words: str
) -> None:
    file = home.write(in_a_bucket(home))
    job_id = home.call_json("submit", file)["job_id"]
    proxy.meddle = lambda method, path: refusal
    assert says_one_sentence(home, ["submit", file], words)
    assert says_one_sentence(home, ["status", job_id], words)


@pytest.mark.s3
def test_a_store_that_is_down(
    home: Home, proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home.write(in_a_bucket(home))
    job_id = home.call_json("submit", file)["job_id"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    assert says_one_sentence(home, ["submit", file], "no answer (EndpointConnectionError)")
    assert says_one_sentence(home, ["status", job_id], "no answer (EndpointConnectionError)")


# The device


def test_a_job_that_no_processor_draws_is_refused_before_it_is_submitted(home: Home) -> None:
    file = home.write(tiny_spec(home.lake, sampling={"precision": "bfloat16", "tiles": "few"}))

    code, out, err = home.call("run", file)

    assert (code, out) == (2, "")
    assert err == (
        "ancestral: cpu does not draw job 'tiny job': tiles of few rows are for GPUs: leave out "
        "'tiles: few'; nothing was submitted\n"
    )
    assert home.nothing_was_submitted()
