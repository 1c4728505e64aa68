"""Scale: more workers, a model that takes its time, more partitions, a year many times over, a long backlog, and what its proof costs."""

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from ops.bench.contenders import LOOP, Contender, Peer, Weft
from ops.bench.draining import Crew, Drained, drain, parts, started, watched
from ops.bench.ground import MODEL, Ground, Say, ground
from ops.bench.thinking import thinking
from ops.flow.disk import disk_of
from processors.flow.project import FolderProject
from schemas.errors import FailedError, UsageError
from serving.catalog import Catalog

Row = Mapping[str, Any]

CONTENDERS: Mapping[str, Contender] = {LOOP: Peer(), "weft": Weft("Weft")}
WORKERS = (1, 2)
THINKERS = (1, 2, 4, 8)
THINK_PARTITIONS = 16
THINK_S = 0.0002  # for a row: a batch of 10,000 takes 2 s
PARTITIONS = (1, 4, 16, 64)
PIECES = 10  # stretches that a long run is told in
BYTES_PER_EVENT = 500  # of all topics of a flow, with the loop's beside them
PROOF_S = 1800.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much each part does."""

    events: int  # of the longest part; the others have a tenth of it, or less
    rounds: int

    def part(self, share: int) -> int:
        """So small a part of the events."""
        return max(1_000, self.events // share)


def crew(on: Ground, contender: Contender, group: str, size: int = 1) -> Crew:
    """Processes of a contender."""
    topic = f"in.{group}"

    def start(slot: int) -> subprocess.Popen[bytes]:
        one = replace(contender, topic=topic, slot=slot)
        return (replace(one, of=size) if isinstance(one, Weft) else one).start(on, group)

    return Crew(contender.title, group, topic, size, start)


async def drained(on: Ground, name: str, group: str, events: int, say: Say, size: int = 1) -> Drained:
    """One contender's crew on a backlog of its own."""
    contender = CONTENDERS[name]
    await replace(contender, topic=f"in.{group}").prepare(on, group)
    found = await drain(on, crew(on, contender, group, size), events, say)
    say(told(found))
    return found


def told(found: Drained) -> str:
    """For a person who waits."""
    held = "+".join(map(str, found.held))
    speed = f"{found.events_s:>9,.0f} events/s  {found.cpu_us:5.1f} us CPU/event  {found.peak_bytes >> 20:5} MB"
    return f"{found.title:18} {found.workers} of it on {found.partitions:>2} partitions ({held}): {speed}"


def row(found: Drained) -> Row:
    """For a table and for programs."""
    return {
        "who": found.title,
        "processes": found.workers,
        "partitions": found.partitions,
        "held": "+".join(map(str, found.held)),
        "events": found.events,
        "events_s": round(found.events_s),
        "cpu_us": round(found.cpu_us, 1),
        "peak_mb": found.peak_bytes >> 20,
    }


async def workers(on: Ground, plan: Plan, say: Say) -> Sequence[Row]:
    """One and two processes on the machine's cores, the loop's beside Weft's."""
    laps = [(turn, name, size) for turn in range(plan.rounds) for name in CONTENDERS for size in WORKERS]
    return [row(await drained(on, name, f"workers-{name}-{size}-{turn}", plan.part(10), say, size)) for turn, name, size in laps]


def thinkers(on: Ground, size: int, address: str) -> Crew:
    """Workers that ask the model at this address."""
    group = f"think-{size}"
    return Crew("Weft", group, f"in.{group}", size, lambda slot: on.worker(group, serve=address, slot=slot, of=size))


async def think(on: Ground, plan: Plan, say: Say) -> Sequence[Row]:
    """Workers whose model takes its time, so that they wait and the cores do not: what more of them bring."""
    outputs = Catalog(FolderProject(on.settings.project_folder)).manifest(MODEL).outputs
    on = replace(on, partitions=THINK_PARTITIONS)
    found = []
    async with thinking(outputs, THINK_S) as (server, address):
        for size in THINKERS:
            who, before = thinkers(on, size, address), server.calls
            await on.apply(who.group, who.topic, {"timeout_ms: 250": "timeout_ms: 10000"})
            one = await drain(on, who, plan.part(25), say)
            say(told(one))
            found.append({**row(one), "calls": server.calls - before})
    return found


async def partitions(on: Ground, plan: Plan, say: Say) -> Sequence[Row]:
    """One process on few and on many partitions."""
    grounds = [replace(on, partitions=count) for count in PARTITIONS]
    laps = [(name, other) for other in grounds for name in CONTENDERS]
    return [row(await drained(other, name, f"partitions-{name}-{other.partitions}", plan.part(20), say)) for name, other in laps]


