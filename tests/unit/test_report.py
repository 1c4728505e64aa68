"""The report of a flow that ran on topics in memory: its figures, and a page that needs nothing else."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from connectors.log import Headers, Outgoing
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.reader import MemoryReader
from ops.audit.subject import Subject
from ops.daily.desk import Desk
from ops.daily.reviews import chosen, decide, decided_now, open_reviews
from ops.quality import day
from ops.quality.findings import Finding, Judgement
from ops.report.gather import gather
from ops.report.page import moment, page, percent, span
from processors.drift.reference import describe
from processors.flow.compiled import Flow
from processors.flow.writers import STEP, details_writer
from processors.steps.drift import Drift, Watched
from schemas.decision import Action
from schemas.errors import FailedError
from schemas.positions import Source
from schemas.vocabulary import Verdict
from streams.ledger import block, leaf
from streams.ledger.tree import Tree
from tests.simulation.small import World, running, small_flow, until

NOW_MS = 1_800_000_000_000
HOSTILE = "<script>alert(1)</script>"
LINES = 4_000


def _unread(value: bytes, headers: Headers = ()) -> Mapping[str, Any]:
    raise AssertionError(f"a report reads no event: {value!r}, {headers!r}")


def desk(world: World, flow: Flow) -> Desk:
    subject = Subject(flow.name, flow.topics, "weft", (world.key.verifier("x").public,))
    return Desk((flow,), MemoryReader(world.broker), MemoryPublisher(world.broker), subject, _unread, _unread)


def asked(n: int, attempt: int) -> Verdict | None:
    return {1: Verdict.QUARANTINE, 2: Verdict.FILTERED}.get(n // 100) or (Verdict.REVIEW if n >= 300 else None)


async def test_the_figures_tell_what_became_of_each_event_and_how_reviews_ended() -> None:
    world, flow = World(), small_flow(asked)
    await world.send([1, 2, 100, 200, 201, 300, 301, 302, "none"])
    async with running(world.lane(flow)) as lane:
        await until(lambda: lane.status()["reviews_open"] == 3)
        at = desk(world, flow)
        open_now = await open_reviews(at)
        for event, action, columns in (("e300", Action.APPROVE, {"rule": "seen"}), ("e301", Action.REJECT, {})):
            (told,) = await decide(at, [chosen(open_now, event, "f")], decided_now(action, "ann", "sure", columns))
            assert told.leaf is not None
    figures = await gather(at, NOW_MS)
    outcomes = figures["outcomes"]
    assert (outcomes["events"], outcomes["ended"], outcomes["waiting"], outcomes["redriven"]) == (9, 8, 1, 0)
    counts = {verdict: sum(row) for verdict, row in outcomes["by_processing_time"]["verdicts"].items()}
    assert counts == {"result": 3, "dead-letter": 1, "quarantine": 2, "filtered": 2, "review": 3}
    assert {kind["rule"] for kind in outcomes["kinds"]} >= {"asked"}
    reviews = figures["reviews"]
    assert reviews["totals"] == {"asked": 3, "approved": 1, "rejected": 1, "expired": 0}
    assert (reviews["open"], reviews["took"]["count"], reviews["open_by_rule"]) == (1, 2, {"asked": 1})
    assert reviews["overdue"] == 1  # by the clock that the report was given
    assert figures["latency"]["count"] == 9
    trees = {tree["origin"]: tree for tree in figures["ledger"]["trees"]}
    assert sum(tree["size"] for tree in trees.values()) == 11
    assert all(tree["unsigned"] == 0 and tree["trusted"] for tree in trees.values())
    text = page(figures)
    assert "9 events came in, 8 have ended, 1 waits." in text
    assert "1 review is open." in text
    assert "No result names a model." in text


async def test_a_flow_that_decided_nothing_has_no_report() -> None:
    with pytest.raises(FailedError, match="Nothing of f was decided yet"):
        await gather(desk(World(), small_flow()), NOW_MS)


def dated_flow() -> Flow:
    """Decodes `n` and `at`, and watches `n` against a normal distribution around 0."""
    reference = describe(pa.array(np.random.default_rng(0).normal(0, 1, LINES)))
    drift = Drift("drift", (Watched.of("n", reference),), 1_000, 0.1)
    plain = small_flow()
    gives: tuple[Mapping[str, pa.DataType], ...] = ({"n": pa.float64(), "at": pa.timestamp("ms", "UTC")}, {})
    return replace(plain, steps=(plain.steps[0], drift), gives=gives, time_column="at")


def dated_ledger(world: World, flow: Flow, lines: int = LINES, raised: bool = True) -> None:
    """A ledger by hand: January as the reference, one in a hundred missing; in February everything has moved; one row is not decoded."""
    rng = np.random.default_rng(3)
    months = [datetime(2013, 1, 15, tzinfo=UTC)] * lines + [datetime(2013, 2, 15, tzinfo=UTC)] * lines
    values: list[float | None] = [*rng.normal(0, 1, lines), *rng.normal(3, 1, lines)]
    values[:lines:100] = [None] * len(values[:lines:100])
    writer = details_writer("f", flow.gives[0])
    columns = {"n": pa.array(values), "at": pa.array(months, pa.timestamp("ms", "UTC")), STEP: pa.nulls(2 * lines, pa.string())}
    details = [*writer.encode(pa.RecordBatch.from_pydict(columns)), b""]
    n, source = len(details), Source("in", 0)
    said = ("result", ""), ("dead-letter", "wrong-type")
    kinds = [leaf.Kind(*one, HOSTILE, f"{HOSTILE}@1", degraded) for one in said for degraded in (True, False)]
    leaves = leaf.encode(
        leaf.Leaves(
            source, flow.ident, np.arange(n), [f"e{row}" for row in range(n)],
            kinds=kinds, kind=[2 * (row == n - 1) + (row % 4 > 0) for row in range(n)], inputs=[bytes(32)] * n, outputs=[bytes(32)] * n,
            details=details, salts=[bytes(16)] * n,
        )
    )  # fmt: skip
    signals = f'[{{"kind": "drift", "step": "drift", "column": "n", "sentence": "{HOSTILE}", "figures": {{"psi": 2.0}}}}]'
    content = block.Content(0, n, np.arange(n, dtype=np.int64), leaves, details, writer.schema_json, signals if raised else "[]")
    tree = Tree.empty("weft", "f", source, world.broker.topic("in").topic_id)
    blocks, _ = block.pack(tree, content)
    world.broker.append(Outgoing("f.ledger", [tree.origin.encode()] * len(blocks), blocks, partition=0))


async def dated_figures() -> Any:
    world, flow = World(), dated_flow()
    dated_ledger(world, flow)
    return await gather(desk(world, flow), NOW_MS)


async def test_drift_and_missing_values_are_told_by_the_time_of_the_events() -> None:
    figures = await dated_figures()
    drift, quality = figures["drift"], figures["quality"]
    (column,) = drift["columns"]
    assert column["windows"] == 2 * LINES // 1_000
    moved = {at: flag for at, flag, rows in zip(drift["at"], column["drift"], column["rows"], strict=True) if rows}
    assert list(moved.values()) == [False, True]
    assert [at[:7] for at in moved] == ["2013-01", "2013-02"]
    assert [quantiles[1] > 2 for quantiles in column["quantiles"] if quantiles] == [False, True]
    assert sum(drift["alerts"]["n"]) == 1
    missing = {one["column"]: (one["missing"], one["rows"]) for one in quality["missing"]}
    assert missing == {"n": (LINES // 100, 2 * LINES), "at": (0, 2 * LINES)}
    assert figures["outcomes"]["undated"] == 1
    assert figures["models"]["degraded"] == LINES // 2
    assert figures["ledger"]["trees"][0]["unsigned"] == 2 * LINES + 1


async def test_where_no_window_was_filled_nothing_is_said_of_drift() -> None:
    world, flow = World(), dated_flow()
    dated_ledger(world, flow, lines=400, raised=False)
    text = page(await gather(desk(world, flow), NOW_MS))
    assert "No window was filled: not enough rows to judge drift" in text
    assert ">too few</td>" in text
    assert "No alert was raised" not in text


async def test_expectations_are_told_where_the_data_folder_has_any(tmp_path: Path) -> None:
    world, flow = World(), dated_flow()
    dated_ledger(world, flow)
    kept = day.Day(flow="f", day="2026-11-20")
    step = kept.step("watch", "f@1.0.0", "numbers", "alert")
    bad = Finding("expect_x", ("n",), f"n is {HOSTILE}", "warning", holds=False, observed="3 % unexpected")
    step.add(Judgement("numbers", 500, 0.1, (bad,)), day.Judged(at_ms=NOW_MS, rows=500, failed=[bad.told]))
    day.save(tmp_path, kept, "")
    figures = await gather(desk(world, flow), NOW_MS, data=tmp_path)
    (told,) = figures["expectations"]
    assert (told["day"], told["windows"], told["failed"][0]["windows"]) == ("2026-11-20", 1, 1)
    text = page(figures)
    assert "One expectation of watch was not met on 2026-11-20." in text
    assert "3 % unexpected" in text
    assert HOSTILE not in text


class Elements(HTMLParser):
    """The tags of a page, and the attributes that could fetch something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data", "action")]


