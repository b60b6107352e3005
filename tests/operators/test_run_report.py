import re
from typing import Any

import pytest

from cloudseg_ops.contracts.errors import InputsLostError, RunIncompleteError
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.operators.run_report import check_report
from cloudseg_ops.report import Report, write_report
from cloudseg_ops.runs.failed_tasks import FailedTask
from cloudseg_ops.storage import Store
from tests.support.report_runs import done, facts_of, planned, write_chunk


def _report(store: Store, layout: RunLayout, *, unfinished: bool = False, **changes: Any) -> Report:
    write_chunk(store, layout, 0, [done("a.jpg"), done("b.jpg")])
    write_chunk(store, layout, 1, [done("c.jpg")], complete=not unfinished)
    return write_report(store, layout, facts_of(layout, planned(layout, 2, 1), **changes))


def _places(**counts: int) -> dict[str, int]:
    return {"input": 0, "masked": 0, "quarantined": 0, "superseded": 0, "lost": 0, **counts}


def test_complete_run_passes(store: Store, layout: RunLayout) -> None:
    check_report(_report(store, layout), planned=True)


@pytest.mark.parametrize("planned_chunks", [True, False])
@pytest.mark.parametrize("unfinished", [True, False])
def test_lost_inputs_are_reported_first(
    store: Store, layout: RunLayout, unfinished: bool, planned_chunks: bool
) -> None:
    report = _report(
        store, layout, unfinished=unfinished, places=_places(masked=1, lost=2), lost=("b.jpg#7", "c.jpg#7")
    )
    with pytest.raises(InputsLostError) as raised:
        check_report(report, planned=planned_chunks)
    message = str(raised.value)
    assert message.startswith("2 input versions are neither in INPUT nor masked nor quarantined")
    assert "b.jpg#7, c.jpg#7" in message
    assert f"cloudseg audit --run {layout.run_id}" in message


def test_run_without_a_plan_is_incomplete(store: Store, layout: RunLayout) -> None:
    with pytest.raises(RunIncompleteError, match="no chunk was planned"):
        check_report(write_report(store, layout, facts_of(layout, [])), planned=False)


def test_unfinished_chunk_is_named(store: Store, layout: RunLayout) -> None:
    report = _report(store, layout, unfinished=True, places=_places(masked=2, input=1))
    with pytest.raises(RunIncompleteError) as raised:
        check_report(report, planned=True)
    assert "1 chunks did not finish: [1]" in str(raised.value)
    assert str(report.html_uri) in str(raised.value)


def test_chunk_without_results_is_unfinished(store: Store, layout: RunLayout) -> None:
    report = write_report(store, layout, facts_of(layout, planned(layout, 1)))
    with pytest.raises(RunIncompleteError, match=r"did not finish: \[0\]"):
        check_report(report, planned=True)


def test_inputs_left_in_the_bucket_do_not_fail_the_run(store: Store, layout: RunLayout) -> None:
    check_report(_report(store, layout, places=_places(masked=2, input=1)), planned=True)


@pytest.mark.parametrize("failed", [FailedTask("clean_inputs", -1, "X", "2 held"), FailedTask("segment", 3)])
def test_run_with_a_failed_task_fails_although_every_input_is_accounted_for(
    store: Store, layout: RunLayout, failed: FailedTask
) -> None:
    report = _report(store, layout, failed_tasks=[failed])
    assert report.head["failed_tasks"] == {"count": 1, "first": [failed.to_json()]}
    with pytest.raises(RunIncompleteError, match=re.escape(f"{failed.name} failed, although no input is lost")):
        check_report(report, planned=True)
