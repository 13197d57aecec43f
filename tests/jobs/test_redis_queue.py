"""What is Redis's own: its clock, its keys, its memory, and what becomes of us when it is gone."""

import os
import pickle
import signal
import threading
import time

import pytest
import redis

from ancestral.jobs import redis_queue
from ancestral.jobs.errors import QueueMisconfigured, QueueUnavailable, UnknownJob
from ancestral.jobs.queue import Lease, Order, QueueCounts
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.units import RowCounts, Unit, plan_units
from ancestral.orchestration.valkey import EmbeddedValkey

pytestmark = pytest.mark.redis

LEASE = Lease(
    job_id="job",
    output="/lake",
    unit=Unit(0, 10),
    fence=1,
    attempts=0,
    last_error=None,
    worker="ann",
    max_attempts=3,
)

#: Every method that talks to the server.
CALLS = {
    "add_job": lambda queue: queue.add_job("job", "/lake", 0, 3),
    "add_units": lambda queue: queue.add_units("job", [Unit(0, 10)]),
    "claim": lambda queue: queue.claim("ann", 1),
    "heartbeat": lambda queue: queue.heartbeat("ann", {LEASE: 1}),
    "complete": lambda queue: queue.complete("job", Unit(0, 10), RowCounts(ok=10)),
    "fail": lambda queue: queue.fail(LEASE, "broken"),
    "release": lambda queue: queue.release(LEASE),
    "reap": lambda queue: queue.reap(),
    "counts": lambda queue: queue.counts("job"),
    "jobs": lambda queue: queue.jobs(),
    "forget": lambda queue: queue.forget("job"),
    "check": lambda queue: queue.check(),
}


