"""CEL over columns: one meaning, whether computed on columns or by the library."""

import datetime as dt
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from processors.cel.expression import MAX_CHARACTERS, CelError, Expression

SCHEMA = pa.schema(
    [
        ("i", pa.int64()),
        ("j", pa.int32()),
        ("d", pa.float64()),
        ("e", pa.float32()),
        ("s", pa.string()),
        ("t", pa.string()),
        ("b", pa.bool_()),
        ("at", pa.timestamp("ms", tz="UTC")),
    ]
)
COLUMNS = {field.name: field.type for field in SCHEMA}
BIG = 2**63 - 1

Expr = st.SearchStrategy[str]


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


ROWS = st.fixed_dictionaries(
    {
        "i": _maybe(st.one_of(st.integers(-3, 3), st.sampled_from([BIG, -BIG - 1, 2**53 + 1]))),
        "j": _maybe(st.integers(-(2**31), 2**31 - 1)),
        "d": _maybe(st.one_of(st.sampled_from([0.0, -0.0, 1.0, 1.5, -2.0, math.nan, math.inf, -math.inf]), st.floats())),
        "e": _maybe(st.floats(width=32)),
        "s": _maybe(st.sampled_from(["", "a", "abc", "b", "é", "\U0001f600"])),
        "t": _maybe(st.sampled_from(["a", "bc", "c"])),
        "b": _maybe(st.booleans()),
        "at": _maybe(st.sampled_from([0, 1_356_998_400_000, -62_135_596_800_001, 253_402_300_800_000, BIG])),
    }
)


def _level(below: dict[str, Expr]) -> dict[str, Expr]:
    def of(shape: str, *parts: Expr) -> Expr:
        return st.tuples(*parts).map(lambda given: shape.format(*given))

    order, same = st.sampled_from(["<", "<=", ">", ">="]), st.sampled_from(["==", "!="])
    flag, whole, real, text, time = (below[kind] for kind in ("bool", "int", "double", "string", "time"))
    pairs = [
        of("({} {} {})", one, sign, other)
        for sign in (order, same)
        for one, other in ((whole, whole), (real, real), (whole, real), (real, whole), (text, text), (time, time), (flag, flag))
    ]
    nulls = [of("({} {} null)", kind, same) for kind in below.values()]
    choices = {kind: of("({} ? {} : {})", flag, one, one) for kind, one in below.items()}
    return {
        "bool": st.one_of(
            flag,
            *pairs,
            *nulls,
            of("!{}", flag),
            of("({} && {})", flag, flag),
            of("({} || {})", flag, flag),
            choices["bool"],
            of("({} in [1, -2, 1.5])", whole),
            of("({} in [1.5, 2, null])", real),
            of("({} in ['a', \"abc\"])", text),
            of("({} in [null, 'b'])", text),
            of("({} in [])", text),
            st.sampled_from(["s.startsWith('a')", "s.endsWith('c')", "t.contains('b')"]),
        ),
        "int": st.one_of(
            whole, of("({} {} {})", whole, st.sampled_from("+-*/%"), whole), of("-({})", whole), st.just("size(s)"), choices["int"]
        ),
        "double": st.one_of(
            real, of("({} {} {})", real, st.sampled_from("+-*/"), real), of("-({})", real), of("double({})", whole), choices["double"]
        ),
        "string": st.one_of(text, of("({} + {})", text, text), choices["string"]),
        "time": st.one_of(time, choices["time"]),
    }


def _expressions() -> dict[str, Expr]:
    kinds = {
        "bool": st.sampled_from(["b", "true", "false"]),
        "int": st.sampled_from(["i", "j", "0", "1", "-1", "2", str(BIG), str(-BIG - 1)]),
        "double": st.sampled_from(["d", "e", "0.0", "1.5", "-1e300", ".5"]),
        "string": st.sampled_from(["s", "t", "'a'", '"abc"', "''"]),
        "time": st.sampled_from(["at", "timestamp('2013-01-01T00:00:00Z')"]),
    }
    for _ in range(3):
        kinds = _level(kinds)
    return kinds


def _batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    times = pa.array([row["at"] for row in rows], pa.int64()).cast(COLUMNS["at"])
    columns = [pa.array([row[name] for row in rows], type_) for name, type_ in COLUMNS.items() if name != "at"]
    return pa.RecordBatch.from_arrays([*columns, times], schema=SCHEMA)


