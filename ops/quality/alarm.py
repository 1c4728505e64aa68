"""Tells on the control topic what does not hold now: an alert for the step, one for each column; and pauses the flow where it says so."""

from collections.abc import Iterable, Sequence

from connectors.log import Outgoing, Publisher
from ops.quality.findings import Finding, Judgement
from ops.quality.windows import Window
from processors.flow.bundle import CONTROL_TOPIC
from streams.control import Alert, FlowPaused, Record

WHAT = "watch"
EVERY_PARTITION = -1  # a window has rows of all that the worker holds
SENTENCE_CHARS = 500


class Alarm:
    """Speaks for one flow. `standing` are the keys of alerts that an earlier process left."""

    def __init__(self, flow: str, topic: str, publisher: Publisher, standing: Iterable[str]) -> None:
        self._flow, self._topic, self._publisher = flow, topic, publisher
        self._standing = set(standing)

    async def tell(self, window: Window, judgement: Judgement, at_ms: int) -> bool:
        """Alert what does not hold, take back what holds again; whether the flow was paused.

        Raises:
            WeftError: it could not be told.
        """
        step = window.key[1]
        records: list[Record] = [*self._alerts(step, judgement, at_ms)]
        keys = {record.key for record in records}
        held = {key for key in self._standing - keys if key.startswith(f"alert/{self._flow}/{step}/")}
        critical = [finding for finding in judgement.failed if finding.severity == "critical"]
        pauses = window.watch.spec.action == "pause" and bool(critical)
        if pauses:
            records.append(self._pause(step, judgement, critical, at_ms))
        await self._publish({record.key: record.model_dump_json().encode() for record in records} | dict.fromkeys(held))
        self._standing = (self._standing | keys) - held
        return pauses

    async def give_up(self, step: str, sentence: str, at_ms: int) -> None:
        """The step's suite can't be judged."""
        alert = self._alert(step, "", sentence, {}, at_ms)
        await self._publish({alert.key: alert.model_dump_json().encode()})
        self._standing.add(alert.key)

    def _alerts(self, step: str, judgement: Judgement, at_ms: int) -> Iterable[Alert]:
        failed = judgement.failed
        if not failed:
            return
        figures = {"failed": float(len(failed)), "expectations": float(len(judgement.findings)), "rows": float(judgement.rows)}
        about = (
            f"{len(failed)} of {len(judgement.findings)} expectations of {judgement.suite} do not hold for {judgement.rows:,} sampled rows"
        )
        yield self._alert(step, "", f"{about}: {_sentences(failed)}", figures, at_ms)
        for column in sorted({finding.column for finding in failed if finding.column}):
            mine = [finding for finding in failed if finding.column == column]
            percents = [finding.unexpected_percent for finding in mine if finding.unexpected_percent is not None]
            figures = {"failed": float(len(mine)), "rows": float(judgement.rows)}
            figures |= {"unexpected_percent": max(percents)} if percents else {}
            yield self._alert(step, column, _sentences(mine), figures, at_ms)

    def _alert(self, step: str, column: str, sentence: str, figures: dict[str, float], at_ms: int) -> Alert:
        return Alert(
            flow=self._flow,
            step=step,
            what=WHAT,
            column=column,
            topic=self._topic,
            partition=EVERY_PARTITION,
            sentence=sentence[:SENTENCE_CHARS],
            figures=figures,
            at_ms=at_ms,
        )

    def _pause(self, step: str, judgement: Judgement, critical: Sequence[Finding], at_ms: int) -> FlowPaused:
        why = f"{_sentences(critical)}; suite {judgement.suite}, {judgement.rows:,} sampled rows"
        return FlowPaused(flow=self._flow, paused=True, who=f"the step {step}", why=why[:SENTENCE_CHARS], at_ms=at_ms)

    async def _publish(self, records: dict[str, bytes | None]) -> None:
        if records:
            keys = [key.encode() for key in records]
            await self._publisher.publish(Outgoing(CONTROL_TOPIC, keys, list(records.values()), partition=0))


def _sentences(findings: Sequence[Finding]) -> str:
    return "; ".join(finding.told for finding in findings)
