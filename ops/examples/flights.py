"""Every 2013 departure from New York as events of `flights.Departure`, and the planes and the weather that they are enriched with."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ops.examples.records import Kind
from serving.training.flights import tables

CONTRACT: Final = "flights.Departure"
SOURCE: Final = "/nycflights13"
KIND: Final = Kind(CONTRACT, SOURCE, "flight_id", "scheduled_at", lambda rows: pc.fill_null(rows["tailnum"], rows["flight_id"]))
"""The key is the tail number: each aeroplane's flights stay in order."""

events = KIND.records
heads = KIND.heads

_PLANE: Final = ("year", "seats", "engines")
_WEATHER: Final = ("temp", "wind_speed", "precip", "visib")


def departures() -> pa.Table:
    """All 336,776 departures by scheduled time, cancelled ones too (departed_at is null); columns of `flights.Departure`.

    Raises:
        FailedError: the package with the data is not installed.
    """
    flights = tables().flights
    hour = pc.strptime(flights["time_hour"], "%Y-%m-%dT%H:%M:%SZ", "ms")  # UTC
    scheduled = pc.add(hour.cast(pa.int64()), pc.multiply(flights["minute"], 60_000))
    departed = pc.add(scheduled, pc.multiply(flights["dep_delay"], 60_000))
    moment = pa.timestamp("ms", "UTC")
    found = pa.table(
        {
            "flight_id": _ids(flights),
            "scheduled_at": scheduled.cast(moment),
            "departed_at": departed.cast(moment),
            "dep_delay": flights["dep_delay"].cast(pa.float64()),
            "carrier": flights["carrier"],
            "flight": flights["flight"].cast(pa.int32()),
            "tailnum": flights["tailnum"],
            "origin": flights["origin"],
            "dest": flights["dest"],
            "distance": flights["distance"].cast(pa.float64()),
            "time_hour": flights["time_hour"],
        }
    )
    order = np.argsort(np.asarray(scheduled), kind="stable")
    return found.take(pa.array(order)).combine_chunks()


def lookups() -> Iterator[tuple[str, bytes]]:
    """What the flow looks up: 3,322 planes by tail number and 26,115 hours of weather, as JSON."""
    found = tables()
    for plane in found.planes.select(["tailnum", *_PLANE]).to_pylist():
        yield f"plane:{plane.pop('tailnum')}", orjson.dumps(plane)
    for hour in found.weather.select(["origin", "time_hour", *_WEATHER]).to_pylist():
        yield f"weather:{hour.pop('origin')}:{hour.pop('time_hour')}", orjson.dumps(hour)


def _ids(flights: pa.Table) -> Any:
    """Carrier, flight number, origin and scheduled local time: unique over the year."""

    def padded(name: str, width: int) -> Any:
        return pc.utf8_lpad(flights[name].cast(pa.string()), width, "0")

    day = pc.binary_join_element_wise(padded("year", 4), padded("month", 2), padded("day", 2), "")
    time = pc.binary_join_element_wise(day, padded("sched_dep_time", 4), "T")
    return pc.binary_join_element_wise(flights["carrier"], flights["flight"].cast(pa.string()), flights["origin"], time, "-")