def _shown(values: pa.Array) -> list[str]:
    """Values as text, so that NaN equals NaN and the sign of zero counts."""
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    return [repr(value) for value in values.to_pylist()]


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # that its strategies are large to print
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(*_expressions().values()), st.lists(ROWS, min_size=1, max_size=6))
@example("(i < 1) || b", [dict.fromkeys(COLUMNS)])
def test_columns_and_the_library_agree_on_every_row(source: str, rows: list[dict[str, Any]]) -> None:
    fast, slow = Expression.compile(source, COLUMNS), Expression.compile(source, COLUMNS, columnar=False)
    batch = _batch(rows)
    one, other = fast.evaluate(batch), slow.evaluate(batch)
    assert fast.columnar
    assert fast.gives == slow.gives == one.values.type == other.values.type
    assert one.failed.tolist() == other.failed.tolist()
    assert _shown(one.values) == _shown(other.values)


MILLION, AT_ONCE = 1_000_000, 5_000


def _drawn(chance: np.random.Generator, rows: int) -> pa.RecordBatch:
    """Rows with many nulls, the ends of each type and what lies between."""

    def column(name: str, ends: list[Any], between: list[Any]) -> pa.Array:
        which = chance.integers(0, 3, rows)
        drawn = [None if one == 0 else ends[at % len(ends)] if one == 1 else value
                 for one, at, value in zip(which.tolist(), chance.integers(0, 1 << 30, rows).tolist(), between, strict=True)]  # fmt: skip
        return pa.array(drawn, pa.int64() if name == "at" else COLUMNS[name]).cast(COLUMNS[name])

    reals = chance.integers(0, 1 << 64, rows, np.uint64).view(np.float64).tolist()  # every bit pattern: subnormals, infinities, NaNs
    words = ["".join(map(chr, letters)) for letters in chance.integers(97, 101, (rows, 3)).tolist()]
    ends: dict[str, tuple[list[Any], list[Any]]] = {
        "i": ([0, 1, -1, 2, BIG, -BIG - 1, 2**53 + 1], chance.integers(-BIG - 1, BIG, rows).tolist()),
        "j": ([0, 1, -1, 2**31 - 1, -(2**31)], chance.integers(-100, 100, rows).tolist()),
        "d": ([0.0, -0.0, 1.5, -2.0, math.nan, math.inf, -math.inf, 2.0**53], reals),
        "e": ([0.0, 1.5, math.nan, math.inf], chance.standard_normal(rows).astype(np.float32).tolist()),
        "s": (["", "a", "abc", "é", "\U0001f600"], words),
        "t": (["a", "bc", "c"], words[::-1]),
        "b": ([True, False], (chance.random(rows) < 0.5).tolist()),
        "at": ([0, -62_135_596_800_001, 253_402_300_800_000, BIG], chance.integers(0, 1 << 41, rows).tolist()),
    }
    return pa.RecordBatch.from_arrays([column(name, *ends[name]) for name in COLUMNS], schema=SCHEMA)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
@settings(max_examples=MILLION // AT_ONCE, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.one_of(*_expressions().values()), st.integers(0, 2**32))
def test_columns_and_the_library_agree_on_a_million_random_rows(source: str, seed: int) -> None:
    batch = _drawn(np.random.default_rng(seed), AT_ONCE)
    one, other = (Expression.compile(source, COLUMNS, columnar=columnar).evaluate(batch) for columnar in (True, False))
    assert one.failed.tolist() == other.failed.tolist()
    assert _shown(one.values) == _shown(other.values)


def _one(source: str, **columns: Any) -> Any:
    """The value of one row; `failed` if it failed."""
    batch = pa.RecordBatch.from_pylist([columns] if columns else [{"x": 1}])
    found = Expression.compile(source, {field.name: field.type for field in batch.schema}).evaluate(batch)
    return "failed" if len(found.failed) else found.values[0].as_py()


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("9223372036854775807 + 1 > 0", "failed"),
        ("-9223372036854775808 < 0", True),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("1 / 0 == 1", "failed"),
        ("1 / 0 == 1 || true", True),
        ("1.0 / 0.0 > 1.0", True),
        ("9223372036854775807 == 9223372036854775807.0", True),
        ("'é' > 'z'", True),
        ("[1, 2, 3].exists(x, x > 2)", True),
        ("timestamp('2013-01-01T00:00:00Z') + duration('1h') > timestamp('2013-01-01T00:30:00Z')", True),
    ],
)
def test_constants_mean_what_cel_says(source: str, value: Any) -> None:
    assert _one(source) == value


def test_null_has_no_order_but_a_sure_side_decides() -> None:
    batch = pa.RecordBatch.from_pydict({"d": pa.array([None, 2.0])})
    columns = {"d": pa.float64()}
    assert Expression.compile("d > 1.0", columns).evaluate(batch).failed.tolist() == [0]
    assert Expression.compile("d > 1.0 || d == null", columns).evaluate(batch).true.tolist() == [0, 1]
    assert Expression.compile("d != null && d > 1.0", columns).evaluate(batch).true.tolist() == [1]


