"""What an approval puts in the place of the step that asked: the columns that this step gives."""

import pyarrow as pa

from processors.flow.compiled import Flow
from processors.step import DEGRADED, MODEL, RULE
from schemas import pending
from schemas.decision import Decision
from schemas.pending import Pending


def approved(flow: Flow, waits: Pending, decision: Decision) -> pa.RecordBatch | str:
    """The row's columns as the next step expects them; a sentence if the decision sets a column wrongly, or not at all.

    `rule`, `model` and `degraded` are filled in where the reviewer does not set them: the rule that asked, `review`, true.
    """
    if waits.columns is None:
        return "the row has no columns yet, so no step can go on with it"
    columns = pending.unpack(waits.columns)
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
        try:
            value = pa.array([known[name]], kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            return f"{name} must be {kind}: {error}"
        columns = columns.append_column(name, value) if at < 0 else columns.set_column(at, name, value)
    return columns
