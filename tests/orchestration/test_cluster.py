"""A local Ray comes and goes without a trace; a cluster that is not there is said at once."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time

import pytest

from ancestral.orchestration.cluster import TEMPORARY_ROOT, Resources, cluster, ray
from ancestral.orchestration.errors import ServiceUnavailable, Stopped
from tests.orchestration.tiny import is_running


@pytest.mark.ray
def test_a_local_ray_leaves_nothing_behind(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir=TEMPORARY_ROOT) as root:
        monkeypatch.setattr("ancestral.orchestration.cluster.TEMPORARY_ROOT", root)

        # When a process of it is killed, too
        with cluster(cpus=3) as resources:
            pid = ray.get(ray.remote(lambda: os.getpid()).remote())
            assert is_running(pid)
            assert os.listdir(root)
            dies = ray.remote(max_retries=0)(lambda: os.abort()).remote()
            with pytest.raises(ray.exceptions.WorkerCrashedError):
                ray.get(dies)

        # Then
        assert resources == Resources(cpus=3, gpus=0)
        assert not ray.is_initialized()
        assert os.listdir(root) == []
    deadline = time.monotonic() + 20
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_running(pid)
    # And it had nothing to say
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


def test_a_cluster_that_is_not_there_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with pytest.raises(ServiceUnavailable, match=f"127.0.0.1:{port}.*RAY_ADDRESS"):
        with cluster(f"127.0.0.1:{port}"):
            pass


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(ServiceUnavailable, match="'nonsense'"):
        with cluster("nonsense"):
            pass


def test_a_ray_that_is_late_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a machine on which Ray's processes do not answer in time
    def init(**settings: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", init)

    # When, then
    with pytest.raises(ServiceUnavailable, match=r"Ray did not start: .* timed out .*; try again"):
        with cluster():
            pass


def test_without_room_for_rays_folder_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ancestral.orchestration.cluster.TEMPORARY_ROOT", "/proc/nowhere")

    with pytest.raises(ServiceUnavailable, match="needs a folder in /proc/nowhere"):
        with cluster():
            pass


def test_rays_processes_outlive_a_terminal_until_they_are_drained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given what a process inherits that is started while Ray starts
    blocked = []

    def init(**settings: object) -> None:
        blocked.append(signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, []))

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "cluster_resources", dict)

    # When, then
    with cluster():
        blocked.append(signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, []))
    assert blocked == [True, False]


@pytest.mark.usefixtures("attended")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_stop_waits_until_ray_has_started(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    # Given somebody who presses Ctrl-C, or closes the terminal, while Ray starts
    done = []

    def init(**settings: object) -> None:
        os.kill(os.getpid(), number)
        done.append("started")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: done.append("ended"))
    before = signal.getsignal(number)

    # When
    with pytest.raises(Stopped), cluster():
        done.append("used")

    # Then Ray came up and went down in order
    assert done == ["started", "ended"]
    assert signal.getsignal(number) is before


def test_places_for_samplers() -> None:
    assert Resources(cpus=4, gpus=0).places("cpu") == 4
    assert Resources(cpus=4, gpus=2).places("cuda") == 2
    with pytest.raises(ServiceUnavailable, match="no GPU"):
        Resources(cpus=4, gpus=0).places("cuda")


@pytest.mark.parametrize(
    ("gpus", "places"), [(1.0, 2), (0.5, 4), (0.4, 4), (0.1, 16), (1 / 3, 6), (0.25, 8)]
)
def test_a_gpu_has_places_for_as_many_samplers_as_share_it(gpus: float, places: int) -> None:
    assert Resources(cpus=16, gpus=2).places("cuda", gpus) == places
    assert Resources(cpus=16, gpus=2).places("cpu", gpus) == 16
