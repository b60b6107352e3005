"""A real Airflow that Pub/Sub starts and that sends notifications, for tests/dags/test_events.py."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudseg_local.airflow_server import DAG_ID
from cloudseg_local.state import INPUT_BUCKET, REPOSITORY
from tests.support.pubsub import PubSub, start_pubsub
from tests.support.running import RunningAirflow, start_airflow
from tests.support.webhook import Webhook, start_webhook

TOPIC = "projects/cloudseg-test/topics/photographs"
SUBSCRIPTION = "projects/cloudseg-test/subscriptions/photographs"
FOLLOWER = "follow_masks"


@dataclass
class EventStack:
    """A real Airflow with Pub/Sub and a webhook."""

    airflow: RunningAirflow
    pubsub: PubSub
    publisher: Any
    webhook: Webhook
    dags: Path

    def notify(self, name: str) -> None:
        """Publish the notification of a new object, as Cloud Storage does with --payload-format=none."""
        attributes = {
            "notificationConfig": f"projects/_/buckets/{INPUT_BUCKET}/notificationConfigs/1",
            "eventType": "OBJECT_FINALIZE",
            "payloadFormat": "NONE",
            "bucketId": INPUT_BUCKET,
            "objectId": name,
            "objectGeneration": "1",
        }
        self.publisher.publish(TOPIC, b"", **attributes).result(10)

    def runs(self, dag_id: str = DAG_ID, kind: str = "asset_triggered") -> list[dict[str, Any]]:
        found = self.airflow.api._send("GET", f"/dags/{dag_id}/dagRuns", params={"limit": 100}).json()["dag_runs"]
        return [run for run in found if run["run_type"] == kind]

    def new_run(self, known: set[str], dag_id: str = DAG_ID, seconds: float = 60) -> str:
        def found() -> str | None:
            return next((run["dag_run_id"] for run in self.runs(dag_id) if run["dag_run_id"] not in known), None)

        return str(self.airflow.wait_for(found, seconds))

    def run_ids(self, dag_id: str = DAG_ID) -> set[str]:
        return {run["dag_run_id"] for run in self.runs(dag_id)}

    def wait_for_end(self, run_id: str, dag_id: str = DAG_ID, seconds: float = 120) -> str:
        def ended() -> str | None:
            state = self.airflow.api.run_state(dag_id, run_id)
            return state if state in ("success", "failed") else None

        return self.airflow.wait_for(ended, seconds)

    def last_lines(self, run_id: str, task_id: str, attempt: int | None = None) -> list[str]:
        """The last three log lines in the UI, without folded groups."""
        task = self.airflow.task(run_id, task_id)
        path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt or task.tries}"
        query = {"map_index": task.map_index, "full_content": True}
        content = self.airflow.api._send("GET", path, params=query).json()["content"]
        groups, seen = 0, []
        for line in content:
            event = str(line["event"] if isinstance(line, dict) else line)
            if event.startswith("::group::"):
                groups += 1
            elif event.startswith("::endgroup::"):
                groups = max(0, groups - 1)
            elif not groups:
                seen.append(event)
        return seen[-3:]


@contextmanager
def start_event_stack(root: Path) -> Iterator[EventStack]:
    """Start Pub/Sub, the webhook and an Airflow with the DAG and a DAG that follows it."""
    from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

    dags = root / "dags"
    dags.mkdir()
    for source in (REPOSITORY / "dags" / "cloud_segmentation.py", REPOSITORY / "examples" / "follow_masks.py"):
        shutil.copy(source, dags)
    with start_pubsub() as pubsub, start_webhook() as webhook, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBSUB_EMULATOR_HOST", pubsub.address)
        publisher = PublisherClient()
        publisher.create_topic(name=TOPIC)
        SubscriberClient().create_subscription(name=SUBSCRIPTION, topic=TOPIC)
        settings = {
            "pubsub_subscription": SUBSCRIPTION,
            "schedule": "0 0 1 1 *",  # in addition to the events, and not while this runs
            "on_failure": webhook.address,
            "chunk_objects": 4,
            "retries": 1,
            "segment_retries": 1,
            "retry_delay_seconds": 1,
            "sense_timeout_seconds": 4,
        }
        anonymous = {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True}}
        environment = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(anonymous),
        }
        with start_airflow(root / "state", settings, environment) as airflow:
            yield EventStack(airflow, pubsub, publisher, webhook, dags)
