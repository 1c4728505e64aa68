"""Checks a flow's `input`: how events are decoded, and the columns that name and date them."""

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from processors.flow.plan import Plan, Site
from processors.flow.spec import Input, Limits
from processors.flow.words import FIRST, step_modules


def decode_plan(site: Site, told: Input, limits: Limits) -> Plan | None:
    """The plan of `decode`; None, and a mistake, where there is no such contract."""
    at = site.below("input")
    if at.contract(told.contract, "schema") is None:
        return None
    module: Any = step_modules()[FIRST]
    waits = bool(limits.retries) and site.page.data.get("order") != "key"  # else it would hold up all behind it
    said = told.model_dump(by_alias=True) | {"value_bytes": limits.value_bytes, "waits": waits}
    known = {info.alias or name for name, info in module.Spec.model_fields.items()}
    plan: Plan = module.plan(module.Spec.model_validate({word: value for word, value in said.items() if word in known}), at, {})
    _check_column(at, "id", told.id, plan.gives, _names_events, "text or a whole number")
    _check_column(at, "time", told.time, plan.gives, pa.types.is_timestamp, "a timestamp")
    return plan


def _check_column(
    at: Site, word: str, name: str | None, columns: Mapping[str, pa.DataType], fits: Callable[[pa.DataType], bool], wanted: str
) -> None:
    if name is None or not columns:
        return
    if name not in columns:
        at.mistake(word, f"the events have no field `{name}`", wrong_word=name, valid=columns)
    elif not fits(columns[name]):
        at.mistake(
            word, f"`{name}` is {columns[name]}, but {wanted} is needed here", valid=[name for name in columns if fits(columns[name])]
        )


def _names_events(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_integer(type_))
