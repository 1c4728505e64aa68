"""Values in Avro, good, odd and broken, each judged by the reader by hand."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.vocabulary import Reason
from tests.fuzz import avro_by_hand as by_hand
from tests.fuzz.avro_by_hand import Wrong, varint
from tests.fuzz.events import Datum, Ending, dead, edge, good, resolved_ending
from tests.fuzz.thrown import VALUE_BYTES

Part = Callable[[random.Random], bytes]

_NOT_UTF8 = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"a\x80")
_NUMBERS = (2**31, -(2**31) - 1, 2**32, 2**40, 2**63 - 1, -(2**63), 2**64 - 1 >> 1, -1, -2, 3)


@dataclass(frozen=True)
class Avro:
    """Values behind a frame. `versions`: which schema is meant by a frame; the reader's own is the first."""

    versions: Mapping[bytes, Any]
    foreign: bytes  # the frame of a schema that is known and can't be read as the event
    json_result: bool

    @property
    def frame(self) -> bytes:
        return next(iter(self.versions))

    @property
    def schema(self) -> Any:
        return self.versions[self.frame]

    @property
    def exact(self) -> bool:
        return bool(self.schema["name"] == "Exact")

    def judged(self, value: bytes) -> Ending:
        """What must become of any value."""
        if len(value) > VALUE_BYTES:
            return dead(Reason.TOO_LARGE)
        size, marker = len(self.frame), self.frame[:2] if len(self.frame) == 10 else self.frame[:1]
        if value[:size] not in self.versions:
            cut = len(value) < size and marker.startswith(value[:2])
            return dead(Reason.TRUNCATED if cut else Reason.UNKNOWN_SCHEMA)
        try:
            datum = by_hand.read(self.versions[value[:size]], value, size)
        except Wrong as wrong:
            return dead(wrong.reason)
        return resolved_ending(datum, self.schema, self.json_result)

    def value(self, datum: Datum) -> bytes:
        return self.frame + by_hand.write(self.schema, datum)

    def kinds(self) -> Mapping[str, tuple[int, Part]]:
        """Label -> how often, and how one is made."""
        return {
            "good": (300, lambda chance: self.value(good(chance, self.exact))),
            "values at the edge": (150, lambda chance: self.value(edge(chance, self.exact))),
            "an older version": (40, self._older),
            "schemas unknown or unfit": (50, self._unknown),
            "random bytes": (40, lambda chance: chance.randbytes(chance.randrange(200))),
            "random bytes behind a frame": (40, lambda chance: self.frame + chance.randbytes(chance.randrange(200))),
            "bits flipped": (120, self._flipped),
            "cut anywhere": (50, self._cut),
            "bytes behind": (30, lambda chance: self.value(good(chance, self.exact)) + chance.randbytes(chance.randrange(1, 9))),
            "overlong varints": (40, self._overlong),
            "numbers out of range": (40, self._out_of_range),
            "text that is no UTF-8": (30, self._not_utf8),
            "odd blocks": (30, self._blocks),
        }

    def _older(self, chance: random.Random) -> bytes:
        frame = list(self.versions)[-1]
        datum = good(chance, self.exact)
        return frame + by_hand.write(self.versions[frame], datum | {"total": datum["total"] & 0x7FFF_FFFF})

    def _unknown(self, chance: random.Random) -> bytes:
        body = by_hand.write(self.schema, good(chance, self.exact))
        marker = self.frame[: 2 if len(self.frame) == 10 else 1]
        unknown = marker + chance.choice((b"\0", b"\1", b"\2", b"\xff")) * (len(self.frame) - len(marker))
        return chance.choice((unknown, self.foreign, self.frame[::-1])) + body

    def _flipped(self, chance: random.Random) -> bytes:
        value = bytearray(self.value(good(chance, self.exact)))
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            value[chance.randrange(len(value))] ^= 1 << chance.randrange(8)
        return bytes(value)

    def _cut(self, chance: random.Random) -> bytes:
        value = self.value(good(chance, self.exact))
        return value[: chance.randrange(len(value))]

    def _with(self, chance: random.Random, name: str, part: bytes) -> bytes:
        """An event with the bytes of one field written by hand."""
        datum, names = good(chance, self.exact), dict[str, Any]()
        fields = self.schema["fields"]
        parts = [part if field["name"] == name else by_hand.write(field["type"], datum[field["name"]], names) for field in fields]
        return self.frame + b"".join(parts)

    def _overlong(self, chance: random.Random) -> bytes:
        number, padded = chance.randrange(-70, 70), chance.randrange(1, 12)
        return self._with(chance, chance.choice(("count", "total", "kind")), varint(number, padded))

    def _out_of_range(self, chance: random.Random) -> bytes:
        name = chance.choice(("count", "total", "kind", "note", "at", "day", "tags", "marks", "raw", "name", *self._times()))
        return self._with(chance, name, varint(chance.choice(_NUMBERS)))

    def _times(self) -> tuple[str, ...]:
        return ("price", "clock", "clock") if self.exact else ()

    def _not_utf8(self, chance: random.Random) -> bytes:
        text = chance.choice(_NOT_UTF8)
        return self._with(chance, chance.choice(("id", "name")), varint(len(text)) + text)

    def _blocks(self, chance: random.Random) -> bytes:
        item = b"\x04ab"
        blocks = (
            varint(-1) + varint(len(item)) + item + b"\0",
            varint(-1) + varint(len(item) + 1) + item + b"\0",
            varint(-2) + varint(len(item)) + item + b"\0",
            varint(1) + item + varint(1) + item + b"\0",
            varint(2**62) + item * 3,
            varint(-(2**62)) + varint(4) + item,
            varint(3000) + b"\0" * 3000 + b"\0",
            varint(-(2**63)) + varint(-1),
        )
        return self._with(chance, "tags", chance.choice(blocks))
