"""Whole deliveries, as `make deploy` and the workflow call them, against stand-ins that keep their state."""

from __future__ import annotations

import pytest

from cloudseg_delivery.records import State
from cloudseg_ops import __version__
from tests.cloudseg_delivery.conftest import OLD_DAG, PACKAGES, Cloud

pytestmark = pytest.mark.slow


def test_first_release(cloud: Cloud) -> None:
    cloud.put("dags/foreign.py", "# another team's")
    cloud.put("plugins/foreign.py", "# another team's")
    cloud.set_environment(pypiPackages={"foreign": "==1.0"}, envVariables={"FOREIGN": "1", "CLOUDSEG_RETRIES": "7"})
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    name = cloud.name
    assert done.stdout.splitlines()[-1] == f"{name} is in use in staging: its smoke test passed"

    assert (cloud.bucket / "dags/cloud_segmentation.py").exists()
    assert (cloud.bucket / "dags/cloudseg_ops/operators/pull_model.py").exists()
    assert not (cloud.bucket / "dags/cloudseg_ops/delivery").exists()
    assert (cloud.bucket / "dags/foreign.py").exists()
    assert (cloud.bucket / "plugins/foreign.py").exists()

    variables = cloud.software["envVariables"]
    assert variables["CLOUDSEG_INPUT_BUCKET"] == "my-input"
    # Set manually, not by a release: it stays.
    assert (variables["FOREIGN"], variables["CLOUDSEG_RETRIES"]) == ("1", "7")
    image = variables["CLOUDSEG_IMAGE"]
    assert image.startswith(f"us-central1-docker.pkg.dev/my-project/cloudseg/engine:{name}-cuda@sha256:")
    assert cloud.software["pypiPackages"] == {"foreign": "==1.0", **PACKAGES}

    assert cloud.state == State(name, (), (name,))
    record = cloud.record(name)
    assert (record.version, record.commit, record.image) == (__version__, cloud.git("rev-parse", "HEAD"), image)
    (run_id,) = cloud.airflow.runs
    assert run_id.startswith(f"smoke__{name}__")
    assert cloud.airflow.runs[run_id]["conf"] == {
        "dry_run": True, "input_prefix": f"cloudseg-smoke/{name}", "max_objects": 1,
    }  # fmt: skip
    # The photograph was uploaded and deleted again.
    assert cloud.calls("storage", "cp", f"gs://my-input/cloudseg-smoke/{name}.png")
    assert not list((cloud.folder / "gs/my-input").rglob("*.png"))
    assert cloud.airflow.tokens == {"Bearer a-token"}


def test_order_of_changes(cloud: Cloud) -> None:
    assert cloud.deploy().returncode == 0
    calls = [" ".join(call) for call in cloud.calls()]
    order = [
        next(number for number, call in enumerate(calls) if words in call)
        for words in (
            "docker build", "docker push", "--if-generation-match", "--update-pypi-package=dvc", "--update-env-",
            f"gs://{cloud.bucket.name}/dags/cloudseg_ops", f"gs://{cloud.bucket.name}/dags/cloud_segmentation.py",
            "cloudseg-smoke",
        )
    ]  # fmt: skip
    assert order == sorted(order)


def test_unchanged_parts_are_not_updated(cloud: Cloud) -> None:
    assert cloud.deploy().returncode == 0
    cloud.forget_calls()
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert "PyPI packages: unchanged" in done.stdout
    assert "variables: unchanged" in done.stdout
    assert not cloud.calls("composer", "environments", "update")
    assert not cloud.builds()
    assert "already exists" in done.stdout


def test_next_release_removes_only_what_it_no_longer_has(cloud: Cloud, good: str) -> None:
    cloud.put("dags/foreign.py", "# another team's")
    cloud.put("dags/cloudseg_ops/left_over.py", "# not of a release")
    requirements = (cloud.checkout / "requirements.txt").read_text()
    cloud.commit({"requirements.txt": requirements.replace("dvc-gs==3.1.0\n", "")})
    staging = cloud.checkout / "deploy/environments/staging.env"
    cloud.commit({"deploy/environments/staging.env": staging.read_text().replace("CLOUDSEG_SPOT=true\n", "")})
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert not (cloud.bucket / OLD_DAG).exists()
    assert not (cloud.bucket / "dags/cloudseg_ops/left_over.py").exists()
    assert (cloud.bucket / "dags/foreign.py").exists()
    assert (cloud.bucket / "dags/cloudseg_ops_notes.py").exists()
    assert "dvc-gs" not in cloud.software["pypiPackages"]
    assert "CLOUDSEG_SPOT" not in cloud.software["envVariables"]
    assert cloud.state.history == (good, cloud.name)


