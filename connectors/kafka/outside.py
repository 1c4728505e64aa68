"""Commits for a group from outside, in one transaction with records: only for a group that nobody is a member of."""

import asyncio
from collections.abc import Callable, Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition

from connectors.kafka.admin import KafkaAdmin
from connectors.kafka.errors import translated
from connectors.kafka.producing import TransactionalProducer
from connectors.kafka.settings import LOGGER, KafkaSettings
from connectors.log import Commit, Outgoing
from schemas.errors import FailedError, UsageError
from schemas.positions import Source

_ASK_S = 20.0  # an open transaction on the offsets may take as long to end


class Outside:
    """One group. The broker would take a transaction's offsets beside members too: they are looked for again before the commit."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._group = group
        self._admin = KafkaAdmin(settings)
        self._consumer = Consumer(settings.reader(group), logger=LOGGER)
        self._producer = TransactionalProducer(settings, f"{group}-outside")

    async def require_empty(self) -> None:
        """See that the group has no members.

        Raises:
            UsageError: it has.
        """
        members = [member for found in await self._admin.groups() if found.name == self._group for member in found.members]
        if members:
            hint = "Stop its workers; a worker that was killed is a member for ten seconds more."
            raise UsageError(f"the flow {self._group} is running: {', '.join(members)}", hint)

    async def committed(self, source: Source) -> Commit | None:
        """What the group has committed."""
        try:
            (found,) = await asyncio.to_thread(self._consumer.committed, [TopicPartition(*source)], _ASK_S)
        except KafkaException as error:
            raise FailedError(translated(error, f"reading what is committed of {source}").sentence) from error
        return Commit(source, found.offset, found.metadata or "") if found.offset >= 0 else None

    async def commit(self, outgoing: Outgoing, committing: Callable[[Sequence[int]], Commit]) -> None:
        """Write records, and commit what `committing` makes of the offsets at which they landed: both, or nothing."""
        await self._producer.start()
        await self._producer.begin()
        self._producer.produce(outgoing)
        made = committing(await self._producer.flush())
        await self.require_empty()
        await self._producer.commit([made], await asyncio.to_thread(self._consumer.consumer_group_metadata))

    async def close(self) -> None:
        """Abort what is open and let go of the connections."""
        await self._producer.close()
        await asyncio.to_thread(self._consumer.close)
