"""A real cluster, and a real Airflow that runs its chunks there. Skipped without KUBECONFIG."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from cloudseg_local.airflow_server import DAG_ID
from cloudseg_local.state import INPUT_BUCKET, OUTPUT_BUCKET
from tests.kubernetes.cluster import Cluster, kubeconfig_path
from tests.kubernetes.gke import control_plane
from tests.kubernetes.proxy import ApiServerProxy, proxied_kubeconfig
from tests.support import tiny
from tests.support.running import RunningAirflow, free_port, start_airflow

NAMESPACE = "cloudseg-test"
IMAGE = os.environ.get("CLOUDSEG_TEST_IMAGE", "cloudseg-inference:dev")
# Uploads of plan.json, plan.html, report.json and report.html.
REPORT = 4
# The engine's options in these tests: few images are decoded, segmented and uploaded at a time.
IN_FLIGHT = 6
_MANY = 10**6


@dataclass
class Site:
    """An Airflow, its cluster, the proxy between them, and the pod template of the tests."""

    airflow: RunningAirflow
    cluster: Cluster
    proxy: ApiServerProxy
    template: Path

    def overlay(self, template: dict[str, Any]) -> None:
        self.template.write_text(yaml.safe_dump(template))

    def upload(self, prefix: str, count: int) -> None:
        self.airflow.upload({f"{prefix}/{number:04d}.png": tiny.photograph(number, 64, 48) for number in range(count)})

    def masks(self, prefix: str) -> list[str]:
        return self.airflow.names(OUTPUT_BUCKET, f"{prefix}/")

    def run_until(self, prefix: str, masks: int, **params: Any) -> str:
        """Start a run, and return when it has written this number of masks."""
        run_id = self.airflow.trigger(**params)
        self.airflow.wait_for(lambda: True if len(self.masks(prefix)) >= masks else None, 120)
        return run_id

    def uploads_begun(self) -> int:
        """Return the number of uploads into OUTPUT since the last `slow_storage`."""
        faults = requests.get(f"{self.airflow.stack.state.gcs_url}/_emulator/faults", timeout=10).json()["faults"]
        return _MANY - int(faults[0]["skip"])

    def slow_storage(self, latency: float = 0.3) -> Any:
        """Delay every response of Cloud Storage, and count uploads into OUTPUT."""
        counter = {"action": "status", "method": "POST", "path": f"/upload/.*/{OUTPUT_BUCKET}/", "skip": _MANY}
        return self.airflow.faults(counter, latency=latency)

    def assert_all_done(self, run_id: str, prefix: str, count: int) -> None:
        """Assert that every input has a mask, and that no input and no pod is left."""
        assert self.airflow.audit(run_id).places == {
            "input": 0, "masked": count, "quarantined": 0, "superseded": 0, "lost": 0,
        }  # fmt: skip
        assert self.airflow.names(INPUT_BUCKET, f"{prefix}/") == []
        assert len(self.masks(prefix)) == count
        self.cluster.await_empty()

    def tries(self, run_id: str) -> list[int]:
        """Return the number of tries of each chunk."""
        tasks = self.airflow.api.task_states(DAG_ID, run_id)
        return [task.tries for task in sorted(tasks, key=lambda task: task.map_index) if task.task_id == "segment"]

    def failure_summary(self, run_id: str) -> str:
        """Return the last lines of a failed chunk's log, without Airflow's: tries, error and remedy."""
        log = self.airflow.log(run_id, "segment").strip().splitlines()
        return "\n".join([line for line in log if line and not line.startswith("::")][-3:])

    def logs(self, run_id: str, index: int = 0) -> str:
        """Return the logs of all tries of a chunk's task."""
        return self.airflow.all_logs(run_id, "segment", index)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    found = kubeconfig_path()
    if found is None:
        pytest.skip("no cluster: KUBECONFIG is not set")
    cluster = Cluster(found, NAMESPACE)
    cluster.create_namespace()
    cluster.clear()
    _require_image()
    return cluster


def settings_of(cluster: Cluster, template: Path, gcs_url: str) -> dict[str, object]:
    """Return settings for small pods with a slow engine."""
    return {
        "runtime": "kubernetes",
        "image": IMAGE,
        "image_pull_policy": "Never",
        "namespace": NAMESPACE,
        "gpus": 1 if cluster.gpus() else 0,
        "device": "auto",
        "pod_cpu": "200m",
        "pod_memory": "1.5Gi",
        "pod_shm": "64Mi",
        "pod_env": f"STORAGE_EMULATOR_HOST={gcs_url}",
        "pod_template": template,
        "schedule_timeout_seconds": 40,
        "startup_timeout_seconds": 60,
        "chunk_objects": 16,
        "retries": 1,
        "segment_retries": 2,
        "retry_delay_seconds": 1,
        "sense_timeout_seconds": 4,
        "engine_options": "--threads 1 --batch 1 --downloads 1 --uploads 1 --progress-seconds 1",
    }


@contextmanager
def open_site(cluster: Cluster, root: Path, **settings: object) -> Iterator[Site]:
    """Start an Airflow that runs its chunks as pods; the settings override those of `settings_of`."""
    template, kubeconfig = root / "template.yaml", root / "kubeconfig"
    proxy = proxied_kubeconfig(cluster.kubeconfig, kubeconfig)
    host, port = cluster.address_of_this_machine(), free_port()
    template.write_text("{}")
    environment = {"KUBECONFIG": str(kubeconfig)}
    if settings.get("runtime") == "gke":
        environment = control_plane(cluster, proxy, root)
    merged = {**settings_of(cluster, template, f"http://{host}:{port}"), **settings}
    with start_airflow(root / "state", merged, environment, host, port) as airflow:
        airflow.api.set_pool("cloudseg_gpu", 4, "Chunks at once, deferred ones included")
        yield Site(airflow, cluster, proxy, template)
    proxy.close()


@contextmanager
def swept(site: Site) -> Iterator[Site]:
    """Reset the site: an empty input bucket, no template and no pods."""
    site.airflow.empty_inputs()
    site.overlay({})
    site.cluster.clear()
    yield site
    site.cluster.clear()


@pytest.fixture(scope="session")
def running_site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(cluster, tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def site(running_site: Site) -> Iterator[Site]:
    """The runtime `kubernetes`, with workers that wait for their pods."""
    with swept(running_site) as site:
        yield site


def _require_image() -> None:
    found = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False, timeout=30)
    if found.returncode:
        pytest.fail(f"the image {IMAGE} does not exist; build it with `make image`, or set CLOUDSEG_TEST_IMAGE")
