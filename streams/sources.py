"""Where a setting's value comes from: the environment (WEFT_*), else weft.toml, with the variable or the line.

A name is written as in weft.toml, with dots: `kafka.user`. Its variable is WEFT_KAFKA_USER. Of every secret there is a second name,
with `_file` behind it: the value is what stands in that file. An empty variable says that the setting is not set, whatever weft.toml says.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr

from processors.plugins.owned import mend, strange
from schemas.errors import UsageError

TOML = "weft.toml"
PREFIX = "WEFT_"
FILE = "_file"

SHORT: Mapping[str, str] = {"bootstrap": "kafka.bootstrap", "redis": "redis.url", "serve": "serve.address"}
"""What may be said outside its table, and has the shorter variable."""


@dataclass(frozen=True, slots=True)
class Known:
    """A setting that there is."""

    name: str
    description: str
    secret: bool = False
    open: bool = False  # a table whose names are somebody else's

    @property
    def variable(self) -> str:
        """Its environment variable; of an open table: how they begin."""
        short = next((short for short, name in SHORT.items() if name == self.name), self.name)
        return PREFIX + short.upper().replace(".", "_")

    @property
    def variables(self) -> Sequence[str]:
        """That one, and of a secret the one that names its file."""
        return (self.variable, f"{self.variable}_FILE") if self.secret else (self.variable,)


@dataclass(frozen=True, slots=True)
class Origin:
    """Who said a value."""

    kind: str  # argument, environment, weft.toml, local stack, default
    where: str = ""  # the variable, the line
    file: str = ""  # the secret's

    def __str__(self) -> str:
        said = {"environment": f"variable {self.where}", TOML: f"line {self.where} of {TOML}"}.get(self.kind) or f"{self.kind} {self.where}"
        return said.strip() + (f", file {self.file}" if self.file else "")


@dataclass(frozen=True, slots=True)
class Said:
    """A value and who said it; None: the variable is there and empty."""

    value: Any
    origin: Origin


def known(model: type[BaseModel], table: str = "") -> Iterator[Known]:
    """Every setting of the model, tables by their dotted names."""
    for field, info in model.model_fields.items():
        name, kind = f"{table}{info.alias or field}", info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from known(kind, f"{name}.")
        else:
            kinds = (kind, *get_args(kind))
            yield Known(name, info.description or "", SecretStr in kinds, any(str(one).startswith("dict") for one in kinds))


def read(settings: Sequence[Known], project: Path, environ: Mapping[str, str]) -> dict[str, Said]:
    """What the environment and the project folder's weft.toml say, by name.

    Raises:
        UsageError: weft.toml is no TOML, or somebody else's, or says what is no setting, or a secret's file can't be read.
    """
    found = _of_toml(settings, project / TOML, project)
    return found | dict(_of_environment(settings, environ, project))


def nested(said: Mapping[str, Said], settings: Sequence[Known]) -> dict[str, Any]:
    """The values as tables within tables; what is not set is left out."""
    made: dict[str, Any] = {}
    tables = {one.name for one in settings if one.open}
    for name, value in ((name, one.value) for name, one in said.items() if one.value is not None):
        path = _path(name, tables)
        at = made
        for part in path[:-1]:
            at = at.setdefault(part, {})
        at[path[-1]] = value
    return made


def strangers(settings: Sequence[Known], environ: Mapping[str, str]) -> Mapping[str, str]:
    """Variables that look like settings and are none, with the nearest one that is."""
    names = [name for one in settings for name in one.variables]
    opened = tuple(f"{one.variable}_" for one in settings if one.open)
    others = [name for name in sorted(environ) if name.startswith(PREFIX) and not name.startswith(opened)]
    return {name: nearest(name, names) for name in others if name not in names}


def nearest(word: str, words: Sequence[str]) -> str:
    """The one of the words that may have been meant; empty if none is near."""
    return next(iter(difflib.get_close_matches(word, words, n=1, cutoff=0.6)), "")


def _path(name: str, tables: set[str]) -> list[str]:
    for table in tables:
        if name.startswith(f"{table}."):
            return [*table.split("."), name[len(table) + 1 :]]
    return name.split(".")


def _of_environment(settings: Sequence[Known], environ: Mapping[str, str], project: Path) -> Iterator[tuple[str, Said]]:
    for one in settings:
        given = [name for name in one.variables if environ.get(name)] or [name for name in one.variables if name in environ][:1]
        if one.open:
            begin = f"{one.variable}_"
            for name in sorted(environ):
                if name.startswith(begin):
                    inner = name[len(begin) :].lower().replace("_", ".")
                    yield f"{one.name}.{inner}", Said(environ[name] or None, Origin("environment", name))
        elif len(given) > 1:
            raise UsageError(f"{one.name} is said twice: by {given[0]} and by {given[1]}.", "Leave one of them out.")
        elif given:
            value, origin = environ[given[0]] or None, Origin("environment", given[0])
            if value is not None and given[0] != one.variable:
                value, origin = _secret(value, origin, project)
            yield one.name, Said(value, origin)


def _of_toml(settings: Sequence[Known], file: Path, project: Path) -> dict[str, Said]:
    try:
        if file.is_file() and (wrong := strange(file)):
            raise UsageError(f"The settings are not read: {wrong}.", mend(file))
        text = file.read_text("utf-8") if file.is_file() else ""
        values = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} can't be read: {error}.", "Correct the file; it must be TOML.") from error
    by_name, found = {one.name: one for one in settings}, dict[str, Said]()
    secrets = {f"{one.name}{FILE}": one for one in settings if one.secret}
    opened = [one.name for one in settings if one.open]
    for given, value in _leaves(values, by_name, opened):
        line = _line(text, given)
        name, origin = SHORT.get(given, given), Origin(TOML, str(line))
        if given in secrets:
            name = secrets[given].name
            one = Said(*_secret(str(value), origin, project))
        elif name in by_name or any(name.startswith(f"{table}.") for table in opened):
            one = Said(value, origin)
        else:
            raise _unknown(given, line, [*by_name, *SHORT, *secrets])
        if name in found:
            raise UsageError(f"{name} is said twice in {TOML}: in line {found[name].origin.where} and in line {line}.", "Leave one out.")
        found[name] = one
    return found


def _unknown(given: str, line: int, names: Sequence[str]) -> UsageError:
    near = nearest(given, names)
    hint = f"Is it {near}? " if near else ""
    return UsageError(f"Line {line} of {TOML}: there is no setting {given}.", f"{hint}All settings: weft config show")


def _leaves(values: Mapping[str, Any], by_name: Mapping[str, Known], opened: Sequence[str], table: str = "") -> Iterator[tuple[str, Any]]:
    """Values by their dotted names. An open table's own names have dots in them, so it is taken apart like any other."""
    for key, value in values.items():
        name = f"{table}{key}"
        if isinstance(value, dict) and (name not in by_name or name in opened) and (value or _is_table(name, by_name)):
            yield from _leaves(value, by_name, opened, f"{name}.")
        else:
            yield name, value


