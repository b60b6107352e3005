import subprocess
import sys

import pytest

from cloudseg_ops.config.settings import Settings
from cloudseg_ops.dag.schedules import dag_schedule
from tests.support.environment import REQUIRED

SUBSCRIPTION = {"CLOUDSEG_PUBSUB_SUBSCRIPTION": "projects/p/subscriptions/photographs"}


def _settings(**more: str) -> Settings:
    return Settings.from_environment({**REQUIRED, **more})


def test_time_schedule() -> None:
    assert dag_schedule(_settings()) == "@daily"
    assert dag_schedule(_settings(CLOUDSEG_SCHEDULE="none")) is None


def test_event_schedule() -> None:
    (photographs,) = dag_schedule(_settings(**SUBSCRIPTION, CLOUDSEG_SCHEDULE="none"))
    assert photographs.name == "cloudseg_photographs"
    assert [watcher.name for watcher in photographs.watchers] == ["cloudseg_pubsub"]


@pytest.mark.parametrize("schedule", ["@daily", "0 3 * * *"])
def test_combined_event_and_time_schedule(schedule: str) -> None:
    combined = dag_schedule(_settings(**SUBSCRIPTION, CLOUDSEG_SCHEDULE=schedule))
    assert type(combined).__name__ == "AssetOrTimeSchedule"
    assert type(combined.timetable).__name__ == "CronTriggerTimetable"


@pytest.mark.parametrize("conn_id", ["google_cloud_default", "my_gcp"])
def test_watcher_trigger_serializes_as_google_s_trigger(conn_id: str) -> None:
    from airflow.providers.google.cloud.triggers.pubsub import PubsubPullTrigger

    own = {} if conn_id == "google_cloud_default" else {"CLOUDSEG_GCP_CONN_ID": conn_id}
    (photographs,) = dag_schedule(_settings(**SUBSCRIPTION, **own, CLOUDSEG_SCHEDULE="none"))
    path, arguments = photographs.watchers[0].trigger.serialize()
    google = PubsubPullTrigger(
        project_id="p",
        subscription="photographs",
        max_messages=1,
        ack_messages=True,
        gcp_conn_id=conn_id,
        poke_interval=5.0,
    )
    assert (path, arguments) == google.serialize()


def test_schedule_imports_no_google_client() -> None:
    code = (
        "import sys; from cloudseg_ops.dag.schedules import dag_schedule; "
        "from cloudseg_ops.config.settings import Settings; "
        f"dag_schedule(Settings.from_environment({ {**REQUIRED, **SUBSCRIPTION}!r})); "
        "print([name for name in ('google.cloud.pubsub_v1', 'google.cloud.storage', 'grpc') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
