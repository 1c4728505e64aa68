"""A command does not wait for a broker where nobody listens, and waits for one that may come."""

import socket
import threading
import time
from pathlib import Path

import pytest

from connectors.kafka.reach import look
from connectors.kafka.settings import KafkaSettings
from ops.cli.main import run
from ops.stack import services
from schemas.errors import UnreachableError
from schemas.vocabulary import Exit
from streams.settings import load


@pytest.fixture
def refusing() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("bootstrap", ["{}", "PLAINTEXT://{}, {}", "no-such-host.invalid:9092,{}", "localhost:99999"])
def test_addresses_that_all_refuse_are_said_to_at_once(refusing: str, bootstrap: str) -> None:
    with pytest.raises(UnreachableError, match="no Kafka broker answers at"):
        look(KafkaSettings(bootstrap.format(refusing, refusing)), within_s=0.1)


def test_one_address_that_takes_a_connection_is_enough_and_what_it_says_is_the_clients_to_hear(refusing: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        look(KafkaSettings(f"{refusing},127.0.0.1:{listening.getsockname()[1]}"), within_s=0.0)


def test_a_broker_that_comes_in_that_moment_is_waited_for(refusing: str) -> None:
    host, _, port = refusing.partition(":")
    servers: list[socket.socket] = []
    coming = threading.Timer(0.2, lambda: servers.append(socket.create_server((host, int(port)))))
    coming.start()
    look(KafkaSettings(refusing), within_s=30.0)
    coming.join()
    servers[0].close()


@pytest.mark.parametrize("command", ["lag departure-delays", "dlq list departure-delays", "audit keys departure-delays"])
def test_a_command_says_within_a_moment_that_the_stack_is_down(
    command: str, refusing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEFT_BOOTSTRAP", refusing)
    run([command.split()[0], "--help"])  # imports are not what is measured
    began_s = time.monotonic()
    assert run(command.split()) == Exit.UNREACHABLE
    assert time.monotonic() - began_s < KafkaSettings(refusing).reach_s / 2
    assert "no Kafka broker answers" in capsys.readouterr().err


def test_who_is_patient_leaves_it_to_the_client_to_wait(refusing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_BOOTSTRAP", refusing)
    assert services.kafka(load(), patient=True).bootstrap == refusing


def test_where_no_stack_was_ever_begun_it_is_said_instead_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEFT_PROJECT", str(tmp_path))
    monkeypatch.delenv("WEFT_DATA", raising=False)
    monkeypatch.delenv("WEFT_BOOTSTRAP", raising=False)
    for command in ("lag", "run"):  # also one that is patient: nobody would come
        assert run([command, "departure-delays"]) == Exit.UNREACHABLE
        said = capsys.readouterr().err
        assert f"there is no local stack in {tmp_path / '.weft'} yet" in said
        assert "`weft up` starts one" in said
    assert not (tmp_path / ".weft").exists()
