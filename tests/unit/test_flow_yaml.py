"""The YAML reader: a subset, with marks, that never raises."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.flow.yaml import MAX_NODES, Mark, parse


def test_values_and_keys_know_their_places() -> None:
    page = parse("f", "a: 1\nb:\n  - {c: x}\n")
    assert page.data == {"a": 1, "b": [{"c": "x"}]}
    assert page.mark(("b", 0, "c")) == Mark(3, 9)
    assert page.mark(("b", 0, "c"), key=True) == Mark(3, 6)
    assert page.mark(("b", 7, "nowhere")) == Mark(3, 3)


def test_words_that_yaml_1_1_would_take_for_something_else_stay_words() -> None:
    assert parse("f", "[no, on, 2013-01-01, 1:30, 1.0.0, 0x1f, 1_000]").data == ["no", "on", "2013-01-01", "1:30", "1.0.0", "0x1f", "1_000"]
    assert parse("f", '[1, -2, 1.5, 1e3, true, null, ~, "1"]').data == [1, -2, 1.5, 1000.0, True, None, None, "1"]


def test_a_tag_builds_no_object() -> None:
    page = parse("f", "a: !!python/object/apply:os.getpid []\nb: !!binary aGk=\n")
    assert page.data == {"a": None, "b": None}
    assert [problem.mark.line for problem in page.problems] == [1, 2]


def test_a_word_that_stands_twice_is_told_at_the_second() -> None:
    (problem,) = parse("f", "a: 1\nb: 2\na: 3\n").problems
    assert problem.mark == Mark(3, 1)


def test_aliases_without_end_are_told() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    for text in ("a: &a [*a]", bomb):
        assert "no end" in parse("f", text).problems[0].sentence


def test_text_that_is_no_yaml_is_told_with_its_place() -> None:
    for text, mark in (("a: [1\n", Mark(2, 1)), ("a: 1\n  b: 2\n", Mark(2, 4)), ("x\x01", Mark(1, 2))):
        assert parse("f", text).problems[0].mark == mark


@pytest.mark.parametrize(
    ("text", "mark", "words"),
    [
        ("[" * 5_000, Mark(1, 101), "nested more than 100 deep"),
        ("- " * 5_000, Mark(1, 201), "nested more than 100 deep"),
        ("[" + "0," * 40_000 + "0]", Mark(1, 2 * MAX_NODES), "at most 30,000 values"),
    ],
)
def test_text_that_is_too_deep_or_too_long_is_not_read_to_its_end(text: str, mark: Mark, words: str) -> None:
    (problem,) = parse("f", text).problems
    assert problem.mark == mark
    assert words in problem.sentence


@given(st.text(alphabet=st.one_of(st.sampled_from("{}[]:,-&*!|>%@`'\"#?\n \tab10.~"), st.characters()), max_size=80))
def test_no_text_makes_it_raise(text: str) -> None:
    page = parse("f", text)
    assert page.data is None or not any("not YAML" in problem.sentence for problem in page.problems)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
        max_leaves=8,
    )
)
def test_json_is_read_as_json(value: object) -> None:
    page = parse("f", json.dumps(value))
    assert not page.problems
    assert page.data == value
