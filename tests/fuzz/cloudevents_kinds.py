"""CloudEvents around data in JSON or Avro: in binary mode, structured as JSON and as Avro; good ones, and each rule broken."""

import base64
import json
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from schemas.vocabulary import Reason
from tests.fuzz import avro_by_hand as by_hand
from tests.fuzz import json_kinds
from tests.fuzz.avro_by_hand import Wrong, varint
from tests.fuzz.avro_kinds import Avro
from tests.fuzz.events import UNTOLD, Ending, dead, ending
from tests.fuzz.thrown import VALUE_BYTES, Headers, Kind, Thrown

Attributes = dict[str, Any]
Mode = Callable[[Attributes, "Data"], tuple[bytes, Headers]]

JSON, AVRO = "application/json", "application/avro"
BROKEN = dead(Reason.NOT_CLOUDEVENT)


class Data(NamedTuple):
    """The data of an event, and what must become of it."""

    value: bytes
    ending: Ending
    avro: bool


def attributes(chance: random.Random, avro: bool) -> Attributes:
    given: Attributes = {"specversion": "1.0", "id": f"c{chance.getrandbits(30)}", "source": "/fuzz", "type": "fuzz.Event"}
    if avro or chance.random() < 0.5:
        given["datacontenttype"] = AVRO if avro else chance.choice((JSON, "application/vnd.a+json; charset=utf-8", "TEXT/JSON"))
    if chance.random() < 0.3:
        given |= {"time": "2013-01-01T10:00:00.123456789+05:00", "subject": "\u00e9", "dataschema": "https://a/b#c", "ext1": "\U0001f600"}
    return given


def broken(chance: random.Random, given: Attributes) -> Attributes:
    """Attributes that break a rule of the specification."""
    name, odd = chance.choice(_BROKEN)
    if name is not None:
        return given | {name: odd}
    gone = chance.choice(("id", "source", "specversion", "type"))
    return {name: value for name, value in given.items() if name != gone}


_BROKEN: Sequence[tuple[str | None, str]] = (
    (None, ""), (None, ""), ("id", ""), ("source", ""), ("type", ""), ("specversion", ""), ("specversion", "0.3"), ("specversion", "1.0.0"),
    ("source", "a b"), ("source", "%zz"), ("time", "yesterday"), ("time", "2013-01-01"), ("time", "2013-13-01T00:00:00Z"),
    ("time", "2013-01-01T00:00:00"), ("dataschema", "no uri"), ("dataschema", "/relative"), ("id", "a\x00b"), ("type", "a\nb"),
    ("Upper", "x"), ("under_score", "x"), ("", "x"), ("ext\u00e9", "x"), ("subject", "\u009f"), ("subject", ""),
    ("datacontenttype", "nonsense"), ("datacontenttype", "text/plain"),
)  # fmt: skip


def binary(given: Attributes, data: Data) -> tuple[bytes, Headers]:
    """Attributes are headers, the data is the value."""
    headers: Headers = [(f"ce_{name}", value.encode()) for name, value in given.items() if name != "datacontenttype"]
    return data.value, [*headers, *((name, given[key].encode()) for name, key in (("content-type", "datacontenttype"),) if key in given)]


def in_json(given: Attributes, data: Data) -> tuple[bytes, Headers]:
    """One JSON object holds all. Data that is no JSON is base64."""
    head = json.dumps(given).encode()[:-1]
    if data.avro:
        return head + b', "data_base64": "' + base64.b64encode(data.value) + b'"}', [*STRUCTURED_JSON]
    return head + b', "data": ' + data.value + b"}", [*STRUCTURED_JSON]


def in_avro(given: Attributes, data: Data) -> tuple[bytes, Headers]:
    """A map of attributes, and bytes."""
    return _map(given) + varint(0) + varint(len(data.value)) + data.value, [*STRUCTURED_AVRO]


STRUCTURED_JSON: Headers = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
STRUCTURED_AVRO: Headers = [("content-type", b"application/cloudevents+avro")]


def _map(given: Attributes) -> bytes:
    pairs = [by_hand.write("string", name) + varint(3) + by_hand.write("string", value) for name, value in given.items()]
    return varint(len(pairs)) + b"".join(pairs) + b"\0"


