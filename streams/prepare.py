"""What a batch in flight will write: outcome records, and for each tree its leaves in consumed order."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from processors.flow.compiled import Notes
from processors.step import Rows, Signal
from schemas.positions import Source
from streams.ledger.block import Content
from streams.ledger.leaf import SALT_BYTES, Leaves, digests, encode, salts
from streams.outcomes import Cells, Endings, endings
from streams.room import Rooms
from streams.traces import passages
from streams.watch import Passage
from streams.work import Prepared, Span, Work

Chance = Callable[[int], bytes]
"""So many random bytes."""

SENTENCE_CHARS = 500  # of a signal
SIGNALS_BYTES = 65_536
"""Of a batch and partition: they stand in a block, which has a bound; signals beyond it are left out."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The leaves that one journey has for one source."""

    offsets: Rows
    leaves: Sequence[bytes]
    details: Sequence[bytes]


def prepare(work: Work, notes: Notes, now_ms: int, rooms: Rooms | None = None, chance: Chance = os.urandom) -> Prepared:
    """Write down the fates of a stepped batch. `chance` salts its leaves."""
    outgoing = list(work.extra)
    parts: dict[Source, list[_Part]] = {source: [] for source in work.spans}
    verdicts: Counter[tuple[str, str, str]] = Counter()
    told: list[Passage] = []
    for journey in work.journeys:
        ended = endings(journey, notes, now_ms, rooms)
        outgoing += ended.outgoing
        for kind, rows in zip(ended.kinds, np.bincount(ended.kind, minlength=len(ended.kinds)).tolist(), strict=True):
            verdicts[kind[:3]] += rows
        told += passages(ended)
        for source, part in _parts(ended, chance).items():
            parts[source].append(part)
    signals = [signal for journey in work.journeys for signal in journey.signals]
    contents = {source: _content(span, parts[source], notes, _signals(signals, source)) for source, span in work.spans.items()}
    return Prepared(outgoing, contents, verdicts, signals, told)


def _parts(ended: Endings, chance: Chance) -> Mapping[Source, _Part]:
    """The leaves of a journey by source. Rows of one source stand together in an intake of events, apart in one of returned rows."""
    intake = ended.journey.intake
    inputs = np.array(digests(intake.keys, intake.values), object)
    found = {}
    for index, source in enumerate(intake.sources):
        rows = np.flatnonzero(intake.source == index)
        together = len(rows) and rows[-1] - rows[0] == len(rows) - 1
        leaves = _leaves(ended, source, slice(rows[0], rows[-1] + 1) if together else rows, inputs, chance)
        found[source] = _Part(leaves.offsets, encode(leaves), leaves.details)
    return found


def _leaves(ended: Endings, source: Source, rows: Rows | slice, inputs: Cells, chance: Chance) -> Leaves:
    intake = ended.journey.intake
    offsets = intake.offset[rows]
    trips = None if intake.trips is None else [intake.trips[row] for row in np.arange(len(intake))[rows]]
    return Leaves(
        source=source,
        flow=ended.journey.flow.ident,
        offsets=offsets,
        event_ids=ended.event_ids[rows].tolist(),
        kinds=ended.kinds,
        kind=ended.kind[rows].tolist(),
        inputs=inputs[rows].tolist(),
        outputs=ended.outputs[rows].tolist(),
        details=ended.details[rows].tolist(),
        salts=salts(len(offsets), chance(SALT_BYTES * len(offsets))),
        roots=None if trips is None else [trip.root for trip in trips],
        generations=None if trips is None else [trip.generation for trip in trips],
        passes=None if trips is None else [trip.number for trip in trips],
    )


def _content(span: Span, parts: Sequence[_Part], notes: Notes, signals: str) -> Content:
    """One source's leaves in the order of their offsets."""
    if len(parts) == 1 and (np.diff(parts[0].offsets) > 0).all():
        part = parts[0]
        return Content(span.first, span.next, part.offsets, part.leaves, part.details, notes.schema_json, signals)
    offsets = np.concatenate([part.offsets for part in parts] or [np.empty(0, np.int64)])
    leaves = [leaf for part in parts for leaf in part.leaves]
    details = [detail for part in parts for detail in part.details]
    order = np.argsort(offsets, kind="stable").tolist()
    return Content(
        span.first, span.next, offsets[order], [leaves[at] for at in order], [details[at] for at in order], notes.schema_json, signals
    )


def _signals(signals: Sequence[Signal], source: Source) -> str:
    mine = [
        {
            "step": signal.step,
            "kind": signal.kind,
            "column": signal.column,
            "sentence": signal.sentence[:SENTENCE_CHARS].encode(errors="replace").decode(),
            "figures": dict(signal.figures),
        }
        for signal in signals
        if signal.source == source
    ]
    while len(told := orjson.dumps(mine)) > SIGNALS_BYTES:
        mine = mine[: len(mine) // 2]
    return told.decode()
