"""The watcher of samples: windows that fill, what is told when they do not hold and when they hold again, and what it lets go."""

import asyncio
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from connectors.log import Outgoing
from connectors.memory.broker import MemoryBroker
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.reader import MemoryReader
from ops.quality import day
from ops.quality.alarm import Alarm
from ops.quality.applied import Steps
from ops.quality.days import Days
from ops.quality.findings import Finding, Judgement
from ops.quality.held import held
from ops.quality.page import day_page
from ops.quality.watcher import Judging, Parts, Watcher
from ops.quality.windows import KEPT_WINDOWS, Windows
from processors.flow.bundle import CONTROL_TOPIC, applied_key, bundle
from processors.flow.project import FolderProject
from processors.ports import NOBODY, Sample
from processors.quality.suite import Suite
from processors.steps.watch import Spec, Watch
from schemas.errors import UsageError
from streams.control import Control, catch_up
from tests.unit.flow_project import small, write

SUITE = {"expectations": [{"type": "expect_column_max_to_be_between", "kwargs": {"column": "dep_delay", "max_value": 10}}]}
STEP = "watch-s"


class Below:
    """Judges as the suite of these tests would: no delay above ten minutes."""

    def __init__(self, sentence: str = "dep_delay is 10 at most", severity: str = "critical") -> None:
        self.sentence, self.severity = sentence, severity
        self.windows: list[int] = []

    def judge(self, suite: Suite, rows: pa.Table) -> Judgement:
        """As Judging."""
        self.windows.append(rows.num_rows)
        worst = max(rows.column("dep_delay").to_pylist())
        finding = Finding("expect_column_max_to_be_between", ("dep_delay",), self.sentence, self.severity, worst <= 10, f"{worst:g}")
        return Judgement(suite.name, rows.num_rows, 0.0, (finding,))


class Refuses:
    """Can't judge by any suite."""

    def judge(self, suite: Suite, rows: pa.Table) -> Judgement:
        """As Judging."""
        raise UsageError("Great Expectations refuses the suite s")


class Stumbles(Below):
    """Can't judge some rows."""

    def judge(self, suite: Suite, rows: pa.Table) -> Judgement:
        """As Judging."""
        if rows.column(0)[0].as_py() == 123456:
            raise ZeroDivisionError(f"{rows.column(0)[0]} is a value of an event")
        return super().judge(suite, rows)


class World:
    """A watcher over a cluster in memory, where the small flow is applied with a watch step."""

    def __init__(self, folder: Path, told: str, judge: Judging) -> None:
        self.folder, self.now = folder, 0.0
        project = small(folder, ("  - infer:", f"  - watch: {{suite: s, sample: 1.0, window: 100, within: 1m, {told}}}\n  - infer:"))
        write(folder, {"suites/s.json": json.dumps(SUITE)})
        self.broker = MemoryBroker()
        self.broker.create(CONTROL_TOPIC, 1)
        made = bundle(project, "small")
        self.broker.append(Outgoing(CONTROL_TOPIC, [made.key, applied_key("small")], [made.encode(), b"1.0.0"], partition=0))
        steps = Steps("small", MemoryReader(self.broker), FolderProject(folder))
        publisher = MemoryPublisher(self.broker)
        self.days = Days(folder, "small")
        parts = Parts(steps, lambda known: Alarm("small", known.topic, publisher, known.standing), lambda: judge, self.days)
        self.watcher = Watcher(parts, lambda: self.now)

    def send(self, *delays: float, version: str = "1.0.0") -> None:
        """A sample from a worker."""
        self.watcher.take(Sample(f"small@{version}", STEP, pa.record_batch({"dep_delay": pa.array(delays, pa.float64())})))

    async def until(self, condition: Callable[[], object]) -> None:
        """Let it work until this holds."""
        running = asyncio.create_task(self.watcher.run())
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)
        running.cancel()

    async def end(self) -> None:
        """Tell it to end, and wait."""
        self.watcher.ending.set()
        async with asyncio.timeout(10):
            await self.watcher.run()
        self.days.save(now=True)

    async def control(self) -> Control:
        """What stands on the control topic."""
        control = Control()
        await catch_up(MemoryReader(self.broker), control)
        return control

    @property
    def step(self) -> day.Watched:
        """What is kept of the step today."""
        (step,) = day.load(self.folder, "small", day.days(self.folder, "small")[0]).steps
        return step


