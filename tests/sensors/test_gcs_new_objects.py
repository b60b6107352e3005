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


PARAMS = {"input_prefix": None, "max_objects": None, "dry_run": False}


def _context(run_type: str = "asset_triggered", age: float = 0, conf: Any = None) -> dict[str, Any]:
    started = datetime.now(UTC) - timedelta(seconds=age)
    dag_run = SimpleNamespace(run_type=run_type, start_date=started, conf=conf)
    params = {**PARAMS, **(conf or {})}
    dag = SimpleNamespace(params=PARAMS)
    return {"run_id": "test-run", "dag_run": dag_run, "dag": dag, "params": params, "ti": TaskInstance()}


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


@pytest.mark.parametrize("run_type", ["manual", "scheduled", "backfill", "asset_triggered"])
def test_an_unknown_key_in_the_conf_fails_before_anything_is_requested(
    sensor: Any, store: Store, buckets: Buckets, emulator: Emulator, run_type: str
) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    store.write(GcsUri(buckets.input, "a.jpg"), b"a photograph")
    emulator.faults.add(Fault(status=403, times=1000))
    with pytest.raises(AirflowFailException, match=r"SettingsError: .*'dryrun' \(did you mean dry_run\?\)"):
        sensor().execute(_context(run_type, age=SETTLE, conf={"dryrun": True}))
    assert [fault["times"] for fault in emulator.faults.pending()] == [1000]
    emulator.faults.clear()
    assert list(store.list_objects(GcsUri(buckets.staging))) == []


def test_event_for_a_file_that_is_not_an_image_skips_the_run_and_says_so(
    sensor: Any, store: Store, buckets: Buckets
) -> None:
    from airflow.providers.common.compat.sdk import AirflowSkipException

    store.write(GcsUri(buckets.input, "a.heic"), b"not an image")
    with pytest.raises(AirflowSkipException, match=r"^1 object not taken: heic \(1\); the next photograph starts"):
        sensor().poke(_context(age=1))


def test_a_dag_that_reads_its_conf_itself_may_have_other_keys(sensor: Any, store: Store, buckets: Buckets) -> None:
    store.write(GcsUri(buckets.input, "a.jpg"), b"a photograph")
    found = sensor(refuse_unknown_conf=False).execute(_context("manual", conf={"ticket": 7}))
    assert found["objects"] == 1


@pytest.mark.parametrize("conf", [None, {}, {"dry_run": True}])
@pytest.mark.parametrize("run_type", ["manual", "backfill", "asset_triggered"])
def test_runs_without_a_conf_and_with_known_keys_go_on(
    sensor: Any, store: Store, buckets: Buckets, run_type: str, conf: Any
) -> None:
    store.write(GcsUri(buckets.input, "a.jpg"), b"a photograph")
    assert sensor().execute(_context(run_type, age=1, conf=conf))["objects"] == 1


@pytest.mark.parametrize("prefix", ["GS://photos/x/", "é" * 513])
def test_a_prefix_that_no_name_can_have_fails_at_once(sensor: Any, emulator: Emulator, prefix: str) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    emulator.faults.add(Fault(status=403, times=1000))
    with pytest.raises(AirflowFailException, match=r"SettingsError: input_prefix = .*; correct the DAG param"):
        sensor(prefix=prefix).execute(_context("manual"))
    assert [fault["times"] for fault in emulator.faults.pending()] == [1000]


@pytest.mark.parametrize("prefix", ["/x/", "{bucket}/x/", "x/*.jpg"])
def test_a_mistaken_prefix_fails_at_once_if_there_is_what_was_meant(
    sensor: Any, store: Store, buckets: Buckets, prefix: str
) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    store.write(GcsUri(buckets.input, "x/a.jpg"), b"a photograph")
    mistaken = sensor(prefix=prefix.format(bucket=buckets.input))
    with pytest.raises(AirflowFailException, match=r"no object's name .*run again with input_prefix 'x/'"):
        mistaken.execute(_context("manual"))


def test_an_unusual_prefix_of_an_object_is_no_mistake(sensor: Any, store: Store, buckets: Buckets) -> None:
    store.write(GcsUri(buckets.input, "x/a.jpg"), b"a photograph")
    store.write(GcsUri(buckets.input, "/x/a.jpg"), b"a photograph")
    assert sensor(prefix="/x/").execute(_context("manual"))["objects"] == 1


def test_an_unusual_prefix_with_nothing_to_point_to_is_waited_for_with_a_hint(
    sensor: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not sensor(prefix="/x/").poke(_context("manual")).is_done
    assert "no object's name begins with '/x/'; input_prefix should probably be 'x/'" in capsys.readouterr().out


def test_what_is_not_taken_is_in_the_log_and_in_the_result(
    sensor: Any, store: Store, buckets: Buckets, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.heic", "b.heic", "c.jfif", "._d.jpg", "x/Thumbs.db", "e.png.mask.png"):
        store.write(GcsUri(buckets.input, name), b"no photograph")
    looking = sensor(image_types=("jpg", "png"))
    assert not looking.poke(_context("manual")).is_done
    log = capsys.readouterr().out
    assert "3 objects not taken: heic (2), jfif (1)" in log
    assert "only files of these types are taken (CLOUDSEG_IMAGE_TYPES): jpg, png" in log
    store.write(GcsUri(buckets.input, "f.jpg"), b"a photograph")
    counts = {"objects": 3, "types": {"heic": 2, "jfif": 1}, "not_settled": 0, "name_too_long": 0}
    assert looking.poke(_context("manual")).xcom_value["not_taken"] == counts
    # A second try finds the snapshot of the first one, and does not list the bucket.
    assert looking.poke(_context("manual")).xcom_value["not_taken"] is None


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
