"""The contract of every step of Weft: the laws that `weft plugin test` tries plugins by."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from processors.flow.words import step_modules
from processors.plugins.case import Case
from processors.plugins.laws import LAWS, BrokenLawError, Law
from processors.step import Batch, Leave, State, Stepped
from schemas.positions import Source
from schemas.vocabulary import Reason, Verdict
from tests.contract.step_examples import EXAMPLES, departures

WORDS = sorted(step_modules())


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
@pytest.mark.parametrize("word", WORDS)
async def test_a_step_keeps_the_laws(word: str, law: Law) -> None:
    assert word in EXAMPLES, f"processors/steps/{word}.py needs an example in tests/contract/step_examples.py"
    await law.hold(EXAMPLES[word]())


class Bad:
    """A step that does as told, and so breaks a law."""

    name = "filter-early"
    stateful = False

    def __init__(self, does: Callable[[Batch, State], Stepped]) -> None:
        self._does = does
        self.runs = 0

    async def run(self, batch: Batch, state: State) -> Stepped:
        """What it was told."""
        self.runs += 1
        return self._does(batch, state)


def leave(rows: Sequence[int], sentence: str = "Because.") -> Leave:
    """Rows that leave."""
    return Leave(np.array(rows, np.int64), Verdict.FILTERED, Reason.FILTER, "r", sentence)


def stateful(batch: Batch, state: State) -> Stepped:
    """Counts where it may not."""
    return Stepped(batch, state={Source("flights.departures", 0): len(batch)})


def whole_batch(batch: Batch, state: State) -> Stepped:
    """Each row gets how many there are."""
    return Stepped(batch.with_column("n", pa.repeat(pa.scalar(len(batch)), len(batch))))


def first(batch: Batch, leaving: Leave) -> Stepped:
    """The first row goes, if there is one."""
    return Stepped(batch.without(leaving.rows), (leaving,)) if len(batch) else Stepped(batch)


BREAKERS: dict[str, Callable[[Batch, State], Stepped]] = {
    "every row stays or leaves once": lambda batch, _: Stepped(batch.take(np.arange(len(batch) // 2))),
    "a leave is ascending and says why": lambda batch, _: first(batch, leave([0], "")),
    "a row leaves with the columns that came, be they changed": lambda batch, _: first(
        batch, replace(leave([0]), columns=pa.record_batch({"other": pa.array([1])}))
    ),
    "an empty batch goes through with all columns": lambda batch, _: Stepped(
        batch.with_column("n", pa.array([1.0] * len(batch), pa.float64() if len(batch) else pa.int64()))
    ),
    "cut in parts, each row ends alike": whole_batch,
    "only a step that says so has state": stateful,
    "it gives what its plan says, and nothing else": whole_batch,
}


@pytest.mark.parametrize("name", BREAKERS)
async def test_a_step_that_breaks_a_law_is_found_out(name: str) -> None:
    law: Any = next(law for law in LAWS if law.name == name)
    sound: Case = EXAMPLES["filter"]()
    with pytest.raises(BrokenLawError):
        await law.hold(replace(sound, step=Bad(BREAKERS[name])))


async def test_a_step_that_keeps_something_to_itself_is_found_out() -> None:
    law = next(law for law in LAWS if law.name == "the same again gives the same")
    sound = EXAMPLES["filter"]()
    bad = Bad(lambda batch, _: Stepped(batch.with_column("n", pa.repeat(pa.scalar(bad.runs), len(batch)))))
    with pytest.raises(BrokenLawError):
        await law.hold(replace(sound, step=bad))


def test_the_examples_have_something_to_do() -> None:
    assert departures().num_rows > 1_000
