"""The map of the client's errors is closed, and the client's own flags come before it."""

import ctypes
import re
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

from connectors.kafka import errors
from connectors.kafka.errors import KINDS, Kind, kind_of, translated
from schemas.errors import AbortError, FatalError, OwnershipError, RetriableError

CODES = {name: code for name in dir(KafkaError) if isinstance(code := getattr(KafkaError, name), int) and name.strip("_")[0].isupper()}


def test_every_code_that_the_client_defines_is_in_the_map() -> None:
    assert len(CODES) > 150
    assert {name for name, code in CODES.items() if code not in KINDS} == set()


class Described(ctypes.Structure):
    """librdkafka's `rd_kafka_err_desc`."""

    _fields_ = (("code", ctypes.c_int), ("name", ctypes.c_char_p), ("text", ctypes.c_char_p))


def librdkafkas_own() -> dict[int, str]:
    """Every error that the library which this process runs on can name, without the two marks of its own range of codes."""
    file = next(iter(re.findall(r"\S*librdkafka\S*", Path("/proc/self/maps").read_text())))
    first, count = ctypes.POINTER(Described)(), ctypes.c_size_t()
    ctypes.CDLL(file).rd_kafka_get_err_descs(ctypes.byref(first), ctypes.byref(count))
    named = {first[at].code: first[at].name.decode() for at in range(count.value) if first[at].name}
    return {code: name for code, name in named.items() if name not in ("_BEGIN", "_END")}


def test_every_error_on_librdkafkas_own_list_is_in_the_map() -> None:
    listed = librdkafkas_own()
    assert len(listed) > 150
    assert {code: name for code, name in listed.items() if code not in KINDS} == {}


def test_no_code_is_in_the_map_twice() -> None:
    words = [name for names in errors._NAMES.values() for name in names.split()]
    assert len(words) == len(set(words)) == len({getattr(KafkaError, word) for word in words})


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError.ILLEGAL_GENERATION, OwnershipError),
        (KafkaError.UNKNOWN_MEMBER_ID, OwnershipError),
        (KafkaError.REBALANCE_IN_PROGRESS, OwnershipError),
        (KafkaError.FENCED_INSTANCE_ID, FatalError),
        (KafkaError.PRODUCER_FENCED, FatalError),
        (KafkaError._FENCED, FatalError),
        (KafkaError.INVALID_PRODUCER_EPOCH, FatalError),
        (KafkaError._AUTO_OFFSET_RESET, FatalError),
        (KafkaError.MSG_SIZE_TOO_LARGE, AbortError),
        (KafkaError.CONCURRENT_TRANSACTIONS, RetriableError),
        (KafkaError._TRANSPORT, RetriableError),
    ],
)
def test_the_table_says_what_must_be_done(code: int, kind: type[Exception]) -> None:
    error = translated(KafkaException(KafkaError(code)), "commit")
    assert type(error) is kind
    assert "commit failed" in error.sentence


def test_the_flags_of_the_client_come_before_the_table() -> None:
    assert kind_of(KafkaError(KafkaError._TIMED_OUT, "", fatal=True)) is Kind.FATAL
    assert kind_of(KafkaError(KafkaError._TIMED_OUT, "", txn_requires_abort=True)) is Kind.ABORT
    assert kind_of(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "", retriable=True)) is Kind.RETRY
    assert kind_of(KafkaError(KafkaError.ILLEGAL_GENERATION, "", txn_requires_abort=True)) is Kind.OWNERSHIP
    assert kind_of(KafkaError(KafkaError.PRODUCER_FENCED, "", txn_requires_abort=True)) is Kind.FATAL


def test_an_unknown_code_is_fatal() -> None:
    assert kind_of(KafkaError(-9999)) is Kind.FATAL
