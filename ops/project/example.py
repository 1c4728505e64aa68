"""The CSV file of a project that is made without one: some of the departures from New York in 2013, and whether they arrived late.

python -m ops.project.example flights.csv
"""

import csv
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from serving.training.flights import LATE_MIN, tables

TARGET = "late"
ROWS = 4_000
_HEADER = ("flight_id", "scheduled_at", "carrier", "origin", "dest", "distance", "dep_delay", TARGET)


def write_example(file: Path) -> None:
    """Write it: evenly spread over the year, only flights that departed and arrived.

    Raises:
        FailedError: the package with the data is not installed.
    """
    flights = tables().flights
    flights = flights.filter(pc.and_(pc.is_valid(flights["dep_delay"]), pc.is_valid(flights["arr_delay"])))
    rows = np.linspace(0, len(flights) - 1, ROWS).astype(np.int64)
    found = {_line(flight)[0]: _line(flight) for flight in flights.take(rows).to_pylist()}
    with file.open("w", encoding="utf-8", newline="") as out:
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(_HEADER)
        lines.writerows(found.values())


def _line(flight: Mapping[str, Any]) -> tuple[Any, ...]:
    day = f"{flight['year']}{flight['month']:02}{flight['day']:02}"
    own = f"{flight['carrier']}-{flight['flight']}-{flight['origin']}-{day}T{flight['sched_dep_time']:04}"
    scheduled = f"{flight['time_hour'][:14]}{flight['minute']:02}:00Z"
    late = "yes" if flight["arr_delay"] > LATE_MIN else "no"
    return own, scheduled, flight["carrier"], flight["origin"], flight["dest"], flight["distance"], flight["dep_delay"], late


if __name__ == "__main__":
    write_example(Path(sys.argv[1]))
