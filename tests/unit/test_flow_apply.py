"""Bundles, the topics that a flow needs, and what applying would change."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from connectors.kafka.admin import Topic
from connectors.memory.broker import MemoryBroker
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.reader import MemoryReader
from ops.flow.applied import topics_now
from ops.flow.apply import ApplyPlan, carry_out, make_plan, read_applied
from ops.flow.wanted import Basis, wanted
from ops.run.lag import lag
from processors.flow.bundle import CONTROL_TOPIC, Applied, Bundle, bundle
from processors.flow.check import check
from processors.flow.project import FolderProject, FrozenProject
from processors.flow.spec import FlowFile
from processors.flow.topics import topics_of
from schemas.errors import FlowError, UsageError
from tests.unit.flow_project import MANIFEST, small


class MemoryCluster:
    """The cluster in memory: topics with settings over the in-memory log."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.topics: dict[str, Topic] = {}

    async def describe(self, names: Sequence[str]) -> Mapping[str, Topic]:
        return {name: self.topics[name] for name in names if name in self.topics}

    async def create(self, topics: Sequence[Topic]) -> Sequence[str]:
        new = [topic for topic in topics if topic.name not in self.topics]
        for topic in new:
            self.topics[topic.name] = topic
            self.broker.create(topic.name, topic.partitions)
        return [topic.name for topic in new]

    async def alter(self, name: str, configs: Mapping[str, str]) -> None:
        self._set(name, self.topics[name].partitions, {**self.topics[name].configs, **configs})

    async def grow(self, name: str, partitions: int) -> None:
        self._set(name, partitions, self.topics[name].configs)

    def _set(self, name: str, partitions: int, configs: Mapping[str, str]) -> None:
        self.topics[name] = Topic(name, partitions, configs)


async def planned(cluster: MemoryCluster, project: FolderProject, **options: bool) -> ApplyPlan:
    return await make_plan(spec_of(project), bundle(project, "small"), cluster, MemoryReader(cluster.broker), 4, **options)


async def apply(cluster: MemoryCluster, project: FolderProject) -> None:
    await carry_out(await planned(cluster, project), cluster, MemoryPublisher(cluster.broker))


def spec_of(project: FolderProject) -> FlowFile:
    return check(project, "small").sound()


async def test_applying_makes_every_topic_and_stores_the_version_and_does_nothing_twice(tmp_path: Path) -> None:
    cluster, project = MemoryCluster(), small(tmp_path)
    await apply(cluster, project)
    names = topics_of(spec_of(project))
    assert {names.result, names.dead_letters, names.ledger, *names.consumed, CONTROL_TOPIC} <= cluster.topics.keys()
    applied = await read_applied(MemoryReader(cluster.broker))
    assert applied.current == {"small": "1.0.0"}
    assert applied.versions("small") == [bundle(project, "small").encode()]
    assert (await planned(cluster, project)).changes == ()


async def test_a_version_that_was_applied_can_not_change(tmp_path: Path) -> None:
    cluster = MemoryCluster()
    await apply(cluster, small(tmp_path))
    with pytest.raises(UsageError, match=r"small@1\.0\.0 was applied with another content of flows/small\.yaml"):
        await planned(cluster, small(tmp_path, ("score > 0.8", "score > 0.7")))


async def test_a_version_in_another_form_is_applied_already_and_stays_as_it_was_stored(tmp_path: Path) -> None:
    cluster = MemoryCluster()
    await apply(cluster, small(tmp_path))
    stored = (await read_applied(MemoryReader(cluster.broker))).versions("small")
    again = await planned(cluster, small(tmp_path, ("flow: small", "# words for whoever reads it\nflow: 'small'")))
    assert again.changes == ()
    assert [again.bundle.encode()] == stored
    await apply(cluster, small(tmp_path, ("version: 1.0.0", "version: 1.1.0")))
    await apply(cluster, small(tmp_path, ("flow: small", "flow: 'small'")))
    assert (await read_applied(MemoryReader(cluster.broker))).versions("small")[0] == stored[0]


async def test_a_new_version_is_applied_and_the_old_one_stays_for_rows_in_flight(tmp_path: Path) -> None:
    cluster = MemoryCluster()
    await apply(cluster, small(tmp_path))
    await apply(cluster, small(tmp_path, ("version: 1.0.0", "version: 1.1.0"), ("score > 0.8", "score > 0.7")))
    applied = await read_applied(MemoryReader(cluster.broker))
    assert [Bundle.decode(value).version for value in applied.versions("small")] == ["1.1.0", "1.0.0"]
    await apply(cluster, small(tmp_path))  # back again
    assert (await read_applied(MemoryReader(cluster.broker))).current == {"small": "1.0.0"}


