"""What a lane is built with, and how much it holds."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.log import Log, Publisher, Reader
from processors.flow.compiled import Flow, Topics, together
from streams.clock import Clock
from streams.ledger.signer import Signer
from streams.stepping import UNGUARDED, Guard
from streams.watch import Watch


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a lane holds. The batch adapts by itself: what is there when the lane comes to fetch, up to these."""

    batch_rows: int = 10_000
    batch_bytes: int = 8 << 20
    flight_bytes: int = 32 << 20
    flight_batches: int = 4
    poll_s: float = 0.2
    room_s: float = 0.5  # wait for room this long before everything is paused
    revoke_s: float = 5.0  # that revoked partitions may take to finish
    stalled_s: float = 15.0  # of failing transactions without a commit: end the process
    drain_s: float = 8.0
    hanging_s: float = 25.0  # after which an open transaction hangs: its timeout is 10 s, and brokers look every 10 s
    expiry_s: float = 1.0  # between looks at the deadlines of open reviews


@dataclass(frozen=True, slots=True)
class LaneParts:
    """What a lane is built with. `flows` are all versions that may have rows in flight, the applied one first."""

    log: Log
    reader: Reader
    publisher: Publisher
    flows: Sequence[Flow]
    log_name: str
    clock: Clock
    signer: Signer
    watch: Watch
    bounds: Bounds = Bounds()
    gone: Sequence[Topics] = ()  # of versions that can't be compiled any more: rows that wait there are told so, and end
    trace_share: float = 0.0  # of the events, by hash of the root position
    chance: Callable[[int], bytes] = os.urandom  # so many bytes, for the salts of leaves
    guard: Guard = UNGUARDED

    @property
    def consumed(self) -> Sequence[str]:
        """What the lane subscribes to: rows of any version may wait."""
        return together([*(flow.topics for flow in self.flows), *self.gone]).consumed

    @property
    def written(self) -> Sequence[str]:
        """What the transactions of the lane write to, whatever version a row has."""
        return sorted({topic for flow in self.flows for topic in flow.topics.written})
