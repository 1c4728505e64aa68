"""The headers of an outcome: CloudEvents in binary mode, and Weft's own."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from processors.flow.compiled import Flow
from processors.step import Batch, Headers
from schemas import headers as names
from schemas.codecs.cloudevents_attributes import CE_EXTENSIONS
from schemas.identity import idempotency_keys, outcome_ids
from schemas.tracing import SEND
from schemas.vocabulary import Verdict
from streams.stepping import Fate

Stamped = list[list[tuple[str, bytes | None]]]

ID_CHARS = 1_000
"""A longer event id would burst headers and leaves: the root position stands for it."""
RULE_CHARS = 1_000
"""Of a rule's name; flows' own are shorter, a step of a plugin may give any."""
CARRIED_BYTES = 4_096
"""A longer header is not carried on."""
CARRIED_MANY = 32
"""Attributes of an event beyond these are not carried on."""
_OURS = frozenset({names.CE_CAUSATION, names.CE_TIME})

_TIME_CHARS = {"s": 19, "ms": 23, "us": 26, "ns": 29}

CARRIED = {
    names.CE_SUBJECT: names.CE_SUBJECT,
    names.CE_CORRELATION: names.CE_CORRELATION,
    names.TRACEPARENT: names.TRACEPARENT,
    names.CE_TRACEPARENT: names.TRACEPARENT,
}
"""Input headers that an outcome carries on, and the name under which it does."""


def roots(batch: Batch) -> list[str]:
    """Each row's root position as text."""
    intake = batch.intake
    if intake.trips is not None:
        return [str(intake.trips[row].root) for row in batch.origin]
    prefixes = [f"{source}/" for source in intake.sources]
    pairs = zip(intake.source[batch.origin].tolist(), intake.offset[batch.origin].tolist(), strict=True)
    return [f"{prefixes[source]}{offset}" for source, offset in pairs]


def event_ids(flow: Flow, batch: Batch) -> list[str]:
    """What the outside calls each event: the flow's id column, else header ce_id, else the position."""
    at = -1 if flow.id_column is None else batch.columns.schema.get_field_index(flow.id_column)
    found: list[str | None]
    if at >= 0:
        column = batch.columns.column(at)
        found = (column if pa.types.is_string(column.type) else column.cast(pa.string())).to_pylist()
    else:
        found = [_header(batch, row, names.CE_ID) for row in batch.origin]
    if all(found) and max(map(len, found), default=0) <= ID_CHARS:  # type: ignore[arg-type]
        return found  # type: ignore[return-value]
    return [one if one and len(one) <= ID_CHARS else root for one, root in zip(found, roots(batch), strict=True)]


def outcome_id(flow: Flow, batch: Batch, verdict: Verdict, places: Sequence[str]) -> list[str]:
    """The `ce_id` of each row's outcome. `places` are the rows' roots."""
    trips = batch.intake.trips
    if trips is None:
        return outcome_ids(flow.name, places, verdict.value)
    mine = [trips[row] for row in batch.origin]
    return outcome_ids(flow.name, places, verdict.value, [trip.generation for trip in mine], [trip.number for trip in mine])


