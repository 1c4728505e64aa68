"""The vocabulary of metrics, and what a worker makes of it."""

from collections.abc import Mapping

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from processors.step import Reading, Signal
from schemas.metrics import PROCESS, Kind, Metric, Phase, counted, series
from schemas.positions import Position, Source
from schemas.tracing import trace
from schemas.vocabulary import Verdict
from streams.metrics import CHILDREN, Meters
from streams.watch import Call, Passage, Settled, Timing

ONE = Position("in", 0, 7)
TRACE = trace(ONE, 0, 0)


def timing(step: str = "enrich-plane", counts: Mapping[str, float] | None = None) -> Timing:
    readings = [Reading("drift_psi", ONE.source, "delay", 0.25), Reading("drift_window_rows", ONE.source, "", 40.0)]
    return Timing(step, 1, 4, 0.0, 0.002, counts or {}, readings, [])


def settled(rule: str = "cancelled", traced: bool = True, timings: tuple[Timing, ...] = (timing(),)) -> Settled:
    passage = Passage(TRACE, "f@1.0.0", ONE, ONE, 0, 0, Verdict.RESULT, "", "out", timings)
    verdicts = {("result", "", ""): 3, ("filtered", "filter", rule): 1, ("retry", "model-unavailable", ""): 2}
    return Settled(verdicts, 1, 1_500, 1_000, 0.0, 0.02, timings, [passage] if traced else [], {Phase.FLUSH: 0.25})


@pytest.fixture
def meters() -> Meters:
    return Meters("f", lambda: 2_000, lambda signals: None, lambda: None)


def values(meters: Meters) -> Mapping[tuple[str, ...], float]:
    """By name and the values of the labels but the flow's, in the vocabulary's order."""
    order = {name: metric.spec.labels[1:] for metric in Metric for name in metric.spec.series}
    samples = [sample for family in plain_text(meters.exposition("")[0].decode()) for sample in family.samples]
    return {(sample.name, *(sample.labels[label] for label in order.get(sample.name, ()))): sample.value for sample in samples}


def test_every_metric_of_the_vocabulary_is_exposed_and_no_other(meters: Meters) -> None:
    families = {family.name: (family.type, family.documentation) for family in plain_text(meters.exposition("")[0].decode())}
    for metric in Metric:
        assert families.pop(metric.spec.name) == (metric.spec.kind, metric.spec.help)
    assert {name if name in PROCESS else f"{name}_total" for name in families} <= set(PROCESS)


def test_names_end_in_their_unit_and_help_is_a_sentence() -> None:
    for spec in (metric.spec for metric in Metric):
        assert spec.name.endswith(spec.unit)
        assert spec.help.endswith(".")
        assert spec.labels[0] == "flow"
        assert bool(spec.buckets) == (spec.kind is Kind.HISTOGRAM)
    assert {"weft_events_total", "weft_step_seconds_bucket", "weft_lag_records", "process_resident_memory_bytes"} <= series()


def test_what_a_batch_came_to_is_counted(meters: Meters) -> None:
    meters.settled(settled(timings=(timing(counts={"lookup_missing_rows": 2.0, "lookup_rows": 4.0, "odd": 3.0, "none": 0.0}),)))
    meters.asked(Call("m@1.0.0", 4, 0.0, 0.003, "answered"))
    meters.asked(Call("m", 4, 0.0, 0.003, "unreachable"))
    meters.signalled([Signal(Source("in", 0), "drift", "delay", "it moved", {}, "drift")])
    told = values(meters)
    assert told["weft_events_total",] == 6
    assert told["weft_outcomes_total", "filtered", "filter", "cancelled"] == 1
    assert (told["weft_retries_total", "topic"], told["weft_retries_total", "place"]) == (2, 1)
    assert told["weft_latency_seconds_sum",] == 0.5
    assert told["weft_age_seconds_sum",] == 1.0
    assert told["weft_phase_seconds_sum", "flush"] == 0.25
    assert told["weft_lookup_missing_rows_total", "enrich-plane"] == 2
    assert told["weft_step_counts_total", "enrich-plane", "odd"] == 3
    assert ("weft_step_counts_total", "enrich-plane", "none") not in told
    assert told["weft_drift_psi", "enrich-plane", "delay", "0"] == 0.25
    assert told["weft_drift_window_rows", "enrich-plane", "0"] == 40
    assert told["weft_model_seconds_count", "m", "unreachable"] == 1
    assert told["weft_model_rows_total", "m"] == 4
    assert told["weft_signals_total", "drift", "drift", "delay"] == 1
    assert counted("lookup_rows") is Metric.LOOKUP_ROWS


def test_a_partition_that_went_to_another_worker_reads_no_more(meters: Meters) -> None:
    meters.settled(settled())
    meters.owns([Source("in", 1)])
    assert not [name for name, *_ in values(meters) if name.startswith("weft_drift_psi")]
    meters.settled(settled())
    assert values(meters)["weft_drift_psi", "enrich-plane", "delay", "0"] == 0.25


def test_a_plugin_that_names_a_rule_for_every_row_does_not_fill_the_memory(meters: Meters) -> None:
    for number in range(CHILDREN + 100):
        meters.settled(settled(rule=f"rule-{number}"))
    rules = [labels for name, *labels in values(meters) if name == "weft_outcomes_total"]
    assert len(rules) <= CHILDREN + 1
    assert values(meters)["weft_outcomes_total", "filtered", "filter", "other"] > 100


@pytest.mark.parametrize("name", ["weft_step_seconds", "weft_transaction_seconds", "weft_latency_seconds", "weft_age_seconds"])
def test_who_accepts_open_metrics_sees_the_trace_of_a_sampled_event(meters: Meters, name: str) -> None:
    meters.settled(settled())
    told, content_type = meters.exposition("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = open_metrics(told.decode())  # type: ignore[no-untyped-call]
    exemplars = [sample.exemplar for family in families for sample in family.samples if sample.name == f"{name}_bucket"]
    assert [exemplar.labels for exemplar in exemplars if exemplar] == [{"trace_id": TRACE.trace_id, "span_id": TRACE.span_id}]


def test_who_accepts_text_gets_text_without_exemplars(meters: Meters) -> None:
    meters.settled(settled())
    told, content_type = meters.exposition("*/*")
    assert content_type.startswith("text/plain; version=0.0.4")
    assert TRACE.trace_id.encode() not in told
