"""A drained backlog in stretches, a model server that thinks, and how much disk is asked for."""

import re
import time
from xml.etree import ElementTree

import pyarrow as pa
import pytest

from ops.bench.draining import Mark, parts
from ops.bench.plotted import long_run
from ops.bench.scale import Plan, needed_bytes, scale
from ops.bench.thinking import thinking
from schemas.errors import UsageError
from serving.client import GrpcEndpoint
from tests.models import LITE, rows, trained


def test_a_stretch_begins_and_ends_between_two_marks_and_has_the_memory_and_the_work_of_those_within() -> None:
    marks = [Mark(1.0, 100, 10, 0.5), Mark(2.0, 300, 30, 0.9), Mark(4.0, 400, 50, 1.6)]
    first, second = parts(marks, 200)
    assert (first.events, second.events) == (200, 200)
    assert [first.events_s, second.events_s] == pytest.approx([200 / 1.5, 200 / 2.5])
    assert (first.memory_bytes, second.memory_bytes) == (10.0, 40.0)
    assert [first.cpu_us, second.cpu_us] == pytest.approx([0.2 / 200 * 1e6, 0.9 / 200 * 1e6])


def test_what_is_left_behind_the_last_whole_stretch_is_none() -> None:
    assert [part.events for part in parts([Mark(1.0, 250, 1, 0.0)], 100)] == [100, 100]


async def test_a_model_that_thinks_takes_its_time_for_each_row() -> None:
    manifest = trained().manifest(LITE)
    async with thinking(manifest.outputs, 0.002) as (server, address):
        endpoint = GrpcEndpoint(address)
        began = time.monotonic()
        answer = await endpoint.infer(manifest, rows(50), 5.0)
        assert time.monotonic() - began >= 0.1
        assert await endpoint.ready(manifest)
        await endpoint.close()
    assert (server.calls, server.rows) == (1, 50)
    assert answer.columns.num_rows == 50
    assert pa.compute.sum(answer.columns.column(0)).as_py() == 0.0


def test_the_plot_of_a_long_run_is_a_file_of_its_own() -> None:
    drawn = long_run([{"stretch": n, "events": 1_000_000, "events_s": 90_000 + n, "memory_mb": 300.0} for n in range(1, 11)])
    root = ElementTree.fromstring(drawn)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "10 M" in drawn
    used, said = (set(re.findall(pattern, drawn)) for pattern in (r"var\((--[a-z]+)\)", r"(--[a-z]+):"))
    assert used <= said


def test_a_part_says_how_much_disk_it_needs() -> None:
    assert needed_bytes("long", Plan(10_000_000, 1)) == 6_000_000_000
    assert needed_bytes("workers", Plan(10_000_000, 2)) == 2 * needed_bytes("workers", Plan(10_000_000, 1)) - 1_000_000_000


def test_a_part_that_is_not_there_is_said_before_anything_is_started() -> None:
    with pytest.raises(UsageError, match="workrs"):
        scale(["workrs"], Plan(10_000, 1), print)