def test_a_null_where_a_bool_is_needed_is_a_failure() -> None:
    batch = pa.RecordBatch.from_pydict({"b": pa.array([None, True])})
    for columnar in (True, False):
        found = Expression.compile("b", {"b": pa.bool_()}, columnar=columnar).evaluate(batch)
        assert found.failed.tolist() == [0]
        assert found.true.tolist() == [1]


def test_what_columns_can_not_do_goes_through_the_library() -> None:
    found = Expression.compile("s.matches('^a[0-9]$')", {"s": pa.string()})
    assert not found.columnar
    assert found.evaluate(pa.RecordBatch.from_pydict({"s": ["a1", "b", None]})).true.tolist() == [0]
    lists = Expression.compile("l.exists(x, x > 1)", {"l": pa.list_(pa.int64())})
    assert lists.evaluate(pa.RecordBatch.from_pydict({"l": [[1], [1, 2]]})).true.tolist() == [1]


@pytest.mark.parametrize("columnar", [True, False])
def test_an_empty_batch_gives_an_empty_answer(columnar: bool) -> None:
    batch = _batch([])
    for source in ("d > 1.0", "s + t", "i + 1", "1 < 2", "at == null", "b ? 'a' : s"):
        found = Expression.compile(source, COLUMNS, columnar=columnar).evaluate(batch)
        assert len(found.values) == len(found.failed) == 0


def test_enums_and_sliced_columns_are_read() -> None:
    column = pa.array(["EWR", "JFK", None, "LGA"]).dictionary_encode()
    batch = pa.RecordBatch.from_pydict({"origin": column}).slice(1)
    assert Expression.compile("origin in ['LGA', 'EWR']", {"origin": column.type}).evaluate(batch).true.tolist() == [2]


@pytest.mark.parametrize(
    ("source", "said", "word"),
    [
        ("dd > 1.0", "there is no column `dd` here", "dd"),
        ("[1].exists(x, x > dd)", "there is no column `dd` here", "dd"),
        ("d > 'a'", "`>` can't compare double with string", ""),
        ("s == 1", "`==` can't compare string with int", ""),
        ("d + 1 > 2.0", "can't mix int and double", ""),
        ("i && b", "`&&` needs a bool on both sides, not an int", ""),
        ("d > null", "can't compare double with null", ""),
        ("i", "gives int, but bool is needed", ""),
        ("null", "gives nothing but null", ""),
        ("1 +", "this is not CEL", ""),
        ("nonsense(i)", "does not fit the types", ""),
        ("at > timestamp('monday')", "`monday` is no timestamp", ""),
        ("b" * (MAX_CHARACTERS + 1), "at most 4,096 are read", ""),
        ("(" * 2000 + "b" + ")" * 2000, "this is not CEL", ""),
    ],
)
def test_a_wrong_expression_is_refused_with_a_sentence(source: str, said: str, word: str) -> None:
    with pytest.raises(CelError) as refused:
        Expression.compile(source, COLUMNS, pa.bool_())
    assert said in refused.value.sentence
    assert refused.value.wrong_word == word


def test_a_long_chain_is_still_read() -> None:
    source = " || ".join(["i == 1"] * 350)
    found = Expression.compile(source, COLUMNS)
    assert found.evaluate(_batch([dict.fromkeys(COLUMNS) | {"i": 1}])).true.tolist() == [0]


def test_a_timestamp_that_cel_can_not_hold_fails_only_where_it_is_used() -> None:
    batch = _batch([dict.fromkeys(COLUMNS) | {"at": BIG, "b": True}])
    for columnar in (True, False):
        late = Expression.compile("at > timestamp('2013-01-01T00:00:00Z')", COLUMNS, columnar=columnar)
        assert late.evaluate(batch).failed.tolist() == [0]
        sure = Expression.compile("b || at > timestamp('2013-01-01T00:00:00Z')", COLUMNS, columnar=columnar)
        assert sure.evaluate(batch).true.tolist() == [0]


def test_an_expression_changes_nothing_that_it_reads() -> None:
    values = np.array([1, 2, 3], dtype=np.int64)
    Expression.compile("i * 2 + 1 > 3", {"i": pa.int64()}).evaluate(pa.RecordBatch.from_pydict({"i": pa.array(values)}))
    assert values.tolist() == [1, 2, 3]
    assert _one("at.getFullYear() == 2013", at=dt.datetime(2013, 5, 1, tzinfo=dt.UTC)) is True


@pytest.mark.parametrize("order", ["import cel, processors.cel.engine", "import processors.cel.engine, cel"])
def test_the_library_may_also_be_imported_by_others(order: str) -> None:
    script = f"{order}; print(cel.evaluate('1 + 2'), processors.cel.engine.constant('1 + 3'))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["3", "4"]
