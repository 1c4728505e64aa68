"""The log port on Kafka: one static member of a group and one transactional producer under the same slot name."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial

from confluent_kafka import KafkaException

from connectors.hanging import OFFSETS_HINT
from connectors.kafka.admin import KafkaAdmin
from connectors.kafka.columns import source_of
from connectors.kafka.errors import Kind, kind_of, translated
from connectors.kafka.fetching import FetchThread
from connectors.kafka.producing import TransactionalProducer
from connectors.kafka.reach import require
from connectors.kafka.ready import Answer, Demand
from connectors.kafka.settings import LOGGER, KafkaSettings
from connectors.kafka.threads import post
from connectors.kafka.unheld import Unheld
from connectors.log import Commit, Ends, Fetched, Outgoing, Owner
from schemas.errors import FailedError, FatalError, RetriableError
from schemas.positions import Source


class KafkaLog:
    """A `Log`. Rebalances are heard of as long as fetch() is called from time to time: the client waits while a full batch lies ready."""

    producer: type[TransactionalProducer] = TransactionalProducer

    def __init__(self, settings: KafkaSettings, group: str, slot: str) -> None:
        self._settings, self._group, self._slot = settings, group, slot
        self._admin: KafkaAdmin | None = None
        self._producer: TransactionalProducer | None = None
        self._fenced: asyncio.Task[None] | None = None
        self._fetching: FetchThread | None = None
        self._unheld: Unheld | None = None
        self._owner: Owner | None = None
        self._asked: asyncio.Future[Answer] | None = None

    def fence(self) -> asyncio.Task[None]:
        """Begin to fence earlier holders of the slot: half a second, where a transaction of theirs is open. start() waits for it."""
        if self._fenced is None:
            self._producer = self.producer(self._settings, self._slot)
            self._fenced = asyncio.create_task(self._producer.start())
        return self._fenced

    async def start(self, topics: Sequence[str], owner: Owner) -> None:
        """See Log."""
        await asyncio.to_thread(require, self._settings, topics)
        self._owner = owner
        self._admin = KafkaAdmin(self._settings)
        await self.fence()
        self._fetching = FetchThread(self._settings, self._group, self._slot, topics, self)
        self._fetching.thread.start()
        self._unheld = Unheld(self._settings, self._group, self._slot, topics)

    async def fetch(self, max_rows: int, max_bytes: int, wait_s: float, headers: frozenset[str] = frozenset()) -> Fetched:
        """See Log."""
        thread = self._joined()
        if self._asked is None:  # else the fetch before was cancelled, and what it asked for may be here
            self._asked = asyncio.get_running_loop().create_future()
            thread.inbox.put(partial(thread.do_ask, Demand(max_rows, max_bytes, wait_s, headers), self._asked))
        try:
            answer = await asyncio.shield(self._asked)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._asked = None
            raise
        self._asked = None
        current = {source for source, turn in thread.turns_asked.items() if answer.turns.get(source, 0) != turn}
        if not current:
            return answer.fetched
        kept = [records for records in answer.fetched.records if records.source not in current]
        return Fetched(kept, answer.fetched.ended - current)

    async def begin(self) -> None:
        """See Log."""
        await self._settling().begin()

    def produce(self, outgoing: Outgoing) -> None:
        """See Log."""
        self._settling().produce(outgoing)

    async def flush(self) -> Sequence[int]:
        """See Log."""
        return await self._settling().flush()

    async def commit(self, commits: Sequence[Commit]) -> None:
        """See Log."""
        await self._settling().commit(commits, self._joined().metadata)

    async def abort(self) -> None:
        """See Log."""
        await self._settling().abort()

    async def rewind(self, offsets: Mapping[Source, int]) -> None:
        """See Log."""
        thread = self._joined()
        self._overtake(offsets)
        turns = {source: thread.turns_asked[source] for source in offsets}
        await post(thread.inbox, partial(thread.do_rewind, dict(offsets), turns))

    async def pause(self, sources: Sequence[Source]) -> None:
        """See Log."""
        thread = self._joined()
        await post(thread.inbox, partial(thread.do_pause, sources))

    async def resume(self, sources: Sequence[Source]) -> None:
        """See Log."""
        thread = self._joined()
        await post(thread.inbox, partial(thread.do_resume, sources))

    async def committed(self, sources: Sequence[Source]) -> Mapping[Source, Commit | None]:
        """See Log."""
        if not sources:
            return {}
        thread = self._joined()
        end_s = time.monotonic() + self._settings.transaction_timeout_ms / 1000 + self._settings.watchdog_s
        while True:
            try:
                found = await post(thread.inbox, partial(thread.do_committed, sources))
            except (KafkaException, RetriableError) as error:
                if isinstance(error, KafkaException) and kind_of(error.args[0]) is not Kind.RETRY:
                    raise translated(error, "reading committed offsets") from error
                if time.monotonic() > end_s:
                    raise FatalError("the committed offsets could not be read in time", OFFSETS_HINT) from error
                await asyncio.sleep(0.02)
            else:
                return {source_of(at): Commit(source_of(at), at.offset, at.metadata or "") if at.offset >= 0 else None for at in found}

    async def ends(self, topics: Sequence[str]) -> Mapping[Source, Ends]:
        """See Log."""
        return await self._asking().ends(topics)

    async def rooms(self, topics: Sequence[str]) -> Mapping[str, int]:
        """See Log. Who may not describe a topic's settings is not told."""
        admin = self._asking()
        try:
            found = await admin.message_bytes(topics)
        except FailedError as error:
            LOGGER.warning("%s", error)
            return {}
        return {name: min(size, self._settings.record_bytes) for name, size in found.items()}

    async def close(self) -> None:
        """See Log."""
        if self._unheld is not None:
            self._unheld.end()
        if self._producer is not None:
            await self._producer.close()
        if self._fetching is not None:
            self._fetching.inbox.put(self._fetching.do_close)
            await asyncio.to_thread(self._fetching.thread.join, self._settings.watchdog_s)
        self._admin = self._producer = self._fenced = self._fetching = None

    # The owner, as the fetch thread sees it

    async def assigned(self, sources: Sequence[Source]) -> Mapping[Source, int]:
        """Pass it on."""
        return await self._told().assigned(sources)

    async def revoked(self, sources: Sequence[Source]) -> None:
        """Pass it on; a batch on its way to fetch() loses these."""
        self._overtake(sources)
        await self._told().revoked(sources)

    async def lost(self, sources: Sequence[Source]) -> None:
        """Pass it on; a batch on its way to fetch() loses these."""
        self._overtake(sources)
        await self._told().lost(sources)

    def _overtake(self, sources: Sequence[Source] | Mapping[Source, int]) -> None:
        asked = self._joined().turns_asked
        for source in sources:
            asked[source] = asked.get(source, 0) + 1

    def _told(self) -> Owner:
        if self._owner is None:
            raise FatalError("the log was not started")
        return self._owner

    def _joined(self) -> FetchThread:
        if self._fetching is None:
            raise FatalError("the log is not started, or closed")
        return self._fetching

    def _asking(self) -> KafkaAdmin:
        if self._admin is None:
            raise FatalError("the log is not started, or closed")
        return self._admin

    def _settling(self) -> TransactionalProducer:
        if self._producer is None:
            raise FatalError("the log is not started, or closed")
        return self._producer
