import re
from typing import Any

import pytest

from cloudseg_ops import __version__
from cloudseg_ops.config.pod_grammar import AIRFLOW_LABELS, check_label_value, check_labels
from cloudseg_ops.contracts.errors import VersionMismatchError
from cloudseg_ops.pods import CONTAINER
from tests.support.pod_samples import IMAGE, WORK, manifest

GPU = "nvidia.com/gpu"


def _engine(pod: dict[str, Any]) -> dict[str, Any]:
    [container] = pod["spec"]["containers"]
    assert container["name"] == CONTAINER
    return dict(container)


def test_pod_runs_the_engine_once_with_the_chunk_arguments() -> None:
    pod = manifest()
    assert _engine(pod)["command"] == ["python", "-m", "cloudseg_ops.engine"]
    assert _engine(pod)["args"] == list(WORK.arguments)
    assert _engine(pod)["image"] == IMAGE
    assert pod["spec"]["restartPolicy"] == "Never"
    assert pod["metadata"]["name"] == "cloudseg-00007"
    assert pod["metadata"]["namespace"] == "cloudseg"


def test_gpu_is_requested_and_selects_its_nodes() -> None:
    pod = manifest(gpus=2, gpu_type="nvidia-l4")
    resources = _engine(pod)["resources"]
    assert resources["requests"][GPU] == resources["limits"][GPU] == "2"
    assert pod["spec"]["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-l4"}
    assert {"key": GPU, "operator": "Exists", "effect": "NoSchedule"} in pod["spec"]["tolerations"]


def test_pod_without_gpus_has_no_gpu_fields() -> None:
    assert "nvidia" not in str(manifest(gpus=0))


def test_gpu_type_none_sets_no_node_selector() -> None:
    pod = manifest(gpus=1, gpu_type="none")
    assert pod["spec"]["nodeSelector"] == {}
    assert _engine(pod)["resources"]["limits"][GPU] == "1"


def test_spot_sets_node_selector_and_toleration() -> None:
    pod = manifest(gpus=0, spot=True)
    assert pod["spec"]["nodeSelector"] == {"cloud.google.com/gke-spot": "true"}
    assert [toleration["key"] for toleration in pod["spec"]["tolerations"]] == ["cloud.google.com/gke-spot"]
    assert "gke-spot" not in str(manifest(spot=False))


def test_memory_and_disk_have_limits_and_cpus_have_none() -> None:
    resources = _engine(manifest(pod_cpu="500m", pod_memory="4Gi", pod_ephemeral_storage="3Gi"))["resources"]
    assert resources["requests"]["cpu"] == "500m"
    assert "cpu" not in resources["limits"]
    for name, amount in (("memory", "4Gi"), ("ephemeral-storage", "3Gi")):
        assert resources["requests"][name] == resources["limits"][name] == amount


def test_shared_memory_has_the_configured_size() -> None:
    pod = manifest(pod_shm="2Gi")
    volumes = {volume["name"]: volume["emptyDir"] for volume in pod["spec"]["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in _engine(pod)["volumeMounts"]}
    assert volumes[mounts["/dev/shm"]] == {"medium": "Memory", "sizeLimit": "2Gi"}
    assert "medium" not in volumes[mounts["/tmp"]]


def test_deadline_and_grace_period_are_set() -> None:
    spec = manifest(pod_deadline_seconds=1800, pod_grace_seconds=20)["spec"]
    assert spec["activeDeadlineSeconds"] == 1800
    assert spec["terminationGracePeriodSeconds"] == 20


def test_service_account_token_is_mounted_only_if_configured() -> None:
    spec = manifest()["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in spec
    spec = manifest(service_account="segmenter", service_account_token=True)["spec"]
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("segmenter", True)


def test_pull_secrets_and_environment_variables_are_set() -> None:
    pod = manifest(image_pull_secrets="one,two", pod_env="B=2,A=1")
    assert pod["spec"]["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
    assert _engine(pod)["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    # A service called cloudseg would add variables.
    assert pod["spec"]["enableServiceLinks"] is False


def test_labels_have_chunk_and_model_and_are_valid() -> None:
    found = manifest(pod_labels="team=clouds")["metadata"]["labels"]
    assert found["cloudseg-chunk"] == "7"
    assert found["cloudseg-model-commit"] == WORK.model_commit
    assert found["app.kubernetes.io/name"] == "cloudseg"
    assert found["team"] == "clouds"
    check_labels(found)
    assert not AIRFLOW_LABELS & found.keys()


def test_reserved_labels_cannot_be_overridden() -> None:
    found = manifest(pod_labels="cloudseg-chunk=0,app.kubernetes.io/name=mine")["metadata"]["labels"]
    assert (found["cloudseg-chunk"], found["app.kubernetes.io/name"]) == ("7", "cloudseg")


def test_run_id_is_an_annotation() -> None:
    with pytest.raises(ValueError, match="must be at most 63"):
        check_label_value(WORK.run_id)
    found = manifest(pod_annotations="owner=me")["metadata"]["annotations"]
    assert found == {"owner": "me", "cloudseg-run-id": WORK.run_id}


def test_development_version_is_a_valid_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudseg_ops.pods.manifest.__version__", "1.2.0.dev3+gabc")
    assert check_labels(manifest()["metadata"]["labels"])["app.kubernetes.io/version"] == "1.2.0.dev3-gabc"


def test_image_tag_of_another_version_is_rejected() -> None:
    digest = IMAGE.partition("@")[2]
    assert _engine(manifest(image=f"host/engine:{__version__}-abc1234@{digest}"))["image"].startswith("host/engine:")
    with pytest.raises(VersionMismatchError, match=r"is cloudseg 99\.0\.0, and this DAG is"):
        manifest(image=f"host/engine:99.0.0-abc1234@{digest}")


def test_pod_name_is_valid() -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", manifest()["metadata"]["name"])


# kubernetes.io/docs/concepts/security/pod-security-standards, "Restricted", including the rules of "Baseline"
ALLOWED_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip


@pytest.mark.parametrize("spot", [False, True])
@pytest.mark.parametrize("gpus", [0, 1])
def test_pod_meets_the_restricted_pod_security_standard(gpus: int, spot: bool) -> None:
    pod = manifest(gpus=gpus, spot=spot)
    spec, engine = pod["spec"], _engine(pod)
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"} & spec.keys()
    assert "ports" not in engine
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] != 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"seLinuxOptions", "sysctls", "appArmorProfile", "windowsOptions"} & spec["securityContext"].keys()
    assert engine["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert all(volume.keys() - {"name"} <= ALLOWED_VOLUMES for volume in spec["volumes"])
