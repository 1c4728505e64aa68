"""Sends dead letters again: each as the next generation of its event, and tells what a worker made of it."""

import hashlib
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.log import Outgoing
from ops.daily.desk import Desk
from ops.daily.leaves import TIMEOUT_S, awaited, ends
from ops.daily.letters import Letter
from ops.daily.rows import Row, at
from processors.steps.decode import KEY_BYTES
from schemas import pending
from schemas.headers import CE_ID, OVERSIZED, UNREADABLE, WEFT_PREFIX, headers_size
from schemas.pending import Pending
from schemas.positions import Position
from schemas.vocabulary import Verdict
from streams.ledger.leaf import Leaf

STARTED, SUPERSEDED, WAITING, REFUSED = "started", "superseded", "waiting", "refused"


@dataclass(frozen=True, slots=True)
class Redriven:
    """What became of one letter: `started` (and how it ended), `superseded`, `waiting` (no worker took it in yet) or `refused`."""

    letter: Letter
    outcome: str
    sentence: str
    leaf: Leaf | None = None

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "letter": str(self.letter.row.position),
            "event": str(self.letter.root),
            "generation": None if self.letter.generation is None else self.letter.generation + 1,
            "outcome": self.outcome,
            "verdict": self.leaf.verdict if self.leaf else "",
            "reason": self.leaf.reason if self.leaf else "",
            "sentence": self.sentence,
        }


async def redrive(desk: Desk, letters: Sequence[Letter], timeout_s: float = TIMEOUT_S) -> list[Redriven]:
    """Write each to `.resume`, at the partition of its event, and wait for its leaf."""
    told: dict[int, Redriven] = {}
    rows: dict[int, Pending] = {}
    for index, letter in enumerate(letters):
        made = await _pending(desk, letter)
        if isinstance(made, str):
            told[index] = Redriven(letter, REFUSED, made)
        else:
            rows[index] = made
    since = await ends(desk, {waits.root.partition for waits in rows.values()})
    sent = await _send(desk, rows)
    leaves = await awaited(desk, list(sent.values()), since, timeout_s)
    for index, position in sent.items():
        told[index] = _told(letters[index], leaves.get(position), position)
    return [told[index] for index in range(len(letters))]


async def _send(desk: Desk, rows: dict[int, Pending]) -> dict[int, Position]:
    """Where each stands on `.resume` now."""
    by_partition: dict[int, list[int]] = defaultdict(list)
    for index, waits in rows.items():
        by_partition[waits.root.partition].append(index)
    sent: dict[int, Position] = {}
    for partition, group in by_partition.items():
        keys, values = [str(rows[index].root).encode() for index in group], [pending.encode(rows[index]) for index in group]
        positions = await desk.publisher.publish(Outgoing(desk.flow.topics.resume, keys, values, partition=partition))
        sent |= dict(zip(group, positions, strict=True))
    return sent


async def _pending(desk: Desk, letter: Letter) -> Pending | str:
    """The record that starts the next generation; a sentence where there can be none."""
    flow = desk.flow
    if letter.generation is None:
        return "it never was an event of the flow: a record on a retry or resume topic that Weft did not write"
    if letter.root.topic != flow.topics.input:
        return f"its event is of {letter.root.topic}, not of {flow.topics.input}"
    if letter.generation >= flow.limits.redrives:
        return f"it was redriven {letter.generation} times, limits.redrives allows {flow.limits.redrives}"
    if OVERSIZED in letter.row.headers:
        return f"it was never read: {letter.detail}"
    if letter.key_size is not None:
        return f"its key has {letter.key_size:,} bytes, and at most {KEY_BYTES:,} may be"
    whole = letter.row if letter.size is None and not letter.lacks_headers else await _original(desk, letter)
    if isinstance(whole, str):
        return whole
    value, now_ms = whole.value, time.time_ns() // 1_000_000
    headers = whole.headers if letter.lacks_headers else letter.row.headers
    given = [pair for pair in headers if not pair[0].startswith(WEFT_PREFIX) or pair == UNREADABLE]
    named = (dict(given).get(CE_ID) or b"").decode(errors="replace")
    return Pending(
        root=letter.root,
        generation=letter.generation + 1,
        number=0,
        event_id=named or str(letter.root),
        flow=flow.name,
        version=flow.version,
        step_index=0,
        step=flow.steps[0].name,
        first_consumed_ms=now_ms,
        due_ms=now_ms,
        key=letter.row.key,
        value=value,
        headers=given,
        timestamp_ms=letter.row.timestamp_ms,
    )


async def _original(desk: Desk, letter: Letter) -> Row | str:
    """The event whose letter was cut; a sentence where it is gone."""
    if (letter.size or 0) > desk.flow.limits.value_bytes:
        return f"its value has {letter.size:,} bytes, limits.value_bytes still allows {desk.flow.limits.value_bytes:,}"
    row = await at(desk.reader, letter.root)
    if row is None:
        return f"it was cut, and the original at {letter.root} is no longer there (retention)"
    if (size := headers_size(row.headers)) > desk.flow.limits.value_bytes:
        return f"its headers have {size:,} bytes, and at most limits.value_bytes ({desk.flow.limits.value_bytes:,}) may be sent again"
    if letter.size is not None and hashlib.sha256(row.value or b"").hexdigest() != letter.sha256:
        return f"it was cut, and what stands at {letter.root} is not the original (the topic was made anew?)"
    return row


def _told(letter: Letter, leaf: Leaf | None, position: Position) -> Redriven:
    if leaf is None:
        return Redriven(letter, WAITING, f"no worker has taken it in yet; it waits at {position}")
    if Verdict(leaf.verdict).void:
        return Redriven(letter, SUPERSEDED, "its next generation was started by someone else before, or limits.redrives is reached", leaf)
    reason = f" ({leaf.reason})" if leaf.reason else ""
    return Redriven(letter, STARTED, f"generation {leaf.generation} ended as {leaf.verdict}{reason}", leaf)
