"""One run of `weft flow rollback`: an older version is applied from its bundle, whatever the folder holds now."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from connectors.kafka.admin import KafkaAdmin
from connectors.kafka.reader import KafkaReader
from ops.flow.applied import applied_now
from ops.flow.apply import ApplyPlan, make_plan
from ops.flow.applying import Applying
from ops.flow.diff import Difference, differences
from ops.flow.sides import order, side, version_of
from ops.stack import services
from processors.flow.bundle import Applied, Bundle
from schemas.errors import FlowError, UsageError
from streams.settings import Settings


class Rollback(NamedTuple):
    """What it would do, and what that changes."""

    plan: ApplyPlan
    changes: Sequence[Difference]


async def read_versions(settings: Settings) -> Applied:
    """What the control topic says of flows."""
    kafka = services.kafka(settings)
    reader = KafkaReader(kafka)
    try:
        return await applied_now(KafkaAdmin(kafka), reader)
    finally:
        await reader.close()


async def plan_rollback(asked: Applying, to: str) -> Rollback:
    """Go back to a version, by default the one below.

    Raises:
        UsageError: there is none, or it does not fit the topics.
        FlowError: this Weft can't run it.
    """
    kafka = asked.kafka
    reader, admin = KafkaReader(kafka), KafkaAdmin(kafka)
    try:
        applied = await applied_now(admin, reader)
        made = version_of(applied, asked.flow, to or below(applied, asked.flow))
        older = side(f"{asked.flow}@{made.version}", asked.project, applied)
        plan = await make_plan(older.checked.sound(), made, admin, reader, asked.partitions, asked.accept_new_trees)
    finally:
        await reader.close()
    try:
        now = side(f"{asked.flow}@{applied.current.get(asked.flow, '')}", asked.project, applied)
        return Rollback(plan, differences(now.checked, older.checked))
    except (FlowError, UsageError):  # what is applied now can't be read: one more reason to go back
        return Rollback(plan, ())


def below(applied: Applied, flow: str) -> str:
    """The highest version below the one that is applied.

    Raises:
        UsageError: there is none.
    """
    current = applied.current.get(flow)
    if current is None:
        raise UsageError(f"the flow {flow} is not applied", f"run: weft flow apply {flow}")
    older = [version for version in applied.bundles.get(flow, {}) if order(version) < order(current)]
    if not older:
        raise UsageError(f"no version of {flow} below {current} was ever applied", f"`weft flow versions {flow}` shows those that were.")
    return max(older, key=order)


def told(applied: Applied, flow: str) -> list[dict[str, Any]]:
    """Every version that was applied, the highest first."""
    rows = []
    for version, value in sorted(applied.bundles.get(flow, {}).items(), key=lambda item: order(item[0]), reverse=True):
        current, made = applied.current.get(flow) == version, Bundle.decode(value)
        rows.append({"flow": flow, "version": version, "applied": current, "files": len(made.files), "digest": made.digest[:16]})
    return rows
