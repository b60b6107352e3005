"""A clean checkout, a cloud in a folder, and stand-ins for the programs and for Airflow."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudseg_delivery.changes import read_requirements
from cloudseg_delivery.records import Release, State
from cloudseg_delivery.targets import FOLDER
from cloudseg_ops import __version__
from cloudseg_ops.contracts.versions import release_name
from tests.cloudseg_delivery import stand_in
from tests.cloudseg_delivery.airflow_stand_in import AirflowStandIn, airflow_on

ROOT = Path(__file__).parents[2]
BUCKET = "us-central1-cloudseg-bucket"
# The files that a delivery reads. Plugins are added by tests.
NEEDED = ("cloudseg_delivery", "cloudseg_ops", "dags", "deploy", "docker", "requirements", "scripts",
          "requirements.txt", "CHANGELOG.md", "LICENSE", ".dockerignore", ".gitignore")  # fmt: skip


# Not those of the repository, which the deploying team fills in.
TARGET = """\
PROJECT=my-airflow
LOCATION=us-central1
COMPOSER_ENVIRONMENT=cloudseg-{name}
IMAGE_REPOSITORY=us-central1-docker.pkg.dev/my-project/cloudseg/engine
IMAGE_VARIANT=cuda
IDENTITY_PROVIDER=projects/1/locations/global/workloadIdentityPools/github/providers/cloudseg
DEPLOYER=cloudseg-deployer@my-airflow.iam.gserviceaccount.com
UNPAUSE=true

