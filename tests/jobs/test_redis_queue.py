"""What is Redis's own: its clock, its keys, its memory, and many who call it."""

import pickle
import threading
import time
from collections.abc import Iterator

import pytest
import redis

from ancestral.jobs.errors import QueueMisconfigured, QueueUnavailable
from ancestral.jobs.intents import Wanted
from ancestral.jobs.queue import Lease, Order, Progress, Queue, QueuedJob
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.units import Unit, plan_units
from ancestral.orchestration.valkey import EmbeddedValkey
from tests.jobs.rigs import TEN, add, beat, standing

pytestmark = pytest.mark.redis

JOB = QueuedJob("job", "/lake/job", 0, 50)


@pytest.fixture
def server() -> Iterator[EmbeddedValkey]:
    """A server of the test's own, to be misconfigured."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def queue(redis_url: str, namespace: str) -> Iterator[Queue]:
    queue = RedisQueue(redis_url, namespace=namespace)
    yield queue
    queue.close()


# Time


def test_a_lease_runs_out_by_the_servers_clock(redis_url: str, namespace: str) -> None:
    queue = RedisQueue(redis_url, lease_seconds=0.05, namespace=namespace)
    add(queue, units=1)
    (lost,) = queue.claim("ann", 1)

    while not (claimed := queue.claim("bob", 1)):
        time.sleep(0.01)

    assert claimed[0].unit == lost.unit
    assert claimed[0].last_error == "lease expired: the worker ann went silent"
    queue.close()


def test_a_lease_without_progress_runs_out_by_the_servers_clock(
    redis_url: str, namespace: str
) -> None:
    queue = RedisQueue(redis_url, lease_seconds=0.2, stall_seconds=0.1, namespace=namespace)
    add(queue, units=1)
    (lost,) = queue.claim("ann", 1)

    while beat(queue, lost, moved=0) is Order.CONTINUE:
        queue.reap()
        time.sleep(0.01)

    # Of a test that pauses, that ann went silent.
    assert queue.claim("bob", 1)[0].last_error.startswith("lease expired: the worker ann ")
    queue.close()


# Keys


def test_every_key_carries_the_hash_tag_of_its_shard(
    queue: Queue, client: redis.Redis, namespace: str
) -> None:
    add(queue, units=5)
    failed, broken, done, released, _ = queue.claim("ann", 5, device="node/cuda:0", ticket="one")
    queue.fail(failed, "broken")
    queue.fail(broken, "broken")
    queue.complete("job", done.unit, TEN)
    queue.complete("job", failed.unit, TEN, "node/cuda:1")
    queue.release(released, "it cannot be drawn here")

    keys = list(client.scan_iter(f"*{namespace}*"))

    assert len(keys) == 17  # as drawn in the legend
    assert {key.split(":")[0] for key in keys} == {f"{{{namespace}}}"}


def test_two_namespaces_do_not_meet(queue: Queue, redis_url: str, namespace: str) -> None:
    other = RedisQueue(redis_url, namespace=f"{namespace}-other")
    add(queue)

    assert other.jobs() == []
    assert other.claim("ann", 1) == []
    other.close()


def test_a_decided_unit_leaves_one_field(queue: Queue, client: redis.Redis, namespace: str) -> None:
    add(queue, units=3)
    for lease in queue.claim("ann", 2):
        queue.fail(lease, "broken")
    for lease in queue.claim("ann", 2):
        beat(queue, lease, moved=3)
        queue.complete("job", lease.unit, TEN)
    queue.restore("job", 1, rows=[Unit(10, 20)], split=[Unit(30, 40)])

    shard = f"{{{namespace}}}"
    names = ("sequence", "fence", "jobs", "workers", "expiry")
    of_job = ("job:job", "decided:job", "pace:job")
    assert {*client.scan_iter(f"{shard}:*")} == {f"{shard}:{name}" for name in names + of_job}
    assert client.zrange(f"{shard}:expiry", 0, -1) == ["/silence"]
    assert client.hgetall(f"{shard}:decided:job") == {
        "000000000010-000000000020": "rows",
        "000000000020-000000000030": "rows 10 0 0",
        "000000000030-000000000040": "split",
        "000000000000-000000000010": "rows 10 0 0",
    }


@pytest.mark.parametrize("end", ["forgotten", "built anew"])
def test_a_job_that_ends_leaves_no_units(
    queue: Queue, client: redis.Redis, namespace: str, end: str
) -> None:
    add(queue, units=5)
    leases = queue.claim("ann", 2)
    queue.fail(leases[0], "broken")
    queue.complete("job", Unit(20, 30), TEN)
    (declined,) = queue.claim("bob", 1, device="node/cpu")
    queue.release(declined, "it cannot be drawn here")

    if end == "forgotten":
        queue.forget("job")
    else:
        queue.begin_rebuild(JOB, 2)
    # What is left of the leases goes once they have run out.
    client.zadd(f"{{{namespace}}}:expiry", {f"job/{leases[1].unit.name}": 1})
    assert queue.reap() == 0

    assert client.zrange(f"{{{namespace}}}:expiry", 0, -1) == ["/silence"]
    kept = {"fence", "sequence", "workers", "devices", "expiry"}
    if end != "forgotten":
        kept |= {"jobs", "job:job", "declined:job"}
    assert {*client.scan_iter(f"{{{namespace}}}:*")} == {f"{{{namespace}}}:{name}" for name in kept}


# A server's memory


def test_a_server_that_evicts_is_refused(server: EmbeddedValkey) -> None:
    queue = RedisQueue(server.url)
    queue.check()
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")

    with pytest.raises(QueueMisconfigured, match="'allkeys-lru': set it to noeviction"):
        queue.check()
    queue.close()


def test_with_memory_full_claims_stop_and_finished_work_lands(server: EmbeddedValkey) -> None:
    queue = RedisQueue(server.url)
    add(queue, units=7)
    held, failed, released, done, cut, _ = queue.claim("ann", 6)
    queue.claim("bob", 1)
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", 1)

    with pytest.raises(QueueUnavailable, match="no memory left"):
        queue.claim("ann", 1)
    with pytest.raises(QueueUnavailable, match="no memory left"):
        queue.begin_rebuild(JOB, 2)
    with pytest.raises(QueueUnavailable, match="no memory left"):
        queue.restore("job", 1, [Unit(70, 80)])
    assert beat(queue, held) is Order.CONTINUE
    assert queue.fail(failed, "broken")
    assert queue.release(released)
    queue.complete("job", done.unit, TEN)
    kept = queue.split("job", cut.unit, cut.unit.start + 4, 1, "broken", keep=cut)
    assert kept is not None
    assert queue.expire("bob") == 1
    assert queue.reap() == 0
    assert standing(queue) == (4, 3, 1)
    assert queue.want("job", Wanted.PAUSE, 1)
    assert beat(queue, kept) is Order.HAND_BACK
    queue.pardon("node/cuda:0")
    queue.forget("job")
    assert queue.jobs() == []
    queue.close()


# Many processes and threads


def test_a_pickled_queue_is_the_same_queue(redis_url: str, namespace: str) -> None:
    queue = RedisQueue(redis_url, lease_seconds=0.01, stall_seconds=0.02, namespace=namespace)
    add(queue)

    copy = pickle.loads(pickle.dumps(queue))
    assert len(copy.claim("ann", 2)) == 2
    assert queue.counts("job").ready == 1
    while not copy.reap():  # the copy's leases are as short
        time.sleep(0.01)

    for each in (queue, copy):
        each.close()


def test_one_queue_serves_a_claiming_and_a_beating_thread(queue: Queue) -> None:
    add(queue, units=300)
    held: dict[Lease, None] = {}
    lost: list[Lease] = []
    finished = threading.Event()

    def beat_on() -> None:
        step = 0
        while not finished.is_set():
            step += 1
            orders = queue.heartbeat("ann", dict.fromkeys(list(held), Progress(step)))
            lost.extend(lease for lease, order in orders.items() if order is Order.LOST)

    beating = threading.Thread(target=beat_on)
    beating.start()
    while leases := queue.claim("ann", 1):
        held[leases[0]] = None
    finished.set()
    beating.join()

    assert len(held) == 300
    assert lost == []


def test_a_large_job_is_restored_while_others_are_claimed_from(queue: Queue) -> None:
    add(queue, units=3)
    queue.begin_rebuild(QueuedJob("large", "/lake/large", 9, 100_000), 1)
    claimed: list[Lease] = []

    def slowly() -> Iterator[Unit]:
        for number, unit in enumerate(plan_units(100_000, 100)):
            if number % 300 == 200:
                claimed.extend(queue.claim("ann", 1))
            yield unit

    assert queue.restore("large", 1, slowly())

    assert [lease.job_id for lease in claimed] == ["job"] * 3
    assert standing(queue, "large") == (1000, 0, 0)
