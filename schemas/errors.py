"""The errors of Weft, as a tree.

WeftError                 anything that Weft says to a person; carries an exit code and what to do
├── UsageError            a command, file or setting is wrong
│   └── FlowError         a flow file, rule, policy or schema has mistakes
├── UnreachableError      a service can't be reached
├── NotProvenError        the ledger does not prove what it should
└── FailedError           it was tried and failed
    ├── StackError        a part of the local stack did not start or stop
    └── LogError          the log refused a call
        ├── RetriableError    the same call may be made again
        ├── AbortError        the transaction must be aborted, its batch read again
        ├── OwnershipError    partitions were lost: abort, forget the lost ones, rewind the kept ones
        └── FatalError        this process can't go on: end it, the supervisor starts it again
            └── UnreadableError   a batch of records is damaged; a person mends it or gives it up
"""

from schemas.positions import Position
from schemas.vocabulary import Exit


class WeftError(Exception):
    """What went wrong, in one sentence; `hint` says what to do."""

    exit_code = Exit.FAILED

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


class UsageError(WeftError):
    """A command, file or setting is wrong."""

    exit_code = Exit.USAGE


class FlowError(UsageError):
    """A flow file, rule, policy or schema has mistakes."""


class UnreachableError(WeftError):
    """A service can't be reached."""

    exit_code = Exit.UNREACHABLE


class NotProvenError(WeftError):
    """The ledger does not prove what it should."""

    exit_code = Exit.NOT_PROVEN


class FailedError(WeftError):
    """It was tried and failed."""


class StackError(FailedError):
    """A part of the local stack did not start or stop."""


class LogError(FailedError):
    """The log refused a call."""


class RetriableError(LogError):
    """The same call may be made again."""


class AbortError(LogError):
    """The transaction must be aborted and its batch read again from the committed offsets."""


class OwnershipError(LogError):
    """Partitions were lost: abort, forget the lost ones, rewind the kept ones."""


class FatalError(LogError):
    """This process can't go on: end it, the supervisor starts it again."""


class UnreadableError(FatalError):
    """A batch of records is damaged; a person mends it or gives it up, and all behind it can be read."""

    def __init__(self, sentence: str, hint: str, position: Position) -> None:
        super().__init__(sentence, hint)
        self.position = position  # of the batch's first record
