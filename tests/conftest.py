"""Real parts that many tests share, and which tests stay together in one process."""

import gc
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ancestral.orchestration.valkey import EmbeddedValkey
from tests.seaweed import seaweed

# Tests time nothing: that a machine is busy is no defect.
settings.register_profile(
    "untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")


LONGEST_ID = 100


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Long values are named by their argument, and bytes, which may hold the time of day: names are
    to be the same in every process."""
    long = isinstance(val, str) and len(val) > LONGEST_ID
    return argname if long or isinstance(val, bytes) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests share what it sets up, and those of the native executor what its draws are
    compared with. Other tests of models need nothing, and are many.

    What takes longest, which is what starts Ray, comes first, and what can go to any process last,
    so that all of them end together.
    """
    turns: dict[pytest.Item, int] = {}
    for item in items:
        folder, inner, *_ = (*item.path.relative_to(Path(__file__).parent).parts, "")
        if folder != "models":
            turns[item] = 0 if item.get_closest_marker("ray") else 1
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
        elif inner == "native":
            turns[item] = 2
            item.add_marker(pytest.mark.xdist_group(inner))
        else:
            turns[item] = 3
    items.sort(key=turns.__getitem__)


def pytest_collection_finish(session: pytest.Session) -> None:
    """With a pytest that pytest-xdist does not know, groups would be torn apart in silence.

    What was imported stays to the end, and need not be looked through for garbage again and again.
    """
    gc.freeze()
    if getattr(session.config.option, "loadgroup", False):
        grouped = [item for item in session.items if item.get_closest_marker("xdist_group")]
        assert all("@" in item.nodeid for item in grouped), "tests do not stay in their groups"


def pytest_unconfigure() -> None:
    """At their end libraries count what is left of theirs, and would call it lost."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A running Valkey; take a `namespace` as well, for all tests share it."""
    with EmbeddedValkey() as server:
        yield server.url


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The endpoint of a running S3 server; the environment holds it and WRITER's credentials."""
    with seaweed() as endpoint:
        yield endpoint


@pytest.fixture
def namespace() -> str:
    """A name of the queue's keys that no other test has."""
    return f"test-{uuid.uuid4().hex}"
