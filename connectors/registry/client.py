"""A schema registry by URL: the REST API of Confluent's, as far as Avro and Weft go.

Schemas by id never change, so they are kept; that an id is unknown, or of no use, is kept for a while, so that hostile ids don't mean a
call each time. Each distinct one means one all the same, one after the other: no id is judged that the registry was not asked for.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from connectors.registry.calls import Answer, Calls
from schemas.contracts import Contract
from schemas.errors import FailedError, UnreachableError

TIMEOUT_S: Final = 2.0
LATEST: Final = "latest"
_KEPT: Final = 1_000
_UNKNOWN_KEPT: Final = 10_000
_UNKNOWN_S: Final = 30.0
_REFERENCES: Final = 100  # of one schema, in all
_ODD: Final = (RecursionError, KeyError, TypeError, AttributeError, OverflowError)  # what hostile answers lead to
_NO_SUBJECT, _NO_VERSION, _NO_SCHEMA = 40401, 40402, 40403


class Registered(NamedTuple):
    """A schema under a subject."""

    subject: str
    version: int
    id: int
    contract: Contract


class HttpRegistry:
    """A `Registry` by URL, with what the commands need beside. Calls block, but not longer than the timeout and a second try."""

    def __init__(
        self, url: str, auth: str | None = None, timeout_s: float = TIMEOUT_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = Calls(url, auth, timeout_s)
        self._clock = clock
        self._schemas: OrderedDict[int, Contract] = OrderedDict()
        self._unknown: OrderedDict[int, tuple[float, str]] = OrderedDict()  # until when, and what is wrong with it if it is there

    def schema(self, schema_id: int) -> Contract | None:
        """See Registry."""
        found = self._schemas.get(schema_id)
        if found is not None:
            return found
        until_s, wrong = self._unknown.get(schema_id, (0.0, ""))
        if until_s <= self._clock():
            found, wrong = self._fetched(schema_id)
            if found is None:
                _keep(self._unknown, schema_id, (self._clock() + _UNKNOWN_S, wrong), _UNKNOWN_KEPT)
            else:
                _keep(self._schemas, schema_id, found, _KEPT)
        if wrong:
            raise ValueError(wrong)
        return found

    def _fetched(self, schema_id: int) -> tuple[Contract | None, str]:
        """The schema, or what is wrong with it; neither if there is none. An answer that is none of a registry's is an outage."""
        answer = self._ask("GET", f"/schemas/ids/{schema_id}")
        if answer.code == _NO_SCHEMA:
            return None, ""
        if answer.code or not isinstance(answer.body, dict) or not isinstance(answer.body.get("schema"), str):
            raise UnreachableError(f"the schema registry at {self._ask.where} does not answer as one does", "Is its URL right?")
        try:
            return self._contract(answer.body), ""
        except ValueError as error:
            return None, str(error) or type(error).__name__
        except _ODD as error:
            return None, f"what the registry answers is no schema ({type(error).__name__})"

    def schema_id(self, contract: Contract, subject: str) -> int | None:
        """See Registry."""
        answer = self._ask("POST", f"/subjects/{_quoted(subject)}", {"schema": contract.text})
        return None if answer.code else int(answer.body["id"])

    def subjects(self) -> Sequence[str]:
        """All subjects."""
        return sorted(self._sound(self._ask("GET", "/subjects")))

    def versions(self, subject: str) -> Sequence[int]:
        """The versions of a subject, ascending; none if there is no such subject."""
        answer = self._ask("GET", f"/subjects/{_quoted(subject)}/versions")
        return [] if answer.code in (_NO_SUBJECT, _NO_VERSION) else sorted(self._sound(answer))

    def version(self, subject: str, version: int | str = LATEST) -> Registered | None:
        """One version of a subject; None if there is none.

        Raises:
            ValueError: it is no Avro schema of a record.
        """
        answer = self._ask("GET", f"/subjects/{_quoted(subject)}/versions/{version}")
        if answer.code in (_NO_SUBJECT, _NO_VERSION):
            return None
        body = self._sound(answer)
        return Registered(body["subject"], body["version"], body["id"], self._contract(body))

    def level(self, subject: str) -> str:
        """How versions of a subject must fit each other, e.g. `BACKWARD_TRANSITIVE`."""
        answer = self._ask("GET", f"/config/{_quoted(subject)}")
        if answer.code:
            answer = self._ask("GET", "/config")
        return str(self._sound(answer)["compatibilityLevel"])

    def compatible(self, subject: str, contract: Contract) -> tuple[bool, Sequence[str]]:
        """Whether the registry would take a schema by the subject's level, and what it says if not."""
        answer = self._ask("POST", f"/compatibility/subjects/{_quoted(subject)}/versions?verbose=true", {"schema": contract.text})
        if answer.code in (_NO_SUBJECT, _NO_VERSION):
            return True, ()
        body = self._sound(answer)
        return bool(body["is_compatible"]), [str(line) for line in body.get("messages", ())]

    def register(self, subject: str, contract: Contract) -> int:
        """Put a schema under a subject; its id. One that is there already is not put again.

        Raises:
            FailedError: the registry refuses it.
        """
        return int(self._sound(self._ask("POST", f"/subjects/{_quoted(subject)}/versions", {"schema": contract.text}))["id"])

    def _sound(self, answer: Answer) -> Any:
        if answer.code:
            raise FailedError(f"the schema registry at {self._ask.where} refuses: {answer.sentence} ({answer.code})")
        return answer.body

    def _contract(self, body: Mapping[str, Any]) -> Contract:
        """The schema of an answer, with those that it refers to."""
        kind = body.get("schemaType", "AVRO")
        if kind != "AVRO":
            raise ValueError(f"it is a schema of type {kind}, not Avro")
        return Contract.of_text(body["schema"], self._referred(body))

    def _referred(self, body: Mapping[str, Any]) -> Mapping[str, str]:
        """The texts of all schemas that one refers to, by name."""
        found: dict[str, str] = {}
        asked: dict[tuple[str, int], Mapping[str, Any]] = {}
        left = list(body.get("references") or ())
        while left:
            one = left.pop()
            key = one["subject"], one["version"]
            if key not in asked:
                if len(asked) == _REFERENCES:
                    raise ValueError(f"it refers to more than {_REFERENCES} schemas")
                asked[key] = self._other(*key)
                left += asked[key].get("references") or ()
            found[one["name"]] = asked[key]["schema"]
        return found

    def _other(self, subject: str, version: int) -> Mapping[str, Any]:
        """A version of a subject that a schema refers to."""
        answer = self._ask("GET", f"/subjects/{_quoted(subject)}/versions/{int(version)}")
        if answer.code in (_NO_SUBJECT, _NO_VERSION, _NO_SCHEMA):
            raise ValueError(f"it refers to version {version} of {subject}, which is gone")
        if answer.code:
            raise UnreachableError(f"the schema registry at {self._ask.where} refuses: {answer.sentence} ({answer.code})", "Mend it.")
        other: Mapping[str, Any] = answer.body
        return other


def _quoted(subject: str) -> str:
    return quote(subject, safe="")


def _keep(kept: "OrderedDict[int, Any]", key: int, value: Any, most: int) -> None:
    """Keep it; the one that was kept first goes if there are too many."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
