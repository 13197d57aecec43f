"""Real parts that many tests share."""

import uuid
from collections.abc import Iterator

import pytest

from ancestral.orchestration.valkey import EmbeddedValkey


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A running Valkey; take a `namespace` as well, for all tests share it."""
    with EmbeddedValkey() as server:
        yield server.url


@pytest.fixture
def namespace() -> str:
    """A name of the queue's keys that no other test has."""
    return f"test-{uuid.uuid4().hex}"
