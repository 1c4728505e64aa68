"""Dead letters: the original event as it came, whatever a policy hid in its columns, and headers that say why it could not be processed.

What is above its limit, or too large for the topic, is cut: its size, its SHA-256 and its first bytes stand for it. So each letter fits.
"""

import hashlib
from dataclasses import dataclass
from itertools import accumulate

from connectors.log import Headers, Outgoing
from processors.flow.compiled import Flow
from processors.steps.decode import KEY_BYTES
from schemas import headers as names
from schemas.headers import headers_size
from schemas.vocabulary import Verdict
from streams.room import Rooms, size
from streams.stamps import RULE_CHARS, Stamped
from streams.stepping import Fate

KEPT_BYTES = 65_536
"""Of a value that is cut."""
KEPT_KEY_BYTES = 1_024
KEPT_HEADERS_BYTES = 16_384
DETAIL_CHARS = 2_000

NEVER = "never"
"""`ce_weftredrive` of a letter that can't be redriven: it never was an event of the flow."""


@dataclass(slots=True)
class _Letter:
    """One letter, cut until it fits."""

    key: bytes | None
    value: bytes | None
    given: Headers  # that came with the event
    own: list[tuple[str, bytes | None]]

    def size(self) -> int:
        """Of the record."""
        return size(self.key, self.value, [*self.given, *self.own])

    def cut_key(self) -> None:
        """Keep its first bytes."""
        if self.key is not None:
            self.own += [(names.CE_KEY_SIZE, str(len(self.key)).encode()), (names.CE_KEY_SHA256, _digest(self.key))]
            self.key = self.key[:KEPT_KEY_BYTES]

    def cut_value(self) -> None:
        """Keep its first bytes."""
        if self.value is not None:
            self.own += [(names.CE_SIZE, str(len(self.value)).encode()), (names.CE_SHA256, _digest(self.value))]
            self.value = self.value[:KEPT_BYTES]

    def cut_headers(self) -> None:
        """Keep the first of them."""
        self.own += [names.CUT, (names.CE_HEADERS_SIZE, str(headers_size(self.given)).encode())]
        ends = accumulate(size(None, None, [pair]) for pair in self.given)
        self.given = self.given[: sum(end <= KEPT_HEADERS_BYTES for end in ends)]


def letters(flow: Flow, fate: Fate, rooms: Rooms) -> Outgoing:
    """A letter for each row: key, value and headers as they came, plus `ce_weft*`."""
    room = rooms.of(flow.topics.dead_letters)
    written = [_letter(flow, fate, index, room) for index in range(len(fate.batch))]
    stamped: Stamped = [[*letter.given, *letter.own] for letter in written]
    return Outgoing(flow.topics.dead_letters, [letter.key for letter in written], [letter.value for letter in written], stamped)


def _letter(flow: Flow, fate: Fate, index: int, room: int) -> _Letter:
    intake, row = fate.batch.intake, fate.batch.origin[index]
    came = () if intake.headers is None else intake.headers[row] or ()
    given = [pair for pair in came if not pair[0].startswith(names.WEFT_PREFIX)]
    letter = _Letter(intake.keys[row], intake.values[row], given, _why(flow, fate, index))
    if len(came) == 1 and came[0] in (names.UNREADABLE, names.OVERSIZED):
        letter.own.append(came[0])
    if len(letter.key or b"") > KEY_BYTES:
        letter.cut_key()
    whole = len(letter.value or b"") <= flow.limits.value_bytes
    if not whole:
        letter.cut_value()
    if letter.size() > room:
        letter.cut_headers()
    if whole and letter.size() > room:
        letter.cut_value()
    if (over := letter.size() - room) > 0 and letter.value:  # a topic that takes next to nothing
        letter.value = letter.value[: max(0, len(letter.value) - over)]
    return letter


def _why(flow: Flow, fate: Fate, index: int) -> list[tuple[str, bytes | None]]:
    """Weft's own headers."""
    trip = fate.batch.intake.trip(int(fate.batch.origin[index]))
    step = flow.steps[fate.step].name if fate.step < len(flow.steps) else "result"
    return [
        (names.CE_FLOW, flow.ident.encode()),
        (names.CE_POSITION, str(trip.root).encode()),
        (names.CE_VERDICT, fate.verdict.value.encode()),
        (names.CE_REASON, fate.reason.value.encode()),
        (names.CE_RULE, fate.rule[:RULE_CHARS].encode(errors="replace")),
        (names.CE_STEP, step.encode()),
        (names.CE_DETAIL, fate.why(index)[:DETAIL_CHARS].encode(errors="replace")),
        (names.CE_PASS, str(trip.number).encode()),
        (names.CE_REDRIVE, NEVER.encode() if fate.verdict is Verdict.UNREADABLE else str(trip.generation).encode()),
    ]


def _digest(cut: bytes) -> bytes:
    return hashlib.sha256(cut).hexdigest().encode()
