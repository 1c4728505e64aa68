"""Statlog German Credit, as the columns of the flow `loan-decisions`: what an application says, and what the bank's books say."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from schemas.errors import FailedError

SOURCE: Final = "Statlog (German Credit Data), Hans Hofmann, 1994, UCI Machine Learning Repository, CC BY 4.0"
FILE: Final = Path(__file__).with_name("data") / "german_credit.csv"

_HELD_OUT: Final = (2, 5, 8)  # of every ten rows
_NONE: Final = None
# What the categories are as numbers: the lower end of a span, or a place in an order.
_NUMBERS: Final[dict[str, dict[str, int | None]]] = {
    "status_of_existing_checking_account": {
        "no checking account": _NONE,
        "... < 0 DM": -1,
        "0 <= ... < 200 DM": 0,
        "... >= 200 DM / salary assignments for at least 1 year": 200,
    },
    "savings_account_and_bonds": {
        "unknown/ no savings account": _NONE,
        "... < 100 DM": 0,
        "100 <= ... < 500 DM": 100,
        "500 <= ... < 1000 DM": 500,
        "... >= 1000 DM": 1_000,
    },
    "credit_history": {
        "no credits taken/ all credits paid back duly": 0,
        "all credits at this bank paid back duly": 1,
        "existing credits paid back duly till now": 2,
        "delay in paying off in the past": 3,
        "critical account/ other credits existing (not at this bank)": 4,
    },
    "present_employment_since": {
        "unemployed": _NONE,
        "... < 1 year": 0,
        "1 <= ... < 4 years": 1,
        "4 <= ... < 7 years": 4,
        "... >= 7 years": 7,
    },
    "property": {
        "unknown / no property": 0,
        "car or other, not in attribute Savings account/bonds": 1,
        "building society savings agreement/ life insurance": 2,
        "real estate": 3,
    },
}
_WORDS: Final = {"car (new)": "new-car", "car (used)": "used-car", "furniture/equipment": "furniture", "radio/television": "television",
                 "domestic appliances": "appliances", "for free": "free"}  # fmt: skip


def read() -> pa.Table:
    """All 1,000 applications in the order of the source.

    Columns: those of `loans.Application` but for ids and times, those of `loans.Account` as `account_<field>`, and `bad` (0 or 1).

    Raises:
        FailedError: the file with the data is not there.
    """
    try:
        found = csv.read_csv(FILE)
    except OSError as error:
        raise FailedError(f"{FILE} can't be read", "It is a part of Weft: install it again.") from error
    whole = {
        "amount": found["credit_amount"],
        "duration_months": found["duration_in_month"],
        "instalment_rate": found["installment_rate_in_percentage_of_disposable_income"],
        "employed_years": _number(found, "present_employment_since"),
        "collateral": _number(found, "property"),
        "guarantors": pc.equal(found["other_debtors_or_guarantors"], "guarantor"),
        "other_plans": pc.not_equal(found["other_installment_plans"], "none"),
        "credits": found["number_of_existing_credits_at_this_bank"],
        "age": found["age_in_years"],
        "account_checking_from": _number(found, "status_of_existing_checking_account"),
        "account_savings_from": _number(found, "savings_account_and_bonds"),
        "account_history": _number(found, "credit_history"),
        "account_credits": found["number_of_existing_credits_at_this_bank"],
        "bad": pc.equal(found["creditability"], "bad"),
    }
    female = pc.match_substring(found["personal_status_and_sex"], "female")
    words = {
        "purpose": _word(found["purpose"]),
        "housing": _word(found["housing"]),
        "sex": pc.if_else(female, "female", "male"),
    }
    return pa.table({name: column.cast(pa.int32()) for name, column in whole.items()} | words).combine_chunks()


def held_out(rows: int) -> npt.NDArray[np.bool_]:
    """Which rows no model learns from: three of every ten."""
    return np.isin(np.arange(rows) % 10, _HELD_OUT)


def _number(found: pa.Table, name: str) -> pa.ChunkedArray:
    numbers = _NUMBERS[name]
    places = pc.index_in(found[name], pa.array(list(numbers)))
    return pa.chunked_array([pa.array(list(numbers.values()), pa.int32()).take(places.combine_chunks())])


def _word(column: pa.ChunkedArray) -> pa.ChunkedArray:
    for old, new in _WORDS.items():
        column = pc.if_else(pc.equal(column, old), new, column)
    return column