@pytest.mark.parametrize(
    ("word", "change"),
    [
        ("input.topic: flights.departures", ("flights.departures", "flights.others")),
        ("result.topic: flights.small", ("flights.small,", "flights.large,")),
        ("order: none", ("limits:", "order: key\nlimits:")),
    ],
)
async def test_a_new_version_may_not_change_what_rows_in_flight_are_bound_to(tmp_path: Path, word: str, change: tuple[str, str]) -> None:
    cluster = MemoryCluster()
    await apply(cluster, small(tmp_path))
    await cluster.create([Topic("flights.others", 6)])  # nor is it told to accept more partitions
    with pytest.raises(UsageError, match=rf"small@1\.0\.0 was applied with `{word}`") as raised:
        await planned(cluster, small(tmp_path, ("version: 1.0.0", "version: 2.0.0"), change))
    assert "another name" in raised.value.hint


async def test_the_topics_are_those_of_all_applied_versions_whatever_the_file_says_now(tmp_path: Path) -> None:
    cluster = MemoryCluster()
    await apply(cluster, small(tmp_path))
    await apply(cluster, small(tmp_path, ("version: 1.0.0", "version: 1.1.0"), ("[1s, 30s]", "[2s]")))
    applied = await read_applied(MemoryReader(cluster.broker))
    (tmp_path / "flows/small.yaml").write_text("flow: [")
    topics = topics_now(applied, FolderProject(tmp_path), "small")
    assert topics.consumed == ("flights.departures", "small.resume", "small.retry.2s", "small.retry.1s", "small.retry.30s")
    found = await lag(MemoryReader(cluster.broker), topics, {})
    assert {behind.source.topic for behind in found.partitions if behind.kind == "retry"} == set(topics.retries)


def test_the_file_says_the_topics_where_nothing_was_applied(tmp_path: Path) -> None:
    project = small(tmp_path, ("[1s, 30s]", "[7s]"))
    assert topics_now(Applied(), project, "small").retries == ("small.retry.7s",)


async def test_a_compacted_input_is_refused(tmp_path: Path) -> None:
    cluster = MemoryCluster()
    await cluster.create([Topic("flights.departures", 4, {"cleanup.policy": "compact,delete"})])
    with pytest.raises(UsageError, match="is compacted"):
        await planned(cluster, small(tmp_path))


async def test_more_partitions_are_refused_unless_new_trees_are_accepted(tmp_path: Path) -> None:
    cluster, project = MemoryCluster(), small(tmp_path)
    await apply(cluster, project)
    await cluster.grow("flights.departures", 6)
    with pytest.raises(UsageError, match="6 partitions now") as raised:
        await planned(cluster, project)
    assert "--accept-new-trees" in raised.value.hint
    grown = {change.name for change in (await planned(cluster, project, accept_new_trees=True)).changes if change.kind == "grow"}
    assert grown == {"small.reviews", "small.resume", "small.retry.1s", "small.retry.30s", "small.generations", "small.ledger"}


async def test_an_input_with_fewer_partitions_than_the_flow_had_is_refused(tmp_path: Path) -> None:
    cluster, project = MemoryCluster(), small(tmp_path)
    await apply(cluster, project)
    await cluster.grow("flights.departures", 2)
    with pytest.raises(UsageError, match="more than the input"):
        await planned(cluster, project, accept_new_trees=True)


async def test_a_changed_setting_is_shown_with_what_it_was_and_the_input_is_left_alone(tmp_path: Path) -> None:
    cluster, project = MemoryCluster(), small(tmp_path)
    await apply(cluster, project)
    await cluster.alter("small.ledger", {"retention.ms": "1"})
    await cluster.alter("flights.departures", {"retention.bytes": "1000"})
    (change,) = (await planned(cluster, project)).changes
    assert (change.kind, change.name, change.was) == ("alter", "small.ledger", {"retention.ms": "1"})
    assert change.why == "it keeps records 1 ms: the input keeps them 7 d, and the ledger must prove them as long"


@pytest.mark.parametrize(
    ("topic", "said", "wrong"),
    [
        ("small.ledger", {"retention.ms": "-1"}, None),  # longer than asked for is nobody's mistake
        ("small.ledger", {"retention.ms": "604800000"}, None),
        ("small.ledger", {"retention.ms": "604799999"}, "must prove them as long"),
        ("small.ledger", {"retention.bytes": "1000"}, "drops records by size"),
        ("small.dead-letters", {"retention.ms": "86400000"}, None),
        ("small.dead-letters", {"retention.ms": "604800001"}, "event must still be there"),
        ("small.resume", {"retention.ms": "86400000"}, "a row may wait"),
        ("small.reviews", {"cleanup.policy": "compact,delete"}, "only the last record of each key"),
        ("small.checkpoints", {"retention.ms": "1"}, "never deleted"),
        ("flights.small", {"retention.ms": "1"}, None),
        ("flights.small", {"cleanup.policy": "compact"}, "can't be proven"),
    ],
)
async def test_a_retention_is_changed_only_where_the_proof_needs_it_and_then_with_a_sentence(
    tmp_path: Path, topic: str, said: Mapping[str, str], wrong: str | None
) -> None:
    cluster, project = MemoryCluster(), small(tmp_path)
    await apply(cluster, project)
    topic = topics_of(spec_of(project)).result if topic == "flights.small" else topic
    await cluster.alter(topic, said)
    changes = (await planned(cluster, project)).changes
    assert [(change.name, dict(change.was)) for change in changes] == ([(topic, dict(said))] if wrong else [])
    assert all(wrong in change.why for change in changes if wrong)
    await apply(cluster, project)
    assert (await planned(cluster, project)).changes == ()


