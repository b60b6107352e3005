"""Whole deliveries, as `make deploy` and the workflow call them, against stand-ins that keep what they are told."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from cloudseg_ops import __version__
from cloudseg_ops.delivery.changes import read_requirements
from cloudseg_ops.delivery.records import State
from tests.delivery.conftest import Cloud

DENIED = "ERROR: (gcloud) PERMISSION_DENIED: The caller does not have permission"
OLD_DAG = "dags/old_dag.py"
PACKAGES = read_requirements((Path(__file__).parents[2] / "requirements.txt").read_text())


@pytest.fixture
def good(cloud: Cloud) -> str:
    """An environment that has a good release already, with a DAG that the next one no longer has."""
    name = cloud.commit({OLD_DAG: "# an old DAG\n", "dags/cloudseg_ops_notes.py": "# beside\n"})
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    cloud.commit({OLD_DAG: None, "CHANGELOG.md": "changed\n"})
    cloud.forget_calls()
    return name


def test_the_first_release(cloud: Cloud) -> None:
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
    # Set by hand, and by no release: it stays.
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
    # The photograph came and went.
    assert cloud.calls("storage", "cp", f"gs://my-input/cloudseg-smoke/{name}.png")
    assert not list((cloud.folder / "gs/my-input").rglob("*.png"))
    assert cloud.airflow.tokens == {"Bearer a-token"}


def test_the_order_of_what_is_changed(cloud: Cloud) -> None:
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


def test_what_has_not_changed_is_left_alone(cloud: Cloud) -> None:
    assert cloud.deploy().returncode == 0
    cloud.forget_calls()
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert "PyPI packages: unchanged" in done.stdout
    assert "variables: unchanged" in done.stdout
    assert not cloud.calls("composer", "environments", "update")
    assert not cloud.builds()
    assert "is there already" in done.stdout


def test_the_next_release_takes_away_what_it_no_longer_has_and_nothing_else(cloud: Cloud, good: str) -> None:
    cloud.put("dags/foreign.py", "# another team's")
    cloud.put("dags/cloudseg_ops/left_over.py", "# of nobody")
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


def test_plugins_come_with_the_package_and_restart_the_web_server(cloud: Cloud, good: str) -> None:
    for name, text in (("one", "# a plugin\n"), ("two", "# another\n")):
        cloud.commit({"plugins/cloudseg_extra.py": text, "README.md": name})
        cloud.forget_calls()
        assert cloud.deploy().returncode == 0
        assert (cloud.bucket / "plugins/cloudseg_extra.py").read_text() == text
        assert (cloud.bucket / "plugins/cloudseg_ops/.airflowignore").exists()
        assert len(cloud.calls("restart-web-server")) == 1


def test_a_failing_dry_run_brings_the_last_good_release_back(cloud: Cloud, good: str) -> None:
    requirements = (cloud.checkout / "requirements.txt").read_text()
    bad = cloud.commit({"requirements.txt": f"{requirements}new-package==1.2.3\n", "dags/new_dag.py": "# new\n"})
    cloud.airflow.failing.add(bad)
    done = cloud.deploy()
    assert done.returncode == 1
    assert f"{bad} failed: the dry run smoke__{bad}__" in done.stderr
    assert "ended as failed, and plan_chunks as failed (pull_model failed" in done.stderr
    assert f"{good} is in use again, and works" in done.stderr
    assert cloud.airflow.release == good
    assert (cloud.bucket / OLD_DAG).exists()
    assert not (cloud.bucket / "dags/new_dag.py").exists()
    assert cloud.software["pypiPackages"] == PACKAGES
    assert cloud.software["envVariables"]["CLOUDSEG_IMAGE"] == cloud.record(good).image
    assert cloud.state == State(good, (), (good,))
    assert [run.split("__")[1] for run in cloud.airflow.runs] == [good, bad, good]


def test_a_dry_run_that_hangs_is_ended_and_rolled_back(cloud: Cloud, good: str) -> None:
    cloud.airflow.hanging.add(cloud.name)
    done = cloud.deploy()
    assert done.returncode == 1
    assert "has not ended in 1 s" in done.stderr
    # It would keep every other run out.
    (hung,) = [state for run, state in cloud.airflow.states.items() if cloud.name in run]
    assert hung == "failed"
    assert cloud.airflow.release == good


def test_a_release_that_airflow_cannot_parse_is_rolled_back(cloud: Cloud, good: str) -> None:
    cloud.airflow.broken = "Traceback …\nImportError: cloudseg_ops has no such thing"
    done = cloud.deploy()
    # The stand-in goes on being broken, so the old release does not parse either.
    assert done.returncode == 3
    assert "cloud_segmentation.py: ImportError: cloudseg_ops has no such thing" in done.stderr


def test_when_the_way_back_fails_too_somebody_has_to_look(cloud: Cloud, good: str) -> None:
    bad = cloud.name
    cloud.airflow.failing |= {bad, good}
    done = cloud.deploy()
    assert done.returncode == 3
    assert f"Rolling back to {good} failed as well: the dry run" in done.stderr
    assert f"make rollback ENVIRONMENT=staging RELEASE={good}" in done.stderr
    assert (cloud.state.good, cloud.state.tried, cloud.state.since) == (good, (bad,), None)

    # Once the cause is mended, the next delivery goes through, and cleans up after the failed one.
    cloud.airflow.failing.clear()
    cloud.commit({"README.md": "mended"})
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert f"{bad} was begun earlier and came to no good end" in done.stdout
    assert cloud.state == State(cloud.name, (), (good, cloud.name))
    assert not (cloud.bucket / f"cloudseg/releases/{bad}").exists()


def test_a_failed_first_release_has_nothing_to_go_back_to(cloud: Cloud) -> None:
    cloud.airflow.failing.add(cloud.name)
    done = cloud.deploy()
    assert done.returncode == 1
    assert "Nothing was rolled back, for there is no good release yet" in done.stderr
    assert (cloud.state.good, cloud.state.since) == (None, None)


@pytest.mark.parametrize("step", ["--update-env-variables", r"rsync .*dags/cloudseg_ops$", "restart-web-server"])
def test_a_permission_that_is_missing_half_way_rolls_back(cloud: Cloud, good: str, step: str) -> None:
    cloud.commit({"plugins/cloudseg_extra.py": "# a plugin\n"})
    cloud.fail(step, DENIED)
    done = cloud.deploy()
    assert done.returncode == 1
    assert "The identity that delivers lacks a permission: docs/delivery.md" in done.stderr
    assert f"{good} is in use again, and works" in done.stderr
    assert not (cloud.bucket / "plugins/cloudseg_extra.py").exists()
    assert not (cloud.bucket / "plugins/cloudseg_ops").exists()


@pytest.mark.parametrize(
    "step", ["environments describe", "docker push", "state.json", r"rsync .*releases/[^/]*/dags$"]
)
def test_a_permission_that_is_missing_before_anything_is_changed(cloud: Cloud, good: str, step: str) -> None:
    cloud.fail(step, DENIED)
    before = cloud.environment
    done = cloud.deploy()
    assert done.returncode == 1
    assert "lacks a permission" in done.stderr
    assert cloud.environment == before
    assert cloud.airflow.release == good
    assert (cloud.state.good, cloud.state.tried) == (good, ())


def test_a_photograph_that_cannot_be_removed_is_told(cloud: Cloud) -> None:
    cloud.fail("storage rm .*cloudseg-smoke")
    done = cloud.deploy()
    assert done.returncode == 0
    assert "is left over; no run takes what lies there" in done.stdout


def test_an_unknown_environment(cloud: Cloud) -> None:
    for name in ("nonesuch", "../staging", "Staging"):
        done = cloud.run("deploy", name, "--verified")
        assert done.returncode == 2
        assert f"there is no environment {name!r}; deploy/environments has production, staging" in done.stderr
    assert not cloud.calls()


def test_an_environment_that_composer_does_not_have(cloud: Cloud) -> None:
    (cloud.folder / "composer.json").unlink()
    done = cloud.deploy()
    assert done.returncode == 2
    assert "has no Composer environment cloudseg-staging in us-central1" in done.stderr


def test_an_environment_that_somebody_is_changing(cloud: Cloud) -> None:
    (cloud.folder / "composer.json").write_text(json.dumps({**cloud.environment, "state": "UPDATING"}))
    done = cloud.deploy()
    assert done.returncode == 2
    assert "is UPDATING" in done.stderr


def test_a_dirty_tree(cloud: Cloud) -> None:
    (cloud.checkout / "dags/cloud_segmentation.py").write_text("# half done")
    (cloud.checkout / "new.py").write_text("")
    done = cloud.deploy()
    assert done.returncode == 2
    assert "the work tree is dirty (dags/cloud_segmentation.py, new.py)" in done.stderr
    assert not cloud.calls()


@pytest.mark.parametrize("failing", ["lint", "test"])
def test_a_failing_check(cloud: Cloud, failing: str) -> None:
    cloud.fail(f"make {failing}")
    done = cloud.run("deploy", "staging")
    assert done.returncode == 2
    assert f"`make {failing}` fails" in done.stderr
    assert not cloud.calls("gcloud")


def test_settings_that_would_break_the_dag(cloud: Cloud) -> None:
    staging = cloud.checkout / "deploy/environments/staging.env"
    cloud.commit({"deploy/environments/staging.env": f"{staging.read_text()}CLOUDSEG_RETRIES=many\n"})
    done = cloud.run("deploy", "staging")
    assert done.returncode == 2
    assert "CLOUDSEG_RETRIES = 'many': " in done.stderr
    assert not cloud.calls()


def test_a_run_that_goes_on_is_waited_for(cloud: Cloud, good: str) -> None:
    cloud.airflow.unfinished = ["scheduled__1"] * 3
    done = cloud.deploy("--drain-seconds=60")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("waiting for scheduled__1") > 1


def test_a_run_that_goes_on_for_too_long_keeps_a_release_out(cloud: Cloud, good: str) -> None:
    cloud.airflow.unfinished = ["scheduled__1"] * 10_000
    done = cloud.deploy()
    assert done.returncode == 2
    assert "scheduled__1 goes on in staging" in done.stderr
    assert cloud.airflow.release == good


def test_a_paused_dag_is_parsed_and_not_tried(cloud: Cloud) -> None:
    staging = cloud.checkout / "deploy/environments/staging.env"
    cloud.commit({"deploy/environments/staging.env": staging.read_text().replace("UNPAUSE=true", "UNPAUSE=false")})
    cloud.airflow.paused = True
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("parsed and not tried, for the DAG is paused or a run stands first")
    assert cloud.airflow.paused
    assert cloud.state.good == cloud.name


def test_a_paused_dag_may_be_unpaused(cloud: Cloud) -> None:
    cloud.airflow.paused = True
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert not cloud.airflow.paused
    assert len(cloud.airflow.runs) == 1


def test_no_run_begins_while_a_release_comes(cloud: Cloud, good: str) -> None:
    cloud.airflow.events.clear()
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    # The dry run stands in the queue before anything else may begin.
    assert cloud.airflow.events == ["paused", "triggered", "let go", "let go"]
    assert not cloud.airflow.paused
    assert not cloud.state.held


def test_after_a_failure_the_dag_is_held_until_the_good_release_is_back(cloud: Cloud, good: str) -> None:
    cloud.airflow.events.clear()
    cloud.airflow.failing.add(cloud.name)
    assert cloud.deploy().returncode == 1
    assert cloud.airflow.events == ["paused", "triggered", "let go", "paused", "triggered", "let go", "let go"]
    assert not cloud.state.held


def test_a_run_that_begins_just_before_the_pause_is_waited_for(cloud: Cloud, good: str) -> None:
    cloud.airflow.events.clear()
    # Idle at the first look, and not at the second.
    cloud.airflow.starting = ["scheduled__1"]
    done = cloud.deploy("--drain-seconds=60")
    assert done.returncode == 0, done.stderr
    assert cloud.airflow.events[:3] == ["paused", "let go", "paused"]


def test_a_dag_that_could_not_be_let_go_is_remembered(cloud: Cloud, good: str) -> None:
    cloud.airflow.refusing_after_pause = 2
    done = cloud.deploy()
    assert done.returncode == 1
    assert "Airflow answered 403" in done.stderr
    assert cloud.airflow.paused
    assert (cloud.state.held, cloud.state.since, cloud.state.tried) == (True, None, ())
    assert cloud.deploy().returncode == 0
    assert not cloud.airflow.paused


def test_a_paused_dag_is_not_waited_for(cloud: Cloud, good: str) -> None:
    cloud.airflow.paused = True
    cloud.airflow.unfinished = ["scheduled__1"]
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert "no dry run: scheduled__1 would stand before it" in done.stdout
    assert cloud.airflow.paused


def test_what_a_killed_delivery_has_paused_is_let_go_by_the_next(cloud: Cloud, good: str) -> None:
    cloud.put("cloudseg/state.json", State(good, ("9.9.9-other",), (good,), time.time() - 60, held=True).to_json())
    staging = cloud.checkout / "deploy/environments/staging.env"
    cloud.commit({"deploy/environments/staging.env": staging.read_text().replace("UNPAUSE=true", "UNPAUSE=false")})
    cloud.airflow.paused = True
    done = cloud.deploy("--take-over")
    assert done.returncode == 0, done.stderr
    assert "its smoke test passed" in done.stdout
    assert not cloud.airflow.paused
    assert cloud.state == State(cloud.name, (), (good, cloud.name))


def test_workers_may_get_a_release_later_than_the_dag_processor(cloud: Cloud, good: str) -> None:
    cloud.airflow.behind = 2
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("its worker still had 0.0.9-old") == 2
    cloud.commit({"README.md": "again"})
    cloud.airflow.behind = 10_000
    done = cloud.deploy()
    assert "the workers still run release 0.0.9-old" in done.stderr


def test_what_is_no_longer_needed_goes_after_the_files_that_needed_it(cloud: Cloud, good: str) -> None:
    requirements = (cloud.checkout / "requirements.txt").read_text()
    cloud.commit({"requirements.txt": requirements.replace("dvc-gs==3.1.0\n", "")})
    assert cloud.deploy().returncode == 0
    lines = [" ".join(call) for call in cloud.calls()]
    (removed,) = [number for number, line in enumerate(lines) if "--remove-pypi-packages=dvc-gs" in line]
    brought = [number for number, line in enumerate(lines) if line.endswith("/dags/cloud_segmentation.py")]
    assert max(brought) < removed


def test_a_change_that_gcloud_does_not_wait_for_is_waited_for(cloud: Cloud, good: str) -> None:
    cloud.fail("--update-env-variables", "ERROR: (gcloud.composer.environments.update) connection lost")
    cloud.unusual("busy", "--update-env-variables", looks=3)
    done = cloud.deploy()
    assert done.returncode == 1
    assert f"{good} is in use again, and works" in done.stderr


def test_a_commit_that_is_older_than_the_one_in_use(cloud: Cloud, good: str) -> None:
    assert cloud.deploy().returncode == 0
    newer = cloud.name
    cloud.git("checkout", "--quiet", "HEAD~1")
    done = cloud.deploy()
    assert done.returncode == 2
    assert f"the commit in use, {newer[-12:]}, is not part of what is checked out" in done.stderr
    assert cloud.airflow.release == newer
    assert cloud.deploy("--downgrade").returncode == 0
    assert cloud.airflow.release == good


def test_values_of_variables_are_not_told(cloud: Cloud) -> None:
    done = cloud.deploy()
    assert "--update-env-variables=" in done.stdout
    assert "models.git" not in done.stdout + done.stderr


def test_what_breaks_in_the_delivery_itself_rolls_back_too(cloud: Cloud, good: str) -> None:
    cloud.commit({"plugins/cloudseg_extra.py": "# a plugin\n"})
    # An environment as no Composer tells of it.
    cloud.unusual("odd", "--update-env-variables")
    done = cloud.deploy()
    assert done.returncode == 1
    assert "KeyError: 'config'" in done.stderr
    assert f"{good} is in use again, and works" in done.stderr


def test_a_good_release_that_cannot_be_written_down(cloud: Cloud, good: str) -> None:
    cloud.fail("--if-generation-match", "ERROR: connection lost", skip=2)
    done = cloud.deploy()
    assert done.returncode == 1
    assert f"{cloud.name} is in use in staging, and that could not be written down" in done.stderr
    assert cloud.deploy("--take-over").returncode == 0


def test_a_404_of_what_stands_before_airflow_is_no_answer(cloud: Cloud, good: str) -> None:
    cloud.airflow.stray = ["<html>no backend</html>"] * 2
    assert cloud.deploy().returncode == 0


def test_airflow_may_be_away_for_a_while(cloud: Cloud, good: str) -> None:
    cloud.airflow.answers = [503, 502, 401]
    assert cloud.deploy().returncode == 0


def test_airflow_may_refuse_the_deployer(cloud: Cloud, good: str) -> None:
    cloud.airflow.answers = [403]
    done = cloud.deploy()
    assert done.returncode == 1
    assert "The deployer needs Airflow's role Op" in done.stderr
    assert cloud.airflow.release == good


def test_another_delivery_that_is_under_way(cloud: Cloud, good: str) -> None:
    cloud.put("cloudseg/state.json", State(good, ("9.9.9-other",), (good,), time.time() - 60).to_json())
    done = cloud.deploy()
    assert done.returncode == 2
    assert "a delivery of 9.9.9-other to staging has begun and not ended" in done.stderr
    assert cloud.deploy("--take-over").returncode == 0


def test_another_delivery_that_overtakes_is_not_undone(cloud: Cloud, good: str) -> None:
    # Somebody else has written the record between this one's beginning and its end.
    cloud.fail(
        "--if-generation-match", "ERROR: HTTPError 412: At least one of the pre-conditions did not hold.", skip=2
    )
    done = cloud.deploy()
    assert done.returncode == 1
    assert "Another delivery to this environment went on meanwhile" in done.stderr
    assert "rolling back" not in done.stdout
    assert cloud.airflow.release == cloud.name


def test_a_rehearsal_changes_nothing(cloud: Cloud, good: str) -> None:
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


def test_going_back_by_hand(cloud: Cloud, good: str) -> None:
    assert cloud.deploy().returncode == 0
    newer = cloud.name
    done = cloud.run("rollback", "staging", "--poll-seconds=0.05")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{good} is in use in staging again"
    assert cloud.airflow.release == good
    assert cloud.state == State(good, (), (good,))
    # Forth again, by its name.
    assert cloud.run("rollback", "staging", f"--release={newer}", "--poll-seconds=0.05").returncode == 0
    assert cloud.airflow.release == newer


def test_after_a_failed_way_back_one_goes_back_to_the_last_good_one(cloud: Cloud, good: str) -> None:
    cloud.airflow.failing |= {cloud.name, good}
    assert cloud.deploy().returncode == 3
    cloud.airflow.failing.clear()
    done = cloud.run("rollback", "staging", "--poll-seconds=0.05")
    assert done.stdout.splitlines()[-1] == f"{good} is in use in staging again"
    assert not cloud.airflow.paused


def test_going_back_waits_for_a_run_unless_it_is_told_not_to(cloud: Cloud, good: str) -> None:
    assert cloud.deploy().returncode == 0
    cloud.airflow.unfinished = ["scheduled__1"] * 10_000
    done = cloud.run("rollback", "staging", "--poll-seconds=0.05", "--drain-seconds=0.2")
    assert done.returncode == 2
    assert "scheduled__1 goes on in staging" in done.stderr
    assert "Without waiting: NOW=1" in done.stderr
    done = cloud.run("rollback", "staging", "--poll-seconds=0.05", "--now")
    assert done.returncode == 0, done.stderr
    assert "no dry run: scheduled__1" in done.stdout
    assert cloud.airflow.release == good
    assert not cloud.airflow.paused


def test_there_may_be_nothing_to_go_back_to(cloud: Cloud, good: str) -> None:
    done = cloud.run("rollback", "staging")
    assert done.returncode == 2
    assert f"no release before the last good one to go back to; kept are {good}" in done.stderr
    done = cloud.run("rollback", "staging", "--release=0.0.1-nonesuch")
    assert done.returncode == 2
    assert "there is no release 0.0.1-nonesuch" in done.stderr


def test_going_back_may_fail(cloud: Cloud, good: str) -> None:
    assert cloud.deploy().returncode == 0
    cloud.airflow.failing.add(good)
    done = cloud.run("rollback", "staging", "--poll-seconds=0.05")
    assert done.returncode == 3
    assert f"{good} could not be brought back" in done.stderr
    assert cloud.state.since is None


def test_status(cloud: Cloud, good: str) -> None:
    done = cloud.run("status", "staging")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"release {good}", f"commit {cloud.record(good).commit}", f"image {cloud.record(good).image}", f"kept: {good}",
    ]  # fmt: skip


def test_how_a_workflow_becomes_the_deployer(cloud: Cloud) -> None:
    done = cloud.run("target", "production")
    assert done.stdout.splitlines() == [
        "identity_provider=projects/1/locations/global/workloadIdentityPools/github/providers/cloudseg",
        "deployer=cloudseg-deployer@my-airflow.iam.gserviceaccount.com",
        "project=my-airflow",
    ]


def test_an_image_that_does_not_build(cloud: Cloud, good: str) -> None:
    cloud.fail("docker build", "no space left on device")
    done = cloud.deploy()
    assert done.returncode == 1
    assert "the build failed" in done.stderr
    assert cloud.airflow.release == good


def test_the_credentials_that_github_leaves_in_the_checkout_are_not_dirt(cloud: Cloud) -> None:
    (cloud.checkout / "gha-creds-0123456789abcdef.json").write_text("{}")
    assert cloud.deploy().returncode == 0
