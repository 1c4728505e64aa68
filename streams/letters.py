"""Dead letters: the original event, and headers that say why it could not be processed."""

import hashlib

from connectors.log import Outgoing
from processors.flow.compiled import Flow
from schemas import headers as names
from schemas.vocabulary import Reason, Verdict
from streams.stamps import Stamped
from streams.stepping import Fate

KEPT_BYTES = 65_536
"""Of a value above limits.value_bytes."""
DETAIL_CHARS = 2_000

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
        if fate.reason is Reason.TOO_LARGE and value is not None:
            mine += [(names.CE_SIZE, str(len(value)).encode()), (names.CE_SHA256, hashlib.sha256(value).hexdigest().encode())]
            value = value[:KEPT_BYTES]
        values.append(value)
        stamped.append(mine)
    return Outgoing(flow.topics.dead_letters, [intake.keys[row] for row in rows], values, stamped)
