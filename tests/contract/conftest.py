"""Fixtures of the contract suites."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.fabrics import Fabric, KafkaFabric, MemoryFabric


@pytest.fixture(params=["memory", "kafka"])
async def fabric(request: pytest.FixtureRequest) -> AsyncIterator[Fabric]:
    """The log's ports: in memory, and on the real stack."""
    made: Fabric = MemoryFabric() if request.param == "memory" else KafkaFabric(request.getfixturevalue("stack").bootstrap)
    yield made
    await made.close()
