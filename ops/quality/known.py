"""Writes down which expectations there are and what they take, so that a flow is checked without importing Great Expectations.

python -m ops.quality.known
"""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, Union, get_args, get_origin

from ops.quality.judge import implementations
from processors.quality.known import FILE

BASE = frozenset(("id", "meta", "notes", "rendered_content", "severity", "description", "windows", "library_metadata")) | {
    "result_format",
    "catch_exceptions",
    "batch_id",
    "row_condition",
    "condition_parser",
}
NOT_HERE = frozenset(
    {
        # they ask a database
        "unexpected_rows_expectation",
        "expect_query_results_to_match_comparison",
        "expect_table_row_count_to_equal_other_table",
        "expect_column_values_to_match_like_pattern",
        "expect_column_values_to_match_like_pattern_list",
        "expect_column_values_to_not_match_like_pattern",
        "expect_column_values_to_not_match_like_pattern_list",
    }
)
COLUMNS = {"column": "column", "column_A": "column", "column_B": "column", "column_list": "columns", "column_set": "columns"}


def known() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Per expectation its arguments: what each is, and whether it is needed."""
    return {name: _arguments(one) for name, one in sorted(implementations().items()) if name not in NOT_HERE}


def text() -> str:
    """As it stands in the file: a line an expectation."""
    lines = (f"  {json.dumps(name)}: {json.dumps(arguments)}" for name, arguments in known().items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _arguments(one: Any) -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for name, field in one.__fields__.items():
        if name in BASE:
            continue
        told: dict[str, Any] = {"is": COLUMNS.get(name) or _kind(name, field.outer_type_)}
        if told["is"] == "one of":
            told["of"] = [word for part in _parts(field.outer_type_) if get_origin(part) is Literal for word in get_args(part)]
        found[name] = told | ({"needed": True} if field.required else {})
    return found


def _kind(name: str, annotation: Any) -> str:
    """A word for a type: of several that it may have, the first that is none of a suite's parameters."""
    if name == "mostly":
        return "share"
    parts = _parts(annotation)
    if date in parts:
        return "bound"
    for part in parts:
        if get_origin(part) is Literal:
            return "one of"
        if get_origin(part) is list:
            return "texts" if get_args(part) == (str,) else "list"
        for type_, word in ((bool, "flag"), (int, "whole"), (float, "number"), (str, "text"), (list, "list")):
            if isinstance(part, type) and issubclass(part, type_):
                return word
    return "object"


def _parts(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Union:
        return tuple(inner for part in get_args(annotation) for inner in _parts(part))
    if hasattr(annotation, "__metadata__"):
        return _parts(get_args(annotation)[0])
    return (annotation,)


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
