"""The times at which runs start: cron expressions and presets as Airflow reads them, and time zones."""

from __future__ import annotations

import difflib
from typing import Any

WITHOUT_CRON = ("@once", "@continuous")
"""Schedules that Airflow does not read as cron expressions."""

# Airflow's own presets; it leaves all other words to croniter, which knows @midnight and @annually in addition.
_PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}


def read_schedule(value: Any) -> Any:
    """Return None for the word `none`, and any other value unchanged."""
    return None if isinstance(value, str) and value.lower() == "none" else value


def check_schedule(text: str | None) -> str | None:
    """Return a schedule that Airflow can run.

    Raises:
        ValueError: It is not a cron expression or a preset, or its time never comes.
    """
    if text is None or text in WITHOUT_CRON:
        return text
    # Airflow depends on croniter and checks its timetables with it; both are imported here to keep other commands fast.
    from croniter import CroniterError, croniter

    try:
        croniter(_PRESETS.get(text, text)).get_next()
    except CroniterError as error:
        presets = ", ".join((*_PRESETS, *WITHOUT_CRON))
        raise ValueError(
            f"Airflow cannot run this schedule ({error}); give a cron expression such as '0 6 * * *', none, or one of "
            f"{presets}"
        ) from None
    return text


def check_time_zone(name: str) -> str:
    """Return the name of a time zone.

    Raises:
        ValueError: The IANA database does not have it.
    """
    import zoneinfo

    try:
        # A name that is a folder of the database, or outside of it, raises other errors.
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = {zone.lower(): zone for zone in zoneinfo.available_timezones()}
        near = [known[zone] for zone in difflib.get_close_matches(name.lower(), known, n=3)]
        hint = f"did you mean {' or '.join(near)}?" if near else "give a name such as Europe/Berlin or UTC"
        raise ValueError(f"there is no such time zone; {hint}") from None
    return name
