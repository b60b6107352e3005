"""The DAG file: it parses quickly and has the expected tasks and params. Each test parses it in a separate process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
DAG_FILE = ROOT / "dags" / "cloud_segmentation.py"
SETTINGS = {
    "CLOUDSEG_INPUT_BUCKET": "photos-in",
    "CLOUDSEG_OUTPUT_BUCKET": "masks-out",
    "CLOUDSEG_STAGING_BUCKET": "staging",
    "CLOUDSEG_MODEL_REPOSITORY": "https://git.example/models.git",
    "CLOUDSEG_MODEL_REVISION": "v1.2",
}
_DESCRIBE = """
import json, runpy, sys
dag = runpy.run_path(sys.argv[1])["dag"]
costly = {
    "torch", "dvc", "google.cloud.storage", "google.cloud.pubsub_v1", "google.api_core", "google.auth", "grpc", "PIL",
    "numpy", "kubernetes",
}
heavy = sorted(costly & set(sys.modules))
print("RESULT" + json.dumps({
    "heavy": heavy,
    "dag_id": dag.dag_id,
    "catchup": dag.catchup,
    "max_active_runs": dag.max_active_runs,
    "schedule": str(dag.schedule),
    "sends_failures": bool(dag.on_failure_callback),
    "params": {name: {"value": param.value, **param.schema} for name, param in dag.params.items()},
    "tasks": {
        task.task_id: {
            "rule": task.trigger_rule.value,
            "upstream": sorted(task.upstream_task_ids),
            "mapped": task.is_mapped,
            "pool": task.pool,
            "doc": bool(task.doc_md),
            "owner": task.owner,
            "outlets": [asset.name for asset in task.outlets],
            "retries": task.retries,
            "operator": task.task_type if not task.is_mapped else task.operator_class.__name__,
            "teardown": task.is_teardown,
        }
        for task in dag.tasks
    },
}))
"""


def _python(tmp_path: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("CLOUDSEG", "AIRFLOW"))}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(DAG_FILE)],
        env={**clean, "AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = _python(tmp_path_factory.mktemp("airflow"), _DESCRIBE, **SETTINGS)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.rpartition("RESULT")[2])
    return found


def test_parsing_imports_nothing_heavy(described: dict[str, Any]) -> None:
    assert described["heavy"] == []


def test_parse_does_not_query_revisions(tmp_path: Path) -> None:
    """The parse queries neither a database nor git."""
    nowhere = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/nowhere/airflow.db",
        "_AIRFLOW_PROCESS_CONTEXT": "server",
        "AIRFLOW_VAR_CLOUDSEG_REVISIONS": '{"repository": "https://git.example/models.git", "revisions": ["v1"]}',
    }
    guarded = """
import sys
def guard(event, arguments):
    assert event not in ("socket.connect", "socket.getaddrinfo", "sqlite3.connect"), event
    # Python's own platform module asks `file` about its architecture.
    assert event != "subprocess.Popen" or arguments[0] == "file", arguments
