"""The encodings, each with what is thrown at it and the flow that reads it."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.codecs.encodings import Encoding
from schemas.contracts import Contract
from schemas.vocabulary import Reason
from tests.fuzz import json_kinds
from tests.fuzz.avro_kinds import Avro
from tests.fuzz.cloudevents_kinds import CloudEvents, binary, in_avro, in_json
from tests.fuzz.events import DONE, EVENT, EXACT, FOREIGN, OLDER, dead
from tests.fuzz.thrown import Kind, Thrown, around, odd_headers

IDS: Mapping[int, Any] = {1: EVENT, 2: OLDER, 3: FOREIGN, 4: DONE}
"""The registry's."""


@dataclass(frozen=True)
class Target:
    """One encoding of one contract, and what its results are written in."""

    name: str
    encoding: Encoding
    contract: str
    result: str
    kinds: list[Kind]
    avro: Avro | None = None  # of values that are Avro themselves

    @property
    def schema(self) -> Any:
        return EXACT if self.contract == "Exact" else EVENT


def _single(schema: Any) -> bytes:
    return b"\xc3\x01" + Contract.of(schema).fingerprint


def _confluent(number: int) -> bytes:
    return b"\0" + number.to_bytes(4, "big")


def _avro(json_result: bool) -> Avro:
    return Avro({_single(EVENT): EVENT, _single(OLDER): OLDER}, _single(FOREIGN), json_result)


def _plain(make: Callable[[random.Random], bytes], judged: Callable[[bytes], Any]) -> Callable[[random.Random], Thrown]:
    def thrown(chance: random.Random) -> Thrown:
        value = make(chance)
        return Thrown("", value, judged(value), [])

    return thrown


def _of_avro(avro: Avro) -> list[Kind]:
    made = [Kind(label, weight, _plain(make, avro.judged)) for label, (weight, make) in avro.kinds().items()]
    return [*made, *around(made[0].make), *odd_headers(made[0].make)]


def _of_json() -> list[Kind]:
    made = [Kind(label, weight, _plain(make, json_kinds.judged)) for label, (weight, make) in json_kinds.kinds().items()]
    deep = Kind("nested beyond measure", 4, _plain(json_kinds.too_deep, lambda value: dead(Reason.NOT_JSON)))
    return [*made, deep, *around(made[0].make), *odd_headers(made[0].make)]


def _of_events(events: CloudEvents, headers: bool) -> list[Kind]:
    return [*events.kinds(), *around(events.sound), *(odd_headers(events.sound) if headers else [])]


def targets() -> list[Target]:
    """All encodings that a flow may name; Avro also with a contract that only the reference reads."""
    single, exact = _avro(False), Avro({_single(EXACT): EXACT}, _single(FOREIGN), False)
    framed = Avro({_confluent(1): EVENT, _confluent(2): OLDER}, _confluent(3), False)
    json_ = _avro(True)
    return [
        Target("avro-single-object", "avro-single-object", "Event", "avro-single-object", _of_avro(single), single),
        Target("avro-reference", "avro-single-object", "Exact", "avro-single-object", _of_avro(exact), exact),
        Target("avro-confluent", "avro-confluent", "Event", "avro-confluent", _of_avro(framed), framed),
        Target("json", "json", "Event", "json", _of_json()),
        Target("cloudevents-json", "cloudevents-json", "Event", "cloudevents-json", _of_events(CloudEvents(json_, in_json), True)),
        Target("cloudevents-avro", "cloudevents-avro", "Event", "cloudevents-avro", _of_events(CloudEvents(_avro(False), in_avro), True)),
        Target("cloudevents", "cloudevents", "Event", "json", _of_events(CloudEvents(json_, binary, in_json, in_avro), False)),
    ]
