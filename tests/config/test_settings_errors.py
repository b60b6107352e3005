"""Missing and invalid settings: all are reported at once, each with its variable."""

import pytest

from cloudseg_ops.config.models import PREFIX
from cloudseg_ops.config.settings import Settings
from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.contracts.objects import is_image_name
from tests.support.environment import IMAGE, REQUIRED, settings_with

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
    ("model_revisions", "branches"), ("allowed_operators", "nms"), ("allowed_operators", "aten::from_file"),
]  # fmt: skip


def test_missing_variables_are_listed_with_their_descriptions() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment({})
    for name in REQUIRED:
        description = Settings.model_fields[name.removeprefix(PREFIX).lower()].description
        assert f"{name} is not set: {description}" in str(raised.value)
    assert "README.md" in str(raised.value)


@pytest.mark.parametrize(("name", "value"), BAD)
def test_invalid_value_is_reported_with_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as raised:
        settings_with(**{name: value})
    lines = [line for line in str(raised.value).splitlines() if line.strip().startswith(PREFIX)]
    assert len(lines) == 1
    assert lines[0].strip().startswith(f"CLOUDSEG_{name.upper()} = {value!r}: ")


def test_signed_tags_need_the_keys_that_may_sign() -> None:
    with pytest.raises(SettingsError, match="CLOUDSEG_MODEL_REVISIONS=signed needs CLOUDSEG_MODEL_SIGNERS"):
        settings_with(model_revisions="signed")
    assert settings_with(model_revisions="signed", model_signers="/keys").model_revisions == "signed"


def test_empty_image_types_are_rejected() -> None:
    with pytest.raises(SettingsError, match="CLOUDSEG_IMAGE_TYPES = "):
        settings_with(image_types=" , ")


def test_image_types_with_dots_are_rejected_or_accepted() -> None:
    # Unchanged they would match nothing, and every run would silently be skipped.
    try:
        settings = settings_with(image_types=".jpg,.png")
    except SettingsError:
        return
    assert is_image_name("a.jpg", settings.image_types)


def test_all_invalid_values_are_reported_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        settings_with(max_chunks="0", after_success="burn", input_bucket="X")
    message = str(raised.value)
    assert all(name in message for name in ("CLOUDSEG_MAX_CHUNKS", "CLOUDSEG_AFTER_SUCCESS", "CLOUDSEG_INPUT_BUCKET"))


# Both become a timedelta, which cannot be infinite: the DAG's parse and the sensor would raise.
@pytest.mark.parametrize("name", ["settle_seconds", "retry_delay_seconds"])
def test_infinite_times_are_rejected(name: str) -> None:
    with pytest.raises(SettingsError, match=f"CLOUDSEG_{name.upper()}"):
        settings_with(**{name: "inf"})


def test_invalid_pod_settings_are_reported_with_the_others() -> None:
    with pytest.raises(SettingsError) as raised:
        settings_with(max_chunks="0", image="x:latest", pod_memory="512m", pod_labels="run_id=x", namespace="A")
    for name in ("MAX_CHUNKS", "IMAGE", "POD_MEMORY", "POD_LABELS", "NAMESPACE"):
        assert str(raised.value).count(f"CLOUDSEG_{name} = ") == 1


def test_runtime_lists_its_missing_settings() -> None:
    with pytest.raises(SettingsError, match="CLOUDSEG_RUNTIME=kubernetes needs CLOUDSEG_IMAGE\n"):
        settings_with(runtime="kubernetes")
    lacking = "CLOUDSEG_IMAGE, CLOUDSEG_GKE_CLUSTER, CLOUDSEG_GKE_LOCATION"
    with pytest.raises(SettingsError, match=f"CLOUDSEG_RUNTIME=gke needs {lacking}\n"):
        settings_with(runtime="gke", gke_cluster="", gke_project="p")
    with pytest.raises(SettingsError, match="CLOUDSEG_RUNTIME=gke needs CLOUDSEG_GKE_LOCATION\n"):
        settings_with(runtime="gke", gke_cluster="c", image=IMAGE)


def test_unknown_name_is_reported_with_the_known_ones() -> None:
    with pytest.raises(
        SettingsError, match=r"Input should be one of gke, kubernetes, local, or your own package\.module:NAME"
    ):
        settings_with(runtime="slurm")
    with pytest.raises(SettingsError, match="CLOUDSEG_RESULTS_FORMATS = 'tsv': Input should be one of csv, json, or"):
        settings_with(results_formats="csv,tsv")


@pytest.mark.parametrize("other", ["output_bucket", "staging_bucket"])
def test_input_must_be_a_dedicated_bucket(other: str) -> None:
    with pytest.raises(SettingsError, match="INPUT must be a dedicated bucket"):
        settings_with(**{other: "photos-in"})


@pytest.mark.parametrize("schedule", ["@once", "@continuous"])
def test_schedule_without_repetition_does_not_work_with_events(schedule: str) -> None:
    assert settings_with(schedule=schedule).schedule == schedule
    with pytest.raises(SettingsError, match=f"CLOUDSEG_SCHEDULE={schedule} does not work with CLOUDSEG_PUBSUB"):
        settings_with(schedule=schedule, pubsub_subscription="projects/p/subscriptions/photographs")


def test_failure_webhook_is_redacted() -> None:
    secret = "hooks.slack.com/services/T0/B0/very-secret"
    assert "very-secret" not in repr(settings_with(on_failure=f"https://{secret}"))
    with pytest.raises(SettingsError, match=r"CLOUDSEG_ON_FAILURE = \(not shown\): give an https:// address") as raised:
        settings_with(on_failure=secret)
    assert "very-secret" not in str(raised.value)
