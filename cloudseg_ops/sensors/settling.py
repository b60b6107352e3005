"""How long a run that an event started waits for photographs to settle."""

from __future__ import annotations

from datetime import datetime, timedelta


def time_to_settle(run_type: str, *, started: datetime, now: datetime, settle: timedelta) -> timedelta:
    """How long a run that an event started waits until it looks at the bucket; zero: no longer.

    Events that arrive before a run starts are all in that one run. Their objects have settled once the run is as
    old as photographs need to settle: a look before then would leave some to a next run that nothing starts.

    Args:
        run_type: Airflow's type of the run.
        started: When it did.
        now: The time now.
        settle: How long photographs need to settle.
    """
    return max(started + settle - now, timedelta()) if is_event_triggered(run_type) else timedelta()


def is_event_triggered(run_type: str) -> bool:
    """Whether an event started a run of this type, rather than the clock or a person."""
    return run_type == "asset_triggered"
