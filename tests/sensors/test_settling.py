from datetime import UTC, datetime, timedelta

import pytest

from cloudseg_ops.sensors.settling import is_event_triggered, time_to_settle

START = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_a_run_that_an_event_started_waits_until_all_it_tells_of_has_settled() -> None:
    settle = timedelta(seconds=60)

    def wait(seconds: float) -> timedelta:
        now = START + timedelta(seconds=seconds)
        return time_to_settle("asset_triggered", started=START, now=now, settle=settle)

    assert [wait(seconds).total_seconds() for seconds in (0, 45, 60, 600)] == [60, 15, 0, 0]


@pytest.mark.parametrize("run_type", ["scheduled", "manual", "backfill"])
def test_other_runs_look_at_once(run_type: str) -> None:
    assert not is_event_triggered(run_type)
    assert not time_to_settle(run_type, started=START, now=START, settle=timedelta(seconds=60))
