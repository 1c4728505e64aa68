"""A flow's topics in memory, filled as a lane fills them, and then spoilt in one place."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from connectors.log import Outgoing
from connectors.memory.broker import MemoryBroker
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.reader import MemoryReader
from ops.audit.report import Report
from ops.audit.subject import Subject
from ops.audit.verify import Verification
from processors.flow.compiled import Topics
from schemas.headers import CE_FLOW, CE_POSITION, CE_VERDICT
from schemas.positions import Position, Source
from streams.clock import SystemClock
from streams.ledger import block, leaf
from streams.ledger.key import LogKey
from streams.ledger.signer import Signer
from streams.ledger.tree import Tree

FLOW, LOG = "delays", "weft"
TOPICS = Topics(
    input="flights",
    result="decisions",
    dead_letters="delays.dead-letters",
    quarantine="delays.quarantine",
    reviews="delays.reviews",
    resume="delays.resume",
    retries=("delays.retry.1s",),
    generations="delays.generations",
    ledger="delays.ledger",
    checkpoints="delays.checkpoints",
)
OUTCOMES = {
    "result": TOPICS.result,
    "dead-letter": TOPICS.dead_letters,
    "unreadable": TOPICS.dead_letters,
    "quarantine": TOPICS.quarantine,
    "review": TOPICS.reviews,
    "retry": TOPICS.retries[0],
}


class Soon(SystemClock):
    """A clock on which nobody waits; it may be ahead."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms

    async def sleep(self, seconds: float) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Decided:
    """One consumed record and what became of it."""

    position: Position
    key: bytes | None
    value: bytes | None
    verdict: str
    root: Position | None = None  # None: its own
    generation: int = 0
    number: int = 0
    output: bytes = b"decision"
    event: str = ""


@dataclass(slots=True)
class World:
    """A flow that ran."""

    partitions: int = 2
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    key: LogKey = field(default_factory=LogKey.generate)
    trees: dict[Source, Tree] = field(default_factory=dict)
    next: dict[Source, int] = field(default_factory=dict)
    clock: Soon = field(default_factory=Soon)
    parked: dict[Decided, Position] = field(default_factory=dict)  # where the outcome of each decision stands

    def __post_init__(self) -> None:
        names = {TOPICS.input, *OUTCOMES.values(), TOPICS.resume, TOPICS.ledger, TOPICS.checkpoints}
        for name in sorted(names):
            self.broker.create(name, 1 if name == TOPICS.checkpoints else self.partitions)
        self.reader, self.publisher = MemoryReader(self.broker), MemoryPublisher(self.broker)
        self.signer = Signer(self.publisher, TOPICS.checkpoints, self.key, self.clock)

    reader: MemoryReader = field(init=False)
    publisher: MemoryPublisher = field(init=False)
    signer: Signer = field(init=False)

    @property
    def subject(self) -> Subject:
        """What to audit."""
        return Subject(FLOW, TOPICS, LOG, (self.key.verifier("x").public,))

    def write(self, topic: str, partition: int | None, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> list[Position]:
        """Records that a lane will consume."""
        return self.broker.append(Outgoing(topic, keys, values, partition=partition))

    def produce(self, partition: int, n: int) -> list[Decided]:
        """n events, all to end in a result."""
        keys, values = [b"k%d" % i for i in range(n)], [os.urandom(20) for _ in range(n)]
        places = self.write(TOPICS.input, partition, keys, values)
        return [Decided(*row, "result", event=f"event-{row[0]}") for row in zip(places, keys, values, strict=True)]

    def settle(self, decided: Sequence[Decided], unrecorded: Sequence[Decided] = (), sign: bool = True) -> None:
        """Write outcomes, and blocks of one source. `unrecorded` have a leaf and no outcome record."""
        for one in decided:
            if one.verdict in OUTCOMES and one not in unrecorded:
                self.record(one)
        source = decided[0].position.source
        tree = self.trees.get(source) or Tree.empty(LOG, FLOW, source, self.broker.topic(source.topic).topic_id)
        offsets = np.array([one.position.offset for one in decided], np.int64)
        first = self.next.get(source, 0)
        self.next[source] = int(offsets[-1]) + 1
        leaves = leaf.encode(columns(source, decided, offsets))
        content = block.Content(first, self.next[source], offsets, leaves, [b"{}"] * len(leaves), '"string"')
        values, tree = block.pack(tree, content)
        places = self.broker.append(Outgoing(TOPICS.ledger, [tree.origin.encode()] * len(values), values, partition=source.partition))
        self.trees[source] = tree.landed(places[-1].offset)
        if sign:
            self.signer.committed(self.trees[source])

    def record(self, one: Decided) -> None:
        """The outcome record of a decision."""
        root = one.root or one.position
        headers = [(CE_FLOW, f"{FLOW}@1.0.0".encode()), (CE_POSITION, str(root).encode()), (CE_VERDICT, one.verdict.encode())]
        partition = None if one.verdict in ("result", "dead-letter", "quarantine", "unreadable") else root.partition
        outgoing = Outgoing(OUTCOMES[one.verdict], [one.key], [one.output], [headers], partition=partition)  # type: ignore[list-item]
        (self.parked[one],) = self.broker.append(outgoing)

    def back(self, topic: str, before: Decided, verdict: str, /, **changes: object) -> Decided:
        """The pass that comes back on a topic after the one before: its own record where it waited for time, else a decision's."""
        place = (
            self.parked[before]
            if before.verdict == "retry"
            else self.write(topic, before.position.partition, [b"review"], [os.urandom(8)])[0]
        )
        later = replace(before, position=place, root=before.root or before.position, number=before.number + 1, output=os.urandom(4))
        return replace(later, **({"verdict": verdict} | changes))  # type: ignore[arg-type]

    async def audit(self, run: Verification | None = None) -> Report:
        """Sign what is due, and verify."""
        await self.signer.flush()
        return await (run or self.verification()).run()

    def verification(self) -> Verification:
        """A run that has not begun."""
        return Verification(self.reader, self.subject, clock=self.clock)


def columns(source: Source, decided: Sequence[Decided], offsets: np.ndarray) -> leaf.Leaves:
    """The leaves' columns."""
    n = len(decided)
    return leaf.Leaves(
        source=source,
        flow=f"{FLOW}@1.0.0",
        offsets=offsets,
        event_ids=[one.event for one in decided],
        kinds=[leaf.Kind(one.verdict, "", "", "arrival-delay@1", False) for one in decided],
        kind=range(n),
        inputs=[leaf.digest(one.key, one.value) for one in decided],
        outputs=[leaf.digest(one.key, one.output) if one.verdict in OUTCOMES else b"" for one in decided],
        details=[b"{}"] * n,
        salts=leaf.salts(n, os.urandom(16 * n)),
        roots=[one.root or one.position for one in decided],
        generations=[one.generation for one in decided],
        passes=[one.number for one in decided],
    )