def stamps(flow: Flow, fate: Fate, ids: Sequence[str], kind: str, content_type: str) -> Stamped:
    """The headers of each row's outcome. `kind` is its CloudEvents type."""
    constant: list[tuple[str, bytes | None]] = [
        (names.CE_SPECVERSION, names.SPECVERSION.encode()),
        (names.CE_TYPE, kind.encode()),
        (names.CE_SOURCE, f"/weft/{flow.name}".encode()),
        (names.CE_FLOW, flow.ident.encode()),
        (names.CE_VERDICT, fate.verdict.value.encode()),
    ]
    if content_type:
        constant.append((names.CONTENT_TYPE, content_type.encode()))
    if fate.reason:
        constant += [(names.CE_REASON, fate.reason.value.encode()), (names.CE_RULE, fate.rule[:RULE_CHARS].encode(errors="replace"))]
    places = roots(fate.batch)
    keys = idempotency_keys(flow.topics.input, ids, flow.name)
    stamped: Stamped = [
        [
            *constant,
            (names.CE_ID, own.encode()),
            (names.CE_CAUSATION, event.encode()),
            (names.CE_POSITION, root.encode()),
            (names.CE_KEY, key.encode()),
        ]
        for own, event, root, key in zip(outcome_id(flow, fate.batch, fate.verdict, places), ids, places, keys, strict=True)
    ]
    _add_times(stamped, flow, fate.batch)
    if CE_EXTENSIONS in fate.batch.columns.schema.names:
        for mine, own in zip(stamped, _attributes(fate.batch), strict=True):
            mine.extend(own)
    elif flow.reads_headers:
        for mine, row in zip(stamped, fate.batch.origin, strict=True):
            mine.extend(_carried(_headers(fate.batch, row)))
    for index, _, trace in fate.batch.traced():
        stamped[index] = [pair for pair in stamped[index] if pair[0] != names.TRACEPARENT]
        stamped[index].append((names.TRACEPARENT, trace.header(SEND).encode()))
    return stamped


def _add_times(stamped: Stamped, flow: Flow, batch: Batch) -> None:
    """`ce_time` as precise as the column, where the flow declares the event's time and the row has one that RFC 3339 can write."""
    at = -1 if flow.time_column is None else batch.columns.schema.get_field_index(flow.time_column)
    if at < 0 or not pa.types.is_timestamp(type_ := batch.columns.schema.field(at).type):
        return
    texts = batch.columns.column(at).cast(pa.timestamp(type_.unit)).cast(pa.string())
    ours = pc.equal(pc.binary_length(texts), _TIME_CHARS[type_.unit])  # others are of a year before 0 or after 9999
    texts = pc.binary_join_element_wise(pc.replace_substring(pc.if_else(ours, texts, None), " ", "T"), "Z", "")
    for mine, text in zip(stamped, texts.cast(pa.binary()).to_pylist(), strict=True):
        if text is not None:
            mine.append((names.CE_TIME, text))


def _carried(headers: Headers) -> list[tuple[str, bytes | None]]:
    given = {name: value for name, value in headers if len(value or b"") <= CARRIED_BYTES}
    carried = {CARRIED[name]: given[name] for name in (names.CE_TRACEPARENT, *CARRIED) if name in given}
    if names.CE_CORRELATION not in carried and names.CE_ID in given:
        carried[names.CE_CORRELATION] = given[names.CE_ID]
    return list(carried.items())


def _attributes(batch: Batch) -> Iterator[list[tuple[str, bytes | None]]]:
    """What each CloudEvent's own attributes are as headers: its subject, and its extensions but for those that outcomes have themselves."""
    there = [name for name in ("ce_id", names.CE_SUBJECT, CE_EXTENSIONS) if name in batch.columns.schema.names]
    for row in batch.columns.select(there).to_pylist(maps_as_pydicts="lossy"):
        own = {f"ce_{name}": text for name, text in row[CE_EXTENSIONS].items() if f"ce_{name}" not in _OURS and not name.startswith("weft")}
        own |= {names.CE_SUBJECT: row.get(names.CE_SUBJECT)}
        own.setdefault(names.CE_CORRELATION, row.get("ce_id"))
        given = [(names.TRACEPARENT if name == names.CE_TRACEPARENT else name, (text or "").encode()) for name, text in own.items()]
        yield [pair for pair in given if 0 < len(pair[1]) <= CARRIED_BYTES][:CARRIED_MANY]


def _headers(batch: Batch, row: int) -> Headers:
    return () if batch.intake.headers is None else batch.intake.headers[row] or ()


def _header(batch: Batch, row: int, name: str) -> str | None:
    for key, value in _headers(batch, row):
        if key == name and value:
            return value.decode(errors="replace")
    return None
