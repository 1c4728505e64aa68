"""A Faust worker process that runs one slot of a flow: `python -m streams.worker --flow NAME --slot K --of N`.

The lane has a consumer and a producer of its own; Faust carries its batches from fetch to steps through a channel, hears the control
topic, and serves the web views. Faust's group is new at every start, so that nothing waits for the one of a worker that was killed.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import resource
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import faust
from faust.auth import SASLCredentials, SSLCredentials
from mode.utils.queues import FlowControlEvent, ThrowableQueue

from connectors.kafka.admin import KafkaAdmin
from connectors.kafka.others import CLIENT_ID, Client
from connectors.kafka.plain import AtLeastOnceLog
from connectors.kafka.settings import KafkaSettings
from processors.flow.bundle import CONTROL_TOPIC
from processors.light import keep_pandas_out
from schemas.errors import WeftError
from streams.clock import SystemClock
from streams.host import LaneHost, die
from streams.logs import log_to_stderr
from streams.settings import load
from streams.slot import Slot
from streams.web import mount
from streams.wiring import Fabric, fabric
from streams.work import Work

_AGENTS_S = 5.0
_REQUEST_S = 90.0  # unless somebody says otherwise; Faust's own


class Works(faust.Channel[Work]):
    """A channel with a plain queue: Faust's own is emptied whenever its control group rebalances, and a batch would be lost."""

    @property
    def queue(self) -> ThrowableQueue[Any]:
        """One work at most: the lane bounds what is in flight."""
        if self._queue is None:
            self._queue = ThrowableQueue(maxsize=1, flow_control=FlowControlEvent(initially_suspended=False))
        return self._queue


def worker_of(parts: Fabric, group: str, began_ms: int) -> faust.Worker:
    """The Faust worker with everything in it."""
    app = _app(parts, group)
    works = Works(app)

    async def put(work: Work) -> None:
        async with asyncio.timeout(_AGENTS_S):
            while not works.subscriber_count:  # the agent is about to start
                await asyncio.sleep(0.005)
        await works.put(work)  # type: ignore[arg-type]  # not as an event: Faust skips those while its group rebalances

    async def ended() -> None:
        await worker.stop()

    host = LaneHost(parts, began_ms, put, ended)

    async def batches(stream: Any) -> None:
        """Steps each work."""
        async for work in stream:
            await host.process(work)

    async def control(stream: Any) -> None:
        """Hears what all workers must hear."""
        async for event in stream.events():
            message = event.message
            host.control.hear(message.partition, message.offset, message.key, message.value)

    app.agent(works, name="batches")(batches)
    topic = app.topic(CONTROL_TOPIC, key_serializer="raw", value_serializer="raw", allow_empty=True)
    app.agent(topic, name="control")(control)
    mount(app, host)
    worker = faust.Worker(app, host, quiet=True, redirect_stdouts=False, override_logging=False)
    worker.spinner = None  # it draws on standard output, which is the log file
    return worker


def _app(parts: Fabric, group: str) -> faust.App:
    brokers = ";".join(f"kafka://{server.strip()}" for server in parts.kafka.bootstrap.split(","))
    return faust.App(
        group,
        broker=brokers,
        broker_credentials=_credentials(parts.kafka),
        **passed(parts.kafka.client),
        datadir=str(parts.slot.faust_folder),
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=3600.0,  # nobody reads on from this group's offsets
        stream_wait_empty=False,
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        web_port=parts.slot.web_port(),
    )


_THEIRS: Mapping[str, tuple[Sequence[str], int]] = {
    "socket.timeout.ms": (("broker_request_timeout", "producer_request_timeout"), 1000),
    "session.timeout.ms": (("broker_session_timeout",), 1000),
    "heartbeat.interval.ms": (("broker_heartbeat_interval",), 1000),
    "max.poll.interval.ms": (("broker_max_poll_interval",), 1000),
    "metadata.max.age.ms": (("consumer_metadata_max_age_ms", "producer_metadata_max_age_ms"), 1),
    "connections.max.idle.ms": (("consumer_connections_max_idle_ms", "producer_connections_max_idle_ms"), 1),
}
"""What Faust calls the times of librdkafka, and how many milliseconds its unit has."""


