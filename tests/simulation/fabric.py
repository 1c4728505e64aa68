"""What simulated workers share: one loop, a broker, a lookup store, models, and the proof that hears of every record and transaction."""

import random
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.log import Commit, Outgoing
from connectors.memory.broker import MemoryBroker, Producer
from connectors.memory.partition import Transaction
from schemas.positions import Position, Source
from streams.ledger.key import LogKey
from tests.simulation.events import LATER, PARTITIONS, TOPICS, Kind, Shape, value_of
from tests.simulation.laws import BrokenError
from tests.simulation.lives import Lives
from tests.simulation.loop import SeededLoop
from tests.simulation.ports import EPOCH_S, SimLookup, SimModels, Weather
from tests.simulation.proof import Proof

KEY = LogKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
SESSION_S = 4.0
TRANSACTION_S = 8.0
Line = tuple[float, str, str]


class SimBroker(MemoryBroker):
    """Tells of records that are published and of transactions that commit."""

    published: Callable[[Outgoing, Sequence[Position]], None]
    commits: Callable[[str, Transaction, Mapping[Source, Commit]], None]

    def append(self, outgoing: Outgoing, transaction: Transaction | None = None) -> list[Position]:
        """Store records."""
        positions = super().append(outgoing, transaction)
        if transaction is None:
            self.published(outgoing, positions)
        return positions

    def end(self, producer: Producer, committed: bool) -> None:
        """End a transaction."""
        transaction, offsets = producer.open, dict(producer.offsets.get("f", {}))
        super().end(producer, committed)
        if committed and transaction is not None:
            self.commits(producer.name, transaction, offsets)


class Fabric:
    """All that is not a worker. `broken` is the first breach of a law; the loop stops there."""

    def __init__(self, loop: SeededLoop, chance: random.Random, shape: Shape, kinds: dict[int, Kind]) -> None:
        self.loop, self.kinds = loop, kinds
        self.weather = Weather(chance)
        self.key = KEY
        self.story: list[Line] = []
        self.broken: BrokenError | None = None
        self.fault: Exception | None = None  # of the simulation itself
        self.proof = Proof(Lives(kinds, shape.order == "key"), KEY.verifier("sim"))
        self.on_commit: Callable[[str], object] = str
        self.lookup = SimLookup(((f"thing:{n}", b'{"size": %d}' % n) for n in kinds), loop.time)
        self.lookup.weather = self.weather
        self.models = SimModels(self.weather)
        self._context = copy_context()
        self._salts = random.Random(0)
        self.broker = self._brokered()

    def _brokered(self) -> SimBroker:
        broker = SimBroker(lambda: EPOCH_S + self.loop.time(), TRANSACTION_S, SESSION_S)
        broker.published, broker.commits = self._published, self._committed
        topics = {TOPICS.input, TOPICS.result, TOPICS.resume, *TOPICS.written, *LATER.written}
        for name in sorted(topics):
            broker.create(name, PARTITIONS)
        broker.create(TOPICS.checkpoints, 1)
        broker.group("f")
        return broker

    def later(self, seconds: float, act: Callable[..., object], *args: object) -> None:
        """Whoever asks for it, even a process that is killed or stands still meanwhile."""
        self.loop.call_later(seconds, act, *args, context=self._context)

    def salt(self, size: int) -> bytes:
        """The salts of leaves."""
        return self._salts.randbytes(size)

    def tell(self, who: str, what: str) -> None:
        """A line of the story."""
        self.story.append((self.loop.time(), who, what))

    def breach(self, error: Exception) -> None:
        """A law does not hold, or the simulation itself has failed: nothing that comes behind it means anything."""
        if self.broken is None and self.fault is None:
            if isinstance(error, BrokenError):
                self.broken = error
            else:
                self.fault = error
            self.tell("LAW", str(error))
            self.loop.stop()

    def now_ms(self) -> int:
        """True time."""
        return int((EPOCH_S + self.loop.time()) * 1000)

    def send(self, number: int, key: int) -> None:
        """An event comes in."""
        value = value_of(number, self.kinds[number])
        (position,) = self.broker.append(Outgoing(TOPICS.input, [b"k%d" % key], [value], partition=key % PARTITIONS))
        self.proof.lives.numbers[position] = -number if value.startswith(b"-") else number

    def _published(self, outgoing: Outgoing, positions: Sequence[Position]) -> None:
        parts = {position.partition: self.broker.topics[position.topic].partitions[position.partition].entries for position in positions}
        entries = [next(entry for entry in reversed(parts[one.partition]) if entry.offset == one.offset) for one in positions]
        try:
            self.proof.published(outgoing, positions, entries)
        except Exception as error:
            self.breach(error)

    def _committed(self, slot: str, transaction: Transaction, offsets: Mapping[Source, Commit]) -> None:
        self.tell(slot, "commits " + ", ".join(f"{source} up to {commit.offset}" for source, commit in sorted(offsets.items())))
        try:
            self.proof.committed(slot, transaction, offsets, self.now_ms())
            self.on_commit(slot)
        except Exception as error:
            self.breach(error)
