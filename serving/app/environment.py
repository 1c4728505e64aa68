"""The surroundings of the model server's Ray: settings that it reads when it is imported, and a short folder for its sockets."""

import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from pathlib import Path

from schemas.errors import StackError

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
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # what it is called; what it does everywhere: Ray's own address is 127.0.0.1
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "OMP_NUM_THREADS": "1",
    }


def short_folder(folder: Path) -> Path:
    """Where Ray puts its session: socket paths must stay below 107 bytes, so it can't be below the data folder. One per data folder."""
    return _of_this_user() / hashlib.blake2b(str(folder.resolve()).encode(), digest_size=5).hexdigest()


def make_short_folder(folder: Path) -> Path:
    """The folder, empty and closed to others: Ray makes everything in it open to all.

    Raises:
        StackError: someone else has made the folder that is to hold it, or has been let in.
    """
    above = _of_this_user()
    above.mkdir(mode=0o700, exist_ok=True)
    if not _is_private(above):
        raise StackError(f"{above} is not a folder of this user alone.", f"See who made it; if it is yours: chmod 700 {above}")
    remove_short_folder(folder)
    made = short_folder(folder)
    made.mkdir(mode=0o700)
    return made


def remove_short_folder(folder: Path) -> None:
    """Delete it; none there is no error."""
    if _is_private(_of_this_user()):
        shutil.rmtree(short_folder(folder), ignore_errors=True)


def _of_this_user() -> Path:
    return Path(tempfile.gettempdir()) / f"weft-{os.getuid()}"


def _is_private(folder: Path) -> bool:
    """A folder, not a link to one, that belongs to this user and lets nobody else in."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
