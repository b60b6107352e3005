"""scripts/check-terraform.sh, with stand-ins for the providers that it would download."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.infra.terraform import CONFIGURATION, ROOT, Terraform


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "check-terraform.sh", tmp_path / "scripts")
    shutil.copytree(CONFIGURATION, tmp_path / "deploy" / "terraform", ignore=shutil.ignore_patterns(".terraform*"))
    return tmp_path


def check(tree: Path, terraform: Terraform) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tree / "scripts" / "check-terraform.sh"],
        env=terraform.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_valid_configuration_passes_unchanged(tree: Path, terraform: Terraform) -> None:
    before = sorted(tree.rglob("*"))
    done = check(tree, terraform)
    assert done.returncode == 0, done.stderr
    assert "The configuration is valid" in done.stdout
    assert sorted(tree.rglob("*")) == before


@pytest.mark.parametrize(
    ("wrong", "error"),
    [("public_acces_prevention  ", "is not expected here"), ("public_access_prevention         ", "buckets.tf")],
)
def test_invalid_configuration_fails(tree: Path, terraform: Terraform, wrong: str, error: str) -> None:
    file = tree / "deploy" / "terraform" / "buckets.tf"
    file.write_text(file.read_text().replace("public_access_prevention ", wrong, 1))
    done = check(tree, terraform)
    assert done.returncode != 0
    assert error in done.stdout + done.stderr


def test_missing_terraform_is_reported(tree: Path, terraform: Terraform) -> None:
    terraform.environment["PATH"] = "/usr/bin:/bin"
    if shutil.which("terraform", path="/usr/bin:/bin"):
        pytest.skip("Terraform is in /usr/bin, so it cannot be hidden")
    done = check(tree, terraform)
    assert done.returncode == 1
    assert "there is no terraform on the PATH; install it" in done.stderr
