"""Infer goes down its ladder: champion, lite, rule, review; pauses when told; and checks its models against the columns."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from processors.flow.plan import Mistake, Parts, Plan, Site
from processors.flow.project import FolderProject
from processors.flow.yaml import parse
from processors.ports import Answer
from processors.step import Batch, Stepped
from processors.steps import infer
from schemas.errors import FailedError, UnreachableError, UsageError, WeftError
from schemas.vocabulary import Reason, Verdict
from serving.client import NoAnswerError
from serving.memory import InProcess, Scripted
from serving.router import Router
from tests.models import CHAMPION, LITE, batch, rows, trained

RULE = {"rule": "dep_delay > 30.0 ? 1.0 : 0.0"}
LADDER: list[Any] = [{"model": LITE}, RULE, "review"]
COLUMNS = {field.name: field.type for field in rows(1).schema}
GONE = UnreachableError("away")
SLOW = NoAnswerError("did not answer within 250 ms")


class NoLookup:
    """There is nothing to look up."""

    async def mget(self, keys: object) -> list[None]:
        return []

    async def claim(self, keys: object, owners: object, ttl_s: int) -> list[str]:
        return []


def planned(spec: Mapping[str, Any], columns: Mapping[str, pa.DataType] = COLUMNS, **site: Any) -> tuple[Plan, list[Mistake]]:
    trained()
    mistakes: list[Mistake] = []
    at = Site(site.pop("project", FolderProject(None)), parse("flow.yaml", json.dumps(spec)), mistakes, **site)
    loaded = at.load(infer.Spec)
    assert loaded is not None, mistakes
    return infer.plan(loaded, at, columns), mistakes


async def run(given: Batch, script: list[WeftError | float | None], **spec: Any) -> tuple[Stepped, Scripted]:
    plan, mistakes = planned({"model": CHAMPION, "fallback": LADDER, **spec})
    assert not mistakes
    endpoint = Scripted(InProcess(trained()), script)
    parts = Parts(NoLookup(), Router(trained(), endpoint), lambda: 0.0, FolderProject(None))
    return await plan.build(parts).run(given, {}), endpoint


def column(stepped: Stepped, name: str) -> list[Any]:
    values: list[Any] = stepped.batch.columns.column(name).to_pylist()
    return values


async def test_the_champion_answers_in_one_call() -> None:
    stepped, endpoint = await run(batch(rows(50)), [])
    assert endpoint.calls == [f"{CHAMPION}@1.0.0"]
    assert set(column(stepped, "model")) == {f"{CHAMPION}@1.0.0"}
    assert set(column(stepped, "degraded")) == {False}
    assert column(stepped, "score")[0] < 0.1 < 0.9 < column(stepped, "score")[-1]
    assert not stepped.leaves


@pytest.mark.parametrize("error", [SLOW, FailedError("wrong shape")])
async def test_a_timeout_or_an_error_goes_to_the_next_model_and_is_degraded(error: WeftError) -> None:
    stepped, endpoint = await run(batch(rows(20)), [error])
    assert endpoint.calls == [f"{CHAMPION}@1.0.0", f"{LITE}@1.0.0"]
    assert set(column(stepped, "model")) == {f"{LITE}@1.0.0"}
    assert set(column(stepped, "degraded")) == {True}
    assert stepped.counts == {"model_failed_calls": 1.0, "model_degraded_rows": 20.0}


async def test_an_outage_pauses_where_the_flow_says_so() -> None:
    with pytest.raises(UnreachableError):
        await run(batch(rows(5)), [GONE])


async def test_an_outage_degrades_down_to_the_rule_where_the_flow_says_so() -> None:
    stepped, _ = await run(batch(rows(5)), [GONE, GONE], outage="degrade")
    assert column(stepped, "score") == [0.0, 0.0, 1.0, 1.0, 1.0]
    assert set(column(stepped, "model")) == {"rule:dep_delay > 30.0 ? 1.0 : 0.0"}


async def test_a_fallback_that_is_unreachable_does_not_pause() -> None:
    stepped, _ = await run(batch(rows(5)), [SLOW, GONE])
    assert column(stepped, "score") == [0.0, 0.0, 1.0, 1.0, 1.0]


async def test_only_rows_without_a_number_go_to_the_next_rung_and_the_order_stays() -> None:
    columns = rows(6)
    delays = pa.array([100.0, None, -5.0, None, 100.0, -5.0])
    given = batch(columns.set_column(0, "dep_delay", delays))
    stepped, _ = await run(given, [], model=LITE, fallback=[{"model": CHAMPION}])
    assert column(stepped, "model") == [f"{one}@1.0.0" for one in (LITE, CHAMPION, LITE, CHAMPION, LITE, LITE)]
    assert column(stepped, "degraded") == [False, True, False, True, False, False]
    assert stepped.batch.origin.tolist() == [0, 1, 2, 3, 4, 5]
    assert column(stepped, "dep_delay") == delays.to_pylist()
    assert column(stepped, "score")[0] > 0.9 > 0.1 > column(stepped, "score")[2]


async def test_rows_that_nobody_answered_for_go_to_a_person() -> None:
    given = batch(rows(4).set_column(0, "dep_delay", pa.array([100.0, None, -5.0, None])))
    stepped, _ = await run(given, [SLOW], fallback=[{"model": LITE}, RULE, "review"])
    (leave,) = stepped.leaves
    assert leave.rows.tolist() == [1, 3]
    assert (leave.verdict, leave.reason) == (Verdict.REVIEW, Reason.MODEL_UNAVAILABLE)
    assert "250 ms" in leave.sentence
    assert stepped.batch.origin.tolist() == [0, 2]


async def test_without_a_rung_left_rows_are_tried_again_later() -> None:
    stepped, _ = await run(batch(rows(3)), [SLOW], fallback=[])
    (leave,) = stepped.leaves
    assert leave.rows.tolist() == [0, 1, 2]
    assert (leave.verdict, leave.reason) == (Verdict.RETRY, Reason.MODEL_UNAVAILABLE)
    assert len(stepped.batch) == 0
    assert {"score", "model", "degraded"} <= set(stepped.batch.columns.schema.names)


class Wordy:
    """Models that answer with a word where a number is wanted; and one that there is not."""

    async def infer(self, model: str, route: str, columns: pa.RecordBatch, keys: Sequence[bytes | None], timeout_s: float) -> Answer:
        if model == LITE:
            raise UsageError("There is no model `arrival-delay-lite`.")
        return Answer(pa.RecordBatch.from_pydict({"score": ["high"] * columns.num_rows}), "wordy@1")


async def test_outputs_of_the_wrong_type_are_the_models_failure_and_not_the_rows() -> None:
    plan, _ = planned({"model": CHAMPION, "fallback": [RULE]})
    stepped = await plan.build(Parts(NoLookup(), Wordy(), lambda: 0.0, FolderProject(None))).run(batch(rows(5)), {})
    assert column(stepped, "score") == [0.0, 0.0, 1.0, 1.0, 1.0]
    assert stepped.counts["model_failed_calls"] == 1.0


async def test_a_model_that_there_is_not_is_no_failed_rung() -> None:
    plan, _ = planned({"model": LITE, "fallback": [RULE]})
    with pytest.raises(UsageError, match="no model"):
        await plan.build(Parts(NoLookup(), Wordy(), lambda: 0.0, FolderProject(None))).run(batch(rows(5)), {})


async def test_a_batch_without_rows_gets_the_columns_and_no_call() -> None:
    stepped, endpoint = await run(batch(rows(0)), [])
    assert not endpoint.calls
    assert stepped.batch.columns.schema.field("score").type == pa.float64()
    assert not stepped.leaves


async def test_the_answers_of_a_batch_do_not_depend_on_how_it_is_cut() -> None:
    whole = column((await run(batch(rows(64)), []))[0], "score")
    given = batch(rows(64))
    cut = []
    for part in np.array_split(np.arange(64), 5):
        cut += column((await run(given.take(part), []))[0], "score")
    assert whole == cut


def test_the_plan_says_what_is_needed_and_given() -> None:
    plan, mistakes = planned({"model": CHAMPION, "fallback": LADDER})
    assert not mistakes
    assert plan.needs == set(COLUMNS)
    assert dict(plan.gives) == {"score": pa.float64(), "model": pa.string(), "degraded": pa.bool_()}
    assert plan.pauses
    assert not planned({"model": CHAMPION, "outage": "degrade"})[0].pauses


@pytest.mark.parametrize(
    ("spec", "sentence", "hint"),
    [
        ({"model": "arival-delay"}, "there is no trained model `arival-delay`", "did you mean `arrival-delay`?"),
        ({"model": CHAMPION, "fallback": [{"model": "nope"}]}, "there is no trained model `nope`", "`arrival-delay`"),
        ({"model": CHAMPION, "fallback": [{"rule": "dep_dely > 30.0 ? 1.0 : 0.0"}]}, "there is no column `dep_dely` here", "`dep_delay`"),
        ({"model": CHAMPION, "fallback": [{"rule": "dep_delay > 30.0"}]}, "gives bool", ""),
    ],
)
def test_a_wrong_word_is_a_mistake_with_the_nearest_right_one(spec: dict[str, Any], sentence: str, hint: str) -> None:
    (mistake,) = planned(spec)[1]
    assert sentence in mistake.sentence
    assert hint in mistake.hint


def test_a_model_that_was_never_trained_is_a_mistake_that_says_how_to_train(tmp_path: Path) -> None:
    class Nothing(FolderProject):
        """Without what is built in."""

        def folders(self, kind: str) -> tuple[Path, ...]:
            return (tmp_path,)

    (mistake,) = planned({"model": CHAMPION}, project=Nothing(None))[1]
    assert "weft models train" in mistake.hint


def test_columns_that_do_not_fit_the_manifest_are_mistakes() -> None:
    columns = {**COLUMNS, "distance": pa.string()}
    del columns["weather_temp"]
    sentences = [mistake.sentence for mistake in planned({"model": CHAMPION}, columns)[1]]
    assert sentences == [
        "arrival-delay@1.0.0 takes `distance` as FP64; the column is string",
        "arrival-delay@1.0.0 takes `weather_temp`, which is no column here",
    ]


def test_a_nullable_column_for_an_input_that_takes_no_nulls_is_a_mistake() -> None:
    (mistake,) = planned({"model": LITE}, nullable=frozenset({"distance", "dep_delay"}))[1]
    assert "takes no nulls in `distance`" in mistake.sentence


def test_review_before_the_end_and_unknown_fallbacks_are_refused() -> None:
    for fallback in (["review", RULE], ["nobody"], [{"modle": LITE}]):
        with pytest.raises(AssertionError):
            planned({"model": CHAMPION, "fallback": fallback})