class CloudEvents:
    """Events in one of the modes, or in any if there are several."""

    def __init__(self, avro: Avro, *modes: Mode) -> None:
        self._avro, self._modes = avro, modes
        self._packed, self._plain = list(avro.kinds().values()), list(json_kinds.kinds().values())

    def kinds(self) -> list[Kind]:
        """With what is thrown at headers where they are read."""
        found = [Kind("data of every kind", 500, self._any), Kind("attributes that break a rule", 150, self._broken),
                 Kind("bits flipped anywhere", 60, self._flipped)]  # fmt: skip
        if in_json in self._modes:
            found += [
                Kind("attributes of another type", 40, self._mistyped),
                Kind("data twice, or packed wrongly", 30, self._packed_wrongly),
            ]
        return found + ([Kind("headers twice, cut or not UTF-8", 60, self._headers)] if binary in self._modes else [])

    def sound(self, chance: random.Random) -> Thrown:
        """An event."""
        return self._event(chance, chance.choice(self._modes), attributes, sound=True)

    def _any(self, chance: random.Random) -> Thrown:
        return self._event(chance, chance.choice(self._modes), attributes)

    def _broken(self, chance: random.Random) -> Thrown:
        made = self._event(chance, chance.choice(self._modes), lambda chance, avro: broken(chance, attributes(chance, avro)), sound=True)
        return made._replace(ending=BROKEN)

    def _flipped(self, chance: random.Random) -> Thrown:
        made = self._any(chance)
        value = bytearray(made.value or b" ")
        value[chance.randrange(len(value))] ^= 1 << chance.randrange(8)
        return made._replace(value=bytes(value), ending=UNTOLD)

    def _mistyped(self, chance: random.Random) -> Thrown:
        odd, fine = chance.choice(((2**31, False), (1.5, False), ([], False), ({}, False), (True, True), (-7, True), (None, True)))
        made = self._event(chance, in_json, lambda chance, avro: attributes(chance, avro) | {"ext2": odd}, sound=True)
        return made if fine else made._replace(ending=BROKEN)

    def _packed_wrongly(self, chance: random.Random) -> Thrown:
        data = self._data(chance, sound=True)
        head = json.dumps(attributes(chance, data.avro)).encode()[:-1]
        tail = chance.choice(
            (b', "data": 1, "data_base64": "AA=="}', b', "data_base64": "*"}', b', "data_base64": 5}', b', "data_base64": "A"}')
        )
        return Thrown("", head + tail, BROKEN, STRUCTURED_JSON)

    def _headers(self, chance: random.Random) -> Thrown:
        made = self._event(chance, binary, attributes, sound=True)
        extra, reason = chance.choice(_HEADERS)
        return made._replace(headers=[*made.headers, *extra], ending=dead(reason))

    def _event(self, chance: random.Random, mode: Mode, given: Callable[[random.Random, bool], Attributes], sound: bool = False) -> Thrown:
        data = self._data(chance, sound)
        value, headers = mode(given(chance, data.avro), data)
        return Thrown("", value, _within(mode, value, data), headers)

    def _data(self, chance: random.Random, sound: bool) -> Data:
        avro = chance.random() < 0.5
        kinds = self._packed if avro else self._plain
        weights = [weight for weight, _ in kinds[:1] if sound] or [weight for weight, _ in kinds]
        value = chance.choices([make for _, make in kinds[: len(weights)]], weights)[0](chance)
        return Data(value, self._avro.judged(value) if avro else json_kinds.judged(value, self._avro.json_result), avro)


_HEADERS: Sequence[tuple[Headers, Reason]] = (
    ([("ce_id", b"x")], Reason.NOT_CLOUDEVENT),
    ([("ce_ext2", b"x"), ("ce_ext2", b"x")], Reason.NOT_CLOUDEVENT),
    ([("ce_ext2", None), ("ce_ext2", None)], Reason.NOT_CLOUDEVENT),
    ([("ce_ext2", b"\xff\xfe")], Reason.INVALID_UTF8),
    ([("ce_ext2", b"\xc0\x80")], Reason.INVALID_UTF8),
    ([("ce_ext2", b"a\0b")], Reason.NOT_CLOUDEVENT),
    ([("ce_Ext", b"x")], Reason.NOT_CLOUDEVENT),
    ([("ce_", b"x")], Reason.NOT_CLOUDEVENT),
)


def _within(mode: Mode, value: bytes, data: Data) -> Ending:
    """What becomes of data within an event: the whole has its limit, and JSON within JSON is read as one."""
    if len(value) > VALUE_BYTES:
        return dead(Reason.TOO_LARGE)
    if mode is not in_json or data.avro:
        return data.ending
    try:
        return ending(json_kinds.read(json_kinds.parsed(value)["data"]), json_result=True)
    except Wrong as wrong:
        return dead(wrong.reason)
