"""A cluster as others run it: TLS, users with passwords, ACLs that let each do what it must and no more. No secret is written anywhere."""

import contextlib
import io
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AclOperation as May
from confluent_kafka.admin import ResourceType as Kind

from connectors.kafka.admin import KafkaAdmin
from connectors.kafka.settings import Security
from ops.cli.main import run
from ops.run.watching import fetched
from schemas.errors import UnreachableError
from schemas.vocabulary import Exit
from streams.settings import load
from streams.slot import Slot
from tests.integration.readings import Readings, reading
from tests.secure import Rule, SecureBroker, running_secure_kafka
from tests.stack import TestStack

EVENTS = 200
SHOWN = {"worker": "a certificate", "producer": "SCRAM-SHA-512", "auditor": "PLAIN", "operator": "SCRAM-SHA-256"}
SECRETS = {user: f"zq9x-{user}-7c1e" for user in SHOWN}


def rules(flow: str) -> dict[str, Sequence[Rule]]:
    """What docs/settings.md tells an operator to allow."""
    read = [May.READ, May.DESCRIBE_CONFIGS]
    inputs, results, own, control = (
        (Kind.TOPIC, f"in-{flow}"),
        (Kind.TOPIC, f"out-{flow}"),
        (Kind.TOPIC, f"{flow}."),
        (Kind.TOPIC, "weft.control"),
    )
    readers: list[Rule] = [(Kind.GROUP, "weft-reader-", [May.DESCRIBE]), (Kind.GROUP, "weft-probe-", [May.DESCRIBE])]
    return {
        "worker": [
            (*inputs, read),
            (*results, [May.WRITE, May.DESCRIBE_CONFIGS]),
            (*own, [*read, May.WRITE]),
            (*control, [*read, May.WRITE]),
            (Kind.GROUP, flow, [May.READ]),
            (Kind.GROUP, f"weft-control-{flow}", [May.READ, May.DELETE]),
            (Kind.TRANSACTIONAL_ID, f"{flow}-", [May.WRITE]),
            *readers,
        ],
        "producer": [(*inputs, [May.WRITE])],
        "auditor": [
            *((*topic, read) for topic in (inputs, results, own, control)),
            (Kind.GROUP, flow, [May.DESCRIBE]),
            (Kind.BROKER, "kafka-cluster", [May.DESCRIBE]),  # for weft disk
            *readers,
        ],
        "operator": [
            *((*topic, [May.CREATE, May.ALTER, May.ALTER_CONFIGS, *read]) for topic in (inputs, results, own)),
            (*control, [May.CREATE, May.ALTER_CONFIGS, May.WRITE, *read]),
            (Kind.TOPIC, f"{flow}.resume", [May.WRITE]),
            (Kind.GROUP, flow, [May.DESCRIBE]),
            *readers,
        ],
    }


@dataclass
class Guarded(Readings):
    """The flow of readings where every command comes as a user; weft.toml says where, a file each user's password."""

    user: str = "operator"
    mutual: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """Nothing secret."""
        places = {"WEFT_PROJECT": str(self.folder), "WEFT_DATA": str(self.folder / "data"), "WEFT_SERVE": "in-process"}
        bare = {name: value for name, value in os.environ.items() if not name.startswith("WEFT_")}
        return {**bare, **places, **self._shown()}

    def _shown(self) -> dict[str, str]:
        """How the user shows who it is."""
        secret, how = f"secrets/{self.user}", SHOWN[self.user]
        if how == "a certificate":
            files = {"CERTIFICATE": f"{secret}.pem", "KEY": f"{secret}.key", "KEY_PASSWORD_FILE": secret}
            return {"WEFT_BOOTSTRAP": self.mutual, **{f"WEFT_KAFKA_{name}": file for name, file in files.items()}}
        return {"WEFT_KAFKA_MECHANISM": how, "WEFT_KAFKA_USER": self.user, "WEFT_KAFKA_PASSWORD_FILE": secret}

    def told(self, user: str, *arguments: str) -> str:
        """Run a command in this process, as that user; what it printed."""
        self.user = user
        out = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            for name in os.environ.keys() - self.environment.keys():
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            code = run(arguments)
        self.heard += out.getvalue()
        assert code == 0, out.getvalue() + self.log()
        return out.getvalue()

    def left(self) -> int:
        """Events that are not done yet."""
        partitions = json.loads(self.told("auditor", "lag", self.name, "--json"))["partitions"]
        return sum(partition["rows"] for partition in partitions)

    heard: str = ""


@pytest.fixture(scope="module")
def broker() -> Iterator[SecureBroker]:
    with running_secure_kafka(SECRETS) as running:
        yield running


@pytest.fixture
def guarded(broker: SecureBroker, tmp_path: Path) -> Guarded:
    flow = Guarded(TestStack(tmp_path, broker.open, "", "", ""), tmp_path, mutual=broker.mutual)
    (tmp_path / "secrets").mkdir()
    for user, password in SECRETS.items():
        (tmp_path / "secrets" / user).write_text(f"{password}\n")
        (tmp_path / "secrets" / user).chmod(0o600)
        broker.user(user, password, rules(flow.name)[user])
        broker.authority.client(tmp_path / "secrets", user, password)
    (tmp_path / "weft.toml").write_text(f'[kafka]\nbootstrap = "{broker.bootstrap}"\nca = "{broker.ca}"\nclient.client.rack = "a"\n')
    return flow


