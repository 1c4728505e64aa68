"""The surroundings of the model server's Ray: settings that it reads when it is imported, and a short folder for its sockets."""

import hashlib
import secrets
import tempfile
from pathlib import Path

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""As the client's; Ray's own default between front and replica is 4 MiB."""


def settings(folder: Path) -> dict[str, str]:
    """Environment variables, to be set before ray is imported. Makes the cluster's own token once."""
    token = folder / "ray-token"
    if not token.exists():
        folder.mkdir(parents=True, exist_ok=True)
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
    return {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",  # twice the rows a second
        "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(MAX_MESSAGE_BYTES),
        "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",  # would open ports on every interface
        "RAY_SERVE_ENABLE_HA_PROXY": "0",
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "OMP_NUM_THREADS": "1",
    }


def short_folder(folder: Path) -> Path:
    """Where Ray puts its session: socket paths must stay below 107 bytes, so it can't be below the data folder. One per data folder."""
    return Path(tempfile.gettempdir()) / f"weft-{hashlib.blake2b(str(folder.resolve()).encode(), digest_size=5).hexdigest()}"
