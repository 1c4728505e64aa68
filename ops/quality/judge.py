"""Holds rows against a suite with Great Expectations: its one owner. Importing this takes seconds and 300 MB.

Its own pages (Data Docs) are not used: they load scripts from elsewhere and show values of events unescaped.
"""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from string import Template
from typing import Any

import pyarrow as pa

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # before the import: else it tells its makers what is done with it

import great_expectations as gx
from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults, ProgressBarsConfig
from great_expectations.expectations.registry import get_expectation_impl, list_registered_expectation_implementations

from ops.quality.findings import Finding, Judgement
from ops.quality.held import held
from processors.quality.suite import Expectation, Suite
from schemas.errors import UsageError

NO_VALUES = {"result_format": "BASIC", "partial_unexpected_count": 0}
PLACE = "weft"  # under which an expectation's meta says which of the suite it is: results come in another order
SHOWN_CHARACTERS = 200
SENTENCE_CHARACTERS = 300

for _name in [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "great_expectations"]:
    logging.getLogger(_name).setLevel(logging.CRITICAL)  # it logs values of events; what fails is in its answer


def implementations() -> Mapping[str, Any]:
    """The expectations that there are, by type."""
    return {name: get_expectation_impl(name) for name in list_registered_expectation_implementations()}


class Judge:
    """One for a process, used by one thread: shared between threads Great Expectations gives wrong verdicts."""

    def __init__(self) -> None:
        config = DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),  # else it leaves a folder in /tmp
            progress_bars=ProgressBarsConfig(globally=False),
            analytics_enabled=False,
        )
        context: Any = gx.get_context(mode="ephemeral", project_config=config)
        asset = context.data_sources.add_pandas("events").add_dataframe_asset("rows")
        self._rows: Any = asset.add_batch_definition_whole_dataframe("window")
        self._suites: dict[Suite, tuple[Any, Sequence[str]]] = {}

    def judge(self, suite: Suite, rows: pa.Table) -> Judgement:
        """Hold these rows against the suite.

        Raises:
            UsageError: Great Expectations refuses the suite.
        """
        if suite not in self._suites:
            self._suites[suite] = _loaded(suite)
        theirs, sentences = self._suites[suite]
        began = time.perf_counter()
        shown, unrepresentable = held(rows)
        batch = self._rows.get_batch({"dataframe": shown.to_pandas()})
        results = batch.validate(theirs, result_format=NO_VALUES).results
        by_place = {result.expectation_config.meta[PLACE]: result for result in results}
        findings = tuple(_finding(one, sentences[place], by_place[place]) for place, one in enumerate(suite.expectations))
        return Judgement(suite.name, rows.num_rows, time.perf_counter() - began, findings, unrepresentable)


def _loaded(suite: Suite) -> tuple[Any, Sequence[str]]:
    """As Great Expectations holds it, and what it says of each expectation."""
    told = [
        {"type": one.type, "kwargs": dict(one.kwargs), "severity": one.severity, "description": one.description, "meta": {PLACE: place}}
        for place, one in enumerate(suite.expectations)
    ]
    try:
        theirs = gx.ExpectationSuite(name=suite.name, expectations=told)
    except (ValueError, TypeError) as error:
        said = " ".join(str(error).split())[:SHOWN_CHARACTERS]
        raise UsageError(f"Great Expectations refuses the suite {suite.name}: {said}", "Correct it, and apply the flow again.") from error
    return theirs, [_sentence(one) for one in theirs.expectations]


def _sentence(expectation: Any) -> str:
    """What is expected, in the words of Great Expectations."""
    expectation.render()
    atomic = expectation.rendered_content[0].value.to_json_dict()
    told = {name: _plain(param["value"]) for name, param in atomic.get("params", {}).items()}
    return Template(atomic.get("template") or expectation.expectation_type).safe_substitute(told)[:SENTENCE_CHARACTERS]


def _finding(one: Expectation, sentence: str, theirs: Any) -> Finding:
    result = theirs.result or {}
    percent = result.get("unexpected_percent")
    return Finding(
        one.type,
        one.columns,
        sentence,
        one.severity,
        bool(theirs.success),
        _observed(result),
        None if percent is None else float(percent),
        _error(theirs.exception_info or {}),
    )


def _observed(result: Mapping[str, Any]) -> str:
    """A count, or a figure of all rows; a value that stands in an event is left out, and so are lists of them."""
    percent, value = result.get("unexpected_percent"), result.get("observed_value")
    if percent is not None:
        return f"{percent:.3g} % unexpected"
    return _plain(value) if isinstance(value, int | float | date) else ""


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _error(info: Mapping[str, Any]) -> str:
    """The class of the error, whose words may hold values."""
    told = [info] if "raised_exception" in info else list(info.values())
    traces = [part.get("exception_traceback") for part in told if isinstance(part, Mapping) and part.get("raised_exception")]
    last = [str(trace).strip().splitlines()[-1] for trace in traces if trace]
    return last[-1].partition(":")[0].rpartition(".")[2] if last else ""
