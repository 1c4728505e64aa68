"""Ids: the same for the same facts, different for different ones, and computable from the sentence in the docs."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import idempotency_keys, outcome_ids

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NUMBER = st.integers(0, 1000)


def by_the_docs(*parts: str) -> str:
    """The definition, word by word."""
    message = b""
    for part in parts:
        message += len(part.encode()).to_bytes(4, "big") + part.encode()
    return hashlib.blake2b(message, digest_size=16).hexdigest()


@given(TEXT, st.lists(TEXT, max_size=5), TEXT, NUMBER, NUMBER)
def test_an_outcome_id_is_what_the_docs_say(flow: str, roots: list[str], verdict: str, generation: int, number: int) -> None:
    expected = [by_the_docs(flow, root, str(generation), str(number), verdict) for root in roots]
    assert outcome_ids(flow, roots, verdict, generation, number) == expected


@given(TEXT, st.lists(st.tuples(TEXT, NUMBER, NUMBER), max_size=5), TEXT)
def test_rows_may_differ_in_generation_and_pass(flow: str, rows: list[tuple[str, int, int]], verdict: str) -> None:
    ids = outcome_ids(flow, [row[0] for row in rows], verdict, [row[1] for row in rows], [row[2] for row in rows])
    assert ids == [by_the_docs(flow, root, str(generation), str(number), verdict) for root, generation, number in rows]
    assert outcome_ids(flow, [row[0] for row in rows], verdict, 7, [row[2] for row in rows]) == [
        by_the_docs(flow, root, "7", str(number), verdict) for root, _, number in rows
    ]


@given(TEXT, st.lists(TEXT, max_size=5), TEXT)
def test_an_idempotency_key_is_what_the_docs_say(topic: str, event_ids: list[str], flow: str) -> None:
    assert idempotency_keys(topic, event_ids, flow) == [by_the_docs(topic, event_id, flow) for event_id in event_ids]


def test_moving_a_letter_over_a_border_changes_the_id() -> None:
    assert outcome_ids("ab", ["c"], "v") != outcome_ids("a", ["bc"], "v")
    assert idempotency_keys("t", ["e1"], "f") != idempotency_keys("t", ["e"], "1f")
