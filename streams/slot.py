"""A slot: the numbered place that a worker takes, with a folder that outlives it."""

import json
import socket
from dataclasses import dataclass
from pathlib import Path

CONTROL_GROUPS = "weft-control-"
"""Consumer groups of control planes begin so; each start of a worker has its own, and it is swept when it is empty."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Worker number `number` of `of`, for one flow."""

    flow: str
    number: int
    of: int
    data: Path

    @property
    def name(self) -> str:
        """The member of the group and the transactional producer."""
        return f"{self.flow}-{self.number}"

    @property
    def folder(self) -> Path:
        """Where what the slot keeps lies."""
        return run_folder(self.data, self.flow) / str(self.number)

    @property
    def log_file(self) -> Path:
        """What its workers logged."""
        return self.folder / "worker.log"

    @property
    def fault_file(self) -> Path:
        """Why the last worker ended, if it did so by itself."""
        return self.folder / "fault.json"

    @property
    def words_file(self) -> Path:
        """What was raised then, in full: may quote an event, so only its user reads it."""
        return self.folder / "fault.txt"

    @property
    def worked_file(self) -> Path:
        """The process id of the last worker that settled a batch."""
        return self.folder / "worked"

    @property
    def running_file(self) -> Path:
        """What the steps of its worker are at, and which events have ended workers."""
        return self.folder / "running.json"

    @property
    def hang_file(self) -> Path:
        """Where a worker stood that nothing but the interpreter's watchdog could end."""
        return self.folder / "hang.txt"

    @property
    def spans_file(self) -> Path:
        """Spans of traced events, where no collector is named."""
        return self.folder / "spans.jsonl"

    @property
    def faust_folder(self) -> Path:
        """Faust's data folder: nothing in it is needed by the next start."""
        return self.folder / "faust"

    def control_group(self, start: str) -> str:
        """The control plane's group, for one start."""
        return f"{CONTROL_GROUPS}{self.name}-{start}"

    def web_port(self) -> int:
        """The loopback port of the web views: the one kept, as long as it is free."""
        kept = self.kept_port()
        port = kept if kept and bindable(kept) else _any_port()
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self.folder / "web.json.new"
        fresh.write_text(json.dumps({"port": port}))
        fresh.replace(self.folder / "web.json")
        return port

    def kept_port(self) -> int | None:
        """The port that the slot's last worker took; None if there was none."""
        try:
            return int(json.loads((self.folder / "web.json").read_text())["port"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def run_folder(data: Path, flow: str) -> Path:
    """Where the slots of a flow lie."""
    return data / "run" / flow


def samples_socket(data: Path, flow: str) -> Path:
    """Where a flow's workers send the samples that its `watch` steps take; whoever runs the workers listens there."""
    return run_folder(data, flow) / "samples.sock"


def bindable(port: int) -> bool:
    """Whether a server could listen there now, on loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
