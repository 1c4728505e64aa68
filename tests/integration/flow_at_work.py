"""A flow at work as its users have it: `weft run` with real workers, departures coming in at a rate, and its results watched."""

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from ops.audit.report import Report
from ops.audit.session import session
from ops.audit.verify import Verification
from ops.examples import flights
from ops.run.watching import ask
from processors.flow.project import BUILT_IN
from schemas.contracts import built_in
from streams.settings import Settings
from streams.slot import Slot
from tests.stack import TestStack

WEFT = Path(sys.executable).with_name("weft")
PARTITIONS = 4
QUICK = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 200}  # so that the watcher is not what is measured

LITE = {
    "model: arrival-delay, route": "model: arrival-delay-lite, route",
    "fallback: [{model: arrival-delay-lite}, ": "fallback: [",
}
"""What to change so that a small model answers, in the worker itself."""
LARGE = {"queue.buffering.max.messages": 1_000_000}
QUIET = logging.getLogger("tests.clients")  # they say a lot while the broker is away
QUIET.setLevel(logging.CRITICAL + 1)


class Feed(threading.Thread):
    """Sends the first departures of the year at a rate, whatever becomes of the broker meanwhile."""

    def __init__(self, bootstrap: str, topic: str, events: int, rate: float) -> None:
        super().__init__(daemon=True)
        self._topic, self._rate, self._rows = topic, rate, flights.departures()[:events]
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "enable.idempotence": True, "message.timeout.ms": 120_000, **LARGE, **QUICK}, logger=QUIET
        )
        self.sent = 0

    def run(self) -> None:
        began = time.monotonic()
        for chunk in flights.events(self._rows, built_in()[flights.CONTRACT], "avro-single-object", self._topic):
            assert chunk.headers is not None
            for key, value, headers in zip(chunk.keys, chunk.values, chunk.headers, strict=True):
                self._producer.produce(self._topic, value, key, headers=list[Any](headers))
                self.sent += 1
                if self._rate and self.sent % 50 == 0:
                    self._producer.poll(0)
                    time.sleep(max(0.0, began + self.sent / self._rate - time.monotonic()))
        self._producer.flush(120)


