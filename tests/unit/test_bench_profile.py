"""What `weft bench profile` makes of a worker's metrics."""

import pytest

from ops.bench.profile import SETTLING, Profile
from ops.top.exposition import Samples, parse
from schemas.errors import FailedError
from schemas.metrics import Metric, Phase
from streams.metrics import Meters
from streams.watch import Settled, Timing


def batch(rows: int, step_s: float, phases: dict[Phase, float]) -> Settled:
    timings = [Timing(step, 0, rows, 0.0, step_s, {}) for step in ("decode", "infer")]
    return Settled({("result", "", ""): rows}, 0, 0, 0, 0.0, 0.0, timings, [], phases)


def told(meters: Meters) -> Samples:
    return parse(meters.exposition("")[0].decode())


def test_times_are_per_event_of_what_settled_between_the_looks() -> None:
    meters = Meters("f", lambda: 0, lambda signals: None, lambda: None)
    meters.settled(batch(7, 9.0, {Phase.IDLE: 100.0}))
    before = told(meters)
    meters.settled(batch(1_000, 0.002, {Phase.FETCH: 0.05, Phase.IDLE: 0.001, Phase.PRODUCE: 0.002, Phase.PREPARE: 0.006}))
    meters.settled(batch(3_000, 0.006, {Phase.FETCH: 0.03, Phase.IDLE: 0.003, Phase.COMMIT: 0.010, Phase.PREPARE: 0.010}))
    found = Profile.between(before, told(meters))
    assert found.events == 4_000
    assert found.steps == pytest.approx({"decode": 2.0, "infer": 2.0})
    took = {Phase.FETCH: 20.0, Phase.PREPARE: 4.0, Phase.IDLE: 1.0, Phase.PRODUCE: 0.5, Phase.COMMIT: 2.5}
    assert found.phases == pytest.approx(dict.fromkeys(Phase, 0.0) | took)
    assert found.wall_us == pytest.approx(4.0)
    assert found.figures()["events_s"] == pytest.approx(250_000)
    assert found.cpu_us >= 0


def test_each_step_and_phase_has_a_row_in_the_order_of_an_events_way() -> None:
    meters = Meters("f", lambda: 0, lambda signals: None, lambda: None)
    meters.settled(batch(1, 0.002, {}))
    rows = Profile.between({}, told(meters)).rows()
    assert [name for name, _, _ in rows] == ["fetch", "decode", "infer", "prepare", *SETTLING]
    assert {name for name, _, _ in rows} >= set(Phase)
    assert all(said for _, _, said in rows)


def test_a_worker_that_settled_nothing_has_no_profile() -> None:
    meters = Meters("f", lambda: 0, lambda signals: None, lambda: None)
    with pytest.raises(FailedError, match="no event has settled"):
        Profile.between(told(meters), told(meters))


def test_the_phases_that_follow_one_another_are_all_but_those_beside_them() -> None:
    assert set(Phase) - set(SETTLING) == {Phase.FETCH, Phase.PREPARE}
    assert all(phase in Metric.PHASE_SECONDS.spec.help for phase in Phase)