async def test_a_window_that_does_not_hold_is_told_and_taken_back_when_one_holds_again(tmp_path: Path) -> None:
    judge = Below()
    world = World(tmp_path, "action: alert", judge)
    world.send(*[1.0] * 99, 50.0)
    await world.until(lambda: len(judge.windows) == 1)
    alerts = {alert.column: alert for alert in (await world.control()).alerts("small")}
    assert set(alerts) == {"", "dep_delay"}
    assert alerts["dep_delay"].sentence == "dep_delay is 10 at most (50)"
    assert alerts[""].figures == {"failed": 1.0, "expectations": 1.0, "rows": 100.0}
    assert (alerts[""].what, alerts[""].step, alerts[""].topic) == ("watch", STEP, "flights.departures")
    assert (await world.control()).paused("small") is None
    world.send(*[1.0] * 100)
    await world.until(lambda: len(judge.windows) == 2)
    await world.end()
    assert (await world.control()).alerts("small") == []
    assert (world.step.windows, world.step.failed, world.step.rows) == (2, 1, 200)


async def test_an_alert_that_an_earlier_process_left_is_taken_back(tmp_path: Path) -> None:
    first = World(tmp_path, "action: alert", Below())
    first.send(*[50.0] * 100)
    await first.end()
    second = World(tmp_path, "action: alert", Below())
    second.broker = first.broker
    steps = Steps("small", MemoryReader(first.broker), FolderProject(tmp_path))
    publisher = MemoryPublisher(first.broker)
    alarm = Parts(steps, lambda known: Alarm("small", known.topic, publisher, known.standing), Below, Days(tmp_path, "small"))
    second.watcher = Watcher(alarm, lambda: 0.0)
    second.send(*[1.0] * 100)
    await second.end()
    assert (await first.control()).alerts("small") == []


async def test_a_critical_expectation_that_fails_pauses_the_flow_and_what_was_on_its_way_is_let_go(tmp_path: Path) -> None:
    judge = Below()
    world = World(tmp_path, "action: pause", judge)
    world.send(*[50.0] * 350)
    await world.until(lambda: judge.windows)
    world.send(*[50.0] * 100)
    await world.end()
    paused = (await world.control()).paused("small")
    assert paused is not None
    assert (paused.who, paused.why) == (f"the step {STEP}", "dep_delay is 10 at most (50); suite s, 100 sampled rows")
    assert judge.windows == [100]
    assert world.step.recent[0].paused


async def test_what_is_no_more_than_a_warning_pauses_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, "action: pause", Below(severity="warning"))
    world.send(*[50.0] * 100)
    await world.end()
    control = await world.control()
    assert control.paused("small") is None
    assert len(control.alerts("small")) == 2


async def test_a_window_that_is_not_full_is_judged_in_time_or_at_the_end_if_it_has_a_hundred_rows(tmp_path: Path) -> None:
    watch = Watch("w", Spec(suite="s"), Suite("s", ()), ("n",), "f@1", NOBODY)
    now = [0.0]
    windows = Windows(lambda: now[0])
    windows.add(Sample("f@1", "w", pa.record_batch({"n": list(range(150))})), watch)
    assert windows.next() is None
    now[0] = 61.0
    window = windows.next()
    assert window is not None
    assert window.rows.num_rows == 150
    windows.add(Sample("f@1", "w", pa.record_batch({"n": list(range(99))})), watch)
    now[0] = 200.0
    assert windows.next() is None
    assert windows.next(ending=True) is None, "too few to say anything"


async def test_what_waits_is_bounded_and_the_oldest_rows_go_first(tmp_path: Path) -> None:
    watch = Watch("w", Spec(suite="s", window=100), Suite("s", ()), ("n",), "f@1", NOBODY)
    windows = Windows(lambda: 0.0)
    for start in range(0, 10_000, 100):
        windows.add(Sample("f@1", "w", pa.record_batch({"n": list(range(start, start + 100))})), watch)
    windows.add(Sample("f@1", "w", pa.record_batch({"other": [1]})), watch)
    first = windows.next()
    assert first is not None
    assert first.dropped_rows == 10_000 - KEPT_WINDOWS * 100 + 1
    assert first.rows.column("n")[0].as_py() == 10_000 - KEPT_WINDOWS * 100


