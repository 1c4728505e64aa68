"""The samples port: rows are taken at once or let go, and what was taken arrives as it was."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest

from connectors.local.samples import DATAGRAM_BYTES, SocketSamples, decode, listening
from connectors.memory.samples import MemorySamples
from processors.ports import Sample, Samples


class Ends(NamedTuple):
    """Both ends of a way."""

    samples: Samples
    arrived: Callable[[], list[Sample]]


@pytest.fixture(params=["socket", "memory"])
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ends]:
    if request.param == "memory":
        memory = MemorySamples()
        yield Ends(memory, lambda: [memory.held.popleft() for _ in range(len(memory.held))])
        return
    path = tmp_path / ("a-folder-with-a-name-that-is-longer-than-any-socket-may-have" * 2) / "samples.sock"
    path.parent.mkdir()
    with listening(path) as listener:
        listener.setblocking(False)

        def arrived() -> list[Sample]:
            found = []
            try:
                while True:
                    found.append(decode(listener.recv(DATAGRAM_BYTES)))
            except BlockingIOError:
                return found

        yield Ends(SocketSamples(path), arrived)


def sample(rows: int) -> Sample:
    columns = pa.record_batch({"n": pa.array(range(rows)), "text": pa.array(["x" * 20, None] * (rows // 2) + [None] * (rows % 2))})
    return Sample("f@1.0.0", "watch", columns)


@pytest.mark.parametrize("rows", [1, 2_000])
def test_what_is_taken_arrives_as_it_was(ends: Ends, rows: int) -> None:
    given = sample(rows)
    assert ends.samples.offer(given) == rows
    found = ends.arrived()
    assert {(one.flow, one.step) for one in found} == {("f@1.0.0", "watch")}
    assert pa.Table.from_batches([one.columns for one in found]).to_pylist() == given.columns.to_pylist()


def test_where_nobody_takes_them_rows_are_let_go_without_waiting(ends: Ends) -> None:
    began = time.perf_counter()
    taken = sum(ends.samples.offer(sample(1_000)) for _ in range(500))
    assert time.perf_counter() - began < 2.0
    assert 0 < taken < 500_000
    assert sum(len(one.columns) for one in ends.arrived()) == taken
    assert ends.samples.offer(sample(10)) == 10, "there is room again"


def test_without_a_listener_none_is_taken(tmp_path: Path) -> None:
    samples = SocketSamples(tmp_path / "none.sock")
    assert samples.offer(sample(5)) == 0
    with listening(tmp_path / "none.sock"):
        assert samples.offer(sample(5)) == 5
    assert samples.offer(sample(5)) == 0
    assert SocketSamples(tmp_path / "no folder" / "none.sock").offer(sample(5)) == 0


def test_only_its_user_may_send(tmp_path: Path) -> None:
    with listening(tmp_path / "s.sock"):
        assert (tmp_path / "s.sock").stat().st_mode & 0o777 == 0o600


def test_what_is_no_sample_is_refused() -> None:
    for datagram in (b"", b"\0" * 40, b"ARROW1", b"\xff\xff\xff\xff\0\0\0\0"):
        with pytest.raises(ValueError, match="no sample"):
            decode(datagram)
