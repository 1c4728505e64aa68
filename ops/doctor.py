"""What `weft doctor` looks at: each check says how one thing is, in a sentence, and what to do where it is not well.

To add one, write a function from settings to findings and name it in CHECKS.
"""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata

from connectors.kafka.admin import KafkaAdmin
from ops.flow.wanted import Basis, wanted
from ops.stack import jars, kafka, ports, services
from ops.stack.local import NEEDED_BYTES, LocalStack
from ops.stack.part import Site
from processors.flow.check import Checked, check
from processors.flow.project import FolderProject
from schemas.errors import UnreachableError, WeftError
from serving.catalog import TRAIN, Catalog
from streams.settings import Settings

OLDEST, NEWEST = (3, 11), (3, 13)
SETUP = "Run `make setup`."
UP = "Run `weft up`."
JAVA_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing is; `hint` says what to do where it is not ok."""

    name: str
    ok: bool
    sentence: str
    hint: str = ""

    def as_json(self) -> Mapping[str, object]:
        """As plain values."""
        return asdict(self)


Check = Callable[[Settings], Iterator[Finding]]


def python(_settings: Settings) -> Iterator[Finding]:
    """The interpreter's version."""
    here = sys.version_info[:2]
    sentence = f"Python {here[0]}.{here[1]} runs this; 3.11 to 3.13 will do"
    yield Finding("python", OLDEST <= here <= NEWEST, sentence, "Run `make clean`, then `make setup PYTHON=python3.11`.")


def packages(_settings: Settings) -> Iterator[Finding]:
    """Every library that Weft needs, extras and markers aside."""
    wanted_names = [re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in metadata.requires("weft") or () if "extra ==" not in line]
    missing = [name for name in wanted_names if not _installed(name)]
    sentence = f"libraries are missing: {', '.join(missing)}" if missing else f"all {len(wanted_names)} libraries are installed"
    yield Finding("packages", not missing, sentence, SETUP)


def java(settings: Settings) -> Iterator[Finding]:
    """The program that runs the broker."""
    try:
        program = kafka.java(_site(settings))
        subprocess.run([program, "-version"], check=True, capture_output=True, timeout=JAVA_TIMEOUT_S)
    except WeftError as error:
        yield Finding("java", False, error.sentence, error.hint)
    except (OSError, subprocess.SubprocessError):
        yield Finding("java", False, f"{program} does not run", "Set WEFT_JAVA to a java program of version 17 or later.")
    else:
        yield Finding("java", True, f"{program} runs")


def broker(settings: Settings) -> Iterator[Finding]:
    """The broker's jars."""
    missing = jars.missing(settings.cache_folder)
    count = len(jars.locked())
    sentence = (
        f"{len(missing)} of the broker's {count} jars are not in {settings.cache_folder}" if missing else f"all {count} jars are there"
    )
    yield Finding("jars", not missing, sentence, "Run `weft up` once with a network; it fetches them.")


def disk(settings: Settings) -> Iterator[Finding]:
    """Room for the stack's data."""
    there = next(folder for folder in (settings.data_folder, *settings.data_folder.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    sentence = f"{free / 1e9:.1f} GB are free for {settings.data_folder}; {NEEDED_BYTES / 1e9:.1f} are needed"
    yield Finding("disk", free >= NEEDED_BYTES, sentence, "Free some space, or put the data folder elsewhere with --data or WEFT_DATA.")


def stack(settings: Settings) -> Iterator[Finding]:
    """Each part of the local stack that no setting replaces, and the ports that it keeps."""
    local = LocalStack(settings)
    for part in local.parts():
        if not local.needed(part.name):
            yield Finding(part.name, True, f"{part.title} runs elsewhere, as the settings say")
            continue
        status = local.status([part.name])[0]
        if status.pid is None:
            yield from _ports(part.name, part.port_names, settings)
        hint = f"Look at `weft logs {part.name}`, then run `weft up`." if status.state == "crashed" else UP
        yield Finding(part.name, status.state == "running", f"{part.title}: {status.state}", hint)


def models(settings: Settings) -> Iterator[Finding]:
    """Models that are there and are what was approved."""
    catalog = Catalog(FolderProject(settings.project_folder))
    names = catalog.names()
    if not names:
        yield Finding("models", False, "there is no model yet", TRAIN)
    for name in names:
        try:
            manifest = catalog.manifest(name)
            catalog.content(manifest)
        except WeftError as error:
            yield Finding(f"model {name}", False, error.sentence, error.hint)
        else:
            yield Finding(f"model {name}", True, f"{manifest.ident} is approved, and its file is the one that was")


def flows(settings: Settings, every: bool = False) -> Iterator[Finding]:
    """The project's flows with everything that they name: contracts, rules, policies, references, models."""
    for name, checked in _checked(settings, every).items():
        first = str(checked.mistakes[0]) if checked.mistakes else f"{checked.page.file} has no mistakes"
        yield Finding(f"flow {name}", not checked.mistakes, first, f"Run `weft flow check {name}`; it shows all mistakes.")


def topics(settings: Settings, every: bool = False) -> Iterator[Finding]:
    """The topics of each of them."""
    try:
        there = set(asyncio.run(KafkaAdmin(replace(services.kafka(settings), reach_s=3.0)).topics()))
    except UnreachableError as error:
        told = services.named(error, settings)
        yield Finding("topics", False, told.sentence, UP if told is error else told.hint)
        return
    for name, checked in _checked(settings, every).items():
        if checked.spec is not None:
            basis = Basis.of(None, 1, checked.spec.limits.value_bytes)
            missing = [topic.name for topic in wanted(checked.spec, basis) if topic.name not in there]
            sentence = f"topics are missing: {', '.join(missing)}" if missing else "all its topics are there"
            yield Finding(f"topics of {name}", not missing, sentence, f"Run `weft flow apply {name}`.")


CHECKS: Sequence[Check] = (python, packages, java, broker, disk, stack, models, flows, topics)
"""All of them, in the order in which things build on each other."""


def all_flows(settings: Settings) -> Iterator[Finding]:
    """Flows, also those built in."""
    yield from flows(settings, every=True)


def all_topics(settings: Settings) -> Iterator[Finding]:
    """Their topics."""
    yield from topics(settings, every=True)


ALL_CHECKS: Sequence[Check] = (*CHECKS[:-2], all_flows, all_topics)
"""As CHECKS, with the flows that are built in."""


def examine(settings: Settings, checks: Sequence[Check] = CHECKS) -> Iterator[Finding]:
    """What each check finds. A check that breaks is a finding too."""
    for check_ in checks:
        try:
            yield from check_(settings)
        except WeftError as error:
            yield Finding(check_.__name__, False, error.sentence, error.hint)
        except Exception as error:  # the doctor looks at what is broken, so he goes on whatever breaks
            yield Finding(check_.__name__, False, f"could not be looked at: {type(error).__name__}: {error}", SETUP)


def _installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _site(settings: Settings) -> Site:
    return Site(settings.data_folder, settings.cache_folder, settings.project_folder, {}, settings.java)


def _ports(part: str, names: Sequence[str], settings: Settings) -> Iterator[Finding]:
    kept = ports.assign(settings.data_folder, names)
    for name in names:
        taken_by = ports.holder(kept[name])
        if taken_by:
            hint = "End that program, or let the stack choose other ports with `weft up --new-ports`."
            yield Finding(f"port of {part}", False, f"port {kept[name]} is taken by {taken_by}", hint)


def _checked(settings: Settings, every: bool) -> dict[str, Checked]:
    project = FolderProject(settings.project_folder)
    return {name: check(project, name) for name in project.flows(every)}
