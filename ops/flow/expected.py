"""Compares what became of sample events with what was expected."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from ops.flow.offline import Judged
from schemas.errors import UsageError


def read_expected(path: Path) -> Sequence[Mapping[str, Any]]:
    """Lines of JSON as `weft flow test --json` prints them; each names its event by `line` or `id` and says only what must hold.

    Raises:
        UsageError: it can't be read.
    """
    try:
        lines = [orjson.loads(line) for line in path.read_bytes().splitlines() if line.strip()]
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{path} is no JSON lines: {error}", "Make it with `weft flow test ... --json > FILE`.") from error
    if not all(isinstance(line, dict) and ("line" in line or "id" in line) for line in lines):
        raise UsageError(f"{path}: each line must be an object with `line` or `id`")
    return lines


def differences(judged: Sequence[Judged], expected: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """One sentence for each thing that is not as expected; an event that nobody expected is one too."""
    found, met = [], set()
    for want in expected:
        match = next((one for one in judged if one.line == want.get("line", one.line) and one.id == want.get("id", one.id)), None)
        if match is None:
            found.append(f"{_named(want)}: there is no such event")
            continue
        met.add(match.line)
        got = match.as_json()
        found += [
            f"{_named(got)}: {word} is {_said(got, word)}, not {_said(want, word)}"
            for word in want
            if not _alike(got.get(word), want[word])
        ]
    found += [f"{_named(one.as_json())}: {one.verdict} was not expected" for one in judged if one.line not in met]
    return found


def _alike(got: Any, want: Any) -> bool:
    if isinstance(got, float) and isinstance(want, int | float):
        return math.isclose(got, want, rel_tol=1e-6, abs_tol=1e-9)
    return bool(got == want)


def _named(event: Mapping[str, Any]) -> str:
    return f"line {event['line']}" if "line" in event else str(event["id"])


def _said(event: Mapping[str, Any], word: str) -> str:
    return repr(event.get(word)) if word in event else "not there"
