"""Real parts that many tests share, and which tests stay together in one process."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ancestral.orchestration.valkey import EmbeddedValkey
from tests.seaweed import seaweed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start Ray follow one another, for each takes all processors; a file's tests share
    what it sets up, but for those of models, which need nothing and are many.

    What takes longest comes first, and what can go to any process last, so that all of them end
    together.
    """
    turns: dict[pytest.Item, int] = {}
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if item.get_closest_marker("ray"):
            turns[item] = 0
            item.add_marker(pytest.mark.xdist_group("ray"))
        elif folder != "models":
            turns[item] = 1
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
        else:
            turns[item] = 2
    items.sort(key=turns.__getitem__)


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
