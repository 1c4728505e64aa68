"""The job on whole columns, as an expert writes it with pyruhvro, Arrow and NumPy: what the columnar loop does to a batch.

It looks at what it decoded as closely as fastavro does: what is written again must be the same bytes, texts UTF-8 and moments moments; else
fastavro is asked which rows are bad.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyruhvro import deserialize_array, serialize_record_batch

from ops.bench.peers import job
from ops.bench.peers.job import EDGES, Done, Frame, Kept, Stamps

Values = Sequence[bytes | None]
Get = Callable[[list[str]], Sequence[Any]]
Mask = Any  # of one truth a row

PLANE, WEATHER = ("year", "seats", "engines"), ("temp", "wind_speed", "precip", "visib")
_MOMENTS_MS = (-62_135_596_800_000, 253_402_300_800_000)  # what datetime, and so fastavro, can say: years 1 to 9999
_CENTURY_MS = tuple(round(moment.timestamp() * 1000) for moment in (job.FIRST, job.LAST))
_POLICY = ("quarantine", "round-trip"), ("filtered", "ferry"), ("review", "extreme-delay")


class Judged(NamedTuple):
    """One of each a row."""

    verdicts: Any
    rules: Any
    scores: Any


class Lookups:
    """What Redis has, of distinct keys, behind a cache."""

    def __init__(self, get: Get, fields: Sequence[str]) -> None:
        self._get, self._fields, self._kept = get, fields, Kept()

    def columns(self, keys: Any) -> pa.RecordBatch:
        """The fields of each row's key; null where there is none."""
        encoded = keys.dictionary_encode()
        wanted = encoded.dictionary.to_pylist()
        if missing := self._kept.missing(wanted):
            self._kept.put(missing, self._get(missing))
        objects = [self._kept.known[key] for key in wanted]
        distinct = [pa.array([None if one is None else one[name] for one in objects]) for name in self._fields]
        return pa.RecordBatch.from_arrays([column.take(encoded.indices) for column in distinct], names=list(self._fields))


