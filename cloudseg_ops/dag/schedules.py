"""When the DAG runs: by the clock, and as soon as Pub/Sub tells of new photographs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from cloudseg_ops.config.settings import Settings
from cloudseg_ops.operators.assets import PHOTOGRAPHS

WATCHER = "cloudseg_pubsub"


def dag_schedule(settings: Settings) -> Any:
    """The DAG's `schedule`.

    Args:
        settings: `schedule` is the clock's, `pubsub_subscription` that of new photographs; either may be missing.
    """
    if settings.pubsub_subscription is None:
        return settings.schedule
    from airflow.sdk import Asset, AssetWatcher

    from cloudseg_ops.triggers.pubsub import Doorbell

    photographs = Asset(
        PHOTOGRAPHS,
        watchers=[AssetWatcher(name=WATCHER, trigger=Doorbell(settings.pubsub_subscription, settings.gcp_conn_id))],
    )
    if settings.schedule is None:
        return [photographs]
    or_time, cron = _timetables()
    return or_time(timetable=cron(settings.schedule, timezone="UTC"), assets=[photographs])


def time_to_settle(run_type: str, *, started: datetime, now: datetime, settle: timedelta) -> timedelta:
    """How long a run that an event started waits until it looks at the bucket; zero: no longer.

    Events that arrive before a run starts are all in that one run. What they tell of has settled once the run is as
    old as photographs need to settle: a look before then would leave some of it to a next run that nothing starts.

    Args:
        run_type: Airflow's type of the run.
        started: When it did.
        now: The time now.
        settle: How long photographs need to settle.
    """
    return max(started + settle - now, timedelta()) if is_rung(run_type) else timedelta()


def is_rung(run_type: str) -> bool:
    """Whether an event started a run of this type, rather than the clock or a person."""
    return run_type == "asset_triggered"


def _timetables() -> tuple[Any, Any]:
    try:
        from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable
    except ImportError:  # before Airflow 3.2
        from airflow.timetables.assets import AssetOrTimeSchedule  # type: ignore[assignment]
        from airflow.timetables.trigger import CronTriggerTimetable  # type: ignore[assignment]
    return AssetOrTimeSchedule, CronTriggerTimetable
