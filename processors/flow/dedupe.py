"""Takes out an event whose id came before, within the time that the flow's `input.dedupe` says."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processors.ports import Lookup
from processors.step import Batch, Leave, State, Stepped
from schemas.vocabulary import Reason, Verdict


@dataclass(frozen=True, slots=True)
class Dedupe:
    """The first position that claims an id owns it, so an event that is read again finds itself. Rows without an id pass.

    Only generation 0 is asked: a redrive is the same event. Of later passes only those come here that no pass before brought as far: they
    waited for their schema. An unreachable store pauses the lane.
    """

    flow: str
    column: str
    ttl_s: int
    lookup: Lookup
    name: str = "dedupe"
    stateful: bool = False

    async def run(self, batch: Batch, state: State) -> Stepped:
        """One claim per row, in one round trip."""
        ids = pc.cast(batch.columns.column(self.column), pa.string()).to_pylist()
        trips = [batch.intake.trip(int(row)) for row in batch.origin]
        asked = [row for row, (id_, trip) in enumerate(zip(ids, trips, strict=True)) if id_ is not None and not trip.generation]
        if not asked:
            return Stepped(batch, state=state)
        mine = [str(trips[row].root) for row in asked]
        owners = await self.lookup.claim([f"{self.flow}:{ids[row]}" for row in asked], mine, self.ttl_s)
        twice = [(row, owner) for row, own, owner in zip(asked, mine, owners, strict=True) if own != owner]
        if not twice:
            return Stepped(batch, state=state)
        rows = np.array([row for row, _ in twice], dtype=np.int64)
        sentences = [f"the event at {owner} came before with the same id" for _, owner in twice]
        leave = Leave(rows, Verdict.FILTERED, Reason.DUPLICATE, "dedupe", sentences=sentences)
        return Stepped(batch.without(rows), (leave,), state, counts={"duplicates": float(len(rows))})
