"""What any lookup must do: the in-memory twin and a real Redis alike."""

import asyncio
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from connectors.memory.lookup import MemoryLookup
from connectors.redis.lookup import RedisLookup
from ops.stack.valkey import binary
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


async def test_a_store_in_memory_that_refuses_says_its_words_and_answers_once_mended() -> None:
    lookup = MemoryLookup()
    lookup.refuses = "READONLY"
    for call in (lookup.mget(["a"]), lookup.claim(["a"], ["b"], 1), lookup.load([("a", b"b")])):
        with pytest.raises(UnreachableError, match="refuses: READONLY"):
            await call
    lookup.refuses = ""
    assert await lookup.mget(["a"]) == [None]


@asynccontextmanager
async def redis_with(*settings: str) -> AsyncIterator[str]:
    """A server of its own with these settings; host:port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([binary(), "--port", str(port), "--save", "", *settings], stdout=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(10):
            while socket.socket().connect_ex(("127.0.0.1", port)):
                await asyncio.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


async def order(lookup: RedisLookup, command: str) -> None:
    """Have the server do it."""
    redis: Any = lookup._redis  # its functions have no types
    await redis.execute_command(*command.split())


@pytest.mark.parametrize(
    ("spoil", "mend", "said"),
    [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "refuses: .*used memory"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "refuses: .*read only"),
        ("ACL SETUSER default -set", "ACL SETUSER default +set", "user or password: .*no permissions"),
    ],
)
async def test_a_redis_that_refuses_is_waited_for_in_its_own_words_and_answers_once_mended(spoil: str, mend: str, said: str) -> None:
    async with redis_with() as address:
        lookup = RedisLookup(f"redis://{address}/0")
        await order(lookup, spoil)
        with pytest.raises(UnreachableError, match=said):
            await lookup.claim(["a"], ["t/0/1"], 60)
        await order(lookup, mend)
        assert await lookup.claim(["a"], ["t/0/1"], 60) == ["t/0/1"]
        await lookup.close()


async def test_a_redis_whose_password_was_changed_is_waited_for_and_answers_once_it_is_back() -> None:
    async with redis_with("--requirepass", "old") as address:
        lookup = RedisLookup(f"redis://:old@{address}/0")
        assert await lookup.mget(["a"]) == [None]
        await order(lookup, "CONFIG SET requirepass new")
        await lookup._redis.connection_pool.disconnect()
        with pytest.raises(UnreachableError, match="refuses the user or password: ") as raised:
            await lookup.mget(["a"])
        assert "old" not in raised.value.sentence
        assert "WEFT_REDIS" in raised.value.hint
        other = RedisLookup(f"redis://:new@{address}/0")
        await order(other, "CONFIG SET requirepass old")
        assert await lookup.mget(["a"]) == [None]
        await lookup.close()
        await other.close()


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
