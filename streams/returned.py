"""Whether a record that came back is one that Weft can have written: anyone who may write to a resume or retry topic can forge one."""

from collections.abc import Mapping

import pyarrow as pa

from connectors.log import Reader
from processors.flow.compiled import Flow
from processors.step import MODEL, RULE
from schemas import pending
from schemas.pending import Pending
from schemas.positions import Position, Source

COUNT = 1_000_000
"""No generation, pass or attempt is as high."""
NAME_CHARS = 1_000
"""Of a rule or model: a longer one would burst its leaf."""
SKEW_MS = 60_000
"""Between the clocks of two workers that are well."""
AHEAD_MS = 366 * 86_400_000
"""No worker's clock was so wrong: an event that a fast one parked must go on, whoever reads it."""


class Plausible:
    """Checks what is read back against the flow and the input topic."""

    def __init__(self, flow: Flow, flows: Mapping[str, Flow], reader: Reader) -> None:
        self._flow, self._flows, self._reader = flow, flows, reader
        self._ends: dict[Source, int] = {}  # of input partitions, as far as they had to be known

    async def check(self, position: Position, waits: Pending, now_ms: int) -> None:
        """Compare.

        Raises:
            ValueError: Weft can't have written this here.
        """
        root = waits.root
        if waits.flow != self._flow.name:
            raise ValueError(f"it is of the flow {waits.flow}")
        if root.source != Source(self._flow.topics.input, position.partition):
            raise ValueError(f"its event {root} can't have come here")
        if not all(0 <= count < COUNT for count in (waits.generation, waits.number, waits.attempt, waits.step_index)):
            raise ValueError("its generation, pass, attempt or step is none that there can be")
        if not 0 <= waits.first_consumed_ms <= now_ms + AHEAD_MS:
            raise ValueError("it was first consumed in a far future, or before there were clocks")
        if len(waits.rule) > NAME_CHARS:
            raise ValueError(f"the rule that it names has {len(waits.rule)} characters")
        flow = self._flows.get(f"{waits.flow}@{waits.version}")
        if flow is not None and (waits.step_index >= len(flow.steps) or flow.steps[waits.step_index].name != waits.step):
            raise ValueError(f"{flow.ident} has no step {waits.step} at {waits.step_index}")
        if not 0 <= root.offset < await self._end(root):
            raise ValueError(f"its event {root} is not there")

    async def _end(self, root: Position) -> int:
        """The end of the root's partition, asked for again only where the root lies beyond what is known."""
        known = self._ends.get(root.source, 0)
        if root.offset >= known:
            known = self._ends[root.source] = (await self._reader.extent(root.source)).high
        return known


def columns_of(waits: Pending, flow: Flow | None) -> pa.RecordBatch | str | None:
    """The row's columns so far; a sentence where the flow's steps before can't have given them; None where there are none, or no flow.

    Raises:
        ValueError: they can't be read.
    """
    if flow is None:
        return None
    wanted = {name: kind for gives in flow.gives[: waits.step_index] for name, kind in gives.items()}
    if waits.columns is None:
        return "its columns are missing" if wanted else None
    columns = pending.unpack(waits.columns)
    given = {field.name: field.type for field in columns.schema}
    if len(given) != columns.num_columns or given != wanted:
        return f"its columns are not those that the steps before {waits.step} give"
    for name in (RULE, MODEL):
        if name in given and len(columns.column(name)[0].as_py() or "") > NAME_CHARS:
            return f"its {name} has more than {NAME_CHARS} characters"
    return columns
