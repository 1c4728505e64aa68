"""A schema registry by URL: the REST API of Confluent's, as far as Avro and Weft go.

Schemas by id never change, so they are kept. That one is of no use is kept for a while; that an id is unknown, only for a moment, since
it may be registered in the next: long enough that a producer with one wrong id does not mean a call for each batch. Each distinct unknown
one means a call, side by side: no id is judged that the registry was not asked for.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from connectors.registry.calls import CONNECTIONS, Answer, Calls
from schemas.codecs.registry import Found
from schemas.contracts import Contract
from schemas.errors import FailedError, UnreachableError

TIMEOUT_S: Final = 2.0
LATEST: Final = "latest"
_KEPT: Final = 1_000
_USELESS_KEPT: Final = 10_000
_UNKNOWN_S: Final = 1.0
_USELESS_S: Final = 30.0
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
        self._useless: OrderedDict[int, tuple[float, str | None]] = OrderedDict()  # until when, and what is wrong with it if it is there

    def schemas(self, ids: Collection[int]) -> Mapping[int, Found]:
        """See Registry."""
        now_s = self._clock()
        found: dict[int, Found] = {}
        asked: list[int] = []
        for one in ids:
            until_s, wrong = self._useless.get(one, (now_s, None))
            if one in self._schemas:
                found[one] = self._schemas[one]
            elif until_s > now_s:
                found[one] = wrong
            else:
                asked.append(one)
        for one, answer in zip(asked, self._side_by_side(asked), strict=True):
            found[one] = answer
            if isinstance(answer, Contract):
                _keep(self._schemas, one, answer, _KEPT)
            else:
                until_s = self._clock() + (_UNKNOWN_S if answer is None else _USELESS_S)
                _keep(self._useless, one, (until_s, answer), _USELESS_KEPT)
        return found

    def _side_by_side(self, ids: Sequence[int]) -> Iterator[Found]:
        """What the registry says of each, in order; the first that it does not answer ends it."""
        if len(ids) < 2:
            yield from map(self._fetched, ids)
            return
        with ThreadPoolExecutor(min(len(ids), CONNECTIONS), "registry-call") as pool:
            yield from pool.map(self._fetched, ids)

    def _fetched(self, schema_id: int) -> Found:
        """What the registry says. An answer that is none of a registry's is an outage."""
        answer = self._ask("GET", f"/schemas/ids/{schema_id}")
        if answer.code == _NO_SCHEMA:
            return None
        if answer.code or not isinstance(answer.body, dict) or not isinstance(answer.body.get("schema"), str):
            raise UnreachableError(f"the schema registry at {self._ask.where} does not answer as one does", "Is its URL right?")
        try:
            return self._contract(answer.body)
        except ValueError as error:
            return str(error) or type(error).__name__
        except _ODD as error:
            return f"what the registry answers is no schema ({type(error).__name__})"

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
