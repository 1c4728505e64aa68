"""The invariants of the simulation, each with the sentence of the design that it stands for."""

from enum import Enum


class Law(Enum):
    """A name, and the sentence."""

    ONE_END = "Exactly one terminal outcome per event and generation."
    PASSES = (
        "(root position, generation, pass) is unique among leaves that are not void; each retry or resume record carries the next number."
    )
    ONE_LEAF = "Every record that read_committed delivers on a consumed topic has exactly one leaf."
    OUTCOMES = (
        "The outcome is the record written for a verdict, in the same transaction, with the ledger's digest; nothing else is written."
    )
    TRUE = "A result is of its own event, and a verdict is one that the event can come to."
    TREES = "One append-only tree per consumed partition; who owns the partition owns the tree, so it never forks."
    OFFSETS = "Every transaction sends at least one offset of each tree it extends, and its metadata carries the tree's head."
    OWNER = "A batch that holds a partition that was lost is void: on lost, abort, never commit."
    HEADS = "A head is signed once commit_transaction has returned success, or once it was read back; no two heads of one size differ."
    SIGNED = "A new owner first signs what it took over, so nothing is lost if the old one died between."
    ORDER = "Order by key holds for rows that don't wait for a person."
    STATE = "State of a batch counts only once its transaction has committed; it starts empty after a restart or takeover."
    REVIEWS = "The first decision about an open review wins, the others are superseded; outcome, leaf and tombstone go in one transaction."
    GENERATIONS = "The owner accepts generation n only if it is the next and within limits.redrives; else it is superseded."
    READABLE = "What Weft has written can be read back: only a record that Weft did not write is unreadable."
    DEDUPE = "A duplicate only if the stored position is another one, so a redo finds itself."
    DUE = "Delay topics are consumed when due; an expiry is settled when it is due."
    IN_PLACE = "A row that waits in place keeps attempt, first consumed and due time in the offset's metadata, also after a restart."
    BOUND = "In flight is bounded by bytes and batches."
    PROGRESS = "Nothing is ever dropped with the position already past it: every event ends."
    PROVEN = "Anyone can prove it: `weft audit verify` finds nothing, while workers run and at the end."
    UNHARMED = "Crash-only: what cannot be handled ends the process, and nothing else does."


class BrokenError(Exception):
    """A law does not hold."""

    def __init__(self, law: Law, what: str) -> None:
        super().__init__(f"{law.name}: {what}")
        self.law = law
        self.what = what
