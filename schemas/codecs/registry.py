"""Where the Confluent wire format's schema ids are looked up; and the twin that holds them in memory."""

from collections.abc import Mapping
from typing import Protocol

from schemas.contracts import Contract


class Registry(Protocol):
    """Ids of schemas, given once and never changed. Implementations remember what they have seen."""

    def schema(self, schema_id: int) -> Contract | None:
        """The schema of an id; None if there is none.

        Raises:
            UnreachableError: the registry can't be reached.
            ValueError: there is one, and it is no Avro schema of a record.
        """

    def schema_id(self, contract: Contract, subject: str) -> int | None:
        """The id of a schema, which must be registered under the subject; None if it has none.

        Raises:
            UnreachableError: the registry can't be reached.
        """


class MemoryRegistry:
    """Ids and schemas that are known beforehand, e.g. the files `schemas/registry/<id>.avsc` of a project. Knows no subjects."""

    def __init__(self, contracts: Mapping[int, Contract]) -> None:
        self._contracts = dict(contracts)

    def schema(self, schema_id: int) -> Contract | None:
        """The schema of an id."""
        return self._contracts.get(schema_id)

    def schema_id(self, contract: Contract, subject: str) -> int | None:
        """The lowest id of the schema."""
        del subject
        return min((key for key, other in self._contracts.items() if other.schema == contract.schema), default=None)