sys.addaudithook(guard)
"""
    done = _python(tmp_path, guarded + _DESCRIBE, **SETTINGS, **nowhere)
    assert done.returncode == 0, done.stderr
    params = json.loads(done.stdout.rpartition("RESULT")[2])["params"]
    assert params["model_revision"]["examples"] == ["v1.2"]


def test_schedule(described: dict[str, Any]) -> None:
    assert described["dag_id"] == "cloud_segmentation"
    assert (described["catchup"], described["max_active_runs"]) == (False, 1)
    assert "CronTriggerTimetable" in described["schedule"]


def test_task_dependencies(described: dict[str, Any]) -> None:
    tasks = described["tasks"]
    assert list(tasks) == ["sense_inputs", "pull_model", "plan_chunks", "segment", "clean_inputs", "report"]
    for before, after in zip(tasks, list(tasks)[1:], strict=False):
        assert before in tasks[after]["upstream"]
    assert tasks["segment"]["mapped"]
    assert tasks["segment"]["pool"] == "cloudseg_gpu"
    for task_id in ("clean_inputs", "report"):
        assert tasks[task_id]["rule"] == "none_skipped"


@pytest.mark.parametrize(
    ("runtime", "operator", "more"),
    [
        ("kubernetes", "KubernetesSegmentOperator", {}),
        ("gke", "GKESegmentOperator", {"CLOUDSEG_GKE_CLUSTER": "gpus", "CLOUDSEG_GKE_LOCATION": "europe-west4"}),
    ],
)
def test_pod_runtimes(tmp_path: Path, runtime: str, operator: str, more: dict[str, str]) -> None:
    image = "registry.example/cloudseg@sha256:" + "0" * 64
    done = _python(tmp_path, _DESCRIBE, **SETTINGS, CLOUDSEG_RUNTIME=runtime, CLOUDSEG_IMAGE=image, **more)
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout.rpartition("RESULT")[2])
    segment, release = described["tasks"]["segment"], described["tasks"]["release_pods"]
    assert (segment["operator"], segment["mapped"], segment["pool"]) == (operator, True, "cloudseg_gpu")
    assert segment["retries"] == 4
    assert release["teardown"]
    assert release["upstream"] == ["segment"]
    # The google provider imports Cloud Storage's client; nothing else is imported.
    assert not {"torch", "dvc", "PIL"} & set(described["heavy"])


def test_custom_runtime_and_results_format(tmp_path: Path) -> None:
    (tmp_path / "my_module.py").write_text(
        "from cloudseg_ops.config.results_formats import ResultsFormat\n"
        "from cloudseg_ops.config.runtimes import Runtime\n"
        "NAMES = ResultsFormat('names.txt', 'text/plain', 'my_module:names')\n"
        "BATCH = Runtime(operator='my_operators:BatchSegmentOperator', requires=('image',))\n"
    )
    (tmp_path / "my_operators.py").write_text(
        "from airflow.sdk import BaseOperator\n"
        "class BatchSegmentOperator(BaseOperator):\n"
        "    def __init__(self, *, settings, model, chunk, **task):\n"
        "        super().__init__(**task)\n"
    )
    more = {
        "CLOUDSEG_RUNTIME": "my_module:BATCH",
        "CLOUDSEG_RESULTS_FORMATS": "my_module:NAMES",
        "PYTHONPATH": f"{ROOT}:{tmp_path}",
    }
    lacking = _python(tmp_path, _DESCRIBE, **SETTINGS, **more)
    assert "SettingsError: CLOUDSEG_RUNTIME=my_module:BATCH needs CLOUDSEG_IMAGE" in lacking.stderr
    done = _python(tmp_path, _DESCRIBE, **SETTINGS, **more, CLOUDSEG_IMAGE="x.example/y@sha256:" + "0" * 64)
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout.rpartition("RESULT")[2])
    segment = described["tasks"]["segment"]
    assert (segment["operator"], segment["mapped"], segment["pool"]) == ("BatchSegmentOperator", True, "cloudseg_gpu")
    assert segment["retries"] == 4
    assert "release_pods" not in described["tasks"]
    assert described["heavy"] == []


def test_every_task_has_documentation_and_an_owner(described: dict[str, Any]) -> None:
    for task_id, task in described["tasks"].items():
        assert task["doc"], task_id
        assert task["owner"] == "cloudseg"


def test_params_are_typed_and_documented(described: dict[str, Any]) -> None:
    params = described["params"]
    assert list(params) == ["model_revision", "input_prefix", "after_success", "max_objects", "dry_run"]
    assert params["model_revision"]["value"] == "v1.2"
    assert params["after_success"]["enum"] == ["delete", "archive", "keep"]
    for name, param in params.items():
        assert param["title"], name
        assert param["type"], name


def test_missing_setting_breaks_the_parse_with_its_name(tmp_path: Path) -> None:
    settings = {key: value for key, value in SETTINGS.items() if key != "CLOUDSEG_STAGING_BUCKET"}
    done = _python(tmp_path, _DESCRIBE, **settings)
    assert done.returncode != 0
    assert "CLOUDSEG_STAGING_BUCKET is not set" in done.stderr


def test_schedule_none_means_manual_runs(tmp_path: Path) -> None:
    done = _python(tmp_path, _DESCRIBE, **SETTINGS, CLOUDSEG_SCHEDULE="none")
    assert json.loads(done.stdout.rpartition("RESULT")[2])["schedule"] == "None"


def test_event_and_failure_settings_import_nothing_heavy(tmp_path: Path) -> None:
    more = {
        "CLOUDSEG_PUBSUB_SUBSCRIPTION": "projects/p/subscriptions/photographs",
        "CLOUDSEG_ON_FAILURE": "https://hooks.example/very-secret",
    }
    done = _python(tmp_path, _DESCRIBE, **SETTINGS, **more)
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout.rpartition("RESULT")[2])
    assert described["heavy"] == []
    assert "AssetOrTimeSchedule" in described["schedule"]
    assert described["sends_failures"]
    assert "very-secret" not in done.stdout + done.stderr


def test_by_default_failures_are_not_sent_and_masks_are_an_asset(described: dict[str, Any]) -> None:
    assert not described["sends_failures"]
    assert {task_id: task["outlets"] for task_id, task in described["tasks"].items() if task["outlets"]} == {
        "report": ["cloudseg_masks"]
    }
