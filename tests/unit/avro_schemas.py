"""Random Avro record schemas and datums of them, for the laws of the codecs."""

from typing import Any

from hypothesis import strategies as st

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
INT = st.integers(-(2**31), 2**31 - 1)
LONG = st.integers(-(2**63), 2**63 - 1)

LEAVES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "null": ("null", st.none()),
    "boolean": ("boolean", st.booleans()),
    "int": ("int", INT),
    "long": ("long", LONG),
    "float": ("float", st.floats(width=32)),
    "double": ("double", st.floats()),
    "string": ("string", TEXT),
    "bytes": ("bytes", st.binary(max_size=6)),
    "date": ({"type": "int", "logicalType": "date"}, INT),
    "time": ({"type": "int", "logicalType": "time-millis"}, st.integers(0, 86_399_999)),
    "timestamp": ({"type": "long", "logicalType": "timestamp-millis"}, LONG),
    "local": ({"type": "long", "logicalType": "local-timestamp-micros"}, LONG),
    "uuid": ({"type": "string", "logicalType": "uuid"}, TEXT),
    "odd": ({"type": "int", "logicalType": "nothing-known"}, INT),
}

NESTED = sorted(LEAVES.keys() - {"null"})
DEPTH = 2

Typed = tuple[Any, st.SearchStrategy[Any]]


@st.composite
def _kinds(  # noqa: C901 (one case a type)
    draw: st.DrawFn, depth: int, names: list[str], fixed: bool
) -> Typed:
    """A type and a strategy for its datums (as what the bytes are: no logical types)."""
    words = ["leaf"] * 4 + ["enum", "nullable"] + (["array", "map", "record"] if depth else []) + (["fixed"] if fixed else [])
    word = draw(st.sampled_from(words))
    if word in ("enum", "record", "fixed"):
        names.append(f"N{len(names)}")
    name = names[-1] if names else ""
    match word:
        case "leaf":
            return LEAVES[draw(st.sampled_from(sorted(LEAVES) if depth == DEPTH else NESTED))]
        case "enum":
            return {"type": "enum", "name": name, "symbols": ["A", "B", "C"]}, st.sampled_from("ABC")
        case "fixed":
            size = draw(st.integers(1, 5))
            return {"type": "fixed", "name": name, "size": size}, st.binary(min_size=size, max_size=size)
        case "record":
            return draw(_records(depth - 1, names, fixed, name))
    inner, datums = draw(_kinds(depth - (word != "nullable"), names, fixed).filter(lambda typed: _takes_bytes(typed[0])))
    match word:
        case "array":
            return {"type": "array", "items": inner}, st.lists(datums, max_size=3)
        case "map":
            return {"type": "map", "values": inner}, st.dictionaries(TEXT, datums, max_size=3)
    if isinstance(inner, list):
        return inner, datums
    return draw(st.sampled_from([["null", inner], [inner, "null"]])), st.none() | datums


def _takes_bytes(schema: Any) -> bool:
    if isinstance(schema, dict) and schema["type"] == "record":
        return any(_takes_bytes(field["type"]) for field in schema["fields"])
    return bool(schema != "null")


@st.composite
def _records(draw: st.DrawFn, depth: int, names: list[str], fixed: bool, name: str) -> Typed:
    fields = draw(st.lists(_kinds(depth, names, fixed), min_size=1, max_size=4))
    named = {f"f{at}": typed for at, typed in enumerate(fields)}
    schema = {"type": "record", "name": name, "fields": [{"name": key, "type": typed[0]} for key, typed in named.items()]}
    return schema, st.fixed_dictionaries({key: typed[1] for key, typed in named.items()})


@st.composite
def schemas_with_datums(draw: st.DrawFn, fixed: bool = False, most: int = 6) -> tuple[Any, list[Any]]:
    """A record schema and some of its datums."""
    schema, datums = draw(_records(DEPTH, ["Top"], fixed, "Top"))
    return schema, draw(st.lists(datums, min_size=1, max_size=most))
