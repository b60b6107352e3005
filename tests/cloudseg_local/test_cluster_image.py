"""How pods get the image. `docker` and `kind` are programs of the test that record their calls."""

from pathlib import Path

import pytest

from cloudseg_local.cluster_image import kind_cluster, provide_image, pull_policy
from cloudseg_ops.contracts.errors import LocalError

DIGEST = "europe-docker.pkg.dev/p/r/cloudseg-inference@sha256:" + "0" * 64


class Programs:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.messages: list[str] = []

    def add(self, name: str, code: int = 0, error: str = "") -> None:
        program = self.folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.folder}/calls"\necho "{error}" >&2\nexit {code}\n')
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        log = self.folder / "calls"
        return log.read_text().splitlines() if log.exists() else []

    def provide(self, image: str = "mine:dev", context: str = "kind-a-b", *, shares_docker: bool = False) -> None:
        provide_image(image, context, shares_docker=shares_docker, report=self.messages.append)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    monkeypatch.setenv("PATH", str(tmp_path))
    return Programs(tmp_path)


def test_image_with_a_digest_is_pulled() -> None:
    assert (pull_policy(DIGEST), pull_policy("mine:dev")) == ("IfNotPresent", "Never")


def test_kind_cluster_by_context() -> None:
    assert (kind_cluster("kind-a-b"), kind_cluster("gke_p_r_kind-c"), kind_cluster("kind")) == ("a-b", None, None)


def test_image_with_a_digest_is_not_loaded(programs: Programs) -> None:
    programs.add("docker", 1)
    programs.add("kind", 1)
    programs.provide(DIGEST, shares_docker=True)
    assert (programs.calls, programs.messages) == ([], [])


def test_image_is_loaded_into_kind(programs: Programs) -> None:
    programs.add("docker")
    programs.add("kind")
    programs.provide()
    assert programs.calls == [
        "docker image inspect --format {{.Id}} mine:dev",
        "kind load docker-image mine:dev --name a-b",
    ]
    assert programs.messages == ["loading the image mine:dev into the kind cluster a-b"]


def test_without_kind_the_nodes_must_have_the_image(programs: Programs) -> None:
    programs.provide()
    assert (programs.calls, len(programs.messages)) == ([], 1)
    assert "the nodes of kind-a-b must already have it" in programs.messages[0]


def test_error_of_kind_is_reported(programs: Programs) -> None:
    programs.add("docker")
    programs.add("kind", 1, "no nodes found for cluster a-b")
    with pytest.raises(LocalError, match=r"into the cluster a-b: no nodes found for cluster a-b; check that"):
        programs.provide()


def test_missing_image_is_reported_before_the_start(programs: Programs) -> None:
    programs.add("docker", 1, "Error: No such image: mine:dev")
    with pytest.raises(
        LocalError, match=r"no image mine:dev \(Error: No such image: mine:dev\); build it with `make im"
    ):
        programs.provide(context="lab", shares_docker=True)


def test_images_of_other_clusters_are_not_checked(programs: Programs) -> None:
    programs.provide(context="minikube")
    assert (programs.calls, programs.messages) == ([], [])


def test_missing_docker_is_reported(programs: Programs) -> None:
    with pytest.raises(LocalError, match="`docker` is not on the PATH"):
        programs.provide(context="lab", shares_docker=True)
