"""A DAG folder laid out exactly as in a Composer bucket parses in an environment of Composer's versions.

Uses the Airflow of the tests; COMPOSER_PYTHON names the Python of another build, made by scripts/composer-venv.sh.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from cloudseg_delivery.tree import lay_out
from tests.composer.bucket import COMMIT, IMAGE, parse, production, this_python

pytestmark = pytest.mark.slow
OTHER = os.environ.get("COMPOSER_PYTHON")
LIST = Path(__file__).parents[2] / "requirements/composer"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bucket")
    lay_out(Path(__file__).parents[2], folder, COMMIT)
    (folder / "plugins").mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def parsed(bucket: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    python = Path(OTHER) if OTHER else this_python()
    return parse(python, bucket / "dags", bucket / "plugins", tmp_path_factory.mktemp("home"), production())


def test_dag_is_parsed_and_tagged_with_its_release(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    dag = parsed["dags"]["cloud_segmentation"]
    assert {"sense_inputs", "pull_model", "plan_chunks", "segment", "clean_inputs", "report"} <= set(dag["tasks"])
    assert any(tag.endswith(f"-{COMMIT[:12]}") for tag in dag["tags"])


def test_package_is_imported_from_the_bucket(bucket: Path, parsed: dict[str, Any]) -> None:
    assert Path(parsed["package"]).is_relative_to(bucket)


def test_package_modules_are_not_loaded_as_plugins(parsed: dict[str, Any]) -> None:
    assert parsed["plugin_errors"] == {}


def test_nothing_heavy_is_imported(parsed: dict[str, Any]) -> None:
    assert parsed["heavy"] == []


@pytest.mark.skipif(not OTHER, reason="COMPOSER_PYTHON names no Python of a Composer build")
def test_versions_are_those_of_composer(parsed: dict[str, Any]) -> None:
    lines = (LIST / f"composer-3-airflow-{parsed['airflow']}.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    for name, version in parsed["providers"].items():
        assert pins.get(f"apache-airflow-providers-{name}", version) == version


@pytest.mark.parametrize("runtime", ["local", "kubernetes"])
def test_dag_parses_with_other_runtimes(bucket: Path, tmp_path: Path, runtime: str) -> None:
    variables = {**production(), "CLOUDSEG_RUNTIME": runtime, "CLOUDSEG_IMAGE": IMAGE}
    python = Path(OTHER) if OTHER else this_python()
    found = parse(python, bucket / "dags", bucket / "plugins", tmp_path, variables)
    assert found["errors"] == {}
    assert "cloud_segmentation" in found["dags"]


CONTROL = '''
"""The same imports from Airflow and the same tasks, and no code of cloudseg."""
from datetime import timedelta

from airflow.providers.google.cloud.operators.kubernetes_engine import GKEStartPodOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, Param, TriggerRule
from pydantic import BaseModel

with DAG(dag_id="control", schedule="@daily", params={"one": Param("x", type="string")}):
    tasks = [EmptyOperator(task_id=f"task_{number}") for number in range(7)]
    for before, after in zip(tasks, tasks[1:]):
        before >> after
'''


def test_parse_takes_little_longer_than_its_airflow_imports(bucket: Path, tmp_path: Path) -> None:
    python = Path(OTHER) if OTHER else this_python()
    (tmp_path / "control").mkdir()
    (tmp_path / "control/control.py").write_text(CONTROL)
    folders = {"ours": bucket / "dags", "control": tmp_path / "control"}
    # The minimum CPU time of several parses excludes other load of the machine.
    best = dict.fromkeys(folders, float("inf"))
    for _ in range(4):
        for name, dags in folders.items():
            found = parse(python, dags, bucket / "plugins", tmp_path, production())
            assert found["errors"] == {}
            best[name] = min(best[name], found["cpu_seconds"])
    print(f"parse: {best['ours']:.2f} s, without cloudseg {best['control']:.2f} s")
    assert best["ours"] <= 1.15 * best["control"]
