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


def test_it_runs_the_engine_once_with_the_chunks_arguments() -> None:
    pod = manifest()
    assert _engine(pod)["command"] == ["python", "-m", "cloudseg_ops.engine"]
    assert _engine(pod)["args"] == list(WORK.arguments)
    assert _engine(pod)["image"] == IMAGE
    assert pod["spec"]["restartPolicy"] == "Never"
    assert pod["metadata"]["name"] == "cloudseg-00007"
    assert pod["metadata"]["namespace"] == "cloudseg"


def test_a_gpu_is_in_requests_and_limits_and_its_node_is_asked_for() -> None:
    pod = manifest(gpus=2, gpu_type="nvidia-l4")
    resources = _engine(pod)["resources"]
    assert resources["requests"][GPU] == resources["limits"][GPU] == "2"
    assert pod["spec"]["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-l4"}
    assert {"key": GPU, "operator": "Exists", "effect": "NoSchedule"} in pod["spec"]["tolerations"]


def test_without_gpus_nothing_of_them_is_left() -> None:
    assert "nvidia" not in str(manifest(gpus=0))


def test_any_gpu_is_no_selector() -> None:
    pod = manifest(gpus=1, gpu_type="none")
    assert pod["spec"]["nodeSelector"] == {}
    assert _engine(pod)["resources"]["limits"][GPU] == "1"


def test_spot_is_asked_for_and_tolerated_and_otherwise_absent() -> None:
    pod = manifest(gpus=0, spot=True)
    assert pod["spec"]["nodeSelector"] == {"cloud.google.com/gke-spot": "true"}
    assert [toleration["key"] for toleration in pod["spec"]["tolerations"]] == ["cloud.google.com/gke-spot"]
    assert "gke-spot" not in str(manifest(spot=False))


def test_memory_and_disk_are_limited_to_what_is_requested_and_cpus_are_not() -> None:
    resources = _engine(manifest(pod_cpu="500m", pod_memory="4Gi", pod_ephemeral_storage="3Gi"))["resources"]
    assert resources["requests"]["cpu"] == "500m"
    assert "cpu" not in resources["limits"]
    for name, amount in (("memory", "4Gi"), ("ephemeral-storage", "3Gi")):
        assert resources["requests"][name] == resources["limits"][name] == amount


def test_shared_memory_is_memory_of_the_size_asked_for() -> None:
    pod = manifest(pod_shm="2Gi")
    volumes = {volume["name"]: volume["emptyDir"] for volume in pod["spec"]["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in _engine(pod)["volumeMounts"]}
    assert volumes[mounts["/dev/shm"]] == {"medium": "Memory", "sizeLimit": "2Gi"}
    assert "medium" not in volumes[mounts["/tmp"]]


def test_its_time_is_bounded() -> None:
    spec = manifest(pod_deadline_seconds=1800, pod_grace_seconds=20)["spec"]
    assert spec["activeDeadlineSeconds"] == 1800
    assert spec["terminationGracePeriodSeconds"] == 20


def test_a_service_accounts_token_is_mounted_only_when_wanted() -> None:
    spec = manifest()["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in spec
    spec = manifest(service_account="segmenter", service_account_token=True)["spec"]
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("segmenter", True)


def test_secrets_and_variables() -> None:
    pod = manifest(image_pull_secrets="one,two", pod_env="B=2,A=1")
    assert pod["spec"]["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
    assert _engine(pod)["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    # A service of the name cloudseg would add to them.
    assert pod["spec"]["enableServiceLinks"] is False


def test_labels_say_chunk_and_model_and_are_labels() -> None:
    found = manifest(pod_labels="team=clouds")["metadata"]["labels"]
    assert found["cloudseg-chunk"] == "7"
    assert found["cloudseg-model-commit"] == WORK.model_commit
    assert found["app.kubernetes.io/name"] == "cloudseg"
    assert found["team"] == "clouds"
    check_labels(found)
    assert not AIRFLOW_LABELS & found.keys()


def test_a_team_cannot_relabel_what_is_ours() -> None:
    found = manifest(pod_labels="cloudseg-chunk=0,app.kubernetes.io/name=mine")["metadata"]["labels"]
    assert (found["cloudseg-chunk"], found["app.kubernetes.io/name"]) == ("7", "cloudseg")


def test_a_run_id_that_is_no_label_is_an_annotation() -> None:
    with pytest.raises(ValueError, match="must be at most 63"):
        check_label_value(WORK.run_id)
    found = manifest(pod_annotations="owner=me")["metadata"]["annotations"]
    assert found == {"owner": "me", "cloudseg-run-id": WORK.run_id}


def test_a_development_version_is_a_label_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudseg_ops.pods.manifest.__version__", "1.2.0.dev3+gabc")
    assert check_labels(manifest()["metadata"]["labels"])["app.kubernetes.io/version"] == "1.2.0.dev3-gabc"


def test_no_pod_is_made_of_an_image_that_says_it_does_not_fit() -> None:
    digest = IMAGE.partition("@")[2]
    assert _engine(manifest(image=f"host/engine:{__version__}-abc1234@{digest}"))["image"].startswith("host/engine:")
    with pytest.raises(VersionMismatchError, match=r"is cloudseg 99\.0\.0, and this DAG is"):
        manifest(image=f"host/engine:99.0.0-abc1234@{digest}")


def test_names_of_chunks_are_those_of_pods() -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", manifest()["metadata"]["name"])


# kubernetes.io/docs/concepts/security/pod-security-standards, «Restricted», with what it takes over from «Baseline»
ALLOWED_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip


@pytest.mark.parametrize("spot", [False, True])
@pytest.mark.parametrize("gpus", [0, 1])
def test_the_restricted_pod_security_standard(gpus: int, spot: bool) -> None:
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
