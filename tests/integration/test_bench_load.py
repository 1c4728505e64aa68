"""Benchmarks of latency and of scale, for some seconds: that they measure something, and count all of it."""

from pathlib import Path

import pytest

from ops.bench.ground import Ground
from ops.bench.latency import FIRST, Load, rounds_on
from ops.bench.scale import drained
from streams.ledger.key import LogKey
from streams.settings import Settings
from tests.models import trained
from tests.stack import TestStack

pytestmark = pytest.mark.slow


@pytest.fixture
def ground(stack: TestStack, tmp_path: Path) -> Ground:
    trained()
    settings = Settings(project=tmp_path / "project", data=tmp_path / "data", bootstrap=stack.bootstrap)
    LogKey.create(settings.log_key_file)
    return Ground(tmp_path, settings, stack.bootstrap, stack.redis_url, "", partitions=4)


async def test_every_result_of_a_load_has_a_time_and_the_loop_s_stand_beside(ground: Ground) -> None:
    said: list[str] = []
    found = await rounds_on(ground, ["loop", "weft"], Load([250.0], 2.0, 1.0), 1, said.append)
    assert [lap.contender for lap in found.laps] == ["loop", "weft"]
    for lap in found.laps:
        assert 400 < lap.results <= 500  # some flights were cancelled: they are filtered, and have no result
        assert 0 < lap.took_ms["p50"] <= lap.took_ms["p99"] <= lap.took_ms["max"] < 3_000
        assert 1 <= lap.rows <= 250
    assert found.laps[0].results == found.laps[1].results
    assert found.ratio("weft", 250.0) == found.laps[1].took_ms["p99"] / found.laps[0].took_ms["p99"]
    assert len(said) == 3  # also of the lap that is not counted
    assert FIRST[0] != 250.0


async def test_two_workers_drain_a_backlog_that_appears_at_once(ground: Ground) -> None:
    await ground.load()
    found = await drained(ground, "weft", "drained", 5_000, lambda _: None, size=2)
    assert (found.events, found.workers, sum(found.held), len(found.held)) == (5_000, 2, 4, 2)
    assert found.marks[-1].done == 5_000
    assert 0 < found.seconds < 60
    assert found.peak_bytes > 50_000_000
