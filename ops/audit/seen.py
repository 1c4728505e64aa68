"""Reads the outcome topics: each record's root position and verdict from its headers, and its digest."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.log import Headers, Reader, Records
from ops.audit.outcomes import Kind, Ledger, kind_of
from ops.audit.report import Law, Report
from ops.audit.subject import Subject
from schemas.errors import UnreadableError
from schemas.headers import CE_FLOW, CE_POSITION, CE_VERDICT
from schemas.positions import Position, Source
from schemas.vocabulary import Verdict
from streams.ledger.leaf import digest

_WORDS = {verdict.value.encode(): verdict for verdict in Verdict}


@dataclass(slots=True)
class Seen:
    """The outcomes that stand on the topics, handed to the join."""

    subject: Subject
    report: Report
    ledger: Ledger
    next: dict[Source, int] = field(default_factory=dict)
    _broken: set[Position] = field(default_factory=set)  # batches that can't be read
    _gone: set[int] = field(default_factory=set)  # kinds of which retention has deleted records

    @property
    def topics(self) -> dict[str, Kind]:
        """The outcome topics, each with what it holds."""
        topics = self.subject.topics
        fixed = {
            topics.result: Kind.RESULT,
            topics.dead_letters: Kind.DEAD_LETTER,
            topics.quarantine: Kind.QUARANTINE,
            topics.reviews: Kind.REVIEW,
        }
        return fixed | dict.fromkeys(topics.retries, Kind.RETRY)

    def gone(self, kind: int) -> bool:
        """Whether retention has deleted records of this kind."""
        return kind in self._gone

    async def read(self, reader: Reader, tick: Callable[[int], None]) -> None:
        """Read what is new on all outcome topics."""
        for topic, kind in self.topics.items():
            for partition in range(await reader.partitions(topic)):
                source = Source(topic, partition)
                if (await reader.extent(source)).low > 0:
                    self._gone.add(kind)
                try:
                    await self._source(reader, source, kind, tick)
                except UnreadableError as error:
                    if error.position not in self._broken:
                        self._broken.add(error.position)
                        self.report.find(Law.OUTCOMES, f"{source}: what stands behind was not compared: {error.sentence}.")

    async def _source(self, reader: Reader, source: Source, kind: Kind, tick: Callable[[int], None]) -> None:
        async for records in reader.read(source, self.next.get(source, 0)):
            self._take(records, kind)
            self.next[source] = int(records.offsets[-1]) + 1
            tick(len(records))

    def _take(self, records: Records, kind: Kind) -> None:
        see, flow = self.ledger.see, f"{self.subject.flow}@".encode()
        rows = zip(records.offsets.tolist(), records.keys, records.values, records.headers or (), strict=True)
        for offset, key, value, headers in rows:
            if kind is Kind.REVIEW and value is None:
                continue  # a tombstone: the review is closed
            named = dict(headers)
            if not (named.get(CE_FLOW) or b"").startswith(flow):
                self._foreign(records.source, offset, headers)
                continue
            try:
                _, partition, root = (named[CE_POSITION] or b"").rsplit(b"/", 2)
                verdict = _WORDS[named[CE_VERDICT] or b""]
                if kind_of(verdict) is not kind:
                    raise ValueError(verdict)
                see(kind, int(partition), int(root), digest(key, value))
            except (KeyError, ValueError, struct.error):
                self.report.find(
                    Law.OUTCOMES, f"The record at {records.source}/{offset} does not say which event and verdict it is the outcome of."
                )
                continue
            self.report.counts["outcomes"] += 1

    def _foreign(self, source: Source, offset: int, headers: Headers) -> None:
        """Another flow may write to the same result topic; nobody else to this flow's own."""
        if source.topic == self.subject.topics.result:
            self.report.note(f"{source.topic} also holds records of others.")
        else:
            self.report.find(Law.OUTCOMES, f"The record at {source}/{offset} was not written by this flow.")
