"""The closed vocabularies: verdicts, reasons and exit codes. Each comment is the word's documentation."""

from enum import IntEnum, StrEnum


class Verdict(StrEnum):
    """Why a row left the steps."""

    RESULT = "result"  # terminal: it went through every step; a record is on the result topic
    DEAD_LETTER = "dead-letter"  # terminal: it could not be processed; the original is on the dead-letter topic
    QUARANTINE = "quarantine"  # terminal: it could be processed but may not be; a record is on the quarantine topic
    FILTERED = "filtered"  # terminal: it is not for this flow; the ledger's leaf is all there is
    RETRY = "retry"  # pending: it waits on a retry topic and comes back by itself
    REVIEW = "review"  # pending: it waits for a person
    SUPERSEDED = "superseded"  # void: the record on a resume or retry topic is no live pass
    UNREADABLE = "unreadable"  # void: the record on a resume or retry topic can't be read; copied to dead letters

    @property
    def terminal(self) -> bool:
        """Whether the event has ended here."""
        return self in _TERMINAL

    @property
    def void(self) -> bool:
        """Whether the leaf counts for no event."""
        return self in (Verdict.SUPERSEDED, Verdict.UNREADABLE)


_TERMINAL = frozenset({Verdict.RESULT, Verdict.DEAD_LETTER, Verdict.QUARANTINE, Verdict.FILTERED})


class Reason(StrEnum):
    """Why, as a code that programs may branch on; a rule's name and a sentence stand beside it."""

    NONE = ""  # a result needs no reason
    TRUNCATED = "truncated"  # the value ends before the schema does
    TRAILING_BYTES = "trailing-bytes"  # the value goes on after the schema ends
    UNKNOWN_SCHEMA = "unknown-schema"  # the value names a schema that the flow does not read
    WRONG_TYPE = "wrong-type"  # the value is no datum of the schema
    INVALID_UTF8 = "invalid-utf8"  # a string is not UTF-8
    OUT_OF_RANGE = "out-of-range"  # a number does not fit its type
    NOT_JSON = "not-json"  # the value is not JSON
    NOT_CLOUDEVENT = "not-cloudevent"  # a CloudEvent was to be here: an attribute is missing or breaks the rules, or data has another form
    TOO_LARGE = "too-large"  # the key or value is above its limit, or what the event came to above what its topic takes
    TOMBSTONE = "tombstone"  # the value is null
    INVALID = "invalid"  # a row rule refused it
    FILTER = "filter"  # the flow's filter took it out
    DUPLICATE = "duplicate"  # an event with this id came before, within input.dedupe
    MISSING = "missing"  # the lookup has no such key
    POLICY = "policy"  # a policy rule decided
    RULE_FAILED = "rule-failed"  # a rule could not be evaluated; fails closed
    MODEL_UNAVAILABLE = "model-unavailable"  # no rung of the model ladder answered
    STEP_FAILED = "step-failed"  # a step raised on this row alone
    ENCODE_FAILED = "encode-failed"  # the row does not fit the result's schema
    RETRIES_EXHAUSTED = "retries-exhausted"  # limits.retries has no further delay
    DEADLINE = "deadline"  # limits.deadline passed
    REVIEW_EXPIRED = "review-expired"  # nobody decided within limits.review
    REJECTED = "rejected"  # a reviewer refused it
    NOT_OPEN = "not-open"  # the decision is about a review that is closed or was never open
    NOT_NEXT = "not-next"  # the redrive is not of the next generation, or above limits.redrives
    UNFIT = "unfit"  # the decision lacks a column that the asking step gives, or sets one of another type
    UNKNOWN_FLOW = "unknown-flow"  # the row waits for a flow version that is not applied any more
    NOT_PENDING = "not-pending"  # the record on a resume or retry topic is none that Weft wrote


class Exit(IntEnum):
    """Exit codes of the command line."""

    DONE = 0  # it did what was asked
    FAILED = 1  # it tried and failed
    USAGE = 2  # the command, a file or a setting is wrong
    UNREACHABLE = 3  # a service can't be reached
    NOT_PROVEN = 4  # the ledger does not prove what it should
