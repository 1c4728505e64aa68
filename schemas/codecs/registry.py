"""Where the Confluent wire format's schema ids are looked up; and the twin that holds them in memory."""

from collections.abc import Collection, Mapping
from typing import Protocol

from schemas.contracts import Contract

Found = Contract | str | None
"""What an id names: a schema; why it is no Avro schema of a record; None if there is none as yet."""


class Registry(Protocol):
    """Ids of schemas, given once and never changed. Implementations remember what they have seen."""

    def schemas(self, ids: Collection[int]) -> Mapping[int, Found]:
        """What each of these ids names.

        Raises:
            UnreachableError: the registry can't be reached.
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

    def schemas(self, ids: Collection[int]) -> Mapping[int, Found]:
        """See Registry."""
        return {one: self._contracts.get(one) for one in ids}

    def schema_id(self, contract: Contract, subject: str) -> int | None:
        """The lowest id of the schema."""
        del subject
        return min((key for key, other in self._contracts.items() if other.schema == contract.schema), default=None)
