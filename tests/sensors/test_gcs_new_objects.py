"""The sensor against the emulator, in scheduled and event-triggered runs."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.sensors.gcs_new_objects import is_event_triggered, time_to_settle
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator
from gcs_emulator.faults import Fault
from tests.conftest import Buckets
from tests.support.task_instance import TaskInstance

SETTLE = 60.0
START = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def sensor(emulator: Emulator, buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> Any:
    from cloudseg_ops.sensors.gcs_new_objects import GCSNewObjectsSensor

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)

    def make(**more: Any) -> Any:
        return GCSNewObjectsSensor(
            task_id="sense_inputs",
            mode="poke",
            soft_fail=True,
            timeout=0,
            poke_interval=0.1,
            input_bucket=buckets.input,
            staging_bucket=buckets.staging,
            output_bucket=buckets.output,
            **{"settle_seconds": 0, **more},
        )

    yield make
    emulator.faults.clear()


def _context(run_type: str = "asset_triggered", age: float = 0) -> dict[str, Any]:
    started = datetime.now(UTC) - timedelta(seconds=age)
    dag_run = SimpleNamespace(run_type=run_type, start_date=started)
    return {"run_id": "test-run", "dag_run": dag_run, "ti": TaskInstance()}


def test_scheduled_run_takes_the_existing_objects(sensor: Any, store: Store, buckets: Buckets) -> None:
    store.write(GcsUri(buckets.input, "a.jpg"), b"a photograph")
    found = sensor().poke(_context("scheduled"))
    assert found.is_done
    assert found.xcom_value["objects"] == 1


def test_event_triggered_run_waits_for_the_settle_time(
    sensor: Any, store: Store, buckets: Buckets, emulator: Emulator
) -> None:
    store.write(GcsUri(buckets.input, "a.jpg"), b"a photograph")
    emulator.faults.add(Fault(status=403, times=1000))  # Any request would fail.
    assert not sensor(settle_seconds=SETTLE).poke(_context(age=SETTLE - 5)).is_done


def test_event_triggered_run_takes_the_settled_objects(sensor: Any, store: Store, buckets: Buckets) -> None:
    store.write(GcsUri(buckets.input, "a.jpg"), b"a photograph")
    assert sensor().poke(_context(age=1)).is_done


def test_event_of_an_already_processed_object_skips_the_run(sensor: Any) -> None:
    from airflow.providers.common.compat.sdk import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="an earlier run already took"):
        sensor(settle_seconds=SETTLE).poke(_context(age=SETTLE + 1))


def test_object_uploaded_after_the_event_is_awaited(sensor: Any, store: Store, buckets: Buckets) -> None:
    store.write(GcsUri(buckets.input, "later.jpg"), b"a photograph")
    assert not sensor(settle_seconds=SETTLE).poke(_context(age=SETTLE + 1)).is_done


def test_scheduled_run_without_objects_keeps_poking(sensor: Any) -> None:
    assert not sensor().poke(_context("scheduled", age=SETTLE + 1)).is_done


def test_permanent_error_fails_instead_of_skipping(sensor: Any) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    with pytest.raises(AirflowFailException, match="SettingsError: 'many' is not a whole number"):
        sensor(max_objects="many").execute(_context("scheduled"))


def test_missing_bucket_fails_instead_of_skipping(sensor: Any) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    missing = sensor()
    missing.input_bucket = "no-such-bucket"
    with pytest.raises(AirflowFailException, match=r"BucketNotFoundError: .*no-such-bucket"):
        missing.execute(_context("scheduled"))


def test_time_to_settle_counts_from_the_start_of_the_run() -> None:
    settle = timedelta(seconds=60)

    def wait(seconds: float) -> timedelta:
        now = START + timedelta(seconds=seconds)
        return time_to_settle("asset_triggered", started=START, now=now, settle=settle)

    assert [wait(seconds).total_seconds() for seconds in (0, 45, 60, 600)] == [60, 15, 0, 0]


@pytest.mark.parametrize("run_type", ["scheduled", "manual", "backfill"])
def test_other_runs_do_not_wait_to_settle(run_type: str) -> None:
    assert not is_event_triggered(run_type)
    assert not time_to_settle(run_type, started=START, now=START, settle=timedelta(seconds=60))
