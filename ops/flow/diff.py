"""What differs between two versions of a flow, in words: input, steps, columns, models, result, limits, topics, files that they name."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ops.flow.within import changes
from processors.flow import duration
from processors.flow.check import Checked
from processors.flow.meaning import same
from processors.flow.spec import FlowFile
from processors.flow.topics import topics_of
from schemas.compatibility import breaks
from schemas.contracts import Contract

About = Literal[
    "version", "input", "step", "column", "model", "result", "limit", "order", "topic", "file", "schema", "rule", "expectation", "reference"
]

_DURATIONS = ("deadline", "review", "retries")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs. `was` is empty where it is new, `now` where it is gone."""

    about: About
    what: str
    was: str
    now: str
    note: str = ""

    @property
    def sentence(self) -> str:
        """For a person."""
        said = f"{self.about} {self.what}".strip()
        if not self.was:
            said += f" is new: {self.now}" if self.now else " is new"
        elif not self.now:
            said += f" is gone: {self.was}"
        else:
            said += f": {self.was} -> {self.now}"
        return f"{said} ({self.note})" if self.note else said


def differences(old: Checked, new: Checked) -> Sequence[Difference]:
    """All of them, in the order in which an event meets them. Neither may have mistakes."""
    was, now = old.sound(), new.sound()
    found = [*_words("version", {"": was.version}, {"": now.version})]
    found += _words("input", _plain(was.input), _plain(now.input))
    found += _steps(old, new)
    found += _words("column", _columns(old), _columns(new))
    found += _models(old, new)
    found += _words("result", _plain(was.result), _plain(now.result))
    found += _words("limit", _limits(was), _limits(now))
    found += _words("order", {"": was.order}, {"": now.order})
    found += _topics(was, now)
    return [*found, *_files(old, new)]


def _words(about: About, was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Difference]:
    for name in dict.fromkeys((*was, *now)):
        one, other = was.get(name, ""), now.get(name, "")
        if one != other:
            yield Difference(about, name, one, other)


def _plain(part: Any) -> dict[str, str]:
    return {word: str(value) for word, value in part.model_dump(mode="json", by_alias=True).items() if value is not None}


def _steps(old: Checked, new: Checked) -> Iterator[Difference]:
    was, now = _told(old), _told(new)
    yield from _words("step", was, now)
    both = [name for name in was if name in now]
    if both != [name for name in now if name in was]:
        yield Difference("step", "order", ", ".join(was), ", ".join(now))


def _told(checked: Checked) -> dict[str, str]:
    """What each step is told, by its name; all but `decode`, which `input` tells."""
    data: Any = checked.page.data
    steps = zip(checked.placed[1:], data["steps"], strict=True)
    return {placed.plan.name: json.dumps(step, ensure_ascii=False, sort_keys=True) for placed, step in steps}


def _columns(checked: Checked) -> dict[str, str]:
    return {name: str(kind) for name, kind in checked.columns.items()}


def _models(old: Checked, new: Checked) -> Iterator[Difference]:
    """By name: version and digest of each manifest."""
    was, now = (
        {path.split("/")[1]: json.loads(text) for path, text in one.files.items() if path.startswith("models/")} for one in (old, new)
    )
    yield from _words("model", {name: _model(one) for name, one in was.items()}, {name: _model(one) for name, one in now.items()})


def _model(manifest: Mapping[str, Any]) -> str:
    return f"{manifest.get('version')} sha256 {str(manifest.get('sha256'))[:12]}"


def _limits(spec: FlowFile) -> dict[str, str]:
    told = spec.limits.model_dump()
    spans = {name: told[name] if isinstance(told[name], tuple) else (told[name],) for name in _DURATIONS}
    return {name: str(value) for name, value in told.items()} | {name: ", ".join(map(duration.text, spans[name])) for name in spans}


def _topics(was: FlowFile, now: FlowFile) -> Iterator[Difference]:
    def names(spec: FlowFile) -> list[str]:
        told = asdict(topics_of(spec))
        return [name for part in told.values() for name in ([part] if isinstance(part, str) else part)]

    one, other = names(was), names(now)
    for name in other:
        if name not in one:
            yield Difference("topic", name, "", "", "made when it is applied")
    for name in one:
        if name not in other:
            yield Difference("topic", name, "the old version waits there", "", "it stays, and is read until nothing waits on it")


def _files(old: Checked, new: Checked) -> Iterator[Difference]:
    """Files that both name, or one: which of their parts differ, or how many lines; of contracts, what breaks."""
    for path in sorted(old.files.keys() | new.files.keys()):
        kind, _, name = path.partition("/")
        was, now = old.files.get(path), new.files.get(path)
        if kind in ("flows", "models") or same(path, was, now):
            continue
        if was is None or now is None:
            yield Difference("file", path, "named" if was is not None else "", "named" if now is not None else "")
        elif kind == "schemas" and "/" not in name:
            yield _schema(name.removesuffix(".avsc"), was, now)
        elif parts := changes(path, was, now):
            for part in parts:
                yield Difference(part.word, f"{part.name} of {path}", part.was, part.now)
        else:
            lines = [line[0] for line in difflib.ndiff(was.splitlines(), now.splitlines())]
            yield Difference("file", path, f"{lines.count('-')} lines", f"{lines.count('+')} other lines")


def _schema(name: str, was: str, now: str) -> Difference:
    old, new = Contract.of(json.loads(was)), Contract.of(json.loads(now))
    found = breaks(old, new)
    said = "reads what was written with the old one" if not found else "can't read all of the old one: weft schema check says why"
    return Difference("schema", name, old.fingerprint.hex(), new.fingerprint.hex(), said)