class Arrivals(threading.Thread):
    """When results became readable."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(daemon=True)
        own = {"group.id": f"watch-{topic}", "isolation.level": "read_committed", "enable.auto.commit": False, "fetch.wait.max.ms": 50}
        self._consumer = Consumer({"bootstrap.servers": bootstrap, **own, **QUICK}, logger=QUIET)
        self._consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)])
        self._ended = threading.Event()
        self.at_s: list[float] = []

    def run(self) -> None:
        while not self._ended.is_set():
            self.read()
        self._consumer.close()

    def read(self) -> None:
        """What came, one moment for each."""
        found = sum(message.error() is None for message in self._consumer.consume(500, 0.05))
        self.at_s += [time.monotonic()] * found

    def end(self) -> None:
        self._ended.set()
        self.join(10)

    def next_after(self, moment_s: float, within_s: float) -> float:
        """Seconds from that moment to the next result."""
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            if self.at_s and self.at_s[-1] > moment_s:
                return next(at for at in self.at_s if at > moment_s) - moment_s
            time.sleep(0.02)
        raise AssertionError(f"no result within {within_s:g} s")


class FlowAtWork:
    """The shipped flow under a name and topics of its own, in a project of its own."""

    def __init__(self, stack: TestStack, folder: Path, name: str, serve: str = "in-process", changes: Mapping[str, str] | None = None):
        self.stack, self.name, self.folder = stack, name, folder
        self.input, self.result = f"in.{name}", f"out.{name}"
        text = (BUILT_IN["flows"] / "departure-delays.yaml").read_text()
        named = {"flow: departure-delays": f"flow: {name}", "flights.departures": self.input, "flights.delay-decisions": self.result}
        for old, new in {**named, **(changes or {})}.items():
            assert old in text, old
            text = text.replace(old, new)
        (folder / "flows").mkdir(parents=True)
        (folder / "flows" / f"{name}.yaml").write_text(text)
        self.environment = {
            **os.environ,
            "WEFT_PROJECT": str(folder),
            "WEFT_DATA": str(folder / "data"),
            "WEFT_BOOTSTRAP": stack.bootstrap,
            "WEFT_REDIS": stack.redis_url,
            "WEFT_SERVE": serve,
        }
        self.settings = Settings(project=folder, data=folder / "data", bootstrap=stack.bootstrap, redis=stack.redis_url, serve=serve)
        self.slot = Slot(name, 0, 1, folder / "data")
        self.weft("audit", "keys", "--create")
        self.weft("flow", "apply", name, "--yes", "--partitions", str(PARTITIONS))

    def weft(self, *arguments: str) -> None:
        done = subprocess.run([WEFT, *arguments], env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    @contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        """`weft run` with one worker, once it holds its partitions; at the end it drains and must say that all went well."""
        with (self.folder / "run.log").open("wb") as log:
            run = subprocess.Popen([WEFT, "run", self.name, "--workers", "1"], env=self.environment, stdout=log, stderr=log)
        try:
            end_s = time.monotonic() + 60
            while not ((self.status().get("lane") or {}).get("sources")):
                assert time.monotonic() < end_s, self.said()
                time.sleep(0.1)
            yield run
            run.send_signal(signal.SIGTERM)
            assert run.wait(30) == 0, self.said()
        finally:
            if run.poll() is None:
                run.terminate()
                run.wait(30)

    @contextmanager
    def watched(self) -> Iterator[Arrivals]:
        arrivals = Arrivals(self.stack.bootstrap, self.result)
        arrivals.start()
        try:
            yield arrivals
        finally:
            arrivals.end()

    def feed(self, events: int, rate: float = 0.0) -> Feed:
        """Departures on their way in; `join` waits until all are acknowledged."""
        feed = Feed(self.stack.bootstrap, self.input, events, rate)
        feed.start()
        return feed

    def status(self) -> Mapping[str, Any]:
        """What the worker says of itself; empty if none answers."""
        return ask(self.slot) or {}

    def said(self) -> str:
        """What `weft run` and the worker said last."""
        texts = [path.read_text(errors="replace")[-3000:] for path in (self.folder / "run.log", self.slot.log_file) if path.exists()]
        return "\n".join(texts)

    def finish(self, within_s: float) -> None:
        """Wait until every event that came in is committed."""
        consumer = Consumer(
            {"bootstrap.servers": self.stack.bootstrap, "group.id": self.name, "enable.auto.commit": False, **QUICK}, logger=QUIET
        )
        places = [TopicPartition(self.input, partition) for partition in range(PARTITIONS)]
        left: list[int] = [-1]
        end_s = time.monotonic() + within_s
        try:
            while time.monotonic() < end_s and any(left):
                try:
                    ends = [consumer.get_watermark_offsets(place, timeout=2)[1] for place in places]
                    left = [end - max(0, at.offset) for end, at in zip(ends, consumer.committed(places, timeout=2), strict=True)]
                except KafkaException:
                    continue  # the broker is on its way
                time.sleep(0.05)
        finally:
            consumer.close()
        assert not any(left), (left, self.status(), self.said())

    def membership(self) -> tuple[tuple[str, ...], int]:
        """The group's member ids and its generation, as the broker has them: both stay as they are where nobody rebalances."""
        admin = AdminClient({"bootstrap.servers": self.stack.bootstrap}, logger=QUIET)
        group = admin.describe_consumer_groups([self.name])[self.name].result(10)
        log = (self.stack.folder / "kafka" / "logs" / "broker.log").read_text(errors="replace")
        generations = re.findall(rf"Stabilized group {re.escape(self.name)} generation (\d+)", log)
        assert generations, "the broker's log does not tell of the group"
        return tuple(sorted(member.member_id for member in group.members)), int(generations[-1])

    def starts(self) -> int:
        """How often a worker was started."""
        return sum('"says": "started ' in line for line in self.slot.log_file.read_text(errors="replace").splitlines())

    async def audited(self) -> Report:
        """What `weft audit verify` finds."""
        async with session(self.settings, self.name) as opened:
            return await Verification(opened.reader, opened.subject).run()
