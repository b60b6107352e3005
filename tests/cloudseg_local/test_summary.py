from pathlib import Path

from cloudseg_local.summary import frame, summary_table
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report import write_report
from cloudseg_ops.runs.audit import Audit
from cloudseg_ops.storage import Store
from tests.support.report_runs import done, facts_of, planned, quarantined, write_chunk


def _audit(**counts: int) -> Audit:
    places = {"input": 0, "masked": 0, "quarantined": 0, "superseded": 0, "lost": 0, **counts}
    return Audit(sum(places.values()), places, ("a.jpg#7",) * places["lost"])


def _rows(table: str) -> dict[str, str]:
    lines = [line.strip().split("  ", 1) for line in table.splitlines()[1:-1]]
    return {name: value.strip() for name, value in lines}


def test_summary_of_a_run(store: Store, layout: RunLayout) -> None:
    write_chunk(store, layout, 0, [done("a.jpg", 0.25), done("b.jpg", 0.75), quarantined("c.jpg", "no image")])
    report = write_report(store, layout, facts_of(layout, planned(layout, 3)))
    rows = _rows(summary_table(report.to_json(), _audit(masked=2, quarantined=1), Path("/r/report.html"), "success"))
    assert rows["run"] == "success"
    assert rows["objects"] == "3"
    assert (rows["masks"], rows["quarantined"], rows["left in input"], rows["lost"]) == ("2", "1", "0", "0")
    assert rows["cloud fraction"] == "50.0% on average"
    assert rows["model"] == "v2 = commit 0123456789abcdef0123456789abcdef01234567"
    assert rows["report"] == "/r/report.html"
    assert "segment" in rows["seconds"]
    assert "newer uploaded" not in rows


def test_summary_without_a_report() -> None:
    rows = _rows(summary_table(None, _audit(input=5), None, "failed"))
    assert rows["report"] == "none was written"
    assert rows["left in input"] == "5"


def test_summary_of_a_run_without_a_model(store: Store, layout: RunLayout) -> None:
    report = write_report(store, layout, facts_of(layout, planned(layout, 3), model=None))
    rows = _rows(summary_table(report.to_json(), _audit(input=3), Path("r"), "failed"))
    assert "model" not in rows
    assert "cloud fraction" not in rows


def test_lost_inputs_are_shown() -> None:
    rows = _rows(summary_table(None, _audit(lost=2, superseded=1), None, "failed"))
    assert rows["LOST"] == "2"
    assert rows["newer uploaded"] == "1"


def test_columns_are_aligned_between_rules() -> None:
    assert frame([("a", "1"), ("long", "22")]).splitlines() == ["─" * 10, " a     1", " long  22", "─" * 10]
