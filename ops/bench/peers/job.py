"""The job row by row, in plain Python: what the hand-written loop and all frameworks share, so that only the frameworks differ.

It is what the shipped flow departure-delays does: decode, filter, row rules, two lookups, two histograms, policy, logistic score, an Avro
result with the same headers and ids, an entry for the audit with two SHA-256. The policy is written out in Python, which costs less than
an engine for CEL: that favours whoever uses it.
"""

import argparse
import hashlib
import io
import json
import math
import re
import struct
import time
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import orjson

MODEL = "arrival-delay-lite@1.0.0"
WEIGHTS = (0.09, -0.0002, -3.4)  # of the delay, of the distance, and the bias
EDGES = {"dep_delay": (-10.0, -5.0, 0.0, 5.0, 15.0, 30.0, 60.0, 120.0), "distance": (200.0, 400.0, 800.0, 1200.0, 1600.0, 2400.0)}
AUDIT_ROWS = 2_500  # entries in one record at most, for those who write them in blocks
NOTIFY = 0.8

FLIGHT_ID = r"[A-Z0-9]{2}-[0-9]{1,4}-[A-Z]{3}-[0-9]{8}T[0-9]{4}"
CARRIER, DEST, TAIL = r"[A-Z0-9]{2}", r"[A-Z]{3}", r"[A-Z0-9]{3,6}"
HOUR = r"20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:00:00Z"
ORIGINS = ("EWR", "JFK", "LGA")
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

_flight_id, _carrier, _dest, _tail, _hour = (re.compile(pattern).fullmatch for pattern in (FLIGHT_ID, CARRIER, DEST, TAIL, HOUR))

Row = dict[str, Any]
Found = Mapping[str, Any]
Headers = list[tuple[str, Any]]


class Done(NamedTuple):
    """What became of one event. `value` is empty where nothing is written: the verdict is then `filtered`."""

    verdict: str
    value: bytes
    headers: Headers
    entry: list[Any]


def broken_rule(row: Row) -> str | None:
    """The first row rule that the row breaks."""
    checks = (
        ("flight-id", _flight_id(row["flight_id"])),
        ("carrier", _carrier(row["carrier"])),
        ("flight-number", 1 <= row["flight"] <= 9999),
        ("origin", row["origin"] in ORIGINS),
        ("destination", _dest(row["dest"])),
        ("tail-number", row["tailnum"] is None or _tail(row["tailnum"])),
        ("scheduled", FIRST <= row["scheduled_at"] < LAST),
        ("time-hour", _hour(row["time_hour"])),
        ("delay-known", row["dep_delay"] is not None),
        ("delay-possible", row["dep_delay"] is not None and -120 <= row["dep_delay"] <= 2000),
        ("distance", 1 <= row["distance"] <= 12000),
    )
    return next((name for name, holds in checks if not holds), None)


def policy(row: Row, plane: Found | None) -> tuple[str, str | None]:
    """(verdict, rule) of the policy."""
    if row["origin"] == row["dest"]:
        return "quarantine", "round-trip"
    if row["distance"] < 50.0:
        return "filtered", "ferry"
    if row["dep_delay"] > 600.0:
        return "review", "extreme-delay"
    return "result", "private-plane" if plane is not None and plane["seats"] < 10 else None


def keys(row: Row) -> tuple[str, str]:
    """Of the plane, and of the weather, in Redis."""
    return f"plane:{row['tailnum']}", f"weather:{row['origin']}:{row['time_hour']}"


def found(wanted: Iterable[str], values: Iterable[Any]) -> dict[str, Any]:
    """What Redis answered to a mget, by key."""
    return {key: orjson.loads(value) for key, value in zip(wanted, values, strict=True) if value is not None}


class Kept:
    """What Redis answered, by key (None: it has nothing), for five minutes at most: for those who would ask once an event."""

    def __init__(self, entries: int = 20_000, fresh_s: float = 300.0) -> None:
        self.known: dict[str, Any] = {}
        self._entries, self._fresh_s = entries, fresh_s
        self._ends_s = time.monotonic() + fresh_s

    def missing(self, wanted: Sequence[str]) -> list[str]:
        """Those that must be asked for."""
        if len(self.known) > self._entries or time.monotonic() > self._ends_s:
            self.known.clear()
            self._ends_s = time.monotonic() + self._fresh_s
        return [key for key in wanted if key not in self.known]

    def put(self, asked: Sequence[str], values: Iterable[Any]) -> None:
        """Keep the answers."""
        self.known.update(zip(asked, (None if value is None else orjson.loads(value) for value in values), strict=True))


_length = struct.Struct(">I").pack


def part(text: bytes) -> bytes:
    """A text after its length, as it goes into an id."""
    return _length(len(text)) + text


class Frame:
    """The schemas of both sides, and what stands before a datum: marker and fingerprint of the single-object encoding."""

    def __init__(self, schemas: Path) -> None:
        self.event, self.event_prefix = self._read(schemas / "flights.Departure.avsc")
        self.result, self.result_prefix = self._read(schemas / "flights.DelayDecision.avsc")

    @staticmethod
    def _read(file: Path) -> tuple[Any, bytes]:
        parsed = fastavro.parse_schema(json.loads(file.read_text()))
        canonical = fastavro.schema.to_parsing_canonical_form(parsed)
        return parsed, b"\xc3\x01" + bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))

    def decode(self, value: bytes | None) -> Row | None:
        """The row; None for what is no datum of the schema, and nothing else."""
        if value is None or not value.startswith(self.event_prefix):
            return None
        buffer = io.BytesIO(value)
        buffer.seek(10)
        try:
            row: Any = fastavro.schemaless_reader(buffer, self.event, None)
        except Exception:  # fastavro has many ways to say so
            return None
        return row if buffer.tell() == len(value) and -(2**31) <= row["flight"] < 2**31 else None


