"""What every daily command works with: a flow as it is applied, its topics, and how to read what stands on them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from connectors.kafka.admin import KafkaAdmin
from connectors.kafka.publisher import KafkaPublisher
from connectors.kafka.reader import KafkaReader
from connectors.log import Publisher, Reader
from ops.audit.subject import Subject
from ops.flow.applied import applied_now, latest_now, topics_now
from ops.flow.offline import FixedScore, parts
from ops.stack import services
from processors.flow.bundle import Bundle
from processors.flow.check import check
from processors.flow.compile import compile_bundle
from processors.flow.compiled import Flow
from processors.flow.plan import Parts
from processors.flow.project import FrozenProject
from processors.flow.registry import registry_of
from processors.flow.spec import Input, Result
from processors.step import Headers
from schemas.codecs.decoder import Decoder, HeadedDecoder
from schemas.codecs.encodings import decoder, needs_registry
from schemas.errors import FlowError, UsageError
from streams.ledger.key import LogKey
from streams.registry import project_of
from streams.settings import Settings


class Reading(Protocol):
    """Reads one value as columns by name."""

    def __call__(self, value: bytes, headers: Headers = ()) -> Mapping[str, Any]:
        """The value's columns.

        Raises:
            ValueError: it can't be read.
        """


@dataclass(frozen=True, slots=True)
class Desk:
    """A flow in all versions that are applied, the current one first. Steps are never run here: their ports are empty twins."""

    flows: Sequence[Flow]
    reader: Reader
    publisher: Publisher
    subject: Subject
    read_input: Reading
    read_result: Reading

    @property
    def flow(self) -> Flow:
        """The version applied now."""
        return self.flows[0]

    def version(self, ident: str) -> Flow | None:
        """The flow as `name@version`, if it is applied."""
        return next((flow for flow in self.flows if flow.ident == ident), None)


@asynccontextmanager
async def desk(settings: Settings, flow: str) -> AsyncIterator[Desk]:
    """The desk of an applied flow.

    Raises:
        UsageError: it is not applied.
        UnreachableError: no broker answers.
    """
    kafka = services.kafka(settings)
    reader, publisher = KafkaReader(kafka), KafkaPublisher(kafka)
    try:
        applied = await applied_now(KafkaAdmin(kafka), reader)
        bundles = applied.versions(flow)
        project = project_of(settings)
        if not bundles:
            check(project, flow)  # whether there is such a flow at all
            raise UsageError(f"the flow {flow} is not applied", f"run: weft flow apply {flow}")
        flows = _compiled(bundles, parts(project, FixedScore(0.0), {}))
        keys = (LogKey.load(settings.log_key_file).verifier(flow).public,) if settings.log_key_file.exists() else ()
        subject = Subject(flow, topics_now(applied, project, flow), settings.log_name, keys, latest_now(applied, project, flow))
        yield Desk(flows, reader, publisher, subject, *_readings(FrozenProject(Bundle.decode(bundles[0]).files, project), flow))
    finally:
        await publisher.close()
        await reader.close()


def _compiled(bundles: Sequence[bytes], built_with: Parts) -> Sequence[Flow]:
    """All versions that this Weft can compile; the current one it must."""
    flows = [compile_bundle(bundles[0], built_with)]
    for value in bundles[1:]:
        with suppress(FlowError):  # as a worker does: its rows end by themselves
            flows.append(compile_bundle(value, built_with))
    return flows


def reading(told: Input | Result, project: FrozenProject) -> Reading:
    """Reads values as a flow's input or result has them."""
    contracts, data = project.contracts(), told.data if isinstance(told, Input) else "avro-single-object"
    registry = registry_of(project) if needs_registry(told.encoding, data) else None
    return _Decoding(decoder(contracts[told.contract], told.encoding, contracts, registry, data))


def _readings(project: FrozenProject, flow: str) -> tuple[Reading, Reading]:
    spec = check(project, flow).sound()
    return reading(spec.input, project), reading(spec.result, project)


@dataclass(frozen=True, slots=True)
class _Decoding:
    decoder: Decoder

    def __call__(self, value: bytes, headers: Headers = ()) -> Mapping[str, Any]:
        one = self.decoder
        decoded = one.decode_headed([value], [headers]) if isinstance(one, HeadedDecoder) else one.decode([value])
        if decoded.bad:
            raise ValueError(decoded.bad[0].sentence)
        row: Mapping[str, Any] = decoded.columns.to_pylist()[0]
        return row
