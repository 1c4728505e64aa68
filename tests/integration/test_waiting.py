"""Rows that wait, on the real stack: decisions that meet each other, deadlines and takeovers; an order by key that outlives kills."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ops.daily.desk import desk
from ops.daily.reviews import Decided, Review, decide, decided_now, open_reviews
from schemas.decision import Action
from streams.settings import Settings
from tests.integration.outcomes_by_hand import everything
from tests.integration.readings import PARTITIONS, Readings
from tests.integration.test_upgrade import MANIFEST
from tests.stack import TestStack

FLOW = """\
flow: {name}
version: 1.0.0
input: {{topic: in-{name}, schema: test.Reading, encoding: avro-single-object, id: id}}
steps:
  - {step}
result: {{topic: out-{name}, schema: test.Kept}}
limits: {{review: {review}, retries: [{retry}], deadline: 1m}}
order: {order}
"""
ASKS = "rules:\n  - {name: odd, when: 'n % 2 == 1', then: review, sentence: somebody should look}\n"
UNSERVED = 'infer: {model: late, outage: degrade, when: "n % 10 == 1"}'  # nobody serves it: its rows wait, and then are dead letters
REVIEW_S, RETRY_S = 8.0, 2.0


def flow(stack: TestStack, folder: Path, step: str, order: str) -> Readings:
    """The readings with one step of another kind."""
    made = Readings(stack, folder)
    texts = {
        f"flows/{made.name}.yaml": FLOW.format(name=made.name, step=step, order=order, review=f"{REVIEW_S:.0f}s", retry=f"{RETRY_S:.0f}s"),
        "policies/asks.yaml": ASKS,
        "models/late/manifest.json": MANIFEST,
    }
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    made.weft("flow", "apply", made.name, "--partitions", str(PARTITIONS), "--yes")
    return made


def kill(flow: Readings, slot: int) -> None:
    """The worker of that slot dies; its supervisor starts another."""
    os.kill(flow.status(slot)["pid"], signal.SIGKILL)


def lane(flow: Readings, slot: int = 0) -> Mapping[str, Any]:
    """What the lane in that slot says of itself; empty while it starts."""
    return flow.status(slot).get("lane") or {}


def ended(flow: Readings) -> Mapping[str, list[tuple[str, Any]]]:
    """By topic: the root position of each outcome, and its record."""
    topics = (f"out-{flow.name}", f"{flow.name}.dead-letters", f"{flow.name}.quarantine")
    return {
        topic: [(_header(message, "ce_weftposition"), message) for message in everything(flow.stack.bootstrap, topic)] for topic in topics
    }


def _header(message: Any, name: str) -> str:
    return str(dict(message.headers() or [])[name].decode())


async def clicked(settings: Settings, name: str, reviews: list[Review], action: Action, who: str) -> list[Decided]:
    """One person decides all of these."""
    async with desk(settings, name) as open_:
        return await decide(open_, reviews, decided_now(action, who, "a click", {}), 30)


async def fought_over(flow: Readings, settings: Settings) -> list[tuple[Decided, Decided]]:
    """Half of the reviews are approved and rejected at once, while a worker dies; the others so too, at their deadline."""
    async with desk(settings, flow.name) as open_:
        reviews = await open_reviews(open_)
    early, late = reviews[::2], reviews[1::2]
    kill(flow, 0)
    told = [await _both(settings, flow.name, early)]
    await asyncio.sleep(max(0.0, late[0].waits.due_ms / 1000 - time.time() - 0.3))
    kill(flow, 1)
    told.append(await _both(settings, flow.name, late))
    return [pair for pairs in told for pair in pairs]


async def _both(settings: Settings, name: str, reviews: list[Review]) -> list[tuple[Decided, Decided]]:
    ada, bob = await asyncio.gather(
        clicked(settings, name, reviews, Action.APPROVE, "ada"), clicked(settings, name, reviews[::-1], Action.REJECT, "bob")
    )
    return list(zip(ada, bob[::-1], strict=True))


@pytest.mark.slow
def test_clicks_that_meet_each_other_deadlines_and_takeovers_end_each_review_once(stack: TestStack, tmp_path: Path) -> None:
    readings = flow(stack, tmp_path, "policy: {rules: asks}", "none")
    settings = Settings(project=tmp_path, data=tmp_path / "data", bootstrap=stack.bootstrap, redis=stack.redis_url)
    asked = sum(n % 2 == 1 for n in range(200) if n % 50)
    with readings.running("--workers", "2"):
        readings.until(
            lambda: all(lane(readings, slot).get("sources") for slot in (0, 1)), 60
        )  # sharing may take longer than a review waits
        readings.send(200)
        readings.until(lambda: sum(lane(readings, slot).get("reviews_open", 0) for slot in (0, 1)) == asked)
        pairs = asyncio.run(fought_over(readings, settings))
        readings.until(lambda: all(lane(readings, slot).get("reviews_open") == 0 for slot in (0, 1)))
    outcomes = ended(readings)
    roots = Counter(root for records in outcomes.values() for root, _ in records)
    assert len(roots) == 200
    assert set(roots.values()) == {1}
    where = {root: topic for topic, records in outcomes.items() for root, _ in records}
    homes = {"ada": f"out-{readings.name}", "bob": f"{readings.name}.quarantine", "": f"{readings.name}.dead-letters"}
    wins = Counter[str]()
    for ada, bob in pairs:
        counted = [who for who, one in (("ada", ada), ("bob", bob)) if not one.superseded]
        assert len(counted) <= 1, (ada, bob)
        winner = counted[0] if counted else ""
        assert where[str(ada.review.waits.root)] == homes[winner]
        wins[winner or "deadline"] += 1
    assert sum(wins.values()) == asked
    assert wins["ada"] + wins["bob"] > asked // 2
    print(f"\n{asked} reviews, two clicks each, two workers killed: {dict(wins)}")
    readings.weft("audit", "verify", readings.name)


@pytest.mark.slow
def test_a_partition_that_waits_in_place_keeps_its_order_and_its_due_time_through_kills(stack: TestStack, tmp_path: Path) -> None:
    readings = flow(stack, tmp_path, UNSERVED, "key")
    with readings.running("--workers", "1"):
        readings.until(lambda: lane(readings))
        readings.send(40)
        sent_ms = time.time() * 1000
        for _ in range(2):
            readings.until(lambda: lane(readings).get("asleep"))
            kill(readings, 0)
        readings.until(lambda: lane(readings).get("idle"), 60)
    outcomes = ended(readings)
    records = sorted((record for ended in outcomes.values() for record in ended), key=lambda one: int(one[0].rpartition("/")[2]))
    assert Counter(root for root, _ in records).most_common(1)[0][1] == 1
    assert len(records) == 40
    for partition in range(PARTITIONS):
        written = [message.timestamp()[1] for root, message in records if root.split("/")[1] == str(partition)]
        assert written == sorted(written), f"partition {partition} is out of order"
    tried = [
        message for _, message in outcomes[f"{readings.name}.dead-letters"] if _header(message, "ce_weftreason") == "retries-exhausted"
    ]
    assert len(tried) == 4
    assert min(message.timestamp()[1] for message in tried) >= sent_ms + RETRY_S * 1000 - 500
    readings.weft("audit", "verify", readings.name)
