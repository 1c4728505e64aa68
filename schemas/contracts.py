"""The contracts: a folder of Avro schemas, found by full name or by fingerprint.

A contract is a file `<full name>.avsc`. Older versions, which values may still be written with, stand beside it as `<full
name>@<version>.avsc`; they are found by fingerprint only. A project's own folder comes first, then the contracts that Weft ships.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Self

from fastavro.repository.base import AbstractSchemaRepository, SchemaRepositoryError
from fastavro.schema import SchemaParseException, UnknownType, fingerprint, load_schema, parse_schema, to_parsing_canonical_form

from schemas.errors import FlowError

BUILT_IN: Final = Path(__file__).parent / "avro"

_TOP: Final = "."  # no schema is called so
_NAME: Final = re.compile(r"[^/\\\0]{1,200}")  # what a file in a folder may be called

_LOGICAL: Final = {"logicalType": str, "precision": int, "scale": int}
_SAID: Final = 300  # characters of an error
_WRONG: Final = (SchemaParseException, UnknownType, SchemaRepositoryError, KeyError, TypeError, AttributeError, RecursionError)
"""What fastavro raises for what is no schema."""

# what values depend on: what a fingerprint covers, and the logical types, which it leaves out
_STRUCTURE: Final = ("type", "name", "fields", "items", "values", "symbols", "size", "logicalType", "precision", "scale")
_MEANING: Final = (*_STRUCTURE, "default", "aliases")  # and what reading with another's schema depends on


@dataclass(frozen=True, slots=True)
class Contract:
    """One schema; names that it refers to are written out."""

    name: str  # full name
    schema: Any  # as JSON would read it
    parsed: Any  # as fastavro wants it
    fingerprint: bytes  # CRC-64-AVRO, eight bytes, little-endian

    @classmethod
    def of(cls, schema: Any) -> Self:
        """The contract that a schema is.

        Raises:
            ValueError: it is no Avro schema of a named type.
        """
        try:
            parsed: Any = parse_schema(_bare(schema))
            _check_named(parsed)
            identity = bytes.fromhex(fingerprint(to_parsing_canonical_form(parsed), "CRC-64-AVRO"))
            return cls(parsed["name"], _bare(parsed), parsed, identity)
        except _WRONG as error:
            raise ValueError(f"this is no Avro schema with a name: {_said(error)}") from error

    @classmethod
    def of_text(cls, text: str, referred: Mapping[str, str]) -> Self:
        """The contract in a text; `referred` has the texts of other schemas, by the names that it calls them.

        Raises:
            ValueError: it is no Avro schema of a record.
        """
        try:
            schema = json.loads(text)
            if isinstance(schema, Mapping) and referred:
                schema = load_schema(_TOP, repo=_Texts(text, referred))
        except _WRONG as error:
            raise ValueError(f"this is no Avro schema: {_said(error)}") from error
        found = cls.of(schema)
        if not isinstance(found.schema, Mapping) or found.schema["type"] not in ("record", "error"):
            raise ValueError("it is no schema of a record")
        return found

    @property
    def text(self) -> str:
        """The schema as JSON: the same text for the same schema, in every process."""
        return json.dumps(self.schema)

    @property
    def meaning(self) -> str:
        """What reading and writing depend on: Avro's parsing canonical form, and what it leaves out of that."""
        return json.dumps(_shape(self.schema, _MEANING))


class Contracts(Mapping[str, Contract]):
    """Current contracts by full name, and all versions by fingerprint."""

    def __init__(self, current: Mapping[str, Contract], versions: Mapping[bytes, Contract]) -> None:
        self._current = current
        self._versions = versions

    @classmethod
    def load(cls, *folders: Path) -> Self:
        """All contracts of the folders and then of Weft's own; the first of a name wins.

        Raises:
            FlowError: a file is no Avro schema, is named otherwise, or can't be told from another by its fingerprint.
        """
        places = [folder for folder in (*folders, BUILT_IN) if folder.is_dir()]
        current: dict[str, Contract] = {}
        versions: dict[bytes, Contract] = {}
        for file in (file for folder in places for file in sorted(folder.glob("*.avsc"))):
            contract = _read(file, places)
            if "@" not in file.stem:
                current.setdefault(contract.name, contract)
            twin = versions.setdefault(contract.fingerprint, contract)
            if _shape(twin.schema, _STRUCTURE) != _shape(contract.schema, _STRUCTURE):
                raise FlowError(
                    f"{file}: {contract.name} has the fingerprint of {twin.name} ({contract.fingerprint.hex()}), but other logical types",
                    "Avro's fingerprint leaves logical types out: rename a field or the record, so that the two can be told apart.",
                )
        return cls(current, versions)

    def __getitem__(self, name: str) -> Contract:
        return self._current[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._current)

    def __len__(self) -> int:
        return len(self._current)

    def by_fingerprint(self, fingerprint: bytes) -> Contract | None:
        """The version with this fingerprint (eight bytes, little-endian)."""
        return self._versions.get(fingerprint)


