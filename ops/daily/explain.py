"""Explains a decision: what came in, what each step made of it, why it ended as it did, and where all of that is proven."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from connectors.memory.murmur2 import partition_of
from ops.audit.find import Pass, find
from ops.audit.receipts import last_word
from ops.audit.report import Report
from ops.audit.signed import Heads, Signed
from ops.daily.desk import Desk
from ops.daily.rows import Row, at, rows
from ops.daily.shown import decoded, headers, text
from processors.flow.compiled import Flow, Topics
from processors.flow.writers import STEP, WHY
from schemas import decision, pending
from schemas.errors import UsageError
from schemas.headers import CE_DETAIL, CE_ID, CE_PASS, CE_POSITION, CE_REDRIVE
from schemas.identity import outcome_ids
from schemas.positions import Position, Source
from schemas.vocabulary import Verdict
from streams.ledger.leaf import Leaf, digest


async def explain(desk: Desk, wanted: str) -> dict[str, Any]:
    """Every event with this id, or the one at this position (of the input, or of an outcome), each with all its passes.

    Raises:
        UsageError: nothing stands at the position.
        FailedError: the ledger has no decision about it.
    """
    passes = await find(desk.reader, desk.subject, await _root(desk, wanted))
    signed = Signed(desk.subject, Report())
    if desk.subject.keys:
        await signed.read(desk.reader)
    events: dict[Position, list[Pass]] = {}
    for one in passes:
        events.setdefault(one.leaf.root, []).append(one)
    told = [await _event(desk, root, of, signed.heads) for root, of in events.items()]
    return {"flow": desk.flow.name, "asked": wanted, "events": told}


async def _root(desk: Desk, wanted: str) -> str:
    """The event's own position where that of an outcome was given."""
    topics = desk.subject.topics
    try:
        position = Position.parse(wanted)
    except ValueError:
        return wanted
    if position.topic not in (topics.result, topics.dead_letters, topics.quarantine, topics.reviews, *topics.retries):
        return wanted
    row = await at(desk.reader, position) if position.partition < await desk.reader.partitions(position.topic) else None
    named = dict(row.headers).get(CE_POSITION) if row is not None else None
    if named is None:
        raise UsageError(f"no outcome of Weft's stands at {position}", "Give the event's id, or its position on the input topic.")
    return text(named)


async def _event(desk: Desk, root: Position, passes: Sequence[Pass], signed: Mapping[str, Heads]) -> dict[str, Any]:
    """One event."""
    row = await at(desk.reader, root)
    last = last_word(list(passes)).leaf
    ended = last.verdict if Verdict(last.verdict).terminal else f"open: {last.verdict}"
    told = [await _pass(desk, one, row, signed) for one in passes]
    return {"event": last.event_id, "position": str(root), "ended": ended, "input": _input(desk, row), "passes": told}


def _input(desk: Desk, row: Row | None) -> dict[str, Any]:
    if row is None:
        return {"gone": "the record is no longer on the topic (retention); the ledger still tells what was made of it"}
    value, wrong = decoded(desk.read_input, row.value, row.headers)
    found = {"key": text(row.key), "written_ms": row.timestamp_ms, "headers": headers(row.headers), "value": value}
    return found | ({"unreadable": wrong} if wrong else {})


async def _pass(desk: Desk, one: Pass, taken: Row | None, signed: Mapping[str, Heads]) -> dict[str, Any]:
    """One pass: where it was consumed and why, what each step gave, how it ended, what proves it."""
    leaf = one.leaf
    details = {name: value for name, value in (one.details or {}).items() if value is not None}
    why, step = details.pop(WHY, ""), details.pop(STEP, "")
    outcome = await _outcome(desk, leaf, taken)
    if outcome is not None and not why:
        why = text(dict(outcome.headers)[CE_DETAIL]) if CE_DETAIL in dict(outcome.headers) else ""
    return {
        "position": str(leaf.position),
        "generation": leaf.generation,
        "pass": leaf.number,
        "flow": leaf.flow,
        "cause": await _cause(desk, leaf),
        "steps": _steps(desk.version(leaf.flow), details),
        "verdict": leaf.verdict,
        "reason": leaf.reason,
        "rule": leaf.rule,
        "left_at": step,
        "why": why,
        "model": leaf.model,
        "degraded": leaf.degraded,
        "outcome": None if outcome is None else {"position": str(outcome.position), "headers": headers(outcome.headers)},
        "proof": _proof(one, signed),
    }


