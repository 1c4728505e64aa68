"""What waits to be told as spans: taken at once, turned into spans and handed to an exporter by a thread of its own, bounded."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from connectors.telemetry.span import Exporter, Span
from schemas.errors import UnreachableError

T = TypeVar("T")

LOGGER = logging.getLogger("weft.telemetry")
PERIOD_S = 0.5
CHUNK = 512  # spans of one export
WAITING = 2_000  # batches that may wait; one that comes then is let go


class Outbox(Generic[T]):
    """`spans` turns what was put into spans; `exporter` is made by the thread, at the first of them."""

    def __init__(self, spans: Callable[[T], Sequence[Span]], exporter: Callable[[], Exporter], waiting: int = WAITING) -> None:
        self._spans, self._make, self._most = spans, exporter, waiting
        self._waiting: deque[T] = deque()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._exporter: Exporter | None = None
        self.exported = 0  # spans
        self.dropped = 0  # spans, and what was let go before it was turned into any

    def put(self, one: T) -> None:
        """Take it; never waits."""
        if len(self._waiting) >= self._most:
            self.dropped += 1
            return
        self._waiting.append(one)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
            self._thread.start()

    def close(self, within_s: float) -> None:
        """Export what waits, for so long at most."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(within_s)

    def _run(self) -> None:
        while not self._ended.wait(PERIOD_S):
            self._empty()
        self._empty()
        if self._exporter is not None:
            self._exporter.close()

    def _empty(self) -> None:
        spans: list[Span] = []
        while self._waiting:
            spans += self._spans(self._waiting.popleft())
            while len(spans) >= CHUNK or (spans and not self._waiting):
                self._export(spans[:CHUNK])
                del spans[:CHUNK]

    def _export(self, spans: Sequence[Span]) -> None:
        try:
            if self._exporter is None:
                self._exporter = self._make()
            self._exporter.export(spans)
            self.exported += len(spans)
        except UnreachableError as error:
            self.dropped += len(spans)
            LOGGER.warning("%s", error.sentence)
        except Exception as error:  # spans are never worth a worker
            self.dropped += len(spans)
            LOGGER.warning("spans could not be exported", exc_info=error)
