"""The `cloudseg` command against the emulator, as an operator calls it."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

# DVC chooses its output stream on import, which must not happen while a test captures standard output.
import dvc.repo  # noqa: F401
import pytest

from cloudseg_ops import __version__
from cloudseg_ops.cli.airflow_commands import composer_command
from cloudseg_ops.cli.commands import main
from cloudseg_ops.config.pools import pool_command
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.registry.revision_choices import VARIABLE, parse_value, store_command
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator
from tests.conftest import Buckets
from tests.support.samples import put_inputs, put_masks, put_snapshot, source_of

Output = pytest.CaptureFixture[str]


@pytest.fixture
def environment(emulator: Emulator, buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    monkeypatch.setenv("CLOUDSEG_INPUT_BUCKET", buckets.input)
    monkeypatch.setenv("CLOUDSEG_OUTPUT_BUCKET", buckets.output)
    monkeypatch.setenv("CLOUDSEG_STAGING_BUCKET", buckets.staging)
    monkeypatch.setenv("CLOUDSEG_MODEL_REPOSITORY", "https://git.example.org/models.git")


@pytest.fixture
def run(store: Store, buckets: Buckets, layout: RunLayout) -> str:
    """The id of a run with one input left, one masked and one lost."""
    versions = put_inputs(store, buckets.input, ["a.jpg", "b.jpg", "c.jpg"])
    put_masks(store, buckets.output, [source_of(versions[1], buckets.input)])
    store.delete_many(buckets.input, [(item.name, item.generation) for item in versions[1:]])
    put_snapshot(store, layout, versions)
    put_snapshot(store, buckets.layout("holds"), versions[:2])
    return layout.run_id


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.delenv("CLOUDSEG_IMAGE", raising=False)
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"cloudseg {__version__}\n"


DIGEST = "@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("image", "code", "said"),
    [
        (f"host/engine:{__version__}-abc1234{DIGEST}", 0, [f"image {__version__} (host/engine:{__version__}-abc1234"]),
        (f"host/engine{DIGEST}", 0, ["image of unknown version (host/engine@"]),
        (f"host/engine:99.0.0{DIGEST}", 1, ["image 99.0.0 (", "NOT COMPATIBLE"]),
    ],
)
def test_the_version_of_the_image(
    image: str, code: int, said: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("CLOUDSEG_IMAGE", image)
    assert main(["version"]) == code
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"cloudseg {__version__}"
    assert len(rest) == len(said)
    assert all(line.startswith(words) for line, words in zip(rest, said, strict=True))


def test_a_run_that_holds(environment: None, run: str, capsys: Output) -> None:
    assert main(["audit", "--run", "holds"]) == 0
    shown = capsys.readouterr().out
    assert "run holds: 2 input versions" in shown
    assert "every input is accounted for" in shown
    assert "LOST" not in shown


def test_a_run_that_lost_an_input(environment: None, run: str, capsys: Output) -> None:
    assert main(["audit", "--run", run]) == 1
    shown = capsys.readouterr().out
    assert "INPUTS ARE LOST" in shown
    assert "  lost: c.jpg#" in shown
    assert "accounted" not in shown


def test_as_json(environment: None, run: str, capsys: Output) -> None:
    assert main(["audit", "--run", run, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["run_id"] == run
    assert told["holds"] is False
    assert told["objects"] == 3
    assert told["places"] == {"input": 1, "masked": 1, "quarantined": 0, "superseded": 0, "lost": 1}
    assert told["lost"][0].startswith("c.jpg#")
    assert main(["audit", "--run", "holds", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True


def test_a_run_that_does_not_exist(environment: None, buckets: Buckets, capsys: Output) -> None:
    assert main(["audit", "--run", "nonesuch"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("cloudseg: run 'nonesuch' has no snapshot")
    assert f"gs://{buckets.staging}/runs/" in captured.err


def test_without_a_run(environment: None, capsys: Output) -> None:
    assert main(["audit"]) == 2
    assert "--run RUN_ID" in capsys.readouterr().err


def test_without_settings(environment: None, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.delenv("CLOUDSEG_INPUT_BUCKET")
    assert main(["audit", "--run", "r"]) == 2
    assert "CLOUDSEG_INPUT_BUCKET is not set" in capsys.readouterr().err


def test_a_missing_bucket_is_not_a_lost_input(
    environment: None, run: str, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("CLOUDSEG_OUTPUT_BUCKET", "nowhere-1")
    assert main(["audit", "--run", run]) == 2
    assert "gs://nowhere-1: there is no such bucket" in capsys.readouterr().err


def test_the_pools_command_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    """Works without the DAG's settings, which a workstation that manages Composer does not have."""
    for name in [name for name in os.environ if name.startswith("CLOUDSEG_")]:
        monkeypatch.delenv(name)
    assert main(["pool", "--slots", "4", "--print"]) == 0
    assert shlex.split(capsys.readouterr().out) == pool_command("cloudseg_gpu", 4)
    monkeypatch.setenv("CLOUDSEG_POOL", "gpus")
    assert main(["pool", "--slots", "4", "--composer", "prod", "--location", "r", "--project", "p", "--print"]) == 0
    assert shlex.split(capsys.readouterr().out) == composer_command(pool_command("gpus", 4), "prod", "r", project="p")


