import pytest

from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.operators._base import as_bool, as_optional_int
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator
from tests.conftest import Buckets


@pytest.mark.parametrize("gcp_conn_id", [None, "google_anonymous"])
def test_store_uses_the_worker_identity_or_a_connection(
    emulator: Emulator, store: Store, buckets: Buckets, monkeypatch: pytest.MonkeyPatch, gcp_conn_id: str | None
) -> None:
    from cloudseg_ops.operators.clean_inputs import CleanInputsOperator

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    monkeypatch.setenv(
        "AIRFLOW_CONN_GOOGLE_ANONYMOUS", '{"conn_type": "google_cloud_platform", "extra": {"is_anonymous": true}}'
    )
    operator = CleanInputsOperator(
        task_id="clean",
        model=None,
        after_success="keep",
        input_bucket=buckets.input,
        staging_bucket=buckets.staging,
        output_bucket=buckets.output,
        gcp_conn_id=gcp_conn_id,
    )
    layout = operator.layout({"run_id": "a-run"})
    operator.open_store().write(layout.snapshot, b"written")
    assert store.read(buckets.layout("a-run").snapshot) == b"written"


def test_unknown_connection_raises(monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> None:
    from cloudseg_ops.operators.clean_inputs import CleanInputsOperator

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    operator = CleanInputsOperator(
        task_id="clean",
        model=None,
        after_success="keep",
        input_bucket="in",
        staging_bucket="st",
        output_bucket="out",
        gcp_conn_id="nowhere",
    )
    with pytest.raises(Exception, match="nowhere"):
        operator.open_store()


@pytest.mark.parametrize(
    ("rendered", "expected"), [("True", True), ("true", True), (True, True), (" TRUE ", True), ("False", False),
                               ("false", False), (False, False)]
)  # fmt: skip
def test_boolean_params_are_parsed(rendered: object, expected: bool) -> None:
    assert as_bool(rendered) is expected


@pytest.mark.parametrize("rendered", ["", "yes", "1", 0, None, "None", "truee", "{{ params.dry_run }}"])
def test_invalid_boolean_params_are_rejected(rendered: object) -> None:
    with pytest.raises(SettingsError, match="neither true nor false"):
        as_bool(rendered)


@pytest.mark.parametrize(
    ("rendered", "expected"),
    [("7", 7), (7, 7), (" 7 ", 7), ("", None), ("None", None), (None, None), ("null", None),
     (1.0, 1), ("1.0", 1), (1e7, 10_000_000), ("10000000.0", 10_000_000)],
)  # fmt: skip
def test_integer_params_are_parsed(rendered: object, expected: int | None) -> None:
    assert as_optional_int(rendered) == expected


@pytest.mark.parametrize(
    "rendered", ["many", "7.5", 7.5, "none at all", "{{ params.max_objects }}", "1e3", ".0", "inf"]
)
def test_invalid_integer_params_are_rejected(rendered: object) -> None:
    with pytest.raises(SettingsError, match="not a whole number"):
        as_optional_int(rendered)
