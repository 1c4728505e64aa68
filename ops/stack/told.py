"""What each setting is and who said so, for a person: secrets are never shown. And what of them is not well."""

import asyncio
import os
import re
import shlex
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from connectors.kafka.admin import KafkaAdmin
from connectors.kafka.others import unheard
from connectors.kafka.reach import heard
from connectors.redis.lookup import RedisLookup
from ops.doctor import Finding
from ops.stack import services
from ops.stack.local import ELSEWHERE, LocalStack
from ops.stack.marked import MARK
from schemas.errors import UnreachableError, WeftError
from streams.settings import Settings, said
from streams.sources import TOML, Known, Origin, Said, known, strangers
from streams.tables import IN_PROCESS
from streams.wiring import endpoint

HIDDEN = "***"
OWN = frozenset({"WEFT_PART"})
"""Variables that Weft itself sets in processes that it starts, and that are no settings."""

LOCAL: Mapping[str, str] = {"kafka.bootstrap": "bootstrap", "redis.url": "redis", "serve.address": "serve"}
FOLDERS: Mapping[str, str] = {"project": "project_folder", "data": "data_folder", "cache": "cache_folder", "log_key": "log_key_file"}
_IN_URL = re.compile(r"(?<=://).*@", re.DOTALL)  # to the last @: a password may have one, or a /, in it
_SECRET_NAME = re.compile(
    r"password|passphrase|secret|token|assertion|jaas|oauthbearer\.config|\bpem\b|key\.data"
)  # of the client's settings
_REACH_S = 5.0


@dataclass(frozen=True, slots=True)
class Told:
    """One setting. `value` is fit to be printed."""

    name: str
    value: object
    origin: Origin
    variable: str
    description: str

    def as_json(self) -> Mapping[str, object]:
        """As plain values."""
        origin = {"kind": self.origin.kind, "where": self.origin.where, "file": self.origin.file}
        return {"setting": self.name, "value": self.value, "from": origin, "variable": self.variable, "description": self.description}


def told(settings: Settings, arguments: Mapping[str, str]) -> Iterator[Told]:
    """Every setting; `arguments` are the options of the command line by the settings' names."""
    found = said(settings.project_folder)
    for one in known(Settings):
        value = _value(settings, one.name)
        if one.open:
            for name in sorted(value):
                full = f"{one.name}.{name}"
                shown = HIDDEN if _SECRET_NAME.search(name) else value[name]
                variable = f"{one.variable}_{name.upper().replace('.', '_')}"
                yield Told(full, shown, found[full].origin, variable, one.description)
            continue
        origin = Origin("argument", arguments[one.name]) if one.name in arguments else _origin(one, found)
        if one.name in LOCAL and value is None:
            value, origin = _local(settings, one, origin)
        elif one.name == "cache" and settings.cache_folder != settings.cache.expanduser().resolve():
            origin = Origin("default", f"{settings.cache} can't be written")
        elif one.name == "kafka.protocol" and value is None:
            value = settings.kafka.how
        yield Told(one.name, _shown(settings, one, value), origin, one.variable, one.description)


def _origin(one: Known, found: Mapping[str, Said]) -> Origin:
    return found[one.name].origin if one.name in found else Origin("default")


def _value(settings: Settings, name: str) -> Any:
    at: Any = settings
    for part in name.split("."):
        at = getattr(at, next(field for field, info in type(at).model_fields.items() if (info.alias or field) == part))
    return at


def _local(settings: Settings, one: Known, origin: Origin) -> tuple[object, Origin]:
    """The local stack's address, if it was ever set up here; looking makes no folder."""
    if not (settings.data_folder / MARK).is_file():
        return None, Origin("local stack", "(not set up yet: weft up)")
    return LocalStack(settings.at_home()).addresses()[LOCAL[one.name]], Origin("local stack", f"({origin})" if origin.where else "")


