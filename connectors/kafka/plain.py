"""The log without transactions, at least once: a benchmark tells by it what transactions cost. Nothing else uses it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from connectors.kafka.errors import translated
from connectors.kafka.log import KafkaLog
from connectors.kafka.producing import TransactionalProducer
from connectors.kafka.settings import Conf, KafkaSettings
from connectors.kafka.threads import post
from connectors.log import Commit
from schemas.errors import FatalError


class PlainProducer(TransactionalProducer):
    """Idempotent. A record that does not land is fatal: the client must not go on behind a gap."""

    def _conf(self, settings: KafkaSettings, slot: str) -> Any:
        failed: Conf = {"enable.gapless.guarantee": True}
        return settings.producer() | failed | {"error_cb": self._heard}

    def _heard(self, error: KafkaError) -> None:
        if error.code() == KafkaError._FATAL:
            self._dead = FatalError(f"a record did not land: {error.str()}")

    async def start(self) -> None:
        """There is nobody to fence."""

    async def begin(self) -> None:
        """Start anew."""
        self._open, self._refused, self._tracked = True, None, []

    async def commit(self, commits: Sequence[Commit], metadata: Any) -> None:
        """See that all has landed; the offsets are the consumer's to commit."""
        del commits, metadata
        if self._dead is not None:
            raise self._dead
        if self._refused is not None:
            raise self._refused
        self._open = False

    async def abort(self) -> None:
        """What was sent stays: it comes twice."""
        self._open, self._refused, self._tracked = False, None, []


class AtLeastOnceLog(KafkaLog):
    """Commits the offsets once all outcomes have landed."""

    producer = PlainProducer

    async def commit(self, commits: Sequence[Commit]) -> None:
        """See Log."""
        await super().commit(commits)
        offsets = [TopicPartition(*commit.source, commit.offset, commit.metadata) for commit in commits]
        thread = self._joined()
        try:
            await post(thread.inbox, partial(thread.do_commit, offsets))
        except KafkaException as error:
            raise translated(error, "committing offsets") from error
