"""What became of each hostile record, read back from the ledger and from the topics, beside what had to become of it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from connectors.log import Reader
from processors.flow.compiled import Topics
from schemas.headers import CE_POSITION
from schemas.positions import Position, Source
from schemas.vocabulary import Verdict
from streams.ledger.leaf import Leaf


class Fate(NamedTuple):
    """One hostile record."""

    label: str
    position: str
    expected: str
    found: str  # as the leaf says
    records: Sequence[str]  # where its outcome stands

    @property
    def sound(self) -> bool:
        """It ended as it had to, and its outcome stands exactly once; a filtered one has none."""
        return self.found == self.expected and len(self.records) == (0 if self.expected.startswith(Verdict.FILTERED) else 1)


async def fates(reader: Reader, topics: Topics, sent: Iterable[Mapping[str, Any]], leaves: Mapping[Position, Leaf]) -> list[Fate]:
    """Of the records that `produce` sent with label, position, verdict and reason."""
    sent = list(sent)
    standing = await _standing(reader, topics, {str(one["position"]) for one in sent})
    found = []
    for one in sent:
        position = str(one["position"])
        leaf = leaves.get(Position.parse(position))
        became = "no leaf" if leaf is None else _words(leaf.verdict, leaf.reason)
        found.append(Fate(one["label"], position, _words(one["verdict"], one["reason"]), became, standing.get(position, ())))
    return found


def _words(verdict: str, reason: str) -> str:
    return f"{verdict}: {reason}" if reason else verdict


async def _standing(reader: Reader, topics: Topics, wanted: set[str]) -> dict[str, list[str]]:
    """Where the outcomes of these root positions stand."""
    roots, found = {position.encode() for position in wanted}, dict[str, list[str]]()
    for topic in (topics.result, topics.dead_letters, topics.quarantine, topics.reviews):
        for partition in range(await reader.partitions(topic)):
            async for records in reader.read(Source(topic, partition)):
                for offset, headers in zip(records.offsets.tolist(), records.headers or (), strict=False):
                    root = next((value for name, value in headers if name == CE_POSITION), None)
                    if root is not None and root in roots:
                        found.setdefault(root.decode(), []).append(str(Position(topic, partition, offset)))
    return found
