"""`cloudseg pool` and `cloudseg revisions`, as an operator calls them."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cloudseg_ops.cli.airflow_commands import composer_command
from cloudseg_ops.cli.commands import main
from cloudseg_ops.config.pools import pool_command
from cloudseg_ops.registry.revision_choices import VARIABLE, parse_value, store_command

Output = pytest.CaptureFixture[str]


def test_pool_command_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    """Works without the DAG's settings, which a workstation that manages Composer does not have."""
    for name in [name for name in os.environ if name.startswith("CLOUDSEG_")]:
        monkeypatch.delenv(name)
    assert main(["pool", "--slots", "4", "--print"]) == 0
    assert shlex.split(capsys.readouterr().out) == pool_command("cloudseg_gpu", 4)
    monkeypatch.setenv("CLOUDSEG_POOL", "gpus")
    assert main(["pool", "--slots", "4", "--composer", "prod", "--location", "r", "--project", "p", "--print"]) == 0
    assert shlex.split(capsys.readouterr().out) == composer_command(pool_command("gpus", 4), "prod", "r", project="p")


def test_pool_slots_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setenv("CLOUDSEG_POOL_SLOTS", "6")
    assert main(["pool", "--print"]) == 0
    assert shlex.split(capsys.readouterr().out) == pool_command("cloudseg_gpu", 6)
    assert main(["pool", "--print", "--slots", "4"]) == 0
    assert shlex.split(capsys.readouterr().out) == pool_command("cloudseg_gpu", 4)
    for wrong in ("", "many"):
        monkeypatch.setenv("CLOUDSEG_POOL_SLOTS", wrong)
        assert main(["pool", "--print"]) == 2
        assert "CLOUDSEG_POOL_SLOTS" in capsys.readouterr().err


@pytest.fixture
def registry(tmp_path: Path) -> str:
    """A git repository with two tags on one branch."""
    folder = tmp_path / "models"
    for words in (
        ["init", "--quiet", "--initial-branch=main", str(folder)],
        ["-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@e", "commit", "-qm", "one", "--allow-empty"],
        ["-C", str(folder), "tag", "v9"],
        ["-C", str(folder), "tag", "v10"],
    ):
        subprocess.run(["git", *words], check=True, timeout=30)
    return str(folder)


def test_revisions_are_listed(registry: str, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setenv("CLOUDSEG_MODEL_REPOSITORY", registry)
    assert main(["revisions"]) == 0
    assert capsys.readouterr().out.splitlines() == ["v10", "v9", "main"]
    monkeypatch.delenv("CLOUDSEG_MODEL_REPOSITORY")
    assert main(["revisions", "--repository", registry]) == 0
    assert main(["revisions"]) == 2
    assert "no model registry given; set CLOUDSEG_MODEL_REPOSITORY" in capsys.readouterr().err


def test_missing_registry_is_reported(tmp_path: Path, capsys: Output) -> None:
    assert main(["revisions", "--refresh", "--repository", str(tmp_path / "nowhere")]) == 2
    assert "nowhere cannot be listed" in capsys.readouterr().err


def test_revision_choices_are_set_with_airflow_s_command(registry: str, capsys: Output) -> None:
    revisions = ["v10", "v9", "main"]
    assert main(["revisions", "--refresh", "--repository", registry, "--print"]) == 0
    assert shlex.split(capsys.readouterr().out) == store_command(registry, revisions)
    composer = ["--composer", "prod", "--location", "r", "--project", "p"]
    assert main(["revisions", "--refresh", "--repository", registry, "--print", *composer]) == 0
    assert shlex.split(capsys.readouterr().out) == composer_command(
        store_command(registry, revisions), "prod", "r", project="p"
    )


@pytest.mark.parametrize("half", [["--composer", "prod"], ["--location", "r"]])
def test_composer_environment_needs_a_name_and_a_region(half: list[str], capsys: Output) -> None:
    assert main(["pool", "--slots", "4", "--print", *half]) == 2
    assert "--composer ENVIRONMENT --location REGION" in capsys.readouterr().err


def test_pool_command_is_run_and_its_failure_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    gcloud = tmp_path / "gcloud"
    gcloud.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit "$GCLOUD_ENDS_WITH"\n')
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = ["pool", "--slots", "4", "--composer", "prod", "--location", "r"]
    assert main(arguments) == 2
    assert "`gcloud` cannot be run (Permission denied)" in capfd.readouterr().err
    gcloud.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setenv("GCLOUD_ENDS_WITH", "0")
    assert main(arguments) == 0
    assert capfd.readouterr().out.splitlines() == composer_command(pool_command("cloudseg_gpu", 4), "prod", "r")[1:]
    monkeypatch.setenv("GCLOUD_ENDS_WITH", "3")
    assert main(arguments) == 2
    assert "the command ended with exit code 3: gcloud composer" in capfd.readouterr().err


@pytest.mark.slow
def test_pool_and_revision_choices_exist_in_airflow_afterwards(tmp_path: Path, registry: str) -> None:
    """A pool that counts deferred tasks, and the revisions to offer."""
    environment = {
        **os.environ, "AIRFLOW_HOME": str(tmp_path), "CLOUDSEG_POOL": "gpus", "PYTHONWARNINGS": "ignore",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
    }  # fmt: skip

    def call(*words: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", *words], env=environment, capture_output=True, text=True, check=True, timeout=120
        ).stdout

    call("airflow", "db", "migrate")
    for slots in ("3", "5"):  # creates the pool, then changes it
        call("cloudseg_ops.cli", "pool", "--slots", slots)
        pool = next(
            item for item in json.loads(call("airflow", "pools", "list", "-o", "json")) if item["pool"] == "gpus"
        )
        assert (pool["slots"], pool["include_deferred"]) == (slots, "True")
    call("cloudseg_ops.cli", "revisions", "--refresh", "--repository", registry)
    assert parse_value(call("airflow", "variables", "get", VARIABLE).strip(), registry) == ["v10", "v9", "main"]
