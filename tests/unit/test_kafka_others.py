"""What is passed through to librdkafka, as the clients that are not librdkafka hear it."""

import ssl
from pathlib import Path

import faust
import pytest

from connectors.kafka.others import TIMES, Client, unheard
from connectors.kafka.settings import KafkaSettings, Security
from schemas.errors import UsageError
from streams.worker import passed
from tests.secure import Authority


def test_faust_hears_the_times_and_the_name_that_librdkafka_hears() -> None:
    said: Client = {"client.id": "mine", "socket.timeout.ms": 20_000, "session.timeout.ms": "120000", "metadata.max.age.ms": 7_000}
    conf = faust.App("x", broker="kafka://localhost:1", **passed(said)).conf
    assert (conf.broker_client_id, conf.broker_session_timeout, conf.broker_request_timeout) == ("mine", 120.0, 120.0)
    assert (conf.producer_request_timeout, conf.consumer_metadata_max_age_ms, conf.producer_metadata_max_age_ms) == (20.0, 7_000, 7_000)
    assert conf.broker_heartbeat_interval == faust.App("y", broker="kafka://localhost:1").conf.broker_heartbeat_interval
    assert unheard({**said, "linger.ms": 5, "client.rack": "a"}) == ["client.rack", "linger.ms"]
    assert all(passed({name: 9_000}) for name in TIMES)


def context(folder: Path, **client: str | int | float | bool) -> ssl.SSLContext:
    names = {name.replace("_", "."): value for name, value in client.items()}
    made = KafkaSettings("k:1", Security("SSL", ca=str(Authority(folder).ca)), names).tls()
    assert made is not None
    return made


def test_tls_is_as_librdkafka_is_told(tmp_path: Path) -> None:
    assert (context(tmp_path).verify_mode, context(tmp_path).check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context(tmp_path, ssl_endpoint_identification_algorithm="none").check_hostname is False
    for no in (False, "false"):
        assert context(tmp_path, enable_ssl_certificate_verification=no).verify_mode == ssl.CERT_NONE
    assert context(tmp_path, ssl_crl_location=str(tmp_path / "ca.pem")).verify_flags & ssl.VERIFY_CRL_CHECK_LEAF
    one = context(tmp_path, ssl_cipher_suites="ECDHE-RSA-AES256-GCM-SHA384").get_ciphers()
    assert [cipher["name"] for cipher in one if cipher["protocol"] == "TLSv1.2"] == ["ECDHE-RSA-AES256-GCM-SHA384"]


@pytest.mark.parametrize(("name", "value"), [("ssl_crl_location", "/nowhere.pem"), ("ssl_cipher_suites", "ROT13")])
def test_what_tls_can_not_do_is_said(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(UsageError, match=r"kafka\.client"):
        context(tmp_path, **{name: value})
