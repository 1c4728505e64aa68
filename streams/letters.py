"""Dead letters: the original event as it came, whatever a policy hid in its columns, and headers that say why it could not be processed."""

import hashlib
from collections.abc import Sequence

from connectors.log import Outgoing
from processors.flow.compiled import Flow
from schemas import headers as names
from schemas.vocabulary import Reason, Verdict
from streams.stamps import Stamped
from streams.stepping import Fate

KEPT_BYTES = 65_536
"""Of a value above limits.value_bytes."""
DETAIL_CHARS = 2_000
ROOM_BYTES = 32_768
"""For headers, beside a value of limits.value_bytes."""

NEVER = "never"
"""`ce_weftredrive` of a letter that can't be redriven: it never was an event of the flow."""


def letters(flow: Flow, fate: Fate) -> Outgoing:
    """A letter for each row: key, value and headers as they came, plus `ce_weft*`."""
    intake, rows = fate.batch.intake, fate.batch.origin
    step = flow.steps[fate.step].name if fate.step < len(flow.steps) else "result"
    values: list[bytes | None] = []
    stamped: Stamped = []
    for index, row in enumerate(rows):
        value = intake.values[row]
        trip = intake.trip(row)
        mine = [] if intake.headers is None else [pair for pair in intake.headers[row] or () if not pair[0].startswith(names.WEFT_PREFIX)]
        mine += [
            (names.CE_FLOW, flow.ident.encode()),
            (names.CE_POSITION, str(trip.root).encode()),
            (names.CE_VERDICT, fate.verdict.value.encode()),
            (names.CE_REASON, fate.reason.value.encode()),
            (names.CE_RULE, fate.rule.encode()),
            (names.CE_STEP, step.encode()),
            (names.CE_DETAIL, fate.why(index)[:DETAIL_CHARS].encode()),
            (names.CE_PASS, str(trip.number).encode()),
            (names.CE_REDRIVE, NEVER.encode() if fate.verdict is Verdict.UNREADABLE else str(trip.generation).encode()),
        ]
        if _sizes(value, mine) > flow.limits.value_bytes + ROOM_BYTES and intake.sources[intake.source[row]].topic != flow.topics.input:
            mine = [pair for pair in mine if pair[0].startswith(names.WEFT_PREFIX)]  # more than an event's letter has room for
        if value is not None and (fate.reason is Reason.TOO_LARGE or len(value) > flow.limits.value_bytes):
            mine += [(names.CE_SIZE, str(len(value)).encode()), (names.CE_SHA256, hashlib.sha256(value).hexdigest().encode())]
            value = value[:KEPT_BYTES]
        values.append(value)
        stamped.append(mine)
    return Outgoing(flow.topics.dead_letters, [intake.keys[row] for row in rows], values, stamped)


def _sizes(value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> int:
    return len(value or b"") + sum(len(name) + len(given or b"") for name, given in headers)
