"""What a policy hides stays hidden in all that is made of a row's columns, however the row ends; the original bytes stay as they came."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.step import Batch, Intake, State, Step, Stepped
from schemas import pending
from schemas.errors import UnreachableError
from schemas.positions import Source
from schemas.vocabulary import Verdict
from streams.ledger.leaf import digest
from streams.outcomes import endings
from streams.stepping import Gate, Journey, StateKey, travel
from tests.contract.step_examples import Built
from tests.simulation.small import small_flow

COLUMNS = {"n": pa.int64(), "a": pa.string(), "b": pa.string()}
CONDITIONS: Mapping[str, Callable[[int | None], bool | None]] = {
    "n > 4": lambda n: None if n is None else n > 4,  # None: it fails
    "n != null && n % 2 == 0": lambda n: n is not None and n % 2 == 0,
    "n != null && n < 3": lambda n: n is not None and n < 3,
    "n == null || n == 1": lambda n: n is None or n == 1,
}
RAISES, REFUSED = 7, 8
Rule = Mapping[str, Any]
WAITING = {Verdict.REVIEW, Verdict.RETRY}


class Shown:
    """Writes every column as JSON; refuses a result whose number is REFUSED, and says its columns."""

    content_type, schema_json = "application/json", '"string"'

    def encode(self, columns: pa.RecordBatch) -> Sequence[bytes]:
        rows = columns.to_pylist()
        if any(row["n"] == REFUSED and "weft_why" not in row for row in rows):
            raise ValueError(f"does not fit: {rows}")
        return [json.dumps(row).encode() for row in rows]


@dataclass(frozen=True)
class Raises:
    """Raises on RAISES, and says its columns."""

    name: str = "raises"
    stateful: bool = False

    async def run(self, batch: Batch, state: State) -> Stepped:
        if RAISES in batch.columns.column("n").to_pylist():
            raise RuntimeError(f"I saw {batch.columns.to_pylist()}")
        return Stepped(batch, state=state)


class NoStates:
    """No step here has state."""

    def get(self, key: StateKey) -> State:
        return {}

    def put(self, key: StateKey, state: State) -> None:
        raise AssertionError(key)


async def no_wait(step: str, error: UnreachableError) -> None:
    raise AssertionError(step)


def policy(name: str, rules: Sequence[Rule]) -> Step:
    """The step, compiled."""
    named = [{**rule, "name": f"r{at}", "sentence": "Because."} for at, rule in enumerate(rules)]
    given_columns = COLUMNS if name == "first" else {**COLUMNS, "rule": pa.string()}
    return Built("policy", {"rules": "p", "name": name}, given_columns, {"policies/p.yaml": json.dumps({"rules": named})}).step()


def secret(column: str, row: int) -> str:
    """What stands in a cell and nowhere else."""
    return f"<{column}{row}>"


def batch_of(numbers: Sequence[int | None]) -> Batch:
    rows = [{"n": n, "a": secret("a", at), "b": secret("b", at)} for at, n in enumerate(numbers)]
    columns = pa.RecordBatch.from_pylist(rows, schema=pa.schema(list(COLUMNS.items())))
    at = np.arange(len(rows), dtype=np.int64)
    values = [json.dumps(row).encode() for row in rows]
    return Batch(columns, at, Intake((Source("in", 0),), np.zeros(len(rows), np.int16), at, at, [b"k"] * len(rows), values, None, 0))


def hidden(n: int | None, policies: Sequence[Sequence[Rule]]) -> set[str]:
    """The law, one row at a time: the columns that a mask hid which held, or could not be evaluated, where the row came to its policy."""
    found: set[str] = set()
    for rules in policies:
        held = [(rule, CONDITIONS[rule["when"]](n)) for rule in rules]
        found |= {column for rule, held_here in held if held_here is not False and rule["then"] == "mask" for column in rule["columns"]}
        if any(held_here is None or (held_here and rule["then"] != "mask") for rule, held_here in held):
            return found
    return found


async def ended(numbers: Sequence[int | None], policies: Sequence[Sequence[Rule]]) -> tuple[Journey, list[list[bytes]]]:
    """The journey, and for each row all that was made of its columns: details, result, packed columns, sentences."""
    steps = (policy("first", policies[0]), policy("second", policies[1]), Raises())
    flow = small_flow(steps=steps, gives=(COLUMNS, {}, {}), result=Shown(), details=Shown(), id_column="a")
    journey = await travel(flow, batch_of(numbers), 0, NoStates(), Gate(), no_wait)
    made = endings(journey, Shown(), 0)
    shown = [[made.details[row], made.event_ids[row].encode()] for row in range(len(numbers))]
    written = {digest(*record): record[1] for outgoing in made.outgoing for record in zip(outgoing.keys, outgoing.values, strict=True)}
    for row in range(len(numbers)):
        verdict = made.kind_of(row).verdict
        value = written.get(made.outputs[row]) or b""
        if verdict == Verdict.RESULT:
            shown[row].append(value)
        elif verdict in WAITING:
            waits = pending.decode(value)
            assert waits.value == journey.intake.values[row], "a redrive needs the original"
            shown[row] += [waits.columns or b"", waits.sentence.encode(), waits.event_id.encode()]
        elif verdict in (Verdict.DEAD_LETTER, Verdict.QUARANTINE):
            assert value == journey.intake.values[row]
    for outgoing in made.outgoing:
        for key, sent, stamped in zip(outgoing.keys, outgoing.values, outgoing.headers or (), strict=True):
            row = made.outputs.tolist().index(digest(key, sent))
            shown[row] += [header or b"" for _, header in stamped]
    return journey, shown


RULES = st.lists(
    st.one_of(
        st.fixed_dictionaries({"when": st.sampled_from(sorted(CONDITIONS)), "then": st.sampled_from(["stop", "quarantine", "review"])}),
        st.fixed_dictionaries(
            {
                "when": st.sampled_from(sorted(CONDITIONS)),
                "then": st.just("mask"),
                "columns": st.lists(st.sampled_from(["a", "b"]), min_size=1, unique=True),
                "into": st.sampled_from(["null", "hash"]),
            }
        ),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.none() | st.integers(0, 9), min_size=1, max_size=12), RULES, RULES)
def test_no_value_that_a_mask_hides_appears_in_what_is_made_of_a_rows_columns(
    numbers: list[int | None], first: list[Rule], second: list[Rule]
) -> None:
    _, shown = asyncio.run(ended(numbers, [first, second]))
    for row, n in enumerate(numbers):
        gone = hidden(n, [first, second])
        everything = b"\n".join(shown[row])
        assert {column for column in ("a", "b") if secret(column, row).encode() not in everything} == gone, (n, everything)


async def test_a_row_goes_to_review_with_the_columns_that_a_later_mask_hides() -> None:
    rules: list[Rule] = [{"when": "n > 4", "then": "review"}, {"when": "n > 4", "then": "mask", "columns": ["b"], "into": "null"}]
    journey, _ = await ended([9, 1], [rules, [{"when": "n > 4", "then": "stop"}]])
    (fate,) = (fate for fate in journey.fates if fate.verdict is Verdict.REVIEW)
    assert fate.batch.columns.to_pylist() == [{"n": 9, "a": "<a0>", "b": None}]
    assert fate.batch.origin.tolist() == [0]
