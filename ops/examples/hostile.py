"""A labelled handful of records that must not break anything, each with what must become of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ops.examples.flights import heads
from schemas.codecs.single_object import HEADER_BYTES, SingleObject
from schemas.contracts import Contract
from schemas.headers import AVRO
from schemas.vocabulary import Reason, Verdict

_DAY: Final = "20131231T2359"
_SCHEDULED_MS: Final = 1_388_552_340_000  # 2014-01-01T04:59:00Z, the last minute of the year in New York
_EVENT: Final[Mapping[str, Any]] = {
    "scheduled_at": _SCHEDULED_MS,
    "departed_at": _SCHEDULED_MS + 300_000,
    "dep_delay": 5.0,
    "carrier": "ZZ",
    "tailnum": "N14228",
    "origin": "EWR",
    "dest": "IAH",
    "distance": 1400.0,
    "time_hour": "2014-01-01T04:00:00Z",
}
_JUNK: Final = bytes.fromhex("9f3c00d1ffee7a0142c6b81d5503e9aa10")
_MORE: Final = {"type": "record", "namespace": "flights", "name": "Arrival", "fields": [{"name": "arrived", "type": "string"}]}


class Hostile(NamedTuple):
    """One record, what is wrong with it, and what must become of it."""

    label: str
    value: bytes | None
    verdict: Verdict
    reason: Reason = Reason.NONE
    key: bytes | None = b"hostile"
    headers: list[tuple[str, bytes | None]] | None = None  # None: those of any event


def hostile(contract: Contract, value_bytes: int) -> Sequence[Hostile]:
    """All of them, for a flow that reads `flights.Departure` as Avro single objects of at most `value_bytes`."""
    codec = SingleObject(contract)
    number = iter(range(9001, 9999))

    def event(**changes: Any) -> bytes:
        flight = next(number)
        return codec.encode({**_EVENT, "flight": flight, "flight_id": f"ZZ-{flight}-EWR-{_DAY}", **changes})

    found = [*_broken(event), *_foreign(event, contract), *_unfit(event, value_bytes), *_odd(event)]
    return [one if one.headers is not None else one._replace(headers=_heads(one.label)) for one in found]


def _broken(event: Any) -> list[Hostile]:
    """Bytes that are no datum."""
    good: bytes = event()
    tail = event(tailnum="N1\u00e9")
    return [
        Hostile("cut in the middle of a field", good[:-7], Verdict.DEAD_LETTER, Reason.TRUNCATED),
        Hostile("cut in the schema's fingerprint", good[:6], Verdict.DEAD_LETTER, Reason.TRUNCATED),
        Hostile("bytes behind the datum", event() + b"\x00more", Verdict.DEAD_LETTER, Reason.TRAILING_BYTES),
        Hostile("a text that is not UTF-8", tail.replace("\u00e9".encode(), b"\xff\xfe"), Verdict.DEAD_LETTER, Reason.INVALID_UTF8),
        Hostile("a flight number beyond 32 bits", _long_number(event), Verdict.DEAD_LETTER, Reason.OUT_OF_RANGE),
        Hostile("a union's branch that is not there", _third_branch(event), Verdict.DEAD_LETTER, Reason.WRONG_TYPE),
        Hostile(
            "a text of negative length", good[:HEADER_BYTES] + b"\x01" + good[HEADER_BYTES + 1 :], Verdict.DEAD_LETTER, Reason.WRONG_TYPE
        ),
    ]


def _foreign(event: Any, contract: Contract) -> list[Hostile]:
    """Values of another schema, or of none."""
    good: bytes = event()
    other = SingleObject(Contract.of(_MORE)).encode({"arrived": "yes"})
    fields = [field for field in contract.schema["fields"] if field["name"] != "distance"]
    shorter = Contract.of({**contract.schema, "fields": fields})
    datum = {**_EVENT, "flight": 9100, "flight_id": f"ZZ-9100-EWR-{_DAY}"}
    short = SingleObject(shorter).encode({name: value for name, value in datum.items() if name != "distance"})
    return [
        Hostile("a schema that nobody knows", good[:2] + bytes(8) + good[HEADER_BYTES:], Verdict.DEAD_LETTER, Reason.UNKNOWN_SCHEMA),
        Hostile("an event of another kind", other, Verdict.DEAD_LETTER, Reason.UNKNOWN_SCHEMA),
        Hostile("a field is missing, and so is its schema", short, Verdict.DEAD_LETTER, Reason.UNKNOWN_SCHEMA),
        Hostile("JSON where Avro is declared", b'{"flight_id": "ZZ-9101"}', Verdict.DEAD_LETTER, Reason.UNKNOWN_SCHEMA),
        Hostile("random bytes", _JUNK, Verdict.DEAD_LETTER, Reason.UNKNOWN_SCHEMA),
        Hostile("no bytes at all", b"", Verdict.DEAD_LETTER, Reason.TRUNCATED),
        Hostile("a tombstone", None, Verdict.FILTERED, Reason.TOMBSTONE),
    ]


def _unfit(event: Any, value_bytes: int) -> list[Hostile]:
    """Good Avro that no departure can be."""
    return [
        Hostile("an airport that is not New York's", event(origin="XXX"), Verdict.DEAD_LETTER, Reason.INVALID),
        Hostile("a delay of a century", event(dep_delay=5.3e7), Verdict.DEAD_LETTER, Reason.INVALID),
        Hostile("a delay that is no number", event(dep_delay=float("nan")), Verdict.DEAD_LETTER, Reason.INVALID),
        Hostile("an id with a line break", event(flight_id="ZZ-1-EWR-20131231T2359\n"), Verdict.DEAD_LETTER, Reason.INVALID),
        Hostile("as large as a value may be", _sized(event, value_bytes), Verdict.DEAD_LETTER, Reason.INVALID),
        Hostile("one byte too large", _sized(event, value_bytes + 1), Verdict.DEAD_LETTER, Reason.TOO_LARGE),
        Hostile("a flight to where it began", event(dest="EWR"), Verdict.QUARANTINE, Reason.POLICY),
        Hostile("a cancelled flight", event(departed_at=None, dep_delay=None, tailnum=None), Verdict.FILTERED, Reason.FILTER),
        Hostile("eleven hours late", event(dep_delay=660.0), Verdict.REVIEW, Reason.POLICY),
    ]


def _odd(event: Any) -> list[Hostile]:
    """Unusual, and good."""
    twice = event()
    return [
        Hostile("an event", twice, Verdict.RESULT),
        Hostile("a second event with the same id", twice, Verdict.RESULT),
        Hostile("no headers", event(), Verdict.RESULT, headers=[]),
        Hostile("no key", event(), Verdict.RESULT, key=None),
        Hostile("no plane and weather that anyone knows", event(tailnum="N0NE", time_hour="2014-06-01T04:00:00Z"), Verdict.RESULT),
        Hostile(
            "a header that is not UTF-8, and Weft's own",
            event(),
            Verdict.RESULT,
            headers=[("ce_id", b"\xff\xfe"), ("ce_weftverdict", b"quarantine"), ("empty", None)],
        ),
    ]


def _heads(label: str) -> list[tuple[str, bytes | None]]:
    return heads(label.replace(" ", "-"), "2014-01-01T04:59:00Z", AVRO)


def _long_number(event: Any) -> bytes:
    """The flight number as a varint of 2**40: Avro's int has 32 bits."""
    value: bytes = event(flight=-1, carrier="Z0")
    return value.replace(b"\x04Z0\x01", b"\x04Z0" + _varint(2**40))


def _third_branch(event: Any) -> bytes:
    """The tail number's union names branch 2 of two."""
    value: bytes = event(tailnum="N14228")
    return value.replace(b"\x02\x0cN14228", b"\x04\x0cN14228")


def _varint(number: int) -> bytes:
    out, left = bytearray(), number << 1
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes((*out, left))


def _sized(event: Any, size: int) -> bytes:
    """An event whose destination's name makes it exactly so large."""
    length = size
    while (over := len(event(dest="A" * length)) - size) != 0:  # the length is itself written in more or fewer bytes
        length -= over
    return bytes(event(dest="A" * length))
