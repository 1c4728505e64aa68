"""The world of a history: workers that come, go and stand still, a group that rebalances, clocks that jump, parts that fail."""

import random
from collections.abc import Callable, Sequence

from schemas.errors import AbortError, FatalError, OwnershipError, WeftError
from schemas.positions import Source
from tests.simulation.events import PARTITIONS, TOPICS, flow_of
from tests.simulation.fabric import SESSION_S, Fabric
from tests.simulation.laws import BrokenError, Law
from tests.simulation.people import People
from tests.simulation.ports import Trap
from tests.simulation.schedule import Act, Schedule
from tests.simulation.worker import BOUNDS, Make, Worker

ERRORS = {"abort": AbortError, "ownership": OwnershipError, "fatal": FatalError}
RECORD_BYTES = 1_600  # of the largest: a fetch may pass its bound by one


class World:
    """Does what a schedule says."""

    def __init__(self, fabric: Fabric, schedule: Schedule) -> None:
        self.fabric, self.schedule = fabric, schedule
        self.workers: dict[int, Worker] = {}
        self.elders: dict[int, Worker] = {}  # who had a slot when a second process came
        self.skews = dict.fromkeys(range(schedule.slots), 0.0)
        self.upgraded = self.mended = self.closing = False
        self.flows = flow_of(schedule.shape, schedule.kinds, fabric.lookup, fabric.models, fabric.loop.time)
        fabric.weather.trouble = schedule.trouble
        fabric.on_commit = self._committed
        self.group = fabric.broker.group("f")
        people = People(fabric, self.flows[0])
        self._decide, self._redrive = people.decide, people.redrive

    def act(self, act: Act) -> None:
        """Do it."""
        self.fabric.tell("", str(act))
        getattr(self, f"_{act.name}")(**act.how)

    # Workers

    def start(self, slot: int) -> None:
        """A process begins in a slot that has none."""
        before = self.workers.get(slot)
        if before is None or before.over:
            self._begin(slot)

    def _begin(self, slot: int) -> None:
        make = Make(f"f-{slot}", self.schedule.shape, self.upgraded, self.schedule.batch_rows, self.skews[slot])
        self.workers[slot] = Worker(self.fabric, make, self._ended)
        self.fabric.tell(make.slot, "starts")

    def _ended(self, worker: Worker, error: Exception | None) -> None:
        slot = int(worker.make.slot[2:])
        self.fabric.tell(worker.make.slot, f"ends: {error or 'drained'}")
        if error is not None and (not worker.harmed or _inexcusable(error)):
            self.fabric.breach(BrokenError(Law.UNHARMED, f"nothing was done to {worker.make.slot}, and it ended: {error!r}"))
        if self.workers[slot] is worker and not self.closing:  # else another holds the slot
            self.fabric.later(0.4, self.start, slot)

    def _alive(self, slot: int) -> Worker | None:
        worker = self.workers.get(slot)
        return None if worker is None or worker.over else worker

    def _fail(self, slot: int, call: str, error: str, late: bool) -> None:
        if (worker := self._alive(slot)) is not None:
            worker.harmed = worker.harmed or error == "fatal" or self._beginning()
            worker.log.fail_next(call, ERRORS[error]("injected"), late)
            self.fabric.weather.count(f"a call of the log that fails ({error})")

    def _beginning(self) -> bool:
        """Whether there are trees whose beginning is yet to be committed: when that fails, the worker ends."""
        topics = {topic for flow in self.flows for topic in flow.topics.consumed}
        return len(self.fabric.proof.grown) < len(topics) * PARTITIONS

    def _kill(self, slot: int, call: str = "", late: bool = False, nth: int = 0) -> None:
        worker = self._alive(slot)
        if worker is None:
            return
        worker.harmed = True

        def springs() -> None:
            if not worker.over:
                self.fabric.weather.count("kill -9" + (" at a call of the log" if call else ""))
                worker.kill()
                self._ended(worker, FatalError("killed"))

        self._spring(worker, springs, call, late, nth)

    def _stop(self, slot: int, for_s: float, call: str = "", late: bool = False, nth: int = 0) -> None:
        worker = self._alive(slot)
        if worker is None:
            return
        worker.harmed = worker.harmed or for_s >= SESSION_S / 2

        def springs() -> None:
            if worker.over or worker.process.stopped or self.mended:
                return
            self.fabric.weather.count("SIGSTOP" + (", past the session" if for_s > SESSION_S else ""))
            self.fabric.tell(worker.make.slot, f"stands still for {for_s:g} s")
            self.fabric.loop.stop_process(worker.process)
            self.fabric.later(for_s, self._go_on, worker)
            if for_s > SESSION_S:
                self.fabric.later(SESSION_S, self._missed, worker)

        self._spring(worker, springs, call, late, nth)

    def _spring(self, worker: Worker, springs: Callable[[], None], call: str, late: bool, nth: int) -> None:
        if call:
            worker.log.traps.append(Trap(call, late, nth, springs))
        else:
            springs()

    def _go_on(self, worker: Worker) -> None:
        if worker.process.stopped and not worker.over:
            self.fabric.tell(worker.make.slot, "goes on")
            self.fabric.loop.continue_process(worker.process)

    def _missed(self, worker: Worker) -> None:
        """The group has not heard of it for a session."""
        member = worker.log._member
        if worker.process.stopped and member is not None and self.group.members.get(member.slot) is member:
            self.fabric.tell("broker", f"has not heard of {member.slot}")
            self.group.expire(member.slot)

    def _end(self, slot: int) -> None:
        if (worker := self._alive(slot)) is not None and not worker.harmed:
            self.fabric.weather.count("SIGTERM")
            worker.leave()

    def _usurp(self, slot: int) -> None:
        if (worker := self._alive(slot)) is not None:
            worker.harmed = True
            self.fabric.weather.count("a second process in a slot")
            self._begin(slot)
            self.workers[slot].harmed = True
            self.elders[slot] = worker

    def _upgrade(self) -> None:
        """A later version is applied: every worker drains and starts again."""
        self.upgraded = True
        for slot in range(self.schedule.slots):
            self._end(slot)

    # The group

    def _rebalance(self) -> None:
        self.fabric.weather.count("a rebalance")
        self.group.rebalance()

    def _move(self, chance: int) -> None:
        drawn, slots = random.Random(chance), sorted(self.group.members)
        if not slots:
            return
        wanted: dict[str, list[Source]] = {slot: [] for slot in slots}
        for source in self.group._sources(self.group.members[slots[0]].topics):
            wanted[drawn.choice(slots)].append(source)
        self.fabric.weather.count("partitions moved at random")
        self.group.rebalance(wanted)

    def _expire(self, slot: int, call: str = "", late: bool = False, nth: int = 0) -> None:
        worker = self._alive(slot)
        if worker is None:
            return

        def springs() -> None:
            member = worker.log._member
            if not worker.over and member is not None and self.group.members.get(member.slot) is member:
                self.fabric.weather.count("partitions lost")
                self.fabric.tell("broker", f"puts {member.slot} out of the group")
                worker.harmed |= self._beginning()
                self.group.expire(member.slot)

        self._spring(worker, springs, call, late, nth)

    # Time, and the parts

    def _clock(self, slot: int, by_s: float) -> None:
        self.skews[slot] += by_s
        lives = self.fabric.proof.lives
        lives.skew_ms = max(lives.skew_ms, int(max(map(abs, self.skews.values())) * 2000))
        if (worker := self._alive(slot)) is not None:
            worker.clock.skew_s = self.skews[slot]
            worker.harmed = worker.harmed or by_s >= BOUNDS.stalled_s
        self.fabric.weather.count("a clock that jumps")

    def _redis(self, for_s: float) -> None:
        self._outage("redis_down", for_s)

    def _models(self, for_s: float) -> None:
        self._outage("models_down", for_s)

    def _publishers(self, for_s: float) -> None:
        self._outage("publishers_down", for_s)

    def _outage(self, name: str, for_s: float) -> None:
        weather = self.fabric.weather
        weather.count(f"an outage ({name.removesuffix('_down')})")
        setattr(weather, name, True)
        self.fabric.later(for_s, setattr, weather, name, False)

    def _slow(self, times: float, for_s: float) -> None:
        weather = self.fabric.weather
        weather.count("a slow network")
        weather.slow = times
        self.fabric.later(for_s, setattr, weather, "slow", 1.0)
        for worker in self.workers.values():
            worker.harmed = True  # a transaction may take longer than the broker waits

    def _purge(self, chance: int) -> None:
        source = Source(TOPICS.input, chance % PARTITIONS)
        if source in self.fabric.proof.grown:
            self.fabric.weather.count("retention")
            self.fabric.broker.partition(source).purge(self.fabric.proof.grown[source].next - chance % 3)

    def _compact(self, chance: int) -> None:
        self.fabric.weather.count("compaction")
        for topic in (TOPICS.reviews, TOPICS.generations):
            self.fabric.broker.partition(Source(topic, chance % PARTITIONS)).compact()

    def _pause(self, for_s: float) -> None:
        for worker in self.workers.values():
            worker.lane.pause("control")
            self.fabric.later(for_s, worker.lane.resume, "control")

    def _send(self, numbers: Sequence[tuple[int, int]]) -> None:
        for number, key in numbers:
            self.fabric.send(number, key)

    # What is checked at every commit

    def _holder(self, slot: str) -> Worker:
        """Of two processes in a slot the one that is not fenced: it need not be the later one."""
        number, epoch = int(slot[2:]), self.fabric.broker._producers[slot].epoch
        elder = self.elders.get(number)
        return elder if elder is not None and elder.log._epoch == epoch else self.workers[number]

    def _committed(self, slot: str) -> None:
        worker = self._holder(slot)
        worker.passed.update(self.fabric.proof.passed)
        worker.marked = self.fabric.proof.marked
        for one in self.workers.values():
            flight = one.lane._flight
            if len(flight) > BOUNDS.flight_batches or flight.held_bytes > BOUNDS.flight_bytes + BOUNDS.batch_bytes + RECORD_BYTES:
                raise BrokenError(Law.BOUND, f"{one.make.slot} holds {len(flight)} batches, {flight.held_bytes} bytes")

    def mend(self) -> None:
        """All is well from here on: what is open must end."""
        self.mended = True
        self.fabric.tell("", "from here on all is well")
        weather = self.fabric.weather
        weather.trouble, weather.slow, weather.redis_down, weather.models_down, weather.publishers_down = 0.0, 1.0, False, False, False
        self.skews = dict.fromkeys(self.skews, 0.0)
        for slot in range(self.schedule.slots):
            if (worker := self._alive(slot)) is not None:
                worker.clock.skew_s = 0.0
                worker.log.traps.clear()
                worker.log._faults.clear()
                self._go_on(worker)
            self.start(slot)

    def close(self) -> None:
        """Every worker drains, and none starts again."""
        self.closing = True
        for slot in self.workers:
            if (worker := self._alive(slot)) is not None:
                worker.leave()


def _inexcusable(error: Exception) -> bool:
    """Whatever was done to a worker: no line of it may fail by itself, and none settles what is committed."""
    return not isinstance(error, WeftError) or str(error).startswith("a batch begins at")
