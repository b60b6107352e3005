from typing import Any

import pytest

from cloudseg_ops.config.runtimes import RUNTIMES, Runtime
from cloudseg_ops.config.settings import Settings
from cloudseg_ops.operators import clusters
from tests.support.environment import IMAGE, REQUIRED


def settings(runtime: str) -> Settings:
    more = {"RUNTIME": runtime, "IMAGE": IMAGE, "GKE_CLUSTER": "gpus", "GKE_LOCATION": "europe-west4"}
    return Settings.from_environment(REQUIRED | {f"CLOUDSEG_{name}": value for name, value in more.items()})


def own_cluster(settings: Settings) -> Any:
    return f"the cluster of {settings.runtime}"


@pytest.mark.parametrize(
    ("runtime", "connects"),
    [("kubernetes", "connect_kubernetes"), ("gke", "connect_gke"), ("local", "connect_kubernetes")],
)
def test_each_runtime_connects_to_its_cluster(monkeypatch: pytest.MonkeyPatch, runtime: str, connects: str) -> None:
    for name in ("connect_kubernetes", "connect_gke"):
        monkeypatch.setattr(clusters, name, lambda settings, name=name: (name, settings.runtime))
    assert clusters.connect(settings(runtime)) == (connects, runtime)


def test_custom_runtime_connects_to_its_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime(operator="nowhere:Operator", cluster=f"{__name__}:own_cluster")
    monkeypatch.setitem(RUNTIMES, "further", runtime)
    assert clusters.connect(settings("further")) == "the cluster of further"
