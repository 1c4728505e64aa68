"""Makes the topics that a flow needs and stores its bundle on the control topic; says first what it would do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from connectors.kafka.admin import KEPT, Topic
from connectors.log import Outgoing, Publisher, Reader
from ops.flow.retention import Retention, retentions
from ops.flow.wanted import Basis, own, wanted
from processors.flow.bundle import CONTROL_TOPIC, Applied, Bundle, applied_key
from processors.flow.meaning import differing
from processors.flow.spec import FlowFile
from processors.flow.topics import topics_of
from schemas.errors import FlowError, UsageError
from schemas.positions import Source


class Cluster(Protocol):
    """What applying asks of the cluster."""

    async def describe(self, names: Sequence[str]) -> Mapping[str, Topic]:
        """Those of the topics that exist."""

    async def create(self, topics: Sequence[Topic]) -> Sequence[str]:
        """Make topics; the names of those that were not there."""

    async def alter(self, name: str, configs: Mapping[str, str]) -> None:
        """Set some of a topic's settings."""

    async def grow(self, name: str, partitions: int) -> None:
        """Give a topic more partitions."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to do."""

    kind: Literal["create", "alter", "grow", "apply"]
    name: str  # of the topic, or flow@version
    partitions: int = 0
    configs: Mapping[str, str] = field(default_factory=dict)
    was: Mapping[str, str] = field(default_factory=dict)
    why: str = ""

    def as_json(self) -> dict[str, object]:
        """As plain values."""
        said: dict[str, object] = {"configs": dict(self.configs), "was": dict(self.was), "why": self.why}
        return {"kind": self.kind, "name": self.name, "partitions": self.partitions, **said}


@dataclass(frozen=True, slots=True)
class ApplyPlan:
    """What applying a flow would change, in order; nothing if all is as it should be."""

    bundle: Bundle
    changes: Sequence[Change]


async def make_plan(
    spec: FlowFile, made: Bundle, cluster: Cluster, reader: Reader, partitions: int, accept_new_trees: bool = False
) -> ApplyPlan:
    """Compare the cluster with what the flow needs.

    Raises:
        UsageError: the flow can't be applied to these topics, or the version was applied with other content.
        UnreachableError: no broker answers.
    """
    names = topics_of(spec)
    there = await cluster.describe([topic.name for topic in wanted(spec, Basis.of(None, partitions, spec.limits.value_bytes))])
    applied = await read_applied(reader) if CONTROL_TOPIC in there else Applied()
    _require_fixed(spec, applied)
    source = there.get(names.input)
    if source is not None and "compact" in source.kept("cleanup.policy"):
        sentence = f"{names.input} is compacted: records that it drops could never be proven"
        raise UsageError(sentence, "Use an input topic with cleanup.policy=delete.")
    changes: list[Change] = []
    basis = Basis.of(source, partitions, spec.limits.value_bytes)
    rules = retentions(spec, basis)
    for topic in wanted(spec, basis):
        is_own = topic.name in own(spec)
        changes += _changes(topic, there.get(topic.name), is_own, accept_new_trees, rules.get(topic.name))
    stored = _stored(made, applied)
    return ApplyPlan(stored, (*changes, *_store(stored, applied)))


async def read_applied(reader: Reader) -> Applied:
    """What the control topic says of flows; it has one partition."""
    applied = Applied()
    async for records in reader.read(Source(CONTROL_TOPIC, 0)):
        applied.read(zip(records.keys, records.values, strict=True))
    return applied


async def carry_out(plan: ApplyPlan, cluster: Cluster, publisher: Publisher) -> None:
    """Do what the plan says; doing it twice does no harm."""
    created = [Topic(change.name, change.partitions, change.configs) for change in plan.changes if change.kind == "create"]
    await cluster.create(created)
    for change in plan.changes:
        if change.kind == "alter":
            await cluster.alter(change.name, change.configs)
        elif change.kind == "grow":
            await cluster.grow(change.name, change.partitions)
    if any(change.kind == "apply" for change in plan.changes):
        made = plan.bundle
        keys, values = [made.key, applied_key(made.flow)], [made.encode(), made.version.encode()]
        await publisher.publish(Outgoing(CONTROL_TOPIC, keys, values, partition=0))


def _changes(topic: Topic, found: Topic | None, is_own: bool, accept_new_trees: bool, rule: Retention | None) -> list[Change]:
    """What to do about a topic. The input has no rule: it is not ours to alter."""
    if found is None:
        return [Change("create", topic.name, topic.partitions, topic.configs)]
    changes = []
    if is_own and found.partitions != topic.partitions:
        changes.append(_growth(topic, found, accept_new_trees))
    if rule is None:
        return changes
    wrong = rule.wrong(found)
    differing = {
        name: value for name, value in topic.configs.items() if name in wrong or (name not in KEPT and found.configs.get(name) != value)
    }
    if differing:
        was = {name: found.kept(name) if name in KEPT else found.configs.get(name, "") for name in differing}
        changes.append(Change("alter", topic.name, found.partitions, differing, was, "; ".join(dict.fromkeys(wrong.values()))))
    return changes


def _growth(topic: Topic, found: Topic, accept_new_trees: bool) -> Change:
    if found.partitions > topic.partitions:
        sentence = f"{topic.name} has {found.partitions} partitions, more than the input, which has {topic.partitions}"
        raise UsageError(
            sentence, "Was the input topic deleted and made anew? Then use another flow name, or delete the flow's topics too."
        )
    if not accept_new_trees:
        sentence = f"the input has {topic.partitions} partitions now, and {topic.name} has {found.partitions}"
        hint = "Keys move to other partitions (their order breaks) and new ledger trees begin; if you accept that: --accept-new-trees."
        raise UsageError(sentence, hint)
    return Change("grow", topic.name, topic.partitions, was={"partitions": str(found.partitions)})


def _stored(made: Bundle, applied: Applied) -> Bundle:
    """The version as it stands or will stand on the control topic: as it was applied, where it was."""
    before = applied.bundles.get(made.flow, {}).get(made.version)
    if before is None:
        return made
    stored = Bundle.decode(before)
    if changed := differing(stored.files, made.files):
        ident = f"{made.flow}@{made.version}"
        hint = "A new behaviour is a new version: raise `version`."
        raise UsageError(f"{ident} was applied with another content of {', '.join(changed)}", hint)
    return stored


def _store(stored: Bundle, applied: Applied) -> list[Change]:
    current = applied.current.get(stored.flow)
    if current == stored.version and stored.version in applied.bundles.get(stored.flow, {}):
        return []
    return [Change("apply", f"{stored.flow}@{stored.version}", was={"version": current} if current else {})]


def _require_fixed(spec: FlowFile, applied: Applied) -> None:
    """Rows that wait can't move to another input, order or ledger of results."""
    now = _fixed(spec)
    for value in applied.versions(spec.flow):
        try:
            before = Bundle.decode(value).declared()
        except FlowError:  # of a Weft that this one does not understand
            continue
        if before.version == spec.version:
            continue
        was = _fixed(before)
        for word, said in now.items():
            if said != was[word]:
                sentence = f"{spec.flow}@{before.version} was applied with `{word}: {was[word]}`, and this version says `{said}`"
                hint = "Rows of it may still wait, and what it decided must stay provable: give the flow another name instead."
                raise UsageError(sentence, hint)


def _fixed(spec: FlowFile) -> Mapping[str, str]:
    """What no version of a flow may change."""
    return {"input.topic": spec.input.topic, "result.topic": spec.result.topic, "order": spec.order}
