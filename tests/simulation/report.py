"""Runs histories side by side and says how many, how fast, with which faults; or tells the story of one."""

import argparse
import multiprocessing
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.simulation.history import Told, tell
from tests.simulation.laws import Law
from tests.simulation.schedule import Schedule, drawn
from tests.simulation.shrink import shrunk

SHRINK_S = 30.0
BLOCK = 10  # histories that a process is given at a time


class Block(NamedTuple):
    """What some histories came to."""

    histories: int
    commits: int
    events: int
    virtual_s: float
    cpu_s: float
    faults: Counter[str]
    broken: int | None  # the first seed that broke a law

    def with_(self, more: "Block") -> "Block":
        """And those."""
        return Block(
            self.histories + more.histories,
            self.commits + more.commits,
            self.events + more.events,
            self.virtual_s + more.virtual_s,
            self.cpu_s + more.cpu_s,
            self.faults + more.faults,
            more.broken,
        )


def run(asked: argparse.Namespace) -> int:
    """As asked; 0 if every law held."""
    if asked.seed is not None or asked.file:
        schedule = Schedule.loads(Path(asked.file).read_text()) if asked.file else drawn(asked.seed)
        return _story(tell(schedule), asked.record)
    began_s = time.monotonic()
    total = _sum(asked, began_s)
    took_s = time.monotonic() - began_s
    _figures(total, took_s)
    if total.broken is None:
        print(f"all {len(Law)} laws held in each, after every commit and at the end")
        return 0
    told = tell(drawn(total.broken))
    if told.broken is not None:
        print(f"BROKEN {told.broken.law.name} {total.broken - asked.first + 1}")
    return _story(told, asked.record) if not asked.mutant else 1


def _sum(asked: argparse.Namespace, began_s: float) -> Block:
    """Blocks of seeds in their order, until the time is up or a law is broken."""
    total = Block(0, 0, 0, 0.0, 0.0, Counter(), None)
    firsts = range(asked.first, asked.first + min(asked.histories, 100_000), BLOCK)
    with multiprocessing.get_context("fork").Pool(asked.processes) as pool:
        until_s, end = began_s + asked.seconds, asked.first + asked.histories
        for block in pool.imap(_block, ((first, min(first + BLOCK, end), until_s) for first in firsts)):
            total = total.with_(block)
            if total.broken is not None or not block.histories:
                break
    return total


def _block(seeds: tuple[int, int, float]) -> Block:
    (first, end, until_s), broken = seeds, None
    done, commits, events, virtual_s, faults, began_s = 0, 0, 0, 0.0, Counter[str](), time.process_time()
    for seed in range(first, end):
        if time.monotonic() > until_s:
            break
        told = tell(drawn(seed))
        done, commits, events, virtual_s = done + 1, commits + told.commits, events + told.events, virtual_s + told.virtual_s
        faults.update(told.faults)
        if told.broken is not None:
            broken = seed
            break
    return Block(done, commits, events, virtual_s, time.process_time() - began_s, faults, broken)


def _figures(total: Block, took_s: float) -> None:
    rates = f"{total.histories / took_s * 60:,.0f} a minute, {total.histories / total.cpu_s * 60:,.0f} a minute of one core's time"
    print(f"{total.histories:,} histories in {took_s:.1f} s: {rates}")
    print(f"{total.events:,} events, {total.commits:,} transactions committed, {total.virtual_s / 3600:.1f} hours of their time")
    print(f"{sum(total.faults.values()):,} faults:")
    for kind, count in total.faults.most_common():
        print(f"  {count:8,}  {kind}")


def _story(told: Told, record: str | None) -> int:
    if told.broken is None:
        print(told.text())
        print(f"every law held; print {told.print}")
        return 0
    told, broken = shrunk(told, told.broken, SHRINK_S)
    print(told.text())
    print(f"\nseed {told.schedule.seed} breaks {broken.law.name}: {broken.law.value}")
    print(f"{broken.what}\nthe same story again: make simulate SEED={told.schedule.seed}; this shorter one, as a file:")
    print(told.schedule.dumps())
    if record:
        Path(record).write_text(told.schedule.dumps())
    return 1
