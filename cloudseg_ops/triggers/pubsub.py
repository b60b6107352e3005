"""The Pub/Sub subscription that rings when a photograph arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from cloudseg_ops.config.connections import DEFAULT_GCP_CONN_ID

_TRIGGER = "airflow.providers.google.cloud.triggers.pubsub.PubsubPullTrigger"
_POLL_SECONDS = 5.0
# A message says only that there is something new, and every task of the run that it starts is handed all that was
# pulled: a hundred thousand uploads must not become a hundred thousand messages there.
_MESSAGES = 1


class PubsubEventTrigger(BaseEventTrigger):
    """Stands for the google provider's `PubsubPullTrigger` while a DAG is parsed, and is it everywhere else.

    Airflow keeps a trigger as the name of its class and its arguments. Here these are Google's, so that the triggerer
    runs Google's, and no parse imports the Pub/Sub client.

    Args:
        subscription: `projects/PROJECT/subscriptions/NAME`.
        gcp_conn_id: Airflow connection for Pub/Sub; None: Airflow's default one, the identity of the environment.
    """

    def __init__(self, subscription: str, gcp_conn_id: str | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        _, self.project_id, _, self.subscription = subscription.split("/")
        self.gcp_conn_id = gcp_conn_id or DEFAULT_GCP_CONN_ID

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Name of the google provider's trigger, and its arguments."""
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
        """Not to be called: the triggerer makes a trigger from what `serialize` gives."""
        raise NotImplementedError(f"the triggerer runs {_TRIGGER} in place of this")
