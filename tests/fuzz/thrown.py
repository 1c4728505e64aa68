"""One record that is thrown at a flow, and what every encoding has in common: keys, headers, sizes."""

import random
from collections.abc import Callable
from typing import NamedTuple

from schemas.vocabulary import Reason, Verdict
from tests.fuzz.events import Ending, dead

Headers = list[tuple[str, bytes | None]]

VALUE_BYTES = 60_000
"""`limits.value_bytes` of the fuzzed flows: so a value that is too large costs little."""
KEY_BYTES = 65_536  # docs/flows.md


class Thrown(NamedTuple):
    """A record, and what must become of it."""

    label: str
    value: bytes | None
    ending: Ending
    headers: Headers
    key: bytes | None = b"k"


Make = Callable[[random.Random], Thrown]


class Kind(NamedTuple):
    """One kind of record: how often it is thrown, and how one is made."""

    label: str
    weight: int
    make: Make


FILTERED = Ending(Verdict.FILTERED, frozenset({Reason.TOMBSTONE}))


def around(plain: Make) -> list[Kind]:
    """Kinds that leave the value as it is, or take it away."""

    def tombstone(chance: random.Random) -> Thrown:
        return plain(chance)._replace(value=None, ending=FILTERED)

    def odd_key(chance: random.Random) -> Thrown:
        return plain(chance)._replace(key=chance.choice((None, b"", b"\xff\xfe", b"\0" * 300, "\u202e".encode())))

    def long_key(chance: random.Random) -> Thrown:
        size = chance.choice((KEY_BYTES - 1, KEY_BYTES, KEY_BYTES + 1, 70_000))
        made = plain(chance)._replace(key=b"k" * size)
        return made if size <= KEY_BYTES else made._replace(ending=dead(Reason.TOO_LARGE))

    def large(chance: random.Random) -> Thrown:
        made = plain(chance)
        return made._replace(value=(made.value or b"") + bytes(VALUE_BYTES + chance.randrange(3)), ending=dead(Reason.TOO_LARGE))

    return [
        Kind("tombstones", 20, tombstone),
        Kind("odd keys", 10, odd_key),
        Kind("long keys", 1, long_key),
        Kind("values over the limit", 1, large),
    ]


def odd_headers(plain: Make) -> list[Kind]:
    """Headers that mean nothing to the encoding."""

    def make(chance: random.Random) -> Thrown:
        made = plain(chance)
        return made._replace(headers=[*made.headers, *chance.choices(ODD_HEADERS, k=chance.randrange(1, 5))])

    def many(chance: random.Random) -> Thrown:
        made = plain(chance)
        return made._replace(headers=[*made.headers, *((f"x{n}", b"v") for n in range(300))])

    return [Kind("hostile headers", 30, make), Kind("hundreds of headers", 1, many)]


ODD_HEADERS: Headers = [
    ("", b""), ("x", None), ("x", b"\xff\xfe"), ("ce_weftverdict", b"result"), ("ce_weftposition", b"in/0/0"), ("ce_weftkey", b""),
    ("ce_weftheaders", b"oversized-batch"), ("ce_weftredrive", b"99999999999999999999"), ("traceparent", b"00-" + b"g" * 32 + b"-x-01"),
    ("traceparent", b"\xff"), ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("n" * 3_000, b"v"),
    ("\u202e\u0000", b"\0"), ("x", b"h" * 5_000), ("ce_correlationid", b"\xff\xfe"), ("ce_subject", b"s" * 5_000),
    ("ce_correlationid", None),
]  # fmt: skip


def thrower(kinds: list[Kind]) -> Make:
    """Throws records of all kinds, each as often as its weight says."""
    weights = [kind.weight for kind in kinds]

    def make(chance: random.Random) -> Thrown:
        kind = chance.choices(kinds, weights)[0]
        return kind.make(chance)._replace(label=kind.label)

    return make
