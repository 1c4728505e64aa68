"""Faults under load, with real processes: Redis or the model server goes away and comes back, and each event still has one outcome."""

import asyncio
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from connectors.redis.lookup import RedisLookup
from ops.daily.produce import Asked, Sent, produce
from ops.examples import flights
from ops.stack.ports import assign
from schemas.vocabulary import Exit
from tests.integration.flow_at_work import LITE, WEFT, FlowAtWork
from tests.integration.outcomes_by_hand import judge
from tests.serving import Served, wait_healthy
from tests.stack import TestStack, running_stack

pytestmark = [pytest.mark.slow]

EVENTS, RATE = 6_000, 1_000.0  # a second: the fault comes in the middle
PEAK_BYTES = 448 << 20  # of a worker with its model in process
GROWTH = 1.12  # of a worker's memory between 30 % of its work and the end


@pytest.fixture(scope="module")
def own_stack() -> Iterator[TestStack]:
    """A stack that may be hurt. Planes and weather are in its Redis."""

    async def load(url: str) -> None:
        lookup = RedisLookup(url)
        await lookup.load(flights.lookups())
        await lookup.close()

    with running_stack("kafka", "redis") as running:
        asyncio.run(load(running.redis_url))
        yield running


def at_work(stack: TestStack, folder: Path) -> FlowAtWork:
    return FlowAtWork(stack, folder / "project", f"faults-{uuid4().hex[:6]}", changes=LITE)


def until(condition: Callable[[], bool], within_s: float, what: str) -> float:
    """Wait for it; how long that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, what
        time.sleep(0.05)
    return time.monotonic() - began


def kill(part: str, stack: TestStack) -> None:
    process = stack.local.parts([part])[0].daemon.process()
    assert process is not None
    process.kill()
    process.wait(10)


def report(what: str, **figures: float) -> None:
    print(f"\n{what}: " + ", ".join(f"{name} {value:,.1f}" for name, value in figures.items()))


async def proven(flow: FlowAtWork, events: int) -> int:
    """Each input once, by hand and by the ledger; how many results are a fallback's."""
    judged = judge(flow.stack.bootstrap, flow.name)
    assert judged.events == events
    assert judged.all_once(), (len(judged.lost), len(judged.twice), sorted(judged.lost)[:3], sorted(judged.twice)[:3], flow.said())
    assert set(judged.where.values()) <= {flow.result, f"{flow.name}.reviews", f"{flow.name}.quarantine"}, (
        "a good departure is a dead letter"
    )
    audit = await flow.audited()
    assert audit.proven, audit.findings[:5]
    return judged.degraded