@lru_cache(maxsize=1)
def built_in() -> Contracts:
    """The contracts that Weft ships."""
    return Contracts.load()


class _Texts(AbstractSchemaRepository):
    """Where names are looked up that a text refers to."""

    def __init__(self, top: str, texts: Mapping[str, str]) -> None:
        self._top, self._texts = top, texts

    def load(self, name: str) -> Any:
        found = self._top if name == _TOP else self._texts.get(name)
        if found is None:
            raise SchemaRepositoryError(f"nobody says what {name} is")
        return json.loads(found)


class _Folders(AbstractSchemaRepository):
    """Where names that a schema refers to are looked up."""

    def __init__(self, folders: list[Path]) -> None:
        self._folders = folders

    def load(self, name: str) -> Any:
        for folder in self._folders if isinstance(name, str) and _NAME.fullmatch(name) else ():
            file = folder / f"{name}.avsc"
            if file.is_file():
                return json.loads(file.read_text())
        raise SchemaRepositoryError(f"there is no {str(name)[:_SAID]}.avsc")


def _read(file: Path, folders: list[Path]) -> Contract:
    """The contract in a file, with the names that it refers to written out."""
    try:
        contract = Contract.of(load_schema(file.stem, repo=_Folders([file.parent, *folders])))
    except (ValueError, *_WRONG) as error:
        raise FlowError(f"{file} is no Avro schema: {_said(error)}") from error
    if file.stem.partition("@")[0] != contract.name:
        raise FlowError(f"{file} declares {contract.name}", f"Name the file {contract.name}.avsc.")
    return contract


def _said(error: Exception) -> str:
    """What is wrong, in short; a library's own error may quote all of the schema, or say a word of it."""
    said = f"{error}"[:_SAID]
    return "it is nested too deeply" if isinstance(error, RecursionError) else said


def _bare(schema: Any) -> Any:
    """A schema without what fastavro writes into it and logical types that are none, in an order that is always the same.

    Fastavro's own differs from process to process.
    """
    if isinstance(schema, list):
        return [_bare(part) for part in schema]
    if isinstance(schema, Mapping):
        return {key: _bare(schema[key]) for key in sorted(schema, key=_place) if not key.startswith("__") and _sound(key, schema[key])}
    return schema


def _check_named(schema: Any) -> None:
    """Refuse a field whose name is no text, which fastavro lets pass."""
    if isinstance(schema, list):
        for part in schema:
            _check_named(part)
    elif isinstance(schema, Mapping):
        if "fields" in schema and not all(isinstance(field["name"], str) for field in schema["fields"]):
            raise TypeError("a field's name is no text")
        for part in (schema.get("type"), schema.get("items"), schema.get("values"), schema.get("fields")):
            _check_named(part)


def _sound(key: str, value: Any) -> bool:
    """Whether it may stand there: a logical type that is none is passed over, as Avro says."""
    return type(value) is _LOGICAL[key] if key in _LOGICAL else True


def _place(key: str) -> tuple[bool, str]:
    return key not in ("name", "type"), key


def _shape(schema: Any, words: Sequence[str]) -> Any:
    """A schema with these words alone; a default stays as it is."""
    if isinstance(schema, list):
        return [_shape(part, words) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    shape = {word: schema[word] if word == "default" else _shape(schema[word], words) for word in words if word in schema}
    return shape["type"] if list(shape) == ["type"] else shape
