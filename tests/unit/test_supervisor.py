"""The supervisor's parts: back-off, totals over restarts, the lock, a child that ends."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest

from connectors.local.samples import SocketSamples
from ops.run import forks, supervisor
from ops.run.child import BackOff, Child
from ops.run.held import held, holder, require_free
from ops.run.preparing import default_workers
from ops.run.samples import SampleWatch
from ops.run.supervisor import Plan, sweep
from ops.run.watching import Tally, Watching
from processors.ports import Sample
from schemas.errors import FailedError, UsageError
from schemas.vocabulary import Exit
from streams.settings import Settings
from streams.slot import Slot, run_folder, samples_socket


def _plan(data: Path, workers: int = 1) -> Plan:
    return Plan("f", workers, data, {}, frozenset({"in/0", "in/1"}))


def _status(slot: int, pid: int, sources: tuple[str, ...] = (), idle: bool = True, **verdicts: int) -> dict[str, Any]:
    return {"slot": slot, "pid": pid, "lane": {"verdicts": verdicts, "idle": idle, "sources": dict.fromkeys(sources, 0)}}


def _ending(code: int) -> BaseProcess:
    process = multiprocessing.get_context("forkserver").Process(target=sys.exit, args=(code,))
    process.start()
    return process


def _sleeping() -> BaseProcess:
    process = multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(60,), daemon=True)
    process.start()
    return process


@pytest.mark.parametrize(("cores", "own", "elsewhere"), [(1, 1, 1), (2, 1, 2), (16, 15, 16)])
def test_a_worker_per_core_is_the_default_less_one_where_the_broker_is_here(
    monkeypatch: pytest.MonkeyPatch, cores: int, own: int, elsewhere: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert default_workers(Settings()) == own
    assert default_workers(Settings(bootstrap="kafka.example:9092")) == elsewhere


def test_the_pause_doubles_up_to_half_a_minute() -> None:
    back_off = BackOff()
    pauses = [back_off.failed(1.0) for _ in range(11)]
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == 30.0


def test_a_healthy_minute_begins_the_pauses_anew() -> None:
    back_off = BackOff()
    for _ in range(5):
        back_off.failed(1.0)
    assert back_off.failed(61.0) == 0.1


def test_rows_of_a_worker_that_was_started_again_are_added() -> None:
    tally = Tally()
    for status in (_status(0, 10, result=5), _status(0, 10, result=7, filtered=1), _status(0, 11, result=2), _status(1, 12, result=1)):
        tally.add(status)
    assert dict(tally.verdicts) == {"result": 10, "filtered": 1}
    assert tally.rows == 11


def test_workers_are_idle_only_when_they_hold_every_partition_between_them(tmp_path: Path) -> None:
    watching = Watching(_plan(tmp_path, 2).slots())
    everything = frozenset({"in/0", "in/1"})
    watching.statuses = {0: _status(0, 1, ("in/0",)), 1: _status(1, 2)}
    assert not watching.idle(everything)
    watching.statuses[1] = _status(1, 2, ("in/1",))
    assert watching.idle(everything)
    watching.statuses[0] = _status(0, 1, ("in/0",), idle=False)
    assert not watching.idle(everything)
    watching.close()


def test_a_second_supervisor_of_a_flow_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from ops.run.held import held\n"
        "with held(Path(sys.argv[1]), 'f', 1): print('held', flush=True); time.sleep(60)"
    )
    first = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert first.stdout is not None
    assert first.stdout.readline() == b"held\n"
    with pytest.raises(UsageError, match=f"by process {first.pid}"), held(tmp_path, "f", 1):
        pass
    with pytest.raises(UsageError, match=f"by process {first.pid}"):
        require_free(tmp_path, "f")
    first.kill()  # however it ends, the folder is free
    first.wait()
    require_free(tmp_path, "f")
    with held(tmp_path, "f", 2) as ended:
        assert (found := holder(tmp_path, "f"))
        assert (found.workers, found.ended) == (2, None)
        ended(Exit.DONE)
    assert (found := holder(tmp_path, "f"))
    assert found.ended == Exit.DONE


def test_a_child_that_ends_says_why_and_is_started_again_after_the_pause(tmp_path: Path) -> None:
    slot, now = Slot("f", 0, 1, tmp_path), [0.0]
    child = Child(slot, lambda _: _ending(3), lambda: now[0])
    child.tend()
    slot.fault_file.write_text('{"sentence": "no broker answers", "hint": "weft up", "code": 3}')
    assert child.wait(10) == 3
    assert child.tend() == "f-0 ended with code 3 (no broker answers; weft up); it is started again in 0.1 s"
    child.tend()
    assert child.starts == 1
    now[0] = 0.2
    child.tend()
    assert child.starts == 2
    child.wait(10)


DYING = """
import asyncio
from pathlib import Path
from streams import host, slot

async def dies():
    host.die(slot.Slot("f", 0, 1, Path("/dev/full")), ValueError())

async def main():
    task = asyncio.create_task(dies())
    await asyncio.sleep(1)

