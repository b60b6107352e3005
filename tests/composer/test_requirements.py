"""requirements.txt against Composer's preinstalled packages. `make requirements` resolves them with an index."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTS = sorted((ROOT / "requirements/composer").glob("*.txt"))


def pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)$", text, re.MULTILINE))


def test_both_builds_are_listed() -> None:
    assert [path.stem for path in LISTS] == ["composer-3-airflow-3.1.7", "composer-3-airflow-3.3.1"]


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_list_states_its_source_and_date(path: Path) -> None:
    text = path.read_text()
    assert "docs.cloud.google.com/composer/docs/versions-packages" in text
    assert re.search(r"^# released: 2026-\d\d-\d\d$", text, re.MULTILINE)
    assert pins(text)["apache-airflow-core"] == path.stem.removeprefix("composer-3-airflow-")
    assert {"apache-airflow-providers-cncf-kubernetes", "apache-airflow-providers-common-compat"} <= pins(text).keys()


def test_demo_uses_the_airflow_of_the_newest_build() -> None:
    demo = pins((ROOT / "requirements/demo.lock").read_text())
    newest = pins(LISTS[-1].read_text())
    names = [name for name in newest if name.startswith("apache-airflow")]
    assert {name: demo[name] for name in names if name in demo} == {
        name: newest[name] for name in names if name in demo
    }


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script in a separate repository, with a `uv` that returns a file instead of resolving."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/check-requirements.sh", tmp_path / "scripts")
    shutil.copytree(ROOT / "requirements/composer", tmp_path / "requirements/composer")
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >>"{tmp_path}/calls"\nwhile [ "$1" != --output-file ]; do shift; done\n'
        f'[ -f "{tmp_path}/answer" ] || {{ echo "no solution found" >&2; exit 1; }}\ncp "{tmp_path}/answer" "$2"\n'
    )
    python.chmod(0o755)
    return tmp_path


def call(root: Path, *builds: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(root / "scripts/check-requirements.sh"), *builds],
        env={**os.environ, "PYTHON": str(root / "python"), "OUTPUT": str(root)},
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


def test_resolution_is_reported_for_each_build(script: Path) -> None:
    (script / "answer").write_text("dvc==3.67.1\npathspec==1.1.1\n")
    done = call(script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{path.stem}: 2 packages, including dvc==3.67.1" for path in LISTS]
    calls = (script / "calls").read_text()
    assert calls.count("--exclude-newer\n2026-08-26") == 2
    assert (script / f"{LISTS[0].stem}.lock").read_text() == (script / "answer").read_text()


def test_conflicting_requirements_fail(script: Path) -> None:
    done = call(script, LISTS[0].stem)
    assert done.returncode == 1
    assert f"does not resolve together with {LISTS[0].stem}" in done.stderr
    assert "no solution found" in done.stderr


def test_pytorch_on_the_workers_is_rejected(script: Path) -> None:
    (script / "answer").write_text("dvc==3.67.1\ntorch==2.13.0\n")
    done = call(script, LISTS[0].stem)
    assert done.returncode == 1
    assert "torch==2.13.0\ncloudseg: the packages above would be installed on the workers of" in done.stderr


def test_unknown_build_is_rejected(script: Path) -> None:
    done = call(script, "composer-3-airflow-9.9.9")
    assert done.returncode == 1
    assert "there is no requirements/composer/composer-3-airflow-9.9.9.txt" in done.stderr
