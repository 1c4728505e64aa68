"""The checker finds what it is there for, and knows nothing of Weft."""

import io
import subprocess
import sys

import fastavro
import pytest
from confluent_kafka import Message

from tests.chaos.checker import Found, Place, in_order, once
from tests.integration.outcomes_by_hand import DEPARTURE

WEFT = ("connectors", "ops", "processors", "schemas", "serving", "streams")
Events = dict[Place, Message]


def departure(distance: float = 1400.0) -> bytes:
    fields = {"flight_id": "UA-1", "scheduled_at": 0, "departed_at": 0, "dep_delay": 5.0, "carrier": "UA", "flight": 1, "tailnum": "N1"}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, DEPARTURE, {**fields, "origin": "EWR", "dest": "IAH", "distance": distance, "time_hour": ""})
    return bytes(10) + out.getvalue()


def events(*values: bytes) -> Events:
    return {("in", 0, at): Message("in", 0, at, b"key", value) for at, value in enumerate(values)}


def outcome(event: int, at: int, key: bytes = b"key", partition: int = 0) -> Message:
    return Message("out", 0, at, key, b"value", [("ce_weftposition", f"in/{partition}/{event}".encode())])


def found(inputs: Events, *results: Message) -> Found:
    made = Found(len(inputs))
    once(made, inputs, {"result": results, "dead-letter": []})
    return made


def test_one_outcome_for_each_and_none_for_a_ferry_is_what_is_promised() -> None:
    judged = found(events(departure(), departure(), departure(17.0)), outcome(0, 0), outcome(1, 1))
    assert judged.holds
    assert judged.outcomes == {"result": 2, "dead-letter": 0, "filtered": 1}


@pytest.mark.parametrize(
    ("results", "law"),
    [
        ([outcome(0, 0)], "lost"),
        ([outcome(0, 0), outcome(1, 1), outcome(1, 2)], "twice"),
        ([outcome(0, 0), outcome(1, 1), outcome(2, 2)], "twice"),  # a ferry, which has none
        ([outcome(0, 0), outcome(1, 1), outcome(9, 2)], "invented"),
        ([outcome(0, 0), outcome(1, 1), outcome(0, 2, partition=3)], "invented"),
    ],
)
def test_what_is_lost_twice_or_invented_is_found(results: list[Message], law: str) -> None:
    judged = found(events(departure(), departure(), departure(17.0)), *results)
    assert not judged.holds
    assert list(judged.wrong) == [law]


def test_an_outcome_before_the_one_of_an_earlier_event_of_its_key_is_found() -> None:
    judged = Found(3)
    in_order(judged, [outcome(0, 0), outcome(2, 1, b"other"), outcome(1, 2)], [])
    assert judged.holds
    in_order(judged, [outcome(1, 0), outcome(0, 1)], [])
    assert list(judged.wrong) == ["out of order"]


def test_who_waited_for_a_person_has_left_the_order_of_its_key() -> None:
    judged = Found(2)
    in_order(judged, [outcome(1, 0), outcome(0, 1)], [{"root": ["in", 0, 0], "pass": 1}])
    assert judged.holds


def test_nothing_of_weft_is_loaded_with_the_checker() -> None:
    script = "import sys, tests.chaos.checker; print([name for name in sys.modules if name.partition('.')[0] in sys.argv[1:]])"
    done = subprocess.run([sys.executable, "-c", script, *WEFT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
