"""Traffic through a flow under fire: real departures on their way in, and when their outcomes become readable, by input partition."""

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
from confluent_kafka import KafkaError, Message, Producer

from ops.examples import flights
from schemas.contracts import built_in
from tests.integration.flow_at_work import LARGE, PARTITIONS, QUICK, QUIET, Arrivals
from tests.integration.outcomes_by_hand import headers

TICK_S = 0.02


class Departures(threading.Thread):
    """Sends departures in their order: some every second, many at once when told, each once whatever becomes of the broker."""

    def __init__(self, bootstrap: str, topic: str, rows: pa.Table, rate: float, unit: int) -> None:
        super().__init__(daemon=True)
        patient = {"enable.idempotence": True, "message.timeout.ms": 900_000, "linger.ms": 5}
        self._producer = Producer({"bootstrap.servers": bootstrap, **patient, **LARGE, **QUICK}, logger=QUIET)
        self._topic, self._rows, self._rate, self._unit = topic, rows, rate, unit
        self._lock, self._last = threading.Lock(), threading.Event()
        self._due = 0.0
        self.sent = 0
        self.failed: list[str] = []
        self.acked = dict.fromkeys(range(PARTITIONS), -1)  # the newest offset by partition

    def burst(self, units: float = 1.0) -> None:
        """So many more, now."""
        with self._lock:
            self._due += max(5, units * self._unit)

    def finish(self, events: int, within_s: float) -> None:
        """So many in all, or as many as were sent; returns when every one is acknowledged."""
        with self._lock:
            self._due = max(self._due, events)
        self._last.set()
        self.join(within_s)
        assert not self.is_alive(), f"{self._topic}: {self.sent} sent, {self._due} due"
        assert not self.failed, self.failed[:3]

    def run(self) -> None:
        for key, value, heads in self._events():
            if not self._wait():
                break
            self._producer.produce(self._topic, value, key, headers=list[Any](heads), on_delivery=self._delivered)
            self.sent += 1
            if self.sent % 200 == 0:
                self._producer.poll(0)
        self._producer.flush(300)

    def _events(self) -> Iterator[tuple[bytes | None, bytes | None, Any]]:
        for chunk in flights.events(self._rows, built_in()[flights.CONTRACT], "avro-single-object", self._topic):
            assert chunk.headers is not None
            yield from zip(chunk.keys, chunk.values, chunk.headers, strict=True)

    def _wait(self) -> bool:
        """Until the next one is due; False if it never will be."""
        while self.sent >= self._due:
            if self._last.is_set():
                return False
            began_s = time.monotonic()
            self._producer.poll(TICK_S)
            with self._lock:
                self._due += self._rate * (time.monotonic() - began_s)
        return True

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failed.append(error.str())
            return
        partition = message.partition() or 0
        self.acked[partition] = max(self.acked[partition], message.offset() or 0)


class Outcomes(Arrivals):
    """The same of each partition of the input, as any consumer of the results sees it."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(bootstrap, topic)
        self._seen: dict[int, list[tuple[float, int]]] = {partition: [] for partition in range(PARTITIONS)}

    def read(self) -> None:
        """What came, by the newest event of each partition."""
        newest: dict[int, int] = {}
        for message in self._consumer.consume(500, 0.05):
            if message.error() is None:
                _, partition, offset = (dict(headers(message))["ce_weftposition"] or b"").decode().rsplit("/", 2)
                newest[int(partition)] = max(newest.get(int(partition), -1), int(offset))
        for place, last in newest.items():
            self._seen[place].append((time.monotonic(), last))

    def after(self, events: Mapping[int, int]) -> float | None:
        """When, for each of these partitions, an outcome of a later event than this one had become readable; None if not yet."""
        moments = [self._first(partition, offset) for partition, offset in events.items()]
        return None if None in moments else max((moment for moment in moments if moment is not None), default=time.monotonic())

    def _first(self, partition: int, offset: int) -> float | None:
        return next((at_s for at_s, newest in self._seen[partition] if newest > offset), None)
