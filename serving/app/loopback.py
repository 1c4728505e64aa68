"""Keeps Ray Serve's gRPC servers on loopback: Serve's proxy and its replicas always listen on all interfaces and have no setting for it.

Runs at the start of every Ray worker process. A test compares what listens.
"""

from typing import Any

from ray.serve._private import default_impl, replica


def bind() -> None:
    """Replace the functions that Serve calls to bind its gRPC servers."""
    for module, name in ((default_impl, "add_grpc_address"), (replica, "add_port_to_grpc_server")):
        setattr(module, name, _on_loopback)


def _on_loopback(server: Any, address: str) -> Any:
    return server.add_insecure_port(f"127.0.0.1:{address.rsplit(':', 1)[1]}")
