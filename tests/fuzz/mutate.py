"""Spoils the text of a file: its structure where it can be read, else its characters."""

import json
import random
from collections.abc import Callable
from typing import Any

from processors.flow.yaml import parse
from tests.fuzz.events import HOSTILE_TEXTS

Texts = Callable[[random.Random], str]

CEL = (
    "(" * 3_000 + "true" + ")" * 3_000, "!" * 5_000 + "true", "-" * 4_000 + "1", " && ".join(["true"] * 600), " + ".join(["1"] * 1_000),
    "[[[[" * 200, "true ? " * 500 + "true",
    "dep_delay > 1.0 ? 1.0 : " * 150 + "2.0", "tailnum.matches('(a+)+$')", "tailnum.matches('[')",
    "[1,2,3].all(x, [1,2].all(y, [1].exists(z, x > y + z)))", "[1,2,3].map(x, x)", "9223372036854775808 > 0", "1e999 > 0.0", "0x", "'", '"',
    "timestamp('9999-12-31T23:59:59Z') > scheduled_at", "timestamp('nonsense') > scheduled_at", "duration('1s')", "dep_delay / 0.0 > 1.0",
    "1 / 0 == 1", "1 % 0 == 1", "-9223372036854775808 == 1", "has(origin.x)", "dyn(1)", "type(origin)",
    "origin in [" + "'x'," * 900 + "'y']",
    "\u0000", "origin == '\u202e'", "a.b.c.d", "f(f(f(1)))", "origin[0]", "{}", "{'a': 1}.a == 1", "size(origin)", "origin.size() > 1",
    "null", "true || null", "// comment", "true // x\n && false", "origin == origin ? null : null", "uint(1)", "1u > 0u", "b'abc' == b'a'",
    "scheduled_at - scheduled_at > duration('1s')", "int(origin) > 1", "string(dep_delay) == ''", "origin.startsWith('')",
    "origin.contains(dest)",
    "r'\\' == origin", "'''x''' == origin", "in in in", "!(!(!origin))", "origin" * 1_000, "." * 4_000, "1." * 2_000,
)  # fmt: skip
TEMPLATES = (
    "{" * 3_000, "{a}" * 2_000, "x:{}", "x:{{tailnum}}", "{tailnum", "tailnum}", "x:{tailnum}\u0000{origin}", "x:{tailnum.x}", "x:{0}",
    "{tailnum}{tailnum}", "{scheduled_at}", "{dep_delay}", "x:{tailnum!r:>99999999}", "x" * 100_000 + "{tailnum}",
)  # fmt: skip
REGEXES = (
    "(" * 500,
    "(a+)+$",
    "[",
    "a{1000}{1000}",
    "(?=a)",
    "\\1",
    "(?P<x>a)" * 300,
    "a{99999999}",
    "\u0000",
    "." * 900,
    "(?i)\u0130",
    "\\p{Zz}",
)
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e308, 2**31, 2**63, 2**64, 10**400, "", " ", "x",
    [], {}, [None], [[]], {"": None}, {"a": {"b": {"c": 1}}},
    "1.0.0", "15m", "999999999d", "0s", "flights.Departure", "json", "avro-confluent", "cloudevents", "review", [1, "a",
    None, {}], "null", "~",
    "tailnum", ["tailnum", "tailnum"], "../../etc/passwd", "/etc/passwd", "a/b", "*",
    "x" * 70_000, [0] * 3_000, {f"k{n}": n for n in range(500)},
    -(10**30), float("nan"), float("inf"), *HOSTILE_TEXTS, *CEL, *TEMPLATES, *REGEXES,
)  # fmt: skip

_BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
_WHOLE = (
    "", " ", "\n", "null", "~", "[]", "{}", "3", "text", "- a\n- b", "---\n---\n", "a: 1\n---\nb: 2\n", "%YAML 9.9\n---\na",
    "&a [*a]", "a: &a {b: *a}",
    _BOMB, "[" * 20_000, "[" * 900 + "]" * 900, "{a: " * 500 + "1" + "}" * 500, "{a: " * 20_000, "- " * 20_000, "? " * 5_000,
    "a: |\n" + " x\n" * 50_000,
    "!!python/object/apply:os.system ['true']", "!!binary aGk=", "a: !x b", "'", '"\\x', '"\\ud800"', "\ufeffa: 1", "\u0000",
    "a: \u0085b", "\u2028",
    "<<: {a: 1}", "a: *nowhere", "&a &b c", "a: b: c", "\t- a", "@a", "`a`", "%", "? [a]\n: b", "{[a]: b}", "1: 2",
    "1" * 100_000, "-" * 100_000,
    "a" * 1_000_000, '"' + "\\" * 100_001, "[" + "0," * 99_000 + "0]", "[" + "0," * 200_000 + "0]",
    "".join(f"k{n}: 1\n" for n in range(50_000)),
)  # fmt: skip


def mutated(chance: random.Random, path: str, text: str) -> str:
    """Another text for a file."""
    way = chance.random()
    if way < 0.1:
        return chance.choice(_WHOLE)
    if way < 0.35:
        return _characters(chance, text)
    if way < 0.45:
        return _lines(chance, text)
    data = parse(path, text).data
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        data = _structure(chance, data)
    said = json.dumps(data, ensure_ascii=chance.random() < 0.5)
    return said if way < 0.9 else _characters(chance, said)


def _characters(chance: random.Random, text: str) -> str:
    """Some characters changed, gone, twice or new."""
    for _ in range(chance.choice((1, 1, 2, 8))):
        at, long = chance.randrange(len(text) + 1), chance.choice((0, 1, 1, 5, 200))
        new = chance.choice(
            (
                "",
                chance.choice("{}[]:,-\"'#&*!|>%@`\n\t \\?\u0000\u0085\u2028\ufeff\ud800"),
                str(2**70),
                chance.choice(HOSTILE_TEXTS),
                "*a",
                "&a ",
            )
        )
        text = text[:at] + chance.choice((new, text[at : at + long] * 2)) + text[at + long :]
    return text


def _lines(chance: random.Random, text: str) -> str:
    """A line twice (keys stand there twice), gone, moved, or further in."""
    lines = text.splitlines()
    at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    line = lines.pop(at)
    match chance.randrange(4):
        case 0:
            lines[at:at] = [line, line]
        case 1:
            lines.insert(other, line)
        case 2:
            lines.insert(at, " " * chance.randrange(9) + line.lstrip())
    return "\n".join(lines)


def _structure(chance: random.Random, data: Any, depth: int = 0) -> Any:
    """A value of the wrong type, an unknown key, something twice, somewhere within."""
    if depth and (not isinstance(data, dict | list) or not data or chance.random() < 0.15):
        return _another(chance, data)
    if isinstance(data, dict):
        return _map(chance, data, depth)
    if isinstance(data, list) and data:
        at = chance.randrange(len(data))
        made = list(data)
        if chance.random() < 0.15:
            made[at:at] = [data[at]] * chance.choice((1, 1, 50))
        else:
            made[at] = _structure(chance, data[at], depth + 1)
        return made
    return _another(chance, data)


def _map(chance: random.Random, data: dict[str, Any], depth: int) -> dict[str, Any]:
    name = chance.choice(sorted(data)) if data else ""
    match chance.randrange(12):
        case 0:
            return data | {
                chance.choice(("unknown", "", name.upper(), name + " ", "\u202e", "when", "name", "type", "x" * 9_000)): chance.choice(ODD)
            }
        case 1:
            return {key: value for key, value in data.items() if key != name}
        case 2:
            return {key if key != name else chance.choice(sorted(data)): value for key, value in data.items()}
    return data | {name: _structure(chance, data[name], depth + 1)} if data else data


def _another(chance: random.Random, data: Any) -> Any:
    """A value of another kind, or deep within others."""
    if chance.random() < 0.1:
        for _ in range(chance.choice((1, 30, 400))):
            data = [data] if chance.random() < 0.5 else {"a": data}
        return data
    return chance.choice(CEL if isinstance(data, str) and chance.random() < 0.4 else ODD)
