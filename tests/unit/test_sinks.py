"""Sinks: what a run sends arrives once, whatever breaks off when; sink files are checked with places."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from connectors.log import Outgoing
from connectors.memory.broker import MemoryBroker
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.reader import MemoryReader
from connectors.memory.sink import MemorySink
from connectors.sink import Message
from connectors.sink_laws import SINK_LAWS, SinkLaw
from ops.daily.rows import Row
from ops.project.texts import TEMPLATE
from ops.sinks.file import check
from ops.sinks.run import Outlet, Tally, run
from processors.flow.project import FolderProject
from schemas.errors import FailedError, UnreachableError
from schemas.positions import Source
from tests.unit.flow_project import small, write

TOPIC = "decisions"


class Kept:
    """Progress that outlives a run."""

    def __init__(self) -> None:
        self.next: dict[Source, int] = {}

    async def load(self) -> Mapping[Source, int]:
        """See Progress."""
        return dict(self.next)

    async def save(self, next_: Mapping[Source, int]) -> None:
        """See Progress."""
        self.next |= next_


def shown(row: Row) -> Mapping[str, Any]:
    """A result whose value is its key."""
    key = (row.value or b"").decode()
    return {
        "key": key,
        "event": key,
        "position": str(row.position),
        "flow": "g@1.0.0" if key == "other's" else "f@1.0.0",
        "value": {"k": key},
    }


async def broker(keys: list[str]) -> MemoryBroker:
    """A topic of two partitions."""
    made = MemoryBroker()
    made.create(TOPIC, 2)
    for partition in range(2):
        values = [key.encode() for key in keys[partition::2]]
        await MemoryPublisher(made).publish(Outgoing(TOPIC, [None] * len(values), values, partition=partition))
    return made


async def sleep(seconds: float) -> None:
    """Nobody waits."""
    assert seconds > 0


def outlet(on: MemoryBroker, sink: MemorySink, kept: Kept, said: list[str] | None = None) -> Outlet:
    """All that a run needs."""
    return Outlet(MemoryReader(on), TOPIC, "f", shown, sink, kept, (said if said is not None else []).append, sleep)


async def test_everything_arrives_once_though_the_sink_goes_away_in_the_middle() -> None:
    keys = [f"k{at}" for at in range(1_200)]
    on, kept, arrived, said = await broker(keys), Kept(), list[Message](), list[str]()
    gone = UnreachableError("it is away")
    tally = Tally()
    await run(outlet(on, MemorySink(arrived, [(7, gone), (0, gone), None, (300, gone)]), kept, said), True, tally)
    assert sorted(message.key for message in arrived) == sorted(keys)
    assert len(said) == 3
    assert "it is away; tried again in 0.5 s" in said


async def test_a_run_that_ends_in_the_middle_is_gone_on_with() -> None:
    keys = [f"k{at}" for at in range(1_200)]
    on, kept, arrived = await broker(keys), Kept(), list[Message]()
    for script in ([(10, FailedError("no"))], [None, (499, FailedError("no"))]):
        with pytest.raises(FailedError):
            await run(outlet(on, MemorySink(arrived, script), kept), True, Tally())
    tally = Tally()
    await run(outlet(on, MemorySink(arrived), kept), True, tally)
    assert sorted(message.key for message in arrived) == sorted(keys)
    assert tally.known


async def test_two_results_with_one_key_are_one_message() -> None:
    on, arrived, tally = await broker(["same", "other", "same", "other2", "same"]), list[Message](), Tally()
    await run(outlet(on, MemorySink(arrived), Kept()), True, tally)
    assert sorted(message.key for message in arrived) == ["other", "other2", "same"]
    assert (tally.sent, tally.known) == (3, 2)
    assert [message.position for message in arrived if message.key == "same"] == [f"{TOPIC}/0/0"], "the first counts"


async def test_a_record_that_the_flow_did_not_write_is_set_aside_and_said() -> None:
    on, arrived, said, tally = await broker(["a", "b", "", "other's", "c"]), list[Message](), list[str](), Tally()
    await run(outlet(on, MemorySink(arrived), Kept(), said), True, tally)
    assert sorted(message.key for message in arrived) == ["a", "b", "c"]
    assert (tally.sent, tally.known, tally.aside) == (3, 0, 2)
    assert [f"{TOPIC}/0/1" in said[0], f"{TOPIC}/1/1" in said[1]] == [True, True]


async def test_code_of_a_sink_that_breaks_says_where_and_passes_nothing_over() -> None:
    class Broken(MemorySink):
        async def send(self, messages: Any) -> None:
            raise KeyError("what")

    kept = Kept()
    with pytest.raises(FailedError, match=r"the sink failed at decisions/0/0: KeyError: 'what' \(.*test_sinks.py:\d+\)"):
        await run(outlet(await broker(["a"]), Broken([]), kept), True, Tally())
    assert not kept.next


@pytest.mark.parametrize("law", SINK_LAWS, ids=lambda law: law.name)
async def test_the_sink_in_memory_keeps_the_laws(law: SinkLaw) -> None:
    arrived: list[Message] = []
    await law.hold(lambda: MemorySink(arrived))


def files(folder: Path, text: str) -> FolderProject:
    """A project with a sink."""
    small(folder)
    plugin = (TEMPLATE / "sqlite.py").read_text()
    return write(folder, {"weft.toml": "", "plugins/sinks/sqlite.py": plugin, "sinks/out.yaml": text})


def test_a_sound_sink_file_is_opened(tmp_path: Path) -> None:
    made = files(tmp_path, "flow: small\nto:\n  sqlite: {file: a.db}\n")
    found = check(made, "out")
    assert not found.mistakes
    found.open(made)
    assert (tmp_path / "a.db").exists()


@pytest.mark.parametrize(
    ("text", "line", "sentence", "hint"),
    [
        ("flow: smal\nto:\n  sqlite: {file: a.db}\n", 1, "there is no flow `smal`", "did you mean `small`?"),
        ("flow: small\nto:\n  sqlit: {file: a.db}\n", 3, "there is no sink plugin `sqlit`", "did you mean `sqlite`?"),
        ("flow: small\nto:\n  sqlite: {fil: a.db}\n", 3, "there is no word `fil` here", "did you mean `file`?"),
        ("flow: small\nto: {}\n", 2, "a sink is one word and what it is told", ""),
        ("flow: small\nfrom: x\nto:\n  sqlite: {file: a.db}\n", 2, "there is no word `from` here", ""),
        ("flow: [small\n", 2, "this is not YAML", ""),
    ],
)
def test_what_is_wrong_with_a_sink_file_is_said_with_its_place(tmp_path: Path, text: str, line: int, sentence: str, hint: str) -> None:
    mistakes = [one for one in check(files(tmp_path, text), "out").mistakes if sentence in one.sentence]
    assert mistakes
    assert mistakes[0].line == line
    assert hint in mistakes[0].hint