async def test_a_window_that_can_not_be_judged_is_lost_and_the_next_is_judged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    judge = Stumbles()
    world = World(tmp_path, "action: alert", judge)
    world.send(*[123456.0] * 100)
    world.send(*[1.0] * 100)
    await world.end()
    assert judge.windows == [100]
    assert (world.step.windows, world.step.wrong) == (1, "")
    assert "a window of 100 rows is lost: ZeroDivisionError" in caplog.text
    assert "123456" not in caplog.text


def test_dates_and_times_that_python_has_not_become_null_and_are_counted() -> None:
    numbers = {
        pa.date32(): [2**30, 2_932_896, -719_162, None],
        pa.time32("ms"): [2**31 - 1, 0, 86_399_999, None],
        pa.time64("us"): [-1, 0, 86_399_999_999, None],
        pa.timestamp("ms", "UTC"): [2**62, 253_402_300_799_999, 0, None],
        pa.timestamp("us"): [-(2**62), 253_402_300_799_999_999, 0, None],
        pa.timestamp("ns"): [2**62, 0, -(2**62), None],
    }
    columns = {str(kind): pa.array(told, pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind) for kind, told in numbers.items()}
    rows, count = held(pa.table(columns | {"n": pa.array([1, 2, 3, 4])}))
    assert count == 5
    assert [column.null_count for column in rows.columns] == [2, 2, 2, 2, 2, 1, 0]
    assert len(rows.to_pandas()) == 4
    assert rows.slice(1).equals(pa.table(columns | {"n": pa.array([1, 2, 3, 4])}).slice(1))


def test_dates_that_python_has_not_become_null_within_lists_maps_and_structs_too() -> None:
    days = pa.array([1, 2**30, None, 3, -(2**30)], pa.int32()).cast(pa.date32())
    lists = pa.ListArray.from_arrays(pa.array([0, 2, None, 5], pa.int32()), days)
    structs = pa.StructArray.from_arrays([pa.array([1, 2, 3]), lists], ["n", "days"])
    maps = pa.MapArray.from_arrays([0, 2, 2, 5], pa.array(list("abcde")), days)
    first = date(1970, 1, 2)
    rows, count = held(pa.table({"lists": lists, "structs": structs, "maps": maps, "words": [["a"], [], None]}))
    assert count == 6
    assert rows.to_pydict() == {
        "lists": [[first, None], [None, date(1970, 1, 4), None], None],
        "structs": [{"n": 1, "days": [first, None]}, {"n": 2, "days": [None, date(1970, 1, 4), None]}, {"n": 3, "days": None}],
        "maps": [[{"key": "a", "value": first}, {"key": "b", "value": None}], [],
                 [{"key": "c", "value": None}, {"key": "d", "value": date(1970, 1, 4)}, {"key": "e", "value": None}]],
        "words": [["a"], [], None],
    }  # fmt: skip
    assert len(rows.to_pandas()) == 3
    assert held(pa.table({"lists": lists.slice(1, 1), "structs": structs.slice(1, 1), "maps": maps.slice(1, 1)}))[1] == 2


async def test_a_suite_that_can_not_be_judged_is_told_once_and_given_up(tmp_path: Path) -> None:
    world = World(tmp_path, "action: pause", Refuses())
    world.send(*[123456.0] * 300)
    await world.end()
    (alert,) = (await world.control()).alerts("small")
    assert alert.sentence == "the suite s can't be judged: Great Expectations refuses the suite s"
    assert world.step.wrong == alert.sentence


async def test_samples_of_a_version_that_was_just_applied_are_judged_and_of_none_are_let_go(tmp_path: Path) -> None:
    judge = Below()
    world = World(tmp_path, "action: alert", judge)
    world.send(*[1.0] * 100, version="9.9.9")
    world.send(*[1.0] * 100)
    await world.end()
    assert judge.windows == [100]
    assert world.step.flow == "small@1.0.0"


async def test_a_page_shows_what_stands_in_a_suite_as_text(tmp_path: Path) -> None:
    world = World(tmp_path, "action: alert", Below("<script>alert(1)</script>"))
    world.send(*[50.0] * 100)
    await world.end()
    page = day_page(day.load(tmp_path, "small", day.days(tmp_path, "small")[0]))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize("text", ["", "[]", '{"flow": 7}'])
def test_a_day_that_can_not_be_read_begins_anew(tmp_path: Path, text: str) -> None:
    at = day.folder(tmp_path, "small")
    at.mkdir(parents=True)
    (at / "2026-11-21.json").write_text(text)
    assert day.load(tmp_path, "small", "2026-11-21").steps == []
