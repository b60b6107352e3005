import pytest
from pydantic import ValidationError

from cloudseg_ops.pods import PodSettings
from tests.support.pod_samples import IMAGE


def test_defaults() -> None:
    settings = PodSettings()
    assert settings.image is None
    assert settings.namespace == "cloudseg"
    assert settings.gpus == 1
    assert settings.gpu_type == "nvidia-l4"
    assert settings.spot is False
    assert settings.service_account_token is False
    assert settings.deferrable is False
    # The engine needs 20 s after SIGTERM, and a Spot node gives 25 s at most.
    assert 20 <= settings.pod_grace_seconds <= 25


def test_image_needs_a_digest_unless_it_is_never_pulled() -> None:
    assert PodSettings(image=IMAGE).image == IMAGE
    assert PodSettings(image="cloudseg:dev", image_pull_policy="Never").image == "cloudseg:dev"
    for policy in ("IfNotPresent", "Always"):
        with pytest.raises(ValidationError, match="CLOUDSEG_IMAGE_PULL_POLICY=Never"):
            PodSettings.model_validate({"image": "cloudseg:dev", "image_pull_policy": policy})


@pytest.mark.parametrize("text", ["none", "None", "NONE"])
def test_gpu_type_none_means_any_gpu(text: str) -> None:
    assert PodSettings(gpu_type=text).gpu_type is None


def test_shared_memory_must_be_less_than_the_memory() -> None:
    assert PodSettings(pod_memory="2Gi", pod_shm="2047Mi").pod_shm == "2047Mi"
    for shm in ("2Gi", "2048Mi", "3G"):
        with pytest.raises(ValidationError, match="CLOUDSEG_POD_MEMORY = 2Gi"):
            PodSettings(pod_memory="2Gi", pod_shm=shm)


def test_default_shared_memory_is_rejected_for_a_small_pod() -> None:
    with pytest.raises(ValidationError, match="CLOUDSEG_POD_MEMORY = 512Mi"):
        PodSettings(pod_memory="512Mi")


def test_misspelled_field_is_rejected() -> None:
    with pytest.raises(ValidationError, match="gpu_count"):
        PodSettings.model_validate({"gpu_count": 1})


def test_pod_settings_are_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        PodSettings().gpus = 2
