"""The delivered tree: its files, and that Airflow finds only the DAG in it."""

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from cloudseg_delivery.tree import files_outside_package, lay_out, packages_of
from cloudseg_ops.contracts.errors import DeliveryRefusedError

ROOT = Path(__file__).parents[2]
COMMIT = "1a2b3c4d5e6f" + "0" * 28


def repository(folder: Path, *files: str) -> Path:
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    for name in ("cloudseg_ops/__init__.py", "dags/one.py", ".gitignore", *files):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("__pycache__/\n" if name == ".gitignore" else f"# {name}\n")
    return folder


def test_package_is_copied_next_to_dags_and_plugins(tmp_path: Path) -> None:
    root = repository(
        tmp_path / "root",
        *("plugins/links.py", "cloudseg_ops/report/page.py", "cloudseg_ops/report/report.css"),
        *("cloudseg_local/demo.py", "cloudseg_delivery/cli.py", "cloudseg_ops/__pycache__/x.pyc", "tests/t.py"),
    )
    files = lay_out(root, tmp_path / "tree", COMMIT)
    package = {".airflowignore", "__init__.py", "contracts/commit.py", "report/page.py", "report/report.css"}
    homes = {f"{home}/cloudseg_ops/{name}" for home in ("dags", "plugins") for name in package}
    assert files.keys() == {"dags/one.py", "plugins/links.py"} | homes
    assert packages_of(files) == ["dags/cloudseg_ops", "plugins/cloudseg_ops"]
    assert files_outside_package(files) == ["dags/one.py", "plugins/links.py"]
    for name, digest in files.items():
        assert hashlib.sha256((tmp_path / "tree" / name).read_bytes()).hexdigest() == digest
    assert f'COMMIT = "{COMMIT}"' in (tmp_path / "tree/plugins/cloudseg_ops/contracts/commit.py").read_text()


def test_without_plugins_the_package_is_only_next_to_dags(tmp_path: Path) -> None:
    files = lay_out(repository(tmp_path / "root"), tmp_path / "tree", "")
    assert packages_of(files) == ["dags/cloudseg_ops"]


def test_folder_without_git_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    with pytest.raises(DeliveryRefusedError, match="is not a git repository"):
        lay_out(tmp_path, tmp_path / "tree", "")


@pytest.mark.parametrize("syntax", ["glob", "regexp"])
def test_airflow_parses_the_dag_files_but_not_the_package(tmp_path: Path, syntax: str) -> None:
    from airflow.utils.file import find_path_from_directory

    lay_out(ROOT, tmp_path, COMMIT)
    found = {
        Path(path).relative_to(tmp_path / "dags")
        for path in find_path_from_directory(tmp_path / "dags", ".airflowignore", syntax)
    }
    dags = {path.relative_to(ROOT / "dags") for path in (ROOT / "dags").rglob("*.py")}
    assert found == dags


def test_delivered_files_do_not_mention_undelivered_packages(tmp_path: Path) -> None:
    lay_out(ROOT, tmp_path, COMMIT)
    wanting = {
        f"{path.relative_to(tmp_path)}: {found}"
        for path in tmp_path.rglob("*.py")
        for found in re.findall(r"(?:cloudseg_local|cloudseg_delivery|gcs_emulator)\b\S*", path.read_text())
    }
    assert wanting == set()
