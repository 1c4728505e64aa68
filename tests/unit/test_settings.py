"""Settings: who comes before whom, where each comes from, what is refused and how it is said, and that secrets stay hidden."""

import os
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.kafka.laws import LAWS, check
from connectors.kafka.settings import KafkaSettings
from ops.stack import services
from ops.stack.downloads import delete, require_unused
from ops.stack.told import told
from schemas.errors import UsageError
from streams.settings import Settings, load, said
from streams.sources import known, strangers
from tests.secure import Authority

SECRET = "correct horse battery staple"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith("WEFT_")]:
        monkeypatch.delenv(name)
    return monkeypatch


def project(folder: Path, toml: str) -> Path:
    (folder / "weft.toml").write_text(toml)
    (folder / "secret").write_text(f"{SECRET}\n")
    return folder


WHOLE = """\
log_name = "mine"        # a comment

redis = "rediss://r:6380/0"
[kafka]
bootstrap = '''
k1:9093,
[::1]:9093'''
user = "weft"
password_file = "secret"

[kafka.client]
socket.timeout.ms = 10000
"client.rack" = "a"
"""


def test_every_setting_tells_its_line_its_variable_or_that_nobody_said_it(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("WEFT_LOG_NAME", "theirs")
    environment.setenv("WEFT_KAFKA_CLIENT_LINGER_MS", "7")
    rows = {row.name: (row.value, str(row.origin)) for row in told(load(project(tmp_path, WHOLE)), {"data": "--data"})}
    assert rows["log_name"] == ("theirs", "variable WEFT_LOG_NAME")
    assert rows["redis.url"] == ("rediss://r:6380/0", "line 3 of weft.toml")
    assert rows["kafka.bootstrap"] == ("k1:9093,[::1]:9093", "line 5 of weft.toml")
    assert rows["kafka.password"] == ("***", f"line 9 of weft.toml, file {tmp_path / 'secret'}")
    assert rows["kafka.client.socket.timeout.ms"] == (10000, "line 12 of weft.toml")
    assert rows["kafka.client.client.rack"] == ("a", "line 13 of weft.toml")
    assert rows["kafka.client.linger.ms"] == ("7", "variable WEFT_KAFKA_CLIENT_LINGER_MS")
    assert rows["kafka.protocol"] == ("SASL_SSL", "default")
    assert rows["data"] == (str(tmp_path / ".weft"), "argument --data")
    assert rows["serve.address"] == (None, "local stack (not set up yet: weft up)")
    assert not (tmp_path / ".weft").exists()


@pytest.mark.parametrize(
    ("toml", "sentence", "hint"),
    [
        ('\nbootstrop = "k:1"', "Line 2 of weft.toml: there is no setting bootstrop.", "Is it bootstrap?"),
        ('[kafka]\nuser = "a"\npasword = "b"', "Line 3 of weft.toml: there is no setting kafka.pasword.", "Is it kafka.password?"),
        ('[kafak]\nuser = "a"', "Line 2 of weft.toml: there is no setting kafak.user.", "Is it kafka.user?"),
        ("[rediss]", "Line 1 of weft.toml: there is no setting rediss.", "Is it redis?"),
        ('bootstrap = "k:1"\n[kafka]\nbootstrap = "k:2"', "said twice in weft.toml: in line 1 and in line 3", "Leave one out"),
        ('[kafka]\npassword = "x"\npassword_file = "secret"', "said twice in weft.toml: in line 2 and in line 3", "Leave one out"),
        ('bootstrap = "k"', "kafka.bootstrap is wrong: 'k' is no address", "Correct line 1 of weft.toml."),
        ('bootstrap = "k:1,,k:2"', "is no address", "line 1"),
        ('bootstrap = "kafka://k:1"', "is no address", "line 1"),
        ('bootstrap = "k:99999"', "is no address", "line 1"),
        ('serve = "models"', "serve.address is wrong: 'models' is no address", "line 1"),
        (f'redis = "http://me:{SECRET}@r"', "redis.url is wrong: this is no URL of a Redis server", "line 1"),
        ('bootstrap = "k:1"\n[kafka]\nuser = "a"', "user and password go together", "weft config show"),
        ('[kafka]\nuser = "a"\npassword_file = "secret"', "bootstrap is not set", "weft config show"),
        ('bootstrap = "k:1"\n[kafka]\nprotocol = "SSL"\nuser = "a"\npassword_file = "secret"', "shows no user", "weft config show"),
        ('bootstrap = "k:1"\n[kafka]\nprotocol = "PLAINTEXT"\nca = "ca.pem"', "uses no TLS", "weft config show"),
        ('[kafka]\npassword_file = "not-there"', "not-there can't be read: No such file", "line 2 of weft.toml"),
        ('[redis]\nurl = "redis://:a@r"\npassword = "b"', "stands in the url already", "weft config show"),
        ('[redis]\nurl = "redis://r"\nca = "ca.pem"', "must begin with rediss://", "weft config show"),
        ('[kafka.client]\n"group.id" = "x"', "can't be set (line 2 of weft.toml): the group is the flow's name", "Leave it out"),
        ("[kafka.client]\nsocket.timout.ms = 5", 'No such configuration property: "socket.timout.ms"', "Is it socket.timeout.ms?"),
        ('[kafka.client]\nsocket.timeout.ms = "soon"', "is refused by Kafka's client (line 2 of weft.toml)", "CONFIGURATION.md"),
        ("[kafka.client]\nerror_cb = 5", "kafka.client.error_cb is refused", ""),
        ("log_name = ", "can't be read", "must be TOML"),
        (
            f'registry = "https://me:{SECRET}/@r"',
            "registry is wrong: no user, no password and no query may stand in the URL; say registry_auth",
            "line 1",
        ),
        (f'trace_endpoint = "http://me:{SECRET}@c"', "trace_endpoint is wrong: no user, no password and no query may", "line 1"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_line_and_what_may_have_been_meant(tmp_path: Path, toml: str, sentence: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(project(tmp_path, toml))
    assert sentence in caught.value.sentence
    assert hint in caught.value.hint
    assert SECRET not in f"{caught.value.sentence} {caught.value.hint} {caught.value.__cause__!r}"


@pytest.mark.parametrize(
    "name",
    ["plugin.library.paths", "ssl.engine.location", "ssl.providers", "sasl.kerberos.kinit.cmd", "sasl.kerberos.principal", "topic.acks"],
)
def test_what_runs_code_is_refused_before_the_client_hears_of_anything(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(project(tmp_path, f'[kafka.client]\n"a.probe.would.refuse.this" = "x"\n"{name}" = "/tmp/x"'))
    assert f"kafka.client.{name} can't be set (line 3 of weft.toml)" in caught.value.sentence


@pytest.mark.parametrize(("mode", "owner", "group"), [(0o646, 0, 0), (0o664, 0, 1), (0o644, 1, 0)])
def test_a_file_of_settings_that_somebody_else_could_have_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, owner: int, group: int
) -> None:
    file = project(tmp_path, 'log_name = "mine"') / "weft.toml"
    file.chmod(0o664)
    assert load(tmp_path).log_name == "mine"
    file.chmod(mode)
    uid, gid = file.stat().st_uid, file.stat().st_gid
    if uid:  # only root can give a file away: be somebody else instead
        monkeypatch.setattr(os, "getuid", lambda: uid + owner)
        monkeypatch.setattr(os, "getgid", lambda: gid + group)
    else:
        os.chown(file, owner, group)
    with pytest.raises(UsageError, match=r"weft\.toml|somebody else") as caught:
        load(tmp_path)
    assert "chown" in caught.value.hint if owner else "chmod go-w" in caught.value.hint


def test_no_part_of_a_password_in_a_url_is_shown(tmp_path: Path) -> None:
    rows = {row.name: row.value for row in told(load(project(tmp_path, 'redis = "redis://:p@ss/w@rd@h:1"')), {})}
    assert rows["redis.url"] == "redis://***@h:1"
    named = '[kafka.client]\n"sasl.oauthbearer.config" = "scope=open-sesame"'
    passed = load(project(tmp_path, named))
    assert "open-sesame" not in f"{list(told(passed, {}))} {passed!r} {passed.kafka_at('k:1')!r}"
    shown = repr(load(project(tmp_path, 'registry = "https://r"\ntrace_endpoint = "http://c"')))
    assert "https://r" not in shown
    assert "http://c" not in shown


@pytest.mark.parametrize(
    "toml",
    [
        'bootstrap = "me:open-sesame@k:1"',
        'serve = "me:open-sesame@m:1"',
        'redis = "redis://r:1/0?password=open-sesame"',
        'registry = "https://r?key=open-sesame"',
        'trace_endpoint = "http://c?api-key=open-sesame"',
    ],
)
def test_who_writes_a_password_where_none_belongs_is_told_without_it(tmp_path: Path, toml: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(project(tmp_path, toml))
    assert "open-sesame" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__!r}"


def test_a_wrong_variable_is_named(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("WEFT_BOOTSTRAP", "nowhere")
    with pytest.raises(UsageError) as caught:
        load(tmp_path)
    assert caught.value.hint == "Correct variable WEFT_BOOTSTRAP."


def test_a_variable_that_nobody_knows_is_told_with_the_nearest_one() -> None:
    environ = {"WEFT_BOOTSTRP": "", "WEFT_KAFKA_PASSWORD_FILE": "", "WEFT_KAFKA_CLIENT_DEBUG": "", "PATH": ""}
    assert strangers(tuple(known(Settings)), environ) == {"WEFT_BOOTSTRP": "WEFT_BOOTSTRAP"}


@pytest.mark.parametrize(
    ("toml", "variables", "secret"),
    [
        ('password = "inline"', {}, "inline"),
        ('password_file = "secret"', {}, SECRET),
        ('password_file = "secret"', {"WEFT_KAFKA_PASSWORD": "from-variable"}, "from-variable"),
        ('password = "inline"', {"WEFT_KAFKA_PASSWORD_FILE": "secret"}, SECRET),
    ],
)
def test_a_secret_comes_from_a_file_or_a_variable_and_is_in_no_text_of_the_settings(
    tmp_path: Path, environment: pytest.MonkeyPatch, toml: str, variables: Mapping[str, str], secret: str
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    settings = load(project(tmp_path, f'bootstrap = "k:1"\nredis = "redis://me:{SECRET}@r"\n[kafka]\nuser = "a"\n{toml}'))
    kafka, redis = settings.kafka_at(), settings.redis_at()
    assert kafka.security.password == secret
    assert kafka.admin()["sasl.password"] == secret
    shown = [repr(settings), str(settings), settings.kafka.model_dump_json(), repr(kafka), repr(redis), *map(repr, told(settings, {}))]
    assert not [text for text in shown if secret in text or SECRET in text]


def test_what_a_started_process_is_told_takes_back_what_is_for_a_cluster_elsewhere(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    toml = 'bootstrap = "k:1"\nredis = "redis://r:1"\n[kafka]\nuser = "a"\npassword_file = "secret"\nclient.linger.ms = 3'
    settings = load(project(tmp_path, toml), data=tmp_path / "d")
    for name, value in services.environment(settings.at_home()).items():
        environment.setenv(name, value)
    at_home = load(tmp_path, data=tmp_path / "d").kafka_at()
    assert at_home.bootstrap.startswith("127.0.0.1:")
    assert (at_home.security.conf(), dict(at_home.client)) == ({}, {"linger.ms": 3})
    assert SECRET not in str(services.environment(settings))


def test_tls_takes_files_that_are_there_and_says_which_is_not(tmp_path: Path) -> None:
    Authority(tmp_path)
    settings = load(project(tmp_path, 'bootstrap = "k:1"\n[kafka]\nca = "ca.pem"'))
    context = settings.kafka_at().tls()
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(UsageError, match=r"TLS to Kafka can't use .*ca\.pem"):
        settings.kafka_at()


def test_what_is_passed_through_comes_last_and_no_law_can_be_passed_through() -> None:
    kafka = replace(KafkaSettings("k:1"), client={"linger.ms": 99})
    assert kafka.producer()["linger.ms"] == kafka.transactional("s")["linger.ms"] == kafka.member("g", "s", [])["linger.ms"] == 99
    own = set(kafka.transactional("s")) | set(kafka.member("g", "s", []))
    tuning = {"socket.keepalive.enable", "reconnect.backoff.max.ms", "fetch.wait.max.ms", "fetch.error.backoff.ms", "linger.ms"}
    tuning |= {"session.timeout.ms", "heartbeat.interval.ms", "compression.type"}
    tuning |= {"queued.max.messages.kbytes", "queued.min.messages", "fetch.queue.backoff.ms"}
    assert own - tuning - {"queue.buffering.max.messages", "queue.buffering.max.kbytes"} <= set(LAWS)
    for name in LAWS:
        with pytest.raises(UsageError, match=r"can't be set \(here\)"):
            check({name: ("x", "here")})


def test_a_home_that_can_not_be_written_to_is_not_needed(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    environment.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    assert load(tmp_path).cache_folder == tmp_path / ".weft" / "downloads"
    environment.setenv("WEFT_CACHE", str(tmp_path / "mine"))
    assert load(tmp_path).cache_folder == tmp_path / "mine"
    assert said(tmp_path)["cache"].origin.where == "WEFT_CACHE"


def test_downloads_that_another_stack_runs_from_are_not_deleted(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()", str(tmp_path / "kafka" / "0" / "*")], stdin=subprocess.PIPE)
    try:
        with pytest.raises(UsageError, match=rf"Another stack runs from the downloads in .*process {other.pid}"):
            require_unused(tmp_path, tmp_path / "data")
    finally:
        other.communicate(b"\n")
    require_unused(tmp_path, tmp_path / "data")


def test_purging_deletes_what_is_weft_s_in_the_cache_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "kafka" / "0").mkdir(parents=True)
    (tmp_path / "kafka" / "0" / "a.jar").write_text("")
    (tmp_path / "letters").write_text("mine")
    delete(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letters"]
