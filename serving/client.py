"""A client of the Open Inference Protocol v2 over gRPC: Weft's server, Triton or KServe."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc.aio
import pyarrow as pa

from processors.ports import Answer
from schemas.errors import FailedError, UnreachableError
from schemas.headers import TRACEPARENT
from schemas.manifest import Manifest
from schemas.tracing import CALLER
from serving.protocol import open_inference_grpc_pb2 as protocol
from serving.protocol.service import SHA256, call
from serving.tensors import TensorError, answered, ask

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_000),  # also how long one attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 1_000),  # a server that is back must be found soon
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]
READY_WITHIN_S = 1.0
SHOWN_CHARS = 200  # of what a server says
_AWAY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})
_BROKE = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.RESOURCE_EXHAUSTED})
_DOUBTFUL = _BROKE | {grpc.StatusCode.DEADLINE_EXCEEDED}
"""From a model, or from what still stands of a server that goes: Ray Serve's proxy says INTERNAL of a call that died with its actor, and
lets calls wait for an actor that is to come."""


class NoAnswerError(FailedError):
    """The server did not answer in time, or broke while it answered: counts for the breaker."""


def another_file(manifest: Manifest) -> FailedError:
    """The version is there, but made of another file than the manifest that it is asked by."""
    return FailedError(f"{manifest.ident} was made again: its file is not the one that the flow was applied with", "give it a new version")


def _caller() -> Sequence[tuple[str, str]] | None:
    """For a traced event the server is told for which."""
    return [(TRACEPARENT, traced)] if (traced := CALLER.get()) else None


class Endpoint(Protocol):
    """Where models answer: a server, or an in-process twin."""

    async def infer(self, manifest: Manifest, columns: pa.RecordBatch, timeout_s: float) -> Answer:
        """One call about n rows.

        Raises:
            UnreachableError: the server or its model is not there, or goes while it is asked.
            NoAnswerError: the model is ready, but gave no answer within timeout_s, or broke.
            FailedError: it refused, or answered with the wrong names, datatypes or shapes.
        """

    async def ready(self, manifest: Manifest) -> bool:
        """Whether it would answer for this version now; False also where it can't be reached."""

    async def close(self) -> None:
        """Let go of connections."""


def tls(ca: Path | None = None) -> grpc.ChannelCredentials:
    """For a server whose certificate was signed by the CA in this PEM file; else by one of the system's.

    Raises:
        OSError: the file can't be read.
    """
    return grpc.ssl_channel_credentials(ca.read_bytes() if ca else None)


class GrpcEndpoint:
    """A server at `target` (host:port); several calls may be in flight. Without credentials nothing is encrypted."""

    def __init__(self, target: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        self.target = target
        self._credentials = credentials
        self._channel: grpc.aio.Channel | None = None  # made in the loop that uses it

    async def infer(self, manifest: Manifest, columns: pa.RecordBatch, timeout_s: float) -> Answer:
        """As the port says."""
        request = ask(manifest.name, manifest.version, manifest.inputs, columns)
        try:
            response = await self._asked("ModelInfer", request, timeout_s)
        except grpc.aio.AioRpcError as error:
            raise await self._translated(manifest, error, timeout_s) from error
        if response is None:
            raise FailedError(f"{manifest.ident} gave a wrong answer: it is no message of the protocol")
        served = response.parameters[SHA256].string_param if SHA256 in response.parameters else ""  # other servers do not say it
        if served not in ("", manifest.sha256):
            raise another_file(manifest)
        if response.model_name not in ("", manifest.name):
            raise FailedError(f"{manifest.ident} was asked, and model {response.model_name[:SHOWN_CHARS]!r} answered")
        if response.model_version not in ("", manifest.version):
            raise FailedError(f"{manifest.ident} was asked, and version {response.model_version[:SHOWN_CHARS]!r} answered")
        try:
            columns = answered(response, manifest.outputs, columns.num_rows)
        except TensorError as error:
            raise FailedError(f"{manifest.ident} gave a wrong answer: {str(error)[:SHOWN_CHARS]}") from error
        return Answer(columns, manifest.ident)

    async def ready(self, manifest: Manifest) -> bool:
        """As the port says."""
        request = protocol.ModelReadyRequest(name=manifest.name, version=manifest.version)
        try:
            response = await self._asked("ModelReady", request, READY_WITHIN_S)
        except grpc.aio.AioRpcError:
            return False
        return response is not None and bool(response.ready)

    async def close(self) -> None:
        """As the port says."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    async def _asked(self, name: str, request: Any, timeout_s: float) -> Any:
        """The answer; None where it is bytes that are no message of the protocol (gRPC logs why)."""
        return await call(self._open(), name)(request, timeout=timeout_s, metadata=_caller())

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            plain, secure = grpc.aio.insecure_channel, grpc.aio.secure_channel
            self._channel = secure(self.target, self._credentials, _OPTIONS) if self._credentials else plain(self.target, _OPTIONS)
        return self._channel

    async def _translated(self, manifest: Manifest, error: grpc.aio.AioRpcError, timeout_s: float) -> UnreachableError | FailedError:
        code, said = error.code(), (error.details() or "").splitlines()
        detail = said[0][:SHOWN_CHARS] if said else code.name
        if await self._away(manifest, code):
            return UnreachableError(f"the model server at {self.target} can't be reached: {detail}", "look at `weft status`")
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return NoAnswerError(f"{manifest.ident} did not answer within {timeout_s * 1000:.0f} ms")
        if code in _BROKE:
            return NoAnswerError(f"{manifest.ident} broke: {detail}")
        return FailedError(f"{manifest.ident} refused: {detail}")

    async def _away(self, manifest: Manifest, code: grpc.StatusCode) -> bool:
        """Whether there is nobody to answer, rather than an answer that is bad or late."""
        if code is grpc.StatusCode.NOT_FOUND:  # of the model; but Ray Serve's proxy says it too, of an application that was taken down
            return not await self.lives()
        return code in _AWAY or (code in _DOUBTFUL and not await self.ready(manifest))

    async def lives(self) -> bool:
        """Whether the server answers at all."""
        try:
            response = await self._asked("ServerLive", protocol.ServerLiveRequest(), READY_WITHIN_S)
        except grpc.aio.AioRpcError:
            return False
        return response is not None and bool(response.live)
