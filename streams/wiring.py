"""Puts a worker together: the real parts behind every port of a lane."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from connectors.kafka.log import KafkaLog
from connectors.kafka.publisher import KafkaPublisher
from connectors.kafka.reader import KafkaReader
from connectors.kafka.settings import KafkaSettings
from connectors.local.samples import SocketSamples
from connectors.redis.lookup import RedisLookup
from processors.flow.bundle import Bundle
from processors.flow.compile import compile_bundle
from processors.flow.compiled import Flow, Topics
from processors.flow.plan import Parts
from processors.flow.project import FolderProject, FrozenProject
from processors.flow.topics import topics_of
from processors.ports import Answer, Lookup, Models
from schemas.errors import FlowError, UnreachableError, UsageError
from serving.catalog import Manifests
from serving.client import GrpcEndpoint, tls
from serving.router import Router, remote_models
from streams.calls import HeardModels
from streams.clock import Clock, SystemClock
from streams.control import Control
from streams.lane import Lane
from streams.ledger.key import LogKey
from streams.ledger.signer import Signer
from streams.parts import Bounds, LaneParts
from streams.registry import project_of
from streams.settings import Settings
from streams.slot import Slot, samples_socket
from streams.stepping import UNGUARDED, Guard
from streams.tables import IN_PROCESS
from streams.watch import UNWATCHED, Watch

LOGGER = logging.getLogger("weft.worker")
BOUNDS = Bounds(drain_s=6.0)  # a worker that is told to end has ten seconds for all of it


@dataclass(frozen=True, slots=True)
class Fabric:
    """What a worker holds for as long as it lives."""

    slot: Slot
    settings: Settings
    kafka: KafkaSettings
    log: KafkaLog
    reader: KafkaReader
    publisher: KafkaPublisher
    lookup: Lookup
    models: Models
    clock: Clock
    measured: bool = True  # else no metrics and no spans: what they cost is measured so

    def circuits(self) -> Mapping[str, str]:
        """Where the breakers of models stand."""
        return self.models.circuits() if isinstance(self.models, Router) else {}


def fabric(slot: Slot, settings: Settings) -> Fabric:
    """The parts as the settings say.

    Raises:
        UsageError: an address is missing or wrong.
    """
    kafka = settings.kafka_at()
    lookup: Lookup = RedisLookup(settings.redis_at()) if settings.redis else _NoPort("no Redis is named", "set WEFT_REDIS")
    models: Models = _NoPort("no model server is named", "set WEFT_SERVE")
    if settings.serve == IN_PROCESS:
        from serving.memory import local_models  # noqa: PLC0415  # ONNX Runtime: only who runs models in the worker pays for its import

        models = local_models(FolderProject(settings.project_folder))
    elif settings.serve:
        models = remote_models(FolderProject(settings.project_folder), endpoint(settings, settings.serve))
    log = KafkaLog(kafka, slot.flow, slot.name)
    return Fabric(slot, settings, kafka, log, KafkaReader(kafka), KafkaPublisher(kafka), lookup, models, SystemClock())


def endpoint(settings: Settings, address: str) -> GrpcEndpoint:
    """The model server at this address, over TLS if the settings say so.

    Raises:
        UsageError: its CA's file can't be read.
    """
    said = settings.model_server
    ca = settings.file(said.ca)
    try:
        return GrpcEndpoint(address, tls(Path(ca) if ca else None) if said.elsewhere else None)
    except OSError as error:
        raise UsageError(f"serve.ca can't be read: {error.strerror}: {ca}", "it must be a PEM file") from error


def flows_of(parts: Fabric, control: Control, watch: Watch = UNWATCHED) -> tuple[Sequence[Flow], Sequence[Topics]]:
    """Every version of the slot's flow that was applied, compiled, the current one first; and the topics of those that can't be any more.

    Raises:
        UsageError: none was applied, or the current one can't be compiled by this version of Weft.
    """
    bundles = control.applied.versions(parts.slot.flow)
    if not bundles:
        raise UsageError(f"the flow {parts.slot.flow} is not applied at {parts.kafka.bootstrap}", f"run: weft flow apply {parts.slot.flow}")
    flows, gone = [_compiled(parts, bundles[0], watch)], []
    for value in bundles[1:]:
        try:
            flows.append(_compiled(parts, value, watch))
        except FlowError as error:
            gone += _topics_of_gone(value, error)
    return flows, gone


def _compiled(parts: Fabric, value: bytes, watch: Watch) -> Flow:
    """A version as it was applied: its steps ask for the models whose manifests it carries, whatever the project's folder holds now."""
    behind = project_of(parts.settings)
    models = parts.models
    if isinstance(models, Router):
        models = models.reading(Manifests(FrozenProject(Bundle.decode(value).files, behind)))
    samples = SocketSamples(samples_socket(parts.slot.data, parts.slot.flow))
    return compile_bundle(value, Parts(parts.lookup, HeardModels(models, watch), time.monotonic, behind, samples))


def _topics_of_gone(value: bytes, error: FlowError) -> list[Topics]:
    """Where rows of a version may wait that can't be compiled any more; none if not even its flow file can be read."""
    ident = "a version"
    try:
        bundle = Bundle.decode(value)
        ident = f"{bundle.flow}@{bundle.version}"
        return [topics_of(bundle.declared())]
    except FlowError:
        return []
    finally:
        LOGGER.warning("%s can't be compiled any more; rows that still wait for it will be dead letters: %s", ident, error.sentence)


def lane_of(parts: Fabric, control: Control, watch: Watch, guard: Guard = UNGUARDED) -> tuple[Lane, Signer]:
    """The lane, and the signer of its trees, which someone must run."""
    flows, gone = flows_of(parts, control, watch)
    signer = Signer(parts.publisher, flows[0].topics.checkpoints, LogKey.load(parts.settings.log_key_file), parts.clock)
    said, share = parts.settings, parts.settings.trace_share if parts.measured else 0.0
    ports = parts.log, parts.reader, parts.publisher
    held = LaneParts(*ports, flows, said.log_name, parts.clock, signer, watch, BOUNDS, gone, share, guard=guard)
    return Lane(held), signer


class _NoPort:
    """Stands where a flow may not need a port: it says what is missing to a flow that does."""

    def __init__(self, sentence: str, hint: str) -> None:
        self._error: Callable[[], UnreachableError] = lambda: UnreachableError(sentence, hint)

    async def mget(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """Can't."""
        raise self._error()

    async def claim(self, keys: Sequence[str], owners: Sequence[str], ttl_s: int) -> Sequence[str]:
        """Can't."""
        raise self._error()

    async def infer(self, model: str, route: str, columns: pa.RecordBatch, keys: Sequence[bytes | None], timeout_s: float) -> Answer:
        """Can't."""
        raise self._error()
