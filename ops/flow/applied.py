"""What of a flow is applied, and so which topics it has: the one answer for whoever runs, measures or audits it."""

from connectors.kafka.admin import KafkaAdmin
from connectors.kafka.reader import KafkaReader
from ops.flow.apply import read_applied
from processors.flow.bundle import CONTROL_TOPIC, Applied, Bundle
from processors.flow.check import check
from processors.flow.compiled import Topics, together
from processors.flow.project import Project
from processors.flow.spec import FlowFile
from processors.flow.topics import topics_of
from schemas.errors import FlowError


async def applied_now(admin: KafkaAdmin, reader: KafkaReader) -> Applied:
    """What was applied, if anything ever was."""
    there = await admin.describe([CONTROL_TOPIC])
    return await read_applied(reader) if CONTROL_TOPIC in there else Applied()


def topics_now(applied: Applied, project: Project, flow: str) -> Topics:
    """The topics of all versions that were applied; of the project's file, if none ever was.

    Raises:
        FlowError: the current version can't be read, or the file has mistakes.
    """
    versions = applied.versions(flow)
    if not versions:
        return topics_of(check(project, flow).sound())
    return together([_topics(versions[0]), *(topics for value in versions[1:] if (topics := _topics_if_readable(value)))])


def latest_now(applied: Applied, project: Project, flow: str) -> str:
    """The input topic, if any version of the flow that may have been its first begins at the latest event; else empty."""
    versions = applied.versions(flow)
    readable = (
        [declared for value in versions if (declared := _declared_if_readable(value))] if versions else [check(project, flow).sound()]
    )
    return next((declared.input.topic for declared in readable if declared.input.start == "latest"), "")


def _topics(value: bytes) -> Topics:
    return topics_of(Bundle.decode(value).declared())


def _topics_if_readable(value: bytes) -> Topics | None:
    """None where not even a worker knows where its rows may wait."""
    declared = _declared_if_readable(value)
    return topics_of(declared) if declared is not None else None


def _declared_if_readable(value: bytes) -> FlowFile | None:
    try:
        return Bundle.decode(value).declared()
    except FlowError:
        return None