def test_the_pools_slots_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
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


def test_the_revisions_are_listed(registry: str, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setenv("CLOUDSEG_MODEL_REPOSITORY", registry)
    assert main(["revisions"]) == 0
    assert capsys.readouterr().out.splitlines() == ["v10", "v9", "main"]
    monkeypatch.delenv("CLOUDSEG_MODEL_REPOSITORY")
    assert main(["revisions", "--repository", registry]) == 0
    assert main(["revisions"]) == 2
    assert "no model registry given; set CLOUDSEG_MODEL_REPOSITORY" in capsys.readouterr().err


def test_revisions_of_a_missing_registry(tmp_path: Path, capsys: Output) -> None:
    assert main(["revisions", "--refresh", "--repository", str(tmp_path / "nowhere")]) == 2
    assert "nowhere cannot be listed" in capsys.readouterr().err


def test_the_revisions_to_offer_are_set_by_airflows_own_command(registry: str, capsys: Output) -> None:
    revisions = ["v10", "v9", "main"]
    assert main(["revisions", "--refresh", "--repository", registry, "--print"]) == 0
    assert shlex.split(capsys.readouterr().out) == store_command(registry, revisions)
    composer = ["--composer", "prod", "--location", "r", "--project", "p"]
    assert main(["revisions", "--refresh", "--repository", registry, "--print", *composer]) == 0
    assert shlex.split(capsys.readouterr().out) == composer_command(
        store_command(registry, revisions), "prod", "r", project="p"
    )


@pytest.mark.parametrize("half", [["--composer", "prod"], ["--location", "r"]])
def test_a_composer_environment_has_a_name_and_a_region(half: list[str], capsys: Output) -> None:
    assert main(["pool", "--slots", "4", "--print", *half]) == 2
    assert "--composer ENVIRONMENT --location REGION" in capsys.readouterr().err


def test_the_pool_command_runs_and_its_failure_is_reported(
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
def test_airflow_has_the_pool_and_the_revisions_afterwards(tmp_path: Path, registry: str) -> None:
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


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["nonesuch"], ["audit", "--run"], ["version", "--json"],
        ["pool", "--slots", "0"], ["pool", "--slots", "-1"], ["pool", "--slots", "two"],
    ],
)  # fmt: skip
def test_unknown_arguments(arguments: list[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "usage: cloudseg" in capsys.readouterr().err


def test_the_exit_code_reaches_the_shell() -> None:
    command = [sys.executable, "-m", "cloudseg_ops.cli", "audit"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("cloudseg: no run given")
