import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cloudseg_ops.config.settings import PREFIX, Settings, variables
from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.contracts.objects import IMAGE_TYPES, is_image_name
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.pods import PodSettings
from tests.support.environment import IMAGE, REQUIRED


def _with(**changes: str) -> Settings:
    return Settings.from_environment(REQUIRED | {f"CLOUDSEG_{key.upper()}": value for key, value in changes.items()})


def test_four_variables_are_enough() -> None:
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


def test_without_any_each_missing_one_is_named_with_what_it_is_for() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment({})
    for name in REQUIRED:
        description = Settings.model_fields[name.removeprefix(PREFIX).lower()].description
        assert f"{name} is not set: {description}" in str(raised.value)
    assert "README.md" in str(raised.value)


@pytest.mark.parametrize("model", [Settings, PodSettings])
def test_every_field_says_what_it_is_for(model: type[BaseModel]) -> None:
    assert all(field.description for field in model.model_fields.values())


def test_an_empty_variable_counts_as_unset() -> None:
    assert _with(model_revision="", gcp_conn_id="").model_revision == "main"
    with pytest.raises(SettingsError, match="CLOUDSEG_INPUT_BUCKET is not set"):
        _with(input_bucket="")


def test_other_variables_are_nobodys_business() -> None:
    environment = REQUIRED | {"PATH": "/bin", "CLOUDSEG_LOCAL_STATE": "/somewhere", "INPUT_BUCKET": "x"}
    assert Settings.from_environment(environment) == Settings.from_environment(REQUIRED)


def test_the_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (REQUIRED | {"CLOUDSEG_MAX_CHUNKS": "7"}).items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environment().max_chunks == 7


