"""One run of `weft flow apply`: connects, plans, carries out."""

from dataclasses import dataclass

from connectors.kafka.admin import KafkaAdmin
from connectors.kafka.publisher import KafkaPublisher
from connectors.kafka.reader import KafkaReader
from connectors.kafka.settings import KafkaSettings
from ops.flow.apply import ApplyPlan, carry_out, make_plan
from ops.stack import services
from processors.flow.bundle import bundle
from processors.flow.check import check
from processors.flow.project import FolderProject
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Applying:
    """What was asked for."""

    settings: Settings
    project: FolderProject
    flow: str
    partitions: int
    accept_new_trees: bool

    @property
    def kafka(self) -> KafkaSettings:
        """The cluster: that of the settings, else the local stack's."""
        return services.kafka(self.settings)


async def plan_only(asked: Applying) -> ApplyPlan:
    """What it would do."""
    spec, made = check(asked.project, asked.flow).sound(), bundle(asked.project, asked.flow)
    reader = KafkaReader(asked.kafka)
    try:
        return await make_plan(spec, made, KafkaAdmin(asked.kafka), reader, asked.partitions, asked.accept_new_trees)
    finally:
        await reader.close()


async def run_apply(asked: Applying, plan: ApplyPlan) -> None:
    """Do it."""
    publisher = KafkaPublisher(asked.kafka)
    try:
        await carry_out(plan, KafkaAdmin(asked.kafka), publisher)
    finally:
        await publisher.close()
