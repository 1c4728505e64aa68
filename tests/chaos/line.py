"""A flow under fire: its workers and their supervisor, which is started again whenever it ends, its traffic, and its end."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.run.watching import ask
from streams.slot import Slot
from tests.chaos import checker
from tests.chaos.jumping import FOLDER
from tests.chaos.traffic import Departures, Outcomes
from tests.integration.flow_at_work import LITE, PARTITIONS, FlowAtWork
from tests.stack import TestStack

REST_S = 0.5  # before a supervisor that has ended is started again, as a service manager would
RULES = """\
rules:
  - {name: round-trip, when: origin == dest, then: quarantine, sentence: The flight ends where it began.}
  - {name: ferry, when: distance < 50.0, then: stop, sentence: A flight this short carries no passengers.}
  - {name: late, when: dep_delay > 120.0, then: review, sentence: Over two hours late; a person decides.}
"""
IN_PROCESS = {**LITE, "review: 24h": "review: 3s"}
BY_KEY = {
    "order:   none": "order:   key",
    "outage: pause": "outage: degrade",
    'fallback: [{model: arrival-delay-lite}, {rule: "dep_delay > 30.0 ? 1.0 : 0.0"}, review]': "fallback: []",
    "review: 24h, retries: [1s, 30s, 5m]": "review: 15s, retries: [200ms, 500ms, 1s, 2s, 5s, 10s, 20s, 40s]",
}
"""The shipped flow in the order of keys: a model that does not answer is asked again in place; two hours late, and a person decides."""


class Line(FlowAtWork):
    """One flow. Where `second` is given, its workers reach the broker by that address alone."""

    def __init__(self, stack: TestStack, folder: Path, name: str, serve: str, changes: Mapping[str, str], second: str = "") -> None:
        self.by_key = changes.get("order:   none") == "order:   key"
        if self.by_key:
            (folder / "policies").mkdir(parents=True)
            (folder / "policies" / "departures.yaml").write_text(RULES)
        super().__init__(stack, folder, name, serve, changes)
        self.clocks = folder / "clocks"
        self.clocks.mkdir()
        self._asked = {**self.environment, FOLDER: str(self.clocks)} | ({"WEFT_BOOTSTRAP": second} if second else {})
        self.workers = 0
        self.ends: list[str] = []  # of supervisors that nobody ended
        self._wanted = threading.Event()
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self.departures: Departures
        self.outcomes: Outcomes

    def begin(self, departures: Departures, workers: int) -> None:
        """Traffic and workers."""
        self.departures = departures
        self.outcomes = Outcomes(self.stack.bootstrap, self.result)
        self.outcomes.start()
        self.departures.start()
        self.start(workers)
        threading.Thread(target=self._keep, daemon=True).start()
        self.until_at_work(90)

    def start(self, workers: int) -> None:
        with self._lock:
            self.workers = workers
            self._wanted.set()
            self._spawn()

    def _spawn(self) -> None:
        argv = [sys.executable, "-m", "tests.chaos.jumping", "run", self.name, "--workers", str(self.workers)]
        with (self.folder / "run.log").open("ab") as log:
            self._process = subprocess.Popen(argv, env=self._asked, stdout=log, stderr=log)

    def _keep(self) -> None:
        """Start the supervisor again when it has ended and nobody wanted it to."""
        while True:
            time.sleep(REST_S)
            with self._lock:
                code = self._process.poll() if self._process is not None else None
                if self._wanted.is_set() and code is not None:
                    if code != -signal.SIGKILL:
                        self.ends.append(f"{self.name}: a supervisor ended with {code}")
                    self._spawn()

    def kill_supervisor(self) -> None:
        with self._lock:
            assert self._process is not None
            self._process.kill()
            self._process.wait(10)

    def stop(self, within_s: float = 40) -> int:
        """End it in order; its exit code."""
        with self._lock:
            self._wanted.clear()
            assert self._process is not None
            self._process.send_signal(signal.SIGTERM)
            try:
                return self._process.wait(within_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                return self._process.wait(10)

    def kill(self) -> None:
        """End the supervisor, however it is; its workers end with it."""
        self._wanted.clear()
        if self._process is not None and self._process.poll() is None:
            self.stop(5)

    def statuses(self) -> list[Mapping[str, Any]]:
        """What each worker that holds something says of itself."""
        slots = [Slot(self.name, number, self.workers, self.folder / "data") for number in range(self.workers)]
        found = [said for slot in slots if (said := ask(slot)) is not None]
        return [said for said in found if said.get("lane") and said["lane"]["sources"]]

    def until_at_work(self, within_s: float) -> None:
        """Wait until the workers hold all partitions of the input."""
        end_s = time.monotonic() + within_s
        while sum(len(held(said, self.input)) for said in self.statuses()) < PARTITIONS:
            assert time.monotonic() < end_s, f"{self.name} holds {[held(said, self.input) for said in self.statuses()]}: {self.said()}"
            time.sleep(0.2)

    def a_worker(self, chance: random.Random, within_s: float = 15) -> tuple[int, list[int]] | None:
        """The process of one that holds input partitions, and these; None if there is none for so long."""
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            working = [(int(said["pid"]), held(said, self.input)) for said in self.statuses() if held(said, self.input)]
            if working:
                return chance.choice(working)
            time.sleep(0.1)
        return None

    def since(self, partitions: list[int]) -> dict[int, int]:
        """The newest event of each of these partitions."""
        return {partition: self.departures.acked[partition] for partition in partitions}

    def command(self, *arguments: str) -> str | None:
        """What a command printed; None if it failed."""
        words = [sys.executable, "-m", "ops.cli.main", *arguments]
        try:
            done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False, timeout=90)
        except subprocess.TimeoutExpired:
            return None
        return done.stdout if done.returncode == 0 else None

    def decide(self, chance: random.Random) -> None:
        """A person looks at what waits: half is rejected, half approved; as with people, a deadline or another may have come first."""
        reviews = [one["id"] for one in json.loads(self.command("review", "list", self.name, "--json") or "[]")][:60]
        chance.shuffle(reviews)
        half = len(reviews) // 2
        for verb, mine in (("reject", reviews[:half]), ("approve", reviews[half:])):
            if mine:
                self.command("review", verb, self.name, *mine, "--why", "chaos", "--timeout", "5")

    def done(self, within_s: float) -> None:
        """Wait until nothing is left to do and nobody waits."""
        self.finish(within_s)
        end_s = time.monotonic() + within_s
        while True:
            told = self.command("lag", self.name, "--json")
            lag: dict[str, Any] = json.loads(told) if told else {"partitions": [{"rows": -1}], "reviews": {}}
            left = sum(one["rows"] for one in lag["partitions"]), sum(lag["reviews"].values())
            if left == (0, 0):
                return
            assert time.monotonic() < end_s, (left, self.statuses(), self.said())
            if left[0] == 0:
                self.decide(random.Random(0))
            time.sleep(0.5)

    def flow(self) -> checker.Flow:
        """For the checker."""
        keys = (self.command("audit", "keys", self.name) or "").split()
        return checker.Flow(self.stack.bootstrap, self.name, keys, self.by_key)

    def shift_clock(self, pid: int, ahead_ms: int) -> None:
        """Move a worker's clock."""
        fresh = self.clocks / f"{pid}.new"
        fresh.write_text(str(ahead_ms))
        os.replace(fresh, self.clocks / str(pid))

    def set_clock(self, pid: int) -> None:
        """Let it go right again."""
        (self.clocks / str(pid)).unlink(missing_ok=True)


def held(said: Mapping[str, Any], topic: str) -> list[int]:
    """Which partitions of a topic a worker holds."""
    return sorted(int(source.rpartition("/")[2]) for source in said["lane"]["sources"] if source.rpartition("/")[0] == topic)
