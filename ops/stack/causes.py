"""Why a part did not start, read from what it said last."""

from ops.stack.part import Part
from schemas.errors import StackError

TAIL_BYTES = 20_000
CAUSES = (  # what it said, what that means, what to do
    ("No space left on device", "the disk is full", "Free some space, or put the data folder elsewhere with --data or WEFT_DATA."),
    ("Cannot allocate memory", "there is too little memory", "End some programs, then try again."),
    ("insufficient memory", "there is too little memory", "End some programs, then try again."),
    ("OutOfMemoryError", "it ran out of memory", "End some programs, then try again."),
    ("Address already in use", "one of its ports is taken", "Let the stack choose other ports with `weft up --new-ports`."),
    ("Permission denied", "it may not write its files", "Give yourself the rights on the data folder."),
    ("already locked", "another broker uses its data", "Run `weft down`, then try again."),
)


def why(part: Part, what: str) -> StackError:
    """The error that says what happened to the part, its cause if known, and what to do."""
    said = part.daemon.tail() + _end_of_log(part)
    for words, cause, hint in CAUSES:
        if words.lower() in said.lower():
            return StackError(f"{part.title} {what}: {cause}.", hint)
    return StackError(f"{part.title} {what}.", f"Look at its log with `weft logs {part.name}`.")


def _end_of_log(part: Part) -> str:
    if not part.log_file.exists():
        return ""
    with part.log_file.open("rb") as log:
        log.seek(max(0, part.log_file.stat().st_size - TAIL_BYTES))
        return log.read().decode(errors="replace")
