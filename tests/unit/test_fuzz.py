"""The short form of `make fuzz`: a few ten thousand records, files and readings; docs/fuzz.md has the long one."""

import random
from pathlib import Path

import pytest

from tests.fuzz import poison
from tests.fuzz.encodings import Target, targets
from tests.fuzz.files import Files
from tests.fuzz.readers import Reader, readers, spoilt
from tests.fuzz.stream import Stream

RECORDS, READINGS, FILES = 2_400, 300, 25
SEED = 20


@pytest.mark.parametrize("target", targets(), ids=lambda target: target.name)
async def test_whatever_is_thrown_ends_once_as_it_must(tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.stream.WAVE", RECORDS // 3)
    stream = Stream(tmp_path, target, SEED)
    told = await stream.run(stream.waves(RECORDS))
    assert told.records == RECORDS
    assert told.wrong[:3] == []


def test_spoilt_files_of_a_flow_are_told_with_their_place(tmp_path: Path) -> None:
    told = Files(tmp_path, SEED).run(FILES)
    assert told.wrong[:3] == []
    assert {end for _, end in told.ends} == {"mistakes", "sound"}


@pytest.mark.parametrize("reader", readers(), ids=lambda reader: reader.name)
def test_a_reader_answers_or_refuses_as_it_says(reader: Reader) -> None:
    chance = random.Random(SEED)
    for value in [spoilt(chance, reader) for _ in range(READINGS // (10 if reader.name == "YAML" else 1))]:
        reader.refused(value)


@pytest.mark.parametrize("way", poison.WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("bad", [1, 9, 300])
def test_poison_in_a_batch_ends_alone_and_all_others_keep_outcome_and_order(
    tmp_path: Path, way: poison.Way, bad: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz.poison.ROWS", 300)
    told = poison.cost(tmp_path, way, bad, 2, SEED)
    assert told.wrong[:3] == []
    assert sum(count for (_, _, reason), count in told.labels.items() if reason and reason == way.reason) == (2 * bad if way.reason else 0)
