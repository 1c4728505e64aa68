"""Events that end the process, hang or eat memory are found by what the workers before wrote down, and end alone."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from processors.step import Batch, Intake, State, Stepped
from schemas.errors import FatalError
from schemas.positions import Position, Source
from schemas.vocabulary import Reason, Verdict
from streams.hangs import HangWatch
from streams.stepping import Gate, Journey, travel
from streams.suspects import PIECES, Suspects
from tests.simulation.small import Count, Lines, Numbers, small_flow

ONE, TWO = Source("in", 0), Source("in", 1)


class DiedError(BaseException):
    """The process is gone: nothing that it does on its way out is written any more."""


class Deadly:
    """Ends the process at some numbers; `how` says by which way."""

    name, stateful = "deadly", False

    def __init__(self, numbers: Sequence[int], how: Callable[[], None]) -> None:
        self.numbers, self.how, self.calls = numbers, how, 0

    async def run(self, batch: Batch, state: State) -> Stepped:
        self.calls += 1
        if set(self.numbers) & set(batch.columns.column("n").to_pylist()):
            self.how()
        return Stepped(batch, (), state)


class States:
    def get(self, key: object) -> State:
        return {}

    def put(self, key: object, state: State) -> None:
        pass


def batch(numbers: Sequence[int]) -> Batch:
    """Half of them of one partition, half of another."""
    half, n = len(numbers) // 2, len(numbers)
    source = np.array([0] * half + [1] * (n - half), np.int16)
    offsets = np.concatenate([np.arange(half), np.arange(n - half)])
    values = [str(number).encode() for number in numbers]
    intake = Intake((ONE, TWO), source, offsets, np.zeros(n, np.int64), values, values, None, 0)
    return Batch(pa.RecordBatch.from_arrays([], names=[]), np.arange(n), intake)


async def journey(step: Deadly, numbers: Sequence[int], guard: Suspects) -> Journey:
    async def wait(name: str, error: Exception) -> None:
        raise error

    flow = replace(small_flow(), steps=(Numbers(), step, Count()), result=Lines())
    return await travel(flow, batch(numbers), 0, States(), Gate(), wait, guard)


class Slot:
    """Workers of one slot, one after the other."""

    def __init__(self, folder: Path, numbers: Sequence[int], told: bool = False) -> None:
        self.file, self.told = folder / "running.json", told
        self.guard = Suspects.of(self.file)
        self.step = Deadly(numbers, self.die)
        self.ends = 0

    def die(self) -> None:
        self.guard._over = True  # what stands in the file stays: the process is gone
        raise DiedError

    async def until_done(self, numbers: Sequence[int]) -> Journey:
        while True:
            try:
                return await journey(self.step, numbers, self.guard)
            except DiedError:
                self.ends += 1
                assert self.ends < 60
                self.guard = Suspects.of(self.file, hung=self.told)


def fates(journey: Journey) -> Counter[tuple[Verdict, Reason]]:
    return Counter((fate.verdict, fate.reason) for fate in journey.fates for _ in range(len(fate.batch)))


@pytest.mark.parametrize(("told", "ends"), [(False, 7), (True, 4)])
async def test_an_event_that_ends_the_process_is_found_and_all_others_go_on_in_their_order(tmp_path: Path, told: bool, ends: int) -> None:
    slot = Slot(tmp_path, [7_000], told)
    found = await slot.until_done(range(10_000))
    assert slot.ends == ends
    assert fates(found) == {(Verdict.RESULT, Reason.NONE): 9_999, (Verdict.DEAD_LETTER, Reason.STEP_FAILED): 1}
    (letter,) = [fate for fate in found.fates if fate.verdict is Verdict.DEAD_LETTER]
    assert letter.batch.intake.position(int(letter.batch.origin[0])) == Position("in", 1, 2_000)
    assert "workers end at step deadly with 1 event (in/1/2000)" in letter.why(0)
    results = found.fates[-1].batch.columns.column("n").to_pylist()
    assert results == [n for n in range(10_000) if n != 7_000]


@pytest.mark.parametrize("numbers", [[0], [1], [4_999, 5_000], [3, 7, 9_999]])
async def test_first_last_and_several_events_are_found_too(tmp_path: Path, numbers: list[int]) -> None:
    slot = Slot(tmp_path, numbers)
    found = await slot.until_done(range(10_000))
    assert fates(found)[Verdict.DEAD_LETTER, Reason.STEP_FAILED] == len(numbers)
    assert fates(found)[Verdict.RESULT, Reason.NONE] == 10_000 - len(numbers)


async def test_where_all_events_are_deadly_each_is_found(tmp_path: Path) -> None:
    slot = Slot(tmp_path, range(5))
    assert fates(await slot.until_done(range(5))) == {(Verdict.DEAD_LETTER, Reason.STEP_FAILED): 5}


async def test_kills_from_outside_at_different_places_cut_nothing(tmp_path: Path) -> None:
    slot = Slot(tmp_path, [])
    for place in ([1, 2, 3, 4], [50, 60]):
        slot.step.numbers = place[:1]
        with pytest.raises(DiedError):
            await journey(slot.step, place, slot.guard)
        slot.guard = Suspects.of(slot.file)
        slot.step.numbers = []
        slot.step.calls = 0
        await journey(slot.step, place, slot.guard)
        assert slot.step.calls == 1
        assert not slot.guard.suspects


async def test_a_suspected_batch_is_cut_into_pieces_and_forgotten_once_it_is_through(tmp_path: Path) -> None:
    slot = Slot(tmp_path, [3])
    for _ in range(2):
        with pytest.raises(DiedError):
            await journey(slot.step, range(1_000), slot.guard)
        slot.guard = Suspects.of(slot.file)
    assert "the worker before was ended from outside or by its own code in step deadly with 1,000 events" in slot.guard.story
    slot.step.numbers, slot.step.calls = [], 0
    assert fates(await journey(slot.step, range(1_000), slot.guard)) == {(Verdict.RESULT, Reason.NONE): 1_000}
    assert slot.step.calls == PIECES
    assert not Suspects.of(slot.file).suspects


async def test_a_condemned_event_is_forgotten_when_it_is_settled(tmp_path: Path) -> None:
    slot = Slot(tmp_path, [3])
    await slot.until_done([1, 2, 3, 4])
    assert slot.guard.condemned
    slot.guard.settled({ONE: (0, 2), TWO: (0, 2)})
    assert not Suspects.of(slot.file).condemned


async def test_memory_that_runs_out_is_the_row_s_fault_only_where_it_does_so_twice_in_workers_of_its_own(tmp_path: Path) -> None:
    slot = Slot(tmp_path, [3])

    def eats() -> None:
        raise MemoryError

    slot.step.how = eats
    for _ in range(2):
        with pytest.raises(FatalError, match=r"step deadly with 1 event \(in/1/0\) takes more memory than a worker may have"):
            await journey(slot.step, [1, 2, 3, 4], slot.guard)
        slot.guard = Suspects.of(slot.file)
    assert fates(await journey(slot.step, [1, 2, 3, 4], slot.guard))[Verdict.DEAD_LETTER, Reason.STEP_FAILED] == 1


async def test_a_fault_of_the_lane_blames_no_step(tmp_path: Path) -> None:
    slot = Slot(tmp_path, [3])
    async with slot.guard.at("deadly", batch([1, 2])):
        slot.guard.end((), 1)
    assert not Suspects.of(slot.file).suspects


async def test_a_step_that_does_not_come_back_is_told_and_of_several_none_is_blamed_alone(tmp_path: Path) -> None:
    told: list[Exception] = []
    guard = Suspects.of(tmp_path / "running.json")
    watch = HangWatch(guard, 2.0, tmp_path / "hang.txt", told.append)
    async with guard.at("slow", batch([1])):
        watch.look(1.9)
        assert not told
        watch.look(0.2)
    assert str(told[0]) == "step slow with 1 event (in/1/0) has not come back for 2 s"
    after = Suspects.of(tmp_path / "running.json")
    assert after.condemned
    async with after.at("slow", batch([1])), after.at("slow", batch([1, 2])):
        HangWatch(after, 2.0, tmp_path / "hang.txt", told.append).look(3.0)
    assert [one.alone for one in Suspects.of(tmp_path / "running.json").suspects] == [1, 0]


@pytest.mark.parametrize("left", [b"", b"\n", b"{", b"[]\n", b'{"suspects": 3}\n', b"\xff" * 100, bytes(range(200, 250))])
async def test_what_a_worker_left_half_written_is_passed_over(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "running.json").write_bytes(left)
    guard = Suspects.of(tmp_path / "running.json")
    assert not guard.suspects
    async with asyncio.timeout(1), guard.at("any", batch([1, 2])):
        pass


async def test_a_disk_that_takes_nothing_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    guard = Suspects.of(tmp_path / "file" / "running.json")
    async with guard.at("any", batch([1, 2])):
        pass
    HangWatch(guard, 1.0, tmp_path / "file" / "hang.txt", print).look(1.0)
