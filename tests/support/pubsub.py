"""An emulator of Pub/Sub over gRPC: topics, publishing, pull subscriptions, acknowledgement.

It implements, of google.pubsub.v1: CreateTopic and Publish; CreateSubscription, Pull and Acknowledge. A subscription
holds each message published after it was made, hands it out in the order of publishing, hands it out again when it is
not acknowledged within the deadline, and forgets it after its retention. An unknown name answers NOT_FOUND, a taken one
ALREADY_EXISTS. Google's own client library talks to it by PUBSUB_EMULATOR_HOST. It has no filters, ordering keys,
schemas, dead letters, push or streaming pull.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

DEADLINE_SECONDS = 10.0
RETENTION_SECONDS = 7 * 24 * 3600.0


@dataclass
class _Held:
    message: types.PubsubMessage
    published: float
    ack_id: str = ""
    due: float = 0.0
    attempts: int = 0


@dataclass
class _Subscription:
    topic: str
    deadline: float
    retention: float
    held: list[_Held] = field(default_factory=list)


class PubSub:
    """The state of one server, which tests may read."""

    def __init__(self) -> None:
        self.topics: set[str] = set()
        self.subscriptions: dict[str, _Subscription] = {}
        self.pulls = 0
        self.address = ""
        self._lock = threading.Lock()
        self._numbers = count(1)

    def backlog(self, subscription: str) -> int:
        """Return the number of messages that are not acknowledged."""
        with self._lock:
            return len(self._kept(self.subscriptions[subscription]))

    def create_topic(self, request: types.Topic, context: grpc.ServicerContext) -> types.Topic:
        with self._lock:
            if request.name in self.topics:
                context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Resource already exists: {request.name}")
            self.topics.add(request.name)
        return request

    def publish(self, request: types.PublishRequest, context: grpc.ServicerContext) -> types.PublishResponse:
        with self._lock:
            if request.topic not in self.topics:
                context.abort(grpc.StatusCode.NOT_FOUND, f"Resource not found: {request.topic}")
            ids = [str(next(self._numbers)) for _ in request.messages]
            for number, message in zip(ids, request.messages, strict=True):
                for subscription in self.subscriptions.values():
                    if subscription.topic == request.topic:
                        known = types.PubsubMessage(
                            data=message.data,
                            attributes=dict(message.attributes),
                            message_id=number,
                            publish_time=datetime.now(UTC),
                        )
                        subscription.held.append(_Held(known, time.monotonic()))
        return types.PublishResponse(message_ids=ids)

    def create_subscription(self, request: types.Subscription, context: grpc.ServicerContext) -> types.Subscription:
        with self._lock:
            if request.topic not in self.topics:
                context.abort(grpc.StatusCode.NOT_FOUND, f"Resource not found: {request.topic}")
            if request.name in self.subscriptions:
                context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Resource already exists: {request.name}")
            retention: Any = request.message_retention_duration
            self.subscriptions[request.name] = _Subscription(
                request.topic,
                float(request.ack_deadline_seconds or DEADLINE_SECONDS),
                retention.total_seconds() if retention else RETENTION_SECONDS,
            )
        return request

    def pull(self, request: types.PullRequest, context: grpc.ServicerContext) -> types.PullResponse:
        while True:
            with self._lock:
                self.pulls += 1
                subscription = self._find(request.subscription, context)
                now = time.monotonic()
                ready = [held for held in self._kept(subscription) if held.due <= now][: request.max_messages]
                for held in ready:
                    held.attempts += 1
                    held.due = now + subscription.deadline
                    held.ack_id = f"{held.message.message_id}:{held.attempts}"
            if ready or request.return_immediately or (context.time_remaining() or 0) < 0.5:
                received = [types.ReceivedMessage(ack_id=held.ack_id, message=held.message) for held in ready]
                return types.PullResponse(received_messages=received)
            time.sleep(0.1)

    def acknowledge(self, request: types.AcknowledgeRequest, context: grpc.ServicerContext) -> Empty:
        with self._lock:
            subscription = self._find(request.subscription, context)
            done, now = set(request.ack_ids), time.monotonic()
            # After the deadline, an acknowledgement is ignored: the message is delivered again.
            subscription.held = [held for held in subscription.held if held.ack_id not in done or held.due <= now]
        return Empty()

    def _find(self, name: str, context: grpc.ServicerContext) -> _Subscription:
        if name not in self.subscriptions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Resource not found: {name}")
        return self.subscriptions[name]

    @staticmethod
    def _kept(subscription: _Subscription) -> list[_Held]:
        oldest = time.monotonic() - subscription.retention
        subscription.held = [held for held in subscription.held if held.published >= oldest]
        return subscription.held


def _serve(call: Callable[[Any, grpc.ServicerContext], Any], request: Any, answer: Any) -> grpc.RpcMethodHandler:
    serialize = Empty.SerializeToString if answer is Empty else answer.serialize
    return grpc.unary_unary_rpc_method_handler(
        call, request_deserializer=request.deserialize, response_serializer=serialize
    )


@contextmanager
def start_pubsub() -> Iterator[PubSub]:
    """Run an emulator on a free port."""
    pubsub = PubSub()
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    services = {
        "Publisher": {
            "CreateTopic": _serve(pubsub.create_topic, types.Topic, types.Topic),
            "Publish": _serve(pubsub.publish, types.PublishRequest, types.PublishResponse),
        },
        "Subscriber": {
            "CreateSubscription": _serve(pubsub.create_subscription, types.Subscription, types.Subscription),
            "Pull": _serve(pubsub.pull, types.PullRequest, types.PullResponse),
            "Acknowledge": _serve(pubsub.acknowledge, types.AcknowledgeRequest, Empty),
        },
    }
    for name, handlers in services.items():
        handler = grpc.method_handlers_generic_handler(f"google.pubsub.v1.{name}", handlers)
        server.add_generic_rpc_handlers((handler,))
    pubsub.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield pubsub
    finally:
        server.stop(grace=1).wait()
