"""Reads metrics as a worker exposes them: Prometheus' text format, plain names, labels and numbers."""

import re
from collections.abc import Mapping
from typing import Final

from schemas.metrics import Metric

Labels = tuple[tuple[str, str], ...]
Samples = Mapping[str, Mapping[Labels, float]]
"""By series and labels."""

_LINE: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
_MOST: Final = 2.0**63
_LABEL: Final = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')
_ESCAPES: Final = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def parse(text: str) -> Samples:
    """All samples. A line that is none is passed over: a scrape may end in the middle of one."""
    found: dict[str, dict[Labels, float]] = {}
    for line in text.splitlines():
        matched = None if line.startswith("#") else _LINE.match(line)
        if matched is None:
            continue
        try:
            value = float(matched[3])
        except ValueError:
            continue
        if not abs(value) <= _MOST:  # nor what is no number
            continue
        labels = tuple((name, _unescaped(told)) for name, told in _LABEL.findall(matched[2] or ""))
        found.setdefault(matched[1], {})[labels] = value
    return found


def of(samples: Samples, metric: Metric, part: int = 0) -> Mapping[Labels, float]:
    """A metric's series: of a histogram 0 are the buckets, 1 the sums, 2 the counts."""
    return samples.get(metric.spec.series[part], {})


def _unescaped(text: str) -> str:
    return re.sub(r"\\[\\\"n]", lambda found: _ESCAPES[found[0]], text)
