"""Values in JSON, good, odd and broken, each judged by the standard library's parser and the field's type by hand."""

import base64
import json
import math
import random
from collections.abc import Callable, Mapping
from typing import Any

from schemas.vocabulary import Reason
from tests.fuzz.avro_by_hand import BITS, Wrong
from tests.fuzz.events import EVENT, KINDS, Datum, Ending, dead, edge, ending, good
from tests.fuzz.thrown import VALUE_BYTES

Part = Callable[[random.Random], bytes]

_FLOAT_MAX = (2 - 2**-24) * 2.0**127  # what rounds to no float any more
_DEFAULTS = {field["name"]: b"" if field["name"] == "raw" else field["default"] for field in EVENT["fields"] if "default" in field}


def as_json(datum: Datum) -> dict[str, Any]:
    return datum | {"raw": base64.b64encode(datum["raw"]).decode()}


def text(datum: Datum) -> bytes:
    return json.dumps(as_json(datum), ensure_ascii=False).encode()


def parsed(value: bytes) -> Any:
    """What JSON (RFC 8259) says, in UTF-8 and without numbers that are none.

    Raises:
        Wrong: it is none.
    """
    try:
        found = json.loads(value.decode(), parse_constant=_none, parse_float=_finite, parse_int=_whole)
        json.dumps(found, ensure_ascii=False).encode()  # a lone surrogate is no text
    except UnicodeDecodeError:
        raise Wrong(Reason.INVALID_UTF8) from None
    except (ValueError, RecursionError):
        raise Wrong(Reason.NOT_JSON) from None
    return found


def _none(word: str) -> None:
    raise ValueError(word)


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError("infinite")
    return number


def _whole(digits: str) -> int:
    _finite(digits)
    return int(digits)


def read(found: Any) -> Datum:
    """The datum of the event that a JSON value is.

    Raises:
        Wrong: it is none.
    """
    if type(found) is not dict:
        raise Wrong(Reason.WRONG_TYPE)
    return {field["name"]: _field(field["name"], field["type"], found) for field in EVENT["fields"]}


def _field(name: str, kind: Any, found: Mapping[str, Any]) -> Any:
    if name not in found:
        if name not in _DEFAULTS:
            raise Wrong(Reason.WRONG_TYPE)
        return _DEFAULTS[name]
    return _value(kind, found[name])


def _value(kind: Any, value: Any) -> Any:
    if isinstance(kind, list):
        return None if value is None else _value(kind[1], value)
    word = kind if isinstance(kind, str) else kind["type"]
    match word:
        case "array":
            return [_value(kind["items"], item) for item in _of(value, list)]
        case "map":
            return {key: _value(kind["values"], item) for key, item in _of(value, dict).items()}
        case "record":
            return _record(kind, _of(value, dict))
        case "enum":
            if _of(value, str) not in KINDS:
                raise Wrong(Reason.WRONG_TYPE)
            return value
    return _plain(word, value)


def _record(kind: Any, given: Mapping[str, Any]) -> Datum:
    if any(field["name"] not in given for field in kind["fields"]):
        raise Wrong(Reason.WRONG_TYPE)
    return {field["name"]: _value(field["type"], given[field["name"]]) for field in kind["fields"]}


def _plain(word: str, value: Any) -> Any:
    match word:
        case "int" | "long":
            return _integer(value, BITS[word])
        case "float" | "double":
            return _float(value, word == "float")
        case "bytes":
            try:
                return base64.b64decode(_of(value, str), validate=True)
            except ValueError:
                raise Wrong(Reason.WRONG_TYPE) from None
    return _of(value, str if word == "string" else bool)


