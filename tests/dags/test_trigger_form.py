"""The DAG's trigger form, as Airflow's UI gets it: its schema, and the revisions that it offers."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cloudseg_local.airflow_server import DAG_ID
from cloudseg_ops.contracts.errors import LocalError
from cloudseg_ops.registry.revision_choices import VARIABLE, invalidate_choices, parse_value
from tests.support import tiny
from tests.support.running import RunningAirflow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("airflow")]


def _params(airflow: RunningAirflow) -> dict[str, dict[str, Any]]:
    params: dict[str, dict[str, Any]] = airflow.api._send("GET", f"/dags/{DAG_ID}/details").json()["params"]
    return params


def _offered(airflow: RunningAirflow) -> list[str]:
    offered: list[str] = _params(airflow)["model_revision"]["schema"]["examples"]
    return offered


def _set_variable(airflow: RunningAirflow, value: str | None) -> None:
    airflow.api._send("DELETE", f"/variables/{VARIABLE}", accept=(204, 404))
    if value is not None:
        airflow.api._send("POST", "/variables", json={"key": VARIABLE, "value": value})


def _await_offer(airflow: RunningAirflow, *revisions: str) -> None:
    """Wait for a parse after a manual change, without waiting for the cached Variable to expire."""

    def offers() -> bool | None:
        invalidate_choices(str(airflow.stack.state.registry))
        return _offered(airflow) == list(revisions) or None

    airflow.wait_for(offers, 90)


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_every_param_has_a_schema_and_description(airflow: RunningAirflow) -> None:
    params = _params(airflow)
    assert list(params) == ["model_revision", "input_prefix", "after_success", "max_objects", "dry_run"]
    for name, param in params.items():
        schema = param["schema"]
        assert schema["title"], name
        assert schema["type"], name
        assert len(param["description"] or schema["description"]) > 20, name
    schemas = {name: param["schema"] for name, param in params.items()}
    assert (schemas["max_objects"]["minimum"], schemas["max_objects"]["maximum"]) == (1, 10_000_000)
    assert set(schemas["after_success"]["values_display"]) == set(schemas["after_success"]["enum"])
    assert {name: param["value"] for name, param in params.items()} == {
        "model_revision": "v2", "input_prefix": None, "after_success": "delete", "max_objects": None, "dry_run": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "params",
    [
        {"model_revision": ""}, {"model_revision": None}, {"model_revision": "v1\n"}, {"model_revision": "a..b"},
        {"model_revision": "v1.lock"}, {"model_revision": "x" * 201}, {"model_revision": "clouds#"},
        {"input_prefix": "gs://bucket/a"}, {"input_prefix": "GS://bucket/a"}, {"input_prefix": "a\nb"},
        {"input_prefix": "a" * 1025}, {"input_prefix": 7},
        {"after_success": None}, {"after_success": "DELETE"},
        {"max_objects": 10_000_001}, {"max_objects": 1.5}, {"max_objects": "7"}, {"max_objects": -1},
        {"dry_run": None}, {"dry_run": 1},
    ],
)  # fmt: skip
def test_invalid_value_is_rejected_before_a_run_starts(airflow: RunningAirflow, params: dict[str, object]) -> None:
    with pytest.raises(LocalError, match="Airflow returned 4") as raised:
        airflow.trigger(**params)
    assert next(iter(params)) in str(raised.value)


def test_run_refreshes_revisions_and_others_are_accepted(
    clean_airflow: RunningAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow = clean_airflow
    airflow.upload({"offered/0.png": tiny.photograph(0, 64, 48)})
    registry = airflow.stack.state.registry
    monkeypatch.setenv("AIRFLOW_HOME", str(airflow.stack.state.airflow_home))
    _set_variable(airflow, None)
    _await_offer(airflow, "v2")
    commit = _git(registry, "rev-parse", "v1^{commit}")
    # Not offered, and accepted anyway.
    assert airflow.run(model_revision=commit)[1] == "success"
    value = airflow.api._send("GET", f"/variables/{VARIABLE}").json()["value"]
    assert parse_value(value, str(registry)) == ["v2", "v1", "main"]
    airflow.wait_for(lambda: _offered(airflow) == ["v2", "v1", "main"] or None, 60)


def test_invalid_variable_does_not_break_the_parse(airflow: RunningAirflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(airflow.stack.state.airflow_home))
    _set_variable(airflow, json.dumps({"repository": str(airflow.stack.state.registry), "revisions": ["before"]}))
    _await_offer(airflow, "v2", "before")
    _set_variable(airflow, "garbage")
    _await_offer(airflow, "v2")
    assert airflow.api.has_dag(DAG_ID)
