"""Turns fates into what is written: the records of the outcome topics, and the ledger's columns beside them.

Results and details show the columns that a row left the steps with, as policies hid them. Quarantined records and dead letters are the
original event.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.log import Outgoing
from processors.flow.compiled import Flow, Notes
from processors.flow.writers import STEP, WHY
from processors.step import DEGRADED, MODEL, RULE, Batch
from schemas.headers import AVRO
from schemas.vocabulary import Verdict
from streams.final import finals
from streams.letters import letters
from streams.stamps import event_ids, stamps
from streams.stepping import Fate, Journey
from streams.waiting import parked

Cells = npt.NDArray[np.object_]

WHY_CHARS = 500


@dataclass(slots=True)
class Endings:
    """The ledger's columns for the n rows of one intake, in its order, and the records to write."""

    journey: Journey
    verdicts: Cells
    reasons: Cells
    rules: Cells
    models: Cells
    degraded: Cells
    event_ids: Cells
    details: Cells
    output_keys: Cells
    output_values: Cells
    has_output: npt.NDArray[np.bool_]
    outgoing: list[Outgoing] = field(default_factory=list)

    @classmethod
    def blank(cls, journey: Journey) -> "Endings":
        """Nothing written yet."""
        rows = len(journey.intake)

        def cells() -> Cells:
            return np.empty(rows, object)

        return cls(journey, cells(), cells(), cells(), cells(), cells(), cells(), cells(), cells(), cells(), np.zeros(rows, bool))


def endings(journey: Journey, notes: Notes, now_ms: int) -> Endings:
    """Write down what became of each row. `notes` encodes the details, in one schema whatever the row's flow version."""
    found = Endings.blank(journey)
    for fate, values in finals(journey, now_ms):
        _write(found, fate, values, now_ms)
        found.details[fate.batch.origin] = _details(journey.flow, notes, fate)
    return found


def _write(found: Endings, fate: Fate, values: Sequence[bytes], now_ms: int) -> None:
    """One fate: its ledger columns and its record for each row, if its verdict has one."""
    flow, at = found.journey.flow, fate.batch.origin
    ids = event_ids(flow, fate.batch)
    found.verdicts[at] = fate.verdict.value
    found.reasons[at] = fate.reason.value
    found.rules[at] = fate.rule or _column(fate.batch, RULE, "")
    found.models[at] = _column(fate.batch, MODEL, "")
    found.degraded[at] = _column(fate.batch, DEGRADED, False)
    found.event_ids[at] = ids
    outgoing = _record(flow, fate, ids, values, now_ms)
    if outgoing is not None:
        found.outgoing.append(outgoing)
        found.output_keys[at] = outgoing.keys
        found.output_values[at] = outgoing.values
        found.has_output[at] = True


def _record(flow: Flow, fate: Fate, ids: Sequence[str], values: Sequence[bytes], now_ms: int) -> Outgoing | None:
    """A record for each row of the fate, or None where the verdict has none."""
    intake, rows = fate.batch.intake, fate.batch.origin
    match fate.verdict:
        case Verdict.RESULT:
            stamped = stamps(flow, fate, ids, flow.result_type, flow.result.content_type)
            return Outgoing(flow.topics.result, [intake.keys[row] for row in rows], values, stamped)
        case Verdict.QUARANTINE:
            stamped = stamps(flow, fate, ids, "weft.quarantine", "")
            return Outgoing(flow.topics.quarantine, [intake.keys[row] for row in rows], [intake.values[row] for row in rows], stamped)
        case Verdict.DEAD_LETTER | Verdict.UNREADABLE:
            return letters(flow, fate)
        case Verdict.RETRY | Verdict.REVIEW:
            return parked(flow, fate, stamps(flow, fate, ids, f"weft.{fate.verdict.value}", AVRO), now_ms)
        case Verdict.FILTERED | Verdict.SUPERSEDED:
            return None
        case _:
            assert_never(fate.verdict)


def _column(batch: Batch, name: str, default: str | bool) -> list[str | bool] | str | bool:
    """A column's values with nulls as the default; the default where there is no such column."""
    at = batch.columns.schema.get_field_index(name)
    if at < 0:
        return default
    column = batch.columns.column(at)
    values: list[str | bool] = (column.fill_null(default) if column.null_count else column).to_pylist()
    return values


def _details(flow: Flow, notes: Notes, fate: Fate) -> Sequence[bytes]:
    """Each row's columns as they were when it left, and why it did: what `weft explain` prints."""
    columns = fate.batch.columns
    if fate.verdict is not Verdict.RESULT:
        step = flow.steps[fate.step].name if fate.step < len(flow.steps) else "result"
        why = [fate.why(row)[:WHY_CHARS] for row in range(len(fate.batch))]
        extra = {STEP: pa.array([step] * len(why), pa.string()), WHY: pa.array(why, pa.string())}
        names = [*columns.schema.names, *extra]
        columns = pa.RecordBatch.from_arrays([*columns.columns, *extra.values()], names=names)
    return notes.encode(columns)
