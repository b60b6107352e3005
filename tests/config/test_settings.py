"""Settings from environment variables."""

import subprocess
import sys

import pytest
from pydantic import BaseModel

from cloudseg_ops.config.settings import Settings, variables
from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.contracts.objects import IMAGE_TYPES
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.pods import PodSettings
from tests.support.environment import IMAGE, REQUIRED, settings_with


def test_four_variables_are_required() -> None:
    settings = Settings.from_environment(REQUIRED)
    assert settings.input_bucket == "photos-in"
    assert settings.model_revision == "main"
    assert settings.model_path == "model.pt"
    assert settings.runtime == "local"
    assert settings.schedule == "@daily"
    assert settings.after_success == "delete"
    assert settings.image_types == IMAGE_TYPES
    assert settings.settle_seconds == 60
    assert settings.max_chunks == 200
    assert settings.chunk_objects == 500
    assert settings.pool == "cloudseg_gpu"
    assert settings.engine_options == ()
    assert settings.gcp_conn_id is None


@pytest.mark.parametrize("model", [Settings, PodSettings])
def test_every_field_has_a_description(model: type[BaseModel]) -> None:
    assert all(field.description for field in model.model_fields.values())


def test_empty_variable_counts_as_unset() -> None:
    assert settings_with(model_revision="", gcp_conn_id="").model_revision == "main"
    with pytest.raises(SettingsError, match="CLOUDSEG_INPUT_BUCKET is not set"):
        settings_with(input_bucket="")


def test_other_variables_are_ignored() -> None:
    environment = REQUIRED | {"PATH": "/bin", "CLOUDSEG_LOCAL_STATE": "/somewhere", "INPUT_BUCKET": "x"}
    assert Settings.from_environment(environment) == Settings.from_environment(REQUIRED)


def test_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (REQUIRED | {"CLOUDSEG_MAX_CHUNKS": "7"}).items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environment().max_chunks == 7


def test_runtime_with_all_required_settings() -> None:
    assert settings_with(runtime="kubernetes", image=IMAGE).runtime == "kubernetes"
    assert (
        settings_with(runtime="gke", image=IMAGE, gke_cluster="c", gke_location="europe-west1").pods.gke_cluster == "c"
    )


def test_custom_modules_are_not_imported_to_read_the_settings() -> None:
    """Airflow's API server reads the settings, and may not have the team's modules."""
    settings = settings_with(runtime="nowhere.runtimes:NICE", results_formats="csv, nowhere.formats:OVERCAST")
    assert settings.runtime == "nowhere.runtimes:NICE"
    assert settings.results_formats == ("csv", "nowhere.formats:OVERCAST")


def test_pod_variables_are_fields_of_the_pod_settings() -> None:
    settings = settings_with(gpus="2", spot="true", pod_env="A=1", gpu_type="none", image_pull_secrets="one, two")
    assert isinstance(settings.pods, PodSettings)
    assert settings.pods == PodSettings(
        gpus=2, spot=True, pod_env={"A": "1"}, gpu_type=None, image_pull_secrets=("one", "two")
    )


def test_every_variable_is_one_field() -> None:
    assert not Settings.model_fields.keys() & PodSettings.model_fields.keys()
    assert len(set(variables())) == len(variables())


def test_output_and_staging_can_share_a_bucket() -> None:
    assert settings_with(output_bucket="shared", staging_bucket="shared").output_bucket == "shared"


@pytest.mark.parametrize("name", ["abc", "a.b-c_d", "0bucket9", "b" * 63, "photos.example.org"])
def test_valid_bucket_names(name: str) -> None:
    assert settings_with(input_bucket=name).input_bucket == name


@pytest.mark.parametrize("text", ["none", "None", "NONE"])
def test_schedule_none_means_manual_runs(text: str) -> None:
    assert settings_with(schedule=text).schedule is None


def test_schedule_is_passed_to_airflow_unchanged() -> None:
    assert settings_with(schedule="0 3 * * *").schedule == "0 3 * * *"


def test_wrong_schedule_is_an_error_with_events_too() -> None:
    with pytest.raises(SettingsError, match="CLOUDSEG_SCHEDULE = '@dayly': Airflow cannot run this schedule"):
        settings_with(schedule="@dayly", pubsub_subscription="projects/p/subscriptions/photographs")


def test_image_types_are_normalized_to_lower_case() -> None:
    assert settings_with(image_types="JPG, png ,,webp").image_types == ("jpg", "png", "webp")


def test_engine_options_are_split_like_shell_words() -> None:
    assert settings_with(engine_options="--batch 4 --precision 'bf16'").engine_options == (
        "--batch",
        "4",
        "--precision",
        "bf16",
    )


def test_layout_of_a_run() -> None:
    layout = settings_with().layout("r1")
    assert layout.staging == GcsUri("photos-staging")
    assert layout.output == GcsUri("photos-out")
    assert layout.run_id == "r1"


def test_settings_are_immutable() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings_with().pool = "x"


def test_reading_settings_imports_nothing_heavy() -> None:
    code = (
        "import sys; from cloudseg_ops.config.settings import Settings; "
        f"Settings.from_environment({REQUIRED!r}); "
        "print([name for name in ('torch', 'dvc', 'google.cloud.storage', 'PIL', 'numpy', 'airflow', 'kubernetes') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
