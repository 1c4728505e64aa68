"""The watch steps of a flow's versions as they are applied, and the alerts that stand."""

from collections.abc import Sequence

from connectors.log import Reader
from ops.flow.offline import FixedScore, parts
from ops.quality.alarm import WHAT
from ops.quality.windows import Key
from processors.flow.compile import compile_bundle
from processors.flow.project import FolderProject
from processors.flow.when import When
from processors.step import Step
from processors.steps.watch import Watch
from schemas.errors import FlowError
from streams.control import Control, catch_up


class Steps:
    """Finds a watch step by flow version and name, as it stood on the control topic at the last look."""

    def __init__(self, flow: str, reader: Reader, project: FolderProject) -> None:
        self._flow, self._reader, self._project = flow, reader, project
        self._found: dict[Key, Watch] = {}
        self.topic = ""  # the flow's input
        self.standing: Sequence[str] = ()

    async def look(self) -> None:
        """Read the control topic.

        Raises:
            WeftError: it can't be read.
        """
        control = Control()
        await catch_up(self._reader, control)
        self.standing = [alert.key for alert in control.alerts(self._flow) if alert.what == WHAT]
        for value in reversed(control.applied.versions(self._flow)):  # the current one last
            try:
                flow = compile_bundle(value, parts(self._project, FixedScore(0.0), {}))
            except FlowError:  # it runs nowhere any more
                continue
            self.topic = flow.topics.input
            self._found |= {(flow.ident, step.name): step for step in map(_inner, flow.steps) if isinstance(step, Watch)}

    def get(self, key: Key) -> Watch | None:
        """The step, if it was there at the last look."""
        return self._found.get(key)


def _inner(step: Step) -> Step:
    return step.step if isinstance(step, When) else step