@pytest.fixture
def server():
    """A server of the test's own, to be misconfigured or killed."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def queue(redis_url, namespace):
    queue = RedisQueue(redis_url, namespace=namespace)
    yield queue
    queue.close()


def add(queue: RedisQueue, units: int = 3) -> None:
    queue.add_job("job", "/lake", 0, 3)
    assert queue.add_units("job", plan_units(units * 10, 10)) == units


# Time


def test_a_lease_runs_out_by_the_servers_clock(redis_url, namespace):
    queue = RedisQueue(redis_url, lease_seconds=0.05, namespace=namespace)
    add(queue, units=1)
    (lost,) = queue.claim("ann", 1)

    while not (claimed := queue.claim("bob", 1)):
        time.sleep(0.01)

    assert claimed[0].unit == lost.unit
    assert claimed[0].last_error == "lease expired: the worker ann went silent"
    queue.close()


def test_a_lease_without_progress_runs_out_by_the_servers_clock(redis_url, namespace):
    queue = RedisQueue(redis_url, lease_seconds=0.2, stall_seconds=0.1, namespace=namespace)
    add(queue, units=1)
    (lost,) = queue.claim("ann", 1)

    while queue.heartbeat("ann", {lost: 0})[lost] is Order.CONTINUE:
        queue.reap()
        time.sleep(0.01)

    assert queue.claim("bob", 1)[0].last_error == "lease expired: the worker ann made no progress"
    queue.close()


# Keys


def test_every_key_carries_the_hash_tag_of_its_shard(queue, client, namespace):
    add(queue, units=4)
    failed, done, released, _ = queue.claim("ann", 4)
    queue.fail(failed, "broken")
    queue.complete("job", done.unit, RowCounts(ok=10))
    queue.release(released)

    keys = list(client.scan_iter(f"*{namespace}*"))

    assert len(keys) == 10  # as drawn in the legend
    assert {key.split(":")[0] for key in keys} == {f"{{{namespace}}}"}


def test_two_namespaces_do_not_meet(queue, redis_url, namespace):
    other = RedisQueue(redis_url, namespace=f"{namespace}-other")
    add(queue)

    assert other.jobs() == []
    assert other.claim("ann", 1) == []
    other.close()


def test_a_done_unit_leaves_its_name_alone(queue, client, namespace):
    add(queue, units=2)
    for lease in queue.claim("ann", 2):
        queue.fail(lease, "broken")
    for lease in queue.claim("ann", 2):
        queue.heartbeat("ann", {lease: 3})
        queue.complete("job", lease.unit, RowCounts(ok=10))

    shard = f"{{{namespace}}}"
    assert set(client.scan_iter(f"{shard}:*")) == {
        f"{shard}:{name}" for name in ("sequence", "fence", "jobs", "job:job", "done:job")
    }
    assert client.smembers(f"{shard}:done:job") == {
        "000000000000-000000000010",
        "000000000010-000000000020",
    }


def test_a_forgotten_job_leaves_no_keys(queue, client, namespace):
    add(queue)
    leases = queue.claim("ann", 2)
    queue.fail(leases[0], "broken")
    queue.complete("job", Unit(20, 30), RowCounts(ok=10))

    queue.forget("job")
    # What is left of the leases goes once they have run out.
    client.zadd(f"{{{namespace}}}:expiry", {f"job/{leases[1].unit.name}": 1})
    assert queue.reap() == 0

    assert set(client.scan_iter(f"{{{namespace}}}:*")) == {
        f"{{{namespace}}}:fence",
        f"{{{namespace}}}:sequence",
    }


# A server that forgets


def test_scripts_are_loaded_again_when_the_server_has_forgotten_them(queue, client):
    add(queue)

    client.script_flush()

    assert len(queue.claim("ann", 5)) == 3


def test_a_wiped_server_knows_no_job_and_gives_no_fence_twice(redis_url, server):
    queue = RedisQueue(server.url)
    add(queue, units=1)
    (before,) = queue.claim("ann", 1)
    with redis.Redis.from_url(server.url) as client:
        client.flushall()

    with pytest.raises(UnknownJob):
        queue.counts("job")
    assert queue.claim("ann", 1) == []
    assert queue.heartbeat("ann", {before: 1}) == {before: Order.LOST}

    add(queue, units=1)
    (after,) = queue.claim("ann", 1)
    assert after.fence > before.fence
    assert not queue.release(before)
    queue.close()


def test_fences_rise_over_a_restored_snapshot(queue, client, namespace):
    add(queue)
    snapshot = client.get(f"{{{namespace}}}:fence") or 0
    (before,) = queue.claim("ann", 1)

    client.set(f"{{{namespace}}}:fence", snapshot)

    assert queue.claim("ann", 1)[0].fence > before.fence


# A server that does not answer


@pytest.fixture(scope="module")
def queue_of_a_killed_server():
    with EmbeddedValkey() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis_queue, "FIRST_PAUSE_SECONDS", 0.001)
        queue = RedisQueue(server.url)
        add(queue, units=1)
        os.kill(server.pid, signal.SIGKILL)
        yield queue
        queue.close()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_killed_server_is_unavailable_to_every_call(queue_of_a_killed_server, call):
    with pytest.raises(QueueUnavailable, match=r"^the queue's server 127.0.0.1:\d+ does not ans"):
        call(queue_of_a_killed_server)


def test_a_queue_goes_on_when_its_server_is_back(server):
    queue = RedisQueue(server.url)
    add(queue, units=1)
    server.stop()
    with pytest.raises(QueueUnavailable):
        queue.claim("ann", 1)

    server.start()

    add(queue, units=2)
    assert len(queue.claim("ann", 5)) == 2
    queue.close()


def test_the_password_is_never_told(server):
    password = server.url.partition(":")[2].partition("@")[0].removeprefix("//:")
    wrong = RedisQueue(server.url.replace("@", "-wrong@"))
    with pytest.raises(QueueUnavailable, match="refuses the user or password") as refused:
        wrong.check()
    server.stop()
    queue = RedisQueue(server.url)
    with pytest.raises(QueueUnavailable) as gone:
        queue.check()

    assert len(password) >= 24
    for told in (repr(queue), refused.value, refused.value.__cause__, gone.value):
        assert password not in str(told)


@pytest.mark.parametrize("url", ["http://:secret@host:6379", "host:6379", ""])
def test_an_address_of_another_kind_is_refused(url):
    with pytest.raises(QueueMisconfigured, match="redis://HOST:PORT") as refused:
        RedisQueue(url)

    assert "secret" not in str(refused.value)


# A server's memory


def test_a_server_that_evicts_is_refused(server):
    queue = RedisQueue(server.url)
    queue.check()
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")

    with pytest.raises(QueueMisconfigured, match="'allkeys-lru': set it to noeviction"):
        queue.check()
    queue.close()


def test_with_memory_full_claims_stop_and_finished_work_lands(server):
    queue = RedisQueue(server.url)
    add(queue, units=5)
    held, failed, released, done = queue.claim("ann", 4)
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", 1)

    for call in ("add_job", "add_units", "claim"):
        with pytest.raises(QueueUnavailable, match="no memory left"):
            CALLS[call](queue)
    assert queue.heartbeat("ann", {held: 1}) == {held: Order.CONTINUE}
    assert queue.fail(failed, "broken")
    assert queue.release(released)
    queue.complete("job", done.unit, RowCounts(ok=10))
    assert queue.reap() == 0
    assert queue.counts("job") == QueueCounts(3, 1, 1, 10, 0, 0)
    queue.forget("job")
    assert queue.jobs() == []
    queue.close()


# Many processes and threads


def test_a_pickled_queue_is_the_same_queue(redis_url, namespace):
    queue = RedisQueue(redis_url, lease_seconds=0.01, stall_seconds=0.02, namespace=namespace)
    add(queue)

    copy = pickle.loads(pickle.dumps(queue))
    assert len(copy.claim("ann", 2)) == 2
    assert queue.counts("job").ready == 1
    while not copy.reap():  # the copy's leases are as short
        time.sleep(0.01)

    for each in (queue, copy):
        each.close()


def test_one_queue_serves_a_claiming_and_a_beating_thread(queue):
    add(queue, units=300)
    held: dict[Lease, int] = {}
    lost: list[Lease] = []
    finished = threading.Event()

    def beat() -> None:
        step = 0
        while not finished.is_set():
            step += 1
            orders = queue.heartbeat("ann", dict.fromkeys(list(held), step))
            lost.extend(lease for lease, order in orders.items() if order is Order.LOST)

    beating = threading.Thread(target=beat)
    beating.start()
    while leases := queue.claim("ann", 1):
        held[leases[0]] = 0
    finished.set()
    beating.join()

    assert len(held) == 300
    assert lost == []
