"""The fetch thread: it alone calls the consumer, does what it is told through a queue, and holds one batch ready."""

import asyncio
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors.kafka.columns import source_of
from connectors.kafka.errors import Kind, kind_of, translated, unreadable
from connectors.kafka.oversized import Unread, oversized
from connectors.kafka.ready import Answer, Demand, Ready
from connectors.kafka.settings import LOGGER, KafkaSettings
from connectors.kafka.threads import Inbox, tell
from connectors.log import Owner
from schemas.errors import FatalError, UnreadableError
from schemas.positions import Position, Source

_CHUNK = 1_000  # messages in one call of the client, which holds the interpreter while it makes them
_POLL_S = 0.01  # how long a command may wait for the client


class FetchThread:
    """Owns the consumer. Methods whose name starts with `do_` run on the thread only: post them through `inbox`."""

    def __init__(self, settings: KafkaSettings, group: str, slot: str, topics: Sequence[str], owner: Owner) -> None:
        self.inbox: Inbox = SimpleQueue()
        self.metadata: Any = None  # of the current generation; asked for in the callbacks only, elsewhere it waits behind consume()
        self.turns_asked: dict[Source, int] = {}  # rewinds and revocations asked for, counted on the loop
        self._turns_done: dict[Source, int] = {}
        self._topics, self._owner, self._group = list(topics), owner, group
        self._loop = asyncio.get_running_loop()
        self._consumer = Consumer(settings.member(group, slot, topics), logger=LOGGER)
        self._ready, self._demand = Ready(), Demand()
        self._asker: asyncio.Future[Answer] | None = None
        self._until_s = 0.0
        self._assigned: set[Source] = set()
        self._coming: set[Source] = set()  # the owner is being told of these
        self._seeks: dict[Source, int] = {}
        self._paused: set[Source] = set()
        self._to_pause: set[Source] = set()
        self._moved = self._closing = False
        self._began: dict[Source, int] = {}  # where the client was last sent to
        self._oversized: dict[Source, Position] = {}  # batches that it stands before
        self._unread = Unread(settings)
        self._broken: UnreadableError | None = None  # the end, once all before it was handed over
        self._fault: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name=f"fetch-{slot}", daemon=True)

    # Commands

    def do_ask(self, demand: Demand, asker: asyncio.Future[Answer]) -> None:
        """Answer with a batch as soon as there is one."""
        if self._fault is not None:
            tell(self._loop, asker, self._fault)
            return
        self._demand, self._asker, self._until_s = demand, asker, time.monotonic() + demand.wait_s

    def do_rewind(self, offsets: Mapping[Source, int], turns: Mapping[Source, int]) -> None:
        """Go on from these offsets; the client is told before it is next asked for messages."""
        self._turns_done.update(turns)
        self._ready.drop(offsets)
        self._seeks.update({source: offset for source, offset in offsets.items() if source in self._assigned})

    def do_pause(self, sources: Sequence[Source]) -> None:
        """Hand over nothing of these; what was held ready is fetched again when they are resumed."""
        self._to_pause |= set(sources) & (self._assigned | self._coming)
        self._seeks.update(self._ready.drop(sources))

    def do_resume(self, sources: Sequence[Source]) -> None:
        """Fetch from these again."""
        self._to_pause -= set(sources)

    def do_committed(self, sources: Sequence[Source]) -> list[Any]:
        """The client's topic partitions with offsets and metadata; a KafkaException if not within a second."""
        found = self._consumer.committed([TopicPartition(*source) for source in sources], timeout=1.0)
        for at in found:
            if at.error is not None:
                raise translated(at.error, "reading committed offsets")
        return found

    def do_commit(self, offsets: list[TopicPartition]) -> None:
        """Commit without a transaction."""
        self._consumer.commit(offsets=offsets, asynchronous=False)

    def do_close(self) -> None:
        """Leave the loop."""
        self._closing = True
        self._end(FatalError("the log is closed"))

    # The thread

    def _run(self) -> None:
        try:
            self._consumer.subscribe(self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)
            while not self._closing and self._fault is None:
                self._obey()
                self._apply()
                self._gather()
                self._answer()
        except Exception as error:  # whatever it is, it ends the member, and fetch() raises it
            self._end(error)
        while not self._closing:
            self.inbox.get()()
        self._consumer.close()

    def _obey(self) -> None:
        """Do what was asked; with messages ready and nobody asking, wait for a command instead of the client."""
        idle = self._asker is None and bool(self._ready.messages)
        try:
            while True:
                self.inbox.get(block=idle, timeout=_POLL_S)()
                idle = False
        except Empty:
            return

    def _apply(self) -> None:
        """Tell the client of resumes, rewinds and pauses, in this order: it forgets a seek in a paused partition."""
        if resumed := self._paused - self._to_pause:
            self._consumer.resume([TopicPartition(*source) for source in resumed])
            self._paused -= resumed
        for source in [source for source in self._seeks if source not in self._to_pause]:
            try:
                self._consumer.seek(TopicPartition(*source, self._seeks[source]))
            except Exception as error:
                if not _is(error, KafkaError._STATE):  # just assigned, not fetching yet: again the next time round
                    raise
            else:
                self._began[source] = self._seeks.pop(source)
        if paused := (self._to_pause & self._assigned) - self._paused:
            self._consumer.pause([TopicPartition(*source) for source in paused])
            self._paused |= paused

    def _gather(self) -> None:
        ready, demand = self._ready, self._demand
        wait_s = 0.0 if ready.messages else _POLL_S
        while (room := ready.room(demand)) and self._broken is None:
            messages = self._consumer.consume(1 if wait_s else min(room, _CHUNK), wait_s)
            if not messages or self._closing or self._fault is not None:
                return
            wait_s = 0.0
            ready.add(*self._sifted(messages))
            for source in list(self._oversized):
                self._step_over(source, self._oversized.pop(source))

    def _sifted(self, messages: list[Any]) -> tuple[list[Any], int]:
        """What is still wanted of these, and how many ends of partitions are among them."""
        ends = 0
        if any(map(Message.error, messages)):
            messages = [message for message in messages if message.error() is None or self._is_end(message)]
            ends = sum(message.error() is not None for message in messages)
        if self._moved or self._seeks:
            self._moved = False
            messages = [message for message in messages if self._wants(source_of(message))]
            ends = sum(message.error() is not None for message in messages)
        return messages, ends

    def _wants(self, source: Source) -> bool:
        return source in self._assigned and source not in self._seeks

    def _is_end(self, message: Message) -> bool:
        error = message.error()
        if error is None or error.code() == KafkaError._PARTITION_EOF:
            return True
        if (batch := oversized(message)) is not None:
            if self._wants(batch.source):
                self._oversized[batch.source] = batch
            return False
        if (broken := unreadable(message, self._group)) is not None:
            if self._wants(broken.position.source):
                self._broken = self._broken or broken
            return False
        if kind_of(error) is Kind.FATAL:
            raise translated(error, "fetching")
        LOGGER.warning("fetching: %s", error.str())  # the client mends these by itself
        return False

    def _step_over(self, source: Source, batch: Position) -> None:
        """Hand over records of a batch that the client may not decompress, and send it behind them."""
        try:
            records = self._unread.records(batch, self._began[source], _CHUNK)
        except KafkaException as error:
            if kind_of(error.args[0]) is not Kind.RETRY:
                raise
            return  # the client will say so again
        self._ready.add(records, 0)
        self._seeks[source] = (records[-1].offset() or 0) + 1

    def _answer(self) -> None:
        if self._broken is not None and not self._ready.messages:
            self._end(self._broken)
        elif self._asker is not None and (self._ready.messages or time.monotonic() >= self._until_s):
            asker, self._asker = self._asker, None
            tell(self._loop, asker, Answer(self._ready.take(self._demand), dict(self._turns_done)))

    def _end(self, error: BaseException) -> None:
        self._fault = error
        if self._asker is not None:
            tell(self._loop, self._asker, error)
            self._asker = None

    # Rebalances: called by the client, on this thread, inside consume()

    def _on_assign(self, consumer: Consumer, partitions: list[Any]) -> None:
        sources = self._begin_move(partitions)
        self._coming = set(sources)
        starts = self._consult(self._owner.assigned(sources))
        if starts is None:
            return
        if missing := [str(source) for source in sources if source not in starts]:
            self._end(FatalError(f"no start offset was given for {', '.join(missing)}"))
            return
        consumer.incremental_assign([TopicPartition(*source, starts[source]) for source in sources])
        self._began.update((source, starts[source]) for source in sources)
        self._assigned |= self._coming
        self._coming = set()

    def _on_revoke(self, consumer: Consumer, partitions: list[Any]) -> None:
        sources = self._begin_move(partitions)
        if not self._closing:
            self._consult(self._owner.revoked(sources))
        self._let_go(consumer, sources, partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[Any]) -> None:
        sources = self._begin_move(partitions)
        if not self._closing:
            self._consult(self._owner.lost(sources))
        self._let_go(consumer, sources, partitions)

    def _begin_move(self, partitions: list[Any]) -> list[Source]:
        self.metadata = self._consumer.consumer_group_metadata()  # also for empty assignments: the generation has moved
        self._moved = True
        return [source_of(at) for at in partitions]

    def _let_go(self, consumer: Consumer, sources: list[Source], partitions: list[Any]) -> None:
        if paused := self._paused & set(sources):  # the client would remember it, should they come back
            consumer.resume([TopicPartition(*source) for source in paused])
        consumer.incremental_unassign(partitions)
        self._ready.drop(sources)
        for source in sources:
            self._seeks.pop(source, None)
            self._turns_done[source] = self.turns_asked.get(source, 0)
        for held in (self._assigned, self._paused, self._to_pause):
            held.difference_update(sources)

    def _consult(self, call: Coroutine[Any, Any, Any]) -> Any:
        """Run the owner's coroutine on the loop, and do meanwhile what it asks of the log."""
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        future.add_done_callback(lambda _: self.inbox.put(_nothing))
        while not future.done():
            self.inbox.get()()
        try:
            return future.result()
        except BaseException as error:  # raised by fetch()
            self._end(error)
            return None


def _nothing() -> None:
    """Wakes the thread."""


def _is(error: Exception, code: int) -> bool:
    return bool(error.args) and isinstance(error.args[0], KafkaError) and error.args[0].code() == code
