import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from concurrent.futures import Future
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ancestral.jobs.redis_queue import RedisQueue
from ancestral.orchestration import valkey
from ancestral.orchestration.errors import ServiceUnavailable
from ancestral.orchestration.valkey import EmbeddedValkey

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def server():
    with EmbeddedValkey() as server:
        yield server


def answers(url: str) -> bool:
    with redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def until_it_no_longer_answers(url: str) -> None:
    while answers(url):
        time.sleep(0.02)


def setting(url: str, name: str) -> str:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return client.config_get(name)[name]


def test_the_server_is_fit_to_be_a_queue(server):
    queue = RedisQueue(server.url)
    queue.check()
    queue.close()


def test_the_server_keeps_nothing_on_disk(server):
    assert setting(server.url, "appendonly") == "no"
    assert setting(server.url, "save") == ""
    with redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        with pytest.raises(redis.ResponseError):
            client.save()


def test_the_server_listens_to_this_machine_alone(server):
    assert setting(server.url, "bind") == "127.0.0.1"


def test_nobody_enters_without_the_password(server):
    without = server.url.partition("@")[2]

    assert not answers(f"redis://{without}")
    assert not answers(f"redis://:guess@{without}")


def test_the_password_is_not_in_the_list_of_processes(server):
    password = server.url.partition("@")[0].removeprefix("redis://:")
    process = Path(f"/proc/{server.pid}")

    assert len(password) >= 24
    for told in ("cmdline", "environ"):
        assert password.encode() not in (process / told).read_bytes()


def test_two_servers_run_side_by_side(server):
    with EmbeddedValkey() as other:
        assert other.url != server.url
        assert answers(other.url)


def test_a_stopped_server_is_gone(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server = EmbeddedValkey()
    server.start()
    url, pid = server.url, server.pid
    assert list(tmp_path.iterdir()) == []

    server.stop()
    server.stop()

    assert not answers(url)
    assert not Path(f"/proc/{pid}").exists()


def test_a_server_starts_again_under_the_same_url():
    server = EmbeddedValkey()
    server.start()
    url = server.url
    server.stop()

    with server:
        assert server.url == url
        assert answers(url)


def test_a_killed_server_can_still_be_stopped():
    with EmbeddedValkey() as server:
        os.kill(server.pid, signal.SIGKILL)
        until_it_no_longer_answers(server.url)


def test_a_given_port_is_used():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with EmbeddedValkey(port) as server:
        assert server.url.endswith(f"@127.0.0.1:{port}/0")
        assert answers(server.url)


def test_a_taken_port_is_named_and_nothing_is_left():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = EmbeddedValkey(port)

        with pytest.raises(ServiceUnavailable, match=f":{port}, the port is taken") as refused:
            server.start()

    assert refused.value.exit_code == 3
    with server:  # the port is free now
        assert answers(server.url)


def test_a_port_taken_by_another_queue_server_is_not_mistaken_for_ours(server):
    port = int(server.url.partition("@127.0.0.1:")[2].removesuffix("/0"))

    with pytest.raises(ServiceUnavailable, match="the port is taken"):
        EmbeddedValkey(port).start()


def test_a_free_port_lost_to_another_process_is_replaced(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = valkey._free_ports(1)
        monkeypatch.setattr(valkey, "_free_ports", lambda _: [taken.getsockname()[1], *free])

        with EmbeddedValkey() as server:
            assert server.url.endswith(f":{free[0]}/0")


def test_a_server_that_cannot_start_says_why(monkeypatch):
    monkeypatch.setattr(valkey, "_CONFIG", valkey._CONFIG + "no-such-setting yes\n")
    with pytest.raises(ServiceUnavailable, match="the queue server does not start: "):
        EmbeddedValkey().start()


def test_a_server_that_is_not_installed_says_so(monkeypatch):
    monkeypatch.setattr(valkey, "SERVER_EXECUTABLE", "/nowhere/valkey-server")
    with pytest.raises(ServiceUnavailable, match="'/nowhere/valkey-server' is not there"):
        EmbeddedValkey().start()


def test_a_server_without_a_folder_for_a_moment_says_so(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")
    with pytest.raises(ServiceUnavailable, match=r"in /proc/nowhere \(.*set TMPDIR to another"):
        EmbeddedValkey().start()


def test_a_process_that_cannot_be_made_says_so(monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(ServiceUnavailable, match="the queue server cannot be started: "):
        EmbeddedValkey().start()


# The life of the process that started it


def start_parent(body: str) -> tuple[subprocess.Popen[str], str]:
    """A process, leader of its own group, that starts a server, tells its URL, and does `body`."""
    program = "\n".join(
        [
            "import os, signal, sys, threading, time",
            # As a terminal has it; a shell's background processes ignore it.
            "signal.signal(signal.SIGINT, signal.default_int_handler)",
            "from ancestral.orchestration.valkey import EmbeddedValkey",
            "server = EmbeddedValkey()",
            textwrap.dedent(body),
        ]
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    return parent, parent.stdout.readline().strip()


def end(parent: subprocess.Popen[str]) -> str:
    """What the parent still had to say."""
    said, _ = parent.communicate()
    return said.strip()


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_with_its_parent(death):
    parent, url = start_parent(
        """
        server.start()
        print(server.url, flush=True)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        time.sleep(1000)
        """
    )
    assert answers(url)

    parent.send_signal(death)
    end(parent)

    assert parent.returncode == -death
    until_it_no_longer_answers(url)


def test_a_ctrl_c_while_the_server_is_started_leaves_none(monkeypatch):
    # Given a Ctrl-C that comes when the process is made, and nobody knows yet which it is
    launched = []

    class Interrupted(Future):
        def result(self, timeout=None):
            launched.append(super().result(timeout))
            raise KeyboardInterrupt

    monkeypatch.setattr(valkey, "Future", Interrupted)

    # When
    with pytest.raises(KeyboardInterrupt):
        EmbeddedValkey().start()

    # Then it ends
    assert launched[0].wait(30) == -signal.SIGKILL


def test_the_server_ends_with_a_parent_that_forgot_to_stop_it():
    parent, url = start_parent("server.start(); print(server.url, flush=True); sys.stdin.read(1)")

    end(parent)

    assert parent.returncode == 0
    assert not answers(url)


def test_ctrl_c_in_the_terminal_leaves_the_server_to_its_draining_parent():
    parent, url = start_parent(
        """
        from ancestral.jobs.redis_queue import RedisQueue
        with server:
            try:
                print(server.url, flush=True)
                time.sleep(1000)
            except KeyboardInterrupt:
                queue = RedisQueue(server.url)
                queue.check()
                print("drained", flush=True)
        """
    )

    os.killpg(parent.pid, signal.SIGINT)

    assert end(parent) == "drained"
    assert parent.returncode == 0
    assert not answers(url)


def test_the_server_outlives_the_thread_that_started_it():
    parent, url = start_parent(
        """
        starting = threading.Thread(target=server.start)
        starting.start()
        starting.join()
        while os.path.exists(f"/proc/self/task/{starting.native_id}"):
            time.sleep(0.01)
        print(server.url, flush=True)
        sys.stdin.read(1)
        """
    )
    assert answers(url)

    end(parent)
    assert not answers(url)