def passed(client: Client) -> Mapping[str, Any]:
    """What is passed through to librdkafka, as settings of Faust's own client."""
    found: dict[str, Any] = {"broker_client_id": str(client[CLIENT_ID])} if CLIENT_ID in client else {}
    for name, (theirs, unit) in _THEIRS.items():
        if name in client:
            found.update(dict.fromkeys(theirs, int(client[name]) if unit == 1 else int(client[name]) / unit))
    if (session_s := found.get("broker_session_timeout", 0.0)) > found.get("broker_request_timeout", _REQUEST_S):
        found["broker_request_timeout"] = session_s  # else Faust refuses both
    return found


def _credentials(kafka: KafkaSettings) -> Any:
    """For Faust's own client, what the lane's client shows; None where that is nothing."""
    security, context = kafka.security, kafka.tls()
    if security.user:
        return SASLCredentials(username=security.user, password=security.password, ssl_context=context, mechanism=security.mechanism)
    return SSLCredentials(context) if context is not None else None


def run(parts: Fabric, began_ms: int) -> NoReturn:
    """Run until told to end; exits with 0 after a drain."""
    slot = parts.slot
    group = slot.control_group(uuid.uuid4().hex[:12])
    shutil.rmtree(slot.faust_folder, ignore_errors=True)
    slot.fault_file.unlink(missing_ok=True)
    try:
        worker_of(parts, group, began_ms).execute_from_commandline()
    finally:
        with contextlib.suppress(WeftError):
            asyncio.run(KafkaAdmin(parts.kafka).delete_groups([group]))
        shutil.rmtree(slot.faust_folder, ignore_errors=True)
        logging.shutdown()  # a fork does not do so by itself


def age_s() -> float:
    """How long this process has been running. (psutil's answer is a second off: it adds to a boot time in whole seconds.)"""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def log_into(file: Path) -> None:
    """Standard output and error go to the end of this file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as log:
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)


def bound_memory(most_bytes: int) -> None:
    """More than this is refused to whoever asks for it: a step gets a MemoryError, and the rows that need so much are found."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard), hard))


def collect_rarely() -> None:
    """The collector of cycles looks once in a batch or two, not a hundred times, and never at what was there before the first: lists and
    tuples of a batch die without it, and looking at them took 3 us of CPU an event."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def main(arguments: Sequence[str] | None = None) -> None:
    """The process."""
    parser = argparse.ArgumentParser(prog="python -m streams.worker", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--flow", required=True)
    parser.add_argument("--slot", type=int, required=True, help="from 0")
    parser.add_argument("--of", type=int, required=True, help="how many workers the flow has")
    parser.add_argument("--unmeasured", action="store_true", help="no metrics and no spans; so a benchmark tells what they cost")
    parser.add_argument("--at-least-once", action="store_true", help="no transactions; so a benchmark tells what they cost")
    parser.add_argument("--log", type=Path, help="a file to log into; else standard error")
    asked = parser.parse_args(arguments)
    if asked.log is not None:
        log_into(asked.log)
    log_to_stderr()
    keep_pandas_out()
    settings = load()
    log_to_stderr(settings.log_format)
    bound_memory(settings.worker_memory)
    slot = Slot(asked.flow, asked.slot, asked.of, settings.data_folder)
    try:
        parts = replace(fabric(slot, settings), measured=not asked.unmeasured)
        if asked.at_least_once:
            parts = replace(parts, log=AtLeastOnceLog(parts.kafka, slot.flow, slot.name))
    except WeftError as error:
        die(slot, error, started=False)
    collect_rarely()
    run(parts, SystemClock().now_ms() - round(age_s() * 1000))


if __name__ == "__main__":
    main()
