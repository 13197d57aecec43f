"""A node of the cluster is lost in the middle of a job: its raylet, and its sampler with it."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.records import RowsRecord
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.spec import Job
from ancestral.orchestration.cluster import OBJECT_STORE_BYTES, cluster, ray_module
from ancestral.orchestration.interrupt import Interrupt
from ancestral.orchestration.serve import Service, run_job
from tests.orchestration.tiny import (
    drawn_in_peace,
    is_running,
    pid_of,
    publish_tiny,
    tiny_settings,
    tiny_spec,
)
from tests.workers.fakes import eventually

pytestmark = [pytest.mark.ray, pytest.mark.redis]

#: So long that the units of the lost node come back without their leases running out.
LEASE_SECONDS = 3600.0

#: Rows of so many pixels a side that none of two samplers draws all before the other has begun.
ROWS, SIDE = 3000, 48


@pytest.fixture
def node() -> Iterator[Any]:
    """The second node of a cluster of two, with room for one sampler each."""
    resources = {"num_cpus": 1, "object_store_memory": OBJECT_STORE_BYTES}
    nodes = ray_module("ray.cluster_utils").Cluster(
        initialize_head=True, head_node_args={**resources, "include_dashboard": False}
    )
    try:
        second = nodes.add_node(**resources)
        nodes.wait_for_nodes()
        with cluster(nodes.address):
            yield second
    finally:
        nodes.shutdown()


class Killer(Interrupt):
    """Looks on while a job runs, and kills a node once both samplers have committed a unit."""

    def __init__(self, client: Client, job: Job, node: Any) -> None:
        super().__init__()
        self._ledger = Ledger(client.store(job.job_id), job.job_id)
        self._job = job
        [raylet] = node.all_processes["raylet"]
        self._raylet = raylet.process.pid
        #: What was committed when the node was killed.
        self.before: list[RowsRecord] | None = None

    def wait(self, seconds: float) -> bool:
        if self.before is None:
            records = list(self._ledger.records(self._job))
            if len({record.worker for record in records}) == 2:
                os.kill(self._raylet, signal.SIGKILL)
                self.before = records
        return super().wait(0.05)


def test_the_samplers_of_the_other_node_draw_what_is_left(
    tmp_path: Path, redis_url: str, namespace: str, node: Any
) -> None:
    # Given
    queue = RedisQueue(redis_url, LEASE_SECONDS, namespace=namespace)
    client = Client(tiny_settings(tmp_path), queue)
    publish_tiny(client.settings, height=SIDE, width=SIDE)
    service = Service(client, queue, samplers=2, slots=16, device="cpu")
    job = client.submit(tiny_spec(tmp_path / "lake", samples=ROWS // 10, unit={"rows": 20}))
    killer = Killer(client, job, node)

    # When
    manifest = run_job(service, job, io.StringIO(), killer)

    # Then
    assert killer.before is not None
    assert sum(record.counts.total for record in killer.before) < ROWS
    assert manifest.rows_ok == manifest.rows == ROWS
    eventually(lambda: not all(is_running(pid_of(each.worker)) for each in killer.before))
    disturbed = client.results(job.job_id).table()
    undisturbed = drawn_in_peace(client.settings, tmp_path / "peace", samples=ROWS // 10)
    assert disturbed["ordinal"].to_pylist() == list(range(ROWS))
    assert disturbed["sha256"].equals(undisturbed["sha256"])
