"""Whether what was written with one Avro schema can be read with another, by the specification's rules (1.11, "Schema Resolution").

As Weft reads: records, enums and fixed inside a contract must have the same name or an alias (of the last part alone, as readers do);
logical types that stand on both sides must be the same, for a millisecond is no microsecond.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from schemas.contracts import Contract

Kind = Literal["no-default", "type", "symbols", "name", "size", "logical"]

_NAMED: Final = ("record", "error", "enum", "fixed")
_WIDER: Final = {
    "int": ("long", "float", "double"),
    "long": ("float", "double"),
    "float": ("double",),
    "string": ("bytes",),
    "bytes": ("string",),
}
_LOGICAL: Final = ("logicalType", "precision", "scale")


class Break(NamedTuple):
    """One place at which reading fails, at least for some values."""

    kind: Kind
    path: str  # fields joined by dots, then [] for an array's items and {} for a map's values; empty for the record itself
    writer: str  # what stands there in the writer's schema, short
    reader: str


class Rename(NamedTuple):
    """A field that came, where one of a type that it can be read from went: perhaps the same by another name."""

    path: str  # of the new one
    was: str  # the old one's name, without its record's path
    default: bool  # whether the new one has a default, so that what was written is read as that


class _Side(NamedTuple):
    """A type, and the names that its schema declares."""

    schema: Any
    names: Mapping[str, Any]

    def at(self, schema: Any) -> "_Side":
        """A type inside; a name is looked up."""
        if isinstance(schema, str) and schema in self.names:
            schema = self.names[schema]
        if isinstance(schema, Mapping) and schema["type"] in _WIDER and len(schema) == 1:
            schema = schema["type"]
        return _Side(schema, self.names)

    @property
    def word(self) -> str:
        """The type's word; of one that is described by another, that one's."""
        return "union" if isinstance(self.schema, list) else self.schema if isinstance(self.schema, str) else str(self.schema["type"])

    @property
    def text(self) -> str:
        """Short, for a sentence."""
        if self.word in _NAMED:
            return f"{self.word} {self.schema['name']}"
        if self.word == "union":
            return " or ".join(self.at(branch).text for branch in self.schema)
        if self.word in ("array", "map"):
            return f"{self.word} of {self.at(self.schema['items' if self.word == 'array' else 'values']).text}"
        return " ".join(str(part) for part in (self.word, *self.logical))

    @property
    def logical(self) -> tuple[Any, ...]:
        """The logical type with its figures; empty if there is none."""
        if isinstance(self.schema, Mapping) and "logicalType" in self.schema:
            return tuple(self.schema[key] for key in _LOGICAL if key in self.schema)
        return ()


def breaks(writer: Contract, reader: Contract) -> list[Break]:
    """Where what was written with one contract can't be read with the other; none if it can. The contracts' own names may differ."""
    return list(_fields(_side(writer.schema), _side(reader.schema), "", frozenset()))


def _side(schema: Any) -> _Side:
    return _Side(schema, dict(_named(schema)))


def _named(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every named type that a schema declares."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _named(branch)
    elif isinstance(schema, Mapping):
        if schema.get("type") in _NAMED:
            yield schema["name"], schema
        for part in (schema.get("items"), schema.get("values"), schema.get("type"), *(f["type"] for f in schema.get("fields", ()))):
            yield from _named(part)


def _types(writer: _Side, reader: _Side, path: str, above: frozenset[tuple[str, str]]) -> Iterator[Break]:
    """Two types, one for another."""
    if writer.word == "union":
        for branch in writer.schema:
            yield from _types(writer.at(branch), reader, path, above)
    elif reader.word == "union":
        tried = [list(_types(writer, reader.at(branch), path, above)) for branch in reader.schema]
        alike = [found for found, branch in zip(tried, reader.schema, strict=True) if reader.at(branch).word == writer.word]
        if all(tried):  # none of the branches takes it
            yield from alike[0] if len(alike) == 1 else [Break("type", path, writer.text, reader.text)]
    elif writer.word != reader.word:
        if reader.word not in _WIDER.get(writer.word, ()):
            yield Break("type", path, writer.text, reader.text)
    elif writer.logical and reader.logical and writer.logical != reader.logical:
        yield Break("logical", path, writer.text, reader.text)
    else:
        yield from _alike(writer, reader, path, above)


def _alike(writer: _Side, reader: _Side, path: str, above: frozenset[tuple[str, str]]) -> Iterator[Break]:
    """Two types of one word."""
    word = writer.word
    if word in ("array", "map"):
        inner = "items" if word == "array" else "values"
        into = path + ("[]" if word == "array" else "{}")
        yield from _types(writer.at(writer.schema[inner]), reader.at(reader.schema[inner]), into, above)
    elif word in _NAMED:
        if not _same_name(writer.schema, reader.schema):
            yield Break("name", path, writer.text, reader.text)
        elif word in ("enum", "fixed"):
            yield from _valued(writer.schema, reader.schema, path)
        elif (pair := (writer.schema["name"], reader.schema["name"])) not in above:
            yield from _fields(writer, reader, path, above | {pair})


def _valued(writer: Mapping[str, Any], reader: Mapping[str, Any], path: str) -> Iterator[Break]:
    """Two enums or two fixed."""
    if writer["type"] == "fixed":
        if writer["size"] != reader["size"]:
            yield Break("size", path, str(writer["size"]), str(reader["size"]))
        return
    gone = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
    if gone and "default" not in reader:
        yield Break("symbols", path, ", ".join(gone), ", ".join(reader["symbols"]))


def _fields(writer: _Side, reader: _Side, path: str, above: frozenset[tuple[str, str]]) -> Iterator[Break]:
    """Two records: each field that is read is written, or has a default."""
    written = {entry["name"]: entry for entry in writer.schema["fields"]}
    for entry in reader.schema["fields"]:
        into = _into(path, entry)
        found = next((written[name] for name in _names(entry) if name in written), None)
        if found is not None:
            yield from _types(writer.at(found["type"]), reader.at(entry["type"]), into, above)
        elif "default" not in entry:
            yield Break("no-default", into, "", reader.at(entry["type"]).text)


def renames(writer: Contract, reader: Contract) -> list[Rename]:
    """Which fields may have been renamed without an alias. A field that went is named once, for the field whose name is nearest."""
    written = dict(_records(_side(writer.schema), "", frozenset()))
    found: list[Rename] = []
    for path, record in _records(_side(reader.schema), "", frozenset()):
        if path in written:
            found += _renamed(written[path], record, path)
    return found


def _records(side: _Side, path: str, above: frozenset[str]) -> Iterator[tuple[str, _Side]]:
    """Each record of a type by its path, itself first."""
    if side.word == "union":
        for branch in side.schema:
            yield from _records(side.at(branch), path, above)
    elif side.word == "array":
        yield from _records(side.at(side.schema["items"]), f"{path}[]", above)
    elif side.word == "map":
        yield from _records(side.at(side.schema["values"]), f"{path}{{}}", above)
    elif side.word in ("record", "error") and side.schema["name"] not in above:
        yield path, side
        for entry in side.schema["fields"]:
            yield from _records(side.at(entry["type"]), _into(path, entry), above | {side.schema["name"]})


def _renamed(writer: _Side, reader: _Side, path: str) -> Iterator[Rename]:
    read = {name for entry in reader.schema["fields"] for name in _names(entry)}
    written = {entry["name"]: entry for entry in writer.schema["fields"]}
    gone = [entry for name, entry in written.items() if name not in read]
    for entry in reader.schema["fields"]:
        fits = [old for old in gone if not any(_types(writer.at(old["type"]), reader.at(entry["type"]), path, frozenset()))]
        if fits and not written.keys() & set(_names(entry)):
            nearest = max(fits, key=lambda old: difflib.SequenceMatcher(None, old["name"], entry["name"]).ratio())
            gone.remove(nearest)
            yield Rename(_into(path, entry), nearest["name"], "default" in entry)


def _into(path: str, entry: Mapping[str, Any]) -> str:
    return f"{path}.{entry['name']}" if path else str(entry["name"])


def _names(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return (entry["name"], *entry.get("aliases", ()))


def _same_name(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> bool:
    def last(name: str) -> str:
        return name.rpartition(".")[2]

    return last(writer["name"]) in {last(reader["name"]), *map(last, reader.get("aliases", ()))}


def same(one: Contract, other: Contract) -> bool:
    """Whether two schemas are the same but for the order of words in them."""
    return json.dumps(one.schema, sort_keys=True) == json.dumps(other.schema, sort_keys=True)
