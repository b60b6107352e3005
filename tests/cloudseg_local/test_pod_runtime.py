import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudseg_local.airflow_server import airflow_environment
from cloudseg_local.cluster import Cluster
from cloudseg_local.nodes import Offer
from cloudseg_local.pod_runtime import PodRuntime
from cloudseg_local.state import REPOSITORY, LocalState
from cloudseg_ops.config.settings import Settings

DIGEST = "europe-docker.pkg.dev/p/r/cloudseg-inference@sha256:" + "0" * 64


def _settings(tmp_path: Path, image: str = "mine:dev", **offer: Any) -> tuple[Settings, dict[str, str]]:
    """The settings that the DAG reads in the demo's environment."""
    state = LocalState(tmp_path, 1, 4443, gcs_host="172.18.0.1")
    found = Offer(
        **{"nodes": 1, "gpus": 0, "gpu_type": None, "cpus": 8.0, "address": "172.18.0.2", "docker": False} | offer
    )
    cluster = Cluster("/k/config", "kind-x", "team-a", api=None)
    pods = PodRuntime(cluster, found, image, state.setup, "172.18.0.1")
    environment = airflow_environment(state, pods.settings(state), pods.environment())
    return Settings.from_environment(environment), environment


def test_settings_of_the_dag_match_the_demo(tmp_path: Path) -> None:
    settings, environment = _settings(tmp_path, gpus=2, gpu_type="nvidia-l4")
    assert settings.runtime == "kubernetes"
    pods = settings.pods
    assert (pods.image, pods.image_pull_policy, pods.namespace) == ("mine:dev", "Never", "team-a")
    assert (pods.gpus, pods.gpu_type) == (1, "nvidia-l4")
    assert pods.pod_env == {"STORAGE_EMULATOR_HOST": "http://172.18.0.1:4443"}
    assert pods.pod_labels == {"cloudseg-setup": LocalState(tmp_path, 1, 2).setup}
    assert settings.engine_options[:2] == ("--threads", "4")  # 8 processors, two pods at once
    assert environment["KUBECONFIG"] == "/k/config"
    assert environment["STORAGE_EMULATOR_HOST"] == "http://172.18.0.1:4443"


def test_cluster_without_gpus(tmp_path: Path) -> None:
    pods = _settings(tmp_path)[0].pods
    assert (pods.gpus, pods.gpu_type) == (0, None)


def test_gpus_of_any_type(tmp_path: Path) -> None:
    pods = _settings(tmp_path, gpus=1)[0].pods
    assert (pods.gpus, pods.gpu_type) == (1, None)


def test_image_with_a_digest_is_pulled(tmp_path: Path) -> None:
    assert _settings(tmp_path, DIGEST)[0].pods.image_pull_policy == "IfNotPresent"


def test_demo_without_pods_does_not_import_the_kubernetes_client() -> None:
    code = "import cloudseg_local.__main__, sys; sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False, timeout=60).returncode == 0


@pytest.mark.parametrize(("cpus", "threads"), [(0.9, "1"), (2.0, "1"), (64.0, "32")])
def test_pods_share_the_processors(cpus: float, threads: str, tmp_path: Path) -> None:
    assert _settings(tmp_path, cpus=cpus)[0].engine_options[1] == threads
