"""A failed release is rolled back automatically; any other release can be restored manually."""

from __future__ import annotations

import pytest

from cloudseg_delivery.records import State
from tests.cloudseg_delivery.conftest import DENIED, OLD_DAG, PACKAGES, Cloud

pytestmark = pytest.mark.slow


def test_failing_dry_run_restores_the_last_good_release(cloud: Cloud, good: str) -> None:
    requirements = (cloud.checkout / "requirements.txt").read_text()
    bad = cloud.commit({"requirements.txt": f"{requirements}new-package==1.2.3\n", "dags/new_dag.py": "# new\n"})
    cloud.airflow.failing.add(bad)
    done = cloud.deploy()
    assert done.returncode == 1
    assert f"{bad} failed: the dry run smoke__{bad}__" in done.stderr
    assert "ended as failed, plan_chunks as failed (pull_model failed" in done.stderr
    assert f"{good} is in use again, and works" in done.stderr
    assert cloud.airflow.release == good
    assert (cloud.bucket / OLD_DAG).exists()
    assert not (cloud.bucket / "dags/new_dag.py").exists()
    assert cloud.software["pypiPackages"] == PACKAGES
    assert cloud.software["envVariables"]["CLOUDSEG_IMAGE"] == cloud.record(good).image
    assert cloud.state == State(good, (), (good,))
    assert [run.split("__")[1] for run in cloud.airflow.runs] == [good, bad, good]


def test_hanging_dry_run_is_failed_and_rolled_back(cloud: Cloud, good: str) -> None:
    cloud.airflow.hanging.add(cloud.name)
    done = cloud.deploy()
    assert done.returncode == 1
    assert "has not ended in 1 s" in done.stderr
    # The hanging run would block every other run.
    (hung,) = [state for run, state in cloud.airflow.states.items() if cloud.name in run]
    assert hung == "failed"
    assert cloud.airflow.release == good


def test_release_with_an_import_error_is_rolled_back(cloud: Cloud, good: str) -> None:
    cloud.airflow.broken = "Traceback …\nImportError: cloudseg_ops has no such thing"
    done = cloud.deploy()
    # The stand-in stays broken, so the old release does not parse either.
    assert done.returncode == 3
    assert "cloud_segmentation.py: ImportError: cloudseg_ops has no such thing" in done.stderr


def test_failed_rollback_needs_manual_repair(cloud: Cloud, good: str) -> None:
    bad = cloud.name
    cloud.airflow.failing |= {bad, good}
    done = cloud.deploy()
    assert done.returncode == 3
    assert f"Rolling back to {good} failed as well: the dry run" in done.stderr
    assert f"make rollback ENVIRONMENT=staging RELEASE={good}" in done.stderr
    assert (cloud.state.good, cloud.state.tried, cloud.state.since) == (good, (bad,), None)

    # Once the cause is fixed, the next delivery succeeds and cleans up after the failed one.
    cloud.airflow.failing.clear()
    cloud.commit({"README.md": "fixed"})
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert f"an earlier delivery of {bad} was not completed" in done.stdout
    assert cloud.state == State(cloud.name, (), (good, cloud.name))
    assert not (cloud.bucket / f"cloudseg/releases/{bad}").exists()


def test_failed_first_release_is_not_rolled_back(cloud: Cloud) -> None:
    cloud.airflow.failing.add(cloud.name)
    done = cloud.deploy()
    assert done.returncode == 1
    assert "Nothing was rolled back: there is no good release yet" in done.stderr
    assert (cloud.state.good, cloud.state.since) == (None, None)


@pytest.mark.parametrize("step", ["--update-env-variables", r"rsync .*dags/cloudseg_ops$", "restart-web-server"])
def test_missing_permission_half_way_rolls_back(cloud: Cloud, good: str, step: str) -> None:
    cloud.commit({"plugins/cloudseg_extra.py": "# a plugin\n"})
    cloud.fail(step, DENIED)
    done = cloud.deploy()
    assert done.returncode == 1
    assert "The deployer lacks a permission: docs/delivery.md" in done.stderr
    assert f"{good} is in use again, and works" in done.stderr
    assert not (cloud.bucket / "plugins/cloudseg_extra.py").exists()
    assert not (cloud.bucket / "plugins/cloudseg_ops").exists()


def test_change_that_gcloud_does_not_await_is_awaited(cloud: Cloud, good: str) -> None:
    cloud.fail("--update-env-variables", "ERROR: (gcloud.composer.environments.update) connection lost")
    cloud.unusual("busy", "--update-env-variables", looks=3)
    done = cloud.deploy()
    assert done.returncode == 1
    assert f"{good} is in use again, and works" in done.stderr


def test_unexpected_error_in_the_delivery_rolls_back(cloud: Cloud, good: str) -> None:
    cloud.commit({"plugins/cloudseg_extra.py": "# a plugin\n"})
    # An environment in a state that Composer never reports.
    cloud.unusual("odd", "--update-env-variables")
    done = cloud.deploy()
    assert done.returncode == 1
    assert "KeyError: 'config'" in done.stderr
    assert f"{good} is in use again, and works" in done.stderr


def test_manual_rollback(cloud: Cloud, good: str) -> None:
    assert cloud.deploy().returncode == 0
    newer = cloud.name
    done = cloud.run("rollback", "staging", "--poll-seconds=0.05")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{good} is in use in staging again"
    assert cloud.airflow.release == good
    assert cloud.state == State(good, (), (good,))
    # Forward again, by its name.
    assert cloud.run("rollback", "staging", f"--release={newer}", "--poll-seconds=0.05").returncode == 0
    assert cloud.airflow.release == newer


def test_manual_rollback_after_a_failed_rollback(cloud: Cloud, good: str) -> None:
    cloud.airflow.failing |= {cloud.name, good}
    assert cloud.deploy().returncode == 3
    cloud.airflow.failing.clear()
    done = cloud.run("rollback", "staging", "--poll-seconds=0.05")
    assert done.stdout.splitlines()[-1] == f"{good} is in use in staging again"
    assert not cloud.airflow.paused


def test_manual_rollback_waits_for_a_run_unless_now_is_given(cloud: Cloud, good: str) -> None:
    assert cloud.deploy().returncode == 0
    cloud.airflow.unfinished = ["scheduled__1"] * 10_000
    done = cloud.run("rollback", "staging", "--poll-seconds=0.05", "--drain-seconds=0.2")
    assert done.returncode == 2
    assert "scheduled__1 is still running in staging" in done.stderr
    assert "To roll back without waiting: NOW=1" in done.stderr
    done = cloud.run("rollback", "staging", "--poll-seconds=0.05", "--now")
    assert done.returncode == 0, done.stderr
    assert "no dry run: scheduled__1" in done.stdout
    assert cloud.airflow.release == good
    assert not cloud.airflow.paused


def test_manual_rollback_without_an_earlier_release(cloud: Cloud, good: str) -> None:
    done = cloud.run("rollback", "staging")
    assert done.returncode == 2
    assert f"no release before the last good one to return to; kept releases: {good}" in done.stderr
    done = cloud.run("rollback", "staging", "--release=0.0.1-nonesuch")
    assert done.returncode == 2
    assert "there is no release 0.0.1-nonesuch" in done.stderr


def test_failing_manual_rollback_is_reported(cloud: Cloud, good: str) -> None:
    assert cloud.deploy().returncode == 0
    cloud.airflow.failing.add(good)
    done = cloud.run("rollback", "staging", "--poll-seconds=0.05")
    assert done.returncode == 3
    assert f"could not return to {good}" in done.stderr
    assert cloud.state.since is None
