"""The plugin, loaded by Airflow in a separate process each time."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_DESCRIBE = """
import json, sys
from airflow import plugins_manager
if hasattr(plugins_manager, "_get_plugins"):
    plugins, errors = plugins_manager._get_plugins()
else:
    plugins_manager.ensure_plugins_loaded()
    plugins, errors = plugins_manager.plugins, plugins_manager.import_errors
ours = [plugin for plugin in plugins if plugin.name == "cloudseg"]
print("RESULT" + json.dumps({
    "errors": errors,
    "views": [plugin.external_views for plugin in ours],
    "apps": [[app["url_prefix"] for app in plugin.fastapi_apps] for plugin in ours],
    "heavy": sorted({"torch", "dvc", "google.cloud.storage", "PIL", "numpy", "jinja2", "fastapi"} & set(sys.modules)),
    "strays": sorted({"settings", "errors", "results", "layout", "storage"} & set(sys.modules)),
    "from": sys.modules["cloudseg_ops"].__file__ if "cloudseg_ops" in sys.modules else None,
}))
"""


def describe(folder: Path, home: Path, python_path: str) -> dict[str, Any]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("CLOUDSEG", "AIRFLOW", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _DESCRIBE],
        env={
            **clean,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": python_path,
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "RESULT" in done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.rpartition("RESULT")[2])
    return found


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return describe(ROOT / "plugins", tmp_path_factory.mktemp("airflow"), str(ROOT))


def test_plugin_loads_without_settings_or_heavy_imports(loaded: dict[str, Any]) -> None:
    assert loaded["errors"] == {}
    assert loaded["apps"] == [["/cloudseg"]]
    assert not {"torch", "dvc", "google.cloud.storage", "PIL", "numpy"} & set(loaded["heavy"])


def test_plugin_views_are_for_runs_and_tasks(loaded: dict[str, Any]) -> None:
    (views,) = loaded["views"]
    assert [(view["name"], view["destination"]) for view in views] == [
        ("Gallery", "dag_run"),
        ("Progress", "dag_run"),
        ("Gallery", "task_instance"),
    ]
    assert len({view["url_route"] for view in views}) == len(views)
    for view in views:
        assert view["href"].startswith("cloudseg/dags/{DAG_ID}/runs/{RUN_ID}/")


def test_plugin_loads_next_to_its_package_as_in_composer(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    shutil.copytree(ROOT / "plugins", folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "cloudseg_ops", folder / "cloudseg_ops", ignore=shutil.ignore_patterns("__pycache__"))
    found = describe(folder, tmp_path, "")
    assert (found["errors"], found["strays"]) == ({}, [])
    assert found["apps"] == [["/cloudseg"]]
    assert found["from"] == str(folder / "cloudseg_ops" / "__init__.py")


def test_no_module_imports_the_plugins() -> None:
    sources = [*(ROOT / "dags").glob("*.py"), *(ROOT / "cloudseg_ops").rglob("*.py")]
    assert sources
    for source in sources:
        assert not re.search(r"^\s*(import|from) plugins\b", source.read_text("utf-8"), re.MULTILINE), source