asyncio.run(main())
"""


def test_a_worker_that_can_not_write_down_why_it_ends_ends_all_the_same() -> None:
    ended = subprocess.run([sys.executable, "-c", DYING], stderr=subprocess.DEVNULL, timeout=60, check=False)
    assert ended.returncode == Exit.FAILED


def test_a_worker_that_ends_and_leaves_more_to_be_known_of_an_event_did_not_start_in_vain(tmp_path: Path) -> None:
    slot, now = Slot("f", 0, 1, tmp_path), [0.0]
    child = Child(slot, lambda _: _ending(1), lambda: now[0])
    said = []
    for known in ("", '{"suspects": [{"ends": 1}], "condemned": []}\n', '{"suspects": [{"ends": 1}], "condemned": []}\nbehind', "broken"):
        child.tend()
        child.wait(10)
        slot.running_file.write_text(known)
        said.append((child.tend().rsplit(" in ")[1], child.in_vain))
        now[0] += 1.0
    assert said == [("0.1 s", 1), ("0.1 s", 0), ("0.2 s", 1), ("0.4 s", 2)]


def test_a_worker_that_did_some_work_is_started_again_soon(tmp_path: Path) -> None:
    slot, now = Slot("f", 0, 1, tmp_path), [0.0]
    child = Child(slot, lambda _: _ending(1), lambda: now[0])
    said = []
    for start in range(3):
        child.tend()
        child.wait(10)
        if start == 2:
            slot.worked_file.write_text(str(child.pid))
        said.append(child.tend().rsplit(" in ")[1])
        now[0] += 1.0
    assert said == ["0.1 s", "0.2 s", "0.1 s"]


def test_a_run_that_is_to_end_by_itself_gives_up_on_a_worker_that_never_settles_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "IN_VAIN", 2)
    monkeypatch.setenv("WEFT_DATA", "")  # put back when the run has set it
    forks.end()  # a fork server keeps the environment that it began with
    said: list[str] = []
    plan = replace(_plan(tmp_path), environment={"WEFT_DATA": str(tmp_path)}, until_idle=True)  # no broker is named
    with pytest.raises(FailedError, match="f-0 was started 2 times and settled nothing"):
        supervisor.Supervisor(plan, said.append, lambda _: None).run()
    assert [sentence for sentence in said if "no Kafka broker is named" in sentence]


def test_a_child_that_ends_well_is_started_again_at_once(tmp_path: Path) -> None:
    child = Child(Slot("f", 0, 1, tmp_path), lambda _: _ending(0), lambda: 0.0)
    child.tend()
    child.wait(10)
    assert child.tend() == ""
    child.tend()
    assert child.starts == 2
    child.wait(10)


def test_a_child_that_was_told_to_end_before_it_could_hear_it_has_ended_well(tmp_path: Path) -> None:
    children = [Child(Slot("f", number, 2, tmp_path), lambda _: _sleeping(), lambda: 0.0) for number in range(2)]
    for child in children:
        child.tend()
    children[0].tell(signal.SIGTERM)
    assert children[0].wait(10) == 0
    pid = children[1].pid
    assert pid is not None
    os.kill(pid, signal.SIGTERM)  # not by the supervisor: it was lost
    assert children[1].wait(10) == -signal.SIGTERM


def _servers() -> list[int]:
    return [child.pid for child in psutil.Process().children() if "forkserver" in " ".join(child.cmdline())]


def test_ctrl_c_while_the_fork_server_imports_does_not_end_it() -> None:
    forks.end()
    forks.serve()
    (server,) = _servers()
    os.kill(server, signal.SIGINT)
    process = _ending(0)
    process.join(10)
    assert (process.exitcode, _servers()) == (0, [server])


def test_of_the_fork_server_nothing_is_left_once_it_was_ended_and_it_can_be_used_again() -> None:
    for _ in range(2):
        process = _ending(0)
        process.join(10)
        assert len(_servers()) == 1
        forks.end()
        assert not any("multiprocessing" in " ".join(child.cmdline()) for child in psutil.Process().children())
    forks.end()


def test_a_holder_that_was_killed_and_whose_pid_is_another_processs_now_holds_nothing(tmp_path: Path) -> None:
    with held(tmp_path, "f", 1):
        pass
    file = run_folder(tmp_path, "f") / "supervisor.lock"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"created": 1.0}))
    assert (found := holder(tmp_path, "f"))
    assert found.process is None
    require_free(tmp_path, "f")


def test_folders_of_slots_that_are_no_more_are_swept(tmp_path: Path) -> None:
    for slot in _plan(tmp_path, 3).slots():
        slot.web_port()
    sweep(_plan(tmp_path, 1))
    assert [slot.folder.exists() for slot in _plan(tmp_path, 3).slots()] == [True, False, False]


def test_a_slot_keeps_its_port_as_long_as_it_is_free(tmp_path: Path) -> None:
    slot = Slot("f", 0, 1, tmp_path)
    assert slot.web_port() == slot.web_port() == slot.kept_port()


def test_where_no_socket_can_be_made_the_flow_runs_and_it_is_said_once(tmp_path: Path) -> None:
    samples = SampleWatch("f", tmp_path / "nowhere", {}, lambda: 0.0)
    assert samples.tend().startswith("samples of watch steps are let go: No such file or directory")
    assert samples.tend() == ""
    samples.end(lambda: True)


def test_whoever_judges_samples_is_started_by_the_first_one_and_again_after_it_failed(tmp_path: Path) -> None:
    run_folder(tmp_path, "f").mkdir(parents=True)
    now = [0.0]
    samples = SampleWatch("f", tmp_path, {**os.environ, "WEFT_BOOTSTRAP": ""}, lambda: now[0])
    samples.tend()
    assert samples.pid is None
    SocketSamples(samples_socket(tmp_path, "f")).offer(Sample("f@1", "watch", pa.record_batch({"n": [1]})))
    samples.tend()
    first = samples.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    while samples.pid is not None:
        time.sleep(0.01)
    assert "ended with code -9" in samples.tend()
    samples.tend()
    assert samples.pid is None
    now[0] = 0.2
    samples.tend()
    assert samples.pid not in (None, first)
    began = time.monotonic()
    samples.end(lambda: True)
    assert time.monotonic() - began < 10
    assert not samples_socket(tmp_path, "f").exists()
