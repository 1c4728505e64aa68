"""Moments and spans as people read them."""

import pytest

from ops.cli.times import span, told, utc, when

AT_MS = 1_796_063_179_897


@pytest.mark.parametrize(
    ("away_ms", "said"),
    [
        (0, "0 s ago"),
        (59_000, "59 s ago"),
        (60_000, "1 min ago"),
        (7_200_000, "2 h ago"),
        (3 * 86_400_000, "3 d ago"),
        (-90_000, "in 2 min"),
    ],
)
def test_a_moment_is_iso_8601_in_utc_with_its_age(away_ms: int, said: str) -> None:
    assert when(AT_MS, AT_MS + away_ms) == f"2026-11-30T18:26:19Z ({said})"


def test_what_no_calendar_has_is_shown_as_it_is() -> None:
    assert utc(2**62) == f"{2**62} ms"
    assert utc(-1) == "1969-12-31T23:59:59Z"
    assert span(-5) == "0 s"


def test_rows_for_a_person_name_moments_without_their_unit() -> None:
    found = told({"id": "a", "asked_ms": AT_MS, "due_ms": None, "n": 3})
    assert (found["id"], found["asked"][:20], found["due"], found["n"]) == ("a", "2026-11-30T18:26:19Z", None, 3)
