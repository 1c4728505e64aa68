"""A flow is upgraded and rolled back while rows wait for time and for people; CloudEvents come in and go out meanwhile."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer

from ops.cli.main import run
from tests.integration.readings import PARTITIONS, Readings
from tests.stack import TestStack

FLOW = """\
flow: {name}
version: {version}
input: {{topic: in-{name}, schema: test.Reading, encoding: cloudevents}}
steps:
  - policy: {{rules: odd}}
{infer}result: {{topic: out-{name}, schema: test.Kept, encoding: cloudevents-json}}
limits: {{retries: [2s], deadline: 1m}}
"""
INFER = "  - infer: {model: late, outage: degrade}\n"  # nobody serves it: its rows wait, and then are dead letters
POLICY = """\
rules:
  - {name: odd, when: "n % 10 == 1", then: review, sentence: somebody should look}
"""
MANIFEST = (
    '{"name": "late", "version": "1.0.0", "sha256": "'
    + "0" * 64
    + '", "inputs": [{"name": "n", "datatype": "INT32"}], "outputs": [{"name": "score", "datatype": "FP64"}], '
    '"approval": {"approved": true, "by": "a test", "why": "it is one"}}'
)


class Shop(Readings):
    """The readings as CloudEvents; version 1 asks a model that nobody serves, version 2 does not."""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "WEFT_SERVE": "127.0.0.1:9"}

    def version(self, version: str) -> None:
        text = FLOW.format(name=self.name, version=version, infer=INFER if version.startswith("1.") else "")
        (self.folder / "flows" / f"{self.name}.yaml").write_text(text)

    def produce(self, numbers: range, structured: bool = False) -> None:
        producer = Producer({"bootstrap.servers": self.stack.bootstrap})
        in_json: list[tuple[str, Any]] = [("content-type", b"application/cloudevents+json")]
        for n in numbers:
            told = {"specversion": "1.0", "id": f"e{n}", "source": "/shop", "type": "reading", "tenant": "me"}
            data = {"id": f"r{n}", "n": n}
            if structured:
                value, headers = orjson.dumps({**told, "data": data}), in_json
            else:
                value, headers = orjson.dumps(data), [(f"ce_{name}", text.encode()) for name, text in told.items()]
            producer.produce(f"in-{self.name}", value, headers=headers)
        producer.produce(f"in-{self.name}", b"{}", headers=[("ce_id", b"lonely")])
        assert producer.flush(10) == 0
        self.sent += len(numbers) + 1

    @property
    def lane(self) -> dict[str, Any]:
        return self.status().get("lane") or {}

    def runs(self, version: str) -> bool:
        return self.lane.get("flow") == f"{self.name}@{version}"

    def counts(self, verdict: str) -> int:
        """How many rows this worker has ended so."""
        return int(self.lane.get("verdicts", {}).get(verdict, 0))


@pytest.fixture
def shop(stack: TestStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    made = Shop(stack, tmp_path)
    for path, text in {"policies/odd.yaml": POLICY, "models/late/manifest.json": MANIFEST}.items():
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    for name, value in made.environment.items():
        if name.startswith("WEFT_"):
            monkeypatch.setenv(name, value)
    made.version("1.0.0")
    assert run(["flow", "apply", made.name, "--yes", "--partitions", str(PARTITIONS)]) == 0
    return made


def ends(shop: Shop) -> dict[str, list[str]]:
    """By the flow version that ended them: the events, of results and dead letters."""
    found: dict[str, list[str]] = {}
    for topic in (f"out-{shop.name}", f"{shop.name}.dead-letters"):
        for _, headers in shop.records(topic):
            found.setdefault(headers["ce_weftflow"].decode().partition("@")[2], []).append(
                headers.get("ce_causationid", headers["ce_id"]).decode()
            )
    return found


def test_rows_end_under_the_version_that_they_began_with_through_upgrade_and_rollback(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    with shop.running("--workers", "1"):
        shop.until(lambda: shop.runs("1.0.0"))
        shop.produce(range(5))
        shop.until(lambda: shop.counts("retry") == 4)  # and 1 waits for a person
        shop.version("2.0.0")
        assert run(["flow", "diff", shop.name]) == 0
        assert "step infer-late is gone" in capsys.readouterr().out
        assert run(["flow", "apply", shop.name, "--yes"]) == 0
        shop.until(lambda: shop.runs("2.0.0"))
        shop.produce(range(10, 15), structured=True)
        shop.until(lambda: shop.counts("result") == 4)
        assert run(["review", "approve", shop.name, "e1", "--why", "fine", "--who", "me"]) == 0  # goes on under 1.0.0: its model is asked
        assert run(["flow", "rollback", shop.name, "--yes"]) == 0
        shop.until(lambda: shop.runs("1.0.0"))
        assert run(["review", "approve", shop.name, "e11", "--why", "fine", "--who", "me"]) == 0  # goes on under 2.0.0: a result
        shop.until(lambda: shop.lane.get("idle") and not shop.lane["reviews_open"])
    found = ends(shop)
    assert sorted(found["1.0.0"]) == sorted([f"e{n}" for n in range(5)] + ["lonely"])
    assert sorted(found["2.0.0"]) == sorted([f"e{n}" for n in range(10, 15)] + ["lonely"])
    reasons = [headers["ce_weftreason"].decode() for _, headers in shop.records(f"{shop.name}.dead-letters")]
    assert sorted(set(reasons)) == ["not-cloudevent", "retries-exhausted"]
    for value, headers in shop.records(f"out-{shop.name}"):
        event = orjson.loads(value or b"")
        assert headers["content-type"] == b"application/cloudevents+json"
        assert {name: event[name] for name in ("specversion", "type", "tenant", "weftverdict")} == {
            "specversion": "1.0", "type": "test.Kept", "tenant": "me", "weftverdict": "result"}  # fmt: skip
        assert (event["id"], event["correlationid"]) == (headers["ce_id"].decode(), f"e{event['data']['n']}")
    capsys.readouterr()
    assert run(["flow", "versions", shop.name, "--json"]) == 0
    told = orjson.loads(capsys.readouterr().out)
    assert [(row["version"], row["applied"]) for row in told] == [("2.0.0", False), ("1.0.0", True)]
    assert run(["audit", "verify", shop.name]) == 0