def _is_table(name: str, by_name: Mapping[str, Known]) -> bool:
    return any(one == name or one.startswith(f"{name}.") for one in by_name)


def _line(text: str, name: str) -> int:
    """The line in which a name begins: the one behind the longest beginning of the file that is TOML without it."""
    lines, last = text.splitlines(keepends=True), 0
    for count in range(1, len(lines) + 1):
        try:
            values = tomllib.loads("".join(lines[:count]))
        except ValueError:  # in the middle of a value
            continue
        if _has(values, name):
            return last + 1
        last = count
    return last


def _has(values: Any, name: str) -> bool:
    """Whether there is such a name, wherever its dots are: between tables, or in a quoted key."""
    if not name or not isinstance(values, dict):
        return not name
    return any((name == key or name.startswith(f"{key}.")) and _has(inner, name[len(key) + 1 :]) for key, inner in values.items())


def _secret(path: str, origin: Origin, project: Path) -> tuple[str, Origin]:
    """What stands in a secret's file, without the end of its last line."""
    file = project / Path(path).expanduser()
    try:
        value = file.read_text("utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"The secret's file {file} can't be read: {why}.", f"It is named by {origin}.") from error
    if not value:
        raise UsageError(f"The secret's file {file} is empty.", f"It is named by {origin}.")
    return value, Origin(origin.kind, origin.where, str(file))
