"""Whole runs of the DAG under a real scheduler, with a real registry, engine and buckets."""

import json
import re

import pytest

from cloudseg_local.airflow_server import DAG_ID, chunks_at_once
from cloudseg_local.state import INPUT_BUCKET, OUTPUT_BUCKET, STAGING_BUCKET
from cloudseg_ops.contracts.errors import LocalError
from cloudseg_ops.contracts.provenance import MaskProvenance
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.progress import ChunkPhase, RunProgress, read_run_progress
from tests.support import tiny
from tests.support.running import RunningAirflow, kill_process

# All tests share one Airflow, so one worker runs them.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("airflow")]


def _photographs(prefix: str, count: int) -> dict[str, bytes]:
    return {f"{prefix}/{number}.png": tiny.photograph(number, 64, 48) for number in range(count)}


def test_photographs_become_masks(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    airflow.upload({**_photographs("happy", 6), "happy/broken.jpg": b"no image", "happy/notes.txt": b"not sensed"})
    run_id, state = airflow.run(model_revision="v1")
    assert (state, airflow.tasks(run_id)["segment"]) == ("success", ["success", "success"])
    assert airflow.names(INPUT_BUCKET) == ["happy/notes.txt"]
    masks = airflow.names(OUTPUT_BUCKET, "happy/")
    assert masks == [f"happy/{number}.png.mask.png" for number in range(6)]
    assert airflow.names(OUTPUT_BUCKET, "quarantine/happy/") == ["quarantine/happy/broken.jpg"]
    audit = airflow.audit(run_id)
    assert (audit.objects, audit.places["masked"], audit.places["quarantined"]) == (7, 6, 1)
    info = airflow.store.stat(GcsUri(OUTPUT_BUCKET, masks[0]))
    assert info is not None
    provenance = MaskProvenance.from_metadata(info.metadata)
    assert provenance is not None
    assert (provenance.model_revision, provenance.run_id) == ("v1", run_id)
    report = json.loads(airflow.store.read(airflow.layout(run_id).report_folder / "report.json"))
    assert report["model"]["commit"] == provenance.model_commit
    assert set(report["seconds"]) == {"sense", "pull", "plan", "segment", "clean"}
    assert b"happy/0.png" in airflow.store.read(airflow.layout(run_id).report_folder / "report.html")


def test_run_reports_progress_and_names_its_chunks(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    airflow.upload(_photographs("seen", 8))
    with airflow.faults(latency=0.4):
        run_id = airflow.trigger()
        layout = airflow.layout(run_id)
        under_way = airflow.wait_for(lambda: _under_way(airflow, layout), 120)
        assert (under_way.total, under_way.finished) == (8, False)
        assert airflow.wait(run_id) == "success"
    ended = read_run_progress(airflow.store, layout)
    assert (ended.done, ended.total, ended.finished, ended.seconds_left) == (8, 8, True, 0.0)
    chunks = sorted(airflow.instances(run_id, "segment"), key=lambda instance: instance["map_index"])
    labels = [instance["rendered_map_index"] for instance in chunks]
    assert [label.split(",")[0] for label in labels] == ["chunk 0: 4 of 4 images", "chunk 1: 4 of 4 images"]
    assert airflow.xcom(run_id, "segment", "progress", map_index=1)["done"] == 4
    # The next plan reads the speed of a chunk and the start time of its engine from the report.
    report = json.loads(airflow.store.read(layout.report_folder / "report.json"))
    assert all(chunk["seconds"] > 0 and chunk["start_seconds"] > 0 for chunk in report["chunks"])
    plan = airflow.xcom(run_id, "plan_chunks", "plan")
    assert (plan["dry_run"], plan["objects"], plan["chunks"]["count"]) == (False, 8, 2)
    assert b"This is the plan of the run." in airflow.store.read(layout.plan_html)


def _under_way(airflow: RunningAirflow, layout: RunLayout) -> RunProgress | None:
    found = read_run_progress(airflow.store, layout)
    return found if found.count(ChunkPhase.RUNNING) else None


def test_run_without_new_objects_is_skipped(clean_airflow: RunningAirflow) -> None:
    run_id, state = clean_airflow.run()
    assert state == "success"
    assert {task: set(states) for task, states in clean_airflow.tasks(run_id).items()} == {
        task: {"skipped"} for task in ("sense_inputs", "pull_model", "plan_chunks", "segment", "clean_inputs", "report")
    }


def test_dry_run_changes_nothing(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    airflow.upload(_photographs("dry", 6))
    run_id, state = airflow.run(dry_run=True)
    tasks = airflow.tasks(run_id)
    assert (state, tasks["plan_chunks"], tasks["segment"], tasks["report"]) == (
        "success",
        ["success"],
        ["skipped"],
        ["skipped"],
    )
    log = airflow.log(run_id, "plan_chunks")
    assert "GPU hours" in log
    assert "2, of 3 images" in log
    assert "up to 6 inputs" in log
    assert airflow.names(INPUT_BUCKET) == [f"dry/{number}.png" for number in range(6)]
    assert airflow.names(OUTPUT_BUCKET, "dry/") == []
    layout = airflow.layout(run_id)
    assert airflow.names(OUTPUT_BUCKET, layout.report_folder.name) == [layout.plan_html.name, layout.plan_json.name]
    assert airflow.names(STAGING_BUCKET, layout.folder.name) == [layout.model.name, layout.snapshot.name]
    plan = json.loads(airflow.store.read(layout.plan_json))
    chunk_list = plan.pop("chunk_list")
    assert plan == airflow.xcom(run_id, "plan_chunks", "plan")
    assert [chunk["objects"] for chunk in chunk_list] == [3, 3]
    assert (plan["dry_run"], plan["dealt_with"], plan["at_once"]) == (True, 0, chunks_at_once())
    assert read_run_progress(airflow.store, layout).chunks == []


def test_dry_run_uses_the_rate_of_earlier_runs(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    airflow.upload(_photographs("measured", 4))
    measured, state = airflow.run(after_success="keep")
    assert state == "success"
    planned, state = airflow.run(dry_run=True, after_success="keep")
    assert state == "success"
    plan = airflow.xcom(planned, "plan_chunks", "plan")
    assert plan["rate"]["measured_in"][0] == measured
    assert plan["rate"]["same_model"]
    assert plan["rate"]["start_seconds"] > 0
    # Kept inputs already have masks.
    assert (plan["objects"], plan["dealt_with"], plan["estimate"]["images"]) == (4, 4, 0)
    log = airflow.log(planned, "plan_chunks")
    assert re.search(rf"measured in +{re.escape(measured)}", log)
    assert "the next run finds them again" in log


def test_unknown_revision_fails_the_run_and_changes_nothing(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    airflow.upload(_photographs("revision", 1))
    run_id, state = airflow.run(model_revision="v9")
    tasks = airflow.tasks(run_id)
    assert (state, tasks["pull_model"], tasks["segment"]) == ("failed", ["failed"], ["upstream_failed"])
    assert (tasks["clean_inputs"], tasks["report"]) == (["success"], ["failed"])
    assert "no revision 'v9'; its tags are v2, v1" in airflow.log(run_id, "pull_model")
    assert airflow.names(INPUT_BUCKET) == ["revision/0.png"]
    assert airflow.audit(run_id).places["input"] == 1


def test_misspelled_param_fails_the_run_before_anything_is_read(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    airflow.upload(_photographs("misspelled", 1))
    run_id, state = airflow.run(dryrun=True)
    tasks = airflow.tasks(run_id)
    assert (state, tasks["sense_inputs"], tasks["pull_model"]) == ("failed", ["failed"], ["upstream_failed"])
    assert airflow.task(run_id, "sense_inputs").tries == 1
    assert "'dryrun' (did you mean dry_run?)" in airflow.log(run_id, "sense_inputs")
    assert airflow.names(INPUT_BUCKET) == ["misspelled/0.png"]
    layout = airflow.layout(run_id)
    assert airflow.names(STAGING_BUCKET, layout.folder.name) == []
    assert airflow.names(OUTPUT_BUCKET, layout.report_folder.name) == []


def test_permanently_failed_chunk_does_not_affect_others(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    airflow.upload(_photographs("partly", 8))
    refused = {"action": "status", "status": 501, "path": r"/partly/7\.png.*alt=media", "times": 1000}
    with airflow.faults(refused):
        run_id, state = airflow.run()
    tasks = airflow.tasks(run_id)
    assert (state, tasks["segment"]) == ("failed", ["success", "failed"])
    assert (tasks["clean_inputs"], tasks["report"]) == (["success"], ["failed"])
    # The failed chunk's finished images are also proven and cleaned up.
    assert airflow.names(INPUT_BUCKET) == ["partly/7.png"]
    assert airflow.audit(run_id).places == {"input": 1, "masked": 7, "quarantined": 0, "superseded": 0, "lost": 0}
    assert "1 chunks did not finish: [1]" in airflow.log(run_id, "report")
    assert airflow.run()[1] == "success"
    assert airflow.names(INPUT_BUCKET) == []


def test_input_under_a_hold_fails_the_run_and_leaves_the_others(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    airflow.upload(_photographs("held", 6))
    with airflow.held(INPUT_BUCKET, "held/2.png"):
        run_id, state = airflow.run()
        tasks = airflow.tasks(run_id)
        assert (state, set(tasks["segment"])) == ("failed", {"success"})
        assert (tasks["clean_inputs"], tasks["report"]) == (["failed"], ["failed"])
        assert airflow.task(run_id, "clean_inputs").tries == 1
        assert airflow.names(INPUT_BUCKET) == ["held/2.png"]
    log = airflow.log(run_id, "clean_inputs")
    assert "1 proven inputs could not be deleted or archived: 1 under a hold (held/2.png: Object" in log
    report = json.loads(airflow.store.read(airflow.layout(run_id).report_json))
    assert report["verdict"]["headline"] == "1 input could not be deleted"
    assert (report["cleanup"]["counts"]["deleted"], report["cleanup"]["not_deleted"]["held"]["count"]) == (5, 1)
    assert [task["task_id"] for task in report["failed_tasks"]["first"]] == ["clean_inputs"]
    page = airflow.store.read(airflow.layout(run_id).report_html).decode()
    assert "under active Temporary hold" in page
    assert "neither a proven mask" not in page
    assert airflow.audit(run_id).holds
    airflow.change_task(run_id, "clean_inputs", -1, "cleared")
    airflow.change_task(run_id, "report", -1, "cleared")
    assert airflow.wait_for(lambda: airflow.wait(run_id)) == "success"
    assert airflow.names(INPUT_BUCKET) == []


def test_archive_keeps_a_copy(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    photographs = _photographs("archived", 1)
    airflow.upload(photographs)
    assert airflow.run(after_success="archive")[1] == "success"
    assert airflow.names(INPUT_BUCKET) == []
    copy = airflow.store.read(GcsUri(OUTPUT_BUCKET, "archive/archived/0.png"))
    assert copy == photographs["archived/0.png"]


@pytest.mark.parametrize(
    "params", [{"after_success": "burn"}, {"model_revision": "--upload-pack=x"}, {"max_objects": 0}, {"dry_run": "no"}]
)
def test_invalid_params_are_rejected_before_a_run_starts(airflow: RunningAirflow, params: dict[str, object]) -> None:
    with pytest.raises(LocalError, match="Airflow returned 4"):
        airflow.trigger(**params)


@pytest.mark.parametrize("victim", ["cloudseg_ops.engine", "airflow scheduler", "gcs_emulator"])
def test_run_survives_kill_9_during_segmentation(clean_airflow: RunningAirflow, victim: str) -> None:
    airflow = clean_airflow
    prefix = victim.replace(" ", "-")
    airflow.upload(_photographs(prefix, 8))
    with airflow.faults(latency=0.2):
        run_id = airflow.trigger()
        airflow.wait_for(lambda: airflow.names(OUTPUT_BUCKET, f"{prefix}/") or None, 120)
        assert kill_process(airflow, victim)
        state = airflow.wait(run_id)
    assert state == "success", airflow.tasks(run_id)
    assert airflow.audit(run_id).places["masked"] == 8
    assert airflow.names(INPUT_BUCKET) == []


def test_api_lists_no_unfinished_runs(airflow: RunningAirflow) -> None:
    assert airflow.api.unfinished_runs(DAG_ID) == []