class Columns:
    """One process's: the schemas, the lookups, and the state of the histograms."""

    def __init__(self, schemas: Path, flow: str, topic: str, get: Get) -> None:
        self._frame = Frame(schemas)
        self._event = json.dumps(json.loads((schemas / "flights.Departure.avsc").read_text()))
        self._result = json.dumps(json.loads((schemas / "flights.DelayDecision.avsc").read_text()))
        self._stamps = Stamps(flow, topic)
        self._planes, self._weather = Lookups(get, PLANE), Lookups(get, WEATHER)
        self.histograms = {name: np.zeros(len(edges) + 1, dtype=np.int64) for name, edges in EDGES.items()}

    def work(self, values: Values, positions: Sequence[str]) -> list[Done]:
        """What became of each event."""
        rows, good = self._decoded(values)
        if len(good) == len(values):
            return self._done(rows, values, positions)
        made = iter(self._done(rows, [values[at] for at in good], [positions[at] for at in good]) if good else ())
        fine = set(good)
        return [next(made) if at in fine else self._unreadable(positions[at], value) for at, value in enumerate(values)]

    def _done(self, rows: Any, values: Values, positions: Sequence[str]) -> list[Done]:
        """What became of each row."""
        judged = self._judged(rows, self._enriched(rows))
        outputs = self._encoded(rows, judged)
        ids, times = rows["flight_id"].to_pylist(), self._times(rows["scheduled_at"])
        columns = zip(values, positions, ids, judged.verdicts, judged.rules, judged.scores.tolist(), outputs, times, strict=True)
        result, other, made = self._stamps.result, self._stamps.other, []
        for value, position, ident, verdict, rule, score, output, moment in columns:
            raw = value or b""
            entry = [position, ident, verdict, rule, job.MODEL, _sha256(raw), _sha256(output), None if score != score else score]
            if output:
                made.append(Done(verdict, output, result(position, ident, moment), entry))
            else:
                filtered = verdict == "filtered"
                made.append(Done(verdict, b"" if filtered else raw, [] if filtered else other(position, verdict), entry))
        return made

    def _unreadable(self, position: str, value: bytes | None) -> Done:
        verdict = "filtered" if value is None else "dead-letter"
        entry = [position, position, verdict, None, job.MODEL, _sha256(value or b""), _sha256(b""), None]
        return Done(verdict, value or b"", [] if value is None else self._stamps.other(position, verdict), entry)

    def _decoded(self, values: Values) -> tuple[Any, list[int]]:
        """The columns of the rows that are data of the schema, and which rows those are."""
        prefix, cut = self._frame.event_prefix, len(self._frame.event_prefix)
        good = [at for at, value in enumerate(values) if value is not None and value.startswith(prefix)]
        rows = self._whole([(values[at] or b"")[cut:] for at in good])
        if rows is None:
            data = {at: row for at in good if (row := self._frame.decode(values[at])) is not None}
            good = list(data)
            rows = self._whole([(values[at] or b"")[cut:] for at in good])
            if rows is None:  # good, but written unusually
                rows = pa.RecordBatch.from_pylist(list(data.values()), deserialize_array([], self._event).schema)
        return rows, good

    def _whole(self, data: list[bytes]) -> Any:
        """Their columns; None if one of them is not plainly good."""
        try:
            rows = deserialize_array(data, self._event)
            rows.validate(full=True)  # texts are UTF-8
            again = serialize_record_batch(rows, self._event, 1)[0] if data else pa.array([], pa.binary())
        except ValueError:
            return None
        moments = (column for name in ("scheduled_at", "departed_at") if len(column := rows[name].drop_null().cast(pa.int64())))
        fit = all(_MOMENTS_MS[0] <= pc.min(column).as_py() and pc.max(column).as_py() < _MOMENTS_MS[1] for column in moments)
        return rows if fit and again.equals(pa.array(data, again.type)) else None

    def _enriched(self, rows: Any) -> Any:
        """Seats of each row's plane; the other fields of both lookups are made too, as the row-wise loop does."""
        planes = self._planes.columns(pc.binary_join_element_wise("plane:", rows["tailnum"].fill_null("None"), ""))
        self._weather.columns(pc.binary_join_element_wise("weather", rows["origin"], rows["time_hour"], ":"))
        return planes["seats"]

    def _judged(self, rows: Any, seats: Any) -> Judged:
        count = rows.num_rows
        verdicts, rules = np.full(count, "result", dtype=object), np.full(count, None, dtype=object)
        clean = ~_mask(rows["departed_at"].is_null())
        verdicts[~clean], rules[~clean] = "filtered", "cancelled"
        for name, holds in _checks(rows):
            broken = clean & ~holds
            verdicts[broken], rules[broken] = "dead-letter", name
            clean &= holds
        delay = np.asarray(rows["dep_delay"].fill_null(np.nan))
        distance = np.asarray(rows["distance"])
        for name, column in (("dep_delay", delay), ("distance", distance)):
            edges = np.asarray(EDGES[name])
            self.histograms[name] += np.bincount(np.searchsorted(edges, column[clean], side="right"), minlength=len(edges) + 1)
        said = _mask(pc.equal(rows["origin"], rows["dest"])), distance < 50.0, delay > 600.0
        scores = np.where(clean, _score(delay, distance), np.nan)
        for hit, (verdict, rule) in zip(said, _POLICY, strict=True):
            here = hit & clean
            verdicts[here], rules[here] = verdict, rule
            clean &= ~hit
        rules[clean & _mask(pc.less(seats, 10).fill_null(False))] = "private-plane"
        return Judged(verdicts, rules, scores)

    def _encoded(self, rows: Any, judged: Judged) -> list[bytes]:
        """The record of each row that is a result; nothing for the others."""
        at = np.flatnonzero(judged.verdicts == "result")
        outputs = [b""] * rows.num_rows
        if not len(at):
            return outputs
        taken = rows.take(pa.array(at)) if len(at) < rows.num_rows else rows
        scores = judged.scores[at]
        names = ["flight_id", "scheduled_at", "carrier", "flight", "origin", "dest", "dep_delay"]
        made = {
            "score": pa.array(scores),
            "decision": pc.if_else(pa.array(scores > job.NOTIFY), "notify", "ignore"),
            "model": pa.repeat(job.MODEL, len(at)),
            "degraded": pa.repeat(False, len(at)),
            "rule": pa.array(judged.rules[at], pa.string()),
        }
        batch = pa.RecordBatch.from_arrays([*(taken[name] for name in names), *made.values()], [*names, *made])
        prefix = self._frame.result_prefix
        for row, datum in zip(at.tolist(), serialize_record_batch(batch, self._result, 1)[0].to_pylist(), strict=True):
            outputs[row] = prefix + datum
        return outputs

    @staticmethod
    def _times(moments: Any) -> list[str]:
        texts = pc.replace_substring(moments.cast(pa.timestamp("ms")).cast(pa.string()), " ", "T")
        made: list[str] = pc.binary_join_element_wise(texts, "+00:00", "").to_pylist()
        return made


def _checks(rows: Any) -> list[tuple[str, Mask]]:
    """The row rules by name, in their order."""
    scheduled = np.asarray(rows["scheduled_at"].cast(pa.int64()))
    delay = np.asarray(rows["dep_delay"].fill_null(np.nan))
    flight, distance = np.asarray(rows["flight"]), np.asarray(rows["distance"])
    return [
        ("flight-id", _matches(rows["flight_id"], job.FLIGHT_ID)),
        ("carrier", _matches(rows["carrier"], job.CARRIER)),
        ("flight-number", (flight >= 1) & (flight <= 9999)),
        ("origin", _mask(pc.is_in(rows["origin"], pa.array(job.ORIGINS)))),
        ("destination", _matches(rows["dest"], job.DEST)),
        ("tail-number", _matches(rows["tailnum"], job.TAIL)),
        ("scheduled", (scheduled >= _CENTURY_MS[0]) & (scheduled < _CENTURY_MS[1])),
        ("time-hour", _matches(rows["time_hour"], job.HOUR)),
        ("delay-known", _mask(rows["dep_delay"].is_valid())),
        ("delay-possible", (delay >= -120) & (delay <= 2000)),
        ("distance", (distance >= 1) & (distance <= 12000)),
    ]


def _matches(column: Any, pattern: str) -> Mask:
    """Whether the whole text fits; what is null does."""
    return _mask(pc.match_substring_regex(column, f"^(?:{pattern})$").fill_null(True))


def _score(delay: Any, distance: Any) -> Any:
    by_delay, by_distance, bias = job.WEIGHTS
    with np.errstate(over="ignore", invalid="ignore"):
        return 1.0 / (1.0 + np.exp(-(by_delay * delay + by_distance * distance + bias)))


def _mask(column: Any) -> Mask:
    return column.to_numpy(zero_copy_only=False)


def _sha256(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()
