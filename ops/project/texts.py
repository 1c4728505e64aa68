"""The text of each file of a new project."""

import json
from collections.abc import Iterable
from math import floor, isfinite, log10
from pathlib import Path

from ops.project.columns import Column
from ops.project.design import Design
from serving.training.csv_course import Border

TEMPLATE = Path(__file__).parent / "template"
"""Files of a project that are the same, or nearly, in each."""
_DRIFT_COLUMNS = 5
WINDOW_ROWS = 1_000
DRIFT_ROWS = 500
"""A reference of fewer rows says little."""

TOML = """\
# The settings of this project; the environment (WEFT_...) comes first. That this file is here makes the folder one of Weft's.
serve = "in-process"   # the models answer inside the worker; without this line Ray Serve hosts them, which takes half a minute to start
"""
IGNORE = ".weft/\n__pycache__/\n*.db\n*-report.html\n"


def flow(design: Design, border: Border) -> str:
    """`flows/<name>.yaml`."""
    name, (yes, no) = design.name, design.question.words
    who, moment = design.named("id"), design.named("time")
    told = "".join([f", id: {who.name}" if who else "", f", time: {moment.name}" if moment else ""])
    codes = design.of_role("category")
    target, positive = json.dumps(design.question.target), json.dumps(design.question.positive)  # which stay within the comment's line
    lines = [
        f"# Is {target} going to be {positive}? Made by `weft init`; every line is yours to change.",
        f"flow: {name}",
        "version: 1.0.0",
        f"input:   {{topic: {name}-events, schema: {design.event}, encoding: json{told}}}",
        "steps:",
        f"  - validate: {{rules: {name}}}",
        f"  - watch:    {{suite: {name}, sample: {_sample(len(design.label)):g}, action: alert}}",
        *([f"  - drift:    {{columns: [{', '.join(drifting(design))}], reference: {name}, window: 1000}}"] if drifting(design) else []),
        *(["  - codes:    # this project's own step: plugins/steps/codes.py", "      columns:"] if codes else []),
        *(f"        {column.name}: {_words(column.words)}" for column in codes),
        f"  - infer:    {{model: {name}, timeout_ms: 1000, outage: pause, fallback: [review]}}",
        f"  - policy:   {{rules: {name}}}",
        f'  - decide:   {{when: "score >= {border.threshold:g}", as: {_quoted(yes)}, else: {_quoted(no)}}}',
        f"result:  {{topic: {name}-decisions, schema: {design.decision}, encoding: json}}",
        "limits:  {deadline: 15m, review: 1d, retries: [1s, 30s], redrives: 3, value_bytes: 65536}",
        "order:   none",
    ]
    return "\n".join(lines) + "\n"


def _sample(rows: int) -> float:
    """The share of rows that is watched: so that so many rows as the file has fill a window, and a tenth of many."""
    return min(1.0, max(0.1, round(WINDOW_ROWS / rows + 0.005, 2)))


def drifting(design: Design) -> list[str]:
    """The columns whose drift is measured."""
    numbers = [column for column in design.of_role("number") if any(value is not None for value in column.values)]
    return [column.name for column in numbers[:_DRIFT_COLUMNS]] if len(design.label) >= DRIFT_ROWS else []


def rules(design: Design) -> str:
    """`rules/<name>.yaml`."""
    lines = ["# What must hold of an event. The first rule that it breaks makes it a dead letter.", "rules:"]
    for column in design.columns:
        if column.role == "number":
            low, high = bounds(column)
            lines += _rule(column, "possible", f"between: [{low}, {high}]", f"{column.name} must be between {low} and {high}.")
        elif column.kind == "text" and column.role != "category":
            longest = max(100, 4 * max(map(len, column.cells), default=0))
            least = 1 if column.role == "id" else 0
            lines += _rule(column, "length", f"length: [{least}, {longest}]", f"{column.name} must have {least} to {longest} characters.")
    if len(lines) == 2:
        first = design.columns[0]
        lines += _rule(first, "there", "not_null: true", f"{first.name} must be there.")
    return "\n".join(lines) + "\n"


def bounds(column: Column) -> tuple[float, float]:
    """What a number may be: as far beyond what it was as that spans; not below zero where it never was."""
    values = [value for value in column.values if value is not None and isfinite(value)]
    low, high = min(values), max(values)
    span = high - low
    least = 1.0 if column.kind == "long" else 0.0
    return (0 if low >= 0 else _round(low - span, least), _round(high + span, least))


def _round(value: float, least: float) -> float:
    """Away from zero, to two digits, or to the least unit."""
    if value == 0:
        return 0
    unit = max(least, 10.0 ** (floor(log10(abs(value))) - 1))
    rounded = (floor(abs(value) / unit) + 1) * unit * (1 if value > 0 else -1)
    return int(rounded) if abs(rounded) >= 10 or least else round(rounded, 6)


def _rule(column: Column, what: str, holds: str, sentence: str) -> list[str]:
    name = f"{column.name.lower().replace('_', '-').strip('-') or 'column'}-{what}"
    name = name if name[0].isalpha() else f"c-{name}"
    return [f"  - {{name: {name[:64]}, column: {column.name}, {holds}, sentence: {_quoted(sentence)}}}"]


def policy(border: Border) -> str:
    """`policies/<name>.yaml`."""
    low, high = round(border.threshold - border.half, 3), round(border.threshold + border.half, 3)
    return f"""\
# What no program decides alone. The first rule that ends an event's way counts.
rules:
  - name: unsure
    when: score > {low:g} && score < {high:g}
    then: review
    sentence: The score is so near to the border that a person decides.
"""


def suite(design: Design) -> str:
    """`suites/<name>.json`, as Great Expectations writes it."""
    expectations = []
    for column in design.columns:
        if not column.nullable:
            expectations.append({"type": "expect_column_values_to_not_be_null", "kwargs": {"column": column.name}})
        if column.role == "number":
            values = [value for value in column.values if value is not None]
            kwargs = {"column": column.name, "min_value": min(values), "max_value": max(values), "mostly": 0.95}
            expectations.append({"type": "expect_column_values_to_be_between", "kwargs": kwargs})
        if column.role == "category" and column.kind == "text":
            kwargs = {"column": column.name, "value_set": list(column.words), "mostly": 0.95}
            expectations.append({"type": "expect_column_values_to_be_in_set", "kwargs": kwargs})
    return json.dumps({"name": design.name, "expectations": expectations[:500], "meta": {}}, indent=2, ensure_ascii=False) + "\n"


def sink(design: Design) -> str:
    """`sinks/<name>.yaml`."""
    return f"""\
# `weft sink run {design.name}` writes each result once into a table of {design.name}.db: plugins/sinks/sqlite.py.
flow: {design.name}
to:
  sqlite: {{file: {design.name}.db}}
"""


def readme(design: Design, source: str, figures: str) -> str:
    """`README.md`."""
    question = design.question
    said = {"name": design.name, "target": question.target, "positive": question.positive, "source": source, "figures": figures}
    text = (TEMPLATE / "README.md").read_text("utf-8")
    for word, value in {**said, "event": design.event}.items():
        text = text.replace(f"{{{word}}}", value)
    return text


def _words(words: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, words))}]"


def _quoted(word: str) -> str:
    return json.dumps(word, ensure_ascii=False)