async def test_the_page_needs_nothing_else_and_escapes_what_came_from_outside() -> None:
    text = page(await dated_figures())
    found = Elements()
    found.feed(text)
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text
    assert not {"script", "img", "iframe", "link", "object"} & set(found.tags)
    assert all(target.startswith("#") for target in found.fetched)
    assert {target[1:] for target in found.fetched} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert not re.findall(r"url\((?!#)", text)
    assert "default-src 'none'" in text
    assert not re.findall(r"#0000[0-9a-f]{2}|#0001[0-9a-f]{2}", text)  # every colour is the style sheet's


async def test_every_plot_has_words_for_those_who_cannot_see_it() -> None:
    text = page(await dated_figures())
    plots = re.findall(r"<svg .*?</svg>", text, re.DOTALL)
    assert len(plots) == 4  # no record is on the input topic, nobody was asked: no latency, no reviews
    assert all('role="img"' in plot and re.search(r"<title id=.*?>.+?</title><desc id=.*?>.+?</desc>", plot) for plot in plots)
    assert "n: the median is" in text


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(0, 0, "none"), (0, 5, "0 %"), (1, 1_000_000, "< 0.01 %"), (1, 40, "2.50 %"), (5, 5, "100 %"), (1, 2, "50 %")],
)
def test_a_share_shows_small_ones_as_they_are(part: int, whole: int, said: str) -> None:
    assert percent(part, whole) == said


@pytest.mark.parametrize(("seconds", "said"), [(None, "\N{EN DASH}"), (0.0, "0 s"), (0.0042, "4.2 ms"), (8.9, "8.9 s"), (5_400, "1.5 h")])
def test_a_span_is_said_in_the_unit_that_it_is_read_best_in(seconds: float | None, said: str) -> None:
    assert span(seconds) == said


def test_a_time_that_no_calendar_has_is_a_dash() -> None:
    assert [moment(at_ms) for at_ms in (None, 0, 253_402_300_800_000, -(2**62), 2**63 - 1)] == [
        "never",
        "1970-01-01 00:00:00 UTC",
        *["\N{EN DASH}"] * 3,
    ]
