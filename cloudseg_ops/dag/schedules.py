"""When the DAG runs: on a schedule, and when Pub/Sub announces new photographs."""

from __future__ import annotations

from typing import Any

from cloudseg_ops.config.schedule import WITHOUT_CRON
from cloudseg_ops.config.settings import Settings
from cloudseg_ops.operators.assets import PHOTOGRAPHS

WATCHER = "cloudseg_pubsub"


def dag_schedule(settings: Settings) -> Any:
    """Return the DAG's `schedule`: times, new photographs, or both.

    Args:
        settings: `schedule` and `schedule_timezone` set the times, and `pubsub_subscription` announces new photographs;
            either may be unset.
    """
    if settings.pubsub_subscription is None:
        return _times(settings)
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
    or_time, at_times, _ = _timetables()
    times = at_times(settings.schedule, timezone=settings.schedule_timezone)
    return or_time(timetable=times, assets=[photographs])


def _times(settings: Settings) -> Any:
    """Return what Airflow makes of a schedule given as text, in the zone of the settings instead of Airflow's."""
    if settings.schedule is None or settings.schedule in WITHOUT_CRON:
        return settings.schedule
    from airflow.providers.common.compat.sdk import conf

    _, at_times, with_intervals = _timetables()
    timetable = with_intervals if conf.getboolean("scheduler", "create_cron_data_intervals") else at_times
    return timetable(settings.schedule, timezone=settings.schedule_timezone)


def _timetables() -> tuple[Any, Any, Any]:
    try:
        from airflow.sdk import AssetOrTimeSchedule, CronDataIntervalTimetable, CronTriggerTimetable
    except ImportError:  # before Airflow 3.2
        from airflow.timetables.assets import AssetOrTimeSchedule  # type: ignore[assignment]
        from airflow.timetables.interval import CronDataIntervalTimetable  # type: ignore[assignment]
        from airflow.timetables.trigger import CronTriggerTimetable  # type: ignore[assignment]
    return AssetOrTimeSchedule, CronTriggerTimetable, CronDataIntervalTimetable