BAD = [
    ("input_bucket", "gs://photos-in"), ("input_bucket", "Photos"), ("input_bucket", "a"), ("input_bucket", "a/b"),
    ("output_bucket", "-photos"), ("staging_bucket", "photos in"), ("staging_bucket", "photos\n"),
    ("model_revision", "--upload-pack=x"), ("model_revision", "a b"), ("runtime", "slurm"), ("runtime", "LOCAL"),
    ("device", "gpu"), ("device", "CUDA"),
    ("input_prefix", "gs://photos-in/a"), ("input_prefix", "a\n"), ("input_prefix", "a" * 1025),
    ("after_success", "burn"), ("after_success", "Delete"), ("settle_seconds", "-1"),
    ("settle_seconds", "soon"), ("settle_seconds", "nan"), ("sense_timeout_seconds", "0"),
    ("poke_interval_seconds", "0"), ("max_chunks", "0"), ("max_chunks", "1025"), ("max_chunks", "1.5"),
    ("chunk_objects", "0"), ("chunk_objects", "many"), ("retries", "-1"), ("retries", "21"),
    ("retry_delay_seconds", "-1"), ("engine_options", "--batch '8"), ("previews", "few"), ("images_per_second", "0"),
    ("gpu_hour_price", "-0.01"), ("segment_retries", "-1"), ("segment_retries", "51"),
    ("image", "cloudseg:latest"), ("image", "https://x/y@sha256:" + "0" * 64), ("image", "x@sha256:00"),
    ("image_pull_policy", "never"), ("image_pull_secrets", "one,Two"), ("namespace", "Clouds"), ("namespace", "a.b"),
    ("service_account", "a@b.iam"), ("service_account_token", "perhaps"), ("gpus", "-1"), ("gpus", "17"),
    ("gpus", "one"), ("gpu_type", "nvidia l4"), ("spot", "maybe"), ("pod_cpu", "0"), ("pod_cpu", "4Gi"),
    ("pod_memory", "12"), ("pod_memory", "512m"), ("pod_memory", "12 GB"), ("pod_ephemeral_storage", "much"),
    ("pod_shm", "0"), ("pod_shm", "12Gi"), ("pod_shm", "1Ti"), ("pod_deadline_seconds", "59"),
    ("pod_grace_seconds", "601"), ("schedule_timeout_seconds", "0"), ("startup_timeout_seconds", "inf"),
    ("outage_seconds", "-1"), ("pod_env", "A"), ("pod_env", "1A=x"), ("pod_env", '{"A": 1}'), ("pod_env", '{"A"'),
    ("pod_labels", "team=a b"), ("pod_labels", "run_id=x"), ("pod_annotations", "a b=c"), ("node_selector", "a=b/c"),
    ("gke_endpoint", "public"), ("pubsub_subscription", "photographs"),
    ("pubsub_subscription", "projects/p/topics/photographs"), ("pubsub_subscription", "projects/p/subscriptions/1"),
    ("schedule", "every day"), ("schedule", "  "), ("schedule_timezone", "Europe/Berln"),
    ("input_prefix", "GS://photos-in/a"), ("input_prefix", "é" * 513),
    ("runtime", "my_runtime"), ("runtime", "my_runtime:"), ("runtime", "my-runtime:NICE"), ("results_formats", "tsv"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_is_told_with_its_variable_and_what_was_found(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as raised:
        _with(**{name: value})
    lines = [line for line in str(raised.value).splitlines() if line.strip().startswith(PREFIX)]
    assert len(lines) == 1
    assert lines[0].strip().startswith(f"CLOUDSEG_{name.upper()} = {value!r}: ")


def test_no_types_at_all_are_refused() -> None:
    with pytest.raises(SettingsError, match="CLOUDSEG_IMAGE_TYPES = "):
        _with(image_types=" , ")


def test_all_bad_values_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        _with(max_chunks="0", after_success="burn", input_bucket="X")
    told = str(raised.value)
    assert all(name in told for name in ("CLOUDSEG_MAX_CHUNKS", "CLOUDSEG_AFTER_SUCCESS", "CLOUDSEG_INPUT_BUCKET"))


# Both become a timedelta, which takes no infinity: the DAG's parse and the sensor would end in a trace.
@pytest.mark.parametrize("name", ["settle_seconds", "retry_delay_seconds"])
def test_endless_times_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"CLOUDSEG_{name.upper()}"):
        _with(**{name: "inf"})


def test_those_of_the_pods_are_told_with_the_others() -> None:
    with pytest.raises(SettingsError) as raised:
        _with(max_chunks="0", image="x:latest", pod_memory="512m", pod_labels="run_id=x", namespace="A")
    for name in ("MAX_CHUNKS", "IMAGE", "POD_MEMORY", "POD_LABELS", "NAMESPACE"):
        assert str(raised.value).count(f"CLOUDSEG_{name} = ") == 1


def test_a_runtime_names_all_that_it_lacks() -> None:
    with pytest.raises(SettingsError, match="CLOUDSEG_RUNTIME=kubernetes needs CLOUDSEG_IMAGE\n"):
        _with(runtime="kubernetes")
    lacking = "CLOUDSEG_IMAGE, CLOUDSEG_GKE_CLUSTER, CLOUDSEG_GKE_LOCATION"
    with pytest.raises(SettingsError, match=f"CLOUDSEG_RUNTIME=gke needs {lacking}\n"):
        _with(runtime="gke", gke_cluster="", gke_project="p")
    with pytest.raises(SettingsError, match="CLOUDSEG_RUNTIME=gke needs CLOUDSEG_GKE_LOCATION\n"):
        _with(runtime="gke", gke_cluster="c", image=IMAGE)


def test_a_runtime_with_all_it_needs() -> None:
    assert _with(runtime="kubernetes", image=IMAGE).runtime == "kubernetes"
    assert _with(runtime="gke", image=IMAGE, gke_cluster="c", gke_location="europe-west1").pods.gke_cluster == "c"


def test_what_a_name_may_be_is_told_with_one_that_is_unknown() -> None:
    with pytest.raises(
        SettingsError, match=r"Input should be one of gke, kubernetes, local, or your own package\.module:NAME"
    ):
        _with(runtime="slurm")
    with pytest.raises(SettingsError, match="CLOUDSEG_RESULTS_FORMATS = 'tsv': Input should be one of csv, json, or"):
        _with(results_formats="csv,tsv")


def test_a_team_s_own_are_not_imported_to_read_the_settings() -> None:
    """Airflow's API server reads them, and may not see the team's modules."""
    settings = _with(runtime="nowhere.runtimes:NICE", results_formats="csv, nowhere.formats:OVERCAST")
    assert settings.runtime == "nowhere.runtimes:NICE"
    assert settings.results_formats == ("csv", "nowhere.formats:OVERCAST")


def test_variables_of_the_pods_are_fields_of_theirs() -> None:
    settings = _with(gpus="2", spot="true", pod_env="A=1", gpu_type="none", image_pull_secrets="one, two")
    assert isinstance(settings.pods, PodSettings)
    assert settings.pods == PodSettings(
        gpus=2, spot=True, pod_env={"A": "1"}, gpu_type=None, image_pull_secrets=("one", "two")
    )


def test_no_variable_is_two_fields() -> None:
    assert not Settings.model_fields.keys() & PodSettings.model_fields.keys()
    assert len(set(variables())) == len(variables())


@pytest.mark.parametrize("other", ["output_bucket", "staging_bucket"])
def test_input_must_be_a_bucket_of_its_own(other: str) -> None:
    with pytest.raises(SettingsError, match="INPUT must be a dedicated bucket"):
        _with(**{other: "photos-in"})


def test_output_and_staging_may_be_one() -> None:
    assert _with(output_bucket="shared", staging_bucket="shared").output_bucket == "shared"


@pytest.mark.parametrize("name", ["abc", "a.b-c_d", "0bucket9", "b" * 63, "photos.example.org"])
def test_buckets_as_cloud_storage_names_them(name: str) -> None:
    assert _with(input_bucket=name).input_bucket == name


@pytest.mark.parametrize("text", ["none", "None", "NONE"])
def test_without_a_schedule_runs_are_triggered_by_hand(text: str) -> None:
    assert _with(schedule=text).schedule is None


def test_a_schedule_is_airflows_own_text() -> None:
    assert _with(schedule="0 3 * * *").schedule == "0 3 * * *"


def test_a_wrong_schedule_is_an_error_with_events_too() -> None:
    with pytest.raises(SettingsError, match="CLOUDSEG_SCHEDULE = '@dayly': Airflow cannot run this schedule"):
        _with(schedule="@dayly", pubsub_subscription="projects/p/subscriptions/photographs")


def test_types_are_words_in_lower_case() -> None:
    assert _with(image_types="JPG, png ,,webp").image_types == ("jpg", "png", "webp")


def test_types_with_their_dots_are_refused_or_understood() -> None:
    # Taken as they are they match nothing, and every run would silently end as skipped.
    try:
        settings = _with(image_types=".jpg,.png")
    except SettingsError:
        return
    assert is_image_name("a.jpg", settings.image_types)


@pytest.mark.parametrize("schedule", ["@once", "@continuous"])
def test_events_come_beside_a_clock_that_goes_on(schedule: str) -> None:
    assert _with(schedule=schedule).schedule == schedule
    with pytest.raises(SettingsError, match=f"CLOUDSEG_SCHEDULE={schedule} does not work with CLOUDSEG_PUBSUB"):
        _with(schedule=schedule, pubsub_subscription="projects/p/subscriptions/photographs")


def test_who_is_told_of_failures_is_never_shown() -> None:
    secret = "hooks.slack.com/services/T0/B0/very-secret"
    assert "very-secret" not in repr(_with(on_failure=f"https://{secret}"))
    with pytest.raises(SettingsError, match=r"CLOUDSEG_ON_FAILURE = \(not shown\): give an https:// address") as raised:
        _with(on_failure=secret)
    assert "very-secret" not in str(raised.value)


def test_engine_options_are_read_as_a_shell_would() -> None:
    assert _with(engine_options="--batch 4 --precision 'bf16'").engine_options == (
        "--batch",
        "4",
        "--precision",
        "bf16",
    )


def test_the_layout_of_a_run() -> None:
    layout = _with().layout("r1")
    assert layout.staging == GcsUri("photos-staging")
    assert layout.output == GcsUri("photos-out")
    assert layout.run_id == "r1"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        _with().pool = "x"


def test_reading_them_imports_nothing_heavy() -> None:
    code = (
        "import sys; from cloudseg_ops.config.settings import Settings; "
        f"Settings.from_environment({REQUIRED!r}); "
        "print([name for name in ('torch', 'dvc', 'google.cloud.storage', 'PIL', 'numpy', 'airflow', 'kubernetes') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


ROOT = Path(__file__).parents[2]
FIELDS = {
    PREFIX + name.upper(): field for model in (Settings, PodSettings) for name, field in model.model_fields.items()
}


def _rows(page: str) -> list[tuple[str, str, str]]:
    """The rows of a page's tables of variables; running text may name a variable once more."""
    return re.findall(r"^\| `(CLOUDSEG_[A-Z_]+)` \| (.*) \| (.*) \|$", (ROOT / page).read_text(), re.MULTILINE)


def test_readme_and_docs_together_list_exactly_these_variables() -> None:
    readme, docs = ([name for name, _, _ in _rows(page)] for page in ("README.md", "docs/settings.md"))
    assert sorted(docs) == sorted(PREFIX + name.upper() for name in PodSettings.model_fields)
    assert sorted([*readme, *docs]) == sorted(variables())


@pytest.mark.parametrize(("name", "meaning", "default"), [*_rows("README.md"), *_rows("docs/settings.md")])
def test_a_listed_variable_has_the_meaning_and_the_default_of_its_field(name: str, meaning: str, default: str) -> None:
    field = FIELDS[name]
    # A row may say more than the field, not other things.
    assert meaning.startswith(str(field.description))
    assert default == _default(field)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is None:
        return "unset"
    if field.default in ("", (), {}):
        return "empty"
    if isinstance(field.default, tuple):
        return f"`{','.join(field.default)}`"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"
