"""What a worker says of itself at /flows, as far as others rely on it: strictly of these types, for another program may have its port."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0, lt=2**63)]


class _Told(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _Flight(_Told):
    batches: Count = 0
    bytes: Count = 0


class _Lane(_Told):
    sources: dict[str, int] = {}
    in_flight: _Flight = _Flight()
    waiting_for: dict[str, str] = {}
    verdicts: dict[str, Count] = {}
    idle: bool = False


class _Pause(_Told):
    why: str = ""


class _Status(_Told):
    flow: str
    slot: Count
    pid: Count
    memory_bytes: Count = 0
    reasons: list[str]
    lane: _Lane | None = None
    paused: _Pause | None = None
    last_failure: str = ""
    breakers: dict[str, str] = {}


def read(answer: bytes) -> Mapping[str, Any]:
    """The status in an answer.

    Raises:
        ValueError: it is none.
    """
    return _Status.model_validate_json(answer).model_dump()
