"""What differs within a file of rules, a policy, a suite or a drift reference: part by part, each by its name."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from processors.flow.yaml import parse

Word = Literal["rule", "expectation", "reference"]
Told = Mapping[str, str]
"""What a part says, word by word."""

_WORDS: Mapping[str, Word] = {"rules": "rule", "policies": "rule", "suites": "expectation", "references": "reference"}


class Change(NamedTuple):
    """One part that differs. `was` is empty where it is new, `now` where it is gone."""

    word: Word
    name: str
    was: str
    now: str


def changes(path: str, was: str, now: str) -> list[Change]:
    """All of them between two texts of one file; none of a file that has no such parts."""
    word = _WORDS.get(path.partition("/")[0])
    if word is None:
        return []
    old, new = _parts(word, _data(path, was)), _parts(word, _data(path, now))
    return [*_changed(word, old, new), *_moved(word, old, new)]


def _data(path: str, text: str) -> Mapping[str, Any]:
    data: Any = parse(path, text).data
    return data if isinstance(data, Mapping) else {}


def _changed(word: Word, old: Mapping[str, Told], new: Mapping[str, Told]) -> Iterator[Change]:
    for name in dict.fromkeys((*old, *new)):
        one, other = old.get(name), new.get(name)
        if one is None or other is None:
            yield Change(word, name, _said(one), _said(other))
        elif one != other:
            differ = [part for part in dict.fromkeys((*one, *other)) if one.get(part) != other.get(part)]
            yield Change(word, name, _said(one, differ), _said(other, differ))


def _moved(word: Word, old: Mapping[str, Told], new: Mapping[str, Told]) -> Iterator[Change]:
    """Of rules the first that ends an event's way counts."""
    was, now = [name for name in old if name in new], [name for name in new if name in old]
    if word == "rule" and was != now:
        yield Change(word, "order", ", ".join(was), ", ".join(now))


def _said(told: Told | None, only: Iterable[str] | None = None) -> str:
    if told is None:
        return ""
    return ", ".join(f"{part}: {told[part]}" for part in (told if only is None else only) if part in told) or "nothing of that"


def _parts(word: Word, data: Mapping[str, Any]) -> Mapping[str, Told]:
    match word:
        case "rule":
            return {str(one.get("name")): _plain(one, but=("name",)) for one in data.get("rules", ())}
        case "expectation":
            return _expectations(data.get("expectations", ()))
        case "reference":
            whole = _plain(data, but=("columns",))
            return {"as a whole": whole} | {name: _histogram(one) for name, one in data.get("columns", {}).items()}


def _expectations(every: Iterable[Mapping[str, Any]]) -> Mapping[str, Told]:
    """By type and column; a second of both has its number too."""
    count: Counter[str] = Counter()
    found = {}
    for one in every:
        kwargs = one.get("kwargs", {})
        name = f"{one.get('type')}({kwargs.get('column', '')})"
        count[name] += 1
        found[name if count[name] == 1 else f"{name} no. {count[name]}"] = _plain(one, ("type", "kwargs", "id")) | _plain(
            kwargs, ("column",)
        )
    return found


def _histogram(column: Mapping[str, Any]) -> Told:
    """A column's values in short; the histogram itself has a hundred bins."""
    edges, counts = column["edges"], column["counts"]
    return {
        "values": f"{sum(counts[1:]):,} and {counts[0]:,} null",
        "from": f"{edges[0]:g}",
        "half below": f"{edges[len(edges) // 2]:g}",
        "to": f"{edges[-1]:g}",
        "of all bins, SHA-256": sha256(json.dumps([list(edges), list(counts)]).encode()).hexdigest()[:12],
    }


def _plain(part: Mapping[str, Any], but: tuple[str, ...]) -> dict[str, str]:
    return {
        word: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for word, value in part.items() if word not in but
    }
