"""What a worker tells all others on the control topic: alerts of committed batches, breakers that turn. A crash may lose some."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from connectors.log import Publisher
from processors.step import Signal
from schemas.errors import WeftError
from streams.clock import Clock
from streams.control import Alert, BreakerState, Record, say

PERIOD_S = 0.5
HELD = 1_000  # alerts that wait to be sent; the oldest go first


class Bulletin:
    """Collects without waiting, sends twice a second."""

    def __init__(self, flow: str, worker: str, publisher: Publisher, circuits: Callable[[], Mapping[str, str]], clock: Clock) -> None:
        self._flow, self._worker, self._publisher, self._circuits, self._clock = flow, worker, publisher, circuits, clock
        self._alerts: deque[Alert] = deque(maxlen=HELD)
        self._told: dict[str, str] = {}

    def heard(self, signals: Sequence[Signal]) -> None:
        """Alerts of a batch that has committed."""
        self._alerts.extend(Alert.of(self._flow, signal, self._clock.now_ms()) for signal in signals)

    async def run(self) -> None:
        """Send, until cancelled. What can't be sent is tried again."""
        while True:
            await self._clock.sleep(PERIOD_S)
            await self.send()

    async def send(self) -> None:
        """Send what there is."""
        now_ms = self._clock.now_ms()
        alerts = list(self._alerts)
        turned = {model: str(circuit) for model, circuit in self._circuits().items() if self._told.get(model, "closed") != circuit}
        breakers = [BreakerState(model=model, worker=self._worker, circuit=circuit, at_ms=now_ms) for model, circuit in turned.items()]
        records: list[Record] = [*{alert.key: alert for alert in alerts}.values(), *breakers]
        if not records:
            return
        try:
            await say(self._publisher, records)
        except WeftError:
            return
        self._told |= turned
        for alert in alerts:
            if self._alerts and self._alerts[0] is alert:  # else it was pushed out meanwhile
                self._alerts.popleft()
