"""What tests share: the real stack, started once and only when a test asks for it, and a proxy before its broker."""

from collections.abc import Iterator

import pytest

from tests.serving import Served, running_serve
from tests.stack import Proxy, TestStack, running_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[TestStack]:
    """The real Kafka and Valkey of this session. Topics and keys get random names, since all tests share them."""
    with running_stack("kafka", "redis") as running:
        yield running


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """The real model server of this session."""
    with running_serve() as running:
        yield running


@pytest.fixture
def proxy(stack: TestStack) -> Iterator[Proxy]:
    """Stands between clients of `stack.second_bootstrap` and the broker, and can cut, freeze and heal."""
    between = Proxy(stack.second_bootstrap, stack.second)
    yield between
    between.cut()
