"""Queries in Prometheus' language, made of the vocabulary: a metric or label that does not exist can't be asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.metrics import Kind, Metric

SCRAPED: Final = frozenset({"job", "instance"})
"""Labels that Prometheus adds to whatever it reads."""

IN_TIME: Final = {"topic": "!~.+[.]retry[.].+"}
"""Of lag: without the topics whose records wait on purpose."""

DRAWN: Final = "$__rate_interval"  # Grafana's own: as fine as the picture

Where = Mapping[str, str]
"""Label matchers: a value, or a regular expression behind `~` (it matches) or `!~` (it doesn't)."""


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and the metrics that it asks for."""

    text: str
    metrics: tuple[Metric, ...]
    legend: str = ""

    def named(self, legend: str) -> "Query":
        """Under a name; `{{label}}` stands for a label's value."""
        return Query(self.text, self.metrics, legend)

    def over(self, whole: "Query") -> "Query":
        """As a share of another one."""
        return Query(f"{self.text} / {whole.text}", (*self.metrics, *whole.metrics), self.legend)

    def share_of(self, whole: "Query") -> "Query":
        """The same, and nought where there was none of it yet."""
        return Query(f"({self.text} or {whole.text} * 0) / {whole.text}", (*self.metrics, *whole.metrics), self.legend)

    def where(self, condition: str) -> "Query":
        """Compared with a number, e.g. `> 0`."""
        return Query(f"{self.text} {condition}", self.metrics, self.legend)

    def both(self, other: "Query", on: tuple[str, ...]) -> "Query":
        """Where the other holds too, for the same values of these labels."""
        return Query(f"({self.text}) and on ({', '.join(on)}) ({other.text})", (*self.metrics, *other.metrics), self.legend)


@dataclass(frozen=True, slots=True)
class Asking:
    """Makes queries that all have some matchers, and rates over some time."""

    always: Where = field(default_factory=dict)
    window: str = DRAWN

    def rate(self, metric: Metric, by: tuple[str, ...], where: Where | None = None) -> Query:
        """A counter's growth a second."""
        return self._grown("rate", metric, by, where)

    def increase(self, metric: Metric, by: tuple[str, ...], where: Where | None = None) -> Query:
        """A counter's growth over the window."""
        return self._grown("increase", metric, by, where)

    def now(self, metric: Metric, by: tuple[str, ...], how: str = "sum", where: Where | None = None) -> Query:
        """What a gauge says, over all workers."""
        _require(metric, Kind.GAUGE, by)
        return Query(f"{how} by ({', '.join(by)}) ({self._series(metric, metric.spec.series[0], where)})", (metric,))

    def each(self, metric: Metric, where: Where | None = None) -> Query:
        """What a gauge says, by worker and all labels."""
        _require(metric, Kind.GAUGE, ())
        return Query(self._series(metric, metric.spec.series[0], where), (metric,))

    def quantile(self, share: float, metric: Metric, by: tuple[str, ...], where: Where | None = None) -> Query:
        """The value below which this share lies."""
        _require(metric, Kind.HISTOGRAM, by)
        grown = f"rate({self._series(metric, metric.spec.series[0], where)}[{self.window}])"
        return Query(f"histogram_quantile({share}, sum by ({', '.join((*by, 'le'))}) ({grown}))", (metric,))

    def mean(self, metric: Metric, by: tuple[str, ...], where: Where | None = None) -> Query:
        """A histogram's mean."""
        _require(metric, Kind.HISTOGRAM, by)
        total, count = (f"rate({self._series(metric, name, where)}[{self.window}])" for name in metric.spec.series[1:])
        group = ", ".join(by)
        return Query(f"sum by ({group}) ({total}) / sum by ({group}) ({count})", (metric,))

    def _grown(self, how: str, metric: Metric, by: tuple[str, ...], where: Where | None) -> Query:
        _require(metric, Kind.COUNTER, by)
        return Query(f"sum by ({', '.join(by)}) ({how}({self._series(metric, metric.spec.series[0], where)}[{self.window}]))", (metric,))

    def _series(self, metric: Metric, name: str, where: Where | None) -> str:
        matchers = {**self.always, **(where or {})}
        _known(metric, tuple(matchers))
        told = ", ".join(_matcher(label, value) for label, value in matchers.items())
        return f"{name}{{{told}}}" if told else name


def _matcher(label: str, value: str) -> str:
    for sign in ("!~", "~"):
        if value.startswith(sign):
            return f'{label}{sign if sign == "!~" else "=~"}"{value.removeprefix(sign)}"'
    return f'{label}="{value}"'


def _require(metric: Metric, kind: Kind, by: tuple[str, ...]) -> None:
    if metric.spec.kind is not kind:
        raise ValueError(f"{metric.spec.name} is a {metric.spec.kind}, not a {kind}")
    _known(metric, by)


def _known(metric: Metric, labels: tuple[str, ...]) -> None:
    unknown = set(labels) - set(metric.spec.labels) - SCRAPED
    if unknown:
        raise ValueError(f"{metric.spec.name} has no label {', '.join(sorted(unknown))}; it has {', '.join(metric.spec.labels)}")
