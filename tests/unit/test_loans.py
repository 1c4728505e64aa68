"""The loans of the second example: what is sent, what the model may take, what its card says, what nobody who decides sees."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ops.examples import loans
from ops.flow.events import Sample
from ops.flow.offline import Judged, judge, parts
from processors.flow.check import check
from processors.flow.compile import compile_flow
from processors.flow.project import FolderProject
from schemas.contracts import built_in
from schemas.headers import CE_ID, CE_TIME, CE_TYPE
from schemas.vocabulary import Verdict
from serving.memory import local_models
from serving.training import learners, train
from serving.training.loans import held_out, read
from serving.training.names import NAMES
from tests.models import trained

FLOW, MODEL = "loan-decisions", "loan-default"
PERSONAL = {"sex", "age", "applicant_id"}


async def _judged() -> list[Judged]:
    """What becomes of the 300 applications."""
    trained()
    project = FolderProject()
    flow = compile_flow(project, FLOW, parts(project, local_models(project), dict(loans.lookups())))
    (sent,) = loans.events(loans.applications(), built_in()[loans.CONTRACT], "json", "t")
    samples = [Sample(line, key, value, []) for line, (key, value) in enumerate(zip(sent.keys, sent.values, strict=True))]
    return list(await judge(flow, check(project, FLOW).sound(), samples))


def test_what_is_sent_are_the_applications_that_no_model_learnt_from() -> None:
    rows, table = loans.applications(), read()
    sent = {int(name.removeprefix("LA-")) - 1 for name in rows["application_id"].to_pylist()}
    assert sent == set(np.flatnonzero(held_out(len(table))).tolist())
    assert (len(table), len(sent)) == (1_000, 300)
    training = trained().manifest(MODEL).training
    assert training is not None
    assert training.rows == 700


def test_every_application_has_an_account_and_is_a_cloud_event() -> None:
    accounts = dict(loans.lookups())
    assert {f"account:{name}" for name in loans.applications()["applicant_id"].to_pylist()} <= set(accounts)
    assert len(accounts) == 1_000
    (sent,) = loans.events(loans.applications(), built_in()[loans.CONTRACT], "json", "t")
    assert sent.headers is not None
    told = dict(sent.headers[0])
    assert (told[CE_TYPE], told[CE_ID], told[CE_TIME]) == (b"loans.Application", b"LA-0003", b"2026-01-05T08:20:00Z")


def test_no_category_of_the_source_is_lost() -> None:
    table = read()
    nulls = {name: table[name].null_count for name in table.column_names if table[name].null_count}
    assert nulls == {"employed_years": 62, "account_checking_from": 394, "account_savings_from": 183}
    assert Counter(table["bad"].to_pylist()) == {0: 700, 1: 300}


def test_the_model_takes_nothing_that_the_law_protects() -> None:
    taken = {one.name for one in trained().manifest(MODEL).inputs}
    assert not taken & (PERSONAL | {"wants_person"})


async def test_most_are_decided_by_the_model_and_the_rest_by_a_person() -> None:
    judged = await _judged()
    counted = Counter(one.verdict for one in judged)
    assert set(counted) == {Verdict.RESULT, Verdict.REVIEW}
    assert 10 <= counted[Verdict.REVIEW] <= 40
    granted = [one.columns for one in judged if one.columns.get("decision") == "grant"]
    assert all(columns["score"] < 0.25 and columns["amount"] <= 8_000 for columns in granted)


async def test_whoever_decides_sees_neither_sex_nor_age_nor_name() -> None:
    for one in await _judged():
        assert one.columns["sex"] is None
        assert one.columns["age"] is None
        assert len(one.columns["applicant_id"]) == 16
    assert not PERSONAL & {field["name"] for field in built_in()["loans.Decision"].schema["fields"]}


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folders = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    for folder in folders:
        train.train([learners.LOAN], folder, lambda _: None)
    return folders


def test_training_it_twice_gives_the_same_bytes(twice: tuple[Path, Path]) -> None:
    for name in ("model.onnx", "manifest.json", "card.md"):
        one, two = (folder / MODEL / name for folder in twice)
        assert one.read_bytes() == two.read_bytes()


def test_the_card_says_what_the_model_does_to_groups_and_what_it_is_not_for() -> None:
    manifest, card = trained().manifest(MODEL), trained().card(MODEL)
    by_name = {one.group: one for one in manifest.groups}
    assert by_name["women"].rows + by_name["men"].rows == by_name["everybody"].rows == 1_000
    young, older = by_name["25 years or younger"], by_name["over 25 years"]
    assert young.below < older.below - 0.1
    assert f"{young.below - older.below:+.3f} below the threshold, more than chance explains" in card
    assert "do not lend by it" in card
    assert by_name["held out"].auc > 0.72
    assert manifest.approval.approved


def test_the_names_that_are_known_without_training_are_those_that_are_trained() -> None:
    assert set(learners.LEARNERS) == set(NAMES)
