"""What must be true before a flow runs: the cluster answers, the flow is applied, the log has a key, earlier starts are swept away."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from connectors.kafka.admin import KafkaAdmin
from connectors.kafka.reader import KafkaReader
from ops.flow.applied import applied_now, topics_now
from ops.flow.applying import Applying, plan_only, run_apply
from ops.run.supervisor import Plan
from ops.stack import services
from processors.flow.bundle import Applied
from processors.flow.check import check
from processors.flow.project import FolderProject
from schemas.errors import FlowError
from streams.ledger.key import LogKey
from streams.registry import project_of
from streams.settings import Settings
from streams.slot import CONTROL_GROUPS

PARTITIONS = 4  # of an input topic that is not there yet


@dataclass(frozen=True, slots=True)
class Asked:
    """What `weft run` was asked for."""

    settings: Settings
    flow: str
    workers: int | None  # None: as many as do it best
    until_idle: bool

    @property
    def project(self) -> FolderProject:
        """Where the flow's files are."""
        return project_of(self.settings)


def default_workers(settings: Settings) -> int:
    """One per core that this process may use; less one for the broker, where it is the local stack's."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - (settings.bootstrap is None))


async def prepare(asked: Asked, say: Callable[[str], None]) -> Plan:
    """Make it true, and say what was done.

    Raises:
        UnreachableError: no broker answers.
        FlowError: there is no such flow, or it has mistakes.
        UsageError: the topics do not fit the flow.
    """
    settings = asked.settings
    kafka = services.kafka(settings, patient=True)
    reader, admin = KafkaReader(kafka), KafkaAdmin(kafka)
    try:
        applied = await _applied(asked, admin, reader, say)
        if not settings.log_key_file.exists():
            LogKey.create(settings.log_key_file)
            say(f"The log key is made: {settings.log_key_file}. Keep a copy.")
        topics = topics_now(applied, asked.project, asked.flow)
        workers = asked.workers or min(default_workers(settings), await reader.partitions(topics.input))
        sources = {f"{topic}/{partition}" for topic in topics.consumed for partition in range(await reader.partitions(topic))}
        await _sweep(admin, asked.flow)
    finally:
        await reader.close()
    places = {"WEFT_PROJECT": str(settings.project_folder), "WEFT_DATA": str(settings.data_folder)}
    environment = {**os.environ, **services.environment(settings), **places}
    return Plan(asked.flow, workers, settings.data_folder, environment, frozenset(sources), asked.until_idle)


async def _applied(asked: Asked, admin: KafkaAdmin, reader: KafkaReader, say: Callable[[str], None]) -> Applied:
    """What is applied; the flow is, after this."""
    applied = await applied_now(admin, reader)
    if not applied.versions(asked.flow):
        applying = Applying(asked.settings, asked.project, asked.flow, PARTITIONS, accept_new_trees=False)
        plan = await plan_only(applying)
        await run_apply(applying, plan)
        say(f"{plan.bundle.flow}@{plan.bundle.version} is applied: it was not yet.")
        return await applied_now(admin, reader)
    current = applied.current.get(asked.flow)
    try:
        mine = check(asked.project, asked.flow).sound().version
    except FlowError:  # it runs as it was applied, whatever the file looks like now
        mine = current or ""
    if mine != current:
        say(f"{asked.flow}@{current} is applied and runs; the file says {mine}: `weft flow apply {asked.flow}` applies it.")
    return applied


async def _sweep(admin: KafkaAdmin, flow: str) -> None:
    """Delete control groups that nobody is in: each start of a worker makes one, and a killed worker can't delete its own."""
    groups = await admin.groups()
    stale = [group.name for group in groups if group.name.startswith(f"{CONTROL_GROUPS}{flow}-") and not group.members]
    if stale:
        await admin.delete_groups(stale)
