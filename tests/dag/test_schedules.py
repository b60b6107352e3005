import subprocess
import sys
from datetime import datetime
from typing import Any

import pendulum
import pytest

from cloudseg_ops.config.settings import Settings
from cloudseg_ops.dag.schedules import dag_schedule
from tests.support.environment import REQUIRED

SUBSCRIPTION = {"CLOUDSEG_PUBSUB_SUBSCRIPTION": "projects/p/subscriptions/photographs"}


def _settings(**more: str) -> Settings:
    return Settings.from_environment({**REQUIRED, **more})


def _next_runs(schedule: Any, after: str, number: int) -> list[str]:
    """When Airflow's scheduler starts the next runs, in UTC, without catch-up."""
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    timetable, moment = coerce_to_core_timetable(schedule), pendulum.instance(datetime.fromisoformat(after))
    restriction = TimeRestriction(earliest=moment, latest=None, catchup=True)
    starts, last = [], None
    for _ in range(number):
        info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        last = info.data_interval
        starts.append(info.run_after.in_timezone("UTC").to_datetime_string())
    return starts


def test_time_schedule() -> None:
    daily = dag_schedule(_settings())
    assert (type(daily).__name__, daily.expression, daily.timezone) == ("CronTriggerTimetable", "0 0 * * *", "UTC")
    assert dag_schedule(_settings(CLOUDSEG_SCHEDULE="none")) is None
    assert dag_schedule(_settings(CLOUDSEG_SCHEDULE="@once")) == "@once"


def test_data_intervals_are_those_of_a_schedule_given_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import DAG

    for intervals, name in (("False", "CronTriggerTimetable"), ("True", "CronDataIntervalTimetable")):
        monkeypatch.setenv("AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS", intervals)
        ours = dag_schedule(_settings())
        assert type(ours).__name__ == name
        assert type(ours) is type(DAG("as_text", schedule="@daily").timetable)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("2026-03-27T12:00:00Z", ["2026-03-28 05:00:00", "2026-03-29 04:00:00", "2026-03-30 04:00:00"]),
        ("2026-10-23T12:00:00Z", ["2026-10-24 04:00:00", "2026-10-25 05:00:00", "2026-10-26 05:00:00"]),
    ],
)
@pytest.mark.parametrize("events", [{}, SUBSCRIPTION])
def test_a_time_zone_includes_daylight_saving(events: dict[str, str], after: str, expected: list[str]) -> None:
    local = {"CLOUDSEG_SCHEDULE": "0 6 * * *", "CLOUDSEG_SCHEDULE_TIMEZONE": "Europe/Berlin"}
    assert _next_runs(dag_schedule(_settings(**local, **events)), after, 3) == expected


def test_without_a_zone_times_are_utc() -> None:
    schedule = dag_schedule(_settings(CLOUDSEG_SCHEDULE="0 6 * * *"))
    assert _next_runs(schedule, "2026-03-28T12:00:00Z", 2) == ["2026-03-29 06:00:00", "2026-03-30 06:00:00"]


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
