"""A group's committed offsets, looked at often: by a consumer that never joins; the admin client is not made for fifty calls a second."""

import asyncio
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition

from connectors.kafka.settings import LOGGER, KafkaSettings
from schemas.positions import Source


class CommittedOffsets:
    """Of one group and some partitions."""

    def __init__(self, settings: KafkaSettings, group: str, sources: Sequence[Source]) -> None:
        self._consumer = Consumer(settings.reader(group), logger=LOGGER)
        self._asked = [TopicPartition(*source) for source in sources]

    async def total(self) -> int:
        """The sum of the committed offsets; 0 where nothing is committed or the group's coordinator does not answer yet."""
        try:
            found = await asyncio.to_thread(self._consumer.committed, self._asked, 5.0)
        except KafkaException:
            return 0
        return sum(max(0, at.offset) for at in found)

    async def close(self) -> None:
        """Let go of the connections."""
        await asyncio.to_thread(self._consumer.close)
