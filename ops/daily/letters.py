"""Dead letters as they stand on the topic: read, counted, found."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from ops.daily.desk import Desk
from ops.daily.rows import Row, at, every
from ops.daily.shown import decoded, headers, hexdump, text
from schemas import headers as names
from schemas.errors import UsageError
from schemas.positions import Position
from streams.letters import NEVER


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter."""

    row: Row
    root: Position
    reason: str
    rule: str
    step: str
    detail: str
    flow: str
    number: int  # of the pass
    generation: int | None  # None: it can't be redriven, for it never was an event of the flow
    size: int | None  # bytes of the original, where the value was cut
    sha256: str
    key_size: int | None = None  # bytes of the original, where the key was cut
    lacks_headers: bool = False  # they were cut

    @classmethod
    def of(cls, row: Row) -> "Letter | None":
        """The letter; None if Weft did not write the record."""
        told = {name: text(value) for name, value in row.headers if name.startswith(names.WEFT_PREFIX)}
        try:
            redrive, size = told[names.CE_REDRIVE], told.get(names.CE_SIZE)
            return cls(
                row,
                Position.parse(told[names.CE_POSITION]),
                told[names.CE_REASON],
                told.get(names.CE_RULE, ""),
                told[names.CE_STEP],
                text(dict(row.headers)[names.CE_DETAIL]),
                told[names.CE_FLOW],
                int(told[names.CE_PASS]),
                None if redrive == NEVER else int(redrive),
                None if size is None else int(size),
                told.get(names.CE_SHA256, ""),
                None if names.CE_KEY_SIZE not in told else int(told[names.CE_KEY_SIZE]),
                names.CUT in row.headers,
            )
        except (KeyError, ValueError):
            return None

    def as_json(self, generations: Mapping[Position, int]) -> dict[str, Any]:
        """One line of a list. `generations`: the highest started, by root position."""
        return {
            "position": str(self.row.position),
            "event": str(self.root),
            "reason": self.reason,
            "step": self.step,
            "detail": self.detail,
            "generation": NEVER if self.generation is None else self.generation,
            "redriven": self.generation is not None and generations.get(self.root, 0) > self.generation,
        }


async def letters(desk: Desk, reason: str = "") -> AsyncIterator[Letter]:
    """All letters of the flow, or those of one reason."""
    async for row in every(desk.reader, desk.flow.topics.dead_letters):
        letter = Letter.of(row)
        if letter is not None and reason in ("", letter.reason):
            yield letter


async def generations(desk: Desk) -> dict[Position, int]:
    """The highest generation that was started, by root position; those never redriven are not there."""
    found: dict[Position, int] = {}
    async for row in every(desk.reader, desk.flow.topics.generations):
        root = Position.parse((row.key or b"").decode())
        if row.value is None:
            found.pop(root, None)
        else:
            found[root] = int(row.value)
    return found


async def letter_at(desk: Desk, wanted: str) -> Letter:
    """The letter at a position: of the letter (`topic/partition/offset` or `partition/offset`), or of its event.

    Raises:
        UsageError: there is none.
    """
    topics, row = desk.flow.topics, None
    position = _position(wanted, topics.dead_letters)
    if position.topic == topics.dead_letters:
        if position.partition < await desk.reader.partitions(position.topic):
            row = await at(desk.reader, position)
        if row is not None and (letter := Letter.of(row)) is not None:
            return letter
    else:
        of_event = [letter async for letter in letters(desk) if letter.root == position]
        if of_event:
            return max(of_event, key=lambda letter: (letter.generation or 0, letter.row.timestamp_ms))
    raise UsageError(f"there is no dead letter at {position}", f"weft dlq list {desk.flow.name} shows where they are.")


def described(desk: Desk, letter: Letter) -> dict[str, Any]:
    """All that can be said of one letter."""
    value, wrong = decoded(desk.read_input, letter.row.value, letter.row.headers)
    raw = letter.row.value
    return {
        "position": str(letter.row.position),
        "event": str(letter.root),
        "written_ms": letter.row.timestamp_ms,
        "reason": letter.reason,
        "rule": letter.rule,
        "step": letter.step,
        "detail": letter.detail,
        "key": text(letter.row.key),
        "headers": headers(letter.row.headers),
        "bytes": None if raw is None else len(raw),
        "cut_from_bytes": letter.size,
        "sha256": letter.sha256 or (hashlib.sha256(raw).hexdigest() if raw is not None else ""),
        "value": value,
        "unreadable": wrong,
        "hexdump": hexdump(raw or b""),
    }


def _position(wanted: str, topic: str) -> Position:
    for candidate in (f"{topic}/{wanted}" if wanted.count("/") == 1 else wanted,):
        try:
            return Position.parse(candidate)
        except ValueError:
            continue
    raise UsageError(f"{wanted} is no position", "Write it as topic/partition/offset, or partition/offset among the dead letters.")
