"""When the DAG runs: on a schedule, and when Pub/Sub announces new photographs."""

from __future__ import annotations

from typing import Any

from cloudseg_ops.config.settings import Settings
from cloudseg_ops.operators.assets import PHOTOGRAPHS

WATCHER = "cloudseg_pubsub"


def dag_schedule(settings: Settings) -> Any:
    """Return the DAG's `schedule`: times, new photographs, or both.

    Args:
        settings: `schedule` sets the times, and `pubsub_subscription` announces new photographs; either may be unset.
    """
    if settings.pubsub_subscription is None:
        return settings.schedule
    from airflow.sdk import Asset, AssetWatcher

    from cloudseg_ops.triggers.pubsub import PubsubEventTrigger

    photographs = Asset(
        PHOTOGRAPHS,
        watchers=[
            AssetWatcher(name=WATCHER, trigger=PubsubEventTrigger(settings.pubsub_subscription, settings.gcp_conn_id))
        ],
    )
    if settings.schedule is None:
        return [photographs]
    or_time, cron = _timetables()
    return or_time(timetable=cron(settings.schedule, timezone="UTC"), assets=[photographs])


def _timetables() -> tuple[Any, Any]:
    try:
        from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable
    except ImportError:  # before Airflow 3.2
        from airflow.timetables.assets import AssetOrTimeSchedule  # type: ignore[assignment]
        from airflow.timetables.trigger import CronTriggerTimetable  # type: ignore[assignment]
    return AssetOrTimeSchedule, CronTriggerTimetable
