"""Starts a run when Pub/Sub announces a new object."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from cloudseg_ops.config.connections import DEFAULT_GCP_CONN_ID

_TRIGGER = "airflow.providers.google.cloud.triggers.pubsub.PubsubPullTrigger"
_POLL_SECONDS = 5.0
# A message only says that something is new, and Airflow passes every pulled message to every task of the run. One per
# pull keeps a hundred thousand uploads from becoming a hundred thousand messages there.
_MESSAGES = 1


class PubsubEventTrigger(BaseEventTrigger):
    """Stands in for the google provider's `PubsubPullTrigger` while a DAG is parsed.

    Airflow stores a trigger as its class name and arguments. This one stores those of Google's trigger, so that the
    triggerer runs Google's, and parsing a DAG does not import the Pub/Sub client.

    Args:
        subscription: `projects/PROJECT/subscriptions/NAME`.
        gcp_conn_id: Airflow connection for Pub/Sub; None: the default connection, with the environment's identity.
    """

    def __init__(self, subscription: str, gcp_conn_id: str | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        _, self.project_id, _, self.subscription = subscription.split("/")
        self.gcp_conn_id = gcp_conn_id or DEFAULT_GCP_CONN_ID

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class name and the arguments of the google provider's trigger."""
        return _TRIGGER, {
            "project_id": self.project_id,
            "subscription": self.subscription,
            "max_messages": _MESSAGES,
            "ack_messages": True,
            "poke_interval": _POLL_SECONDS,
            "gcp_conn_id": self.gcp_conn_id,
            "impersonation_chain": None,
        }

    def run(self) -> AsyncIterator[TriggerEvent]:
        """Raise an error: the triggerer runs the trigger that `serialize` names instead."""
        raise NotImplementedError(f"the triggerer runs {_TRIGGER} instead of this")
