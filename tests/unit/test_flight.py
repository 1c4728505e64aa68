"""When a batch may follow the one before: the batch adapts to the load."""

import asyncio

import numpy as np
import pytest

from connectors.log import Records
from schemas.positions import Source
from streams.flight import Flight
from streams.parts import Bounds
from streams.work import Work

BOUNDS = Bounds(batch_rows=1_000, batch_bytes=10_000, room_s=0.5)


def work(rows: int, size_bytes: int = 0) -> Work:
    records = Records(Source("t", 0), np.arange(rows), np.zeros(rows, np.int64), [None] * rows, [b""] * rows, None)
    return Work(0, [records], {}, size_bytes, {})


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def flight_with(*works: Work, took_s: float = 0.1) -> Flight:
    """Batches behind one that settled in a transaction that took so long."""
    flight, first = Flight(BOUNDS), work(1)
    flight.enter(first)
    flight.begins(first)
    flight._began_s -= took_s
    flight.leave(first)
    for one in works:
        flight.enter(one)
    return flight


async def test_nothing_waits_for_an_empty_flight() -> None:
    assert (await flight_with()).early_s(now_s()) == 0.0


async def test_a_small_batch_whose_steps_take_longer_than_a_transaction_is_followed_then() -> None:
    flight = await flight_with(work(99))
    assert flight.early_s(now_s()) == pytest.approx(0.1, abs=0.02)
    assert flight.early_s(now_s() + 0.1) == 0.0


async def test_a_small_batch_whose_steps_take_very_much_longer_is_followed_when_it_is_half_through_them() -> None:
    flight, slow = await flight_with(), work(1)
    flight.enter(slow)
    slow.entered_s -= 0.6
    slow.is_ready()
    flight.begins(slow)
    flight.leave(slow)
    flight.enter(work(99))
    assert flight.early_s(now_s()) == pytest.approx(0.3, abs=0.02)
    assert flight.early_s(now_s() + 0.3) == 0.0


async def test_what_a_large_batch_takes_says_nothing_of_a_small_one() -> None:
    flight, large = await flight_with(), work(500)
    flight.enter(large)
    large.entered_s -= 0.6
    large.is_ready()
    flight.begins(large)
    flight._began_s -= 0.1
    flight.leave(large)
    flight.enter(work(1))
    assert flight.early_s(now_s()) == pytest.approx(0.1, abs=0.02)


async def test_a_small_batch_is_followed_so_late_that_the_next_one_is_through_its_steps_when_its_transaction_ends() -> None:
    one = work(1)
    flight = await flight_with(one)
    one.entered_s -= 0.03
    one.is_ready()
    flight.begins(one)
    assert flight.early_s(now_s()) == pytest.approx(0.07, abs=0.02)
    assert flight.early_s(now_s() + 0.07) == 0.0


async def test_behind_a_small_batch_that_waits_for_another_s_transaction_events_gather_but_not_for_ever() -> None:
    head, waits = work(1), work(1)
    flight = await flight_with(head, waits)
    head.is_ready()
    flight.begins(head)
    waits.is_ready()
    assert flight.early_s(now_s() + 0.2) == pytest.approx(0.3, abs=0.02)
    assert flight.early_s(now_s() + 0.6) == 0.0
    flight.leave(head)
    flight.begins(waits)
    assert flight.early_s(now_s() + 0.2) == 0.0


@pytest.mark.parametrize("large", [work(100), work(1, 1_000)], ids=["by rows", "by bytes"])
async def test_a_large_batch_is_followed_at_once(large: Work) -> None:
    assert (await flight_with(work(1), large)).early_s(now_s()) == 0.0


async def test_whoever_gathers_hears_that_the_flight_is_empty() -> None:
    one = work(1)
    flight = await flight_with(one, took_s=60.0)
    one.is_ready()
    gathering = asyncio.create_task(flight.gathered())
    await asyncio.sleep(0.01)
    assert not gathering.done()
    flight.begins(one)
    flight.leave(one)
    await asyncio.wait_for(gathering, 0.3)


async def test_after_a_transaction_that_took_very_long_a_batch_waits_no_longer_than_for_room_and_the_next_ones_soon_less() -> None:
    flight = await flight_with(work(1), took_s=60.0)
    assert flight.early_s(now_s()) == pytest.approx(0.5, abs=0.02)
    (quick,) = flight.works()
    flight.begins(quick)
    flight.leave(quick)
    flight.enter(work(1))
    assert flight.early_s(now_s()) == pytest.approx(0.0, abs=0.02)
