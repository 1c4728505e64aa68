"""The publisher port in memory."""

from collections.abc import Sequence

from connectors.log import Outgoing
from connectors.memory.broker import MemoryBroker
from schemas.positions import Position


class MemoryPublisher:
    """A `Publisher` on a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def publish(self, outgoing: Outgoing) -> Sequence[Position]:
        """See Publisher."""
        return self._broker.append(outgoing)

    async def close(self) -> None:
        """See Publisher."""
