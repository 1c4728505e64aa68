"""Sees to it that every partition of a group has a member.

A member that dies while a cooperative rebalance is under way and comes back under its static id is given what it had, and the broker asks
nobody again: what was about to move is then nobody's for as long as the group stands (a broker that restarts in that moment does the same
to all members at once). Whoever joins and leaves makes the group share anew; so one member lets a passing one do so.

The group is asked for by the client's oldest call: requests of the newer kind that time out in an outage make it abort the process when the
broker is back (an assertion in librdkafka 2.16, `rd_kafka_enq_once_del_source_return`).
"""

import struct
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient

from connectors.kafka.settings import LOGGER, KafkaSettings
from schemas.positions import Source

LOOK_S, MOST_S = 5.0, 300.0
JOIN_S = 15.0
_ANSWER_S = 4.0


class Unheld:
    """Looks from time to time, on a thread of its own, for as long as the member lives."""

    def __init__(self, settings: KafkaSettings, group: str, slot: str, topics: Sequence[str]) -> None:
        self._settings, self._group, self._topics = settings, group, list(topics)
        self._me = f"{settings.member(group, slot, topics)['group.instance.id']}-"  # the broker's ids of static members begin so
        self._ended = threading.Event()
        threading.Thread(target=self._run, name=f"unheld-{slot}", daemon=True).start()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def _run(self) -> None:
        admin = AdminClient(self._settings.admin(), logger=LOGGER)
        before: frozenset[Source] = frozenset()
        rest_s = LOOK_S
        while not self._ended.wait(rest_s):
            try:
                found = self._look(admin)
                if found and found == before:  # not only in the middle of a rebalance
                    LOGGER.warning("nobody holds %s, and the group stands: it is made to share anew", ", ".join(map(str, sorted(found))))
                    self._pass_by()
                    rest_s = min(rest_s * 2, MOST_S)  # who did not hear of new partitions yet can't share them
                elif not found:
                    rest_s = LOOK_S
                before = found
            except (KafkaException, ValueError):  # no answer, or one of another kind: the next look will tell
                before = frozenset()

    def _look(self, admin: Any) -> frozenset[Source]:
        """What nobody holds; nothing where the group is moving, or another member is the one to see to it."""
        there = admin.list_topics(timeout=_ANSWER_S).topics
        group = next(iter(admin.list_groups(self._group, timeout=_ANSWER_S)), None)
        if group is None or group.state != "Stable" or not min(member.id for member in group.members).startswith(self._me):
            return frozenset()
        wanted = {Source(topic, partition) for topic in self._topics if topic in there for partition in there[topic].partitions}
        return frozenset(wanted.difference(*(assigned(member.assignment) for member in group.members)))

    def _pass_by(self) -> None:
        """Join as one more member, take nothing in, and leave."""
        conf = self._settings.member(self._group, "passing", self._topics)
        del conf["group.instance.id"]  # who has none leaves at once
        consumer, joined = Consumer(conf, logger=LOGGER), threading.Event()

        def untouched(passing: Consumer, partitions: list[Any]) -> None:
            passing.incremental_assign(partitions)
            passing.pause(partitions)
            joined.set()

        consumer.subscribe(self._topics, on_assign=untouched)
        end_s = time.monotonic() + JOIN_S
        while time.monotonic() < end_s and not joined.is_set() and not self._ended.is_set():
            consumer.poll(0.1)
        consumer.close()


def assigned(assignment: bytes) -> Iterator[Source]:
    """The partitions in an assignment of Kafka's consumer protocol: version, then topics, each with its partitions.

    Raises:
        ValueError: it is none.
    """
    try:
        topics, at = struct.unpack_from(">hi", assignment)[1] if assignment else 0, 6
        for _ in range(topics):
            (length,) = struct.unpack_from(">h", assignment, at)
            topic, at = assignment[at + 2 : at + 2 + length].decode(), at + 2 + length
            (count,) = struct.unpack_from(">i", assignment, at)
            partitions, at = struct.unpack_from(f">{count}i", assignment, at + 4), at + 4 + 4 * count
            yield from (Source(topic, partition) for partition in partitions)
    except struct.error as error:
        raise ValueError("it is no assignment of the consumer protocol") from error