async def long(on: Ground, plan: Plan, say: Say) -> Sequence[Row]:
    """The year again and again: speed and memory from the first stretch to the last; then the proof, if it is asked for."""
    found = await drained(on, "weft", "long", plan.events, say)
    size = max(1, plan.events // PIECES)
    return [
        {
            "stretch": number,
            "events": part.events,
            "events_s": round(part.events_s),
            "cpu_us": round(part.cpu_us, 1),
            "memory_mb": round(part.memory_bytes / 2**20, 1),
        }
        for number, part in enumerate(parts(found.marks, size), start=1)
    ]


async def proof(on: Ground, plan: Plan, say: Say) -> Sequence[Row]:
    """What it takes to verify what `long` has left, and what a leaf takes on the disk."""
    say("verifying")
    began, peak = time.perf_counter(), 0
    verifier = on.start("audit", [sys.executable, "-m", "ops.cli", "audit", "verify", "long", "--json"])
    try:
        while verifier.poll() is None and time.perf_counter() - began < PROOF_S:
            peak = max(peak, _memory(verifier.pid))
            await asyncio.sleep(0.1)
    finally:
        verifier.kill()
    seconds = time.perf_counter() - began
    used = {one.kind: one.bytes for one in await disk_of(on.kafka, FolderProject(on.settings.project_folder), "long")}
    if verifier.returncode:
        raise FailedError(f"the proof failed: {on.said('audit')}")
    say(f"proven in {seconds:.1f} s")
    return [
        {
            "leaves": plan.events,
            "seconds": round(seconds, 1),
            "leaves_s": round(plan.events / seconds),
            "peak_mb": peak >> 20,
            **{f"{kind}_bytes": round(used.get(kind, 0) / plan.events, 1) for kind in ("input", "result", "ledger")},
            "bytes": round(sum(used.values()) / plan.events, 1),
        }
    ]


async def backlog(on: Ground, plan: Plan, say: Say) -> Sequence[Row]:
    """A worker that was away comes back to what has piled up: from the start of its process to the last commit."""
    group, events = "backlog", plan.part(10)
    await on.apply(group, f"in.{group}")
    await on.produce(events, f"in.{group}")
    who, began = crew(on, CONTENDERS["weft"], group), time.perf_counter()
    with started(who) as processes:
        marks = [mark async for mark in watched(on, who, processes, events, began)]
    first_s = next(mark.at_s for mark in marks if mark.done)
    say(f"{events:,} events in {marks[-1].at_s:.1f} s from the start of the worker")
    return [
        {
            "events": events,
            "first_s": round(first_s, 2),
            "seconds": round(marks[-1].at_s, 2),
            "peak_mb": max(m.memory_bytes for m in marks) >> 20,
        }
    ]


PARTS: Mapping[str, Callable[[Ground, Plan, Say], Awaitable[Sequence[Row]]]] = {
    "workers": workers,
    "think": think,
    "partitions": partitions,
    "long": long,
    "backlog": backlog,
}
"""Every part by the name that `--only` takes; `proof` goes with `long`."""

PROOF = "proof"


def scale(names: Sequence[str], plan: Plan, say: Say) -> Mapping[str, Sequence[Row]]:
    """Each part on a ground of its own.

    Raises:
        UsageError: there is no such part, or the disk has no room for it.
    """
    if unknown := set(names) - {*PARTS, PROOF}:
        raise UsageError(f"There is no part {min(unknown)!r}.", f"There are: {', '.join(PARTS)}, {PROOF}.")
    found: dict[str, Sequence[Row]] = {}
    for name in PARTS:
        proven = name == "long" and PROOF in names
        if name in names or proven:
            _check_room(name, plan, say)
            with ground(say) as on:
                found |= asyncio.run(_part(on, name, plan, proven, say))
    return found


async def _part(on: Ground, name: str, plan: Plan, proven: bool, say: Say) -> Mapping[str, Sequence[Row]]:
    await on.load()
    found = {name: await PARTS[name](on, plan, say)}
    return {**found, PROOF: await proof(on, plan, say)} if proven else found


def needed_bytes(name: str, plan: Plan) -> int:
    """What a part writes to the disk, about."""
    backlogs = {
        "workers": plan.part(10) * plan.rounds * len(CONTENDERS) * len(WORKERS),
        "think": plan.part(25) * len(THINKERS),
        "partitions": plan.part(20) * len(CONTENDERS) * len(PARTITIONS),
        "long": plan.events,
        "backlog": plan.part(10),
    }
    return backlogs[name] * BYTES_PER_EVENT + 1_000_000_000


def _check_room(name: str, plan: Plan, say: Say) -> None:
    needed, folder = needed_bytes(name, plan), Path(tempfile.gettempdir())
    free = shutil.disk_usage(folder).free
    say(f"{name}: needs about {needed / 1e9:.1f} GB in {folder} for as long as it runs; {free / 1e9:.0f} GB are free")
    if free < needed:
        raise UsageError(f"{folder} has no room for {name}", "free some, say another folder with TMPDIR, or give fewer --events")


def _memory(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
