"""Redis and the model server over TLS, with a CA of their own: let in with the right one, refused with another, and no password told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from connectors.redis.lookup import RedisLookup
from connectors.redis.settings import RedisSettings
from schemas.errors import UnreachableError, UsageError
from serving.client import GrpcEndpoint
from serving.protocol import open_inference_grpc_pb2 as protocol
from serving.protocol import service
from streams.settings import load
from streams.wiring import endpoint
from tests.contract.test_lookup import redis_with
from tests.secure import Authority, tls_before


@asynccontextmanager
async def guarded(folder: Path) -> AsyncIterator[str]:
    """The URL of a real server with a password. Its build has no TLS: that ends right before it."""
    pem = Authority(folder).server("redis")
    async with redis_with("--requirepass", "hush-hush") as address:
        host, _, port = address.partition(":")
        async with tls_before((host, int(port)), pem) as secure:
            yield f"rediss://127.0.0.1:{secure}/0"


async def test_redis_is_reached_over_tls_with_a_user_and_a_password_from_a_file(tmp_path: Path) -> None:
    async with guarded(tmp_path) as url:
        (tmp_path / "password").write_text("hush-hush\n")
        (tmp_path / "weft.toml").write_text(f'[redis]\nurl = "{url}"\nuser = "default"\npassword_file = "password"\nca = "ca.pem"\n')
        lookup = RedisLookup(load(tmp_path).redis_at())
        assert await lookup.load([("a", b"1")]) == 1
        assert await lookup.mget(["a"]) == [b"1"]
        await lookup.close()


async def test_redis_with_a_wrong_password_or_another_ca_is_not_reached_and_the_password_is_not_told(tmp_path: Path) -> None:
    async with guarded(tmp_path) as url:
        right = str(tmp_path / "ca.pem")
        wrongs = {"refuses the user or password": RedisSettings(url, password="nope-nope", ca=right), "CERTIFICATE": RedisSettings(url)}
        for said, wrong in wrongs.items():
            lookup = RedisLookup(wrong)
            with pytest.raises(UnreachableError, match=said) as caught:
                await lookup.mget(["a"])
            assert "nope-nope" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__!r}"
            await lookup.close()


async def test_a_wrong_url_is_refused_without_being_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        RedisLookup("http://me:hush-hush@there:1")
    assert "hush-hush" not in f"{caught.value} {caught.value.hint}"


class Alive:
    """A model server that only says that it lives."""

    def __getattr__(self, name: str) -> object:
        async def said(request: object, context: object) -> protocol.ServerLiveResponse:
            del request, context
            return protocol.ServerLiveResponse(live=True)

        return said


async def test_the_model_server_is_reached_over_tls(tmp_path: Path) -> None:
    pem = Authority(tmp_path).server("models").read_bytes()
    server = grpc.aio.server()
    service.add_to_server(Alive(), server)
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(pem, pem)]))
    await server.start()
    address = f"127.0.0.1:{port}"
    (tmp_path / "weft.toml").write_text(f'[serve]\naddress = "{address}"\nca = "ca.pem"\n')
    with_ca, without_tls = endpoint(load(tmp_path), address), GrpcEndpoint(address)
    assert await with_ca.lives()
    assert not await without_tls.lives()
    await with_ca.close()
    await without_tls.close()
    await server.stop(None)


def test_a_ca_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "weft.toml").write_text('[serve]\naddress = "models:9000"\nca = "nope.pem"\n')
    with pytest.raises(UsageError, match=r"serve\.ca can't be read"):
        endpoint(load(tmp_path), "models:9000")
