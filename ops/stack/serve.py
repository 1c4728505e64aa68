"""Ray Serve with the project's models. Ray's workers hide the mark of their part, so they are also found by the session that it began."""

import contextlib
import json
import socket
import sys
from collections.abc import Mapping

import psutil

from ops.stack.daemon import CLOCK_TOLERANCE_S, Daemon
from ops.stack.part import Progress, Site
from processors.flow.project import BUILT_IN, FolderProject
from serving.app import environment, session
from serving.catalog import Catalog
from serving.training.names import NAMES

HOST = "127.0.0.1"


class RayDaemon(Daemon):
    """A process whose children overwrite their environment: they are also known by the session that it began."""

    def members(self) -> list[psutil.Process]:
        """As every daemon's, and whoever of Ray's workers is of its session."""
        marked = super().members()
        known = {process.pid for process in marked}
        return marked + [process for process in self._of_session() if process.pid not in known]

    def _of_session(self) -> list[psutil.Process]:
        with contextlib.suppress(OSError, ValueError, KeyError):
            record = json.loads(self.pid_file.read_text())
            return [process for process in session.members(record["pid"]) if _is_worker(process, record["created"])]
        return []


class Serve:
    """The `serve` part."""

    name = "serve"
    title = "Ray Serve (models)"
    port_names: tuple[str, ...] = ("serve_grpc", "serve_http")
    start_s = 180.0
    grace_s = 20.0

    def __init__(self, site: Site) -> None:
        self.site = site
        self.folder = site.folder / self.name
        self.daemon: Daemon = RayDaemon(self.folder)
        self.log_file = self.daemon.output_file

    @property
    def addresses(self) -> Mapping[str, str]:
        """`serve`, host:port for gRPC; `serve_http`, a URL."""
        ports = self.site.ports
        return {"serve": f"{HOST}:{ports['serve_grpc']}", "serve_http": f"http://{HOST}:{ports['serve_http']}"}

    def prepare(self, progress: Progress) -> None:
        """Train the examples' models that are missing, unless the project has others and none of these."""
        self.folder.mkdir(parents=True, exist_ok=True)
        names = set(Catalog(FolderProject(self.site.project)).names())
        missing = set(NAMES) - names
        if missing and (not names or names & set(NAMES)):
            from serving.training import learners, train

            wanted = [learner for learner in learners.LEARNERS.values() if learner.name in missing]
            train.train(wanted, BUILT_IN["models"], lambda what: progress(what, 0, 0))

    def start(self) -> None:
        """Start the server's process."""
        ports = self.site.ports
        where = ["--folder", str(self.folder), "--project", str(self.site.project)]
        listens = ["--grpc-port", str(ports["serve_grpc"]), "--http-port", str(ports["serve_http"])]
        self.daemon.start([sys.executable, "-m", "serving.app", *where, *listens])

    def healthy(self) -> bool:
        """Whether every model answers."""
        request = b"GET /v2/health/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.site.ports["serve_http"]), timeout=1) as connection:
            connection.settimeout(1)
            connection.sendall(request)
            return b" 200 " in connection.recv(64)
        return False

    def stop(self) -> None:
        """Ask it, then end what is left of its session, also where it was killed itself. While it starts it would not listen for long."""
        self.daemon.stop(self.grace_s if self.healthy() else 0.0)
        environment.remove_short_folder(self.folder)


def _is_worker(process: psutil.Process, since: float) -> bool:
    """Whether it is one of Ray's, younger than the session: a number may come back to a stranger's session."""
    with contextlib.suppress(psutil.Error, OSError, IndexError):
        return process.cmdline()[0].startswith("ray::") and process.create_time() > since - CLOCK_TOLERANCE_S
    return False
