"""The simulation, in short: many histories, the recorded ones, and that a history is a function of its seed alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.audit import Auditor
from tests.simulation.events import TOPICS
from tests.simulation.history import Told, tell
from tests.simulation.laws import Law
from tests.simulation.mutants import MUTANTS, ROOT, Mutant
from tests.simulation.schedule import Schedule, drawn

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))
HISTORIES, BLOCK = 100, 20


def holds(told: Told) -> None:
    """Every law held."""
    assert told.broken is None, f"{told.broken}\n{told.text()}\n{told.schedule.dumps()}"


@pytest.mark.parametrize("first", range(0, HISTORIES, BLOCK))
def test_whatever_happens_to_workers_every_law_holds(first: int) -> None:
    for seed in range(first, first + BLOCK):
        holds(tell(drawn(seed)))


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_a_history_that_once_broke_a_law_breaks_none_any_more(file: Path) -> None:
    holds(tell(Schedule.loads(file.read_text())))


def test_a_schedule_reads_back_as_it_was_written() -> None:
    for seed in range(30):
        assert Schedule.loads(drawn(seed).dumps()).dumps() == drawn(seed).dumps()


def test_the_page_shows_every_law_and_every_mutant() -> None:
    page = (ROOT / "docs" / "simulation.md").read_text()
    rows = [f"| `{law.name}` | {law.value} |" for law in Law] + [f"| {mutant.name} | {mutant.law} |" for mutant in MUTANTS]
    assert not [row for row in rows if row not in page], "see `make mutants`, and tests/simulation/laws.py"


@pytest.mark.parametrize(("topic", "records"), [(TOPICS.result, 1), (TOPICS.ledger, 1), (TOPICS.checkpoints, 10_000)])
def test_the_verification_of_a_history_sees_what_was_taken_away(topic: str, records: int, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Auditor.at_end

    async def robbed(auditor: Auditor) -> None:
        part = next(part for part in auditor.fabric.broker.topic(topic).partitions if any(entry.visible for entry in part.entries))
        for gone in [entry for entry in part.entries if entry.visible][-records:]:
            part.entries.remove(gone)
        await honest(auditor)

    monkeypatch.setattr(Auditor, "at_end", robbed)
    told = tell(drawn(1))
    assert told.broken is not None
    assert told.broken.law is Law.PROVEN


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.simulation", *words]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False)


def test_one_seed_is_one_story_whatever_the_process() -> None:
    told = tell(drawn(3))
    again = run("--seed", "3", PYTHONHASHSEED="17")
    assert again.stdout.splitlines() == [*told.text().splitlines(), f"every law held; print {told.print}"]


def test_a_law_that_is_taken_out_is_found_and_its_story_told() -> None:
    file = Path(__file__).parent / "recorded" / "a-clock-set-back.json"
    broken = run("--file", str(file), "--mutant", "a clock set back makes a pass unreadable")
    assert broken.returncode == 1
    assert "breaks READABLE: What Weft has written can be read back" in broken.stdout
    assert json.loads(broken.stdout[broken.stdout.index('{"setup"') :])["setup"]["seed"] == Schedule.loads(file.read_text()).seed


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_about_code_that_is_there(mutant: Mutant) -> None:
    for patch in mutant.patches:
        assert (ROOT / patch.file).read_text().count(patch.old) == 1, f"{patch.file} must hold this once:\n{patch.old}"


def test_a_second_line_of_defence_is_sought_with_its_first() -> None:
    named = {mutant.name: mutant for mutant in MUTANTS}
    for mutant in (mutant for mutant in MUTANTS if mutant.behind):
        assert set(mutant.patches) < set(named[mutant.behind].patches)
        assert not named[mutant.behind].behind