def _of(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise Wrong(Reason.WRONG_TYPE)
    return value


def _integer(value: Any, bits: int) -> int:
    bound = 1 << (bits - 1)
    if type(value) is float and value.is_integer() and abs(value) >= bound:
        raise Wrong(Reason.OUT_OF_RANGE)
    if not -bound <= (number := int(_of(value, int))) < bound:
        raise Wrong(Reason.OUT_OF_RANGE)
    return number


def _float(value: Any, single: bool) -> float:
    if type(value) not in (int, float):
        raise Wrong(Reason.WRONG_TYPE)
    if single and abs(value) >= _FLOAT_MAX:
        raise Wrong(Reason.OUT_OF_RANGE)
    return float(value)


def judged(value: bytes, json_result: bool = True) -> Ending:
    """What must become of any value."""
    if len(value) > VALUE_BYTES:
        return dead(Reason.TOO_LARGE)
    try:
        return ending(read(parsed(value)), json_result)
    except Wrong as wrong:
        return dead(wrong.reason)


def kinds() -> Mapping[str, tuple[int, Part]]:
    """Label -> how often, and how one is made."""
    return {
        "good": (300, lambda chance: text(good(chance, False))),
        "values at the edge": (
            100,
            lambda chance: json.dumps(as_json(edge(chance, False))).encode(),
        ),  # NaN and Infinity, as Python says them
        "random bytes": (40, lambda chance: chance.randbytes(chance.randrange(200))),
        "bits flipped": (120, _flipped),
        "cut anywhere": (50, _cut),
        "bytes behind": (20, lambda chance: text(good(chance, False)) + chance.choice((b"{}", b"\0", b" \n\t ", b",", b"//"))),
        "fields missing": (40, _without),
        "fields of another type": (80, _other_type),
        "no object": (20, lambda chance: chance.choice(_NO_OBJECT)),
        "text that is no UTF-8": (30, _not_utf8),
        "keys twice": (20, _twice),
        "bombs and deep nesting": (4, _bomb),
    }


_NO_OBJECT = (b"", b" ", b"null", b"[]", b"3", b'"text"', b"true", b"{", b"\xef\xbb\xbf{}", b"{}", b"[{}]", b"NaN", b"\x00", b"'a'")
_OTHERS: tuple[Any, ...] = (
    None, True, 0, 1.5, 2**31, -(2**31) - 1, 2**63, 2**64, 10**30, 1e30, -1e30, 1e308, "1", "", [], {}, [None], {"a": None}, "A", "\u0000",
    3.4028235677973366e38, 3.4028235e38, [1], ["a"], {"lat": 1}, {"lat": 1.0, "lon": "2"}, "====", "AA==", "AA", "2013-01-01", 10**400,
)  # fmt: skip


def _flipped(chance: random.Random) -> bytes:
    value = bytearray(text(good(chance, False)))
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        value[chance.randrange(len(value))] ^= 1 << chance.randrange(8)
    return bytes(value)


def _cut(chance: random.Random) -> bytes:
    value = text(good(chance, False))
    return value[: chance.randrange(len(value))]


def _without(chance: random.Random) -> bytes:
    datum = as_json(good(chance, False))
    for name in chance.sample(sorted(datum), chance.randrange(1, 3)):
        del datum[name]
    return json.dumps(datum).encode()


def _other_type(chance: random.Random) -> bytes:
    name = chance.choice([field["name"] for field in EVENT["fields"] if field["name"] not in ("at", "day")])
    return json.dumps(as_json(good(chance, False)) | {name: chance.choice(_OTHERS)}).encode()


def _not_utf8(chance: random.Random) -> bytes:
    odd = chance.choice(
        (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\\ud800", b"\\ud83d\\ude00", b"\\u0000", b"\x7f", b"\x1f")
    )
    return text(good(chance, False) | {"name": "HERE"}).replace(b"HERE", odd)


def _twice(chance: random.Random) -> bytes:
    datum, other = good(chance, False), good(chance, False)
    return text(datum)[:-1] + b', "kind": ' + json.dumps(other["kind"]).encode() + b', "ratio": 2}'


def _bomb(chance: random.Random) -> bytes:
    depth = chance.choice((300, 900))
    deep = b"[" * depth + b"]" * depth
    wide = b"[" + b"0," * 20_000 + b"0]"
    bomb = chance.choice(
        (deep, wide, b'{"a":' * depth + b"1" + b"}" * depth, b"1" * 20_000, b'"' + b"\\u0041" * 9_000 + b'"', b"1e99999999")
    )
    return text(good(chance, False))[:-1] + b', "bomb": ' + bomb + b"}"


def too_deep(chance: random.Random) -> bytes:
    """JSON whose depth no parser need follow; refused as no JSON (its parser stops at 1,024)."""
    depth = chance.choice((1_100, 29_000))
    return text(good(chance, False))[:-1] + b', "bomb": ' + b"[" * depth + b"]" * chance.choice((0, depth)) + b"}"