def test_plugins_include_the_package_and_restart_the_web_server(cloud: Cloud, good: str) -> None:
    for name, text in (("one", "# a plugin\n"), ("two", "# another\n")):
        cloud.commit({"plugins/cloudseg_extra.py": text, "README.md": name})
        cloud.forget_calls()
        assert cloud.deploy().returncode == 0
        assert (cloud.bucket / "plugins/cloudseg_extra.py").read_text() == text
        assert (cloud.bucket / "plugins/cloudseg_ops/.airflowignore").exists()
        assert len(cloud.calls("restart-web-server")) == 1


def test_smoke_photograph_that_cannot_be_removed_is_reported(cloud: Cloud) -> None:
    cloud.fail("storage rm .*cloudseg-smoke")
    done = cloud.deploy()
    assert done.returncode == 0
    assert "which no run will process" in done.stdout


def test_packages_are_removed_after_the_files_that_need_them(cloud: Cloud, good: str) -> None:
    requirements = (cloud.checkout / "requirements.txt").read_text()
    cloud.commit({"requirements.txt": requirements.replace("dvc-gs==3.1.0\n", "")})
    assert cloud.deploy().returncode == 0
    lines = [" ".join(call) for call in cloud.calls()]
    (removed,) = [number for number, line in enumerate(lines) if "--remove-pypi-packages=dvc-gs" in line]
    uploaded = [number for number, line in enumerate(lines) if line.endswith("/dags/cloud_segmentation.py")]
    assert max(uploaded) < removed


def test_values_of_variables_are_not_printed(cloud: Cloud) -> None:
    done = cloud.deploy()
    assert "--update-env-variables=" in done.stdout
    assert "models.git" not in done.stdout + done.stderr


def test_failed_update_of_the_record_is_reported(cloud: Cloud, good: str) -> None:
    cloud.fail("--if-generation-match", "ERROR: connection lost", skip=2)
    done = cloud.deploy()
    assert done.returncode == 1
    assert f"{cloud.name} is in use in staging, but the record could not be updated" in done.stderr
    assert cloud.deploy("--take-over").returncode == 0


def test_404_of_a_proxy_is_retried(cloud: Cloud, good: str) -> None:
    cloud.airflow.stray = ["<html>no backend</html>"] * 2
    assert cloud.deploy().returncode == 0


def test_temporary_outage_of_airflow_is_retried(cloud: Cloud, good: str) -> None:
    cloud.airflow.answers = [503, 502, 401]
    assert cloud.deploy().returncode == 0


def test_dry_run_changes_nothing(cloud: Cloud, good: str) -> None:
    cloud.commit({"dags/new_dag.py": "# new\n", "plugins/cloudseg_extra.py": "# a plugin\n"})
    before = (cloud.environment, cloud.state, sorted(cloud.bucket.rglob("*")))
    done = cloud.deploy("--dry-run")
    assert done.returncode == 0, done.stderr
    assert (cloud.environment, cloud.state, sorted(cloud.bucket.rglob("*"))) == before
    assert not cloud.builds()
    verbs = {call[3] if "composer" in call else call[2] for call in cloud.calls("gcloud")}
    assert verbs <= {"describe", "cat", "ls", "docker", "print-access-token", "objects"}
    for words in (
        "scripts/image.sh",
        "docker push",
        "--update-env-variables=",
        "dags/new_dag.py",
        "restart-web-server",
    ):
        assert any(words in line for line in done.stdout.splitlines() if line.startswith("  would run: ")), words
    assert done.stdout.splitlines()[-1].endswith("nothing was changed")


def test_status(cloud: Cloud, good: str) -> None:
    done = cloud.run("status", "staging")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"release {good}", f"commit {cloud.record(good).commit}", f"image {cloud.record(good).image}", f"kept: {good}",
    ]  # fmt: skip


def test_target_prints_the_identity_of_the_deployer(cloud: Cloud) -> None:
    done = cloud.run("target", "production")
    assert done.stdout.splitlines() == [
        "identity_provider=projects/1/locations/global/workloadIdentityPools/github/providers/cloudseg",
        "deployer=cloudseg-deployer@my-airflow.iam.gserviceaccount.com",
        "project=my-airflow",
    ]
