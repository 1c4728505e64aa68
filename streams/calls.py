"""Hears the calls of models that a step makes: times them, tells the watch, and names the traced event for whom each is made."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter

import pyarrow as pa

from processors.ports import Answer, Models
from processors.step import Batch
from schemas.errors import UnreachableError
from schemas.tracing import CALLER, Trace
from streams.watch import Call, Watch


class _Asking:
    """What the step that runs now has asked, and the first traced event of its batch."""

    def __init__(self, step: str, trace: Trace | None) -> None:
        self.step, self.trace = step, trace
        self.calls: list[Call] = []


_NOW: ContextVar[_Asking | None] = ContextVar("asking", default=None)


@contextmanager
def listening(step: str, batch: Batch) -> Iterator[list[Call]]:
    """The calls that the step makes within, in this task."""
    asking = _Asking(step, next((one for _, _, one in batch.traced()), None))
    token = _NOW.set(asking)
    try:
        yield asking.calls
    finally:
        _NOW.reset(token)


class HeardModels:
    """A `Models` that is heard."""

    def __init__(self, models: Models, watch: Watch) -> None:
        self._models, self._watch = models, watch

    async def infer(self, model: str, route: str, columns: pa.RecordBatch, keys: Sequence[bytes | None], timeout_s: float) -> Answer:
        """As the port says."""
        asking, began_s, who, outcome = _NOW.get(), perf_counter(), model, "failed"
        token = CALLER.set(_caller(asking))
        try:
            answer = await self._models.infer(model, route, columns, keys, timeout_s)
            who, outcome = answer.model, "answered"
            return answer
        except UnreachableError:
            outcome = "unreachable"
            raise
        finally:
            CALLER.reset(token)
            trace = asking.trace if asking is not None else None
            self._heard(Call(who, columns.num_rows, began_s, perf_counter() - began_s, outcome, trace), asking)

    def _heard(self, call: Call, asking: _Asking | None) -> None:
        self._watch.asked(call)
        if asking is not None:
            asking.calls.append(call)


def _caller(asking: _Asking | None) -> str:
    return asking.trace.header(call_name(asking.step, len(asking.calls))) if asking is not None and asking.trace is not None else ""


def call_name(step: str, number: int) -> str:
    """What a step's call is called: its span's id is made of it."""
    return f"{step} call {number}"
