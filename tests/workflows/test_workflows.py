"""Rules for the workflows that actionlint, zizmor and GitHub's schema (scripts/check-workflows.sh) do not check."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloudseg_delivery.targets import FOLDER

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
EXAMPLES = sorted((ROOT / "examples/model-repository/.github/workflows").glob("*.yml"))
WORKFLOWS: dict[str, dict[Any, Any]] = {path.stem: yaml.safe_load(path.read_text()) for path in FILES}
JOBS = [(name, job, made) for name, workflow in WORKFLOWS.items() for job, made in workflow["jobs"].items()]
STEPS = [(f"{name}.{job}", step) for name, job, made in JOBS for step in made.get("steps", [])]


def on(name: str) -> Any:
    return WORKFLOWS[name][True]  # YAML reads the word `on` as true


def test_list_of_workflows() -> None:
    assert list(WORKFLOWS) == ["ci", "deliver", "deploy", "rollback"]


def test_actions_are_pinned_by_commit_with_a_version_comment() -> None:
    for path in (*FILES, *EXAMPLES):
        for line in path.read_text().splitlines():
            if found := re.search(r"uses: (?!\./)(.*)", line):
                assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", found[1]), line


def test_each_action_has_one_commit() -> None:
    texts = [path.read_text() for path in (*FILES, *EXAMPLES)]
    used = {action for text in texts for action in re.findall(r"uses: (?!\./)(\S+)", text)}
    assert len(used) == len({action.partition("@")[0] for action in used})


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_grant_no_permissions(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {}


@pytest.mark.parametrize(("name", "job", "made"), JOBS, ids=[f"{name}.{job}" for name, job, _ in JOBS])
def test_jobs_have_minimal_permissions_and_a_timeout(name: str, job: str, made: dict[str, Any]) -> None:
    delivers = made.get("uses", "").endswith("deliver.yml") or name == "deliver"
    assert made["permissions"] == {"contents": "read", **({"id-token": "write"} if delivers else {})}
    assert "uses" in made or 0 < made["timeout-minutes"] <= 240


def test_steps_run_one_program_without_expressions() -> None:
    for where, step in STEPS:
        command = step.get("run", "x")
        assert "${{" not in command, where
        assert "\n" not in command.strip(), where
        assert not set(command) & set(";|&`"), where


def test_called_scripts_exist_and_are_executable() -> None:
    called = {shlex.split(step["run"])[0] for _, step in STEPS if "run" in step}
    for program in called - {"make", "python", "kind", "docker", ".cloudseg/venv/bin/python"}:
        assert (ROOT / program).stat().st_mode & 0o111, program
    targets = {shlex.split(step["run"])[1] for _, step in STEPS if step.get("run", "").startswith("make ")}
    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_checkouts_do_not_persist_credentials() -> None:
    checkouts = [step for _, step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_delivery_checks_out_the_full_history() -> None:
    (checkout,) = (step for where, step in STEPS if where == "deliver.deliver" and step["name"] == "Check out")
    assert checkout["with"]["fetch-depth"] == 0


def test_pending_review_does_not_block_other_runs() -> None:
    assert WORKFLOWS["deploy"]["concurrency"]["group"] == "deploy-${{ github.run_id }}"


def test_only_verified_commits_of_main_are_delivered() -> None:
    assert on("deploy")["push"] == {"branches": ["main"]}
    jobs = WORKFLOWS["deploy"]["jobs"]
    assert jobs["verify"]["uses"] == "./.github/workflows/ci.yml"
    assert (jobs["staging"]["needs"], jobs["production"]["needs"]) == ("verify", "staging")
    for job in (jobs["staging"], WORKFLOWS["rollback"]["jobs"]["rollback"]):
        assert "github.ref == 'refs/heads/main'" in job["if"]
    assert "vars.CLOUDSEG_DEPLOY == 'true'" in jobs["staging"]["if"]


def test_deliveries_to_an_environment_are_serialized() -> None:
    made = WORKFLOWS["deliver"]["jobs"]["deliver"]
    assert made["concurrency"] == {"group": "deliver-${{ inputs.environment }}", "cancel-in-progress": False}
    assert made["environment"] == "${{ inputs.environment }}"


def test_delivery_environments_exist() -> None:
    known = {path.stem for path in (ROOT / FOLDER).glob("*.env")}
    jobs = WORKFLOWS["deploy"]["jobs"]
    delivered = {job["with"]["environment"] for job in jobs.values() if "with" in job}
    assert delivered == set(on("rollback")["workflow_dispatch"]["inputs"]["environment"]["options"])
    assert delivered <= known


def test_both_composer_builds_are_tested() -> None:
    builds = sorted(path.stem for path in (ROOT / "requirements/composer").glob("*.txt"))
    jobs = WORKFLOWS["ci"]["jobs"]
    assert sorted(jobs["composer"]["strategy"]["matrix"]["build"]) == builds
    tested = {entry["airflow"]: entry["lock"] for entry in jobs["tests"]["strategy"]["matrix"]["include"]}
    assert sorted(f"composer-3-airflow-{version}" for version in tested) == builds
    for version, lock in tested.items():
        assert f"\napache-airflow=={version}\n" in (ROOT / f"requirements/{lock}.lock").read_text()


@pytest.mark.parametrize("name", ["deploy", "rollback", "status", "target", "tag"])
def test_called_delivery_commands_exist(name: str) -> None:
    words = [step["run"] for _, step in STEPS if f"cloudseg_delivery {name}" in step.get("run", "")]
    assert words
    command = [sys.executable, "-S", "-m", "cloudseg_delivery", name, "--help"]
    # -S: on the runner, only the standard library is installed.
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    options = {word for line in words for word in shlex.split(line) if word.startswith("--")}
    assert all(option in done.stdout for option in options)


@pytest.mark.skipif(
    not Path(sys.executable).with_name("zizmor").exists(), reason="requirements/test.lock is not installed"
)
def test_workflow_checks_pass() -> None:
    done = subprocess.run(
        [str(ROOT / "scripts/check-workflows.sh")],
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "HOME": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
