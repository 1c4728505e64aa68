"""The proof beside the log: hears of every record and every committed transaction, and checks the laws that these can break."""

import json
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.log import Commit, Outgoing
from connectors.memory.partition import Entry, Transaction
from schemas import headers as names
from schemas import pending
from schemas.positions import Position, Source
from schemas.vocabulary import Verdict
from streams.ledger import checkpoint
from streams.ledger.block import Block, unpack
from streams.ledger.key import Verifier
from streams.ledger.leaf import Leaf, decode, digest
from streams.ledger.mark import Mark, Waiting
from streams.ledger.tree import Tree
from tests.simulation.events import LATER, TOPICS
from tests.simulation.laws import BrokenError, Law
from tests.simulation.lives import Lives, Review

CONSUMED = frozenset({*TOPICS.consumed, *LATER.consumed})
WRITTEN = {
    TOPICS.result: {Verdict.RESULT},
    TOPICS.dead_letters: {Verdict.DEAD_LETTER, Verdict.UNREADABLE},
    TOPICS.quarantine: {Verdict.QUARANTINE},
    TOPICS.reviews: {Verdict.REVIEW},
    **{topic: {Verdict.RETRY} for topic in (*TOPICS.retries, *LATER.retries)},
}

Placed = tuple[Source, Entry]


@dataclass(slots=True)
class Grown:
    """What is committed of a tree."""

    tree: Tree
    next: int
    roots: dict[int, bytes]  # by size, of each committed head


