"""One run of an audit command: the flow's topics, the cluster, the trusted keys."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.kafka.admin import KafkaAdmin
from connectors.kafka.publisher import KafkaPublisher
from connectors.kafka.reader import KafkaReader
from connectors.kafka.settings import KafkaSettings
from connectors.log import Reader
from ops.audit.subject import Subject
from ops.flow.applied import applied_now, latest_now, topics_now
from ops.stack import services
from processors.flow.check import check
from processors.flow.project import FolderProject, project
from schemas.errors import UnreachableError, UsageError
from streams.ledger.key import LogKey, Verifier
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Session:
    """What every audit command needs."""

    settings: Settings
    subject: Subject
    reader: Reader
    note: str = ""  # what a person must know about where the topics come from

    @property
    def kafka(self) -> KafkaSettings:
        """The cluster."""
        return _kafka(self.settings)

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator[KafkaPublisher]:
        """A publisher, closed behind the work."""
        publisher = KafkaPublisher(self.kafka)
        try:
            yield publisher
        finally:
            await publisher.close()


@asynccontextmanager
async def session(settings: Settings, flow: str, vkeys: Sequence[str] = ()) -> AsyncIterator[Session]:
    """The topics of the flow as it is applied, and a reader. Without verifier keys the installation's own log key is trusted."""
    files = project(settings.project_folder)
    with _none_misspelt(files, flow):
        reader = KafkaReader(_kafka(settings))
    try:
        with _none_misspelt(files, flow):
            applied = await applied_now(KafkaAdmin(_kafka(settings)), reader)
        topics, latest = topics_now(applied, files, flow), latest_now(applied, files, flow)
        keys = tuple({verifier.public for verifier in verifiers(vkeys)}) or (LogKey.load(settings.log_key_file).verifier(flow).public,)
        note = "" if applied.versions(flow) else f"{flow} was never applied here: its topics are those of the project's file."
        yield Session(settings, Subject(flow, topics, settings.log_name, keys, latest), reader, note)
    finally:
        await reader.close()


@contextmanager
def _none_misspelt(files: FolderProject, flow: str) -> Iterator[None]:
    """Where no broker answers: whether there is such a flow at all."""
    try:
        yield
    except UnreachableError:
        check(files, flow)
        raise


def verifiers(vkeys: Sequence[str]) -> list[Verifier]:
    """Verifier keys, each given as itself or as a file with one a line.

    Raises:
        UsageError: one is neither.
    """
    found = []
    for given in vkeys:
        path = Path(given)
        lines = path.read_text().split() if "+" not in given and path.is_file() else [given]
        try:
            found += [Verifier.parse(line) for line in lines]
        except ValueError as error:
            raise UsageError(f"{given} is no verifier key: {error}.", "They are listed by: weft audit keys FLOW") from error
    return found


def _kafka(settings: Settings) -> KafkaSettings:
    return services.kafka(settings)
