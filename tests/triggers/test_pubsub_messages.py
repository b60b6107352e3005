"""The Pub/Sub emulator of the tests, through Google's client library."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core.exceptions import AlreadyExists, NotFound

from tests.support.pubsub import PubSub, start_pubsub

TOPIC = "projects/p/topics/photographs"
SUBSCRIPTION = "projects/p/subscriptions/photographs"


@pytest.fixture
def pubsub(monkeypatch: pytest.MonkeyPatch) -> Iterator[PubSub]:
    with start_pubsub() as running:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", running.address)
        yield running


@pytest.fixture
def clients(pubsub: PubSub) -> tuple[Any, Any]:
    from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

    publisher, subscriber = PublisherClient(), SubscriberClient()
    publisher.create_topic(name=TOPIC)
    subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC, ack_deadline_seconds=1)
    return publisher, subscriber


def _pull(subscriber: Any, most: int = 10) -> list[Any]:
    answer = subscriber.pull(subscription=SUBSCRIPTION, max_messages=most, return_immediately=True)
    return list(answer.received_messages)


def test_acknowledged_message_is_removed(clients: tuple[Any, Any], pubsub: PubSub) -> None:
    publisher, subscriber = clients
    publisher.publish(TOPIC, b"", eventType="OBJECT_FINALIZE", objectId="a.jpg").result(10)
    (received,) = _pull(subscriber)
    assert dict(received.message.attributes) == {"eventType": "OBJECT_FINALIZE", "objectId": "a.jpg"}
    assert received.message.message_id == "1"
    assert _pull(subscriber) == []
    subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[received.ack_id])
    assert pubsub.backlog(SUBSCRIPTION) == 0


def test_unacknowledged_message_is_redelivered(clients: tuple[Any, Any], pubsub: PubSub) -> None:
    publisher, subscriber = clients
    publisher.publish(TOPIC, b"x").result(10)
    (first,) = _pull(subscriber)
    time.sleep(1.1)
    subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[first.ack_id])
    (again,) = _pull(subscriber)
    assert again.message.message_id == first.message.message_id
    assert again.ack_id != first.ack_id


def test_pull_is_limited_and_oldest_first(clients: tuple[Any, Any]) -> None:
    publisher, subscriber = clients
    for number in range(3):
        publisher.publish(TOPIC, str(number).encode()).result(10)
    assert [received.message.data for received in _pull(subscriber, 2)] == [b"0", b"1"]
    assert [received.message.data for received in _pull(subscriber, 2)] == [b"2"]


def test_messages_expire_after_their_retention(clients: tuple[Any, Any], pubsub: PubSub) -> None:
    publisher, subscriber = clients
    publisher.publish(TOPIC, b"x").result(10)
    pubsub.subscriptions[SUBSCRIPTION].retention = 0.0
    assert _pull(subscriber) == []


def test_existing_and_unknown_names_raise(clients: tuple[Any, Any]) -> None:
    publisher, subscriber = clients
    with pytest.raises(AlreadyExists):
        publisher.create_topic(name=TOPIC)
    with pytest.raises(NotFound):
        subscriber.pull(subscription="projects/p/subscriptions/none", max_messages=1, return_immediately=True)