@dataclass(slots=True)
class Proof:
    """Everything that was committed, as the laws see it. The first breach is kept; what comes behind it means nothing."""

    lives: Lives
    key: Verifier
    grown: dict[Source, Grown] = field(default_factory=dict)
    records: dict[Source, list[int]] = field(default_factory=lambda: defaultdict(list))  # visible offsets of consumed partitions
    entries: dict[Position, Entry] = field(default_factory=dict)  # those that have no leaf yet
    signed: dict[str, dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    results: dict[bytes | None, int] = field(default_factory=dict)  # the last offset of each key, order: key
    passed: Counter[tuple[str, Source]] = field(default_factory=Counter)  # rows of a source that the last transaction let through all steps
    waits: dict[Source, Waiting] = field(default_factory=dict)  # rows that wait in place
    marked: int = 0  # how many rows the last transaction marks as waiting
    commits: int = 0

    # What is written outside any transaction

    def published(self, outgoing: Outgoing, positions: Sequence[Position], entries: Sequence[Entry]) -> None:
        """Events, decisions, redrives and checkpoints."""
        if outgoing.topic == TOPICS.checkpoints:
            for note in outgoing.values:
                self._signed(note or b"")
        elif outgoing.topic in CONSUMED:
            for position, entry in zip(positions, entries, strict=True):
                self._seen(position, entry)

    def _seen(self, position: Position, entry: Entry) -> None:
        insort(self.records[position.source], position.offset)
        self.entries[position] = entry

    def _signed(self, note: bytes) -> None:
        head, signatures = checkpoint.parse(note)
        source = Source(head.origin.split("/")[2], int(head.origin.split("/")[3]))
        if not self.signed and not any(self.key.verifies(signature[4:], head.text.encode()) for _, signature in signatures):
            raise BrokenError(Law.HEADS, f"the signature on {head.origin} at {head.size} does not hold")
        mine = self.grown.get(source)
        if mine is None or mine.roots.get(head.size) != head.root:
            raise BrokenError(Law.HEADS, f"a head of {source} of {head.size} leaves was signed, and no such head has committed")
        self.signed[head.origin][head.size] = head.root

    # A transaction

    def committed(self, slot: str, transaction: Transaction, offsets: Mapping[Source, Commit], now_ms: int) -> None:
        """It has committed: with these records, and these offsets."""
        self.commits += 1
        self.passed.clear()
        self.marked = 0
        placed = [(part.source, entry) for part, first in transaction.partitions.items() for entry in _of(part.entries, first, transaction)]
        blocks = [(source, entry.offset, unpack(entry.value or b"")) for source, entry in placed if source.topic == TOPICS.ledger]
        outcomes = Counter(_told(source, entry) for source, entry in placed if source.topic in WRITTEN and entry.value is not None)
        closed = {(entry.key or b"").decode() for source, entry in placed if source.topic == TOPICS.reviews and entry.value is None}
        open_before = set(self.lives.reviews)
        for source, offset, block in blocks:
            self._block(source, offset, block, outcomes, now_ms)
        if rest := sorted(map(str, (+outcomes))):
            raise BrokenError(Law.OUTCOMES, f"{rest[0]} was written and has no leaf")
        if closed != open_before - set(self.lives.reviews):
            raise BrokenError(Law.REVIEWS, f"tombstones for {closed}, decided {open_before - set(self.lives.reviews)}")
        self._offsets(offsets, {block.source for _, _, block in blocks}, now_ms)
        self._placed(placed)

    def _block(self, ledger: Source, offset: int, block: Block, outcomes: Counter[tuple[object, ...]], now_ms: int) -> None:
        mine = self.grown.get(block.source)
        if mine is None or (block.old_size, block.first, block.previous) != (mine.tree.size, mine.next, mine.tree.last_block):
            raise BrokenError(
                Law.TREES, f"a block of {block.source} begins at {block.old_size} leaves, [{block.first}, {block.next}), wrongly"
            )
        encoded = block.leaves()
        tree = mine.tree.extended(encoded).landed(offset)
        if (tree.size, tree.root()) != (block.new_size, block.root):
            raise BrokenError(Law.TREES, f"a block of {block.source} has another root than its leaves")
        self.grown[block.source] = Grown(tree, block.next, mine.roots)
        leaves = [decode(leaf) for leaf in encoded]
        known = self.records[block.source]
        wanted = known[bisect_left(known, block.first) : bisect_left(known, block.next)]
        if [leaf.position.offset for leaf in leaves] != wanted:
            raise BrokenError(
                Law.ONE_LEAF, f"{block.source} has {wanted} in [{block.first}, {block.next}), and leaves for {_positions(leaves)}"
            )
        for leaf in leaves:
            self._leaf(leaf, outcomes, now_ms)

    def _leaf(self, leaf: Leaf, outcomes: Counter[tuple[object, ...]], now_ms: int) -> None:
        entry = self.entries.pop(leaf.position)
        self.lives.step(leaf, entry, now_ms)
        verdict = Verdict(leaf.verdict)
        if verdict is Verdict.RESULT or leaf.reason == "encode-failed":
            self.passed[leaf.flow, leaf.position.source] += 1
        if not leaf.output:
            return
        mine = (str(leaf.root), verdict, leaf.output)
        if not outcomes[mine]:
            raise BrokenError(Law.OUTCOMES, f"{leaf.root} is {verdict} in the ledger, and no such record is with it")
        outcomes[mine] -= 1

    def _offsets(self, offsets: Mapping[Source, Commit], trees: set[Source], now_ms: int) -> None:
        for source, commit in offsets.items():
            mark = Mark.decode(commit.metadata)
            mine = self.grown.get(source)
            if mine is None:
                mine = self.grown[source] = Grown(mark.tree("weft", "f", source), commit.offset, {})
            if (mark.size, mark.frontier, mark.last_block) != (mine.tree.size, mine.tree.frontier, mine.tree.last_block):
                raise BrokenError(Law.OFFSETS, f"the mark of {source} says {mark.size} leaves, its tree has {mine.tree.size}")
            if commit.offset != mine.next:
                raise BrokenError(Law.OFFSETS, f"the offset of {source} is {commit.offset}, its tree ends at {mine.next}")
            mine.roots[mark.size] = mine.tree.root()
            self._waited(source, commit.offset, mark.waiting, now_ms)
        if missing := trees - offsets.keys():
            raise BrokenError(Law.OFFSETS, f"blocks of {missing} were written, and no offset of theirs was sent")

    def _waited(self, source: Source, offset: int, waiting: Waiting | None, now_ms: int) -> None:
        """A row that waited in place was tried again, or waits still because the transaction was about others."""
        before = self.waits.pop(source, None)
        if waiting is not None:
            self.waits[source] = waiting
            self.marked += 1
        if before is None or waiting == before:
            return
        if now_ms + self.lives.skew_ms + 1 < before.due_ms:
            raise BrokenError(Law.DUE, f"{source}/{before.offset} was to wait {before.due_ms - now_ms} ms more, and was tried again")
        again = waiting is not None and waiting.offset == before.offset
        if again and (waiting.attempt, waiting.first_consumed_ms) != (before.attempt + 1, before.first_consumed_ms):  # type: ignore[union-attr]
            raise BrokenError(Law.IN_PLACE, f"{source}/{before.offset} was tried {before.attempt} times, and then {waiting}")

    def _placed(self, placed: Sequence[Placed]) -> None:
        """Records that wait, and results in the order of their keys."""
        for source, entry in placed:
            position = Position(*source, entry.offset)
            if source.topic in CONSUMED:
                self._seen(position, entry)
            elif source.topic == TOPICS.reviews and entry.value is not None:
                self._opened(position, entry)
            elif source.topic == TOPICS.dead_letters:
                root = Position.parse(_header(entry, names.CE_POSITION))
                self.lives.letters[root, int(_header(entry, names.CE_REDRIVE))] = entry
            elif source.topic == TOPICS.result:
                self._result(entry)

    def _opened(self, position: Position, entry: Entry) -> None:
        waits, review = pending.decode(entry.value or b""), (entry.key or b"").decode()
        life = self.lives.lives[waits.root, waits.generation]
        others = [one for one in self.lives.reviews.values() if (one.root, one.generation) == (waits.root, waits.generation)]
        if others or life.verdict is not Verdict.REVIEW:
            raise BrokenError(Law.REVIEWS, f"pass {waits.number} of {waits.root} has a second open review")
        self.lives.reviews[review] = Review(waits.root, waits.generation, position.offset, waits)

    def _result(self, entry: Entry) -> None:
        root = Position.parse(_header(entry, names.CE_POSITION))
        said, life = json.loads(entry.value or b""), self.lives.lives[root, self.lives.last[root]]
        if said["n"] != self.lives.numbers[root] or (said["model"] == "m@1" and said["score"] != said["n"] / 2):
            raise BrokenError(Law.TRUE, f"the result of {root} says {said}")
        if self.lives.ordered and not life.aside:
            if self.results.get(entry.key, -1) >= root.offset:
                raise BrokenError(Law.ORDER, f"{root} of key {entry.key!r} comes behind {self.results[entry.key]}")
            self.results[entry.key] = root.offset


def _of(entries: Sequence[Entry], first: int, transaction: Transaction) -> list[Entry]:
    """A transaction's records in a partition."""
    at = bisect_left(entries, first, key=lambda entry: entry.offset)
    return [entry for entry in entries[at:] if entry.transaction is transaction]


def _told(source: Source, entry: Entry) -> tuple[object, ...]:
    """What an outcome record says of itself."""
    verdict = Verdict(_header(entry, names.CE_VERDICT))
    if verdict not in WRITTEN[source.topic]:
        raise BrokenError(Law.OUTCOMES, f"a record on {source.topic} is {verdict}")
    return _header(entry, names.CE_POSITION), verdict, digest(entry.key, entry.value)


def _header(entry: Entry, name: str) -> str:
    return (dict(entry.headers)[name] or b"").decode()


def _positions(leaves: Sequence[Leaf]) -> list[int]:
    return [leaf.position.offset for leaf in leaves]
