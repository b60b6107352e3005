"""docs/operations.md against the code: its errors, its alerts, its commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cloudseg_ops.cli import commands as cli
from cloudseg_ops.config.settings import variables
from cloudseg_ops.contracts import errors
from cloudseg_ops.pods.manifest import APP_LABELS
from tests.support.commands import (
    DOCS,
    ROOT,
    Calls,
    airflow_commands,
    check_airflow_commands,
    check_links,
    check_syntax,
    names_block,
    run_blocks,
    shell_blocks,
)

DOCUMENT = DOCS / "operations.md"
ALERTS = ROOT / "deploy" / "terraform" / "alerts.tf"
DAG = ROOT / "dags" / "cloud_segmentation.py"


@pytest.fixture(scope="module")
def text() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def calls(text: str, tmp_path_factory: pytest.TempPathFactory) -> Calls:
    return run_blocks([names_block(), *shell_blocks(text)], tmp_path_factory.mktemp("operations"))


def _section(text: str, heading: str) -> str:
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def _rows(section: str) -> list[list[str]]:
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _tree(root: type[errors.CloudsegError], depth: int = 0) -> list[tuple[str, int]]:
    found = [(root.__name__, depth)]
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            found += _tree(child, depth + 1)
    return found


def test_error_table_matches_the_exception_tree(text: str) -> None:
    documented = [
        (re.findall(r"`(\w+)`", cells[0])[0], cells[0].count("–")) for cells in _rows(_section(text, "Errors"))
    ]
    # The second level is not indented, like the root.
    assert sorted(documented) == sorted((name, max(0, depth - 1)) for name, depth in _tree(errors.CloudsegError))


def test_every_error_has_a_meaning_and_a_remedy(text: str) -> None:
    for name, means, remedy in _rows(_section(text, "Errors")):
        assert len(means) > 10, name
        assert len(remedy) > 10 or name == "`CloudsegError`", name


def test_alerts_match_terraform(text: str) -> None:
    made = re.findall(r'^  display_name = "(cloudseg: [^"]+)"$', ALERTS.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(made) > 5
    assert sorted(cells[0].strip("`") for cells in _rows(_section(text, "Alerts"))) == sorted(made)


def test_every_variable_exists(text: str) -> None:
    assert set(re.findall(r"CLOUDSEG_[A-Z_]*[A-Z]", text)) <= set(variables())


def test_link_targets_exist() -> None:
    check_links(DOCUMENT)


def test_every_block_is_valid_bash(text: str) -> None:
    check_syntax(shell_blocks(text))


def test_airflow_accepts_the_commands(calls: Calls) -> None:
    check_airflow_commands(calls)


def test_runs_are_triggered_with_params_of_the_dag(calls: Calls) -> None:
    params = set(re.findall(r'"(\w+)": Param\(', DAG.read_text(encoding="utf-8")))
    given = [json.loads(words[words.index("--conf") + 1]) for words in airflow_commands(calls) if "--conf" in words]
    assert len(given) == 2
    assert all(conf.keys() <= params for conf in given)
    assert all(conf.get("after_success", "keep") in ("delete", "archive", "keep") for conf in given)


def test_command_line_accepts_the_commands(calls: Calls) -> None:
    asked = [call[1:] for call in calls.words if call[0] == "cloudseg"]
    assert [cli._parser().parse_args(words).command for words in asked] == ["audit", "audit", "audit", "resolve"]


def test_airflow_s_api_accepts_the_clear_request(calls: Calls) -> None:
    from airflow.api_fastapi.core_api.datamodels.task_instances import ClearTaskInstancesBody

    (index,) = [index for index, call in enumerate(calls.words) if call[0] == "curl"]
    body = ClearTaskInstancesBody.model_validate(json.loads(calls.inputs[index]))
    assert body.task_ids == [("segment", 3)]
    assert (body.dry_run, body.only_failed, body.include_downstream) == (False, False, True)


def test_pods_are_stopped_by_labels_and_quota(calls: Calls) -> None:
    (delete,) = calls.with_words("kubectl", "delete", "pods")
    selector = next(word for word in delete if word.startswith("--selector=")).removeprefix("--selector=")
    name, _, value = selector.partition("=")
    assert APP_LABELS[name] == value
    limits = [
        json.loads(call[call.index("--patch") + 1])["spec"]["hard"]["pods"]
        for call in calls.with_words("kubectl", "patch", "resourcequota", "cloudseg")
    ]
    assert limits == ["0", "8"]


def test_restore_never_overwrites_live_objects(calls: Calls) -> None:
    restored = calls.with_words("gcloud", "storage", "restore")
    assert len(restored) == 4
    assert all("--if-generation-match=0" in call or "--async" in call for call in restored)
    assert not any("--allow-overwrite" in call for call in restored)


def test_soft_delete_duration_matches_the_guide(text: str) -> None:
    guide = Path(DOCS / "gke.md").read_text(encoding="utf-8")
    assert set(re.findall(r"--soft-delete-duration=\S+", text)) <= set(re.findall(r"--soft-delete-duration=\S+", guide))