async def test_while_redis_is_away_events_wait_and_the_group_does_not_move(own_stack: TestStack, tmp_path: Path) -> None:
    flow = at_work(own_stack, tmp_path)
    with flow.watched() as arrivals, flow.running():
        feed = flow.feed(EVENTS, RATE)
        until(lambda: len(arrivals.at_s) > EVENTS // 4, 40, flow.said())
        before = flow.membership()
        kill("redis", own_stack)
        try:
            paused_s = until(lambda: bool((flow.status().get("lane") or {}).get("full")), 10, "nothing was paused")
            waits = flow.status()
            assert any("Redis" in reason for reason in waits["reasons"]), waits["reasons"]
            assert 0 < waits["lane"]["in_flight"]["batches"] <= 4
            count = len(arrivals.at_s)
            time.sleep(12)  # longer than the session's 10 s: a member that did not poll would be put out
            assert len(arrivals.at_s) == count
        finally:
            own_stack.local.up(["redis"])
        back_s = time.monotonic()
        next_s = arrivals.next_after(back_s, 20)
        feed.join(60)
        flow.finish(60)
        report("Redis killed", paused_after=paused_s, next_outcome=next_s, starts=flow.starts())
        assert flow.membership() == before
    assert flow.starts() == 1
    assert next_s < 5
    assert await proven(flow, EVENTS) == 0


async def test_while_the_model_server_is_away_events_wait_and_nothing_is_degraded(
    own_stack: TestStack, served: Served, tmp_path: Path
) -> None:
    patient = {"timeout_ms: 250": "timeout_ms: 10000"}  # a busy machine is not what is tested
    flow = FlowAtWork(own_stack, tmp_path / "project", f"faults-{uuid4().hex[:6]}", served.grpc, patient)
    serve = served.part
    with flow.watched() as arrivals, flow.running():
        feed = flow.feed(EVENTS, RATE)
        until(lambda: len(arrivals.at_s) > EVENTS // 4, 40, flow.said())
        before = flow.membership()
        killed = [process for process in serve.daemon.members() if process.is_running()]
        for process in killed:
            process.kill()
        psutil.wait_procs(killed, timeout=10)
        try:
            paused_s = until(lambda: bool((flow.status().get("lane") or {}).get("full")), 15, f"nothing was paused: {flow.status()}")
            assert any("model server" in reason or "did not answer" in reason for reason in flow.status()["reasons"])
        finally:
            serve.stop()
            serve.start()
            cold_s = wait_healthy(serve)
        back_s = time.monotonic()
        next_s = arrivals.next_after(back_s - cold_s, 30)
        feed.join(60)
        flow.finish(60)
        report("Serve killed", paused_after=paused_s, cold_start=cold_s, next_outcome=next_s - cold_s, starts=flow.starts())
        assert flow.membership() == before
    assert flow.starts() == 1
    assert await proven(flow, EVENTS) == 0


async def test_hostile_records_end_as_their_labels_say(own_stack: TestStack, tmp_path: Path) -> None:
    flow = at_work(own_stack, tmp_path)
    with flow.running():
        sent = Sent(flow.name)
        await produce(flow.settings, sent, Asked(limit=200, hostile=True, lookups=False), lambda *_: None)
        flow.finish(60)
    topics = {"result": flow.result, "dead-letter": f"{flow.name}.dead-letters", "quarantine": f"{flow.name}.quarantine"}
    topics["review"] = f"{flow.name}.reviews"
    filtered = frozenset(str(one["position"]) for one in sent.hostile if one["verdict"] == "filtered")
    judged = judge(own_stack.bootstrap, flow.name, filtered)
    assert judged.all_once(), (judged.lost, judged.twice)
    wrong = []
    for one in sent.hostile:
        position = str(one["position"])
        expected = (topics.get(str(one["verdict"])), one["reason"] if one["verdict"] == "dead-letter" else "")
        found = (judged.where.get(position), judged.reasons.get(position, "") if one["verdict"] == "dead-letter" else "")
        if found != expected:
            wrong.append((one["label"], expected, found))
    assert not wrong
    audit = await flow.audited()
    assert audit.proven, audit.findings[:5]
    assert flow.starts() == 1


@pytest.mark.long
async def test_a_workers_memory_stays_flat_over_150_000_events(own_stack: TestStack, tmp_path: Path) -> None:
    events = 150_000
    flow = at_work(own_stack, tmp_path)
    flow.feed(events).join(60)
    seen: list[tuple[int, int]] = []  # rows done, resident bytes
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            status = flow.status()
            if status.get("lane"):
                seen.append((sum(status["lane"]["verdicts"].values()), status["memory_bytes"]))

    looking = threading.Thread(target=look, daemon=True)
    with flow.running():
        looking.start()
        began = time.monotonic()
        flow.finish(120)
        seconds = time.monotonic() - began
        until(lambda: bool(seen) and seen[-1][0] >= events, 20, f"{seen[-3:]}")
        ended.set()
        looking.join()
    early = next(memory for rows, memory in seen if rows >= events * 0.3)
    last, peak = seen[-1][1], max(memory for _, memory in seen)
    report("memory in MiB", at_30_percent=early / 2**20, at_the_end=last / 2**20, peak=peak / 2**20, seconds=seconds)
    assert last <= early * GROWTH
    assert peak <= PEAK_BYTES
    audit = await flow.audited()
    assert audit.proven, audit.findings[:5]


def test_a_run_without_a_broker_says_so_in_a_sentence(tmp_path: Path) -> None:
    port = assign(tmp_path / "ports", ["nobody"])["nobody"]
    environment = {"WEFT_PROJECT": str(tmp_path), "WEFT_BOOTSTRAP": f"127.0.0.1:{port}", "WEFT_REDIS": "redis://127.0.0.1:1", "PATH": ""}
    run = subprocess.run(
        [WEFT, "run", "departure-delays"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == Exit.UNREACHABLE, run.stderr
    said = [line for line in run.stderr.splitlines() if line.strip()]
    assert f"127.0.0.1:{port}" in run.stderr
    assert "Traceback" not in run.stderr
    assert len(said) <= 2, said  # the sentence, and what to do
