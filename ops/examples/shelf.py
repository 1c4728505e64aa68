"""The examples by the contract of their events: what `weft produce` sends where no file is named."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

import pyarrow as pa

from ops.examples import flights, loans
from ops.examples.records import Kind


class Example(NamedTuple):
    """One set of real events, and what their flow looks up."""

    kind: Kind
    rows: Callable[[], pa.Table]
    lookups: Callable[[], Iterator[tuple[str, bytes]]]
    looked_up: str  # what the lookups are, for a person


SHELF: Final[Mapping[str, Example]] = {
    flights.CONTRACT: Example(flights.KIND, flights.departures, flights.lookups, "planes and hours of weather"),
    loans.CONTRACT: Example(loans.KIND, loans.applications, loans.lookups, "accounts"),
}
