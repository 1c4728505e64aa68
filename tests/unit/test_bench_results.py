"""What the benchmark makes of laps and records: counts, ratios, the table, the page."""

from pathlib import Path

import numpy as np

from ops.bench.outputs import Count, Due, Seen
from ops.bench.pages import HEAD, cells, markdown, put, remarks, svg
from ops.bench.results import GOALS, Kill, Lap, Named, Outcome

RIGHT = Count(0, 0, 0)
DUE = Due((np.array([1, 0, 2]), np.array([1, 1])))  # partition 0: a result, filtered, a dead letter; partition 1: two results
EACH = [(0, 0, 1), (0, 2, 2), (1, 0, 1), (1, 1, 1)]


def seen(rows: list[tuple[int, int, int]], appended_ms: list[int] | None = None) -> Seen:
    partition, offset, verdict = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    moments = np.array(appended_ms or [1] * len(rows), dtype=np.int64)
    return Seen(partition, offset, verdict, moments, moments + 5)


def test_each_event_once_is_right() -> None:
    assert seen(EACH).count(DUE) == RIGHT
    assert DUE.events == 5
    assert DUE.records == 4


def test_what_is_missing_is_lost_and_what_comes_again_is_twice() -> None:
    assert seen(EACH[1:]).count(DUE) == Count(1, 0, 0)
    assert seen([*EACH, EACH[0], EACH[0], EACH[3]]).count(DUE) == Count(0, 3, 0)


def test_another_verdict_a_record_of_a_filtered_event_and_one_of_no_event_are_wrong() -> None:
    assert seen([(0, 0, 2), *EACH[1:]]).count(DUE).wrong == 1
    assert seen([*EACH, (0, 1, 1)]).count(DUE).wrong == 1
    for stranger in ((0, 3, 1), (2, 0, 1), (-1, -1, 1)):
        assert seen([*EACH, stranger]).count(DUE) == Count(0, 0, 1)


def test_speed_is_of_the_middle_four_fifths_and_counts_events_without_output_too() -> None:
    rows = [EACH[0]] * 20
    moments = [0, 900, 1_000, *range(1_100, 2_700, 100), 9_000]  # the first and the last do not matter
    found = seen(rows, moments)
    assert found.span_ms() == (1_000, 2_600)
    assert found.events_s(DUE) == 16 / 1.6 * 5 / 4
    assert seen(EACH).events_s(DUE) == 0.0  # all at once: no speed can be told


def test_who_writes_in_large_bursts_does_not_seem_faster() -> None:
    bursts = [moment for moment in range(1_000, 11_000, 1_000) for _ in range(10)]  # ten events a second
    steady = list(range(1_000, 11_000, 100))
    assert seen([EACH[0]] * 100, bursts).events_s(DUE) == seen([EACH[0]] * 100, steady).events_s(DUE)


def test_what_came_before_the_kill_and_comes_again_is_not_new() -> None:
    found = seen([EACH[0], EACH[1], EACH[0], EACH[2], EACH[3]], [1_000, 1_100, 5_000, 6_000, 7_000])
    assert found.first_new_ms(DUE, 2_000) == 6_005
    assert found.first_new_ms(DUE, 8_000) is None


def lap(name: str, turn: int, events_s: float, cpu_us: float = 10.0, count: Count = RIGHT) -> Lap:
    return Lap(name, turn, 1_000, events_s, cpu_us, 100 << 20, count)


def outcome(**more: object) -> Outcome:
    named = {name: Named(name.title(), "exactly once") for name in ("loop", "weft", "faust")}
    laps = [lap("loop", 0, 100.0), lap("weft", 0, 150.0), lap("loop", 1, 50.0), lap("weft", 1, 150.0), lap("weft", 2, 170.0)]
    return Outcome(named, laps, **more)  # type: ignore[arg-type]


def test_ratios_are_of_the_same_round_and_rounds_that_one_did_not_end_are_left_out() -> None:
    assert outcome().ratios("weft") == [1.5, 3.0]
    row = outcome().row("weft")
    assert row.events_s == (150.0, 150.0, 170.0)
    assert row.ratio == 2.25
    assert row.peak_bytes == 100 << 20


def test_the_first_is_the_base_where_no_loop_races() -> None:
    laps = [lap("b", 0, 10.0), lap("a", 0, 30.0)]
    made = Outcome({"b": Named("B", "at least once"), "a": Named("A", "at least once")}, laps)
    assert made.base == "b"
    assert made.ratios("a") == [3.0]


def test_who_has_no_figures_keeps_the_row_and_says_why() -> None:
    made = outcome(absent={"faust": "there is no wheel"})
    assert cells(made.row("faust")) == ["Faust", "exactly once", *([""] * (len(HEAD) - 2))]
    assert "faust: there is no wheel" in remarks(made)
    assert not made.sound()


def test_wrong_outcomes_in_a_round_or_after_weft_was_killed_are_not_sound_and_are_told() -> None:
    wrong = Outcome(outcome().contenders, [lap("weft", 0, 1.0, count=Count(0, 1, 0))])
    assert not wrong.sound()
    assert any("weft: in 1 rounds" in remark for remark in remarks(wrong))
    assert outcome(kills=[Kill("faust", Count(0, 9, 0), 61.0)]).sound()  # it promises no more
    assert not outcome(kills=[Kill("weft", Count(0, 1, 0), 0.3)]).sound()


def test_goals_are_told_with_what_was_reached() -> None:
    told = remarks(outcome())
    assert "weft to loop: 2.25, the goal is 2 (at least 1.4): reached." in told
    assert len(told) == 1  # the others did not race
    assert all(goal.of == "weft" for goal in GOALS)


def test_every_row_has_the_columns_of_the_head() -> None:
    for row in outcome(kills=[Kill("weft", RIGHT, None)]).rows():
        assert len(cells(row)) == len(HEAD)
    assert cells(outcome(kills=[Kill("weft", RIGHT, None)]).row("weft"))[-3:] == ["0", "0", "had done all"]
    assert cells(outcome(kills=[Kill("weft", Count(7, 0, 0), None)]).row("weft"))[-3:] == ["7", "0", "never"]


def test_the_page_keeps_what_stands_around_the_figures(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- race: begin -->\nold\n<!-- race: end -->\nafter\n")
    put(page, "race", markdown(outcome(), "page.svg"))
    text = page.read_text()
    assert text.startswith("before\n<!-- race: begin -->\n| contender |")
    assert text.endswith("<!-- race: end -->\nafter\n")
    assert "old" not in text
    put(page, "race", "new")
    assert page.read_text() == "before\n<!-- race: begin -->\nnew\n<!-- race: end -->\nafter\n"


def test_the_plot_has_a_bar_for_each_who_has_figures() -> None:
    drawn = svg(outcome().rows())
    assert drawn.count("<rect") == 1 + 2
    assert ">150</text>" in drawn
