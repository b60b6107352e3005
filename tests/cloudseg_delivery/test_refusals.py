"""Deliveries that are rejected or stopped before they change anything."""

from __future__ import annotations

import json
import time

import pytest

from cloudseg_delivery.records import State
from tests.cloudseg_delivery.conftest import DENIED, Cloud

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "step", ["environments describe", "docker push", "state.json", r"rsync .*releases/[^/]*/dags$"]
)
def test_missing_permission_before_the_first_change(cloud: Cloud, good: str, step: str) -> None:
    cloud.fail(step, DENIED)
    before = cloud.environment
    done = cloud.deploy()
    assert done.returncode == 1
    assert "lacks a permission" in done.stderr
    assert cloud.environment == before
    assert cloud.airflow.release == good
    assert (cloud.state.good, cloud.state.tried) == (good, ())


def test_unknown_environment(cloud: Cloud) -> None:
    for name in ("nonesuch", "../staging", "Staging"):
        done = cloud.run("deploy", name, "--verified")
        assert done.returncode == 2
        assert f"there is no environment {name!r}; deploy/environments has production, staging" in done.stderr
    assert not cloud.calls()


def test_missing_composer_environment(cloud: Cloud) -> None:
    (cloud.folder / "composer.json").unlink()
    done = cloud.deploy()
    assert done.returncode == 2
    assert "has no Composer environment cloudseg-staging in us-central1" in done.stderr


def test_environment_that_is_being_updated(cloud: Cloud) -> None:
    (cloud.folder / "composer.json").write_text(json.dumps({**cloud.environment, "state": "UPDATING"}))
    done = cloud.deploy()
    assert done.returncode == 2
    assert "is UPDATING" in done.stderr


def test_dirty_tree(cloud: Cloud) -> None:
    (cloud.checkout / "dags/cloud_segmentation.py").write_text("# half done")
    (cloud.checkout / "new.py").write_text("")
    done = cloud.deploy()
    assert done.returncode == 2
    assert "the work tree is dirty (dags/cloud_segmentation.py, new.py)" in done.stderr
    assert not cloud.calls()


@pytest.mark.parametrize("failing", ["lint", "test"])
def test_failing_check(cloud: Cloud, failing: str) -> None:
    cloud.fail(f"make {failing}")
    done = cloud.run("deploy", "staging")
    assert done.returncode == 2
    assert f"`make {failing}` failed" in done.stderr
    assert not cloud.calls("gcloud")


def test_invalid_settings(cloud: Cloud) -> None:
    staging = cloud.checkout / "deploy/environments/staging.env"
    cloud.commit({"deploy/environments/staging.env": f"{staging.read_text()}CLOUDSEG_RETRIES=many\n"})
    done = cloud.run("deploy", "staging")
    assert done.returncode == 2
    assert "CLOUDSEG_RETRIES = 'many': " in done.stderr
    assert not cloud.calls()


def test_older_commit_needs_the_downgrade_option(cloud: Cloud, good: str) -> None:
    assert cloud.deploy().returncode == 0
    newer = cloud.name
    cloud.git("checkout", "--quiet", "HEAD~1")
    done = cloud.deploy()
    assert done.returncode == 2
    assert f"the commit in use, {newer[-12:]}, is not an ancestor of the checked-out one" in done.stderr
    assert cloud.airflow.release == newer
    assert cloud.deploy("--downgrade").returncode == 0
    assert cloud.airflow.release == good


def test_airflow_denies_access_to_the_deployer(cloud: Cloud, good: str) -> None:
    cloud.airflow.answers = [403]
    done = cloud.deploy()
    assert done.returncode == 1
    assert "The deployer needs the Airflow role Op" in done.stderr
    assert cloud.airflow.release == good


def test_other_delivery_under_way(cloud: Cloud, good: str) -> None:
    cloud.put("cloudseg/state.json", State(good, ("9.9.9-other",), (good,), time.time() - 60).to_json())
    done = cloud.deploy()
    assert done.returncode == 2
    assert "a delivery of 9.9.9-other to staging has started and not ended" in done.stderr
    assert cloud.deploy("--take-over").returncode == 0


def test_concurrent_delivery_is_not_rolled_back(cloud: Cloud, good: str) -> None:
    # Another process writes the record during this delivery.
    cloud.fail(
        "--if-generation-match", "ERROR: HTTPError 412: At least one of the pre-conditions did not hold.", skip=2
    )
    done = cloud.deploy()
    assert done.returncode == 1
    assert "Another delivery to this environment is in progress" in done.stderr
    assert "rolling back" not in done.stdout
    assert cloud.airflow.release == cloud.name


def test_failing_image_build(cloud: Cloud, good: str) -> None:
    cloud.fail("docker build", "no space left on device")
    done = cloud.deploy()
    assert done.returncode == 1
    assert "the build failed" in done.stderr
    assert cloud.airflow.release == good


def test_credentials_of_github_do_not_make_the_tree_dirty(cloud: Cloud) -> None:
    (cloud.checkout / "gha-creds-0123456789abcdef.json").write_text("{}")
    assert cloud.deploy().returncode == 0