def _shown(settings: Settings, one: Known, value: Any) -> object:
    if isinstance(value, SecretStr):
        return HIDDEN
    if one.name in FOLDERS:
        return str(getattr(settings, FOLDERS[one.name]))
    if isinstance(value, Path):
        return settings.file(value)
    return _IN_URL.sub(f"{HIDDEN}@", value) if isinstance(value, str) else value


def examine(settings: Settings, reach: bool) -> Iterator[Finding]:
    """What is well and what is not: words that nobody knows, secrets that others can read, files; with `reach` the services too."""
    for name, near in strangers(tuple(known(Settings)), os.environ).items():
        if name not in OWN:
            yield Finding(name, False, "there is no such setting", f"Is it {near}?" if near else "All settings: weft config show")
    found = said(settings.project_folder)
    yield Finding("settings", True, f"{len(found)} are said in the environment and {settings.project_folder / TOML}; the rest is default")
    yield from _secrets(settings, found)
    if alone := unheard(settings.kafka.client):
        yield Finding("kafka.client", True, f"{', '.join(alone)}: all clients hear it but Faust's (of the control topic) and weft disk's")
    for name, check in (("kafka", partial(services.kafka, patient=not reach)), ("redis", services.redis), ("serve", _serve)):
        if not reach and not getattr(settings, ELSEWHERE[name]):
            yield Finding(name, True, "the local stack's is used")
            continue
        try:
            reached = check(settings)
        except WeftError as error:
            yield Finding(name, False, error.sentence, error.hint)
            continue
        well = Finding(name, True, "its settings and files are as they should be")
        yield asyncio.run(_reached(name, settings, reached)) if reach else well


def _serve(settings: Settings) -> Any:
    return None if settings.serve in (None, IN_PROCESS) else endpoint(settings, settings.serve or "")


def _secrets(settings: Settings, found: Mapping[str, Said]) -> Iterator[Finding]:
    for one in known(Settings):
        origin = found[one.name].origin if one.secret and one.name in found else None
        if origin is None or not (origin.file or origin.kind == TOML):
            continue
        file = Path(origin.file) if origin.file else settings.project_folder / TOML
        closed = not file.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH)
        sentence = f"{file} is closed to other users" if closed else f"other users can read {file}"
        hint = f"chmod 600 {shlex.quote(str(file))}" + ("" if origin.file else f", or say {one.name}_file there")
        yield Finding(one.name, closed, sentence, hint)


async def _reached(name: str, settings: Settings, reached: Any) -> Finding:
    """Whether it answers. Of Kafka also what its connections fail with."""
    try:
        if name == "kafka":
            kafka = replace(reached, reach_s=_REACH_S)
            try:
                topics = await KafkaAdmin(kafka).topics()
            except UnreachableError as error:
                words = await asyncio.to_thread(heard, kafka, _REACH_S)
                return Finding(name, False, error.sentence + (f" ({words})" if words and words not in error.sentence else ""), error.hint)
            return Finding(name, True, f"Kafka at {kafka.bootstrap} answers, and shows {len(topics)} topics")
        if name == "redis":
            lookup = RedisLookup(reached)
            try:
                await lookup.mget(["weft"])
            finally:
                await lookup.close()
            return Finding(name, True, f"Redis at {reached.where} answers")
        return await _model_server(settings, reached)
    except WeftError as error:
        return Finding(name, False, error.sentence, error.hint)


async def _model_server(settings: Settings, reached: Any) -> Finding:
    if settings.serve == IN_PROCESS:
        return Finding("serve", True, "models run in the workers")
    model_server = reached or endpoint(settings, services.environment(settings)["WEFT_SERVE"])
    try:
        alive = await model_server.lives()
    finally:
        await model_server.close()
    sentence = f"the model server at {model_server.target} {'answers' if alive else 'does not answer'}"
    return Finding("serve", alive, sentence, "is it running, and does it speak TLS where serve.tls says so?")


def rows(every: Sequence[Told]) -> list[tuple[str, str, str]]:
    """For a table: setting, value, where from."""
    return [(one.name, "" if one.value is None else str(one.value), str(one.origin)) for one in every]
