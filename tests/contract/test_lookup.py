"""What any lookup must do: the in-memory twin and a real Redis alike."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from connectors.memory.lookup import MemoryLookup
from connectors.redis.lookup import RedisLookup
from schemas.errors import UnreachableError, UsageError

Either = MemoryLookup | RedisLookup


@pytest.fixture(params=["memory", "redis"])
async def lookup(request: pytest.FixtureRequest) -> AsyncIterator[Either]:
    """Both sides."""
    made: Either = MemoryLookup() if request.param == "memory" else RedisLookup(request.getfixturevalue("stack").redis_url)
    yield made
    await made.close()


@pytest.fixture
def prefix() -> str:
    """Keys not used before."""
    return uuid4().hex


async def test_mget_answers_in_order_and_none_where_there_is_nothing(lookup: Either, prefix: str) -> None:
    assert await lookup.load([(f"{prefix}:a", b"1"), (f"{prefix}:b", b"\x00\xff")]) == 2
    assert list(await lookup.mget([f"{prefix}:b", f"{prefix}:no", f"{prefix}:a", f"{prefix}:b"])) == [b"\x00\xff", None, b"1", b"\x00\xff"]
    assert list(await lookup.mget([])) == []


async def test_loading_many_keys_sets_them_all_and_overwrites(lookup: Either, prefix: str) -> None:
    assert await lookup.load((f"{prefix}:{row}", b"old") for row in range(12_000)) == 12_000
    await lookup.load([(f"{prefix}:11999", b"new")])
    assert list(await lookup.mget([f"{prefix}:0", f"{prefix}:11999"])) == [b"old", b"new"]


async def test_the_first_to_claim_a_key_owns_it(lookup: Either, prefix: str) -> None:
    keys = [f"{prefix}:1", f"{prefix}:2"]
    assert list(await lookup.claim(keys, ["t/0/1", "t/0/2"], 60)) == ["t/0/1", "t/0/2"]
    assert list(await lookup.claim(keys, ["t/0/1", "t/0/9"], 60)) == ["t/0/1", "t/0/2"]


async def test_two_claims_of_one_key_in_one_call_have_one_owner(lookup: Either, prefix: str) -> None:
    assert list(await lookup.claim([prefix, prefix], ["first", "second"], 60)) == ["first", "first"]


async def test_a_claim_ends_with_its_time(lookup: Either, prefix: str) -> None:
    await lookup.claim([prefix], ["first"], 1)
    await asyncio.sleep(1.2)
    assert list(await lookup.claim([prefix], ["second"], 1)) == ["second"]


async def test_a_store_in_memory_that_is_down_is_unreachable() -> None:
    lookup = MemoryLookup([("a", b"1")])
    lookup.down = True
    with pytest.raises(UnreachableError):
        await lookup.mget(["a"])
    lookup.down = False
    assert await lookup.mget(["a"]) == [b"1"]


async def test_a_redis_that_refuses_connections_is_unreachable_and_its_password_is_not_told() -> None:
    lookup = RedisLookup("redis://me:secret@127.0.0.1:1/0")
    for call in (lookup.mget(["a"]), lookup.claim(["a"], ["b"], 1), lookup.load([("a", b"b")])):
        with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1") as raised:
            await call
        assert "secret" not in raised.value.sentence


async def test_a_redis_that_does_not_answer_is_unreachable_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lookup = RedisLookup(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout_s=0.2)
        began = time.monotonic()
        with pytest.raises(UnreachableError):
            await lookup.mget(["a"])
        assert time.monotonic() - began < 3


def test_a_wrong_url_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        RedisLookup("localhost:6379")
