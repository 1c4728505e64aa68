"""Turns fates into what is written: the records of the outcome topics, and the ledger's columns beside them.

Results and details show the columns that a row left the steps with, as policies hid them. Quarantined records and dead letters are the
original event. A row whose record would be too large for its topic ends as a dead letter instead, which is cut until it fits: no size
can make a transaction fail again and again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, assert_never

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from connectors.log import Outgoing
from processors.flow.compiled import Flow, Notes
from processors.flow.writers import STEP, WHY
from processors.step import DEGRADED, MODEL, RULE, Rows
from schemas.headers import AVRO
from schemas.vocabulary import Reason, Verdict
from streams.final import finals
from streams.ledger.leaf import Kind, digests
from streams.letters import letters
from streams.room import Rooms
from streams.stamps import RULE_CHARS, event_ids, stamps
from streams.stepping import Fate, Journey
from streams.waiting import parked

Cells = npt.NDArray[np.object_]

WHY_CHARS = 500


@dataclass(slots=True)
class Endings:
    """The ledger's columns for the n rows of one intake, in its order, and the records to write."""

    journey: Journey
    kind: Rows  # indexes in `kinds`
    event_ids: Cells
    details: Cells
    outputs: Cells  # digests; empty where there is no record
    kinds: list[Kind] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)

    @classmethod
    def blank(cls, journey: Journey) -> "Endings":
        """Nothing written yet."""
        rows = len(journey.intake)
        return cls(journey, np.full(rows, -1), np.empty(rows, object), np.empty(rows, object), np.full(rows, b"", object))

    def kind_of(self, row: int) -> Kind:
        """The kind of a row."""
        return self.kinds[int(self.kind[row])]


def endings(journey: Journey, notes: Notes, now_ms: int, rooms: Rooms | None = None) -> Endings:
    """Write down what became of each row. `notes` encodes the details, in one schema whatever the row's flow version."""
    found = Endings.blank(journey)
    for fate, values in finals(journey, now_ms):
        for ended in _ended(journey.flow, fate, values, now_ms, rooms or Rooms()):
            _write(found, ended)
            found.details[ended.fate.batch.origin] = _details(journey.flow, notes, ended.fate)
    return found


class _Ended(NamedTuple):
    """Rows of one fate, their event ids, and their records if the verdict has any."""

    flow: Flow
    fate: Fate
    ids: Sequence[str]
    outgoing: Outgoing | None


def _write(found: Endings, ended: _Ended) -> None:
    """The ledger's columns, and the records."""
    _, fate, ids, outgoing = ended
    at = fate.batch.origin
    kinds, kind = _kinds(ended)
    found.kind[at] = kind + len(found.kinds)
    found.kinds += kinds
    found.event_ids[at] = ids
    if outgoing is not None:
        found.outgoing.append(outgoing)
        found.outputs[at] = digests(outgoing.keys, outgoing.values)