async def test_the_cluster_s_own_default_counts_where_the_input_says_nothing(tmp_path: Path) -> None:
    cluster, project = MemoryCluster(), small(tmp_path)
    cluster.topics["flights.departures"] = Topic("flights.departures", 4, defaults={"retention.ms": "-1"})
    cluster.broker.create("flights.departures", 4)
    await apply(cluster, project)
    assert cluster.topics["small.ledger"].kept("retention.ms") == "-1"


@pytest.mark.parametrize("retention_ms", [1_000, 86_400_000, 30 * 86_400_000, -1])
def test_retention_keeps_what_proves_at_least_as_long_as_what_is_proven(tmp_path: Path, retention_ms: int) -> None:
    spec = spec_of(small(tmp_path))
    names = topics_of(spec)
    topics = {topic.name: topic for topic in wanted(spec, Basis(4, retention_ms, 1_000_000))}

    def kept(name: str) -> float:
        ms = int(topics[name].configs["retention.ms"])
        return float("inf") if ms < 0 else ms

    assert kept(names.ledger) >= kept(names.input) >= kept(names.dead_letters)
    for name in (names.resume, *names.retries):
        assert kept(name) >= kept(names.input)
        assert kept(name) > spec.limits.review * 1_000
    assert kept(names.checkpoints) == float("inf")
    for name in (names.reviews, names.generations, CONTROL_TOPIC):
        assert topics[name].configs["cleanup.policy"] == "compact"
    for name in (names.dead_letters, names.quarantine, names.reviews, names.resume):
        assert int(topics[name].configs["max.message.bytes"]) >= 1_000_000 + 65_536


def test_a_flow_with_order_by_key_has_retry_topics_for_rows_that_came_back(tmp_path: Path) -> None:
    spec = spec_of(small(tmp_path, ("limits:", "order: key\nlimits:")))
    assert topics_of(spec).retries == ("small.retry.1s", "small.retry.30s")


def test_a_bundle_carries_all_that_the_flow_names_and_means_the_same_later(tmp_path: Path) -> None:
    made = bundle(small(tmp_path), "small")
    assert made.files.keys() == {
        "flows/small.yaml",
        "models/late/manifest.json",
        "schemas/flights.Departure.avsc",
        "schemas/flights.DelayDecision.avsc",
    }
    small(tmp_path, ("score > 0.8", "score > 0.1"))
    read = Bundle.decode(made.encode())
    assert read == made
    later = check(FrozenProject(read.files, FolderProject(tmp_path)), "small")
    assert later.mistakes == ()
    assert "score > 0.8" in later.page.text


def test_what_is_nested_too_deeply_is_no_bundle() -> None:
    with pytest.raises(FlowError, match="no bundle of a flow"):
        Bundle.decode(b"[" * 100_000)


def test_a_flow_with_mistakes_has_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match=r"the flow has a mistake: .*small\.yaml:7:\d+: there is no column `scor`"):
        bundle(small(tmp_path, ("score > 0.8", "scor > 0.8")), "small")


def test_what_is_too_large_for_a_record_is_refused(tmp_path: Path) -> None:
    project = small(tmp_path)
    (tmp_path / "models/late/manifest.json").write_text(MANIFEST + " " * 1_000_000)
    with pytest.raises(FlowError, match="fit into a record") as raised:
        bundle(project, "small")
    assert "models/late/manifest.json" in raised.value.hint


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b"\xff", b'{"format": 1}', b'{"format": 2}', json.dumps([1]).encode()])
def test_what_is_no_bundle_is_refused(value: bytes) -> None:
    with pytest.raises(FlowError):
        Bundle.decode(value)


def test_other_records_of_the_control_topic_are_passed_over() -> None:
    applied = Applied().read([(b"route/x", b"1"), (None, b"2"), (b"\xff", None), (b"flow/a/1.0.0/x", b"3"), (b"flow/a", b"1.0.0")])
    assert applied.versions("a") == []
    assert applied.read([(b"flow/a/1.0.0", b"v"), (b"flow/a/0.9.0", b"u"), (b"flow/a/0.9.0", None)]).versions("a") == [b"v"]
