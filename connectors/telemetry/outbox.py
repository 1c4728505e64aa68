"""What waits to be told as spans: taken at once, turned into spans and handed to an exporter by a thread of its own, bounded."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Generic, TypeVar

from connectors.telemetry.span import Exporter, Span
from schemas.errors import UnreachableError

T = TypeVar("T")

LOGGER = logging.getLogger("weft.telemetry")
PERIOD_S = 0.5
CHUNK = 512  # spans of one export
WAITING = 50_000  # spans that may wait; what comes then is let go


class Outbox(Generic[T]):
    """`spans` turns what was put into spans, about `size` of them; `exporter` is made by the thread, at the first one."""

    def __init__(
        self, spans: Callable[[T], Iterable[Span]], size: Callable[[T], int], exporter: Callable[[], Exporter], most: int = WAITING
    ) -> None:
        self._spans, self._size, self._make, self._most = spans, size, exporter, most
        self._waiting: deque[T] = deque()
        self._put = self._taken = 0  # spans, each written by one thread
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._exporter: Exporter | None = None
        self._late = self._lost = 0  # spans that were let go: before they were made, and by the exporter
        self.exported = 0

    @property
    def dropped(self) -> int:
        """Spans that were let go."""
        return self._late + self._lost

    def put(self, one: T) -> None:
        """Take it; never waits."""
        size = self._size(one)
        if self._put - self._taken >= self._most:
            self._late += size
            return
        self._put += size
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
        spans = self._made()
        try:
            while chunk := list(islice(spans, CHUNK)):
                self._export(chunk)
        except Exception as error:  # what can't be made into spans is not worth a worker
            LOGGER.warning("spans could not be made", exc_info=error)

    def _made(self) -> Iterator[Span]:
        while self._waiting:
            one = self._waiting.popleft()
            try:
                yield from self._spans(one)
            finally:
                self._taken += self._size(one)

    def _export(self, spans: Sequence[Span]) -> None:
        try:
            if self._exporter is None:
                self._exporter = self._make()
            self._exporter.export(spans)
            self.exported += len(spans)
        except UnreachableError as error:
            self._lost += len(spans)
            LOGGER.warning("%s", error.sentence)
        except Exception as error:
            self._lost += len(spans)
            LOGGER.warning("spans could not be exported", exc_info=error)
