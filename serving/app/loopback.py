"""Keeps Ray Serve's gRPC proxy on loopback: Serve itself always listens on all interfaces and has no setting for it.

Runs at the start of every Ray worker process. A test compares what listens.
"""

from typing import Any

from ray.serve._private import default_impl


def bind() -> None:
    """Replace the function that Serve calls to bind its gRPC server."""
    setattr(default_impl, "add_grpc_address", _on_loopback)  # noqa: B010 - a plain assignment says that the types differ


def _on_loopback(server: Any, address: str) -> None:
    server.add_insecure_port(f"127.0.0.1:{address.rsplit(':', 1)[1]}")