CLOUDSEG_INPUT_BUCKET=my-input
CLOUDSEG_OUTPUT_BUCKET=my-output
CLOUDSEG_STAGING_BUCKET=my-staging
CLOUDSEG_MODEL_REPOSITORY=https://git.example.com/team/models.git
CLOUDSEG_RUNTIME=gke
CLOUDSEG_GKE_LOCATION=us-central1
CLOUDSEG_GKE_CLUSTER=cloudseg
CLOUDSEG_NODE_SELECTOR=one=1,two=2
CLOUDSEG_SPOT=true
"""


DENIED = "ERROR: (gcloud) PERMISSION_DENIED: The caller does not have permission"
OLD_DAG = "dags/old_dag.py"
PACKAGES = read_requirements((ROOT / "requirements.txt").read_text())


@dataclass
class Cloud:
    """The state and the recorded calls of the stand-ins, and a checkout to deliver from."""

    folder: Path
    checkout: Path
    airflow: AirflowStandIn

    @property
    def bucket(self) -> Path:
        return self.folder / "gs" / BUCKET

    @property
    def environment(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "composer.json").read_text())
        return found

    @property
    def software(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = self.environment["config"]["softwareConfig"]
        return found

    @property
    def state(self) -> State:
        return State.from_json((self.bucket / "cloudseg/state.json").read_text())

    def record(self, name: str) -> Release:
        return Release.from_json((self.bucket / f"cloudseg/releases/{name}/release.json").read_text())

    def set_environment(self, **software: dict[str, str]) -> None:
        config = {
            "dagGcsPrefix": f"gs://{BUCKET}/dags",
            "airflowUri": f"{self.airflow.url}/",
            "softwareConfig": {"pypiPackages": {}, "envVariables": {}, **software},
        }
        (self.folder / "composer.json").write_text(json.dumps({"state": "RUNNING", "config": config}))

    def put(self, name: str, text: str) -> None:
        file = self.bucket / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def fail(self, match: str, error: str = "ERROR: on purpose", skip: int = 0) -> None:
        """Make the first matching call fail, or a later one."""
        file = self.folder / "faults.json"
        faults = json.loads(file.read_text()) if file.exists() else []
        file.write_text(json.dumps([*faults, {"match": match, "error": error, "skip": skip, "done": False}]))

    def unusual(self, kind: str, after: str, looks: int = 1) -> None:
        """Make Composer report that it is busy, or answer incompletely, after a call with this word."""
        (self.folder / "unusual.json").write_text(json.dumps([{"kind": kind, "after": after, "looks": looks}]))

    def calls(self, *words: str) -> list[list[str]]:
        """The calls so far with all of these words; the first one is the program's name."""
        file = self.folder / "calls.jsonl"
        calls = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [call for call in calls if set(words) <= set(call)]

    def builds(self) -> list[list[str]]:
        """The calls of Docker."""
        return [call for call in self.calls() if call[0] == "docker"]

    def forget_calls(self) -> None:
        (self.folder / "calls.jsonl").unlink(missing_ok=True)

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=self.checkout, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, changes: dict[str, str | None] | None = None) -> str:
        """Commit changes of files (None deletes one); returns the name of that commit's release."""
        for name, text in (changes or {}).items():
            file = self.checkout / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink() if text is None else file.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "A change")
        return self.name

    @property
    def name(self) -> str:
        return release_name(__version__, self.git("rev-parse", "HEAD"))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command in the checkout, as `make` and the workflow do."""
        return subprocess.run(
            [sys.executable, "-m", "cloudseg_delivery", *arguments],
            cwd=self.checkout,
            env={
                "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
                "HOME": str(self.folder),
                "CLOUD": str(self.folder),
                "PYTHONPATH": str(self.checkout),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def deploy(self, *more: str) -> subprocess.CompletedProcess[str]:
        return self.run(
            *("deploy", "staging", "--verified", "--poll-seconds=0.05", "--parse-seconds=1", "--run-seconds=1"),
            *("--drain-seconds=0.5", *more),
        )


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed checkout whose environments are filled in."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *NEEDED],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in listed:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for file in (folder / FOLDER).glob("*.env"):
        file.unlink()
    for name in ("staging", "production"):
        (folder / FOLDER / f"{name}.env").write_text(TARGET.format(name=name))
    for words in (
        ["init", "--quiet", "--initial-branch=main"],
        ["config", "user.name", "Tester"],
        ["config", "user.email", "tester@example.org"],
        ["add", "--all"],
        ["commit", "--quiet", "--message", "All of it"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


@contextmanager
def _cloud_in(root: Path, pristine: Path) -> Iterator[Cloud]:
    checkout, folder = root / "checkout", root / "cloud"
    shutil.copytree(pristine, checkout)
    (folder / "bin").mkdir(parents=True)
    program = f"#!{sys.executable} -IS\n{Path(stand_in.__file__).read_text()}"
    for name in ("gcloud", "docker", "make"):
        file = folder / "bin" / name
        file.write_text(program)
        file.chmod(0o755)
    with airflow_on(folder / "gs" / BUCKET / "dags") as airflow:
        made = Cloud(folder, checkout, airflow)
        made.set_environment()
        yield made


@pytest.fixture
def cloud(pristine: Path, tmp_path: Path) -> Iterator[Cloud]:
    with _cloud_in(tmp_path, pristine) as made:
        yield made


@pytest.fixture(scope="session")
def delivered(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Cloud, str]:
    """A cloud with a good release, which tests copy because the delivery takes seconds; and the release's name."""
    with _cloud_in(tmp_path_factory.mktemp("delivered"), pristine) as cloud:
        name = cloud.commit({OLD_DAG: "# an old DAG\n", "dags/cloudseg_ops_notes.py": "# other\n"})
        done = cloud.deploy()
        assert done.returncode == 0, done.stderr
        cloud.commit({OLD_DAG: None, "CHANGELOG.md": "changed\n"})
        cloud.forget_calls()
    return cloud, name


@pytest.fixture
def good(cloud: Cloud, delivered: tuple[Cloud, str]) -> str:
    """The name of a good release in the environment, with a DAG that the next release no longer has."""
    other, name = delivered
    for ours, theirs in ((cloud.checkout, other.checkout), (cloud.folder, other.folder)):
        shutil.rmtree(ours)
        shutil.copytree(theirs, ours, symlinks=True)
    for key in ("paused", "events", "runs", "states", "tokens"):
        setattr(cloud.airflow, key, copy.deepcopy(getattr(other.airflow, key)))
    config = cloud.environment
    config["config"]["airflowUri"] = f"{cloud.airflow.url}/"
    (cloud.folder / "composer.json").write_text(json.dumps(config))
    return name


@pytest.fixture(autouse=True)
def _no_real_gcloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join(["/usr/bin", "/bin"]))
