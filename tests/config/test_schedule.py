import pytest

from cloudseg_ops.config.schedule import check_schedule, check_time_zone, read_schedule

GOOD = [
    "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly", "@midnight", "@annually", "0 6 * * *",
    "*/15 6-18 * * MON-FRI", "0 0 L * *", "0 6 * * 1#1", "0 0 6 * * *", "0 0 29 2 *",
]  # fmt: skip
BAD = [
    "daily", "@fortnightly", "every day", "* * * *", "60 * * * *", "0 24 * * *", "0 0 32 * *", "H * * * *",
    "1 2 3 4 5 6 7 8", "0 0 * * FUNDAY", " @daily ", " ",
]  # fmt: skip
NEVER = ["0 0 30 2 *", "0 0 1 1 * 0 2020"]


@pytest.mark.parametrize("text", GOOD)
def test_what_airflow_runs_is_accepted(text: str) -> None:
    assert check_schedule(text) == text
    _validate_by_airflow(text)


@pytest.mark.parametrize("text", BAD)
def test_what_airflow_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Airflow cannot run this schedule .*; give a cron expression such as"):
        check_schedule(text)
    with pytest.raises(Exception, match=r".") as raised:
        _validate_by_airflow(text)
    assert type(raised.value).__name__ == "AirflowTimetableInvalid"


@pytest.mark.parametrize("text", NEVER)
def test_a_time_that_never_comes_is_refused(text: str) -> None:
    _validate_by_airflow(text)  # Airflow accepts it, and then fails to plan the next run.
    with pytest.raises(ValueError, match="failed to find next date"):
        check_schedule(text)


@pytest.mark.parametrize("text", ["@once", "@continuous", None])
def test_schedules_without_cron(text: str | None) -> None:
    assert check_schedule(text) == text


@pytest.mark.parametrize(
    ("value", "expected"), [("none", None), ("None", None), (None, None), ("@daily", "@daily"), (" ", " "), (7, 7)]
)
def test_reading(value: object, expected: object) -> None:
    assert read_schedule(value) == expected


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "CET"])
def test_time_zones(name: str) -> None:
    assert check_time_zone(name) == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Berln", "did you mean Europe/Berlin"),
        ("utc", "did you mean UTC"),
        ("Mars/Phobos", "give a name such as Europe/Berlin or UTC"),
        ("", "give a name"),
        ("../passwd", "give a name"),
        ("/etc/passwd", "give a name"),
        ("Europe", "did you mean Europe/"),
        ("a\0b", "give a name"),
    ],
)
def test_unknown_time_zones(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=f"there is no such time zone; {hint}"):
        check_time_zone(name)


def _validate_by_airflow(text: str) -> None:
    from airflow.sdk import CronTriggerTimetable

    CronTriggerTimetable(text, timezone="UTC").validate()
