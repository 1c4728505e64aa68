"""The signer signs each committed head once, says nothing twice, and outlives a log that refuses it."""

import asyncio
from collections.abc import Sequence

from connectors.log import Outgoing
from connectors.memory.broker import MemoryBroker
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.reader import MemoryReader
from schemas.errors import UnreachableError
from schemas.positions import Position, Source
from streams.clock import SystemClock
from streams.ledger import checkpoint
from streams.ledger.key import LogKey
from streams.ledger.signer import Signer
from streams.ledger.tree import Tree

KEY = LogKey.generate()
EMPTY = Tree.empty("weft", "f", Source("t", 0), "id")
ONE, TWO = EMPTY.extended([b"a"]), EMPTY.extended([b"a", b"b"])


class Ticks(SystemClock):
    """A clock whose seconds pass at once."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        await asyncio.sleep(0)


class Shaky(MemoryPublisher):
    """A publisher that may be out of reach."""

    down = False

    async def publish(self, outgoing: Outgoing) -> Sequence[Position]:
        if self.down:
            raise UnreachableError("The broker can't be reached.")
        return await super().publish(outgoing)


def made() -> tuple[MemoryBroker, Shaky, Signer]:
    broker = MemoryBroker()
    broker.create("f.checkpoints")
    publisher = Shaky(broker)
    return broker, publisher, Signer(publisher, "f.checkpoints", KEY, Ticks())


async def sizes(broker: MemoryBroker) -> list[int]:
    return [
        checkpoint.verify(value or b"", [KEY.verifier(EMPTY.origin)]).size
        async for records in MemoryReader(broker).read(Source("f.checkpoints", 0))
        for value in records.values
    ]


async def test_only_the_newest_committed_head_is_signed() -> None:
    broker, _, signer = made()
    signer.committed(ONE)
    signer.committed(TWO)
    assert await signer.flush()
    assert await signer.flush()
    assert await sizes(broker) == [2]


async def test_a_head_that_was_signed_and_an_empty_tree_are_not_signed_again() -> None:
    broker, _, signer = made()
    for tree in (EMPTY, TWO):
        signer.committed(tree)
        await signer.flush()
    signer.committed(TWO)
    await signer.flush()
    assert await sizes(broker) == [2]


async def test_a_refused_checkpoint_is_published_later() -> None:
    broker, publisher, signer = made()
    publisher.down = True
    signer.committed(ONE)
    assert not await signer.flush()
    assert (signer.unsigned, signer.fault) == (1, "The broker can't be reached.")
    publisher.down = False
    assert await signer.flush()
    assert (signer.unsigned, signer.fault, await sizes(broker)) == (0, "", [1])


async def test_a_running_signer_publishes_each_second_at_most_one_head_of_a_tree() -> None:
    broker, _, signer = made()
    task = asyncio.create_task(signer.run())
    for tree in (ONE, TWO):
        signer.committed(tree)
        await asyncio.sleep(0.01)
    task.cancel()
    assert await sizes(broker) == [1, 2]
