"""What an approval puts in the place of the step that asked: the columns that this step gives."""

import pyarrow as pa

from processors.flow.compiled import Flow
from processors.step import DEGRADED, MODEL, RULE
from schemas.decision import Decision
from schemas.pending import Pending
from streams.returned import NAME_CHARS, columns_of


def approved(flow: Flow, waits: Pending, decision: Decision) -> pa.RecordBatch | str:
    """The row's columns as the next step expects them; a sentence if the decision sets a column wrongly, or not at all.

    `rule`, `model` and `degraded` are filled in where the reviewer does not set them: the rule that asked, `review`, true.
    """
    columns = columns_of(waits, flow)
    if isinstance(columns, str):
        return columns
    if columns is None:
        return "the row has no columns yet, so no step can go on with it"
    gives = flow.gives[waits.step_index]
    known = {RULE: waits.rule, MODEL: "review", DEGRADED: True} | dict(decision.columns)
    if extra := sorted(set(decision.columns) - set(gives)):
        return f"step {waits.step} does not give {', '.join(extra)}; it gives {', '.join(gives) or 'nothing'}"
    for name, kind in gives.items():
        at = columns.schema.get_field_index(name)
        if name not in known and at >= 0:
            continue
        if name not in known:
            return f"step {waits.step} gives {name} ({kind}): the reviewer must set it"
        value = _typed(name, known[name], kind)
        if isinstance(value, str):
            return value
        columns = columns.append_column(name, value) if at < 0 else columns.set_column(at, name, value)
    return columns


def _typed(name: str, value: object, kind: pa.DataType) -> pa.Array | str:
    """A column of one value; a sentence if it is none."""
    if name in (RULE, MODEL) and len(str(value)) > NAME_CHARS:
        return f"{name} has more than {NAME_CHARS} characters"
    try:
        return pa.array([value], kind)
    except (pa.ArrowException, ValueError, TypeError, AttributeError, OverflowError) as error:
        return f"{name} must be {kind}: {error}"
