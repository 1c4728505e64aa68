"""Puts a worker together: the real parts behind every port of a lane."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from connectors.kafka.log import KafkaLog
from connectors.kafka.publisher import KafkaPublisher
from connectors.kafka.reader import KafkaReader
from connectors.kafka.settings import KafkaSettings
from connectors.redis.lookup import RedisLookup
from processors.flow.compile import compile_bundle
from processors.flow.compiled import Flow
from processors.flow.plan import Parts
from processors.flow.project import FolderProject
from processors.ports import Answer, Lookup, Models
from schemas.errors import UnreachableError, UsageError
from serving.router import Router, remote_models
from streams.clock import Clock, SystemClock
from streams.control import Control
from streams.lane import Lane
from streams.ledger.key import LogKey
from streams.ledger.signer import Signer
from streams.parts import Bounds, LaneParts
from streams.settings import Settings
from streams.slot import Slot
from streams.watch import Watch

IN_PROCESS = "in-process"
"""Setting `serve` to this runs the models in the worker itself: no model server, no Ray."""

BOUNDS = Bounds(drain_s=6.0)  # a worker that is told to end has ten seconds for all of it


@dataclass(frozen=True, slots=True)
class Fabric:
    """What a worker holds for as long as it lives."""

    slot: Slot
    settings: Settings
    kafka: KafkaSettings
    reader: KafkaReader
    publisher: KafkaPublisher
    lookup: Lookup
    models: Models
    clock: Clock

    def circuits(self) -> Mapping[str, str]:
        """Where the breakers of models stand."""
        return self.models.circuits() if isinstance(self.models, Router) else {}


def fabric(slot: Slot, settings: Settings) -> Fabric:
    """The parts as the settings say.

    Raises:
        UsageError: an address is missing or wrong.
    """
    if settings.bootstrap is None:
        raise UsageError("no Kafka broker is named", "set WEFT_BOOTSTRAP; `weft run` does so for the local stack")
    kafka = KafkaSettings(settings.bootstrap)
    lookup: Lookup = RedisLookup(settings.redis) if settings.redis else _NoPort("no Redis is named", "set WEFT_REDIS")
    models: Models = _NoPort("no model server is named", "set WEFT_SERVE")
    if settings.serve == IN_PROCESS:
        from serving.memory import local_models  # noqa: PLC0415  # ONNX Runtime: only who runs models in the worker pays for its import

        models = local_models(FolderProject(settings.project_folder))
    elif settings.serve:
        models = remote_models(FolderProject(settings.project_folder), settings.serve)
    return Fabric(slot, settings, kafka, KafkaReader(kafka), KafkaPublisher(kafka), lookup, models, SystemClock())


def flows_of(parts: Fabric, control: Control) -> Sequence[Flow]:
    """Every version of the slot's flow that was applied, compiled; the current one first.

    Raises:
        UsageError: none was applied, or one can't be compiled by this version of Weft.
    """
    bundles = control.applied.versions(parts.slot.flow)
    if not bundles:
        raise UsageError(f"the flow {parts.slot.flow} is not applied at {parts.kafka.bootstrap}", f"run: weft flow apply {parts.slot.flow}")
    built_with = Parts(parts.lookup, parts.models, time.monotonic, FolderProject(parts.settings.project_folder))
    return [compile_bundle(value, built_with) for value in bundles]


def lane_of(parts: Fabric, control: Control, watch: Watch) -> tuple[Lane, Signer]:
    """The lane, and the signer of its trees, which someone must run."""
    flows = flows_of(parts, control)
    signer = Signer(parts.publisher, flows[0].topics.checkpoints, LogKey.load(parts.settings.log_key_file), parts.clock)
    log = KafkaLog(parts.kafka, parts.slot.flow, parts.slot.name)
    log_name = parts.settings.log_name
    return Lane(LaneParts(log, parts.reader, parts.publisher, flows, log_name, parts.clock, signer, watch, bounds=BOUNDS)), signer


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
