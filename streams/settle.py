"""One transaction: a batch's outcomes, its blocks, its offsets with the heads of their trees. All of it, or nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from connectors.log import Commit, Log, Outgoing
from schemas.errors import AbortError, FatalError
from schemas.metrics import Phase
from schemas.positions import Source
from streams.ledger.block import pack
from streams.ledger.mark import Mark, Waiting
from streams.ledger.tree import Tree
from streams.work import Prepared, Work


@dataclass(slots=True)
class Owned:
    """A partition of ours, as its last committed transaction left it."""

    next: int
    tree: Tree
    waiting: Waiting | None = None


async def transact(log: Log, ledger: str, work: Work, prepared: Prepared, owned: Mapping[Source, Owned]) -> Mapping[Source, Owned]:
    """Write and commit; what the partitions are now. Trees are packed here, on top of what the transaction before has committed.

    Raises:
        LogError: see Log.commit; nothing of it counts unless commit returned.
        FatalError: also where the batch begins before what is committed: its rows would end a second time.
    """
    for source, span in work.spans.items():
        if span.first < owned[source].next:
            raise FatalError(f"a batch begins at {source}/{span.first}, and {source} is committed up to {owned[source].next}")
    with work.taking(Phase.PRODUCE):
        await log.begin()
        for outgoing in prepared.outgoing:
            log.produce(outgoing)
    grown: dict[Source, tuple[Tree, int]] = {}
    for source, content in prepared.contents.items():
        mine = owned[source]
        with work.taking(Phase.PACK):
            values, tree = pack(mine.tree, replace(content, first=mine.next))
        with work.taking(Phase.PRODUCE):
            log.produce(Outgoing(ledger, [tree.origin.encode()] * len(values), values, partition=source.partition, tracked=True))
        grown[source] = tree, len(values)
    with work.taking(Phase.FLUSH):
        landed = iter(await log.flush())
    after = {}
    for source, (tree, blocks) in grown.items():
        last = max(next(landed) for _ in range(blocks))
        after[source] = Owned(work.spans[source].next, tree.landed(last), work.waiting.get(source))
    if work.void:
        raise AbortError("the batch lost a partition while it was written")
    with work.taking(Phase.COMMIT):
        await log.commit([Commit(source, mine.next, Mark.of(mine.tree, mine.waiting).encode()) for source, mine in after.items()])
    return after
