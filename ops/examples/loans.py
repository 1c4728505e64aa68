"""The 300 applications of Statlog German Credit that no model learnt from, as events of `loans.Application`, and the bank's books."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ops.examples.records import Kind
from serving.training import loans

CONTRACT: Final = "loans.Application"
KIND: Final = Kind(CONTRACT, "/statlog-german-credit", "application_id", "applied_at", lambda rows: rows["application_id"])

events = KIND.records

_FIRST: Final = np.datetime64("2026-01-05T08:00:00", "ms")
_APART: Final = np.timedelta64(10, "m")
_FORM: Final = (
    "purpose", "amount", "duration_months", "instalment_rate", "employed_years", "housing", "collateral", "guarantors", "other_plans",
    "credits", "age", "sex",
)  # fmt: skip
_BOOKS: Final = ("checking_from", "savings_from", "history", "credits")


def applications() -> pa.Table:
    """In the order of the source; columns of `loans.Application`.

    Ids and times are made, since the data have none: `LA-0003` is the third row of the file. So is `wants_person`: false.

    Raises:
        FailedError: the file with the data is not there.
    """
    found = loans.read()
    number = np.arange(len(found))
    count = pc.utf8_lpad(pa.array(number + 1).cast(pa.string()), 4, "0")
    made = {
        "application_id": pc.binary_join_element_wise("LA", count, "-"),
        "applied_at": pa.array(_FIRST + number * _APART).cast(pa.timestamp("ms", "UTC")),
        "applicant_id": _applicants(len(found)),
        "wants_person": pa.repeat(False, len(found)),
    }
    whole = pa.table(made | {name: found[name] for name in _FORM})
    return whole.filter(pa.array(loans.held_out(len(whole)))).combine_chunks()


def lookups() -> Iterator[tuple[str, bytes]]:
    """What the bank's books say of all 1,000 applicants, as JSON."""
    found = loans.read()
    books = pa.table({name: found[f"account_{name}"] for name in _BOOKS})
    for applicant, account in zip(_applicants(len(found)).to_pylist(), books.to_pylist(), strict=True):
        yield f"account:{applicant}", orjson.dumps(account)


def _applicants(count: int) -> pa.Array:
    return pa.array([f"C{10_001 + row}" for row in range(count)])
