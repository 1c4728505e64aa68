"""Rows that must wait: written with all that they need to go on, and read back as batches.

The columns are those that the row left the steps with: what a policy hid is hidden in them. The original key, value and headers beside
them stay as they came, whatever was hidden: a redrive needs them. So who may read `.reviews` and `.retry.*` may read the input.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from connectors.log import Outgoing
from processors.flow.compiled import Flow
from processors.step import Batch, Intake, Trip
from schemas import pending
from schemas.pending import Pending
from schemas.positions import Position, Source
from schemas.vocabulary import Verdict
from streams.stamps import Stamped, event_ids, outcome_id, roots
from streams.stepping import Fate
from streams.work import Group


def parked(flow: Flow, fate: Fate, stamped: Stamped, now_ms: int) -> Outgoing:
    """A `weft.Pending` for each row of a fate whose rows share partition and attempt: on a retry topic, or among the reviews."""
    batch = fate.batch
    trip = batch.intake.trip(int(batch.origin[0]))
    keys: list[bytes | None]
    if fate.verdict is Verdict.REVIEW:
        topic, wait_s = flow.topics.reviews, flow.limits.review_s
        keys = [own.encode() for own in outcome_id(flow, batch, Verdict.REVIEW, roots(batch))]
    else:
        topic, wait_s = flow.topics.retries[trip.attempt], flow.limits.retries_s[trip.attempt]
        keys = [batch.intake.keys[row] for row in batch.origin]
    due_ms = now_ms + int(wait_s * 1000)
    ids = event_ids(flow, batch)
    values = [pending.encode(_pending(flow, fate, index, ids[index], due_ms)) for index in range(len(batch))]
    return Outgoing(topic, keys, values, stamped, partition=trip.root.partition)


def _pending(flow: Flow, fate: Fate, index: int, event_id: str, due_ms: int) -> Pending:
    batch, row = fate.batch, int(fate.batch.origin[index])
    intake, trip, review = batch.intake, batch.intake.trip(row), fate.verdict is Verdict.REVIEW
    return Pending(
        root=trip.root,
        generation=trip.generation,
        number=trip.number if review else trip.number + 1,
        event_id=event_id,
        flow=flow.name,
        version=flow.version,
        step_index=fate.step,
        step=flow.steps[fate.step].name,
        first_consumed_ms=trip.first_consumed_ms,
        due_ms=due_ms,
        key=intake.keys[row],
        value=intake.values[row],
        headers=None if intake.headers is None else list(intake.headers[row] or ()),
        timestamp_ms=int(intake.timestamp_ms[row]),
        columns=pending.pack(batch.columns.slice(index, 1)) if batch.columns.num_columns else None,
        attempt=trip.attempt if review else trip.attempt + 1,
        reason=fate.reason.value,
        rule=fate.rule,
        sentence=fate.why(index),
    )


@dataclass(frozen=True, slots=True)
class Return:
    """A row that goes on: what it was when it was parked, where it was consumed, and as which pass."""

    position: Position  # consumed, on a resume or retry topic
    pending: Pending
    number: int  # of the pass
    entry: int  # index of the step to go on with
    columns: pa.RecordBatch | None
    first_consumed_ms: int


def returns_intake(returns: Sequence[Return], fetched_ms: int) -> Intake:
    """The rows as an intake: consumed positions beside the events' own keys, values and headers."""
    sources = tuple(dict.fromkeys(one.position.source for one in returns))
    number: Mapping[Source, int] = {source: index for index, source in enumerate(sources)}
    waits = [one.pending for one in returns]
    return Intake(
        sources,
        np.array([number[one.position.source] for one in returns], np.int16),
        np.array([one.position.offset for one in returns], np.int64),
        np.array([wait.timestamp_ms for wait in waits], np.int64),
        [wait.key for wait in waits],
        [wait.value for wait in waits],
        [wait.headers or () for wait in waits],
        fetched_ms,
        [
            Trip(wait.root, wait.generation, one.number, one.first_consumed_ms, wait.attempt)
            for one, wait in zip(returns, waits, strict=True)
        ],
    )


def returns_groups(flows: Mapping[str, Flow], returns: Sequence[Return], fetched_ms: int) -> list[Group]:
    """The rows by flow version, entry step and schema of the columns so far."""
    alike: dict[tuple[str, int, pa.Schema | None], list[Return]] = defaultdict(list)
    for one in returns:
        schema = None if one.columns is None else one.columns.schema
        alike[f"{one.pending.flow}@{one.pending.version}", one.entry, schema].append(one)
    groups = []
    for (ident, entry, _), rows in alike.items():
        parts = [one.columns for one in rows if one.columns is not None]
        columns = pa.concat_batches(parts) if parts else pa.RecordBatch.from_arrays([], names=[])
        batch = Batch(columns, np.arange(len(rows)), returns_intake(rows, fetched_ms))
        groups.append(Group(flows[ident], entry, batch))
    return groups
