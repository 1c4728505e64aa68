"""The arithmetic of an open-loop load."""

from pathlib import Path

import numpy as np
import pytest

from ops.bench.latencies import Arrived, Sent, due_by, latencies, quantiles


def sent(count: int = 6, rate: float = 10.0, start_s: float = 100.0) -> Sent:
    return Sent(start_s, rate, np.array([7, 20]), np.zeros(count))


def arrived(*results: tuple[int, int, float]) -> Arrived:
    partitions, offsets, at_s = zip(*results, strict=True)
    return Arrived(np.array(partitions), np.array(offsets), np.array(at_s))


def test_the_first_event_is_due_at_once_and_each_next_one_a_period_later() -> None:
    assert [due_by(elapsed_s, 10.0) for elapsed_s in (-0.001, 0.0, 0.05, 0.1001, 0.95)] == [0, 1, 1, 2, 10]


def test_a_latency_counts_from_when_the_event_was_due_though_it_was_sent_later() -> None:
    late = Sent(100.0, 10.0, np.array([0]), np.array([0.0, 5.0]))
    assert latencies(late, arrived((0, 1, 105.3)), 0.0) == pytest.approx([5.2])


def test_events_stand_in_the_partitions_in_turn() -> None:
    # event 0 is 0/7, event 1 is 1/20, event 2 is 0/8, event 5 is 1/22
    taken = latencies(sent(), arrived((0, 7, 100.5), (1, 20, 100.5), (0, 8, 100.5), (1, 22, 100.5)), 0.0)
    assert taken == pytest.approx([0.5, 0.4, 0.3, 0.0])


def test_results_of_events_before_and_behind_the_load_and_of_the_warm_up_do_not_count() -> None:
    results = arrived((0, 6, 101.0), (1, 19, 101.0), (0, 10, 101.0), (1, 23, 101.0), (0, 7, 101.0), (0, 9, 101.0))
    assert latencies(sent(), results, 0.3) == pytest.approx([0.6])


def test_a_percentile_is_a_value_that_was_measured_and_never_below_the_part_that_it_names() -> None:
    taken = np.arange(1, 1001) / 1000  # 1 ms to 1 s
    assert quantiles(np.random.default_rng(1).permutation(taken)) == {"p50": 500.0, "p99": 990.0, "p99.9": 999.0, "max": 1000.0}
    assert quantiles(np.array([0.001, 0.002, 0.009]))["p99"] == 9.0


def test_without_a_result_there_is_no_percentile() -> None:
    assert all(np.isnan(one) for one in quantiles(np.empty(0)).values())


def test_positions_are_read_whatever_the_topic_is_called() -> None:
    found = Arrived.of(["a/b/3/41", "c/0/7"], [1.0, 2.0])
    assert (found.partitions.tolist(), found.offsets.tolist(), found.at_s.tolist()) == ([3, 0], [41, 7], [1.0, 2.0])
    assert len(Arrived.of([], []).offsets) == 0


def test_what_one_process_saves_another_loads(tmp_path: Path) -> None:
    sent(3).save(tmp_path / "sent.npz")
    arrived((1, 2, 3.0)).save(tmp_path / "arrived.npz")
    loaded, came = Sent.load(tmp_path / "sent.npz"), Arrived.load(tmp_path / "arrived.npz")
    assert (loaded.start_s, loaded.rate, loaded.firsts.tolist(), len(loaded.late_s)) == (100.0, 10.0, [7, 20], 3)
    assert (came.partitions.tolist(), came.offsets.tolist(), came.at_s.tolist()) == ([1], [2], [3.0])
