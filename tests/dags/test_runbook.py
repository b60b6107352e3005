"""Redoing, draining and restoring as docs/operations.md describes them, under a real scheduler."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cloudseg_local.airflow_server import DAG_ID
from cloudseg_local.state import INPUT_BUCKET, OUTPUT_BUCKET
from cloudseg_ops.contracts.provenance import MaskProvenance, archive_name, mask_name
from cloudseg_ops.contracts.uris import GcsUri
from tests.support import tiny
from tests.support.running import RunningAirflow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("airflow")]


def _upload(airflow: RunningAirflow, prefix: str, count: int) -> list[str]:
    photographs = {f"{prefix}/{number}.png": tiny.photograph(number, 64, 48) for number in range(count)}
    airflow.upload(photographs)
    return sorted(photographs)


def _revisions(airflow: RunningAirflow, names: list[str]) -> set[str]:
    """The model revisions of inputs' masks."""
    found = airflow.store.stat_many(OUTPUT_BUCKET, [mask_name(name) for name in names])
    assert len(found) == len(names)
    provenances = [MaskProvenance.from_metadata(info.metadata) for info in found.values()]
    return {provenance.model_revision for provenance in provenances if provenance}


@contextmanager
def _paused(airflow: RunningAirflow) -> Iterator[None]:
    airflow.api._send("PATCH", f"/dags/{DAG_ID}", json={"is_paused": True})
    try:
        yield
    finally:
        airflow.api._send("PATCH", f"/dags/{DAG_ID}", json={"is_paused": False})


def test_archived_inputs_are_redone_after_copying_them_back(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    names = _upload(airflow, "from-archive", 2)
    assert airflow.run(model_revision="v1", after_success="archive")[1] == "success"
    assert (airflow.names(INPUT_BUCKET), _revisions(airflow, names)) == ([], {"v1"})
    airflow.upload({name: airflow.store.read(GcsUri(OUTPUT_BUCKET, archive_name(name))) for name in names})
    run_id, state = airflow.run(model_revision="v2", after_success="archive", input_prefix="from-archive/")
    assert (state, _revisions(airflow, names)) == ("success", {"v2"})
    assert airflow.audit(run_id).places["masked"] == 2
    # The line that the alerts on logs match.
    assert "figures: objects=2 quarantined=0 quarantined_share=0.000000 lost=0 " in airflow.log(run_id, "report")
    assert airflow.names(OUTPUT_BUCKET, "archive/from-archive/") == [archive_name(name) for name in names]


def test_kept_inputs_are_redone_once_by_another_revision(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    names = _upload(airflow, "kept", 2)
    for revision in ("v1", "v2"):
        assert airflow.run(model_revision=revision, after_success="keep")[1] == "success"
        assert _revisions(airflow, names) == {revision}
    before = airflow.store.stat_many(OUTPUT_BUCKET, [mask_name(name) for name in names])
    assert airflow.run(model_revision="v2", after_success="keep")[1] == "success"
    assert airflow.store.stat_many(OUTPUT_BUCKET, [mask_name(name) for name in names]) == before
    assert airflow.names(INPUT_BUCKET) == names


def test_restored_version_is_segmented_again(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    (name,) = _upload(airflow, "restored", 1)
    first, _ = airflow.run(after_success="delete")
    # Like a restore from soft delete: the same bytes and name, a new generation.
    _upload(airflow, "restored", 1)
    second, state = airflow.run(after_success="delete")
    assert (state, airflow.names(INPUT_BUCKET)) == ("success", [])
    assert airflow.audit(second).places["masked"] == 1
    assert airflow.audit(first).places["superseded"] == 1
    assert airflow.names(OUTPUT_BUCKET, "restored/") == [mask_name(name)]


def test_paused_dag_finishes_its_chunks_and_starts_nothing_else(clean_airflow: RunningAirflow) -> None:
    airflow = clean_airflow
    names = _upload(airflow, "drained", 4)
    with airflow.faults(latency=0.5):
        run_id = airflow.trigger()
        airflow.wait_for(lambda: "running" in airflow.tasks(run_id).get("segment", []) or None, 120)
        with _paused(airflow):
            airflow.wait_for(lambda: airflow.tasks(run_id)["segment"] == ["success"] or None, 120)
            with pytest.raises(AssertionError, match="did not come about"):
                airflow.wait_for(lambda: airflow.tasks(run_id)["clean_inputs"] != [None] or None, 8)
            assert airflow.api.run_state(DAG_ID, run_id) == "running"
            assert airflow.names(INPUT_BUCKET) == names
        assert airflow.wait(run_id) == "success"
    assert airflow.names(INPUT_BUCKET) == []
    assert airflow.audit(run_id).places["masked"] == 4
