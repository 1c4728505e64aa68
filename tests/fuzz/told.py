"""What became of the records that were thrown, and whether it is what had to."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import NamedTuple

import cbor2

from connectors.memory.partition import Entry
from processors.flow.compiled import Topics
from schemas.vocabulary import Reason, Verdict
from streams.ledger.block import unpack
from tests.fuzz.events import UNTOLD
from tests.fuzz.thrown import KEY_BYTES, VALUE_BYTES, Thrown

Place = tuple[int, int]
"""Partition and offset of the input."""

SHOWN = 20


class Held(NamedTuple):
    """What the process holds after a wave, once what nobody refers to is collected."""

    resident_bytes: int
    objects: int  # blocks of the interpreter's allocator

    def __str__(self) -> str:
        return f"{self.resident_bytes >> 20} MiB and {self.objects:,} objects"


def typical(waves: Sequence[Held]) -> Held:
    """The mean of some waves."""
    return Held(int(mean(held.resident_bytes for held in waves)), int(mean(held.objects for held in waves)))


@dataclass
class Told:
    """What became of all records thrown at one target."""

    target: str
    records: int = 0
    waves_s: list[float] = field(default_factory=list)  # of processor time, of the lane alone: others may use the machine too
    labels: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # label, verdict and reason
    untold: int = 0  # of which it can't be told by hand what becomes of them, only that they end once
    wrong: list[str] = field(default_factory=list)
    memory: list[Held] = field(default_factory=list)  # after each wave

    @property
    def per_s(self) -> float:
        return self.records / sum(self.waves_s) if self.waves_s else 0.0

    def complain(self, place: Place, one: Thrown, sentence: str) -> None:
        value = one.value if one.value is None else one.value[:300]
        self.wrong.append(f"{self.target}: {one.label} at {place}: {sentence}; expected {one.ending}; {value!r} {one.headers}"[:1_500])


def judge(told: Told, topics: Topics, entries: Callable[[str], Iterable[Entry]], places: Mapping[Place, Thrown]) -> None:
    """Each record has one leaf, with a verdict and a reason that were expected, and the one record that the verdict has."""
    leaves = Counter[Place]()
    ended = dict[Place, Verdict]()
    for block in (unpack(entry.value or b"") for entry in entries(topics.ledger)):
        for fields in map(cbor2.loads, block.leaves()):
            place, verdict, reason = (fields[1][1], fields[1][2]), Verdict(fields[7]), Reason(fields[8])
            leaves[place] += 1
            ended[place] = verdict
            _expected(told, place, places[place], verdict, reason)
    for place in places:
        if leaves[place] != 1:
            told.complain(place, places[place], f"it has {leaves[place]} leaves")
    _records(told, topics, entries, places, ended)


def _expected(told: Told, place: Place, one: Thrown, verdict: Verdict, reason: Reason) -> None:
    told.labels[one.label, verdict.value, reason.value] += 1
    if one.ending is UNTOLD:
        told.untold += 1
    elif verdict is not one.ending.verdict or reason not in one.ending.reasons:
        told.complain(place, one, f"it is {verdict.value} ({reason.value})")


def _records(
    told: Told, topics: Topics, entries: Callable[[str], Iterable[Entry]], places: Mapping[Place, Thrown], ended: Mapping[Place, Verdict]
) -> None:
    """Each verdict that has a record has one, on its topic; a dead letter and a quarantined event are the event."""
    where = {
        topics.result: Verdict.RESULT,
        topics.dead_letters: Verdict.DEAD_LETTER,
        topics.quarantine: Verdict.QUARANTINE,
        topics.reviews: Verdict.REVIEW,
    }
    found = Counter[Place]()
    for topic, verdict in where.items():
        last = dict[tuple[bytes | None, int], int]()  # by key and input partition: results of a key keep their order
        for entry in (entry for entry in entries(topic) if entry.value is not None or verdict is Verdict.DEAD_LETTER):
            place = _place(entry)
            found[place] += 1
            for fault in _faults(entry, place, places[place], verdict, last):
                told.complain(place, places[place], fault)
            if ended.get(place) is not verdict:
                told.complain(place, places[place], f"its record is on {topic}")
    for place, verdict in ended.items():
        if found[place] != (verdict is not Verdict.FILTERED):
            told.complain(place, places[place], f"{verdict.value} with {found[place]} records")


def _faults(entry: Entry, place: Place, one: Thrown, verdict: Verdict, last: dict[tuple[bytes | None, int], int]) -> Iterator[str]:
    """What is wrong with a record of an outcome."""
    if verdict is Verdict.RESULT and entry.key is not None:
        if place[1] <= last.get((entry.key, place[0]), -1):
            yield "its result stands behind one of a later event"
        last[entry.key, place[0]] = place[1]
    long = len(one.value or b"") > VALUE_BYTES or len(one.key or b"") > KEY_BYTES
    if verdict in (Verdict.DEAD_LETTER, Verdict.QUARANTINE) and not long and (entry.key, entry.value) != (one.key, one.value):
        yield "its record is not the event as it came"


def _place(entry: Entry) -> Place:
    (position,) = [value for name, value in entry.headers if name == "ce_weftposition"][-1:]
    _, partition, offset = (position or b"").decode().rsplit("/", 2)
    return int(partition), int(offset)
