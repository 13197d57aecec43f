"""A queue whose Redis server forgets: its scripts, its last moments, or everything."""

from pathlib import Path

import pytest
import redis

from ancestral.jobs.errors import UnknownJob
from ancestral.jobs.queue import Order, QueuedJob
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.orchestration.valkey import EmbeddedValkey
from tests.faults.durable import DurableValkey
from tests.jobs.rigs import TEN, add, beat, units_of

pytestmark = pytest.mark.redis


def test_scripts_are_loaded_again_when_the_server_has_forgotten_them(
    redis_url: str, namespace: str
) -> None:
    queue = RedisQueue(redis_url, namespace=namespace)
    add(queue)

    with redis.Redis.from_url(redis_url) as client:
        client.script_flush()

    assert len(queue.claim("ann", 1)) == 1
    queue.close()


def test_a_wiped_server_knows_no_job_and_gives_no_fence_twice() -> None:
    with EmbeddedValkey() as server:
        queue = RedisQueue(server.url)
        add(queue, units=1)
        (before,) = queue.claim("ann", 1)
        with redis.Redis.from_url(server.url) as client:
            client.flushall()

        with pytest.raises(UnknownJob):
            queue.counts("job")
        assert queue.claim("ann", 1) == []
        assert beat(queue, before) is Order.CONTINUE

        add(queue, units=1)
        (after,) = queue.claim("ann", 1)
        assert after.fence > before.fence
        assert not queue.release(before)
        queue.close()


def test_a_server_started_from_an_old_file_makes_its_jobs_stale(tmp_path: Path) -> None:
    with DurableValkey(tmp_path / "valkey") as server:
        queue = RedisQueue(server.url)
        add(queue, "other", units=1)
        units = add(queue, units=3)
        (held,) = queue.claim("ann", 1, "job")
        server.keep_files()
        queue.complete("job", held.unit, TEN)
        (later,) = queue.claim("ann", 1, "job")
        server.kill()
        server.restore_files()
        server.start()

        counts = queue.counts("job")
        assert (counts.stale, counts.ready, counts.leased, counts.done) == (True, 2, 1, 0)
        assert queue.claim("bob", 5) == []
        assert queue.claim("bob", 5, "job") == []
        assert beat(queue, held) is Order.CONTINUE
        assert beat(queue, later) is Order.CONTINUE
        assert not queue.fail(held, "broken")
        assert not queue.release(held)
        assert queue.split("job", held.unit, 4, keep=held) is None
        assert not queue.restore("job", 1, units)
        assert not queue.end_rebuild("job", 1)

        assert queue.begin_rebuild(QueuedJob("job", "/lake/job", 0, 30), 2)
        assert queue.restore("job", 2, units[1:], units[:1])
        assert queue.end_rebuild("job", 2)
        leases = queue.claim("bob", 5)
        assert units_of(leases) == units[1:]  # and none of the other job, which is stale
        assert min(lease.fence for lease in leases) > later.fence
        assert not queue.counts("job").stale
        queue.close()