def _kinds(ended: _Ended) -> tuple[list[Kind], Rows]:
    """The different kinds of rows, and of each row its index among them."""
    fate = ended.fate
    given = (fate.rule[:RULE_CHARS] or _given(ended, RULE, ""), _given(ended, MODEL, ""), _given(ended, DEGRADED, False))
    found: list[tuple[Any, ...]] = [(fate.verdict.value, fate.reason.value)]
    kind = np.zeros(len(fate.batch), np.int64)
    for one in given:
        if isinstance(one, pa.DictionaryArray):
            values = one.dictionary.to_pylist()
            both = pa.array(kind * len(values) + one.indices.to_numpy()).dictionary_encode()
            found = [(*found[at // len(values)], values[at % len(values)]) for at in both.dictionary.to_pylist()]
            kind = both.indices.to_numpy()
        else:
            found = [(*each, one) for each in found]
    return [Kind(*each) for each in found], kind


def _ended(flow: Flow, fate: Fate, values: Sequence[bytes], now_ms: int, rooms: Rooms) -> Iterator[_Ended]:
    """The fate with its records; rows whose record its topic does not take, as dead letters."""
    ids = event_ids(flow, fate.batch)
    outgoing = _record(flow, fate, ids, values, now_ms, rooms)
    large = np.empty(0, np.int64) if outgoing is None or fate.verdict in _LETTERS else rooms.without(outgoing)
    if outgoing is None or not len(large):
        yield _Ended(flow, fate, ids, outgoing)
        return
    sentence = f"its {fate.verdict.value} would be larger than the {rooms.of(outgoing.topic)} bytes that {outgoing.topic} takes"
    refused = replace(fate.part(large), verdict=Verdict.DEAD_LETTER, reason=Reason.TOO_LARGE, sentence=sentence, sentences=None)
    yield _Ended(flow, refused, [ids[row] for row in large], letters(flow, refused, rooms))
    fits = np.setdiff1d(np.arange(len(fate.batch)), large)
    if len(fits):
        yield from _ended(flow, fate.part(fits), [values[row] for row in fits] if len(values) else (), now_ms, rooms)


_LETTERS = frozenset({Verdict.DEAD_LETTER, Verdict.UNREADABLE})


def _record(flow: Flow, fate: Fate, ids: Sequence[str], values: Sequence[bytes], now_ms: int, rooms: Rooms) -> Outgoing | None:
    """A record for each row of the fate, or None where the verdict has none."""
    intake, rows = fate.batch.intake, fate.batch.origin
    match fate.verdict:
        case Verdict.RESULT:
            stamped = stamps(flow, fate, ids, flow.result_type, (flow.envelope or flow.result).content_type)
            written = values if flow.envelope is None else flow.envelope.around(values, stamped)
            return Outgoing(flow.topics.result, [intake.keys[row] for row in rows], written, stamped)
        case Verdict.QUARANTINE:
            stamped = stamps(flow, fate, ids, "weft.quarantine", "")
            return Outgoing(flow.topics.quarantine, [intake.keys[row] for row in rows], [intake.values[row] for row in rows], stamped)
        case Verdict.DEAD_LETTER | Verdict.UNREADABLE:
            return letters(flow, fate, rooms)
        case Verdict.RETRY | Verdict.REVIEW:
            return parked(flow, fate, stamps(flow, fate, ids, f"weft.{fate.verdict.value}", AVRO), now_ms)
        case Verdict.FILTERED | Verdict.SUPERSEDED:
            return None
        case _:
            assert_never(fate.verdict)


def _given(ended: _Ended, name: str, default: str | bool) -> pa.DictionaryArray | str | bool:
    """What the steps say, with nulls as the default; the default where none says it. A field of the event's may have the same name."""
    columns, givers = ended.fate.batch.columns, ended.flow.gives[1 : ended.fate.step + 1]
    if name not in columns.schema.names or not any(name in gives for gives in givers):
        return default
    column = columns.column(name)
    if pa.types.is_string(column.type):  # a plugin's may be of any length, and a leaf has a bound
        column = pc.utf8_slice_codeunits(column, 0, RULE_CHARS)
    return (column.fill_null(default) if column.null_count else column).dictionary_encode()


def _details(flow: Flow, notes: Notes, fate: Fate) -> Sequence[bytes]:
    """Each row's columns as they were when it left, and why it did: what `weft explain` prints."""
    columns = fate.batch.columns
    if fate.verdict is not Verdict.RESULT:
        step = flow.steps[fate.step].name if fate.step < len(flow.steps) else "result"
        why = [fate.why(row)[:WHY_CHARS].encode(errors="replace").decode() for row in range(len(fate.batch))]
        extra = {STEP: pa.array([step] * len(why), pa.string()), WHY: pa.array(why, pa.string())}
        names = [*columns.schema.names, *extra]
        columns = pa.RecordBatch.from_arrays([*columns.columns, *extra.values()], names=names)
    return notes.encode(columns)
