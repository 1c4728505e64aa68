"""What was decided about an open review, by a person or by its deadline: `weft.Decision`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

from schemas.codecs.single_object import SingleObject
from schemas.contracts import built_in

_DECISION: Final = SingleObject(built_in()["weft.Decision"])


class Action(StrEnum):
    """What is to become of the event."""

    APPROVE = "approve"  # it goes on at the step after the one that asked
    REJECT = "reject"  # it ends in quarantine
    EXPIRE = "expire"  # nobody decided in time: it ends as a dead letter


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision; the first on the resume topic counts."""

    review: str  # ce_id of the review
    action: Action
    who: str
    why: str
    at_ms: int  # since 1970
    columns: Mapping[str, Any] = field(default_factory=dict)  # what the reviewer set, as JSON values


def encode(decision: Decision) -> bytes:
    """The record's value.

    Raises:
        ValueError: a field is of another type.
    """
    try:
        columns = orjson.dumps(dict(decision.columns)).decode()
    except TypeError as error:
        raise ValueError(f"the columns set are no JSON: {error}") from error
    return _DECISION.encode(asdict(decision) | {"action": decision.action.value, "columns": columns})


def decode(value: bytes) -> Decision:
    """Read a record's value.

    Raises:
        ValueError: it is no `weft.Decision`.
    """
    datum = _DECISION.decode(value)
    columns = orjson.loads(datum["columns"])
    if not isinstance(columns, dict):
        raise ValueError("the columns set are no JSON object")
    return Decision(**datum | {"action": Action(datum["action"]), "columns": columns})
