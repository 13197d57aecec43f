"""A fleet on a cluster of several nodes, one of which is about to go."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.orchestration.cluster import cluster, draining_nodes, ray_module
from ancestral.orchestration.fleet import Fleet
from ancestral.orchestration.serve import Service
from tests.orchestration.test_fleet import plan, tend_until
from tests.orchestration.tiny import tiny_settings, tiny_spec

pytestmark = [pytest.mark.ray, pytest.mark.redis]


@pytest.fixture
def nodes() -> Iterator[Any]:
    """A head on which no sampler runs; the test adds others."""
    ray_cluster = ray_module("ray.cluster_utils").Cluster()
    try:
        ray_cluster.add_node(num_cpus=0, include_dashboard=False)
        with cluster(ray_cluster.address):
            yield ray_cluster
    finally:
        ray_cluster.shutdown()


def test_samplers_of_a_node_that_is_about_to_go_finish_and_others_take_over(
    nodes: Any, tmp_path: Path, redis_url: str, namespace: str
) -> None:
    # Given a sampler that works on one node
    settings = tiny_settings(tmp_path)
    queue = RedisQueue(redis_url, namespace=namespace)
    client = Client(settings, queue)
    first = nodes.add_node(num_cpus=1)
    said: list[str] = []
    service = Service(client, queue, samplers=1, slots=4, device="cpu")
    fleet = Fleet(plan(service), 1, said.append)
    fleet.start()
    try:
        tend_until(fleet, lambda: bool(fleet.workers))
        [leaving] = fleet.workers
        assert draining_nodes() == frozenset()

        # When that node is told to go, and another comes
        _drain(nodes.address, first.node_id)
        tend_until(fleet, lambda: fleet.workers == [])
        assert said == [
            f"node {first.node_id} is about to go; its samplers finish, and others take over"
        ]
        nodes.add_node(num_cpus=1)

        # Then another sampler draws what is asked for, and none was mourned
        job = client.submit(tiny_spec(tmp_path / "lake"))
        tend_until(fleet, lambda: queue.counts(job.job_id).rows_decided == job.rows)
        assert fleet.workers != [leaving]
        assert len(said) == 1
    finally:
        fleet.stop(0.0)


def _drain(address: str, node: str) -> None:
    reason = ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "a test"]
    deadline = ["--deadline-remaining-seconds", "600"]
    options = ["--address", address, "--node-id", node, *reason, *deadline]
    command = [sys.executable, "-m", "ray.scripts.scripts", "drain-node", *options]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
