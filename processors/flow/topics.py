"""The names of a flow's topics."""

from processors.flow import duration
from processors.flow.compiled import Topics
from processors.flow.spec import FlowFile

SUFFIXES = ("dead-letters", "quarantine", "reviews", "resume", "generations", "ledger", "checkpoints")


def topics_of(flow: FlowFile) -> Topics:
    """All of them. With `order: key` an event waits in place; its retry topics are for rows that came back from a person or a redrive."""
    named = {suffix.replace("-", "_"): f"{flow.flow}.{suffix}" for suffix in SUFFIXES}
    retries = tuple(f"{flow.flow}.retry.{duration.text(delay)}" for delay in flow.limits.retries)
    return Topics(input=flow.input.topic, result=flow.result.topic, retries=retries, **named)
