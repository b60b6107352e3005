"""Links on tasks, as Airflow's UI requests them: every link works, and is shown only if its target exists."""

import pytest
import requests

from cloudseg_local.state import OUTPUT_BUCKET, STAGING_BUCKET
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.links.addresses import emulator_content, emulator_folder
from tests.support import tiny
from tests.support.running import RunningAirflow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("airflow")]

TASKS = ("sense_inputs", "pull_model", "plan_chunks", "segment", "clean_inputs", "report")


def _upload(airflow: RunningAirflow, prefix: str, count: int) -> None:
    airflow.upload({f"{prefix}/{number}.png": tiny.photograph(number, 64, 48) for number in range(count)})


def _open(address: str) -> str:
    answer = requests.get(address, timeout=10)
    assert answer.status_code == 200, address
    return answer.text


def test_every_link_of_a_run_works(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    _upload(airflow, "links", 6)
    airflow.upload({"links/broken.jpg": b"no image"})
    run_id, state = airflow.run(input_prefix="links/")
    assert state == "success"
    folder = emulator_folder(GcsUri(STAGING_BUCKET, f"runs/{run_id}/"), airflow.stack.state.gcs_url)
    assert airflow.links(run_id, "sense_inputs") == {"Run folder": folder}
    plan = emulator_content(airflow.layout(run_id).plan_html, airflow.stack.state.gcs_url)
    assert airflow.links(run_id, "plan_chunks") == {"Plan": plan, "Run folder": folder}
    assert _open(plan)
    for map_index in (0, 1):
        assert airflow.links(run_id, "segment", map_index) == {"Run folder": folder}
    assert "snapshot.jsonl" in _open(folder)
    # The example registry is a local folder, so there is no page of its commits.
    assert airflow.links(run_id, "pull_model") == airflow.links(run_id, "clean_inputs") == {}

    report = airflow.links(run_id, "report")
    assert set(report) == {"Run report", "Output folder", "Quarantine", "Run folder"}
    assert report["Run report"] == emulator_content(
        airflow.layout(run_id).report_folder / "report.html", airflow.stack.state.gcs_url
    )
    assert "cloudseg run report" in _open(report["Run report"])
    assert "0.png.mask.png" in _open(report["Output folder"])
    assert "broken.jpg" in _open(report["Quarantine"])


def test_plan_link_is_shown_if_the_page_exists(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    _upload(airflow, "planned", 1)
    run_id, state = airflow.run(dry_run=True)
    assert state == "success"
    links = airflow.links(run_id, "plan_chunks")
    assert set(links) == {"Plan", "Run folder"}
    assert run_id in _open(links["Plan"])
    assert airflow.links(run_id, "report") == {}


def test_failed_run_has_a_report(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    _upload(airflow, "failed", 8)
    refused = {"action": "status", "status": 501, "path": r"/failed/7\.png.*alt=media", "times": 1000}
    with airflow.faults(refused):
        run_id, state = airflow.run()
    assert (state, airflow.tasks(run_id)["report"]) == ("failed", ["failed"])
    links = airflow.links(run_id, "report")
    assert set(links) == {"Run report", "Output folder", "Run folder"}
    assert "cloudseg run report" in _open(links["Run report"])
    # The failed chunk has its link too.
    assert set(airflow.links(run_id, "segment", 1)) == {"Run folder"}


def test_link_is_shown_while_its_task_runs(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    _upload(airflow, "running", 4)
    with airflow.faults(latency=0.5):
        run_id = airflow.trigger()
        airflow.wait_for(lambda: airflow.tasks(run_id).get("segment") == ["running"] or None, 120)
        seen = airflow.wait_for(lambda: airflow.links(run_id, "segment", 0) or None, 60)
        assert airflow.tasks(run_id)["segment"] == ["running"]
    assert "snapshot.jsonl" in _open(seen["Run folder"])
    assert airflow.wait(run_id) == "success"


def test_run_without_new_objects_has_no_links(clean_airflow: RunningAirflow) -> None:
    run_id, _ = clean_airflow.run()
    assert [clean_airflow.links(run_id, task_id) for task_id in TASKS] == [{}] * len(TASKS)


def test_run_without_a_model_has_a_report_but_no_masks(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    _upload(airflow, "unknown", 1)
    run_id, state = airflow.run(model_revision="v9")
    assert state == "failed"
    links = airflow.links(run_id, "report")
    assert set(links) == {"Run report", "Run folder"}
    assert "cloudseg run report" in _open(links["Run report"])
    assert airflow.names(OUTPUT_BUCKET, "unknown/") == []
