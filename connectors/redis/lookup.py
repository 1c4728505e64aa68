"""The lookup port on Redis."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from connectors.redis.settings import RedisSettings, checked_url
from schemas.errors import UnreachableError, UsageError

_CHUNK = 5_000  # keys in one round trip of `load`


class RedisLookup:
    """A `Lookup`. A URL alone will do; it may carry user, password, database and TLS: `rediss://user:password@host:6380/0`."""

    def __init__(self, server: RedisSettings | str, timeout_s: float = 2.0) -> None:
        settings = RedisSettings(server) if isinstance(server, str) else server
        self._where = settings.where
        patience: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s, "health_check_interval": 30}
        try:
            self._redis = Redis.from_url(checked_url(settings.url), **patience, **settings.arguments())
        except ValueError as error:
            raise UsageError(f"the URL of Redis at {self._where} is wrong: {error}", "it looks like redis://host:6379/0") from error

    async def mget(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """See Lookup."""
        if not keys:
            return []
        async with self._translating():
            found: list[Any] = await self._redis.mget(keys)
        return found

    async def claim(self, keys: Sequence[str], owners: Sequence[str], ttl_s: int) -> Sequence[str]:
        """See Lookup."""
        async with self._translating(), self._redis.pipeline(transaction=False) as pipeline:
            for key, owner in zip(keys, owners, strict=True):
                pipeline.set(key, owner, nx=True, get=True, ex=ttl_s)
            before: list[bytes | None] = await pipeline.execute()
        return [owner if held is None else held.decode() for held, owner in zip(before, owners, strict=True)]

    async def load(self, entries: Iterable[tuple[str, bytes]]) -> int:
        """Set many keys; how many.

        Raises:
            UnreachableError: the store can't be reached or refuses; some may be set.
        """
        left, count = iter(entries), 0
        while chunk := dict(islice(left, _CHUNK)):
            async with self._translating():
                await self._redis.mset(chunk)
            count += len(chunk)
        return count

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()

    @asynccontextmanager
    async def _translating(self) -> AsyncIterator[None]:
        try:
            yield
        except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
            raise UnreachableError(
                f"Redis at {self._where} refuses the user or password: {error}",
                "set redis.user and redis.password_file in weft.toml, or WEFT_REDIS_PASSWORD_FILE, and start again; or mend the server",
            ) from error
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            raise UnreachableError(f"Redis at {self._where} can't be reached: {error}", "is it running? `weft status` shows it") from error
        except RedisError as error:  # read-only, out of memory, loading: of the server, never of a row
            raise UnreachableError(f"Redis at {self._where} refuses: {error}", "mend the server: what waits for it goes on") from error
