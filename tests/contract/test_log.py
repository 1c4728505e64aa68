"""What any log must do with transactions and offsets: the in-memory twin and a real Kafka alike."""

import random

import pytest

from connectors.log import Commit, Log, Outgoing
from schemas.errors import AbortError
from schemas.positions import Source
from tests.contract.fabrics import Fabric, alone, outgoing, transact


async def finish(log: Log, record: Outgoing, commit: Commit) -> None:
    """The rest of a transaction."""
    log.produce(record)
    await log.flush()
    await log.commit([commit])


def random_bytes(size: int) -> bytes:
    """Bytes that don't compress."""
    return random.Random(0).randbytes(size)


async def test_a_committed_transaction_is_read_and_an_aborted_one_is_not(fabric: Fabric) -> None:
    topic = await fabric.topic()
    member = await alone(fabric, topic)
    await member.log.begin()
    member.log.produce(outgoing(topic, b"aborted"))
    await member.log.flush()
    await member.log.abort()
    await transact(member.log, outgoing(topic, b"committed"))
    assert await member.values(1) == [b"committed"]
    await member.end({Source(topic, 0)})


async def test_an_open_transaction_holds_back_what_comes_after_it(fabric: Fabric) -> None:
    topic = await fabric.topic()
    member = await alone(fabric, topic)
    await member.log.begin()
    member.log.produce(outgoing(topic, b"open"))
    await member.log.flush()
    await fabric.publisher().publish(outgoing(topic, b"behind"))
    assert not (await member.fetch(0.5)).records
    await member.log.commit([])
    assert await member.values(2) == [b"open", b"behind"]


async def test_markers_take_offsets_and_tracked_records_say_where_they_landed(fabric: Fabric) -> None:
    topic = await fabric.topic()
    member = await alone(fabric, topic)
    assert await transact(member.log, outgoing(topic, b"a", b"b", tracked=True), outgoing(topic, b"c")) == [0, 1]
    assert await transact(member.log, outgoing(topic, b"d"), outgoing(topic, b"e", tracked=True)) == [5]
    assert (await fabric.reader().extent(Source(topic, 0))).high == 7


async def test_an_offset_and_its_metadata_come_back_once_committed(fabric: Fabric) -> None:
    topic = await fabric.topic(2)
    member = await alone(fabric, topic)
    one, two = Source(topic, 0), Source(topic, 1)
    metadata = "x" * 1700
    await transact(member.log, commits=(Commit(one, 0, metadata),))
    assert await member.log.committed([one, two]) == {one: Commit(one, 0, metadata), two: None}
    await member.log.begin()
    member.log.produce(outgoing(topic, b"a"))
    await member.log.abort()
    assert await member.log.committed([one]) == {one: Commit(one, 0, metadata)}
    await transact(member.log, commits=(Commit(one, 0, "again"),))
    assert await member.log.committed([one]) == {one: Commit(one, 0, "again")}


@pytest.mark.parametrize("size", [300_000, 3_000_000])
async def test_a_record_too_large_aborts_and_nothing_of_its_transaction_is_seen(fabric: Fabric, size: int) -> None:
    topic = await fabric.topic(max_message_bytes=100_000)
    member = await alone(fabric, topic)
    await member.log.begin()
    member.log.produce(outgoing(topic, b"before"))
    with pytest.raises(AbortError):
        await finish(member.log, outgoing(topic, random_bytes(size)), Commit(Source(topic, 0), 0, ""))
    with pytest.raises(AbortError):
        await member.log.commit([Commit(Source(topic, 0), 0, "")])
    await member.log.abort()
    try:
        await transact(member.log, outgoing(topic, b"after"))
    except AbortError:  # the broker refused a batch: the client's sequence has a hole, that only a second abort mends
        await member.log.abort()
        await transact(member.log, outgoing(topic, b"after"))
    assert await member.values(1) == [b"after"]
    assert (await member.log.committed([Source(topic, 0)]))[Source(topic, 0)] is None
