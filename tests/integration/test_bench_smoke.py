"""The benchmark itself works: on its own stack those of Weft's environment do the job to few events, and the counts are right."""

import pytest

from ops.bench.contenders import chosen
from ops.bench.race import Asked, Race

EVENTS = 6_000


@pytest.mark.timeout(240)
def test_everyone_does_the_whole_job_once_and_the_loop_also_when_it_is_killed() -> None:
    asked = Asked(chosen(["loop", "columnar", "weft", "weft-at-least-once"]), EVENTS, 1, kills=["loop"])
    outcome = Race(asked, print, lambda what, done, total: None).run()
    assert not outcome.absent
    assert [lap.name for lap in outcome.laps] == list(asked.contenders)
    assert all(lap.count.right for lap in outcome.laps), outcome.laps
    assert all(lap.peak_bytes > 0 for lap in outcome.laps)  # so few are done in one burst: no speed can be told
    (killed,) = outcome.kills
    assert killed.count.right
    assert outcome.sound()