def _proof(one: Pass, signed: Mapping[str, Heads]) -> dict[str, Any]:
    sizes = signed[one.origin].due if one.origin in signed else {}
    return {
        "tree": one.origin,
        "index": one.index,
        "block": str(one.block),
        "written_ms": one.written_ms,
        "signed_at_size": min((size for size in sizes if size > one.index), default=None),
    }


def _steps(flow: Flow | None, details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The columns by the step that gave them."""
    left = dict(details)
    found: list[dict[str, Any]] = []
    for step, gives in zip(flow.steps, flow.gives, strict=True) if flow is not None else ():
        columns = {name: left.pop(name) for name in gives if name in left}
        if columns:
            found.append({"step": step.name, "columns": columns})
    return [*found, {"step": "", "columns": left}] if left else found


async def _cause(desk: Desk, leaf: Leaf) -> dict[str, Any]:
    """Why the pass took place: the event came, a retry fell due, somebody decided or redrove."""
    topics = desk.subject.topics
    if leaf.position == leaf.root:
        return {"kind": "event"}
    if leaf.position.topic != topics.resume:
        return {"kind": "retry"}
    row = await at(desk.reader, leaf.position)
    match pending.kind(row.value) if row is not None else None:
        case "decision" if row is not None and row.value is not None:
            made = decision.decode(row.value)
            return {"kind": made.action.value, "who": made.who, "why": made.why, "at_ms": made.at_ms, "set": dict(made.columns)}
        case "pending":
            return {"kind": "redrive"}
        case _:
            return {"kind": "review or redrive"}


async def _outcome(desk: Desk, leaf: Leaf, taken: Row | None) -> Row | None:
    """The outcome's record, if it is still there: of this pass, and with the digest that the leaf has."""
    if not leaf.output or taken is None:
        return None
    key, verdict = taken.key, Verdict(leaf.verdict)
    wanted = _named(desk.flow.name, leaf)
    if verdict is Verdict.REVIEW:
        key = wanted[CE_ID]
    for topic in _topics(desk.subject.topics, verdict):
        async for row in _with_key(desk, topic, key, leaf.root.partition if not verdict.terminal else None):
            if digest(row.key, row.value) == leaf.output and wanted.items() <= dict(row.headers).items():
                return row
    return None


def _named(flow: str, leaf: Leaf) -> dict[str, bytes]:
    """The headers that only the outcome of this pass has. Dead letters keep the event's own `ce_id`."""
    root, verdict = str(leaf.root), Verdict(leaf.verdict)
    if verdict is Verdict.DEAD_LETTER:
        return {CE_POSITION: root.encode(), CE_REDRIVE: str(leaf.generation).encode(), CE_PASS: str(leaf.number).encode()}
    if verdict is Verdict.UNREADABLE:
        return {CE_POSITION: root.encode()}
    (own,) = outcome_ids(flow, [root], verdict.value, leaf.generation, leaf.number)
    return {CE_ID: own.encode()}


def _topics(topics: Topics, verdict: Verdict) -> Sequence[str]:
    match verdict:
        case Verdict.RESULT:
            return (topics.result,)
        case Verdict.QUARANTINE:
            return (topics.quarantine,)
        case Verdict.REVIEW:
            return (topics.reviews,)
        case Verdict.RETRY:
            return topics.retries
        case _:
            return (topics.dead_letters,)


async def _with_key(desk: Desk, topic: str, key: bytes | None, partition: int | None) -> AsyncIterator[Row]:
    """Records with this key, in the partition where they must be."""
    count = await desk.reader.partitions(topic)
    where: Iterable[int] = range(count) if key is None else (partition_of(key, count),)
    for number in where if partition is None else (partition,):
        async for records in desk.reader.read(Source(topic, number)):
            if key in records.keys:
                for row in rows(records):
                    if row.key == key:
                        yield row
