"""The front of the model server: the protocol's calls over gRPC and HTTP, each handed to the model version that it names."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TypeVar

import grpc
from ray import serve
from ray.serve.grpc_util import RayServegRPCContext
from starlette.requests import Request
from starlette.responses import Response

from schemas.manifest import Manifest
from serving.app import lifeline, rest
from serving.app.lifeline import Handle, Lifelines
from serving.app.served import Refusal, Served, metadata
from serving.protocol import open_inference_grpc_pb2 as protocol

Message = TypeVar("Message")
VERSION = "0.1.0"
EXTENSIONS = ("binary_tensor_data",)


class Replica:
    """A served model version inside a Ray actor."""

    def __init__(self, manifest: str, content: bytes) -> None:
        self._served = Served(Manifest.model_validate_json(manifest), content)

    async def infer(self, request: protocol.ModelInferRequest) -> protocol.ModelInferResponse | Refusal:
        """The answer; model runs are short, and one at a time is what one thread can do."""
        return self._served.infer(request)

    async def hold(self) -> AsyncIterator[str]:
        """Its lifeline: says why it runs other than its manifest asks, empty where it does not, and holds the call."""
        yield self._served.model.degraded
        await asyncio.sleep(lifeline.HELD_S)


@serve.deployment(num_replicas=1, max_ongoing_requests=64, ray_actor_options={"num_cpus": 0})
class Front:
    """Knows the versions that are served; method names are the protocol's."""

    def __init__(self, manifests: Sequence[str], replicas: Mapping[str, Handle]) -> None:
        read = [Manifest.model_validate_json(manifest) for manifest in manifests]
        self._manifests = {(manifest.name, version): manifest for manifest in read for version in (manifest.version, "")}
        self._idents = list(replicas)
        self._lifelines = Lifelines(replicas)

    async def ServerLive(self, request: protocol.ServerLiveRequest) -> protocol.ServerLiveResponse:
        """It answers, so it lives."""
        del request
        return protocol.ServerLiveResponse(live=True)

    async def ServerReady(self, request: protocol.ServerReadyRequest) -> protocol.ServerReadyResponse:
        """Whether every version has a replica."""
        del request
        return protocol.ServerReadyResponse(ready=all(map(self._ready, self._idents)))

    async def ServerMetadata(self, request: protocol.ServerMetadataRequest) -> protocol.ServerMetadataResponse:
        """Who this is."""
        del request
        return protocol.ServerMetadataResponse(name="weft", version=VERSION, extensions=EXTENSIONS)

    async def ModelReady(self, request: protocol.ModelReadyRequest, grpc_context: RayServegRPCContext) -> protocol.ModelReadyResponse:
        """Whether the version has a replica."""
        return _told(await self.model_ready(request.name, request.version), grpc_context, protocol.ModelReadyResponse())

    async def ModelMetadata(
        self, request: protocol.ModelMetadataRequest, grpc_context: RayServegRPCContext
    ) -> protocol.ModelMetadataResponse:
        """The version's inputs and outputs."""
        return _told(await self.model_metadata(request.name, request.version), grpc_context, protocol.ModelMetadataResponse())

    async def ModelInfer(self, request: protocol.ModelInferRequest, grpc_context: RayServegRPCContext) -> protocol.ModelInferResponse:
        """The version's answer."""
        return _told(await self.model_infer(request), grpc_context, protocol.ModelInferResponse())

    async def __call__(self, request: Request) -> Response:
        """HTTP."""
        reply = await self._reply(request)
        return Response(reply.body, reply.status, media_type="application/json")

    async def model_ready(self, name: str, version: str) -> protocol.ModelReadyResponse | Refusal:
        """Whether the version has a replica, or that there is no such version."""
        found = self._found(name, version)
        return found if isinstance(found, Refusal) else protocol.ModelReadyResponse(ready=self._ready(found.ident))

    async def model_metadata(self, name: str, version: str) -> protocol.ModelMetadataResponse | Refusal:
        """The version's inputs and outputs, or why they can't be said."""
        found = self._found(name, version)
        if isinstance(found, Refusal):
            return found
        degraded = self._lifelines.word(found.ident)
        return lifeline.absent(found.ident) if degraded is None else metadata(found, degraded)

    async def model_infer(self, request: protocol.ModelInferRequest) -> protocol.ModelInferResponse | Refusal:
        """The version's answer, or why there is none."""
        found = self._found(request.model_name, request.model_version)
        return found if isinstance(found, Refusal) else await self._lifelines.infer(found.ident, request)

    async def _reply(self, request: Request) -> rest.Reply:
        match request.method, request.url.path.strip("/").split("/"):
            case "GET", ["v2"]:
                return rest.message(await self.ServerMetadata(protocol.ServerMetadataRequest()))
            case "GET", ["v2", "health", "live"]:
                return rest.message(await self.ServerLive(protocol.ServerLiveRequest()))
            case "GET", ["v2", "health", "ready"]:
                return _if_ready(await self.ServerReady(protocol.ServerReadyRequest()))
            case method, ["v2", "models", name, "versions", version, *verb]:
                return await self._model_reply(method, name, version, verb, request)
            case method, ["v2", "models", name, *verb]:
                return await self._model_reply(method, name, "", verb, request)
        return rest.refused(Refusal("NOT_FOUND", f"there is no {request.method} {request.url.path}"))

    async def _model_reply(self, method: str, name: str, version: str, verb: Sequence[str], request: Request) -> rest.Reply:
        match method, verb:
            case "GET", []:
                described = await self.model_metadata(name, version)
                return rest.refused(described) if isinstance(described, Refusal) else rest.message(described)
            case "GET", ["ready"]:
                ready = await self.model_ready(name, version)
                return rest.refused(ready) if isinstance(ready, Refusal) else _if_ready(ready)
            case "POST", ["infer"]:
                asked = rest.asked(name, version, await request.body(), request.headers.get(rest.HEADER_LENGTH))
                answer = asked if isinstance(asked, Refusal) else await self.model_infer(asked)
                return rest.refused(answer) if isinstance(answer, Refusal) else rest.answered(answer)
        return rest.refused(Refusal("NOT_FOUND", f"there is no {method} {request.url.path}"))

    def _found(self, name: str, version: str) -> Manifest | Refusal:
        found = self._manifests.get((name, version))
        if found is not None:
            return found
        known = ", ".join(f"`{ident}`" for ident in self._idents)
        return Refusal("NOT_FOUND", f"there is no model `{name}{'@' if version else ''}{version}`; there are {known}")

    def _ready(self, ident: str) -> bool:
        return self._lifelines.word(ident) is not None


def _told(answer: Message | Refusal, context: RayServegRPCContext, nothing: Message) -> Message:
    """The answer; a refusal goes into the call's status."""
    if not isinstance(answer, Refusal):
        return answer
    context.set_code(grpc.StatusCode[answer.code])
    context.set_details(answer.sentence)
    return nothing


def _if_ready(answer: protocol.ServerReadyResponse | protocol.ModelReadyResponse) -> rest.Reply:
    reply = rest.message(answer)
    return reply if answer.ready else rest.Reply(503, reply.body)
