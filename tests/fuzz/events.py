"""The event of the fuzzed flow: its schemas, good examples of it, and what must become of a good one."""

import math
import random
from collections.abc import Mapping
from typing import Any, NamedTuple

from schemas.vocabulary import Reason, Verdict

Datum = dict[str, Any]

KINDS = ("A", "B", "SKIP")
_PLACE = {"type": "record", "name": "Place", "fields": [{"name": "lat", "type": "double"}, {"name": "lon", "type": "double"}]}
_FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "string"},
    {"name": "name", "type": "string"},
    {"name": "count", "type": "int"},
    {"name": "total", "type": "long"},
    {"name": "ratio", "type": "double"},
    {"name": "share", "type": "float"},
    {"name": "flag", "type": "boolean"},
    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": list(KINDS)}},
    {"name": "note", "type": ["null", "string"], "default": None},
    {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": None},
    {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None},
    {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
    {"name": "marks", "type": {"type": "map", "values": "long"}, "default": {}},
    {"name": "place", "type": ["null", _PLACE], "default": None},
    {"name": "raw", "type": "bytes", "default": ""},
]
_EXACT: list[dict[str, Any]] = [
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
    {"name": "code", "type": {"type": "fixed", "name": "Code", "size": 4}},
    {"name": "clock", "type": {"type": "int", "logicalType": "time-millis"}},
]


def record(name: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "record", "namespace": "fuzz", "name": name, "fields": fields}


def _narrowed(field: dict[str, Any]) -> dict[str, Any]:
    """A field as an older version had it."""
    return field | {"type": "int"} if field["name"] == "total" else field


EVENT = record("Event", _FIELDS)
EXACT = record("Exact", [*_FIELDS, *_EXACT])
"""What the columnar codec can't do, so that the reference reads it."""
OLDER = record("Event", [_narrowed(field) for field in _FIELDS if field["name"] not in ("note", "marks", "place")])
"""A version before: a narrower number, and fields that were not there yet."""
FOREIGN = record("Event", [*_FIELDS[:3], {"name": "total", "type": "string"}])
"""A version that can't be read as the event: its `total` is text."""
DONE = record("Done", [*(field for field in _FIELDS if field["name"] not in ("marks", "place")), {"name": "decision", "type": "string"}])
WHO = record("Who", [{"name": "age", "type": "int", "default": 0}])

FLOW = """\
flow: {name}
version: 1.0.0
input: {{topic: in, schema: fuzz.{contract}, encoding: {encoding}, id: id, time: at, headers: read}}
steps:
  - filter: {{when: 'kind == "SKIP"', reason: skipped}}
  - validate: {{rules: fuzz}}
  - enrich: {{lookup: "who:{{name}}:{{count}}", into: who, schema: fuzz.Who, missing: default}}
  - policy: {{rules: fuzz}}
  - decide: {{when: "ratio > 0.5", as: big, else: small}}
result: {{topic: out, schema: fuzz.Done, encoding: {result}}}
limits: {{value_bytes: {value_bytes}, retries: [1s]}}
"""
RULES = """\
rules:
  - {name: ratio, column: ratio, between: [-1000000, 1000000], sentence: The ratio must be a number of six digits.}
  - {name: name, column: name, length: [0, 200], sentence: The name must have at most 200 characters.}
"""
POLICIES = """\
rules:
  - {name: overflow, when: total + 1 < -9000000000000000000, then: stop, sentence: The total is too small to be one.}
  - {name: hostile, when: 'name.contains("DROP TABLE") || name.startsWith("{")', then: quarantine, sentence: The name is hostile.}
"""

HOSTILE_TEXTS = (
    "'; DROP TABLE flights; --", "{tailnum}", "{", "}", "}{", "${jndi:ldap://127.0.0.1/a}", '" || true || "', "\\", "\\u0000", "\u0000",
    "a\nb\rc", "\u202e\u2066rtl", "\U0010ffff", "\ufeff", "e\u0301" * 40, "%s%n%x", "../../etc/passwd", "who:*:?", "*3\r\n$3\r\nSET\r\n",
    "<script>", "\ufffe\uffff", "x" * 200, "y" * 201, "\u0130", "",
)  # fmt: skip


class Ending(NamedTuple):
    """What must become of a record."""

    verdict: Verdict
    reasons: frozenset[Reason] = frozenset({Reason.NONE})  # one of these; none: it can't be told by hand, only that it ends once


UNTOLD = Ending(Verdict.RESULT, frozenset())


def dead(*reasons: Reason) -> Ending:
    return Ending(Verdict.DEAD_LETTER, frozenset(reasons))


def ending(datum: Mapping[str, Any], json_result: bool) -> Ending:
    """What must become of an event, told from the flow's text by hand. `json_result`: results are JSON, which has no NaN."""
    if datum["kind"] == "SKIP":
        return Ending(Verdict.FILTERED, frozenset({Reason.FILTER}))
    if not -1e6 <= datum["ratio"] <= 1e6 or len(datum["name"]) > 200:
        return dead(Reason.INVALID)
    if datum["total"] == MOST:
        return Ending(Verdict.REVIEW, frozenset({Reason.RULE_FAILED}))
    if datum["total"] + 1 < -9_000_000_000_000_000_000:
        return Ending(Verdict.FILTERED, frozenset({Reason.POLICY}))
    if "DROP TABLE" in datum["name"] or datum["name"].startswith("{"):
        return Ending(Verdict.QUARANTINE, frozenset({Reason.POLICY}))
    if json_result and not _fits_json(datum):
        return dead(Reason.ENCODE_FAILED)
    return Ending(Verdict.RESULT)


def resolved_ending(datum: Mapping[str, Any], reader: Mapping[str, Any], json_result: bool) -> Ending:
    """The same of an event as its writer's bytes say it: fields that were not there yet are null or empty."""
    if "clock" in datum and not 0 <= datum["clock"] < 86_400_000:
        return dead(Reason.OUT_OF_RANGE)
    if "price" in datum and abs(int.from_bytes(datum["price"], "big", signed=True)) >= 10**12:
        return dead(Reason.OUT_OF_RANGE)
    return ending({field["name"]: field.get("default") for field in reader["fields"]} | dict(datum), json_result)


MOST = 2**63 - 1
_DAYS = (-719_162, 2_932_896)  # of the years 1 to 9999, since 1970


def _fits_json(datum: Mapping[str, Any]) -> bool:
    """Finite, and within the years 1 to 9999."""
    at, day = datum["at"], datum["day"]
    in_years = at is None or _DAYS[0] * 86_400_000 <= at < (_DAYS[1] + 1) * 86_400_000
    return math.isfinite(datum["share"]) and in_years and (day is None or _DAYS[0] <= day <= _DAYS[1])


def good(chance: random.Random, exact: bool) -> Datum:
    """An event like any other, as what its bytes say: dates and times are whole numbers."""
    datum = {
        "id": f"e{chance.getrandbits(40):x}",
        "name": chance.choice(HOSTILE_TEXTS) if chance.random() < 0.3 else f"name {chance.randrange(500)}",
        "count": chance.randrange(-5, 100),
        "total": chance.getrandbits(chance.choice((7, 20, 62))),
        "ratio": chance.random() * 2 - 0.5,
        "share": chance.choice((0.0, 0.5, -0.25, 1.5)),
        "flag": chance.random() < 0.5,
        "kind": chance.choice(KINDS[:2]) if chance.random() < 0.9 else "SKIP",
        "note": chance.choice((None, "", "a note", "\u00e9\u00e8\u4e2d\U0001f600")),
        "at": chance.choice((None, 1_357_016_400_000 + chance.randrange(10**10))),
        "day": chance.choice((None, chance.randrange(20_000))),
        "tags": [f"t{n}" for n in range(chance.randrange(4))],
        "marks": {f"m{n}": n for n in range(chance.randrange(3))},
        "place": chance.choice((None, {"lat": 40.7, "lon": -74.0})),
        "raw": chance.randbytes(chance.randrange(6)),
    }
    return datum | {"price": b"\x04\xd2", "code": b"\x00\x01\xfe\xff", "clock": chance.randrange(86_400_000)} if exact else datum


def edge(chance: random.Random, exact: bool) -> Datum:
    """An event with one value at the edge of its type."""
    datum = good(chance, exact)
    name, value = chance.choice(EDGES)
    datum[name] = value
    return datum


EDGES: tuple[tuple[str, Any], ...] = (
    ("ratio", math.nan), ("ratio", math.inf), ("ratio", -math.inf), ("ratio", 5e-324), ("ratio", -0.0), ("ratio", 1e6), ("ratio", 1e300),
    ("share", math.nan), ("share", math.inf), ("share", 3.4028234663852886e38), ("share", 1.401298464324817e-45),
    ("count", 2**31 - 1), ("count", -(2**31)), ("total", MOST), ("total", MOST - 1), ("total", -(2**63) + 10**17),
    ("at", 2**63 - 1), ("at", -(2**63)), ("at", 253_402_300_800_000), ("at", 253_402_300_799_999), ("at", -62_135_596_800_001), ("at", 0),
    ("day", 2**31 - 1), ("day", -(2**31)), ("day", 2_932_897), ("day", -719_163), ("day", -719_162), ("id", "i" * 1_001), ("id", ""),
    ("id", "\u0000"), ("tags", ["x"] * 500), ("marks", {"\u0000": -1, "": 1}), ("raw", bytes(range(256))), ("note", "n" * 5_000),
    *(("name", text) for text in HOSTILE_TEXTS),
)  # fmt: skip
