"""The Open Inference Protocol's service made from its descriptor: handlers for a server, calls for a client."""

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf import message_factory

from serving.protocol import open_inference_grpc_pb2 as protocol

SHA256 = "sha256"
"""The parameter of an answer, and the property of a model, that names the file which it is made of."""

_SERVICE = protocol.DESCRIPTOR.services_by_name["GRPCInferenceService"]


def add_to_server(servicer: Any, server: grpc.Server) -> None:
    """Register the servicer's methods, named as the protocol's (Ray Serve imports this by its path)."""
    handlers = {}
    for method in _SERVICE.methods:
        request = message_factory.GetMessageClass(method.input_type)
        response = message_factory.GetMessageClass(method.output_type)
        handlers[method.name] = grpc.unary_unary_rpc_method_handler(
            getattr(servicer, method.name), request_deserializer=request.FromString, response_serializer=response.SerializeToString
        )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers),))


def call(channel: Any, name: str) -> Callable[..., Any]:
    """The method of that name on a channel (plain or asyncio), e.g. `ModelInfer`."""
    method = _SERVICE.methods_by_name[name]
    request = message_factory.GetMessageClass(method.input_type)
    response = message_factory.GetMessageClass(method.output_type)
    made: Callable[..., Any] = channel.unary_unary(
        f"/{_SERVICE.full_name}/{name}", request_serializer=request.SerializeToString, response_deserializer=response.FromString
    )
    return made