class Stamps:
    """Headers and ids, as Weft writes them."""

    def __init__(self, flow: str, topic: str) -> None:
        self._constant: Headers = [
            ("ce_specversion", b"1.0"), ("ce_type", b"flights.DelayDecision"), ("ce_source", f"/weft/{flow}".encode()),
            ("ce_weftflow", f"{flow}@1.0.0".encode()), ("content-type", b"application/avro"),
        ]  # fmt: skip
        self._result: Headers = [*self._constant, ("ce_weftverdict", b"result")]
        start = hashlib.blake2b(part(flow.encode()), digest_size=16)
        self._id_start, self._id_end = start.copy, part(b"0") + part(b"0") + part(b"result")
        self._key_start, self._key_end = hashlib.blake2b(part(topic.encode()), digest_size=16).copy, part(flow.encode())

    def result(self, position: str, event_id: str, moment: str) -> Headers:
        """Of a result."""
        own, key = self._id_start(), self._key_start()
        at, ident = position.encode(), event_id.encode()
        own.update(_length(len(at)) + at + self._id_end)
        key.update(_length(len(ident)) + ident + self._key_end)
        return [
            *self._result, ("ce_id", own.hexdigest()), ("ce_causationid", ident), ("ce_weftposition", at),
            ("ce_weftkey", key.hexdigest()), ("ce_time", moment),
        ]  # fmt: skip

    def other(self, position: str, verdict: str) -> Headers:
        """Of a dead letter, a review, or what goes into quarantine: it is the event as it came."""
        return [*self._constant, ("ce_weftverdict", verdict), ("ce_weftposition", position)]


class Job:
    """One process's: the schemas, and the state of the histograms."""

    def __init__(self, schemas: Path, flow: str, topic: str) -> None:
        self.frame = Frame(schemas)
        self._stamps = Stamps(flow, topic)
        self.histograms = {name: [0] * (len(edges) + 1) for name, edges in EDGES.items()}

    def one(self, position: str, value: bytes | None, row: Row | None, known: Found) -> Done:
        """One event at `topic/partition/offset`; `known`: what Redis has of its keys, perhaps of others too."""
        raw, output, headers = value or b"", b"", []
        verdict, rule, event_id, score = "filtered" if value is None else "dead-letter", None, position, None
        if row is not None:
            plane, weather = keys(row)
            row["weather"] = known.get(weather)
            event_id = row["flight_id"]
            verdict, rule, score = self._judged(row, known.get(plane))
        if verdict == "result" and row is not None:
            output = self._encoded(row, score, rule)
            headers = self._stamps.result(position, event_id, row["scheduled_at"].isoformat(timespec="milliseconds"))
        elif verdict != "filtered":
            headers = self._stamps.other(position, verdict)
        digests = hashlib.sha256(raw).hexdigest(), hashlib.sha256(output).hexdigest()
        written = output or (raw if verdict != "filtered" else b"")
        return Done(verdict, written, headers, [position, event_id, verdict, rule, MODEL, *digests, score])

    def _judged(self, row: Row, plane: Found | None) -> tuple[str, str | None, float | None]:
        if row["departed_at"] is None:
            return "filtered", "cancelled", None
        broken = broken_rule(row)
        if broken is not None:
            return "dead-letter", broken, None
        for name, edges in EDGES.items():
            self.histograms[name][bisect_right(edges, row[name])] += 1
        verdict, rule = policy(row, plane)
        delay, distance, bias = WEIGHTS
        return verdict, rule, 1.0 / (1.0 + math.exp(-(delay * row["dep_delay"] + distance * row["distance"] + bias)))

    def _encoded(self, row: Row, score: float | None, rule: str | None) -> bytes:
        buffer = io.BytesIO()
        buffer.write(self.frame.result_prefix)
        decision = "notify" if (score or 0.0) > NOTIFY else "ignore"
        fields = {"score": score, "decision": decision, "model": MODEL, "degraded": False, "rule": rule}
        fastavro.schemaless_writer(buffer, self.frame.result, row | fields)
        return buffer.getvalue()


def asked() -> argparse.Namespace:
    """What every contender is told: where everything is, and what it shall be called."""
    parser = argparse.ArgumentParser()
    for name in ("--bootstrap", "--redis", "--topic", "--group"):
        parser.add_argument(name, required=True)
    parser.add_argument("--schemas", required=True, type=Path, help="the folder of the Avro schemas")
    parser.add_argument("--folder", required=True, type=Path, help="a folder of its own, that outlives it")
    parser.add_argument("--slot", type=int, default=0, help="which of the group's processes it is")
    parser.add_argument("--wait-s", type=float, default=0.1, help="for a whole batch, if it is a loop; 0: what is there")
    parser.add_argument("--way", default="", help="which of the ways of this file")
    return parser.parse_args()


def topics(group: str) -> tuple[str, str, str]:
    """What it writes to: results, all other outcomes, the audit."""
    return f"out.{group}", f"{group}.other", f"{group}.audit"