def producer_of(broker: SecureBroker, user: str) -> Producer:
    """A producer that knows nothing of Weft."""
    login = {"security.protocol": "SASL_SSL", "sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": user, "sasl.password": SECRETS[user]}
    return Producer({"bootstrap.servers": broker.bootstrap, "ssl.ca.location": str(broker.ca), **login})


def refused_at(producer: Producer, topic: str) -> str:
    """Why a record was refused; empty if it landed."""
    said = []
    producer.produce(topic, b"forged", on_delivery=lambda error, _message: said.append(error))
    producer.flush(10)
    return said[0].name() if said and said[0] is not None else ""


def test_a_flow_runs_over_tls_with_users_who_may_do_only_what_they_must_and_no_secret_is_written_anywhere(
    broker: SecureBroker, guarded: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    flow = guarded.name
    guarded.told("operator", "flow", "apply", flow, "--yes")
    producer = producer_of(broker, "producer")
    for n in range(EVENTS):
        producer.produce(f"in-{flow}", reading(n), str(n).encode())
    assert producer.flush(20) == 0
    guarded.told("worker", "run", flow, "--workers", "1", "--detach")
    try:
        until_s = time.monotonic() + 30
        while guarded.left() and time.monotonic() < until_s:
            time.sleep(0.2)
        lines = [*command_lines(guarded.folder), *views(guarded)]
        assert any("--detach" not in line and flow in line for line in lines)
    finally:
        guarded.told("worker", "stop", flow)
    assert json.loads(guarded.told("auditor", "audit", "verify", flow, "--json"))["proven"] is True
    with caplog.at_level(logging.DEBUG, "aiokafka.conn"):  # which says all that it sends
        disk = {row["kind"]: row for row in json.loads(guarded.told("auditor", "disk", flow, "--json"))}
    assert "Request" in caplog.text
    assert disk["input"]["records"] == EVENTS
    assert disk["input"]["per_million"] == pytest.approx(disk["input"]["bytes"] * 1_000_000 / EVENTS, abs=1)
    assert disk["ledger"]["bytes"] > 0
    assert (disk["ledger"]["kept"], disk["reviews"]["kept"]) == ("28 d", "compacted")
    guarded.told("operator", "config", "show")
    assert "ok" in guarded.told("operator", "config", "check")
    for user, topic in (("producer", f"{flow}.ledger"), ("auditor", f"{flow}.resume"), ("operator", f"out-{flow}")):
        assert refused_at(producer_of(broker, user), topic) == "TOPIC_AUTHORIZATION_FAILED"
    require_unsaid([guarded.heard, caplog.text, *lines, *texts(guarded.folder)])


def command_lines(folder: Path) -> list[str]:
    """Of every process that has to do with this project."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(folder) in " ".join([*process.cmdline(), *process.environ().values()]):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def views(guarded: Guarded) -> list[str]:
    """What a worker shows to every user of the machine."""
    port = Slot(guarded.name, 0, 1, guarded.folder / "data").kept_port() or 0
    found = [fetched(port, path).decode() for path in ("/flows", "/metrics", "/health")]
    assert guarded.name in found[0]
    return found


def texts(folder: Path) -> list[str]:
    """Every file below it but the secrets themselves."""
    return [file.read_bytes().decode(errors="replace") for file in folder.rglob("*") if file.is_file() and file.parent.name != "secrets"]


def require_unsaid(said: Sequence[str]) -> None:
    assert len(said) > 10
    for secret in SECRETS.values():
        assert not [text[max(0, at - 100) : at] for text in said if (at := text.find(secret)) >= 0]


async def test_a_cluster_that_does_not_let_us_in_says_why(broker: SecureBroker, guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in guarded.environment.items():
        monkeypatch.setenv(name, value)
    kafka = replace(load().kafka_at(), reach_s=1.0)
    wrong: dict[str, Any] = {
        "invalid credentials": Security("SASL_SSL", "SCRAM-SHA-512", "operator", "not-it", str(broker.ca)),
        "certificate verify failed": Security("SASL_SSL", "SCRAM-SHA-512", "operator", SECRETS["operator"]),
    }
    for why, security in wrong.items():
        with pytest.raises(UnreachableError, match=f"does not let us in: .*{why}") as caught:
            await KafkaAdmin(replace(kafka, security=security)).topics()
        assert "not-it" not in caught.value.sentence


def test_config_check_tries_what_it_is_asked_to(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (guarded.environment | {"WEFT_REDIS": "redis://:hidden@127.0.0.1:1/0"}).items():
        monkeypatch.setenv(name, value)
    assert run(["config", "check", "--reach", "--json"]) == Exit.FAILED
    said = capsys.readouterr()
    findings = [(row["name"], row["ok"]) for row in json.loads(said.out)]
    assert findings[-3:] == [("kafka", True), ("redis", False), ("serve", True)]
    assert "hidden" not in said.out + said.err


def test_a_user_who_was_never_made_can_not_even_look(broker: SecureBroker) -> None:
    login = {"security.protocol": "SASL_SSL", "sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": "nobody", "sasl.password": "x"}
    with pytest.raises(KafkaException):
        Producer({"bootstrap.servers": broker.bootstrap, "ssl.ca.location": str(broker.ca), **login}).list_topics(timeout=1)
