"""The states of steps: what is adopted, and what the batches in flight made of it."""

from processors.step import State
from schemas.positions import Source
from streams.stepping import StateKey
from streams.work import Work


class Memory:
    """Adopted at commit; what was tentative is forgotten when batches are dropped."""

    def __init__(self) -> None:
        self._adopted: dict[StateKey, State] = {}
        self._tentative: dict[StateKey, State] = {}

    def of(self, work: Work) -> "WorkStates":
        """The states as a batch in flight sees and leaves them."""
        return WorkStates(self._tentative, work)

    def adopt(self, work: Work) -> None:
        """The batch has committed."""
        self._adopted.update(work.states)

    def dropped(self) -> None:
        """No batch is in flight any more."""
        self._tentative.clear()
        self._tentative.update(self._adopted)

    def forget(self, gone: set[Source]) -> None:
        """Partitions went to another owner."""
        self._adopted = {
            key: {source: value for source, value in state.items() if source not in gone} for key, state in self._adopted.items()
        }
        self.dropped()


class WorkStates:
    """The tentative states, and a note of those that this batch changed."""

    def __init__(self, tentative: dict[StateKey, State], work: Work) -> None:
        self._tentative = tentative
        self._work = work

    def get(self, key: StateKey) -> State:
        """A step's state, as the batch before left it."""
        return self._tentative.get(key, {})

    def put(self, key: StateKey, state: State) -> None:
        """What this batch made of it."""
        self._tentative[key] = state
        self._work.states[key] = state
