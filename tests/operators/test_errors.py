"""How tasks fail, with the real operators."""

import traceback
from typing import Any

import pytest
from structlog.testing import capture_logs

from cloudseg_ops.contracts.errors import PermissionDeniedError, StorageError
from cloudseg_ops.operators.remedies import REMEDIES
from gcs_emulator import Emulator
from gcs_emulator.faults import Fault
from tests.conftest import Buckets
from tests.support.report_runs import MODEL
from tests.support.task_instance import TaskInstance


def _context(task: Any, ti: Any = None, error: BaseException | None = None) -> dict[str, Any]:
    return {"run_id": "test-run", "ti": ti or TaskInstance(), "task": task, "exception": error}


@pytest.fixture
def clean_inputs(emulator: Emulator, buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> Any:
    from cloudseg_ops.operators.clean_inputs import CleanInputsOperator

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)

    def make(after_success: str = "keep", **more: Any) -> Any:
        return CleanInputsOperator(
            task_id="clean_inputs",
            model=MODEL.to_json(),
            after_success=after_success,
            input_bucket=buckets.input,
            staging_bucket=buckets.staging,
            output_bucket=buckets.output,
            **more,
        )

    yield make
    emulator.faults.clear()


def _fail(task: Any, ti: Any = None) -> BaseException:
    with pytest.raises(Exception) as raised:  # noqa: PT011  the callers check its type
        task.execute(_context(task, ti))
    return raised.value


def test_permanent_error_fails_without_a_retry(clean_inputs: Any) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    error = _fail(clean_inputs("burn"))
    assert type(error) is AirflowFailException
    assert str(error).startswith("SettingsError: after_success is 'burn'")


def test_transient_error_is_left_to_airflows_retries(clean_inputs: Any, emulator: Emulator) -> None:
    emulator.faults.add(Fault(status=403, times=1000))
    error = _fail(clean_inputs())
    assert type(error) is PermissionDeniedError


@pytest.mark.parametrize("fault", [Fault(status=403, times=1000), None])
def test_our_errors_are_raised_without_our_frames(clean_inputs: Any, emulator: Emulator, fault: Fault | None) -> None:
    if fault:
        emulator.faults.add(fault)
    error = _fail(clean_inputs("keep" if fault else "burn"))
    trace = "".join(traceback.format_exception(error))
    assert "another exception" not in trace
    assert "direct cause" not in trace
    assert not {"cleanup.py", "storage", "_calls.py"} & {
        frame.filename.rpartition("/")[2] for frame in traceback.extract_tb(error.__traceback__)
    }


def test_failure_is_pushed_as_xcom(clean_inputs: Any) -> None:
    ti = TaskInstance()
    _fail(clean_inputs("burn"), ti)
    failure = ti.pushed["failure"]
    assert failure["error"] == "SettingsError"
    assert failure["message"].startswith("after_success is 'burn'")


def test_failure_is_raised_if_xcom_is_unavailable(clean_inputs: Any) -> None:
    class UnavailableXCom(TaskInstance):
        def xcom_push(self, key: str, value: Any) -> None:
            raise ConnectionError("no API server")

    assert "after_success is 'burn'" in str(_fail(clean_inputs("burn"), UnavailableXCom()))


def test_other_errors_keep_their_traceback(clean_inputs: Any) -> None:
    task = clean_inputs()
    task.model = {"nonsense": object}
    task.layout = None
    error = _fail(task)
    assert type(error) is TypeError
    assert len(traceback.extract_tb(error.__traceback__)) > 1


@pytest.mark.parametrize(("callbacks", "again"), [("on_failure_callback", False), ("on_retry_callback", True)])
def test_last_log_lines_have_the_error_and_the_remedy(clean_inputs: Any, callbacks: str, again: bool) -> None:
    task = clean_inputs()
    context = _context(task, TaskInstance(try_number=2), StorageError("gs://photos/100%/a.jpg: refused"))
    with capture_logs() as logged:
        for callback in getattr(task, callbacks):
            callback(context)
    assert [line["event"] for line in logged if line["log_level"] == "error"] == [
        "Try 2 of 3 failed; Airflow tries again." if again else "Try 2 of 3 failed; it was the last one.",
        "What happened: StorageError: gs://photos/100%/a.jpg: refused",
        f"What to do: {REMEDIES[StorageError].todo}",
    ]


def test_externally_ended_task_logs_no_remedy(clean_inputs: Any) -> None:
    task = clean_inputs()
    with capture_logs() as logged:
        for callback in task.on_failure_callback:
            callback(_context(task))
    assert not logged


def test_callbacks_of_the_team_are_kept(clean_inputs: Any) -> None:
    def page(context: Any) -> None:
        pass

    task = clean_inputs(on_failure_callback=page)
    assert task.on_failure_callback[0] is page
    assert len(task.on_failure_callback) == 2
    defaults = clean_inputs(default_args={"on_failure_callback": [page], "on_retry_callback": page})
    assert defaults.on_failure_callback[0] is page
    assert defaults.on_retry_callback[0] is page


def test_every_operator_translates_errors() -> None:
    from cloudseg_ops.operators._pod import PodSegmentOperator
    from cloudseg_ops.operators.clean_inputs import CleanInputsOperator
    from cloudseg_ops.operators.plan_chunks import PlanChunksOperator
    from cloudseg_ops.operators.pull_model import DVCPullModelOperator
    from cloudseg_ops.operators.release_pods import ReleasePodsOperator
    from cloudseg_ops.operators.run_report import RunReportOperator
    from cloudseg_ops.operators.segment_local import LocalSegmentOperator
    from cloudseg_ops.sensors.gcs_new_objects import GCSNewObjectsSensor

    for kind in (
        PodSegmentOperator, CleanInputsOperator, PlanChunksOperator, DVCPullModelOperator, ReleasePodsOperator,
        RunReportOperator, LocalSegmentOperator, GCSNewObjectsSensor,
    ):  # fmt: skip
        assert _translates_errors(kind.execute), kind


def _translates_errors(method: Any) -> bool:
    from cloudseg_ops.operators._errors import translate_errors

    ours = translate_errors(lambda self, context: None).__code__
    while method is not None:
        if method.__code__ is ours:
            return True
        method = getattr(method, "__wrapped__", None)
    return False
