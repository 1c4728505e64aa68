"""The real parts of the stack: they answer, keep their data over a restart, and leave no process behind."""

import socket
import uuid

import psutil
import pytest
import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from tests.stack import Proxy, TestStack


def admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})


def test_the_broker_takes_topics_and_makes_none_by_itself(stack: TestStack) -> None:
    client = admin(stack.bootstrap)
    topic = f"t-{uuid.uuid4().hex}"
    client.create_topics([NewTopic(topic, 2, 1)])[topic].result(10)
    topics = client.list_topics(f"{topic}-not", timeout=10).topics
    assert topics[f"{topic}-not"].error is not None
    assert len(client.list_topics(topic, timeout=10).topics[topic].partitions) == 2


def test_the_second_listener_is_reached_only_through_the_proxy(stack: TestStack, proxy: Proxy) -> None:
    client = admin(stack.second_bootstrap)
    brokers = client.list_topics(timeout=10).brokers
    assert [f"{broker.host}:{broker.port}" for broker in brokers.values()] == [stack.second_bootstrap]
    proxy.cut()
    with pytest.raises(KafkaException):
        admin(stack.second_bootstrap).list_topics(timeout=1)
    proxy.heal()
    assert client.list_topics(timeout=10).brokers
    proxy.freeze()
    with pytest.raises(KafkaException):
        client.list_topics(timeout=1)
    proxy.heal()
    assert client.list_topics(timeout=10).brokers


def test_valkey_answers(stack: TestStack) -> None:
    client = redis.Redis.from_url(stack.redis_url)
    key = uuid.uuid4().hex
    assert client.set(key, b"1", nx=True, get=True, ex=60) is None
    assert client.get(key) == b"1"
    client.close()


def test_broker_and_valkey_listen_on_loopback_only(stack: TestStack) -> None:
    for part in stack.local.parts(["kafka", "redis"]):
        listening = [
            connection.laddr
            for process in part.daemon.members()
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN or connection.type is socket.SOCK_DGRAM
        ]
        assert listening
        assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
