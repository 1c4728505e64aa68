"""Writes the tables of docs/flows.md from the models, so that the page says what the code does.

python -m ops.flow.pages docs/flows.md
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from processors.flow.published import flow_schema, schemas
from processors.flow.words import words

_MARKED = re.compile(r"(<!-- table: ([a-z .]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def tables() -> Mapping[str, str]:
    """Each table by its name, Markdown."""
    flow = flow_schema()
    found = {"flow": _table(flow, flow), "steps": _steps()}
    found |= {name.lower(): _table(flow["$defs"][name], flow) for name in ("Input", "Result", "Limits")}
    for index, word in enumerate(words()):
        found[f"step {word}"] = _table(flow["properties"]["steps"]["items"]["oneOf"][index]["properties"][word], flow)
    for name, schema in schemas().items():
        if name != "flow.schema.json":
            found[name.removesuffix(".schema.json")] = _table(schema, schema)
    found["rule"] = _definition("rules.schema.json", "Rule")
    found["policy rule"] = _definition("policy.schema.json", "PolicyRule")
    return found


def filled(page: str) -> str:
    """The page with its tables as they should be."""
    made = tables()
    return _MARKED.sub(lambda found: f"{found[1]}{made[found[2]]}{found[3]}", page)


def _definition(file: str, name: str) -> str:
    schema = schemas()[file]
    return _table(schema["$defs"][name], schema)


def _steps() -> str:
    rows = (f"| `{word}` | {_cell((module.__doc__ or '').splitlines()[0])} |\n" for word, module in words().items())
    return "| step | is |\n|---|---|\n" + "".join(rows)


def _table(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    needed = schema.get("required", ())
    rows = []
    for name, told in schema["properties"].items():
        default = "needed" if name in needed else _default(told)
        rows.append(f"| `{name}` | {_cell(_kind(told, whole))} | {_cell(default)} | {_cell(str(told.get('description', '')))} |\n")
    return "| word | is | by default | means |\n|---|---|---|---|\n" + "".join(rows)


def _kind(told: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """What may stand there, in a few words."""
    if "$ref" in told:
        target = whole["$defs"][told["$ref"].rpartition("/")[2]]
        return "words of its own" if target.get("type") == "object" else _kind(target, whole)
    if "const" in told:
        return f"`{told['const']}`"
    if "enum" in told:
        return " or ".join(f"`{word}`" for word in told["enum"])
    for several in ("anyOf", "oneOf"):
        if several in told:
            return " or ".join(dict.fromkeys(_kind(part, whole) for part in told[several] if part.get("type") != "null"))
    if told.get("type") == "array":
        return f"list of {_kind(told['items'], whole)}" if "items" in told else "list"
    if "ms|s|m|h|d" in str(told.get("pattern", "")):
        return "duration"
    return {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}.get(
        str(told.get("type")), "words of its own"
    )


def _default(told: Mapping[str, Any]) -> str:
    value = told.get("default")
    if value is None or value in ([], ()):
        return ""
    return f"`{', '.join(map(str, value))}`" if isinstance(value, list) else f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main(paths: list[str]) -> None:
    """Write the pages anew."""
    for path in map(Path, paths):
        path.write_text(filled(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
